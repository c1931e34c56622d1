"""Window: tasks that wait a little for each other, and are divided among all riders at once."""

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec

from schemas.batch_rules import MAX_BUNDLE
from schemas.itinerary import Placed
from schemas.message import Command, Event, Input, Moment, RiderId, TaskId
from schemas.tender import LeftBecause, ScoreParts

MOST_WINDOW_TASKS = 2_000
"""With the last of them a window closes at once."""


def number_of(at: datetime, seconds: int) -> int:
    """Windows of one length lie at whole multiples of it, counted from 1970."""
    return int(at.timestamp()) // seconds


def closing(number: int, seconds: int) -> datetime:
    return datetime.fromtimestamp((number + 1) * seconds, UTC)


class WaitingTask(Input, frozen=True, kw_only=True):
    """`since`: when it came to dispatch in this round."""

    task_id: TaskId
    round: int
    since: Moment


class GivenTask(Input, frozen=True, kw_only=True):
    task_id: TaskId
    round: int
    score: float
    parts: ScoreParts
    placed: list[Placed]
    """Behind those of the tasks that are given before it."""


class Given(Input, frozen=True, kw_only=True):
    """To one rider, all of it or none: the tasks in the order in which they are put on their itinerary. Of several,
    `placed` are the stops of all of them in the order of the way, each behind the one before."""

    rider_id: RiderId
    tasks: Annotated[list[GivenTask], msgspec.Meta(min_length=1, max_length=MAX_BUNDLE)]
    placed: list[Placed]
    ends_at: Moment
    offer_seconds: int
    """So long the offer stands."""


class Left(Input, frozen=True, kw_only=True):
    task_id: TaskId
    round: int
    code: LeftBecause


# What can be asked


class JoinWindow(Command, frozen=True, kw_only=True):
    """Sent when a task comes to dispatch. The first one opens the window; what opens after `closes_at` closes with the
    next one of `seconds`."""

    task_id: TaskId
    round: int
    since: Moment
    closes_at: Moment
    seconds: int


class CloseWindow(Command, frozen=True, kw_only=True):
    """Sent when the deadline is due; firing late or twice changes nothing."""


class DecideWindow(Command, frozen=True, kw_only=True):
    """Who gets what, and what is left. The first answer stands. `gone` had been settled otherwise by then."""

    given: Annotated[list[Given], msgspec.Meta(max_length=MOST_WINDOW_TASKS)]
    left: Annotated[list[Left], msgspec.Meta(max_length=MOST_WINDOW_TASKS)]
    gone: Annotated[list[TaskId], msgspec.Meta(max_length=MOST_WINDOW_TASKS)] = []
    riders: int
    total: float
    by: str
    policy_version: int
    input_hash: str
    solver: str


type WindowCommand = JoinWindow | CloseWindow | DecideWindow


# What can happen


class WindowOpened(Event, frozen=True, kw_only=True):
    closes_at: datetime
    seconds: int


class TaskJoinedWindow(Event, frozen=True, kw_only=True):
    task_id: TaskId
    round: int
    since: datetime


class WindowClosed(Event, frozen=True, kw_only=True):
    """Its time was over, or it was `full`."""

    reason: Literal["time", "full"]
    tasks: list[WaitingTask]


class WindowDecided(Event, frozen=True, kw_only=True):
    """Each of `given` is offered to its rider; each of `left` has nobody, by its code, and comes again. `riders` were
    looked at; `total` is the sum of scores and of what is counted for tasks that are left, `by` which way to divide
    them was the best. `input_hash` is of what the decision knew, as a tender's; empty where it could not be made."""

    given: list[Given]
    left: list[Left]
    gone: list[TaskId]
    riders: int
    total: float
    by: str
    policy_version: int
    input_hash: str
    solver: str


type WindowEvent = WindowOpened | TaskJoinedWindow | WindowClosed | WindowDecided
