"""Who held a device, and was that rider on duty? Folded in memory from `logistics.fleet`, for the fixes that come in.

A late fix belongs to whoever held its device at the time of the fix.
"""

from datetime import datetime, timedelta

import msgspec

from schemas.message import Event, Source
from schemas.rider import DeviceBound, DeviceUnbound, ShiftEnded, ShiftStarted

KEPT_FOR = timedelta(days=7)
"""A fix that comes later than this meets nobody."""
MOST_KEPT = 200
"""Intervals of one device or rider; the oldest goes first."""


class Interval(msgspec.Struct):
    """From `start` up to `end`; None is open."""

    rider_id: str
    start: datetime
    end: datetime | None = None

    def holds(self, at: datetime) -> bool:
        return self.start <= at and (self.end is None or at < self.end)


type Key = tuple[str, str]
"""Tenant and device, or tenant and rider."""


class Bindings:
    def __init__(self) -> None:
        self._devices: dict[Key, list[Interval]] = {}
        self._shifts: dict[Key, list[Interval]] = {}

    def take(self, event: Event, source: Source) -> None:
        rider = source.aggregate_id
        match event:
            case DeviceBound():
                self._begin(self._devices, (source.tenant, event.device_id), rider, event.valid_from)
            case DeviceUnbound():
                self._end(self._devices, (source.tenant, event.device_id), rider, event.valid_until)
            case ShiftStarted():
                self._begin(self._shifts, (source.tenant, rider), rider, source.event_time)
            case ShiftEnded():
                self._end(self._shifts, (source.tenant, rider), rider, source.event_time)
            case _:
                pass

    def holder(self, tenant: str, device_id: str, at: datetime) -> str | None:
        """Of several who were given the device the one who was given it last."""
        held = [each for each in self._devices.get((tenant, device_id), ()) if each.holds(at)]
        return max(held, key=lambda each: each.start).rider_id if held else None

    def on_duty(self, tenant: str, rider_id: str, at: datetime) -> bool:
        return any(shift.holds(at) for shift in self._shifts.get((tenant, rider_id), ()))

    def _begin(self, of: dict[Key, list[Interval]], key: Key, rider: str, start: datetime) -> None:
        intervals = [each for each in of.get(key, ()) if each.end is None or each.end > start - KEPT_FOR]
        of[key] = [*intervals, Interval(rider, start)][-MOST_KEPT:]

    def _end(self, of: dict[Key, list[Interval]], key: Key, rider: str, end: datetime) -> None:
        for interval in of.get(key, ()):
            if interval.rider_id == rider and interval.end is None:
                interval.end = end
