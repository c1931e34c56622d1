"""The read models of a test: records of a desk in memory, folded by the real folds into a real database."""

from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from projections.folding import Parked
from projections.model import ReadModel, fact_of
from projections.models import MODELS
from projections.rows import fold_into
from projections.tables import migrate
from schemas.record import Stored

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
        async with connection.cursor() as cursor:
            await fold_into(cursor, model, model.physical, facts, parked)
        assert not parked.fresh, parked.fresh
        for fact in facts:
            place = (model.name, model.version, fact.stored.topic, fact.stored.partition)
            await connection.execute(MOVE, (*place, fact.stored.offset + 1))
