"""What a rider is, folded from its events: may they work, are they at work, what lies ahead of them."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

import msgspec

from schemas.directory import TenantRules
from schemas.geo import Location
from schemas.message import DeviceId, DocumentId, OfferId, Personal, ShiftId, StopId, TaskId, TenderId
from schemas.rider import DocumentKind, Employment, PlannedStop, VehicleKind
from schemas.tender import Exclusion

type RiderStatus = Literal["invited", "approved", "rejected", "suspended"]
type DocumentStatus = Literal["submitted", "verified", "rejected"]


class DocumentState(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    kind: DocumentKind
    status: DocumentStatus = "submitted"
    valid_from: datetime | None = None
    expires_at: datetime | None = None


class Shift(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    shift_id: ShiftId
    ends_at: datetime
    location: Personal[Location] | None
    ending: bool = False


class Reservation(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """Held until `hold_until`, then gone unless it is active; the task's stops are the rider's once it is."""

    round: int
    tender_id: TenderId | None
    offer_id: OfferId | None
    hold_until: datetime
    stops: tuple[PlannedStop, ...]
    active: bool = False
    removed: tuple[StopId, ...] = ()


class Unregistered(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    pass


class RegisteredRider(msgspec.Struct, frozen=True, kw_only=True, tag=True, array_like=True, gc=False):
    employment: Employment
    vehicle: VehicleKind
    capacity_g: int
    status: RiderStatus = "invited"
    documents: Mapping[DocumentId, DocumentState] = {}
    shift: Shift | None = None
    devices: Mapping[DeviceId, datetime] = {}
    reservations: Mapping[TaskId, Reservation] = {}
    itinerary: tuple[PlannedStop, ...] = ()
    itinerary_version: int = 0


type Rider = Unregistered | RegisteredRider


def not_compliant(rider: RegisteredRider, rules: TenantRules, at: datetime) -> Exclusion | None:
    """Why the rider may not work at this moment, judged by what is known of it now."""
    if rider.status == "suspended":
        return "suspended"
    if rider.status != "approved":
        return "not_approved"
    for kind in rules.required_documents:
        known = [d for d in rider.documents.values() if d.kind == kind and d.status == "verified"]
        if not known:
            return "document_missing"
        if not any(valid(document, at) for document in known):
            return "document_expired"
    return None


def valid(document: DocumentState, at: datetime) -> bool:
    if document.valid_from is None or document.expires_at is None:
        return False
    return document.valid_from <= at < document.expires_at


def held(rider: RegisteredRider, at: datetime) -> Mapping[TaskId, Reservation]:
    """Reservations that still count: active, or their hold has not passed."""
    return {task: r for task, r in rider.reservations.items() if r.active or r.hold_until > at}


def peak_load_g(stops: Iterable[PlannedStop]) -> int:
    """The heaviest the vehicle gets along these stops, in grams; what is dropped first was aboard before."""
    loads, load = [0], 0
    for stop in stops:
        load += stop.load_g
        loads.append(load)
    aboard = -min(loads)
    return max(loads) + aboard
