"""When did a rider enter and leave fences? One device's way, by the time of its fixes, however late they come.

A fix that comes after later ones changes what was between its neighbours: a transition that was told moves, which a
correction says, or a short visit or absence shows that nobody had seen.
"""

from bisect import bisect_left
from typing import Any, Literal

import msgspec
import numpy as np

from schemas.signals import Transition
from streams.telemetry.fences import OUTSIDE, Inside

WINDOW_MS = 600_000
"""How far behind the device's newest a fix may come and still count."""
CUT_AT_LEAST = 32
"""Old points are dropped so many at once."""
OLDEST_MS = 86_400_000
"""A point older than a day goes at once, and so does the track of a device that was not seen for so long."""
MOST_POINTS = 20_000
"""Thirty fixes a second for ten minutes; of a device that sends more the oldest go."""

NEVER_MS = -(2**62)

type Reason = Literal["outdated", "duplicate"]


class Crossed(msgspec.Struct, frozen=True):
    """A transition. `late` where later fixes had been judged before."""

    geofence_id: str
    transition: Transition
    at_ms: int
    late: bool = False


class Moved(msgspec.Struct, frozen=True):
    """A transition that was told for `told_ms` happened at `at_ms`."""

    geofence_id: str
    transition: Transition
    told_ms: int
    at_ms: int


type Change = Crossed | Moved


class Track:
    """The points of the last ten minutes in order of time; `before` is where the device was at the last one of those
    that went."""

    def __init__(self) -> None:
        self.times: list[int] = []
        self.insides: list[Inside] = []
        self.before: Inside = OUTSIDE
        self.before_ms = NEVER_MS
        self.told: dict[tuple[str, str, int], str] = {}
        """(fence, transition, time as it stands now) → the id of the signal that told of it first."""

    @property
    def newest_ms(self) -> int:
        return self.times[-1] if self.times else 0

    def refuses(self, at_ms: int) -> Reason | None:
        times = self.times
        if not times or at_ms > times[-1]:
            return None
        if at_ms < times[-1] - WINDOW_MS or at_ms <= self.before_ms:
            return "outdated"
        place = bisect_left(times, at_ms)
        return "duplicate" if times[place] == at_ms else None

    def take(self, at_ms: int, inside: Inside) -> list[Change]:
        """A fix that is not refused; what follows from it."""
        times = self.times
        if not times or at_ms > times[-1]:
            last = self.insides[-1] if times else self.before
            times.append(at_ms)
            self.insides.append(inside)
            if times[0] < at_ms - WINDOW_MS or len(times) > MOST_POINTS:
                self._cut(at_ms)
            return [] if inside == last else crossed(last, inside, at_ms)
        place = bisect_left(times, at_ms)
        before = self.insides[place - 1] if place else self.before
        after, after_ms = self.insides[place], times[place]
        times.insert(place, at_ms)
        self.insides.insert(place, inside)
        return between(before, inside, after, at_ms, after_ms)

    def _cut(self, newest_ms: int) -> None:
        since_ms = newest_ms - WINDOW_MS
        place = max(bisect_left(self.times, since_ms), len(self.times) - MOST_POINTS)
        if place < CUT_AT_LEAST and self.times[0] >= newest_ms - OLDEST_MS:
            return
        since_ms = max(since_ms, self.times[place])
        self.before, self.before_ms = self.insides[place - 1], self.times[place - 1]
        del self.times[:place]
        del self.insides[:place]
        self.told = {what: signal for what, signal in self.told.items() if what[2] >= since_ms}


def crossed(before: Inside, after: Inside, at_ms: int, *, late: bool = False) -> list[Change]:
    return [
        *(Crossed(fence, "entered", at_ms, late) for fence in sorted(after - before)),
        *(Crossed(fence, "exited", at_ms, late) for fence in sorted(before - after)),
    ]


def between(before: Inside, inside: Inside, after: Inside, at_ms: int, after_ms: int) -> list[Change]:
    """What a late point changes between its neighbours, whose transitions were told for the later one's time."""
    moved: list[Change] = [
        *(Moved(fence, "entered", after_ms, at_ms) for fence in sorted((after - before) & inside)),
        *(Moved(fence, "exited", after_ms, at_ms) for fence in sorted((before - after) - inside)),
    ]
    visited, missed = inside - before - after, (before & after) - inside
    return [
        *moved,
        *crossed(missed, visited, at_ms, late=True),
        *crossed(visited, missed, after_ms, late=True),
    ]


def packed(track: Track) -> list[Any]:
    """As it is kept: few distinct sets, so that a point takes six bytes."""
    table: dict[Inside, int] = {}
    places = [table.setdefault(inside, len(table)) for inside in track.insides]
    base = track.times[0] if track.times else 0
    return [
        sorted(track.before),
        track.before_ms,
        [sorted(inside) for inside in table],
        np.array(places, "<u2").tobytes(),
        base,
        np.array([at - base for at in track.times], "<u4").tobytes(),
        [[*what, signal] for what, signal in track.told.items()],
    ]


def unpacked(kept: list[Any]) -> Track:
    before, before_ms, table, places, base, times, told = kept
    insides = [frozenset(inside) for inside in table]
    track = Track()
    track.before, track.before_ms = frozenset(before), before_ms
    track.insides = [insides[place] for place in np.frombuffer(places, "<u2").tolist()]
    track.times = [base + at for at in np.frombuffer(times, "<u4").tolist()]
    track.told = {(fence, transition, at_ms): signal for fence, transition, at_ms, signal in told}
    return track
