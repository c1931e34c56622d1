"""A rider's fixes for tests: as the door writes them to the log, and the telemetry stream that folds them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from fresh import fresh_name
from logged import headers_of, value_of
from psycopg_pool import AsyncConnectionPool
from world import HOME, PARTITIONS, World, now, records

from commands.owners import Shards
from infra.check.reading import ends_of
from infra.role_streams import Streams
from infra.settings import Settings
from schemas import ids
from schemas.directory import Circle, CreateGeofence
from schemas.fixes import HeldFix, NewFix, frames_of
from schemas.geo import Location
from schemas.message import DeviceId, GeofenceId, StopId, TaskId
from schemas.partition import partition_of
from schemas.record import Stored, event_of
from schemas.rider import (
    ActivateReservation,
    ApproveRider,
    NewPlannedStop,
    RegisterRider,
    ReserveRider,
    StartShift,
)
from schemas.signals import EtaForecast, GeofenceEntered
from schemas.topics import DIRECTORY, FIXES, FLEET, KEYS, SIGNALS
from streams.telemetry.found import Draft

AWAY = Location(lat=60.1700, lon=24.9420)
"""A kilometre to the north of HOME."""


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


async def folded(streams: Streams, ride: "Ride") -> None:
    """Whatever stands on the log, also what comes while it is waited."""
    args = {"bootstrap_servers": ride.world.kafka}
    topics = [topic.name for topic in (KEYS, DIRECTORY, FLEET, FIXES)]

    async def caught_up() -> bool:
        ends = await ends_of(args, topics, PARTITIONS)
        return await streams.caught_up({TopicPartition(*place): end for place, end in ends.items()})

    await until(caught_up)


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

    def fix(self, minute: float, place: Location, **more: Any) -> HeldFix:
        return HeldFix("phone", self.rider, NewFix(observed_at=self.at(minute), lat=place.lat, lon=place.lon, **more))

    async def tell(self, *fixes: HeldFix, received_at: datetime | None = None) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.world.kafka)
        await producer.start()
        for frame in frames_of(list(fixes), received_at or now()):
            headers = list(headers_of(frame, self.world.tenant, event_id=fresh_name("frame")))
            partition = partition_of(self.rider, PARTITIONS)
            await producer.send_and_wait(FIXES.name, value_of(frame), partition=partition, headers=headers)
        await producer.stop()

    async def signals(self) -> list[Stored]:
        told = await records(self.world.kafka, SIGNALS.name)
        return [stored for stored in told if stored.header("tenant") == self.world.tenant]

    async def forecasts(self) -> list[EtaForecast]:
        events = [event_of(stored, None) for stored in await self.signals()]
        return [event for event in events if isinstance(event, EtaForecast)]

    async def give_a_stop(self) -> TaskId:
        """At AWAY, from now on: which is minute 30, however long it took to come here."""
        task = TaskId(ids.aggregate_id("task", self.world.tenant, "shop", "order-1"))
        stop = NewPlannedStop(stop_id=StopId("stop-2"), kind="dropoff", subject=fresh_name("cleo"), location=AWAY)
        hold_until = now() + timedelta(minutes=1)
        reserve = ReserveRider(task_id=task, round=1, hold_until=hold_until, stops=[stop])
        await self.send("rider", self.rider, reserve, "reserve")
        await self.send("rider", self.rider, ActivateReservation(task_id=task, round=1), "activate")
        self.start = now() - timedelta(minutes=30)
        return task

    def draft(self, event_id: str) -> Draft:
        event = GeofenceEntered(
            geofence_id=GeofenceId(self.fence), device_id=DeviceId("phone"), at=self.at(1), fix=None, late=False
        )
        return Draft(
            event_id=event_id, tenant=self.world.tenant, rider_id=self.rider, event=event, at=self.at(1), cause=""
        )

    async def crossings(self) -> list[Any]:
        events = [event_of(stored, None) for stored in await self.signals()]
        return [event for event in events if not isinstance(event, EtaForecast)]
