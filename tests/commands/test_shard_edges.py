"""A shard where two things happen at once: what was acknowledged stands, and nobody waits for ever."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from holding import (
    Held,
    ends_a_checkpoint,
    of_keys,
    of_snapshots,
    of_tasks,
    partition_with,
    references_on,
    until,
)
from letting_go import CANCEL, OnTheLog, Watch, checkpointed, let_go
from log_topic import lone_broker
from world import World, delivery, records

from commands import checkpoint, shard
from commands.order import Order, Unavailable
from commands.owners import LAG_LIMIT_S
from schemas import ids
from schemas.directory import ChangeTenantRules, TenantRules
from schemas.message import UnknownAggregate
from schemas.record import Stored
from schemas.rider import ApproveRider
from schemas.task import ConfirmTaskCreated
from schemas.topics import INCIDENT, KEYS, SNAPSHOTS, TASK


@pytest.fixture(scope="module")
async def kafka(tmp_path_factory: pytest.TempPathFactory, jars: Path) -> AsyncIterator[str]:
    """A broker of this file's own: what is let go and fenced here is nobody else's."""
    async with lone_broker(tmp_path_factory.mktemp("edges"), jars) as broker:
        yield broker.bootstrap


# Shards that change hands


async def test_a_shard_that_is_given_back_while_it_is_handed_over_is_opened_again(world: World):
    shards = await world.joined()
    shards.own({0, 1})
    await until(lambda: set(shards.shards()) == {0, 1})
    before = shards.shards()[1]
    shards.own({0})
    handing_over = asyncio.create_task(shards.release(1))
    await asyncio.sleep(0)
    shards.own({0, 1})
    await handing_over
    await until(lambda: 1 in shards.shards())
    assert shards.shards()[1].epoch > before.epoch


async def test_who_asks_for_a_shard_that_is_being_handed_over_waits_with_the_others(world: World):
    shards = await world.owner()
    await world.settle(shards)
    owned, (first, second) = shards.shards()[0], references_on(world, 0)[:2]
    checkpointing = Held(owned, ends_a_checkpoint)
    asked = asyncio.create_task(shards.release(0))
    await checkpointing.reached.wait()
    before = asyncio.ensure_future(world.create(shards, first))
    await asyncio.sleep(0)
    serving = Held(owned, of_tasks)
    checkpointing.let_through()
    await serving.reached.wait()
    last = asyncio.ensure_future(world.create(shards, second))
    await until(lambda: len(owned._chores) > 0)
    serving_the_last = Held(owned, of_tasks)
    serving.let_through()
    await serving_the_last.reached.wait()
    asked_again = asyncio.create_task(shards.release(0))
    await asyncio.sleep(0.1)
    serving_the_last.let_through()
    await asyncio.gather(asked, asked_again)
    assert [answer.version for answer in await asyncio.gather(before, last)] == [2, 2]
    assert shards.closed()[0] == "it is handed over"


async def test_a_fenced_owner_forgets_no_key_that_stands_on_the_log(world: World):
    slow = await world.owner()
    await world.settle(slow)
    partition = partition_with(world, "order-1")
    subject = ids.contact_subject(world.tenant, "cleo")
    order = world.order("task", world.task("order-1"), delivery(contact="cleo"), natural=True)
    standing_still = Held(slow.shards()[partition], of_keys)
    asked = asyncio.ensure_future(slow.submit(order))
    await standing_still.reached.wait()
    successor = await world.owner()
    await successor.submit(order)
    await slow.following.up_to_now()
    standing_still.let_through()
    with pytest.raises(Unavailable):
        await asked
    await until(lambda: partition not in slow.held())
    slow.own({0, 1})
    await until(lambda: partition in slow.shards())
    later = world.task(references_on(world, partition)[0])
    await slow.submit(world.order("task", later, delivery(contact="cleo"), natural=True))
    keys = [r for r in await records(world.kafka, KEYS.name) if r.key == subject.encode()]
    assert [r.partition for r in keys] == [partition], "one key seals both"


async def test_whoever_asked_for_a_checkpoint_is_told_that_its_owner_was_fenced(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(checkpoint, "SLICE", 1)
    shards = await world.owner()
    await world.settle(shards)
    owned, (first, second, third) = shards.shards()[0], references_on(world, 0)[:3]
    await world.create(shards, first)
    await world.create(shards, second)
    first_slice = Held(owned, of_snapshots, after=True)
    asked = asyncio.create_task(owned.checkpoint())
    await first_slice.reached.wait()
    order = asyncio.ensure_future(world.create(shards, third))
    await world.owner()
    first_slice.let_through()
    with pytest.raises(Unavailable, match="not open"):
        await order
    async with asyncio.timeout(10):
        with pytest.raises(Unavailable, match="not open"):
            await asked


async def test_a_successor_opens_though_leaders_tell_their_ends_at_different_times(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    """The one of the history tells early; until the one of the snapshots does there is a checkpoint beyond that."""
    first = await world.owner()
    await world.settle(first)
    for number in range(4):
        await world.create(first, f"order-{number}")
    told = AIOKafkaConsumer.end_offsets

    async def one_after_the_other(
        consumer: AIOKafkaConsumer, places: Sequence[TopicPartition]
    ) -> dict[TopicPartition, int]:
        late = [place for place in places if place.topic == SNAPSHOTS.name]
        early = [place for place in places if place.topic != SNAPSHOTS.name]
        ends: dict[TopicPartition, int] = await told(consumer, early)
        if late and early:
            monkeypatch.setattr(AIOKafkaConsumer, "end_offsets", told)
            for number in range(4):
                await world.create(first, f"more-{number}")
            await checkpointed(first)
        ends |= await told(consumer, late)
        return ends

    second = await world.joined()
    monkeypatch.setattr(AIOKafkaConsumer, "end_offsets", one_after_the_other)
    second.own({0, 1})
    await until(lambda: set(second.shards()) | set(second.closed()) == {0, 1})
    assert not second.closed()
    assert (await world.create(second, "more-0")).repeated


# Tenures that end


async def test_a_shard_that_is_never_idle_beats_for_its_silent_topics_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    shards = await world.owner()
    await world.settle(shards)
    monkeypatch.setattr(shard, "IDLE_HEARTBEAT_S", 0.0)
    await shards.shards()[0].checkpoint()
    monkeypatch.undo()
    last = [record for record in await records(world.kafka, INCIDENT.name) if record.partition == 0][-1]
    assert last.header("ce_type") == "logistics.control.Heartbeat"


async def test_a_shard_that_only_refuses_beats_for_its_silent_topics_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    shards = await world.owner()
    await world.settle(shards)
    nowhere = world.task(references_on(world, 0)[0])

    async def asks(name: str) -> None:
        """One after the other: as long as two do, the shard is never without somebody who waits."""
        for number in range(20):
            if number == 10:
                monkeypatch.setattr(shard, "IDLE_HEARTBEAT_S", 0.0)
            with pytest.raises(UnknownAggregate):
                await shards.submit(world.order("task", nowhere, ConfirmTaskCreated(), f"{name}-{number}"))

    await asyncio.gather(asks("first"), asks("second"))
    monkeypatch.undo()
    last = [record for record in await records(world.kafka, INCIDENT.name) if record.partition == 0][-1]
    assert last.header("ce_type") == "logistics.control.Heartbeat"


async def test_a_repeat_beside_the_command_that_has_it_forgotten_gets_its_first_answer(world: World):
    """An answer is remembered for a day, and the last 32 for longer: one more, and the oldest is not."""
    world.clock = watch = Watch()
    shards = await world.owner()
    await world.settle(shards)

    def change(number: int) -> Order:
        rules = TenantRules(offer_seconds=20 + number)
        return world.order("tenant", ids.tenant_id(world.tenant), ChangeTenantRules(rules=rules), f"change-{number}")

    first = await shards.submit(change(0))
    for number in range(1, 32):
        await shards.submit(change(number))
    watch.a_day_later()
    epochs = {partition: owned.epoch for partition, owned in shards.shards().items()}
    again, new = await asyncio.gather(shards.submit(change(0)), shards.submit(change(32)))
    assert (again.repeated, again.version, again.position) == (True, first.version, first.position)
    assert (new.repeated, new.version) == (False, first.version + 32)
    assert {partition: owned.epoch for partition, owned in shards.shards().items()} == epochs


async def test_a_shard_with_a_record_that_cannot_be_read_stays_closed_and_says_so(lone_world: World):
    first = await lone_world.owner()
    await lone_world.settle(first)
    reference = references_on(lone_world, 0)[0]
    await lone_world.create(first, reference)
    await first.stop()
    last = [r for r in await records(lone_world.kafka, TASK.name) if r.partition == 0][-1]
    async with AIOKafkaProducer(bootstrap_servers=lone_world.kafka) as producer:
        await producer.send_and_wait(TASK.name, b"\0\0\0\x0f\x0f", last.key, partition=0, headers=list(last.headers))
    shards = await lone_world.joined()
    shards.own({0, 1})
    await until(lambda: set(shards.shards()) | set(shards.closed()) == {0, 1})
    await until(lambda: 0 not in shards.held())
    assert set(shards.shards()) == {1}
    assert f"{TASK.name}/0@{last.offset + 1}" in shards.closed()[0]
    with pytest.raises(Unavailable, match="not open"):
        await lone_world.create(shards, reference)


async def test_a_shard_whose_chore_breaks_opens_again(world: World):
    shards = await world.owner()
    await world.settle(shards)
    before = shards.shards()[0]

    async def broken() -> None:
        raise ValueError("nobody thought of that")

    with pytest.raises(Unavailable, match="nobody thought of that"):
        await before.between_groups(broken)
    await until(lambda: shards.shards().get(0, before) is not before)
    assert (await world.create(shards, references_on(world, 0)[0])).version == 2


# What was let go


class LetGoAgain(OnTheLog):
    """What it has loaded is let go again at once."""

    lets_go: Callable[[], Awaitable[None]] | None = None

    async def load(self, topic: str, partition: int, tenant: str, aggregate_id: str, up_to: int) -> Sequence[Stored]:
        found = await super().load(topic, partition, tenant, aggregate_id, up_to)
        if self.lets_go is not None:
            self.letting_go = asyncio.ensure_future(self.lets_go())
        return found


async def test_what_is_let_go_again_before_all_who_waited_are_served_is_not_created_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(shard, "GROUP_LIMIT", 2)
    cold = LetGoAgain(world.kafka)
    shards = await let_go(world, cold)
    cold.lets_go = shards.shards()[partition_with(world, "order-1")].checkpoint
    answers = await asyncio.gather(*(world.create(shards, "order-1", key=f"key-{n}") for n in range(8)))
    assert all(answer.repeated for answer in answers)
    assert await versions(world, world.task("order-1")) == [1, 2, 3]


async def test_a_command_of_another_kind_for_what_was_let_go_takes_nobodys_answer(world: World):
    cold = OnTheLog(world.kafka)
    shards = await let_go(world, cold)
    cold.waits = asyncio.Event()
    task = world.task("order-2")
    other = asyncio.ensure_future(shards.submit(world.order("rider", task, ApproveRider(), "approve")))
    cancel = asyncio.ensure_future(shards.submit(world.order("task", task, CANCEL, "cancel")))
    await until(lambda: len(cold.asked) > 0)
    cold.waits.set()
    with pytest.raises(UnknownAggregate):
        await other
    assert (await cancel).repeated


async def versions(world: World, aggregate_id: str) -> list[int]:
    stored = [r for r in await records(world.kafka, TASK.name) if r.key == aggregate_id.encode()]
    return [int(r.header("version") or 0) for r in stored]


# Bounds


async def test_more_than_a_shard_can_queue_is_turned_away(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shard, "QUEUE_LIMIT", 3)
    shards = await world.owner()
    await world.settle(shards)
    references = references_on(world, 0)[:4]
    free = asyncio.Event()
    busy = asyncio.create_task(shards.shards()[0].between_groups(free.wait))  # type: ignore[arg-type]
    await asyncio.sleep(0.05)
    waiting = [asyncio.ensure_future(world.create(shards, reference)) for reference in references[:3]]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="3 commands wait") as told:
        await world.create(shards, references[3])
    assert told.value.code == "shard-busy"
    free.set()
    await busy
    assert [answer.version for answer in await asyncio.gather(*waiting)] == [2, 2, 2]
    assert (await world.create(shards, references[3])).version == 2


async def test_nothing_is_decided_by_a_directory_that_is_too_old(world: World):
    shards = await world.owner()
    await world.settle(shards)
    shards.following._follower._knew_all_s -= LAG_LIMIT_S + 1
    with pytest.raises(Unavailable, match="11 s old") as told:
        await world.create(shards, "order-1")
    assert told.value.code == "directory-lagging"
    await until(lambda: shards.following.behind_s < LAG_LIMIT_S)
    assert (await world.create(shards, "order-1")).version == 2
