"""A task that is settled while its processes are behind: what was begun for it comes to an end."""

import pytest
from msgspec.structs import replace
from story import KAMPPI, NOON
from town import RIDERS, Town

from commands.plan import Over as Settled
from commands.task_state import CreatedTask
from commands.tender import Open, Over
from schemas.ids import tender_id
from schemas.message import Command, StopId, TaskId
from schemas.plan import PlannedRoute, PlannedVisit, ProposePlan, RequestPlan, RoutedTask
from schemas.stop import NewStop
from schemas.task import AssignTask, CancelTask, CreateTask, HoldTask, ReleaseTask

TASK = TaskId("task-1")
TENDER = tender_id(TASK, 1)
ORDER = AssignTask(rider_id=RIDERS[0])


@pytest.fixture
def town() -> Town:
    """With a task that nobody has looked at, and riders who are all asked."""
    made = Town()
    made.whom = lambda: RIDERS
    stops = [NewStop(kind="pickup"), NewStop(kind="dropoff", location=KAMPPI)]
    assert made.ask("task", TASK, CreateTask(kind="delivery", outlet="kamppi", stops=stops))
    return made


def asked(town: Town, command: Command) -> None:
    assert town.ask("task", TASK, command, "dora", "dispatcher")


def the_task(town: Town) -> CreatedTask:
    state = town.state(TASK)
    assert isinstance(state, CreatedTask)
    return state


def test_a_tender_for_a_task_that_was_cancelled_before_it_knew_of_it_is_withdrawn(town: Town):
    town.decides(TASK)
    asked(town, CancelTask(reason_code="changed_mind"))
    town.comes_to_rest()
    assert town.state(TENDER) == Over("withdrawn")


@pytest.mark.parametrize("settles", [ORDER, CancelTask(reason_code="changed_mind")])
def test_for_a_task_that_was_settled_before_it_is_decided_on_nobody_is_asked(town: Town, settles: Command):
    asked(town, settles)
    town.comes_to_rest()
    assert town.state(TENDER) is None


def test_one_that_is_held_while_it_is_offered_stays_offered_however_often_its_fact_is_followed(town: Town):
    town.comes_to_rest()
    asked(town, HoldTask(reason_code="stock"))
    for _ in range(20):  # what it reads may be behind
        town.all_start_again()
        town.comes_to_rest()
    assert isinstance(town.state(TENDER), Open)
    assert the_task(town).tender_id == TENDER


def test_one_that_is_held_before_it_is_decided_on_is_once_it_is_released(town: Town):
    asked(town, HoldTask(reason_code="stock"))
    town.comes_to_rest()
    assert town.state(TENDER) is None
    asked(town, ReleaseTask(reason_code="stock"))
    town.comes_to_rest()
    assert the_task(town).round == 2
    assert isinstance(town.state(tender_id(TASK, 2)), Open)


def test_an_order_withdraws_what_was_offered(town: Town):
    town.comes_to_rest()
    asked(town, ORDER)
    town.comes_to_rest()
    assert town.state(TENDER) == Over("withdrawn")
    assert the_task(town).rider_id == RIDERS[0]


def test_an_order_withdraws_what_is_offered_after_it(town: Town):
    town.decides(TASK)
    asked(town, ORDER)
    town.comes_to_rest()
    assert town.state(TENDER) == Over("withdrawn")


def test_an_order_that_nobody_followed_until_its_hold_had_passed_leaves_no_task_with_a_rider_who_is_not_reserved(
    town: Town,
):
    town.comes_to_rest()
    asked(town, ORDER)
    town.much_time_passes()
    town.comes_to_rest()
    assert the_task(town).rider_id is None
    assert the_task(town).round == 2
    assert town.state(RIDERS[0]).reservations == {}


def test_what_a_plan_gives_is_the_riders_and_what_was_offered_is_withdrawn(town: Town):
    town.comes_to_rest()
    visits = [
        PlannedVisit(task_id=TASK, stop_id=StopId(stop), arrives_at=NOON, begins_at=NOON, leaves_at=NOON, metres=0)
        for stop in ("stop-1", "stop-2")
    ]
    route = PlannedRoute(
        rider_id=RIDERS[0],
        tasks=[RoutedTask(task_id=TASK, round=1)],
        visits=visits,
        starts_at=NOON,
        ends_at=NOON,
        metres=0,
    )
    assert town.ask("plan", "plan-1", RequestPlan(commit="at_once"))
    proposal = replace(town.a_proposal(), decided_at=town.now, routes=[route])
    assert town.ask("plan", "plan-1", ProposePlan(proposal=proposal), "planner", "system")
    town.comes_to_rest()
    assert town.state(TENDER) == Over("withdrawn")
    assert (the_task(town).rider_id, the_task(town).accepted) == (RIDERS[0], True)
    assert town.state(RIDERS[0]).reservations[TASK].active
    assert town.state("plan-1") == Settled("committed")
    assert not town.refused
