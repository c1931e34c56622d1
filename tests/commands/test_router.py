"""A desk that owns nothing: an order goes one hop to its owner, and who cannot be asked keeps nobody waiting."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from world import PARTITIONS, World, delivery, now, records

from commands import listener as door
from commands import remote, router
from commands.announced import Announced
from commands.listener import listener
from commands.order import Order, Unavailable
from commands.owners import Shards
from commands.remote import Peer
from commands.router import Router
from infra.embedded.ports import HOST, free_port
from infra.serving import server
from schemas import catalog
from schemas.catalog import nothing_personal
from schemas.control import ShardAnnounced
from schemas.message import TenantSlug
from schemas.record import Stored, control_headers
from schemas.topics import SHARDS

KEY = b"k" * 32
NOBODYS = World("", "cluster", TenantSlug("acme"))
"""Of a log that is not there: what its orders are about does not matter."""


@asynccontextmanager
async def listening(shards: Shards, address: str) -> AsyncIterator[None]:
    host, _, port = address.partition(":")
    serving = server(listener(shards, KEY), host, int(port))
    task = asyncio.create_task(serving.serve())
    async with asyncio.timeout(10):
        while not serving.started:  # noqa: ASYNC110 - the server's own
            await asyncio.sleep(0.01)
    try:
        yield
    finally:
        serving.should_exit = True
        await task


@asynccontextmanager
async def routing(*addresses: str, epoch: int = 1) -> AsyncIterator[Router]:
    """Knows of an owner of each shard in turn, from a log that nobody else reads."""
    routing = Router(Announced(), PARTITIONS, KEY)
    for shard, address in enumerate(addresses):
        routing.announced.take(announcement(shard, address, epoch))
    try:
        yield routing
    finally:
        await routing.stop()


@asynccontextmanager
async def peer_at(address: str) -> AsyncIterator[Peer]:
    peer = Peer(address, KEY)
    peer.start()
    try:
        yield peer
    finally:
        await peer.stop()


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a process that stands still: its kernel takes connections, and nobody answers."""
    with socket.socket() as listens:
        listens.bind((HOST, 0))
        listens.listen()
        yield f"{HOST}:{listens.getsockname()[1]}"


def an_address() -> str:
    return f"{HOST}:{free_port()}"


def announcement(shard: int, address: str, epoch: int = 1) -> Stored:
    said = ShardAnnounced(shard=shard, epoch=epoch, owner="owner", address=address, opened_at=now())
    headers = control_headers(catalog.BY_CLASS[ShardAnnounced].name, "/test", now(), epoch, "id")
    return Stored(SHARDS.name, shard, 0, b"owner", catalog.write(said, nothing_personal), headers)


async def hear(world: World, announced: Announced) -> None:
    """All that stands on the log."""
    for stored in await records(world.kafka, SHARDS.name):
        announced.take(stored)


def a_task(world: World, reference: str = "order-1") -> Order:
    return world.order("task", world.task(reference), delivery(), natural=True)


# One hop


async def test_an_order_is_asked_for_once_more_when_its_next_owner_is_announced(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(router, "LEARN_WITHIN_S", 20.0)
    before, after = an_address(), an_address()
    former = await world.owner(address=before)
    async with listening(former, before), routing() as routed:
        await hear(world, routed.announced)
        await world.settle(routed)
        successor = await world.owner(address=after)
        await until_fenced(world, former)
        async with listening(successor, after):
            asked = asyncio.ensure_future(routed.submit(a_task(world)))
            await asyncio.sleep(0.3)
            assert not asked.done(), "its next owner is not announced yet"
            await hear(world, routed.announced)
            assert (await asked).version == 2


async def test_an_order_that_two_owners_in_turn_do_not_own_is_not_judged(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(router, "LEARN_WITHIN_S", 0.1)
    before = an_address()
    former = await world.owner(address=before)
    async with listening(former, before), routing() as routed:
        await hear(world, routed.announced)
        await world.settle(routed)
        successor = await world.owner(address=an_address())
        await until_fenced(world, former)
        with pytest.raises(Unavailable, match="changes hands") as told:
            await routed.submit(a_task(world))
        assert told.value.code == "shard-not-open"
        assert not (await successor.submit(a_task(world))).repeated, "nobody has judged it"


async def test_an_order_for_an_owner_that_is_gone_is_asked_for_once_more_when_the_next_is_announced(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(router, "LEARN_WITHIN_S", 20.0)
    gone, after = an_address(), an_address()
    await world.owner(address=gone)  # the first of its shards, of epoch 0
    owner = await world.owner(address=after)
    async with listening(owner, after), routing(gone, gone, epoch=0) as routed:
        asked = asyncio.ensure_future(world.settle(routed))
        await asyncio.sleep(0.3)
        assert not asked.done(), "its next owner is not announced yet"
        await hear(world, routed.announced)
        await asked
        assert (await routed.submit(a_task(world))).version == 2


async def until_fenced(world: World, former: Shards) -> None:
    """It learns so from the broker, when it writes."""
    for shard in list(former.shards().values()):
        with pytest.raises(Unavailable):
            await shard.checkpoint()
    async with asyncio.timeout(10):
        while former.shards():  # noqa: ASYNC110 - of what no event tells
            await asyncio.sleep(0.02)
    await former.following.up_to_now()


# Who cannot be asked


async def test_a_shard_that_nobody_has_announced_is_not_open():
    async with routing() as routed:
        with pytest.raises(Unavailable, match="nobody has announced") as told:
            await routed.submit(a_task(NOBODYS))
        assert told.value.code == "shard-not-open"
        assert set(routed.closed()) == set(range(PARTITIONS))


async def test_an_owner_at_an_address_that_is_none_cannot_be_reached():
    async with routing("nowhere.invalid:1", "nowhere.invalid:1") as routed:
        with pytest.raises(Unavailable, match="has had no effect") as told:
            await routed.submit(a_task(NOBODYS))
        assert told.value.code == "shard-not-open"
        assert not await routed.is_open(0)
        await routed.ask_to_release(0)


async def test_an_owner_that_refuses_connections_cannot_be_reached():
    gone = an_address()
    async with routing(gone, gone) as routed:
        with pytest.raises(Unavailable, match="has had no effect") as told:
            await routed.submit(a_task(NOBODYS))
        assert told.value.code == "shard-not-open"
        assert not await routed.is_open(0)
        await routed.ask_to_release(0)


async def test_an_owner_that_stands_still_keeps_no_order_waiting_for_those_before_it(
    silent: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(remote, "ANSWER_WITHIN_S", 0.5)
    monkeypatch.setattr(remote, "TOGETHER", 1)
    async with routing(silent, silent) as routed:
        asked = [asyncio.ensure_future(routed.submit(a_task(NOBODYS, f"order-{number}"))) for number in range(200)]
        async with asyncio.timeout(10):
            told = await asyncio.gather(*asked, return_exceptions=True)
    assert {each.code for each in told if isinstance(each, Unavailable)} == {"shards-unreachable"}
    assert all(isinstance(each, Unavailable) for each in told)


async def test_a_former_owner_that_stands_still_is_not_waited_for(silent: str):
    async with routing(silent) as routed, asyncio.timeout(15):
        await routed.ask_to_release(0)


# Bounds


async def test_more_orders_than_can_wait_to_be_sent_are_turned_away(silent: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(remote, "QUEUE_LIMIT", 3)
    monkeypatch.setattr(remote, "TOGETHER", 1)
    monkeypatch.setattr(remote, "UNDER_WAY", 1)
    async with peer_at(silent) as peer:
        waiting = [asyncio.ensure_future(peer.submit(a_task(NOBODYS)))]
        await asyncio.sleep(0.1)
        waiting += [asyncio.ensure_future(peer.submit(a_task(NOBODYS))) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="3 orders wait") as told:
            await peer.submit(a_task(NOBODYS))
        assert told.value.code == "shard-busy"
    left = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(each, Unavailable) for each in left), "who still waits is told when it stops"


async def test_a_body_beyond_the_limit_is_not_looked_into(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(door, "BODY_LIMIT_BYTES", 1_000)
    address = an_address()
    shards = await world.joined()
    async with listening(shards, address), peer_at(address) as peer:
        assert await peer.serving() == {}
        with pytest.raises(Unavailable, match="413"):
            await peer.pin(0, "o" * 1_000)
        with pytest.raises(Unavailable, match="503"):
            await peer.pin(0, "o" * 900)
