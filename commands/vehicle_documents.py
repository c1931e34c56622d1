"""A vehicle's documents: submitted, then verified for a time, or rejected."""

from datetime import datetime

from msgspec.structs import replace

from commands.context import Context
from commands.refusals import NotAnInterval, TooMany, UnknownDocument
from commands.registries import UnknownDocumentKind
from commands.vehicle_state import RegisteredVehicle, Vehicle, VehicleDocument
from schemas.ids import vehicle_subject
from schemas.message import DocumentId, NotInThisState, Personal, VehicleId
from schemas.validity import Span, covered
from schemas.vehicle import (
    MAX_VEHICLE_DOCUMENTS,
    RejectVehicleDocument,
    SubmitVehicleDocument,
    VehicleDocumentExpiryWarned,
    VehicleDocumentRejected,
    VehicleDocumentSubmitted,
    VehicleDocumentVerified,
    VehicleEvent,
    VerifyVehicleDocument,
    WarnVehicleDocumentExpiry,
)


def submit_document(vehicle: RegisteredVehicle, command: SubmitVehicleDocument, context: Context) -> list[VehicleEvent]:
    kinds = [kind.code for kind in context.policy.documents_of("vehicle")]
    if command.kind not in kinds:
        raise UnknownDocumentKind(command.kind, kinds)
    document_id = DocumentId(command.document_id)
    known = vehicle.documents.get(document_id)
    if known is not None:
        if (known.kind, context.opened(known.number, str)) == (command.kind, command.number):
            return []
        raise NotInThisState(needed="a new document_id", actual=known.status)
    if len(vehicle.documents) >= MAX_VEHICLE_DOCUMENTS:
        raise TooMany("documents", MAX_VEHICLE_DOCUMENTS)
    subject = vehicle_subject(VehicleId(context.aggregate_id))
    number = Personal(subject, command.number) if command.number else None
    return [VehicleDocumentSubmitted(document_id=document_id, kind=command.kind, number=number)]


def verify_document(vehicle: RegisteredVehicle, command: VerifyVehicleDocument, context: Context) -> list[VehicleEvent]:
    document_id = DocumentId(command.document_id)
    document = known_document(vehicle, document_id)
    if command.expires_at <= command.valid_from:
        raise NotAnInterval(command.valid_from, command.expires_at)
    known = document.status, document.valid_from, document.expires_at
    if known == ("verified", command.valid_from, command.expires_at):
        return []
    verified = VehicleDocumentVerified(
        document_id=document_id,
        kind=document.kind,
        valid_from=command.valid_from,
        expires_at=command.expires_at,
        warn_at=context.policy.warned_at("vehicle", document.kind, command.expires_at),
    )
    return [verified]


def warn_expiry(vehicle: Vehicle, command: WarnVehicleDocumentExpiry, context: Context) -> list[VehicleEvent]:
    """Once, when its time has come."""
    if not isinstance(vehicle, RegisteredVehicle):
        return []
    match vehicle.documents.get(command.document_id):
        case VehicleDocument(warn_at=datetime() as due, expires_at=datetime() as expires_at, kind=kind) if (
            context.now >= due
        ):
            until = covered(spans_of(vehicle, kind), context.now) or expires_at
            warned = VehicleDocumentExpiryWarned(
                document_id=command.document_id, kind=kind, expires_at=expires_at, covered_until=max(until, expires_at)
            )
            return [warned]
        case _:
            return []


def spans_of(vehicle: RegisteredVehicle, kind: str) -> list[Span]:
    """When those of the kind that are verified are valid."""
    known = [d for d in vehicle.documents.values() if d.kind == kind and d.status == "verified"]
    return [(d.valid_from, d.expires_at) for d in known if d.valid_from and d.expires_at]


def to_be_warned_of(vehicle: RegisteredVehicle) -> list[DocumentId]:
    return [document_id for document_id, document in vehicle.documents.items() if document.warn_at is not None]


def reject_document(vehicle: RegisteredVehicle, command: RejectVehicleDocument) -> list[VehicleEvent]:
    document_id = DocumentId(command.document_id)
    if known_document(vehicle, document_id).status == "rejected":
        return []
    return [VehicleDocumentRejected(document_id=document_id, reason_code=command.reason_code)]


def known_document(vehicle: RegisteredVehicle, document_id: DocumentId) -> VehicleDocument:
    document = vehicle.documents.get(document_id)
    if document is None:
        raise UnknownDocument(document_id)
    return document


def with_submitted(vehicle: RegisteredVehicle, event: VehicleDocumentSubmitted) -> RegisteredVehicle:
    return with_document(vehicle, event.document_id, VehicleDocument(kind=event.kind, number=event.number))


def with_verified(vehicle: RegisteredVehicle, event: VehicleDocumentVerified) -> RegisteredVehicle:
    document = vehicle.documents[event.document_id]
    verified = replace(
        document,
        status="verified",
        valid_from=event.valid_from,
        expires_at=event.expires_at,
        warn_at=event.warn_at,
    )
    return with_document(vehicle, event.document_id, verified)


def with_warned(vehicle: RegisteredVehicle, event: VehicleDocumentExpiryWarned) -> RegisteredVehicle:
    return with_document(vehicle, event.document_id, replace(vehicle.documents[event.document_id], warn_at=None))


def with_rejected(vehicle: RegisteredVehicle, event: VehicleDocumentRejected) -> RegisteredVehicle:
    rejected = replace(vehicle.documents[event.document_id], status="rejected", warn_at=None)
    return with_document(vehicle, event.document_id, rejected)


def with_document(vehicle: RegisteredVehicle, document_id: DocumentId, document: VehicleDocument) -> RegisteredVehicle:
    return replace(vehicle, documents={**vehicle.documents, document_id: document})
