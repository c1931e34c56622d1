"""What rings enclose: regions of the map between 180 degrees west and east, x to the east, whatever they cross.

Two vertices are joined by a straight line in degrees (RFC 7946, section 3.1.1), the short way around: where the
longitude jumps by more than 180 degrees, the line crosses the antimeridian (section 3.1.9). A ring that goes once
around the earth encloses a pole: the one that gives it the smaller area.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from shapely.affinity import translate

from schemas.directory import MultiPolygon, Polygon, Vertex

DECIMALS = 12
"""Of degrees: what is moved around the earth and back is where it was."""

type Degrees = npt.NDArray[np.float64]
type Region = Any
"""shapely's Polygon or MultiPolygon."""


def outline(shape: Polygon | MultiPolygon) -> Region:
    if isinstance(shape, Polygon):
        return enclosed(shape.rings)
    return shapely.union_all([enclosed(rings) for rings in shape.polygons])


def enclosed(rings: Sequence[Sequence[Vertex]]) -> Region:
    """The first ring's region without those of the others."""
    if len(rings) == 1:
        return region(rings[0])
    holes = shapely.union_all([region(ring) for ring in rings[1:]])
    return shapely.difference(region(rings[0]), holes)


def region(ring: Sequence[Vertex]) -> Region:
    return wrapped(drawn(ring))


def jumps(ring: Sequence[Vertex]) -> npt.NDArray[np.int64]:
    """After each vertex: 1 where the way to the next goes west over the antimeridian, -1 where it goes east, else 0."""
    step = np.diff(np.array(ring, float)[:, 0])
    return (step > 180).astype(np.int64) - (step < -180)


def turns(ring: Sequence[Vertex]) -> int:
    """How often a closed ring goes around the earth, to the east; to the west it is negative."""
    return -int(jumps(ring).sum())


def drawn(ring: Sequence[Vertex]) -> shapely.Polygon:
    """As one piece, on a map that goes on beyond 180 degrees; what encloses a pole goes up to it."""
    points = unrolled(ring)
    if turns(ring) == 0:
        return shapely.Polygon(points)
    lon, lat = points[:, 0], np.sin(np.radians(points[:, 1]))
    northern = float(np.sum(np.diff(lon) * (lat[1:] + lat[:-1]))) * np.sign(turns(ring))
    pole = 90.0 if northern >= 0 else -90.0
    return shapely.Polygon([*points, (lon[-1], pole), (lon[0], pole)])


def unrolled(ring: Sequence[Vertex]) -> Degrees:
    """Its vertices, of which no two neighbours are more than 180 degrees apart."""
    points = np.array(ring, float)
    points[1:, 0] -= 360 * np.cumsum(jumps(ring))
    return points


def wrapped(piece: shapely.Polygon) -> Region:
    """Cut at the antimeridian, each part where it belongs."""
    west, _, east, _ = piece.bounds
    if west >= -180 and east <= 180:
        return piece
    return shapely.union_all(parts(piece))


def parts(piece: shapely.Polygon) -> list[Region]:
    west, _, east, _ = piece.bounds
    found = []
    for turn in range(int((west + 180) // 360), int((east + 180) // 360) + 1):
        part = shapely.intersection(piece, shapely.box(360 * turn - 180, -90, 360 * turn + 180, 90))
        if part.area:
            moved = translate(part, -360 * turn)
            found.append(shapely.transform(moved, lambda points: np.round(points, DECIMALS)))
    return found


def sewn(outlined: Region) -> Region:
    """With what lies on the map's edge told on its other edge too, and a pole wherever it is looked for: for asking
    whether it holds a point, borders included."""
    west, south, east, north = outlined.bounds
    seams = [shapely.LineString([(-180, pole), (180, pole)]) for pole in (south, north) if abs(pole) == 90]
    for edge in (west, east):
        if abs(edge) == 180:
            on_edge = shapely.intersection(outlined, shapely.LineString([(edge, -90), (edge, 90)]))
            seams.append(translate(on_edge, -2 * edge))
    return shapely.GeometryCollection([outlined, *seams]) if seams else outlined
