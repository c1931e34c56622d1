"""The read models of a test: records of a desk in memory, folded by the real folds into a real database."""

from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from projections.folding import Parked, folded, touched
from projections.model import (
    Fact,
    ReadModel,
    delete_sql,
    key_of,
    key_parameters,
    parameters,
    row_of,
    select_sql,
    upsert_sql,
)
from projections.models import MODELS
from projections.tables import migrate
from schemas.record import Stored, envelope_of, event_of, source_of

MOVE = """
INSERT INTO projection_positions VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (model, version, topic, partition) DO UPDATE SET next_offset = excluded.next_offset
"""


class ReadModels:
    """`fold` brings every model, or some of them, up to the end of what the desk has written."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[Any]], log: list[Stored]) -> None:
        self._pool = pool
        self._log = log
        self._folded: dict[str, int] = {}

    async def make(self) -> None:
        async with self._pool.connection() as connection:
            await migrate(connection, MODELS.values())

    async def fold(self, names: Sequence[str] = ()) -> None:
        async with self._pool.connection() as connection, connection.transaction():
            for model in MODELS.values():
                if not names or model.name in names:
                    await self._fold(connection, model)
            await connection.execute("SELECT pg_notify('logistics_positions', '')")

    async def _fold(self, connection: AsyncConnection[Any], model: ReadModel) -> None:
        fresh = self._log[self._folded.get(model.name, 0) :]
        self._folded[model.name] = len(self._log)
        facts = [fact_of(stored) for stored in fresh if stored.topic in model.topics]
        parked = Parked()
        rows = {}
        if keys := touched(model, facts, parked):
            cursor = await connection.execute(select_sql(model, model.physical), key_parameters(model, keys))
            rows = {key_of(model, row): row for row in [row_of(model, c) for c in await cursor.fetchall()]}
        kept, gone = folded(model, facts, rows, parked)
        assert not parked.fresh, parked.fresh
        if kept:
            await connection.execute(upsert_sql(model, model.physical), parameters(model, kept.values()))
        if gone:
            await connection.execute(delete_sql(model, model.physical), key_parameters(model, gone))
        for fact in facts:
            place = (model.name, model.version, fact.stored.topic, fact.stored.partition)
            await connection.execute(MOVE, (*place, fact.stored.offset + 1))


def fact_of(stored: Stored) -> Fact:
    envelope = envelope_of(stored)
    return Fact(event_of(stored, None), source_of(envelope, stored), envelope, stored)
