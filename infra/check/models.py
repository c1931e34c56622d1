"""I5: the read models folded anew from the log, beside the rows that stand in Postgres, both ways.

Each model is taken as one snapshot shows it, rows and place, while the projector goes on; its fold stands in a
temporary table, so that Postgres compares the two and memory holds one batch.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from psycopg import AsyncConnection, IsolationLevel
from psycopg.rows import dict_row

from infra.check.finding import KEPT_AT_MOST, Judgement, Verdict
from infra.check.reading import Place, ends_of, whole_log
from projections.folding import Parked
from projections.model import Fact, ReadModel, fact_of, quoted
from projections.models import MODELS
from projections.rows import fold_into
from projections.tables import positions
from schemas import catalog
from schemas.record import Stored, Unreadable

TOGETHER = 1_000
"""Facts folded with one statement."""
SHOWN_CHARACTERS = 200
"""Of a value that differs."""
DIFFERENCES = """
SELECT count(*) OVER () AS broken, to_jsonb(live) AS live, to_jsonb(rebuilt) AS rebuilt
FROM {live} AS live FULL JOIN {rebuilt} AS rebuilt USING ({key})
WHERE ROW({live_columns}) IS DISTINCT FROM ROW({rebuilt_columns})
LIMIT {limit}
"""


async def check_models(
    dsn: str, client_args: Mapping[str, Any], partitions: int, models: Iterable[ReadModel] = tuple(MODELS.values())
) -> Verdict:
    judgement = Judgement("I5")
    async with await AsyncConnection.connect(dsn) as connection:
        await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
        for model in models:
            async with connection.transaction(force_rollback=True):
                await check_model(connection, client_args, partitions, model, judgement)
    return judgement.verdict()


async def check_model(
    connection: AsyncConnection[Any],
    client_args: Mapping[str, Any],
    partitions: int,
    model: ReadModel,
    judgement: Judgement,
) -> None:
    """In a transaction that has not read yet: once the table is held, so that no other takes its name, comes the
    snapshot."""
    await connection.execute(f"LOCK TABLE {model.physical} IN ACCESS SHARE MODE".encode())
    at = await positions(connection, model)
    ends = await ends_of(client_args, sorted(model.topics), partitions)
    for place, offset in at.items():
        if offset > ends.get(place, 0):
            what = f"has folded up to {offset}, and the log ends at {ends.get(place, 0)}"
            judgement.found(f"{model.name} at {place[0]}/{place[1]}", what)
    rebuilt = f"pg_temp.check_{model.name}"
    for statement in model.table.format(table=rebuilt).replace("CREATE TABLE", "CREATE TEMPORARY TABLE").split(";"):
        if statement.strip():
            await connection.execute(statement.encode())
    within = {place: min(offset, ends.get(place, 0)) for place, offset in at.items()}
    await rebuild(connection, client_args, model, rebuilt, within)
    await compare(connection, model, rebuilt, judgement)


async def rebuild(
    connection: AsyncConnection[Any],
    client_args: Mapping[str, Any],
    model: ReadModel,
    table: str,
    ends: Mapping[Place, int],
) -> None:
    names = frozenset(catalog.BY_CLASS[event].name for event in model.events)
    parked = Parked()
    facts: list[Fact] = []
    async with connection.cursor() as cursor:
        async for stored in whole_log(client_args, ends):
            if not stored.is_control and stored.header("ce_type") in names:
                facts += readable(stored)
            if len(facts) >= TOGETHER:
                await fold_into(cursor, model, table, facts, parked)
                facts = []
        await fold_into(cursor, model, table, facts, parked)


def readable(stored: Stored) -> Sequence[Fact]:
    """None where it cannot be read: the projector passes that over too."""
    try:
        return [fact_of(stored)]
    except Unreadable:
        return []


async def compare(connection: AsyncConnection[Any], model: ReadModel, rebuilt: str, judgement: Judgement) -> None:
    live = model.physical
    columns = [f'"{name}"' for name in model.columns()]
    query = DIFFERENCES.format(
        live=live,
        rebuilt=rebuilt,
        key=quoted(model.key),
        live_columns=", ".join(f"live.{column}" for column in columns),
        rebuilt_columns=", ".join(f"rebuilt.{column}" for column in columns),
        limit=KEPT_AT_MOST,
    )
    cursor = await connection.execute(f"SELECT count(*) FROM {live}".encode())
    row = await cursor.fetchone()
    judgement.looked_at += 0 if row is None else row[0]
    async with connection.cursor(row_factory=dict_row) as rows:
        await rows.execute(query.encode())
        differing = await rows.fetchall()
    for found in differing:
        judgement.found(*told(model, found["live"], found["rebuilt"]))
    if differing:
        judgement.counted(differing[0]["broken"] - len(differing))


def told(model: ReadModel, live: Mapping[str, Any] | None, rebuilt: Mapping[str, Any] | None) -> tuple[str, str]:
    """Which row, and what is wrong with it."""
    known = live or rebuilt or {}
    where = f"{model.name} {' '.join(str(known[name]) for name in model.key)}"
    if live is None:
        return where, "is missing in the live table"
    if rebuilt is None:
        return where, "is only in the live table"
    different = [
        f"{name} is {shown(live[name])}, and the log says {shown(rebuilt[name])}"
        for name in model.columns()
        if live[name] != rebuilt[name]
    ]
    return where, "; ".join(different)


def shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
