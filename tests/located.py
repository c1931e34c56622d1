"""A door with read models behind it, and a town whose addresses are known: the process of geocoding follows on demand."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import reception
from following import Sent, anew
from psycopg_pool import AsyncConnectionPool
from read_models import ReadModels
from reception import House, Json, delivery

from gateway.door import Limits
from projections.known_places import remembered
from schemas.geo import Location
from schemas.message import Source, TenantSlug
from schemas.topics import TASK
from streams.addresses.index import AddressIndex
from streams.geocoding import geocoding
from streams.routing.chain import Placed
from streams.routing.tenants import TenantAddresses


class LocatedTown:
    def __init__(self, house: House, models: ReadModels) -> None:
        self.house, self.models = house, models
        self.addresses = TenantAddresses(house.chains)

    async def geocode(self, tenant: TenantSlug, text: str) -> Placed:
        return await self.addresses.geocode(tenant, text)

    async def remembered(self, place_key: str, source: Source) -> Location | None:
        tenant = source.tenant
        known = self.house.policy.tenant(tenant)
        assert known is not None
        days = known.rules.remember_places_days
        async with self.house.door.pool.connection() as connection:
            of = self.house.keyring, self.house.door.partitions, tenant, place_key
            return await remembered(connection, *of, self.house.now, days)

    async def order(self, reference: str, **dropoff: object) -> str:
        """A delivery to an address, by the shop."""
        body = delivery(external_reference=reference)
        body["stops"][-1] = {"kind": "dropoff", "contact": {"name": "Cleo", "reference": reference}, **dropoff}
        answer = await self.house.caller().post("/v1/acme/tasks", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def follow(self) -> list[tuple[str, str]]:
        """What the process sent, over the whole log, with what came of it."""
        self.house.desk.orders.clear()
        rules = geocoding(Sent(self.house), self)
        sent = await anew(self.house, "geocoding", rules, TASK)
        await self.models.fold()
        return sent

    async def task(self, task_id: str) -> Json:
        answer = await self.house.caller("dispatcher", "dora").get(f"/v1/acme/tasks/{task_id}")
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    async def desk(self) -> list[Json]:
        answer = await self.house.caller("dispatcher", "dora").get("/v1/acme/exception-desk?kind=needs_location")
        found: list[Json] = answer.json()["items"]
        return found


@asynccontextmanager
async def located_town(postgres: str, addresses: AddressIndex) -> AsyncIterator[LocatedTown]:
    pool = AsyncConnectionPool(postgres, min_size=2, max_size=6, open=False)
    async with pool, reception.house(Limits(ask_again_after_s=()), pool, addresses) as house:
        models = ReadModels(pool, house.desk.log)
        await models.make()
        async with house.app.router.lifespan_context(house.app):
            yield LocatedTown(house, models)
