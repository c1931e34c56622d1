"""What the log holds of one person: sealed fields, and the artefacts that were taken where they were met."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from schemas import catalog
from schemas.keyring import Keyring
from schemas.message import Event, Personal, SubjectId, TenantSlug
from schemas.proof import ProofCaptured
from schemas.record import Envelope, Stored, envelope_of, event_of
from schemas.stop import Stop
from schemas.stop_events import DeliveryAttemptFailed

type StopOfTask = tuple[str, str]
"""Task and stop."""

WITH_ARTEFACTS = frozenset(catalog.BY_CLASS[cls].name for cls in (ProofCaptured, DeliveryAttemptFailed))


class Traces:
    """Takes every record of the log, each partition in its order. Opens what the keyring can."""

    def __init__(self, tenant: TenantSlug, subject: SubjectId, keyring: Keyring) -> None:
        self.records: dict[str, int] = {}
        """Topic → records that hold data of the person."""
        self.fields = 0
        self.opened = 0
        """Fields that a key still opens."""
        self.words: set[str] = set()
        """What stands in those: names, phone numbers, addresses."""
        self._tenant, self._subject, self._keyring = tenant, subject, keyring
        self._stops: set[StopOfTask] = set()
        self._artefacts: dict[str, set[StopOfTask]] = {}

    def take(self, stored: Stored) -> None:
        """Raises Unreadable."""
        if stored.is_control or stored.value is None:
            return
        concerned = self._subject.encode() in stored.value
        if not concerned and stored.header("ce_type") not in WITH_ARTEFACTS:
            return
        envelope = envelope_of(stored)
        if envelope.tenant != self._tenant:
            return
        event = event_of(stored, self._keyring.unsealer(stored.partition, envelope.tenant, envelope.aggregate_id))
        self._note_artefacts(event, envelope)
        found = list(data_of(event, self._subject)) if concerned else []
        if not found:
            return
        self.records[stored.topic] = self.records.get(stored.topic, 0) + 1
        self.fields += len(found)
        self.opened += sum(person.value is not None for person in found)
        self.words |= {word for person in found for word in words_in(person.value)}
        self._stops |= {(envelope.aggregate_id, stop.stop_id) for stop in stops_of(event, self._subject)}

    def artefacts(self) -> set[str]:
        """Hashes of what was taken at the person's stops, and at nobody else's."""
        return {digest for digest, taken_at in self._artefacts.items() if taken_at <= self._stops}

    def _note_artefacts(self, event: Event, envelope: Envelope) -> None:
        named: list[str | None] = []
        match event:
            case ProofCaptured():
                named = [event.sha256, event.kept_sha256]
            case DeliveryAttemptFailed():
                named = [*event.evidence]
            case _:
                return
        for digest in named:
            if digest is not None:
                self._artefacts.setdefault(digest, set()).add((envelope.aggregate_id, event.stop_id))


def parts_of(value: Any) -> Iterator[Any]:
    """The value and all that it holds."""
    yield value
    inside: Any = ()
    if isinstance(value, Personal):
        return
    if isinstance(value, msgspec.Struct):
        inside = (getattr(value, field) for field in value.__struct_fields__)
    elif isinstance(value, dict):
        inside = value.values()
    elif isinstance(value, (list, tuple)):
        inside = value
    for part in inside:
        yield from parts_of(part)


def data_of(event: Event, subject: SubjectId) -> Iterator[Personal[Any]]:
    return (part for part in parts_of(event) if isinstance(part, Personal) and part.subject == subject)


def stops_of(event: Event, subject: SubjectId) -> Iterator[Stop]:
    """Those where the person is met."""
    stops = (part for part in parts_of(event) if isinstance(part, Stop))
    return (stop for stop in stops if any(isinstance(p, Personal) and p.subject == subject for p in parts_of(stop)))


def words_in(value: Any) -> Iterator[str]:
    """A time is none: it stands beside what is sealed, too, and says nothing of who it was."""
    if isinstance(value, str):
        yield value
    elif value is not None:
        for part in parts_of(msgspec.to_builtins(value, builtin_types=(datetime,))):
            if isinstance(part, str):
                yield part
