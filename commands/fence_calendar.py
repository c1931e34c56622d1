"""Is a fence's calendar one that can be? If not, what is wrong with it, and where?"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

from schemas.calendar import Calendar, ExceptionalDay, Hours, WeeklyHours, minutes_of, spans_on
from schemas.directory import FenceKind
from schemas.message import Refused
from schemas.zones import instant_of, zone_of

type Minutes = tuple[int, int]
"""Of a day, from the one up to the other."""


class InvalidCalendar(Refused):
    """`pointer` is a JSON pointer into the command's body."""

    rule = "invalid-calendar"
    is_about = ("calendar",)

    def __init__(self, problem: str, *at: str | int) -> None:
        super().__init__(f"the calendar is not valid: {problem}")
        self.problem = problem
        self.pointer = "".join(f"/{step}" for step in ("calendar", *at))


def check_calendar(calendar: Calendar | None, kind: FenceKind, valid_from: datetime) -> None:
    """Raises InvalidCalendar, UnknownZone."""
    if calendar is None:
        return
    if kind == "zone":
        raise InvalidCalendar("a fence of kind zone is where riders work, at any time: it has none")
    zone = zone_of(calendar.zone)
    check_weekly(calendar.weekly)
    check_exceptions(calendar.exceptions)
    closes = (
        instant_of(closes, zone)
        for each in calendar.exceptions
        for _, closes in spans_on(calendar, date.fromisoformat(each.date))
    )
    if not calendar.weekly and not any(at > valid_from for at in closes):
        raise InvalidCalendar("it is never open while the fence holds")


def check_weekly(weekly: Sequence[WeeklyHours]) -> None:
    """Of each day by itself: what goes on over midnight may meet the hours of the next day."""
    taken: dict[str, list[tuple[Minutes, int]]] = {}
    for number, hours in enumerate(weekly):
        check_length(hours, "weekly", number)
        for day in hours.days:
            of_day = taken.setdefault(day, [])
            check_apart(minutes_of(hours), of_day, f"its hours on {day}", "weekly", number)
            of_day.append((minutes_of(hours), number))


def check_exceptions(exceptions: Sequence[ExceptionalDay]) -> None:
    known: set[str] = set()
    for number, each in enumerate(exceptions):
        if not is_day(each.date):
            raise InvalidCalendar(f"{each.date} is no day", "exceptions", number, "date")
        if each.date in known:
            raise InvalidCalendar(f"{each.date} is named twice", "exceptions", number, "date")
        known.add(each.date)
        taken: list[tuple[Minutes, int]] = []
        for place, hours in enumerate(each.hours):
            check_length(hours, "exceptions", number, "hours", place)
            check_apart(minutes_of(hours), taken, f"its hours on {each.date}", "exceptions", number, "hours", place)
            taken.append((minutes_of(hours), place))


def check_length(hours: Hours | WeeklyHours, *at: str | int) -> None:
    if hours.opens == hours.closes:
        raise InvalidCalendar("it closes when it opens: all day is from 00:00 to 24:00", *at, "closes")


def check_apart(span: Minutes, taken: Iterable[tuple[Minutes, int]], words: str, *at: str | int) -> None:
    """They may touch."""
    for (opens, closes), number in taken:
        if span[0] < closes and opens < span[1]:
            raise InvalidCalendar(f"{words} overlap those of number {number}, counted from 0", *at)


def is_day(text: str) -> bool:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return False
    return day > date.min + timedelta(days=2) and day < date.max - timedelta(days=2)
