"""From a body to a command. The fast path is msgspec; where it fails, all errors are told at once."""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from typing import Any

import msgspec
from jsonschema import Draft202012Validator, FormatChecker

from gateway.own_words import MOMENT, in_our_words
from gateway.problems import FieldError, Problem
from schemas.message import Moment

type SchemaError = Any
"""jsonschema's ValidationError; its own types say of each attribute that it may be unset."""

MAX_ERRORS = 100
EXPLAINED_BYTES = 64 << 10
"""Of a larger body the first error is told, and of its lists each item that does not fit: to find all takes 25 µs a
number."""
ITEM_BYTES = 4 << 10
"""Of a larger item the first error is told."""
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
"""Outside of these a moment is a mistake, and near its type's ends it cannot be turned into UTC."""

PLACE = re.compile(r" - at `(?:key in )?\$([^`]*)`")
BYTE = re.compile(r"\(byte (\d+)\)")
STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")

type Pointer = tuple[str | int, ...]


def decoded[C: msgspec.Struct](decoder: msgspec.json.Decoder[C], cls: type[C], body: bytes) -> C:
    """Raises Problem: malformed-json, invalid-body with all its errors."""
    try:
        command = decoder.decode(body or b"{}")
    except (ValueError, RecursionError) as wrong:
        raise explained(cls, body, wrong) from wrong
    errors = list(islice(misplaced_moments(command, ()), MAX_ERRORS))
    if rb"\u0000" in body:
        errors += islice(null_characters(msgspec.json.decode(body), ()), MAX_ERRORS)
    if errors:
        raise invalid(errors)
    return command


def invalid(errors: list[FieldError]) -> Problem:
    count = f"{len(errors)} places" if len(errors) > 1 else "one place"
    return Problem("invalid-body", f"the body does not fit in {count}", errors=errors)


def explained(cls: type[msgspec.Struct], body: bytes, wrong: Exception) -> Problem:
    try:
        parsed = msgspec.json.decode(body or b"{}")
    except msgspec.ValidationError:  # it is JSON, but holds a number that we cannot hold
        return invalid([as_told(wrong)])
    except (ValueError, RecursionError) as broken:
        return malformed(body, broken)
    if len(body) > EXPLAINED_BYTES:
        return invalid(list(islice(misfit_items(cls, parsed), MAX_ERRORS)) or [as_told(wrong)])
    errors = misfits(cls, parsed)
    return invalid(errors or [as_told(wrong)])


def misfits(cls: type[msgspec.Struct], parsed: Any) -> list[FieldError]:
    """What is wrong with plain values that do not fit, as far as a JSON schema can say."""
    return list(islice(unique(worded(schema_errors(cls, parsed))), MAX_ERRORS))


def misfit_items(cls: type[msgspec.Struct], parsed: Any) -> Iterator[FieldError]:
    """Of the lists of objects in a body, what is wrong with each that does not fit."""
    for name, item_cls in lists_of(cls).items() if isinstance(parsed, dict) else ():
        items = parsed.get(name)
        for number, item in enumerate(items if isinstance(items, list) else ()):
            try:
                msgspec.convert(item, item_cls)
            except msgspec.ValidationError as wrong:
                small = len(msgspec.json.encode(item)) <= ITEM_BYTES
                for error in (misfits(item_cls, item) if small else ()) or [as_told(wrong)]:
                    yield FieldError(pointer((name, number)) + error.pointer, error.detail)


@cache
def lists_of(cls: type[msgspec.Struct]) -> dict[str, type[msgspec.Struct]]:
    """The fields that are lists of objects, and of what."""
    described = msgspec.inspect.type_info(cls)
    assert isinstance(described, msgspec.inspect.StructType)
    return {
        field.encode_name: field.type.item_type.cls
        for field in described.fields
        if isinstance(field.type, msgspec.inspect.ListType)
        and isinstance(field.type.item_type, msgspec.inspect.StructType)
    }


def malformed(body: bytes, broken: Exception) -> Problem:
    line, column, what = place_of(body, broken)
    detail = f"line {line}, column {column}: {what}"
    return Problem("malformed-json", detail, values={"line": line, "column": column})


def place_of(body: bytes, broken: Exception) -> tuple[int, int, str]:
    """By the standard library, which tells lines; where it is laxer than the standard, by msgspec's byte."""
    try:
        json.loads(body.decode())
    except UnicodeDecodeError as error:
        line, column = line_and_column(body, error.start)
        return line, column, "not UTF-8"
    except json.JSONDecodeError as error:
        return error.lineno, error.colno, error.msg
    except (RecursionError, ValueError):
        return 1, 1, "nested too deeply, or a number too long"
    at = BYTE.search(str(broken))
    line, column = line_and_column(body, int(at[1])) if at else (1, 1)
    return line, column, BYTE.sub("", str(broken)).removeprefix("JSON is malformed: ").strip()


def line_and_column(body: bytes, at: int) -> tuple[int, int]:
    before = body[:at]
    return before.count(b"\n") + 1, at - (before.rfind(b"\n") + 1) + 1


# All errors of a body


@cache
def validator(cls: type[msgspec.Struct]) -> Draft202012Validator:
    formats = FormatChecker(formats=())
    formats.checks("date-time", raises=ValueError)(is_moment)
    return Draft202012Validator(msgspec.json.schema(cls), format_checker=formats)


def is_moment(value: object) -> bool:
    if isinstance(value, str):
        msgspec.convert(value, Moment)
    return True


def schema_errors(cls: type[msgspec.Struct], parsed: Any) -> Iterator[SchemaError]:
    yield from validator(cls).iter_errors(parsed)


def worded(errors: Iterable[SchemaError]) -> Iterator[FieldError]:
    for error in errors:
        at: Pointer = tuple(error.absolute_path)
        if error.validator == "anyOf":
            yield from of_any(error, at)
        elif error.validator == "required":
            missing = (name for name in error.validator_value if name not in error.instance)
            yield from (FieldError(pointer((*at, name)), "is required") for name in missing)
        elif error.validator == "additionalProperties":
            known = error.schema.get("properties", {})
            unknown = (name for name in error.instance if name not in known)
            yield from (FieldError(pointer((*at, name)), "is not known here") for name in unknown)
        elif "propertyNames" in error.absolute_schema_path:
            yield FieldError(pointer((*at, error.instance)), f"the name {wording(error)}")
        else:
            yield FieldError(pointer(at), wording(error))


def of_any(error: SchemaError, at: Pointer) -> Iterator[FieldError]:
    """The errors of the one branch that was meant, where that can be told."""
    branches: dict[int, list[SchemaError]] = {}
    for inner in error.context:
        branches.setdefault(inner.schema_path[0], []).append(inner)
    meant = [found for found in branches.values() if not any(is_other_kind(each, at) for each in found)]
    if len(meant) == 1:
        yield from worded(meant[0])
    else:
        yield FieldError(pointer(at), any_wording(error))


def is_other_kind(error: SchemaError, at: Pointer) -> bool:
    """Another JSON type, or another tag: this branch was not meant."""
    below = tuple(error.absolute_path)[len(at) :]
    if error.validator == "type":
        return not below
    return bool(error.validator == "enum" and len(error.validator_value) == 1 and len(below) == 1)


def any_wording(error: SchemaError) -> str:
    tag = error.schema.get("discriminator")
    if tag:
        return f"must have a `{tag['propertyName']}` of {' or '.join(sorted(tag['mapping']))}"
    types = [branch.get("type", "object") for branch in error.validator_value]
    return f"must be {' or '.join(types)}"


WORDS = {
    "type": "must be of type {}",
    "pattern": "must match {}",
    "format": MOMENT,
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "minItems": "must have at least {} items",
    "maxItems": "must have at most {} items",
    "maxProperties": "must have at most {} entries",
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "exclusiveMinimum": "must be more than {}",
    "exclusiveMaximum": "must be less than {}",
}


def wording(error: SchemaError) -> str:
    if error.validator == "enum":
        return f"must be {' or '.join(str(value) for value in error.validator_value)}"
    words = WORDS.get(error.validator)
    return words.format(error.validator_value) if words else "is not valid"


def as_told(wrong: Exception) -> FieldError:
    """Of what a JSON schema cannot say, or where the body is too large for it."""
    found = PLACE.search(str(wrong))
    steps = STEP.findall(found[1]) if found else []
    at = tuple(name or index for name, index in steps if index != "...")
    return FieldError(pointer(at), in_our_words(PLACE.sub("", str(wrong))))


def unique(errors: Iterable[FieldError]) -> Iterator[FieldError]:
    yield from dict.fromkeys(errors)


def pointer(at: Iterable[str | int]) -> str:
    """RFC 6901."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in at)


# What no JSON schema says


def null_characters(value: Any, at: Pointer) -> Iterator[FieldError]:
    """PostgreSQL cannot hold U+0000 in a text."""
    match value:
        case str() if "\0" in value:
            yield FieldError(pointer(at), "must not contain the character U+0000")
        case list():
            for index, item in enumerate(value):
                yield from null_characters(item, (*at, index))
        case dict():
            for name, item in value.items():
                yield from null_characters(name, at)
                yield from null_characters(item, (*at, name))


def misplaced_moments(value: Any, at: Pointer) -> Iterator[FieldError]:
    if isinstance(value, datetime):
        if not in_range(value):
            yield FieldError(pointer(at), f"must lie between {EARLIEST.year} and {LATEST.year}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from misplaced_moments(item, (*at, index))
    elif isinstance(value, msgspec.Struct):
        for name in fields_with_moments(type(value)):
            yield from misplaced_moments(getattr(value, name), (*at, name))


def in_range(moment: datetime) -> bool:
    return EARLIEST <= moment <= LATEST


@cache
def fields_with_moments(cls: type[msgspec.Struct]) -> tuple[str, ...]:
    described = msgspec.inspect.type_info(cls)
    assert isinstance(described, msgspec.inspect.StructType)
    return tuple(field.name for field in described.fields if holds_moments(field.type))


def holds_moments(described: msgspec.inspect.Type) -> bool:
    match described:
        case msgspec.inspect.DateTimeType():
            return True
        case msgspec.inspect.StructType():
            return any(holds_moments(field.type) for field in described.fields)
        case msgspec.inspect.ListType():
            return holds_moments(described.item_type)
        case msgspec.inspect.UnionType():
            return any(holds_moments(branch) for branch in described.types)
        case _:
            return False
