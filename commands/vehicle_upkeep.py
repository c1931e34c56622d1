"""What keeps a vehicle on the road: its odometer, its inspections, its maintenance."""

from datetime import datetime

from msgspec.structs import replace

from commands.context import Context
from commands.refusals import TooMany
from commands.vehicle_state import Maintenance, RegisteredVehicle, Vehicle
from schemas.message import MaintenanceId, NotInThisState, Refused
from schemas.vehicle import (
    MAX_OPEN_MAINTENANCE,
    CancelVehicleMaintenance,
    CompleteVehicleMaintenance,
    PlanVehicleMaintenance,
    RecordVehicleMaintenanceDue,
    ReportVehicleInspection,
    ReportVehicleOdometer,
    VehicleEvent,
    VehicleInspectionFailed,
    VehicleInspectionPassed,
    VehicleMaintenanceCancelled,
    VehicleMaintenanceCompleted,
    VehicleMaintenanceFellDue,
    VehicleMaintenancePlanned,
    VehicleOdometerReported,
)

REMEMBERED = 50
"""So many inspections, and so much closed maintenance, are known when they are told again."""


class NotYourVehicle(Refused):
    rule = "not-your-vehicle"

    def __init__(self, actor: str) -> None:
        super().__init__(f"the vehicle is not assigned to {actor}")
        self.actor = actor


class OdometerWentBack(Refused):
    rule = "odometer-went-back"
    stands_in = ("odometer_km",)

    def __init__(self, given_km: int, known_km: int) -> None:
        super().__init__(f"{given_km} km does not fit the {known_km} km that were read")
        self.given_km = given_km
        self.known_km = known_km


class DueMissing(Refused):
    rule = "due-missing"
    is_about = ("due_at",)

    def __init__(self) -> None:
        super().__init__("maintenance falls due at a date, at so many kilometres, or at what comes first")


class UnknownMaintenance(Refused):
    rule = "unknown-maintenance"
    stands_in = ("maintenance_id",)

    def __init__(self, maintenance_id: str) -> None:
        super().__init__(f"no maintenance {maintenance_id} was planned")
        self.maintenance_id = maintenance_id


def report_odometer(vehicle: RegisteredVehicle, command: ReportVehicleOdometer, context: Context) -> list[VehicleEvent]:
    reporter_allowed(vehicle, context)
    return odometer_read(vehicle, command.odometer_km, min(command.observed_at, context.now))


def report_inspection(
    vehicle: RegisteredVehicle, command: ReportVehicleInspection, context: Context
) -> list[VehicleEvent]:
    reporter_allowed(vehicle, context)
    if command.inspection_id in vehicle.inspections:
        return []
    at = min(command.observed_at, context.now)
    read = [] if command.odometer_km is None else odometer_read(vehicle, command.odometer_km, at)
    failed = any(defect.severity != "minor" for defect in command.defects)
    told = VehicleInspectionFailed if failed else VehicleInspectionPassed
    inspected = told(
        inspection_id=command.inspection_id,
        observed_at=at,
        odometer_km=command.odometer_km,
        defects=command.defects,
    )
    return [*read, inspected]


def reporter_allowed(vehicle: RegisteredVehicle, context: Context) -> None:
    if context.role == "rider" and context.actor != vehicle.rider_id:
        raise NotYourVehicle(context.actor)


def odometer_read(vehicle: RegisteredVehicle, km: int, at: datetime) -> list[VehicleEvent]:
    """A reading from before the latest one is no news; it may come late, but not be above it."""
    if vehicle.odometer_at is not None and at < vehicle.odometer_at:
        earlier_km, later_km, news = km, vehicle.odometer_km, False
    else:
        earlier_km, later_km, news = vehicle.odometer_km, km, km != vehicle.odometer_km
    if later_km < earlier_km:
        raise OdometerWentBack(km, vehicle.odometer_km)
    return [VehicleOdometerReported(odometer_km=km, observed_at=at), *due_by(vehicle, km)] if news else []


def due_by(vehicle: RegisteredVehicle, km: int) -> list[VehicleMaintenanceFellDue]:
    return [
        VehicleMaintenanceFellDue(maintenance_id=maintenance_id, trigger="distance")
        for maintenance_id, maintenance in vehicle.maintenance.items()
        if maintenance.status == "planned" and maintenance.due_km is not None and maintenance.due_km <= km
    ]


def plan_maintenance(
    vehicle: RegisteredVehicle, command: PlanVehicleMaintenance, context: Context
) -> list[VehicleEvent]:
    if command.due_at is None and command.due_km is None:
        raise DueMissing
    maintenance_id = MaintenanceId(command.maintenance_id)
    wanted = Maintenance(kind=command.kind, due_at=command.due_at, due_km=command.due_km)
    known = vehicle.maintenance.get(maintenance_id)
    if known is not None and not known.is_open:
        raise NotInThisState(needed="a new maintenance_id", actual=known.status)
    if known is not None and replace(known, status="planned") == wanted:
        return []
    if known is None and sum(each.is_open for each in vehicle.maintenance.values()) >= MAX_OPEN_MAINTENANCE:
        raise TooMany("open maintenance", MAX_OPEN_MAINTENANCE)
    planned = VehicleMaintenancePlanned(
        maintenance_id=maintenance_id, kind=command.kind, due_at=command.due_at, due_km=command.due_km
    )
    return [planned, *due_at_once(vehicle, planned, context.now)]


def due_at_once(
    vehicle: RegisteredVehicle, planned: VehicleMaintenancePlanned, now: datetime
) -> list[VehicleMaintenanceFellDue]:
    if planned.due_at is not None and planned.due_at <= now:
        return [VehicleMaintenanceFellDue(maintenance_id=planned.maintenance_id, trigger="date")]
    if planned.due_km is not None and planned.due_km <= vehicle.odometer_km:
        return [VehicleMaintenanceFellDue(maintenance_id=planned.maintenance_id, trigger="distance")]
    return []


def record_maintenance_due(
    vehicle: Vehicle, command: RecordVehicleMaintenanceDue, context: Context
) -> list[VehicleEvent]:
    if not isinstance(vehicle, RegisteredVehicle):
        return []
    match vehicle.maintenance.get(command.maintenance_id):
        case Maintenance(status="planned", due_at=datetime() as due_at) if context.now >= due_at:
            return [VehicleMaintenanceFellDue(maintenance_id=command.maintenance_id, trigger="date")]
        case _:
            return []


def complete_maintenance(vehicle: RegisteredVehicle, command: CompleteVehicleMaintenance) -> list[VehicleEvent]:
    maintenance_id = MaintenanceId(command.maintenance_id)
    match known_maintenance(vehicle, maintenance_id).status:
        case "completed":
            return []
        case "cancelled":
            raise NotInThisState(needed="planned or due", actual="cancelled")
        case _:
            return [VehicleMaintenanceCompleted(maintenance_id=maintenance_id)]


def cancel_maintenance(vehicle: RegisteredVehicle, command: CancelVehicleMaintenance) -> list[VehicleEvent]:
    maintenance_id = MaintenanceId(command.maintenance_id)
    match known_maintenance(vehicle, maintenance_id).status:
        case "cancelled":
            return []
        case "completed":
            raise NotInThisState(needed="planned or due", actual="completed")
        case _:
            return [VehicleMaintenanceCancelled(maintenance_id=maintenance_id, reason_code=command.reason_code)]


def known_maintenance(vehicle: RegisteredVehicle, maintenance_id: MaintenanceId) -> Maintenance:
    known = vehicle.maintenance.get(maintenance_id)
    if known is None:
        raise UnknownMaintenance(maintenance_id)
    return known


def with_reading(vehicle: RegisteredVehicle, event: VehicleOdometerReported) -> RegisteredVehicle:
    return replace(vehicle, odometer_km=event.odometer_km, odometer_at=event.observed_at)


def with_inspection(
    vehicle: RegisteredVehicle, event: VehicleInspectionPassed | VehicleInspectionFailed
) -> RegisteredVehicle:
    """One that is told after a later one is remembered, and decides nothing."""
    remembered = replace(vehicle, inspections=(*vehicle.inspections, event.inspection_id)[-REMEMBERED:])
    if vehicle.inspected_at is not None and event.observed_at < vehicle.inspected_at:
        return remembered
    failed = isinstance(event, VehicleInspectionFailed)
    return replace(remembered, inspected_at=event.observed_at, inspection_failed=failed)


def with_maintenance(vehicle: RegisteredVehicle, event: VehicleMaintenancePlanned) -> RegisteredVehicle:
    planned = Maintenance(kind=event.kind, due_at=event.due_at, due_km=event.due_km)
    return replace(vehicle, maintenance={**vehicle.maintenance, event.maintenance_id: planned})


def with_due(vehicle: RegisteredVehicle, event: VehicleMaintenanceFellDue) -> RegisteredVehicle:
    due = replace(vehicle.maintenance[event.maintenance_id], status="due")
    return replace(vehicle, maintenance={**vehicle.maintenance, event.maintenance_id: due})


def with_closed(
    vehicle: RegisteredVehicle, event: VehicleMaintenanceCompleted | VehicleMaintenanceCancelled
) -> RegisteredVehicle:
    """The open ones stand first, then the closed ones in their order; the oldest of those are forgotten."""
    status = "completed" if isinstance(event, VehicleMaintenanceCompleted) else "cancelled"
    rest = {key: each for key, each in vehicle.maintenance.items() if key != event.maintenance_id}
    open_ones = {key: each for key, each in rest.items() if each.is_open}
    closed = {key: each for key, each in rest.items() if not each.is_open}
    closed[event.maintenance_id] = replace(vehicle.maintenance[event.maintenance_id], status=status)
    return replace(vehicle, maintenance=open_ones | dict(list(closed.items())[-REMEMBERED:]))
