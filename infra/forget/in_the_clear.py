"""Whether anything of a person stands in the clear, anywhere: in a record of the log, a row, or a file of the data."""

import mmap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from psycopg import AsyncConnection
from psycopg.sql import SQL, Identifier

from schemas.record import Stored

LEAST_CHARACTERS = 5
"""Shorter words are everywhere, and tell nothing of anybody."""
ENGINES = ("kafka", "postgres", "osrm")
"""Their folders begin so; what is in them is looked for in topics and tables."""
TABLES = """
SELECT relname FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' ORDER BY relname
"""
ROWS = (
    "SELECT count(*), count(*) FILTER (WHERE {found}) FROM (SELECT to_jsonb(t)::text AS row FROM {table} AS t) AS rows"
)


class Found(msgspec.Struct, frozen=True):
    """`where` names a record, a table or a file."""

    where: str
    count: int = 1


class InTheClear:
    """Counts what it has looked at, and names where it found something."""

    def __init__(self, words: Iterable[str]) -> None:
        self.words = sorted(word for word in words if len(word) >= LEAST_CHARACTERS)
        self.records = self.rows = self.files = 0
        self.found: list[Found] = []
        self._as_bytes = sorted({form for word in self.words for form in (word.encode(), in_json(word).encode())})

    def take(self, stored: Stored) -> None:
        self.records += 1
        if any(self._is_in(part) for part in (stored.key, stored.value, *(value for _, value in stored.headers))):
            self.found.append(Found(f"{stored.topic}/{stored.partition}@{stored.offset}"))

    async def look_through_tables(self, connection: AsyncConnection[Any]) -> None:
        if not self.words:
            return
        cursor = await connection.execute(TABLES)
        for (table,) in await cursor.fetchall():
            found = SQL(" OR ").join([SQL("strpos(row, %s) > 0")] * len(self.words))
            asked = SQL(ROWS).format(found=found, table=Identifier(table))
            row = await (await connection.execute(asked, [in_json(word) for word in self.words])).fetchone()
            assert row is not None, "it counts"
            self.rows += row[0]
            if row[1]:
                self.found.append(Found(f"table {table}", row[1]))

    def look_through_files(self, data: Path) -> None:
        for file in files_of(data):
            self.files += 1
            if file.stat().st_size and self._is_in_file(file):
                self.found.append(Found(f"file {file.relative_to(data)}"))

    def _is_in(self, part: bytes | None) -> bool:
        return part is not None and any(word in part for word in self._as_bytes)

    def _is_in_file(self, file: Path) -> bool:
        with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return any(content.find(word) >= 0 for word in self._as_bytes)


def in_json(word: str) -> str:
    return msgspec.json.encode(word).decode()[1:-1]


def files_of(data: Path) -> Iterator[Path]:
    """What we write ourselves: journals, what the roles say, artefacts."""
    for entry in sorted(data.iterdir()) if data.is_dir() else ():
        if entry.is_dir() and not entry.name.startswith(ENGINES):
            yield from sorted(each for each in entry.rglob("*") if each.is_file())
        elif entry.is_file():
            yield entry
