"""Personal data in a read model: as sealed as on the log, with what is needed to open them."""

import base64
from typing import Any

import msgspec

from schemas.codec import Unseal
from schemas.message import Personal, SubjectId


class Sealed(msgspec.Struct, frozen=True):
    """`field` and the row's tenant, aggregate and partition are what the value was sealed for."""

    subject: SubjectId
    field: str
    sealed: str
    """Base64."""


def sealed(person: Personal[Any] | None, field: str) -> Sealed | None:
    """`field` is the record and its field, such as `Contact.name`."""
    if person is None:
        return None
    return Sealed(person.subject, field, base64.b64encode(person.sealed).decode())


def told(value: Any, struct: str = "", field: str = "") -> Any:
    """A message as plain values for jsonb: personal data as `Sealed`, named by the record that holds them."""
    if isinstance(value, Personal):
        return msgspec.to_builtins(sealed(value, f"{struct}.{field}"))
    if isinstance(value, msgspec.Struct):
        name = type(value).__name__
        fields = {f: told(getattr(value, f), name, f) for f in value.__struct_fields__}
        tag = value.__struct_config__.tag
        return fields if tag is None else {str(value.__struct_config__.tag_field): tag} | fields
    if isinstance(value, dict):
        return {key: told(item, struct, field) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [told(item, struct, field) for item in value]
    return msgspec.to_builtins(value)


def opened[T](value: Sealed, unseal: Unseal, tp: type[T]) -> T | None:
    """The person's data while their key exists; None once they are forgotten."""
    plain = unseal(value.subject, value.field, base64.b64decode(value.sealed))
    return None if plain is None else msgspec.json.decode(plain, type=tp)
