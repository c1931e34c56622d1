"""How a type becomes Avro: its schema, and how a value is written and read.

Closed sets are strings, moments are timestamp-micros, unions of records are told apart by name, and personal data
leave this room sealed: `Sealed{subject, sealed}`, where `sealed` is the JSON of the value, encrypted.
"""

import types
from collections.abc import Callable
from datetime import datetime
from typing import (
    Annotated,
    Any,
    Literal,
    NewType,
    TypeAliasType,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec

from schemas.message import Personal, SubjectId

type Seal = Callable[[SubjectId, str, bytes], bytes]
"""(subject, field, plain) → sealed. Raises KeyError where the subject's key is not at hand."""
type Unseal = Callable[[SubjectId, str, bytes], bytes | None]
"""(subject, field, sealed) → plain, or None where the subject is forgotten."""
type Write = Callable[[Any, Seal], Any]
type Read = Callable[[Any, Unseal | None], Any]
type Sealing = Callable[[Any, Seal], Any]
"""The same value with its personal data sealed."""

SEALED = {
    "type": "record",
    "name": "Sealed",
    "doc": "Personal data of a subject, encrypted under the subject's key (AES-256-GCM: nonce, then ciphertext).",
    "fields": [{"name": "subject", "type": "string"}, {"name": "sealed", "type": "bytes"}],
}
PRIMITIVES: dict[object, object] = {
    str: "string",
    int: "long",
    float: "double",
    bool: "boolean",
    bytes: "bytes",
    datetime: {"type": "long", "logicalType": "timestamp-micros"},
}


class Codec(msgspec.Struct, frozen=True):
    """`write` and `read` of None: the value is the same in Avro. `sealing` of None: nothing in it is personal."""

    schema: Any
    write: Write | None = None
    read: Read | None = None
    sealing: Sealing | None = None


class Unwritable(TypeError):
    """A type that has no place in a stored message."""


class Compiler:
    """Compiles the types of one schema; a record is defined where it first occurs and named afterwards."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.named: dict[str, Codec] = {}

    def codec(self, tp: Any, field: str) -> Codec:
        """`field` names the place for the encryption's additional data: the record and its field."""
        tp = plain(tp)
        if tp in PRIMITIVES:
            return Codec(PRIMITIVES[tp])
        origin, args = get_origin(tp), get_args(tp)
        if origin is Literal:
            return Codec("string")
        if origin is Personal:
            return self.personal(args[0], field)
        if origin is list:
            return array(self.codec(args[0], field))
        if origin is tuple:
            return tuple_of(self.codec(args[0], field), len(args))
        if origin is dict:
            return Codec({"type": "map", "values": self.codec(args[1], field).schema})
        if origin in (Union, types.UnionType):
            return self.union(args, field)
        if isinstance(tp, type) and issubclass(tp, msgspec.Struct):
            return self.record(tp)
        raise Unwritable(f"{field}: {tp!r}")

    def personal(self, value: Any, field: str) -> Codec:
        decode = msgspec.json.Decoder(value).decode
        encode = msgspec.json.encode

        def write(person: Personal[Any], seal: Seal) -> Any:
            sealed = person.sealed
            if not sealed and person.value is not None:
                sealed = seal(person.subject, field, encode(person.value))
            return {"subject": person.subject, "sealed": sealed}

        def read(raw: Any, unseal: Unseal | None) -> Any:
            subject, sealed = raw["subject"], raw["sealed"]
            if unseal is None:
                return Personal(subject, None, sealed, field)
            opened = unseal(subject, field, sealed) if sealed else None
            return Personal(subject, None if opened is None else decode(opened))

        def sealing(person: Personal[Any], seal: Seal) -> Any:
            if person.value is None:
                assert person.field in (field, ""), f"{person.field} is sealed, and would not open as {field}"
                return Personal(person.subject, None, person.sealed, field)
            return Personal(person.subject, None, seal(person.subject, field, encode(person.value)), field)

        return Codec(self.once("Sealed", SEALED), write, read, sealing)

    def once(self, name: str, schema: Any) -> Any:
        if name in self.named:
            return f"{self.namespace}.{name}"
        self.named[name] = Codec(schema)
        return schema

    def union(self, args: tuple[Any, ...], field: str) -> Codec:
        members = [arg for arg in args if arg is not type(None)]
        if len(members) == 1:
            return nullable(self.codec(members[0], field), self.record_name(members[0]))
        return self.one_of(members, with_null=len(members) < len(args))

    def record_name(self, tp: Any) -> str | None:
        """The Avro name under which the type is a record, if it is one."""
        opened = plain(tp)
        if get_origin(opened) is Personal:
            return f"{self.namespace}.Sealed"
        is_record = isinstance(opened, type) and issubclass(opened, msgspec.Struct)
        return f"{self.namespace}.{opened.__name__}" if is_record else None

    def one_of(self, members: list[Any], *, with_null: bool) -> Codec:
        codecs: dict[Any, Codec] = {member: self.record(member) for member in members}
        names = {f"{self.namespace}.{member.__name__}": codec for member, codec in codecs.items()}

        def write(value: Any, seal: Seal) -> Any:
            if value is None:
                return None
            codec = codecs[type(value)]
            assert codec.write is not None
            return (f"{self.namespace}.{type(value).__name__}", codec.write(value, seal))

        def read(raw: Any, unseal: Unseal | None) -> Any:
            if raw is None:
                return None
            name, fields = raw
            codec = names[name]
            assert codec.read is not None
            return codec.read(fields, unseal)

        def sealing(value: Any, seal: Seal) -> Any:
            inner = None if value is None else codecs[type(value)].sealing
            return value if inner is None else inner(value, seal)

        schemas = [codec.schema for codec in codecs.values()]
        personal = any(codec.sealing for codec in codecs.values())
        return Codec(["null", *schemas] if with_null else schemas, write, read, sealing if personal else None)

    def record(self, cls: type[msgspec.Struct]) -> Codec:
        name = cls.__name__
        if name in self.named:
            known = self.named[name]
            return Codec(f"{self.namespace}.{name}", known.write, known.read, known.sealing)
        hints = get_type_hints(cls, include_extras=True)
        fields = {f: self.codec(hints[f], f"{name}.{f}") for f in cls.__struct_fields__}
        codec = (
            Codec(record_schema(cls, fields), writer(fields), reader(cls, fields), record_sealing(fields))
            if fields
            else fieldless(cls)
        )
        self.named[name] = codec
        return codec


def plain(tp: Any) -> Any:
    """The type without its alias, its NewType and its annotations."""
    while True:
        if isinstance(tp, TypeAliasType):
            tp = tp.__value__
        elif isinstance(tp, NewType):
            tp = tp.__supertype__
        elif get_origin(tp) is Annotated:
            tp = get_args(tp)[0]
        else:
            return tp


def record_schema(cls: type[msgspec.Struct], fields: dict[str, Codec]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "record", "name": cls.__name__}
    if cls.__doc__:
        schema["doc"] = " ".join(cls.__doc__.split())
    schema["fields"] = [field_schema(name, codec.schema) for name, codec in fields.items()]
    return schema


def fieldless(cls: type[msgspec.Struct]) -> Codec:
    """With one byte all the same: stock readers refuse a value of none (confluent-kafka 2.16, AvroDeserializer)."""
    schema = record_schema(cls, {"nothing": Codec(["null", "string"])})
    return Codec(schema, lambda value, seal: {"nothing": None}, lambda raw, unseal: cls())


def field_schema(name: str, schema: Any) -> dict[str, Any]:
    field = {"name": name, "type": schema}
    if isinstance(schema, list) and schema[0] == "null":
        field["default"] = None
    return field


def writer(fields: dict[str, Codec]) -> Write:
    same = tuple(name for name, codec in fields.items() if codec.write is None)
    written = tuple((name, codec.write) for name, codec in fields.items() if codec.write is not None)

    def write(value: Any, seal: Seal) -> Any:
        out = {name: getattr(value, name) for name in same}
        for name, inner in written:
            out[name] = inner(getattr(value, name), seal)
        return out

    return write


def reader(cls: type[msgspec.Struct], fields: dict[str, Codec]) -> Read:
    changed = tuple((name, codec.read) for name, codec in fields.items() if codec.read is not None)

    def read(raw: Any, unseal: Unseal | None) -> Any:
        for name, inner in changed:
            raw[name] = inner(raw[name], unseal)
        return cls(**raw)

    return read


def record_sealing(fields: dict[str, Codec]) -> Sealing | None:
    personal = tuple((name, codec.sealing) for name, codec in fields.items() if codec.sealing is not None)
    if not personal:
        return None

    def sealing(value: msgspec.Struct, seal: Seal) -> msgspec.Struct:
        return msgspec.structs.replace(value, **{name: inner(getattr(value, name), seal) for name, inner in personal})

    return sealing


def array(item: Codec) -> Codec:
    schema = {"type": "array", "items": item.schema}
    if item.write is None or item.read is None:
        return Codec(schema)
    inner_write, inner_read, inner_sealing = item.write, item.read, item.sealing

    def write(values: Any, seal: Seal) -> Any:
        return [inner_write(value, seal) for value in values]

    def read(raw: Any, unseal: Unseal | None) -> Any:
        return [inner_read(value, unseal) for value in raw]

    def sealing(values: Any, seal: Seal) -> Any:
        assert inner_sealing is not None
        return [inner_sealing(value, seal) for value in values]

    return Codec(schema, write, read, sealing if inner_sealing else None)


def tuple_of(item: Codec, length: int) -> Codec:
    def write(value: Any, seal: Seal) -> Any:
        return list(value)

    def read(raw: Any, unseal: Unseal | None) -> Any:
        assert len(raw) == length, f"a tuple of {length}"
        return tuple(raw)

    return Codec({"type": "array", "items": item.schema}, write, read)


def nullable(inner: Codec, name: str | None) -> Codec:
    """A record in a union is written with its name, which spares fastavro from trying the branches."""
    schema = ["null", inner.schema]
    if inner.write is None or inner.read is None:
        return Codec(schema)
    inner_write, inner_read, inner_sealing = inner.write, inner.read, inner.sealing

    def write(value: Any, seal: Seal) -> Any:
        if value is None:
            return None
        written = inner_write(value, seal)
        return written if name is None else (name, written)

    def read(raw: Any, unseal: Unseal | None) -> Any:
        return None if raw is None else inner_read(raw, unseal)

    def sealing(value: Any, seal: Seal) -> Any:
        return value if value is None or inner_sealing is None else inner_sealing(value, seal)

    return Codec(schema, write, read, sealing if inner_sealing else None)
