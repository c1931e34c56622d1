"""What really happened at the fences: all fixes sorted by time, each beside each fence.

Written without a line of the engine's: no cells, no memory, no corrections; shapely for what is drawn in degrees,
vectors in space for what is measured in metres.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import shapely

from schemas.directory import Circle, Polygon

EARTH_M = 6_371_008.8

type Shape = Circle | Polygon
type Degrees = npt.NDArray[np.float64]
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
    within = inside(fixes, fences)
    happened: set[Happened] = set()
    for number, fix in enumerate(fixes):
        follows = number > 0 and (fixes[number - 1].rider, fixes[number - 1].device) == (fix.rider, fix.device)
        last = within[number - 1] if follows else set()
        happened.update((fix.rider, fix.device, fence, "entered", fix.at_ms) for fence in within[number] - last)
        happened.update((fix.rider, fix.device, fence, "exited", fix.at_ms) for fence in last - within[number])
    return happened


def inside(fixes: Sequence[Seen], fences: Sequence[Stood]) -> list[set[str]]:
    """Of each fix the fences that hold it, borders included."""
    lat, lon = np.array([fix.lat for fix in fixes]) / 1e6, np.array([fix.lon for fix in fixes]) / 1e6
    at_ms = np.array([fix.at_ms for fix in fixes])
    within: list[set[str]] = [set() for _ in fixes]
    for fence in fences:
        stood = (fence.from_ms <= at_ms) & (at_ms < fence.until_ms)
        for number in np.flatnonzero(stood & holds(fence.shape, lat, lon)):
            within[number].add(fence.fence)
    return within


def holds(shape: Shape, lat: Degrees, lon: Degrees) -> npt.NDArray[np.bool_]:
    if isinstance(shape, Circle):
        return metres(vectors(np.array([shape.center.lat]), np.array([shape.center.lon])), vectors(lat, lon)) <= (
            shape.radius_m
        )
    held: npt.NDArray[Any] = shapely.intersects_xy(shapely.Polygon(shape.rings[0], shape.rings[1:]), lon, lat)
    return held


def metres(one: Degrees, other: Degrees) -> Degrees:
    """By the angle between vectors, from its sine and its cosine."""
    sine = np.linalg.norm(np.cross(one, other), axis=-1)
    angle: Degrees = np.arctan2(sine, np.sum(one * other, axis=-1))
    return EARTH_M * angle


def vectors(lat: Degrees, lon: Degrees) -> Degrees:
    north, east = np.radians(lat), np.radians(lon)
    return np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)], axis=-1)
