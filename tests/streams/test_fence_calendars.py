"""A fence is closed at the hours that its calendar says, by the clocks of its zone."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from random import Random

import numpy as np
import pytest
from fence_truth import is_open
from story import KAMPPI

from schemas.calendar import WEEKDAYS, Calendar, ExceptionalDay, Hours, WeeklyHours
from schemas.directory import Circle
from streams.telemetry.fence_index import FenceIndex, step_from, version_of, ways_of
from streams.telemetry.moments import unix_ms
from streams.telemetry.openings import Openings
from streams.telemetry.tracks import Track

ZONES = ["Europe/Helsinki", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Kiritimati", "Pacific/Apia", "UTC"]
HERE = (round(KAMPPI.lat * 1e6), round(KAMPPI.lon * 1e6))
NIGHTS = Calendar(
    zone="Europe/Helsinki",
    weekly=[WeeklyHours(days=["friday"], opens="22:00", closes="06:00")],
    exceptions=[ExceptionalDay(date="2026-12-25"), ExceptionalDay(date="2026-12-27", hours=[Hours(opens="10:00", closes="12:00")])],
)  # fmt: skip


def some_hours(draw: Random) -> tuple[str, str]:
    """Often about when clocks are changed."""
    opens, closes = (draw.choice([draw.randrange(300), draw.randrange(1_440)]) for _ in range(2))
    return clock(opens), clock(closes if closes != opens else closes + 1)


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def some_calendar(draw: Random, days: Sequence[date]) -> Calendar:
    """Hours may overlap here, which no command may say: they count together."""
    weekly = []
    for _ in range(draw.randint(0, 4)):
        opens, closes = some_hours(draw)
        weekly.append(WeeklyHours(days=draw.sample(WEEKDAYS, draw.randint(1, 7)), opens=opens, closes=closes))
    exceptions = []
    for day in draw.sample(days, draw.randint(0, 3)):
        hours = [Hours(opens=opens, closes=closes) for opens, closes in (some_hours(draw),)]
        exceptions.append(ExceptionalDay(date=day.isoformat(), hours=hours[: draw.randint(0, 1)]))
    return Calendar(zone=draw.choice(ZONES), weekly=weekly, exceptions=exceptions)


@pytest.mark.parametrize("begins", ["2026-03-26", "2026-10-22", "2026-04-02", "2011-12-28"])
def test_a_calendar_is_open_when_the_clocks_there_say_so(begins: str):
    """Over the weekends on which clocks are put forward and back, and the day that Samoa never had."""
    draw, first = Random(begins), date.fromisoformat(begins)
    minutes = unix_ms(datetime(first.year, first.month, first.day, tzinfo=UTC)) + 60_000 * np.arange(6 * 1_440)
    days = [first + timedelta(days=number) for number in range(7)]
    edges = 0
    for _ in range(80):
        calendar = some_calendar(draw, days)
        held = Openings(calendar).hold(minutes)
        assert np.array_equal(held, is_open(calendar, minutes)), calendar
        edges += int(np.count_nonzero(np.diff(held)))
    assert edges > 300


def test_what_a_clock_says_that_is_far_off_is_at_no_hour():
    always = Calendar(zone="UTC", weekly=[WeeklyHours(days=list(WEEKDAYS), opens="00:00", closes="24:00")])
    ends = np.array([unix_ms(datetime.min.replace(tzinfo=UTC)), unix_ms(datetime.max.replace(tzinfo=UTC)), 2**62])
    assert Openings(always).hold(ends).tolist() == [False] * 3


def told(*at: datetime) -> list[tuple[str, datetime]]:
    """Of a device that stands in the fence and tells so at these times, in this order."""
    index = FenceIndex([version_of("yard", Circle(center=KAMPPI, radius_m=100), calendar=NIGHTS)])
    track, found = Track(), list[tuple[str, datetime]]()
    for each in at:
        at_ms = unix_ms(each)
        [inside] = index.holding(np.array(HERE[:1]), np.array(HERE[1:]), np.array([at_ms]))
        for change in track.take(at_ms, inside, HERE, index.dwell):
            assert change.at_ms is not None
            found.append((change.transition, datetime.fromtimestamp(change.at_ms / 1_000, UTC)))
    return found


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """Of December 2026, in UTC: two hours behind Helsinki."""
    return datetime(2026, 12, day, hour, minute, tzinfo=UTC)


def test_who_stands_in_a_fence_enters_at_the_first_fix_after_it_opens_and_leaves_at_the_first_after_it_closes():
    friday = [at(18, 19, 59), at(18, 20, 1), at(19, 3, 59), at(19, 4)]
    assert told(*friday) == [("entered", at(18, 20, 1)), ("exited", at(19, 4))]


def test_a_day_of_exception_has_its_own_hours_or_none():
    assert told(at(25, 19), at(25, 20), at(26, 3)) == []
    assert told(at(27, 7, 59), at(27, 8), at(27, 10)) == [("entered", at(27, 8)), ("exited", at(27, 10))]


def test_a_late_fix_is_judged_by_the_hours_of_its_own_time():
    late = told(at(18, 20, 4), at(18, 20, 2), at(18, 19, 58))
    assert late == [("entered", at(18, 20, 4)), ("entered", at(18, 20, 2))], "moved, and not to before it opened"


def test_a_way_leads_through_a_fence_only_while_it_is_open():
    index = FenceIndex([version_of("yard", Circle(center=KAMPPI, radius_m=100), calendar=NIGHTS)])
    south, north = (HERE[0] - 5_000, HERE[1]), (HERE[0] + 5_000, HERE[1])
    ways = [
        step_from(unix_ms(since), south, frozenset(), unix_ms(since + timedelta(minutes=1)), north, frozenset())
        for since in (at(18, 19, 58), at(18, 19, 59), at(18, 20), at(19, 3, 59))
    ]
    assert index.crossed(ways_of(ways)) == {2: ["yard"]}
