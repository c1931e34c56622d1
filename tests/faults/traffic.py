"""A day's traffic in a minute: riders on their ways, some with stops ahead, and their fixes on the log as the gateway
writes them, in order, late, twice, and some of them nonsense.

Everything is drawn from a seed but when a frame is written: the fixes' clock runs faster than ours.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import count
from random import Random
from time import monotonic

import msgspec
from aiokafka import AIOKafkaProducer
from fence_truth import Stood
from logged import headers_of, value_of
from world import World, now

from commands.owners import Shards
from schemas import ids
from schemas.anomaly_rules import AnomalyRules
from schemas.directory import (
    ChangeGeofence,
    Circle,
    Corridor,
    CreateGeofence,
    CreateOutlet,
    CreateTenant,
    MultiPolygon,
    Polygon,
    Shape,
    TenantRules,
)
from schemas.field_report import ReportArrived, ReportDelivered, ReportPickedUp
from schemas.fixes import HeldFix, NewFix, frames_of
from schemas.geo import Location, ObservedFix, Window
from schemas.message import Command, RiderId, Role, StopId, TaskId
from schemas.partition import partition_of
from schemas.rider import (
    ActivateReservation,
    ApproveRider,
    NewPlannedStop,
    RegisterRider,
    RemoveStops,
    ReserveRider,
    StartShift,
)
from schemas.stop import NewContact, NewStop
from schemas.task import AcceptAssignment, AssignTask, CreateTask
from schemas.topics import FIXES

RIDERS, OFTEN = 220, 24
"""More of a partition than are kept with each batch; so many of them tell every few seconds where they are."""
COURIERS, WAITERS = 6, 6
"""The first ride from stop to stop; the next ones have a stop ahead all the time, to which they do not hurry."""
MINUTES = 36
OFTEN_MS, SELDOM_MS = (1_500, 9_000), (10_000, 60_000)
PACE = 30.0
"""So many times faster than our clock."""
TICK_S = 0.2
FEWEST = 4
"""Fixes at a time, though the fixes' clock has come to its end: what is late lasts for a hundred seconds more."""
FENCES = 24
KAMPPI, GATE = Location(lat=60.1688, lon=24.9404), Location(lat=60.2, lon=25.2)
PICKUP, DROPOFF = StopId("stop-1"), StopId("stop-2")
RULES = AnomalyRules(speeding_mps=20, idling_minutes=4, prolonged_stop_minutes=8, late_departure_minutes=6)


class Sent(msgspec.Struct, frozen=True):
    """A fix, and when it comes in."""

    comes_ms: int
    held: HeldFix


class Traffic:
    """`settle` first: from then on the fixes' clock runs."""

    def __init__(self, seed: str, world: World) -> None:
        self.world = world
        self.began = (now() - timedelta(hours=2)).replace(microsecond=0)
        self.frames = self.fixes = 0
        self.fences: list[Stood] = []
        self._draw = Random(seed)
        self._began_s: float | None = None
        self._over = asyncio.Event()
        self.riders = [ids.aggregate_id("rider", world.tenant, "shop", f"rider-{n}") for n in range(RIDERS)]
        ways = [
            fix
            for n, rider in enumerate(self.riders)
            for fix in way(rider, self.began, n < OFTEN, Random(f"{seed}-{n}"))
        ]
        self._coming = sorted(ways, key=lambda sent: sent.comes_ms)
        at = NewFix(observed_at=self.began + timedelta(minutes=MINUTES + 5), lat=GATE.lat, lon=GATE.lon)
        self._last = [HeldFix("phone", rider, at) for rider in self._of_each_partition()]
        """In each partition the last word: somebody is at the gate, of which it is told."""

    def _of_each_partition(self) -> list[str]:
        names = (ids.aggregate_id("rider", self.world.tenant, "shop", f"last-{n}") for n in count())
        found: dict[int, str] = {}
        while len(found) < self.world.partitions:
            rider = next(names)
            found[partition_of(rider, self.world.partitions)] = rider
        return [rider for _, rider in sorted(found.items())]

    @property
    def couriers(self) -> Sequence[str]:
        return self.riders[:COURIERS]

    def now(self) -> datetime:
        """By the fixes' clock, which the shards go by, too."""
        if self._began_s is None:
            return self.began
        ridden_s = 60 * MINUTES if self._over.is_set() else PACE * (monotonic() - self._began_s)
        return self.began + timedelta(seconds=min(60 * MINUTES, ridden_s))

    async def settle(self, shards: Shards) -> None:
        self._shards = shards
        tenant = self.world.tenant
        rules = TenantRules(anomalies=RULES)
        await self._send(
            "tenant", ids.tenant_id(tenant), CreateTenant(tenant=tenant, name="Acme", mode="test", rules=rules)
        )
        outlet = CreateOutlet(outlet="kamppi", name="Kamppi", location=KAMPPI, zone="Europe/Helsinki")
        await self._send("outlet", ids.outlet_id(tenant, "kamppi"), outlet)
        await asyncio.gather(*(self._on_shift(rider) for rider in self.riders))
        await asyncio.gather(*(self._fence(number) for number in range(FENCES)))
        await self._gate()
        for number, rider in enumerate(self.riders[COURIERS : COURIERS + WAITERS]):
            task = TaskId(ids.aggregate_id("task", tenant, "shop", f"waits-{number}"))
            ends = self.began + timedelta(minutes=10)
            await self._plan(rider, task, [self._stop(DROPOFF, around(self._draw), Window(start=self.began, end=ends))])
        self._began_s = monotonic()

    def end(self) -> None:
        """All the rest comes at once."""
        self._over.set()

    async def run(self) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.world.kafka, enable_idempotence=True)
        await producer.start()
        working = [asyncio.create_task(self._works(n, rider)) for n, rider in enumerate(self.couriers)]
        while self._coming and not self._over.is_set():
            await self._write(producer, self.now())
            await asyncio.sleep(TICK_S)
        await asyncio.gather(*working)
        await self._write(producer, self.began + timedelta(minutes=2 * MINUTES))
        for partition, held in enumerate(self._last):
            await self._frames(producer, partition, [held], self.began + timedelta(minutes=MINUTES + 10))
        await producer.stop()

    async def _write(self, producer: AIOKafkaProducer, at: datetime) -> None:
        """Of each partition a few fixes of several riders together."""
        at_ms = unix_ms(at)
        number = next((n for n, sent in enumerate(self._coming) if sent.comes_ms > at_ms), len(self._coming))
        number = max(number, FEWEST)
        coming, self._coming = self._coming[:number], self._coming[number:]
        by_partition: dict[int, list[HeldFix]] = {}
        for sent in coming:
            partition = partition_of(sent.held.rider_id, self.world.partitions)
            by_partition.setdefault(partition, []).append(sent.held)
        for partition, held in by_partition.items():
            for chunk in self._chunks(held):
                await self._frames(producer, partition, chunk, min(at, self.began + timedelta(minutes=MINUTES + 10)))
        await producer.flush()

    def _chunks(self, held: list[HeldFix]) -> Iterator[list[HeldFix]]:
        while held:
            together = self._draw.randint(1, 25)
            yield held[:together]
            held = held[together:]

    async def _frames(self, producer: AIOKafkaProducer, partition: int, held: list[HeldFix], at: datetime) -> None:
        for frame in frames_of(held, at):
            self.frames, self.fixes = self.frames + 1, self.fixes + frame.count
            tenant, source = self.world.tenant, f"/logistics/{self.world.cluster}/gateway"
            headers = headers_of(frame, tenant, source, event_id=f"frame-{self.frames}", actor="phones")
            await producer.send(FIXES.name, value_of(frame), partition=partition, headers=list(headers))

    # What others send meanwhile

    async def _send(
        self, kind: str, aggregate_id: str, command: Command, actor: str = "shop", role: Role = "operator"
    ) -> None:
        key = f"{type(command).__name__}-{ids.derived('key', repr(command))}"
        await self._shards.submit(self.world.order(kind, aggregate_id, command, key, actor=actor, role=role))

    async def _on_shift(self, rider: str) -> None:
        await self._send("rider", rider, RegisterRider(name="Ann"))
        await self._send("rider", rider, ApproveRider())
        await self._send("rider", rider, StartShift(ends_at=now() + timedelta(hours=8)))

    async def _gate(self) -> None:
        fence, shape = ids.aggregate_id("geofence", self.world.tenant, "shop", "gate"), Circle(center=GATE, radius_m=50)
        create = CreateGeofence(name="Gate", shape=shape, valid_from=self.began - timedelta(hours=1))
        await self._send("geofence", fence, create)
        self.fences.append(Stood(fence, shape))

    async def _fence(self, number: int) -> None:
        """Every other one is another one from a moment on, which is known before it comes."""
        fence = ids.aggregate_id("geofence", self.world.tenant, "shop", f"fence-{number}")
        draw, before = Random(number), self.began - timedelta(hours=1)
        shape, dwell_s = some_shape(draw), draw.choice([None, 30, 120, 300])
        create = CreateGeofence(name=f"Fence {number}", shape=shape, dwell_s=dwell_s, valid_from=before)
        await self._send("geofence", fence, create)
        if number % 2 == 0:
            self.fences.append(Stood(fence, shape, dwell_s=dwell_s))
            return
        changes = self.began + timedelta(seconds=draw.randrange(60 * MINUTES))
        other, dwell = some_shape(draw), draw.choice([None, 60])
        await self._send("geofence", fence, ChangeGeofence(shape=other, dwell_s=dwell, valid_from=changes))
        self.fences.append(Stood(fence, shape, until_ms=unix_ms(changes), dwell_s=dwell_s))
        self.fences.append(Stood(fence, other, from_ms=unix_ms(changes), dwell_s=dwell))

    def _stop(self, stop_id: StopId, place: Location, window: Window | None = None) -> NewPlannedStop:
        kind = "pickup" if stop_id == PICKUP else "dropoff"
        return NewPlannedStop(stop_id=stop_id, kind=kind, subject="cleo", location=place, window=window)

    async def _plan(self, rider: str, task: TaskId, stops: list[NewPlannedStop]) -> None:
        hold_until = self.now() + timedelta(minutes=30)
        await self._send("rider", rider, ReserveRider(task_id=task, round=1, hold_until=hold_until, stops=stops))
        await self._send("rider", rider, ActivateReservation(task_id=task, round=1))

    async def _works(self, number: int, rider: str) -> None:
        """A delivery: ordered to the rider, picked up and delivered, whatever the rider's way is."""
        draw, task = (
            Random(f"works-{number}"),
            TaskId(ids.aggregate_id("task", self.world.tenant, "shop", f"task-{number}")),
        )
        door = around(draw)
        create = CreateTask(
            kind="delivery",
            outlet="kamppi",
            stops=[NewStop(kind="pickup"), NewStop(kind="dropoff", location=door, contact=NewContact(name="Cleo"))],
        )
        await self._by(1 + draw.random())
        await self._send("task", task, create)
        await self._send("task", task, AssignTask(rider_id=RiderId(rider)), "dora", "dispatcher")
        await self._send("task", task, AcceptAssignment(), rider, "rider")
        await self._plan(rider, task, [self._stop(PICKUP, KAMPPI), self._stop(DROPOFF, door)])
        for minute, stop, place in ((12, PICKUP, KAMPPI), (28, DROPOFF, door)):
            await self._by(minute + 6 * draw.random())
            fix = ObservedFix(lat=place.lat, lon=place.lon, accuracy_m=10.0, observed_at=self.now())
            await self._send("task", task, ReportArrived(stop_id=stop, observed_at=self.now(), fix=fix), rider, "rider")
            await self._by(minute + 7)
            handed = ReportPickedUp if stop == PICKUP else ReportDelivered
            await self._send("task", task, handed(stop_id=stop, observed_at=self.now()), rider, "rider")
            stops = [stop] if stop == PICKUP else None
            await self._send("rider", rider, RemoveStops(task_id=task, round=1, reason_code="done", stop_ids=stops))

    async def _by(self, minute: float) -> None:
        """By the fixes' clock."""
        left_s = (timedelta(minutes=minute) - (self.now() - self.began)).total_seconds() / PACE
        if left_s > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), left_s)


def way(rider: str, began: datetime, often: bool, draw: Random) -> Iterator[Sent]:
    """Stands and drives in turn. A sixth of the fixes comes late, one of twenty twice, one of a hundred is nonsense."""
    at_ms, lat, lon = draw.randrange(5_000), 60.169 + draw.uniform(-0.01, 0.01), 24.935 + draw.uniform(-0.02, 0.02)
    tells_speed = draw.random() < 0.7
    while at_ms < 60_000 * MINUTES:
        stands, until_ms = draw.random() < 0.45, at_ms + 1_000 * draw.randint(60, 620)
        mps, north, east = draw.uniform(4, 26), draw.uniform(-1, 1), draw.uniform(-1, 1)
        north, east = (
            (north if abs(lat - 60.169) < 0.02 else 60.169 - lat),
            (east if abs(lon - 24.935) < 0.04 else 24.935 - lon),
        )
        length = (north**2 + east**2) ** 0.5 or 1.0
        while at_ms < until_ms:
            gap_ms = (
                draw.randint(20_000, 900_000)
                if draw.random() < 0.004
                else draw.randint(*(OFTEN_MS if often else SELDOM_MS))
            )
            at_ms += gap_ms
            if not stands:
                metres = mps * min(gap_ms, 60_000) / 1_000
                lat, lon = lat + metres * north / length / 111_195, lon + metres * east / length / 55_300
            told = (0.0 if stands else max(0.0, mps + draw.choice([0, 0, 0, 0, -22, 18]))) if tells_speed else None
            yield from some(rider, began, at_ms, lat + draw.gauss(0, 3e-5), lon + draw.gauss(0, 6e-5), told, draw)


def some(
    rider: str, began: datetime, at_ms: int, lat: float, lon: float, mps: float | None, draw: Random
) -> Iterator[Sent]:
    mock = False
    match draw.randrange(400):
        case 0:
            lat, lon = 0.0, 0.0
        case 1:
            lat = 95.0
        case 2 | 3:
            lat += 0.5
        case 4:
            mock = True
        case _:
            pass
    observed_at = began + timedelta(milliseconds=at_ms)
    held = HeldFix(f"phone-{rider}", rider, NewFix(observed_at=observed_at, lat=lat, lon=lon, speed_mps=mps, mock=mock))
    late_ms = draw.randrange(300_000) if draw.random() < 0.17 else draw.randrange(2_000)
    comes_ms = unix_ms(observed_at) + late_ms
    yield Sent(comes_ms, held)
    if draw.random() < 0.05:
        yield Sent(comes_ms + draw.randrange(200_000), held)


def around(draw: Random) -> Location:
    return Location(lat=60.169 + draw.uniform(-0.012, 0.012), lon=24.935 + draw.uniform(-0.025, 0.025))


def some_shape(draw: Random) -> Shape:
    center, reach = around(draw), draw.choice([0.0006, 0.002, 0.006])
    match draw.randrange(5):
        case 0 | 1:
            return Circle(center=center, radius_m=reach * 111_000)
        case 2:
            return Polygon(rings=[box(center, reach)])
        case 3:
            other = Location(lat=center.lat + 4 * reach, lon=center.lon)
            return MultiPolygon(polygons=[[box(center, reach)], [box(other, reach)]])
        case _:
            points = [around(draw) for _ in range(draw.randint(2, 5))]
            return Corridor(line=[(point.lon, point.lat) for point in points], width_m=reach * 20_000)


def box(center: Location, reach: float) -> list[tuple[float, float]]:
    west, east, south, north = center.lon - 2 * reach, center.lon + 2 * reach, center.lat - reach, center.lat + reach
    return [(west, south), (east, south), (east, north), (west, north), (west, south)]


def unix_ms(at: datetime) -> int:
    return round(at.timestamp() * 1_000)
