"""When are they at work? Shifts planned ahead, breaks, and what may not happen in them."""

from riding import OTHER, PICKUP, TASK, approved, on_shift, registered, reserve, reserved, stops, underway
from story import NOON, Story, minutes

from commands.refusals import NotAnInterval, TooMany
from commands.rider_refusals import CannotReserve, GoodsAboard
from commands.rider_state import PlannedShift
from schemas.message import NotInThisState, StopId
from schemas.rider import (
    MAX_PLANNED_SHIFTS,
    ActivateReservation,
    BreakEnded,
    BreakStarted,
    EndBreak,
    EndShift,
    PlanShift,
    RemoveStops,
    ReserveRider,
    ShiftEnded,
    ShiftPlanned,
    StartBreak,
    StartShift,
)


def plan(shift_id: str = "early", start: float = 60, end: float = 120) -> PlanShift:
    return PlanShift(shift_id=shift_id, starts_at=minutes(start), ends_at=minutes(end))


def picked_up(story: Story | None = None) -> Story:
    done = RemoveStops(task_id=TASK, round=1, reason_code="stop_over", stop_ids=[PICKUP])
    return underway(story).when(done).happened()


def on_break() -> Story:
    return on_shift().when(StartBreak()).happened()


# Planned


def test_a_shift_may_be_planned_by_whoever_is_not_even_approved():
    planned = registered().when(plan())
    planned.then(ShiftPlanned(shift_id="early", starts_at=minutes(60), ends_at=minutes(120)))  # type: ignore[arg-type]


def test_the_same_plan_is_made_once_and_another_under_its_name_takes_its_place():
    story = approved().when(plan()).happened()
    story.when(plan()).then()
    moved = story.when(plan(end=180)).tells("ShiftPlanned").happened()
    assert moved.state.planned == {"early": PlannedShift(minutes(60), minutes(180))}


def test_a_plan_lies_ahead_and_ends_after_it_starts():
    approved().when(plan(start=60, end=60)).refuses(NotAnInterval)
    approved().when(plan(start=-1)).refuses(NotAnInterval)
    approved().when(plan(start=0)).tells("ShiftPlanned")


def test_a_shift_under_way_is_planned_no_more():
    on_shift().when(plan("early")).refuses(NotInThisState)
    on_shift().when(plan("late")).tells("ShiftPlanned")


def test_a_planned_shift_that_starts_is_a_plan_no_more():
    story = approved().when(plan("early")).and_then(plan("late")).happened()
    started = story.at(minutes(60)).when(StartShift(ends_at=minutes(120), shift_id="early")).happened()
    assert set(started.state.planned) == {"late"}
    assert started.state.shift.shift_id == "early"


def test_a_plan_that_was_never_kept_goes_with_the_next_shift():
    story = approved().when(plan("early")).happened().at(minutes(121))
    assert story.when(StartShift(ends_at=minutes(180))).happened().state.planned == {}


def test_so_many_shifts_are_planned_and_no_more_until_some_are_past():
    story = approved()
    for number in range(MAX_PLANNED_SHIFTS):
        story = story.when(plan(f"shift-{number}", end=120 + number)).happened()
    story.when(plan("one-more", end=900)).refuses(TooMany)
    story.when(plan("shift-0", end=900)).tells("ShiftPlanned")
    later = story.at(minutes(120)).when(plan("one-more", 130, 900)).happened()
    assert len(later.state.planned) == MAX_PLANNED_SHIFTS
    assert "shift-0" not in later.state.planned


# Breaks


def test_a_break_starts_and_ends_within_a_shift():
    started = on_shift().at(minutes(10)).when(StartBreak())
    started.then(BreakStarted(shift_id="early", started_at=minutes(10)))  # type: ignore[arg-type]
    ended = started.happened().at(minutes(40)).when(EndBreak())
    ended.then(BreakEnded(shift_id="early", ended_at=minutes(40), hours_limit=None))  # type: ignore[arg-type]


def test_a_break_that_is_under_way_starts_not_again_and_none_ends_that_is_not():
    on_break().when(StartBreak()).then()
    on_shift().when(EndBreak()).then()
    on_break().when(EndBreak()).happened().when(EndBreak()).then()


def test_off_shift_there_is_no_break():
    approved().when(StartBreak()).refuses(NotInThisState)
    approved().when(EndBreak()).refuses(NotInThisState)


def test_who_takes_a_break_is_not_reserved_until_it_is_over():
    assert on_break().when(reserve()).refuses(CannotReserve).values()["code"] == "on_break"
    on_break().when(EndBreak()).and_then(reserve()).tells("RiderReserved")


def test_with_goods_aboard_there_is_no_break():
    refused = picked_up().when(StartBreak()).refuses(GoodsAboard)
    assert refused.values()["task_ids"] == [TASK]


def test_before_the_pickup_there_may_be_a_break():
    underway().when(StartBreak()).tells("BreakStarted")
    reserved().when(StartBreak()).tells("BreakStarted")


def test_after_the_last_goods_there_may_be_a_break():
    done = picked_up().when(RemoveStops(task_id=TASK, round=1, reason_code="done")).happened()
    done.when(StartBreak()).tells("BreakStarted")


def test_goods_that_were_taken_over_are_aboard_from_the_start():
    dropoff_only = ReserveRider(task_id=TASK, round=1, hold_until=minutes(1), stops=stops()[1:])
    underway(on_shift().when(dropoff_only).happened()).when(StartBreak()).refuses(GoodsAboard)


def test_a_stop_of_another_task_is_no_pickup_of_this_one():
    story = underway(on_shift().when(reserve()).and_then(reserve(OTHER)).happened())
    story = story.when(ActivateReservation(task_id=OTHER, round=1)).happened()
    story = story.when(RemoveStops(task_id=OTHER, round=1, reason_code="x", stop_ids=[StopId("stop-9")])).happened()
    story.when(StartBreak()).tells("BreakStarted")


def test_where_the_rules_allow_there_may_be_a_break_with_goods():
    picked_up().where(breaks_with_goods=True).when(StartBreak()).tells("BreakStarted")


def test_a_shift_may_end_in_a_break():
    ended = on_break().at(minutes(5)).when(EndShift())
    ended.then(ShiftEnded(shift_id="early", ended_at=minutes(5)))  # type: ignore[arg-type]
    assert ended.happened().state.shift is None


# What was on duty


def worked(story: Story) -> list[tuple[object, object]]:
    return [(duty.since, duty.until) for duty in story.state.duties]


def test_duty_runs_from_the_shifts_start_to_its_end_without_its_breaks():
    story = on_break_from_60_to_90()
    assert worked(story) == [(NOON, minutes(60)), (minutes(90), None)]
    ended = story.at(minutes(120)).when(EndShift()).happened()
    assert worked(ended) == [(NOON, minutes(60)), (minutes(90), minutes(120))]


def test_duty_goes_on_while_a_shift_is_ending():
    ending = underway().at(minutes(30)).when(EndShift()).tells("ShiftEnding").happened()
    assert worked(ending) == [(NOON, None)]
    done = ending.at(minutes(45)).when(RemoveStops(task_id=TASK, round=1, reason_code="done")).happened()
    assert worked(done) == [(NOON, minutes(45))]


def on_break_from_60_to_90() -> Story:
    return on_shift().at(minutes(60)).when(StartBreak()).happened().at(minutes(90)).when(EndBreak()).happened()
