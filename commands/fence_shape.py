"""Is a fence's shape one that can be? If not, what is wrong with it, and where?"""

import re
from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np
import shapely

from schemas.directory import MAX_VERTICES, Circle, Corridor, MultiPolygon, Polygon, Shape, Vertex
from schemas.message import Refused
from schemas.outline import drawn, enclosed, parts, region, turns, unrolled
from schemas.sphere import metres_between, vectors

LONGEST_WAY_M = 1_000_000
"""Between two vertices of a corridor's line."""
NEAR = 1e-9
"""Degrees: what GEOS computes of a crossing lies so near to its edges."""
POINT = re.compile(r"\[(\S+) (\S+)\]")

type Ring = Sequence[Vertex]
type Place = tuple[float, float]
"""Longitude, latitude."""


class InvalidShape(Refused):
    """`pointer` is a JSON pointer into the command's body; `longitude` and `latitude` say where on earth."""

    rule = "invalid-shape"
    is_about = ("shape",)

    def __init__(self, problem: str, *at: str | int, place: Place | None = None) -> None:
        where = f", at longitude {place[0]:.7g}, latitude {place[1]:.7g}" if place else ""
        super().__init__(f"the shape is not valid: {problem}{where}")
        self.problem = problem
        self.pointer = "".join(f"/{step}" for step in ("shape", *at))
        self.longitude = place[0] if place else None
        self.latitude = place[1] if place else None


def check_shape(shape: Shape) -> None:
    """Raises InvalidShape. Rings go either way around, and are closed: nobody guesses which vertex was left out."""
    match shape:
        case Circle():
            check_numbers([shape.center.lon, shape.center.lat], "center")
            check_numbers([shape.radius_m], "radius_m")
        case Corridor():
            check_line(shape)
        case Polygon():
            check_count(shape.rings)
            check_polygon(shape.rings, "rings")
        case MultiPolygon():
            check_count([ring for rings in shape.polygons for ring in rings])
            for number, rings in enumerate(shape.polygons):
                check_polygon(rings, "polygons", number)
            check_apart([enclosed(rings) for rings in shape.polygons], "polygon", ("polygons",), 0)


def check_numbers(numbers: Sequence[float], *at: str | int) -> None:
    if not all(map(isfinite, numbers)):
        raise InvalidShape("it is not a number", *at)


def check_vertices(vertices: Ring, *at: str | int) -> None:
    for number, (lon, lat) in enumerate(vertices):
        check_numbers([lon, lat], *at, number)
        if abs(lon) > 180 or abs(lat) > 90:
            raise InvalidShape("a vertex is longitude, then latitude, in degrees", *at, number)


def check_count(rings: Sequence[Ring]) -> None:
    count = sum(map(len, rings))
    if count > MAX_VERTICES:
        raise InvalidShape(f"it has {count} vertices, and at most {MAX_VERTICES} are taken")


def check_line(corridor: Corridor) -> None:
    check_numbers([corridor.width_m], "width_m")
    check_vertices(corridor.line, "line")
    points = np.array(corridor.line, float)
    line = vectors(points[:, 1], points[:, 0])
    for number in np.flatnonzero(metres_between(line[:-1], line[1:]) > LONGEST_WAY_M).tolist():
        raise InvalidShape("it is more than 1,000 km to the next vertex: give one between", "line", number)


def check_polygon(rings: Sequence[Ring], *at: str | int) -> None:
    for number, ring in enumerate(rings):
        check_ring(ring, *at, number)
    shell, holes = region(rings[0]), [region(ring) for ring in rings[1:]]
    for number, hole in enumerate(holes, start=1):
        if not shapely.covers(shell, hole):
            raise outside(shell, hole, rings[number], number, at)
    check_apart(holes, "hole", at, 1)
    if shapely.difference(shell, shapely.union_all(holes)).area == 0:
        raise InvalidShape("its holes leave nothing of it", *at, 0)


def check_ring(ring: Ring, *at: str | int) -> None:
    check_vertices(ring, *at)
    if ring[0] != ring[-1]:
        raise InvalidShape("the ring is not closed: its last vertex must be its first", *at, len(ring) - 1)
    if len(set(ring)) < 3:
        raise InvalidShape("the ring has fewer than three vertices that differ", *at)
    if abs(turns(ring)) > 1:
        raise InvalidShape("the ring goes around the earth more than once", *at)
    piece = drawn(ring)
    if shapely.convex_hull(piece).area == 0:
        raise InvalidShape("the ring encloses no area", *at)
    if not piece.is_valid:
        raise crossing(ring, piece, at)
    around = parts(piece)
    if sum(part.area for part in around) - shapely.union_all(around).area > NEAR:
        raise InvalidShape("the ring lies over itself, around the earth", *at)


def crossing(ring: Ring, piece: Any, at: tuple[str | int, ...]) -> InvalidShape:
    """The first edge that another one crosses or touches, and where."""
    found = POINT.search(str(shapely.is_valid_reason(piece)))
    if found is None:
        return InvalidShape("the ring crosses itself", *at)
    lon, lat = float(found[1]), float(found[2])
    points = unrolled(ring)
    edges = shapely.linestrings(np.stack([points[:-1], points[1:]], axis=1))
    near = np.flatnonzero(shapely.distance(edges, shapely.Point(lon, lat)) < NEAR).tolist()
    if not near:
        return InvalidShape("the ring crosses itself", *at, place=(lon, lat))
    others = " and ".join(str(number) for number in near[1:3]) or str(near[0])
    words = f"the ring crosses or touches itself: the edges after its vertices {near[0]} and {others} meet"
    return InvalidShape(words, *at, near[0], place=(turned(lon), lat))


def turned(lon: float) -> float:
    return (lon + 180) % 360 - 180


def outside(shell: Any, hole: Any, ring: Ring, number: int, at: tuple[str | int, ...]) -> InvalidShape:
    for vertex, (lon, lat) in enumerate(ring):
        if not shapely.intersects_xy(shell, lon, lat):
            return InvalidShape("the hole is not within the outline", *at, number, vertex, place=(lon, lat))
    beyond = shapely.difference(hole, shell).representative_point()
    return InvalidShape("the hole is not within the outline", *at, number, place=(beyond.x, beyond.y))


def check_apart(regions: Sequence[Any], word: str, at: tuple[str | int, ...], first: int) -> None:
    """They may touch, but hold nothing together."""
    if len(regions) < 2:
        return
    one, other = shapely.STRtree(regions).query(regions, predicate="intersects")
    for a, b in zip(one.tolist(), other.tolist(), strict=True):
        if a < b and shapely.relate_pattern(regions[a], regions[b], "T********"):
            shared = shapely.intersection(regions[a], regions[b]).representative_point()
            words = f"{word} {a + first} and {word} {b + first} overlap"
            raise InvalidShape(words, *at, b + first, place=(shared.x, shared.y))
