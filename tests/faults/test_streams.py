"""Two workers of the telemetry stream, killed and frozen under load: every frame counts once, every fact is told once."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest
from fresh import fresh_name
from psycopg_pool import AsyncConnectionPool
from pydantic import SecretStr
from world import KEK, World, make_topics, records, verify_chain

from commands.owners import Shards
from infra.check.models import check_models
from infra.embedded.kafka import EmbeddedKafka
from infra.kafka import client_args
from infra.settings import Settings, load_settings
from projections.models import MODELS
from projections.projector import Projector, until_caught_up
from projections.tables import migrate
from schemas.message import TenantSlug
from schemas.record import Stored
from schemas.topics import SIGNALS
from streams.telemetry.found import AsideRow, Draft, LiveRow
from tests.faults.judged import (
    broken_promises,
    counted,
    drafts_of,
    folded,
    kept_rows,
    of_frames_alone,
    resumed,
    standing,
    stood,
    without_places,
    zombies,
)
from tests.faults.traffic import Traffic
from tests.faults.two_workers import Workers, all_wait_for_it, emptied, locked

PARTITIONS = 2
KILLS = 5
SEED = "7"
OF_SIGNALS = [model for model in MODELS.values() if SIGNALS.name in model.topics]


class Place:
    """A log of its own, a database, and what settles both."""

    def __init__(self, world: World, shards: Shards, settings: Settings, traffic: Traffic) -> None:
        self.world, self.shards, self.settings, self.traffic = world, shards, settings, traffic


@pytest.fixture
async def place(tmp_path: Path, jars: Path, postgres: str, osrm: str) -> AsyncIterator[Place]:
    broker = EmbeddedKafka(tmp_path / "kafka", jars)
    kafka = await broker.start()
    await make_topics(kafka, partitions=PARTITIONS)
    world = World(kafka, fresh_name("cluster"), TenantSlug(fresh_name("acme")), partitions=PARTITIONS)
    traffic = Traffic(SEED, world)
    world.clock = traffic.now
    shards = await world.owner()
    settings = load_settings(
        data=tmp_path / "data",
        kafka=kafka,
        postgres=SecretStr(postgres),
        osrm=osrm,
        cluster=world.cluster,
        partitions=PARTITIONS,
        key_encryption_key=SecretStr(KEK.hex()),
    )
    yield Place(world, shards, settings, traffic)
    await shards.stop()
    await broker.stop()


@asynccontextmanager
async def projecting(settings: Settings) -> AsyncIterator[None]:
    """Until all is folded that stands on the log at the end."""
    async with AsyncConnectionPool(settings.postgres.get_secret_value(), min_size=1, max_size=4, open=False) as pool:
        async with pool.connection() as connection:
            await migrate(connection, MODELS.values())
        projector = Projector(
            client_args=client_args(settings),
            group=fresh_name("projector"),
            instance="projector-1",
            pool=pool,
            models=OF_SIGNALS,
            dead=nowhere,
        )
        await projector.start()
        yield
        await until_caught_up(projector, 60)
        await projector.stop()


async def nowhere(stored: Stored, reason: str) -> None:
    raise AssertionError(f"{stored.topic}/{stored.partition}@{stored.offset}: {reason}")


@asynccontextmanager
async def working(workers: Workers) -> AsyncIterator[None]:
    """Until every frame is folded that stands on the log at the end."""
    await workers.start()
    try:
        yield
        await workers.caught_up()
    finally:
        await workers.stop()


@pytest.mark.timeout(300)
async def test_a_worker_killed_five_times_leaves_no_gap_and_doubles_nothing_and_the_log_alone_says_the_same(
    place: Place, tmp_path: Path
):
    workers, chance = Workers(place.settings, tmp_path / "logs"), Random(SEED)
    async with projecting(place.settings), working(workers):
        await place.traffic.settle(place.shards)
        riding = asyncio.create_task(place.traffic.run())
        for _ in range(KILLS):
            await workers.folds("streams-1")
            await asyncio.sleep(chance.uniform(0.0, 2.0))
            await workers.killed("streams-1")
        await workers.folds("streams-1")
        place.traffic.end()
        await riding
    told = await judge(place)
    await emptied(place.settings)
    async with projecting(place.settings), working(Workers(place.settings, tmp_path / "logs", ("streams-1",))):
        pass
    assert await judge(place) == told, "of what is folded again nothing new is told"


async def test_a_frozen_worker_keeps_nobody_from_its_partitions_and_adds_nothing_when_it_wakes(
    place: Place, tmp_path: Path
):
    workers = Workers(place.settings, tmp_path / "logs")
    async with projecting(place.settings), working(workers):
        await place.traffic.settle(place.shards)
        riding = asyncio.create_task(place.traffic.run())
        await workers.folds("streams-1")
        await workers.folds("streams-2")
        async with locked(place.settings, "live_map"):
            await all_wait_for_it(place.settings, 2)
            workers.send("streams-1", signal.SIGSTOP)
            await workers.all_known()
        frozen, awake = len(workers.opened("streams-1")), len(workers.opened("streams-2"))
        try:
            await workers.folds("streams-2", more_than=awake)
            await workers.moves_all(PARTITIONS)
        finally:
            workers.send("streams-1", signal.SIGCONT)
        await workers.folds("streams-1", more_than=frozen)
        place.traffic.end()
        await riding
    await judge(place)


async def judge(place: Place) -> list[Draft]:
    """What is told."""
    world, settings, traffic = place.world, place.settings, place.traffic
    told = await records(world.kafka, SIGNALS.name, PARTITIONS)
    told.sort(key=lambda stored: (stored.partition, stored.offset))
    verify_chain(told)
    assert zombies(told) == []
    drafts, whole = drafts_of(told), await folded(world, place.shards)
    print(f"{traffic.frames} frames, {traffic.fixes} fixes, {len(whole.aside)} put aside", file=sys.stderr)
    print(", ".join(f"{name} {count}" for name, count in counted(drafts).items()), file=sys.stderr)
    wanted = {
        event_id: without_places(event)
        for event_id, (rider, event) in whole.told.items()
        if of_frames_alone(event, rider, traffic.couriers)
    }
    said = {
        draft.event_id: without_places(draft.event)
        for draft in drafts
        if of_frames_alone(draft.event, draft.rider_id, traffic.couriers)
    }
    assert said == wanted
    stands = standing(drafts)
    assert len(stands) == len(set(stands))
    assert set(stands) == await stood(world, settings, traffic.fences)
    assert list(broken_promises(drafts)) == []
    assert await resumed(world, place.shards, settings) == whole.tracks
    assert await kept_rows(settings, LiveRow, "live_map") == set(whole.live.values())
    assert await kept_rows(settings, AsideRow, "quarantine") == set(whole.aside)
    verdict = await check_models(settings.postgres.get_secret_value(), client_args(settings), PARTITIONS, OF_SIGNALS)
    assert (verdict.state, verdict.findings) == ("holds", [])
    return drafts
