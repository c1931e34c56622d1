"""The trainer on a real log: it learns from what stands there, tells it, and one of several does."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import numpy as np
import pytest
from pydantic import SecretStr
from world import KEK, PARTITIONS, World, now

from commands.follow import Follower
from infra.role_trainer import serve_trainer
from infra.settings import Settings, load_settings
from infra.signal_log import SignalLog
from schemas import ids
from schemas.directory import CreateTenant
from schemas.eta_model import EtaErrorsMet, EtaForestGrown
from schemas.ids import rider_subject
from schemas.keyring import Keyring
from schemas.message import Event, Personal, RiderId, StopId, TaskId
from schemas.partition import partition_of
from schemas.record import Stored, event_of
from schemas.rider import RegisterRider
from schemas.signals import EtaScored, ForecastMade
from schemas.topics import ETA_MODELS
from streams.eta import learner as learning
from streams.eta.journey import COLUMNS, COLUMNS_NAME
from streams.eta.model import BY_FACTORS, Model
from streams.eta.models import Models, met
from streams.eta.worlds import Worlds
from streams.telemetry.found import Draft

JOURNEYS = 60
STOP = StopId("stop-1")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {"TREES": 10, "SPREAD_TREES": 5}.items():
        monkeypatch.setattr(learning, name, value)
    monkeypatch.setattr("infra.role_trainer.LOOKS_EVERY_S", 0.2)
    monkeypatch.setattr("infra.role_trainer.ASKS_EVERY_MS", 200)
    return


def settings_of(world: World) -> Settings:
    return load_settings(
        kafka=world.kafka,
        postgres=SecretStr("postgresql://nobody@127.0.0.1:1/none"),
        osrm="http://127.0.0.1:1",
        cluster=world.cluster,
        partitions=PARTITIONS,
        key_encryption_key=SecretStr(KEK.hex()),
    )


async def journeys(world: World, rider: str, keyring: Keyring) -> None:
    """Each takes twice as long as the router says; one began each minute, and the last has ended."""
    log = SignalLog({"bootstrap_servers": world.kafka}, world.cluster, partition_of(rider, PARTITIONS), keyring, now)
    await log.open("test", 0)
    began = now() - timedelta(minutes=JOURNEYS + 10)
    drafts = []
    for number in range(JOURNEYS):
        task, start = TaskId(f"task-{number}"), began + timedelta(minutes=number)
        arrived = start + timedelta(seconds=480)
        first = ForecastMade(at=start, p10=start, p50=start, p90=start, model="m", source="osrm")
        seen = Personal(rider_subject(RiderId(rider)), [(float(left), row(left / 2)) for left in range(480, 0, -60)])
        scored = EtaScored(
            task_id=task, stop_id=STOP, arrived_at=arrived, forecasts=[first], seen=seen, columns=COLUMNS_NAME
        )
        drafts.append(draft(world, rider, scored, f"{number}/scored", arrived))
    await log.tell(drafts)
    await log.close()


def draft(world: World, rider: str, event: Event, once: str, at: object) -> Draft:
    return Draft(event_id=once, tenant=world.tenant, rider_id=rider, event=event, at=at, cause="")  # type: ignore[arg-type]


def row(router_s: float) -> list[float]:
    known = dict.fromkeys(COLUMNS, 0.0) | {"router_s": router_s, "router_ahead_s": router_s, "vehicle": 3.0}
    return list(known.values())


async def until_told(world: World) -> list[Stored]:
    told: list[Stored] = []
    following = Follower({"bootstrap_servers": world.kafka}, [ETA_MODELS.name], told.append)
    await following.start()
    async with asyncio.timeout(60):
        while not told_of_both(told):  # noqa: ASYNC110 - the log fills it
            await asyncio.sleep(0.2)
    await following.stop()
    return told


def told_of_both(told: list[Stored]) -> bool:
    """What was learned of who is live, and the word on who is played that comes after it."""
    return any(met_of(stored).forest for stored in told) and any(stored.key == b"test/errors" for stored in told)


def met_of(stored: Stored) -> EtaErrorsMet:
    event = event_of(stored, None)
    return event if isinstance(event, EtaErrorsMet) else met(True, Model(BY_FACTORS), None, {}, now())


async def test_one_of_two_learns_from_the_log_and_whoever_follows_tells_it(lone_world: World, small):
    shards = await lone_world.owner()
    tenant = CreateTenant(tenant=lone_world.tenant, name="Acme", mode="live")
    await shards.submit(lone_world.order("tenant", ids.tenant_id(lone_world.tenant), tenant))
    rider = ids.aggregate_id("rider", lone_world.tenant, "shop", "ann")
    await shards.submit(lone_world.order("rider", rider, RegisterRider(name="Ann"), "register"))
    await journeys(lone_world, rider, shards._keyring)
    serving = [asyncio.create_task(serve_trainer(settings_of(lone_world))) for _ in range(2)]
    told = await until_told(lone_world)
    assert not any(task.done() for task in serving)
    models = Models(Worlds())
    for stored in told:
        models.take(event_of(stored, None))
    kinds = [type(event_of(stored, None)) for stored in told]
    assert kinds.count(EtaForestGrown) == 1
    assert kinds.count(EtaErrorsMet) == len(kinds) - 1
    assert {stored.key for stored in told} == {b"live/forest", b"live/errors", b"test/errors"}
    [[_, p50, _]] = models.of("acme").forecast(np.array([row(150.0)])).tolist()
    assert p50 == pytest.approx(300, rel=0.1)
    for task in serving:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
