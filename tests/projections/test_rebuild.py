"""A read model rebuilt beside the live one: equal to it, put in its place without a pause, whatever goes on meanwhile."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fresh import fresh_name
from msgspec.structs import replace
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from world import World

from commands.owners import Shards
from infra import rebuild as command
from infra.settings import Settings, WrongSetting
from projections import rebuild as rebuilding
from projections import task_board
from projections.model import Fact, Key, ReadModel, quoted
from projections.models import MODELS
from projections.projector import Projector, until_caught_up
from projections.rebuild import RebuildRefused, rebuild
from projections.tables import migrate
from projections.task_board import TASK_BOARD
from schemas.record import Stored
from schemas.task import CancelTask, TaskDispatchable

ROOT = Path(__file__).parents[2]
LIVE = TASK_BOARD.physical


@pytest.fixture
async def pool(postgres: str) -> AsyncIterator[AsyncConnectionPool[Any]]:
    async with AsyncConnectionPool(postgres, min_size=1, max_size=6, open=False) as pool:
        async with pool.connection() as connection:
            await migrate(connection, MODELS.values())
        yield pool


@asynccontextmanager
async def projecting(
    world: World, pool: AsyncConnectionPool[Any], models: list[ReadModel] | None = None
) -> AsyncIterator[Projector]:
    async def dead(stored: Stored, reason: str) -> None:
        """The topics are shared: other tests may have written what nobody can read."""

    projector = Projector(
        client_args={"bootstrap_servers": world.kafka},
        group=fresh_name("projector"),
        instance=fresh_name("projector"),
        pool=pool,
        models=models or list(MODELS.values()),
        dead=dead,
    )
    await projector.start()
    try:
        yield projector
    finally:
        await projector.stop()


async def some_tasks(world: World, shards: Shards, count: int = 6) -> list[str]:
    """Settled, the first one cancelled."""
    await world.settle(shards)
    tasks = [(await world.create(shards, f"order-{n}")).aggregate_id for n in range(count)]
    await cancel(world, shards, tasks[0])
    return tasks


async def cancel(world: World, shards: Shards, task: str) -> None:
    await shards.submit(world.order("task", task, CancelTask(reason_code="changed_mind"), "cancel"))


async def rows_of(pool: AsyncConnectionPool[Any], model: ReadModel) -> list[Any]:
    """As queries see them."""
    async with pool.connection() as connection:
        query = f"SELECT {quoted(model.columns())} FROM {model.name} ORDER BY {quoted(model.key)}"
        return await (await connection.execute(query.encode())).fetchall()


async def execute(pool: AsyncConnectionPool[Any], sql: str, *parameters: Any) -> list[Any]:
    async with pool.connection() as connection:
        cursor = await connection.execute(sql.encode(), parameters)
        return await cursor.fetchall() if cursor.description else []


async def leftovers(pool: AsyncConnectionPool[Any]) -> list[Any]:
    return await execute(pool, "SELECT relname FROM pg_class WHERE relname ~ '_(rebuilt|before)$' AND relkind = 'r'")


@pytest.fixture
def args(world: World) -> dict[str, Any]:
    return {"bootstrap_servers": world.kafka}


async def test_every_model_rebuilt_is_the_live_one(
    world: World, pool: AsyncConnectionPool[Any], postgres: str, args: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    """In fetches and comparisons of a few at a time."""
    monkeypatch.setattr(rebuilding, "FETCH_RECORDS", 7)
    monkeypatch.setattr(rebuilding, "COMPARED_ROWS", 2)
    await some_tasks(world, await world.owner())
    async with projecting(world, pool) as projector:
        await until_caught_up(projector, 30)
    for model in MODELS.values():
        before = await rows_of(pool, model)
        rebuilt = await rebuild(postgres, args, model)
        assert (rebuilt.differing, rebuilt.examples, rebuilt.rows) == (0, [], len(before)), model.name
        assert await rows_of(pool, model) == before
    assert len(await rows_of(pool, TASK_BOARD)) >= 6
    assert await leftovers(pool) == []


async def test_rows_that_were_spoiled_are_told_and_mended(
    world: World, pool: AsyncConnectionPool[Any], postgres: str, args: dict[str, Any]
):
    tasks = await some_tasks(world, await world.owner())
    async with projecting(world, pool) as projector:
        await until_caught_up(projector, 30)
    before = await rows_of(pool, TASK_BOARD)
    await execute(pool, f"UPDATE {LIVE} SET state = 'failed' WHERE task_id = %s", tasks[1])
    await execute(pool, f"DELETE FROM {LIVE} WHERE task_id = %s", tasks[2])
    await execute(
        pool,
        f'INSERT INTO {LIVE} SELECT (jsonb_populate_record(t, \'{{"task_id": "made-up"}}\')).* '
        f"FROM {LIVE} AS t WHERE task_id = %s",
        tasks[3],
    )
    rebuilt = await rebuild(postgres, args, TASK_BOARD)
    assert rebuilt.differing == 3
    assert sorted(rebuilt.examples) == sorted(
        [
            f"task_board {world.tenant}, {tasks[1]}: was otherwise in the live one",
            f"task_board {world.tenant}, {tasks[2]}: was not in the live one",
            f"task_board {world.tenant}, made-up: was only in the live one",
        ]
    )
    assert await rows_of(pool, TASK_BOARD) == before


async def test_examples_are_few_and_all_is_counted(
    world: World, pool: AsyncConnectionPool[Any], postgres: str, args: dict[str, Any]
):
    tasks = await some_tasks(world, await world.owner(), count=rebuilding.MOST_EXAMPLES + 3)
    async with projecting(world, pool) as projector:
        await until_caught_up(projector, 30)
    await execute(pool, f"UPDATE {LIVE} SET late = true WHERE tenant = %s", world.tenant)
    rebuilt = await rebuild(postgres, args, TASK_BOARD)
    assert (rebuilt.differing, len(rebuilt.examples)) == (len(tasks), rebuilding.MOST_EXAMPLES)


async def test_it_is_rebuilt_while_facts_arrive_and_the_projector_goes_on(
    world: World, pool: AsyncConnectionPool[Any], postgres: str, args: dict[str, Any]
):
    shards = await world.owner()
    await world.settle(shards)
    done = asyncio.Event()

    async def ordering() -> list[str]:
        tasks = []
        while not done.is_set():
            tasks.append((await world.create(shards, f"order-{len(tasks)}")).aggregate_id)
            if len(tasks) % 2:
                await cancel(world, shards, tasks[-1])
        return tasks

    async def asking() -> int:
        asked = 0
        while not done.is_set():
            async with pool.connection() as connection:
                await task_board.page(connection, world.tenant, {"limit": 100})
            asked += 1
        return asked

    async with projecting(world, pool) as projector:
        facts, queries = asyncio.create_task(ordering()), asyncio.create_task(asking())
        for model in [*MODELS.values(), TASK_BOARD, MODELS["history"], TASK_BOARD]:
            assert (await rebuild(postgres, args, model)).differing == 0, model.name
        done.set()
        tasks = await facts
        assert await queries > 10
        await until_caught_up(projector, 30)
    versions = dict(await execute(pool, "SELECT task_id, version FROM task_board WHERE tenant = %s", world.tenant))
    assert versions == {task: 2 + (number % 2 == 0) for number, task in enumerate(tasks)}
    for model in MODELS.values():
        assert (await rebuild(postgres, args, model)).differing == 0, model.name


async def test_what_a_mended_fold_can_take_is_not_parked_any_more(
    world: World, pool: AsyncConnectionPool[Any], postgres: str, args: dict[str, Any]
):
    """And the projector that runs on goes on with it."""
    broken, task = True, world.task("order-1")

    def apply(row: Any, fact: Fact, key: Key) -> Any:
        if broken and fact.source.aggregate_id == task and isinstance(fact.event, TaskDispatchable):
            raise ValueError("a fold with a fault")
        return task_board.apply(row, fact, key)

    async def state() -> str:
        [(state,)] = await execute(pool, "SELECT state FROM task_board WHERE task_id = %s", task)
        return state

    model = replace(TASK_BOARD, apply=apply)
    shards = await world.owner()
    await some_tasks(world, shards)
    async with projecting(world, pool, [model]) as projector:
        await until_caught_up(projector, 30)
        parked = "SELECT aggregate_id FROM projection_parked WHERE model = 'task_board'"
        assert (await execute(pool, parked), await state()) == ([(task,)], "created")
        still = await rebuild(postgres, args, model)
        assert (still.parked, await execute(pool, parked)) == (1, [(task,)])
        broken = False
        mended = await rebuild(postgres, args, model)
        assert (mended.parked, mended.differing, await execute(pool, parked)) == (0, 1, [])
        assert await state() == "dispatchable"
        await cancel(world, shards, task)
        await until_caught_up(projector, 30)
        assert await state() == "cancelled"


async def test_a_second_rebuild_of_the_same_model_is_refused(
    pool: AsyncConnectionPool[Any], postgres: str, args: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(rebuilding, "DEAD_WITHIN_S", 0.3)
    async with await AsyncConnection.connect(postgres, autocommit=True) as first:
        await rebuilding.hold(first, TASK_BOARD)
        with pytest.raises(RebuildRefused, match="task_board is being rebuilt by another process"):
            await rebuild(postgres, args, TASK_BOARD)
        assert (await rebuild(postgres, args, MODELS["outlets"])).model == "outlets"
    assert (await rebuild(postgres, args, TASK_BOARD)).model == "task_board"


KILLED = """
import asyncio, sys
from projections import rebuild as rebuilding
from projections.task_board import TASK_BOARD

async def hang(live, own, filling):
    print("filled", flush=True)
    await asyncio.sleep(60)

rebuilding.compared = hang
asyncio.run(rebuilding.rebuild(sys.argv[1], {"bootstrap_servers": sys.argv[2]}, TASK_BOARD))
"""


async def test_a_killed_rebuild_leaves_nothing_in_the_way_of_the_next(
    world: World, pool: AsyncConnectionPool[Any], postgres: str, args: dict[str, Any]
):
    await some_tasks(world, await world.owner())
    async with projecting(world, pool) as projector:
        await until_caught_up(projector, 30)
    before = await rows_of(pool, TASK_BOARD)
    command = [sys.executable, "-c", KILLED, postgres, world.kafka]
    victim = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=subprocess.PIPE)
    assert victim.stdout is not None
    assert await victim.stdout.readline() == b"filled\n"
    victim.kill()
    await victim.wait()
    assert await leftovers(pool) == [(f"{LIVE}_rebuilt",)]
    assert (await rebuild(postgres, args, TASK_BOARD)).differing == 0
    assert await rows_of(pool, TASK_BOARD) == before
    assert await leftovers(pool) == []


async def test_where_a_reader_never_lets_go_the_live_one_stays(
    world: World, pool: AsyncConnectionPool[Any], postgres: str, args: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(rebuilding, "SWAP_TRIES", 2)
    monkeypatch.setattr(rebuilding, "LOCK_WAIT_MS", 100)
    shards = await world.owner()
    [_, task, *_] = await some_tasks(world, shards)
    async with projecting(world, pool) as projector:
        await until_caught_up(projector, 30)
        async with await AsyncConnection.connect(postgres) as reader:
            await reader.execute("SELECT count(*) FROM task_board")
            with pytest.raises(RebuildRefused, match="it stays as it was"):
                await rebuild(postgres, args, TASK_BOARD)
            await cancel(world, shards, task)
            await until_caught_up(projector, 30)
            assert await leftovers(pool) == []
        states = dict(await execute(pool, "SELECT task_id, state FROM task_board WHERE tenant = %s", world.tenant))
        assert states[task] == "cancelled"
        assert (await rebuild(postgres, args, TASK_BOARD)).differing == 0


async def test_projectors_are_not_held_off_for_a_long_way(
    world: World, pool: AsyncConnectionPool[Any], postgres: str, args: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(rebuilding, "SWAP_TRIES", 2)
    monkeypatch.setattr(rebuilding, "HELD_OFF_RECORDS", -1)
    with pytest.raises(RebuildRefused, match="or it went on too fast"):
        await rebuild(postgres, args, TASK_BOARD)


async def test_a_log_that_ends_before_the_live_one_is_told(
    world: World, pool: AsyncConnectionPool[Any], postgres: str, args: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(rebuilding, "STALLED_AFTER_S", 0.5)
    await some_tasks(world, await world.owner())
    async with projecting(world, pool) as projector:
        await until_caught_up(projector, 30)
    await execute(pool, "UPDATE projection_positions SET next_offset = next_offset + 10 WHERE model = 'task_board'")
    with pytest.raises(RebuildRefused, match="task_board: the log did not come"):
        await rebuild(postgres, args, TASK_BOARD)
    assert await leftovers(pool) == []


# An older release


async def shown_table(pool: AsyncConnectionPool[Any]) -> str:
    [(definition,)] = await execute(pool, "SELECT pg_get_viewdef('task_board'::regclass)")
    return str(definition).rpartition("FROM ")[2].rstrip(";")


NEWER = replace(
    TASK_BOARD,
    version=TASK_BOARD.version + 1,
    table=TASK_BOARD.table.replace("    outlet ", "    of_the_next_release text,\n    outlet ", 1),
)
"""With a column that stands among the others."""


async def test_an_older_release_does_not_take_the_view_from_a_newer_one(
    pool: AsyncConnectionPool[Any], postgres: str, args: dict[str, Any]
):
    async with pool.connection() as connection:
        await migrate(connection, [NEWER])
    with pytest.raises(
        RebuildRefused,
        match=f"task_board is shown in version {NEWER.version}, and this release knows version {TASK_BOARD.version}",
    ):
        await rebuild(postgres, args, TASK_BOARD)
    assert await shown_table(pool) == NEWER.physical
    assert (await rebuild(postgres, args, NEWER)).differing == 0


async def test_a_newer_release_that_comes_while_an_older_one_rebuilds_keeps_the_view(
    pool: AsyncConnectionPool[Any], postgres: str, args: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    comparing = rebuilding.compared

    async def compared(live: Any, own: Any, filling: Any) -> Any:
        async with pool.connection() as connection:
            await migrate(connection, [NEWER])
        return await comparing(live, own, filling)

    monkeypatch.setattr(rebuilding, "compared", compared)
    with pytest.raises(RebuildRefused, match=f"is shown in version {NEWER.version}"):
        await rebuild(postgres, args, TASK_BOARD)
    assert await shown_table(pool) == NEWER.physical
    assert await leftovers(pool) == []


# The command


@pytest.fixture
def settings(world: World, postgres: str) -> Settings:
    return Settings(kafka=world.kafka, postgres=postgres, osrm="http://127.0.0.1:1", partitions=2)  # type: ignore[arg-type]


async def test_the_command_tells_what_it_did(
    world: World, settings: Settings, capsys: pytest.CaptureFixture[str], pool: AsyncConnectionPool[Any]
):
    await some_tasks(world, await world.owner())
    async with projecting(world, pool) as projector:
        await until_caught_up(projector, 30)
    await execute(pool, f"UPDATE {LIVE} SET late = true WHERE tenant = %s", world.tenant)
    assert await command.run(settings, command.wanted(None, True), as_json=False) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in MODELS)
    assert "was otherwise in the live one" in told
    assert "and 1 more" in told


@pytest.mark.parametrize(
    ("name", "every", "said"),
    [
        (None, False, "name one model, or --all"),
        ("task_board", True, "name one model, or --all"),
        ("tasks", False, "there is no read model tasks; the models are history, task_board"),
        ("live_map", False, "live_map is kept by the telemetry stream itself"),
        ("quarantine", False, "cannot be rebuilt here"),
    ],
)
def test_the_command_says_what_can_be_rebuilt(name: str | None, every: bool, said: str):
    with pytest.raises(WrongSetting, match=said):
        command.wanted(name, every)


def test_a_model_is_named_as_in_its_path_too():
    assert command.wanted("task-board", False) == [TASK_BOARD]


async def test_a_log_that_cannot_be_reached_is_told(
    settings: Settings, pool: AsyncConnectionPool[Any], capsys: pytest.CaptureFixture[str]
):
    nowhere = settings.model_copy(update={"kafka": "127.0.0.1:1"})
    assert await command.run(nowhere, [TASK_BOARD], as_json=True) == 1
    told = capsys.readouterr()
    assert (told.out.strip(), "was lost; what was not done stands as before" in told.err) == ("[]", True)


def test_wrong_use_ends_with_two():
    done = subprocess.run([sys.executable, "-m", "infra.cli", "rebuild", "quarantine"], cwd=ROOT, capture_output=True)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"the telemetry stream itself" in done.stderr
