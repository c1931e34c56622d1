"""The telemetry stream on real engines: frames become rows and signals, once, whatever breaks in between."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from msgspec.structs import replace
from prometheus_client import REGISTRY
from psycopg_pool import AsyncConnectionPool
from pydantic import SecretStr
from ride import AWAY, Ride, folded, streaming, until
from world import HOME, KEK, PARTITIONS, World, now, records, verify_chain

from commands.shard import IDLE_HEARTBEAT_S
from infra.dead_letters import letters, text_of
from infra.frame_log import KafkaFrameLog
from infra.role_streams import Streams
from infra.settings import Settings, load_settings
from infra.signal_log import SignalLog
from projections import quarantine
from projections.models import MODELS
from projections.tables import migrate
from schemas import catalog, ids
from schemas.directory import ChangeGeofence, ChangeTenantRules, Circle, TenantRules
from schemas.fix_rules import FixRules
from schemas.fixes import HeldFix, NewFix, frames_of
from schemas.geo import Location
from schemas.keyring import Keyring
from schemas.partition import partition_of
from schemas.person import ForgetPerson
from schemas.record import Stored, event_of
from schemas.signals import (
    AnomalyCleared,
    AnomalyDetected,
    GeofenceEntered,
    GeofenceExited,
    GeofenceTransitionCorrected,
    TripEnded,
)
from schemas.topics import FIXES, FLEET, SIGNALS
from streams.source import Batch
from streams.telemetry.found import place_in
from streams.telemetry.partition import Partition
from streams.telemetry.quality import Quality
from streams.telemetry.recorded import BEFORE, Recorded, Wanted
from streams.telemetry.store import PlaceMoved, Standing, Store
from streams.telemetry.work import Opened, Telemetry


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


def crash_between(
    ride: Ride, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], Awaitable[None]] | None = None
) -> list[str]:
    """Once, when this ride's signals are on the log and its rows are not: what happened meanwhile, then a crash."""
    keep, crashes = Store.keep, []

    async def failing(self: Store, done: Sequence[Any]) -> None:
        ours = any(row.tenant == ride.world.tenant for each in done for row in each.live.values())
        if ours and not crashes and await ride.signals():
            crashes.append("crashed")
            if meanwhile is not None:
                await meanwhile()
            raise OSError("the database went away")
        await keep(self, done)

    monkeypatch.setattr(Store, "keep", failing)
    return crashes


@pytest.fixture
async def ride(world: World) -> Ride:
    made = Ride(world, await world.owner())
    await made.begin()
    return made


async def take(telemetry: Telemetry, batches: Sequence[Batch]) -> None:
    await telemetry.keep(await telemetry.fold(batches))


async def rows(pool: AsyncConnectionPool[Any], sql: str, *given: Any) -> list[tuple[Any, ...]]:
    async with pool.connection() as connection:
        return await (await connection.execute(sql.encode(), given)).fetchall()


async def test_a_rider_is_seen_where_the_latest_fix_was_whatever_came_last(ride, settings, pool):
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(1, AWAY), ride.fix(2, HOME))
        await ride.tell(ride.fix(0, AWAY))
        await folded(streams, ride)
    [(lat, lon, seen)] = await rows(pool, "SELECT lat, lon, observed_at FROM live_map WHERE rider_id = %s", ride.rider)
    assert (lat, lon, seen) == (HOME.lat, HOME.lon, ride.at(2))


async def test_entering_and_leaving_a_fence_is_told_once_and_the_chain_holds(ride, settings, pool):
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(0, AWAY), ride.fix(1, HOME), ride.fix(2, HOME), ride.fix(3, AWAY))
        await folded(streams, ride)
    entered, exited = await ride.crossings()
    assert isinstance(entered, GeofenceEntered)
    assert isinstance(exited, GeofenceExited)
    assert (entered.geofence_id, entered.at, exited.at) == (ride.fence, ride.at(1), ride.at(3))
    verify_chain(await records(ride.world.kafka, SIGNALS.name))


async def test_the_place_of_a_crossing_is_sealed_under_the_riders_key(ride, settings, pool):
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(0, AWAY), ride.fix(1, HOME))
        await folded(streams, ride)
    [stored] = await ride.signals()
    keyring: Keyring = ride.shards._keyring
    unseal = keyring.unsealer(stored.partition, ride.world.tenant, ride.rider)
    opened, closed = event_of(stored, unseal), event_of(stored, None)
    assert opened.fix.value.lat == HOME.lat
    assert closed.fix.value is None


async def test_a_late_fix_corrects_what_was_told(ride, settings, pool):
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(0, AWAY), ride.fix(1, HOME), ride.fix(5, AWAY))
        await folded(streams, ride)
        await ride.tell(ride.fix(3, AWAY))
        await folded(streams, ride)
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
            ride.fix(21.1, Location(lat=0, lon=0)),
            ride.fix(21.2, HOME, accuracy_m=250.0),
            ride.fix(21.3, HOME, mock=True),
            ride.fix(-8 * 24 * 60, HOME),
            HeldFix("phone", ride.rider, NewFix(observed_at=ride.at(22), lat=91, lon=0)),
        )
        await folded(streams, ride)
    aside = await rows(
        pool, "SELECT reason, device_id FROM quarantine WHERE tenant = %s ORDER BY reason", ride.world.tenant
    )
    assert aside == [
        ("duplicate", "phone"),
        ("future", "phone"),
        ("gps_jump", "phone"),
        ("inaccurate", "phone"),
        ("invalid", "phone"),
        ("outdated", "phone"),
        ("outdated", "phone"),
        ("suspected_spoof", "phone"),
        ("unbound", "stray"),
        ("zero", "phone"),
    ]


async def test_a_tenant_says_what_is_believed_from_then_on(ride, settings, pool):
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(0, HOME, accuracy_m=50.0))
        rules = TenantRules(fixes=FixRules(max_accuracy_m=10))
        await ride.send("tenant", ids.tenant_id(ride.world.tenant), ChangeTenantRules(rules=rules), "rules")
        await folded(streams, ride)
        await ride.tell(ride.fix(1, HOME, accuracy_m=50.0), ride.fix(2, HOME, accuracy_m=10.0))
        await folded(streams, ride)
    aside = await rows(pool, "SELECT reason, observed_at FROM quarantine WHERE tenant = %s", ride.world.tenant)
    assert aside == [("inaccurate", ride.at(1))]


async def test_frames_that_nobody_can_read_are_buried_and_told_and_the_rest_goes_on(ride, settings, pool):
    [short] = frames_of([ride.fix(0, HOME)], now())
    poison = {
        b"no frame": "not in Confluent framing",
        b"\0\x7f\xff\xff\xffxx": "2147483647",
        catalog.write(replace(short, count=500), lambda *_: b""): "1 entries for 500 fixes",
        catalog.write(replace(short, devices=["ph\0ne"]), lambda *_: b""): "none is U+0000",
    }
    [partition] = {partition_of(ride.rider, PARTITIONS)}
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(0, AWAY))
        [told] = [
            stored
            for stored in await records(ride.world.kafka, FIXES.name)
            if stored.header("tenant") == ride.world.tenant
        ]
        producer = AIOKafkaProducer(bootstrap_servers=ride.world.kafka)
        await producer.start()
        for value in poison:
            await producer.send_and_wait(FIXES.name, value, partition=partition, headers=list(told.headers))
        await producer.stop()
        await ride.tell(ride.fix(1, HOME))
        await folded(streams, ride)
    assert await rows(pool, "SELECT observed_at FROM live_map WHERE rider_id = %s", ride.rider) == [(ride.at(1),)]
    buried = [
        letter
        for letter in await letters({"bootstrap_servers": ride.world.kafka}, PARTITIONS)
        if letter.partition == partition and letter.offset > told.offset
    ]
    assert [letter.offset for letter in buried] == [told.offset + 1 + number for number in range(len(poison))]
    for letter, why in zip(buried, poison.values(), strict=True):
        assert (letter.topic, letter.reader) == (FIXES.name, "streams")
        assert why in letter.reason
        assert f"{FIXES.name}/{partition}@{letter.offset}  streams: " in text_of(letter)


async def test_how_far_a_partition_is_behind_is_told(ride, settings, pool):
    await ride.tell(ride.fix(0, HOME))
    await ride.tell(ride.fix(1, HOME))
    frames = [
        stored for stored in await records(ride.world.kafka, FIXES.name) if stored.header("tenant") == ride.world.tenant
    ]
    of = {"partition": str(frames[0].partition)}
    async with by_hand(settings, pool) as telemetry:
        await telemetry.places({(FIXES.name, frames[0].partition): frames[0].offset})
        await take(telemetry, [replace(fetched(frames[:1], 1), behind=1)])
        assert REGISTRY.get_sample_value("logistics_telemetry_lag_records", of) == 1
        await take(telemetry, [fetched(frames[1:], 1)])
        assert REGISTRY.get_sample_value("logistics_telemetry_lag_records", of) == 0


async def test_a_crash_between_signal_and_row_tells_nothing_twice(ride, settings, pool, monkeypatch):
    crashes = crash_between(ride, monkeypatch)
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(0, AWAY), ride.fix(1, HOME), ride.fix(2, AWAY))
        await folded(streams, ride)
    assert crashes == ["crashed"]
    told = [(event_of(stored, None), stored.header("ce_id")) for stored in await ride.signals()]
    assert [type(event).__name__ for event, _ in told] == ["GeofenceEntered", "GeofenceExited"]
    assert len({event_id for _, event_id in told}) == 2


@asynccontextmanager
async def by_hand(settings: Settings, pool: AsyncConnectionPool[Any]) -> AsyncIterator[Telemetry]:
    """A worker's work without its source: which frames come together is for the test to say."""
    streams = Streams(settings, pool, now)
    await Store(pool).make()
    await streams._producer.start()
    for followed in (streams._keys, streams._facts, streams._arrived, streams._learned):
        await followed.start()
    yield streams._telemetry
    await streams._telemetry.close()
    for followed in (streams._keys, streams._facts, streams._arrived, streams._learned):
        await followed.stop()
    await streams._producer.stop()
    await streams._router.close()


def fetched(frames: Sequence[Stored], epoch: int) -> Batch:
    first, last = frames[0], frames[-1]
    return Batch(FIXES.name, first.partition, first.offset, last.offset + 1, epoch, frames)


async def test_what_was_told_is_known_until_all_its_frames_are_folded_though_one_worker_after_the_other_crashes(
    ride, settings, pool, monkeypatch
):
    for minute, where in enumerate((AWAY, HOME, AWAY, HOME)):
        await ride.tell(ride.fix(minute, where))
    frames = [
        stored for stored in await records(ride.world.kafka, FIXES.name) if stored.header("tenant") == ride.world.tenant
    ]
    crashes = crash_between(ride, monkeypatch)
    async with by_hand(settings, pool) as telemetry:
        await telemetry.places({(FIXES.name, frames[0].partition): frames[0].offset})
        with pytest.raises(OSError, match="the database went away"):
            await take(telemetry, [fetched(frames, 1)])
    async with by_hand(settings, pool) as telemetry:
        await take(telemetry, [fetched(frames[:2], 1)])
    async with by_hand(settings, pool) as telemetry:
        await take(telemetry, [fetched(frames[2:], 1)])
    assert crashes == ["crashed"]
    told = [type(event).__name__ for event in await ride.crossings()]
    assert told == ["GeofenceEntered", "GeofenceExited", "GeofenceEntered"]


async def test_whoever_begins_anew_begins_where_somebody_is_not_kept_yet_and_nowhere_else(
    ride, settings, pool, monkeypatch
):
    """Such as with a fetch from before a seek."""
    monkeypatch.setattr("streams.telemetry.work.FEW", 0)
    for minute, where in enumerate((AWAY, HOME, HOME)):
        await ride.tell(ride.fix(minute, where))
    frames = [
        stored for stored in await records(ride.world.kafka, FIXES.name) if stored.header("tenant") == ride.world.tenant
    ]
    async with by_hand(settings, pool) as telemetry:
        await telemetry.places({(FIXES.name, frames[0].partition): frames[0].offset})
        await take(telemetry, [fetched(frames[:2], 1)])
    async with by_hand(settings, pool) as telemetry:
        with pytest.raises(PlaceMoved):
            await take(telemetry, [fetched(frames[2:], 1)])
        await take(telemetry, [fetched(frames, 2)])
    assert [type(event).__name__ for event in await ride.crossings()] == ["GeofenceEntered"]


async def test_what_was_odd_is_told_once_and_so_is_that_it_is_over_though_the_stream_crashes(
    ride, settings, pool, monkeypatch
):
    def fix(seconds: float, mps: float) -> HeldFix:
        return ride.fix(seconds / 60, Location(lat=HOME.lat + seconds * 3.5e-4, lon=HOME.lon), speed_mps=mps)

    crashes = crash_between(ride, monkeypatch)
    async with streaming(settings, pool) as streams:
        await ride.tell(*(fix(seconds, 39.0) for seconds in range(0, 60, 5)))
        await folded(streams, ride)
    async with streaming(settings, pool) as streams:
        await ride.tell(*(fix(seconds, 20.0) for seconds in range(65, 100, 5)))
        await folded(streams, ride)
    assert crashes == ["crashed"]
    unseal = ride.shards._keyring.unsealer(partition_of(ride.rider, PARTITIONS), ride.world.tenant, ride.rider)
    told = [(stored, event_of(stored, unseal)) for stored in await ride.signals()]
    [(first, detected)] = [each for each in told if isinstance(each[1], AnomalyDetected)]
    [cleared] = [event for _, event in told if isinstance(event, AnomalyCleared)]
    assert (detected.kind, cleared.anomaly_id) == ("speeding", first.header("ce_id"))
    assert [seen.speed_mps for seen in detected.evidence.value] == [39.0, 39.0]
    assert event_of(first, None).evidence.value is None


async def test_a_forecast_is_told_once_though_the_fixes_come_in_other_fetches_after_a_crash(
    ride, settings, pool, monkeypatch
):
    await ride.give_a_stop()

    async def another_fix() -> None:
        await ride.tell(ride.fix(30.1, Location(lat=HOME.lat + 0.001, lon=HOME.lon)))

    crashes = crash_between(ride, monkeypatch, another_fix)
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(30.2, HOME))
        await folded(streams, ride)
    assert crashes == ["crashed"]
    assert len(await ride.forecasts()) == 1


async def test_a_crossing_that_follows_no_more_after_a_crash_is_taken_back(ride, settings, pool, monkeypatch):
    """The fence was moved, for the past, between the signal and its row."""

    async def move_the_fence() -> None:
        far = Circle(center=Location(lat=61.0, lon=24.0), radius_m=200)
        await ride.send("geofence", ride.fence, ChangeGeofence(shape=far, valid_from=ride.start), "move")
        await until(streams._facts.caught_up)

    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(0, AWAY))
        await folded(streams, ride)
        crashes = crash_between(ride, monkeypatch, move_the_fence)
        await ride.tell(ride.fix(1, HOME))
        await folded(streams, ride)
        await ride.tell(ride.fix(2, AWAY))
        await folded(streams, ride)
    assert crashes == ["crashed"]
    entered, withdrawn = await ride.signals()
    correction = event_of(withdrawn, None)
    assert isinstance(correction, GeofenceTransitionCorrected)
    assert (correction.supersedes, correction.at) == (entered.header("ce_id"), None)


async def test_a_database_that_is_away_for_a_while_leaves_no_fix_unfolded(ride, settings, pool, monkeypatch):
    away = []
    keep, places = Store.keep, Store.places

    async def keeping(self: Store, done: Sequence[Any]) -> None:
        if away:
            raise OSError("the database is away")
        await keep(self, done)

    async def placing(self: Store, beginnings: Any) -> Any:
        if away:
            away.pop()
            raise OSError("the database is away")
        return await places(self, beginnings)

    monkeypatch.setattr(Store, "keep", keeping)
    monkeypatch.setattr(Store, "places", placing)
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(0, AWAY))
        await folded(streams, ride)
        away.extend(["away"] * 4)
        await ride.tell(ride.fix(1, HOME))
        await folded(streams, ride)
    assert away == []
    assert [type(event).__name__ for event in await ride.crossings()] == ["GeofenceEntered"]


async def test_what_was_folded_while_the_rows_before_it_failed_is_folded_again(ride, settings, pool, monkeypatch):
    """The second fetch is folded, and its signals are told, before the first one's rows are known to be lost."""
    keep, fold = Store.keep, Telemetry.fold
    first, second = asyncio.Event(), asyncio.Event()

    async def keeping(self: Store, done: Sequence[Any]) -> None:
        ours = any(row.tenant == ride.world.tenant for each in done for row in each.live.values())
        if ours and not second.is_set():
            first.set()
            await second.wait()
            raise OSError("the database went away")
        await keep(self, done)

    async def folding(self: Telemetry, batches: Sequence[Batch]) -> Any:
        done = await fold(self, batches)
        if first.is_set():
            second.set()
        return done

    monkeypatch.setattr(Store, "keep", keeping)
    monkeypatch.setattr(Telemetry, "fold", folding)
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(0, AWAY), ride.fix(1, HOME))
        async with asyncio.timeout(30):
            await first.wait()
        await ride.tell(ride.fix(2, AWAY))
        await folded(streams, ride)
    assert second.is_set()
    told = [(type(event_of(stored, None)).__name__, stored.header("ce_id")) for stored in await ride.signals()]
    assert [name for name, _ in told] == ["GeofenceEntered", "GeofenceExited"]
    [(lat, seen)] = await rows(pool, "SELECT lat, observed_at FROM live_map WHERE rider_id = %s", ride.rider)
    assert (lat, seen) == (AWAY.lat, ride.at(2))


async def test_a_fix_after_a_pause_of_months_goes_on(ride, settings, pool):
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(-60 * 24 * 60, AWAY), received_at=ride.at(-60 * 24 * 60))
        await folded(streams, ride)
        await ride.tell(ride.fix(0, HOME))
        await folded(streams, ride)
    assert [type(event).__name__ for event in await ride.crossings()] == ["GeofenceEntered"]


async def test_what_nobody_can_read_stops_nobody_who_follows(lone_world, settings, pool):
    """A type of a newer release on the fleet's topic, on another partition than the rider's."""
    ride = Ride(lone_world, await lone_world.owner())
    await ride.begin()
    settings = settings.model_copy(update={"kafka": lone_world.kafka, "cluster": lone_world.cluster})
    async with streaming(settings, pool) as streams:
        running = asyncio.create_task(streams.run())
        producer = AIOKafkaProducer(bootstrap_servers=ride.world.kafka)
        await producer.start()
        other = (partition_of(ride.rider, PARTITIONS) + 1) % PARTITIONS
        headers = [("ce_type", b"logistics.fleet.OfANewerRelease")]
        await producer.send_and_wait(FLEET.name, b"\x00\x00\x00\x27\x10xx", partition=other, headers=headers)
        await producer.stop()
        await ride.give_a_stop()
        await folded(streams, ride)
        await ride.tell(ride.fix(30.2, HOME))
        await folded(streams, ride)
        assert not running.done()
        running.cancel()
    assert len(await ride.forecasts()) == 1


async def test_a_beat_beside_a_signal_takes_nothing_from_it(ride):
    log = SignalLog({"bootstrap_servers": ride.world.kafka}, ride.world.cluster, 0, Keyring(KEK), now)
    await log.open("one", 0)
    log._written_s -= IDLE_HEARTBEAT_S + 1
    first = log.next_offset
    await asyncio.gather(log.beat_if_idle(), log.tell([ride.draft("signal-1")]), log.tell([ride.draft("signal-2")]))
    await log.close()
    stand = [stored for stored in await records(ride.world.kafka, SIGNALS.name) if stored.partition == 0]
    assert {"signal-1", "signal-2"} <= {stored.header("ce_id") for stored in stand if stored.offset >= first}


async def test_a_partition_that_went_to_another_worker_does_not_keep_the_others_from_their_beats(ride):
    def signals(partition: int) -> SignalLog:
        return SignalLog({"bootstrap_servers": ride.world.kafka}, ride.world.cluster, partition, Keyring(KEK), now)

    lost, ours, theirs = signals(0), signals(1), signals(0)
    for log in (lost, ours, theirs):
        await log.open("worker", 0)
    telemetry = Telemetry(None, None, None, None, None, None, None)  # type: ignore[arg-type]  # it only beats
    for partition, log in ((0, lost), (1, ours)):
        folding = Partition(partition, lambda _: None, Quality().rules)  # type: ignore[arg-type, return-value]
        telemetry._opened[partition] = Opened(1, folding, log, Standing(1, 0, 0, 0, {}, {}, {}))
        log._written_s -= IDLE_HEARTBEAT_S + 1
    before = ours.next_offset
    await telemetry.beat()
    assert ours.next_offset == before + 1
    assert list(telemetry._opened) == [1]
    await telemetry.close()
    await theirs.close()


async def test_another_worker_goes_on_where_the_first_stopped(ride, settings, pool):
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(0, AWAY), ride.fix(1, HOME))
        await folded(streams, ride)
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(2, HOME), ride.fix(1, HOME), ride.fix(3, AWAY))
        await folded(streams, ride)
    assert [type(event).__name__ for event in await ride.crossings()] == ["GeofenceEntered", "GeofenceExited"]
    assert await rows(pool, "SELECT reason FROM quarantine WHERE tenant = %s", ride.world.tenant) == [("duplicate",)]


async def test_who_takes_over_folds_again_what_was_not_kept_of_many_riders_and_tells_nothing_twice(
    ride, settings, pool, monkeypatch
):
    monkeypatch.setattr("streams.telemetry.work.FEW", 0)
    told, fences = [], ["GeofenceEntered", "GeofenceExited", "GeofenceEntered"]
    for fixes in (
        [ride.fix(0, AWAY), ride.fix(1, HOME)],
        [ride.fix(2, AWAY), ride.fix(1.5, AWAY)],
        [ride.fix(3, HOME)],
    ):
        async with streaming(settings, pool) as streams:
            await ride.tell(*fixes)
            await folded(streams, ride)
        told.append([type(event).__name__ for event in await ride.crossings()])
    assert await rows(pool, "SELECT 1 FROM stream_riders WHERE rider_id = %s", ride.rider) == []
    assert [len(each) for each in told] == [1, 2, 3]
    assert told[-1] == fences
    monkeypatch.setattr("streams.telemetry.work.SAVED_AFTER_S", 0.0)
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(4, AWAY))
        await folded(streams, ride)
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(2.5, HOME))
        await folded(streams, ride)
    last, corrected = (await ride.crossings())[-2:]
    assert (type(last), last.at) == (GeofenceExited, ride.at(4))
    assert (type(corrected), corrected.at) == (GeofenceTransitionCorrected, ride.at(2.5))
    [[as_of]] = await rows(pool, "SELECT as_of FROM stream_riders WHERE rider_id = %s", ride.rider)
    partition = partition_of(ride.rider, PARTITIONS)
    [[place]] = await rows(pool, 'SELECT next_offset FROM stream_places WHERE "partition" = %s', partition)
    assert as_of == place


async def test_whoever_cannot_read_what_was_kept_of_a_rider_takes_nothing_back(ride, settings, pool, monkeypatch):
    monkeypatch.setattr("streams.telemetry.work.FEW", 0)
    monkeypatch.setattr("streams.telemetry.work.SAVED_AFTER_S", 0.0)
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(0, AWAY), ride.fix(1, HOME))
        await folded(streams, ride)
        monkeypatch.setattr("streams.telemetry.work.SAVED_AFTER_S", 1e9)
        await ride.tell(ride.fix(2, AWAY))
        await folded(streams, ride)
    async with pool.connection() as connection:
        await connection.execute("UPDATE stream_riders SET state = '\\x00' WHERE rider_id = %s", (ride.rider,))
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(3, HOME))
        await folded(streams, ride)
    assert [type(event).__name__ for event in await ride.crossings()] == [
        "GeofenceEntered",
        "GeofenceExited",
        "GeofenceEntered",
    ]


async def test_without_its_tables_the_stream_folds_the_log_again_and_tells_nothing_new(ride, settings, pool):
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(0, AWAY), ride.fix(1, HOME), ride.fix(2, AWAY))
        await folded(streams, ride)
    before = [stored.header("ce_id") for stored in await ride.signals()]
    async with pool.connection() as connection:
        await connection.execute("TRUNCATE stream_places, stream_riders, live_map, quarantine")
    async with streaming(settings, pool) as streams:
        await folded(streams, ride)
    assert [stored.header("ce_id") for stored in await ride.signals()] == before
    assert len(await rows(pool, "SELECT 1 FROM live_map WHERE rider_id = %s", ride.rider)) == 1


async def test_how_a_rider_comes_to_a_stop_is_known_to_the_worker_that_takes_over(ride, settings, pool):
    await ride.give_a_stop()
    async with streaming(settings, pool) as streams:
        for second in range(0, 60, 10):
            north = Location(lat=HOME.lat + second * 1e-4, lon=HOME.lon)
            await ride.tell(ride.fix(30.2 + second / 60, north))
        await folded(streams, ride)
    standing = await Store(pool).open(FIXES.name, partition_of(ride.rider, PARTITIONS))
    approach = standing.riders[ride.world.tenant, ride.rider].approach
    assert len(approach.trail) >= 2
    assert len(approach.sightings.let_go(approach.stop)) == 1


async def places_of(pool: AsyncConnectionPool[Any], ride: Ride) -> list[int]:
    tables = {"stream_riders": "state <> ''", "live_map": "true", "quarantine": "true"}
    asked = "SELECT count(*) FROM {} WHERE rider_id = %s AND {}"
    return [(await rows(pool, asked.format(*table), ride.rider))[0][0] for table in tables.items()]


async def test_of_a_rider_who_is_forgotten_no_place_is_kept(ride, settings, pool):
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(0, HOME), ride.fix(0, HOME))
        await folded(streams, ride)
        assert await places_of(pool, ride) == [1, 1, 1]
        forget = ForgetPerson(subject=ride.rider, reason_code="person_asked")
        await ride.send("tenant", ids.tenant_id(ride.world.tenant), forget, "forget")

        async def gone() -> bool:
            return await places_of(pool, ride) == [0, 0, 0]

        await until(gone)
        await ride.tell(ride.fix(31, HOME))
        await folded(streams, ride)
    assert await places_of(pool, ride) == [1, 1, 0], "who comes back is somebody else"
    entered, again = await ride.crossings()
    assert (type(entered), type(again)) == (GeofenceEntered, GeofenceEntered), "of whom nothing is remembered"


def bobs(ride: Ride, minute: float) -> HeldFix:
    return replace(ride.fix(minute, AWAY), rider_id="bob", device_id="bobs")


@pytest.mark.parametrize("then", [HOME, AWAY], ids=["an entry is not told anew", "a leaving is not taken back"])
async def test_who_takes_over_folds_nothing_again_of_a_rider_who_is_forgotten(ride, settings, pool, monkeypatch, then):
    """Others of the partition are not kept yet: the frames since then are folded once more."""
    bob = partial(bobs, ride)
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(0, AWAY), ride.fix(1, HOME))
        await folded(streams, ride)
        monkeypatch.setattr("streams.telemetry.work.FEW", 0)
        await ride.tell(bob(0), ride.fix(2, then))
        await folded(streams, ride)
        before = [stored.header("ce_id") for stored in await ride.signals()]
        forget = ForgetPerson(subject=ride.rider, reason_code="person_asked")
        await ride.send("tenant", ids.tenant_id(ride.world.tenant), forget, "forget")

        async def gone() -> bool:
            return await places_of(pool, ride) == [0, 0, 0]

        await until(gone)
    async with streaming(settings, pool) as streams:
        await ride.tell(bob(3))
        await folded(streams, ride)
        assert [stored.header("ce_id") for stored in await ride.signals()] == before
        await ride.tell(ride.fix(31, HOME))
        await folded(streams, ride)
    [again] = [event for event in (await ride.crossings())[len(before) :] if isinstance(event, GeofenceEntered)]
    assert again.at == ride.at(31), "who comes back is somebody else"


async def test_of_a_rider_of_whom_nothing_has_come_for_long_no_place_is_kept(ride, settings, pool):
    day = settings.model_copy(update={"rider_places_days": 1})
    async with streaming(day, pool) as streams:
        await ride.tell(ride.fix(-2 * 24 * 60, HOME), received_at=ride.at(-2 * 24 * 60))
        await folded(streams, ride)
        assert await places_of(pool, ride) == [1, 1, 0]
        await streams.let_go()
        assert await places_of(pool, ride) == [0, 0, 0]
        await ride.tell(ride.fix(1 - 2 * 24 * 60, HOME), received_at=ride.at(1 - 2 * 24 * 60))
        await folded(streams, ride)
        assert await places_of(pool, ride) == [1, 1, 0], "what has waited as long is folded all the same"


async def test_a_rider_with_a_stop_ahead_gets_a_forecast_by_road(ride, settings, pool):
    task = await ride.give_a_stop()
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(30.2, HOME))
        await ride.tell(ride.fix(30.5, HOME))
        await folded(streams, ride)
    [forecast] = await ride.forecasts()
    assert (forecast.task_id, forecast.stop_id, forecast.source, forecast.model) == (task, "stop-2", "osrm", "factor-1")
    assert ride.at(30) < forecast.p10 < forecast.p50 < forecast.p90
    assert forecast.remaining_m >= 1_000


async def test_a_fix_from_before_the_stop_foretells_nothing_of_it(ride, settings, pool):
    await ride.give_a_stop()
    async with streaming(settings, pool) as streams:
        await ride.tell(ride.fix(5, HOME))
        await folded(streams, ride)
    assert await ride.forecasts() == []


async def test_the_fixes_of_a_trip_are_found_again_on_the_log_between_where_it_began_and_what_ended_it(
    ride, settings, pool
):
    def north(minute: float) -> Location:
        return Location(lat=HOME.lat + 0.005 * min(minute, 8), lon=HOME.lon)

    driven = [ride.fix(step / 6, north(step / 6)) for step in range(90)]
    async with streaming(settings, pool) as streams:
        await ride.tell(*driven[:30])
        await ride.tell(ride.fix(5.05, north(5), mock=True))
        await ride.tell(*driven[30:])
        await folded(streams, ride)
    [(stored, trip)] = [
        (stored, event) for stored in await ride.signals() if isinstance(event := event_of(stored, None), TripEnded)
    ]
    partition = partition_of(ride.rider, PARTITIONS)
    last = place_in(stored.header("causation_id") or "", partition)
    assert last is not None
    log = KafkaFrameLog({"bootstrap_servers": ride.world.kafka}, ride.world.cluster, now)
    first = await log.first_since(partition, trip.started_at - BEFORE)
    async with pool.connection() as connection:
        aside = await quarantine.of_rider(connection, ride.world.tenant, ride.rider, partition, first, last)
    assert len(aside) == 1
    wanted = Wanted(tenant=ride.world.tenant, rider_id=ride.rider, started_at=trip.started_at, ended_at=trip.ended_at)
    recorded = Recorded(wanted, aside, 1_000)
    async for frames in log.read(partition, first, last):
        recorded.take(frames)
    assert recorded.is_whole
    times = [held.fix.observed_at for held in driven]
    assert [point.observed_at for point in recorded.points] == [
        at for at in times if trip.started_at <= at <= trip.ended_at
    ]
