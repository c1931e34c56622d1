"""The tables that read models stand in. Each has a version; a view of the model's name shows the live one."""

from collections.abc import Iterable
from contextlib import suppress

from psycopg import AsyncConnection
from psycopg.errors import LockNotAvailable

from projections import live_map, quarantine, uplinks
from projections.folding import PARKED_AT_MOST
from projections.model import ReadModel

OURS = (
    """
    CREATE TABLE IF NOT EXISTS projection_positions (
        model       text   NOT NULL,
        version     bigint NOT NULL,
        topic       text   NOT NULL,
        partition   bigint NOT NULL,
        next_offset bigint NOT NULL,
        PRIMARY KEY (model, version, topic, partition)
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS projection_parked (
        model        text   NOT NULL,
        version      bigint NOT NULL,
        topic        text   NOT NULL,
        partition    bigint NOT NULL,
        aggregate_id text   NOT NULL,
        "offset"     bigint NOT NULL,
        reason       text   NOT NULL,
        PRIMARY KEY (model, version, aggregate_id)
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS read_models (
        model   text PRIMARY KEY,
        version bigint NOT NULL
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS projection_rebuilds (
        model    text   NOT NULL,
        version  bigint NOT NULL,
        rebuilds bigint NOT NULL,
        PRIMARY KEY (model, version)
    )
    """,
)
STREAM_PLACES = """
CREATE TABLE IF NOT EXISTS stream_places (
    topic        text   NOT NULL,
    "partition"  bigint NOT NULL,
    next_offset  bigint NOT NULL,
    next_signal  bigint NOT NULL,
    folded_from  bigint,
    tenure       bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (topic, "partition")
) WITH (fillfactor = 50);
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'stream_places'::regclass AND attname = 'tenure') THEN
        ALTER TABLE stream_places ADD COLUMN folded_from bigint, ADD COLUMN tenure bigint NOT NULL DEFAULT 0;
    END IF;
END $$
"""
"""What is before `next_offset` is folded. Who begins anew folds from `folded_from` on (null: from the place), since
what is remembered of some riders is as old; the signals of what comes after that stand from `next_signal` on.
`tenure` counts those who have begun: only the last of them moves the place. The second statement is for an older
table."""

STREAMS_OWN = (STREAM_PLACES, live_map.TABLE, quarantine.TABLE)
"""Tables that a stream keeps itself, in one transaction with its place."""
GATEWAYS_OWN = (uplinks.TABLE,)
"""What the gateways tell one another; nothing of it is on the log."""

DROP_WAIT_MS = 200
MIGRATION_LOCK = 4_103_001
FOLD_LOCK = 4_103_002
"""Shared by each projector's transaction; whoever puts another table in a live one's place takes it alone."""


async def migrate(connection: AsyncConnection, models: Iterable[ReadModel]) -> list[str]:
    """Make what is missing; the names of the tables that were made. Safe beside others that do the same."""
    made = []
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
        for statement in (*OURS, *STREAMS_OWN, *GATEWAYS_OWN):
            await connection.execute(statement.encode())
        for model in models:
            if await make_table(connection, model, model.physical):
                made.append(model.physical)
            if await is_live(connection, model):
                await show(connection, model, model.physical)
                for version in await retired(connection, model):
                    await forget(connection, model, version)
    return made


async def is_live(connection: AsyncConnection, model: ReadModel) -> bool:
    """Whether queries see this version: the newest, its rows and its places together. An older release leaves it so."""
    cursor = await connection.execute(
        "INSERT INTO read_models AS known VALUES (%s, %s) "
        "ON CONFLICT (model) DO UPDATE SET version = greatest(known.version, excluded.version) RETURNING version",
        (model.name, model.version),
    )
    return await cursor.fetchone() == (model.version,)


async def live_version(connection: AsyncConnection, model: ReadModel) -> int | None:
    """None where no release has made it yet."""
    cursor = await connection.execute("SELECT version FROM read_models WHERE model = %s", (model.name,))
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def retired(connection: AsyncConnection, model: ReadModel) -> list[int]:
    """Versions whose table nobody needs. The one before the live one stays: while a release is rolled out its
    projectors still fold into it, and all their models with it."""
    cursor = await connection.execute(
        "SELECT substring(relname FROM '[0-9]+$')::bigint FROM pg_class "
        "WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND relname ~ %s",
        (f"^{model.name}_v[0-9]+$",),
    )
    older = sorted(version for (version,) in await cursor.fetchall() if version < model.version)
    return older[:-1]


async def forget(connection: AsyncConnection, model: ReadModel, version: int) -> None:
    """Its table, and where it stood: were it made again it would have to be folded from the beginning. Where somebody
    reads it, such as a backup, the next migration does it: no start waits for that."""
    with suppress(LockNotAvailable):
        async with connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = {DROP_WAIT_MS}".encode())
            await connection.execute(f"DROP TABLE {model.name}_v{version}".encode())
            await connection.execute("SET LOCAL lock_timeout = DEFAULT")
            for table in ("projection_positions", "projection_parked", "projection_rebuilds"):
                await connection.execute(
                    f"DELETE FROM {table} WHERE model = %s AND version = %s".encode(), (model.name, version)
                )


async def make_table(connection: AsyncConnection, model: ReadModel, table: str) -> bool:
    cursor = await connection.execute("SELECT to_regclass(%s)", (table,))
    row = await cursor.fetchone()
    if row is not None and row[0] is not None:
        return False
    for statement in model.table.format(table=table).split(";"):
        if statement.strip():
            await connection.execute(statement.encode())
    return True


async def show(connection: AsyncConnection, model: ReadModel, table: str) -> None:
    """Have the view of the model's name show this table. Made anew: one that is replaced keeps its columns."""
    await connection.execute(f"DROP VIEW IF EXISTS {model.name}".encode())
    await connection.execute(f"CREATE VIEW {model.name} AS SELECT * FROM {table}".encode())


async def positions(connection: AsyncConnection, model: ReadModel) -> dict[tuple[str, int], int]:
    """Up to where the model has folded each partition."""
    cursor = await connection.execute(
        "SELECT topic, partition, next_offset FROM projection_positions WHERE model = %s AND version = %s",
        (model.name, model.version),
    )
    return {(topic, partition): at for topic, partition, at in await cursor.fetchall()}


async def folded_to(connection: AsyncConnection, model: ReadModel, topic: str, partition: int) -> int:
    """The offset after the last record that the model has taken; 0 where it has taken none."""
    cursor = await connection.execute(
        "SELECT next_offset FROM projection_positions "
        "WHERE model = %s AND version = %s AND topic = %s AND partition = %s",
        (model.name, model.version, topic, partition),
    )
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])


async def is_parked(
    connection: AsyncConnection, model: ReadModel, topic: str, partition: int, aggregate_id: str
) -> bool:
    """Whether a record of the aggregate could not be folded, and so none after it; or its whole partition is parked."""
    cursor = await connection.execute(
        "SELECT coalesce(bool_or(aggregate_id = %s), false) OR count(*) > %s FROM projection_parked "
        "WHERE model = %s AND version = %s AND topic = %s AND partition = %s",
        (aggregate_id, PARKED_AT_MOST, model.name, model.version, topic, partition),
    )
    row = await cursor.fetchone()
    return row is not None and bool(row[0])


async def rebuilds(connection: AsyncConnection) -> dict[tuple[str, int], int]:
    """How often each model and version was put in its place anew; never where it is missing."""
    cursor = await connection.execute("SELECT model, version, rebuilds FROM projection_rebuilds")
    return {(model, version): count for model, version, count in await cursor.fetchall()}
