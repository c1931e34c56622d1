"""The parameters of a query: each is checked, unknown ones are refused, and all errors are told at once."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from gateway.call import Call
from gateway.problems import FieldError, Problem, not_found

MAX_PARAMETERS = 50
DEFAULT_LIMIT = 100
MAX_LIMIT = 500
MOST_OF_KEY, MOST_OF_VALUE = 64, 500
"""Of metadata."""
TEXT = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,79}")
NUMBER = re.compile(r"\d{1,15}")
DEGREES = re.compile(r"-?\d{1,3}(\.\d{1,12})?", re.ASCII)

type Check = Callable[[str], Any]


class Parameter(msgspec.Struct, frozen=True):
    """`check` raises ValueError with what is wrong; `schema` says the same in JSON schema."""

    check: Check
    schema: Mapping[str, Any]
    about: str


def text(about: str) -> Parameter:
    def check(value: str) -> str:
        if not TEXT.fullmatch(value):
            raise ValueError("must have 1 to 200 characters, none of them a control character")
        return value

    return Parameter(check, {"type": "string", "minLength": 1, "maxLength": 200}, about)


def choice(values: tuple[str, ...], about: str) -> Parameter:
    def check(value: str) -> str:
        if value not in values:
            raise ValueError(f"must be {' or '.join(values)}")
        return value

    return Parameter(check, {"enum": list(values)}, about)


def number(lowest: int, highest: int, about: str, default: int | None = None) -> Parameter:
    def check(value: str) -> int:
        if not NUMBER.fullmatch(value) or not lowest <= int(value) <= highest:
            raise ValueError(f"must be a whole number from {lowest} to {highest}")
        return int(value)

    schema = {"type": "integer", "minimum": lowest, "maximum": highest}
    return Parameter(check, schema if default is None else schema | {"default": default}, about)


def flag(about: str) -> Parameter:
    def check(value: str) -> bool:
        if value not in ("true", "false"):
            raise ValueError("must be true or false")
        return value == "true"

    return Parameter(check, {"type": "boolean"}, about)


def entry(about: str) -> Parameter:
    """key:value, as the JSON object that has it."""

    def check(value: str) -> str:
        key, colon, rest = value.partition(":")
        if not colon or not 0 < len(key) <= MOST_OF_KEY or len(rest) > MOST_OF_VALUE or "\0" in value:
            raise ValueError("must be key:value, up to 64 characters before the colon and 500 after it")
        return msgspec.json.encode({key: rest}).decode()

    schema = {"type": "string", "pattern": f"^[^:\\0]{{1,{MOST_OF_KEY}}}:[^\\0]{{0,{MOST_OF_VALUE}}}$"}
    return Parameter(check, schema, about)


def box(about: str) -> Parameter:
    """west,south,east,north in degrees; a box across the antimeridian has its west east of its east."""

    def check(value: str) -> dict[str, float]:
        parts = value.split(",")
        if len(parts) != 4 or not all(DEGREES.fullmatch(part) for part in parts):
            raise ValueError("must be west,south,east,north in degrees")
        west, south, east, north = map(float, parts)
        if max(abs(west), abs(east)) > 180 or max(abs(south), abs(north)) > 90:
            raise ValueError("must have longitudes within -180..180 and latitudes within -90..90")
        if south > north:
            raise ValueError("must have its south below its north")
        return {"west": west, "south": south, "east": east, "north": north}

    schema = {"type": "string", "pattern": r"^-?\d{1,3}(\.\d{1,12})?(,-?\d{1,3}(\.\d{1,12})?){3}$"}
    return Parameter(check, schema, about)


def moment(about: str) -> Parameter:
    """RFC 3339, with its offset."""

    def check(value: str) -> datetime:
        try:
            at = msgspec.convert(value, datetime)
        except msgspec.ValidationError as bad:
            raise ValueError("must be a time as in RFC 3339") from bad
        if at.tzinfo is None:
            raise ValueError("must have its offset from UTC, such as Z")
        return at

    return Parameter(check, {"type": "string", "format": "date-time"}, about)


class After(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ended: its last row's time and id."""

    at: datetime
    id: str


def cursor_of(after: After) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(after)).rstrip(b"=").decode()


def after_of(cursor: str) -> After:
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        after = msgspec.msgpack.decode(packed, type=After)
    except (binascii.Error, ValueError) as bad:
        raise ValueError("must be a cursor as an earlier page gave it") from bad
    if after.at.tzinfo is None or not TEXT.fullmatch(after.id):
        raise ValueError("must be a cursor as an earlier page gave it")
    return after


LIMIT = number(1, MAX_LIMIT, "How many at most.", DEFAULT_LIMIT)
CURSOR = Parameter(after_of, {"type": "string", "maxLength": 1_000}, "Where the page before ended.")
MIN_VERSION = number(1, 2**31, "Wait until the aggregate has come to this version.")


def parameters_of(call: Call, known: Mapping[str, Parameter]) -> dict[str, Any]:
    """Raises Problem: invalid-parameter with all its errors."""
    try:
        given = parse_qsl(call.query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError as many:
        raise Problem("invalid-parameter", f"at most {MAX_PARAMETERS} parameters are allowed") from many
    values: dict[str, Any] = {}
    errors = []
    for name, value in given:
        try:
            values[name] = checked(name, value, known, values)
        except ValueError as wrong:
            errors.append(FieldError(name[:100], str(wrong)))
    errors += wrong_way_round(values)
    if errors:
        raise Problem("invalid-parameter", "the parameters are not valid", errors=errors)
    return values


def wrong_way_round(values: Mapping[str, Any]) -> list[FieldError]:
    """A time that ends before it begins has nothing in it, whatever there is."""
    since, until = values.get("since"), values.get("until")
    if since is None or until is None or since < until:
        return []
    told = since.isoformat().replace("+00:00", "Z")
    return [FieldError("until", f"must be later than since, which is {told}")]


def checked(name: str, value: str, known: Mapping[str, Parameter], before: Mapping[str, Any]) -> Any:
    if name not in known:
        raise ValueError(f"is not known here; known are {', '.join(sorted(known)) or 'none'}")
    if name in before:
        raise ValueError("is given twice")
    return known[name].check(value)


def id_of(call: Call) -> str:
    """The path's id. What cannot be one is not found."""
    value = call.param("id")
    if not ID.fullmatch(value):
        raise not_found("there is nothing of this id")
    return value
