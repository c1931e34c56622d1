"""What its owner has let go is found by the history's places and read from the log; without Postgres only that fails."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fresh import fresh_name
from letting_go import CANCEL, Watch, checkpointed, held, let_go
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from world import PARTITIONS, World, records

from commands.order import AlreadyExists, Unavailable
from infra.embedded.postgres import EmbeddedPostgres
from infra.history_cold import HistoryCold
from projections.folding import PARKED_AT_MOST
from projections.history import HISTORY
from projections.projector import Projector, until_caught_up
from projections.tables import migrate
from schemas import ids
from schemas.message import TenantSlug, UnknownAggregate
from schemas.partition import partition_of
from schemas.record import Stored
from schemas.rider import ApproveRider, RegisterRider, SuspendRider
from schemas.topics import FLEET, TASK

RITA = RegisterRider(name="Rita", phone="+358401234567", employment="staff", vehicle="bicycle")

type Pool = AsyncConnectionPool[Any]


async def nowhere(stored: Stored, reason: str) -> None:
    raise AssertionError(reason)


@pytest.fixture
async def postgres_of_its_own(tmp_path: Path) -> AsyncIterator[EmbeddedPostgres]:
    tmp_path.chmod(0o755)
    server = EmbeddedPostgres(tmp_path / "postgres")
    await server.start()
    yield server
    await server.stop()


@asynccontextmanager
async def history_in(dsn: str) -> AsyncIterator[Pool]:
    async with AsyncConnectionPool(dsn, min_size=1, max_size=3, timeout=2, open=False) as pool:
        async with pool.connection() as connection:
            await migrate(connection, [HISTORY])
        yield pool


@pytest.fixture
async def pool(postgres: str) -> AsyncIterator[Pool]:
    async with history_in(postgres) as pool:
        yield pool


@asynccontextmanager
async def loading(world: World, pool: Pool) -> AsyncIterator[HistoryCold]:
    cold = HistoryCold({"bootstrap_servers": world.kafka}, pool)
    await cold.start()
    try:
        yield cold
    finally:
        await cold.stop()


@asynccontextmanager
async def projecting(world: World, pool: Pool) -> AsyncIterator[Projector]:
    projector = Projector(
        client_args={"bootstrap_servers": world.kafka},
        group=fresh_name("projector"),
        instance=fresh_name("projector"),
        pool=pool,
        models=[HISTORY],
        dead=nowhere,
    )
    await projector.start()
    try:
        yield projector
    finally:
        await projector.stop()


@pytest.fixture
async def cold(world: World, pool: Pool) -> AsyncIterator[HistoryCold]:
    async with loading(world, pool) as cold:
        yield cold


@pytest.fixture
async def projector(world: World, pool: Pool) -> AsyncIterator[Projector]:
    async with projecting(world, pool) as projector:
        yield projector


async def test_what_was_let_go_is_loaded_and_answers_as_ever(world: World, cold: HistoryCold, projector: Projector):
    shards = await let_go(world, cold)
    await until_caught_up(projector, 30)
    again = await world.create(shards, "order-1")
    assert (again.repeated, again.version) == (True, 2)
    cancelled = await shards.submit(world.order("task", world.task("order-1"), CANCEL, "cancel"))
    assert (cancelled.repeated, cancelled.version) == (True, 3)
    with pytest.raises(AlreadyExists):
        await world.create(shards, "order-1", name="Dora")


async def test_it_waits_until_the_history_has_passed_what_was_let_go(world: World, cold: HistoryCold, pool: Pool):
    shards = await let_go(world, cold)
    asked = asyncio.create_task(world.create(shards, "order-1"))
    await asyncio.sleep(0.3)
    assert not asked.done(), "the history knows nothing of it yet, which is not to say that it never was"
    async with projecting(world, pool):
        assert (await asked).repeated


async def test_of_another_tenant_it_is_not_there(world: World, cold: HistoryCold, projector: Projector):
    shards = await let_go(world, cold)
    await until_caught_up(projector, 30)
    with pytest.raises(UnknownAggregate):
        await shards.submit(world.order("task", world.task("order-1"), CANCEL, tenant=TenantSlug("other")))
    assert (await world.create(shards, "order-1")).repeated


async def test_with_postgres_stopped_only_cold_commands_fail(world: World, postgres_of_its_own: EmbeddedPostgres):
    async with (
        history_in(postgres_of_its_own.dsn()) as pool,
        loading(world, pool) as cold,
        projecting(world, pool) as projector,
    ):
        shards = await let_go(world, cold)
        await until_caught_up(projector, 30)
        await postgres_of_its_own.stop()
        with pytest.raises(Unavailable) as told:
            await world.create(shards, "order-1")
        assert told.value.code == "aggregate-cold"
        assert (await shards.submit(world.order("task", world.task("still live"), CANCEL, "cancel"))).version == 3
        assert (await world.create(shards, "new")).version == 2
        await postgres_of_its_own.start()
        async with asyncio.timeout(30):
            while True:
                try:
                    assert (await world.create(shards, "order-1")).repeated
                    break
                except Unavailable:
                    await asyncio.sleep(0.2)


async def test_a_command_of_another_kind_is_not_answered_from_records_of_another_topic(lone_world: World, pool: Pool):
    """They would stand at the same offsets there: on a log that begins with them both do."""
    world, watch = lone_world, Watch()
    world.clock = watch
    async with loading(world, pool) as cold, projecting(world, pool) as projector:
        shards = await world.owner(cold)
        await world.settle(shards)
        task = (await world.create(shards, "order-1")).aggregate_id
        await shards.submit(world.order("task", task, CANCEL, "cancel"))
        rider = beside(world, task)
        for number, command in enumerate((RITA, ApproveRider(), SuspendRider(reason_code="late"))):
            await shards.submit(world.order("rider", rider, command, f"k-{number}", role="dispatcher"))
        watch.a_day_later()
        await checkpointed(shards)
        assert task not in held(shards)
        await until_caught_up(projector, 30)
        with pytest.raises(UnknownAggregate):
            await shards.submit(world.order("rider", task, ApproveRider(), "approve", role="dispatcher"))
        again = await shards.submit(world.order("task", task, CANCEL, "cancel"))
        assert (again.repeated, again.version) == (True, 3)
        assert await places(world, FLEET.name, rider) == await places(world, TASK.name, task)


def beside(world: World, task: str) -> str:
    """A rider's id in the same shard."""
    ids_of_riders = (ids.aggregate_id("rider", world.tenant, "shop", f"rider-{number}") for number in range(100))
    return next(rider for rider in ids_of_riders if partition_of(rider, PARTITIONS) == partition_of(task, PARTITIONS))


async def places(world: World, topic: str, aggregate_id: str) -> list[tuple[int, int]]:
    return [(r.partition, r.offset) for r in await records(world.kafka, topic) if r.key == aggregate_id.encode()]


async def test_a_partition_whose_history_is_parked_does_not_tell_what_never_was(cold: HistoryCold, pool: Pool):
    park = "INSERT INTO projection_parked VALUES (%s, %s, %s, 0, %s, 1, 'unreadable')"
    async with pool.connection() as connection:
        await stands_at(connection, 1_000)
        for number in range(PARKED_AT_MOST):
            await connection.execute(park, (HISTORY.name, HISTORY.version, TASK.name, f"parked-{number}"))
    assert await cold.load(TASK.name, 0, "acme", "never", 500) == []
    async with pool.connection() as connection:
        await connection.execute(park, (HISTORY.name, HISTORY.version, TASK.name, "one more"))
    with pytest.raises(Unavailable, match="parked") as told:
        await cold.load(TASK.name, 0, "acme", "never", 500)
    assert told.value.code == "aggregate-cold"


async def test_a_history_of_another_release_does_not_tell_what_never_was(cold: HistoryCold, pool: Pool):
    async with pool.connection() as connection:
        await stands_at(connection, 1_000)
    assert await cold.load(TASK.name, 0, "acme", "never", 500) == []
    async with pool.connection() as connection:
        await migrate(connection, [msgspec.structs.replace(HISTORY, version=HISTORY.version + 1)])
    with pytest.raises(Unavailable, match="another release") as told:
        await cold.load(TASK.name, 0, "acme", "never", 500)
    assert told.value.code == "aggregate-cold"


async def stands_at(connection: AsyncConnection[Any], offset: int) -> None:
    """The history has passed all before this place."""
    place = (HISTORY.name, HISTORY.version, TASK.name, offset)
    await connection.execute("INSERT INTO projection_positions VALUES (%s, %s, %s, 0, %s)", place)
