"""What its owner has let go is found by the history's places and read from the log; without Postgres only that fails."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fresh import fresh_name
from letting_go import CANCEL, let_go
from psycopg_pool import AsyncConnectionPool
from world import World

from commands.order import AlreadyExists, Unavailable
from infra.embedded.postgres import EmbeddedPostgres
from infra.history_cold import HistoryCold
from projections.history import HISTORY
from projections.projector import Projector, until_caught_up
from projections.tables import migrate
from schemas.message import TenantSlug, UnknownAggregate
from schemas.record import Stored

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


@pytest.fixture
async def pool(postgres_of_its_own: EmbeddedPostgres) -> AsyncIterator[Pool]:
    async with AsyncConnectionPool(postgres_of_its_own.dsn(), min_size=1, max_size=3, timeout=2, open=False) as pool:
        async with pool.connection() as connection:
            await migrate(connection, [HISTORY])
        yield pool


@pytest.fixture
async def cold(world: World, pool: Pool) -> AsyncIterator[HistoryCold]:
    cold = HistoryCold({"bootstrap_servers": world.kafka}, pool)
    await cold.start()
    yield cold
    await cold.stop()


@pytest.fixture
async def projector(world: World, pool: Pool) -> AsyncIterator[Projector]:
    projector = Projector(
        client_args={"bootstrap_servers": world.kafka},
        group=fresh_name("projector"),
        instance=fresh_name("projector"),
        pool=pool,
        models=[HISTORY],
        dead=nowhere,
    )
    await projector.start()
    yield projector
    await projector.stop()


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
    late = Projector(
        client_args={"bootstrap_servers": world.kafka},
        group=fresh_name("projector"),
        instance="late",
        pool=pool,
        models=[HISTORY],
        dead=nowhere,
    )
    await late.start()
    try:
        assert (await asked).repeated
    finally:
        await late.stop()


async def test_of_another_tenant_it_is_not_there(world: World, cold: HistoryCold, projector: Projector):
    shards = await let_go(world, cold)
    await until_caught_up(projector, 30)
    with pytest.raises(UnknownAggregate):
        await shards.submit(world.order("task", world.task("order-1"), CANCEL, tenant=TenantSlug("other")))
    assert (await world.create(shards, "order-1")).repeated


async def test_with_postgres_stopped_only_cold_commands_fail(
    world: World, cold: HistoryCold, projector: Projector, postgres_of_its_own: EmbeddedPostgres
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
