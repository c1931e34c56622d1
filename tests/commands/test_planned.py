"""What a plan's route does to its rider's road, and to its tasks."""

import pytest
from msgspec.structs import replace
from riding import KAMPPI, on_shift
from story import Story, minutes, nothing_yet

from schemas.itinerary import StopRef
from schemas.message import NotInThisState, PlanId, RiderId, StopId, TaskId
from schemas.rider import (
    ActivateReservation,
    FollowRoute,
    ItineraryResequenced,
    LockNextStop,
    NewPlannedStop,
    ReserveRider,
)
from schemas.stop import NewStop
from schemas.task import (
    AssignByPlan,
    AssignmentAccepted,
    AssignTask,
    CancelTask,
    CreateTask,
    HoldTask,
    TaskAssigned,
    TaskUnassigned,
)

PLAN = PlanId("plan-1")
ONE, TWO, THREE = (TaskId(name) for name in ("one", "two", "three"))
UP, DOWN = StopId("up"), StopId("down")
ANN, BOB = RiderId("ann"), RiderId("bob")


def road(*tasks: TaskId) -> Story:
    """Each is picked up and dropped before the next."""
    story = on_shift().where(max_active_tasks=10)
    for task in tasks:
        stops = [
            NewPlannedStop(stop_id=UP, kind="pickup", subject="s", location=KAMPPI),
            NewPlannedStop(stop_id=DOWN, kind="dropoff", subject="s", location=KAMPPI),
        ]
        story.when(ReserveRider(task_id=task, round=1, hold_until=minutes(5), stops=stops)).happened()
        story.when(ActivateReservation(task_id=task, round=1)).happened()
    return story


def refs(*stops: tuple[TaskId, StopId]) -> list[StopRef]:
    return [StopRef(task_id=task, stop_id=stop) for task, stop in stops]


def follow(*stops: tuple[TaskId, StopId], until: float = 1) -> FollowRoute:
    return FollowRoute(plan_id=PLAN, until=minutes(until), order=refs(*stops))


def after(story: Story, command: FollowRoute) -> list[tuple[TaskId, StopId]]:
    found = [event for event in story.when(command).decided() if isinstance(event, ItineraryResequenced)]
    order = found[0].order if found else [StopRef(task_id=s.task_id, stop_id=s.stop_id) for s in story.state.itinerary]
    return [(ref.task_id, ref.stop_id) for ref in order]


def test_the_road_comes_into_the_planned_order():
    wanted = ((TWO, UP), (ONE, UP), (ONE, DOWN), (TWO, DOWN))
    assert after(road(ONE, TWO), follow(*wanted)) == list(wanted)


def test_what_came_meanwhile_stays_behind_what_it_is_behind():
    planned = follow((TWO, UP), (TWO, DOWN), (ONE, UP), (ONE, DOWN))
    first_of_all = after(road(THREE, ONE, TWO), planned)
    assert first_of_all[:2] == [(THREE, UP), (THREE, DOWN)], "they are on it already"
    assert first_of_all[2:] == [(TWO, UP), (TWO, DOWN), (ONE, UP), (ONE, DOWN)]
    between = after(road(ONE, THREE, TWO), planned)
    assert between == [(TWO, UP), (TWO, DOWN), (ONE, UP), (ONE, DOWN), (THREE, UP), (THREE, DOWN)]


def test_what_is_gone_is_left_out_and_what_is_locked_stays_first():
    planned = follow((THREE, UP), (TWO, UP), (TWO, DOWN), (ONE, UP), (ONE, DOWN))
    assert after(road(ONE, TWO), planned)[:2] == [(TWO, UP), (TWO, DOWN)]
    locked = road(ONE, TWO)
    locked.when(LockNextStop(itinerary_version=locked.state.itinerary_version, reason_code="promised")).happened()
    assert after(locked, planned) == [(ONE, UP), (TWO, UP), (TWO, DOWN), (ONE, DOWN)]


def test_an_order_that_cannot_be_or_comes_too_late_changes_nothing():
    as_it_is = [(ONE, UP), (ONE, DOWN), (TWO, UP), (TWO, DOWN)]
    assert after(road(ONE, TWO), follow((ONE, DOWN), (ONE, UP), (TWO, UP), (TWO, DOWN))) == as_it_is
    assert after(road(ONE, TWO), follow((TWO, UP), (TWO, DOWN), (ONE, UP), (ONE, DOWN), until=0)) == as_it_is


def a_task(opens: float | None = None) -> Story:
    stops = [NewStop(kind="pickup"), NewStop(kind="dropoff", location=KAMPPI)]
    if opens is not None:
        stops[0] = replace(stops[0], goods_ready_at=minutes(opens))
    story = nothing_yet("task").when(CreateTask(kind="delivery", outlet="kamppi", stops=stops)).happened()
    return story.by("dora", "dispatcher")


def by_plan(rider: RiderId = ANN, number: int = 1, until: float = 1) -> AssignByPlan:
    return AssignByPlan(rider_id=rider, plan_id=PLAN, round=number, until=minutes(until))


def assigned(rider: RiderId, number: int) -> list[TaskAssigned | AssignmentAccepted]:
    at = minutes(0)
    known = TaskAssigned(
        rider_id=rider, round=number, tender_id=None, offer_id=None, assigned_at=at, plan_id=PLAN, passed_over=None
    )
    return [known, AssignmentAccepted(rider_id=rider)]


@pytest.mark.parametrize("opens", [None, 600.0])
def test_it_is_given_while_it_waits_and_before_it_comes_to_dispatch(opens: float | None):
    story = a_task(opens)
    story.when(by_plan()).then(*assigned(ANN, 1))
    story.happened().when(by_plan()).then()


def test_it_is_taken_from_who_has_not_begun_it():
    story = a_task().when(AssignTask(rider_id=BOB)).happened()
    taken = TaskUnassigned(rider_id=BOB, round=1, reason_code="replanned")
    story.when(by_plan(number=2)).then(taken, *assigned(ANN, 2))


def test_in_another_round_or_too_late_or_kept_back_it_is_not_given():
    a_task().when(by_plan(number=2)).refuses(NotInThisState)
    a_task().when(by_plan(until=0)).refuses(NotInThisState)
    a_task().when(HoldTask(reason_code="stock")).happened().when(by_plan()).refuses(NotInThisState)
    a_task(600).when(HoldTask(reason_code="stock")).happened().when(by_plan()).refuses(NotInThisState)
    a_task().when(CancelTask(reason_code="changed_mind")).happened().when(by_plan()).refuses(NotInThisState)
