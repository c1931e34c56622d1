"""What the list says of a recurrence is what decisions say of it, in whatever order its facts are folded with others'."""

import contextlib
from datetime import timedelta
from random import Random

from garage import Garage
from hypothesis import given, settings
from hypothesis import strategies as st
from interleaved import interleaved
from story import ACME, NOON

from commands.recurrence_state import CreatedRecurrence, status_of
from projections.recurrences import RECURRENCES, RecurrenceRow
from schemas import ids
from schemas.geo import Location
from schemas.message import Command, Refused
from schemas.recurrence import (
    MAX_REFUSED,
    ChangeRecurrence,
    CreateOccurrence,
    CreateRecurrence,
    EndRecurrence,
    PauseRecurrence,
    RecurringStop,
    RecurringTask,
    RefuseOccurrence,
    ResumeRecurrence,
    ReviewOccurrence,
    SkipOccurrence,
)

FIRST, SECOND = (ids.aggregate_id("recurrence", ACME, "shop", name) for name in ("first", "second"))
HOURLY = CreateRecurrence(
    outlet="kamppi",
    rule="FREQ=HOURLY;COUNT=9",
    starts_at=NOON,
    task=RecurringTask(
        kind="delivery",
        stops=[
            RecurringStop(kind="pickup"),
            RecurringStop(kind="dropoff", location=Location(lat=60.161, lon=24.942), address="Tehtaankatu 12"),
        ],
    ),
    create_ahead_seconds=600,
)
hours = st.integers(0, 9)
asked = st.one_of(
    hours.map(lambda hour: CreateOccurrence(occurrence_at=NOON + timedelta(hours=hour))),
    hours.map(lambda hour: CreateOccurrence(occurrence_at=NOON + timedelta(hours=hour))),
    hours.map(lambda hour: SkipOccurrence(local=f"2026-03-01T{14 + hour}:00")),
    hours.map(lambda hour: ReviewOccurrence(occurrence_at=NOON + timedelta(hours=hour), decision_code="seen")),
    hours.map(
        lambda hour: RefuseOccurrence(
            occurrence_at=NOON + timedelta(hours=hour),
            local=f"2026-03-01T{14 + hour}:00",
            task_id="task-1",
            rule="hub-closed",
            reason_code="hub_closed",
        )
    ),
    st.sampled_from([0, 600, 3_600]).map(lambda ahead: ChangeRecurrence(create_ahead_seconds=ahead)),
    st.just(ChangeRecurrence(rule="FREQ=HOURLY;INTERVAL=2")),
    st.just(PauseRecurrence(reason_code="holidays")),
    st.just(ResumeRecurrence()),
    st.just(ResumeRecurrence()),
    st.just(EndRecurrence(reason_code="enough")),
)
stories = st.lists(st.tuples(st.sampled_from([FIRST, SECOND]), st.sampled_from([0, 10, 60]), asked), max_size=40)


def played(story: list[tuple[str, int, Command]]) -> Garage:
    """Two recurrences; what is refused has not happened."""
    garage = Garage()
    for recurrence in (FIRST, SECOND):
        garage.send("recurrence", recurrence, HOURLY)
    for recurrence, later, command in story:
        garage.now += timedelta(minutes=later)
        with contextlib.suppress(Refused):
            garage.send("recurrence", recurrence, command)
    return garage


@settings(max_examples=100, deadline=None)
@given(stories)
def test_the_list_says_of_a_recurrence_what_decisions_say_of_it(story: list[tuple[str, int, Command]]):
    garage = played(story)
    rows = garage.rows(RECURRENCES)
    for recurrence in (FIRST, SECOND):
        state, row = garage.state(recurrence), rows[ACME, recurrence]
        assert isinstance(state, CreatedRecurrence)
        assert isinstance(row, RecurrenceRow)
        assert (row.status, row.rule, row.starts) == (status_of(state), state.rule, state.starts)
        assert (row.next, row.create_ahead_s) == (state.next, state.create_ahead_s)
        assert row.due_at == (state.due_at if state.status == "active" else None)
        assert tuple(row.skips) == state.skips
        assert {each.occurrence_at for each in row.refused} == {each.at for each in state.refused if not each.reviewed}


def test_as_many_refusals_as_wait_for_a_review_are_told():
    garage = played([])
    at = [NOON + timedelta(hours=hour) for hour in range(MAX_REFUSED)]
    for each in at:
        told = {"local": "2026-03-01T14:00", "task_id": "task-1", "rule": "hub-closed", "reason_code": "hub_closed"}
        garage.send("recurrence", FIRST, RefuseOccurrence(occurrence_at=each, **told))
    assert [each.occurrence_at for each in garage.rows(RECURRENCES)[ACME, FIRST].refused] == at


@settings(max_examples=50, deadline=None)
@given(stories, st.randoms(use_true_random=False))
def test_only_the_order_of_one_recurrences_facts_matters(story: list[tuple[str, int, Command]], draw: Random):
    garage = played(story)
    assert interleaved(RECURRENCES, garage.facts(), draw) == garage.rows(RECURRENCES)
