"""Places on the globe as vectors, and how far they are from the shortest way between two others."""

import msgspec
import numpy as np
import numpy.typing as npt

from schemas.geo import EARTH_RADIUS_M

type Degrees = npt.NDArray[np.float64]
type Metres = npt.NDArray[np.float64]
type Vectors = npt.NDArray[np.float64]
"""Unit vectors, one a row."""


class Arcs(msgspec.Struct, frozen=True):
    """Shortest ways from `start` to `end`, or just points, each with all that lies within its `reach_m`. One a row."""

    start: Vectors
    end: Vectors
    normal: Vectors
    """Of the plane through both and the globe's centre; zero for a point."""
    reach_m: Metres

    def __len__(self) -> int:
        return len(self.reach_m)


def vectors(lat: Degrees, lon: Degrees) -> Vectors:
    north, east = np.radians(lat), np.radians(lon)
    return np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)], axis=-1)


def arcs(start: Vectors, end: Vectors, reach_m: Metres) -> Arcs:
    normal = np.cross(start, end)
    length = np.linalg.norm(normal, axis=-1, keepdims=True)
    return Arcs(start, end, np.divide(normal, length, out=np.zeros_like(normal), where=length > 0), reach_m)


def picked(of: Arcs, rows: npt.NDArray[np.int64]) -> Arcs:
    return Arcs(of.start[rows], of.end[rows], of.normal[rows], of.reach_m[rows])


def joined(several: list[Arcs]) -> Arcs:
    def column(name: str) -> npt.NDArray[np.float64]:
        return np.concatenate([getattr(each, name) for each in several])

    return Arcs(column("start"), column("end"), column("normal"), column("reach_m"))


def metres_between(one: Vectors, other: Vectors) -> Metres:
    """By the chord, exact for what is near."""
    metres: Metres = 2 * EARTH_RADIUS_M * np.arcsin(np.minimum(1.0, np.linalg.norm(one - other, axis=-1) / 2))
    return metres


def metres_off(ways: Arcs, places: Vectors) -> Metres:
    """Of each place from its own way: beside it by the angle to its plane, else from its nearer end."""
    ends = np.minimum(metres_between(ways.start, places), metres_between(ways.end, places))
    ahead = np.sum(np.cross(ways.normal, ways.start) * places, axis=-1) > 0
    before = np.sum(np.cross(ways.normal, ways.end) * places, axis=-1) < 0
    beside = EARTH_RADIUS_M * np.abs(np.arcsin(np.clip(np.sum(ways.normal * places, axis=-1), -1, 1)))
    return np.where(ahead & before, beside, ends)
