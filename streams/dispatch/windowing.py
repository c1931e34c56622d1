"""Tasks that wait for a window, and the tenders that come of it.

| fact                             | command              | refused →                      | undone by    |
|----------------------------------|----------------------|--------------------------------|--------------|
| TaskDispatchable, with a window  | JoinWindow (Window)  | JoinWindow, of the next ones,  | RetryDispatch|
|                                  |                      | at last CloseTender (Task)     |              |
| WindowDecided                    | OpenTender (Tender)  |                                |              |

In between a window is closed by its deadline (see deadlines), and decided on (see windows).
"""

from collections.abc import Awaitable, Callable, Sequence

from msgspec.structs import replace

from schemas.dispatch_window import JoinWindow, WindowDecided, closing, number_of
from schemas.ids import tender_id, window_id
from schemas.message import Source, TaskId
from schemas.task import CloseTender, TaskDispatchable
from schemas.tender import OpenTender
from streams.process import NotAllowed, Rule, Step

MOST_LATER = 20
"""Windows after its own that a task tries to join: those before may be full, or closed by then."""

type TendersOf = Callable[[WindowDecided, Source], Awaitable[Sequence[OpenTender]]]


def windowing(tenders_of: TendersOf) -> list[Rule]:
    async def open_tenders(event: WindowDecided, source: Source) -> Sequence[Step]:
        return [opening(each) for each in await tenders_of(event, source)]

    return [
        Rule(TaskDispatchable, join_window, join_later),
        Rule(WindowDecided, open_tenders, apart=True),
    ]


async def join_window(event: TaskDispatchable, source: Source) -> Sequence[Step]:
    return [] if event.window_seconds is None else [joining(event, event.window_seconds, source, 0)]


def join_later(event: TaskDispatchable, source: Source, refused: NotAllowed) -> Sequence[Step]:
    """Where none takes it, its round is over, and the next one comes as after any other."""
    assert event.window_seconds is not None, "only who asked to join is refused"
    task_id = TaskId(source.aggregate_id)
    nowhere = CloseTender(tender_id=tender_id(task_id, event.round), round=event.round, outcome="exhausted")
    step = Step(kind="task", aggregate_id=task_id, command=nowhere, purpose="no-window")
    for later in range(MOST_LATER, 0, -1):
        step = replace(joining(event, event.window_seconds, source, later), otherwise=step)
    return [step]


def joining(event: TaskDispatchable, seconds: int, source: Source, later: int) -> Step:
    """By the time of the fact: whoever follows it again comes to the same window."""
    number = number_of(source.recorded_at, seconds) + later
    command = JoinWindow(
        task_id=TaskId(source.aggregate_id),
        round=event.round,
        since=source.recorded_at,
        closes_at=closing(number, seconds),
        seconds=seconds,
    )
    window = window_id(source.tenant, seconds, number)
    return Step(kind="window", aggregate_id=window, command=command, purpose=f"join-window-{later}")


def opening(command: OpenTender) -> Step:
    tender = tender_id(command.task_id, command.round)
    return Step(kind="tender", aggregate_id=tender, command=command, purpose=f"open-tender-{tender}")
