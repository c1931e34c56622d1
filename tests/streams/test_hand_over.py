"""The rider who is to take over is reserved to the place where the two meet, with what is then aboard."""

from typing import Any

import pytest
from story import ACME, KAMPPI, minutes, source_of

from schemas import ids
from schemas.directory import TenantRules
from schemas.geo import Location
from schemas.hand_over import HandOverClosed, HandOverOffered, RefuseHandOver
from schemas.load import Load, Overload
from schemas.message import Personal, RiderId, Source, StopId, SubjectId, TaskId
from schemas.rider import (
    ActivateReservation,
    InsertStops,
    NewPlannedStop,
    ReleaseReservation,
    RemoveStops,
    ReserveRider,
)
from schemas.task import TaskAssigned
from streams.dispatch.hand_over import MEETING, hand_over, refuse
from streams.dispatch.tendering import KnownTask
from streams.process import NotAllowed, Step

BOB, TASK = RiderId("bob"), TaskId(ids.aggregate_id("task", ACME, "shop", "bread"))
CORNER = Location(lat=60.1650, lon=24.9380)
GOODS = Load(weight_g=900, volume_cm3=70, parcels=2)
GONE = Load(weight_g=-900, volume_cm3=-70, parcels=-2)
OVER = NewPlannedStop(stop_id=StopId("stop-1"), kind="pickup", subject="s", location=KAMPPI, load=GOODS)
DOOR = NewPlannedStop(stop_id=StopId("stop-2"), kind="dropoff", subject="s", location=KAMPPI, load=GONE)
OFFERED = HandOverOffered(
    from_rider=RiderId("ann"),
    to_rider=BOB,
    round=2,
    place=Personal(SubjectId("s"), CORNER),
    reason_code="puncture",
    expires_at=minutes(30),
)


class Known:
    def __init__(self, **changes: Any) -> None:
        known = {"task_id": TASK, "round": 1, "stops": [DOOR], "ahead": [DOOR], "aboard": GOODS, "meeting": CORNER}
        self._task = KnownTask(**(known | changes))

    async def task(self, tenant: str, task_id: str, source: Source) -> KnownTask:
        return self._task

    async def rules(self, tenant: str) -> TenantRules:
        return TenantRules()


async def follows(event: Any, **known: Any) -> list[Step]:
    rules = [rule for rule in hand_over(Known(**known)) if rule.fact is type(event)]  # type: ignore[arg-type]
    return [step for rule in rules for step in await rule.steps(event, source_of(TASK, version=7, actor="ann"))]


async def test_who_is_to_take_over_is_reserved_by_way_of_the_meeting():
    [step] = await follows(OFFERED)
    assert (step.kind, step.aggregate_id) == ("rider", BOB)
    reserve = step.command
    assert isinstance(reserve, ReserveRider)
    assert (reserve.round, reserve.hold_until, reserve.handed_over) == (2, minutes(35), True)
    assert [(stop.stop_id, stop.load) for stop in reserve.stops] == [(MEETING, GOODS), (StopId("stop-2"), GONE)]


@pytest.mark.parametrize("known", [{"meeting": None}, {"round": 2}])
async def test_what_is_over_already_reserves_nobody(known: dict[str, Any]):
    assert await follows(OFFERED, **known) == []


def test_a_rider_who_cannot_take_it_is_told_of_to_the_task():
    too_much = Overload(measure="weight_g", load=900, limit=800)
    [step] = refuse(
        OFFERED, source_of(TASK, version=7, actor="ann"), NotAllowed("cannot-reserve", "over_capacity", too_much)
    )
    assert (step.kind, step.aggregate_id) == ("task", TASK)
    assert step.command == RefuseHandOver(to_rider=BOB, reason_code="over_capacity", overload=too_much)


async def test_an_offer_that_is_over_frees_the_rider():
    [step] = await follows(HandOverClosed(to_rider=BOB, round=2, end="declined", reason_code=None))
    assert step.command == ReleaseReservation(task_id=TASK, round=2, reason_code="not_handed_over")


async def test_who_has_the_goods_is_reserved_whatever_is_said_against_it_and_goes_on_from_there():
    taken = TaskAssigned(rider_id=BOB, round=2, tender_id=None, offer_id=None, handed_over=True)
    steps = [step.command for step in await follows(taken, round=2, stops=[OVER, DOOR])]
    assert isinstance(steps[0], ReserveRider)
    assert (steps[0].has_goods, steps[0].round, steps[0].stops) == (True, 2, [DOOR])
    assert steps[1:] == [
        ActivateReservation(task_id=TASK, round=2),
        RemoveStops(task_id=TASK, round=2, reason_code="met", stop_ids=[MEETING, OVER.stop_id]),
        InsertStops(task_id=TASK, round=2, stops=[DOOR]),
    ]


@pytest.mark.parametrize("known", [{"round": 3}, {"round": 2, "ahead": []}])
async def test_what_has_gone_on_since_is_left_alone(known: dict[str, Any]):
    taken = TaskAssigned(rider_id=BOB, round=2, tender_id=None, offer_id=None, handed_over=True)
    assert await follows(taken, **known) == []


async def test_an_order_or_a_claim_is_not_its_business():
    assert await follows(TaskAssigned(rider_id=BOB, round=2, tender_id=None, offer_id=None)) == []
