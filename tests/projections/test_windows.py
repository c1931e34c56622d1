"""What the list says of a window is what decisions say of it, whatever was asked and in whatever order it is folded."""

import contextlib
from datetime import timedelta
from random import Random
from typing import Any

from garage import Garage
from hypothesis import given, settings
from hypothesis import strategies as st
from interleaved import interleaved
from story import minutes

from commands.dispatch_window import status_of
from projections.windows import WINDOWS, WindowRow
from schemas.dispatch_window import CloseWindow, DecideWindow, JoinWindow, Left
from schemas.message import Command, Refused, TaskId

ONE, TWO = TaskId("one"), TaskId("two")
NOBODY = DecideWindow(
    given=[],
    left=[Left(task_id=ONE, round=1, code="no_riders")],
    gone=[TWO],
    riders=3,
    total=7_200.0,
    by="one by one",
    policy_version=2,
    input_hash="x",
    solver="batch-1",
)


def join(task: TaskId, task_round: int = 1) -> JoinWindow:
    return JoinWindow(task_id=task, round=task_round, since=minutes(0), closes_at=minutes(1), seconds=60)


def told(garage: Garage, window: str, *commands: Command) -> Garage:
    for command in commands:
        garage.send("window", window, command)
    return garage


def row(garage: Garage, window: str = "early") -> WindowRow:
    found = garage.rows(WINDOWS)["acme", window]
    assert isinstance(found, WindowRow)
    return found


def test_it_shows_who_waits_then_who_was_in_it_then_what_became_of_them():
    garage = told(Garage(), "early", join(ONE), join(TWO), join(ONE, 2))
    found = row(garage)
    assert (found.status, found.closes_at, found.seconds) == ("open", minutes(1), 60)
    assert [(each.task_id, each.round) for each in found.tasks] == [(TWO, 1), (ONE, 2)]
    garage.now = minutes(1)
    closed = row(told(garage, "early", CloseWindow()))
    assert (closed.status, closed.closed_at, closed.full_up) == ("closed", minutes(1), False)
    decided = row(told(garage, "early", NOBODY))
    assert (decided.status, decided.left_over, decided.gone, decided.riders) == ("decided", NOBODY.left, ["two"], 3)


commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(join, st.sampled_from([ONE, TWO, TaskId("three")]), st.integers(1, 3)),
    st.builds(CloseWindow),
    st.just(NOBODY),
)
stories = st.lists(st.tuples(st.sampled_from(["early", "late"]), st.integers(0, 40), commands), max_size=30)


@settings(max_examples=60, deadline=None)
@given(stories, st.randoms(use_true_random=False))
def test_the_list_says_of_a_window_what_decisions_say_of_it_in_whatever_order_the_windows_come(
    story: list[tuple[str, int, Command]], draw: Random
):
    garage = told(told(Garage(), "early", join(ONE)), "late", join(TWO))
    for window, seconds, command in story:
        garage.now += timedelta(seconds=seconds)
        with contextlib.suppress(Refused):
            garage.send("window", window, command)
    for window in ("early", "late"):
        state: Any = garage.state(window)
        found = row(garage, window)
        assert found.status == status_of(state)
        rounds = state.rounds if found.status != "open" else {task: each.round for task, each in state.tasks.items()}
        assert {each.task_id: each.round for each in found.tasks} == rounds
    assert interleaved(WINDOWS, garage.facts(), draw) == garage.rows(WINDOWS)
