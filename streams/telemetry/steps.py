"""Straight ways from fix to fix: which cells they lead over, and whether they lead through a fence."""

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import shapely

from schemas.fixes import MICRODEGREES
from schemas.sphere import Arcs, Metres, Vectors, arcs, metres_between, metres_off, picked, vectors
from streams.telemetry.cells import Numbers, Truths, sides

LONGEST_STEP_M = 10_000
"""Of what is further apart nobody knows the way between."""
LONGEST_PIECE_M = 500
"""A way is the shortest one; so short a piece of it is straight in degrees too, but for 3 cm at 80 degrees north."""
NEAR_POLE_DEGREES = 89.9
"""Beyond it no way is followed: a step leads over any number of cells."""

type Reals = npt.NDArray[np.float64]


class Pieces(msgspec.Struct, frozen=True):
    """Of steps, in degrees; longitudes go on beyond 180 where a step crosses the antimeridian."""

    step: Numbers
    """The row of the step."""
    south: Reals
    """Latitude and longitude of the southern end, one a row; `north` so too."""
    north: Reals

    def __len__(self) -> int:
        return len(self.step)


def pieces_of(start: Reals, end: Reals) -> Pieces:
    """Of steps from latitude and longitude to latitude and longitude, one a row. Where one crosses the antimeridian
    it is told twice, once on each side."""
    a, b = vectors(start[:, 0], start[:, 1]), vectors(end[:, 0], end[:, 1])
    length = metres_between(a, b)
    poleward = np.maximum(np.abs(start[:, 0]), np.abs(end[:, 0]))
    step = np.flatnonzero((length > 0) & (length <= LONGEST_STEP_M) & (poleward <= NEAR_POLE_DEGREES))
    count = np.ceil(length[step] / LONGEST_PIECE_M).astype(np.int64)
    if (count > 1).any():
        step, one, other = cut(start, end, a, b, step, count)
    else:
        one, other = start[step], end[step].copy()
    other[:, 1] -= 360 * np.round((other[:, 1] - one[:, 1]) / 360)
    beyond = np.flatnonzero(np.abs(other[:, 1]) > 180)
    if len(beyond):
        back = np.array([[0, 360]]) * np.sign(other[beyond, 1])[:, None]
        step = np.concatenate([step, step[beyond]])
        one, other = np.concatenate([one, one[beyond] - back]), np.concatenate([other, other[beyond] - back])
    swapped = (one[:, 0] > other[:, 0])[:, None]
    return Pieces(step, np.where(swapped, other, one), np.where(swapped, one, other))


def cut(
    start: Reals, end: Reals, a: Vectors, b: Vectors, step: Numbers, count: Numbers
) -> tuple[Numbers, Reals, Reals]:
    """Each step into so many pieces along the shortest way; its own ends as they were told."""
    row, of = np.repeat(step, count), np.repeat(count, count)
    number = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)

    def place(share: Reals) -> Reals:
        inner = a[row] + (b[row] - a[row]) * share[:, None]
        lat = np.degrees(np.arctan2(inner[:, 2], np.hypot(inner[:, 0], inner[:, 1])))
        return np.stack([lat, np.degrees(np.arctan2(inner[:, 1], inner[:, 0]))], axis=1)

    one = np.where((number == 0)[:, None], start[row], place(number / of))
    other = np.where((number == of - 1)[:, None], end[row], place((number + 1) / of))
    return row, one, other


def cells_along(pieces: Pieces, size: int) -> tuple[Numbers, Numbers, Numbers]:
    """Of each cell that one leads over: the piece, the cell's row and its column. A microdegree wider than it is."""
    high, wide = sides(size)
    south, north = pieces.south * MICRODEGREES, pieces.north * MICRODEGREES
    first, last = np.floor((south[:, 0] - 1) / high), np.floor((north[:, 0] + 1) / high)
    piece, row = spread(first, last)
    rise = np.maximum(north[piece, 0] - south[piece, 0], 1e-9)
    run = (north[piece, 1] - south[piece, 1]) / rise
    into = np.clip(row * high - 1 - south[piece, 0], 0, rise)
    out = np.clip((row + 1) * high + 1 - south[piece, 0], 0, rise)
    one, other = south[piece, 1] + into * run, south[piece, 1] + out * run
    west, east = np.floor((np.minimum(one, other) - 1) / wide), np.floor((np.maximum(one, other) + 1) / wide)
    within, column = spread(west, east)
    return piece[within], row[within], column


def spread(first: Reals, last: Reals) -> tuple[Numbers, Numbers]:
    """Each row as often as there are numbers from its first up to its last, with these."""
    count = (last - first).astype(np.int64) + 1
    row = np.repeat(np.arange(len(count)), count)
    return row, first.astype(np.int64)[row] + np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)


def leads_through(pieces: Pieces, piece: Numbers, drawn: npt.NDArray[Any], bounds: Reals) -> Truths:
    """Of each piece and what is drawn beside it, which lies between west, south, east and north."""
    south, north = pieces.south[piece], pieces.north[piece]
    west, east = np.minimum(south[:, 1], north[:, 1]), np.maximum(south[:, 1], north[:, 1])
    met: Truths = (west <= bounds[:, 2]) & (bounds[:, 0] <= east)
    met &= (south[:, 0] <= bounds[:, 3]) & (bounds[:, 1] <= north[:, 0])
    asked = np.flatnonzero(met)
    ends = np.stack([south[asked, ::-1], north[asked, ::-1]], axis=1)
    met[asked] = shapely.intersects(drawn[asked], shapely.linestrings(ends))
    return met


def comes_near(pieces: Pieces, piece: Numbers, ways: Arcs) -> Truths:
    """Of each piece and the way beside it: first whether its middle is as near as it must be."""
    start, end = vectors(*pieces.south.T), vectors(*pieces.north.T)
    middle, reach = (start + end) / 2, metres_between(start, end) / 2 + 1
    near = metres_off(ways, middle[piece]) <= ways.reach_m + reach[piece]
    asked = np.flatnonzero(near)
    led = arcs(start[piece[asked]], end[piece[asked]], np.zeros(len(asked)))
    near[asked] = metres_apart(led, picked(ways, asked)) <= ways.reach_m[asked]
    return near


def metres_apart(one: Arcs, other: Arcs) -> Metres:
    """Of short ways that lie on one side of the earth: none where they cross, else from an end of one of them."""
    ends = [
        metres_off(one, other.start),
        metres_off(one, other.end),
        metres_off(other, one.start),
        metres_off(other, one.end),
    ]
    across = parted(one, other) & parted(other, one) & (np.einsum("ij,ij->i", one.start, other.start) > 0)
    return np.where(across, 0.0, np.min(ends, axis=0))


def parted(line: Arcs, by: Arcs) -> Truths:
    """Whether the ends of `line` lie on both sides of the other."""
    side = np.einsum("ij,ij->i", by.normal, line.start) * np.einsum("ij,ij->i", by.normal, line.end)
    on_both: Truths = side < 0
    return on_both
