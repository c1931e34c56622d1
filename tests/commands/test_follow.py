"""Whoever follows a topic knows for how long it has heard nothing."""

import asyncio
from pathlib import Path

import pytest
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
