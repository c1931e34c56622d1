"""What really happened at the fences: all fixes sorted by time, each beside each fence.

Written without a line of the engine's: no cells, no memory, no corrections, no map that ends anywhere. Whether a ring
holds a place is told by how often the meridian from there to the north pole meets it; what is measured in metres, by
vectors in space.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec
import numpy as np
import numpy.typing as npt

from schemas.directory import Circle, Corridor, MultiPolygon, Polygon, Shape, Vertex

EARTH_M = 6_371_008.8

type Degrees = npt.NDArray[np.float64]
type Truths = npt.NDArray[np.bool_]
type Happened = tuple[str, str, str, str, int]
"""Rider, device, fence, what, when (Unix milliseconds)."""


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


def truth(seen: Iterable[Seen], fences: Sequence[Stood]) -> set[Happened]:
    ordered = sorted({(fix.rider, fix.device, fix.at_ms): fix for fix in seen}.items())
    fixes = [fix for _, fix in ordered]
    held = inside(fixes, fences)
    happened: set[Happened] = set()
    for number, fix in enumerate(fixes):
        follows = number > 0 and (fixes[number - 1].rider, fixes[number - 1].device) == (fix.rider, fix.device)
        last = held[number - 1] if follows else set()
        happened.update((fix.rider, fix.device, fence, "entered", fix.at_ms) for fence in held[number] - last)
        happened.update((fix.rider, fix.device, fence, "exited", fix.at_ms) for fence in last - held[number])
    return happened


def inside(fixes: Sequence[Seen], fences: Sequence[Stood]) -> list[set[str]]:
    """Of each fix the fences that hold it, borders included."""
    lat, lon = np.array([fix.lat for fix in fixes]) / 1e6, np.array([fix.lon for fix in fixes]) / 1e6
    at_ms = np.array([fix.at_ms for fix in fixes])
    held: list[set[str]] = [set() for _ in fixes]
    for fence in fences:
        stood = (fence.from_ms <= at_ms) & (at_ms < fence.until_ms)
        for number in np.flatnonzero(stood & holds(fence.shape, lat, lon)):
            held[number].add(fence.fence)
    return held


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
    points = vectors(np.array([lat for _, lat in corridor.line]), np.array([lon for lon, _ in corridor.line]))
    held = np.zeros(len(places), bool)
    for start, end in pairwise(points):
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
        nearer = metres(along(start, end, low + third), places) < metres(along(start, end, high - third), places)
        low, high = np.where(nearer, low, low + third), np.where(nearer, high - third, high)
    return metres(along(start, end, (low + high) / 2), places)


def along(start: Degrees, end: Degrees, share: Degrees) -> Degrees:
    """So far on the straight line between them through the earth, seen from its centre."""
    inner = start + (end - start) * share[:, None]
    return inner / np.linalg.norm(inner, axis=-1, keepdims=True)


def metres(one: Degrees, other: Degrees) -> Degrees:
    """By the angle between vectors, from its sine and its cosine."""
    sine = np.linalg.norm(np.cross(one, other), axis=-1)
    angle: Degrees = np.arctan2(sine, np.sum(one * other, axis=-1))
    return EARTH_M * angle


def vectors(lat: Degrees, lon: Degrees) -> Degrees:
    north, east = np.radians(lat), np.radians(lon)
    return np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)], axis=-1)
