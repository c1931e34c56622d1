"""A CSV file as commands: its columns are the fields of the command's body, with dots for what lies within.

Of a task `pickup.` and `dropoff.` are its two stops; `parcels` is how many there are, or `parcel.` what the one is.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from gateway.own_words import in_our_words
from gateway.problems import Problem
from gateway.validation import decoded
from infra.settings import WrongSetting
from schemas.directory import CreateOutlet
from schemas.goods import MAX_PARCELS
from schemas.message import Command
from schemas.rider import RegisterRider
from schemas.task import CreateTask
from schemas.vehicle import RegisterVehicle

CREATES: Mapping[str, type[Command]] = {
    "riders": RegisterRider,
    "vehicles": RegisterVehicle,
    "outlets": CreateOutlet,
    "tasks": CreateTask,
}
LISTS = frozenset({"skills", "temperatures", "zones"})
"""Columns whose cells hold several values, with `;` between them."""
TASK_COLUMNS = frozenset({"pickup", "dropoff", "parcel"})
COUNT = re.compile(r"\d{1,3}", re.ASCII)
NUMBER = re.compile(r"[-+]?\d+([.,]\d+)?", re.ASCII)
TIMES = re.compile(r"(.*\.)?(start|end|\w+_at)")
"""Columns that hold a time."""
MAX_LINES = 100_000
MAX_CELL = 20_000

type Json = dict[str, Any]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """`number` is that in the file, where the header is line 1. Either it is a body, or something is wrong with it."""

    number: int
    body: Json | None = None
    wrong: str | None = None


def lines_of(kind: str, path: Path, source: str) -> list[Line]:
    """Every line, judged as the API's door would judge it. `source` stands on what is created: so the same reference
    meets the same aggregate, whoever imports it. Raises WrongSetting for a file that is none of these."""
    cls = CREATES.get(kind)
    if cls is None:
        raise WrongSetting(f"{kind} cannot be imported: one of {', '.join(CREATES)}")
    csv.field_size_limit(MAX_CELL)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return list(read(csv.DictReader(file, strict=True), cls, source))
    except UnicodeDecodeError as wrong:
        raise WrongSetting(f"{path} is not UTF-8: byte {wrong.start}") from wrong
    except OSError as wrong:
        raise WrongSetting(f"{path} cannot be read: {wrong.strerror}") from wrong
    except csv.Error as wrong:
        raise WrongSetting(f"{path} is no CSV: {wrong}") from wrong


def read(rows: csv.DictReader[str], cls: type[Command], source: str) -> Iterator[Line]:
    check_columns(rows.fieldnames or [], cls)
    seen: dict[tuple[str, str], int] = {}
    for count, row in enumerate(rows):
        if count >= MAX_LINES:
            raise WrongSetting(f"the file has more than {MAX_LINES:,} lines: split it")
        line = line_of(rows.line_num, row, cls, source)
        named = None if line.body is None else name_of(line.body, source)
        if named is not None and named in seen:
            yield Line(number=line.number, wrong=f"{named[1]} stands in line {seen[named]} already")
            continue
        if named is not None:
            seen[named] = line.number
        yield line


def check_columns(columns: Iterable[str], cls: type[Command]) -> None:
    """Raises WrongSetting, naming all that there is no field for."""
    columns = list(columns)
    fields = {*cls.__struct_fields__, *(TASK_COLUMNS if cls is CreateTask else ())} - {"stops"}
    unknown = [column for column in columns if column.partition(".")[0] not in fields]
    if unknown:
        raise WrongSetting(f"there is no column {', '.join(unknown)}; there are {', '.join(sorted(fields))}")
    if len(set(columns)) < len(columns):
        raise WrongSetting("a column stands twice in the header")
    own = "outlet" if cls is CreateOutlet else "external_reference"
    if own not in columns:
        raise WrongSetting(f"the column {own} is missing: without it a second import would create all of it again")


def line_of(number: int, row: Mapping[str | None, Any], cls: type[Command], source: str) -> Line:
    if None in row:
        return Line(number=number, wrong="it has more cells than the header")
    try:
        body = body_of({str(name): cell or "" for name, cell in row.items()}, cls)
        if "source" in cls.__struct_fields__:
            body.setdefault("source", source)
        command = msgspec.convert(body, cls, strict=False)
    except (msgspec.ValidationError, Misfit) as wrong:
        return Line(number=number, wrong=said(wrong))
    fit: Json = msgspec.to_builtins(command)
    try:
        decoded(msgspec.json.Decoder(cls), cls, msgspec.json.encode(fit))
    except Problem as problem:
        return Line(number=number, wrong="; ".join(f"{e.pointer}: {e.detail}" for e in problem.errors or ()))
    if cls is not CreateOutlet and not fit.get("external_reference"):
        return Line(number=number, wrong="external_reference is empty")
    return Line(number=number, body={name: value for name, value in fit.items() if value is not None})


class Misfit(ValueError):
    """Cells that do not go together."""


def body_of(cells: Mapping[str, str], cls: type[Command]) -> Json:
    """Raises Misfit. Empty cells are as if their columns were not there."""
    body: Json = {}
    for column, cell in cells.items():
        if cell.strip():
            if TIMES.fullmatch(column) and NUMBER.fullmatch(cell.strip()):
                raise Misfit(f"{column}: a time as in RFC 3339 is needed, such as 2030-03-01T12:00:00Z, not {cell}")
            put(body, column, [each.strip() for each in cell.split(";")] if column in LISTS else cell.strip())
    return task_of(body) if cls is CreateTask else body


def put(body: Json, column: str, value: Any) -> None:
    *within, name = column.split(".")
    for part in within:
        body = body.setdefault(part, {})
        if not isinstance(body, dict):
            raise Misfit(f"{column} lies within {part}, which has a value of its own")
    if name in body:
        raise Misfit(f"{column} has a value already")
    body[name] = value


def task_of(body: Json) -> Json:
    """From one pickup, at the outlet if nothing else is said, to one dropoff."""
    stops = [{"kind": kind} | body.pop(kind, {}) for kind in ("pickup", "dropoff")]
    count, parcel = body.pop("parcels", None), body.pop("parcel", None)
    if count is not None and parcel is not None:
        raise Misfit("parcels counts them and parcel describes the one: give one of the two")
    if count is not None and not (COUNT.fullmatch(str(count)) and int(count) <= MAX_PARCELS):
        raise Misfit(f"parcels is how many there are, up to {MAX_PARCELS}, not {str(count)[:20]}")
    parcels = [parcel] if parcel is not None else [{}] * int(count or 0)
    return {"kind": "delivery"} | body | {"stops": stops, "parcels": parcels}


def name_of(body: Json, source: str) -> tuple[str, str]:
    """By which the API tells it from others: lines of the same name would meet the same aggregate."""
    return str(body.get("source", source)), str(body.get("external_reference") or body["outlet"])


def said(wrong: Exception) -> str:
    """Which column, and what is wrong with it."""
    if not isinstance(wrong, msgspec.ValidationError):
        return str(wrong)
    what, _, where = str(wrong).partition(" - at `$")
    column = where.rstrip("`").lstrip(".").replace("stops[0]", "pickup").replace("stops[1]", "dropoff")
    return f"{column}: {in_our_words(what)}" if column else in_our_words(what)
