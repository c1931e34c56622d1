"""Databases with the tables of all read models, for one test after the other: to make them takes longer than most tests."""

from typing import LiteralString

from fresh import fresh_name
from played import execute
from psycopg import AsyncConnection
from psycopg.sql import SQL, Identifier

from infra.embedded.postgres import EmbeddedPostgres
from projections.models import MODELS
from projections.tables import migrate

KEPT = "read_models"
"""What says which tables there are."""
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> %s"
OTHERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
SHAPE: LiteralString = """
SELECT (SELECT md5(string_agg(concat_ws(' ', relname, relkind, attname, atttypid), ',' ORDER BY relname, attname))
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = 'public'::regnamespace AND attnum > 0),
       (SELECT md5(string_agg(each::text, ',' ORDER BY each::text)) FROM read_models AS each)
"""

type Shape = tuple[str, str]


class Shelf:
    def __init__(self, server: EmbeddedPostgres) -> None:
        self._server = server
        self._spare: list[str] = []
        self._shape: Shape | None = None

    async def take(self) -> str:
        """The DSN of one in which nothing else stands."""
        return self._spare.pop() if self._spare else await self._made()

    async def put_back(self, dsn: str) -> None:
        """Emptied. One that is not as it was made, or still looked at, is thrown away."""
        async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
            name = connection.info.dbname
            if await is_alone(connection) and await shape(connection) == self._shape:
                await empty(connection)
                self._spare.append(dsn)
                return
        await execute(self._server.dsn(), f"DROP DATABASE {name} WITH (FORCE)")

    async def _made(self) -> str:
        name = fresh_name("tables").replace("-", "_")
        await execute(self._server.dsn(), f"CREATE DATABASE {name}")
        async with await AsyncConnection.connect(self._server.dsn(name)) as connection:
            await migrate(connection, MODELS.values())
            self._shape = await shape(connection)
        return self._server.dsn(name)


async def is_alone(connection: AsyncConnection) -> bool:
    row = await (await connection.execute(OTHERS)).fetchone()
    return row is not None and row[0] == 0


async def shape(connection: AsyncConnection) -> Shape | None:
    return await (await connection.execute(SHAPE)).fetchone()


async def empty(connection: AsyncConnection) -> None:
    tables = await (await connection.execute(TABLES, (KEPT,))).fetchall()
    deletes = [SQL("DELETE FROM {}").format(Identifier(table)) for (table,) in tables]
    await connection.execute(SQL("; ").join(deletes))
