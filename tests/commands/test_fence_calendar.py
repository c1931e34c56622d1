"""A calendar that cannot be is refused with its fence, with the place in the body."""

from datetime import timedelta

import pytest
from story import KAMPPI, NOON, nothing_yet

from commands.fence_calendar import InvalidCalendar, check_calendar
from commands.geofence import SoAlready
from schemas.calendar import Calendar, ExceptionalDay, Hours, Weekday, WeeklyHours
from schemas.directory import ChangeGeofence, Circle, CreateGeofence
from schemas.zones import UnknownZone

HERE = Circle(center=KAMPPI, radius_m=300)
ZONE = "Europe/Helsinki"


def on(*days: Weekday, opens: str, closes: str) -> WeeklyHours:
    return WeeklyHours(days=list(days), opens=opens, closes=closes)


def weekly(*hours: WeeklyHours) -> Calendar:
    return Calendar(zone=ZONE, weekly=list(hours))


def exceptions(*days: ExceptionalDay) -> Calendar:
    return Calendar(zone=ZONE, exceptions=list(days))


DAYTIME = weekly(on("monday", "friday", opens="08:00", closes="18:00"))
NIGHTS = [Hours(opens="20:00", closes="02:00"), Hours(opens="01:00", closes="03:00")]


@pytest.mark.parametrize(
    ("calendar", "problem", "pointer"),
    [
        (weekly(on("monday", opens="08:00", closes="08:00")), "closes when it opens", "/calendar/weekly/0/closes"),
        (weekly(on("monday", opens="08:00", closes="24:00"), on("monday", opens="23:00", closes="23:30")), "number 0", "/calendar/weekly/1"),
        (weekly(on("friday", "friday", opens="08:00", closes="09:00")), "on friday overlap", "/calendar/weekly/0"),
        (exceptions(ExceptionalDay(date="2026-02-30")), "no day", "/calendar/exceptions/0/date"),
        (exceptions(ExceptionalDay(date="2026-12-24"), ExceptionalDay(date="2026-12-24")), "twice", "/calendar/exceptions/1/date"),
        (exceptions(ExceptionalDay(date="2026-12-24", hours=[*NIGHTS[:1], Hours(opens="22:30", closes="23:00")])), "overlap", "/calendar/exceptions/0/hours/1"),
        (exceptions(), "never open", "/calendar"),
        (exceptions(ExceptionalDay(date="2026-12-24")), "never open", "/calendar"),
        (exceptions(ExceptionalDay(date="2026-02-27", hours=NIGHTS[:1])), "never open", "/calendar"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_calendar_is_told_with_its_place(calendar: Calendar, problem: str, pointer: str):
    with pytest.raises(InvalidCalendar) as told:
        check_calendar(calendar, "custom", NOON)
    assert problem in str(told.value)
    assert told.value.pointer == pointer


@pytest.mark.parametrize(
    "calendar",
    [
        DAYTIME,
        weekly(on("monday", opens="08:00", closes="12:00"), on("monday", opens="12:00", closes="22:00")),
        weekly(on("sunday", opens="22:00", closes="06:00"), on("monday", opens="00:00", closes="24:00")),
        weekly(on("monday", "tuesday", "sunday", opens="00:00", closes="24:00")),
        exceptions(ExceptionalDay(date="2026-12-24", hours=NIGHTS)),
    ],
)
def test_hours_may_touch_and_go_on_over_midnight_into_those_of_the_next_day(calendar: Calendar):
    check_calendar(calendar, "custom", NOON)


def test_a_fence_is_refused_with_its_calendar():
    nowhere = Calendar(zone="Europe/Atlantis", weekly=DAYTIME.weekly)
    nothing_yet("geofence").when(CreateGeofence(name="x", shape=HERE, calendar=nowhere)).refuses(UnknownZone)
    where_riders_work = CreateGeofence(name="x", kind="zone", shape=HERE, calendar=DAYTIME)
    nothing_yet("geofence").when(where_riders_work).refuses(InvalidCalendar)
    made = nothing_yet("geofence").when(CreateGeofence(name="x", kind="zone", shape=HERE))
    made.tells("GeofenceCreated").happened().when(ChangeGeofence(shape=HERE, calendar=DAYTIME)).refuses(InvalidCalendar)


def test_a_fence_is_given_a_calendar_and_loses_it():
    made = nothing_yet("geofence").when(CreateGeofence(name="x", shape=HERE)).tells("GeofenceCreated").happened()
    given = made.when(ChangeGeofence(shape=HERE, calendar=DAYTIME)).tells("GeofenceChanged").happened()
    given.when(ChangeGeofence(shape=HERE, calendar=DAYTIME)).then()
    given.when(ChangeGeofence(shape=HERE)).tells("GeofenceChanged")


def test_what_a_fence_is_already_can_hold_from_an_earlier_moment_and_not_from_a_later_one():
    made = nothing_yet("geofence").when(CreateGeofence(name="x", shape=HERE)).tells("GeofenceCreated").happened()
    made.when(ChangeGeofence(shape=HERE, valid_from=NOON)).then()
    made.when(ChangeGeofence(shape=HERE, valid_from=NOON + timedelta(hours=1))).refuses(SoAlready)
    earlier = NOON - timedelta(hours=1)
    retimed = made.when(ChangeGeofence(shape=HERE, valid_from=earlier)).tells("GeofenceChanged")
    assert retimed.decided()[0].valid_from == earlier  # type: ignore[attr-defined]
