"""A bundle from its tender to the itinerary: all of its tasks or none, wherever the processes stop on the way."""

from collections.abc import Callable
from datetime import timedelta
from random import Random

import pytest
from msgspec.structs import replace
from story import KAMPPI
from town import RIDERS, Town

from commands.task_state import CreatedTask, state_of
from commands.tender import Open, Over
from schemas import directory as d
from schemas import ids
from schemas.itinerary import Bundled, Placed, StopRef
from schemas.message import OfferId, RiderId, StopId, TaskId
from schemas.rider import RiderReserved, SetRiderSkills
from schemas.stop import NewParcel, NewStop
from schemas.task import AssignTask, CancelTask, CreateTask, TaskAssigned, UnassignTask
from schemas.tender import ClaimOffer, ClaimRejected, DeclineOffer, TenderAwarded

TASKS = [TaskId(f"task-{number}") for number in (1, 2, 3)]
LEAD, SECOND, THIRD = TASKS
TENDER = ids.tender_id(LEAD, 1)
ANN, BOB, CYD = RIDERS
PICKUP, DROPOFF = StopId("stop-1"), StopId("stop-2")
ALL_PICKUPS_FIRST = [(task, stop) for stop in (PICKUP, DROPOFF) for task in TASKS]
SEEDS = range(40)


def town_of(*skills: str, riders: list[RiderId] = RIDERS, weight_g: int = 100) -> Town:
    """Three tasks that wait, the second of which may ask for skills; what comes to dispatch next is offered together."""
    town = Town()
    town.whom = lambda: riders
    town.together = lambda: 2
    rules = d.TenantRules(max_active_tasks=3, retry_seconds=600)
    town.ask("tenant", ids.tenant_id("acme"), d.ChangeTenantRules(rules=rules), "olga", "operator")
    town.comes_to_rest()
    for task in TASKS:
        stops = [NewStop(kind="pickup"), NewStop(kind="dropoff", location=KAMPPI)]
        needs = list(skills) if task == SECOND else []
        create = CreateTask(
            kind="delivery", outlet="kamppi", stops=stops, required_skills=needs, parcels=[NewParcel(weight_g=weight_g)]
        )
        assert town.ask("task", task, create)
    return town


def opened(town: Town) -> Town:
    """The first task's fact is taken first, so that it is the lead of all three."""
    town.where = lambda tasks: placed() if len(tasks) == 3 else []
    while not isinstance(town.state(TENDER), Open):
        town.goes_on("deciding", LEAD)
    return town


def placed() -> list[Placed]:
    refs = [StopRef(task_id=task, stop_id=stop) for task, stop in ALL_PICKUPS_FIRST]
    return [
        Placed(task_id=ref.task_id, stop_id=ref.stop_id, behind=behind)
        for ref, behind in zip(refs, [None, *refs], strict=False)
    ]


def offer(rider: RiderId) -> OfferId:
    return ids.offer_id(TENDER, rider)


def claimed(town: Town, rider: RiderId = ANN) -> bool:
    return town.ask("tender", TENDER, ClaimOffer(offer_id=offer(rider)), rider, "rider")


def task_of(town: Town, task: TaskId) -> CreatedTask:
    state = town.state(task)
    assert isinstance(state, CreatedTask)
    return state


def taken_by(town: Town) -> list[RiderId | None]:
    return [task_of(town, task).rider_id for task in TASKS]


def ahead_of(town: Town, rider: RiderId) -> list[tuple[str, str]]:
    return [(stop.task_id, stop.stop_id) for stop in town.state(rider).itinerary]


def stopping(town: Town) -> None:
    """The processes stop within any of their steps, and begin again, until all is quiet."""
    for _ in range(60):
        town.processes_go_on()
        if town.chance.random() < 0.5:
            town.a_process_starts_again()
    town.comes_to_rest()


def nothing_is_added_from_nothing(town: Town) -> None:
    town.comes_to_rest()
    town.starts_from_nothing()
    town.told.clear()
    town.comes_to_rest()
    assert town.told == []


def test_each_task_of_a_bundle_knows_of_its_tender():
    town = opened(town_of())
    town.comes_to_rest()
    assert [task_of(town, task).tender_id for task in TASKS] == [TENDER] * 3
    assert [state_of(task_of(town, task)) for task in TASKS] == ["offering"] * 3


@pytest.mark.parametrize("seed", SEEDS)
def test_who_wins_a_bundle_has_all_of_it_in_the_planned_order_wherever_the_processes_stop(seed: int):
    town = opened(town_of())
    town.chance = Random(seed)
    claimed(town)
    stopping(town)
    assert taken_by(town) == [ANN] * 3
    assert ahead_of(town, ANN) == ALL_PICKUPS_FIRST
    assert town.state(TENDER) == Over("awarded", offer(ANN))
    told = [type(each.event) for each in town.told]
    assert (told.count(TenderAwarded), told.count(TaskAssigned)) == (1, 3)
    nothing_is_added_from_nothing(town)


@pytest.mark.parametrize("steps", range(26))
def test_after_whichever_step_everything_stops_the_bundle_is_won_whole(steps: int):
    town = opened(town_of())
    claimed(town)
    town.go_on_in_order(steps)
    town.all_start_again()
    town.comes_to_rest()
    assert taken_by(town) == [ANN] * 3
    assert ahead_of(town, ANN) == ALL_PICKUPS_FIRST
    told = [type(each.event) for each in town.told]
    assert (told.count(TenderAwarded), told.count(TaskAssigned), told.count(RiderReserved)) == (1, 3, 3)


def test_who_may_not_be_given_all_of_it_is_given_none_and_the_next_claim_is_tried():
    town = opened(town_of("chilled"))
    town.ask("rider", BOB, SetRiderSkills(skills=["chilled"]))
    claimed(town, ANN)
    claimed(town, BOB)
    town.comes_to_rest()
    assert taken_by(town) == [BOB] * 3
    assert town.state(ANN).reservations == {}
    [rejected] = [each.event for each in town.told if isinstance(each.event, ClaimRejected)]
    assert rejected.reason_code == "skill_missing"


@pytest.mark.parametrize("gone", TASKS)
@pytest.mark.parametrize("seed", range(10))
def test_where_one_of_them_is_cancelled_before_it_is_won_the_others_come_back_at_once(gone: TaskId, seed: int):
    town = opened(town_of())
    town.comes_to_rest()
    town.chance = Random(seed)
    town.together = lambda: 0
    assert town.ask("task", gone, CancelTask(reason_code="changed_mind"))
    stopping(town)
    assert town.state(TENDER) == Over("withdrawn")
    left = [task for task in TASKS if task != gone]
    assert [(task_of(town, task).round, state_of(task_of(town, task))) for task in left] == [(2, "offering")] * 2
    assert task_of(town, gone).round == 1
    nothing_is_added_from_nothing(town)


@pytest.mark.parametrize("ordered", TASKS)
def test_an_order_for_one_of_them_withdraws_what_was_offered_and_the_others_come_back(ordered: TaskId):
    town = opened(town_of())
    town.comes_to_rest()
    town.together = lambda: 0
    assert town.ask("task", ordered, AssignTask(rider_id=CYD), "dora", "dispatcher")
    town.comes_to_rest()
    assert town.state(TENDER) == Over("withdrawn")
    assert {task: task_of(town, task).rider_id for task in TASKS} == {
        task: CYD if task == ordered else None for task in TASKS
    }
    assert {task_of(town, task).round for task in TASKS if task != ordered} == {2}


@pytest.mark.parametrize("gone", TASKS)
@pytest.mark.parametrize("seed", SEEDS)
def test_one_that_is_cancelled_while_it_is_being_won_leaves_either_all_the_others_or_none(gone: TaskId, seed: int):
    town = opened(town_of())
    town.comes_to_rest()
    town.chance = Random(seed)
    town.together = lambda: 0
    claimed(town)
    for _ in range(town.chance.randint(0, 12)):
        town.processes_go_on()
    assert town.ask("task", gone, CancelTask(reason_code="changed_mind"))
    stopping(town)
    left = [task for task in TASKS if task != gone]
    won = town.state(TENDER) == Over("awarded", offer(ANN))
    assert [task_of(town, task).rider_id for task in left] == [ANN if won else None] * 2
    assert ahead_of(town, ANN) == ([at for at in ALL_PICKUPS_FIRST if at[0] != gone] if won else [])
    assert set(town.state(ANN).reservations) == (set(left) if won else set())
    nothing_is_added_from_nothing(town)


def test_one_that_is_taken_from_the_winner_leaves_the_others_with_them():
    town = opened(town_of())
    claimed(town)
    town.comes_to_rest()
    town.whom = list
    assert town.ask("task", SECOND, UnassignTask(reason_code="late"), "dora", "dispatcher")
    town.comes_to_rest()
    assert taken_by(town) == [ANN, None, ANN]
    assert ahead_of(town, ANN) == [at for at in ALL_PICKUPS_FIRST if at[0] != SECOND]


def nobody_answers(town: Town) -> None:
    town.now += timedelta(minutes=11)


def all_decline(town: Town) -> None:
    for rider in RIDERS:
        assert town.ask("tender", TENDER, DeclineOffer(offer_id=offer(rider), reason_code="far"), rider, "rider")


@pytest.mark.parametrize("comes_to_nothing", [nobody_answers, all_decline])
def test_where_nobody_takes_it_each_of_them_is_tried_again_when_due(comes_to_nothing: Callable[[Town], None]):
    town = opened(town_of())
    town.comes_to_rest()
    comes_to_nothing(town)
    town.whom = list
    town.comes_to_rest()
    assert town.state(TENDER) == Over("exhausted")
    assert [(task_of(town, task).closed_round, task_of(town, task).tender_id) for task in TASKS] == [(1, None)] * 3
    due = town.now + timedelta(seconds=600)
    assert [task_of(town, task).retry_at for task in TASKS] == [due] * 3


def test_a_bundle_that_asks_nobody_closes_each_of_its_tasks():
    town = town_of(riders=[])
    while not isinstance(town.state(TENDER), Over):
        town.goes_on("deciding", LEAD)
    town.comes_to_rest()
    assert {task_of(town, task).closed_round for task in TASKS} == {1}


def test_two_bundles_that_share_their_tasks_are_not_both_won():
    town = opened(town_of())
    other, made = ids.tender_id(THIRD, 1), town.decided_for(LEAD, 1)
    second = replace(
        made,
        task_id=THIRD,
        bundle=[Bundled(task_id=task, round=1) for task in (LEAD, SECOND)],
        offers=[replace(each, offer_id=ids.offer_id(other, each.rider_id)) for each in made.offers],
    )
    assert town.ask("tender", other, second, "dispatch", "system")
    assert claimed(town, ANN)
    assert town.ask("tender", other, ClaimOffer(offer_id=ids.offer_id(other, BOB)), BOB, "rider")
    town.whom = list
    town.comes_to_rest()
    assert taken_by(town) in ([ANN] * 3, [BOB] * 3, [None] * 3)
    nothing_is_added_from_nothing(town)
