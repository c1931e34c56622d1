"""How long do riders stay at stops, beside what was planned? Learned by tenant and kind of stop, from tasks."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from schemas.message import Event, Source
from schemas.stop import Stop
from schemas.stop_events import (
    DeliveryAttemptFailed,
    HoldStarted,
    ReattemptPlanned,
    ReturnStarted,
    StopArrived,
    StopCompleted,
)
from schemas.task import TaskCreated

DRAWN_BY = 20
"""Stops that take as long as planned are counted, as it were, with those that there were."""
LONGEST_S = 3_600.0
"""Who stays longer does something else."""
MOST_OPEN = 50_000
"""Stops; the oldest are forgotten."""
FORGETS = 0.995
"""What a stop counts for when the next one of its kind has ended: half after some 140."""


class Open(msgspec.Struct):
    kind: str
    planned_s: float
    rider_id: str | None = None
    """Who is there."""
    arrived_at: datetime | None = None


class Stays(msgspec.Struct):
    """Seconds, later stops counting for more."""

    stayed_s: float = 0.0
    planned_s: float = 0.0
    weight: float = 0.0
    stops: int = 0


class ServiceTimes:
    def __init__(self) -> None:
        self._open: dict[tuple[str, str, str], Open] = {}
        self._stays: dict[tuple[str, str], Stays] = {}

    def take(self, event: Event, source: Source) -> None:
        for stop in stops_of(event):
            self._open[source.tenant, source.aggregate_id, stop.stop_id] = Open(stop.kind, float(stop.service_seconds))
        while len(self._open) > MOST_OPEN:
            del self._open[next(iter(self._open))]
        match event:
            case StopArrived():
                known = self._open.get((source.tenant, source.aggregate_id, event.stop_id))
                if known is not None and (known.arrived_at is None or known.rider_id != event.rider_id):
                    known.rider_id, known.arrived_at = event.rider_id, source.event_time
            case DeliveryAttemptFailed():
                failed = self._open.get((source.tenant, source.aggregate_id, event.stop_id))
                if failed is not None:
                    failed.arrived_at = None
            case StopCompleted():
                ended = self._open.pop((source.tenant, source.aggregate_id, event.stop_id), None)
                if ended is None or ended.arrived_at is None or ended.planned_s <= 0:
                    return
                if ended.rider_id == event.rider_id:
                    self._learn(source.tenant, ended, (source.event_time - ended.arrived_at).total_seconds())
            case _:
                pass

    def _learn(self, tenant: str, ended: Open, stayed_s: float) -> None:
        if not 0 <= stayed_s <= LONGEST_S:
            return
        stays = self._stays.setdefault((tenant, ended.kind), Stays())
        stays.stayed_s = stays.stayed_s * FORGETS + stayed_s
        stays.planned_s = stays.planned_s * FORGETS + ended.planned_s
        stays.weight = stays.weight * FORGETS + 1
        stays.stops += 1

    def times(self) -> Mapping[tuple[str, str], tuple[float, int]]:
        """Of each tenant and kind how many times as long as planned, and of how many stops that is."""
        return {key: (drawn(stays), stays.stops) for key, stays in self._stays.items()}


def drawn(stays: Stays) -> float:
    more_s = DRAWN_BY * stays.planned_s / stays.weight
    return (stays.stayed_s + more_s) / (stays.planned_s + more_s)


def stops_of(event: Event) -> Sequence[Stop]:
    match event:
        case TaskCreated():
            return event.stops
        case ReturnStarted() | HoldStarted():
            return [event.stop]
        case ReattemptPlanned():
            return [event.pickup]
        case _:
            return []
