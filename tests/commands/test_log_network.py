"""The write protocol where the network fails between the question and the answer: each pitfall first, then its remedy.

Owners give up an answer after half a second here; the broker is behind a proxy that keeps back, drops or cuts.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from fresh import fresh_name
from log_topic import contents, entry, lone_broker, make_topics, opened, sent_naively
from tcp_proxy import Fault, TcpProxy

from commands.log import FateUnknown, Fenced, ShardLog
from infra.kafka import administering

TIMEOUT_MS = 500


@pytest.fixture(scope="module")
async def proxied(tmp_path_factory: pytest.TempPathFactory, jars: Path) -> AsyncIterator[TcpProxy]:
    """The way to a broker that knows no other."""
    proxy = TcpProxy()
    advertised = {"advertised_listeners": f"PLAINTEXT://{proxy.address}"}
    async with lone_broker(tmp_path_factory.mktemp("proxied"), jars, **advertised) as broker:
        await proxy.start(int(broker.bootstrap.rpartition(":")[2]))
        yield proxy
        await proxy.stop()


@pytest.fixture
async def proxy(proxied: TcpProxy) -> AsyncIterator[TcpProxy]:
    yield proxied
    proxied.heal()


@pytest.fixture
async def topic(proxy: TcpProxy) -> str:
    name = fresh_name("log")
    await make_topics(proxy.address, [name])
    return name


async def owner(proxy: TcpProxy, topic: str, barrier: str = "barrier") -> ShardLog:
    return await opened(proxy.address, topic, barrier, timeout_ms=TIMEOUT_MS)


async def until(proxy: TcpProxy, counted: str) -> None:
    async with asyncio.timeout(20):
        while not getattr(proxy, counted):  # noqa: ASYNC110 - the proxy's own
            await asyncio.sleep(0.02)


async def test_a_missing_answer_taken_for_a_failure_writes_twice(proxy: TcpProxy, topic: str):
    log = await owner(proxy, topic)
    proxy.drop_answers()
    assert await sent_naively(log, topic, "a") is None
    proxy.heal()
    again = await owner(proxy, topic, "barrier 2")
    await again.append({topic: [entry("a")]})
    assert await contents(proxy.address, topic) == ["barrier", "a", "barrier 2", "a"], "the pitfall"
    await asyncio.gather(log.close(), again.close())


async def test_a_missing_answer_taken_for_a_success_writes_nothing(proxy: TcpProxy, topic: str):
    log = await owner(proxy, topic)
    proxy.refuse()
    assert await sent_naively(log, topic, "a") is None
    proxy.heal()
    assert await contents(proxy.address, topic) == ["barrier"], "the pitfall"
    await log.close()


@pytest.mark.parametrize(
    "begin",
    [
        TcpProxy.drop_answers,
        TcpProxy.refuse,
        TcpProxy.hold,
        lambda proxy: proxy.hold(way="answers"),
        lambda proxy: proxy.hold(way="requests"),
    ],
    ids=["answers dropped", "refused", "held", "answers held", "requests held"],
)
async def test_what_was_not_told_is_sent_again_until_it_is_and_stands_once(
    proxy: TcpProxy, topic: str, begin: Callable[[TcpProxy], Fault]
):
    log = await owner(proxy, topic)
    begin(proxy)
    appending = asyncio.create_task(log.append({topic: [entry("a"), entry("b")]}))
    await asyncio.sleep(3 * TIMEOUT_MS / 1000)
    assert not appending.done()
    proxy.heal()
    assert await appending == {topic: 1}
    assert await log.append({topic: [entry("c")]}) == {topic: 3}
    assert await contents(proxy.address, topic) == ["barrier", "a", "b", "c"]
    await log.close()


async def test_connections_that_break_again_and_again_change_nothing(proxy: TcpProxy, topic: str):
    log = await owner(proxy, topic)
    cutting = asyncio.create_task(cut_often(proxy))
    texts = [f"{n}" for n in range(200)]
    for number, text in enumerate(texts):
        assert await log.append({topic: [entry(text)]}) == {topic: number + 1}
    cutting.cancel()
    assert await contents(proxy.address, topic) == ["barrier", *texts]
    await log.close()


async def cut_often(proxy: TcpProxy) -> None:
    while True:
        await asyncio.sleep(0.05)
        proxy.cut()


async def test_a_late_copy_of_what_was_sent_again_writes_nothing(proxy: TcpProxy, topic: str):
    log = await owner(proxy, topic)
    proxy.hold(way="requests", new=False)
    assert await log.append({topic: [entry("a")]}) == {topic: 1}, "over a new connection"
    assert proxy.held, "the first one is still under way"
    assert await log.append({topic: [entry("b")]}) == {topic: 2}
    proxy.heal()
    assert await log.append({topic: [entry("c")]}) == {topic: 3}
    assert await contents(proxy.address, topic) == ["barrier", "a", "b", "c"]
    await log.close()


async def test_a_request_of_the_old_owner_that_arrives_after_the_new_ones_barrier_is_refused(
    proxy: TcpProxy, topic: str
):
    old = await owner(proxy, topic)
    every = proxy.hold(way="requests")
    zombie = asyncio.create_task(old.append({topic: [entry("zombie")]}))
    await until(proxy, "held")
    proxy.hold(way="requests", new=False)
    proxy.heal(every)
    new = await owner(proxy, topic, "barrier 2")
    proxy.heal()
    with pytest.raises(Fenced):
        await zombie
    assert await new.append({topic: [entry("mine")]}) == {topic: 2}
    assert await contents(proxy.address, topic) == ["barrier", "barrier 2", "mine"]
    await asyncio.gather(old.close(), new.close())


async def test_other_bytes_under_a_used_sequence_are_acknowledged_and_written_nowhere(proxy: TcpProxy, topic: str):
    log = await owner(proxy, topic)
    proxy.drop_answers()
    assert await sent_naively(log, topic, "a") is None
    proxy.heal()
    told = await sent_naively(log, topic, "b")
    assert told == (topic, 0, 1), "the pitfall"
    assert await contents(proxy.address, topic) == ["barrier", "a"]
    await log.close()


async def test_who_leaves_a_batch_before_its_fate_is_known_writes_no_other(proxy: TcpProxy, topic: str):
    log = await owner(proxy, topic)
    proxy.drop_answers()
    appending = asyncio.create_task(log.append({topic: [entry("a")]}))
    await until(proxy, "dropped")
    appending.cancel()
    await asyncio.gather(appending, return_exceptions=True)
    proxy.heal()
    with pytest.raises(FateUnknown):
        await log.append({topic: [entry("b")]})
    await log.take_epoch()
    await log.barriers({topic: entry("barrier 2")})
    assert await log.append({topic: [entry("b")]}) == {topic: 3}
    assert await contents(proxy.address, topic) == ["barrier", "a", "barrier 2", "b"]
    await log.close()


async def test_what_is_too_large_when_it_is_sent_again_may_stand(proxy: TcpProxy, topic: str):
    """Its topic was told in between to take less."""
    log = await owner(proxy, topic)
    async with administering({"bootstrap_servers": proxy.address}) as admin:
        await admin.alter_configs([takes(topic, 8 << 20)])  # connects
        proxy.drop_answers()
        appending = asyncio.create_task(log.append({topic: [entry("x" * 5_000)]}))
        await until(proxy, "dropped")
        with suppress(TimeoutError):
            await asyncio.wait_for(admin.alter_configs([takes(topic, 1_000)]), 2.0)  # its answer is dropped too
    proxy.heal()
    with pytest.raises(FateUnknown, match="the first one may stand"):
        await appending
    assert (await contents(proxy.address, topic))[1:] == ["x" * 5_000], "the pitfall: it does"
    await log.close()


def takes(topic: str, most_bytes: int) -> ConfigResource:
    return ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": str(most_bytes)})


async def test_an_epoch_whose_answer_was_lost_is_asked_for_again(proxy: TcpProxy, topic: str):
    log = await owner(proxy, topic)
    before = log.epoch
    proxy.drop_answers()
    taking = asyncio.create_task(log.take_epoch())
    await until(proxy, "dropped")
    await asyncio.sleep(2 * TIMEOUT_MS / 1000)
    proxy.heal()
    await taking
    assert log.epoch > before
    await log.barriers({topic: entry("barrier 2")})
    assert await log.append({topic: [entry("a")]}) == {topic: 2}
    await log.close()


async def test_an_owner_whose_broker_reads_nothing_any_more_still_closes(proxy: TcpProxy, topic: str):
    log = await owner(proxy, topic)
    proxy.hold(way="requests")
    appending = asyncio.create_task(log.append({topic: [(b"key", b"x" * (7 << 20), [])]}))
    await until(proxy, "held")
    async with asyncio.timeout(20):
        await log.close()
    appending.cancel()
    await asyncio.gather(appending, return_exceptions=True)
