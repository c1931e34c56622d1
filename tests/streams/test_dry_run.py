"""A task decided on by two sets of rules: from the same, whatever happens meanwhile."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from choosing import TASK, km, rider, rules
from story import ACME, NOON

from schemas.directory import TenantRules
from schemas.geo import Location
from schemas.message import RiderId, StopId, TaskId, TenantSlug
from schemas.rider import NewPlannedStop
from schemas.tender import Exclusion
from streams.dispatch.decision import DECISIONS
from streams.dispatch.dry_run import DryRun, Would
from streams.dispatch.known import KnownCarrier, Seen
from streams.dispatch.tendering import KnownTask
from streams.routing.great_circle import straight_matrix
from streams.routing.measured import Measured

HERE = NewPlannedStop(stop_id=StopId("stop-1"), kind="pickup", subject="s", location=km(0))
WAITS = KnownTask(task_id=TASK, round=1, stops=[HERE], ahead=[HERE])


class Restless:
    """Whoever looks again sees riders further off, and hears of longer ways."""

    def __init__(self, **changes: Any) -> None:
        self.looked = self.asked = 0
        self.changes = changes

    async def riders(self, tenant: TenantSlug, rules: TenantRules) -> Sequence[Seen]:
        self.looked += 1
        return [rider("ann", km(1.0 * self.looked), **self.changes), rider("bob", km(2.0 * self.looked), rating=5.0)]

    async def declined(self, tenant: TenantSlug, task_id: str) -> frozenset[RiderId]:
        return frozenset()

    async def carriers(self, tenant: TenantSlug, task_id: TaskId) -> Sequence[KnownCarrier]:
        return []

    async def documents_of_vehicles(self, tenant: TenantSlug) -> Sequence[str]:
        return ()

    async def zones(self, tenant: TenantSlug, places: Sequence[Location], at: datetime) -> Sequence[frozenset[str]]:
        return [frozenset() for _ in places]

    async def policy_version(self, tenant: TenantSlug) -> int:
        return 1

    async def matrix(self, tenant: TenantSlug, origins: Sequence[Location], goals: Sequence[Location]) -> Measured:
        self.asked += 1
        straight = straight_matrix(origins, goals)
        return Measured(straight.seconds * self.asked, straight.metres, "osrm")


def ranked(would: Would) -> list[tuple[str, float]]:
    return [(each.rider_id, each.score) for each in would.opening.candidates]


def why_not(would: Would) -> list[tuple[str, Exclusion]]:
    return [(each.rider_id, each.code) for each in would.opening.excluded]


async def test_it_rests_on_the_same_riders_and_ways_by_either_rules_and_for_each_task():
    world = Restless()
    dry_run = DryRun(ACME, NOON, world, world)
    first, again = [await dry_run.by_both(WAITS, rules(), rules(), ()) for _ in range(2)]
    assert [rider_id for rider_id, _ in ranked(first.in_force)] == ["ann", "bob"]
    for other in (first.given, again.in_force, again.given):
        assert other == first.in_force
    assert world.looked == 1


async def test_each_is_decided_by_its_own_rules():
    world = Restless()
    by_rating = rules(weights={"rating": 100_000})
    both = await DryRun(ACME, NOON, world, world).by_both(WAITS, rules(), by_rating, ())
    assert [ranked(each)[0][0] for each in (both.in_force, both.given)] == ["ann", "bob"]


async def test_riders_are_seen_again_where_declines_count_for_another_time():
    world = Restless()
    longer = rules({"max_declines": 3, "decline_minutes": 600})
    await DryRun(ACME, NOON, world, world).by_both(WAITS, rules({"max_declines": 3}), longer, ())
    assert world.looked == 2


@pytest.mark.parametrize(("offers", "why"), [(1, []), (2, [("ann", "reserved_elsewhere")])])
async def test_an_offer_of_the_task_itself_keeps_nobody_away_and_any_other_does(offers: int, why: list[Any]):
    world = Restless(offers=offers)
    both = await DryRun(ACME, NOON, world, world).by_both(WAITS, rules(), rules(), [RiderId("ann")])
    assert why_not(both.in_force) == why


async def test_it_counts_as_no_decision():
    def counted() -> list[float]:
        return [each.value for metric in DECISIONS.collect() for each in metric.samples]

    before, world = counted(), Restless()
    both = await DryRun(ACME, NOON, world, world).by_both(WAITS, rules(), rules(), ())
    assert both.in_force.opening.offers
    assert counted() == before
