"""How far is a task, as those may know it who wait at one of its stops?

It holds nothing personal, neither contacts nor places, and of the token no more than a part of its hash. When the stop
will be reached and where the rider is stand in `etas` and `live_map`, what is ahead on the road in `rider_roster`.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from projections.model import Fact, Key, ReadModel, by_aggregate
from projections.task_progress import OVER, Progress, leg_of, progressed, state_of
from schemas.carried import TaskGivenToCarrier, TaskTakenFromCarrier
from schemas.catalog import members_of
from schemas.geo import Window
from schemas.message import Event
from schemas.stop import Stop
from schemas.stop_events import (
    DeliveryAttemptFailed,
    HoldStarted,
    ParcelsDelivered,
    ParcelsPickedUp,
    ParcelsRefused,
    ReattemptPlanned,
    ReturnStarted,
    StopArrived,
    StopEnRoute,
)
from schemas.task import AssignmentAccepted, StopRescheduled, TaskAssigned, TaskCreated, TaskEvent, TaskUnassigned

HANDLE_CHARACTERS = 32
"""Of the token's hash: 128 bits, by which the row is found."""

TABLE = """
CREATE TABLE {table} (
    tenant        text        NOT NULL,
    task_id       text        NOT NULL,
    handle        text        NOT NULL,
    tracking_code text        NOT NULL,
    outlet        text        NOT NULL,
    kind          text        NOT NULL,
    state         text        NOT NULL,
    leg           text,
    rider_id      text,
    with_carrier  boolean     NOT NULL,
    outcome       text,
    stops         jsonb       NOT NULL,
    rider_since   timestamptz,
    ended_at      timestamptz,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    version       bigint      NOT NULL,
    progress      jsonb       NOT NULL,
    PRIMARY KEY (tenant, task_id)
);
CREATE INDEX ON {table} (handle);
CREATE INDEX ON {table} (tenant, tracking_code, created_at, task_id)
"""


class TrackedStop(msgspec.Struct, frozen=True, kw_only=True):
    """`ahead` is how many of the task's own stops come before this one and are not over."""

    stop_id: str
    kind: str
    window: Window | None = None
    status: str = "pending"
    arrived_at: datetime | None = None
    ended_at: datetime | None = None
    attempts: int = 0
    attempted_before: int = 0
    """In vain, before what waited at a hub was to be brought again: `attempts` counts anew then."""
    again: bool = False
    """Its goods go to a hub, or wait there, for another attempt, and nobody is on the way with them yet."""
    refused: int = 0
    """How many parcels were not taken there."""
    taken: int = 0
    """How many were."""
    ahead: int = 0


class PublicTrackingRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    task_id: str
    handle: str
    """The first half of the token's hash."""
    tracking_code: str
    outlet: str
    kind: str
    state: str = "created"
    leg: str | None = None
    rider_id: str | None = None
    with_carrier: bool = False
    outcome: str | None = None
    stops: list[TrackedStop]
    """In their order."""
    rider_since: datetime | None = None
    """Since when a rider has it who has said yes, or a carrier that was booked."""
    ended_at: datetime | None = None
    """When its end was recorded."""
    created_at: datetime
    updated_at: datetime
    version: int
    progress: Progress


def apply(row: PublicTrackingRow | None, fact: Fact, key: Key) -> PublicTrackingRow:
    event, source = fact.event, fact.source
    if isinstance(event, TaskCreated):
        row = created(event, fact)
    assert row is not None, "a task's first event creates it"
    progress = progressed(row.progress, event, source.event_time)
    stops = planned(row.stops, event)
    return replace(
        row,
        state=state_of(progress),
        leg=leg_of(progress),
        rider_id=progress.rider_id,
        with_carrier=progress.carrier is not None,
        outcome=progress.outcome,
        stops=progressed_stops(stops, progress),
        rider_since=rider_since(row, event, source.event_time),
        ended_at=row.ended_at or (source.recorded_at if progress.ended else None),
        updated_at=source.recorded_at,
        version=source.version,
        progress=progress,
    )


def created(event: TaskCreated, fact: Fact) -> PublicTrackingRow:
    source = fact.source
    return PublicTrackingRow(
        tenant=source.tenant,
        task_id=source.aggregate_id,
        handle=event.tracking_token_hash[:HANDLE_CHARACTERS],
        tracking_code=event.tracking_code,
        outlet=event.outlet,
        kind=event.kind,
        stops=[tracked(stop) for stop in event.stops],
        created_at=source.recorded_at,
        updated_at=source.recorded_at,
        version=source.version,
        progress=Progress(),
    )


def planned(stops: list[TrackedStop], event: Event) -> list[TrackedStop]:
    """In the order in which they are served."""
    match event:
        case ReturnStarted() | HoldStarted():
            return [*stops, tracked(event.stop)]
        case ReattemptPlanned():
            rest = [stop for stop in stops if stop.stop_id not in event.stop_ids]
            again = [ahead_again(s, event.window) for s in stops if s.stop_id in event.stop_ids]
            return [*rest, tracked(event.pickup), *again]
        case DeliveryAttemptFailed(policy="reattempt_later" | "hold_at_hub"):
            return [replace(s, again=True) if s.stop_id == event.stop_id else s for s in stops]
        case StopEnRoute() | StopArrived(late=False) | ParcelsPickedUp():
            return [replace(s, again=s.again and s.status in OVER) for s in stops]
        case ParcelsRefused():
            return [replace(s, refused=len(event.parcel_ids)) if s.stop_id == event.stop_id else s for s in stops]
        case ParcelsDelivered():
            return [replace(s, taken=len(event.parcel_ids)) if s.stop_id == event.stop_id else s for s in stops]
        case StopRescheduled():
            return [replace(s, window=event.window) if s.stop_id == event.stop_id else s for s in stops]
        case _:
            return stops


def ahead_again(stop: TrackedStop, window: Window | None) -> TrackedStop:
    tried = stop.attempted_before + stop.attempts
    return replace(stop, window=window or stop.window, attempted_before=tried, refused=0, taken=0)


def tracked(stop: Stop) -> TrackedStop:
    return TrackedStop(stop_id=stop.stop_id, kind=stop.kind, window=stop.window)


def progressed_stops(stops: Iterable[TrackedStop], progress: Progress) -> list[TrackedStop]:
    result: list[TrackedStop] = []
    ahead = 0
    for stop in stops:
        known = progress.stops[stop.stop_id]
        result.append(
            replace(
                stop,
                status=known.status,
                arrived_at=known.arrived_at,
                ended_at=known.ended_at,
                attempts=known.attempts,
                ahead=ahead,
            )
        )
        ahead += known.status not in OVER
    return result


def rider_since(row: PublicTrackingRow, event: Event, at: datetime) -> datetime | None:
    match event:
        case AssignmentAccepted() | TaskGivenToCarrier():
            return at
        case TaskAssigned() | TaskUnassigned() | TaskTakenFromCarrier():
            return None
        case _:
            return row.rider_since


PUBLIC_TRACKING = ReadModel(
    name="public_tracking",
    version=5,
    table=TABLE,
    row=PublicTrackingRow,
    key=("tenant", "task_id"),
    events=frozenset(members_of(TaskEvent)),
    keys=by_aggregate,
    apply=apply,
)

COLUMNS = ", ".join(f"tracking.{name}" for name in PUBLIC_TRACKING.columns())

BY_HANDLE = f"""
SELECT {COLUMNS}
FROM public_tracking AS tracking
WHERE handle = %s
"""

ROAD = """
SELECT etas.p10, etas.p50, etas.p90, etas.forecast_at, place.lat, place.lon, place.observed_at,
       roster.itinerary, outlets.name AS outlet_name, outlets.zone
FROM (SELECT %(tenant)s::text AS tenant, %(rider_id)s::text AS rider_id, %(outlet)s::text AS outlet) AS asked
LEFT JOIN etas ON etas.tenant = asked.tenant AND etas.task_id = %(task_id)s AND etas.stop_id = %(stop_id)s::text
                  AND etas.rider_id = asked.rider_id
LEFT JOIN live_map AS place ON place.tenant = asked.tenant AND place.rider_id = asked.rider_id
LEFT JOIN rider_roster AS roster ON roster.tenant = asked.tenant AND roster.rider_id = asked.rider_id
LEFT JOIN outlets ON outlets.tenant = asked.tenant AND outlets.outlet = asked.outlet
"""
"""A forecast of a rider who has it no more is none."""

BY_CODE = """
SELECT task_id, state, leg, outcome, outlet, created_at, ended_at
FROM public_tracking
WHERE tenant = %(tenant)s AND tracking_code = %(code)s
ORDER BY created_at, task_id
LIMIT %(limit)s
"""


class Road(msgspec.Struct, frozen=True, kw_only=True):
    """What stands elsewhere about a stop: its forecast, and of its rider the last fix and the stops still ahead."""

    p10: datetime | None = None
    p50: datetime | None = None
    p90: datetime | None = None
    forecast_at: datetime | None = None
    lat: float | None = None
    lon: float | None = None
    observed_at: datetime | None = None
    itinerary: list[dict[str, Any]] | None = None
    outlet_name: str | None = None
    zone: str | None = None

    def without_place(self) -> "Road":
        return replace(self, lat=None, lon=None, observed_at=None)


async def by_handle(connection: AsyncConnection, handle: str) -> PublicTrackingRow | None:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(BY_HANDLE.encode(), (handle,))
        found = await cursor.fetchone()
    return None if found is None else msgspec.convert(found, PublicTrackingRow)


async def road_to(connection: AsyncConnection, row: PublicTrackingRow, stop_id: str | None) -> Road:
    asked = {name: getattr(row, name) for name in ("tenant", "task_id", "rider_id", "outlet")}
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(ROAD, asked | {"stop_id": stop_id})
        found = await cursor.fetchone()
    return Road() if found is None else msgspec.convert(found, Road)


async def by_code(connection: AsyncConnection, tenant: str, code: str, limit: int) -> list[dict[str, Any]]:
    """The tenant's tasks of this code, oldest first: codes may collide."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(BY_CODE, {"tenant": tenant, "code": code, "limit": limit})
        return await cursor.fetchall()
