"""A window: tasks join it until its time is over or it is full, and it is decided on once."""

from datetime import timedelta

import pytest
from story import Story, minutes, nothing_yet

from commands import dispatch_window
from commands.dispatch_window import status_of
from schemas.dispatch_window import (
    CloseWindow,
    DecideWindow,
    JoinWindow,
    Left,
    TaskJoinedWindow,
    WaitingTask,
    WindowClosed,
    WindowDecided,
    WindowOpened,
    closing,
    number_of,
)
from schemas.message import NotInThisState, TaskId

ONE, TWO, THREE = TaskId("one"), TaskId("two"), TaskId("three")
NOBODY = DecideWindow(
    given=[],
    left=[Left(task_id=ONE, round=1, code="no_riders")],
    riders=0,
    total=7_200.0,
    by="one by one",
    policy_version=1,
    input_hash="x",
    solver="batch-1",
)


def join(task: TaskId = ONE, task_round: int = 1, since: float = 0, closes: float = 1) -> JoinWindow:
    return JoinWindow(task_id=task, round=task_round, since=minutes(since), closes_at=minutes(closes), seconds=60)


def joined(task: TaskId = ONE, task_round: int = 1, since: float = 0) -> TaskJoinedWindow:
    return TaskJoinedWindow(task_id=task, round=task_round, since=minutes(since))


def waiting(task: TaskId, task_round: int = 1, since: float = 0) -> WaitingTask:
    return WaitingTask(task_id=task, round=task_round, since=minutes(since))


def a_window(*joins: JoinWindow) -> Story:
    story = nothing_yet("window")
    for each in joins:
        story.when(each).happened()
    return story


def closed(*joins: JoinWindow) -> Story:
    return a_window(*joins).at(minutes(1)).when(CloseWindow()).happened()


def test_windows_of_one_length_follow_each_other_without_a_gap():
    number = number_of(minutes(0.5), 60)
    assert closing(number, 60) == minutes(1)
    assert number_of(minutes(1) - timedelta(microseconds=1), 60) == number
    assert number_of(minutes(1), 60) == number + 1


def test_the_first_task_opens_it_and_the_others_join():
    nothing_yet("window").when(join()).then(WindowOpened(closes_at=minutes(1), seconds=60), joined())
    a_window(join()).when(join(TWO, 1, 0.5)).then(joined(TWO, 1, 0.5))


def test_who_comes_again_changes_nothing_and_a_later_round_takes_the_place_of_the_earlier():
    story = a_window(join())
    story.when(join()).then()
    story.when(join(ONE, 2, 0.5)).then(joined(ONE, 2, 0.5))
    story.happened().when(join()).then()
    story.at(minutes(1)).when(CloseWindow()).then(WindowClosed(reason="time", tasks=[waiting(ONE, 2, 0.5)]))


def test_what_opens_late_closes_with_the_next_and_takes_in_what_is_late_with_it():
    story = nothing_yet("window").at(minutes(90.5)).when(join())
    story.then(WindowOpened(closes_at=minutes(91), seconds=60), joined())


def test_it_closes_by_its_time_and_not_before():
    story = a_window(join(), join(TWO))
    story.at(minutes(0.9)).when(CloseWindow()).then()
    story.at(minutes(1)).when(CloseWindow()).then(WindowClosed(reason="time", tasks=[waiting(ONE), waiting(TWO)]))
    story.and_then(CloseWindow()).then()
    nothing_yet("window").when(CloseWindow()).then()


def test_until_it_is_told_that_its_time_is_over_it_takes_tasks():
    a_window(join()).at(minutes(2)).when(join(TWO)).then(joined(TWO))


def test_a_full_one_closes_at_once_and_the_next_goes_elsewhere(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dispatch_window, "MOST_WINDOW_TASKS", 2)
    story = a_window(join()).when(join(TWO))
    story.then(joined(TWO), WindowClosed(reason="full", tasks=[waiting(ONE), waiting(TWO)]))
    assert story.and_then(join(THREE)).refuses(NotInThisState).values() == {"needed": "open", "actual": "closed"}


def test_once_closed_it_refuses_others_and_still_knows_who_was_in_it():
    story = closed(join())
    story.when(join(TWO)).refuses(NotInThisState)
    story.when(join()).then()
    story.when(join(ONE, 2)).refuses(NotInThisState)


def test_the_first_decision_stands():
    story = closed(join()).when(NOBODY)
    [decided] = story.decided()
    assert isinstance(decided, WindowDecided)
    assert (decided.left, decided.total, decided.input_hash) == (NOBODY.left, 7_200.0, "x")
    story.and_then(NOBODY).then()
    story.when(join()).then()
    assert status_of(story.state) == "decided"
    assert dispatch_window.is_over(story.state)
    assert not dispatch_window.is_over(closed(join()).state), "it is still to be decided on"


def test_what_is_not_closed_is_not_decided_on():
    a_window(join()).when(NOBODY).refuses(NotInThisState)
    nothing_yet("window").when(NOBODY).refuses(NotInThisState)
