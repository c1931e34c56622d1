"""Travel times that were told a moment ago: kept for a while, what nobody asked for the longest going first.

A place is known by four decimals of a degree: 11 m, and less from west to east. A fix is no better than that, and on a
street it is two seconds' driving; the router's own error is larger. Ways are not kept: they begin where a rider is now.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime
from time import monotonic

import numpy as np
from prometheus_client import Counter

from schemas.geo import Location
from streams.routing.tiling import Grids

KEPT = Counter("logistics_routing_kept_total", "Pairs of places, by whether their time was kept", ["outcome"])

DECIMALS = 4
BUCKET_S = 900
"""Departures within a quarter of an hour of each other are one."""
MOST_PAIRS = 100_000
"""Some 45 MB."""

type Place = tuple[int, int]
type Whose = tuple[str, ...]
"""Tenant, provider and profile."""
type Pair = tuple[Whose, int, Place, Place]


class Kept:
    """One for all tenants of a process; each has their own."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._pairs: OrderedDict[Pair, tuple[float, float, float]] = OrderedDict()
        """Until when, seconds and metres."""

    def __len__(self) -> int:
        return len(self._pairs)

    def found(
        self, whose: Whose, departing: datetime | None, origins: Sequence[Location], goals: Sequence[Location]
    ) -> tuple[Grids, "np.ndarray[tuple[int, int], np.dtype[np.bool_]]"]:
        """Seconds and metres, and of which pairs they are known."""
        now, bucket = self._clock(), bucket_of(departing)
        seconds, metres = np.full((2, len(origins), len(goals)), np.nan)
        known = np.zeros((len(origins), len(goals)), bool)
        to = [place_of(goal) for goal in goals]
        for row, origin in enumerate(map(place_of, origins)):
            for column, goal in enumerate(to):
                key = whose, bucket, origin, goal
                told = self._pairs.get(key)
                if told is not None and told[0] > now:
                    self._pairs.move_to_end(key)
                    seconds[row, column], metres[row, column] = told[1:]
                    known[row, column] = True
        KEPT.labels("hit").inc(int(known.sum()))
        KEPT.labels("miss").inc(int(known.size - known.sum()))
        return (seconds, metres), known

    def keep(
        self,
        whose: Whose,
        departing: datetime | None,
        pairs: tuple[Sequence[Location], Sequence[Location]],
        grids: Grids,
        for_s: float,
    ) -> None:
        until, bucket = self._clock() + for_s, bucket_of(departing)
        origins, goals = (list(map(place_of, places)) for places in pairs)
        for row, origin in enumerate(origins):
            for column, goal in enumerate(goals):
                key = whose, bucket, origin, goal
                self._pairs[key] = until, float(grids[0][row, column]), float(grids[1][row, column])
                self._pairs.move_to_end(key)
        while len(self._pairs) > MOST_PAIRS:
            self._pairs.popitem(last=False)


def place_of(place: Location) -> Place:
    return round(place.lat * 10**DECIMALS), round(place.lon * 10**DECIMALS)


def bucket_of(departing: datetime | None) -> int:
    return 0 if departing is None else 1 + int(departing.timestamp() // BUCKET_S)
