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
    """Shortest ways from `start` to `end`, or just points, each with all that lies within its `reach_m`.

    One a row: `start`, `end`, the normal of the plane through both and the globe's centre, the directions in which the
    way goes on at its start and at its end, each a vector; and the reach. Of a point the three are zero.
    """

    rows: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def start(self) -> Vectors:
        return self.rows[:, 0:3]

    @property
    def end(self) -> Vectors:
        return self.rows[:, 3:6]

    @property
    def normal(self) -> Vectors:
        return self.rows[:, 6:9]

    @property
    def reach_m(self) -> Metres:
        return self.rows[:, 15]


def vectors(lat: Degrees, lon: Degrees) -> Vectors:
    north, east = np.radians(lat), np.radians(lon)
    flat = np.cos(north)
    return np.stack([flat * np.cos(east), flat * np.sin(east), np.sin(north)], axis=-1)


def arcs(start: Vectors, end: Vectors, reach_m: Metres) -> Arcs:
    normal = np.cross(start, end)
    length = np.linalg.norm(normal, axis=-1, keepdims=True)
    normal = np.divide(normal, length, out=np.zeros_like(normal), where=length > 0)
    columns = [start, end, normal, np.cross(normal, start), np.cross(normal, end), reach_m[:, None]]
    return Arcs(np.concatenate(columns, axis=1))


def picked(of: Arcs, rows: npt.NDArray[np.int64]) -> Arcs:
    return Arcs(of.rows[rows])


def joined(several: list[Arcs]) -> Arcs:
    return Arcs(np.concatenate([each.rows for each in several]))


def metres_between(one: Vectors, other: Vectors) -> Metres:
    """By the chord, exact for what is near."""
    apart = one - other
    chord = np.sqrt(np.einsum("ij,ij->i", apart, apart))
    metres: Metres = 2 * EARTH_RADIUS_M * np.arcsin(np.minimum(1.0, chord / 2))
    return metres


def metres_off(ways: Arcs, places: Vectors) -> Metres:
    """Of each place from its own way: beside it by the angle to its plane, else from its nearer end."""
    off = metres_between(ways.start, places)
    lines = np.flatnonzero(ways.rows[:, 6:9].any(axis=1))
    if len(lines):
        off[lines] = metres_off_lines(ways.rows[lines], places[lines], off[lines])
    return off


def metres_off_lines(rows: npt.NDArray[np.float64], places: Vectors, from_start_m: Metres) -> Metres:
    ends = np.minimum(from_start_m, metres_between(rows[:, 3:6], places))
    ahead = np.einsum("ij,ij->i", rows[:, 9:12], places) > 0
    before = np.einsum("ij,ij->i", rows[:, 12:15], places) < 0
    sine = np.clip(np.einsum("ij,ij->i", rows[:, 6:9], places), -1, 1)
    return np.where(ahead & before, EARTH_RADIUS_M * np.abs(np.arcsin(sine)), ends)
