"""The ways between riders, their stops and a task's, as a router tells them."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import batched, pairwise
from typing import Protocol

import msgspec
import numpy as np

from schemas.geo import Location
from schemas.itinerary import Placed
from schemas.message import RiderId, TenantSlug
from schemas.tender import Candidate
from streams.dispatch.known import Ahead, Seen
from streams.dispatch.question import Ways
from streams.dispatch.straight import Grid

MOST_LEGS_KEPT = 100_000
LEGS_AT_ONCE = 30
"""Of legs that nobody has asked for before: a table is asked for, of which only the diagonal is wanted."""

type Leg = tuple[Location, Location]
type Stop = tuple[Ahead, Location]


class Matrix(msgspec.Struct, frozen=True):
    """Seconds and metres from each origin (rows) to each goal (columns), infinite where there is no way; who told."""

    seconds: Grid
    metres: Grid
    source: str


class Router(Protocol):
    async def matrix(self, tenant: TenantSlug, origins: Sequence[Location], goals: Sequence[Location]) -> Matrix:
        """Does not fail: the great circle stands in, and that is said."""
        ...


class KnownLegs:
    """Between stops, which stay where they are: of the latest ones that were asked for it is known how long they take.
    What the great circle told is not kept."""

    def __init__(self, most: int = MOST_LEGS_KEPT) -> None:
        self._kept: OrderedDict[Leg, tuple[float, float]] = OrderedDict()
        self._most = most

    def get(self, leg: Leg) -> tuple[float, float] | None:
        found = self._kept.get(leg)
        if found is not None:
            self._kept.move_to_end(leg)
        return found

    def keep(self, leg: Leg, seconds: float, metres: float) -> None:
        self._kept[leg] = (seconds, metres)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)


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
        onward = await self._onward(tenant, [rider for rider, _ in placed])
        numbers = {place: number for number, place in enumerate(ahead)}
        first = {place: number for number, place in enumerate(firsts)}
        found: dict[RiderId, Ways] = {}
        for row, (rider, _) in enumerate(placed):
            columns = [numbers[place] for place in rider.ahead]
            task_rows = range(len(heres) + len(ahead), len(heres) + len(ahead) + len(stops))
            rows = [row, *(len(heres) + column for column in columns), *task_rows]
            legs = [onward[leg] for leg in pairwise(rider.ahead)]
            if rider.ahead:
                at = row, first[rider.ahead[0]]
                legs.insert(0, (float(to_first.seconds[at]), float(to_first.metres[at])))
            seconds, metres = (
                joined(task[rows], back[:, columns], [leg[number] for leg in legs])
                for number, (task, back) in enumerate(
                    ((to_task.seconds, to_ahead.seconds), (to_task.metres, to_ahead.metres))
                )
            )
            found[rider.rider.rider_id] = Ways.of(seconds, metres, source_of(to_task, to_ahead, to_first))
        return found

    async def _matrix(self, tenant: TenantSlug, origins: Sequence[Location], goals: Sequence[Location]) -> Matrix:
        if not origins or not goals:
            nothing = np.zeros((len(origins), len(goals)))
            return Matrix(nothing, nothing, "")
        return await self._router.matrix(tenant, origins, goals)

    async def _onward(self, tenant: TenantSlug, riders: Sequence[Seen]) -> dict[Leg, tuple[float, float]]:
        """From stop to stop along their itineraries. Most were asked for when the one was put behind the other."""
        wanted = list(dict.fromkeys(leg for rider in riders for leg in pairwise(rider.ahead)))
        found = {leg: known for leg in wanted if (known := self._legs.get(leg)) is not None}
        for legs in batched([leg for leg in wanted if leg not in found], LEGS_AT_ONCE, strict=False):
            origins, goals = [origin for origin, _ in legs], [goal for _, goal in legs]
            matrix = await self._router.matrix(tenant, origins, goals)
            for at, leg in enumerate(legs):
                found[leg] = (float(matrix.seconds[at, at]), float(matrix.metres[at, at]))
                if matrix.source != "great_circle":
                    self._legs.keep(leg, *found[leg])
        return found

    def remember(
        self,
        riders: Sequence[Seen],
        stops: Sequence[Stop],
        candidates: Sequence[Candidate],
        ways: Mapping[RiderId, Ways],
    ) -> None:
        """The legs on which each candidate's stops would be reached: some are driven soon, and asked for again."""
        seen = {rider.rider.rider_id: rider for rider in riders}
        for candidate in candidates:
            way = ways[candidate.rider_id]
            if way.source == "great_circle":
                continue
            rider = seen[candidate.rider_id]
            order = order_of(rider, stops, candidate.placed)
            places = [*rider.ahead, *(place for _, place in stops)]
            seconds, metres = way.grids()
            for one, other in pairwise(order):
                leg = places[one - 1], places[other - 1]
                self._legs.keep(leg, float(seconds[one, other]), float(metres[one, other]))


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


def source_of(*matrices: Matrix) -> str:
    """Of several what is less sure."""
    told = {matrix.source for matrix in matrices if matrix.source}
    return "great_circle" if "great_circle" in told else "+".join(sorted(told))
