"""Where a vehicle was on the journey that it is on: as much of it as a forecast looks at, in little space."""

import numpy as np

from streams.eta.journey import Track

EVERY_S = 5.0
"""Of two fixes that are nearer to each other the later one stays."""
MOST = 240
"""Twenty minutes whole. Of what is longer the older half loses every second fix."""


class Trail:
    def __init__(self) -> None:
        self._at_s: list[float] = []
        self._lat: list[float] = []
        self._lon: list[float] = []

    def __len__(self) -> int:
        return len(self._at_s)

    def take(self, at_s: float, lat: float, lon: float) -> None:
        """A fix that comes after later ones is passed over. The first one stays: the journey began there."""
        if self._at_s and at_s <= self._at_s[-1]:
            return
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
