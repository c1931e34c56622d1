"""Somebody outside is asked where addresses are, for ways and for travel times, on real engines: no other fact waits,
nothing is lost."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from fresh import fresh_name
from played import Play, database, nowhere, settings_of
from psycopg_pool import AsyncConnectionPool
from quarter import until
from world import HOME, World, now, records

from infra.check.reading import ends_of
from infra.embedded.postgres import EmbeddedPostgres
from infra.places import KnownPlaces
from infra.role_processes import FOLLOWED, Processes
from infra.settings import Settings
from projections.models import MODELS
from projections.projector import Projector
from projections.tables import migrate
from schemas import ids
from schemas.geo import Location
from schemas.message import RiderId, TenantSlug
from schemas.partition import partition_of
from schemas.record import envelope_of
from schemas.route import RequestRoute
from schemas.stop import NewContact, NewParcel, NewStop
from schemas.task import AssignTask, CreateTask
from schemas.topics import DISPATCH, TASK
from streams.routes import NoRoute
from streams.routing.chain import Placed
from streams.routing.great_circle import straight_matrix
from streams.routing.measured import Measured
from streams.routing.provider import Candidate
from streams.routing.tenants import TenantRoutes, TenantRouting
from streams.turns import MOST_OF_A_TENANT

SURE = Placed([Candidate(HOME, "Kasarmikatu 40", 0.98)], "google")


class Outside:
    """Whom tenants ask. Those of the `silent` never answer, until they do; those of the `standing` tell no travel times.
    Told of what it was asked."""

    def __init__(self) -> None:
        self.silent: set[str] = set()
        self.standing: set[str] = set()
        self.speaks = asyncio.Event()
        self.asked: list[tuple[str, str]] = []

    async def told(self, tenant: str, what: str) -> None:
        self.asked.append((tenant, what))
        if tenant in self.silent:
            await self.speaks.wait()

    async def geocode(self, tenant: TenantSlug, text: str) -> Placed:
        await self.told(tenant, text)
        return SURE

    async def route(self, tenant: TenantSlug, places: object) -> object:
        await self.told(tenant, "a way")
        raise NoRoute("no_way")

    async def matrix(self, tenant: str, origins: Sequence[Location], goals: Sequence[Location]) -> Measured:
        if tenant in self.standing:
            self.asked.append((tenant, "travel times"))
            await self.speaks.wait()
        return straight_matrix(origins, goals)

    def of(self, tenant: str) -> list[str]:
        return [what for whose, what in self.asked if whose == tenant]


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Outside:
    made = Outside()

    async def geocode(places: KnownPlaces, tenant: TenantSlug, text: str) -> Placed:
        return await made.geocode(tenant, text)

    async def route(ways: TenantRoutes, tenant: TenantSlug, places: object) -> object:
        return await made.route(tenant, places)

    async def matrix(
        routing: TenantRouting, tenant: str, origins: Sequence[Location], goals: Sequence[Location]
    ) -> Measured:
        return await made.matrix(tenant, origins, goals)

    monkeypatch.setattr(KnownPlaces, "geocode", geocode)
    monkeypatch.setattr(TenantRouting, "matrix", matrix)
    monkeypatch.setattr(TenantRoutes, "route", route)
    return made


class Town:
    """Two tenants of one log, whose read models are kept up."""

    def __init__(self, settings: Settings, acme: Play, lumi: Play) -> None:
        self.settings, self.acme, self.lumi = settings, acme, lumi

    @asynccontextmanager
    async def processes(self) -> AsyncIterator[Processes]:
        shards = self.acme.shards
        made = Processes(self.settings, shards, self.acme.pool, now, keyring=shards._keyring, policy=shards._policy)
        await made.start()
        try:
            yield made
        finally:
            await made.stop()

    async def ends(self) -> dict[TopicPartition, int]:
        ends = await ends_of({"bootstrap_servers": self.settings.kafka}, FOLLOWED, self.settings.partitions)
        return {TopicPartition(*place): end for place, end in ends.items()}

    def partition(self, aggregate_id: str) -> int:
        return partition_of(aggregate_id, self.settings.partitions)

    async def caught_up(self, processes: Processes) -> None:
        async def is_caught_up() -> bool:
            return await processes.caught_up(await self.ends())

        await until(is_caught_up, bool)

    async def facts(self, aggregate_id: str, topic: str = TASK.name) -> list[str]:
        return [
            (stored.header("ce_type") or "").rpartition(".")[2]
            for stored in await records(self.settings.kafka, topic)
            if not stored.is_control and envelope_of(stored).aggregate_id == aggregate_id
        ]


@pytest.fixture
async def town(lone_world: World, postgres_server: EmbeddedPostgres, tmp_path: Path) -> AsyncIterator[Town]:
    async with database(postgres_server) as dsn:
        settings = settings_of(lone_world, dsn, "http://127.0.0.1:1", tmp_path)
        pool = AsyncConnectionPool(dsn, min_size=1, max_size=6, open=False)
        async with pool:
            async with pool.connection() as connection:
                await migrate(connection, MODELS.values())
            projector = Projector(
                client_args={"bootstrap_servers": lone_world.kafka},
                group=fresh_name("projector"),
                instance="projector-1",
                pool=pool,
                models=list(MODELS.values()),
                dead=nowhere,
            )
            await projector.start()
            shards, journal = await lone_world.owner(), tmp_path / "journal.jsonl"
            worlds = lone_world, replace(lone_world, tenant=TenantSlug(fresh_name("lumi")))
            acme, lumi = [Play(world, shards, pool, journal) for world in worlds]
            for play in (acme, lumi):
                await play.settle()
            yield Town(settings, acme, lumi)
            await projector.stop()


async def by_address(play: Play, reference: str) -> str:
    """A task that waits until it is known where it leads."""
    contact = NewContact(name="Cleo", reference=reference)
    dropoff = NewStop(kind="dropoff", address=f"Kasarmikatu {reference}", contact=contact)
    stops, task = [NewStop(kind="pickup"), dropoff], play.world.task(reference)
    order = CreateTask(
        kind="delivery", outlet="kamppi", stops=stops, parcels=[NewParcel()], external_reference=reference
    )
    await play.send("task", task, order)
    return task


async def way(play: Play, reference: str) -> str:
    route = ids.aggregate_id("route", play.world.tenant, "shop", reference)
    await play.send("route", route, RequestRoute(waypoints=[HOME, HOME], external_reference=reference))
    return route


async def test_while_nobody_tells_a_tenant_anything_its_other_tasks_are_offered_and_other_tenants_are_told(
    town: Town, outside: Outside
):
    acme, lumi = town.acme, town.lumi
    outside.silent = {acme.world.tenant}
    async with town.processes() as processes:
        tasks = [await by_address(acme, f"{number}") for number in range(3 * MOST_OF_A_TENANT)]
        route = await way(acme, "way")
        await until(lambda: asked(outside, acme), lambda told: len(told) == MOST_OF_A_TENANT)
        await acme.offers(await acme.order("its place is known"))
        await lumi.offers(await by_address(lumi, "lumi's"))
        answered = await way(lumi, "lumi's")
        await until(lambda: town.facts(answered, DISPATCH.name), lambda facts: facts[-1] == "RouteFailed")
        assert len(outside.of(acme.world.tenant)) == MOST_OF_A_TENANT, "it has no more under way than its share"
        assert not await processes.caught_up(await town.ends()), "who waits for all is not told that they are through"
        outside.speaks.set()
        for task in tasks:
            await until(lambda task=task: town.facts(task), lambda facts: "StopLocated" in facts)
        await until(lambda: town.facts(route, DISPATCH.name), lambda facts: facts[-1] == "RouteFailed")
        await town.caught_up(processes)


async def test_while_nobody_tells_a_tenant_travel_times_no_other_fact_waits_and_other_tenants_tasks_are_offered(
    town: Town, outside: Outside
):
    acme, lumi = town.acme, town.lumi
    outside.standing = {acme.world.tenant}
    async with town.processes() as processes:
        tasks = [await acme.order(f"{number}") for number in range(3 * town.settings.partitions)]
        lanes = {town.partition(task) for task in tasks}
        await until(lambda: asked(outside, acme), lambda told: len(told) == len(lanes))
        given, ann = tasks[-1], acme.riders["ann"]
        await acme.send("task", given, AssignTask(rider_id=RiderId(ann)), "dora", "dispatcher")
        await acme.has_tasks(ann, 1)
        beside = next(name for number in count() if town.partition(lumi.world.task(name := f"{number}")) in lanes)
        await lumi.offers(await lumi.order(beside))
        assert len(outside.of(acme.world.tenant)) == len(lanes), (
            "of a tenant's tasks in a partition one after the other"
        )
        assert not await processes.caught_up(await town.ends())
        outside.speaks.set()
        await town.caught_up(processes)
    for task in tasks[:-1]:
        told = await town.facts(task)
        assert {"TaskTendered", "TaskTenderClosed"} & {*told}, "each that still had to be is decided on"
    assert "TaskTendered" not in await town.facts(given), "whom it was given to is not taken from it"


async def test_what_was_under_way_as_it_ended_is_answered_afterwards_and_once(town: Town, outside: Outside):
    acme = town.acme
    outside.silent = {acme.world.tenant}
    async with town.processes():
        task, route = await by_address(acme, "door"), await way(acme, "way")
        await until(lambda: asked(outside, acme), lambda told: len(told) == 2)
        await acme.offers(await acme.order("what comes later is through"))
    outside.silent = set()
    for _ in range(2):
        async with town.processes() as processes:
            await town.caught_up(processes)
    assert sorted(outside.of(acme.world.tenant)) == ["Kasarmikatu door"] * 2 + ["a way"] * 2
    assert (await town.facts(task)).count("StopLocated") == 1
    assert await town.facts(route, DISPATCH.name) == ["RouteRequested", "RouteFailed"]


async def asked(outside: Outside, play: Play) -> list[str]:
    return outside.of(play.world.tenant)
