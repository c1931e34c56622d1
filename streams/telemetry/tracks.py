"""When did a rider enter and leave fences, and stay in them? One device's way, by the time of its fixes, however late
they come.

A fix that comes after later ones changes what was between its neighbours: a transition that was told moves, which a
correction says, or a short visit or absence shows that nobody had seen.
"""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import msgspec
import numpy as np

from schemas.signals import Transition
from streams.telemetry import quality
from streams.telemetry.fence_index import OUTSIDE, Inside, Step, step_from
from streams.telemetry.quality import Reach
from streams.telemetry.told_so_far import ToldSoFar

WINDOW_MS = 600_000
"""How far behind the device's newest a fix may come and still count."""
CUT_AT_LEAST = 32
"""Old points are dropped so many at once."""
OLDEST_MS = 86_400_000
"""A point older than a day goes at once, and so does the track of a device that was not seen for so long."""
MOST_POINTS = 20_000
"""Thirty fixes a second for ten minutes; of a device that sends more the oldest go."""

NEVER_MS = -(2**62)

type Spot = tuple[int, int]
"""Latitude and longitude in microdegrees."""
type Dwell = Callable[[str, int], int | None]
"""How long, in milliseconds, a fence asks for of who enters it at that time; None: nothing is told of who stays."""


class Told(msgspec.Struct, frozen=True):
    """A transition. `late` where later fixes had been judged before; `since_ms` of who dwelled or crossed."""

    geofence_id: str
    transition: Transition
    at_ms: int
    late: bool = False
    since_ms: int | None = None


class Moved(msgspec.Struct, frozen=True):
    """A transition that was told for `told_ms` happened at `at_ms`; None: never."""

    geofence_id: str
    transition: Transition
    told_ms: int
    at_ms: int | None
    since_ms: int | None = None


type Change = Told | Moved
type Stay = tuple[int, int]
"""Since when, and when it had lasted as long as the fence asks for."""


class Track:
    """The points of the last ten minutes in order of time; `before` is where the device was at the last one of those
    that went."""

    __slots__ = (
        *("times", "insides", "lats", "lons", "before", "before_ms", "before_spot", "entered", "due", "told"),
        *("reach", "slot", "_forgets_ms"),
    )

    def __init__(self) -> None:
        self.times = array("q")
        self.insides: list[Inside] = []
        self.lats = array("i")
        self.lons = array("i")
        self.before: Inside = OUTSIDE
        self.before_ms = NEVER_MS
        self.before_spot: Spot = (0, 0)
        self.entered: dict[str, int] = {}
        """Of the fences of `before`: since when."""
        self.due: dict[str, Stay] = {}
        """Of visits that go on: the stay that they come to."""
        self.told = ToldSoFar()
        """By the id of the signal that told of it first."""
        self.reach = Reach()
        self.slot = -1
        """In the columns of `streams.telemetry.fleet`, where it has one."""
        self._forgets_ms: int | None = None

    @property
    def newest(self) -> tuple[int, int, int] | None:
        """Time, latitude and longitude of the newest point."""
        return (self.times[-1], self.lats[-1], self.lons[-1]) if self.times else None

    @property
    def newest_ms(self) -> int:
        return self.times[-1] if self.times else 0

    def refuses(self, at_ms: int) -> Literal["outdated", "duplicate"] | None:
        times = self.times
        if not times or at_ms > times[-1]:
            return None
        if at_ms < times[-1] - WINDOW_MS or at_ms <= self.before_ms:
            return "outdated"
        place = bisect_left(times, at_ms)
        return "duplicate" if times[place] == at_ms else None

    def neighbours(self, at_ms: int) -> list[tuple[int, int, int]]:
        """Of a late fix the points before and after it, as far as they are known: time, latitude and longitude."""
        place = bisect_left(self.times, at_ms)
        after = (self.times[place], *self._spot(place))
        if place:
            return [(self.times[place - 1], *self._spot(place - 1)), after]
        return [after] if self.before_ms == NEVER_MS else [(self.before_ms, *self.before_spot), after]

    def take(self, at_ms: int, inside: Inside, spot: Spot = (0, 0), dwell: Dwell | None = None) -> list[Change]:
        """A fix that is not refused; what follows from it."""
        if not self.times or at_ms > self.times[-1]:
            return self.take_next(at_ms, inside, *spot, dwell)
        return self._take_late(at_ms, inside, spot, dwell)

    def take_next(self, at_ms: int, inside: Inside, lat: int, lon: int, dwell: Dwell | None) -> list[Change]:
        """One that is later than all others."""
        last = self.insides[-1] if self.times else self.before
        self.times.append(at_ms)
        self.insides.append(inside)
        self.lats.append(lat)
        self.lons.append(lon)
        if self.times[0] < at_ms - WINDOW_MS or len(self.times) > MOST_POINTS:
            self._cut(at_ms)
        changes = self._stayed(at_ms) if self.due else []
        if inside is last or inside == last:
            return changes
        for fence in last - inside:
            self.due.pop(fence, None)
        if dwell is not None:
            for fence in inside - last:
                self._await(fence, at_ms, dwell)
        return changes + crossed(last, inside, at_ms)

    def _take_late(self, at_ms: int, inside: Inside, spot: Spot, dwell: Dwell | None) -> list[Change]:
        place = bisect_left(self.times, at_ms)
        before = self.insides[place - 1] if place else self.before
        after, after_ms = self.insides[place], self.times[place]
        stays: list[Change] = []
        if dwell is not None:
            for fence in sorted(before ^ inside):
                stays += self._stays_anew(fence, place, at_ms, dwell)
        self.times.insert(place, at_ms)
        self.insides.insert(place, inside)
        self.lats.insert(place, spot[0])
        self.lons.insert(place, spot[1])
        return between(before, inside, after, at_ms, after_ms) + stays

    def _cut(self, newest_ms: int) -> None:
        since_ms = newest_ms - WINDOW_MS
        place = max(bisect_left(self.times, since_ms), len(self.times) - MOST_POINTS)
        if place < CUT_AT_LEAST and self.times[0] >= newest_ms - OLDEST_MS:
            return
        for at_ms, inside in zip(self.times[:place], self.insides[:place], strict=True):
            if inside != self.before:
                kept = {fence: self.entered[fence] for fence in inside & self.before}
                self.entered = kept | dict.fromkeys(inside - self.before, at_ms)
                self.before = inside
        self.before_ms, self.before_spot = self.times[place - 1], self._spot(place - 1)
        del self.times[:place]
        del self.insides[:place]
        del self.lats[:place], self.lons[:place]
        self._forgets_ms = self.before_ms + 1

    @property
    def forgets(self) -> bool:
        return self._forgets_ms is not None

    def forget(self) -> None:
        """What was told and can be corrected no more; when all is said of what came."""
        if self._forgets_ms is not None:
            self.told.forget(self._forgets_ms)
            self._forgets_ms = None

    def steps(self, taken: Sequence[int]) -> Iterator[tuple[int, list[Step]]]:
        """The ways to and from the points that were taken at these times, in groups: what came between two points that
        follow each other otherwise, with the time of the later one; 0 where nothing came later."""
        group: list[Step] = []
        last = -1
        for at_ms in sorted(taken):
            place = bisect_left(self.times, at_ms)
            if place == len(self.times) or self.times[place] != at_ms:
                continue
            if group and place != last + 1:
                yield self._closed(group, last)
                group = []
            group.append(self._step_to(place))
            last = place
        if group:
            yield self._closed(group, last)

    def _closed(self, group: list[Step], last: int) -> tuple[int, list[Step]]:
        if last + 1 == len(self.times):
            return 0, group
        return self.times[last + 1], [*group, self._step_to(last + 1)]

    def _step_to(self, place: int) -> Step:
        at_ms, spot, inside = self.times[place], self._spot(place), self.insides[place]
        if place:
            return step_from(self.times[place - 1], self._spot(place - 1), self.insides[place - 1], at_ms, spot, inside)
        return step_from(self.before_ms, self.before_spot, self.before, at_ms, spot, inside)

    def _spot(self, place: int) -> Spot:
        return self.lats[place], self.lons[place]

    def crossed_anew(self, after_ms: int, found: Sequence[tuple[Step, Sequence[str]]]) -> list[Change]:
        """What follows from the steps of a group; those up to `after_ms` were one step before, of which some fences
        may have been told."""
        old = self.told.fences("crossed", after_ms) if after_ms else []
        changes: list[Change] = []
        for step, fences in found:
            for fence in fences:
                if fence in old:
                    old.remove(fence)
                    changes.append(Moved(fence, "crossed", after_ms, step.at_ms, since_ms=step.since_ms))
                else:
                    late = after_ms > 0
                    changes.append(Told(fence, "crossed", step.at_ms, late, since_ms=step.since_ms))
        return [*changes, *(Moved(fence, "crossed", after_ms, None) for fence in old)]

    # Who stays

    def _await(self, fence: str, since_ms: int, dwell: Dwell) -> None:
        lasting = dwell(fence, since_ms)
        if lasting is not None:
            self.due[fence] = since_ms, since_ms + lasting

    def _stayed(self, at_ms: int) -> list[Change]:
        """What has lasted by now, also where this fix is outside: until it came, the device was inside."""
        lasted = [(fence, stay) for fence, stay in self.due.items() if stay[1] <= at_ms]
        for fence, _ in lasted:
            del self.due[fence]
        return [Told(fence, "dwelled", due, since_ms=since) for fence, (since, due) in sorted(lasted)]

    def _stays_anew(self, fence: str, place: int, at_ms: int, dwell: Dwell) -> list[Change]:
        """What a late point before `place` changes, which is inside where the one before it is not, or the other way
        around: a visit that ends or begins there, and how that stood before."""

        def stays(*visits: tuple[int, int]) -> list[Stay]:
            lasting = [(since, dwell(fence, since), until) for since, until in visits]
            return [(since, since + ms) for since, ms, until in lasting if ms is not None and since + ms <= until]

        was, goes_on = fence in self._inside_before(place), fence in self.insides[place]
        after_ms, since = self.times[place], self._since(fence, place) if was else at_ms
        end = self._end(fence, place) if goes_on else after_ms
        until = self.times[-1] if end is None else end
        if goes_on:
            old = stays((since if was else after_ms, until))
            new = stays((since, at_ms), (after_ms, until)) if was else stays((at_ms, until))
        else:
            old = stays((since, after_ms)) if was else []
            new = stays((since, at_ms if was else after_ms))
        if end is None:
            self.due.pop(fence, None)
            begins = after_ms if was else at_ms
            if not stays((begins, until)):
                self._await(fence, begins, dwell)
        return restated(fence, [stay for stay in old if stay not in new], [stay for stay in new if stay not in old])

    def _inside_before(self, place: int) -> Inside:
        return self.insides[place - 1] if place else self.before

    def _since(self, fence: str, place: int) -> int:
        """When the visit began that goes on just before `place`."""
        while place and fence in self.insides[place - 1]:
            place -= 1
        if place == 0 and fence in self.before:
            return self.entered[fence]
        return self.times[place]

    def _end(self, fence: str, place: int) -> int | None:
        """Of the visit that goes on at `place`; None where it still does."""
        return next((self.times[i] for i in range(place, len(self.times)) if fence not in self.insides[i]), None)


def restated(fence: str, gone: list[Stay], new: list[Stay]) -> list[Change]:
    """A stay that was told is another one, or none; the others are told now."""
    if gone and new:
        [(_, told_ms)], [(since, at_ms), *more] = gone, new
        moved = Moved(fence, "dwelled", told_ms, at_ms, since_ms=since)
        return [moved, *(Told(fence, "dwelled", at_ms, late=True, since_ms=since) for since, at_ms in more)]
    return [
        *(Moved(fence, "dwelled", told_ms, None) for _, told_ms in gone),
        *(Told(fence, "dwelled", at_ms, late=True, since_ms=since) for since, at_ms in new),
    ]


def crossed(before: Inside, after: Inside, at_ms: int, *, late: bool = False) -> list[Change]:
    return [
        *(Told(fence, "entered", at_ms, late) for fence in sorted(after - before)),
        *(Told(fence, "exited", at_ms, late) for fence in sorted(before - after)),
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
    """As it is kept: few distinct sets and short steps, so that a point takes ten bytes."""
    table: dict[Inside, int] = {}
    places = [table.setdefault(inside, len(table)) for inside in track.insides]
    base = track.times[0] if track.times else 0
    return [
        [sorted(track.before), track.before_ms, track.before_spot, track.entered],
        [sorted(inside) for inside in table],
        np.array(places, "<u2").tobytes(),
        base,
        (np.array(track.times, np.int64) - base).astype("<u4").tobytes(),
        *packed_spots(track),
        track.due,
        track.told.packed(),
        quality.packed(track.reach),
    ]


def packed_spots(track: Track) -> tuple[str, bytes]:
    """Each as its way from the one before."""
    spots = np.array([track.lats, track.lons], np.int64)
    steps = np.diff(spots, prepend=np.array(track.before_spot)[:, None])
    width = "<i2" if np.all(np.abs(steps) < 2**15) else "<i8"
    return width, steps.astype(width).tobytes()


def unpacked(kept: list[Any]) -> Track:
    (before, before_ms, before_spot, entered), table, places, base, times, width, spots, due, told, reach = kept
    insides = [frozenset(inside) for inside in table]
    track = Track()
    track.before, track.before_ms, track.before_spot = frozenset(before), before_ms, tuple(before_spot)
    track.entered, track.due = entered, {fence: tuple(stay) for fence, stay in due.items()}
    track.insides = [insides[place] for place in np.frombuffer(places, "<u2").tolist()]
    track.times = array("q", (base + np.frombuffer(times, "<u4").astype(np.int64)).tobytes())
    steps = np.frombuffer(spots, width).astype(np.int64).reshape(2, -1)
    track.lats = array("i", (before_spot[0] + np.cumsum(steps[0])).astype(np.intc).tobytes())
    track.lons = array("i", (before_spot[1] + np.cumsum(steps[1])).astype(np.intc).tobytes())
    track.told = ToldSoFar.unpacked(told)
    track.reach = quality.unpacked(reach)
    return track
