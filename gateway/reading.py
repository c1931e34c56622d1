"""A read model's rows for one request: as fresh as it asks for, or a problem that says how far behind."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from time import monotonic
from typing import Any

from psycopg import AsyncConnection, OperationalError
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier
from psycopg_pool import PoolTimeout

from gateway.call import Call
from gateway.door import Door
from gateway.positions import Positions, position_of, wait_of, wanted_of
from gateway.problems import Problem
from projections.model import Readable
from schemas.position import Vector, reached

CONNECTION_S = 5.0

ONE = SQL("SELECT * FROM {model} WHERE tenant = %s AND {key} = %s")
PARKED = """
SELECT aggregate_id
FROM projection_parked JOIN read_models USING (model, version)
WHERE model = %s AND aggregate_id = ANY(%s)
"""

type Row = dict[str, Any]
type Connection = AsyncConnection[Any]


class Reading:
    def __init__(self, door: Door, positions: Positions) -> None:
        self._door = door
        self._positions = positions

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Raises Problem where the database does not answer."""
        with answering():
            async with self._door.pool.connection(timeout=CONNECTION_S) as connection:
                yield connection

    async def fresh[T](
        self, call: Call, model: Readable, query: Callable[[Connection], Awaitable[T]]
    ) -> tuple[T, Vector]:
        """What the query finds once the model is as far as the request wants, and how far it was."""
        wanted = wanted_of(call, model)
        async with self.connection() as connection:
            at = await position_of(connection, model)
            if reached(wanted, at):
                return await query(connection), at
        await self._positions.until(model, wanted, wait_of(call, self._door.limits))
        async with self.connection() as connection:
            at = await position_of(connection, model)
            return await query(connection), at

    async def one(
        self, call: Call, model: Readable, tenant: str, aggregate_id: str, min_version: int
    ) -> tuple[Row | None, Vector]:
        """One aggregate's row, at `min_version` at least. Raises Problem where that does not come in time."""
        until_s = monotonic() + wait_of(call, self._door.limits)
        row, at = await self.fresh(call, model, lambda c: row_of(c, model, tenant, aggregate_id))
        if version_of(row) >= min_version:
            return row, at
        with self._positions.waiting():
            while True:
                moves = self._positions.moves
                async with self.connection() as connection:
                    at = await position_of(connection, model)
                    row = await row_of(connection, model, tenant, aggregate_id)
                if version_of(row) >= min_version:
                    return row, at
                left_s = until_s - monotonic()
                if left_s <= 0 or not await self._positions.moved_since(moves, left_s):
                    raise behind(model, version_of(row), min_version)


@contextmanager
def answering() -> Iterator[None]:
    """Raises Problem where the database does not answer."""
    try:
        yield
    except (OperationalError, PoolTimeout) as lost:
        raise Problem("read-models-unavailable", "the read models' database does not answer") from lost


async def row_of(connection: Connection, model: Readable, tenant: str, aggregate_id: str) -> Row | None:
    statement = ONE.format(model=Identifier(model.name), key=Identifier(model.key[1]))
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement, (tenant, aggregate_id))
        return await cursor.fetchone()


async def parked_of(connection: Connection, model: Readable, aggregate_ids: list[str]) -> set[str]:
    """Those whose rows do not follow the log any more, since a fact of theirs could not be folded."""
    cursor = await connection.execute(PARKED, (model.name, aggregate_ids))
    return {aggregate_id for (aggregate_id,) in await cursor.fetchall()}


def version_of(row: Row | None) -> int:
    version: int = 0 if row is None else row["version"]
    return version


def behind(model: Readable, version: int, wanted: int) -> Problem:
    return Problem(
        "projection-lagging",
        f"{model.name} has seen version {version} of it, not yet {wanted}",
        values={"model": model.name, "version": version, "min_version": wanted},
    )
