"""A read model's rows in a table: loaded by their keys, folded, written."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any
from zlib import crc32

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

BUCKETS = 64
ALONE = "SELECT pg_advisory_xact_lock(%s, bucket) FROM unnest(%s::int[]) AS bucket"


async def fold_into(
    cursor: AsyncCursor[Any], model: ReadModel, table: str, facts: Collection[Fact], parked: Parked
) -> None:
    """Within the cursor's transaction. What cannot be folded is parked: it then stands in `parked.fresh`."""
    keys = touched(model, facts, parked)
    await alone_with(cursor, model, keys)
    rows = await load(cursor, model, table, keys)
    kept, gone = folded(model, facts, rows, parked)
    await write(cursor, model, table, kept.values(), gone)


async def alone_with(cursor: AsyncCursor[Any], model: ReadModel, keys: Collection[Key]) -> None:
    """Until the transaction's end nobody else folds into these rows, be they there or not.

    A row that several topics tell of has facts in several partitions, which two projectors may have: each would write
    the row as it was without the other's. Locks are taken in their order, of at most BUCKETS, so that nobody waits in
    a circle and the server's lock table holds them.
    """
    if len(model.topics) < 2 or not keys:
        return
    buckets = sorted({crc32(repr(key).encode()) % BUCKETS for key in keys})
    await cursor.execute(ALONE, (crc32(model.physical.encode()) - (1 << 31), buckets))


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
