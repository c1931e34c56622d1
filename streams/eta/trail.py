"""Where a vehicle was on the journey that it is on: as much of it as a forecast looks at, in little space."""

from typing import Any

import numpy as np

from schemas.geo import Location, distance_m
from streams.eta.journey import Track

EVERY_S = 5.0
"""Of two fixes that are nearer to each other the later one stays."""
MOST = 240
"""Twenty minutes whole. Of what is longer the older half loses every second fix."""

LEFT_M = 50.0
RESTS_S = 120.0
"""So long a vehicle that is about to leave may stand."""


class Trail:
    def __init__(self) -> None:
        self._at_s: list[float] = []
        self._lat: list[float] = []
        self._lon: list[float] = []
        self._has_left = False

    def __len__(self) -> int:
        return len(self._at_s)

    @property
    def has_left(self) -> bool:
        """The place where it was first."""
        return self._has_left

    def take(self, at_s: float, lat: float, lon: float) -> None:
        """A fix that comes after later ones is passed over. The first one stays, unless the vehicle has stayed there
        for longer: the journey begins when it leaves."""
        if self._at_s and at_s <= self._at_s[-1]:
            return
        if self._at_s and not self._has_left:
            here = Location(lat=self._lat[0], lon=self._lon[0])
            self._has_left = distance_m(here, Location(lat=lat, lon=lon)) > LEFT_M
            if not self._has_left and at_s - self._at_s[0] > RESTS_S:
                self._at_s, self._lat, self._lon = [], [], []
        if len(self._at_s) > 2 and at_s - self._at_s[-2] < EVERY_S:
            self._at_s[-1], self._lat[-1], self._lon[-1] = at_s, lat, lon
            return
        self._at_s.append(at_s)
        self._lat.append(lat)
        self._lon.append(lon)
        if len(self._at_s) > MOST:
            for column in (self._at_s, self._lat, self._lon):
                del column[1 : MOST // 2 : 2]

    def track(self) -> Track:
        return Track(np.array(self._at_s), np.array(self._lat), np.array(self._lon))

    def packed(self) -> list[Any]:
        return [self._has_left, *(np.array(column).tobytes() for column in (self._at_s, self._lat, self._lon))]


def unpacked(kept: list[Any]) -> Trail:
    trail = Trail()
    trail._has_left, *columns = kept
    trail._at_s, trail._lat, trail._lon = (np.frombuffer(column).tolist() for column in columns)
    return trail
