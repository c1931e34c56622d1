"""The ways between riders, their stops and a task's, as a router tells them."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import batched, pairwise
from math import isnan
from time import monotonic
from typing import Protocol

import msgspec
import numpy as np

from schemas.geo import Location
from schemas.itinerary import Placed
from schemas.message import RiderId, TenantSlug
from schemas.tender import Candidate
from streams.dispatch.known import Ahead, Seen
from streams.dispatch.question import Ways
from streams.routing.great_circle import straight_matrix
from streams.routing.measured import Grid, Measured

MOST_LEGS_KEPT = 100_000
LEGS_AT_ONCE = 30
"""Of legs that nobody has asked for before: a table is asked for, of which only the diagonal is wanted."""

KEPT_FOR_S = 3_600.0
"""What a router tells does not hold for ever: streets are closed, and some know of traffic."""
MAY_BE_KEPT = frozenset({"osrm", "valhalla", "mapbox"})
"""A guess is not kept, and others' terms do not allow it (`Provider.keeps`)."""

type Leg = tuple[Location, Location]
type Stop = tuple[Ahead, Location]


class Router(Protocol):
    async def matrix(self, tenant: TenantSlug, origins: Sequence[Location], goals: Sequence[Location]) -> Measured:
        """Does not fail: the great circle stands in, and that is said."""
        ...


class Way(msgspec.Struct, frozen=True):
    """Of one leg."""

    seconds: float
    metres: float
    source: str


class KnownLegs:
    """Between stops, which stay where they are: of the latest ones that a tenant asked for it is known how long they
    take."""

    def __init__(self, most: int = MOST_LEGS_KEPT, clock: Callable[[], float] = monotonic) -> None:
        self._kept: OrderedDict[tuple[TenantSlug, Leg], tuple[float, Way]] = OrderedDict()
        self._most, self._clock = most, clock

    def get(self, tenant: TenantSlug, leg: Leg) -> Way | None:
        until_s, way = self._kept.get((tenant, leg), NOT_KEPT)
        if way is None or until_s < self._clock():
            return None
        self._kept.move_to_end((tenant, leg))
        return way

    def keep(self, tenant: TenantSlug, leg: Leg, way: Way) -> None:
        if way.source not in MAY_BE_KEPT or isnan(way.seconds):
            return
        self._kept[tenant, leg] = self._clock() + KEPT_FOR_S, way
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)


NOT_KEPT: tuple[float, Way | None] = 0.0, None


class AskedWays:
    """Of a tenant's riders, those that a decision asks for."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._legs = KnownLegs()

    async def between(
        self, tenant: TenantSlug, riders: Sequence[Seen], stops: Sequence[Location]
    ) -> dict[RiderId, Ways]:
        """Of those who are somewhere."""
        placed = [(rider, rider.here) for rider in riders if rider.here is not None]
        heres = [here for _, here in placed]
        ahead = list(dict.fromkeys(place for rider, _ in placed for place in rider.ahead))
        firsts = list(dict.fromkeys(rider.ahead[0] for rider, _ in placed if rider.ahead))
        to_task, to_ahead, to_first = await asyncio.gather(
            self._matrix(tenant, [*heres, *ahead, *stops], stops),
            self._matrix(tenant, stops, ahead),
            self._matrix(tenant, heres, firsts),
        )
        off = off_the_map(to_task, ahead, stops)
        to_task = guessed(to_task, [*heres, *ahead, *stops], stops, off)
        to_ahead, to_first = guessed(to_ahead, stops, ahead, off), guessed(to_first, heres, firsts, off)
        onward = await self._onward(tenant, [rider for rider, _ in placed], off)
        number = {place: at for at, place in enumerate(ahead)}
        first = {place: at for at, place in enumerate(firsts)}
        of_task = range(len(heres) + len(ahead), len(heres) + len(ahead) + len(stops))
        found: dict[RiderId, Ways] = {}
        for row, (rider, _) in enumerate(placed):
            columns = [number[place] for place in rider.ahead]
            rows = [row, *(len(heres) + column for column in columns), *of_task]
            legs = [onward[leg] for leg in pairwise(rider.ahead)]
            if rider.ahead:
                legs.insert(0, cell(to_first, row, first[rider.ahead[0]]))
            found[rider.rider.rider_id] = Ways.of(
                joined(to_task.seconds[rows], to_ahead.seconds[:, columns], [leg.seconds for leg in legs]),
                joined(to_task.metres[rows], to_ahead.metres[:, columns], [leg.metres for leg in legs]),
                told_by([to_task.source, *([to_ahead.source] if columns else []), *(leg.source for leg in legs)]),
            )
        return found

    async def _matrix(self, tenant: TenantSlug, origins: Sequence[Location], goals: Sequence[Location]) -> Measured:
        if not origins or not goals:
            nothing = np.zeros((len(origins), len(goals)))
            return Measured(nothing, nothing, "great_circle")
        return await self._router.matrix(tenant, origins, goals)

    async def _onward(
        self, tenant: TenantSlug, riders: Sequence[Seen], off: Collection[Location] = ()
    ) -> dict[Leg, Way]:
        """From stop to stop along their itineraries. Most were asked for when the one was put behind the other."""
        wanted = list(dict.fromkeys(leg for rider in riders for leg in pairwise(rider.ahead)))
        found = {leg: known for leg in wanted if (known := self._legs.get(tenant, leg)) is not None}
        for legs in batched([leg for leg in wanted if leg not in found], LEGS_AT_ONCE, strict=False):
            origins, goals = [origin for origin, _ in legs], [goal for _, goal in legs]
            matrix = guessed(await self._router.matrix(tenant, origins, goals), origins, goals, off)
            for at, leg in enumerate(legs):
                found[leg] = cell(matrix, at, at)
                self._legs.keep(tenant, leg, found[leg])
        return found

    def remember(
        self,
        tenant: TenantSlug,
        riders: Sequence[Seen],
        stops: Sequence[Stop],
        candidates: Sequence[Candidate],
        ways: Mapping[RiderId, Ways],
    ) -> None:
        """The legs on which each candidate's stops would be reached: some are driven soon, and asked for again."""
        seen = {rider.rider.rider_id: rider for rider in riders}
        for candidate in candidates:
            way, rider = ways[candidate.rider_id], seen[candidate.rider_id]
            places = [*rider.ahead, *(place for _, place in stops)]
            seconds, metres = way.grids()
            for one, other in pairwise(order_of(rider, stops, candidate.placed)):
                told = Way(float(seconds[one, other]), float(metres[one, other]), way.source)
                self._legs.keep(tenant, (places[one - 1], places[other - 1]), told)


def cell(matrix: Measured, row: int, column: int) -> Way:
    return Way(float(matrix.seconds[row, column]), float(matrix.metres[row, column]), matrix.source)


def off_the_map(to_task: Measured, ahead: Sequence[Location], stops: Sequence[Location]) -> frozenset[Location]:
    """Stops that the router knows no street near: of the task those that do not even lead to themselves, of the riders
    those that lead to none of the task's."""
    first = len(to_task.seconds) - len(stops)
    known = ~np.isnan(to_task.seconds[first:].diagonal())
    of_task = {stop for stop, on_it in zip(stops, known, strict=True) if not on_it}
    lead = ~np.isnan(to_task.seconds[first - len(ahead) : first][:, known])
    nowhere = {place for place, some in zip(ahead, lead.any(axis=1), strict=True) if known.any() and not some}
    return frozenset(of_task | nowhere)


def guessed(
    matrix: Measured, origins: Sequence[Location], goals: Sequence[Location], off: Collection[Location]
) -> Measured:
    """With the great circle where one end is off the map, which is said."""
    ends = np.logical_or.outer([place in off for place in origins], [place in off for place in goals])
    if not ends.any():
        return matrix
    straight = straight_matrix(origins, goals)
    seconds = np.where(ends, straight.seconds, matrix.seconds)
    return Measured(seconds, np.where(ends, straight.metres, matrix.metres), "great_circle", matrix.passed)


def joined(to_task: Grid, from_task: Grid, legs: Sequence[float]) -> Grid:
    """The square of one rider: all to the task's stops, from these to those ahead, and from each to its next."""
    size, stops = to_task.shape
    known = size - stops
    grid = np.full((size, size), np.nan)
    grid[:, known:] = to_task
    grid[known:, 1:known] = from_task
    for number, leg in enumerate(legs):
        grid[number, number + 1] = leg
    return grid


def order_of(rider: Seen, stops: Sequence[Stop], placed: Sequence[Placed]) -> list[int]:
    """Numbers of stops as they would be driven: those of the itinerary from 1 on, then the task's."""
    known = len(rider.ahead)
    order = [*range(1, known + 1)]
    numbers = {
        stop.ref: number for number, stop in enumerate([*rider.rider.itinerary, *(stop for stop, _ in stops)], 1)
    }
    of_stop = {each.stop_id: each.behind for each in placed}
    for stop, _ in stops:
        if stop.stop_id in of_stop:
            behind = of_stop[stop.stop_id]
            order.insert(0 if behind is None else order.index(numbers[behind]) + 1, numbers[stop.ref])
        else:
            order.append(numbers[stop.ref])
    return order


def told_by(sources: Iterable[str]) -> str:
    """Of several what is less sure."""
    told = set(sources)
    return "great_circle" if "great_circle" in told else "+".join(sorted(told))
