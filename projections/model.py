"""What a read model is: one question, one table, one pure fold over one row at a time."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, get_type_hints

import msgspec

from schemas import catalog
from schemas.codec import plain
from schemas.message import Event, Source
from schemas.record import Envelope, Stored, envelope_of, event_of, source_of

SQL_TYPES = {
    str: "text",
    int: "bigint",
    float: "double precision",
    bool: "boolean",
    datetime: "timestamptz",
    bytes: "bytea",
}

type Key = tuple[Any, ...]


class Fact(msgspec.Struct, frozen=True):
    """An event as the projector meets it. Personal data in it are sealed."""

    event: Event
    source: Source
    envelope: Envelope
    stored: Stored


def fact_of(stored: Stored) -> Fact:
    """Raises Unreadable."""
    envelope = envelope_of(stored)
    return Fact(event_of(stored, None), source_of(envelope, stored), envelope, stored)


@cache
def topics_of(events: frozenset[type[Event]]) -> frozenset[str]:
    """Asked for at each commit, of each model."""
    topics = {catalog.BY_CLASS[event].topic for event in events}
    return frozenset(topic for topic in topics if topic is not None)


class ReadModel(msgspec.Struct, frozen=True, kw_only=True):
    """`table` is SQL with {table} for the table's name; `keys` says which rows a fact touches.

    `apply` folds a fact into one row: no clock, no chance, no other row; None is no row. Of order it may assume that
    one aggregate's facts come in theirs.
    """

    name: str
    version: int
    table: str
    row: type[Any]
    key: tuple[str, ...]
    events: frozenset[type[Event]]
    keys: Callable[[Fact], Sequence[Key]]
    apply: Callable[[Any, Fact, Key], Any]
    appends: bool = False
    """Every fact makes a row of its own, so none needs to be loaded."""

    @property
    def physical(self) -> str:
        return f"{self.name}_v{self.version}"

    @property
    def topics(self) -> frozenset[str]:
        return topics_of(self.events)

    def columns(self) -> dict[str, str]:
        """Column → SQL type, from the row's fields; what has structure is jsonb."""
        hints = get_type_hints(self.row, include_extras=True)
        return {name: sql_type(hints[name]) for name in self.row.__struct_fields__}


class StreamTable(msgspec.Struct, frozen=True, kw_only=True):
    """A table that a stream writes in one transaction with its own place. It folds no facts, so nothing is parked."""

    name: str
    row: type[Any]
    key: tuple[str, ...]
    topics: frozenset[str]


type Readable = ReadModel | StreamTable
"""What a query can ask."""


def sql_type(tp: Any) -> str:
    opened = plain(tp)
    members = [m for m in getattr(opened, "__args__", ()) if m is not type(None)]
    if opened not in SQL_TYPES and len(members) == 1 and type(None) in getattr(opened, "__args__", ()):
        opened = plain(members[0])
    if isinstance(opened, type) and opened in SQL_TYPES:
        return SQL_TYPES[opened]
    return "text" if is_literal(opened) else "jsonb"


def is_literal(tp: Any) -> bool:
    return str(getattr(tp, "__origin__", "")) == "typing.Literal"


def by_aggregate(fact: Fact) -> Sequence[Key]:
    """The one row of the fact's aggregate."""
    return ((fact.source.tenant, fact.source.aggregate_id),)


def upsert_sql(model: ReadModel, table: str) -> bytes:
    columns = model.columns()
    sources = ", ".join(f"%s::{'text' if kind == 'jsonb' else kind}[]" for kind in columns.values())
    values = ", ".join(f'"{name}"::jsonb' if kind == "jsonb" else f'"{name}"' for name, kind in columns.items())
    names = quoted(columns)
    key = quoted(model.key)
    changes = ", ".join(f'"{name}" = excluded."{name}"' for name in columns if name not in model.key)
    conflict = "DO NOTHING" if model.appends or not changes else f"DO UPDATE SET {changes}"
    return (
        f"INSERT INTO {table} ({names}) SELECT {values} FROM unnest({sources}) AS given ({names}) "
        f"ON CONFLICT ({key}) {conflict}"
    ).encode()


def select_sql(model: ReadModel, table: str) -> bytes:
    columns, key = model.columns(), quoted(model.key)
    sources = ", ".join(f"%s::{columns[name]}[]" for name in model.key)
    names = quoted(columns)
    return f"SELECT {names} FROM {table} WHERE ({key}) IN (SELECT * FROM unnest({sources}))".encode()


def delete_sql(model: ReadModel, table: str) -> bytes:
    columns, key = model.columns(), quoted(model.key)
    sources = ", ".join(f"%s::{columns[name]}[]" for name in model.key)
    return f"DELETE FROM {table} WHERE ({key}) IN (SELECT * FROM unnest({sources}))".encode()


def quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def parameters(model: ReadModel, rows: Iterable[Any]) -> list[list[Any]]:
    """The rows as one array a column."""
    kept = list(rows)
    return [[stored_value(getattr(row, name), kind) for row in kept] for name, kind in model.columns().items()]


def stored_value(value: Any, kind: str) -> Any:
    return None if value is None else msgspec.json.encode(value).decode() if kind == "jsonb" else value


def key_parameters(model: ReadModel, keys: Iterable[Key]) -> list[list[Any]]:
    kept = list(keys)
    return [[key[place] for key in kept] for place in range(len(model.key))]


def row_of(model: ReadModel, columns: Sequence[Any]) -> Any:
    """A row struct from what the database gave, in the order of the columns."""
    return msgspec.convert(dict(zip(model.columns(), columns, strict=True)), model.row, strict=False)


def key_of(model: ReadModel, row: Any) -> Key:
    return tuple(getattr(row, name) for name in model.key)
