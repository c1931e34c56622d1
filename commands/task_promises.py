"""What happens to a task, as the clock of what was promised for it sees it."""

from collections.abc import Sequence
from datetime import datetime

from commands.context import Context
from commands.sla_clock import DELIVERED, Turn, clock_after, mark_at_risk, mark_breach
from commands.task_evolve import evolved
from commands.task_state import OVER, CreatedTask, Task, is_taken, outcome_of
from schemas.fault import AtFault
from schemas.sla import MarkSlaAtRisk, MarkSlaBreach, Promise, SlaAtRisk, SlaBreached
from schemas.stop_events import StopCompleted, StopFailed, StopSkipped
from schemas.task import TaskCompleted, TaskCreated, TaskDispatchable, TaskEvent, TaskForceCompleted


def with_clock(task: Task, events: list[TaskEvent], at: datetime, context: Context) -> list[TaskEvent]:
    """The events, and what follows for the clock. `at` is when they happened."""
    if not events or isinstance(events[0], (SlaAtRisk, SlaBreached)):
        return events
    if isinstance(task, CreatedTask) and task.sla is None:
        return events
    after = evolved(task, events)
    if not isinstance(after, CreatedTask) or after.sla is None:
        return events
    return [*events, *clock_after(after.sla, turn_of(after, events, at), context)]


def turn_of(after: CreatedTask, events: Sequence[TaskEvent], at: datetime) -> Turn:
    """A collection is not dispatched: its clock starts with it."""
    first = TaskCreated if after.kind == "collection" else TaskDispatchable
    return Turn(
        at=at,
        begins=any(isinstance(event, first) for event in events),
        waits_for=[reason for reason in (after.held, after.hold_reason) if reason is not None],
        settles=settled(after, events),
        ended=after.ended,
    )


def settled(after: CreatedTask, events: Sequence[TaskEvent]) -> list[Promise]:
    promises: list[Promise] = []
    if is_taken(after) and (after.accepted or begun(after)):
        promises.append("dispatch")  # an order that waits for the rider's yes is nobody's yet
    over = [after.stops[e.stop_id].stop.kind for e in events if isinstance(e, (StopCompleted, StopFailed, StopSkipped))]
    pickups = [stop for stop in after.stops.values() if stop.stop.kind == "pickup"]
    done = all(stop.status in OVER for stop in pickups) and any(stop.status == "completed" for stop in pickups)
    if "pickup" in over and done:
        promises.append("pickup")
    if any(isinstance(e, (TaskCompleted, TaskForceCompleted)) and e.outcome in DELIVERED for e in events):
        promises.append("deliver")
    elif "dropoff" in over and after.return_reason is not None and outcome_of(after) in DELIVERED:
        promises.append("deliver")  # what was taken has come; only what was refused is still under way
    return promises


def begun(task: CreatedTask) -> bool:
    """Whoever reports from the way has said yes."""
    return any(stop.status != "pending" or stop.handed_over for stop in task.stops.values())


def mark(task: CreatedTask, command: MarkSlaAtRisk | MarkSlaBreach, context: Context) -> list[TaskEvent]:
    if isinstance(command, MarkSlaAtRisk):
        return [*mark_at_risk(task.sla, command, context)]
    return [*mark_breach(task.sla, command, fault_of(task), context)]


def fault_of(task: CreatedTask) -> AtFault:
    """Who keeps it waiting now: who sends the goods where they are not ready, whoever has it, or we."""
    waiting = [s for s in task.stops.values() if s.stop.kind in ("pickup", "collection") and s.status == "arrived"]
    if any(stop.stop.goods_ready_at is not None and not stop.goods_ready for stop in waiting):
        return "sender"
    if task.kind == "collection":
        return "sender" if waiting else "recipient"
    if task.carrier is not None:
        return "carrier"
    return "system" if task.rider_id is None else "rider"
