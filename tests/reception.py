"""A door for tests: the real app over a desk in memory, with a tenant, an outlet, and somebody to come in."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import httpx
import msgspec
from memory_desk import PARTITIONS, MemoryDesk
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from story import NOON, SECRETS

from commands.order import Answer, Order, Unavailable
from commands.policy import Policy
from gateway.app import app
from gateway.bindings import Bindings
from gateway.door import Door, FrameLog, Limits
from gateway.tokens import Tokens
from infra.artefacts import in_memory
from infra.dry_runs import DispatchDryRuns
from infra.lookups import Lookups
from infra.role_gateway import bind
from schemas import ids
from schemas.fixes import FixFrame
from schemas.keyring import Keyring
from schemas.message import Command, Role, TenantSlug
from schemas.position import Vector, places_after
from schemas.record import Stored
from schemas.rider import RegisterRider
from schemas.task import CreateTask
from schemas.topics import FIXES, FLEET
from streams.addresses.index import AddressIndex
from streams.routing.budgets import CountedHere
from streams.routing.matching import Matcher
from streams.routing.osrm import OsrmRouter
from streams.routing.tenants import Chains, TenantAddresses, TenantMatching, TenantRouting
from streams.routing.wire import SecretMissing

TOKENS = Tokens(b"a key for tests that has its 32 bytes and more")
KEK = bytes(range(32))
KAMPPI = {"lat": 60.1688, "lon": 24.9316}
HOME = {"lat": 60.161, "lon": 24.942}

type Json = dict[str, Any]


def no_secret(reference: str) -> str:
    raise SecretMissing(reference, "is not set")


class MemoryFrames:
    """Keeps what a log would."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, FixFrame]] = []
        self.log: list[Stored] = []
        """What a test puts there to be read."""

    async def write(self, tenant: str, actor: str, frames: Sequence[tuple[int, FixFrame]]) -> Vector:
        self.frames += frames
        return places_after(FIXES.name, [(partition, len(self.frames)) for partition, _ in frames])

    async def first_since(self, partition: int, since: datetime) -> int:
        return 0

    async def read(self, partition: int, first: int, last: int) -> AsyncIterator[Sequence[Stored]]:
        yield [stored for stored in self.log if stored.partition == partition and first <= stored.offset <= last]


class House:
    """The app, and those who come to it."""

    def __init__(
        self,
        limits: Limits | None = None,
        pool: Any = None,
        frames: FrameLog | None = None,
        addresses: AddressIndex | None = None,
    ) -> None:
        self.frames = frames or MemoryFrames()
        self.bindings = Bindings()
        self.learned = 0
        """So much of the desk's log the bindings have seen."""
        self.now = NOON
        self.policy = Policy()
        self.keyring = Keyring(KEK)
        self.desk = MemoryDesk(self.policy, SECRETS, self.keyring, lambda: self.now)
        self.silent: Unavailable | None = None
        """Raised while the directory cannot be read."""
        self.unheard: Callable[[], None] = lambda: None
        """What the directory holds, and the policy does not yet."""
        self.ready: dict[str, str] = {"kafka": "ok", "postgres": "ok"}
        self.chains = Chains("", self.policy.routing, no_secret, CountedHere(), addresses)
        pool = pool or AsyncConnectionPool("", open=False)
        known = Lookups(pool, self.policy, self.keyring, PARTITIONS, lambda: self.now)
        self.door = Door(
            desk=self.desk,
            pool=pool,
            keyring=self.keyring,
            secrets=SECRETS,
            tokens=TOKENS,
            bindings=self.bindings,
            frames=self.frames,
            matching=TenantMatching(self.chains, Matcher("")),
            addresses=TenantAddresses(self.chains),
            dry_runs=DispatchDryRuns(pool, known, TenantRouting(self.chains, OsrmRouter(""))),
            artefacts=in_memory(),
            policy=self.policy,
            clock=lambda: self.now,
            partitions=PARTITIONS,
            cluster="test",
            readiness=self.readiness,
            learn=self.learn,
            limits=limits or Limits(),
        )
        self.app: Starlette = app(self.door)
        self.clients: list[httpx.AsyncClient] = []

    async def readiness(self) -> Mapping[str, str]:
        return self.ready

    async def learn(self) -> None:
        if self.silent is not None:
            raise self.silent
        self.unheard()

    def follow(self, stored: Stored) -> None:
        """As the follower of the fleet does."""
        if stored.topic == FLEET.name:
            bind(self.bindings, stored)

    def caller(self, role: Role = "integrator", subject: str = "shop", tenant: str = "acme") -> httpx.AsyncClient:
        return self.client({"authorization": f"Bearer {TOKENS.issue(tenant, role, subject, 3600)}"})

    def client(self, headers: Mapping[str, str] | None = None) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        client = httpx.AsyncClient(transport=transport, base_url="http://door", headers=dict(headers or {}))
        self.clients.append(client)
        return client

    async def settle(self, tenant: str = "acme") -> None:
        """The tenant and its outlet `kamppi`."""
        platform = self.caller("operator", "root", "*")
        made = await platform.post("/v1/tenants", json={"tenant": tenant, "name": "Acme", "mode": "test"})
        assert made.status_code == 201, made.text
        outlet = {"outlet": "kamppi", "name": "Kamppi", "location": KAMPPI, "zone": "Europe/Helsinki"}
        made = await self.caller(tenant=tenant).post(f"/v1/{tenant}/outlets", json=outlet)
        assert made.status_code == 201, made.text

    async def process(self, kind: str, aggregate_id: str, command: Command, tenant: str = "acme") -> Answer:
        """What no one may send through the door: a command of our own processes."""
        identity = ids.derived("process", aggregate_id, repr(command))
        return await self.desk.submit(
            Order(
                tenant=TenantSlug(tenant),
                kind=kind,
                aggregate_id=aggregate_id,
                command=command,
                command_id=identity,
                request_hash=identity,
                actor="dispatch",
                role="system",
                correlation_id=identity,
            )
        )

    async def knows(self, rider: str) -> None:
        """Somebody under that very id."""
        if rider not in self.desk.kept:
            await self.process("rider", rider, RegisterRider(name=rider))

    async def expects(self, task: str) -> None:
        """A task under that very id."""
        if task not in self.desk.kept:
            await self.process("task", task, msgspec.convert(delivery(), CreateTask))

    async def close(self) -> None:
        for client in self.clients:
            await client.aclose()


@asynccontextmanager
async def house(
    limits: Limits | None = None, pool: Any = None, addresses: AddressIndex | None = None
) -> AsyncIterator[House]:
    made = House(limits, pool, addresses=addresses)
    await made.settle()
    yield made
    await made.close()


def delivery(**more: Any) -> Json:
    """A task's body: from the outlet to somebody's door, with a PIN."""
    dropoff = {
        "kind": "dropoff",
        "location": HOME,
        "contact": {"name": "Cleo Contact", "phone": "+358401234567"},
        "required_proof": [["pin"]],
    }
    return {"kind": "delivery", "outlet": "kamppi", "stops": [{"kind": "pickup"}, dropoff], "parcels": [{}]} | more


def key(word: str) -> dict[str, str]:
    return {"idempotency-key": word}
