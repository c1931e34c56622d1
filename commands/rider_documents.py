"""A rider's documents: submitted, verified for a time or rejected; and what is found out later."""

from datetime import datetime

from msgspec.structs import replace

from commands.context import Context
from commands.refusals import InTheFuture, NotAnInterval, TooMany, UnknownDocument
from commands.registries import UnknownDocumentKind
from commands.rider_state import Breach, DocumentState, RegisteredRider, spans_of
from schemas.ids import rider_subject
from schemas.message import DocumentId, NotInThisState, Personal, RiderId, TaskId
from schemas.rider import (
    MAX_DOCUMENTS,
    ComplianceBreachFound,
    DocumentExpiryWarned,
    DocumentRejected,
    DocumentSubmitted,
    DocumentVerified,
    RejectDocument,
    ReportComplianceBreach,
    RiderEvent,
    SubmitDocument,
    VerifyDocument,
    WarnDocumentExpiry,
)
from schemas.validity import covered

BREACHES_KEPT = 20


def submit_document(rider: RegisteredRider, command: SubmitDocument, context: Context) -> list[RiderEvent]:
    kinds = [kind.code for kind in context.policy.documents_of("rider")]
    if command.kind not in kinds:
        raise UnknownDocumentKind(command.kind, kinds)
    document_id = DocumentId(command.document_id)
    if document_id in rider.documents:
        raise NotInThisState(needed="a new document_id", actual=rider.documents[document_id].status)
    if len(rider.documents) >= MAX_DOCUMENTS:
        raise TooMany("documents", MAX_DOCUMENTS)
    subject = rider_subject(RiderId(context.aggregate_id))
    number = Personal(subject, command.number) if command.number else None
    return [DocumentSubmitted(document_id=document_id, kind=command.kind, number=number)]


def verify_document(rider: RegisteredRider, command: VerifyDocument, context: Context) -> list[RiderEvent]:
    """From `valid_from` on, however long ago that was."""
    document = known_document(rider, command.document_id)
    if command.expires_at <= command.valid_from:
        raise NotAnInterval(command.valid_from, command.expires_at)
    known = document.status, document.valid_from, document.expires_at
    if known == ("verified", command.valid_from, command.expires_at):
        return []
    verified = DocumentVerified(
        document_id=command.document_id,
        kind=document.kind,
        valid_from=command.valid_from,
        expires_at=command.expires_at,
        warn_at=context.policy.warned_at("rider", document.kind, command.expires_at),
    )
    return [verified]


def warn_expiry(rider: RegisteredRider, command: WarnDocumentExpiry, context: Context) -> list[RiderEvent]:
    """Once, when its time has come."""
    match rider.documents.get(command.document_id):
        case DocumentState(warn_at=datetime() as due, expires_at=datetime() as expires_at, kind=kind) if (
            context.now >= due
        ):
            until = covered(spans_of(rider, kind), context.now) or expires_at
            warned = DocumentExpiryWarned(
                document_id=command.document_id, kind=kind, expires_at=expires_at, covered_until=max(until, expires_at)
            )
            return [warned]
        case _:
            return []


def reject_document(rider: RegisteredRider, command: RejectDocument) -> list[RiderEvent]:
    if known_document(rider, command.document_id).status == "rejected":
        return []
    return [DocumentRejected(document_id=command.document_id, reason_code=command.reason_code)]


def report_breach(rider: RegisteredRider, command: ReportComplianceBreach, context: Context) -> list[RiderEvent]:
    if command.until <= command.since:
        raise NotAnInterval(command.since, command.until)
    if command.until > context.now:
        raise InTheFuture("until", command.until, context.now)
    document_id = DocumentId(command.document_id) if command.document_id else None
    if document_id is not None:
        known_document(rider, document_id)
    if Breach(command.since, command.until, command.reason_code, document_id) in rider.breaches:
        return []
    return [
        ComplianceBreachFound(
            since=command.since,
            until=command.until,
            reason_code=command.reason_code,
            document_id=document_id,
            task_ids=tasks_between(rider, command.since, command.until),
        )
    ]


def tasks_between(rider: RegisteredRider, since: datetime, until: datetime) -> list[TaskId]:
    """Those the rider had at any time in the interval, each once, the earliest first."""
    over = [past.task_id for past in rider.past_tasks if past.since < until and past.until > since]
    now = [task for task, r in rider.reservations.items() if r.activated_at is not None and r.activated_at < until]
    return list(dict.fromkeys([*over, *now]))


def known_document(rider: RegisteredRider, document_id: DocumentId) -> DocumentState:
    document = rider.documents.get(document_id)
    if document is None:
        raise UnknownDocument(document_id)
    return document


def with_submitted(rider: RegisteredRider, event: DocumentSubmitted) -> RegisteredRider:
    return with_document(rider, event.document_id, DocumentState(kind=event.kind))


def with_verified(rider: RegisteredRider, event: DocumentVerified) -> RegisteredRider:
    document = rider.documents[event.document_id]
    verified = replace(
        document,
        status="verified",
        valid_from=event.valid_from,
        expires_at=event.expires_at,
        warn_at=event.warn_at,
    )
    return with_document(rider, event.document_id, verified)


def with_warned(rider: RegisteredRider, event: DocumentExpiryWarned) -> RegisteredRider:
    return with_document(rider, event.document_id, replace(rider.documents[event.document_id], warn_at=None))


def with_rejected(rider: RegisteredRider, document_id: DocumentId) -> RegisteredRider:
    return with_document(rider, document_id, replace(rider.documents[document_id], status="rejected", warn_at=None))


def with_breach(rider: RegisteredRider, event: ComplianceBreachFound) -> RegisteredRider:
    breach = Breach(event.since, event.until, event.reason_code, event.document_id)
    found = replace(rider, breaches=(*rider.breaches, breach)[-BREACHES_KEPT:])
    return found if event.document_id is None else with_rejected(found, event.document_id)


def with_document(rider: RegisteredRider, document_id: DocumentId, document: DocumentState) -> RegisteredRider:
    return replace(rider, documents={**rider.documents, document_id: document})
