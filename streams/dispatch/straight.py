"""As the crow flies: how far riders and their stops are from the stops of a task, and how long that may take."""

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from schemas.geo import EARTH_RADIUS_M, Location
from streams.routing.measured import Grid

type Metres = npt.NDArray[np.int32]

INT32 = np.dtype("<i4")


class StraightWays(msgspec.Struct, frozen=True, kw_only=True):
    """Whole metres, as little-endian 32-bit integers. A point is where a rider is, or a stop of theirs: of each rider
    whose place is known first the one, then the others in order."""

    to_task: bytes
    """From each point (rows) to each stop of the task (columns)."""
    onward: bytes
    """From each point to the rider's next; of the last nothing."""
    between: bytes
    """From each stop of the task to each."""


def straight_ways(points: Sequence[Sequence[Location]], stops: Sequence[Location]) -> StraightWays:
    """`points` are each rider's."""
    flat = [place for places in points for place in places]
    here, there = radians(flat), radians(stops)
    onward = np.zeros(len(flat))
    if len(flat) > 1:
        onward[:-1] = metres(here[:-1], here[1:])
    ends = np.cumsum([len(places) for places in points], dtype=np.int64) - 1
    onward[ends] = 0.0
    return StraightWays(
        to_task=whole(metres(here[:, None, :], there[None, :, :])),
        onward=whole(onward),
        between=whole(metres(there[:, None, :], there[None, :, :])),
    )


def radians(places: Sequence[Location]) -> Grid:
    return np.radians(np.array([(place.lat, place.lon) for place in places], float).reshape(-1, 2))


def metres(a: Grid, b: Grid) -> Grid:
    """Great-circle metres (haversine), of radians."""
    half = np.sin((b - a) / 2) ** 2
    chord = half[..., 0] + np.cos(a[..., 0]) * np.cos(b[..., 0]) * half[..., 1]
    found: Grid = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(1.0, chord)))
    return found


def whole(grid: Grid) -> bytes:
    return np.rint(grid).astype(INT32).tobytes()


def read(told: bytes, columns: int | None = None) -> Metres:
    flat = np.frombuffer(told, INT32)
    return flat if columns is None else flat.reshape(-1, columns)
