"""A vehicle's documents: submitted, then verified for a time, or rejected."""

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
from commands.vehicle_state import RegisteredVehicle, Vehicle
from schemas.ids import vehicle_subject
from schemas.message import DocumentId, NotInThisState, Personal, VehicleId
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
    must_be_of_a_kind(command, [kind.code for kind in context.policy.documents_of("vehicle")])
    document_id = DocumentId(command.document_id)
    known = vehicle.documents.get(document_id)
    if known is not None:
        if (known.kind, context.opened(known.number, str)) == (command.kind, command.number):
            return []
        raise NotInThisState(needed="a new document_id", actual=known.status)
    must_have_room(vehicle.documents, MAX_VEHICLE_DOCUMENTS)
    subject = vehicle_subject(VehicleId(context.aggregate_id))
    number = Personal(subject, command.number) if command.number else None
    return [VehicleDocumentSubmitted(document_id=document_id, kind=command.kind, number=number)]


def verify_document(vehicle: RegisteredVehicle, command: VerifyVehicleDocument, context: Context) -> list[VehicleEvent]:
    """With the warning that is due where what is verified anew takes over from another no more."""
    told = verified(VehicleDocumentVerified, vehicle.documents, command, context)
    return [
        *told,
        *(warning for each in told for warning in due_after(vehicle, with_verified(vehicle.documents, each), context)),
    ]


def warn_expiry(vehicle: Vehicle, command: WarnVehicleDocumentExpiry, context: Context) -> list[VehicleEvent]:
    if not isinstance(vehicle, RegisteredVehicle):
        return []
    return [*warned(VehicleDocumentExpiryWarned, vehicle.documents, command.document_id, context.now)]


def to_be_warned_of(vehicle: RegisteredVehicle) -> list[DocumentId]:
    return [document_id for document_id, document in vehicle.documents.items() if document.warn_at is not None]


def reject_document(vehicle: RegisteredVehicle, command: RejectVehicleDocument, context: Context) -> list[VehicleEvent]:
    document_id = DocumentId(command.document_id)
    if known_document(vehicle.documents, document_id).status == "rejected":
        return []
    rejected = VehicleDocumentRejected(document_id=document_id, reason_code=command.reason_code)
    return [rejected, *due_after(vehicle, with_rejected(vehicle.documents, document_id), context)]


def due_after(vehicle: RegisteredVehicle, documents: Documents, context: Context) -> list[VehicleDocumentExpiryWarned]:
    return uncovered(VehicleDocumentExpiryWarned, vehicle.documents, documents, context.now)


def with_submitted(vehicle: RegisteredVehicle, event: VehicleDocumentSubmitted) -> RegisteredVehicle:
    document = Document(kind=event.kind, number=event.number)
    return replace(vehicle, documents={**vehicle.documents, event.document_id: document})
