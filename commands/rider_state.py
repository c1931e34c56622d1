"""What a rider is, folded from its events: may they work, are they at work, what lies ahead of them."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

import msgspec

from commands.documents import Documents, spans_of
from commands.hours import Duties
from schemas.geo import Location
from schemas.hours import HoursLimit
from schemas.itinerary import Placed, StopRef
from schemas.message import (
    DeviceId,
    DocumentId,
    GeofenceId,
    NotInThisState,
    OfferId,
    Personal,
    PlanId,
    ShiftId,
    StopId,
    TaskId,
    TenderId,
    VehicleId,
)
from schemas.rider import Employment, PlannedStop
from schemas.rider_vehicle import VehicleKind
from schemas.tender import Exclusion
from schemas.validity import shortfall
from schemas.vehicle_fitness import VehicleFitness

type RiderStatus = Literal["invited", "approved", "rejected", "suspended"]


class PlannedShift(msgspec.Struct, frozen=True, array_like=True, gc=False):
    starts_at: datetime
    ends_at: datetime


class Shift(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """`hours_limit` is that of the duty under way, gone once it was told of. `heard_at`: besides fixes and reports of
    tasks, which are not told here."""

    shift_id: ShiftId
    ends_at: datetime
    location: Personal[Location] | None
    heard_at: datetime
    ending: bool = False
    break_since: datetime | None = None
    hours_limit: HoursLimit | None = None


class Breach(msgspec.Struct, frozen=True, array_like=True, gc=False):
    since: datetime
    until: datetime
    reason_code: str
    document_id: DocumentId | None


class Reservation(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """Held until `hold_until`, then gone unless it is active; the task's stops are the rider's once it is."""

    round: int
    tender_id: TenderId | None
    offer_id: OfferId | None
    hold_until: datetime
    stops: tuple[PlannedStop, ...]
    activated_at: datetime | None = None
    removed: tuple[StopId, ...] = ()
    placed: tuple[Placed, ...] = ()
    """Where its stops go once it is active."""
    plan_id: PlanId | None = None

    @property
    def active(self) -> bool:
        return self.activated_at is not None


class Silence(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Nothing was heard since then; `asked` are the tasks, with the round, that are to be handed over for it."""

    since: datetime
    asked: Mapping[TaskId, int] = {}


class PastTask(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The rider had it from `since` up to `until`."""

    task_id: TaskId
    since: datetime
    until: datetime


class AssignedVehicle(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """As it has stated, by that number."""

    number: int
    fitness: VehicleFitness


class Unregistered(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    pass


class RegisteredRider(msgspec.Struct, frozen=True, kw_only=True, tag=True, array_like=True, gc=False):
    employment: Employment
    vehicle: VehicleKind
    capacity_g: int
    skills: tuple[str, ...] = ()
    zones: tuple[GeofenceId, ...] = ()
    """None: anywhere."""
    rating: float | None = None
    status: RiderStatus = "invited"
    documents: Documents = {}
    shift: Shift | None = None
    devices: Mapping[DeviceId, datetime] = {}
    reservations: Mapping[TaskId, Reservation] = {}
    itinerary: tuple[PlannedStop, ...] = ()
    itinerary_version: int = 0
    locked: StopRef | None = None
    """The next stop, where it is to stay that."""
    planned: Mapping[ShiftId, PlannedShift] = {}
    duties: Duties = ()
    """Of the last fortnight."""
    past_tasks: tuple[PastTask, ...] = ()
    """The latest that are over."""
    breaches: tuple[Breach, ...] = ()
    """Those that were reported last, by which a repeat is known."""
    handing_over: Mapping[TaskId, int] = {}
    """Tasks that are to be taken away, with the round, until it is known what became of that."""
    silence: Silence | None = None
    off_dispatch_for: Mapping[str, int] = {}
    """Open incidents that keep the rider off dispatch, each with the number of its record that asked for that."""
    vehicles: Mapping[VehicleId, AssignedVehicle] = {}
    """Those that were assigned to the rider."""
    dismissed: Mapping[str, str] = {}
    """Anomalies, with the reason."""
    simulated: bool = False
    """A test tenant's courier whom nobody has ever seen: always at work, and only for simulated tasks."""


type Rider = Unregistered | RegisteredRider


def registered(rider: Rider) -> RegisteredRider:
    if isinstance(rider, Unregistered):
        raise NotInThisState(needed="registered", actual="new")
    return rider


def not_compliant(
    rider: RegisteredRider, required_kinds: Iterable[str], at: datetime, until: datetime
) -> Exclusion | None:
    """Why the rider may not work from `at` up to `until`, judged by what is known of it now."""
    if rider.status == "suspended":
        return "suspended"
    if rider.status != "approved":
        return "not_approved"
    for kind in required_kinds:
        why_not = without_document(rider, kind, at, until)
        if why_not is not None:
            return why_not
    return None


def without_document(rider: RegisteredRider, kind: str, at: datetime, until: datetime) -> Exclusion | None:
    return shortfall(spans_of(rider.documents, kind), at, until)


def held(rider: RegisteredRider, at: datetime) -> Mapping[TaskId, Reservation]:
    """Reservations that still count: active, or their hold has not passed."""
    return {task: r for task, r in rider.reservations.items() if r.active or r.hold_until > at}


def with_goods(rider: RegisteredRider) -> list[TaskId]:
    """Tasks whose goods are aboard as far as the itinerary tells: a pickup is behind the rider, or none was ahead."""
    return [task_id for task_id, r in rider.reservations.items() if r.active and begun(r)]


def begun(reservation: Reservation) -> bool:
    pickups = {stop.stop_id for stop in reservation.stops if stop.kind == "pickup"}
    return not pickups or not pickups.isdisjoint(reservation.removed)
