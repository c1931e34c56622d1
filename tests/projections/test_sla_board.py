"""What the board, the deadlines and the exception desk make of a promise: each says what the task's own clock says."""

import contextlib
from datetime import timedelta
from random import Random
from typing import Any

from garage import Garage
from hypothesis import given, settings
from hypothesis import strategies as st
from interleaved import interleaved
from story import ACME, minutes

from commands.sla_clock import SlaState
from commands.task_state import CreatedTask
from projections.deadlines import DEADLINES
from projections.exception_desk import EXCEPTION_DESK
from projections.sla_board import SLA_BOARD, SlaRow
from projections.task_board import TASK_BOARD
from projections.task_detail import TASK_DETAIL
from schemas import ids
from schemas.field_report import ReportDelivered, ReportPickedUp
from schemas.geo import Location
from schemas.message import Command, Refused, RiderId, Role, StopId, TenderId
from schemas.sla import MarkSlaAtRisk, MarkSlaBreach
from schemas.sla_policy import CreateSlaPolicy, SlaTerms
from schemas.stop import NewParcel, NewStop
from schemas.task import (
    AssignTask,
    CancelTask,
    CloseTender,
    CreateTask,
    HoldTask,
    RecordTender,
    ReleaseTask,
    UnassignTask,
)

HOME = Location(lat=60.1610, lon=24.9420)
PICKUP, DROPOFF, ANN = StopId("stop-1"), StopId("stop-2"), RiderId("ann")
TENDER = TenderId("tender-1")
BREAD, MILK = (ids.aggregate_id("task", ACME, "shop", name) for name in ("bread", "milk"))
POLICY = ids.aggregate_id("sla_policy", ACME, "shop", "hour")
TERMS = SlaTerms(
    dispatch_within_s=600, deliver_within_s=3_600, at_risk_margin_s=600, breach_levels_minutes=[15], pauses=["stock"]
)
CREATE = CreateTask(
    kind="delivery",
    outlet="kamppi",
    stops=[NewStop(kind="pickup"), NewStop(kind="dropoff", location=HOME)],
    parcels=[NewParcel()],
)


def promised(*tasks: str) -> Garage:
    garage = Garage()
    garage.send("sla_policy", POLICY, CreateSlaPolicy(name="Hour", terms=TERMS), "operator")
    for task in tasks:
        garage.send("task", task, CREATE)
    return garage


def tell(garage: Garage, minute: float, command: Command, role: Role = "dispatcher", task: str = BREAD) -> Garage:
    garage.now = minutes(minute)
    garage.send("task", task, command, role, ANN if role == "rider" else "dora")
    return garage


def on_the_road() -> Garage:
    garage = tell(promised(BREAD), 5, AssignTask(rider_id=ANN))
    return tell(garage, 10, ReportPickedUp(stop_id=PICKUP, observed_at=minutes(10)), "rider")


def row(garage: Garage, promise: str = "deliver", task: str = BREAD) -> SlaRow:
    found = garage.rows(SLA_BOARD)[ACME, task, promise]
    assert isinstance(found, SlaRow)
    return found


def due(garage: Garage) -> dict[tuple[str, str], Any]:
    """By kind and promise."""
    rows = garage.rows(DEADLINES).values()
    return {(each.kind, each.subject): each for each in rows if each.kind in ("sla_at_risk", "sla_breach")}


def on_the_desk(garage: Garage) -> dict[str, list[str]]:
    return {key[2]: [item["id"] for item in row.items] for key, row in garage.rows(EXCEPTION_DESK).items()}


def test_each_promise_of_a_task_has_a_row_and_its_deadlines():
    garage = promised(BREAD)
    assert set(garage.rows(SLA_BOARD)) == {(ACME, BREAD, "dispatch"), (ACME, BREAD, "deliver")}
    found = row(garage)
    assert (found.status, found.target_at, found.sla_policy_id) == ("running", minutes(60), POLICY)
    at = {key: (deadline.due_at, deadline.target_at) for key, deadline in due(garage).items()}
    assert at == {
        ("sla_at_risk", "dispatch"): (minutes(0), minutes(10)),
        ("sla_breach", "dispatch"): (minutes(10), minutes(10)),
        ("sla_at_risk", "deliver"): (minutes(50), minutes(60)),
        ("sla_breach", "deliver"): (minutes(60), minutes(60)),
    }


def test_what_is_settled_is_kept_or_late_and_falls_due_no_more():
    garage = on_the_road()
    assert (row(garage, "dispatch").status, row(garage, "dispatch").late_s) == ("kept", 0)
    assert {promise for _, promise in due(garage)} == {"deliver"}
    tell(garage, 70, ReportDelivered(stop_id=DROPOFF, observed_at=minutes(65)), "rider")
    found = row(garage)
    assert (found.status, found.late_s, found.ended_at) == ("late", 300, minutes(65))
    assert due(garage) == {}


def test_what_is_at_risk_and_then_broken_stands_on_the_desk_until_it_is_settled():
    garage = tell(on_the_road(), 30, MarkSlaAtRisk(promise="deliver", target_at=minutes(60), predicted_at=minutes(66)))
    assert (row(garage).at_risk, row(garage).predicted_at) == (True, minutes(66))
    assert on_the_desk(garage) == {"sla_at_risk": ["deliver"]}
    assert set(due(garage)) == {("sla_breach", "deliver")}
    tell(garage, 61, MarkSlaBreach(promise="deliver", target_at=minutes(60), level=0))
    assert (row(garage).level, row(garage).at_fault) == (0, "rider")
    assert on_the_desk(garage) == {"sla_breached": ["deliver"]}
    following = due(garage)["sla_breach", "deliver"]
    assert (following.due_at, following.round) == (minutes(75), 1)
    tell(garage, 80, ReportDelivered(stop_id=DROPOFF, observed_at=minutes(80)), "rider")
    assert on_the_desk(garage) == {}


def flags(garage: Garage) -> tuple[bool, bool]:
    """At risk, and broken: as the board and the task itself say."""
    [board], [detail] = garage.rows(TASK_BOARD).values(), garage.rows(TASK_DETAIL).values()
    told = (board.sla_at_risk, board.sla_breached)
    assert (detail.sla_at_risk, detail.sla_breached) == told
    return told


def test_a_task_shows_that_a_promise_is_at_risk_and_that_one_is_broken():
    garage = on_the_road()
    assert flags(garage) == (False, False)
    tell(garage, 30, MarkSlaAtRisk(promise="deliver", target_at=minutes(60), predicted_at=minutes(66)))
    assert flags(garage) == (True, False)
    tell(garage, 61, MarkSlaBreach(promise="deliver", target_at=minutes(60), level=0))
    assert flags(garage) == (False, True)
    tell(garage, 80, ReportDelivered(stop_id=DROPOFF, observed_at=minutes(79)), "rider")
    assert flags(garage) == (False, True)


def test_what_was_in_time_and_told_late_is_not_broken():
    garage = tell(on_the_road(), 61, MarkSlaBreach(promise="deliver", target_at=minutes(60), level=0))
    assert flags(garage) == (False, True)
    tell(garage, 80, ReportDelivered(stop_id=DROPOFF, observed_at=minutes(59)), "rider")
    assert flags(garage) == (False, False)


def test_what_is_broken_before_it_was_said_to_be_at_risk_is_at_risk_no_more():
    garage = tell(on_the_road(), 61, MarkSlaBreach(promise="deliver", target_at=minutes(60), level=0))
    assert set(due(garage)) == {("sla_breach", "deliver")}
    assert on_the_desk(garage) == {"sla_breached": ["deliver"]}


def test_a_task_that_is_held_is_not_tried_again_meanwhile():
    garage = tell(promised(BREAD), 1, RecordTender(tender_id=TENDER, round=1), "system")
    tell(garage, 2, CloseTender(tender_id=TENDER, round=1, outcome="exhausted"), "system")
    assert "retry_dispatch" in {row.kind for row in garage.rows(DEADLINES).values()}
    tell(garage, 3, HoldTask(reason_code="stock"))
    assert "retry_dispatch" not in {row.kind for row in garage.rows(DEADLINES).values()}


def test_while_the_clock_stands_still_nothing_falls_due():
    garage = tell(promised(BREAD), 5, HoldTask(reason_code="stock"))
    assert (row(garage).status, row(garage).pause_reason, due(garage)) == ("paused", "stock", {})
    tell(garage, 65, ReleaseTask(reason_code="stock"))
    found = row(garage)
    assert (found.status, found.paused_s, found.target_at) == ("running", 3_600, minutes(120))
    assert due(garage)["sla_breach", "deliver"].due_at == minutes(120)


def test_a_task_that_ends_without_it_leaves_nothing_due():
    garage = tell(promised(BREAD), 5, CancelTask(reason_code="asked"))
    assert (row(garage).status, row(garage, "dispatch").status, due(garage)) == ("stopped", "stopped", {})


# Whatever was asked

moments = st.sampled_from([minutes(10), minutes(60), minutes(75), minutes(120)])
promises = st.sampled_from(["dispatch", "deliver"])
asked: st.SearchStrategy[tuple[Role, Command]] = st.one_of(
    st.tuples(st.just("dispatcher"), st.just(AssignTask(rider_id=ANN))),
    st.tuples(st.just("dispatcher"), st.just(UnassignTask(reason_code="ill"))),
    st.tuples(st.just("dispatcher"), st.builds(HoldTask, reason_code=st.sampled_from(["stock", "lunch"]))),
    st.tuples(st.just("dispatcher"), st.just(ReleaseTask(reason_code="over"))),
    st.tuples(st.just("dispatcher"), st.just(CancelTask(reason_code="asked"))),
    st.tuples(st.just("rider"), st.builds(ReportPickedUp, stop_id=st.just(PICKUP), observed_at=moments)),
    st.tuples(st.just("rider"), st.builds(ReportDelivered, stop_id=st.just(DROPOFF), observed_at=moments)),
    st.tuples(st.just("system"), st.builds(MarkSlaAtRisk, promise=promises, target_at=moments)),
    st.tuples(
        st.just("system"), st.builds(MarkSlaBreach, promise=promises, target_at=moments, level=st.integers(0, 1))
    ),
)
stories = st.lists(st.tuples(st.sampled_from([BREAD, MILK]), st.integers(0, 30), asked), max_size=25)


def played(story: list[tuple[str, int, tuple[Role, Command]]]) -> Garage:
    garage = promised(BREAD, MILK)
    for task, later, (role, command) in story:
        garage.now += timedelta(minutes=later)
        with contextlib.suppress(Refused):
            garage.send("task", task, command, role, ANN if role == "rider" else "dora")
    return garage


@settings(max_examples=100, deadline=None)
@given(stories)
def test_the_board_says_what_the_tasks_own_clock_says_and_what_is_open_falls_due(story: Any):
    garage = played(story)
    for task in (BREAD, MILK):
        state = garage.state(task)
        assert isinstance(state, CreatedTask)
        clock = state.sla
        assert isinstance(clock, SlaState)
        rows = {key[2]: row for key, row in garage.rows(SLA_BOARD).items() if key[1] == task}
        open_still = {promise for promise, row in rows.items() if row.status in ("running", "paused")}
        assert open_still == set(clock.promises)
        assert not (state.ended and clock.promises), "no clock runs in a task that has ended"
        for promise, known in clock.promises.items():
            found = rows[promise]
            assert (found.target_at, found.at_risk) == (known.target_at, known.at_risk)
            assert (found.status == "paused") == (clock.paused_at is not None)
    running = {key[1:] for key, row in garage.rows(SLA_BOARD).items() if row.status == "running"}
    falls_due = {(each.aggregate_id, each.subject) for each in garage.rows(DEADLINES).values() if each.target_at}
    assert falls_due <= running


@settings(max_examples=60, deadline=None)
@given(stories, st.randoms(use_true_random=False))
def test_in_whatever_order_the_tasks_come_the_rows_are_the_same(story: Any, draw: Random):
    garage = played(story)
    assert interleaved(SLA_BOARD, garage.facts(), draw) == garage.rows(SLA_BOARD)
