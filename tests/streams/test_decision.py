"""A decision on whom to ask: by which time it is made."""

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace
from story import ACME, KAMPPI, NOON, minutes

from schemas.directory import TenantRules
from schemas.geo import Location
from schemas.load import Load
from schemas.message import OfferId, RiderId, Source, StopId, TaskId, TenantSlug, TenderId
from schemas.rider import NewPlannedStop
from schemas.tender import Candidate, OpenTender
from streams.dispatch.candidates import Document, KnownRider, Travel
from streams.dispatch.decision import Decision, offers
from streams.dispatch.tendering import KnownTask

PICKUP = NewPlannedStop(stop_id=StopId("stop-1"), kind="pickup", subject="s", location=KAMPPI)
TASK = KnownTask(task_id=TaskId("task-1"), round=1, stops=[PICKUP], ahead=[PICKUP])
UNTIL_ONE = Document(kind="licence", verified=True, valid_from=minutes(-60), expires_at=minutes(60))


class Known:
    """What is known while Ann is at work, who may drive until one o'clock."""

    async def task(self, tenant: TenantSlug, task_id: str, source: Source) -> KnownTask:
        return TASK

    async def rules(self, tenant: TenantSlug) -> TenantRules:
        return TenantRules(required_documents=["licence"], offer_seconds=60)

    async def claimed(self, tender: TenderId, offer: OfferId, source: Source) -> bool:
        return False

    async def riders(self, tenant: TenantSlug) -> Sequence[KnownRider]:
        ann = KnownRider(
            rider_id=RiderId("ann"),
            status="approved",
            documents=[UNTIL_ONE],
            shift_ends_at=minutes(60),
            on_break=False,
            silent=False,
            hours_end_at=None,
            capacity_g=5_000,
            tasks=0,
            offers=0,
            place=KAMPPI,
            seen_at=None,
        )
        return [ann]

    async def declined(self, tenant: TenantSlug, task_id: str) -> frozenset[str]:
        return frozenset()

    async def documents_of_vehicles(self, tenant: TenantSlug) -> Sequence[str]:
        return ()

    async def zones(self, tenant: TenantSlug, places: Sequence[Location], at: datetime) -> Sequence[frozenset[str]]:
        return [frozenset() for _ in places]

    async def policy_version(self, tenant: TenantSlug) -> int:
        return 1

    async def travel(self, riders: Sequence[KnownRider], goal: Location) -> dict[RiderId, Travel]:
        return {rider.rider_id: Travel(60.0, "osrm") for rider in riders}


def dispatchable(at: datetime) -> Source:
    return Source(
        event_id="e-1",
        tenant=ACME,
        outlet=None,
        aggregate_id="task-1",
        version=2,
        event_time=at,
        recorded_at=at,
        actor="shop",
        command_id="c-1",
        correlation_id="c-1",
        topic="logistics.task",
        partition=0,
        offset=1,
    )


async def decided(clock: datetime, asked_at: datetime) -> OpenTender:
    known = Known()
    opening = await Decision(known, known, known, lambda tenant: clock)(TASK, 1, dispatchable(asked_at))
    assert opening is not None
    return opening


async def test_it_is_made_now_however_old_the_fact_that_asks():
    [offer] = (await decided(clock=minutes(30), asked_at=NOON)).offers
    assert (offer.rider_id, offer.expires_at) == ("ann", minutes(31))


async def test_it_is_not_made_before_the_fact_that_asks_where_the_clock_was_advanced_and_nobody_has_said_so_here():
    opening = await decided(clock=NOON, asked_at=minutes(61))
    assert [(each.rider_id, each.code) for each in opening.excluded] == [("ann", "document_expired")]
    [offer] = (await decided(clock=NOON, asked_at=minutes(10))).offers
    assert offer.expires_at == minutes(11)


def test_a_direct_tender_asks_the_best_and_a_broadcast_so_many_at_once():
    candidates = [
        Candidate(rider_id=RiderId(name), rank=rank, travel_s=60, distance_m=1, source="osrm")
        for rank, name in enumerate(("ann", "bob", "cyd"), start=1)
    ]
    direct, both = TenantRules(), TenantRules(tender_mode="broadcast", broadcast_size=2)
    assert [offer.rider_id for offer in offers(TASK, 1, candidates, direct, NOON)] == ["ann"]
    assert [offer.rider_id for offer in offers(TASK, 1, candidates, both, NOON)] == ["ann", "bob"]


async def test_of_a_round_that_is_past_or_a_task_with_nothing_ahead_nobody_is_asked():
    known = Known()
    decision = Decision(known, known, known, lambda tenant: NOON)
    assert await decision(TASK, 2, dispatchable(NOON)) is None
    assert await decision(replace(TASK, ahead=[]), 1, dispatchable(NOON)) is None


async def test_the_same_is_decided_by_the_same_hash_and_another_input_has_another():
    first, again = await decided(NOON, NOON), await decided(minutes(1), NOON)
    assert first.input_hash == again.input_hash
    known = Known()
    decision = Decision(known, known, known, lambda tenant: NOON)
    other = await decision(replace(TASK, ahead=[replace(PICKUP, load=Load(weight_g=1))]), 1, dispatchable(NOON))
    assert other is not None
    assert other.input_hash != first.input_hash
