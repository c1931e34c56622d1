"""A read model's rows in a table: loaded by their keys, folded, written."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from psycopg import AsyncCursor

from projections.folding import Parked, folded, touched
from projections.model import (
    Fact,
    Key,
    ReadModel,
    delete_sql,
    key_of,
    key_parameters,
    parameters,
    row_of,
    select_sql,
    upsert_sql,
)


async def fold_into(
    cursor: AsyncCursor[Any], model: ReadModel, table: str, facts: Collection[Fact], parked: Parked
) -> None:
    """Within the cursor's transaction. What cannot be folded is parked: it then stands in `parked.fresh`."""
    rows = await load(cursor, model, table, touched(model, facts, parked))
    kept, gone = folded(model, facts, rows, parked)
    await write(cursor, model, table, kept.values(), gone)


async def load(cursor: AsyncCursor[Any], model: ReadModel, table: str, keys: Collection[Key]) -> Mapping[Key, Any]:
    """Those that exist."""
    if not keys:
        return {}
    await cursor.execute(select_sql(model, table), key_parameters(model, keys))
    rows = [row_of(model, columns) for columns in await cursor.fetchall()]
    return {key_of(model, row): row for row in rows}


async def write(
    cursor: AsyncCursor[Any], model: ReadModel, table: str, kept: Iterable[Any], gone: Collection[Key]
) -> None:
    if rows := list(kept):
        await cursor.execute(upsert_sql(model, table), parameters(model, rows))
    if gone:
        await cursor.execute(delete_sql(model, table), key_parameters(model, gone))
