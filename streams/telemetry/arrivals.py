"""When was a rider at a stop? As the log of tasks says, for the forecasts that were made of it."""

from schemas.message import Event, Source
from schemas.task import StopArrived
from streams.telemetry.fences import unix_ms

MOST = 100_000
"""Stops; the oldest are forgotten, and their forecasts not scored."""


class Arrivals:
    def __init__(self) -> None:
        self._of: dict[tuple[str, str, str], tuple[str, int]] = {}

    def take(self, event: Event, source: Source) -> None:
        """Of two arrivals that are told of a stop the first by its time stands; a carrier's courier is no rider."""
        if not isinstance(event, StopArrived) or event.rider_id is None:
            return
        stop = source.tenant, source.aggregate_id, event.stop_id
        told = event.rider_id, unix_ms(source.event_time)
        known = self._of.pop(stop, None)
        self._of[stop] = min(known, told, key=lambda arrival: arrival[1]) if known and known[0] == told[0] else told
        if len(self._of) > MOST:
            del self._of[next(iter(self._of))]

    def at_ms(self, tenant: str, rider_id: str, task_id: str, stop_id: str, since_ms: int) -> int | None:
        """When this rider was there, Unix time; None where they were not since `since_ms`."""
        rider, at_ms = self._of.get((tenant, task_id, stop_id), ("", 0))
        return at_ms if rider == rider_id and at_ms >= since_ms else None
