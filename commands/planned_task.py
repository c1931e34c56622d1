"""A task that a plan gives to a rider: before it comes to dispatch, while it is offered, or from another rider."""

from commands.context import Context
from commands.simulated import must_keep_apart
from commands.task_state import CreatedTask, carried, is_taken, state_of
from commands.task_timing import kept_back
from schemas.message import NotInThisState
from schemas.task import AssignByPlan, AssignmentAccepted, TaskAssigned, TaskEvent, TaskUnassigned

REPLANNED = "replanned"


def assign_by_plan(task: CreatedTask, command: AssignByPlan, context: Context) -> list[TaskEvent]:
    """A route is the rider's work of the day: nobody asks them for each task of it."""
    if task.rider_id == command.rider_id and not task.ended:
        return []
    if command.until <= context.now:
        raise NotInThisState(needed="planned a moment ago", actual=state_of(task))
    must_keep_apart(task, command.rider_id, context)
    if task.ended or command.round != planned_round(task):
        raise NotInThisState(needed=f"in round {command.round}, as it was planned", actual=state_of(task))
    if not may_be_planned(task):
        raise NotInThisState(needed="waiting for a rider, or not begun", actual=state_of(task))
    taken_off: list[TaskEvent] = []
    if task.rider_id is not None:
        taken_off = [TaskUnassigned(rider_id=task.rider_id, round=task.round, reason_code=REPLANNED)]
    assigned = TaskAssigned(
        rider_id=command.rider_id,
        round=planned_round(task),
        tender_id=None,
        offer_id=None,
        assigned_at=context.now,
        plan_id=command.plan_id,
        passed_over=task.tender_id,
    )
    return [*taken_off, assigned, AssignmentAccepted(rider_id=command.rider_id)]


def planned_round(task: CreatedTask) -> int:
    """The one that it is in once its rider has it: another, where it has not come to dispatch, or was somebody's."""
    return task.round + (task.waits or task.rider_id is not None)


def may_be_planned(task: CreatedTask) -> bool:
    if task.held is not None or task.carrier is not None:
        return False
    if is_taken(task):
        return not carried(task) and all(stop.status == "pending" for stop in task.stops.values())
    return not task.waits or (task.dispatch_at is not None and not kept_back(task))
