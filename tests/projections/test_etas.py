"""A stop's forecast and its fate come from two topics: in whatever order they come, the row is the same."""

import asyncio
import itertools
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from psycopg_pool import AsyncConnectionPool
from story import NOON, minutes

from projections.etas import ETAS, EtaRow
from projections.fence_alerts import FENCE_ALERTS, FenceAlertRow
from projections.folding import Parked, folded
from projections.model import Fact, ReadModel
from projections.rows import fold_into, load
from projections.tables import migrate
from schemas import catalog
from schemas.geo import Window
from schemas.goods import Party
from schemas.message import Event, GeofenceId, OutletSlug, RiderId, StopId, TaskId, TenantSlug
from schemas.record import Stored, derived_headers, envelope_of, source_of
from schemas.signals import EtaForecast, GeofenceDwelled, GeofenceEntered, GeofenceTransitionCorrected
from schemas.stop import Stop
from schemas.stop_events import ReattemptPlanned, StopCompleted, StopFailed
from schemas.task import TaskCreated

TASK = TaskId("task-1")
STOP = StopId("stop-2")


def fact(event: Event, at: datetime, event_id: str, subject: str) -> Fact:
    headers = derived_headers(
        event_id=event_id,
        type_name=catalog.BY_CLASS[type(event)].name,
        source="/logistics/test/stream/0",
        event_time=at,
        recorded_at=at,
        subject=subject,
        tenant="acme",
        actor="telemetry",
        epoch=1,
    )
    stored = Stored("logistics.signals", 0, 0, subject.encode(), b"", headers)
    return Fact(event, source_of(envelope_of(stored), stored), envelope_of(stored), stored)


def eta(minute: float, rider: str = "ann") -> Fact:
    forecast = EtaForecast(
        task_id=TASK,
        stop_id=STOP,
        p10=minutes(minute + 5),
        p50=minutes(minute + 10),
        p90=minutes(minute + 20),
        remaining_m=1_000,
        model="factor-1",
        source="osrm",
        ahead_since=NOON,
    )
    return fact(forecast, minutes(minute), f"{rider}-{minute}", rider)


THERE = Stop(
    stop_id=STOP,
    kind="dropoff",
    party=Party(kind="recipient"),
    location=None,
    address=None,
    contact=None,
    window=Window(start=NOON, end=minutes(30)),
    service_seconds=60,
    goods_ready_at=None,
    required_proof=[],
    minimum_age=None,
    pin_hash=None,
)


def created() -> Fact:
    event = TaskCreated(
        kind="delivery",
        outlet=OutletSlug("kamppi"),
        priority="normal",
        stops=[THERE],
        parcels=[],
        return_proof=[],
        authorisation=None,
        on_hold=False,
        required_skills=[],
        sla=None,
        external_reference=None,
        source="shop",
        shipment_id=None,
        metadata={},
        tracking_code="CV-20260301-ABCDEF",
        tracking_token_hash="",
        max_attempts=2,
        arrival_radius_m=150,
        pin_attempts=5,
        dispatch_lead_s=900,
    )
    return fact(event, NOON, "created", TASK)


def completed() -> Fact:
    return fact(StopCompleted(stop_id=STOP, rider_id=RiderId("ann"), round=1), minutes(25), "completed", TASK)


def rows(model: ReadModel, facts: list[Fact]) -> dict[tuple[object, ...], object]:
    parked = Parked()
    kept, _ = folded(model, facts, {}, parked)
    assert not parked.fresh
    return kept


def test_the_row_is_the_same_however_the_topics_interleave():
    task, ann, bob = [created(), completed()], [eta(1), eta(3), eta(5)], [eta(3, "bob")]
    orders = set(itertools.permutations("ttaaab"))
    folded_rows = []
    for order in orders:
        queues = {"t": list(task), "a": list(ann), "b": list(bob)}
        folded_rows.append(rows(ETAS, [queues[which].pop(0) for which in order]))
    assert len(orders) == 60
    assert all(each == folded_rows[0] for each in folded_rows)
    [row] = folded_rows[0].values()
    assert isinstance(row, EtaRow)
    assert (row.p50, row.first_p50, row.ended, row.window_end) == (minutes(15), minutes(11), "completed", minutes(30))


def another_attempt() -> list[Fact]:
    """The stop fails, and is ahead again twelve minutes after noon."""
    failed = StopFailed(stop_id=STOP, rider_id=RiderId("ann"), round=1, reason_code="nobody")
    again = ReattemptPlanned(
        pickup=replace(THERE, stop_id=StopId("again-1"), kind="pickup"),
        parcel_ids=[],
        stop_ids=[STOP],
        window=Window(start=NOON, end=minutes(60)),
        reason_code="asked",
    )
    return [fact(failed, minutes(10), "failed", TASK), fact(again, minutes(12), "again", TASK)]


@pytest.mark.parametrize("after", [[], [20, 22]], ids=["not forecast since", "forecast since"])
def test_another_attempt_is_forecast_anew_however_the_topics_interleave(after: list[float]):
    task, ann = [created(), *another_attempt()], [eta(minute) for minute in (1, 5, *after)]
    folded_rows = []
    for order in set(itertools.permutations("t" * len(task) + "a" * len(ann))):
        queues = {"t": list(task), "a": list(ann)}
        folded_rows.append(rows(ETAS, [queues[which].pop(0) for which in order])["acme", TASK, STOP])
    assert all(each == folded_rows[0] for each in folded_rows)
    row = folded_rows[0]
    assert isinstance(row, EtaRow)
    assert (row.ended, row.window_end, row.first_p50) == (None, minutes(60), None)
    assert row.p50 == (minutes(32) if after else None)
    assert row.rider_id == ("ann" if after else None)


@given(st.permutations(range(6)))
def test_the_latest_forecast_stands_and_the_first_is_kept(order):
    [row] = rows(ETAS, [eta(minute) for minute in order]).values()
    assert isinstance(row, EtaRow)
    assert (row.forecast_at, row.first_forecast_at) == (minutes(5), NOON)


def test_a_correction_moves_the_transition_that_was_told_first():
    at = NOON + timedelta(minutes=5)
    entered = GeofenceEntered(geofence_id=GeofenceId("f"), device_id="phone", at=at, fix=None, late=False)
    corrected = GeofenceTransitionCorrected(
        supersedes="s-1", geofence_id=GeofenceId("f"), transition="entered", at=NOON
    )
    gone = GeofenceTransitionCorrected(supersedes="s-1", geofence_id=GeofenceId("f"), transition="entered", at=None)
    facts = [fact(entered, at, "s-1", "ann"), fact(corrected, NOON, "s-2", "ann")]
    [row] = rows(FENCE_ALERTS, facts).values()
    assert isinstance(row, FenceAlertRow)
    assert (row.state, row.at, row.told_at) == ("moved", NOON, at)
    [row] = rows(FENCE_ALERTS, [*facts, fact(gone, NOON, "s-3", "ann")]).values()
    assert isinstance(row, FenceAlertRow)
    assert (row.state, row.at) == ("withdrawn", NOON)


def test_of_who_stayed_it_is_known_since_when_as_it_stands_now():
    at = NOON + timedelta(minutes=5)
    stayed = GeofenceDwelled(geofence_id=GeofenceId("f"), device_id="phone", since=NOON, at=at, late=False)
    sooner = GeofenceTransitionCorrected(
        supersedes="s-1", geofence_id=GeofenceId("f"), transition="dwelled", since=minutes(-1), at=minutes(4)
    )
    facts = [fact(stayed, at, "s-1", "ann"), fact(sooner, NOON, "s-2", "ann")]
    [row] = rows(FENCE_ALERTS, facts[:1]).values()
    assert isinstance(row, FenceAlertRow)
    assert (row.transition, row.since, row.at) == ("dwelled", NOON, at)
    [row] = rows(FENCE_ALERTS, facts).values()
    assert isinstance(row, FenceAlertRow)
    assert (row.state, row.since, row.at, row.told_at) == ("moved", minutes(-1), minutes(4), at)


def test_tenants_do_not_share_rows():
    assert {TenantSlug(str(key[0])) for key in rows(ETAS, [eta(1)])} == {"acme"}


async def test_two_projectors_that_fold_into_one_row_take_turns(postgres: str):
    """One has the task's partition, the other the rider's; each would write the row as it was without the other's."""
    async with AsyncConnectionPool(postgres, min_size=2, max_size=2, open=False) as pool:
        async with pool.connection() as connection:
            await migrate(connection, [ETAS])
        slow_has_loaded, other_waits = asyncio.Event(), asyncio.Event()

        async def fold(facts: list[Fact], before_commit: asyncio.Event | None = None) -> None:
            async with pool.connection() as connection, connection.transaction(), connection.cursor() as cursor:
                await fold_into(cursor, ETAS, ETAS.physical, facts, Parked())
                if before_commit is not None:
                    slow_has_loaded.set()
                    await before_commit.wait()

        await fold([created()])
        slow = asyncio.create_task(fold([eta(1)], other_waits))
        await slow_has_loaded.wait()
        other = asyncio.create_task(fold([completed()]))
        await asyncio.sleep(0.2)
        assert not other.done()
        other_waits.set()
        await asyncio.gather(slow, other)
        async with pool.connection() as connection, connection.cursor() as cursor:
            [row] = (await load(cursor, ETAS, ETAS.physical, ETAS.keys(created()))).values()
    assert (row.p50, row.ended) == (minutes(11), "completed")


async def test_nor_do_two_make_the_same_row_at_once(postgres: str):
    async with AsyncConnectionPool(postgres, min_size=2, max_size=2, open=False) as pool:
        async with pool.connection() as connection:
            await migrate(connection, [ETAS])
        both = asyncio.Barrier(2)

        async def fold(facts: list[Fact]) -> None:
            async with pool.connection() as connection, connection.transaction(), connection.cursor() as cursor:
                await both.wait()
                await fold_into(cursor, ETAS, ETAS.physical, facts, Parked())

        await asyncio.gather(fold([created()]), fold([eta(1)]))
        async with pool.connection() as connection, connection.cursor() as cursor:
            [row] = (await load(cursor, ETAS, ETAS.physical, ETAS.keys(created()))).values()
    assert (row.p50, row.window_end) == (minutes(11), minutes(30))
