"""Which fixes was a trip made of? Its rider's that were believed, in the order in which the stream followed them.

The frames are on the log for a while; the quarantine says which of their fixes were put aside. So a trip's points are
what its metres were counted by: what came late, and what the rider's other devices told meanwhile, is none of them.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

import msgspec
import numpy as np

from schemas.fixes import MICRODEGREES, NOT_KNOWN_U8, NOT_KNOWN_U16, Fixes
from schemas.record import Stored, Unreadable
from streams.telemetry.anomalies import AHEAD_MS, OTHER_DEVICE_MS, SAMPLED_MS
from streams.telemetry.moments import moment, unix_ms
from streams.telemetry.partition import opened

BEFORE = timedelta(milliseconds=2 * AHEAD_MS)
"""A fix may be as much older than the frame that brought it as clocks differ, and the broker's is one of them."""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    observed_at: datetime
    lat: float
    lon: float
    accuracy_m: float | None = None
    speed_mps: float | None = None
    bearing_deg: float | None = None
    battery_pct: float | None = None


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A trip as it was told."""

    tenant: str
    rider_id: str
    started_at: datetime
    ended_at: datetime


class TooManyPoints(ValueError):
    """A trip has more than `most`."""


class Recorded:
    """Takes a partition's frames in their order. `aside` are the offset and place of what was put aside."""

    def __init__(self, wanted: Wanted, aside: Collection[tuple[int, int]], most: int) -> None:
        self.points: list[Point] = []
        self._wanted, self._aside, self._most = wanted, aside, most
        self._from_ms, self._until_ms = (unix_ms(at) for at in (wanted.started_at, wanted.ended_at))
        self._rider = wanted.rider_id.encode()
        self._device: str | None = None
        self._at_ms = self._looked_ms = 0

    @property
    def is_whole(self) -> bool:
        """From its first fix to its last: where either is missing, retention has taken it."""
        return self._device is not None and self._at_ms == self._until_ms

    def take(self, frames: Iterable[Stored]) -> None:
        """Raises TooManyPoints."""
        for stored in frames:
            if stored.value is None or self._rider not in stored.value:  # most frames are of others
                continue
            if stored.header("tenant") != self._wanted.tenant:
                continue
            try:
                frame = opened(stored)
            except Unreadable:  # the stream has passed it over, too
                continue
            if frame.from_outside:
                self._frame(stored.offset, frame.fixes)

    def _frame(self, offset: int, fixes: Fixes) -> None:
        frame = fixes.frame
        theirs = [number for number, rider in enumerate(frame.riders) if rider == self._wanted.rider_id]
        within = (fixes.at_ms >= self._from_ms) & (fixes.at_ms <= self._until_ms)
        for place in np.flatnonzero(np.isin(fixes.device, theirs) & within).tolist():
            if (offset, place) not in self._aside and self._follows(
                frame.devices[int(fixes.device[place])], int(fixes.at_ms[place])
            ):
                self.points.append(point_of(fixes, place))
        if len(self.points) > self._most:
            raise TooManyPoints(self._most)

    def _follows(self, device: str, at_ms: int) -> bool:
        """As the stream has followed one device at a time, from the trip's first fix on."""
        if self._device is None:
            if at_ms != self._from_ms:
                return False
        elif at_ms <= self._at_ms or (device != self._device and at_ms - self._looked_ms < OTHER_DEVICE_MS):
            return False
        self._device, self._at_ms = device, at_ms
        if at_ms - self._looked_ms >= SAMPLED_MS:
            self._looked_ms = at_ms
        return True


def point_of(fixes: Fixes, place: int) -> Point:
    speed, bearing = int(fixes.speed[place]), int(fixes.bearing[place])
    accuracy, battery = int(fixes.accuracy[place]), int(fixes.battery[place])
    return Point(
        observed_at=moment(int(fixes.at_ms[place])),
        lat=int(fixes.lat[place]) / MICRODEGREES,
        lon=int(fixes.lon[place]) / MICRODEGREES,
        accuracy_m=None if accuracy == NOT_KNOWN_U8 else float(accuracy),
        speed_mps=None if speed == NOT_KNOWN_U16 else speed / 100,
        bearing_deg=None if bearing == NOT_KNOWN_U8 else bearing * 2.0,
        battery_pct=None if battery == NOT_KNOWN_U8 else float(battery),
    )
