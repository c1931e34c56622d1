"""Hours of service as they bind riders: who may start, who may be reserved, and who is told before it is too late."""

from riding import OTHER, TASK, approved, on_shift, reserve, within
from story import KAMPPI as HERE
from story import NOON, Story, minutes

from commands.hours import Duty
from commands.rider_refusals import CannotStartShift, RestTooShort
from commands.rider_reservations import planned_stops
from schemas.hours import HoursLimit, HoursLimits
from schemas.message import Refused, ShiftId
from schemas.rider import (
    EndBreak,
    EndShift,
    HoursLimitWarned,
    NewPlannedStop,
    ShiftStarted,
    StartBreak,
    StartShift,
    WarnHoursLimit,
)
from schemas.soonest import soonest_end

HOUR = 60
EARLY = ShiftId("early")
WARN = WarnHoursLimit(shift_id=EARLY)


def driving(story: Story | None = None) -> Story:
    """Since noon, by the rules of the Union, on a shift of twelve hours."""
    return on_shift((story or approved()).where(hours_rules="eu_561"), until=12 * HOUR)


def why_not(story: Story) -> object:
    return story.refuses(Refused).values()["code"]


def late(hold: float, window: tuple[float, float] | None = None) -> Story:
    """Reserving at `hold` minutes after noon."""
    order = reserve(hold_until=minutes(hold + 1), window=within(*window) if window else None)
    return driving().at(minutes(hold)).when(order)


def back_from_break(minute: float) -> Story:
    """Begun when it was due."""
    return driving().at(minutes(270)).when(StartBreak()).happened().at(minutes(minute)).when(EndBreak()).happened()


# Starting


def test_where_nothing_is_limited_a_shift_starts_right_after_the_last_and_has_no_limit():
    ended = on_shift().at(minutes(13 * HOUR)).when(EndShift()).happened()
    [started] = ended.when(StartShift(ends_at=minutes(20 * HOUR))).decided()
    assert isinstance(started, ShiftStarted)
    assert (started.started_at, started.hours_limit) == (minutes(13 * HOUR), None)


def test_a_shift_that_starts_says_where_its_duty_must_end():
    [started] = approved().where(hours_rules="eu_561").when(StartShift(ends_at=minutes(600))).decided()
    assert isinstance(started, ShiftStarted)
    assert started.hours_limit == HoursLimit(rule="break_due", reached_at=minutes(270), warn_at=minutes(240))


def test_nobody_starts_before_their_rest_was_long_enough():
    ended = driving().at(minutes(2 * HOUR)).when(EndShift()).happened()
    start = StartShift(ends_at=minutes(20 * HOUR))
    refused = ended.at(minutes(13 * HOUR - 1)).when(start).refuses(RestTooShort)
    assert refused.values()["rested_at"] == minutes(13 * HOUR)
    ended.at(minutes(13 * HOUR)).when(start).tells("ShiftStarted")


def test_nobody_starts_whose_week_is_used_up():
    rules = {"hours_rules": "custom", "custom_hours": HoursLimits(week_duty_minutes=120, rest_minutes=60)}
    ended = on_shift(approved().where(**rules)).at(minutes(120)).when(EndShift()).happened()
    start = StartShift(ends_at=minutes(30 * 24 * HOUR))
    assert why_not(ended.at(minutes(24 * HOUR)).when(start)) == "hours_exhausted"
    ended.at(minutes(7 * 24 * HOUR)).when(start).refuses(CannotStartShift)
    ended.at(minutes(7 * 24 * HOUR + 1)).when(start).tells("ShiftStarted")


# Reserving


def test_once_a_break_is_due_nobody_is_reserved_until_it_was_taken():
    late(269).tells("RiderReserved")
    assert why_not(late(270)) == "hours_exhausted"
    assert why_not(back_from_break(314).when(reserve(hold_until=minutes(400)))) == "hours_exhausted"
    back_from_break(315).when(reserve(hold_until=minutes(400))).tells("RiderReserved")


def test_what_cannot_begin_before_the_day_is_used_up_is_not_reserved():
    assert why_not(late(0, (9 * HOUR, 10 * HOUR))) == "hours_exhausted"
    late(0, (9 * HOUR - 3, 10 * HOUR)).tells("RiderReserved")


def test_a_window_for_all_of_the_day_shuts_nobody_out():
    late(0, (0, 12 * HOUR)).tells("RiderReserved")


def test_without_a_rule_set_no_window_is_too_late():
    on_shift(until=10 * HOUR).when(reserve(window=within(9 * HOUR, 10 * HOUR))).tells("RiderReserved")


def test_the_soonest_end_waits_for_windows_and_takes_the_time_at_every_stop():
    first = NewPlannedStop(stop_id="a", kind="pickup", subject="s", location=HERE, service_seconds=600)  # type: ignore[arg-type]
    then = NewPlannedStop(
        stop_id="b",  # type: ignore[arg-type]
        kind="dropoff",
        subject="s",
        location=HERE,
        service_seconds=300,
        window=within(60, 90),
    )
    assert soonest_end(planned_stops(TASK, [first]), NOON) == minutes(10)
    assert soonest_end(planned_stops(TASK, [first, then]), NOON) == minutes(65)
    assert soonest_end(planned_stops(OTHER, [first, then]), minutes(70)) == minutes(85)


def test_what_happened_before_the_rules_were_set_counts():
    story = on_shift(until=12 * HOUR).at(minutes(10 * HOUR)).where(hours_rules="eu_561")
    assert why_not(story.when(reserve(hold_until=minutes(11 * HOUR)))) == "hours_exhausted"
    assert story.state.duties == (Duty(NOON),)


# Warning


def test_a_warning_comes_when_it_is_due_and_once():
    driving().at(minutes(239)).when(WARN).then()
    warned = driving().at(minutes(240)).when(WARN)
    warned.then(HoursLimitWarned(shift_id=EARLY, rule="break_due", reached_at=minutes(270)))
    warned.happened().when(WARN).then()
    driving().at(minutes(300)).when(WARN).tells("HoursLimitWarned")


def test_so_long_before_as_the_rules_say():
    story = on_shift(approved().where(hours_rules="eu_561", hours_warning_minutes=60))
    story.at(minutes(209)).when(WARN).then()
    story.at(minutes(210)).when(WARN).tells("HoursLimitWarned")


def test_who_is_on_a_break_off_shift_or_on_another_shift_is_not_warned():
    resting = driving().at(minutes(200)).when(StartBreak()).happened()
    resting.at(minutes(245)).when(WARN).then()
    driving().at(minutes(200)).when(EndShift()).happened().at(minutes(245)).when(WARN).then()
    driving().at(minutes(245)).when(WarnHoursLimit(shift_id=ShiftId("late"))).then()


def test_where_nothing_is_limited_nobody_is_warned():
    on_shift().at(minutes(999)).when(WARN).then()


def test_after_a_break_there_is_a_warning_of_the_duty_that_began_then():
    warned = driving().at(minutes(240)).when(WARN).happened()
    back = warned.at(minutes(250)).when(StartBreak()).happened().at(minutes(300)).when(EndBreak()).happened()
    back.at(minutes(300 + 239)).when(WARN).then()
    back.at(minutes(300 + 240)).when(WARN).tells("HoursLimitWarned")
