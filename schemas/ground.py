"""What a shape covers, borders included: a region of the map, or all that is near the shortest way between points."""

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import shapely

from schemas.directory import Circle, Corridor, Shape
from schemas.outline import outline, sewn
from schemas.sphere import Arcs, Degrees, Vectors, arcs, metres_off, vectors

type Ground = Drawn | Arcs


class Drawn(msgspec.Struct, frozen=True):
    """`sewn` is asked whether it holds a point."""

    region: Any
    sewn: Any


def ground_of(shape: Shape) -> Ground:
    match shape:
        case Circle():
            center = vectors(np.array([shape.center.lat]), np.array([shape.center.lon]))
            return arcs(center, center, np.array([shape.radius_m], float))
        case Corridor():
            points = np.array(shape.line, float)
            line = vectors(points[:, 1], points[:, 0])
            return arcs(line[:-1], line[1:], np.full(len(line) - 1, shape.width_m, float))
        case _:
            region = outline(shape)
            drawn = Drawn(region, sewn(region))
            shapely.prepare([drawn.region, drawn.sewn])
            return drawn


def lies_within(ground: Ground, lat: Degrees, lon: Degrees) -> npt.NDArray[np.bool_]:
    """Of each place, in degrees."""
    if isinstance(ground, Drawn):
        held: npt.NDArray[np.bool_] = shapely.intersects_xy(ground.sewn, lon, lat)
        return held
    return np.array([nearby(ground, place) for place in vectors(lat, lon)], bool)


def nearby(ways: Arcs, place: Vectors) -> bool:
    return bool((metres_off(ways, np.tile(place, (len(ways), 1))) <= ways.reach_m).any())
