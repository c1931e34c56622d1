"""Fixes through HTTP, folded into Postgres with fences; and how soon what was acknowledged is seen."""

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import psycopg
from benchmarks.running import TENANT, System, busy, posted, started, table

FENCES = 1_000
DEVICES = 100
BATCH = 100
BATCHES = 3_000
CONNECTIONS = 32
LOOKS = 100
WEST, SOUTH, EAST, NORTH = 24.90, 60.14, 24.98, 60.20


async def test_fixes_through_http_into_rows(tmp_path: Path):
    tmp_path.chmod(0o755)
    async with started(tmp_path / "run", "gateway", "streams", "projector") as system:
        async with aiohttp.ClientSession(system.url, connector=aiohttp.TCPConnector(limit=CONNECTIONS)) as session:
            riders = await settled(system, session)
            rows = await measured(system, session, riders)
        table(f"Fixes: batches of {BATCH}, {FENCES:,} fences, one worker, fsync in Kafka and Postgres", rows)
        total = sum(system.resident_mib().values())
        print(f"  resident in all: {total:,.0f} MiB")


async def settled(system: System, session: aiohttp.ClientSession) -> dict[str, str]:
    """Riders by device, on shift."""
    of, headers = random.Random(1), system.headers()

    async def fence(number: int) -> None:
        center = {"lat": of.uniform(SOUTH, NORTH), "lon": of.uniform(WEST, EAST)}
        shape = {"type": "circle", "center": center, "radius_m": of.uniform(50, 300)}
        body = {"name": f"Fence {number}", "shape": shape, "external_reference": f"fence-{number}"}
        await posted(session, f"/v1/{TENANT}/geofences", body, headers)

    await busy(16, FENCES, fence)
    riders: dict[str, str] = {}

    async def rider(number: int) -> None:
        device = f"phone-{number}"
        body = {"name": f"Rider {number}", "external_reference": f"rider-{number}"}
        riders[device] = (await posted(session, f"/v1/{TENANT}/riders", body, headers))["id"]
        path = f"/v1/{TENANT}/riders/{riders[device]}"
        ends_at = (datetime.now(UTC) + timedelta(hours=8)).isoformat()
        past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
        for word, more in (
            ("approve-rider", {}),
            ("start-shift", {"ends_at": ends_at}),
            ("bind-device", {"device_id": device, "valid_from": past}),
        ):
            await posted(session, f"{path}/{word}", more, headers | {"idempotency-key": word})

    await busy(16, DEVICES, rider)
    return riders


class Walk:
    """A device's places, each some metres from the last, at times that only grow."""

    def __init__(self, device: str) -> None:
        self.device = device
        self._of = random.Random(device)
        self._lat, self._lon = self._of.uniform(SOUTH, NORTH), self._of.uniform(WEST, EAST)
        self._at = datetime.now(UTC)

    def batch(self, count: int) -> dict[str, object]:
        fixes = []
        for _ in range(count):
            self._lat += self._of.uniform(-1e-4, 1e-4)
            self._lon += self._of.uniform(-2e-4, 2e-4)
            self._at += timedelta(milliseconds=10)
            fixes.append({"observed_at": self._at.isoformat(), "lat": self._lat, "lon": self._lon, "accuracy_m": 5.0})
        return {"device_id": self.device, "fixes": fixes}


async def measured(system: System, session: aiohttp.ClientSession, riders: dict[str, str]) -> list[tuple[str, str]]:
    headers = system.headers()
    walks = {device: Walk(device) for device in riders}
    names = list(walks)
    locks = {device: asyncio.Lock() for device in names}

    async def send(number: int) -> str:
        device = names[number % DEVICES]
        async with locks[device]:
            told = await posted(session, f"/v1/{TENANT}/fixes", walks[device].batch(BATCH), headers)
        assert told["accepted"] == BATCH, told
        return str(told["consistency"])

    async def one(number: int) -> None:
        await send(number)

    await busy(CONNECTIONS, 200, one)
    began = time.perf_counter()
    sent = await busy(CONNECTIONS, BATCHES, one)
    await until_folded(system)
    took_s = time.perf_counter() - began
    visible = []
    for number in range(LOOKS):
        token = await send(number)
        acknowledged = time.perf_counter()
        ask = headers | {"logistics-consistency": token, "prefer": "wait=5"}
        async with session.get(f"/v1/{TENANT}/live-map?limit=1", headers=ask) as answer:
            assert answer.status == 200, await answer.text()
        visible.append(time.perf_counter() - acknowledged)
        await asyncio.sleep(0.02)
    visible.sort()
    return [
        ("acknowledged", f"{sent.rate * BATCH:,.0f}/s"),
        ("acknowledged and folded", f"{BATCHES * BATCH / took_s:,.0f}/s"),
        ("a batch's answer, p50", f"{sent.percentile_ms(0.5):.1f} ms"),
        ("acknowledged to visible, p50", f"{visible[LOOKS // 2] * 1e3:.0f} ms"),
        ("acknowledged to visible, p95", f"{visible[int(LOOKS * 0.95)] * 1e3:.0f} ms"),
    ]


async def until_folded(system: System) -> None:
    """Until the stream's places no longer move."""
    last, seen = None, 0
    async with await psycopg.AsyncConnection.connect(system.postgres, autocommit=True) as connection:
        while seen < 3:
            row = await (await connection.execute("SELECT sum(next_offset) FROM stream_places")).fetchone()
            seen, last = (seen + 1 if row == last else 0), row
            await asyncio.sleep(0.05)
