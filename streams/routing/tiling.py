"""A matrix that is larger than one request may be: in tiles, as few as there can be."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from math import ceil, inf

import msgspec
import numpy as np

from schemas.geo import Location
from streams.routing.measured import Grid
from streams.routing.routers import RouterSaysNo

MOST_TILES = 64
"""Of one matrix: more would keep a provider busy for longer than anybody waits."""
TILES_AT_ONCE = 4
OURS_TAKES, EVERY_ONE_TAKES = 1_000, 100
"""Places in one table of an embedded OSRM, and of any as long as nobody has set it otherwise."""

OFF_THE_MAP = "OffTheMap"
"""What a router says no with where all places on one side are farther from any street than it knows."""

type Grids = tuple[Grid, Grid]
"""Seconds and metres."""
type AsksTile = Callable[[Sequence[Location], Sequence[Location]], Awaitable[Grids]]


class Limits(msgspec.Struct, frozen=True):
    """Of one request: so many places in all, and so many pairs of them."""

    places: float = inf
    pairs: float = inf


def tile_of(rows: int, columns: int, limits: Limits) -> tuple[int, int]:
    """How many rows and columns at a time make the fewest requests."""
    found, fewest = (1, 1), inf
    for height in range(1, rows + 1):
        width = int(min(columns, limits.places - height, limits.pairs // height))
        if width < 1:
            break
        count = ceil(rows / height) * ceil(columns / width)
        if count < fewest:
            found, fewest = (height, width), count
    return found


def tiles(rows: int, columns: int, limits: Limits) -> list[tuple[slice, slice]]:
    height, width = tile_of(rows, columns, limits)
    return [
        (slice(top, top + height), slice(left, left + width))
        for top in range(0, rows, height)
        for left in range(0, columns, width)
    ]


class TableSize:
    """What an OSRM server takes in one table it tells only by refusing more."""

    def __init__(self) -> None:
        self._places = OURS_TAKES

    @property
    def limits(self) -> Limits:
        return Limits(places=self._places)

    async def fitted(self, ask: Callable[[], Awaitable[Grids]]) -> Grids:
        """Again in smaller tables, and so from then on, where a server refuses. Raises what `ask` raises."""
        try:
            return await ask()
        except RouterSaysNo as no:
            if no.code != "TooBig" or self._places == EVERY_ONE_TAKES:
                raise
            self._places = EVERY_ONE_TAKES
            return await ask()


async def tiled(origins: Sequence[Location], goals: Sequence[Location], limits: Limits, ask: AsksTile) -> Grids:
    """Raises RouterSaysNo where it is too large, and what `ask` raises."""
    found = tiles(len(origins), len(goals), limits)
    if len(found) > MOST_TILES:
        raise RouterSaysNo("TooManyPairs")
    if len(found) == 1:
        return await ask(origins, goals)
    seconds, metres = np.full((2, len(origins), len(goals)), np.nan)
    turns = asyncio.Semaphore(TILES_AT_ONCE)
    off: list[RouterSaysNo] = []

    async def fill(rows: slice, columns: slice) -> None:
        async with turns:
            try:
                seconds[rows, columns], metres[rows, columns] = await ask(origins[rows], goals[columns])
            except RouterSaysNo as no:
                if no.code != OFF_THE_MAP:
                    raise
                off.append(no)  # what stays is not a number: others may be on it

    try:
        async with asyncio.TaskGroup() as group:
            for rows, columns in found:
                group.create_task(fill(rows, columns))
    except* Exception as failed:
        raise failed.exceptions[0] from None
    if len(off) == len(found):
        raise off[0]
    return seconds, metres
