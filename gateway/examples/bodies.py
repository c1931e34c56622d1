"""Of each command one body at least, as whoever sends it would write it."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import msgspec

from gateway.examples import carriers, directory, field, incidents, recurrences, riders, tasks, vehicles
from schemas.message import Command

type Json = dict[str, Any]


class Body(msgspec.Struct, frozen=True):
    """`summary` says what it tells."""

    name: str
    summary: str
    command: Command

    @property
    def value(self) -> Json:
        told = shortest(self.command)
        assert isinstance(told, dict)
        return told


def bodies() -> Mapping[type[Command], list[Body]]:
    found: dict[type[Command], list[Body]] = {}
    rooms = (tasks, recurrences, field, riders, vehicles, carriers, incidents, directory)
    for summary, command in chain.from_iterable(group.items() for room in rooms for group in room.EXAMPLES):
        known = found.setdefault(type(command), [])
        known.append(Body(f"{type(command).__name__}.{len(known) + 1}", summary, command))
    return found


def every_body() -> Iterator[Body]:
    yield from chain.from_iterable(BODIES.values())


def shortest(value: Any) -> Any:
    """As JSON, without what is at its default."""
    match value:
        case msgspec.Struct():
            config = value.__struct_config__
            tag = {config.tag_field: config.tag} if config.tag_field else {}
            given = [field for field in msgspec.structs.fields(value) if getattr(value, field.name) != default(field)]
            return tag | {field.encode_name: shortest(getattr(value, field.name)) for field in given}
        case list() | tuple():
            return [shortest(each) for each in value]
        case _:
            return msgspec.to_builtins(value)


def default(field: msgspec.structs.FieldInfo) -> Any:
    """NODEFAULT where it has none."""
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


BODIES = bodies()
