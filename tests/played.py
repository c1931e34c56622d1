"""A small story played on real engines: won and delivered, declined, cancelled, and one that nobody has looked at."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from fresh import fresh_name
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from pydantic import SecretStr
from world import HOME, KEK, PARTITIONS, World, now

from commands.context import Secrets
from commands.listener import listener
from commands.order import Answer
from commands.owners import Shards
from infra.check.reading import ends_of
from infra.check.replay import process_places
from infra.embedded.ports import free_port
from infra.embedded.postgres import EmbeddedPostgres
from infra.followed_beside import GROUPS
from infra.role_processes import FOLLOWED, Processes
from infra.secrets import internal_key, secret
from infra.serving import server
from infra.settings import PREFIX, Settings, load_settings
from projections import task_board, tender_board
from projections.models import MODELS
from projections.projector import Projector, until_caught_up
from projections.tables import migrate
from schemas import ids
from schemas.directory import CreateOutlet, CreateTenant, TenantRules
from schemas.field_report import ReportDelivered, ReportPickedUp
from schemas.message import Command, OfferId, RiderId, Role, StopId
from schemas.proof import SignatureEntry
from schemas.record import Stored
from schemas.rider import ApproveRider, RegisterRider, StartShift
from schemas.stop import NewContact, NewParcel, NewStop
from schemas.task import AcceptAssignment, AssignTask, CancelTask, CreateTask
from schemas.tender import ClaimOffer, DeclineOffer

WITHIN_S = 30.0
SIGNATURE = "a" * 64
ROOT = Path(__file__).parents[1]
SET = (
    "data",
    "kafka",
    "postgres",
    "osrm",
    "cluster",
    "partitions",
    "key_encryption_key",
    "server_secret",
)

type Pool = AsyncConnectionPool[AsyncConnection[Any]]


async def nowhere(stored: Stored, reason: str) -> None:
    raise AssertionError(f"{stored.topic}/{stored.partition}@{stored.offset}: {reason}")


@dataclass
class Played:
    """`settings` reach everything; the owners of the shards serve, projector and processes have stopped."""

    world: World
    shards: Shards
    settings: Settings
    journal: Path
    tasks: Mapping[str, str]
    """By their references: won, declined, cancelled, refused, unseen."""
    riders: Mapping[str, str]


class Play:
    def __init__(self, world: World, shards: Shards, pool: Pool, journal: Path) -> None:
        self.world, self.shards, self.pool, self.journal = world, shards, pool, journal
        self.riders = {name: ids.aggregate_id("rider", world.tenant, "shop", name) for name in ("ann", "bob", "cyd")}

    async def send(
        self, kind: str, aggregate_id: str, command: Command, actor: str = "shop", role: Role = "integrator"
    ) -> Answer:
        key = f"{type(command).__name__}-{actor}"
        answer = await self.shards.submit(self.world.order(kind, aggregate_id, command, key, actor=actor, role=role))
        if answer.events:
            line = {"command_id": answer.command_id, "aggregate_id": aggregate_id, "version": answer.version}
            with self.journal.open("ab") as journal:
                journal.write(msgspec.json.encode(line) + b"\n")
        return answer

    async def settle(self) -> None:
        """Ann and Bob are at work; Cyd is not."""
        tenant = self.world.tenant
        rules = TenantRules(
            tender_mode="broadcast", offer_seconds=3_600, retry_seconds=3_600, hold_seconds=600, max_active_tasks=1
        )
        create = CreateTenant(tenant=tenant, name="Acme", mode="test", rules=rules)
        await self.send("tenant", ids.tenant_id(tenant), create)
        outlet = CreateOutlet(outlet="kamppi", name="Kamppi", location=HOME, zone="Europe/Helsinki")
        await self.send("outlet", ids.outlet_id(tenant, "kamppi"), outlet)
        for name, rider in self.riders.items():
            await self.send("rider", rider, RegisterRider(name=name.title(), external_reference=name))
            await self.send("rider", rider, ApproveRider())
            if name != "cyd":
                shift = StartShift(ends_at=now() + timedelta(hours=4), location=HOME)
                await self.send("rider", rider, shift, rider, "rider")

    async def order(self, reference: str) -> str:
        dropoff = NewStop(kind="dropoff", location=HOME, contact=NewContact(name="Cleo Unusual", reference=reference))
        task = self.world.task(reference)
        create = CreateTask(
            kind="delivery",
            outlet="kamppi",
            stops=[NewStop(kind="pickup"), dropoff],
            parcels=[NewParcel()],
            external_reference=reference,
        )
        await self.send("task", task, create)
        return task

    async def has_tasks(self, rider: str, wanted: int) -> None:
        """Until so many are reserved for them."""
        async with self.pool.connection() as connection:
            query = "SELECT active_tasks FROM rider_roster WHERE rider_id = %s"
            while await (await connection.execute(query, (rider,))).fetchone() != (wanted,):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def offer_state(self, tender: str, offer: str, wanted: str) -> None:
        async with self.pool.connection() as connection:
            query = "SELECT offers -> %s ->> 'state' FROM tender_board WHERE tender_id = %s"
            while await (await connection.execute(query, (offer, tender))).fetchone() != (wanted,):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def offers(self, task: str) -> dict[str, tuple[str, str]]:
        """Rider → tender and offer, once they are asked."""
        while True:
            async with self.pool.connection() as connection:
                filters = {"task_id": task, "limit": 1}
                rows = await tender_board.page(connection, self.world.tenant, filters)
            if rows and rows[0]["offers"]:
                return {o["rider_id"]: (rows[0]["tender_id"], i) for i, o in rows[0]["offers"].items()}
            await asyncio.sleep(0.05)

    async def decided(self, task: str) -> None:
        """Until it is known whom to ask, if anybody."""
        async with self.pool.connection() as connection:
            query = "SELECT count(*) FROM dispatch_decisions WHERE task_id = %s"
            while await (await connection.execute(query, (task,))).fetchone() == (0,):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def state(self, task: str, wanted: str) -> None:
        while True:
            async with self.pool.connection() as connection:
                rows = await task_board.page(connection, self.world.tenant, {"limit": 100})
            if any(row["task_id"] == task and row["state"] == wanted for row in rows):
                return
            await asyncio.sleep(0.05)

    async def won(self, reference: str) -> str:
        """Bob wants it and gets it, Ann has lost; he picks up and delivers, and Cleo signs."""
        task, bob = await self.order(reference), self.riders["bob"]
        tender, offer = (await self.offers(task))[bob]
        await self.send("tender", tender, ClaimOffer(offer_id=OfferId(offer)), bob, "rider")
        await self.state(task, "accepted")
        await self.send("task", task, ReportPickedUp(stop_id=StopId("stop-1"), observed_at=now()), bob, "rider")
        signature = SignatureEntry(sha256=SIGNATURE, kept_sha256=SIGNATURE, signer="Cleo Unusual")
        delivered = ReportDelivered(stop_id=StopId("stop-2"), observed_at=now(), proofs=[signature])
        await self.send("task", task, delivered, bob, "rider")
        await self.has_tasks(bob, 0)
        return task

    async def declined(self, reference: str) -> str:
        """Nobody wants it."""
        task = await self.order(reference)
        for rider, (tender, offer) in (await self.offers(task)).items():
            decline = DeclineOffer(offer_id=OfferId(offer), reason_code="too_far")
            await self.send("tender", tender, decline, rider, "rider")
        await self.state(task, "dispatchable")
        return task

    async def cancelled(self, reference: str) -> str:
        task = await self.order(reference)
        await self.offers(task)
        await self.send("task", task, CancelTask(reason_code="changed_mind"))
        return task

    async def refused(self, reference: str) -> str:
        """Bob wants it while a dispatcher's order keeps him busy; when his claim is rejected he is soon free again."""
        task, bob = await self.order(reference), self.riders["bob"]
        tender, offer = (await self.offers(task))[bob]
        other = await self.order("ordered")
        await self.decided(other)
        await self.send("task", other, AssignTask(rider_id=RiderId(bob)), "dora", "dispatcher")
        await self.state(other, "assigned")
        await self.send("task", other, AcceptAssignment(), bob, "rider")
        await self.has_tasks(bob, 1)
        await self.send("tender", tender, ClaimOffer(offer_id=OfferId(offer)), bob, "rider")
        await self.offer_state(tender, offer, "rejected")
        await self.send("task", other, ReportPickedUp(stop_id=StopId("stop-1"), observed_at=now()), bob, "rider")
        await self.send("task", other, ReportDelivered(stop_id=StopId("stop-2"), observed_at=now()), bob, "rider")
        return task


@asynccontextmanager
async def played(world: World, settings: Settings, journal: Path) -> AsyncIterator[Played]:
    pool: Pool = AsyncConnectionPool(settings.postgres.get_secret_value(), min_size=1, max_size=6, open=False)
    async with listening(world, settings) as shards:
        async with asyncio.timeout(3 * WITHIN_S), pool:
            play = Play(world, shards, pool, journal)
            tasks = await told(play, settings)
        yield Played(world, shards, settings, journal, tasks, play.riders)


@asynccontextmanager
async def listening(world: World, settings: Settings) -> AsyncIterator[Shards]:
    """Shards that can be asked, where they are announced, for what they know."""
    port = free_port()
    shards = await world.owner(address=f"127.0.0.1:{port}")
    door = server(listener(shards, internal_key(Secrets(secret(settings, "server_secret")))), "127.0.0.1", port)
    serving = asyncio.create_task(door.serve())
    yield shards
    door.should_exit = True
    await serving


async def told(play: Play, settings: Settings) -> dict[str, str]:
    async with play.pool.connection() as connection:
        await migrate(connection, MODELS.values())
    projector = Projector(
        client_args={"bootstrap_servers": settings.kafka},
        group=fresh_name("projector"),
        instance="projector-1",
        pool=play.pool,
        models=list(MODELS.values()),
        dead=nowhere,
    )
    processes = Processes(
        settings, play.shards, play.pool, now, keyring=play.shards._keyring, policy=play.shards._policy
    )
    await projector.start()
    await processes.start()
    await play.settle()
    tasks = {word: await getattr(play, word)(word) for word in ("won", "declined", "cancelled", "refused")}
    while not await followed(play.pool, settings):  # noqa: ASYNC110 - the processes run elsewhere
        await asyncio.sleep(0.05)
    await processes.stop()
    tasks["unseen"] = await play.order("unseen")
    await until_caught_up(projector, WITHIN_S)
    await projector.stop()
    return tasks


async def followed(pool: Pool, settings: Settings) -> bool:
    """Whether the processes are through with all that is on the log, so that nothing more will come."""
    ends = await ends_of({"bootstrap_servers": settings.kafka}, FOLLOWED, settings.partitions)
    places = await process_places(pool)
    through = [(places.at_once, FOLLOWED), *((places.beside[group.name], group.topics) for group in GROUPS)]
    return all(
        after.get(place, 0) >= end for after, topics in through for place, end in ends.items() if place[0] in topics
    )


def settings_of(world: World, dsn: str, osrm: str, data: Path) -> Settings:
    return load_settings(
        data=data,
        kafka=world.kafka,
        postgres=SecretStr(dsn),
        osrm=osrm,
        cluster=world.cluster,
        partitions=PARTITIONS,
        key_encryption_key=SecretStr(KEK.hex()),
        server_secret=SecretStr("ab" * 32),
    )


@asynccontextmanager
async def database(server: EmbeddedPostgres, template: str = "template1") -> AsyncIterator[str]:
    name = fresh_name("checked").replace("-", "_")
    await execute(server.dsn(), f"CREATE DATABASE {name} TEMPLATE {template}")
    yield server.dsn(name)
    await execute(server.dsn(), f"DROP DATABASE {name} WITH (FORCE)")


async def execute(dsn: str, statement: str, *values: object) -> int:
    """How many rows it has changed."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        cursor = await connection.execute(statement.encode(), values)
        return cursor.rowcount


def command(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`logistics ARGUMENTS` by somebody who has set the same and nothing else."""
    values = {name: getattr(settings, name) for name in SET}
    plain = {n: v.get_secret_value() if isinstance(v, SecretStr) else str(v) for n, v in values.items()}
    env = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    env |= {f"{PREFIX}{name.upper()}": value for name, value in plain.items() if value}
    started = [sys.executable, "-m", "infra.cli", *arguments]
    return subprocess.run(started, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
