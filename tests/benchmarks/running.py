"""A system to measure: started as its user starts it, on data of its own; and those who load it."""

import asyncio
import os
import sys
import time
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from gateway.tokens import EVERY_TENANT, Tokens
from infra.embedded.ports import free_port
from infra.endpoints import Endpoints, running
from infra.settings import load_settings, with_secrets
from schemas.message import Role

TENANT = "bench"
NO_LIMIT = "10000000"

type Json = dict[str, Any]


@dataclass
class System:
    url: str
    endpoints: Endpoints
    tokens: Tokens
    process: psutil.Process

    def headers(self, role: Role = "dispatcher", subject: str = "dora", tenant: str = TENANT) -> dict[str, str]:
        return {"authorization": f"Bearer {self.tokens.issue(tenant, role, subject, 86_400)}"}

    def resident_mib(self) -> dict[str, float]:
        """By process, proportional: what is shared counts once in all."""
        every = [self.process, *self.process.children(recursive=True)]
        found: dict[str, float] = {}
        for each in every:
            with suppress(psutil.Error):
                name = name_of(each)
                found[name] = found.get(name, 0.0) + each.memory_full_info().pss / 2**20
        return found


def name_of(process: psutil.Process) -> str:
    words = process.cmdline()
    if "serve" in words:
        return words[words.index("serve") + 1]
    program = Path(words[0]).name if words else process.name()
    return program.split(":")[0]


@asynccontextmanager
async def started(data: Path, *arguments: str) -> AsyncIterator[System]:
    """`logistics up` on `data`, with the tenant `bench` and its outlet."""
    port = free_port()
    env = os.environ | {
        "LOGISTICS_HTTP_PORT": str(port),
        "LOGISTICS_RATE_PER_S": NO_LIMIT,
        "LOGISTICS_RATE_BURST": NO_LIMIT,
        "LOGISTICS_LOG_LEVEL": "warning",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "infra.cli", "up", "--data", str(data), *arguments), env=env, stdout=DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{port}"
        await until_ready(url, process)
        endpoints = running(data)
        assert endpoints is not None
        key = with_secrets(load_settings(data=data)).token_key.get_secret_value()
        system = System(url, endpoints, Tokens(bytes.fromhex(key)), psutil.Process(process.pid))
        await settle(system)
        yield system
    finally:
        process.terminate()
        await process.wait()


async def until_ready(url: str, process: asyncio.subprocess.Process) -> None:
    async with aiohttp.ClientSession() as session, asyncio.timeout(120):
        while True:
            assert process.returncode is None, "it ended before it was ready"
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
