"""The projector on a real log and a real database."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from fresh import fresh_name
from msgspec.structs import replace
from psycopg import AsyncConnection, OperationalError
from psycopg_pool import AsyncConnectionPool
from world import World

from gateway.positions import position_of
from projections import history, task_board
from projections.model import ReadModel
from projections.models import MODELS
from projections.projector import Projector, until_caught_up
from projections.tables import migrate
from schemas.position import Vector, merged
from schemas.record import Stored
from schemas.task import CancelTask
from schemas.topics import TASK

VERSION = task_board.TASK_BOARD.version


@pytest.fixture
async def pool(postgres: str) -> AsyncIterator[AsyncConnectionPool[Any]]:
    async with AsyncConnectionPool(postgres, min_size=1, max_size=6, open=False) as pool:
        async with pool.connection() as connection:
            await migrate(connection, MODELS.values())
        yield pool


class Buried:
    def __init__(self) -> None:
        self.dead: list[tuple[Stored, str]] = []

    async def __call__(self, stored: Stored, reason: str) -> None:
        self.dead.append((stored, reason))


@asynccontextmanager
async def projecting(
    world: World,
    pool: AsyncConnectionPool[Any],
    dead: Buried | None = None,
    group: str = "",
    models: Sequence[ReadModel] = tuple(MODELS.values()),
) -> AsyncIterator[Projector]:
    projector = Projector(
        client_args={"bootstrap_servers": world.kafka},
        group=group or fresh_name(f"projector-{world.cluster}"),
        instance=fresh_name("projector"),
        pool=pool,
        models=list(models),
        dead=dead or Buried(),
    )
    await projector.start()
    try:
        yield projector
    finally:
        await projector.stop()


async def board(pool: AsyncConnectionPool[Any], tenant: str) -> list[dict[str, Any]]:
    async with pool.connection() as connection:
        return await task_board.page(connection, tenant, {"limit": 100})


async def test_every_acknowledged_task_stands_on_the_board(world: World, pool: AsyncConnectionPool[Any]):
    shards = await world.owner()
    await world.settle(shards)
    tasks = [(await world.create(shards, f"order-{n}")).aggregate_id for n in range(10)]
    await shards.submit(world.order("task", tasks[0], CancelTask(reason_code="changed_mind"), "cancel"))
    async with projecting(world, pool) as projector:
        await until_caught_up(projector, 30)
        rows = await board(pool, world.tenant)
        assert {row["task_id"] for row in rows} == set(tasks)
        assert {row["task_id"]: row["state"] for row in rows}[tasks[0]] == "cancelled"
        late = (await world.create(shards, "order-late")).aggregate_id
        await until_caught_up(projector, 30)
        assert late in {row["task_id"] for row in await board(pool, world.tenant)}


async def test_history_and_feed_tell_every_event_in_its_order(world: World, pool: AsyncConnectionPool[Any]):
    shards = await world.owner()
    await world.settle(shards)
    answers = [await world.create(shards, f"order-{n}") for n in range(5)]
    async with projecting(world, pool) as projector:
        await until_caught_up(projector, 30)
    async with pool.connection() as connection:
        events = await history.of_one(connection, world.tenant, answers[0].aggregate_id)
        assert [(e["version"], e["type"]) for e in events] == [(1, "TaskCreated"), (2, "TaskDispatchable")]
        assert "Cleo" not in repr(events)
        vector: Vector = merged([dict.fromkeys([(TASK.name, 0), (TASK.name, 1)], 0)])
        seen = []
        while True:
            rows, vector = await history.feed(connection, world.tenant, vector, 3)
            if not rows:
                break
            seen += [(row["aggregate_id"], row["version"]) for row in rows]
    assert sorted(seen) == sorted((a.aggregate_id, v) for a in answers for v in (1, 2))
    for answer in answers:
        assert [v for aggregate, v in seen if aggregate == answer.aggregate_id] == [1, 2]


async def test_one_that_stands_still_within_its_transaction_keeps_the_next_one_waiting_for_a_while_only(
    world: World, pool: AsyncConnectionPool[Any], monkeypatch: pytest.MonkeyPatch
):
    shards = await world.owner()
    await world.settle(shards)
    task = (await world.create(shards, "order-1")).aggregate_id
    monkeypatch.setattr("projections.projector.LET_GO", "SET LOCAL idle_in_transaction_session_timeout = '500ms'")
    move, frozen, woken = Projector._move, asyncio.Event(), asyncio.Event()

    async def moving(self: Projector, *given: Any) -> None:
        if not frozen.is_set():
            frozen.set()
            await woken.wait()
        await move(self, *given)

    monkeypatch.setattr(Projector, "_move", moving)
    async with projecting(world, pool) as first:
        async with asyncio.timeout(30):
            await frozen.wait()
        async with projecting(world, pool) as second:
            await until_caught_up(second, 30)
            assert [row["task_id"] for row in await board(pool, world.tenant)] == [task]
        woken.set()
        await until_caught_up(first, 30)
    assert [row["task_id"] for row in await board(pool, world.tenant)] == [task]


async def test_what_cannot_be_read_is_buried_and_the_rest_goes_on(lone_world: World, pool: AsyncConnectionPool[Any]):
    world = lone_world
    shards = await world.owner()
    await world.settle(shards)
    first = (await world.create(shards, "order-1")).aggregate_id
    producer = AIOKafkaProducer(bootstrap_servers=world.kafka)
    await producer.start()
    headers = [("ce_type", b"logistics.task.TaskCreated")]
    garbage = await producer.send_and_wait(TASK.name, b"garbage", key=b"x", partition=0, headers=headers)
    await producer.stop()
    successor = await world.owner()
    second = (await world.create(successor, "order-2")).aggregate_id
    buried = Buried()
    async with projecting(world, pool, buried) as projector:
        await until_caught_up(projector, 30)
    assert {row["task_id"] for row in await board(pool, world.tenant)} == {first, second}
    dead = {stored.offset for stored, _ in buried.dead if stored.partition == 0}
    assert dead == {garbage.offset}, "once, or once more where its partition was read again"


async def test_two_projectors_at_once_fold_nothing_twice(world: World, pool: AsyncConnectionPool[Any]):
    shards = await world.owner()
    await world.settle(shards)
    async with (
        projecting(world, pool, group=fresh_name("a")) as one,
        projecting(world, pool, group=fresh_name("b")) as two,
    ):
        tasks = await asyncio.gather(*(world.create(shards, f"order-{n}") for n in range(40)))
        for answer in tasks[:20]:
            await shards.submit(world.order("task", answer.aggregate_id, CancelTask(reason_code="no"), "cancel"))
        await asyncio.sleep(0.5)
        await asyncio.gather(until_caught_up(one, 30), until_caught_up(two, 30))
    rows = await board(pool, world.tenant)
    assert sorted(row["version"] for row in rows) == [2] * 20 + [3] * 20


async def test_queries_see_the_rows_and_the_places_of_the_newest_version(world: World, pool: AsyncConnectionPool[Any]):
    """And an older release that starts beside it changes nothing."""
    shards = await world.owner()
    await world.settle(shards)
    await world.create(shards, "order-1")
    newer = replace(task_board.TASK_BOARD, version=VERSION + 1)
    async with projecting(world, pool) as projector:
        await until_caught_up(projector, 30)
    async with pool.connection() as connection:
        old = await position_of(connection, newer)
        assert old
        assert await migrate(connection, [newer]) == [f"task_board_v{VERSION + 1}"]
        assert await migrate(connection, [task_board.TASK_BOARD]) == []
        assert await position_of(connection, newer) == {}
        assert await task_board.page(connection, world.tenant, {"limit": 100}) == []
    async with projecting(world, pool, models=[newer]) as projector:
        await until_caught_up(projector, 30)
    assert len(await board(pool, world.tenant)) == 1
    async with pool.connection() as connection:
        assert await position_of(connection, newer) == old


async def test_of_older_versions_only_the_last_is_kept(world: World, pool: AsyncConnectionPool[Any]):
    """Its projectors may still run while a release is rolled out; whatever is older is gone, and its places."""
    third, fourth = (replace(task_board.TASK_BOARD, version=VERSION + ahead) for ahead in (2, 3))
    first, then, last = (f"task_board_v{VERSION + ahead}" for ahead in (0, 2, 3))
    await world.settle(await world.owner())
    async with projecting(world, pool) as projector:
        await until_caught_up(projector, 30)
    async with pool.connection() as connection:

        async def kept() -> tuple[list[Any], list[Any]]:
            tables = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '^task_board_v' ORDER BY relname"
            places = "SELECT DISTINCT version FROM projection_positions WHERE model = 'task_board'"
            found = [await (await connection.execute(query)).fetchall() for query in (tables, places)]
            return [name for (name,) in found[0]], [version for (version,) in found[1]]

        await migrate(connection, [third])
        assert await kept() == ([first, then], [VERSION])
        async with await AsyncConnection.connect(pool.conninfo) as backup:
            await backup.execute(f"SELECT count(*) FROM {first}")
            await migrate(connection, [fourth])
            assert await kept() == ([first, then, last], [VERSION]), "somebody reads it"
        await migrate(connection, [fourth])
        assert await kept() == ([then, last], [])
        await migrate(connection, [third])
        assert await kept() == ([then, last], []), "an older release drops nothing"
        assert await task_board.page(connection, world.tenant, {"limit": 1}) == []


async def test_while_its_places_cannot_be_read_it_folds_nothing_and_passes_over_nothing(
    world: World, pool: AsyncConnectionPool[Any], monkeypatch: pytest.MonkeyPatch
):
    """A database that dies in the middle of a fold, and is not yet back when the projector looks for its places."""
    shards = await world.owner()
    await world.settle(shards)
    async with projecting(world, pool) as projector:
        await until_caught_up(projector, 30)
        commit, seek, lost = projector._commit, projector._seek_to_stored, ["commit", "places", "places"]

        async def dying(*given: Any) -> None:
            if lost[:1] == ["commit"]:
                lost.pop(0)
                raise OperationalError("terminating connection due to unexpected postmaster exit")
            await commit(*given)

        async def not_back(*given: Any) -> None:
            if lost[:1] == ["places"]:
                lost.pop(0)
                raise OperationalError("the connection is closed")
            await seek(*given)

        monkeypatch.setattr(projector, "_commit", dying)
        monkeypatch.setattr(projector, "_seek_to_stored", not_back)
        tasks = [(await world.create(shards, f"order-{n}")).aggregate_id for n in range(10)]
        await until_caught_up(projector, 30)
    assert lost == []
    assert {row["task_id"] for row in await board(pool, world.tenant)} == set(tasks)


async def test_a_projector_that_follows_other_topics_than_before_comes_up_at_once(
    world: World, pool: AsyncConnectionPool[Any]
):
    shards = await world.owner()
    await world.settle(shards)
    task = (await world.create(shards, "order-1")).aggregate_id
    group = fresh_name("projector")
    fewer = [MODELS["task_board"]]
    for models in (tuple(MODELS.values()), fewer):
        projector = Projector(
            client_args={"bootstrap_servers": world.kafka},
            group=group,
            instance="projector-1",
            pool=pool,
            models=list(models),
            dead=Buried(),
        )
        await projector.start()
        await until_caught_up(projector, 30)
        await projector.stop()
    assert task in {row["task_id"] for row in await board(pool, world.tenant)}
