"""A shard on a real log: what was acknowledged stands, once, and whoever comes next knows it."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from fresh import fresh_name
from holding import until
from log_topic import lone_broker
from story import NOON
from world import HOME, PARTITIONS, World, delivery, make_topics, records, verify_chain

from commands.context import UnknownTenant
from commands.memory import Live
from commands.order import AlreadyExists, IdempotencyKeyReused, Unavailable, VersionConflict
from infra.kafka import administering
from schemas import ids
from schemas.directory import CreateTenant
from schemas.dispatch_window import JoinWindow
from schemas.message import Command, StopId, TaskId, TenantSlug, UnknownAggregate
from schemas.partition import partition_of
from schemas.record import ChainBroken, envelope_of, event_of
from schemas.sla_policy import CreateSlaPolicy, RemoveSlaPolicy, SlaTerms
from schemas.task import CancelTask, LocateStop
from schemas.topics import DIRECTORY, HISTORY, KEYS, TASK, TOPICS


async def test_what_was_acknowledged_is_on_the_log_with_all_its_headers(world: World):
    shards = await world.owner()
    await world.settle(shards)
    answer = await world.create(shards, "order-1")
    assert answer.events == ("TaskCreated", "TaskDispatchable")
    mine = [r for r in await records(world.kafka, TASK.name) if r.key == answer.aggregate_id.encode()]
    envelopes = [envelope_of(record) for record in mine]
    assert [e.version for e in envelopes] == [1, 2]
    assert [(e.command_index, e.command_size) for e in envelopes] == [(0, 2), (1, 2)]
    assert {e.tenant for e in envelopes} == {world.tenant}
    assert {e.outlet for e in envelopes} == {"kamppi"}
    assert envelopes[0].type == "logistics.task.TaskCreated"
    (place,) = answer.position
    assert answer.position[place] == mine[-1].offset + 1


async def test_a_repeated_create_meets_its_own_aggregate(world: World):
    shards = await world.owner()
    await world.settle(shards)
    first = await world.create(shards, "order-1")
    again = await world.create(shards, "order-1", key="another key")
    assert (again.repeated, again.version, again.position) == (True, first.version, first.position)
    assert again.command_id == first.command_id
    with pytest.raises(AlreadyExists):
        await world.create(shards, "order-1", name="Dora")


async def test_what_anybody_may_begin_the_first_begins_and_the_others_go_on_with_each_once(world: World):
    shards = await world.owner()
    await world.settle(shards)
    joins = [
        world.order(
            "window",
            fresh_window,
            JoinWindow(task_id=TaskId(task), round=1, since=NOON, closes_at=NOON, seconds=60),
            f"join-{task}",
            natural=True,
        )
        for fresh_window in [fresh_name("window")]
        for task in ("one", "two")
    ]
    first, second = [await shards.submit(join) for join in joins]
    assert (first.events, second.events) == (("WindowOpened", "TaskJoinedWindow"), ("TaskJoinedWindow",))
    again = [await shards.submit(join) for join in joins]
    assert [(each.repeated, each.version) for each in again] == [(True, 2), (True, 3)]


async def test_the_same_key_with_another_body_is_refused(world: World):
    shards = await world.owner()
    await world.settle(shards)
    task = (await world.create(shards, "order-1")).aggregate_id
    cancel = world.order("task", task, CancelTask(reason_code="changed_mind"), "cancel-1")
    first = await shards.submit(cancel)
    again = await shards.submit(cancel)
    assert (again.repeated, again.version) == (True, first.version)
    with pytest.raises(IdempotencyKeyReused):
        await shards.submit(world.order("task", task, CancelTask(reason_code="too_late"), "cancel-1"))


async def test_two_of_the_same_in_one_group_are_one(world: World):
    shards = await world.owner()
    await world.settle(shards)
    answers = await asyncio.gather(*(world.create(shards, "order-1") for _ in range(20)))
    assert sum(not answer.repeated for answer in answers) == 1
    assert len({(answer.version, str(answer.position)) for answer in answers}) == 1


async def test_a_refusal_is_not_remembered(world: World):
    shards = await world.owner()
    await world.settle(shards)
    task = world.task("order-1")
    stray = world.order("task", task, LocateStop(stop_id=StopId("stop-2"), location=HOME), "locate")
    with pytest.raises(UnknownAggregate):
        await shards.submit(stray)
    await world.create(shards, "order-1")
    assert (await shards.submit(stray)).events == ()


async def test_the_expected_version_is_checked(world: World):
    shards = await world.owner()
    await world.settle(shards)
    task = (await world.create(shards, "order-1")).aggregate_id
    cancel = CancelTask(reason_code="changed_mind")
    with pytest.raises(VersionConflict):
        await shards.submit(world.order("task", task, cancel, "a", expected_version=1))
    assert (await shards.submit(world.order("task", task, cancel, "b", expected_version=2))).version == 3


async def test_a_foreign_tenants_aggregate_is_not_there(world: World):
    shards = await world.owner()
    await world.settle(shards)
    task = (await world.create(shards, "order-1")).aggregate_id
    with pytest.raises(UnknownAggregate):
        await shards.submit(world.order("task", task, CancelTask(reason_code="mine"), tenant=TenantSlug("other")))


async def test_a_second_owner_fences_the_first_and_has_every_acknowledged_command(world: World):
    first = await world.owner()
    await world.settle(first)
    answers = await asyncio.gather(*(world.create(first, f"order-{n}") for n in range(50)))
    second = await world.owner()
    with pytest.raises(Unavailable):
        await world.create(first, "order-after")
    for number, answer in enumerate(answers):
        again = await world.create(second, f"order-{number}")
        assert (again.repeated, again.version, again.position) == (True, answer.version, answer.position)
    assert (await world.create(second, "order-after")).version == 2


async def test_a_fenced_owner_refuses_nothing_from_a_stale_memory(world: World):
    first = await world.owner()
    await world.settle(first)
    task = (await world.create(first, "order-1")).aggregate_id
    await world.owner()
    for shard in first.shards().values():
        shard._confirmed_s -= 2
    with pytest.raises(Unavailable):
        await first.submit(world.order("task", task, LocateStop(stop_id=StopId("nowhere"), location=HOME)))


async def test_a_command_that_nobody_waits_for_any_more_is_not_decided(world: World):
    shards = await world.owner()
    await world.settle(shards)
    shard = shards.shards()[partition_of(world.task("order-1"), PARTITIONS)]
    free = asyncio.Event()
    busy = asyncio.create_task(shard.between_groups(free.wait))  # type: ignore[arg-type]
    asked = asyncio.create_task(world.create(shards, "order-1"))
    await asyncio.sleep(0.05)
    asked.cancel()
    free.set()
    await busy
    assert not (await world.create(shards, "order-1")).repeated


async def test_a_shard_goes_on_though_whoever_asked_for_its_account_has_left(world: World):
    shards = await world.owner()
    await world.settle(shards)
    for shard in shards.shards().values():
        asked = asyncio.create_task(shard.account())
        await asyncio.sleep(0)
        asked.cancel()
    assert (await world.create(shards, "order-1")).version == 2
    assert len(await shards.accounts()) == PARTITIONS


async def test_fold_of_the_log_is_the_owners_memory(world: World):
    first = await world.owner()
    await world.settle(first)
    for number in range(10):
        task = (await world.create(first, f"order-{number}")).aggregate_id
        if number % 2:
            await first.submit(world.order("task", task, CancelTask(reason_code="changed_mind"), "cancel"))
    before = {p: dict(shard.memory.items()) for p, shard in first.shards().items()}
    second = await world.owner()
    after: dict[int, dict[str, Live]] = {p: dict(s.memory.items()) for p, s in second.shards().items()}
    assert sum(len(memory) for memory in before.values()) >= 12
    assert after == before


async def test_a_tenure_whose_batch_stands_elsewhere_stops_and_opens_again(world: World):
    shards = await world.owner()
    await world.settle(shards)
    for shard in shards.shards().values():
        shard._log.next_offset[TASK.name] += 7
    with pytest.raises(Unavailable):
        await world.create(shards, "order-1")
    async with asyncio.timeout(15):
        while True:
            try:
                answer = await world.create(shards, "order-1")
                break
            except Unavailable:
                await asyncio.sleep(0.1)
    assert answer.version == 2
    mine = [r for r in await records(world.kafka, TASK.name) if r.key == answer.aggregate_id.encode()]
    assert len(mine) == 2, "it was written once, and found"


async def test_a_shard_whose_broker_is_gone_while_it_opens_again_tries_until_it_is_back(tmp_path: Path, jars: Path):
    async with lone_broker(tmp_path, jars) as broker:
        await make_topics(broker.bootstrap)
        world = World(broker.bootstrap, fresh_name("cluster"), TenantSlug(fresh_name("acme")))
        shards = await world.owner()
        await world.settle(shards)
        for shard in shards.shards().values():
            shard._log.next_offset[TASK.name] += 7
        with pytest.raises(Unavailable):
            await world.create(shards, "order-1")
        await broker.stop()
        async with asyncio.timeout(30):
            while not any("Unable to bootstrap" in why for why in shards.closed().values()):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        await broker.start()
        async with asyncio.timeout(60):
            while shards.closed():  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert (await world.create(shards, "order-1")).version == 2
        await shards.stop()


async def test_the_chain_verifies_from_the_first_record(world: World):
    shards = await world.owner()
    await world.settle(shards)
    await asyncio.gather(*(world.create(shards, f"order-{n}") for n in range(5)))
    await world.owner()
    for topic in HISTORY:
        verify_chain(await records(world.kafka, topic.name))


async def test_an_edit_a_removal_and_a_reordering_show(world: World):
    shards = await world.owner()
    await world.settle(shards)
    await asyncio.gather(*(world.create(shards, f"order-{n}") for n in range(5)))
    stored = [r for r in await records(world.kafka, TASK.name) if r.partition == 0]
    at = next(n for n, record in enumerate(stored) if not record.is_control and n + 2 < len(stored))
    edited = msgspec.structs.replace(stored[at], value=(stored[at].value or b"") + b"x")
    for broken in (
        [*stored[:at], edited, *stored[at + 1 :]],
        [*stored[:at], *stored[at + 1 :]],
        [*stored[:at], stored[at + 1], stored[at], *stored[at + 2 :]],
    ):
        with pytest.raises(ChainBroken):
            verify_chain(broken)


async def test_a_forgotten_contact_is_nowhere_to_be_found(world: World):
    shards = await world.owner()
    await world.settle(shards)
    contact = delivery("Persephone Unusual", contact="customer-7")
    await shards.submit(world.order("task", world.task("order-1"), contact))
    for topic in TOPICS[:9]:
        for record in await records(world.kafka, topic.name):
            assert b"Persephone" not in (record.value or b"") + repr(record.headers).encode()
    subject = ids.contact_subject(world.tenant, "customer-7")
    assert await shards.forget(subject) == 1
    assert "Persephone" not in repr([dict(s.memory.items()) for s in shards.shards().values()])
    successor = await world.owner()
    assert "Persephone" not in repr([dict(s.memory.items()) for s in successor.shards().values()])
    tombstones = [r for r in await records(world.kafka, KEYS.name) if r.key == subject.encode() and r.value is None]
    assert len(tombstones) == 1
    verify_chain(await records(world.kafka, TASK.name))


async def test_a_key_that_does_not_fit_into_its_topic_seals_nothing(lone_world: World):
    """The topic is misconfigured: what would be sealed under such a key could never be read."""
    shards = await lone_world.owner()
    await lone_world.settle(shards)
    async with administering({"bootstrap_servers": lone_world.kafka}) as admin:
        config = {"max.message.bytes": "100"}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, KEYS.name, config)])
        async with asyncio.timeout(20):
            while not await takes_at_most(admin, KEYS.name, 100):  # noqa: ASYNC110 - its broker hears of it later
                await asyncio.sleep(0.02)
    with pytest.raises(Unavailable, match=r"max\.message\.bytes"):
        await lone_world.create(shards, "order-1")
    assert all(record.is_control for record in await records(lone_world.kafka, TASK.name))


async def takes_at_most(admin: AIOKafkaAdminClient, topic: str, size: int) -> bool:
    """As its broker has heard by now."""
    [told] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    [(_, _, _, _, entries)] = told.resources
    return {entry[0]: entry[1] for entry in entries}["max.message.bytes"] == str(size)


async def test_a_tenant_that_is_not_there_is_refused(world: World):
    shards = await world.owner()
    with pytest.raises(UnknownTenant):
        await world.create(shards, "order-1")


async def test_the_directory_is_seen_at_once_by_all_shards(world: World):
    shards = await world.owner()
    await world.settle(shards)
    answers = [await world.create(shards, f"order-{n}") for n in range(24)]
    assert {place[1] for answer in answers for place in answer.position} == set(range(PARTITIONS))
    directory = await records(world.kafka, DIRECTORY.name)
    assert any(not record.is_control for record in directory)
    assert event_of(next(r for r in directory if not r.is_control), None)
    other = world.order("tenant", ids.tenant_id(world.tenant), CreateTenant(tenant=world.tenant, name="Other"))
    with pytest.raises(AlreadyExists):
        await shards.submit(msgspec.structs.replace(other, natural=True))


async def test_the_scope_of_a_policy_that_another_owner_has_just_removed_is_free(world: World):
    desks = [await world.joined() for _ in range(PARTITIONS)]
    for partition, desk in enumerate(desks):
        desk.own({partition})
        await until(lambda desk=desk, partition=partition: partition in desk.shards())

    async def sent(kind: str, aggregate_id: str, command: Command) -> None:
        order = world.order(kind, aggregate_id, command, type(command).__name__, role="operator")
        await desks[partition_of(aggregate_id, PARTITIONS)].submit(order)

    await sent("tenant", ids.tenant_id(world.tenant), CreateTenant(tenant=world.tenant, name="Acme", mode="test"))
    create = CreateSlaPolicy(name="An hour", terms=SlaTerms(deliver_within_s=3600))
    for number in range(10):
        policy = ids.aggregate_id("sla_policy", world.tenant, "shop", f"policy-{number}")
        await sent("sla_policy", policy, create)
        await sent("sla_policy", policy, RemoveSlaPolicy())
