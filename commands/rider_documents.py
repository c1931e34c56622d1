"""A rider's documents: submitted, verified for a time or rejected; and what is found out later."""

from datetime import datetime

from msgspec.structs import replace

from commands.context import Context
from commands.documents import (
    Document,
    Documents,
    known_document,
    must_be_of_a_kind,
    must_have_room,
    uncovered,
    verified,
    warned,
    with_rejected,
    with_verified,
)
from commands.refusals import InTheFuture, NotAnInterval
from commands.rider_state import Breach, RegisteredRider
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

BREACHES_KEPT = 20


def submit_document(rider: RegisteredRider, command: SubmitDocument, context: Context) -> list[RiderEvent]:
    must_be_of_a_kind(command, [kind.code for kind in context.policy.documents_of("rider")])
    document_id = DocumentId(command.document_id)
    if document_id in rider.documents:
        raise NotInThisState(needed="a new document_id", actual=rider.documents[document_id].status)
    must_have_room(rider.documents, MAX_DOCUMENTS)
    subject = rider_subject(RiderId(context.aggregate_id))
    number = Personal(subject, command.number) if command.number else None
    return [DocumentSubmitted(document_id=document_id, kind=command.kind, number=number)]


def verify_document(rider: RegisteredRider, command: VerifyDocument, context: Context) -> list[RiderEvent]:
    """With the warning that is due where what is verified anew takes over from another no more."""
    told = verified(DocumentVerified, rider.documents, command, context)
    return [
        *told,
        *(warning for each in told for warning in due_after(rider, with_verified(rider.documents, each), context)),
    ]


def warn_expiry(rider: RegisteredRider, command: WarnDocumentExpiry, context: Context) -> list[RiderEvent]:
    return [*warned(DocumentExpiryWarned, rider.documents, command.document_id, context.now)]


def reject_document(rider: RegisteredRider, command: RejectDocument, context: Context) -> list[RiderEvent]:
    if known_document(rider.documents, command.document_id).status == "rejected":
        return []
    rejected = DocumentRejected(document_id=command.document_id, reason_code=command.reason_code)
    return [rejected, *due_after(rider, with_rejected(rider.documents, command.document_id), context)]


def due_after(rider: RegisteredRider, documents: Documents, context: Context) -> list[DocumentExpiryWarned]:
    return uncovered(DocumentExpiryWarned, rider.documents, documents, context.now)


def report_breach(rider: RegisteredRider, command: ReportComplianceBreach, context: Context) -> list[RiderEvent]:
    if command.until <= command.since:
        raise NotAnInterval(command.since, command.until)
    if command.until > context.now:
        raise InTheFuture("until", command.until, context.now)
    document_id = DocumentId(command.document_id) if command.document_id else None
    if document_id is not None:
        known_document(rider.documents, document_id)
    if Breach(command.since, command.until, command.reason_code, document_id) in rider.breaches:
        return []
    found = ComplianceBreachFound(
        since=command.since,
        until=command.until,
        reason_code=command.reason_code,
        document_id=document_id,
        task_ids=tasks_between(rider, command.since, command.until),
    )
    return [found, *due_after(rider, with_breach(rider, found).documents, context)]


def tasks_between(rider: RegisteredRider, since: datetime, until: datetime) -> list[TaskId]:
    """Those the rider had at any time in the interval, each once, the earliest first."""
    over = [past.task_id for past in rider.past_tasks if past.since < until and past.until > since]
    now = [task for task, r in rider.reservations.items() if r.activated_at is not None and r.activated_at < until]
    return list(dict.fromkeys([*over, *now]))


def with_submitted(rider: RegisteredRider, event: DocumentSubmitted) -> RegisteredRider:
    return replace(rider, documents={**rider.documents, event.document_id: Document(kind=event.kind)})


def with_breach(rider: RegisteredRider, event: ComplianceBreachFound) -> RegisteredRider:
    breach = Breach(event.since, event.until, event.reason_code, event.document_id)
    found = replace(rider, breaches=(*rider.breaches, breach)[-BREACHES_KEPT:])
    if event.document_id is None:
        return found
    return replace(found, documents=with_rejected(found.documents, event.document_id))
