"""Signals: facts that follow from fixes. Each is keyed by its rider and stands on the log once, for ever."""

from datetime import datetime
from typing import Literal, get_args

from schemas.geo import ObservedFix
from schemas.message import Event, GeofenceId, Personal, Record, StopId, TaskId

Transition = Literal["entered", "exited", "dwelled", "crossed"]
RoutingSource = Literal["osrm", "great_circle", "valhalla", "mapbox", "google"]
"""Who told a way: a router, or nobody, and it is the great circle with the detours of a city."""
EtaThreshold = Literal["imminent", "late"]
AnomalyKind = Literal[
    "speeding",
    "hard_braking",
    "hard_acceleration",
    "idling",
    "prolonged_stop",
    "gps_jump",
    "suspected_spoof",
    "route_deviation",
    "late_departure",
]
ANOMALIES: tuple[AnomalyKind, ...] = get_args(AnomalyKind)
"""A rider of whom nothing is heard is told of elsewhere: `RiderFellSilent`."""
AnomalyOver = Literal["quiet", "moved", "departed", "on_route", "other_stop", "nothing_ahead", "unheard"]
TripOver = Literal["stood", "unheard"]


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
    ahead_since: datetime


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


class FixSeen(Record, frozen=True, kw_only=True):
    at: datetime
    lat: float
    lon: float
    speed_mps: float | None = None


class AnomalyDetected(Event, frozen=True, kw_only=True):
    """`measured` went beyond `limit` from `since` on, which was sure at `at`: m/s of speeding, m/s² of braking and
    acceleration, fixes of jumps and spoofs, metres of a deviation, seconds of the others. `evidence` are the fixes that
    led to it."""

    kind: AnomalyKind
    device_id: str
    since: datetime
    at: datetime
    limit: float
    measured: float
    evidence: Personal[list[FixSeen]] | None


class AnomalyCleared(Event, frozen=True, kw_only=True):
    """`anomaly_id` is the id of the signal that told of it."""

    anomaly_id: str
    kind: AnomalyKind
    at: datetime
    why: AnomalyOver


class StopMade(Record, frozen=True, kw_only=True):
    """Where a rider stood for a minute and more on the way."""

    since: datetime
    until: datetime
    lat: float
    lon: float


class TripPlaces(Record, frozen=True, kw_only=True):
    """`stops` are the first fifty of them."""

    start: FixSeen
    end: FixSeen
    stops: list[StopMade]


class TripEnded(Event, frozen=True, kw_only=True):
    """A rider's way from where they had stood to where they stand again, or to where nothing more was heard of them.
    Stops are those of a minute and more on the way; they last `idle_s` together. `vehicle_id` is the one vehicle that
    the rider had then; none where they had none of ours, or several."""

    device_id: str
    vehicle_id: str | None
    started_at: datetime
    ended_at: datetime
    metres: int
    moving_s: int
    idle_s: int
    stops: int
    why: TripOver
    places: Personal[TripPlaces] | None


type Signal = (
    FenceSignal
    | GeofenceTransitionCorrected
    | EtaForecast
    | EtaThresholdReached
    | EtaScored
    | AnomalyDetected
    | AnomalyCleared
    | TripEnded
)
