"""Commands through HTTP, each on the log with fsync, beside the eventsourcing library's Postgres recorder."""

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

import aiohttp
from benchmarks.running import TENANT, System, at_rate, busy, posted, started, table
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from psycopg.conninfo import conninfo_to_dict

CONNECTIONS = 64
WARM_UP, COUNT = 2_000, 15_000
HALF_RATE = 750
SECONDS = 10
PEER_COUNT = 3_000
PEER_THREADS = 16


def body(number: int, run: str) -> dict[str, object]:
    dropoff = {
        "kind": "dropoff",
        "location": {"lat": 60.161, "lon": 24.942},
        "contact": {"name": "Cleo Contact", "phone": "+358401234567"},
    }
    stops = [{"kind": "pickup"}, dropoff]
    return {"kind": "delivery", "outlet": "kamppi", "stops": stops, "external_reference": f"{run}-{number}"}


class Parcel(Aggregate):
    @event("Created")
    def __init__(self, name: str, phone: str) -> None:
        self.name, self.phone = name, phone


class Parcels(Application):
    env: ClassVar[dict[str, str]] = {}

    def create(self) -> None:
        self.save(Parcel("Cleo Contact", "+358401234567"))


def peer_rate(dsn: str) -> float:
    """Aggregates a second by the library's own Postgres recorder, on the same server: one event each."""
    told = conninfo_to_dict(dsn)
    os.environ |= {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(told["dbname"]),
        "POSTGRES_HOST": str(told["host"]),
        "POSTGRES_PORT": str(told["port"]),
        "POSTGRES_USER": str(told["user"]),
        "POSTGRES_PASSWORD": str(told.get("password", "")),
        "POSTGRES_POOL_SIZE": str(PEER_THREADS),
        "POSTGRES_MAX_OVERFLOW": str(PEER_THREADS),
    }
    parcels = Parcels()
    try:
        with ThreadPoolExecutor(PEER_THREADS) as pool:
            list(pool.map(lambda _: parcels.create(), range(200)))
            began = time.perf_counter()
            list(pool.map(lambda _: parcels.create(), range(PEER_COUNT)))
            return PEER_COUNT / (time.perf_counter() - began)
    finally:
        parcels.close()


async def test_commands_through_http_beside_the_postgres_recorder(tmp_path: Path):
    tmp_path.chmod(0o755)
    async with started(tmp_path / "run", "gateway") as system:
        rows = await measured(system)
        peer = await asyncio.to_thread(peer_rate, system.postgres)
        rows.append((f"eventsourcing's Postgres recorder, {PEER_THREADS} threads", f"{peer:,.0f}/s"))
        rows.append(("ratio", f"{float(rows[0][1].split('/')[0].replace(',', '')) / peer:.2f}"))
        table("Commands: one gateway and shards process, one broker, fsync on each batch", rows)


async def measured(system: System) -> list[tuple[str, str]]:
    headers = system.headers("integrator", "shop")
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(system.url, connector=connector) as session:

        async def create(number: int, run: str) -> None:
            await posted(session, f"/v1/{TENANT}/tasks", body(number, run), headers)

        run = str(uuid4())
        await busy(CONNECTIONS, WARM_UP, lambda n: create(n, f"warm-{run}"))
        full = await busy(CONNECTIONS, COUNT, lambda n: create(n, run))
        half = await at_rate(HALF_RATE, SECONDS, lambda n: create(n, f"half-{run}"))
    return [
        (f"all {CONNECTIONS} connections busy", f"{full.rate:,.0f}/s"),
        ("  p50", f"{full.percentile_ms(0.5):.1f} ms"),
        ("  p99", f"{full.percentile_ms(0.99):.1f} ms"),
        (f"at {HALF_RATE}/s: p50", f"{half.percentile_ms(0.5):.1f} ms"),
        ("  p99", f"{half.percentile_ms(0.99):.1f} ms"),
    ]
