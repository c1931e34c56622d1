"""A system to measure: started as its user starts it, on data of its own; and those who load it."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import uvloop
from psycopg import AsyncConnection
from rich.console import Console

from commands.order import Order
from gateway.tokens import EVERY_TENANT, Tokens
from infra.embedded.ports import free_port
from infra.engines import started_engines
from infra.kafka import client_args
from infra.log_setup import set_up_log
from infra.observability import quiet
from infra.role_process import RoleProcess
from infra.settings import PREFIX, RATES, Settings, load_settings, with_secrets
from infra.stages import Stages
from infra.supervisor import Supervisor
from projections.models import MODELS
from projections.tables import migrate
from schemas import ids
from schemas.directory import CreateOutlet, CreateTenant
from schemas.geo import Location
from schemas.message import Command, Role, TenantSlug

TENANT = TenantSlug("bench")
NO_LIMIT = 10_000_000

type Json = dict[str, Any]


@dataclass
class System:
    url: str
    postgres: str
    tokens: Tokens
    supervisor: Supervisor
    settings: Settings

    def headers(self, role: Role = "dispatcher", subject: str = "dora", tenant: str = TENANT) -> dict[str, str]:
        return {"authorization": f"Bearer {self.tokens.issue(tenant, role, subject, 86_400)}"}

    def resident_mib(self) -> dict[str, float]:
        """By part, its children with it, proportional: what is shared counts once in all."""
        return {name: held_mib(psutil.Process(pid)) for name, pid in self.supervisor.processes().items()}


def held_mib(process: psutil.Process) -> float:
    held = 0.0
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.Error):
            held += each.memory_full_info().pss / 2**20
    return held


async def on_uvloop[Told](work: Callable[[], Coroutine[Any, Any, Told]]) -> Told:
    """As the roles run. The engines' own loop cannot be one: uvloop starts no process for another user."""

    def run() -> Told:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work())

    return await asyncio.to_thread(run)


@asynccontextmanager
async def engines(data: Path, **given: Any) -> AsyncIterator[Settings]:
    """Kafka, PostgreSQL and OSRM on `data`, with topics and tables; `given` settings beside the defaults."""
    quiet()
    data.mkdir(parents=True, exist_ok=True)
    supervisor = Supervisor(print)
    try:
        yield await prepared(load_settings(data=data, **given), supervisor)
    finally:
        await supervisor.stop()


async def prepared(settings: Settings, supervisor: Supervisor) -> Settings:
    settings = with_secrets(settings)
    settings = await started_engines(settings, supervisor, Stages(Console(file=StringIO())))
    await set_up_log(settings, client_args(settings))
    async with await AsyncConnection.connect(settings.postgres.get_secret_value()) as connection:
        await migrate(connection, MODELS.values())
    return settings


@asynccontextmanager
async def started(data: Path, *roles: str, brokers: int = 1, partitions: int = 8) -> AsyncIterator[System]:
    """The engines and these roles on `data`, with the tenant `bench` and its outlet. fsync on each batch."""
    quiet()
    settings = load_settings(
        data=data,
        http_port=free_port(),
        **dict.fromkeys(RATES, NO_LIMIT),
        brokers=brokers,
        partitions=partitions,
        fsync="on",
    )
    os.environ |= {
        "LOGISTICS_HTTP_PORT": str(settings.http_port),
        **{f"{PREFIX}{name.upper()}": str(NO_LIMIT) for name in RATES},
        "LOGISTICS_LOG_LEVEL": "warning",
        "LOGISTICS_PARTITIONS": str(partitions),
    }
    data.mkdir(parents=True, exist_ok=True)
    supervisor = Supervisor(print)
    try:
        settings = await prepared(settings, supervisor)
        await supervisor.start(**{role: RoleProcess(role, settings, data / "logs") for role in roles})
        url = f"http://127.0.0.1:{settings.http_port}"
        await until_ready(url)
        key = bytes.fromhex(settings.token_key.get_secret_value())
        system = System(url, settings.postgres.get_secret_value(), Tokens(key), supervisor, settings)
        await settle(system)
        yield system
    finally:
        await supervisor.stop()


def order_of(
    kind: str,
    aggregate_id: str,
    command: Command,
    key: str = "k",
    actor: str = "shop",
    role: str = "integrator",
) -> Order:
    command_id = ids.command_id(aggregate_id, f"{key}-{getattr(command, 'stop_id', '')}")
    return Order(
        tenant=TENANT,
        kind=kind,
        aggregate_id=aggregate_id,
        command=command,
        command_id=command_id,
        request_hash=command_id,
        actor=actor,
        role=role,  # type: ignore[arg-type]
        natural=True,
        correlation_id=command_id,
    )


async def settled(submit: Callable[[Order], Awaitable[Any]]) -> None:
    """The tenant `bench` and its outlet, by the shards themselves."""
    tenant = CreateTenant(tenant=TENANT, name="Bench", mode="test")
    await submit(order_of("tenant", ids.tenant_id(TENANT), tenant))
    place = Location(lat=60.1688, lon=24.9404)
    outlet = CreateOutlet(outlet="kamppi", name="Kamppi", location=place, zone="Europe/Helsinki")
    await submit(order_of("outlet", ids.outlet_id(TENANT, "kamppi"), outlet))


async def until_ready(url: str) -> None:
    async with aiohttp.ClientSession() as session, asyncio.timeout(120):
        while True:
            with suppress(aiohttp.ClientError):
                if (await session.get(f"{url}/readyz")).status == 200:
                    return
            await asyncio.sleep(0.2)


async def settle(system: System) -> None:
    async with aiohttp.ClientSession(system.url) as session:
        tenant = {"tenant": TENANT, "name": "Bench", "mode": "test"}
        await posted(session, "/v1/tenants", tenant, system.headers("operator", "root", EVERY_TENANT))
        outlet = {
            "outlet": "kamppi",
            "name": "Kamppi",
            "location": {"lat": 60.1688, "lon": 24.9404},
            "zone": "Europe/Helsinki",
        }
        await posted(session, f"/v1/{TENANT}/outlets", outlet, system.headers())


async def posted(session: aiohttp.ClientSession, path: str, body: Json, headers: dict[str, str]) -> Json:
    async with session.post(path, json=body, headers=headers) as answer:
        told: Json = await answer.json(content_type=None)
        assert answer.status < 300, told
        return told


@dataclass
class Measured:
    """Seconds of each request, and of all together."""

    took_s: float = 0.0
    each_s: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return len(self.each_s) / self.took_s

    def percentile_ms(self, share: float) -> float:
        return sorted(self.each_s)[min(len(self.each_s) - 1, int(share * len(self.each_s)))] * 1_000


async def busy(workers: int, count: int, one: Callable[[int], Awaitable[None]]) -> Measured:
    """`count` requests by so many at once, each as soon as its last is answered."""
    measured, numbers = Measured(), iter(range(count))

    async def worker() -> None:
        for number in numbers:
            began = time.perf_counter()
            await one(number)
            measured.each_s.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(workers)))
    measured.took_s = time.perf_counter() - began
    return measured


async def at_rate(rate: float, seconds: float, one: Callable[[int], Awaitable[None]]) -> Measured:
    """So many a second, whether the ones before are answered or not; each counts from when it was due."""
    measured = Measured()
    began = time.perf_counter()

    async def send(number: int) -> None:
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        await one(number)
        measured.each_s.append(time.perf_counter() - due)

    await asyncio.gather(*(send(number) for number in range(int(rate * seconds))))
    measured.took_s = time.perf_counter() - began
    return measured


def table(title: str, rows: Sequence[tuple[str, str]]) -> None:
    print(f"\n{title}")
    for name, value in rows:
        print(f"  {name:<58}{value:>18}")
