"""What an RRULE of RFC 5545 says, in local time: the parts that we take, and its occurrences one after the other.

dateutil reads on to the year 9999 for a rule that nothing satisfies, which takes half a minute. So it is given what
surely has an occurrence, and what leaves days and hours out of that is judged here; months and years, of which there
are few, are read close to the end of its calendar, which repeats every 400 years.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from dateutil.rrule import rrulestr

from schemas.message import Refused
from schemas.recurrence import Occurrence
from schemas.zones import TZDATA, instant_of

FREQUENCIES = ("HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY")
PARTS = ("FREQ", "INTERVAL", "COUNT", "UNTIL", "BYMONTH", "BYMONTHDAY", "BYDAY", "BYHOUR", "WKST")
OF_LONG_ONES = ("BYSETPOS", "BYYEARDAY", "BYWEEKNO")
LONG = ("MONTHLY", "YEARLY")
LEAVES_OUT: dict[str, tuple[str, ...]] = {
    "HOURLY": ("BYMONTH", "BYMONTHDAY", "BYDAY", "BYHOUR"),
    "DAILY": ("BYMONTH", "BYMONTHDAY", "BYDAY"),
    "WEEKLY": ("BYMONTH",),
    "MONTHLY": (),
    "YEARLY": (),
}
"""The table of RFC 5545, section 3.3.10: where a part limits and does not expand."""
MAX_INTERVALS = {"HOURLY": 1_000, "DAILY": 1_000, "WEEKLY": 500, "MONTHLY": 100, "YEARLY": 10}
HORIZON = timedelta(days=3_660)
HOURLY_HORIZON = timedelta(days=367)
"""The next occurrence is looked for within so long: a leap day may be eight years away (2096 to 2104). Ten years of
hours took 0.9 s to look through, one takes 0.1 s."""
CALENDAR_YEARS = 400
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
LOCAL = "%Y-%m-%dT%H:%M"


class InvalidRule(Refused):
    rule = "invalid-rule"
    is_about = ("rule",)

    def __init__(self, problem: str) -> None:
        super().__init__(f"the rule {problem}")
        self.problem = problem


class RecurrenceRule(msgspec.Struct, frozen=True, kw_only=True):
    frequency: str
    generates: str
    """The parts by which dateutil makes candidates."""
    leaves_out: dict[str, tuple[str, ...]]
    """Those by which some of them are none."""
    count: int | None
    until: datetime | date | None
    """A time with its zone, a local time, or a local day that is the last."""

    def has(self, local: datetime) -> bool:
        return all(fits(part, values, local) for part, values in self.leaves_out.items())

    def is_over(self, occurrence: Occurrence, local: datetime) -> bool:
        if self.count is not None and occurrence.number > self.count:
            return True
        match self.until:
            case None:
                return False
            case datetime() as until:
                return (occurrence.at if until.tzinfo else local) > until
            case day:
                return local.date() > day


@lru_cache(maxsize=4_096)
def rule_of(text: str) -> RecurrenceRule:
    """Raises InvalidRule."""
    parts = parts_of(text)
    frequency = parts.pop("FREQ", "")
    if frequency not in FREQUENCIES:
        raise InvalidRule(f"has a FREQ among {', '.join(FREQUENCIES)}")
    if "COUNT" in parts and "UNTIL" in parts:
        raise InvalidRule("has COUNT or UNTIL, not both")
    allowed = (*PARTS, *(OF_LONG_ONES if frequency in LONG else ()))
    for part in parts:
        if part not in allowed:
            raise InvalidRule(f"cannot have {part} with {frequency}")
    count = number_in("COUNT", parts.pop("COUNT", None), 1, 100_000)
    until = until_of(parts.pop("UNTIL", None))
    number_in("INTERVAL", parts.get("INTERVAL"), 1, MAX_INTERVALS[frequency])
    if frequency == "WEEKLY" and "BYDAY" in parts:
        values_of("BYDAY", parts["BYDAY"])
    if frequency in LONG:
        must_be_bounded(frequency, parts)
    out = {part: values_of(part, parts.pop(part)) for part in LEAVES_OUT[frequency] if part in parts}
    generates = ";".join(f"{part}={value}" for part, value in {"FREQ": frequency, **parts}.items())
    return checked(RecurrenceRule(frequency=frequency, generates=generates, leaves_out=out, count=count, until=until))


def must_be_bounded(frequency: str, parts: Mapping[str, str]) -> None:
    """What dateutil takes and cannot go on with, or takes for something else."""
    for part in ("BYMONTH", "BYMONTHDAY", "BYHOUR"):
        if part in parts:
            values_of(part, parts[part])
    most = 53 if frequency == "YEARLY" and "BYMONTH" not in parts else 5
    for value in parts["BYDAY"].split(",") if "BYDAY" in parts else ():
        ordinal = value[:-2].lstrip("+-")
        if value[-2:] not in WEEKDAYS or (value[:-2] and not (ordinal.isdigit() and 1 <= int(ordinal) <= most)):
            raise InvalidRule(f"has BYDAY with days such as MO, 1MO or -1FR, up to {most}: {value!r} is none here")
    for part, limit in (("BYYEARDAY", 366), ("BYWEEKNO", 53), ("BYSETPOS", 366)):
        for value in parts[part].split(",") if part in parts else ():
            number_in(part, value.removeprefix("-").removeprefix("+"), 1, limit)


def parts_of(text: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part in text.removesuffix(";").split(";"):
        name, equals, value = part.partition("=")
        if not equals or not value or name in parts:
            raise InvalidRule(f"is parts such as FREQ=DAILY, each once: {part!r} is none, or stands twice")
        parts[name] = value
    return parts


def number_in(part: str, text: str | None, low: int, high: int) -> int | None:
    if text is None:
        return None
    if not text.isdigit() or not low <= int(text[:9]) <= high:
        raise InvalidRule(f"has {part} from {low} to {high}")
    return int(text)


def until_of(text: str | None) -> datetime | date | None:
    if text is None:
        return None
    try:
        if len(text) == 8:
            return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC).date()
        if text.endswith("Z"):
            return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return datetime.strptime(text, "%Y%m%dT%H%M%S")  # noqa: DTZ007  # local, as the rule is
    except ValueError as broken:
        raise InvalidRule("has UNTIL as 20261231, 20261231T220000Z or, in local time, 20261231T235900") from broken


def values_of(part: str, text: str) -> tuple[str, ...]:
    values = tuple(text.split(","))
    for value in values:
        if part == "BYDAY":
            if value not in WEEKDAYS:
                raise InvalidRule(f"has BYDAY with days such as MO,TU: {value!r} is none here")
        else:
            low, high = {"BYMONTH": (1, 12), "BYMONTHDAY": (1, 31), "BYHOUR": (0, 23)}[part]
            number_in(part, value.removeprefix("-") if part == "BYMONTHDAY" else value, low, high)
    return values


def fits(part: str, values: tuple[str, ...], local: datetime) -> bool:
    match part:
        case "BYMONTH":
            return str(local.month) in values or f"{local.month:02}" in values
        case "BYHOUR":
            return str(local.hour) in values or f"{local.hour:02}" in values
        case "BYDAY":
            return WEEKDAYS[local.weekday()] in values
        case _:
            from_end = local.day - days_in(local.year, local.month) - 1
            return local.day in map(int, values) or from_end in map(int, values)


def days_in(year: int, month: int) -> int:
    first = date(year, month, 1)
    return ((first.replace(day=28) + timedelta(days=4)).replace(day=1) - first).days


def checked(rule: RecurrenceRule) -> RecurrenceRule:
    """As far as dateutil can say without looking for an occurrence."""
    try:
        generator(rule, datetime(2026, 1, 1))  # noqa: DTZ001  # local
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as broken:
        raise InvalidRule(f"has parts that do not go together: {rule.generates}") from broken
    return rule


def generator(rule: RecurrenceRule, starts: datetime) -> Any:
    return rrulestr(rule.generates, dtstart=starts)


def candidates(rule: RecurrenceRule, starts: datetime) -> Iterator[datetime]:
    """dateutil may find only on its way that it cannot go on. Raises InvalidRule."""
    try:
        yield from generator(rule, starts)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as broken:
        raise InvalidRule(f"cannot be followed: {rule.generates}") from broken


def locals_of(rule: RecurrenceRule, starts: datetime) -> Iterator[datetime]:
    """Local times from `starts` on that the rule has, while one follows the other within the horizon."""
    years = (9_999 - starts.year) // CALENDAR_YEARS * CALENDAR_YEARS if rule.frequency in LONG else 0
    last, horizon = starts, HOURLY_HORIZON if rule.frequency == "HOURLY" else HORIZON
    for candidate in candidates(rule, starts.replace(year=starts.year + years)):
        local = candidate.replace(year=candidate.year - years)
        if local - last > horizon:
            return
        if rule.has(local):
            last = local
            yield local


def occurrences(rule: RecurrenceRule, zone: ZoneInfo, local: datetime, number: int = 1) -> Iterator[Occurrence]:
    """From `local` on, which has this number if it is one itself. Two that would be at the same time, because the clock
    is put forward, are one."""
    before: datetime | None = None
    for each in locals_of(rule, local):
        at = instant_of(each, zone)
        if before is not None and at <= before:
            continue
        occurrence = Occurrence(number=number, local=each.strftime(LOCAL), at=at, tzdata=TZDATA)
        if rule.is_over(occurrence, each):
            return
        yield occurrence
        before, number = at, number + 1


def local_time(text: str) -> datetime:
    """Raises ValueError for a time that no day has."""
    return datetime.strptime(text, LOCAL)  # noqa: DTZ007  # local
