"""What a vehicle is, folded from its events: may it drive, who has it, what care does it need."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

import msgspec

from commands.documents import Documents, spans_of
from schemas.load import Capacity
from schemas.message import MaintenanceId, NotInThisState, OutletSlug, RiderId
from schemas.vehicle import Temperature, Unfitness, VehicleKind

type VehicleStatus = Literal["available", "assigned", "grounded", "retired"]
type MaintenanceStatus = Literal["planned", "due", "completed", "cancelled"]


class Maintenance(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    kind: str
    due_at: datetime | None
    due_km: int | None
    status: MaintenanceStatus = "planned"

    @property
    def is_open(self) -> bool:
        return self.status in ("planned", "due")


class Unregistered(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    pass


class RegisteredVehicle(msgspec.Struct, frozen=True, kw_only=True, tag=True, array_like=True, gc=False):
    kind: VehicleKind
    capacity: Capacity
    range_km: int | None
    temperatures: tuple[Temperature, ...]
    outlet: OutletSlug | None
    odometer_km: int
    odometer_at: datetime | None = None
    rider_id: RiderId | None = None
    grounded: bool = False
    documents: Documents = {}
    inspections: tuple[str, ...] = ()
    """Those that were reported last, by which a repeat is known."""
    inspected_at: datetime | None = None
    inspection_failed: bool = False
    maintenance: Mapping[MaintenanceId, Maintenance] = {}
    """All that is open, and what was closed last, by which a repeat is known."""
    statements: int = 0
    """Of its fitness, to who has it."""


class RetiredVehicle(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    outlet: OutletSlug | None


type Vehicle = Unregistered | RegisteredVehicle | RetiredVehicle


def is_over(vehicle: Vehicle) -> bool:
    return isinstance(vehicle, RetiredVehicle)


def status_of(vehicle: Vehicle) -> VehicleStatus | Literal["new"]:
    """A grounded vehicle may still be with its rider."""
    match vehicle:
        case Unregistered():
            return "new"
        case RetiredVehicle():
            return "retired"
        case RegisteredVehicle(grounded=True):
            return "grounded"
        case RegisteredVehicle():
            return "available" if vehicle.rider_id is None else "assigned"


def registered(vehicle: Vehicle) -> RegisteredVehicle:
    if not isinstance(vehicle, RegisteredVehicle):
        raise NotInThisState(needed="registered, not retired", actual=status_of(vehicle))
    return vehicle


def unfit(vehicle: RegisteredVehicle | RetiredVehicle, required_kinds: Iterable[str], at: datetime) -> Unfitness | None:
    """Why the vehicle may not drive at this moment, judged by what is known of it now."""
    if isinstance(vehicle, RetiredVehicle):
        return "retired"
    if vehicle.grounded:
        return "grounded"
    if vehicle.inspection_failed:
        return "inspection_failed"
    for kind in required_kinds:
        why_not = without_document(vehicle, kind, at)
        if why_not is not None:
            return why_not
    if any(overdue(maintenance, at) for maintenance in vehicle.maintenance.values()):
        return "maintenance_overdue"
    return None


def without_document(vehicle: RegisteredVehicle, kind: str, at: datetime) -> Unfitness | None:
    spans = spans_of(vehicle.documents, kind)
    if not spans:
        return "document_missing"
    return None if any(valid_from <= at < expires_at for valid_from, expires_at in spans) else "document_expired"


def overdue(maintenance: Maintenance, at: datetime) -> bool:
    """Whether or not somebody has said so: a deadline may fire late."""
    if maintenance.status == "due":
        return True
    return maintenance.status == "planned" and maintenance.due_at is not None and maintenance.due_at <= at
