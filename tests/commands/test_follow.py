"""Whoever follows a topic knows for how long it has heard nothing."""

import asyncio
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from log_topic import lone_broker, make_topics, opened
from tcp_proxy import TcpProxy

from commands import follow
from commands.follow import Follower, TooFarBehind
from schemas.record import Stored


async def test_who_has_heard_nothing_for_too_long_ends(tmp_path: Path, jars: Path, monkeypatch: pytest.MonkeyPatch):
    """Tombstones may have come and gone: what was forgotten meanwhile would be known here for ever."""
    proxy, taken = TcpProxy(), list[Stored]()
    async with lone_broker(tmp_path, jars, advertised_listeners=f"PLAINTEXT://{proxy.address}") as broker:
        await proxy.start(int(broker.bootstrap.rpartition(":")[2]))
        await make_topics(proxy.address, ["followed"])
        log = await opened(proxy.address, "followed")
        follower = Follower({"bootstrap_servers": proxy.address}, ["followed"], taken.append)
        await follower.start()
        assert [stored.value for stored in taken] == [b"barrier"]
        monkeypatch.setattr(follow, "BEHIND_LIMIT_S", 3.0)
        proxy.hold()
        async with asyncio.timeout(20):
            with pytest.raises(TooFarBehind, match="nothing was heard of followed"):
                await follower.run()
        proxy.heal()
        await asyncio.gather(follower.stop(), log.close())
        await proxy.stop()


async def test_a_broker_that_does_not_answer_for_a_while_is_asked_again(
    tmp_path: Path, jars: Path, monkeypatch: pytest.MonkeyPatch
):
    """Busy, or away for a moment: whoever rests on the follower would end with it."""
    proxy, taken = TcpProxy(), list[Stored]()
    starting = AIOKafkaConsumer.start

    async def started_and_then_cut_off(consumer: AIOKafkaConsumer) -> None:
        await starting(consumer)
        proxy.refuse()
        asyncio.get_running_loop().call_later(1.5, proxy.heal)

    async with lone_broker(tmp_path, jars, advertised_listeners=f"PLAINTEXT://{proxy.address}") as broker:
        await proxy.start(int(broker.bootstrap.rpartition(":")[2]))
        await make_topics(broker.bootstrap, ["followed"])
        log = await opened(broker.bootstrap, "followed")
        follower = Follower({"bootstrap_servers": proxy.address}, ["followed"], taken.append)
        monkeypatch.setattr(AIOKafkaConsumer, "start", started_and_then_cut_off)
        monkeypatch.setattr(AIOKafkaConsumer, "partitions_for_topic", lambda *_: None)
        async with asyncio.timeout(30):
            await follower.start()
        assert [stored.value for stored in taken] == [b"barrier"]
        await asyncio.gather(follower.stop(), log.close())
        await proxy.stop()


async def test_a_topic_that_is_not_there_is_named(kafka: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(follow, "PLACES_WITHIN_S", 0.5)
    follower = Follower({"bootstrap_servers": kafka}, ["nobodys"], print)
    with pytest.raises(LookupError, match="there is no topic nobodys"):
        await follower.start()
    await follower.stop()
