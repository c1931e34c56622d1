"""Signals: facts that follow from fixes. Each is keyed by its rider and stands on the log once, for ever."""

from datetime import datetime
from typing import Literal

from schemas.geo import ObservedFix
from schemas.message import Event, GeofenceId, Personal, Record, StopId, TaskId

Transition = Literal["entered", "exited", "dwelled", "crossed"]
RoutingSource = Literal["osrm", "great_circle"]
EtaThreshold = Literal["imminent", "late"]


class GeofenceEntered(Event, frozen=True, kw_only=True):
    """`fix` is the first one inside; `late` says that later fixes had been judged before it came."""

    geofence_id: GeofenceId
    device_id: str
    at: datetime
    fix: Personal[ObservedFix] | None
    late: bool


class GeofenceExited(Event, frozen=True, kw_only=True):
    """`fix` is the first one outside."""

    geofence_id: GeofenceId
    device_id: str
    at: datetime
    fix: Personal[ObservedFix] | None
    late: bool


class GeofenceDwelled(Event, frozen=True, kw_only=True):
    """At `at` the device had been inside for as long as the fence asks for, since `since`, when it entered."""

    geofence_id: GeofenceId
    device_id: str
    since: datetime
    at: datetime
    late: bool


class GeofenceCrossed(Event, frozen=True, kw_only=True):
    """The straight way between two fixes that follow each other, at `since` and at `at`, both outside, leads through
    the fence."""

    geofence_id: GeofenceId
    device_id: str
    since: datetime
    at: datetime
    late: bool


class GeofenceTransitionCorrected(Event, frozen=True, kw_only=True):
    """A late fix shows that the superseded signal was not so: it happened at `at`, or, without it, never. `since` is of
    who dwelled or crossed."""

    supersedes: str
    geofence_id: GeofenceId
    transition: Transition
    since: datetime | None = None
    at: datetime | None


class EtaForecast(Event, frozen=True, kw_only=True):
    """When the rider will be at the stop, which is theirs since `ahead_since`: with odds of 1 in 10, 1 in 2 and 9 in 10
    it is by then, as `model` tells."""

    task_id: TaskId
    stop_id: StopId
    p10: datetime
    p50: datetime
    p90: datetime
    remaining_m: int
    model: str
    source: RoutingSource
    ahead_since: datetime


class EtaThresholdReached(Event, frozen=True, kw_only=True):
    """By its forecast the rider is at the stop in three minutes (`imminent`), or later than the window's end by
    `late_by_s` and more (`late`). Each is told once of a stop, and of its window, while it is the rider's."""

    task_id: TaskId
    stop_id: StopId
    threshold: EtaThreshold
    late_by_s: int | None
    p50: datetime
    window_end: datetime | None


class ForecastMade(Record, frozen=True, kw_only=True):
    at: datetime
    p10: datetime
    p50: datetime
    p90: datetime
    model: str
    source: RoutingSource


class EtaScored(Event, frozen=True, kw_only=True):
    """The rider is at the stop, and this is what had been foretold: the first forecast, the last ones, and of those
    between as many as are kept. An error is `p50` less `arrived_at`: above nothing it was told too late.

    `seen` is what the arrival teaches: at so many seconds before it a row of the columns of `streams.eta.journey`, for
    whose names `columns` stands.
    """

    task_id: TaskId
    stop_id: StopId
    arrived_at: datetime
    forecasts: list[ForecastMade]
    seen: Personal[list[tuple[float, list[float]]]] | None
    columns: str


type FenceSignal = GeofenceEntered | GeofenceExited | GeofenceDwelled | GeofenceCrossed

FENCE_SIGNALS = (GeofenceEntered, GeofenceExited, GeofenceDwelled, GeofenceCrossed)

TRANSITIONS: dict[type[Event], Transition] = {
    GeofenceEntered: "entered",
    GeofenceExited: "exited",
    GeofenceDwelled: "dwelled",
    GeofenceCrossed: "crossed",
}

type Signal = FenceSignal | GeofenceTransitionCorrected | EtaForecast | EtaThresholdReached | EtaScored
