"""The same task again and again: when, by a clock on the outlet's wall, and what becomes of what could not be."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from story import ACME, Story, nothing_yet

from commands.aggregates import AGGREGATES
from commands.context import UnknownOutlet
from commands.recurrence import LATE, LOOKED_THROUGH, NoSuchRefusal, NotAnOccurrence, NothingAhead, OccurrenceAnswered
from commands.recurrence_rule import InvalidRule, local_time, locals_of, occurrences, rule_of
from commands.recurrence_state import CreatedRecurrence, is_over
from commands.refusals import TooMany
from commands.simulated import NothingToSimulate
from commands.task_creation import HubClosedNow, StopsMismatch
from commands.task_state import NotForThisKind
from schemas import ids
from schemas.geo import Location, Window
from schemas.message import NotInThisState, Personal, StopId, TaskId
from schemas.recurrence import (
    MAX_REFUSED,
    MAX_SKIPS,
    MISSED_AT_ONCE,
    ChangeRecurrence,
    ConfirmOccurrence,
    CreateOccurrence,
    CreateRecurrence,
    EndRecurrence,
    MinutesWindow,
    Occurrence,
    OccurrenceCreated,
    OccurrenceRefused,
    OccurrenceReviewed,
    OccurrenceScheduled,
    OccurrenceSkipped,
    OccurrencesMissed,
    PauseRecurrence,
    RecurrenceChanged,
    RecurrenceEnded,
    RecurrencePaused,
    RecurrenceResumed,
    RecurringStop,
    RecurringTask,
    RefuseOccurrence,
    ResumeRecurrence,
    ReviewOccurrence,
    SkipOccurrence,
)
from schemas.simulation import Simulation
from schemas.stop import NewContact, NewParcel
from schemas.zones import TZDATA, zone_of

HOME = Location(lat=60.161, lon=24.942)
CLEO = NewContact(name="Cleo", phone="+358401234567", reference="customer-881")
OF_CLEO = ids.contact_subject(ACME, "customer-881")
HELSINKI = zone_of("Europe/Helsinki")
DAY = timedelta(days=1)

TASK = RecurringTask(
    kind="delivery",
    stops=[
        RecurringStop(kind="pickup", goods_ready_minutes=-30),
        RecurringStop(
            kind="dropoff",
            location=HOME,
            address="Tehtaankatu 12",
            postal_code="FI-00140",
            contact=CLEO,
            window=MinutesWindow(from_minutes=0, to_minutes=120),
            required_proof=[["pin"]],
        ),
    ],
    parcels=[NewParcel(barcode="CRATE-7", weight_g=4_000)],
    metadata={"subscription": "bread"},
)


def at(text: str) -> datetime:
    """At the outlet, which is in Helsinki."""
    return datetime.fromisoformat(text).replace(tzinfo=HELSINKI).astimezone(UTC)


MORNING = at("2026-03-02T09:00")
DAILY = CreateRecurrence(outlet="kamppi", rule="FREQ=DAILY", starts_at=MORNING, task=TASK)


def daily(**changes: Any) -> Story:
    """Created at noon on the first of March."""
    return nothing_yet("recurrence").when(replace(DAILY, **changes)).happened()


def recurrence(story: Story) -> CreatedRecurrence:
    assert isinstance(story.state, CreatedRecurrence)
    return story.state


def following(story: Story) -> Occurrence:
    upcoming = recurrence(story).next
    assert upcoming is not None
    return upcoming


def fired(story: Story) -> Story:
    """What is next has fallen due, and has been fired then."""
    known = recurrence(story)
    assert known.due_at is not None
    return story.at(max(known.due_at, story.now)).when(CreateOccurrence(occurrence_at=following(story).at))


def told(rule: str, starts: str, count: int = 5) -> list[str]:
    """The local times that the rule has in Helsinki, each with when that is."""
    found = occurrences(rule_of(rule), HELSINKI, local_time(starts))
    return [f"{each.local} {each.at:%H:%MZ}" for each in islice(found, count)]


# What a rule says


def test_nine_stays_nine_when_the_clock_is_put_forward():
    assert told("FREQ=DAILY", "2026-03-28T09:00", 3) == [
        "2026-03-28T09:00 07:00Z",
        "2026-03-29T09:00 06:00Z",
        "2026-03-30T09:00 06:00Z",
    ]


def test_nine_stays_nine_when_the_clock_is_put_back():
    assert told("FREQ=DAILY", "2026-10-24T09:00", 3) == [
        "2026-10-24T09:00 06:00Z",
        "2026-10-25T09:00 07:00Z",
        "2026-10-26T09:00 07:00Z",
    ]


def test_a_time_that_a_day_does_not_have_comes_so_much_later_as_the_clock_is_put_forward():
    """03:30 is not on the 29th: by the offset before the gap it is 04:30."""
    assert told("FREQ=DAILY", "2026-03-28T03:30", 3) == [
        "2026-03-28T03:30 01:30Z",
        "2026-03-29T03:30 01:30Z",
        "2026-03-30T03:30 00:30Z",
    ]


def test_a_time_that_a_day_has_twice_is_the_first():
    assert told("FREQ=DAILY", "2026-10-24T03:30", 3) == [
        "2026-10-24T03:30 00:30Z",
        "2026-10-25T03:30 00:30Z",
        "2026-10-26T03:30 01:30Z",
    ]


def test_every_hour_none_comes_twice_where_the_clock_is_put_forward():
    assert told("FREQ=HOURLY", "2026-03-29T02:00", 3) == [
        "2026-03-29T02:00 00:00Z",
        "2026-03-29T03:00 01:00Z",
        "2026-03-29T05:00 02:00Z",
    ]


def test_every_hour_the_hour_that_comes_twice_has_one():
    assert told("FREQ=HOURLY", "2026-10-25T02:00", 3) == [
        "2026-10-25T02:00 23:00Z",
        "2026-10-25T03:00 00:00Z",
        "2026-10-25T04:00 02:00Z",
    ]


@pytest.mark.parametrize(
    ("rule", "starts", "days"),
    [
        ("FREQ=YEARLY", "2028-02-29T09:00", ["2028-02-29", "2032-02-29", "2036-02-29"]),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=-1", "2026-02-01T09:00", ["2026-02-28", "2027-02-28", "2028-02-29"]),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "2096-01-01T09:00", ["2096-02-29", "2104-02-29", "2108-02-29"]),
        ("FREQ=YEARLY;BYYEARDAY=366", "2026-01-01T09:00", ["2028-12-31", "2032-12-31", "2036-12-31"]),
        ("FREQ=MONTHLY", "2026-01-31T09:00", ["2026-01-31", "2026-03-31", "2026-05-31"]),
        ("FREQ=MONTHLY;BYMONTHDAY=-1", "2026-01-01T09:00", ["2026-01-31", "2026-02-28", "2026-03-31"]),
        (
            "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
            "2026-01-01T09:00",
            ["2026-01-30", "2026-02-27", "2026-03-31"],
        ),
        ("FREQ=MONTHLY;BYDAY=5FR", "2026-01-01T09:00", ["2026-01-30", "2026-05-29", "2026-07-31"]),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH", "2026-03-04T09:00", ["2026-03-05", "2026-03-16", "2026-03-19"]),
        ("FREQ=DAILY;BYMONTHDAY=-1,15", "2026-02-01T09:00", ["2026-02-15", "2026-02-28", "2026-03-15"]),
        ("FREQ=DAILY;BYDAY=SA,SU;BYMONTH=4", "2026-03-30T09:00", ["2026-04-04", "2026-04-05", "2026-04-11"]),
        ("FREQ=DAILY;COUNT=2", "2026-03-01T09:00", ["2026-03-01", "2026-03-02"]),
        ("FREQ=DAILY;UNTIL=20260302", "2026-03-01T23:30", ["2026-03-01", "2026-03-02"]),
        ("FREQ=DAILY;UNTIL=20260302T090000", "2026-03-01T09:00", ["2026-03-01", "2026-03-02"]),
        ("FREQ=DAILY;UNTIL=20260302T065959Z", "2026-03-01T09:00", ["2026-03-01"]),
    ],
)
def test_the_days_that_a_rule_has(rule: str, starts: str, days: list[str]):
    assert [each[:10] for each in told(rule, starts, 3)] == days


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH;WKST=SU",
        "FREQ=MONTHLY;INTERVAL=2;BYMONTHDAY=31,-1",
        "FREQ=YEARLY;BYWEEKNO=1,53;BYDAY=MO",
        "FREQ=DAILY;INTERVAL=3;BYDAY=MO,FR",
        "FREQ=HOURLY;INTERVAL=5;BYHOUR=1,9,17",
        "FREQ=MONTHLY;BYDAY=1MO,-1FR",
        "FREQ=DAILY;BYHOUR=9,17",
    ],
)
def test_read_on_from_any_of_its_occurrences_a_rule_says_the_same(rule: str):
    """So it need not be read from its start each time."""
    whole = list(islice(occurrences(rule_of(rule), HELSINKI, local_time("2026-01-07T09:00")), 40))
    for place, each in enumerate(whole[:-5]):
        rest = occurrences(rule_of(rule), HELSINKI, local_time(each.local), each.number)
        assert list(islice(rest, 5)) == whole[place : place + 5], each


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=SECONDLY",
        "FREQ=MINUTELY;INTERVAL=5",
        "FREQ=DAILY;BYMINUTE=0,1,2",
        "FREQ=DAILY;BYSECOND=1",
        "FREQ=DAILY;COUNT=2;UNTIL=20270101",
        "FREQ=DAILY;COUNT=0",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=YEARLY;INTERVAL=11",
        "FREQ=DAILY;FREQ=DAILY",
        "FREQ=DAILY;BYDAY=2MO",
        "FREQ=WEEKLY;BYDAY=2MO",
        "FREQ=WEEKLY;BYSETPOS=1",
        "FREQ=WEEKLY;BYDAY=XX",
        "FREQ=DAILY;BYMONTH=13",
        "FREQ=DAILY;BYHOUR=24",
        "FREQ=DAILY;UNTIL=2027",
        "FREQ=DAILY;UNTIL=20270231",
        "FREQ=DAILY;WKST=QQ",
        "INTERVAL=2",
        "DAILY",
        "FREQ=DAILY;X",
    ],
)
def test_a_rule_that_cannot_be_read_says_what_is_wrong(rule: str):
    nothing_yet("recurrence").when(replace(DAILY, rule=rule)).refuses(InvalidRule)


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;INTERVAL=7;BYDAY=TU",
        "FREQ=DAILY;UNTIL=20260301",
    ],
)
def test_a_rule_that_has_nothing_ahead_is_refused(rule: str):
    nothing_yet("recurrence").when(replace(DAILY, rule=rule)).refuses(NothingAhead)


@pytest.mark.parametrize("year", [1, 1900, 2200, 9999])
def test_a_start_that_is_far_away_is_none(year: int):
    starts = datetime(year, 12, 31, 23, 59, tzinfo=UTC)
    nothing_yet("recurrence").when(replace(DAILY, starts_at=starts)).refuses(NothingAhead)
    daily().when(ChangeRecurrence(starts_at=starts)).refuses(NothingAhead)


# Created


def test_the_first_occurrence_is_scheduled_with_the_rule():
    made, scheduled = nothing_yet("recurrence").when(DAILY).decided()
    assert (made.zone, made.rule, made.starts) == ("Europe/Helsinki", "FREQ=DAILY", "2026-03-02T09:00")
    first = Occurrence(number=1, local="2026-03-02T09:00", at=MORNING, tzdata=TZDATA)
    assert scheduled == OccurrenceScheduled(occurrence=first, due_at=MORNING - DAY)


def test_what_lies_before_is_counted_and_is_no_occurrence():
    story = daily(starts_at=at("2026-02-20T09:00"), rule="FREQ=DAILY;COUNT=12")
    assert (following(story).number, following(story).local) == (11, "2026-03-02T09:00")


def test_what_would_be_refused_of_its_task_is_refused_at_once():
    new = nothing_yet("recurrence")
    new.when(replace(DAILY, outlet="kalio")).refuses(UnknownOutlet)
    new.when(replace(DAILY, task=replace(TASK, stops=TASK.stops[1:]))).refuses(StopsMismatch)
    backwards = replace(TASK.stops[1], window=MinutesWindow(from_minutes=60, to_minutes=60))
    new.when(replace(DAILY, task=replace(TASK, stops=[TASK.stops[0], backwards]))).refuses(StopsMismatch)
    meeting = RecurringTask(kind="collection", stops=[RecurringStop(kind="collection")], on_hold=True)
    new.when(replace(DAILY, task=meeting)).refuses(NotForThisKind)
    to_hub = replace(TASK, kind="transfer", stops=[TASK.stops[0], RecurringStop(kind="dropoff", hub="north")])
    closed = nothing_yet("recurrence").when(replace(DAILY, task=to_hub))
    closed.hubs = {slug: replace(hub, closed=True) for slug, hub in closed.hubs.items()}
    closed.refuses(HubClosedNow)


def test_an_occurrence_is_created_a_day_ahead_and_the_next_is_scheduled():
    story = fired(daily())
    made, scheduled = story.decided()
    assert isinstance(made, OccurrenceCreated)
    assert made.task_id == ids.aggregate_id("task", ACME, "recurrence", "a-1/2026-03-02T09:00")
    assert scheduled.occurrence.local == "2026-03-03T09:00"
    assert scheduled.due_at == at("2026-03-02T09:00")


def test_its_task_has_the_times_of_the_occurrence_and_the_same_people_each_time():
    first, second = (
        event for story in [fired(daily())] for event in (story.decided()[0], fired(story.happened()).decided()[0])
    )
    door = first.template.stops[1]
    assert door.window == Window(start=MORNING, end=MORNING + timedelta(hours=2))
    assert first.template.stops[0].goods_ready_at == MORNING - timedelta(minutes=30)
    assert (door.name, door.address) == (Personal(OF_CLEO, "Cleo"), Personal(OF_CLEO, "Tehtaankatu 12"))
    assert door.postal_code == Personal(OF_CLEO, "FI-00140")
    assert second.template.stops[1].name == door.name
    assert second.template.stops[1].window.start == MORNING + DAY
    assert first.template.parcels[0].barcode == "CRATE-7"
    assert (first.template.source, first.template.external_reference) == ("recurrence", "a-1/2026-03-02T09:00")


def test_minutes_pass_as_on_a_clock_that_nobody_puts_forward():
    early = replace(TASK.stops[1], window=MinutesWindow(from_minutes=60, to_minutes=120))
    night = daily(starts_at=at("2026-03-29T02:30"), task=replace(TASK, stops=[TASK.stops[0], early]))
    window = fired(night).decided()[0].template.stops[1].window
    assert window == Window(start=at("2026-03-29T02:30") + timedelta(hours=1), end=at("2026-03-29T05:30"))


def test_fired_early_or_twice_or_for_another_one_nothing_changes():
    story = daily()
    wanted = CreateOccurrence(occurrence_at=MORNING)
    story.at(MORNING - DAY - timedelta(seconds=1)).when(wanted).then()
    fired(story).happened()
    story.when(wanted).then()
    story.when(CreateOccurrence(occurrence_at=MORNING + 2 * DAY)).then()


def test_a_moment_late_it_is_still_created_and_later_it_was_missed():
    story = daily(create_ahead_seconds=0)
    wanted = CreateOccurrence(occurrence_at=MORNING)
    story.at(MORNING + LATE).when(wanted).tells("OccurrenceCreated", "OccurrenceScheduled")
    story.at(MORNING + LATE + timedelta(seconds=1)).when(wanted).tells("OccurrencesMissed", "OccurrenceScheduled")


def test_what_was_missed_is_told_with_one_fact_and_not_made_up_for():
    story = daily().at(MORNING + 9.5 * DAY).when(CreateOccurrence(occurrence_at=MORNING))
    missed, scheduled = story.decided()
    assert isinstance(missed, OccurrencesMissed)
    assert (missed.count, missed.first.number, missed.last.number) == (10, 1, 10)
    assert scheduled.occurrence.number == 11


def test_so_many_are_missed_at_once_and_the_rest_is_due_next():
    story = daily(rule="FREQ=HOURLY").at(MORNING + 60 * DAY).when(CreateOccurrence(occurrence_at=MORNING))
    missed, scheduled = story.decided()
    assert missed.count == MISSED_AT_ONCE
    story.take([missed, scheduled])
    rest, upcoming = fired(story).decided()
    assert isinstance(rest, OccurrencesMissed)
    assert rest.count < MISSED_AT_ONCE
    assert upcoming.occurrence.at + LATE >= story.now


def test_with_the_last_of_its_count_it_ends():
    story = fired(daily(rule="FREQ=DAILY;COUNT=2")).happened()
    made, ended = fired(story).decided()
    assert isinstance(made, OccurrenceCreated)
    assert ended == RecurrenceEnded(reason_code="exhausted")


def test_a_new_release_of_the_time_zones_moves_what_is_not_created_yet():
    story = daily()
    thought = replace(following(story), at=MORNING - timedelta(hours=1), tzdata="2019a")
    story.take([OccurrenceScheduled(occurrence=thought, due_at=thought.at - DAY)])
    (moved,) = story.at(thought.at - DAY).when(CreateOccurrence(occurrence_at=thought.at)).decided()
    assert moved == OccurrenceScheduled(
        occurrence=Occurrence(number=1, local=thought.local, at=MORNING, tzdata=TZDATA), due_at=MORNING - DAY
    )


ERASED = Personal[Any](OF_CLEO, None, b"sealed under a key that is erased", "RecurringTemplateStop.name")


def with_cleo(**changes: object) -> Story:
    """A recurrence of which this is known of its customer by now."""
    (made, *rest) = nothing_yet("recurrence").when(DAILY).decided()
    stop = replace(made.task.stops[1], **changes)
    made = replace(made, task=replace(made.task, stops=[made.task.stops[0], stop]))
    return Story("recurrence", [made, *rest])


def test_who_is_forgotten_is_in_no_task_any_more():
    told = (
        fired(with_cleo(name=ERASED, phone=ERASED, address=ERASED, postal_code=ERASED)).decided()[0].template.stops[1]
    )
    assert (told.name, told.phone, told.address, told.postal_code) == (None, None, None, None)
    assert told.location is not None


def test_no_task_is_made_that_has_nowhere_to_go_since_its_customer_is_forgotten():
    refused, scheduled = fired(with_cleo(name=ERASED, location=ERASED)).decided()
    assert isinstance(refused, OccurrenceRefused)
    assert (refused.rule, refused.reason_code) == ("person-forgotten", "person_forgotten")
    assert refused.local == "2026-03-02T09:00"
    assert isinstance(scheduled, OccurrenceScheduled), "the next one is as before"


def test_of_a_simulated_recurrence_each_task_is_simulated():
    again = replace(TASK, simulation=Simulation(outcome="customer_unavailable"))
    made = fired(daily(task=again)).decided()[0]
    assert made.template.simulation == Simulation(outcome="customer_unavailable")
    nothing = replace(TASK, parcels=[], simulation=Simulation(outcome="lost"))
    nothing_yet("recurrence").when(replace(DAILY, task=nothing)).refuses(NothingToSimulate)


# Left out, paused, changed, ended


def test_one_that_is_left_out_is_passed_over():
    story = daily().when(SkipOccurrence(local="2026-03-03T09:00"))
    story.tells("OccurrenceSkipped").happened()
    story.when(SkipOccurrence(local="2026-03-03T09:00")).then()
    fired(story).happened()
    assert (following(story).number, following(story).local) == (3, "2026-03-04T09:00")
    assert recurrence(story).skips == ()


def test_where_the_next_one_is_left_out_the_one_after_it_is_scheduled():
    skipped, scheduled = daily().when(SkipOccurrence(local="2026-03-02T09:00")).decided()
    assert isinstance(skipped, OccurrenceSkipped)
    assert scheduled.occurrence.local == "2026-03-03T09:00"


def test_where_the_last_one_is_left_out_it_ends():
    daily(rule="FREQ=DAILY;COUNT=1").when(SkipOccurrence(local="2026-03-02T09:00")).tells(
        "OccurrenceSkipped", "RecurrenceEnded"
    )


@pytest.mark.parametrize("local", ["2026-03-02T10:00", "2026-03-01T09:00", "2026-02-31T09:00"])
def test_only_what_is_ahead_can_be_left_out(local: str):
    daily().when(SkipOccurrence(local=local)).refuses(NotAnOccurrence)


def test_so_many_are_left_out_and_no_more():
    story = daily()
    known = recurrence(story)
    story.state = replace(known, skips=tuple(f"2030-01-01T{n:05}" for n in range(MAX_SKIPS)))
    story.when(SkipOccurrence(local="2026-03-04T09:00")).refuses(TooMany)


def test_paused_it_creates_nothing_and_what_lay_in_the_pause_is_not_made_up_for():
    story = daily().when(PauseRecurrence(reason_code="holidays"))
    story.then(RecurrencePaused(reason_code="holidays"))
    story.happened().when(PauseRecurrence(reason_code="holidays")).then()
    story.at(MORNING).when(CreateOccurrence(occurrence_at=MORNING)).then()
    resumed, scheduled = story.at(MORNING + 3 * DAY).when(ResumeRecurrence()).decided()
    assert resumed == RecurrenceResumed(passed_over=4)
    assert scheduled.occurrence.local == "2026-03-06T09:00"
    story.happened().when(ResumeRecurrence()).then()


def test_what_its_count_had_left_may_pass_in_the_pause():
    story = daily(rule="FREQ=DAILY;COUNT=3").when(PauseRecurrence(reason_code="holidays")).happened()
    story.at(MORNING + 5 * DAY).when(ResumeRecurrence())
    story.then(RecurrenceResumed(passed_over=3), RecurrenceEnded(reason_code="exhausted"))


def test_paused_for_so_long_that_they_are_not_all_counted_the_rest_is_missed():
    story = daily(rule="FREQ=HOURLY").when(PauseRecurrence(reason_code="holidays")).happened()
    resumed, scheduled = story.at(MORNING + 500 * DAY).when(ResumeRecurrence()).decided()
    assert resumed.passed_over == LOOKED_THROUGH - 1
    assert scheduled.occurrence.number == LOOKED_THROUGH
    assert isinstance(fired(story.happened()).decided()[0], OccurrencesMissed)


def test_one_is_left_out_while_it_is_paused():
    story = daily().when(PauseRecurrence(reason_code="holidays")).happened()
    story.when(SkipOccurrence(local="2026-03-02T09:00")).tells("OccurrenceSkipped").happened()
    resumed, scheduled = story.when(ResumeRecurrence()).decided()
    assert (resumed.passed_over, scheduled.occurrence.local) == (0, "2026-03-03T09:00")


def test_another_rule_is_for_what_has_not_been_created_from_the_day_of_the_next_on():
    story = fired(daily()).happened()  # the second is created, the third is next
    changed, scheduled = story.when(ChangeRecurrence(rule="FREQ=DAILY;BYHOUR=17")).decided()
    assert isinstance(changed, RecurrenceChanged)
    assert (changed.next.local, changed.task) == ("2026-03-03T17:00", None)
    assert scheduled.occurrence == changed.next


def test_another_start_is_its_own_day_unless_that_is_created_already():
    story = fired(daily()).happened()
    story.when(ChangeRecurrence(starts_at=at("2026-03-10T11:00"))).happened()
    assert following(story).local == "2026-03-10T11:00"
    story.when(ChangeRecurrence(starts_at=at("2026-03-02T08:00"))).happened()
    assert following(story).local == "2026-03-03T08:00"


def test_another_task_is_for_the_next_one_on_and_its_time_stays():
    story = daily().when(ChangeRecurrence(task=replace(TASK, priority="urgent")))
    changed, scheduled = story.decided()
    assert changed.task.priority == "urgent"
    assert scheduled.occurrence.local == "2026-03-02T09:00"
    assert fired(story.happened()).decided()[0].template.priority == "urgent"


def test_created_longer_ahead_it_is_due_earlier():
    story = daily().when(ChangeRecurrence(create_ahead_seconds=2 * 86_400)).happened()
    assert recurrence(story).due_at == MORNING - 2 * DAY
    story.when(ChangeRecurrence(create_ahead_seconds=2 * 86_400)).then()


def test_while_paused_it_is_changed_and_stays_paused():
    story = daily().when(PauseRecurrence(reason_code="holidays")).happened()
    story.when(ChangeRecurrence(rule="FREQ=DAILY;BYHOUR=17")).tells("RecurrenceChanged").happened()
    _, scheduled = story.when(ResumeRecurrence()).decided()
    assert scheduled.occurrence.local == "2026-03-02T17:00"


def test_a_change_after_which_nothing_would_come_is_refused():
    daily().when(ChangeRecurrence(rule="FREQ=DAILY;UNTIL=20260301")).refuses(NothingAhead)
    daily().when(ChangeRecurrence(rule="FREQ=NEVER")).refuses(InvalidRule)


def test_ended_it_is_over_for_ever():
    story = daily().when(EndRecurrence(reason_code="enough")).happened()
    assert is_over(story.state)
    story.when(EndRecurrence(reason_code="enough")).then()
    for command in (ResumeRecurrence(), PauseRecurrence(reason_code="x"), ChangeRecurrence(rule="FREQ=DAILY")):
        story.when(command).refuses(NotInThisState)
    story.when(CreateOccurrence(occurrence_at=MORNING)).then()


# What could not be created


def refusal(n: int = 0) -> RefuseOccurrence:
    return RefuseOccurrence(
        occurrence_at=MORNING + n * DAY,
        local=f"2026-03-{2 + n % 20:02}T09:00",
        task_id="task-1",
        rule="hub-closed",
        reason_code="hub_closed",
    )


def test_an_occurrence_that_was_refused_is_told_once_and_created_no_more():
    story = fired(daily()).happened()
    story.when(ConfirmOccurrence(occurrence_at=MORNING)).then()
    story.when(refusal()).then(
        OccurrenceRefused(
            occurrence_at=MORNING,
            local="2026-03-02T09:00",
            task_id=TaskId("task-1"),
            rule="hub-closed",
            reason_code="hub_closed",
        )
    )
    story.happened().when(refusal()).then()
    story.when(ConfirmOccurrence(occurrence_at=MORNING)).refuses(OccurrenceAnswered)


def test_somebody_sees_to_it_though_it_has_ended_meanwhile():
    story = fired(daily()).happened().when(refusal()).happened().when(EndRecurrence(reason_code="x")).happened()
    assert not is_over(story.state)
    review = ReviewOccurrence(occurrence_at=MORNING, decision_code="called")
    story.when(review).then(OccurrenceReviewed(occurrence_at=MORNING, decision_code="called"))
    assert is_over(story.happened().state)
    story.when(review).then()
    story.when(ReviewOccurrence(occurrence_at=MORNING + DAY, decision_code="x")).refuses(NoSuchRefusal)


def test_of_those_long_ago_it_is_known_that_they_are_settled():
    story = daily()
    for n in range(MAX_REFUSED + 2):
        story.when(refusal(n)).happened()
    assert len(recurrence(story).refused) == MAX_REFUSED
    story.when(ConfirmOccurrence(occurrence_at=MORNING)).refuses(OccurrenceAnswered)
    story.when(refusal()).then()


def test_its_state_is_read_again_as_it_was_kept():
    story = daily().when(SkipOccurrence(local="2026-03-05T09:00")).happened().when(refusal()).happened()
    kept = msgspec.msgpack.encode(story.state)
    assert msgspec.msgpack.decode(kept, type=AGGREGATES["recurrence"].state) == story.state


def test_the_stops_have_their_names_in_every_occurrence():
    assert [stop.stop_id for stop in recurrence(daily()).task.stops] == [StopId("stop-1"), StopId("stop-2")]


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=MONTHLY;BYDAY=1MO,9MO",
        "FREQ=MONTHLY;BYDAY=99MO",
        "FREQ=YEARLY;BYDAY=54MO",
        "FREQ=YEARLY;BYMONTH=3;BYDAY=9MO",
        "FREQ=MONTHLY;BYMONTHDAY=0",
        "FREQ=MONTHLY;BYMONTHDAY=32",
        "FREQ=YEARLY;BYYEARDAY=400",
        "FREQ=YEARLY;BYWEEKNO=54",
        "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=0",
        "FREQ=MONTHLY;BYDAY=0MO",
    ],
)
def test_what_no_month_has_is_refused_before_anything_is_created(rule: str):
    with pytest.raises(InvalidRule):
        rule_of(rule)


@pytest.mark.parametrize(
    "rule",
    ["FREQ=MONTHLY;BYDAY=-1FR", "FREQ=MONTHLY;BYDAY=+2TU,5MO", "FREQ=YEARLY;BYDAY=53MO", "FREQ=YEARLY;BYDAY=1MO"],
)
def test_what_a_month_or_a_year_may_have_is_followed(rule: str):
    starts = datetime(2026, 3, 2, 9)  # noqa: DTZ001  # local
    assert len(list(islice(locals_of(rule_of(rule), starts), 20))) == 20
