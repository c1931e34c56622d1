"""A calendar: at which hours of a week something counts, by the clock of a zone, and on which days it is otherwise."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import Annotated, Literal

import msgspec

from schemas.geo import Zone
from schemas.message import Input

MAX_WEEKLY = 50
MAX_EXCEPTIONS = 400
MAX_HOURS = 10
"""Of one day of exception."""

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
Opens = Annotated[str, msgspec.Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Closes = Annotated[str, msgspec.Meta(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]
Day = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]


class Hours(Input, frozen=True, kw_only=True):
    """From `opens` up to `closes`, which is on the next day where it is not later; 24:00 is the day's end."""

    opens: Opens
    closes: Closes


class WeeklyHours(Input, frozen=True, kw_only=True):
    """Of each of these days: from `opens` up to `closes`, which is on the next day where it is not later."""

    days: Annotated[list[Weekday], msgspec.Meta(min_length=1, max_length=7)]
    opens: Opens
    closes: Closes


class ExceptionalDay(Input, frozen=True, kw_only=True):
    """A day that has these hours and not those of its weekday; without any, nothing opens on it."""

    date: Day
    hours: Annotated[list[Hours], msgspec.Meta(max_length=MAX_HOURS)] = []


class Calendar(Input, frozen=True, kw_only=True):
    """Open at these hours by the clock of `zone`, an IANA time zone. 09:00 stays 09:00 when the clocks change; a time
    that a day does not have comes so much later as the clock is put forward, and one that it has twice is the first."""

    zone: Zone
    weekly: Annotated[list[WeeklyHours], msgspec.Meta(max_length=MAX_WEEKLY)] = []
    exceptions: Annotated[list[ExceptionalDay], msgspec.Meta(max_length=MAX_EXCEPTIONS)] = []


type Span = tuple[datetime, datetime]
"""From the one up to the other."""


def minutes_of(hours: Hours | WeeklyHours) -> tuple[int, int]:
    """From the day's beginning, as its clock shows them."""
    opens, closes = minute(hours.opens), minute(hours.closes)
    return opens, closes if closes > opens else closes + 24 * 60


def minute(time: str) -> int:
    hour, _, rest = time.partition(":")
    return 60 * int(hour) + int(rest)


def hours_on(calendar: Calendar, day: date) -> Iterable[Hours | WeeklyHours]:
    """Those that begin on it."""
    for exceptional in calendar.exceptions:
        if exceptional.date == day.isoformat():
            return exceptional.hours
    weekday = WEEKDAYS[day.weekday()]
    return (hours for hours in calendar.weekly if weekday in hours.days)


def spans_on(calendar: Calendar, day: date) -> Iterator[Span]:
    """In local time, those that begin on it."""
    begins = datetime(day.year, day.month, day.day)  # noqa: DTZ001  # local
    for hours in hours_on(calendar, day):
        opens, closes = minutes_of(hours)
        yield begins + timedelta(minutes=opens), begins + timedelta(minutes=closes)
