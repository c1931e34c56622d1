"""One worker beside a city's vehicles: fixes a second from the log into rows, and how long a fix takes to be seen.

20,000 vehicles tell of themselves every second, 10,000 fences of which some five hold each place. The frames are written
as a gateway writes them; the worker is the one that `logistics serve streams` runs, in a process of its own.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from math import pi
from pathlib import Path
from random import Random

import aiohttp
import numpy as np
import psutil
import psycopg
from aiokafka import AIOKafkaProducer
from benchmarks.bench_fences import some_shape
from benchmarks.running import TENANT, System, busy, posted, started, table
from logged import headers_of, value_of

from infra.role_process import RoleProcess
from schemas.directory import Circle
from schemas.fixes import FixFrame
from schemas.partition import partition_of
from schemas.topics import FIXES

VEHICLES = int(os.environ.get("BENCH_VEHICLES", "20000"))
FENCES = int(os.environ.get("BENCH_FENCES", "10000"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "60"))
"""Of the backlog: fixes of each vehicle."""
RATE_S = 20
A_FRAME = 328
LAT, LON, SIDE = 60.17, 24.9, 0.17
STEP = 1e-4
"""Degrees to the north, 11 m: 40 km/h."""
PARTITIONS = 8


class City:
    """Where the vehicles are, second by second, as columns."""

    def __init__(self, riders: Sequence[str]) -> None:
        self._draw = np.random.default_rng(1)
        count = len(riders)
        self._lat = LAT + SIDE * self._draw.uniform(-0.8, 0.8, count)
        self._lon = LON + 2 * SIDE * self._draw.uniform(-0.8, 0.8, count)
        self._head = self._draw.uniform(0, 2 * pi, count)
        self.by_partition: dict[int, list[int]] = {}
        self._riders = riders
        for number, rider in enumerate(riders):
            self.by_partition.setdefault(partition_of(rider, PARTITIONS), []).append(number)

    def frames(self, at: datetime) -> list[tuple[int, FixFrame]]:
        """Of one second, by partition."""
        self._head += self._draw.normal(0, 0.2, len(self._head))
        self._lat += STEP * np.sin(self._head)
        self._lon += 2 * STEP * np.cos(self._head)
        found = []
        for partition, numbers in self.by_partition.items():
            for first in range(0, len(numbers), A_FRAME):
                found.append((partition, self._frame(np.array(numbers[first : first + A_FRAME]), at)))
        return found

    def _frame(self, of: np.ndarray, at: datetime) -> FixFrame:
        count = len(of)
        return FixFrame(
            layout=1,
            count=count,
            base_time=at,
            received_at=at + timedelta(seconds=1),
            devices=[f"device-{number}" for number in of],
            riders=[self._riders[number] for number in of],
            device=np.arange(count, dtype="<u4").tobytes(),
            offset_ms=np.zeros(count, "<u2").tobytes(),
            lat=(self._lat[of] * 1e6).astype("<i4").tobytes(),
            lon=(self._lon[of] * 1e6).astype("<i4").tobytes(),
            speed=np.full(count, 1_100, "<u2").tobytes(),
            bearing=np.full(count, 255, "u1").tobytes(),
            accuracy=np.full(count, 5, "u1").tobytes(),
            battery=np.full(count, 80, "u1").tobytes(),
        )


async def test_a_citys_vehicles_into_rows(tmp_path: Path):
    tmp_path.chmod(0o755)
    async with started(tmp_path / "run", "gateway") as system:
        async with aiohttp.ClientSession(system.url) as session:
            riders = await settled(system, session)
        city = City(riders)
        began = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=SECONDS + 30)
        async with log(system.settings.kafka) as write:
            frames = 0
            for second in range(SECONDS):
                told = city.frames(began + timedelta(seconds=second))
                frames += len(told)
                await write(told)
            worker = RoleProcess("streams", system.settings, tmp_path / "run" / "logs")
            await system.supervisor.start(streams=worker)
            pid = system.supervisor.processes()["streams"]
            rows = await backlog(system, pid, frames, VEHICLES * SECONDS)
            rows += await steady(system, pid, city, write)
    table(f"Telemetry: {VEHICLES:,} vehicles, {FENCES:,} fences, one worker, fsync in Kafka and Postgres", rows)


async def settled(system: System, session: aiohttp.ClientSession) -> list[str]:
    draw, headers = Random(7), system.headers()
    since = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    batches = [range(first, min(first + 100, FENCES)) for first in range(0, FENCES, 100)]

    async def fences(number: int) -> None:
        for each in batches[number]:
            shape = some_shape(draw, SIDE)
            if isinstance(shape, Circle):
                told = {
                    "type": "circle",
                    "center": {"lat": shape.center.lat, "lon": shape.center.lon},
                    "radius_m": shape.radius_m,
                }
            else:
                told = {"type": "polygon", "rings": shape.rings}
            body = {"name": f"Fence {each}", "shape": told, "external_reference": f"fence-{each}", "valid_from": since}
            await posted(session, f"/v1/{TENANT}/geofences", body, headers)

    await busy(16, len(batches), fences)
    riders: list[str] = []

    async def rider(number: int) -> None:
        body = {"name": f"Rider {number}", "external_reference": f"rider-{number}"}
        riders.append((await posted(session, f"/v1/{TENANT}/riders", body, headers))["id"])

    await busy(64, VEHICLES, rider)
    return sorted(riders)


@asynccontextmanager
async def log(kafka: str) -> AsyncIterator:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, enable_idempotence=True, max_batch_size=1 << 20)
    await producer.start()

    async def write(frames: Sequence[tuple[int, FixFrame]]) -> None:
        sent = []
        for partition, frame in frames:
            headers = list(headers_of(frame, TENANT))
            sent.append(await producer.send(FIXES.name, value_of(frame), partition=partition, headers=headers))
        await asyncio.gather(*sent)

    try:
        yield write
    finally:
        await producer.stop()


async def folded(connection: psycopg.AsyncConnection) -> int:
    cursor = await connection.execute(
        "SELECT coalesce(sum(next_offset), 0)::bigint FROM stream_places WHERE topic = %s", (FIXES.name,)
    )
    row = await cursor.fetchone()
    return row[0] if row else 0


async def backlog(system: System, pid: int, frames: int, fixes: int) -> list[tuple[str, str]]:
    """From when a fifth of it is folded: opening the partitions is no part of it."""
    samples: list[tuple[float, int, float, float]] = []
    process, database = psutil.Process(pid), psutil.Process(system.supervisor.processes()["postgres"])
    async with await psycopg.AsyncConnection.connect(system.postgres, autocommit=True) as connection:
        while not samples or samples[-1][1] < frames:
            samples.append((time.perf_counter(), await folded(connection), cpu_s(process), cpu_s(database)))
            await asyncio.sleep(0.05)
    first, last = next(each for each in samples if each[1] >= frames // 5), samples[-1]
    taken = fixes * (last[1] - first[1]) / frames
    return [
        ("a backlog folded, told and kept", f"{taken / (last[0] - first[0]):,.0f} fixes/s"),
        ("CPU of the worker", f"{(last[2] - first[2]) / taken * 1e6:.1f} µs a fix"),
        ("CPU of Postgres", f"{(last[3] - first[3]) / taken * 1e6:.1f} µs a fix"),
        ("resident", f"{process.memory_full_info().uss / 2**20:,.0f} MiB"),
    ]


def cpu_s(process: psutil.Process) -> float:
    """With its children, those that have ended too."""
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.Error):
            told = each.cpu_times()
            total += told.user + told.system
    return total


async def steady(system: System, pid: int, city: City, write) -> list[tuple[str, str]]:
    """A second's fixes spread over the second, as they come in; a commit is seen by the place in Postgres."""
    process = psutil.Process(pid)
    produced: list[tuple[float, int]] = []
    seen: list[tuple[float, int]] = []
    async with await psycopg.AsyncConnection.connect(system.postgres, autocommit=True) as connection:
        written = await folded(connection)

        async def watch() -> None:
            while True:
                seen.append((time.perf_counter(), await folded(connection)))
                await asyncio.sleep(0.005)

        watching = asyncio.create_task(watch())
        cpu = cpu_s(process)
        began = time.perf_counter()
        for second in range(RATE_S):
            frames = city.frames(datetime.now(UTC))
            Random(second).shuffle(frames)
            for number in range(0, len(frames), 4):
                due = began + second + number / len(frames)
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                at = time.perf_counter()
                await write(frames[number : number + 4])
                written += len(frames[number : number + 4])
                produced.append((at, written))
        await asyncio.sleep(3)
        watching.cancel()
        after = cpu_s(process)
    took = []
    place = 0
    for at, upto in produced:
        while place < len(seen) and seen[place][1] < upto:
            place += 1
        took.append((seen[place][0] if place < len(seen) else float("inf")) - at)
    took.sort()
    fixes = VEHICLES * RATE_S
    return [
        (f"{VEHICLES:,} fixes/s: written to kept, p50", f"{took[len(took) // 2] * 1e3:.0f} ms"),
        ("p99", f"{took[int(len(took) * 0.99)] * 1e3:.0f} ms"),
        ("CPU of the worker", f"{(after - cpu) / fixes * 1e6:.1f} µs a fix"),
        ("resident", f"{process.memory_full_info().uss / 2**20:,.0f} MiB"),
    ]
