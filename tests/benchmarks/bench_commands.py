"""Commands acknowledged on the log: the bare log, a shard with real Task commands, and all through HTTP; on one broker
and on three; each batch fsynced on every replica. Beside them, in the same run, the eventsourcing library's Postgres
recorder, fsync on, too.

A Task command here is one of the nine of a delivery's life: created, assigned, accepted, then en route, arrived and
handed over at both stops.
"""

import asyncio
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec
import pytest
from benchmarks.raw_http import connected
from benchmarks.running import TENANT, Measured, System, engines, on_uvloop, order_of, settled, started, table
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from psycopg.conninfo import conninfo_to_dict

from commands.connection import KafkaConnection
from commands.log import Entry, ShardLog
from commands.order import Order
from commands.owners import Shards
from commands.policy import Policy
from infra.clock import real_time
from infra.garbage import look_seldom
from infra.kafka import client_args
from infra.secrets import secret, server_secrets
from infra.settings import Settings
from schemas import ids
from schemas.field_report import ReportArrived, ReportDelivered, ReportEnRoute, ReportPickedUp
from schemas.geo import Location, ObservedFix
from schemas.keyring import Keyring
from schemas.message import Command, RiderId, StopId
from schemas.record import Headers
from schemas.stop import NewContact, NewParcel, NewStop
from schemas.task import AcceptAssignment, AssignTask, CreateTask
from schemas.topics import TASK

CALLERS = (1, 16, 256, 1_000)
SECONDS = float(os.environ.get("BENCH_SECONDS", "6"))
WARM_UP_S = 2.0
EVENT_BYTES = 300
MOST_TOGETHER = 500
HTTP_CONNECTIONS = 64
HALF = 0.5
LIVES = int(3_000 * SECONDS)
"""Deliveries made beforehand for each figure; more than can be lived in its time."""
PEER_THREADS = (1, 16)
HOME = Location(lat=60.161, lon=24.942)
KAMPPI = Location(lat=60.1688, lon=24.9404)

type Rows = list[tuple[str, str]]


# Real Task commands


@dataclass(frozen=True)
class Step:
    """`word` is its place in the API's path; empty for the create."""

    command: Command
    actor: str
    role: str
    word: str


def delivery() -> CreateTask:
    dropoff = NewStop(kind="dropoff", location=HOME, contact=NewContact(name="Cleo Contact", phone="+358401234567"))
    parcels = [NewParcel(weight_g=500) for _ in range(3)]
    return CreateTask(kind="delivery", outlet="kamppi", stops=[NewStop(kind="pickup"), dropoff], parcels=parcels)


def life(rider: str) -> Iterator[Step]:
    yield Step(delivery(), "shop", "integrator", "")
    yield Step(AssignTask(rider_id=RiderId(rider)), "dora", "dispatcher", "assign-task")
    yield Step(AcceptAssignment(), rider, "rider", "accept-assignment")
    for stop, place, handed in (("stop-1", KAMPPI, ReportPickedUp), ("stop-2", HOME, ReportDelivered)):
        at: dict[str, Any] = {"stop_id": StopId(stop), "observed_at": datetime.now(UTC)}
        fix = ObservedFix(lat=place.lat, lon=place.lon, accuracy_m=10.0, observed_at=at["observed_at"])
        yield Step(ReportEnRoute(**at), rider, "rider", "report-en-route")
        yield Step(ReportArrived(**at, fix=fix), rider, "rider", "report-arrived")
        words = {ReportPickedUp: "report-picked-up", ReportDelivered: "report-delivered"}
        yield Step(handed(**at), rider, "rider", words[handed])


RIDER = ids.aggregate_id("rider", TENANT, "shop", "ann")
STEPS = len(list(life(RIDER)))


# The callers


async def called(
    callers: int, seconds: float, caller: Callable[[int, Measured, Callable[[], bool]], Awaitable[None]]
) -> Measured:
    """So many at once, each as soon as its last command is answered, for so long."""
    measured = Measured()
    end = time.perf_counter() + seconds
    began = time.perf_counter()
    await asyncio.gather(*(caller(n, measured, lambda: time.perf_counter() < end) for n in range(callers)))
    measured.took_s = time.perf_counter() - began
    return measured


def told(name: str, measured: Measured) -> tuple[str, str]:
    p50, p99 = measured.percentile_ms(0.5), measured.percentile_ms(0.99)
    return name, f"{measured.rate:>8,.0f}/s {p50:>7.1f} {p99:>7.1f} ms"


# The bare log


class Together:
    """What waits when the last batch is acknowledged is the next one, as in a shard."""

    def __init__(self, log: ShardLog) -> None:
        self._log = log
        self._waiting: deque[tuple[Entry, asyncio.Future[None]]] = deque()
        self._wake = asyncio.Event()

    def append(self, entry: Entry) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, done))
        self._wake.set()
        return done

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            group = [self._waiting.popleft() for _ in range(min(MOST_TOGETHER, len(self._waiting)))]
            if not self._waiting:
                self._wake.clear()
            if group:
                await self._log.append({TASK.name: [entry for entry, _ in group]})
                for _, done in group:
                    done.set_result(None)


async def bare_log(settings: Settings) -> Rows:
    log = ShardLog(KafkaConnection(client_args(settings), f"bench-{uuid4()}", 0, [TASK.name]))
    await log.connect()
    await log.take_epoch()
    headers: Headers = [("control", b"1")]
    await log.barriers({TASK.name: (b"bench", b"barrier", headers)})
    together = Together(log)
    running = asyncio.create_task(together.run())
    entry = b"bench", os.urandom(EVENT_BYTES), headers

    async def caller(number: int, measured: Measured, going: Callable[[], bool]) -> None:
        while going():
            began = time.perf_counter()
            await together.append(entry)
            measured.each_s.append(time.perf_counter() - began)

    try:
        await called(256, WARM_UP_S, caller)
        return [told(f"bare log, {n} callers", await called(n, SECONDS, caller)) for n in CALLERS]
    finally:
        running.cancel()
        await log.close()


# The shard


async def shard(settings: Settings) -> Rows:
    secrets = server_secrets(settings)
    shards = Shards(
        client_args=client_args(settings),
        cluster=f"{settings.cluster}-{uuid4().hex[:6]}",
        partitions=1,
        keyring=Keyring(secret(settings, "key_encryption_key")),
        policy=Policy(),
        secrets=secrets,
        clock=real_time,
        owner="bench",
    )
    await shards.start()

    def lives(count: int) -> deque[list[Order]]:
        """Made beforehand: what the callers do is not measured."""
        made: deque[list[Order]] = deque()
        for _ in range(count):
            task = ids.aggregate_id("task", TENANT, "shop", str(uuid4()))
            steps = life(RIDER)
            made.append([order_of("task", task, s.command, s.word or "k", s.actor, s.role) for s in steps])
        look_seldom()  # as the roles do
        return made

    ready = lives(LIVES)

    async def caller(number: int, measured: Measured, going: Callable[[], bool], only_create: bool = False) -> None:
        while going():
            for order in ready.popleft():
                began = time.perf_counter()
                await shards.submit(order)
                measured.each_s.append(time.perf_counter() - began)
                if only_create or not going():
                    break

    try:
        await settled(shards.submit)
        await called(256, WARM_UP_S, caller)
        rows = []
        for callers in CALLERS:
            ready = lives(LIVES)
            rows.append(told(f"Task commands, {callers} callers", await called(callers, SECONDS, caller)))
        ready = lives(LIVES)
        creates = await called(256, SECONDS, lambda n, m, g: caller(n, m, g, only_create=True))
        return [*rows, told("  creates alone, 256 callers", creates)]
    finally:
        await shards.stop()


# HTTP


async def http(data: Path, brokers: int) -> Rows:
    async with started(data, "gateway", brokers=brokers, partitions=1) as system:
        return await on_uvloop(lambda: asked(system))


async def asked(system: System) -> Rows:
    place = urlsplit(system.url)
    tokens: dict[tuple[str, str], str] = {}

    def token(step: Step) -> str:
        known = tokens.get((step.role, step.actor))
        if known is None:
            known = tokens[step.role, step.actor] = system.tokens.issue(TENANT, step.role, step.actor, 86_400)  # type: ignore[arg-type]
        return known

    shop, registered = next(life(RIDER)), await connected(place.hostname or "", place.port or 0)
    await registered.post(f"/v1/{TENANT}/riders", token(shop), {"name": "Ann", "external_reference": "ann"})
    registered.close()

    async def caller(number: int, measured: Measured, going: Callable[[], bool], pause_s: float = 0.0) -> None:
        connection = await connected(place.hostname or "", place.port or 0)
        count, next_s = 0, time.perf_counter() + pause_s * STEPS * number / HTTP_CONNECTIONS  # not all create at once
        while going():
            reference, count = f"{uuid4()}-{count}", count + 1
            task = ids.aggregate_id("task", TENANT, "shop", reference)
            for step in life(RIDER):
                if pause_s:
                    await asyncio.sleep(max(0.0, next_s - time.perf_counter()))
                began = next_s if pause_s else time.perf_counter()
                next_s += pause_s
                body: Any = msgspec.to_builtins(step.command)
                if not step.word:
                    body = {k: v for k, v in body.items() if v is not None} | {"external_reference": reference}
                    await connection.post(f"/v1/{TENANT}/tasks", token(step), body)
                else:
                    path = f"/v1/{TENANT}/tasks/{task}/{step.word}"
                    await connection.post(path, token(step), body, f"{step.word}-{step_stop(step)}")
                measured.each_s.append(time.perf_counter() - began)
                if not going():
                    break
        connection.close()

    await called(HTTP_CONNECTIONS, WARM_UP_S, caller)
    rows: Rows = []
    for callers in CALLERS:
        measured = await called(callers, SECONDS, caller)
        rows.append(told(f"through HTTP, {callers} connections", measured))
    full = await called(HTTP_CONNECTIONS, SECONDS, caller)
    rate = full.rate * HALF
    pause_s = HTTP_CONNECTIONS / rate
    half = await called(HTTP_CONNECTIONS, SECONDS, lambda n, m, g: caller(n, m, g, pause_s))
    return [
        *rows,
        told(f"through HTTP, {HTTP_CONNECTIONS} connections", full),
        told(f"  at half of that, {rate:,.0f}/s asked", half),
    ]


def step_stop(step: Step) -> str:
    return getattr(step.command, "stop_id", "")


# The peer


class Parcel(Aggregate):
    @event("Created")
    def __init__(self, name: str, phone: str) -> None:
        self.name, self.phone = name, phone


class Parcels(Application):
    env: ClassVar[dict[str, str]] = {}

    def create(self) -> None:
        self.save(Parcel("Cleo Contact", "+358401234567"))


def peer(dsn: str) -> Rows:
    """Aggregates a second by the library's own Postgres recorder, on the same machine: one event each."""
    said = conninfo_to_dict(dsn)
    os.environ |= {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(said["dbname"]),
        "POSTGRES_HOST": str(said["host"]),
        "POSTGRES_PORT": str(said["port"]),
        "POSTGRES_USER": str(said["user"]),
        "POSTGRES_PASSWORD": str(said.get("password", "")),
        "POSTGRES_POOL_SIZE": str(max(PEER_THREADS)),
        "POSTGRES_MAX_OVERFLOW": str(max(PEER_THREADS)),
    }
    parcels = Parcels()
    rows: Rows = []
    try:
        for threads in PEER_THREADS:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(lambda _: parcels.create(), range(200)))
                began, end, counts = time.perf_counter(), time.perf_counter() + SECONDS, []

                def work(_: int, end: float = end, counts: list[int] = counts) -> None:
                    count = 0
                    while time.perf_counter() < end:
                        parcels.create()
                        count += 1
                    counts.append(count)

                list(pool.map(work, range(threads)))
                rate = sum(counts) / (time.perf_counter() - began)
                rows.append((f"eventsourcing's Postgres recorder, {threads} callers", f"{rate:>8,.0f}/s"))
    finally:
        parcels.close()
    return rows


@pytest.mark.parametrize("brokers", [1, 3])
async def test_commands(tmp_path: Path, brokers: int):
    tmp_path.chmod(0o755)
    async with engines(tmp_path / "run", brokers=brokers, partitions=1, fsync="on") as settings:
        rows = await on_uvloop(lambda: bare_log(settings)) + await on_uvloop(lambda: shard(settings))
        beside = await asyncio.to_thread(peer, settings.postgres.get_secret_value())
    rows += await http(tmp_path / "http", brokers)
    title = f"Acknowledged commands, {brokers} broker{'s' if brokers > 1 else ''}, fsync on: rate, p50, p99"
    table(title, rows + beside + ratios(rows, beside))


def ratios(rows: Rows, beside: Rows) -> Rows:
    rates = {name: float(value.split("/")[0].replace(",", "")) for name, value in rows + beside}
    peer_rate = rates["eventsourcing's Postgres recorder, 16 callers"]
    return [
        ("  Task commands beside it, 16 callers each", f"{rates['Task commands, 16 callers'] / peer_rate:>8.1f} x"),
        ("  Task commands of 256 callers beside its 16", f"{rates['Task commands, 256 callers'] / peer_rate:>8.1f} x"),
    ]
