"""What really happened at the fences: all fixes sorted by time, each beside each fence.

Written without a line of the engine's: no cells, no memory, no corrections, no map that ends anywhere. Whether a ring
holds a place is told by how often the meridian from there to the north pole meets it; what is measured in metres, by
vectors in space.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import numpy.typing as npt
import shapely

from schemas.calendar import Calendar
from schemas.directory import Circle, Corridor, MultiPolygon, Polygon, Shape, Vertex

EARTH_M = 6_371_008.8

type Degrees = npt.NDArray[np.float64]
type Truths = npt.NDArray[np.bool_]
type Fact = tuple[str, str, int, int]
type Happened = tuple[str, str, str, str, int, int]
"""Rider, device, fence, what, since when and when (Unix milliseconds)."""


class Seen(msgspec.Struct, frozen=True):
    """A fix, microdegrees."""

    rider: str
    device: str
    at_ms: int
    lat: int
    lon: int


class Stood(msgspec.Struct, frozen=True):
    """A fence in one shape, from one moment up to another."""

    fence: str
    shape: Shape
    from_ms: int = 0
    until_ms: int = 2**62
    dwell_s: int | None = None
    calendar: Calendar | None = None


def truth(seen: Iterable[Seen], fences: Sequence[Stood]) -> set[Happened]:
    """Of two fixes of one moment the one that is told later counts; they are the same."""
    fixes = [fix for _, fix in sorted({(fix.rider, fix.device, fix.at_ms): fix for fix in seen}.items())]
    held = inside(fixes, fences)
    happened = set(crossings(fixes, held, fences))
    for (rider, device), group in groupby(range(len(fixes)), lambda number: of(fixes[number])):
        numbers = list(group)
        first, last = numbers[0], numbers[-1] + 1
        for fact in visits(fixes[first:last], held[first:last], fences):
            happened.add((rider, device, *fact))
    return happened


def of(fix: Seen) -> tuple[str, str]:
    return fix.rider, fix.device


def visits(fixes: Sequence[Seen], held: Sequence[set[str]], fences: Sequence[Stood]) -> Iterator[Fact]:
    """Each from the first fix inside up to the first one outside."""
    since: dict[str, int] = {}
    for fix, now in zip(fixes, held, strict=True):
        for fence in now - since.keys():
            since[fence] = fix.at_ms
            yield fence, "entered", fix.at_ms, fix.at_ms
        for fence in since.keys() - now:
            yield fence, "exited", fix.at_ms, fix.at_ms
            yield from dwelled(fence, since.pop(fence), fix.at_ms, fences)
    for fence, entered_ms in since.items():
        yield from dwelled(fence, entered_ms, fixes[-1].at_ms, fences)


def dwelled(fence: str, since_ms: int, until_ms: int, fences: Sequence[Stood]) -> Iterator[Fact]:
    for stood in fences:
        if stood.fence == fence and stood.from_ms <= since_ms < stood.until_ms and stood.dwell_s is not None:
            at_ms = since_ms + 1_000 * stood.dwell_s
            if at_ms <= until_ms:
                yield fence, "dwelled", since_ms, at_ms


def crossings(fixes: Sequence[Seen], held: Sequence[set[str]], fences: Sequence[Stood]) -> Iterator[Happened]:
    """Of a device's fixes that follow each other within two minutes and ten kilometres, both outside."""
    lat, lon = np.array([fix.lat for fix in fixes]) / 1e6, np.array([fix.lon for fix in fixes]) / 1e6
    places, at_ms = vectors(lat, lon), np.array([fix.at_ms for fix in fixes])
    same = np.array([of(one) == of(other) for one, other in pairwise(fixes)], bool)
    near = same & (np.diff(at_ms) <= 120_000) & (metres(places[:-1], places[1:]) <= 10_000)
    ways = Ways(places[:-1], places[1:], lines(places[:-1], places[1:]))
    for fence in fences:
        out = np.array([fence.fence not in now for now in held], bool)
        counts = stood(fence, at_ms)
        both = counts[:-1] & counts[1:]
        asked = np.flatnonzero(near & out[:-1] & out[1:] & both)
        for number in asked[through(fence.shape, ways.of(asked))].tolist():
            yield *of(fixes[number]), fence.fence, "crossed", fixes[number].at_ms, fixes[number + 1].at_ms


class Ways(msgspec.Struct, frozen=True):
    """From fix to fix. What is drawn lies on one side of the antimeridian here."""

    start: Degrees
    end: Degrees
    drawn: npt.NDArray[Any]

    def of(self, rows: npt.NDArray[np.int64]) -> "Ways":
        return Ways(self.start[rows], self.end[rows], self.drawn[rows])

    def near(self, place: Degrees, reach_m: float) -> npt.NDArray[np.int64]:
        """Those that may come so near."""
        middle = self.start + self.end
        middle /= np.linalg.norm(middle, axis=1, keepdims=True)
        return np.flatnonzero(metres(middle, place) <= 1 + reach_m + metres(self.start, self.end) / 2)


def through(shape: Shape, ways: Ways) -> Truths:
    """Whether the shortest way leads through."""
    found = np.zeros(len(ways.start), bool)
    match shape:
        case Circle():
            center = vectors(np.array([shape.center.lat]), np.array([shape.center.lon]))
            near = ways.near(center, shape.radius_m)
            off = off_way(ways.start[near], ways.end[near], np.repeat(center, len(near), axis=0))
            found[near] = off <= shape.radius_m
        case Corridor():
            for a, b in ways_of(shape):
                near = ways.near(along(a, b, np.array([0.5])), shape.width_m + float(metres(a, b)) / 2)
                found[near] |= beside(a, b, shape.width_m, ways.of(near))
        case Polygon():
            found |= shapely.intersects(ways.drawn, shapely.Polygon(shape.rings[0], shape.rings[1:]))
        case MultiPolygon():
            for rings in shape.polygons:
                found |= through(Polygon(rings=rings), ways)
    return found


def beside(a: Degrees, b: Degrees, width_m: float, ways: Ways) -> Truths:
    """They cross, seen from above, or an end of one lies beside the other."""
    ends = [off_way(a, b, ways.start), off_way(a, b, ways.end)]
    ends += [off_way(ways.start, ways.end, np.tile(point, (len(ways.start), 1))) for point in (a, b)]
    crossed: Truths = shapely.intersects(ways.drawn, lines(a[None], b[None])[0])
    return crossed | (np.min(ends, axis=0) <= width_m)


def lines(start: Degrees, end: Degrees) -> npt.NDArray[Any]:
    """In degrees, of twenty pieces."""
    points = np.stack([along(start, end, np.full(len(start), share)) for share in np.linspace(0, 1, 21)], axis=1)
    lat = np.degrees(np.arcsin(points[..., 2]))
    drawn: npt.NDArray[Any] = shapely.linestrings(
        np.stack([np.degrees(np.arctan2(points[..., 1], points[..., 0])), lat], axis=-1)
    )
    return drawn


def ways_of(corridor: Corridor) -> Iterator[tuple[Degrees, Degrees]]:
    return pairwise(vectors(np.array([lat for _, lat in corridor.line]), np.array([lon for lon, _ in corridor.line])))


def inside(fixes: Sequence[Seen], fences: Sequence[Stood]) -> list[set[str]]:
    """Of each fix the fences that hold it, borders included."""
    lat, lon = np.array([fix.lat for fix in fixes]) / 1e6, np.array([fix.lon for fix in fixes]) / 1e6
    at_ms = np.array([fix.at_ms for fix in fixes])
    held: list[set[str]] = [set() for _ in fixes]
    for fence in fences:
        for number in np.flatnonzero(stood(fence, at_ms) & holds(fence.shape, lat, lon)):
            held[number].add(fence.fence)
    return held


def stood(fence: Stood, at_ms: npt.NDArray[np.int64]) -> Truths:
    counts: Truths = (fence.from_ms <= at_ms) & (at_ms < fence.until_ms)
    return counts if fence.calendar is None else counts & is_open(fence.calendar, at_ms)


def is_open(calendar: Calendar, at_ms: npt.NDArray[np.int64]) -> Truths:
    """Whether any hours that began within three days go on: each by itself."""
    held = np.zeros(len(at_ms), bool)
    first, last = (datetime.fromtimestamp(each / 1_000, UTC).date() for each in (at_ms.min(), at_ms.max()))
    for number in range(-3, (last - first).days + 3):
        for begins, ends in hours_of(calendar, first + timedelta(days=number)):
            held |= (begins.timestamp() * 1_000 <= at_ms) & (at_ms < ends.timestamp() * 1_000)
    return held


def hours_of(calendar: Calendar, day: date) -> Iterator[tuple[datetime, datetime]]:
    otherwise = {each.date: each.hours for each in calendar.exceptions}
    weekday = f"{day:%A}".lower()
    hours = [(each.opens, each.closes) for each in calendar.weekly if weekday in each.days]
    if f"{day:%Y-%m-%d}" in otherwise:
        hours = [(each.opens, each.closes) for each in otherwise[f"{day:%Y-%m-%d}"]]
    for opens, closes in hours:
        until = day + timedelta(days=1) if closes <= opens or closes == "24:00" else day
        yield shown(calendar.zone, day, opens), shown(calendar.zone, until, closes.replace("24:00", "00:00"))


def shown(zone: str, day: date, clock: str) -> datetime:
    """When the clock there shows it first; by what it was the day before where it never does."""
    local = datetime.combine(day, time.fromisoformat(clock), UTC)
    there = ZoneInfo(zone)
    offsets = [(local + timedelta(days=days)).astimezone(there).utcoffset() or timedelta() for days in (-1, 1)]
    found = [local - offset for offset in offsets]
    real = [at for at in found if at.astimezone(there).replace(tzinfo=UTC) == local]
    return min(real) if real else found[0]


def holds(shape: Shape, lat: Degrees, lon: Degrees) -> Truths:
    match shape:
        case Circle():
            center = vectors(np.array([shape.center.lat]), np.array([shape.center.lon]))
            return metres(center, vectors(lat, lon)) <= shape.radius_m
        case Corridor():
            return near_line(shape, vectors(lat, lon))
        case Polygon():
            return within(shape.rings, lat, lon)
        case MultiPolygon():
            return np.any([within(rings, lat, lon) for rings in shape.polygons], axis=0)


def within(rings: Sequence[Sequence[Vertex]], lat: Degrees, lon: Degrees) -> Truths:
    shell, *holes = (ring_holds(ring, lat, lon) for ring in rings)
    return shell & ~np.any([np.zeros(len(lat), bool), *holes], axis=0)


def ring_holds(ring: Sequence[Vertex], lat: Degrees, lon: Degrees) -> Truths:
    """Going north along the meridian, each edge changes sides; at the pole it is known on which side we are."""
    inside = np.zeros(len(lat), bool)
    turned = northern = 0.0
    for (west, one), (east, other) in pairwise(ring):
        step = (east - west + 180) % 360 - 180
        turned += step
        northern += step * (np.sin(np.radians(one)) + np.sin(np.radians(other)))
        if step < 0:
            west, one, other, step = west + step, other, one, -step
        ahead = (lon - west) % 360
        met = ahead < step
        inside ^= met & (one + (other - one) * np.divide(ahead, step, out=np.zeros(len(lat)), where=met) > lat)
    around_north = abs(turned) > 180 and northern * turned > 0
    return ~inside if around_north else inside


def near_line(corridor: Corridor, places: Degrees) -> Truths:
    held = np.zeros(len(places), bool)
    for start, end in ways_of(corridor):
        middle = along(start, end, np.array([0.5]))
        reach = 1.0 + corridor.width_m + float(metres(start, end)) / 2
        asked = np.flatnonzero(~held & (metres(middle, places) <= reach))
        held[asked] = off_way(start, end, places[asked]) <= corridor.width_m
    return held


def off_way(start: Degrees, end: Degrees, places: Degrees) -> Degrees:
    """Metres. By thirds: the nearest point lies where the distance falls no more."""
    low, high = np.zeros(len(places)), np.ones(len(places))
    for _ in range(50):
        third = (high - low) / 3
        nearer = chord(along(start, end, low + third), places) < chord(along(start, end, high - third), places)
        low, high = np.where(nearer, low, low + third), np.where(nearer, high - third, high)
    return metres(along(start, end, (low + high) / 2), places)


def chord(one: Degrees, other: Degrees) -> Degrees:
    """Its square, which grows with the distance."""
    squared: Degrees = np.einsum("ij,ij->i", one - other, one - other)
    return squared


def along(start: Degrees, end: Degrees, share: Degrees) -> Degrees:
    """So far on the straight line between them through the earth, seen from its centre."""
    inner = start + (end - start) * share[:, None]
    return inner / np.sqrt(np.einsum("ij,ij->i", inner, inner))[:, None]


def metres(one: Degrees, other: Degrees) -> Degrees:
    """By the angle between vectors, from its sine and its cosine."""
    sine = np.linalg.norm(np.cross(one, other), axis=-1)
    angle: Degrees = np.arctan2(sine, np.sum(one * other, axis=-1))
    return EARTH_M * angle


def vectors(lat: Degrees, lon: Degrees) -> Degrees:
    north, east = np.radians(lat), np.radians(lon)
    return np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)], axis=-1)
