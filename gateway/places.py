"""Where in a command's body stands what a refusal speaks of: each rule says in which fields, see `Refused`."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from functools import cache
from typing import Any

import msgspec

from gateway.problems import FieldError
from gateway.validation import MAX_ERRORS, pointer
from schemas.message import Command, Refused

type Steps = tuple[str | int, ...]
type Fields = tuple[frozenset[str], tuple[str, ...]]

NUMBERED = ("stops", "parcels")
OF_NOTHING: Fields = (frozenset(), ())


class Node(msgspec.Struct, frozen=True):
    """`beside` are the other fields of what it is a field of; what stands in a list goes by the list's name."""

    at: Steps
    name: str
    value: Any
    beside: Mapping[str, Any]


def places_of(refused: Refused, command: Command) -> list[FieldError]:
    """The one that it points to itself; else those where one of its values stands: the likeliest, by what stands beside
    them. Else the field that the rule speaks of as a whole, and nothing where the command has no such field: then it
    speaks of what was told before."""
    stands_in, is_about = fields_by_rule().get(refused.rule, OF_NOTHING)
    nodes = list(nodes_of(command))
    values = refused.values()
    told = [
        node for node in nodes if node.name in stands_in and any(same(node.value, each) for each in values.values())
    ]
    found = [node for node in nodes if "pointer" in values and pointer(node.at) == values["pointer"]][:1]
    found = found or likeliest(told, values) or [node for node in nodes if node.name == values.get("field")][:1]
    found = found or [node for node in nodes if is_meant(node, is_about, values)]
    found = found or [node for word in is_about for node in nodes if node.name == word][:1]
    return [FieldError(pointer(node.at), str(refused)) for node in found[:MAX_ERRORS]]


def place_like(refused: Refused, command: Command) -> list[FieldError]:
    """Of a refusal that is made up: where its value would stand in a command like this one."""
    told = [
        node
        for word in refused.stands_in
        for node in nodes_of(command)
        if node.name == word and not isinstance(node.value, list | msgspec.Struct | None)
    ]
    return places_of(refused, command) or [FieldError(pointer(node.at), str(refused)) for node in told[:1]]


def is_meant(node: Node, is_about: tuple[str, ...], values: Mapping[str, object]) -> bool:
    """A stop or parcel that was given no id goes by its number."""
    word = node.name.removesuffix("s")
    if node.name not in is_about or node.name not in NUMBERED or not isinstance(node.at[-1], int):
        return False
    return getattr(node.value, f"{word}_id", "") is None and values.get(f"{word}_id") == f"{word}-{node.at[-1] + 1}"


def same(value: Any, told: object) -> bool:
    """What another process told of a time is its text."""
    if isinstance(value, datetime) and isinstance(told, str):
        with suppress(ValueError):
            return value == datetime.fromisoformat(told)
    return bool(value == told)


def likeliest(nodes: list[Node], values: Mapping[str, object]) -> list[Node]:
    if not nodes:
        return []
    marks = [(sum(node.beside.get(name) == values[name] for name in values), -len(node.at)) for node in nodes]
    best = max(marks)
    return [node for node, mark in zip(nodes, marks, strict=True) if mark == best]


def nodes_of(value: Any, at: Steps = (), name: str = "", beside: Mapping[str, Any] | None = None) -> Iterator[Node]:
    """The nearest to the root first among those of one name."""
    if at:
        yield Node(at, name, value, beside or {})
    if isinstance(value, msgspec.Struct):
        fields = {field.encode_name: getattr(value, field.name) for field in msgspec.structs.fields(value)}
        for word, inner in fields.items():
            yield from nodes_of(inner, (*at, word), word, fields)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from nodes_of(inner, (*at, place), name, beside)


@cache
def fields_by_rule() -> Mapping[str, Fields]:
    """By the rule's word, since a refusal that was told by another process has nothing else of its class."""
    found: dict[str, Fields] = {}
    for cls in refusals(Refused):
        stands_in, is_about = found.get(cls.rule, OF_NOTHING)
        found[cls.rule] = (stands_in.union(cls.stands_in), tuple(dict.fromkeys((*is_about, *cls.is_about))))
    return found


def refusals(cls: type[Refused]) -> Iterator[type[Refused]]:
    yield cls
    for inner in cls.__subclasses__():
        yield from refusals(inner)
