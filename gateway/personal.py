"""Personal data as an answer shows them: in the clear, `hidden` from this reader, or `erased` for ever."""

import base64
from typing import Any

import msgspec

from schemas.codec import Unseal
from schemas.keyring import Keyring
from schemas.message import ERASED, HIDDEN, SubjectId
from schemas.partition import partition_of


class Opener:
    """Opens what is sealed in one aggregate's row, and remembers whose data it opened."""

    def __init__(self, unseal: Unseal) -> None:
        self._unseal = unseal
        self.subjects: set[str] = set()

    def shown(self, sealed: dict[str, Any]) -> Any:
        opened = self._unseal(SubjectId(sealed["subject"]), sealed["field"], base64.b64decode(sealed["sealed"]))
        if opened is None:
            return ERASED
        self.subjects.add(sealed["subject"])
        return msgspec.json.decode(opened)


def opener(keyring: Keyring, partitions: int, tenant: str, aggregate_id: str) -> Opener:
    return Opener(keyring.unsealer(partition_of(aggregate_id, partitions), tenant, aggregate_id))


def is_sealed(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"subject", "field", "sealed"}


def shown(value: Any, by: Opener | None) -> Any:
    """A row's value with its personal data opened; hidden without an opener."""
    if is_sealed(value):
        return HIDDEN if by is None else by.shown(value)
    if isinstance(value, dict):
        return {name: shown(item, by) for name, item in value.items()}
    if isinstance(value, list):
        return [shown(item, by) for item in value]
    return value


def subjects_only(value: Any) -> Any:
    """A fact's body for those who follow the feed: whose data stand there, not what they say."""
    if is_sealed(value):
        return {"subject": value["subject"]}
    if isinstance(value, dict):
        return {name: subjects_only(item) for name, item in value.items()}
    if isinstance(value, list):
        return [subjects_only(item) for item in value]
    return value
