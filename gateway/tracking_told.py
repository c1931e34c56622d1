"""What a recipient is told of a task: their own stop, how many are before it, and where the rider is once near."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from commands.context import TenantPolicy
from projections.public_tracking import PublicTrackingRow, Road, TrackedStop
from projections.task_progress import OVER
from schemas.directory import TenantRules
from schemas.geo import Window

PLACE_DECIMALS = 4
"""Of degrees: some ten metres are exact enough for who waits."""

type Phase = Literal[
    "waiting",
    "accepted",
    "in_progress",
    "en_route",
    "arrived",
    "another_attempt",
    "completed",
    "partly_delivered",
    "failed",
    "returning",
    "returned",
    "cancelled",
    "closed",
]


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """When the stop is reached: in one case of ten before `p10`, in one of two before `p50`, in nine before `p90`."""

    p10: datetime
    p50: datetime
    p90: datetime
    forecast_at: datetime


class OwnStop(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    window: Window | None
    attempts: int
    """How often it was tried in vain."""
    arrived_at: datetime | None
    ended_at: datetime | None
    stops_ahead: int | None
    """How many the rider still makes before this one; null while that is not known."""
    forecast: Forecast | None


class RiderPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Degrees (WGS 84), to some ten metres."""

    lat: float
    lon: float
    observed_at: datetime


class Dropoffs(msgspec.Struct, frozen=True, kw_only=True):
    done: int
    total: int


class Tracking(msgspec.Struct, frozen=True, kw_only=True):
    """`phase` is that of the stop, where the link is about one. It is `closed` where the task was ended with nothing
    recorded of the stop."""

    live: bool
    """False for a test tenant's: nothing is really on its way."""
    tracking_code: str
    outlet: str
    """Where the goods come from, by its name."""
    zone: str
    """The outlet's IANA time zone."""
    phase: Phase
    ordered_at: datetime
    accepted_at: datetime | None
    """Since when a rider or a carrier has it."""
    with_carrier: bool
    """It is a carrier's: where it is on the road is not known here."""
    picked_up_at: datetime | None
    ended_at: datetime | None
    stop: OwnStop | None
    """Null where the task has several dropoffs, and the link is the task's own."""
    dropoffs: Dropoffs | None
    """Told in place of a stop."""
    rider: RiderPlace | None
    """Only while the stop is among the next: `tracking_visible_stops` of the tenant's rules says how many those are."""


def own_stop(row: PublicTrackingRow, stop_id: str | None) -> TrackedStop | None:
    """The stop of this id; without one the only dropoff, if there is just one."""
    if stop_id is not None:
        return next((stop for stop in row.stops if stop.stop_id == stop_id), None)
    dropoffs = [stop for stop in row.stops if stop.kind == "dropoff"]
    return dropoffs[0] if len(dropoffs) == 1 else None


def is_past(row: PublicTrackingRow, rules: TenantRules, now: datetime) -> bool:
    """Whether the task ended so long ago that its links lead nowhere any more."""
    return row.ended_at is not None and row.ended_at + timedelta(days=rules.tracking_days) <= now


def told(row: PublicTrackingRow, stop: TrackedStop | None, road: Road, policy: TenantPolicy, now: datetime) -> Tracking:
    """`now` is real time, as that of fixes is."""
    ahead = None if stop is None else stops_ahead(row, stop, road)
    return Tracking(
        live=policy.mode == "live",
        tracking_code=row.tracking_code,
        outlet=road.outlet_name or row.outlet,
        zone=road.zone or "UTC",
        phase=phase_of(row, stop),
        ordered_at=row.created_at,
        accepted_at=row.rider_since,
        with_carrier=row.with_carrier,
        picked_up_at=picked_up_at(row, stop),
        ended_at=stop.ended_at if stop is not None and stop.ended_at is not None else row.ended_at,
        stop=None if stop is None else told_stop(stop, ahead, road),
        dropoffs=dropoffs_of(row.stops) if stop is None else None,
        rider=place_of(row, ahead, road, policy.rules, now),
    )


def told_stop(stop: TrackedStop, ahead: int | None, road: Road) -> OwnStop:
    there = stop.status == "arrived"
    return OwnStop(
        kind=stop.kind,
        window=stop.window,
        attempts=stop.attempted_before + stop.attempts,
        arrived_at=stop.arrived_at if there or stop.status in OVER else None,
        ended_at=stop.ended_at,
        stops_ahead=ahead,
        forecast=None if there or ahead is None else forecast_of(road),
    )


def stops_ahead(row: PublicTrackingRow, stop: TrackedStop, road: Road) -> int | None:
    """By the rider's itinerary, on which other tasks' stops stand, too; what does not stand there yet goes to its end.

    Not known where nobody has the task, and after an attempt in vain until the rider sets out again.
    """
    if row.rider_id is None or row.ended_at is not None or stop.status in OVER:
        return None
    if stop.attempts and stop.status == "pending":
        return None
    if stop.status in ("en_route", "arrived"):
        return 0
    over = {known.stop_id for known in row.stops if known.status in OVER}
    itinerary: list[tuple[str, str]] = [(planned["task_id"], planned["stop_id"]) for planned in road.itinerary or []]
    ahead = [place for place in itinerary if place[0] != row.task_id or place[1] not in over]
    own = (row.task_id, stop.stop_id)
    if own in ahead:
        return ahead.index(own)
    return stop.ahead + sum(task_id != row.task_id for task_id, _ in ahead)


def place_of(
    row: PublicTrackingRow, ahead: int | None, road: Road, rules: TenantRules, now: datetime
) -> RiderPlace | None:
    """Never without a stop of one's own that is still ahead and near, and never an old one."""
    if row.state != "in_progress" or ahead is None or ahead >= rules.tracking_visible_stops:
        return None
    if road.lat is None or road.lon is None or road.observed_at is None:
        return None
    if road.observed_at < now - timedelta(seconds=rules.stale_fix_seconds):
        return None
    return RiderPlace(
        lat=round(road.lat, PLACE_DECIMALS), lon=round(road.lon, PLACE_DECIMALS), observed_at=road.observed_at
    )


def forecast_of(road: Road) -> Forecast | None:
    if road.p10 is None or road.p50 is None or road.p90 is None or road.forecast_at is None:
        return None
    return Forecast(p10=road.p10, p50=road.p50, p90=road.p90, forecast_at=road.forecast_at)


def phase_of(row: PublicTrackingRow, stop: TrackedStop | None) -> Phase:
    """Of the stop, as far as it has one of its own; else the task's."""
    if stop is None:
        return task_phase(row, whole=True)
    match stop.status:
        case "completed":
            return done_phase(row, stop)
        case "en_route" | "arrived" as status:
            return status
        case "failed" | "skipped":
            return undone_phase(row, stop)
        case _ if stop.again and row.ended_at is None:
            return "another_attempt"
        case _:
            return task_phase(row, whole=False)


def done_phase(row: PublicTrackingRow, stop: TrackedStop) -> Phase:
    """Somebody was there, and has taken all, some or nothing."""
    if not stop.refused:
        return "completed"
    return "partly_delivered" if stop.taken else undone_phase(row, stop)


def undone_phase(row: PublicTrackingRow, stop: TrackedStop) -> Phase:
    """Of a stop that is over without having been made: its goods may be on their way back, or come again."""
    match row.state:
        case "returning" | "returned" | "cancelled" as state:
            return state
        case _:
            return "another_attempt" if stop.again and row.ended_at is None else "failed"


def task_phase(row: PublicTrackingRow, *, whole: bool) -> Phase:
    match row.state:
        case "completed" | "returned" if whole and row.outcome == "partially_delivered":
            return "partly_delivered"
        case "completed":
            return "completed" if row.outcome == "delivered" else "closed"
        case "accepted" | "in_progress" | "failed" | "returning" | "returned" | "cancelled" as state:
            return state
        case _:
            return "waiting"


def picked_up_at(row: PublicTrackingRow, stop: TrackedStop | None) -> datetime | None:
    """When the last was picked up of what goes there: of the pickups before the stop."""
    until = row.stops if stop is None else row.stops[: row.stops.index(stop)]
    pickups = [known for known in until if known.kind == "pickup"]
    ends = [known.ended_at for known in pickups if known.status == "completed" and known.ended_at is not None]
    return max(ends) if pickups and len(ends) == len(pickups) else None


def dropoffs_of(stops: Iterable[TrackedStop]) -> Dropoffs:
    dropoffs = [stop for stop in stops if stop.kind == "dropoff"]
    return Dropoffs(done=sum(is_made(stop) for stop in dropoffs), total=len(dropoffs))


def is_made(stop: TrackedStop) -> bool:
    """Not where all was refused."""
    return stop.status == "completed" and (stop.taken > 0 or not stop.refused)
