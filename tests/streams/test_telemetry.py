"""The telemetry stream on real engines: frames become rows and signals, once, whatever breaks in between."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from fresh import fresh_name
from psycopg_pool import AsyncConnectionPool
from pydantic import SecretStr
from world import HOME, KEK, PARTITIONS, World, now, records, verify_chain

from commands.owners import Shards
from infra.role_streams import Streams
from infra.settings import Settings, load_settings
from projections.models import MODELS
from projections.tables import migrate
from schemas import catalog, ids
from schemas.directory import Circle, CreateGeofence
from schemas.fixes import HeldFix, NewFix, frames_of
from schemas.geo import Location
from schemas.keyring import Keyring
from schemas.message import StopId, TaskId
from schemas.partition import partition_of
from schemas.record import Stored, derived_headers, event_of
from schemas.rider import (
    ActivateReservation,
    ApproveRider,
    NewPlannedStop,
    RegisterRider,
    ReserveRider,
    StartShift,
)
from schemas.signals import EtaForecast, GeofenceEntered, GeofenceExited, GeofenceTransitionCorrected
from schemas.topics import FIXES, SIGNALS
from streams.telemetry.store import Store

AWAY = Location(lat=60.1700, lon=24.9420)
"""A kilometre to the north of HOME."""


@pytest.fixture
async def pool(postgres: str) -> AsyncIterator[AsyncConnectionPool[Any]]:
    async with AsyncConnectionPool(postgres, min_size=1, max_size=6, open=False) as pool:
        async with pool.connection() as connection:
            await migrate(connection, MODELS.values())
        yield pool


@pytest.fixture
def settings(world: World, postgres: str, osrm: str) -> Settings:
    return load_settings(
        kafka=world.kafka,
        postgres=SecretStr(postgres),
        osrm=osrm,
        cluster=world.cluster,
        partitions=PARTITIONS,
        key_encryption_key=SecretStr(KEK.hex()),
    )


@asynccontextmanager
async def streaming(settings: Settings, pool: AsyncConnectionPool[Any]) -> AsyncIterator[Streams]:
    streams = Streams(settings, pool, now)
    await streams.start()
    try:
        yield streams
    finally:
        await streams.stop()


async def until(holds: Callable[[], Awaitable[bool]], within_s: float = 30.0) -> None:
    async with asyncio.timeout(within_s):
        while not await holds():  # noqa: ASYNC110 - what is waited for happens elsewhere
            await asyncio.sleep(0.02)


class Ride:
    """A rider on shift with a fence around HOME; fixes go to the log as the door writes them."""

    def __init__(self, world: World, shards: Shards) -> None:
        self.world, self.shards = world, shards
        self.rider = ids.aggregate_id("rider", world.tenant, "shop", "ann")
        self.fence = ids.aggregate_id("geofence", world.tenant, "shop", "home")
        self.start = now() - timedelta(minutes=30)

    async def begin(self) -> None:
        await self.world.settle(self.shards)
        await self.send("rider", self.rider, RegisterRider(name="Ann"), "register")
        await self.send("rider", self.rider, ApproveRider(), "approve")
        await self.send("rider", self.rider, StartShift(ends_at=now() + timedelta(hours=4)), "shift")
        shape = Circle(center=HOME, radius_m=200)
        fence = CreateGeofence(name="Home", shape=shape, valid_from=self.start - timedelta(hours=1))
        await self.send("geofence", self.fence, fence, "fence")

    async def send(self, kind: str, aggregate_id: str, command: Any, key: str) -> None:
        await self.shards.submit(self.world.order(kind, aggregate_id, command, key))

    def at(self, minute: float) -> datetime:
        return (self.start + timedelta(minutes=minute)).replace(microsecond=0)

    def fix(self, minute: float, place: Location) -> HeldFix:
        return HeldFix("phone", self.rider, NewFix(observed_at=self.at(minute), lat=place.lat, lon=place.lon))

    async def tell(self, *fixes: HeldFix) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.world.kafka)
        await producer.start()
        for frame in frames_of(list(fixes), now()):
            headers = derived_headers(
                event_id=fresh_name("frame"),
                type_name="logistics.fixes.FixFrame",
                source="/logistics/test/gateway",
                event_time=frame.base_time,
                recorded_at=frame.received_at,
                subject=self.world.tenant,
                tenant=self.world.tenant,
                actor="phone",
                epoch=0,
            )
            value = catalog.write(frame, lambda *_: b"")
            partition = partition_of(self.rider, PARTITIONS)
            await producer.send_and_wait(FIXES.name, value, partition=partition, headers=list(headers))
        await producer.stop()

    async def signals(self) -> list[Stored]:
        told = await records(self.world.kafka, SIGNALS.name)
        return [stored for stored in told if stored.header("tenant") == self.world.tenant]

    async def crossings(self) -> list[Any]:
        events = [event_of(stored, None) for stored in await self.signals()]
        return [event for event in events if not isinstance(event, EtaForecast)]


@pytest.fixture
async def ride(world: World) -> Ride:
    made = Ride(world, await world.owner())
    await made.begin()
    return made


async def rows(pool: AsyncConnectionPool[Any], sql: str, *given: Any) -> list[tuple[Any, ...]]:
    async with pool.connection() as connection:
        return await (await connection.execute(sql.encode(), given)).fetchall()


async def test_a_rider_is_seen_where_the_latest_fix_was_whatever_came_last(ride, settings, pool):
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(1, AWAY), ride.fix(2, HOME))
        await ride.tell(ride.fix(0, AWAY))
        await until(streams.caught_up)
    [(lat, lon, seen)] = await rows(pool, "SELECT lat, lon, observed_at FROM live_map WHERE rider_id = %s", ride.rider)
    assert (lat, lon, seen) == (HOME.lat, HOME.lon, ride.at(2))


async def test_entering_and_leaving_a_fence_is_told_once_and_the_chain_holds(ride, settings, pool):
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(0, AWAY), ride.fix(1, HOME), ride.fix(2, HOME), ride.fix(3, AWAY))
        await until(streams.caught_up)
    entered, exited = await ride.crossings()
    assert isinstance(entered, GeofenceEntered)
    assert isinstance(exited, GeofenceExited)
    assert (entered.geofence_id, entered.at, exited.at) == (ride.fence, ride.at(1), ride.at(3))
    verify_chain(await records(ride.world.kafka, SIGNALS.name))


async def test_the_place_of_a_crossing_is_sealed_under_the_riders_key(ride, settings, pool):
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(0, AWAY), ride.fix(1, HOME))
        await until(streams.caught_up)
    [stored] = await ride.signals()
    keyring: Keyring = ride.shards._keyring
    unseal = keyring.unsealer(stored.partition, ride.world.tenant, ride.rider)
    opened, closed = event_of(stored, unseal), event_of(stored, None)
    assert opened.fix.value.lat == HOME.lat
    assert closed.fix.value is None


async def test_a_late_fix_corrects_what_was_told(ride, settings, pool):
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(0, AWAY), ride.fix(1, HOME), ride.fix(5, AWAY))
        await until(streams.caught_up)
        await ride.tell(ride.fix(3, AWAY))
        await until(streams.caught_up)
    told = await ride.signals()
    _, exited, corrected = await ride.crossings()
    assert isinstance(corrected, GeofenceTransitionCorrected)
    assert corrected.supersedes == told[1].header("ce_id")
    assert (exited.at, corrected.at) == (ride.at(5), ride.at(3))


async def test_what_cannot_count_is_put_aside_with_its_reason(ride, settings, pool):
    nobody = HeldFix("stray", "", NewFix(observed_at=ride.at(1), lat=HOME.lat, lon=HOME.lon))
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(20, HOME))
        await ride.tell(ride.fix(20, HOME), ride.fix(5, HOME), ride.fix(90, HOME), nobody)
        await ride.tell(
            ride.fix(21, Location(lat=60, lon=24)),
            HeldFix("phone", ride.rider, NewFix(observed_at=ride.at(22), lat=91, lon=0)),
        )
        await until(streams.caught_up)
    aside = await rows(
        pool, "SELECT reason, device_id FROM quarantine WHERE tenant = %s ORDER BY reason", ride.world.tenant
    )
    assert aside == [
        ("duplicate", "phone"),
        ("future", "phone"),
        ("invalid", "phone"),
        ("outdated", "phone"),
        ("unbound", "stray"),
    ]


async def test_a_frame_that_nobody_can_read_is_buried_and_the_rest_goes_on(ride, settings, pool):
    async with streaming(settings, pool) as streams:
        producer = AIOKafkaProducer(bootstrap_servers=ride.world.kafka)
        await producer.start()
        poison = await producer.send_and_wait(FIXES.name, b"no frame", partition=partition_of(ride.rider, PARTITIONS))
        await producer.stop()
        await ride.tell(ride.fix(1, HOME))
        await until(streams.caught_up)
    assert await rows(pool, "SELECT device_id FROM live_map WHERE rider_id = %s", ride.rider) == [("phone",)]
    dead = await records(ride.world.kafka, "logistics.dead")
    key = f"{FIXES.name}/{poison.partition}@{poison.offset}".encode()
    assert key in [stored.key for stored in dead]


async def test_a_crash_between_signal_and_row_tells_nothing_twice(ride, settings, pool, monkeypatch):
    keep = Store.keep
    failures = iter([True])

    async def failing(self: Store, done: Sequence[Any]) -> None:
        if any(each.live for each in done) and next(failures, False):
            raise OSError("the database went away")
        await keep(self, done)

    monkeypatch.setattr(Store, "keep", failing)
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(0, AWAY), ride.fix(1, HOME), ride.fix(2, AWAY))
        await until(streams.caught_up)
    assert next(failures, None) is None, "it did fail"
    assert [type(event).__name__ for event in await ride.crossings()] == ["GeofenceEntered", "GeofenceExited"]


async def test_another_worker_goes_on_where_the_first_stopped(ride, settings, pool):
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(0, AWAY), ride.fix(1, HOME))
        await until(streams.caught_up)
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(2, HOME), ride.fix(1, HOME), ride.fix(3, AWAY))
        await until(streams.caught_up)
    assert [type(event).__name__ for event in await ride.crossings()] == ["GeofenceEntered", "GeofenceExited"]
    assert await rows(pool, "SELECT reason FROM quarantine WHERE tenant = %s", ride.world.tenant) == [("duplicate",)]


async def test_without_its_tables_the_stream_folds_the_log_again_and_tells_nothing_new(ride, settings, pool):
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(0, AWAY), ride.fix(1, HOME), ride.fix(2, AWAY))
        await until(streams.caught_up)
    before = [stored.header("ce_id") for stored in await ride.signals()]
    async with pool.connection() as connection:
        await connection.execute("TRUNCATE stream_places, stream_riders, live_map, quarantine")
    async with streaming(settings, pool) as streams:
        await until(streams.caught_up)
    assert [stored.header("ce_id") for stored in await ride.signals()] == before
    assert len(await rows(pool, "SELECT 1 FROM live_map WHERE rider_id = %s", ride.rider)) == 1


async def test_a_rider_with_a_stop_ahead_gets_a_forecast_by_road(ride, settings, pool):
    task = TaskId(ids.aggregate_id("task", ride.world.tenant, "shop", "order-1"))
    stop = NewPlannedStop(stop_id=StopId("stop-2"), kind="dropoff", subject=fresh_name("cleo"), location=AWAY)
    hold_until = now() + timedelta(minutes=1)
    await ride.send(
        "rider", ride.rider, ReserveRider(task_id=task, round=1, hold_until=hold_until, stops=[stop]), "reserve"
    )
    await ride.send("rider", ride.rider, ActivateReservation(task_id=task, round=1), "activate")
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(0, HOME))
        await ride.tell(ride.fix(0.5, HOME))
        await until(streams.caught_up)
    [forecast] = [e for e in [event_of(s, None) for s in await ride.signals()] if isinstance(e, EtaForecast)]
    assert (forecast.task_id, forecast.stop_id, forecast.source, forecast.model) == (task, "stop-2", "osrm", "factor-1")
    assert ride.at(0) < forecast.p10 < forecast.p50 < forecast.p90
    assert forecast.remaining_m >= 1_000
