"""The ways between all that a batch window knows, of which most are known from the window before."""

import asyncio
from collections.abc import Collection, Sequence

import msgspec
import numpy as np

from schemas.geo import Location
from schemas.message import TenantSlug
from streams.dispatch.known import Seen
from streams.dispatch.question import Ways
from streams.dispatch.straight import whole
from streams.dispatch.ways import MAY_BE_KEPT, Router, told_by
from streams.dispatch.ways import guessed as by_great_circle
from streams.routing.great_circle import metres, radians
from streams.routing.measured import Grid, Measured

MOST_PLACES = 6_000
"""Of one window: its ways are 576 MB."""


class TooManyPlaces(ValueError):
    def __init__(self, places: int) -> None:
        super().__init__(f"a batch window of {places:,} places: {MOST_PLACES:,} are the most")


class KnownGrid(msgspec.Struct, frozen=True):
    """Between stops, which stay where they are."""

    places: dict[Location, int]
    seconds: Grid
    metres: Grid
    source: str


class BatchedWays:
    """Keeps what it was told between stops from one window to the next; not what the great circle told, nor what its
    router's terms do not allow to keep."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._known = KnownGrid({}, np.zeros((0, 0)), np.zeros((0, 0)), "")

    async def between(self, tenant: TenantSlug, riders: Sequence[Seen], stops: Sequence[Sequence[Location]]) -> Ways:
        """Of riders who are somewhere; `stops` are each task's. Raises TooManyPlaces."""
        placed = [(rider, rider.here) for rider in riders if rider.here is not None]
        heres = [here for _, here in placed]
        points = [
            *(place for rider, _ in placed for place in rider.ahead),
            *(place for task in stops for place in task),
        ]
        places = list(dict.fromkeys(points))
        if len(places) > MOST_PLACES:
            raise TooManyPlaces(len(places))
        old = [place for place in places if place in self._known.places]
        new = [place for place in places if place not in self._known.places]
        goals = [*old, *new]
        from_here, from_new, to_new = await asyncio.gather(
            self._asked(tenant, heres, goals), self._asked(tenant, new, goals), self._asked(tenant, old, new)
        )
        known = self._with(old, new, from_new, to_new)
        if MAY_BE_KEPT.issuperset(known.source.split("+")):
            self._known = known
        off = {place for place in goals if np.isnan(known.seconds[known.places[place], known.places[place]])}
        from_here, known = guessed(from_here, heres, goals, off), guessed(known, goals, goals, off)
        at = np.array([known.places[place] for place in points], np.int64)
        size = len(heres) + len(points)
        seconds, metres_ = np.full((size, size), np.nan), np.full((size, size), np.nan)
        for grid, told, between in (
            (seconds, from_here.seconds, known.seconds),
            (metres_, from_here.metres, known.metres),
        ):
            grid[: len(heres), len(heres) :] = told[:, at]
            grid[len(heres) :, len(heres) :] = between[np.ix_(at, at)]
        return Ways.of(seconds, metres_, joined(known.source, from_here.source))

    def _with(
        self, old: Sequence[Location], new: Sequence[Location], from_new: KnownGrid, to_new: KnownGrid
    ) -> KnownGrid:
        """What is known of the old ones, and what was told of the new."""
        kept = np.array([self._known.places[place] for place in old], np.int64)
        size = len(old) + len(new)
        grids = []
        for name in ("seconds", "metres"):
            grid = np.empty((size, size))
            grid[: len(old), : len(old)] = getattr(self._known, name)[np.ix_(kept, kept)]
            grid[len(old) :] = getattr(from_new, name)
            grid[: len(old), len(old) :] = getattr(to_new, name)
            grids.append(grid)
        source = joined(self._known.source if old else "", from_new.source, to_new.source)
        return KnownGrid({place: number for number, place in enumerate([*old, *new])}, grids[0], grids[1], source)

    async def _asked(self, tenant: TenantSlug, origins: Sequence[Location], goals: Sequence[Location]) -> KnownGrid:
        if not origins or not goals:
            nothing = np.zeros((len(origins), len(goals)))
            return KnownGrid({}, nothing, nothing, "")
        told = await self._router.matrix(tenant, origins, goals)
        return KnownGrid({}, told.seconds, told.metres, told.source)


def guessed(
    grid: KnownGrid, origins: Sequence[Location], goals: Sequence[Location], off: Collection[Location]
) -> KnownGrid:
    """With the great circle where one end is a stop that the router knows no street near, which is said."""
    if not off or not origins:
        return grid
    told = by_great_circle(Measured(grid.seconds, grid.metres, "great_circle"), origins, goals, off)
    return KnownGrid(grid.places, told.seconds, told.metres, told.source)


def joined(*sources: str) -> str:
    return told_by(source for source in sources if source)


def straight_of(riders: Sequence[Seen], firsts: Sequence[Location]) -> tuple[bytes, bytes]:
    """`to_first` and `to_ahead` of a question: `firsts` are each task's first stop."""
    placed = [(rider, rider.here) for rider in riders if rider.here is not None]
    here, there = radians([here for _, here in placed]), radians(firsts)
    ahead = radians([rider.ahead[0] if rider.ahead else here for rider, here in placed])
    return whole(metres(here[:, None, :], there[None, :, :])), whole(metres(here, ahead))
