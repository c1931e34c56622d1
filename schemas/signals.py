"""Signals: facts that follow from fixes. Each is keyed by its rider and stands on the log once, for ever."""

from datetime import datetime
from typing import Literal

from schemas.geo import ObservedFix
from schemas.message import Event, GeofenceId, Personal, StopId, TaskId

Transition = Literal["entered", "exited"]
RoutingSource = Literal["osrm", "great_circle"]


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


class GeofenceTransitionCorrected(Event, frozen=True, kw_only=True):
    """A late fix shows that the superseded signal was not so: it happened at `at`, or, without it, never."""

    supersedes: str
    geofence_id: GeofenceId
    transition: Transition
    at: datetime | None


class EtaForecast(Event, frozen=True, kw_only=True):
    """When the rider will be at the stop: with odds of 1 in 10, 1 in 2 and 9 in 10 it is by then."""

    task_id: TaskId
    stop_id: StopId
    p10: datetime
    p50: datetime
    p90: datetime
    remaining_m: int
    model: str
    source: RoutingSource


type Signal = GeofenceEntered | GeofenceExited | GeofenceTransitionCorrected | EtaForecast
