"""What follows from a plan that is being committed, by what the read models say of it: nothing twice."""

from typing import Any

import pytest
from asked_of_dispatch import proposed_as, route
from reception import House
from story import NOON, source_of

from infra.lookups import Lookups
from schemas.message import PlanId, RiderId, TaskId
from schemas.plan import (
    CommitPlan,
    RefuseRoute,
    RequestPlan,
    RouteCommitStarted,
    SettlePlannedTask,
)
from schemas.record import event_of
from schemas.rider import RiderReserved
from streams.planning.committing import committing
from streams.process import NotNow

ANN, BOB, PLAN = RiderId("ann"), RiderId("bob"), PlanId("plan-1")
ONE, TWO, THREE = TaskId("one"), TaskId("two"), TaskId("three")


class Waves:
    def __init__(self, house: House, models: Any) -> None:
        self.house, self.models = house, models
        self.lookups = Lookups(house.door.pool, house.policy, house.keyring, house.door.partitions, lambda: house.now)

    async def waits(self, of: RiderId | TaskId, version: int = 1) -> bool:
        await self.models.fold()
        return await self.lookups.plan_waits(PLAN, of, source_of(PLAN, version))


@pytest.fixture
async def waves(library) -> Waves:
    house, models = library
    await house.settle()
    proposal = proposed_as([route(ANN, [ONE, TWO], NOON), route(BOB, [THREE], NOON)], NOON)
    for command in (RequestPlan(), proposal, CommitPlan()):
        await house.process("plan", PLAN, command)
    return Waves(house, models)


async def test_a_plan_waits_until_it_is_said_what_became_of_a_route_and_of_a_task(waves: Waves):
    assert [await waves.waits(each) for each in (ANN, BOB, ONE, TWO, THREE)] == [True] * 5
    await waves.house.process("plan", PLAN, RefuseRoute(rider_id=BOB, reason_code="on_break"))
    await waves.house.process("plan", PLAN, SettlePlannedTask(task_id=ONE, given=True))
    assert [await waves.waits(each) for each in (ANN, BOB, ONE, TWO, THREE)] == [True, False, False, True, False]


async def test_of_a_plan_that_is_not_known_yet_nothing_is_said(waves: Waves):
    with pytest.raises(NotNow, match="plan plan-1 is not yet known as of version 99"):
        await waves.waits(ANN, version=99)


async def test_a_route_that_was_refused_is_not_reserved_when_its_fact_is_read_again(waves: Waves):
    """The rider may be free by then."""
    by_fact = {rule.fact: rule for rule in committing(waves.lookups)}
    await waves.house.process("plan", PLAN, RefuseRoute(rider_id=BOB, reason_code="on_break"))
    await waves.models.fold()
    told = [event_of(stored, None) for stored in waves.house.desk.log]
    [started] = [event for event in told if isinstance(event, RouteCommitStarted) and event.rider_id == BOB]
    assert await by_fact[RouteCommitStarted].steps(started, source_of(PLAN)) == []
    reserved = RiderReserved(
        task_id=THREE,
        round=1,
        tender_id=None,
        offer_id=None,
        plan_id=PLAN,
        hold_until=NOON,
        handed_over=False,
        stops=[],
    )
    assert await by_fact[RiderReserved].steps(reserved, source_of(BOB)) == []
    of_ann = RiderReserved(
        task_id=TWO, round=1, tender_id=None, offer_id=None, plan_id=PLAN, hold_until=NOON, handed_over=False, stops=[]
    )
    assert [step.purpose for step in await by_fact[RiderReserved].steps(of_ann, source_of(ANN))] == [
        "narrow-route",
        "assign-planned",
    ]
