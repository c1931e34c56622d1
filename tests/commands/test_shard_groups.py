"""Groups that follow one another: each is decided on what the one before it will come to, and told of after it."""

import asyncio

import pytest
from holding import Held, OnItsWay, of_keys, partition_with, references_on, until
from letting_go import CANCEL, Watch
from world import World, delivery, records, verify_chain

from commands import judging
from commands.memory import REMEMBERED_AT_LEAST
from commands.order import AlreadyExists, Order, Unavailable
from schemas import ids
from schemas.message import UnknownAggregate
from schemas.task import HoldTask, ReleaseTask
from schemas.topics import KEYS, TASK


def cancel(world: World, reference: str) -> Order:
    return world.order("task", world.task(reference), CANCEL, "cancel")


async def test_what_is_decided_while_a_group_is_on_its_way_stands_after_it(world: World):
    shards = await world.owner()
    await world.settle(shards)
    way = OnItsWay(world, shards, "order-1")
    await way.decided(0)
    cancelling = asyncio.ensure_future(shards.submit(cancel(world, "order-1")))
    again = asyncio.ensure_future(world.create(shards, "order-1"))
    await way.decided(2)
    assert not any(asked.done() for asked in (way.creating, cancelling, again))
    way.let_through()
    created, cancelled, repeated = await asyncio.gather(way.creating, cancelling, again)
    assert (created.version, cancelled.version) == (2, 3)
    assert (repeated.repeated, repeated.position) == (True, created.position)
    stood = [r for r in await records(world.kafka, TASK.name) if r.key == world.task("order-1").encode()]
    assert {(TASK.name, way.partition): stood[-1].offset + 1} == cancelled.position
    assert {(TASK.name, way.partition): stood[-2].offset + 1} == created.position
    verify_chain([r for r in await records(world.kafka, TASK.name) if r.partition == way.partition])
    before = {p: dict(owned.memory.items()) for p, owned in shards.shards().items()}
    after = {p: dict(owned.memory.items()) for p, owned in (await world.owner()).shards().items()}
    assert after == before


async def test_nobody_is_refused_by_what_is_only_on_its_way(world: World):
    shards = await world.owner()
    await world.settle(shards)
    way = OnItsWay(world, shards, "order-1")
    await way.decided(0)
    other = asyncio.ensure_future(world.create(shards, "order-1", name="Somebody else"))
    await way.decided(1)
    await asyncio.sleep(0.1)
    assert not other.done()
    way.let_through()
    await way.creating
    with pytest.raises(AlreadyExists):
        await other


async def test_what_rests_on_a_group_that_is_lost_is_lost_with_it(world: World):
    """Neither is told of, neither is written; and the key that the second had made for it seals nothing."""
    slow = await world.owner()
    await world.settle(slow)
    way = OnItsWay(world, slow, "order-1")
    beside, partition = references_on(world, way.partition)[0], way.partition
    await way.decided(0)
    cancelling = asyncio.ensure_future(slow.submit(cancel(world, "order-1")))
    order = world.order("task", world.task(beside), delivery(contact="cleo"), natural=True)
    creating_another = asyncio.ensure_future(slow.submit(order))
    await way.decided(2)
    subject = ids.contact_subject(world.tenant, "cleo")
    assert way.shard._keyring.knows(partition, subject)
    successor = await world.owner()
    way.let_through()
    for lost in (way.creating, cancelling, creating_another):
        with pytest.raises(Unavailable, match="not open"):
            await lost
    assert not way.shard._keyring.knows(partition, subject)
    with pytest.raises(UnknownAggregate):
        await successor.submit(cancel(world, "order-1"))
    assert not (await world.create(successor, "order-1")).repeated
    assert not (await successor.submit(order)).repeated


async def test_what_is_to_be_done_between_groups_waits_for_both(world: World):
    shards = await world.owner()
    await world.settle(shards)
    way = OnItsWay(world, shards, "order-1")
    await way.decided(0)
    cancelling = asyncio.ensure_future(shards.submit(cancel(world, "order-1")))
    await way.decided(1)
    accounting = asyncio.create_task(way.shard.account())
    await until(lambda: len(way.shard._chores) == 1)
    last = asyncio.ensure_future(world.create(shards, references_on(world, way.partition)[0]))
    await until(lambda: len(way.shard._waiting) == 1)
    way.let_through()
    account = await accounting
    assert cancelling.done()
    assert {(TASK.name, way.partition): account.next_offset[TASK.name]} == (await cancelling).position
    await asyncio.gather(way.creating, last)


# What breaks


def breaks_once(monkeypatch: pytest.MonkeyPatch, whose: object, name: str) -> None:
    """The next call of it raises, as a fault of ours would."""
    real = getattr(whose, name)

    def broken(*given: object) -> None:
        monkeypatch.setattr(whose, name, real)
        raise ValueError("broken")

    monkeypatch.setattr(whose, name, broken)


@pytest.mark.parametrize("broken", ["_entries", "after"])
async def test_a_command_that_breaks_our_code_leaves_no_key_behind_that_is_not_on_the_log(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: str
):
    shards = await world.owner()
    await world.settle(shards)
    partition, subject = partition_with(world, "order-1"), ids.contact_subject(world.tenant, "cleo")
    order = world.order("task", world.task("order-1"), delivery(contact="cleo"), natural=True)
    breaks_once(monkeypatch, judging.Judge if broken == "_entries" else judging, broken)
    with pytest.raises(ValueError, match="broken"):
        await shards.submit(order)
    assert not shards.shards()[partition]._keyring.knows(partition, subject)
    assert (await shards.submit(order)).version == 2
    keys = [r for r in await records(world.kafka, KEYS.name) if r.key == subject.encode()]
    assert len(keys) == 1, "what the task's events are sealed under"


async def test_a_command_that_breaks_our_code_leaves_nothing_of_itself_in_its_group(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    shards = await world.owner()
    await world.settle(shards)
    way = OnItsWay(world, shards, "order-1")
    await way.decided(0)
    beside = references_on(world, way.partition)[0]
    breaks_once(monkeypatch, judging, "after")
    broken = asyncio.ensure_future(world.create(shards, beside))
    await way.decided(1)
    again = asyncio.ensure_future(world.create(shards, beside))
    await way.decided(2)
    way.let_through()
    with pytest.raises(ValueError, match="broken"):
        await broken
    assert (await again).version == 2
    written = [r for r in await records(world.kafka, TASK.name) if r.key == world.task(beside).encode()]
    assert [r.header("version") for r in written] == ["1", "2"]


async def test_a_command_that_its_own_group_has_forgotten_is_answered_all_the_same(world: World):
    """A test tenant's clock may leap a day while a group is open: what it was answered is remembered no longer."""
    world.clock = watch = Watch()
    shards = await world.owner()
    await world.settle(shards)
    partition = partition_with(world, "order-1")
    busy = references_on(world, partition)[0]
    await world.create(shards, busy)
    way = OnItsWay(world, shards, "order-1")
    await way.decided(0)

    def again(number: int) -> Order:
        command = ReleaseTask(reason_code="x") if number % 2 else HoldTask(reason_code="x")
        return world.order("task", world.task(busy), command, f"c-{number}", role="dispatcher")

    asked = [asyncio.ensure_future(shards.submit(again(number))) for number in range(REMEMBERED_AT_LEAST + 8)]
    await way.decided(len(asked))
    watch.a_day_later()
    watch.a_day_later()
    asked.append(asyncio.ensure_future(shards.submit(again(len(asked)))))
    await way.decided(len(asked))
    way.let_through()
    versions = [answer.version for answer in await asyncio.gather(*asked)]
    assert versions == sorted(versions)
    assert way.shard is shards.shards()[partition], "nothing has ended its tenure"


async def test_a_shard_that_is_stopped_twice_leaves_no_key_behind(world: World):
    shards = await world.owner()
    await world.settle(shards)
    partition, subject = partition_with(world, "order-1"), ids.contact_subject(world.tenant, "cleo")
    owned = shards.shards()[partition]
    held = Held(owned, of_keys)
    order = world.order("task", world.task("order-1"), delivery(contact="cleo"), natural=True)
    asked = asyncio.ensure_future(shards.submit(order))
    await held.reached.wait()
    tenure = shards._tenures[partition]
    tenure.cancel()
    await asyncio.sleep(0)
    tenure.cancel()
    await asyncio.wait([tenure])
    assert not owned._keyring.knows(partition, subject)
    with pytest.raises(Unavailable):
        await asked
