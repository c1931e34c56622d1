"""A tenant's registries: what they are set to, and what a code stands for."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Protocol, assert_never

import msgspec
from msgspec.structs import replace

from schemas.message import NotInDirectory, Refused
from schemas.registries import (
    DOCUMENT_KINDS,
    FAILURE_REASONS,
    INCIDENT_KINDS,
    DocumentKind,
    DocumentKindsSet,
    FailureReason,
    FailureReasonsSet,
    IncidentKind,
    IncidentKindsSet,
    RegistryCommand,
    RegistryEvent,
    SetDocumentKinds,
    SetFailureReasons,
    SetIncidentKinds,
)


class DuplicateCode(Refused):
    rule = "duplicate-code"
    stands_in = ("code", "duty", "outlets", "pauses", "currencies", "capabilities", "postal_prefixes")

    def __init__(self, code: str) -> None:
        super().__init__(f"{code} is given more than once")
        self.code = code


class UnknownCode(NotInDirectory):
    """`known` are the codes of the registry in force."""

    what = "code"

    def __init__(self, code: str, known: list[str]) -> None:
        super().__init__(f"there is no {self.what} {code}; known are {', '.join(known)}")
        self.code = code
        self.known = known


class UnknownFailureReason(UnknownCode):
    rule = "unknown-failure-reason"
    stands_in = ("reason_code",)
    what = "failure reason"


class UnknownIncidentKind(UnknownCode):
    rule = "unknown-incident-kind"
    stands_in = ("kind",)
    what = "kind of incident"


class UnknownDocumentKind(UnknownCode):
    rule = "unknown-document-kind"
    stands_in = ("kind", "required_documents")
    what = "kind of document"


class Registries(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a tenant has set of its own; None where the defaults are in force."""

    own_failure_reasons: list[FailureReason] | None = None
    own_incident_kinds: list[IncidentKind] | None = None
    own_document_kinds: list[DocumentKind] | None = None

    @property
    def failure_reasons(self) -> Sequence[FailureReason]:
        return self.own_failure_reasons or FAILURE_REASONS

    @property
    def incident_kinds(self) -> Sequence[IncidentKind]:
        return self.own_incident_kinds or INCIDENT_KINDS

    @property
    def document_kinds(self) -> Sequence[DocumentKind]:
        return self.own_document_kinds or DOCUMENT_KINDS


class Entry(Protocol):
    @property
    def code(self) -> str: ...


def entry_of[E: Entry](code: str, entries: Sequence[E], unknown: type[UnknownCode]) -> E:
    """Raises `unknown`."""
    for entry in entries:
        if entry.code == code:
            return entry
    raise unknown(code, [entry.code for entry in entries])


def set_registry(registries: Registries, command: RegistryCommand) -> list[RegistryEvent]:
    """Raises DuplicateCode."""
    fresh = as_set(command)
    return [] if with_registry(registries, fresh) == registries else [fresh]


def as_set(command: RegistryCommand) -> RegistryEvent:
    """Raises DuplicateCode."""
    match command:
        case SetFailureReasons():
            each_once(reason.code for reason in command.reasons)
            return FailureReasonsSet(reasons=command.reasons)
        case SetIncidentKinds():
            each_once(kind.code for kind in command.kinds)
            return IncidentKindsSet(kinds=command.kinds)
        case SetDocumentKinds():
            each_once(kind.code for kind in command.kinds)
            return DocumentKindsSet(kinds=command.kinds)
        case _:
            assert_never(command)


def with_registry(registries: Registries, event: RegistryEvent) -> Registries:
    match event:
        case FailureReasonsSet():
            return replace(registries, own_failure_reasons=event.reasons or None)
        case IncidentKindsSet():
            return replace(registries, own_incident_kinds=event.kinds or None)
        case DocumentKindsSet():
            return replace(registries, own_document_kinds=event.kinds or None)
        case _:
            assert_never(event)


def each_once(codes: Iterable[str]) -> None:
    """Raises DuplicateCode for the first that stands there again."""
    for code, times in Counter(codes).items():
        if times > 1:
            raise DuplicateCode(code)
