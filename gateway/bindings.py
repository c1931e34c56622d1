"""Who held a device, and was that rider on duty? Folded in memory from `logistics.fleet`, for the fixes that come in.

A late fix belongs to whoever held its device at the time of the fix.
"""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import msgspec

from schemas.message import Event, Source
from schemas.position import Vector, merged, reached
from schemas.rider import DeviceBound, DeviceUnbound, ShiftEnded, ShiftStarted
from schemas.topics import FLEET

KEPT_FOR = timedelta(days=7)
"""A fix that comes later than this meets nobody."""
MOST_KEPT = 200
"""Intervals of one device or rider; the oldest goes first."""


class Interval(msgspec.Struct):
    """From `start` up to `end`; None is open. `own`: the rider said so, and nobody for them."""

    rider_id: str
    start: datetime
    end: datetime | None = None
    own: bool = False

    def holds(self, at: datetime) -> bool:
        return self.start <= at and (self.end is None or at < self.end)


type Key = tuple[str, str]
"""Tenant and device, or tenant and rider."""


class Bindings:
    """Some milliseconds behind the log: `until` waits for what a fix must be judged by."""

    def __init__(self) -> None:
        self.taken: Vector = {}
        """Next record of each partition."""
        self.acknowledged: Vector = {}
        """What callers of this gateway were told about the fleet."""
        self.waiting = 0
        self._moved = asyncio.Event()
        self._devices: dict[Key, list[Interval]] = {}
        self._shifts: dict[Key, list[Interval]] = {}

    def take(self, event: Event, source: Source) -> None:
        rider = source.aggregate_id
        match event:
            case DeviceBound():
                self._begin(self._devices, (source.tenant, event.device_id), rider, event.valid_from, source)
            case DeviceUnbound():
                self._end(self._devices, (source.tenant, event.device_id), rider, event.valid_until)
            case ShiftStarted():
                self._begin(self._shifts, (source.tenant, rider), rider, source.event_time, source)
            case ShiftEnded():
                self._end(self._shifts, (source.tenant, rider), rider, source.event_time)
            case _:
                pass

    def passed(self, topic: str, partition: int, offset: int) -> None:
        """The record there is taken, whatever it was."""
        self.taken[topic, partition] = offset + 1
        self._moved.set()
        self._moved.clear()

    def acknowledge(self, position: Mapping[tuple[str, int], int]) -> None:
        self.acknowledged = merged([self.acknowledged, of_fleet(position)])

    def missing(self, wanted: Mapping[tuple[str, int], int]) -> int:
        """Records that are not taken yet of what was acknowledged here, and of `wanted`."""
        both = merged([self.acknowledged, of_fleet(wanted)])
        return sum(max(0, offset - self.taken.get(place, 0)) for place, offset in both.items())

    async def until(self, wanted: Mapping[tuple[str, int], int], wait_s: float) -> None:
        """Until nothing is missing. Raises TimeoutError."""
        both = merged([self.acknowledged, of_fleet(wanted)])
        self.waiting += 1
        try:
            async with asyncio.timeout(wait_s):
                while not reached(both, self.taken):
                    await self._moved.wait()
        finally:
            self.waiting -= 1

    def holder(self, tenant: str, device_id: str, at: datetime) -> str | None:
        """Of several who were given the device the one who was given it last. No rider takes another's for themself:
        dispatchers and operators give it to somebody else."""
        known = self._devices.get((tenant, device_id), ())
        held = [each for each in known if each.holds(at) and not (each.own and taken_from(each, known))]
        return max(held, key=lambda each: each.start).rider_id if held else None

    def is_anothers(self, tenant: str, device_id: str, rider_id: str, at: datetime) -> bool:
        """Whether a rider who took it for themself from then on would get nothing of it."""
        own = Interval(rider_id, at, own=True)
        return taken_from(own, self._devices.get((tenant, device_id), ()))

    def on_duty(self, tenant: str, rider_id: str, at: datetime) -> bool:
        return any(shift.holds(at) for shift in self._shifts.get((tenant, rider_id), ()))

    def _begin(self, of: dict[Key, list[Interval]], key: Key, rider: str, start: datetime, source: Source) -> None:
        intervals = [each for each in of.get(key, ()) if each.end is None or each.end > start - KEPT_FOR]
        of[key] = [*intervals, Interval(rider, start, own=source.actor == rider)][-MOST_KEPT:]

    def _end(self, of: dict[Key, list[Interval]], key: Key, rider: str, end: datetime) -> None:
        for interval in of.get(key, ()):
            if interval.rider_id == rider and interval.end is None:
                interval.end = end


def taken_from(own: Interval, known: Iterable[Interval]) -> bool:
    """Whether another rider held the device when this one took it."""
    return any(each.rider_id != own.rider_id and each.start < own.start and each.holds(own.start) for each in known)


def of_fleet(position: Mapping[tuple[str, int], int]) -> Vector:
    return {place: offset for place, offset in position.items() if place[0] == FLEET.name}
