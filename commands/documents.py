"""Documents, a rider's and a vehicle's alike: submitted, verified for a time or rejected, warned of before they end."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Literal

import msgspec
from msgspec.structs import replace

from commands.context import Context
from commands.refusals import NotAnInterval, TooMany, UnknownDocument
from commands.registries import UnknownDocumentKind
from schemas.message import DocumentId, Personal
from schemas.registries import DocumentOf
from schemas.rider import DocumentExpiryWarned, DocumentVerified, SubmitDocument, VerifyDocument
from schemas.validity import Span, covered
from schemas.vehicle import (
    SubmitVehicleDocument,
    VehicleDocumentExpiryWarned,
    VehicleDocumentVerified,
    VerifyVehicleDocument,
)

type DocumentStatus = Literal["submitted", "verified", "rejected"]


class Document(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """`number` is kept where a repeat is known by it."""

    kind: str
    number: Personal[str] | None = None
    status: DocumentStatus = "submitted"
    valid_from: datetime | None = None
    expires_at: datetime | None = None
    warn_at: datetime | None = None
    """Until somebody was warned."""


type Documents = Mapping[DocumentId, Document]


def must_be_of_a_kind(command: SubmitDocument | SubmitVehicleDocument, kinds: Collection[str]) -> None:
    if command.kind not in kinds:
        raise UnknownDocumentKind(command.kind, list(kinds))


def must_have_room(documents: Documents, most: int) -> None:
    if len(documents) >= most:
        raise TooMany("documents", most)


def known_document(documents: Documents, document_id: str) -> Document:
    document = documents.get(DocumentId(document_id))
    if document is None:
        raise UnknownDocument(DocumentId(document_id))
    return document


def verified[E: (DocumentVerified, VehicleDocumentVerified)](
    event: type[E],
    documents: Documents,
    command: VerifyDocument | VerifyVehicleDocument,
    context: Context,
) -> list[E]:
    """From `valid_from` on, however long ago that was."""
    document = known_document(documents, command.document_id)
    if command.expires_at <= command.valid_from:
        raise NotAnInterval(command.valid_from, command.expires_at)
    known = document.status, document.valid_from, document.expires_at
    if known == ("verified", command.valid_from, command.expires_at):
        return []
    of: DocumentOf = "rider" if isinstance(command, VerifyDocument) else "vehicle"
    told = event(
        document_id=DocumentId(command.document_id),
        kind=document.kind,
        valid_from=command.valid_from,
        expires_at=command.expires_at,
        warn_at=context.policy.warned_at(of, document.kind, command.expires_at),
    )
    return [told]


def warned[E: (DocumentExpiryWarned, VehicleDocumentExpiryWarned)](
    event: type[E], documents: Documents, document_id: DocumentId, now: datetime
) -> list[E]:
    """Once, when its time has come."""
    match documents.get(document_id):
        case Document(warn_at=datetime() as due, expires_at=datetime() as expires_at, kind=kind) if now >= due:
            until = covered(spans_of(documents, kind), now) or expires_at
            told = event(
                document_id=document_id, kind=kind, expires_at=expires_at, covered_until=max(until, expires_at)
            )
            return [told]
        case _:
            return []


def uncovered[E: (DocumentExpiryWarned, VehicleDocumentExpiryWarned)](
    event: type[E], before: Documents, after: Documents, now: datetime
) -> list[E]:
    """Warnings that were kept back while another took over, and are due now that none does."""
    return [
        event(document_id=document_id, kind=each.kind, expires_at=each.expires_at, covered_until=each.expires_at)
        for document_id, each in after.items()
        if each.status == "verified" and each.warn_at is None and each.expires_at is not None
        if taken_over(before, each.kind, each.expires_at, now)
        if not taken_over(after, each.kind, each.expires_at, now)
    ]


def taken_over(documents: Documents, kind: str, expires_at: datetime, now: datetime) -> bool:
    """Another is valid as this one ends, or is by now."""
    spans = spans_of(documents, kind)
    return any(covered(spans, at) is not None for at in (expires_at, max(expires_at, now)))


def spans_of(documents: Documents, kind: str) -> list[Span]:
    """When those of the kind that are verified are valid."""
    known = [d for d in documents.values() if d.kind == kind and d.status == "verified"]
    return [(d.valid_from, d.expires_at) for d in known if d.valid_from and d.expires_at]


def with_verified(documents: Documents, event: DocumentVerified | VehicleDocumentVerified) -> Documents:
    document = replace(
        documents[event.document_id],
        status="verified",
        valid_from=event.valid_from,
        expires_at=event.expires_at,
        warn_at=event.warn_at,
    )
    return {**documents, event.document_id: document}


def with_warned(documents: Documents, document_id: DocumentId) -> Documents:
    return {**documents, document_id: replace(documents[document_id], warn_at=None)}


def with_rejected(documents: Documents, document_id: DocumentId) -> Documents:
    return {**documents, document_id: replace(documents[document_id], status="rejected", warn_at=None)}
