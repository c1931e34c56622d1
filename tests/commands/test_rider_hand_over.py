"""What a suspension asks for: the rider's tasks are to be handed over, each until it is known what became of it."""

import pytest
from riding import OTHER, TASK, approved, on_shift, reserve, reserved, underway
from story import NOON, Story, minutes

from commands.rider_hand_over import MAX_OPEN_INCIDENTS
from commands.rider_refusals import CannotReserve, HandOverAnswered, NotReserved
from schemas.message import TaskId
from schemas.registries import INCIDENT_KINDS
from schemas.rider import (
    ActivateReservation,
    CloseHandOver,
    ConfirmHandOverRequested,
    HandOverAllTasks,
    ReinstateRider,
    RemoveStops,
    ReservationReleased,
    ReturnToDispatch,
    RiderReinstated,
    RiderReturnedToDispatch,
    RiderSuspended,
    RiderTakenOffDispatch,
    SuspendRider,
    TaskHandOverClosed,
    TaskHandOverRequested,
)

SUSPEND = SuspendRider(reason_code="complaint")
ASKED = ConfirmHandOverRequested(task_id=TASK, round=1)
CLOSE = CloseHandOver(task_id=TASK, round=1)


def suspended() -> Story:
    return underway().when(SUSPEND).happened()


def test_who_has_nothing_is_only_suspended():
    on_shift().when(SUSPEND).then(RiderSuspended(reason_code="complaint", note=None))


def test_each_task_is_asked_for_with_its_round():
    underway().when(SUSPEND).then(
        RiderSuspended(reason_code="complaint", note=None),
        TaskHandOverRequested(task_id=TASK, round=1, reason_code="rider_suspended", incident_kind="other"),
    )


def test_what_is_only_held_is_asked_for_and_let_go_at_once():
    held = underway().when(reserve(OTHER)).happened().when(SUSPEND)
    held.then(
        RiderSuspended(reason_code="complaint", note=None),
        TaskHandOverRequested(task_id=TASK, round=1, reason_code="rider_suspended", incident_kind="other"),
        TaskHandOverRequested(task_id=OTHER, round=1, reason_code="rider_suspended", incident_kind="other"),
        ReservationReleased(task_id=OTHER, round=1, reason_code="rider_suspended", released_at=NOON),
    )
    held.happened().when(ActivateReservation(task_id=OTHER, round=1)).refuses(NotReserved)


def test_who_is_suspended_already_is_asked_for_nothing_more():
    suspended().when(SUSPEND).then()


FOR_INCIDENT = HandOverAllTasks(incident_id="i-1", number=4)
TAKEN_OFF = RiderTakenOffDispatch(incident_id="i-1", number=4)


def test_an_incident_asks_for_each_task_and_suspends_nobody():
    asked = TaskHandOverRequested(
        task_id=TASK, round=1, reason_code="incident", incident_kind="other", incident_id="i-1"
    )
    story = underway().when(FOR_INCIDENT)
    story.then(TAKEN_OFF, asked)
    story.and_then(FOR_INCIDENT).then()
    held = underway().when(reserve(OTHER)).happened().when(FOR_INCIDENT)
    held.tells("RiderTakenOffDispatch", "TaskHandOverRequested", "TaskHandOverRequested", "ReservationReleased")


BACK = ReturnToDispatch(incident_id="i-1", number=7)


def taken_off() -> Story:
    return on_shift().when(FOR_INCIDENT).happened()


def test_who_is_in_an_incident_is_asked_for_nothing_new_while_it_is_open():
    on_shift().when(FOR_INCIDENT).then(TAKEN_OFF)
    assert taken_off().when(reserve()).refuses(CannotReserve).values()["code"] == "incident_open"
    over = taken_off().when(BACK)
    over.then(RiderReturnedToDispatch(incident_id="i-1"))
    over.and_then(reserve()).tells("RiderReserved")
    over.and_then(BACK).then()


def test_as_long_as_another_incident_is_open_they_stay_off_dispatch():
    two = taken_off().when(HandOverAllTasks(incident_id="i-2", number=2)).and_then(BACK).happened()
    assert two.when(reserve()).refuses(CannotReserve).values()["code"] == "incident_open"


def test_what_ended_before_the_incident_asked_again_brings_nobody_back():
    taken_off().when(ReturnToDispatch(incident_id="i-1", number=3)).then()


def test_a_dispatcher_may_put_them_back_on_dispatch_before_the_incident_is_over():
    back = taken_off().when(ReinstateRider())
    back.then(RiderReinstated())
    back.and_then(reserve()).tells("RiderReserved")
    back.and_then(ReinstateRider()).then()


def test_whoever_was_suspended_meanwhile_is_back_with_being_reinstated():
    taken_off().when(SUSPEND).and_then(ReinstateRider()).and_then(reserve()).tells("RiderReserved")


def test_so_many_incidents_are_kept_and_no_more():
    story = on_shift()
    for number in range(MAX_OPEN_INCIDENTS):
        story = story.when(HandOverAllTasks(incident_id=f"i-{number}", number=1)).happened()
    story.when(HandOverAllTasks(incident_id="one more", number=1)).then()


def test_what_a_suspension_by_an_incident_cannot_take_away_is_told_to_that_incident():
    underway().when(SuspendRider(reason_code="incident", incident_id="i-1")).then(
        RiderSuspended(reason_code="incident", note=None),
        TaskHandOverRequested(
            task_id=TASK, round=1, reason_code="rider_suspended", incident_kind="other", incident_id="i-1"
        ),
    )


def test_of_who_is_suspended_an_incident_asks_for_nothing_more():
    suspended().when(FOR_INCIDENT).then()
    suspended().when(CLOSE).and_then(FOR_INCIDENT).then()


def test_a_tenant_without_a_kind_for_something_else_reports_its_first():
    story = underway()
    story.incidents = INCIDENT_KINDS[:1]
    [_, asked] = story.when(SUSPEND).decided()
    assert isinstance(asked, TaskHandOverRequested)
    assert asked.incident_kind == "accident"


def test_a_request_stands_until_it_is_closed_and_is_closed_once():
    suspended().when(ASKED).then()
    closed = suspended().when(CLOSE)
    closed.then(TaskHandOverClosed(task_id=TASK, round=1, rule=None))
    closed.happened().when(CLOSE).then()
    assert closed.when(ASKED).refuses(HandOverAnswered).values() == {"task_id": TASK}


def test_what_a_rule_said_stands_with_the_request():
    refused = CloseHandOver(task_id=TASK, round=1, rule="goods-in-custody")
    suspended().when(refused).then(TaskHandOverClosed(task_id=TASK, round=1, rule="goods-in-custody"))


@pytest.mark.parametrize(("task", "task_round"), [(OTHER, 1), (TASK, 2)])
def test_what_was_not_asked_for_has_its_answer(task: TaskId, task_round: int):
    suspended().when(ConfirmHandOverRequested(task_id=task, round=task_round)).refuses(HandOverAnswered)
    suspended().when(CloseHandOver(task_id=task, round=task_round)).then()


def test_a_rider_who_was_reinstated_and_has_the_task_again_keeps_it_from_who_reads_the_log_anew():
    story = suspended().when(CLOSE).and_then(RemoveStops(task_id=TASK, round=1, reason_code="task_over"))
    back = story.and_then(ReinstateRider()).and_then(reserve(task_round=2, hold_until=minutes(5))).happened()
    back.when(ASKED).refuses(HandOverAnswered)


def test_whoever_is_suspended_is_reserved_for_nothing_more():
    assert suspended().when(reserve(OTHER)).refuses(CannotReserve).values()["code"] == "suspended"
    assert approved().when(SUSPEND).happened().when(reserve()).refuses(CannotReserve).values()["code"] == "suspended"
    assert reserved().when(SUSPEND).happened().state.reservations == {}
