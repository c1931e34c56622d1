"""A day in virtual time: what happens when, in order; who decides is the engine of the policy.

All that decides is what decides in earnest: the choice of whom to ask, the tender, the batch window, and where stops
go on an itinerary. What is made up is the world: riders who drive and answer.
"""

from collections.abc import Awaitable, Callable, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Protocol

import msgspec

from infra.simulate.fate import Fate
from infra.simulate.policy import Policy
from infra.simulate.riding import Riding, Roads, moment
from infra.simulate.world import LONGEST_S, Day, Order
from schemas.geo import Window
from schemas.itinerary import Placed
from schemas.load import Load
from schemas.message import Personal, RiderId, StopId, SubjectId, TaskId
from schemas.rider import PlannedStop

PICKUP, DROPOFF = StopId("pickup"), StopId("dropoff")
WINDOW_OVER = "window_over"
"""Nobody could be given it before its window closed."""

type Happening = Callable[[float], Awaitable[None]]


class Engine(Protocol):
    async def came(self, fate: Fate, now_s: float) -> None:
        """An order comes to dispatch."""
        ...


class Lived(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a day."""

    day: Day
    policy: Policy
    fates: list[Fate]
    ridings: list[Riding]


class Clock:
    """What is to happen, by time; of the same time what was planned first."""

    def __init__(self) -> None:
        self._ahead: list[tuple[float, int, Happening]] = []
        self._number = count()
        self.ends_s = float("inf")

    def at(self, at_s: float, happening: Happening) -> None:
        heappush(self._ahead, (at_s, next(self._number), happening))

    async def run(self) -> None:
        while self._ahead:
            at_s, _, happening = heappop(self._ahead)
            if at_s <= self.ends_s:
                await happening(at_s)


class World:
    """The day's riders and orders as they stand, for whichever engine decides."""

    def __init__(self, day: Day, policy: Policy, roads: Roads, seed: int) -> None:
        self.day, self.policy, self.roads, self.seed = day, policy, roads, seed
        self.clock = Clock()
        self.ridings = [Riding(spec, roads) for spec in sorted(day.riders, key=lambda rider: rider.id)]
        self.by_id = {riding.rider_id: riding for riding in self.ridings}
        self.fates = {TaskId(order.id): Fate(order=order) for order in day.orders}
        first_s = min([*(order.created_s for order in day.orders), *(rider.from_s for rider in day.riders)])
        self.last_shift_s = max(rider.until_s for rider in day.riders)
        self.clock.ends_s = first_s + LONGEST_S

    async def live(self, engine: Engine) -> Lived:
        lead_s = self.policy.rules.dispatch_lead_seconds
        for fate in self.fates.values():
            order = fate.order
            self.clock.at(max(order.created_s, order.ready_s - lead_s), coming(engine, fate))
        await self.clock.run()
        return Lived(day=self.day, policy=self.policy, fates=[*self.fates.values()], ridings=self.ridings)

    async def assign(self, task_id: TaskId, rider_id: RiderId, placed: Sequence[Placed], now_s: float) -> None:
        fate, riding = self.fates[task_id], self.by_id[rider_id]
        fate.rider_id, fate.assigned_s, fate.code = rider_id, now_s, None
        if await riding.take(now_s, stops_of(fate.order), placed):
            self._next_of(riding)

    def _next_of(self, riding: Riding) -> None:
        turn = riding.turn

        async def happening(now_s: float) -> None:
            if riding.turn == turn:
                await self._goes_on(riding, now_s)

        self.clock.at(riding.next_s, happening)

    async def _goes_on(self, riding: Riding, now_s: float) -> None:
        if riding.doing == "driving":
            stop = riding.arrive(now_s)
            if stop.stop_id == DROPOFF:
                opens_s = now_s if stop.window is None else stop.window.start.timestamp()
                self.fates[stop.task_id].delivered_s = max(now_s, opens_s)
        else:
            done = await riding.leave(now_s)
            if done.stop_id == PICKUP:
                self.fates[done.task_id].picked_up_s = now_s
        if riding.doing != "idle":
            self._next_of(riding)


def coming(engine: Engine, fate: Fate) -> Happening:
    async def came(now_s: float) -> None:
        await engine.came(fate, now_s)

    return came


def stops_of(order: Order) -> list[PlannedStop]:
    """The goods are ready when the pickup's window opens, and that stays open as long as the one at the door."""
    until_s = max(order.closes_s or 0.0, order.ready_s + LONGEST_S)
    gone = Load(weight_g=-order.load.weight_g, volume_cm3=-order.load.volume_cm3, parcels=-order.load.parcels)
    at_door = None
    if order.closes_s is not None:
        at_door = Window(start=moment(order.opens_s or order.created_s), end=moment(order.closes_s))
    subject, task_id = SubjectId(order.id), TaskId(order.id)
    return [
        PlannedStop(
            task_id=task_id,
            stop_id=PICKUP,
            kind="pickup",
            location=Personal(subject, order.pickup),
            window=Window(start=moment(order.ready_s), end=moment(until_s)),
            service_seconds=order.pickup_service_s,
            load=order.load,
        ),
        PlannedStop(
            task_id=task_id,
            stop_id=DROPOFF,
            kind="dropoff",
            location=Personal(subject, order.dropoff),
            window=at_door,
            service_seconds=order.dropoff_service_s,
            load=gone,
        ),
    ]
