"""A vehicle's documents: submitted, then verified for a time, or rejected."""

from msgspec.structs import replace

from commands.context import Context
from commands.refusals import NotAnInterval, TooMany, UnknownDocument
from commands.registries import UnknownDocumentKind
from commands.vehicle_state import RegisteredVehicle, VehicleDocument
from schemas.ids import vehicle_subject
from schemas.message import DocumentId, NotInThisState, Personal, VehicleId
from schemas.vehicle import (
    MAX_VEHICLE_DOCUMENTS,
    RejectVehicleDocument,
    SubmitVehicleDocument,
    VehicleDocumentRejected,
    VehicleDocumentSubmitted,
    VehicleDocumentVerified,
    VehicleEvent,
    VerifyVehicleDocument,
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


def verify_document(vehicle: RegisteredVehicle, command: VerifyVehicleDocument) -> list[VehicleEvent]:
    document_id = DocumentId(command.document_id)
    document = known_document(vehicle, document_id)
    if command.expires_at <= command.valid_from:
        raise NotAnInterval(command.valid_from, command.expires_at)
    verified = VehicleDocumentVerified(
        document_id=document_id,
        kind=document.kind,
        valid_from=command.valid_from,
        expires_at=command.expires_at,
    )
    return [] if with_verified(vehicle, verified) == vehicle else [verified]


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
    verified = replace(document, status="verified", valid_from=event.valid_from, expires_at=event.expires_at)
    return with_document(vehicle, event.document_id, verified)


def with_rejected(vehicle: RegisteredVehicle, event: VehicleDocumentRejected) -> RegisteredVehicle:
    rejected = replace(vehicle.documents[event.document_id], status="rejected")
    return with_document(vehicle, event.document_id, rejected)


def with_document(vehicle: RegisteredVehicle, document_id: DocumentId, document: VehicleDocument) -> RegisteredVehicle:
    return replace(vehicle, documents={**vehicle.documents, document_id: document})
