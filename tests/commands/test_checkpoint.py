"""Checkpoints: whoever comes next knows all that is on the log, and need not read all of it."""

import asyncio

import pytest
from letting_go import CANCEL, OnTheLog, Watch, checkpointed, held, let_go
from world import HOME, World, now, records

from commands import checkpoint, shard
from commands.checkpoint import encoded_in
from commands.evicted import PART_CAPACITY, Evicted, Part, probes_of
from commands.memory import Memory
from commands.opening import Opening
from commands.order import AlreadyExists, Unavailable
from commands.owners import Shards
from schemas.control import AggregateSnapshot
from schemas.field_report import ReportEnRoute
from schemas.message import RiderId, StopId, UnknownAggregate
from schemas.record import event_of
from schemas.task import AssignTask, LocateStop
from schemas.topics import HISTORY, SNAPSHOTS, TASK


def digests(shards: Shards) -> dict[int, str]:
    return {p: s.memory.digest() for p, s in shards.shards().items()}


async def folded(world: World) -> dict[int, str]:
    """What the log alone comes to."""
    openings = {p: Opening(p) for p in range(2)}
    for topic in HISTORY:
        for record in await records(world.kafka, topic.name):
            openings[record.partition].take(record)
    return {p: opening.memory.digest() for p, opening in openings.items()}


async def opening_of(world: World, partition: int) -> Opening:
    opening = Opening(partition)
    for record in await records(world.kafka, SNAPSHOTS.name):
        if record.partition == partition:
            opening.take_snapshot(record)
    return opening


async def test_a_successor_takes_up_the_snapshots_and_the_tail(world: World):
    first = await world.owner()
    await world.settle(first)
    for number in range(10):
        await world.create(first, f"order-{number}")
    await checkpointed(first)
    for number in range(5):
        await first.submit(world.order("task", world.task(f"order-{number}"), CANCEL, "cancel"))
        await world.create(first, f"order-{10 + number}")
    before = digests(first)
    second = await world.owner()
    assert digests(second) == before
    assert digests(second) == await folded(world)
    for partition in range(2):
        begins = (await opening_of(world, partition)).begin()
        assert begins[TASK.name] > 0, "the tail does not begin with the log"
    again = await second.submit(world.order("task", world.task("order-1"), CANCEL, "cancel"))
    assert (again.repeated, again.version) == (True, 3)


async def test_what_a_successor_folded_from_the_tail_is_in_its_own_checkpoint(world: World):
    first = await world.owner()
    await world.settle(first)
    for number in range(6):
        await world.create(first, f"order-{number}")
    second = await world.owner()
    await checkpointed(second)
    third = await world.owner()
    assert digests(third) == await folded(world)
    assert {world.task(f"order-{n}") for n in range(6)} <= held(third)


async def test_what_changes_while_a_checkpoint_is_written_is_in_its_snapshot_or_in_the_tail(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(checkpoint, "SLICE", 2)
    first = await world.owner()
    await world.settle(first)
    await asyncio.gather(*(world.create(first, f"order-{n}") for n in range(40)))

    async def cancelled(number: int) -> None:
        await asyncio.sleep(number / 500)
        await first.submit(world.order("task", world.task(f"order-{number}"), CANCEL, "cancel"))

    await asyncio.gather(checkpointed(first), *(cancelled(number) for number in range(40)))
    before = digests(first)
    second = await world.owner()
    assert digests(second) == before
    assert digests(second) == await folded(world)


async def test_a_checkpoint_that_was_not_finished_does_no_harm(world: World):
    first = await world.owner()
    await world.settle(first)
    await asyncio.gather(*(world.create(first, f"order-{n}") for n in range(20)))
    await checkpointed(first)
    for number in range(20):
        await first.submit(world.order("task", world.task(f"order-{number}"), CANCEL, "cancel"))
    for owned in first.shards().values():
        slices = owned._snapshots.slices(owned._snapshots.take_changed(), owned._of_state)
        await owned._append({SNAPSHOTS.name: next(slices)})
    second = await world.owner()
    assert digests(second) == await folded(world)


async def test_checkpoints_come_by_themselves(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shard, "EVERY_RECORDS", 10)
    shards = await world.owner()
    await world.settle(shards)
    await asyncio.gather(*(world.create(shards, f"order-{n}") for n in range(40)))
    async with asyncio.timeout(10):
        while None in [(await opening_of(world, p)).checkpoint for p in range(2)]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_snapshots_of_another_release_are_passed_over(lone_world: World, monkeypatch: pytest.MonkeyPatch):
    first = await lone_world.owner()
    await lone_world.settle(first)
    await asyncio.gather(*(lone_world.create(first, f"order-{n}") for n in range(10)))
    await checkpointed(first)
    monkeypatch.setitem(checkpoint.STATE_VERSIONS, "task", "task-of-the-future")
    second = await lone_world.owner()
    assert digests(second) == await folded(lone_world)
    await checkpointed(second)
    opening = await opening_of(lone_world, 0)
    opening.begin()
    assert opening.memory.digest() == digests(second)[0], "those of the new release are taken up"


async def test_an_owner_that_was_fenced_writes_no_snapshot(lone_world: World):
    first = await lone_world.owner()
    await lone_world.settle(first)
    await lone_world.create(first, "order-1")
    open_before = dict(first.shards())
    await lone_world.owner()
    for owned in open_before.values():
        with pytest.raises(Unavailable):
            await owned.checkpoint()
    for partition in range(2):
        assert (await opening_of(lone_world, partition)).checkpoint is None


async def test_what_is_handed_over_is_all_in_a_checkpoint_and_is_served_no_more(lone_world: World):
    first = await lone_world.owner()
    await lone_world.settle(first)
    waiting = [asyncio.ensure_future(lone_world.create(first, f"order-{n}")) for n in range(30)]
    await asyncio.sleep(0)
    before = dict(first.shards())
    await asyncio.gather(*(first.release(partition) for partition in range(2)))
    answered = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(not isinstance(each, Exception) or isinstance(each, Unavailable) for each in answered)
    with pytest.raises(Unavailable, match="handed over"):
        await lone_world.create(first, "order-99")
    for partition in range(2):
        opening = await opening_of(lone_world, partition)
        begins = opening.begin()
        assert opening.memory.digest() == before[partition].memory.digest()
        tail = [
            r
            for r in await records(lone_world.kafka, TASK.name)
            if r.partition == partition and r.offset >= begins[TASK.name]
        ]
        assert tail == []


# What is over is let go


async def test_what_is_over_for_a_day_is_let_go_and_its_repeats_still_get_the_first_answer(world: World):
    cold = OnTheLog(world.kafka)
    shards = await let_go(world, cold)
    again = await world.create(shards, "order-1")
    assert (again.repeated, again.version) == (True, 2)
    cancelled = await shards.submit(world.order("task", world.task("order-2"), CANCEL, "cancel"))
    assert (cancelled.repeated, cancelled.version) == (True, 3)
    with pytest.raises(AlreadyExists):
        await world.create(shards, "order-3", name="Dora")
    assert len(cold.asked) == 3


async def test_what_never_existed_is_known_not_to_without_a_question(world: World):
    cold = OnTheLog(world.kafka)
    shards = await let_go(world, cold)
    with pytest.raises(UnknownAggregate):
        await shards.submit(world.order("task", world.task("never"), CANCEL))
    assert (await world.create(shards, "new")).version == 2
    assert cold.asked == []


async def test_a_successor_knows_what_was_let_go(world: World):
    cold = OnTheLog(world.kafka)
    await let_go(world, cold)
    successor = await world.owner(cold)
    assert world.task("order-1") not in held(successor)
    assert (await world.create(successor, "order-1")).repeated


async def test_what_was_loaded_again_and_changed_is_whole_for_a_successor(world: World):
    cold = OnTheLog(world.kafka)
    shards = await let_go(world, cold)
    late = LocateStop(stop_id=StopId("stop-2"), location=HOME)
    task = world.task("order-1")
    [owned] = [s for p, s in shards.shards().items() if task in s._snapshots.evicted]
    with pytest.raises(Exception, match="needs not yet under way"):
        await shards.submit(world.order("task", task, late, "late"))
    live = owned.memory.get(task)
    assert live is not None, "it is held again"
    assert live.version == 3
    successor = await world.owner(cold)
    again = await successor.submit(world.order("task", task, CANCEL, "cancel"))
    assert (again.repeated, again.version) == (True, 3)


async def test_the_tail_of_what_was_loaded_again_waits_for_its_beginning(world: World):
    cold, watch = OnTheLog(world.kafka), Watch()
    world.clock = watch
    shards = await world.owner(cold)
    await world.settle(shards)
    task = (await world.create(shards, "order-1")).aggregate_id
    assign = AssignTask(rider_id=RiderId("ann"))
    await shards.submit(world.order("task", task, assign, "assign", actor="dora", role="dispatcher"))
    await shards.submit(world.order("task", task, CANCEL, "cancel"))
    watch.a_day_later()
    await checkpointed(shards)
    assert task not in held(shards)
    late = ReportEnRoute(stop_id=StopId("stop-1"), observed_at=now())
    told = await shards.submit(world.order("task", task, late, "late", actor="ann", role="rider"))
    assert told.events == ("FieldReportConflicted",)
    successor = await world.owner(cold)
    assert task not in held(successor), "of its last version alone nothing can be folded"
    again = await successor.submit(world.order("task", task, late, "late", actor="ann", role="rider"))
    assert (again.repeated, again.version) == (True, told.version)


async def test_where_nothing_can_be_loaded_only_cold_commands_fail(world: World):
    cold = OnTheLog(world.kafka)
    shards = await let_go(world, cold)
    cold.fails = Unavailable("aggregate-cold", "the history does not answer")
    with pytest.raises(Unavailable) as told:
        await world.create(shards, "order-1")
    assert told.value.code == "aggregate-cold"
    await shards.submit(world.order("task", world.task("still live"), CANCEL, "cancel"))
    cold.fails = ConnectionError("no answer")
    with pytest.raises(Unavailable) as told:
        await world.create(shards, "order-1")
    assert told.value.code == "aggregate-cold"
    cold.fails = None
    assert (await world.create(shards, "order-1")).repeated


async def test_others_go_on_while_one_is_loaded_and_those_who_wait_are_bounded(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(shard, "THAWING_LIMIT", 3)
    cold = OnTheLog(world.kafka)
    shards = await let_go(world, cold)
    cold.waits = asyncio.Event()
    waiting = [asyncio.ensure_future(world.create(shards, "order-1", key=f"k-{n}")) for n in range(3)]
    await world.create(shards, "meanwhile")
    with pytest.raises(Unavailable, match="loaded again"):
        await world.create(shards, "order-1")
    cold.waits.set()
    assert all(answer.repeated for answer in await asyncio.gather(*waiting))
    assert cold.asked == [world.task("order-1")], "it is loaded once"


async def test_a_false_alarm_of_the_filter_only_costs_a_question(world: World):
    cold = OnTheLog(world.kafka)
    shards = await let_go(world, cold)
    for owned in shards.shards().values():
        owned._snapshots.evicted.add(world.task("new"))
    assert (await world.create(shards, "new")).version == 2
    assert cold.asked == [world.task("new")]


def test_the_filter_knows_every_id_and_few_others():
    evicted = Evicted()
    for number in range(PART_CAPACITY + 1_000):
        evicted.add(f"id-{number}")
    assert all(f"id-{number}" in evicted for number in range(PART_CAPACITY + 1_000))
    wrong = sum(f"other-{number}" in evicted for number in range(10_000))
    assert wrong < 300
    assert len(evicted.changed()) == 2


def test_of_a_million_ids_the_filter_takes_less_than_one_in_a_hundred_others_for_one():
    """Who is asked for is asked of every part: one is filled here, and all are as full."""
    full = Part()
    for number in range(PART_CAPACITY):
        full.add(probes_of(f"id-{number}"))
    asked = 50_000
    wrong = sum(full.has(probes_of(f"other-{number}")) for number in range(asked))
    assert wrong / asked * 1_000_000 / PART_CAPACITY < 0.01


def test_its_parts_come_back():
    evicted, again = Evicted(), Evicted()
    for number in range(1_000):
        evicted.add(f"id-{number}")
    for number, part in evicted.changed().items():
        again.restore(number, type(part)(bytes(part.bits), part.count))
    assert all(f"id-{number}" in again for number in range(1_000))
    assert len(again) == len(evicted)


async def test_idle_aggregates_are_held_encoded_and_are_the_same(world: World):
    shards = await world.owner()
    await world.settle(shards)
    await asyncio.gather(*(world.create(shards, f"order-{n}") for n in range(20)))
    for owned in shards.shards().values():
        few = Memory(hot_limit=2)
        for aggregate_id, live in owned.memory.items():
            few.put(aggregate_id, live)
        assert len(few._hot) == 2
        assert few.digest() == owned.memory.digest()
        assert dict(few.items()) == dict(owned.memory.items())


async def test_snapshots_hold_no_personal_data(world: World):
    shards = await world.owner()
    await world.settle(shards)
    await world.create(shards, "order-1", name="Persephone Unusual")
    await checkpointed(shards)
    snapshots = [r for r in await records(world.kafka, SNAPSHOTS.name) if r.value is not None]
    assert all(b"Persephone" not in (r.value or b"") for r in snapshots)
    whole = [event for r in snapshots if isinstance(event := event_of(r, None), AggregateSnapshot)]
    short = [
        encoded_in(r.value or b"") for r in snapshots if r.header("ce_type") == "logistics.control.AggregateSnapshot"
    ]
    assert [snapshot.live for snapshot in whole] == short
    assert short
