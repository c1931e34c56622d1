"""Vehicle: registered, assigned to one rider at a time while it is fit, grounded and back, one day retired."""

from typing import assert_never, get_args

from msgspec.structs import replace

from commands.context import Context
from commands.documents import with_rejected, with_verified, with_warned
from commands.vehicle_documents import (
    reject_document,
    submit_document,
    to_be_warned_of,
    verify_document,
    warn_expiry,
    with_submitted,
)
from commands.vehicle_fitness import confirm_fitness, with_statement, with_statements
from commands.vehicle_state import (
    RegisteredVehicle,
    RetiredVehicle,
    Unregistered,
    Vehicle,
    registered,
    status_of,
    unfit,
    without_document,
)
from commands.vehicle_upkeep import (
    cancel_maintenance,
    complete_maintenance,
    plan_maintenance,
    record_maintenance_due,
    report_inspection,
    report_odometer,
    with_closed,
    with_due,
    with_inspection,
    with_maintenance,
    with_reading,
)
from schemas.ids import vehicle_subject
from schemas.message import NotInThisState, OutletSlug, Personal, Refused, RiderId, VehicleId
from schemas.vehicle import (
    AssignVehicle,
    CancelVehicleMaintenance,
    ChangeVehicleOutfit,
    CompleteVehicleMaintenance,
    ConfirmVehicleFitness,
    ConfirmVehicleRegistered,
    GroundVehicle,
    PlanVehicleMaintenance,
    RecordVehicleMaintenanceDue,
    RegisterVehicle,
    RejectVehicleDocument,
    ReleaseVehicle,
    ReportVehicleInspection,
    ReportVehicleOdometer,
    RetireVehicle,
    ReturnVehicleToService,
    SubmitVehicleDocument,
    Temperature,
    Unfitness,
    VehicleAssigned,
    VehicleCommand,
    VehicleDocumentExpiryWarned,
    VehicleDocumentRejected,
    VehicleDocumentSubmitted,
    VehicleDocumentVerified,
    VehicleEvent,
    VehicleFitnessStated,
    VehicleGrounded,
    VehicleInspectionFailed,
    VehicleInspectionPassed,
    VehicleMaintenanceCancelled,
    VehicleMaintenanceCompleted,
    VehicleMaintenanceFellDue,
    VehicleMaintenancePlanned,
    VehicleOdometerReported,
    VehicleOutfitChanged,
    VehicleRegistered,
    VehicleReleased,
    VehicleRetired,
    VehicleReturnedToService,
    VerifyVehicleDocument,
    WarnVehicleDocumentExpiry,
)


class VehicleUnfit(Refused):
    rule = "vehicle-unfit"

    def __init__(self, code: Unfitness, document_kind: str | None = None) -> None:
        """`document_kind` where it is for want of a document."""
        super().__init__(f"the vehicle may not drive: {code}{f' ({document_kind})' if document_kind else ''}")
        self.code = code
        if document_kind is not None:
            self.document_kind = document_kind


class VehicleTaken(Refused):
    rule = "vehicle-taken"

    def __init__(self, rider_id: RiderId) -> None:
        super().__init__(f"rider {rider_id} has the vehicle")
        self.rider_id = rider_id


def decide(vehicle: Vehicle, command: VehicleCommand, context: Context) -> list[VehicleEvent]:
    """With what it means for the rider who has the vehicle."""
    return with_statements(vehicle, decided(vehicle, command, context), evolve)


def decided(vehicle: Vehicle, command: VehicleCommand, context: Context) -> list[VehicleEvent]:
    match command:
        case RegisterVehicle():
            return register_vehicle(vehicle, command, context)
        case ChangeVehicleOutfit():
            return change_outfit(registered(vehicle), command)
        case SubmitVehicleDocument():
            return submit_document(registered(vehicle), command, context)
        case VerifyVehicleDocument():
            return verify_document(registered(vehicle), command, context)
        case WarnVehicleDocumentExpiry():
            return warn_expiry(vehicle, command, context)
        case RejectVehicleDocument():
            return reject_document(registered(vehicle), command, context)
        case AssignVehicle():
            return assign_vehicle(registered(vehicle), command, context)
        case ReleaseVehicle():
            return released(registered(vehicle), command.reason_code)
        case ReportVehicleOdometer():
            return report_odometer(registered(vehicle), command, context)
        case ReportVehicleInspection():
            return report_inspection(registered(vehicle), command, context)
        case GroundVehicle():
            return ground_vehicle(registered(vehicle), command)
        case ReturnVehicleToService():
            return return_to_service(registered(vehicle))
        case PlanVehicleMaintenance():
            return plan_maintenance(registered(vehicle), command, context)
        case RecordVehicleMaintenanceDue():
            return record_maintenance_due(vehicle, command, context)
        case CompleteVehicleMaintenance():
            return complete_maintenance(registered(vehicle), command)
        case CancelVehicleMaintenance():
            return cancel_maintenance(registered(vehicle), command)
        case ConfirmVehicleRegistered():
            return []
        case ConfirmVehicleFitness():
            return confirm_fitness(registered(vehicle), command)
        case RetireVehicle():
            return retire_vehicle(vehicle, command)
        case _:
            assert_never(command)


def register_vehicle(vehicle: Vehicle, command: RegisterVehicle, context: Context) -> list[VehicleEvent]:
    if not isinstance(vehicle, Unregistered):
        raise NotInThisState(needed="new", actual=status_of(vehicle))
    policy = context.policy
    if command.outlet is not None:
        policy.outlet(command.outlet)
    subject = vehicle_subject(VehicleId(context.aggregate_id))
    return [
        VehicleRegistered(
            kind=command.kind,
            plate=Personal(subject, command.plate) if command.plate else None,
            capacity=command.capacity,
            range_km=command.range_km,
            temperatures=in_order(command.temperatures),
            outlet=OutletSlug(command.outlet) if command.outlet else None,
            odometer_km=command.odometer_km,
            external_reference=command.external_reference,
            source=command.source or context.actor,
            metadata=command.metadata,
        )
    ]


def change_outfit(vehicle: RegisteredVehicle, command: ChangeVehicleOutfit) -> list[VehicleEvent]:
    changed = VehicleOutfitChanged(
        capacity=command.capacity,
        range_km=command.range_km,
        temperatures=in_order(command.temperatures),
    )
    return [] if with_outfit(vehicle, changed) == vehicle else [changed]


def in_order(temperatures: list[Temperature]) -> list[Temperature]:
    """Each once, so that the same outfit always reads the same."""
    return [each for each in get_args(Temperature) if each in temperatures]


def assign_vehicle(vehicle: RegisteredVehicle, command: AssignVehicle, context: Context) -> list[VehicleEvent]:
    rider_id = RiderId(command.rider_id)
    if vehicle.rider_id == rider_id:
        return []
    if vehicle.rider_id is not None:
        raise VehicleTaken(vehicle.rider_id)
    required = context.policy.required_documents_of("vehicle")
    why_not = unfit(vehicle, required, context.now)
    if why_not is not None:
        short = next((kind for kind in required if without_document(vehicle, kind, context.now) == why_not), None)
        raise VehicleUnfit(why_not, short)
    return [VehicleAssigned(rider_id=rider_id)]


def released(vehicle: RegisteredVehicle, reason_code: str) -> list[VehicleEvent]:
    if vehicle.rider_id is None:
        return []
    return [VehicleReleased(rider_id=vehicle.rider_id, reason_code=reason_code)]


def ground_vehicle(vehicle: RegisteredVehicle, command: GroundVehicle) -> list[VehicleEvent]:
    """Who has it keeps it: it may be far from home, with goods in it."""
    if vehicle.grounded:
        return []
    return [VehicleGrounded(reason_code=command.reason_code, note=command.note)]


def return_to_service(vehicle: RegisteredVehicle) -> list[VehicleEvent]:
    return [VehicleReturnedToService()] if vehicle.grounded else []


def retire_vehicle(vehicle: Vehicle, command: RetireVehicle) -> list[VehicleEvent]:
    """No rider is left with it, and no deadline waits for it any more."""
    if isinstance(vehicle, RetiredVehicle):
        return []
    vehicle = registered(vehicle)
    cancelled = (
        VehicleMaintenanceCancelled(maintenance_id=maintenance_id, reason_code=command.reason_code)
        for maintenance_id, maintenance in vehicle.maintenance.items()
        if maintenance.is_open
    )
    return [
        *released(vehicle, command.reason_code),
        *cancelled,
        VehicleRetired(reason_code=command.reason_code, document_ids=to_be_warned_of(vehicle)),
    ]


def evolve(vehicle: Vehicle, event: VehicleEvent) -> Vehicle:
    if isinstance(event, VehicleRegistered):
        return vehicle_of(event)
    assert isinstance(vehicle, RegisteredVehicle), f"a registered vehicle, not {vehicle}"
    match event:
        case VehicleOutfitChanged():
            return with_outfit(vehicle, event)
        case VehicleDocumentSubmitted():
            return with_submitted(vehicle, event)
        case VehicleDocumentVerified():
            return replace(vehicle, documents=with_verified(vehicle.documents, event))
        case VehicleDocumentExpiryWarned():
            return replace(vehicle, documents=with_warned(vehicle.documents, event.document_id))
        case VehicleDocumentRejected():
            return replace(vehicle, documents=with_rejected(vehicle.documents, event.document_id))
        case VehicleAssigned():
            return replace(vehicle, rider_id=event.rider_id)
        case VehicleReleased():
            return replace(vehicle, rider_id=None)
        case VehicleOdometerReported():
            return with_reading(vehicle, event)
        case VehicleInspectionPassed() | VehicleInspectionFailed():
            return with_inspection(vehicle, event)
        case VehicleGrounded():
            return replace(vehicle, grounded=True)
        case VehicleReturnedToService():
            return replace(vehicle, grounded=False)
        case VehicleMaintenancePlanned():
            return with_maintenance(vehicle, event)
        case VehicleMaintenanceFellDue():
            return with_due(vehicle, event)
        case VehicleMaintenanceCompleted() | VehicleMaintenanceCancelled():
            return with_closed(vehicle, event)
        case VehicleFitnessStated():
            return with_statement(vehicle, event)
        case VehicleRetired():
            return RetiredVehicle(vehicle.outlet)
        case _:
            assert_never(event)


def vehicle_of(event: VehicleRegistered) -> RegisteredVehicle:
    return RegisteredVehicle(
        kind=event.kind,
        capacity=event.capacity,
        range_km=event.range_km,
        temperatures=tuple(event.temperatures),
        outlet=event.outlet,
        odometer_km=event.odometer_km,
    )


def with_outfit(vehicle: RegisteredVehicle, event: VehicleOutfitChanged) -> RegisteredVehicle:
    return replace(vehicle, capacity=event.capacity, range_km=event.range_km, temperatures=tuple(event.temperatures))
