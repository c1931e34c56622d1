"""The write protocol where the broker no longer knows who fenced whom: each pitfall first, then its remedy."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete
from fresh import fresh_name
from log_topic import PARTITION, contents, entry, log_on, lone_broker, make_topics, opened, sent_naively, standing

from commands.log import RESENT, SILENT_LIMIT_S, Fenced, OffsetUnexpected, SequenceBroken, ShardLog, SilentTooLong
from infra.embedded.kafka import EmbeddedKafka
from infra.kafka import administering
from schemas.topics import COMPACTED

FORGETS_AFTER_S = 2.5
FORGETFUL = {
    "producer_id_expiration_ms": int(FORGETS_AFTER_S * 1_000),
    "producer_id_expiration_check_interval_ms": 200,
    "transactional_id_expiration_ms": int(FORGETS_AFTER_S * 1_000),
    "transaction_remove_expired_transaction_cleanup_interval_ms": 200,
    "log_cleaner_backoff_ms": 100,
}
WITHIN_S = 40.0


@pytest.fixture(scope="module")
async def forgetful(tmp_path_factory: pytest.TempPathFactory, jars: Path) -> AsyncIterator[EmbeddedKafka]:
    """A broker that forgets producers and transactional ids in seconds, where others take a day and a week."""
    async with lone_broker(tmp_path_factory.mktemp("forgetful"), jars, **FORGETFUL) as broker:
        yield broker


@pytest.fixture
async def topic(forgetful: EmbeddedKafka) -> str:
    name = fresh_name("log")
    await make_topics(forgetful.bootstrap, [name])
    return name


async def accepted(zombie: ShardLog, topic: str) -> None:
    """Tries until a write of the fenced owner is taken."""
    async with asyncio.timeout(WITHIN_S):
        while (told := await sent_naively(zombie, topic, "zombie")) is None or told.code != 0:  # noqa: ASYNC110
            await asyncio.sleep(0.2)


async def refused(zombie: ShardLog, topic: str) -> bool:
    """What the broker says of a write of the fenced owner; asked again where it does not say, as when it just began."""
    async with asyncio.timeout(WITHIN_S):
        while (told := await sent_naively(zombie, topic, "zombie")) is None or told.code in RESENT:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    return told.code == 47


async def test_a_producer_that_is_silent_is_forgotten_and_its_zombie_writes(forgetful: EmbeddedKafka, topic: str):
    old = await opened(forgetful.bootstrap, topic)
    new = await opened(forgetful.bootstrap, topic, "barrier 2")
    assert await refused(old, topic)
    await accepted(old, topic)
    assert await contents(forgetful.bootstrap, topic) == ["barrier", "barrier 2", "zombie"], "the pitfall"
    with pytest.raises((SequenceBroken, OffsetUnexpected)):
        await new.append({topic: [entry("the true owner's")]})
    await asyncio.gather(old.close(), new.close())


async def test_an_owner_that_beats_is_not_forgotten(forgetful: EmbeddedKafka, topic: str):
    old = await opened(forgetful.bootstrap, topic)
    new = await opened(forgetful.bootstrap, topic, "barrier 2")
    until = time.monotonic() + 3 * FORGETS_AFTER_S
    while time.monotonic() < until:
        await new.append({topic: [entry("beat")]})
        await asyncio.sleep(FORGETS_AFTER_S / 10)
    assert await refused(old, topic)
    with pytest.raises(Fenced):
        await old.append({topic: [entry("zombie")]})
    assert "zombie" not in await contents(forgetful.bootstrap, topic)
    await asyncio.gather(old.close(), new.close())


async def test_an_owner_that_was_silent_for_too_long_sends_nothing(forgetful: EmbeddedKafka, topic: str):
    """Though the broker, which has forgotten that he was fenced, would take it."""
    old = await opened(forgetful.bootstrap, topic)
    new = await opened(forgetful.bootstrap, topic, "barrier 2")
    await asyncio.sleep(2 * FORGETS_AFTER_S)
    old._clock = lambda: time.time() + SILENT_LIMIT_S + 1
    with pytest.raises(SilentTooLong):
        await old.append({topic: [entry("zombie")]})
    assert await contents(forgetful.bootstrap, topic) == ["barrier", "barrier 2"]
    await asyncio.gather(old.close(), new.close())


async def changed_id(kafka: str, topic: str, former: int) -> ShardLog:
    """An owner that gets another producer id, since the transactional id was not used for too long."""
    log = log_on(kafka, topic)
    await log.connect()
    async with asyncio.timeout(WITHIN_S):
        while log.producer_id in (-1, former):
            await asyncio.sleep(2 * FORGETS_AFTER_S)
            await log.take_epoch()
    return log


async def beating(log: ShardLog, topic: str) -> None:
    """So that its producer is not forgotten meanwhile."""
    while True:
        await log.append({topic: [entry("beat")]})
        await asyncio.sleep(FORGETS_AFTER_S / 5)


async def test_an_id_that_expired_is_replaced_and_its_zombie_writes_until_it_is_retired(
    forgetful: EmbeddedKafka, topic: str
):
    old = await opened(forgetful.bootstrap, topic)
    serving = asyncio.create_task(beating(old, topic))
    new = await changed_id(forgetful.bootstrap, topic, old.producer_id)
    stand = await new.barriers({topic: entry("barrier 2")})
    with pytest.raises(OffsetUnexpected):
        await serving
    assert (await contents(forgetful.bootstrap, topic))[stand[topic] :] == ["barrier 2", "beat"], "the pitfall"
    found = {topic: old.producer_id}
    assert await new.replaced(found) == found
    await new.retire(found, {topic: entry("retired")})
    assert await refused(old, topic)
    await asyncio.gather(old.close(), new.close())


async def test_to_retire_an_id_that_is_still_given_out_shuts_out_every_owner_to_come(
    forgetful: EmbeddedKafka, topic: str
):
    """An owner with a former id finds the barrier of a newer one, and takes its id for the former."""
    former = await opened(forgetful.bootstrap, topic)
    new = await changed_id(forgetful.bootstrap, topic, former.producer_id)
    await new.barriers({topic: entry("barrier 2")})
    found = {topic: new.producer_id}
    assert await former.replaced(found) == {}, "the remedy: asked once more it gets the newer id itself"
    assert former.producer_id == new.producer_id
    await former.retire(found, {topic: entry("retired")})
    with pytest.raises(Fenced):
        await opened(forgetful.bootstrap, topic, "barrier 3")
    await asyncio.gather(former.close(), new.close())


async def test_a_topic_without_its_barrier_is_open_to_the_old_owner(kafka: str):
    topics = [fresh_name("log"), fresh_name("log")]
    await make_topics(kafka, topics)
    old = await opened(kafka, topics)
    new = log_on(kafka, topics)
    await new.connect()
    await new.take_epoch()
    await new.barriers({topics[0]: entry("barrier 2")})
    assert await refused(old, topics[0])
    await accepted(old, topics[1])
    await new.take_epoch()
    await new.barriers(dict.fromkeys(topics, entry("barrier 3")))
    assert await refused(old, topics[1])
    assert await contents(kafka, topics[1]) == ["barrier", "zombie", "barrier 3"], "the pitfall, until the remedy"
    await asyncio.gather(old.close(), new.close())


@pytest.mark.parametrize("emptied", [True, False])
async def test_an_emptied_log_has_no_fence(tmp_path: Path, jars: Path, emptied: bool):
    """One that keeps a batch of the last owner has."""
    async with lone_broker(tmp_path, jars) as broker:
        topic = fresh_name("log")
        await make_topics(broker.bootstrap, [topic])
        old = await opened(broker.bootstrap, topic)
        new = await opened(broker.bootstrap, topic, "barrier 2")
        await delete_before(broker.bootstrap, topic, new.next_offset[topic] - (0 if emptied else 1))
        await broker.stop()
        await broker.start()
        if emptied:
            await accepted(old, topic)
            assert await contents(broker.bootstrap, topic) == ["zombie"], "the pitfall"
        else:
            assert await refused(old, topic)
            assert await contents(broker.bootstrap, topic) == ["barrier 2"]
        await asyncio.gather(old.close(), new.close())


async def delete_before(kafka: str, topic: str, offset: int) -> None:
    async with administering({"bootstrap_servers": kafka}) as admin:
        await admin.delete_records({TopicPartition(topic, PARTITION): RecordsToDelete(before_offset=offset)})


async def test_a_compacted_topic_fences_when_all_of_the_old_owners_records_are_gone(forgetful: EmbeddedKafka):
    topic = fresh_name("log")
    config = {"segment.ms": "100", "min.cleanable.dirty.ratio": "0.001", "max.compaction.lag.ms": "200"}
    await make_topics(forgetful.bootstrap, [topic], COMPACTED | config)
    old = await opened(forgetful.bootstrap, topic)
    await old.append({topic: [entry("old")]})
    new = await opened(forgetful.bootstrap, topic, "barrier 2")
    async with asyncio.timeout(WITHIN_S):
        while any(record.value in (b"barrier", b"old") for record in await standing(forgetful.bootstrap, topic)):
            await new.append({topic: [entry("beat")]})
            await asyncio.sleep(FORGETS_AFTER_S / 10)
    assert await refused(old, topic)
    with pytest.raises(Fenced):
        await old.append({topic: [entry("zombie")]})
    await asyncio.gather(old.close(), new.close())
