"""Deliveries played in real time, by HTTP like everybody's, in the tenant `demo`, until it is told to stop."""

import asyncio
from datetime import datetime, timedelta

import httpx
import structlog
from msgspec.structs import replace

from gateway.tokens import Tokens
from infra.clock import real_time
from infra.demo.api import Api, Json, Refusal, Unanswered
from infra.demo.cities import CITIES, City
from infra.demo.journal import Journal
from infra.demo.plan import DOORS, Persona, order, personas
from infra.demo.play import Play
from infra.demo.rider import Rider
from infra.demo.settled import TENANT, settle_rider, settle_tenant, start_shift
from infra.demo.streets import Streets
from infra.secrets import secret
from infra.settings import Settings
from schemas.geo import Location
from streams.routing.osrm import OsrmRouter

SEED = "1"
RIDERS = 20
TICK_S = 1.0
FIX_EVERY = timedelta(seconds=3)
ORDER_EVERY_S = 45
"""An order's number is the count of these since 1970, so that a play that goes on never orders twice."""

DAY_S = 86_400.0
LOOK_AT_SHIFTS_EVERY_S = 60.0
FIRST_ORDERS = 4
"""So that something is under way at once."""

logger = structlog.get_logger()


async def serve_demo(settings: Settings) -> None:
    """Until it is cancelled. Raises Refusal, Unanswered, NoStreets."""
    url = f"http://{settings.http_host}:{settings.http_port}"
    tokens = Tokens(secret(settings, "token_key"))
    router = OsrmRouter(settings.osrm)
    with Journal(settings.data / "journals" / "demo.jsonl") as journal:
        async with httpx.AsyncClient(base_url=url, timeout=30.0, trust_env=False) as client:
            api = Api(client, tokens, TENANT, journal)
            try:
                await Town(settings, api, router).live()
            finally:
                await router.close()


class Town:
    def __init__(self, settings: Settings, api: Api, router: OsrmRouter) -> None:
        self._api, self._router = api, router
        self._city: City = CITIES[settings.city]
        self._streets = Streets(settings.osrm, self._city)
        self._riders: list[Rider] = []

    async def live(self) -> None:
        """Never returns. What fails in one tick is tried again in the next."""
        await settle_tenant(self._api, self._city, self._streets)
        now = real_time()
        doors = await self._streets.places(f"{SEED}|doors", DOORS)
        shops = [await self._streets.snapped(shop.lat, shop.lon) for shop in self._city.shops]
        play = Play(SEED, self._api, self._router, shops, now, at_once)
        number = int(now.timestamp() / ORDER_EVERY_S)
        if await self._gather(play, now):
            play.plan(order(SEED, number - n, 0.0, self._city.shops, doors) for n in range(1, FIRST_ORDERS))
        looked_at = now
        while True:
            now = real_time()
            while number <= now.timestamp() / ORDER_EVERY_S:
                play.plan([order(SEED, number, 0.0, self._city.shops, doors)])
                number += 1
            try:
                if (now - looked_at).total_seconds() > LOOK_AT_SHIFTS_EVERY_S:
                    looked_at = now
                    await self._keep_at_work(await self._roster(), now)
                await play.tick(now)
            except (Refusal, Unanswered) as failed:
                logger.warning("tick failed", why=str(failed))
            await asyncio.sleep(max(0.0, TICK_S - (real_time() - now).total_seconds()))

    async def _gather(self, play: Play, now: datetime) -> bool:
        """All riders at work, each where they were last. Whether this is their first day."""
        people = personas(SEED, await self._streets.places(f"{SEED}|starts", RIDERS), DAY_S)
        people = [replace(person, papers_end_s=None) for person in people]
        known = await self._roster()
        seen = {
            row["rider_id"]: row
            for on_duty in ("true", "false")
            for row in await self._api.items(f"/live-map?on_duty={on_duty}")
        }
        for person in people:
            row = known.get(person.reference)
            rider_id = row["rider_id"] if row and row["status"] != "invited" else await self._hired(person, now)
            at = seen.get(rider_id)
            place = Location(lat=at["lat"], lon=at["lon"]) if at else person.start
            self._riders.append(Rider(SEED, person, rider_id, place, real_time(), FIX_EVERY))
            play.join(self._riders[-1])
        await self._keep_at_work(known, now)
        return not known

    async def _hired(self, person: Persona, now: datetime) -> str:
        return await settle_rider(self._api, person, now)

    async def _keep_at_work(self, roster: dict[str, Json], now: datetime) -> None:
        for rider in self._riders:
            row = roster.get(rider.persona.reference)
            if row is None or not row["on_shift"]:
                try:
                    await start_shift(self._api, rider.rider_id, rider.at(now), now)
                except Refusal as refused:
                    logger.info("no shift", rider=rider.persona.reference, why=str(refused))

    async def _roster(self) -> dict[str, Json]:
        return {row["external_reference"]: row for row in await self._api.items("/rider-roster")}


async def at_once() -> None:
    """Where time is real, nobody waits for what follows."""
