"""When was a rider at a stop? As the log of tasks says, for the forecasts that were made of it."""

from bisect import insort

import msgspec

from schemas.message import Event, Source
from schemas.stop_events import DeliveryAttemptFailed, ReattemptPlanned, StopArrived
from streams.telemetry.moments import unix_ms

MOST_STOPS = 100_000
"""The oldest are forgotten, and their forecasts not scored."""
MOST_ARRIVALS = 8
"""At one stop: the latest."""

type StopKey = tuple[str, str, str]
"""Tenant, task and stop."""


class Known(msgspec.Struct):
    """Of a stop: the arrivals (Unix time, rider) in the order of time, and when an attempt there was last over."""

    arrivals: list[tuple[int, str]] = []
    over_ms: int = 0


class Arrivals:
    def __init__(self) -> None:
        self._of: dict[StopKey, Known] = {}

    def take(self, event: Event, source: Source) -> None:
        """A carrier's courier is no rider. After an attempt that failed, who was there has to come again."""
        at_ms = unix_ms(source.event_time)
        match event:
            case StopArrived() if event.rider_id is not None:
                known = self._known((source.tenant, source.aggregate_id, event.stop_id))
                insort(known.arrivals, (at_ms, event.rider_id))
                del known.arrivals[:-MOST_ARRIVALS]
            case DeliveryAttemptFailed():
                self._over(source, event.stop_id, at_ms)
            case ReattemptPlanned():
                for stop_id in event.stop_ids:
                    self._over(source, stop_id, at_ms)
            case _:
                pass

    def at_ms(self, tenant: str, rider_id: str, task_id: str, stop_id: str, since_ms: int) -> int | None:
        """When this rider was there first since then, Unix time; None where they were not."""
        known = self._of.get((tenant, task_id, stop_id))
        if known is None:
            return None
        return next((at_ms for at_ms, rider in known.arrivals if rider == rider_id and at_ms >= since_ms), None)

    def over_ms(self, tenant: str, task_id: str, stop_id: str) -> int:
        """When an attempt at the stop was last over, without the stop's being done; 0 where none was."""
        known = self._of.get((tenant, task_id, stop_id))
        return 0 if known is None else known.over_ms

    def _over(self, source: Source, stop_id: str, at_ms: int) -> None:
        known = self._known((source.tenant, source.aggregate_id, stop_id))
        known.over_ms = max(known.over_ms, at_ms)

    def _known(self, stop: StopKey) -> Known:
        known = self._of.pop(stop, None) or Known()
        self._of[stop] = known
        if len(self._of) > MOST_STOPS:
            del self._of[next(iter(self._of))]
        return known
