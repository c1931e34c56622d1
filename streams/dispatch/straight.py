"""As the crow flies: how far riders and their stops are from the stops of a task, and how long that may take."""

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from schemas.geo import Location
from streams.dispatch.known import Seen
from streams.routing.great_circle import metres, radians
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


def straight_ways(riders: Sequence[Seen], stops: Sequence[Location]) -> StraightWays:
    placed = [rider for rider in riders if rider.here is not None]
    here, there = points_of(placed), radians(stops)
    onward = np.zeros(len(here))
    if len(here) > 1:
        onward[:-1] = metres(here[:-1], here[1:])
    ends = np.cumsum([1 + len(rider.ahead) for rider in placed], dtype=np.int64) - 1
    onward[ends] = 0.0
    return StraightWays(
        to_task=whole(metres(here[:, None, :], there[None, :, :])),
        onward=whole(onward),
        between=whole(metres(there[:, None, :], there[None, :, :])),
    )


def points_of(riders: Sequence[Seen]) -> Grid:
    """Of each rider where they are, then what lies ahead."""
    parts = [
        rider.at_hand.points if rider.at_hand is not None else radians([here, *rider.ahead])
        for rider in riders
        if (here := rider.here) is not None
    ]
    return np.concatenate(parts) if parts else radians([])


def whole(grid: Grid) -> bytes:
    return np.rint(grid).astype(INT32).tobytes()


def read(told: bytes, columns: int | None = None) -> Metres:
    flat = np.frombuffer(told, INT32)
    return flat if columns is None else flat.reshape(-1, columns)
