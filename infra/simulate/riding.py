"""Riders on their way in virtual time: from stop to stop, each as long as the way and the stop take."""

from collections.abc import Sequence
from datetime import UTC, datetime
from math import ceil
from typing import Literal

import msgspec
import numpy as np
from msgspec.structs import replace

from commands.placing import placed_among, ref_of
from infra.simulate.world import SimulatedRider
from schemas.geo import Location
from schemas.itinerary import Placed
from schemas.message import RiderId, TenantSlug
from schemas.rider import PlannedStop
from streams.dispatch.known import Ahead, KnownRider, Seen
from streams.dispatch.ways import Router
from streams.routing.great_circle import straight_matrix

TENANT = TenantSlug("simulated")
MOST_LEGS = 200_000

Doing = Literal["idle", "driving", "at_stop"]


class Leg(msgspec.Struct, frozen=True):
    seconds: float
    metres: float


class Passed(msgspec.Struct, frozen=True):
    """Somewhere at a time; for the map of ways."""

    at_s: float
    place: Location


class Roads:
    """Legs by a router, each asked for once."""

    def __init__(self, router: Router) -> None:
        self.router = router
        self._legs: dict[tuple[Location, Location], Leg] = {}

    @property
    def kept(self) -> int:
        return len(self._legs)

    async def leg(self, origin: Location, goal: Location) -> Leg:
        """Where a router knows no way, the great circle's: who drives gets there."""
        known = self._legs.get((origin, goal))
        if known is None:
            told = await self.router.matrix(TENANT, [origin], [goal])
            if not np.isfinite(told.seconds[0, 0]):
                told = straight_matrix([origin], [goal])
            known = Leg(float(told.seconds[0, 0]), float(told.metres[0, 0]))
            if len(self._legs) >= MOST_LEGS:
                self._legs.clear()
            self._legs[origin, goal] = known
        return known


class Riding:
    """`stops` are ahead: the first of them is driven to, or it is where the rider is. `turn` counts changes of what is
    next: what was foretold before holds no more."""

    def __init__(self, spec: SimulatedRider, roads: Roads) -> None:
        self.spec, self._roads = spec, roads
        self.rider_id = RiderId(spec.id)
        self.stops: list[PlannedStop] = []
        self.doing: Doing = "idle"
        self.turn = 0
        self.offers = 0
        self.declined_s: list[float] = []
        self.next_s = spec.from_s
        """When they arrive at the first stop, or leave it."""
        self.driven_s = self.driven_m = self.at_stops_s = 0.0
        self.passed = [Passed(spec.from_s, spec.start)]
        self._from, self._goal, self._since_s = spec.start, spec.start, spec.from_s
        self._leg = Leg(0.0, 0.0)
        self._rested_until_s: float | None = None

    @property
    def tasks(self) -> int:
        return len({stop.task_id for stop in self.stops})

    def on_shift(self, now_s: float) -> bool:
        return self.spec.from_s <= now_s < self.spec.until_s

    def rests(self, now_s: float) -> bool:
        """They are on their break, or take nothing new before it."""
        begins = self.spec.break_from_s
        if begins is None or not self.spec.break_s or now_s < begins:
            return False
        if self._rested_until_s is None and self.doing == "idle":
            self._rested_until_s = max(begins, self._since_s) + self.spec.break_s
        return self._rested_until_s is None or now_s < self._rested_until_s

    def here(self, now_s: float) -> Location:
        part = self._part(now_s)
        return Location(
            lat=self._from.lat + part * (self._goal.lat - self._from.lat),
            lon=self._from.lon + part * (self._goal.lon - self._from.lon),
        )

    def _part(self, now_s: float) -> float:
        """Of the leg that is driven, as it is behind them."""
        if self.doing != "driving" or self._leg.seconds <= 0:
            return 1.0
        return min(1.0, (now_s - self._since_s) / self._leg.seconds)

    async def take(self, now_s: float, stops: Sequence[PlannedStop], placed: Sequence[Placed]) -> bool:
        """Whether what is next is another than before."""
        before = self.stops[0] if self.stops else None
        locked = ref_of(self.stops[0]) if self.doing == "at_stop" else None
        self.stops = placed_among(self.stops, stops, placed, locked)
        if self.stops[0] is before:
            return False
        await self._drive(now_s)
        return True

    def arrive(self, now_s: float) -> PlannedStop:
        """At the first stop, where they wait until its window opens."""
        self._stand(now_s)
        stop = self.stops[0]
        opens_s = now_s if stop.window is None else stop.window.start.timestamp()
        self.doing, self.next_s, self.turn = "at_stop", max(now_s, opens_s) + stop.service_seconds, self.turn + 1
        self.at_stops_s += self.next_s - now_s
        return stop

    async def leave(self, now_s: float) -> PlannedStop:
        done = self.stops.pop(0)
        self._since_s, self.doing, self.turn = now_s, "idle", self.turn + 1
        if self.stops:
            await self._drive(now_s)
        return done

    async def _drive(self, now_s: float) -> None:
        self._stand(now_s)
        self._goal = place_of(self.stops[0])
        self._leg = await self._roads.leg(self._from, self._goal)
        self._since_s, self.doing, self.next_s, self.turn = now_s, "driving", now_s + self._leg.seconds, self.turn + 1

    def _stand(self, now_s: float) -> None:
        """Where they are by now, with what they have driven."""
        part, here = self._part(now_s), self.here(now_s)
        if self.doing == "driving":
            self.driven_s += part * self._leg.seconds
            self.driven_m += part * self._leg.metres
        self._from = self._goal = here
        self.passed.append(Passed(now_s, here))

    def seen(self, now_s: float, decline_s: float) -> Seen:
        """As dispatch sees them. Of the stop where they are it is known what is left of it."""
        now, spec = moment(now_s), self.spec
        ahead = [ahead_of(stop) for stop in self.stops]
        if self.doing == "at_stop":
            ahead[0] = replace(ahead[0], window=None, service_seconds=ceil(self.next_s - now_s))
        rider = KnownRider(
            rider_id=self.rider_id,
            status="approved",
            documents=(),
            shift_ends_at=moment(spec.until_s) if self.on_shift(now_s) else None,
            on_break=self.rests(now_s),
            silent=False,
            hours_end_at=None,
            vehicle=spec.vehicle,
            capacity_g=spec.capacity_g,
            skills=frozenset(spec.skills),
            rating=spec.rating,
            tasks=self.tasks,
            offers=self.offers,
            declines=sum(at_s > now_s - decline_s for at_s in self.declined_s),
            seen_at=now,
            itinerary=ahead,
            locked=self.doing == "at_stop",
        )
        return Seen(rider=rider, here=self.here(now_s), ahead=[place_of(stop) for stop in self.stops])


def ahead_of(stop: PlannedStop) -> Ahead:
    return Ahead(
        task_id=stop.task_id,
        stop_id=stop.stop_id,
        kind=stop.kind,
        window=stop.window,
        service_seconds=stop.service_seconds,
        load=stop.load,
    )


def place_of(stop: PlannedStop) -> Location:
    assert stop.location.value is not None, "nothing is sealed here"
    return stop.location.value


def moment(at_s: float) -> datetime:
    return datetime.fromtimestamp(at_s, UTC)
