"""How long may they still be on duty, and which rule says so? By examples from the laws, and for any duty there is."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from story import NOON, minutes

from commands.hours import (
    KEPT,
    MAX_SPANS,
    RULE_SETS,
    Duties,
    Duty,
    binding,
    exhausted,
    limit_ahead,
    limits_of,
    off_duty,
    on_duty,
    rested_at,
    worked,
)
from schemas.directory import TenantRules
from schemas.hours import HoursLimits, HoursRules

NOTHING = timedelta()
EU, US = TenantRules(hours_rules="eu_561"), TenantRules(hours_rules="us_property")
HOUR, DAY = 60, 24 * 60


def duty(*spans: tuple[float, float | None]) -> Duties:
    """In hours after noon."""
    return tuple(
        Duty(minutes(since * HOUR), None if until is None else minutes(until * HOUR)) for since, until in spans
    )


def left(duties: Duties, rules: TenantRules, hour: float) -> tuple[str, float]:
    """The rule that binds, and the hours that it leaves."""
    limits = limits_of(rules)
    assert limits is not None
    found = binding(duties, limits, minutes(hour * HOUR))
    assert found is not None
    return found.rule, found.left / timedelta(hours=1)


def custom(**limits: int) -> TenantRules:
    return TenantRules(hours_rules="custom", custom_hours=HoursLimits(**limits))


# By the laws


def test_without_a_rule_set_nothing_is_limited():
    assert limits_of(TenantRules()) is None
    assert exhausted(duty((0, None)), TenantRules(), minutes(99 * HOUR), minutes(999 * HOUR)) is None
    assert limit_ahead(duty((0, None)), TenantRules(), NOON) is None


@pytest.mark.parametrize("name", RULE_SETS)
def test_every_rule_set_but_none_limits_something(name: HoursRules):
    limits = limits_of(TenantRules(hours_rules=name))
    assert (limits is None) == (name == "none")
    assert limits is None or binding((), limits, NOON) is not None


def test_in_the_union_a_break_is_due_after_four_hours_and_a_half():
    assert left((), EU, 0) == ("break_due", 4.5)
    assert left(duty((0, None)), EU, 3) == ("break_due", 1.5)
    assert exhausted(duty((0, None)), EU, minutes(4.5 * HOUR), minutes(4.5 * HOUR)) == "break_due"


def test_in_the_union_a_break_is_of_three_quarters_of_an_hour():
    assert left(duty((0, 4), (4.75, None)), EU, 4.75) == ("break_due", 4.5)
    assert left(duty((0, 4), (4.7, None)), EU, 4.7) == ("break_due", pytest.approx(0.5))


def test_in_the_union_a_day_has_nine_hours():
    assert left(duty((0, 4.5), (5.25, 9.25), (10, None)), EU, 10) == ("shift_duty", 0.5)
    assert exhausted(duty((0, 4.5), (5.25, 9.75)), EU, minutes(12 * HOUR), minutes(12 * HOUR)) == "shift_duty"


def test_in_the_union_a_rest_of_eleven_hours_makes_a_new_day():
    assert left(duty((0, 9)), EU, 19.9) == ("shift_duty", 0.0)
    assert left(duty((0, 9)), EU, 20) == ("break_due", 4.5)


def test_in_the_union_a_week_has_fifty_six_hours_and_two_have_ninety():
    week = [(day * 24.0, day * 24.0 + 9) for day in range(6)]
    assert left(duty(*week), EU, 6 * 24) == ("week_duty", 2.0)
    long_days = [(day * 24.0, day * 24.0 + 13) for day in range(3)]
    short_days = [(day * 24.0, day * 24.0 + 7) for day in range(7, 14)]
    assert left(duty(*long_days, *short_days), EU, 14 * 24) == ("fortnight_duty", 2.0)


def test_in_the_states_nobody_drives_after_fourteen_hours_whatever_breaks_there_were():
    spread = duty((0, 2), (5, 7), (10, None))
    assert left(spread, US, 10) == ("shift_span", 4.0)
    assert exhausted(spread, US, minutes(14 * HOUR), minutes(14 * HOUR)) == "shift_span"


def test_in_the_states_a_break_of_half_an_hour_is_due_after_eight_hours_and_the_day_has_eleven():
    assert left(duty((0, None)), US, 7) == ("break_due", 1.0)
    assert left(duty((0, 8), (8.5, None)), US, 8.5) == ("shift_duty", 3.0)


def test_in_the_states_ten_hours_off_make_a_new_day_and_a_week_has_sixty():
    assert left(duty((0, 11)), US, 21) == ("break_due", 8.0)
    assert left(duty(*((day * 24.0, day * 24.0 + 11) for day in range(5))), US, 5 * 24) == ("week_duty", 5.0)


def test_a_tenants_own_figures_are_in_force_where_they_are_chosen_and_only_there():
    own = HoursLimits(day_duty_minutes=60)
    assert limits_of(TenantRules(hours_rules="custom", custom_hours=own)) == own
    assert limits_of(TenantRules(hours_rules="none", custom_hours=own)) is None


def test_a_day_is_any_twenty_four_hours():
    rules = custom(day_duty_minutes=600, rest_minutes=60)
    assert left(duty((0, 8)), rules, 20) == ("day_duty", 2.0)
    assert left(duty((0, 8)), rules, 28) == ("day_duty", 6.0)


# What lies ahead


def test_the_limit_ahead_is_where_duty_without_a_break_ends_with_a_warning_before():
    found = limit_ahead(duty((0, None)), EU, minutes(60))
    assert found is not None
    assert (found.rule, found.reached_at, found.warn_at) == ("break_due", minutes(270), minutes(240))


def test_the_warning_comes_at_once_where_its_time_is_past():
    found = limit_ahead(duty((0, None)), EU, minutes(265))
    assert found is not None
    assert (found.reached_at, found.warn_at) == (minutes(270), minutes(265))


def test_work_that_ends_past_the_day_is_forbidden_now_and_past_a_break_is_not():
    assert exhausted(duty((0, None)), EU, minutes(60), minutes(9 * HOUR)) is None
    assert exhausted(duty((0, None)), EU, minutes(60), minutes(9 * HOUR + 1)) == "shift_duty"


def test_a_rest_is_over_so_long_after_the_last_duty():
    limits = limits_of(EU)
    assert limits is not None
    assert rested_at((), limits) is None
    assert rested_at(duty((0, None)), limits) is None
    assert rested_at(duty((0, 2), (3, 9)), limits) == minutes(20 * HOUR)


# What is kept


def test_what_is_kept_is_the_last_fortnight():
    old = duty((0, 1), (2, 3))
    assert on_duty(old, minutes(HOUR) + KEPT) == (*old[1:], Duty(minutes(HOUR) + KEPT))
    assert on_duty(old, minutes(HOUR) + KEPT - timedelta(seconds=1))[:2] == old


def test_what_took_no_time_is_not_kept():
    assert off_duty(on_duty((), NOON), NOON) == ()
    assert off_duty((), NOON) == ()
    assert off_duty(duty((0, 1)), minutes(90)) == duty((0, 1))


def test_however_often_somebody_comes_and_goes_it_is_bounded_and_none_of_their_duty_is_lost():
    duties: Duties = ()
    for minute in range(MAX_SPANS + 50):
        duties = off_duty(on_duty(duties, minutes(2 * minute)), minutes(2 * minute + 1))
    assert len(duties) == MAX_SPANS
    assert duties[0].since == NOON
    assert worked(duties, NOON, minutes(9_999)) >= timedelta(minutes=MAX_SPANS + 50)


# For any duty there is

LIMITS = st.builds(
    HoursLimits,
    shift_duty_minutes=st.none() | st.integers(1, 900),
    shift_span_minutes=st.none() | st.integers(1, 1_200),
    day_duty_minutes=st.none() | st.integers(1, 1_200),
    week_duty_minutes=st.none() | st.integers(1, 5_000),
    fortnight_duty_minutes=st.none() | st.integers(1, 9_000),
    duty_before_break_minutes=st.none() | st.integers(1, 600),
    break_minutes=st.integers(1, 120),
    rest_minutes=st.integers(60, 1_000),
)
TIMES = st.lists(st.integers(0, 14 * DAY), min_size=0, max_size=24, unique=True).map(sorted)


def spans_of(times: list[int]) -> Duties:
    """Of an even number of times, from each first up to its second; the last one open where they are odd."""
    closed = [Duty(minutes(a), minutes(b)) for a, b in zip(times[::2], times[1::2], strict=False)]
    return (*closed, *([Duty(minutes(times[-1]))] if len(times) % 2 else []))


def least(duties: Duties, limits: HoursLimits, minute: int) -> timedelta | None:
    found = binding(duties, limits, minutes(minute))
    return None if found is None else found.left


def joined(duties: Duties, gap: int) -> Duties:
    """With more duty: that of a gap."""
    place = gap % (len(duties) - 1)
    one, other = duties[place : place + 2]
    return (*duties[:place], Duty(one.since, other.until), *duties[place + 2 :])


@given(TIMES, LIMITS, st.integers(0, 20 * DAY))
def test_what_is_left_is_never_less_than_nothing_nor_more_than_all(times: list[int], limits: HoursLimits, at: int):
    found = binding(spans_of(times), limits, minutes(at))
    assert found is None or NOTHING <= found.left <= found.allowed


@given(TIMES.filter(lambda times: len(times) >= 3), LIMITS, st.integers(0, 99), st.integers(0, 6 * DAY))
def test_more_duty_never_leaves_more(times: list[int], limits: HoursLimits, gap: int, after: int):
    at = times[-1] + after
    before, more = least(spans_of(times), limits, at), least(joined(spans_of(times), gap), limits, at)
    assert before is None or (more is not None and more <= before)


@given(TIMES.filter(lambda times: len(times) % 2 == 1), LIMITS, st.lists(st.integers(0, 3 * DAY), min_size=2))
def test_while_duty_goes_on_less_and_less_is_left(times: list[int], limits: HoursLimits, later: list[int]):
    known = [least(spans_of(times), limits, times[-1] + minute) for minute in sorted(later)]
    assert all(b is None or (a is not None and b <= a) for a, b in pairwise(known))


@given(TIMES, LIMITS, st.integers(1, 900))
def test_duty_until_the_limit_ahead_is_allowed(times: list[int], limits: HoursLimits, more: int):
    rules = TenantRules(hours_rules="custom", custom_hours=limits)
    at = minutes((times[-1] if times else 0) + more)
    duties = off_duty(spans_of(times), at)
    found = limit_ahead(duties, rules, at)
    if found is None:
        return
    assert at <= found.warn_at <= found.reached_at
    assert found.reached_at == at or exhausted(duties, rules, at, found.reached_at) is None


@given(TIMES, st.integers(0, 14 * DAY), st.integers(0, 14 * DAY))
def test_nobody_works_longer_than_the_time_there_was(times: list[int], start: int, length: int):
    found = worked(spans_of(times), minutes(start), minutes(start + length))
    assert NOTHING <= found <= timedelta(minutes=length)
