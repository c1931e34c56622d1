"""Who are the riders, may they work, are they at work, and what have they to do?"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from projections.model import Fact, Key, ReadModel, by_aggregate
from projections.page import Page
from projections.sealed import Sealed, sealed, told
from schemas.catalog import members_of
from schemas.hours import HoursLimit
from schemas.itinerary import StopRef
from schemas.load import Load
from schemas.rider import (
    MAX_PLANNED_SHIFTS,
    BreakEnded,
    BreakStarted,
    ComplianceBreachFound,
    DeviceBound,
    DeviceUnbound,
    DocumentRejected,
    DocumentSubmitted,
    DocumentVerified,
    HoursLimitWarned,
    ItineraryResequenced,
    ItineraryStopsInserted,
    ItineraryStopsRemoved,
    NextStopLocked,
    NextStopUnlocked,
    PlannedWindowChanged,
    ReservationActivated,
    ReservationReleased,
    RiderApproved,
    RiderEvent,
    RiderFellSilent,
    RiderHeardAgain,
    RiderRated,
    RiderRegistered,
    RiderReinstated,
    RiderRejected,
    RiderReserved,
    RiderReturnedToDispatch,
    RiderSkillsSet,
    RiderSuspended,
    RiderTakenOffDispatch,
    RiderZonesSet,
    ShiftEnded,
    ShiftEnding,
    ShiftPlanned,
    ShiftStarted,
    TaskHandOverClosed,
    TaskHandOverRequested,
    VehicleFitnessChanged,
)
from schemas.vehicle_fitness import VehicleFitness

BREACHES_SHOWN = 20
LATEST_TASKS = 5

TABLE = """
CREATE TABLE {table} (
    tenant             text        NOT NULL,
    rider_id           text        NOT NULL,
    name               jsonb       NOT NULL,
    phone              jsonb,
    status             text        NOT NULL,
    employment         text        NOT NULL,
    vehicle            text        NOT NULL,
    capacity_g         bigint      NOT NULL,
    skills             jsonb       NOT NULL,
    zones              jsonb       NOT NULL,
    rating             double precision,
    documents          jsonb       NOT NULL,
    devices            jsonb       NOT NULL,
    shift              jsonb,
    on_shift           boolean     NOT NULL,
    on_break           boolean     NOT NULL,
    planned_shifts     jsonb       NOT NULL,
    breaches           jsonb       NOT NULL,
    reservations       jsonb       NOT NULL,
    active_tasks       bigint      NOT NULL,
    latest_tasks       jsonb       NOT NULL,
    itinerary          jsonb       NOT NULL,
    itinerary_version  bigint      NOT NULL,
    locked_stop        jsonb,
    silent_since       timestamptz,
    asked_in_silence   jsonb       NOT NULL,
    handing_over       jsonb       NOT NULL,
    off_dispatch_for   jsonb       NOT NULL,
    vehicles           jsonb       NOT NULL,
    simulated          boolean     NOT NULL,
    external_reference text,
    metadata           jsonb       NOT NULL,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    version            bigint      NOT NULL,
    PRIMARY KEY (tenant, rider_id)
);
CREATE INDEX ON {table} (tenant, created_at, rider_id);
CREATE INDEX ON {table} (tenant) WHERE active_tasks > 0 OR silent_since IS NOT NULL;
CREATE INDEX ON {table} (tenant, rider_id) WHERE simulated
"""


class DocumentRow(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    status: str
    valid_from: datetime | None = None
    expires_at: datetime | None = None


class PlannedShiftRow(msgspec.Struct, frozen=True, kw_only=True):
    starts_at: datetime
    ends_at: datetime


class BreachRow(msgspec.Struct, frozen=True, kw_only=True):
    since: datetime
    until: datetime
    reason_code: str
    document_id: str | None
    task_ids: list[str]


class ShiftRow(msgspec.Struct, frozen=True, kw_only=True):
    shift_id: str
    started_at: datetime
    ends_at: datetime
    ending: bool = False
    location: Sealed | None = None
    break_since: datetime | None = None
    heard_at: datetime
    """Besides fixes and reports of tasks."""
    hours_limit: HoursLimit | None = None
    """Of the duty under way: when it must end, and by which rule."""
    hours_warned: bool = False


class ReservationRow(msgspec.Struct, frozen=True, kw_only=True):
    round: int
    hold_until: datetime
    active: bool = False
    activated_at: datetime | None = None
    loads: list[Load] = []
    """What each of its stops adds to the load."""


class RiderRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    rider_id: str
    name: Sealed | None
    phone: Sealed | None
    status: str
    employment: str
    vehicle: str
    capacity_g: int
    skills: list[str]
    zones: list[str]
    rating: float | None = None
    documents: Mapping[str, DocumentRow] = {}
    devices: Mapping[str, datetime] = {}
    shift: ShiftRow | None = None
    on_shift: bool = False
    on_break: bool = False
    planned_shifts: Mapping[str, PlannedShiftRow] = {}
    breaches: list[BreachRow] = []
    """The latest that were found, the last one last."""
    reservations: Mapping[str, ReservationRow] = {}
    active_tasks: int = 0
    latest_tasks: list[str] = []
    """Of those that they are through with, or that were taken away; the last one last."""
    itinerary: list[dict[str, Any]] = []
    itinerary_version: int = 0
    locked_stop: StopRef | None = None
    """The first of them, where it is to stay that."""
    silent_since: datetime | None = None
    """When something was heard last of a rider who is silent."""
    asked_in_silence: Mapping[str, int] = {}
    """Tasks, with the round, that were to be handed over for it."""
    handing_over: Mapping[str, int] = {}
    """Tasks, with the round, of which it is not known yet what became of that."""
    off_dispatch_for: list[str] = []
    """Open incidents for which they are asked for no new task (`incident_open`)."""
    vehicles: Mapping[str, VehicleFitness] = {}
    """Assigned to the rider, as they have stated."""
    simulated: bool = False
    """Nobody whom one could meet: a test tenant's courier, and only for simulated tasks."""
    external_reference: str | None
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime
    version: int


def apply(row: RiderRow | None, fact: Fact, key: Key) -> RiderRow:
    if isinstance(fact.event, RiderRegistered):
        row = registered(fact.event, fact)
    assert row is not None, "a rider's first event registers them"
    row = changed(row, fact)
    return replace(
        row,
        on_shift=row.shift is not None and not row.shift.ending,
        on_break=row.shift is not None and row.shift.break_since is not None,
        active_tasks=sum(r.active for r in row.reservations.values()),
        updated_at=fact.source.recorded_at,
        version=fact.source.version,
    )


def registered(event: RiderRegistered, fact: Fact) -> RiderRow:
    return RiderRow(
        tenant=fact.source.tenant,
        rider_id=fact.source.aggregate_id,
        name=sealed(event.name, "RiderRegistered.name"),
        phone=sealed(event.phone, "RiderRegistered.phone"),
        status="invited",
        employment=event.employment,
        vehicle=event.vehicle,
        capacity_g=event.capacity_g,
        skills=event.skills,
        zones=[*event.zones],
        simulated=event.simulated,
        external_reference=event.external_reference,
        metadata=event.metadata,
        created_at=fact.source.recorded_at,
        updated_at=fact.source.recorded_at,
        version=fact.source.version,
    )


def changed(row: RiderRow, fact: Fact) -> RiderRow:
    match fact.event:
        case RiderSkillsSet() as event:
            return replace(row, skills=event.skills)
        case RiderZonesSet() as event:
            return replace(row, zones=[*event.zones])
        case RiderRated() as event:
            return replace(row, rating=event.rating)
        case RiderApproved():
            return replace(row, status="approved")
        case RiderReinstated():
            return replace(row, status="approved", off_dispatch_for=[])
        case RiderTakenOffDispatch() as event:
            return replace(row, off_dispatch_for=[*row.off_dispatch_for, event.incident_id])
        case RiderReturnedToDispatch() as event:
            return replace(row, off_dispatch_for=[i for i in row.off_dispatch_for if i != event.incident_id])
        case RiderRejected():
            return replace(row, status="rejected")
        case RiderSuspended():
            return spoken_to(replace(row, status="suspended", off_dispatch_for=[]))
        case DocumentSubmitted() as event:
            return with_document(row, event.document_id, DocumentRow(kind=event.kind, status="submitted"))
        case DocumentVerified() as event:
            verified = DocumentRow(
                kind=event.kind, status="verified", valid_from=event.valid_from, expires_at=event.expires_at
            )
            return with_document(row, event.document_id, verified)
        case DocumentRejected() as event:
            return with_rejected(row, event.document_id)
        case ComplianceBreachFound() as event:
            return with_breach(row, event)
        case VehicleFitnessChanged() as event:
            return with_vehicle(row, event)
        case DeviceBound() as event:
            return replace(row, devices={**row.devices, event.device_id: event.valid_from})
        case DeviceUnbound() as event:
            return replace(row, devices={d: at for d, at in row.devices.items() if d != event.device_id})
        case _:
            return with_work(with_duty(with_silence(row, fact), fact), fact)


def with_silence(row: RiderRow, fact: Fact) -> RiderRow:
    match fact.event:
        case RiderFellSilent() as event:
            return replace(row, silent_since=event.since)
        case RiderHeardAgain() as event:
            assert row.shift is not None, "silence ends with the shift"
            return with_shift(spoken_to(row), heard_at=max(row.shift.heard_at, event.heard_at))
        case TaskHandOverRequested() as event:
            asked = {event.task_id: event.round}
            if event.reason_code == "rider_silent" and row.silent_since is not None:
                row = replace(row, asked_in_silence={**row.asked_in_silence, **asked})
            return replace(row, handing_over={**row.handing_over, **asked})
        case TaskHandOverClosed() as event:
            rest = {task: task_round for task, task_round in row.handing_over.items() if task != event.task_id}
            return replace(row, handing_over=rest)
        case ShiftEnded():
            return spoken_to(row)
        case _:
            return row


def spoken_to(row: RiderRow) -> RiderRow:
    """Or it does not matter any more that they are silent."""
    return replace(row, silent_since=None, asked_in_silence={})


def with_duty(row: RiderRow, fact: Fact) -> RiderRow:
    match fact.event:
        case ShiftPlanned() as event:
            return with_planned(row, event)
        case BreakStarted() as event:
            at = event.started_at
            return with_shift(row, break_since=at, heard_at=at, hours_limit=None, hours_warned=False)
        case BreakEnded() as event:
            return with_shift(row, break_since=None, heard_at=event.ended_at, hours_limit=event.hours_limit)
        case HoursLimitWarned():
            return with_shift(row, hours_warned=True)
        case ShiftEnding():
            return with_shift(row, ending=True)
        case _:
            return row


def with_work(row: RiderRow, fact: Fact) -> RiderRow:
    match fact.event:
        case ShiftStarted() as event:
            shift = ShiftRow(
                shift_id=event.shift_id,
                started_at=event.started_at,
                ends_at=event.ends_at,
                location=sealed(event.location, "ShiftStarted.location"),
                heard_at=event.started_at,
                hours_limit=event.hours_limit,
            )
            ahead = {
                shift_id: plan
                for shift_id, plan in row.planned_shifts.items()
                if shift_id != event.shift_id and plan.ends_at > event.started_at
            }
            return replace(row, shift=shift, planned_shifts=ahead)
        case ShiftEnded():
            return replace(row, shift=None)
        case RiderReserved() as event:
            loads = [stop.load for stop in event.stops]
            held = ReservationRow(round=event.round, hold_until=event.hold_until, loads=loads)
            return replace(row, reservations={**row.reservations, event.task_id: held})
        case ReservationActivated() as event:
            active = replace(row.reservations[event.task_id], active=True, activated_at=event.activated_at)
            return replace(row, reservations={**row.reservations, event.task_id: active})
        case ReservationReleased() as event:
            return without_reservation(row, event.task_id)
        case ItineraryStopsInserted() as event:
            stops = [*row.itinerary, *(told(stop) for stop in event.stops)]
            return replace(row, itinerary=stops, itinerary_version=event.itinerary_version)
        case ItineraryStopsRemoved() as event:
            rest = [
                stop
                for stop in row.itinerary
                if stop["task_id"] != event.task_id or stop["stop_id"] not in event.stop_ids
            ]
            locked = row.locked_stop
            over = locked is not None and locked.task_id == event.task_id and locked.stop_id in event.stop_ids
            return replace(
                row,
                itinerary=rest,
                itinerary_version=event.itinerary_version,
                locked_stop=None if over else locked,
            )
        case PlannedWindowChanged() as event:
            window = told(event.window)
            meant = event.task_id, event.stop_id
            stops = [s | {"window": window} if (s["task_id"], s["stop_id"]) == meant else s for s in row.itinerary]
            return replace(row, itinerary=stops, itinerary_version=event.itinerary_version)
        case ItineraryResequenced() as event:
            there = {(stop["task_id"], stop["stop_id"]): stop for stop in row.itinerary}
            order = [there[ref.task_id, ref.stop_id] for ref in event.order]
            return replace(row, itinerary=order, itinerary_version=event.itinerary_version)
        case NextStopLocked() as event:
            return replace(row, locked_stop=StopRef(task_id=event.task_id, stop_id=event.stop_id))
        case NextStopUnlocked():
            return replace(row, locked_stop=None)
        case _:
            return row


def without_reservation(row: RiderRow, task_id: str) -> RiderRow:
    kept = {task: reservation for task, reservation in row.reservations.items() if task != task_id}
    if not row.reservations[task_id].active:
        return replace(row, reservations=kept)
    others = [task for task in row.latest_tasks if task != task_id]
    return replace(row, reservations=kept, latest_tasks=[*others, task_id][-LATEST_TASKS:])


def with_document(row: RiderRow, document_id: str, document: DocumentRow) -> RiderRow:
    return replace(row, documents={**row.documents, document_id: document})


def with_rejected(row: RiderRow, document_id: str) -> RiderRow:
    return with_document(row, document_id, replace(row.documents[document_id], status="rejected"))


def with_breach(row: RiderRow, event: ComplianceBreachFound) -> RiderRow:
    breach = BreachRow(
        since=event.since,
        until=event.until,
        reason_code=event.reason_code,
        document_id=event.document_id,
        task_ids=[*event.task_ids],
    )
    found = replace(row, breaches=[*row.breaches, breach][-BREACHES_SHOWN:])
    return found if event.document_id is None else with_rejected(found, event.document_id)


def with_vehicle(row: RiderRow, event: VehicleFitnessChanged) -> RiderRow:
    others = {vehicle: fitness for vehicle, fitness in row.vehicles.items() if vehicle != event.vehicle_id}
    return replace(row, vehicles=others if event.fitness is None else {**others, event.vehicle_id: event.fitness})


def with_planned(row: RiderRow, event: ShiftPlanned) -> RiderRow:
    """Plans that were never kept end first, and make room, as they do in decisions."""
    plan = PlannedShiftRow(starts_at=event.starts_at, ends_at=event.ends_at)
    plans = {**row.planned_shifts, event.shift_id: plan}
    latest = sorted(plans.items(), key=lambda each: (each[1].ends_at, each[0]))[-MAX_PLANNED_SHIFTS:]
    return replace(row, planned_shifts=dict(latest))


def with_shift(row: RiderRow, **changes: object) -> RiderRow:
    assert row.shift is not None, "only of a started shift"
    return replace(row, shift=replace(row.shift, **changes))


RIDER_ROSTER = ReadModel(
    name="rider_roster",
    version=8,
    table=TABLE,
    row=RiderRow,
    key=("tenant", "rider_id"),
    events=frozenset(members_of(RiderEvent)),
    keys=by_aggregate,
    apply=apply,
)

PAGE = """
SELECT * FROM rider_roster
WHERE tenant = %(tenant)s
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(on_shift)s::boolean IS NULL OR on_shift = %(on_shift)s)
  AND (%(zone)s::text IS NULL OR zones ? %(zone)s)
  AND (%(reference)s::text IS NULL OR external_reference = %(reference)s)
  AND (%(metadata)s::jsonb IS NULL OR metadata @> %(metadata)s::jsonb)
  AND (%(updated_since)s::timestamptz IS NULL OR updated_at >= %(updated_since)s)
  AND (%(at)s::timestamptz IS NULL OR (created_at, rider_id) > (%(at)s, %(id)s))
ORDER BY created_at, rider_id
LIMIT %(limit)s
"""
ONE = "SELECT * FROM rider_roster WHERE tenant = %s AND rider_id = %s"


page = Page(PAGE)
"""Riders, oldest first."""


async def one(connection: AsyncConnection, tenant: str, rider_id: str) -> dict[str, Any] | None:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(ONE, (tenant, rider_id))
        return await cursor.fetchone()
