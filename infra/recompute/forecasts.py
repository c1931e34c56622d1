"""What stood foretold of a stop, and what would have stood, at each moment at which either was told anew.

The two seldom tell at the same fix: what is told hangs on what was told before.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence

import msgspec

from infra.recompute.facts import Fact, Outcome, held_in_memory
from schemas.message import TenantSlug
from schemas.signals import EtaForecast, EtaThresholdReached
from streams.telemetry.arrivals import Arrivals
from streams.telemetry.eta import WAITS_MS
from streams.telemetry.found import Draft
from streams.telemetry.moments import unix_ms

SAME_MS = 1_000
"""What differs by less is the same forecast."""

type Stop = tuple[str, str, str]
"""Rider, task, stop."""


class Foretold(msgspec.Struct, frozen=True, order=True):
    """At a fix's time."""

    at_ms: int
    p50_ms: int
    model: str


class Stood(msgspec.Struct, frozen=True, kw_only=True):
    """Of one stop at one moment. `arrived_ms` where the rider came there later."""

    stop: Stop
    at_ms: int
    recorded: Foretold | None
    recomputed: Foretold | None
    arrived_ms: int | None

    @property
    def moved_s(self) -> float | None:
        if self.recorded is None or self.recomputed is None:
            return None
        return (self.recomputed.p50_ms - self.recorded.p50_ms) / 1_000

    @property
    def outcome(self) -> Outcome:
        if self.recorded is None:
            return "only_recomputed"
        if self.recomputed is None:
            return "only_recorded"
        return "both" if abs(self.recomputed.p50_ms - self.recorded.p50_ms) < SAME_MS else "moved"


class Forecasts:
    """One side: what was told, and the thresholds from `since_ms` up to `until_ms`."""

    def __init__(self, since_ms: int, until_ms: int) -> None:
        self._since_ms, self._until_ms = since_ms, until_ms
        self._told: dict[Stop, list[Foretold]] = {}
        self._count = 0
        self.thresholds: list[Fact] = []

    @property
    def stops(self) -> set[Stop]:
        return set(self._told)

    def take(self, draft: Draft) -> None:
        """Raises WrongSetting where they are too many."""
        event, at_ms = draft.event, unix_ms(draft.at)
        if at_ms >= self._until_ms:
            return
        if isinstance(event, EtaForecast):
            foretold = Foretold(at_ms, unix_ms(event.p50), event.model)
            self._told.setdefault((draft.rider_id, event.task_id, event.stop_id), []).append(foretold)
            self._count += 1
        elif isinstance(event, EtaThresholdReached) and at_ms >= self._since_ms:
            word = event.threshold if not event.late_by_s else f"{event.threshold} by {event.late_by_s} s"
            self.thresholds.append(Fact((draft.rider_id, event.task_id, event.stop_id, word), at_ms))
            self._count += 1
        held_in_memory(self._count, "forecasts")

    def sort(self) -> None:
        for told in self._told.values():
            told.sort()

    def times(self, stop: Stop) -> Iterator[int]:
        """At which it was told of, of the time that is asked for."""
        return (each.at_ms for each in self._told.get(stop, ()) if each.at_ms >= self._since_ms)

    def at(self, stop: Stop, at_ms: int) -> Foretold | None:
        """The last one by then; None where that is long ago."""
        told: Sequence[Foretold] = self._told.get(stop, ())
        place = bisect_right(told, at_ms, key=lambda each: each.at_ms)
        last = told[place - 1] if place else None
        return last if last is not None and last.at_ms >= at_ms - WAITS_MS else None


def stood(tenant: TenantSlug, recorded: Forecasts, recomputed: Forecasts, arrivals: Arrivals) -> list[Stood]:
    """In order of time."""
    found = []
    recorded.sort()
    recomputed.sort()
    for stop in recorded.stops | recomputed.stops:
        for at_ms in {*recorded.times(stop), *recomputed.times(stop)}:
            sides = recorded.at(stop, at_ms), recomputed.at(stop, at_ms)
            arrived_ms = arrivals.at_ms(tenant, *stop, at_ms)
            found.append(Stood(stop=stop, at_ms=at_ms, recorded=sides[0], recomputed=sides[1], arrived_ms=arrived_ms))
    return sorted(found, key=lambda each: (each.at_ms, each.stop))


class Errors:
    """How far from the arrival, where it is known and both had foretold it."""

    def __init__(self) -> None:
        self.moments = 0
        self._recorded_ms = self._recomputed_ms = 0

    def take(self, each: Stood) -> None:
        if each.arrived_ms is None or each.recorded is None or each.recomputed is None:
            return
        self.moments += 1
        self._recorded_ms += abs(each.recorded.p50_ms - each.arrived_ms)
        self._recomputed_ms += abs(each.recomputed.p50_ms - each.arrived_ms)

    @property
    def recorded_s(self) -> float | None:
        return round(self._recorded_ms / self.moments / 1_000, 1) if self.moments else None

    @property
    def recomputed_s(self) -> float | None:
        return round(self._recomputed_ms / self.moments / 1_000, 1) if self.moments else None
