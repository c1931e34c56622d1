"""A rider of whom nothing is heard: whose tasks are asked for, and when; and what is heard again."""

from datetime import datetime

import pytest
from msgspec.structs import replace
from riding import OTHER, TASK, on_shift, reserve, reserved, underway
from story import NOON, Story, minutes

from commands.rider_refusals import CannotReserve
from schemas.message import Command, OfferId, TaskId
from schemas.registries import INCIDENT_KINDS
from schemas.rider import (
    ActivateReservation,
    BreakStarted,
    CloseHandOver,
    EndBreak,
    EndShift,
    RecordRiderHeard,
    RecordRiderSilence,
    ReinstateRider,
    RemoveStops,
    RiderFellSilent,
    RiderHeardAgain,
    StartBreak,
    SuspendRider,
    TaskHandOverRequested,
)

AFTER = 15
"""Minutes, by the default rule."""


def unheard(since: datetime | None = None) -> RecordRiderSilence:
    return RecordRiderSilence(last_heard_at=since)


def heard(minute: float) -> RecordRiderHeard:
    return RecordRiderHeard(heard_at=minutes(minute))


def asked(task: TaskId = TASK) -> TaskHandOverRequested:
    return TaskHandOverRequested(task_id=task, round=1, reason_code="rider_silent", incident_kind="silent_rider")


def silent() -> Story:
    """Since noon, with one task."""
    return underway().at(minutes(AFTER)).when(unheard()).happened()


def with_another(story: Story, minute: float) -> Story:
    """Under way since then; it was held before."""
    return story.at(minutes(minute)).when(ActivateReservation(task_id=OTHER, round=1)).happened()


def two_held() -> Story:
    return underway().when(reserve(OTHER, hold_until=minutes(60))).happened()


# Who falls silent


@pytest.mark.parametrize("minute", [AFTER, 90])
def test_whose_last_word_is_too_old_is_silent_and_their_task_is_asked_for(minute: float):
    underway().at(minutes(minute)).when(unheard()).then(RiderFellSilent(since=NOON, task_ids=[TASK]), asked())


def test_before_that_nobody_is_silent():
    underway().at(minutes(AFTER - 0.1)).when(unheard()).then()


def test_it_counts_from_what_was_heard_last():
    story = underway().at(minutes(AFTER + 5))
    story.when(unheard(minutes(6))).then()
    story.when(unheard(minutes(5))).then(RiderFellSilent(since=minutes(5), task_ids=[TASK]), asked())


def test_what_was_heard_before_the_shift_does_not_count():
    underway().at(minutes(AFTER)).when(unheard(minutes(-60))).then(
        RiderFellSilent(since=NOON, task_ids=[TASK]), asked()
    )


def test_by_the_tenants_rule():
    story = underway().where(silent_after_seconds=60)
    story.at(minutes(0.9)).when(unheard()).then()
    story.at(minutes(1)).when(unheard()).tells("RiderFellSilent", "TaskHandOverRequested")


def test_who_has_nothing_to_do_owes_no_word():
    on_shift().at(minutes(90)).when(unheard()).then()
    reserved().at(minutes(90)).when(unheard()).then()


def test_nor_does_who_takes_a_break_until_some_time_after_it():
    resting = underway().where(breaks_with_goods=True).at(minutes(5)).when(StartBreak()).happened()
    resting.at(minutes(60)).when(unheard()).then()
    back = resting.when(EndBreak()).happened()
    back.at(minutes(60 + AFTER - 1)).when(unheard()).then()
    back.at(minutes(60 + AFTER)).when(unheard()).tells("RiderFellSilent", "TaskHandOverRequested")


def test_who_was_suspended_was_asked_for_everything_then():
    underway().when(SuspendRider(reason_code="complaint")).happened().at(minutes(90)).when(unheard()).then()


def test_a_shift_that_is_ending_is_a_shift():
    underway().when(EndShift()).happened().at(minutes(AFTER)).when(unheard()).tells(
        "RiderFellSilent", "TaskHandOverRequested"
    )


def test_a_tenant_without_a_kind_for_it_reports_something_else():
    story = underway().at(minutes(AFTER)).when(unheard())
    story.incidents = tuple(kind for kind in INCIDENT_KINDS if kind.code != "silent_rider")
    [_, request] = story.decided()
    assert isinstance(request, TaskHandOverRequested)
    assert request.incident_kind == "other"


# Each task has its time


def test_a_silence_is_told_once_and_each_task_is_asked_for_once():
    silent().at(minutes(90)).when(unheard()).then()
    closed = silent().when(CloseHandOver(task_id=TASK, round=1, rule="goods-in-custody")).happened()
    closed.at(minutes(90)).when(unheard()).then()


def test_a_task_that_the_rider_just_got_is_not_taken_at_once():
    story = with_another(two_held(), 10)
    fell = story.at(minutes(AFTER)).when(unheard())
    fell.then(RiderFellSilent(since=NOON, task_ids=[TASK]), asked())
    fell = fell.happened()
    fell.at(minutes(10 + AFTER - 1)).when(unheard()).then()
    fell.at(minutes(10 + AFTER)).when(unheard()).then(asked(OTHER))


def test_what_is_asked_for_already_is_not_asked_for_again():
    story = underway().when(SuspendRider(reason_code="complaint")).happened().when(ReinstateRider()).happened()
    story.at(minutes(90)).when(unheard()).then()
    answered = story.when(CloseHandOver(task_id=TASK, round=1, rule="goods-in-custody")).happened()
    answered.at(minutes(90)).when(unheard()).tells("RiderFellSilent", "TaskHandOverRequested")


def test_who_is_silent_is_reserved_for_nothing():
    refused = silent().when(reserve(OTHER, hold_until=minutes(60))).refuses(CannotReserve)
    assert refused.values() == {"code": "silent"}


def test_it_is_silence_though_all_tasks_are_gone():
    alone = silent().when(RemoveStops(task_id=TASK, round=1, reason_code="task_over")).happened()
    assert alone.state.silence is not None
    alone.when(heard(AFTER)).tells("RiderHeardAgain")


# Who is heard again


def test_what_is_heard_later_ends_the_silence():
    back = silent().at(minutes(20)).when(heard(19))
    back.then(RiderHeardAgain(heard_at=minutes(19)))
    back = back.happened()
    back.when(heard(20)).then()
    back.when(reserve(OTHER, hold_until=minutes(60))).tells("RiderReserved")


def test_the_next_silence_counts_from_then():
    back = silent().at(minutes(20)).when(heard(19)).happened()
    back.at(minutes(19 + AFTER - 1)).when(unheard()).then()
    back.at(minutes(19 + AFTER)).when(CloseHandOver(task_id=TASK, round=1, rule="goods-in-custody")).happened().when(
        unheard()
    ).then(RiderFellSilent(since=minutes(19), task_ids=[TASK]), asked())


@pytest.mark.parametrize("minute", [-5, 0])
def test_what_was_heard_before_is_no_news(minute: float):
    silent().when(heard(minute)).then()


def test_nor_is_what_a_phone_tells_so_late_that_it_is_silence_again():
    silent().at(minutes(40)).when(heard(25)).then()
    silent().at(minutes(40)).when(heard(25.1)).tells("RiderHeardAgain")


def test_who_is_not_silent_is_not_heard_again():
    underway().when(heard(5)).then()


@pytest.mark.parametrize("command", [StartBreak(), EndShift()], ids=lambda command: type(command).__name__)
def test_a_command_of_the_riders_own_is_heard(command: Command):
    story = silent().where(breaks_with_goods=True).by("ann").when(command)
    assert story.decided()[0] == RiderHeardAgain(heard_at=minutes(AFTER))


def test_one_in_their_name_is_not():
    story = silent().where(breaks_with_goods=True).by("dora", "dispatcher").when(StartBreak())
    story.then(BreakStarted(shift_id=story.state.shift.shift_id, started_at=minutes(AFTER)))
    assert story.happened().state.silence is not None
    story.by("ann").when(EndBreak()).tells("RiderHeardAgain", "BreakEnded")


def test_a_suspension_and_the_end_of_the_shift_end_it_too():
    assert silent().when(SuspendRider(reason_code="complaint")).happened().state.silence is None
    alone = silent().when(RemoveStops(task_id=TASK, round=1, reason_code="task_over")).happened()
    assert alone.by("dora", "dispatcher").when(EndShift()).tells("ShiftEnded").happened().state.silence is None


def test_whoever_claims_an_offer_is_heard_by_that_and_an_order_is_no_word_of_theirs():
    story = silent()
    order = replace(reserve(OTHER, hold_until=minutes(60)), tender_id=None)
    assert story.when(order).refuses(CannotReserve).values()["code"] == "silent"
    claim = replace(reserve(OTHER, hold_until=minutes(60)), offer_id=OfferId("offer-1"))
    done = story.when(claim).tells("RiderHeardAgain", "RiderReserved").happened()
    assert done.state.silence is None
