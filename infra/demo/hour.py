"""One simulated hour: a city's riders and orders in virtual time, the same for the same seed."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import msgspec

from gateway.tokens import Tokens
from infra.demo.api import Api, Json
from infra.demo.cities import CITIES
from infra.demo.journal import Journal
from infra.demo.plan import DOORS, Persona, orders, personas
from infra.demo.play import Play
from infra.demo.rider import Rider
from infra.demo.settled import RULES, TENANT, settle_rider, settle_tenant, start_shift
from infra.demo.streets import Streets
from infra.demo.system import System
from infra.demo.taxis import TaxiPlay, Trip, busiest, driver, trips
from infra.secrets import secret
from infra.settings import Settings
from streams.routing.osrm import OsrmRouter

START = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
TICK = timedelta(seconds=5)
TOLD_EVERY = timedelta(minutes=5)
WAY_HOME = timedelta(minutes=60)
"""How long after the last order the play goes on at most."""

BEFORE_TRIPS = timedelta(minutes=10)
OVER = frozenset({"completed", "failed", "cancelled", "returned"})
SUSPENDED_AT, REINSTATED_AT = 0.55, 0.8
"""Of the time: when a complaint keeps one rider from new work, and when it is cleared up."""


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be played. In Porto real taxis ride, at most so many trips as `orders` says."""

    city: str = "helsinki"
    seed: str = "1"
    riders: int = 40
    orders: int = 200
    length: timedelta = timedelta(hours=1)


class Played(msgspec.Struct, kw_only=True):
    """How it went: counts of what was sent, seconds it took, and the tasks."""

    script: Script
    riders: int
    counts: Counter[str]
    commands: int
    real_s: float
    virtual: timedelta
    waits: int
    tasks: list[str]


class Playing(Protocol):
    counts: Counter[str]

    @property
    def planned(self) -> int: ...

    @property
    def ordered(self) -> Mapping[str, Any]: ...

    async def tick(self, now: datetime) -> None: ...


type Told = Callable[[str], None]


class Hour:
    def __init__(self, settings: Settings, script: Script, system: System, journal: Journal, told: Told) -> None:
        self._settings, self._script = settings, script
        self._system, self._journal, self._told = system, journal, told
        self._city = CITIES[script.city]
        self._streets = Streets(settings.osrm, self._city)
        self._router = OsrmRouter(settings.osrm)
        self._complaints: list[tuple[datetime, str, Json]] = []
        self._suspect = ""
        self.api = Api(system.client(), Tokens(secret(settings, "token_key")), TENANT, journal)

    async def run(self) -> Played:
        """Raises Refusal, Unanswered, NotCaughtUp, NoStreets, CityMissing."""
        began = time.monotonic()
        await settle_tenant(self.api, self._city, self._streets)
        await self._system.settle()
        riders, play = await (self._taxis() if self._city.name == "porto" else self._couriers())
        start = self._system.clock.now
        await self._play(play, start)
        await self._router.close()
        return Played(
            script=self._script,
            riders=riders,
            counts=play.counts,
            commands=self._journal.lines,
            real_s=time.monotonic() - began,
            virtual=self._system.clock.now - start,
            waits=self._system.waits,
            tasks=list(play.ordered),
        )

    async def _couriers(self) -> tuple[int, Playing]:
        script, seed, clock = self._script, self._script.seed, self._system.clock
        length_s = script.length.total_seconds()
        people = personas(seed, await self._streets.places(f"{seed}|starts", script.riders), length_s)
        ids = await self._at_work(people)
        shops = [await self._streets.snapped(shop.lat, shop.lon) for shop in self._city.shops]
        play = Play(seed, self.api, self._router, shops, clock.now, self._system.settle)
        for person in people:
            play.join(Rider(seed, person, ids[person.reference], person.start, clock.now))
        doors = await self._streets.places(f"{seed}|doors", DOORS)
        play.plan(orders(seed, script.orders, length_s, self._city.shops, doors))
        self._suspect = ids[people[len(people) // 2].reference]
        self._complaints = [
            (clock.now + SUSPENDED_AT * script.length, "suspend-rider", {"reason_code": "complaint"}),
            (clock.now + REINSTATED_AT * script.length, "reinstate-rider", {}),
        ]
        return len(people), play

    async def _taxis(self) -> tuple[int, Playing]:
        chosen = chosen_trips(self._settings, self._script)
        people = {trip.taxi: driver(trip.taxi, trip.places[0]) for trip in reversed(chosen)}
        ids = await self._at_work(list(people.values()))
        by_taxi = {taxi: ids[person.reference] for taxi, person in people.items()}
        play = TaxiPlay(self.api, self._city.shops[0].slug, by_taxi, self._system.settle)
        play.plan(chosen)
        return len(people), play

    async def _at_work(self, people: list[Persona]) -> dict[str, str]:
        """Rider ids by reference."""
        now = self._system.clock.now
        ids = await asyncio.gather(*(settle_rider(self.api, person, now) for person in people))
        for person, rider_id in zip(people, ids, strict=True):
            await start_shift(self.api, rider_id, person.start, now)
        await self._system.settle()
        return {person.reference: rider_id for person, rider_id in zip(people, ids, strict=True)}

    async def _play(self, play: Playing, start: datetime) -> None:
        at, end, said = start, start + self._script.length, ""
        while at < end + WAY_HOME:
            await self._system.advance(at)
            await self._complain(at)
            await play.tick(self._system.clock.now)
            if (at - start) % TOLD_EVERY == timedelta(0):
                under_way = await self._under_way()
                state = f"{play.counts['ordered']} ordered, {under_way} under way"
                if state != said:
                    self._told(f"{at:%H:%M} in the play: {state}")
                said = state
                if not play.planned and not under_way:
                    break
            at += TICK

    async def _complain(self, at: datetime) -> None:
        while self._complaints and self._complaints[0][0] <= at:
            _, word, body = self._complaints.pop(0)
            await self.api.command("dispatcher", "dora", f"/riders/{self._suspect}/{word}", body, word)
            await self._system.settle()

    async def _under_way(self) -> int:
        """Tasks that somebody has or may still get."""
        rows = await self.api.items("/task-board")
        return sum(row["state"] not in OVER and not given_up(row) for row in rows)


def given_up(task: Json) -> bool:
    """Nobody took it in the last of its rounds: a dispatcher must help."""
    return bool(task["state"] == "dispatchable" and task["round"] >= RULES["max_rounds"])


def chosen_trips(settings: Settings, script: Script) -> list[Trip]:
    """Raises CityMissing."""
    return busiest(trips(settings.sample_data, CITIES[script.city]), script.length, script.orders)


def start_of(settings: Settings, script: Script) -> datetime:
    """Where the clock begins: real trips have times of their own. Raises CityMissing."""
    if script.city != "porto":
        return START
    return min(trip.started_at for trip in chosen_trips(settings, script)) - BEFORE_TRIPS
