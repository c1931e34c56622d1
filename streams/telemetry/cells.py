"""Over which cells of the map does a shape lie, and which lie wholly within it?

Cells of several sizes, the smaller ones along the border: of each cell within, no point need be asked for. A cell is
named by its row to the north and its column to the east.
"""

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import shapely

from schemas.fixes import MICRODEGREES, Column
from schemas.geo import EARTH_RADIUS_M
from schemas.ground import Drawn, Ground
from schemas.sphere import Arcs, metres_between, metres_off, picked, vectors

CELL_LAT, CELL_LON = 1_000, 2_000
"""Of the smallest, microdegrees: 111 m to the north, as much to the east at 60 degrees (10,000 fences: 1.7 µs a point;
223 m: 4.9)."""
FINER = 8
"""So many times smaller is a cell of the next size, each way."""
SIZES = 5
"""The largest: 455 km to the north."""
FIRST_CELLS = 128
"""A shape is begun with the smallest size of which no more lie around it."""
MOST_COUNTED = 100_000
MOST_ASKED = 8_192
"""Cells are made smaller while no more are to be asked for; of a corridor four times as many for each of its parts."""
WIDER = 1.01
"""A cell is taken for a little larger than it is, for all that is rounded."""

type Numbers = npt.NDArray[np.int64]
type Truths = npt.NDArray[np.bool_]
type Box = tuple[float, float, float, float]
"""West, south, east, north, in degrees."""


class Cells(msgspec.Struct, frozen=True):
    """Of one size. `part` is the row of the way that comes near, 0 of what is drawn."""

    size: int
    row: Numbers
    column: Numbers
    part: Numbers
    whole: Truths


def sides(size: int) -> tuple[int, int]:
    """Microdegrees to the north and to the east."""
    return CELL_LAT * FINER**size, CELL_LON * FINER**size


def cell_key(row: Numbers, column: Numbers) -> Numbers:
    return (row << 32) + column


def row_of(size: int, lat: Column) -> Numbers:
    return np.floor_divide(lat, sides(size)[0])


def column_of(size: int, lon: Column) -> Numbers:
    return np.floor_divide(lon, sides(size)[1])


def cells_over(ground: Ground) -> list[Cells]:
    parts = 1 if isinstance(ground, Drawn) else len(ground)
    most = MOST_ASKED + 4 * FINER**2 * (parts - 1)
    size, row, column = first_cells(bounds_of(ground))
    part = np.tile(np.arange(parts), len(row))
    row, column = np.repeat(row, parts), np.repeat(column, parts)
    found: list[Cells] = []
    while True:
        touched, whole = judged(ground, size, row, column, part)
        row, column, part, whole = row[touched], column[touched], part[touched], whole[touched]
        row, column, part = settled(found, size, row, column, part, whole)
        if size == 0 or len(row) * FINER**2 > most:
            found.append(Cells(size, row, column, part, np.zeros(len(row), bool)))
            return [cells for cells in found if len(cells.row)]
        row, column, part = halved(row, column, part)
        size -= 1


def settled(
    found: list[Cells], size: int, row: Numbers, column: Numbers, part: Numbers, whole: Truths
) -> tuple[Numbers, Numbers, Numbers]:
    """Each cell that lies within is told once, whatever else comes near it; the others are left."""
    if not whole.any():
        return row, column, part
    if not part.any():
        found.append(Cells(size, row[whole], column[whole], part[whole], np.ones(int(whole.sum()), bool)))
        return row[~whole], column[~whole], part[~whole]
    key = cell_key(row, column)
    within, first = np.unique(key[whole], return_index=True)
    at = np.flatnonzero(whole)[first]
    found.append(Cells(size, row[at], column[at], part[at], np.ones(len(at), bool)))
    left = ~np.isin(key, within)
    return row[left], column[left], part[left]


def halved(row: Numbers, column: Numbers, part: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Each cell's smaller ones."""
    each = FINER**2
    down, across = np.divmod(np.arange(each), FINER)
    return (
        np.repeat(row * FINER, each) + np.tile(down, len(row)),
        np.repeat(column * FINER, each) + np.tile(across, len(row)),
        np.repeat(part, each),
    )


def first_cells(bounds: list[Box]) -> tuple[int, Numbers, Numbers]:
    """Those over all of these boxes."""
    for size in range(SIZES - 1):
        over = [box_cells(size, box) for box in bounds]
        if sum(len(rows) * len(columns) for rows, columns in over) <= MOST_COUNTED:
            row, column = told_once(over)
            if len(row) <= FIRST_CELLS:
                return size, row, column
    return SIZES - 1, *told_once([box_cells(SIZES - 1, box) for box in bounds])


def told_once(over: list[tuple[range, range]]) -> tuple[Numbers, Numbers]:
    if len(over) == 1:
        row, column = crossed(*over[0])
        return row, column
    row, column = np.unique(np.concatenate([crossed(rows, columns) for rows, columns in over], axis=1), axis=1)
    return row, column


def box_cells(size: int, box: Box) -> tuple[range, range]:
    north, east = sides(size)
    west, south, last, top = (degrees * MICRODEGREES for degrees in box)
    return range(int(south // north), int(top // north) + 1), range(int(west // east), int(last // east) + 1)


def crossed(rows: range, columns: range) -> Numbers:
    return np.stack([np.repeat(np.array(rows), len(columns)), np.tile(np.array(columns), len(rows))])


def bounds_of(ground: Ground) -> list[Box]:
    """Two boxes where it lies on both sides of the antimeridian."""
    if isinstance(ground, Drawn):
        return [tuple(ground.sewn.bounds)]
    found: list[Box] = []
    for row in range(len(ground)):
        found += around(picked(ground, np.array([row])))
    return found


def around(way: Arcs) -> list[Box]:
    """Of one: the circle around its middle that reaches over its ends."""
    middle = way.start + way.end
    middle /= np.linalg.norm(middle)
    reach = float(way.reach_m[0] + metres_between(way.start, way.end)[0] / 2) * WIDER / EARTH_RADIUS_M
    lat, lon = np.arcsin(middle[0, 2]), np.degrees(np.arctan2(middle[0, 1], middle[0, 0]))
    south, north = np.degrees(lat - reach), np.degrees(lat + reach)
    if south <= -90 or north >= 90:
        return [(-180.0, max(-90.0, south), 180.0, min(90.0, north))]
    wide = np.degrees(np.arcsin(min(1.0, np.sin(reach) / np.cos(lat)))) * WIDER
    west, east = lon - wide, lon + wide
    if west < -180:
        return [(-180.0, south, east, north), (west + 360, south, 180.0, north)]
    if east > 180:
        return [(west, south, 180.0, north), (-180.0, south, east - 360, north)]
    return [(west, south, east, north)]


def judged(ground: Ground, size: int, row: Numbers, column: Numbers, part: Numbers) -> tuple[Truths, Truths]:
    """Which cells it touches, and which lie within it."""
    north, east = sides(size)
    if isinstance(ground, Drawn):
        return drawn_over(ground, row * north, column * east, north, east)
    middle = vectors((row + 0.5) * north / MICRODEGREES, (column + 0.5) * east / MICRODEGREES)
    corner = np.maximum(
        metres_between(middle, vectors(row * north / MICRODEGREES, column * east / MICRODEGREES)),
        metres_between(middle, vectors((row + 1) * north / MICRODEGREES, column * east / MICRODEGREES)),
    )
    ways = picked(ground, part)
    off = metres_off(ways, middle)
    return off <= ways.reach_m + corner * WIDER, off + corner * WIDER <= ways.reach_m


def drawn_over(ground: Drawn, south: Numbers, west: Numbers, north: int, east: int) -> tuple[Truths, Truths]:
    boxes: Any = shapely.box(
        west / MICRODEGREES,
        south / MICRODEGREES,
        (west + east) / MICRODEGREES,
        (south + north) / MICRODEGREES,
    )
    touched = shapely.intersects(ground.sewn, boxes)
    whole = np.zeros(len(boxes), bool)
    whole[touched] = shapely.contains_properly(ground.region, boxes[touched])
    return touched, whole
