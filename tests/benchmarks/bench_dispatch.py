"""An instant decision: riders from Postgres, ways from OSRM, the record on the disk. 1,000 riders with five tasks each.

Between two decisions a tenth of the riders move, and one is given another task. The legs of their itineraries are known, as
they are where dispatch itself has made these; all ways to and from the task are asked for. Beside it, as a peer in the same
run: the nearest rider as the crow flies, which needs the same rows and nothing else.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from benchmarks.running import table
from memory_desk import MemoryDesk
from played import database
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from read_models import ReadModels
from story import ACME, SECRETS

from commands.order import Order
from commands.policy import Policy
from infra.artefacts import artefacts_of
from infra.garbage import look_seldom
from infra.lookups import Lookups
from infra.settings import Settings
from schemas import ids
from schemas.directory import ChangeTenantRules, CreateTenant, TenantRules
from schemas.geo import Location, distance_m
from schemas.keyring import Keyring
from schemas.load import Load
from schemas.message import Command, Role, Source, StopId, TaskId
from schemas.rider import (
    ActivateReservation,
    ApproveRider,
    NewPlannedStop,
    RegisterRider,
    ReserveRider,
    StartShift,
)
from streams.dispatch.decision import Decision
from streams.dispatch.tendering import KnownTask
from streams.routing.osrm import OsrmRouter
from streams.routing.tenants import OneForAll

RIDERS = 1_000
TASKS_EACH = 5
DECISIONS = 100
MOVED = RIDERS // 10
BOX = (60.162, 60.180, 24.925, 24.955)
"""Of Helsinki, on the demo's map: south, north, west, east."""
MAP = """
INSERT INTO live_map (tenant, rider_id, device_id, lat, lon, observed_at, received_at)
VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (tenant, rider_id) DO UPDATE SET lat = excluded.lat, lon = excluded.lon, observed_at = excluded.observed_at
"""


class City:
    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[Any]]) -> None:
        self.draw = Random(7)
        self.pool = pool
        self.keyring, self.policy = Keyring(bytes(range(32))), Policy()
        self.desk = MemoryDesk(self.policy, SECRETS, self.keyring, lambda: datetime.now(UTC))
        self.models = ReadModels(pool, self.desk.log)
        self.riders = [f"rider-{number:04}" for number in range(RIDERS)]
        self._asked = 0

    def place(self) -> Location:
        south, north, west, east = BOX
        return Location(lat=self.draw.uniform(south, north), lon=self.draw.uniform(west, east))

    async def ask(self, kind: str, aggregate_id: str, command: Command, role: Role = "dispatcher") -> None:
        self._asked += 1
        command_id = ids.command_id(aggregate_id, f"asked-{self._asked}")
        order = Order(
            tenant=ACME,
            kind=kind,
            aggregate_id=aggregate_id,
            command=command,
            command_id=command_id,
            request_hash=command_id,
            actor=aggregate_id if role == "rider" else "dora",
            role=role,
            correlation_id=command_id,
        )
        await self.desk.submit(order)

    async def populate(self) -> None:
        rules = TenantRules(max_active_tasks=50, stale_fix_seconds=86_400)
        await self.ask("tenant", ids.tenant_id(ACME), CreateTenant(tenant=ACME, name="Acme"), "operator")
        await self.ask("tenant", ids.tenant_id(ACME), ChangeTenantRules(rules=rules), "operator")
        for rider in self.riders:
            await self.ask("rider", rider, RegisterRider(name=rider))
            await self.ask("rider", rider, ApproveRider())
            shift = StartShift(ends_at=datetime.now(UTC) + timedelta(hours=12), location=self.place())
            await self.ask("rider", rider, shift, "rider")
            for number in range(TASKS_EACH):
                await self.give(rider, f"{rider}-{number}")
        await self.models.make()
        await self.models.fold(["rider_roster", "tender_board"])
        await self.move(self.riders)

    async def give(self, rider: str, task: str) -> None:
        hold = datetime.now(UTC) + timedelta(minutes=5)
        stops = [stop(f"{task}-from", "pickup", self.place()), stop(f"{task}-to", "dropoff", self.place())]
        task_id = TaskId(task)
        await self.ask("rider", rider, ReserveRider(task_id=task_id, round=1, hold_until=hold, stops=stops), "system")
        await self.ask("rider", rider, ActivateReservation(task_id=task_id, round=1), "system")

    async def move(self, riders: list[str]) -> None:
        now = datetime.now(UTC)
        rows = [(ACME, rider, "d", place.lat, place.lon, now, now) for rider in riders if (place := self.place())]
        async with self.pool.connection() as connection, connection.cursor() as cursor:
            await cursor.executemany(MAP, rows)


def stop(name: str, kind: Any, place: Location) -> NewPlannedStop:
    load = Load(weight_g=500, parcels=1) if kind == "pickup" else Load(weight_g=-500, parcels=-1)
    return NewPlannedStop(stop_id=StopId(name), kind=kind, subject="s", location=place, load=load)


def asked_by(task: str) -> Source:
    at = datetime.now(UTC)
    return Source(
        event_id=task,
        tenant=ACME,
        outlet=None,
        aggregate_id=task,
        version=2,
        event_time=at,
        recorded_at=at,
        actor="shop",
        command_id=task,
        correlation_id=task,
        topic="logistics.task",
        partition=0,
        offset=1,
    )


@pytest.mark.parametrize("provider", ["osrm", "dead"])
async def test_an_instant_decision(provider: str, osrm: str, postgres_server: Any, tmp_path: Path):
    router = OsrmRouter(osrm if provider == "osrm" else f"http://127.0.0.1:9,{osrm}")
    store = artefacts_of(Settings(data=tmp_path))
    async with database(postgres_server) as dsn, AsyncConnectionPool(dsn, min_size=1, max_size=2) as pool:
        city = City(pool)
        await city.populate()
        lookups = Lookups(pool, city.policy, city.keyring, 8, lambda: datetime.now(UTC))
        decide = Decision(lookups, lookups, OneForAll(router), lookups.now, store.keep_decision)
        look_seldom()  # as the roles do
        await decide._ways._onward(ACME, await lookups.riders(ACME, await lookups.rules(ACME)))
        took, peer, sources = [], [], set()
        for number in range(DECISIONS + 5):
            await city.move(city.draw.sample(city.riders, MOVED))
            await city.give(city.draw.choice(city.riders), f"more-{number}")
            await city.models.fold(["rider_roster"])
            stops = [stop("from", "pickup", city.place()), stop("to", "dropoff", city.place())]
            task = KnownTask(task_id=TaskId(f"task-{number}"), round=1, stops=stops, ahead=stops)
            began = perf_counter()
            opening = await decide(task, 1, asked_by(task.task_id))
            took.append(perf_counter() - began)
            assert opening is not None
            assert len(opening.candidates) + len(opening.others.rider_ids) > 0.9 * RIDERS
            sources |= {each.source for each in opening.candidates}
            began = perf_counter()
            rules = await lookups.rules(ACME)
            seen = await lookups.riders(ACME, rules)
            min(distance_m(each.here, stops[0].location) for each in seen if each.here is not None)
            peer.append(perf_counter() - began)
        await router.close()
    took, peer = took[5:], peer[5:]
    rows = [
        ("a decision, median", f"{np.median(took) * 1e3:.1f} ms"),
        ("a decision, 99 of 100", f"{np.quantile(took, 0.99) * 1e3:.1f} ms"),
        ("the nearest as the crow flies, median", f"{np.median(peer) * 1e3:.1f} ms"),
        ("ratio", f"{np.median(took) / np.median(peer):.1f} times"),
        ("told by", ", ".join(sorted(sources))),
    ]
    table(f"Instant decision, {RIDERS} riders, {RIDERS * TASKS_EACH} tasks, first provider: {provider}", rows)
