"""A decision on whom to ask: by which time it is made."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
from choosing import km, rider, rules, stop
from msgspec.structs import replace
from story import KAMPPI, NOON, minutes, source_of

from schemas.directory import TenantRules
from schemas.dispatch_rules import DispatchRules, TenderStep
from schemas.geo import Location
from schemas.load import Load
from schemas.message import OfferId, RiderId, Source, StopId, TaskId, TenantSlug, TenderId
from schemas.rider import NewPlannedStop
from schemas.tender import Candidate, OpenTender
from streams.dispatch.choice import step_of, with_offers
from streams.dispatch.decision import Decision
from streams.dispatch.known import Document, KnownRider, Seen
from streams.dispatch.tendering import KnownTask
from streams.routing.measured import Measured

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

    async def riders(self, tenant: TenantSlug, rules: TenantRules) -> Sequence[Seen]:
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
            seen_at=None,
        )
        return [Seen(rider=ann, here=KAMPPI)]

    async def declined(self, tenant: TenantSlug, task_id: str) -> frozenset[RiderId]:
        return frozenset()

    async def documents_of_vehicles(self, tenant: TenantSlug) -> Sequence[str]:
        return ()

    async def zones(self, tenant: TenantSlug, places: Sequence[Location], at: datetime) -> Sequence[frozenset[str]]:
        return [frozenset() for _ in places]

    async def policy_version(self, tenant: TenantSlug) -> int:
        return 1

    async def matrix(self, tenant: TenantSlug, origins: Sequence[Location], goals: Sequence[Location]) -> Measured:
        minute = np.full((len(origins), len(goals)), 60.0)
        return Measured(minute, minute * 8, "osrm")


async def decided(clock: datetime, asked_at: datetime) -> OpenTender:
    known = Known()
    opening = await Decision(known, known, known, lambda tenant: clock)(TASK, 1, source_of("task-1", at=asked_at))
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


ABLE = [
    Candidate(rider_id=RiderId(name), rank=rank, travel_s=60, distance_m=1, source="osrm")
    for rank, name in enumerate(("ann", "bob", "cyd", "dan"), start=1)
]


def asked(**step: Any) -> OpenTender:
    opening = OpenTender(
        task_id=TASK.task_id,
        round=1,
        mode=step["mode"],
        candidates=ABLE,
        excluded=[],
        offers=[],
        policy_version=1,
        input_hash="h",
        solver="s",
    )
    return with_offers(opening, TenderStep(**step), NOON)


def at_once(opening: OpenTender) -> list[str]:
    return [offer.rider_id for offer in opening.offers]


def next_ones(opening: OpenTender) -> list[str]:
    return [] if opening.queue is None else [offer.rider_id for offer in opening.queue.waiting]


def test_a_direct_tender_asks_the_best_and_a_broadcast_so_many_at_once():
    direct, both = asked(mode="direct"), asked(mode="broadcast", size=2)
    assert (at_once(direct), next_ones(direct)) == (["ann"], [])
    assert (at_once(both), next_ones(both)) == (["ann", "bob"], [])


def test_a_waterfall_asks_one_after_the_other_and_a_ranked_tender_batch_after_batch():
    waterfall, ranked = asked(mode="waterfall", seconds=30), asked(mode="ranked", size=2)
    assert (at_once(waterfall), next_ones(waterfall)) == (["ann"], ["bob", "cyd", "dan"])
    assert waterfall.queue is not None
    assert (waterfall.queue.at_once, waterfall.queue.seconds) == (1, 30)
    assert (at_once(ranked), next_ones(ranked)) == (["ann", "bob"], ["cyd", "dan"])


def test_who_may_claim_it_themselves_are_all():
    assert at_once(asked(mode="self_claim")) == ["ann", "bob", "cyd", "dan"]


def test_bids_are_taken_as_long_as_the_offers_stand():
    opening = asked(mode="bid", size=3, seconds=90)
    assert at_once(opening) == ["ann", "bob", "cyd"]
    assert opening.bids_until == minutes(1.5)
    assert {offer.expires_at for offer in opening.offers} == {minutes(1.5)}


def test_each_round_asks_as_its_step_says_and_the_last_step_holds_for_all_that_follow():
    steps = [TenderStep(mode="direct"), TenderStep(mode="broadcast", size=9)]
    rules = TenantRules(tender_mode="bid", dispatch=DispatchRules(steps=steps))
    assert [step_of(rules, task_round).mode for task_round in (1, 2, 3)] == ["direct", "broadcast", "broadcast"]
    plain = TenantRules(tender_mode="broadcast", broadcast_size=5, offer_seconds=45)
    assert step_of(plain, 7) == TenderStep(mode="broadcast", size=5, seconds=45)


class Crowd(Known):
    """Forty riders, of whom the nearest cannot be there in time."""

    def __init__(self, able_from: int) -> None:
        self.able_from, self.asked = able_from, 0
        self.places = [km(0.01 * number) for number in range(40)]

    async def rules(self, tenant: TenantSlug) -> TenantRules:
        return rules(filters={"max_travel_seconds": 60})

    async def riders(self, tenant: TenantSlug, rules: TenantRules) -> Sequence[Seen]:
        return [rider(f"r-{number:02}", place) for number, place in enumerate(self.places)]

    async def matrix(self, tenant: TenantSlug, origins: Sequence[Location], goals: Sequence[Location]) -> Measured:
        self.asked += 1
        slow = [61.0 if place in self.places[: self.able_from] else 59.0 for place in origins]
        seconds = np.repeat(np.array(slow)[:, None], len(goals), axis=1)
        return Measured(seconds, seconds, "osrm")


async def opened(crowd: Crowd) -> OpenTender:
    opening = await Decision(crowd, crowd, crowd, lambda tenant: NOON)(at(km(0)), 1, source_of("task-1"))
    assert opening is not None
    return opening


def at(place: Location) -> KnownTask:
    stop = replace(PICKUP, location=place)
    return replace(TASK, stops=[stop], ahead=[stop])


async def test_where_the_first_who_are_looked_at_are_of_no_use_the_next_are():
    near, middling = Crowd(able_from=0), Crowd(able_from=20)
    opening = await opened(near)
    assert (near.asked, len(opening.candidates), len(opening.others.rider_ids)) == (1, 15, 25)
    opening = await opened(middling)
    assert (middling.asked, opening.candidates[0].rider_id) == (2, "r-20")
    assert (len(opening.candidates), len(opening.excluded), len(opening.others.rider_ids)) == (10, 20, 10)


async def test_who_may_claim_it_themselves_are_looked_for_until_there_are_fifty_or_nobody_is_left():
    class Open(Crowd):
        async def rules(self, tenant: TenantSlug) -> TenantRules:
            return rules(steps=[TenderStep(mode="self_claim")])

    assert len((await opened(Open(able_from=0))).offers) == 40


async def test_a_rider_from_whom_the_task_was_taken_a_moment_ago_is_asked_as_if_it_were_not_there_any_more():
    class Late(Crowd):
        async def riders(self, tenant: TenantSlug, rules: TenantRules) -> Sequence[Seen]:
            still_there = stop("task-1", "pickup", name=PICKUP.stop_id)
            return [rider("ann", km(1), (still_there, km(0)), (stop("other", "dropoff"), km(2)))]

        async def matrix(self, tenant: TenantSlug, origins: Sequence[Location], goals: Sequence[Location]) -> Measured:
            return Measured(*(np.ones((len(origins), len(goals))) for _ in range(2)), "osrm")

    opening = await opened(Late(able_from=0))
    assert [each.rider_id for each in opening.candidates] == ["ann"]


async def test_where_nobody_is_of_use_all_are_looked_at_and_then_it_ends():
    nobody = Crowd(able_from=40)
    opening = await opened(nobody)
    assert nobody.asked == 3
    assert (opening.offers, len(opening.excluded), opening.others.rider_ids) == ([], 40, [])


async def test_a_decision_that_is_asked_for_again_by_the_same_fact_is_not_made_again_at_once():
    crowd = Crowd(able_from=0)
    decision = Decision(crowd, crowd, crowd, lambda tenant: NOON)
    first = await decision(at(km(0)), 1, source_of("task-1"))
    assert await decision(at(km(0)), 1, source_of("task-1")) is first
    assert crowd.asked == 1
    other = msgspec.structs.replace(source_of("task-1"), event_id="e-2")
    assert await decision(at(km(0)), 1, other) is not first


async def test_of_a_round_that_is_past_or_a_task_that_somebody_has_or_with_nothing_ahead_nobody_is_asked():
    known = Known()
    decision = Decision(known, known, known, lambda tenant: NOON)
    assert await decision(TASK, 2, source_of("task-1")) is None
    assert await decision(replace(TASK, ahead=[]), 1, source_of("task-1")) is None
    assert await decision(replace(TASK, settled=True), 1, source_of("task-1")) is None


async def test_the_same_is_decided_by_the_same_hash_and_another_input_has_another():
    first, again = await decided(NOON, NOON), await decided(minutes(1), NOON)
    assert first.input_hash != again.input_hash, "a minute has passed"
    assert first.input_hash == (await decided(NOON, NOON)).input_hash
    known = Known()
    decision = Decision(known, known, known, lambda tenant: NOON)
    other = await decision(replace(TASK, ahead=[replace(PICKUP, load=Load(weight_g=1))]), 1, source_of("task-1"))
    assert other is not None
    assert other.input_hash != first.input_hash
