"""Is a calendar open at a time? Told of each day once."""

from datetime import date, datetime, timedelta

import numpy as np

from schemas.calendar import Calendar, spans_on
from schemas.fixes import Column
from schemas.zones import instant_of, zone_of
from streams.telemetry.cells import Numbers, Truths

DAY_MS = 86_400_000
EPOCH = date(1970, 1, 1)
LAST_DAY = 2_900_000
"""In the year 9909: what a clock says that is further off is no time."""
MOST_DAYS = 64
"""Fixes of so many days together; then they are reckoned anew."""


class Openings:
    """Of one calendar."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._zone = zone_of(calendar.zone)
        self._edges: dict[int, Numbers] = {}

    def hold(self, at_ms: Column) -> Truths:
        """Whether it is open then, Unix milliseconds: from when it opens up to when it closes."""
        day = at_ms // DAY_MS
        held = np.zeros(len(at_ms), bool)
        for number in np.unique(day[(day >= 0) & (day <= LAST_DAY)]).tolist():
            then = day == number
            held[then] = np.searchsorted(self._edges_of(number), at_ms[then], side="right") % 2 == 1
        return held

    def _edges_of(self, number: int) -> Numbers:
        """When it opens and closes in turn, as far as that tells of this day in UTC."""
        if number not in self._edges:
            if len(self._edges) >= MOST_DAYS:
                self._edges.clear()
            self._edges[number] = np.array(self._reckoned(EPOCH + timedelta(days=number)), np.int64)
        return self._edges[number]

    def _reckoned(self, day: date) -> list[int]:
        """A zone's clock is up to 14 hours off, and hours that began the day before may go on."""
        spans = sorted(
            (self._unix_ms(opens), self._unix_ms(closes))
            for days in (-2, -1, 0, 1)
            for opens, closes in spans_on(self._calendar, day + timedelta(days=days))
        )
        edges: list[int] = []
        for opens_ms, closes_ms in spans:
            if edges and opens_ms <= edges[-1]:
                edges[-1] = max(edges[-1], closes_ms)
            elif opens_ms < closes_ms:
                edges += opens_ms, closes_ms
        return edges

    def _unix_ms(self, local: datetime) -> int:
        return round(instant_of(local, self._zone).timestamp() * 1000)
