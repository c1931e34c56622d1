"""One simulated hour: a city's riders and orders in virtual time, the same for the same seed."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec

from gateway.tokens import Tokens
from infra.demo.api import Api, Json
from infra.demo.cities import CITIES
from infra.demo.journal import Journal
from infra.demo.plan import DOORS, orders, personas
from infra.demo.play import Play
from infra.demo.rider import Rider
from infra.demo.settled import RULES, TENANT, settle_rider, settle_tenant, start_shift
from infra.demo.streets import Streets
from infra.demo.system import System
from infra.role_gateway import secret
from infra.settings import Settings
from streams.routing.osrm import OsrmRouter

START = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
TICK = timedelta(seconds=5)
WAY_HOME = timedelta(minutes=60)
"""How long after the last order the play goes on at most."""

OVER = frozenset({"completed", "failed", "cancelled", "returned"})
SUSPENDED_AT, REINSTATED_AT = 0.55, 0.8
"""Of the time: when a complaint keeps one rider from new work, and when it is cleared up."""


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be played."""

    city: str = "helsinki"
    seed: str = "1"
    riders: int = 40
    orders: int = 200
    length: timedelta = timedelta(hours=1)


class Played(msgspec.Struct, kw_only=True):
    """How it went: counts of what was sent, seconds it took, and the tasks."""

    script: Script
    counts: Counter[str]
    commands: int
    real_s: float
    virtual: timedelta
    waits: int
    tasks: list[str]


type Told = Callable[[str], None]


class Hour:
    def __init__(self, settings: Settings, script: Script, system: System, journal: Journal, told: Told) -> None:
        self._script, self._system, self._journal, self._told = script, system, journal, told
        self._city = CITIES[script.city]
        self._streets = Streets(settings.osrm, self._city)
        self._router = OsrmRouter(settings.osrm)
        tokens = Tokens(secret(settings, "token_key"))
        self.api = Api(system.client(), tokens, TENANT, journal)

    async def run(self) -> Played:
        """Raises Refusal, Unanswered, NotCaughtUp, NoStreets."""
        began = time.monotonic()
        play = await self._set_the_stage()
        start = self._system.clock.now
        await self._play(play, start)
        await self._router.close()
        return Played(
            script=self._script,
            counts=play.counts,
            commands=self._journal.lines,
            real_s=time.monotonic() - began,
            virtual=self._system.clock.now - start,
            waits=self._system.waits,
            tasks=list(play.ordered),
        )

    async def _set_the_stage(self) -> Play:
        script, seed, clock = self._script, self._script.seed, self._system.clock
        length_s = script.length.total_seconds()
        await settle_tenant(self.api, self._city, self._streets)
        await self._system.settle()
        people = personas(seed, await self._streets.places(f"{seed}|starts", script.riders), length_s)
        ids = await asyncio.gather(*(settle_rider(self.api, each, clock.now) for each in people))
        for persona, rider_id in zip(people, ids, strict=True):
            await start_shift(self.api, rider_id, persona.start, clock.now)
        await self._system.settle()
        shops = [await self._streets.snapped(shop.lat, shop.lon) for shop in self._city.shops]
        play = Play(seed, self.api, self._router, shops, clock.now, self._system.settle)
        for persona, rider_id in zip(people, ids, strict=True):
            play.join(Rider(seed, persona, rider_id, persona.start, clock.now))
        doors = await self._streets.places(f"{seed}|doors", DOORS)
        play.plan(orders(seed, script.orders, length_s, self._city.shops, doors))
        self._suspended = ids[len(ids) // 2]
        return play

    async def _play(self, play: Play, start: datetime) -> None:
        end = start + self._script.length
        at = start
        pending = self._complaint(start)
        while at < end + WAY_HOME:
            await self._system.advance(at)
            while pending and pending[0][0] <= at:
                _, word, body = pending.pop(0)
                await self.api.command("dispatcher", "dora", f"/riders/{self._suspended}/{word}", body, word)
                await self._system.settle()
            await play.tick(self._system.clock.now)
            if int((at - start).total_seconds()) % 300 == 0:
                open_tasks = await self._open()
                self._told(f"{at:%H:%M} in the play: {play.counts['ordered']} ordered, {open_tasks} under way")
                if at >= end and not play.planned and not open_tasks:
                    break
            at += TICK

    def _complaint(self, start: datetime) -> list[tuple[datetime, str, dict[str, str]]]:
        length = self._script.length
        return [
            (start + SUSPENDED_AT * length, "suspend-rider", {"reason_code": "complaint"}),
            (start + REINSTATED_AT * length, "reinstate-rider", {}),
        ]

    async def _open(self) -> int:
        """Tasks that somebody has or may still get."""
        rows = await self.api.items("/task-board")
        return sum(row["state"] not in OVER and not given_up(row) for row in rows)


def given_up(task: Json) -> bool:
    """Nobody took it in the last of its rounds: a dispatcher must help."""
    return bool(task["state"] == "dispatchable" and task["round"] >= RULES["max_rounds"])
