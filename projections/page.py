"""A page of a read model's rows, as a query asks for it."""

import re
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

PLACEHOLDER = re.compile(r"%\((\w+)\)s")


class Page:
    """Asks `sql` for a tenant's rows, at most `limit`. What else stands in it as %(name)s is a filter, and asks for
    nothing where none is given; `at` and `id` are those of the row that the page comes after, `now` is the time of the
    question by the tenant's clock."""

    def __init__(self, sql: str) -> None:
        self._sql = sql.encode()
        self.filters = tuple(dict.fromkeys(PLACEHOLDER.findall(sql)).keys() - {"tenant", "limit"})

    async def __call__(self, connection: AsyncConnection, tenant: str, filters: dict[str, Any]) -> list[dict[str, Any]]:
        wanted = dict.fromkeys(self.filters) | filters | {"tenant": tenant}
        async with connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(self._sql, wanted)
            return await cursor.fetchall()
