"""From a plan that is to be committed to riders who have its tasks and follow its routes.

| fact                     | command                             | refused →                       | undone by         |
|--------------------------|-------------------------------------|---------------------------------|-------------------|
| RouteCommitStarted       | ReserveRider, all of its tasks      | RefuseRoute (Plan)              | ExpireReservation |
| RiderReserved, by plan   | NarrowRoute (Plan), by the first;   |                                 |                   |
|                          | AssignByPlan (Task)                 | ReleaseReservation, Settle…     | ExpireReservation |
| TaskAssigned, by plan    | ActivateReservation (Rider),        | UnassignTask, Settle…           |                   |
|                          | SettlePlannedTask (Plan)            |                                 |                   |
| RouteCommitted           | FollowRoute (Rider)                 |                                 |                   |

What is settled by none of them is settled by the plan's own deadline, ClosePlan.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from schemas.itinerary import Bundled, Placed, StopRef
from schemas.message import PlanId, RiderId, Source, TaskId
from schemas.plan import NarrowRoute, RefuseRoute, RouteCommitStarted, RouteCommitted, SettlePlannedTask
from schemas.rider import FollowRoute, ReservedToo, ReserveRider, RiderReserved
from schemas.task import RESERVATION_LOST, AssignByPlan, TaskAssigned
from streams.dispatch.tendering import CANNOT_RESERVE, KnownTask, Lookup, activate, release, unassigning
from streams.process import NotAllowed, Rule, Step

TASK_GONE = "task_gone"
FOLLOWED_WITHIN = timedelta(minutes=1)


class PlanLookup(Lookup, Protocol):
    async def plan_waits(self, plan: PlanId, of: RiderId | TaskId, source: Source) -> bool:
        """Whether a plan that is being committed still waits for what becomes of this rider's route, or this task."""
        ...


def committing(lookup: PlanLookup) -> list[Rule]:
    async def reserve_route(event: RouteCommitStarted, source: Source) -> Sequence[Step]:
        """Not again once it is settled: a rider who could not be reserved then may be free by now. What has ended
        meanwhile is not asked for."""
        plan_id = PlanId(source.aggregate_id)
        if not await lookup.plan_waits(plan_id, event.rider_id, source):
            return []
        known = [(each, await lookup.task(source.tenant, each.task_id, source)) for each in event.tasks]
        tasks = [(each.round, task) for each, task in known if task.ahead]
        gone = [settling(plan_id, task.task_id, TASK_GONE) for _, task in known if not task.ahead]
        if not tasks:
            return gone
        return [*gone, reserve_all(plan_id, event, tasks)]

    async def assign(event: RiderReserved, source: Source) -> Sequence[Step]:
        if event.plan_id is None or not await lookup.plan_waits(event.plan_id, event.task_id, source):
            return []
        return assigning(event, RiderId(source.aggregate_id), event.plan_id)

    return [
        Rule(RouteCommitStarted, reserve_route, refuse_route),
        Rule(RiderReserved, assign, release_and_settle),
        Rule(TaskAssigned, activate_and_settle, unassign_and_settle),
        Rule(RouteCommitted, follow_route),
    ]


def reserve_all(plan_id: PlanId, event: RouteCommitStarted, tasks: Sequence[tuple[int, KnownTask]]) -> Step:
    (first_round, first), *others = tasks
    command = ReserveRider(
        task_id=first.task_id,
        round=first_round,
        plan_id=plan_id,
        hold_until=event.hold_until,
        required_skills=first.required_skills,
        stops=first.ahead,
        placed=placed_in(event.order, [task for _, task in tasks]),
        bundle=[
            ReservedToo(task_id=task.task_id, round=task_round, required_skills=task.required_skills, stops=task.ahead)
            for task_round, task in others
        ],
    )
    return Step(kind="rider", aggregate_id=event.rider_id, command=command, purpose="reserve-route")


def placed_in(order: Sequence[StopRef], tasks: Sequence[KnownTask]) -> list[Placed]:
    """Stops are put there task by task: each behind the nearest before it that is there by then."""
    at = {ref: index for index, ref in enumerate(order)}
    new = {task.task_id for task in tasks}
    there = {ref for ref in order if ref.task_id not in new}
    found: list[Placed] = []
    for task in tasks:
        for stop in task.ahead:
            ref = StopRef(task_id=task.task_id, stop_id=stop.stop_id)
            before = reversed(order[: at.get(ref, len(order))])
            behind = next((each for each in before if each in there), None)
            found.append(Placed(task_id=task.task_id, stop_id=stop.stop_id, behind=behind))
            there.add(ref)
    return found


def refuse_route(event: RouteCommitStarted, source: Source, refused: NotAllowed) -> Sequence[Step]:
    command = RefuseRoute(rider_id=event.rider_id, reason_code=refused.reason_code)
    return [Step(kind="plan", aggregate_id=source.aggregate_id, command=command, purpose="refuse-route")]


def assigning(event: RiderReserved, rider_id: RiderId, plan_id: PlanId) -> Sequence[Step]:
    command = AssignByPlan(rider_id=rider_id, plan_id=plan_id, round=event.round, until=event.hold_until)
    narrowed = [narrowing(event, rider_id, plan_id)] if event.lead is None else []
    return [*narrowed, Step(kind="task", aggregate_id=event.task_id, command=command, purpose="assign-planned")]


def narrowing(event: RiderReserved, rider_id: RiderId, plan_id: PlanId) -> Step:
    tasks = [event.task_id, *(each.task_id for each in event.bundle)]
    command = NarrowRoute(rider_id=rider_id, task_ids=tasks)
    return Step(kind="plan", aggregate_id=plan_id, command=command, purpose="narrow-route")


def release_and_settle(event: RiderReserved, source: Source, refused: NotAllowed) -> Sequence[Step]:
    assert event.plan_id is not None
    return [
        release(
            source.aggregate_id,
            Bundled(task_id=event.task_id, round=event.round),
            "not_assigned",
            "release-planned",
            plan_id=event.plan_id,
        ),
        settling(event.plan_id, event.task_id, refused.reason_code),
    ]


async def activate_and_settle(event: TaskAssigned, source: Source) -> Sequence[Step]:
    if event.plan_id is None:
        return []
    task_id = TaskId(source.aggregate_id)
    return [activate(event.rider_id, task_id, event.round), settling(event.plan_id, task_id, None)]


def unassign_and_settle(event: TaskAssigned, source: Source, refused: NotAllowed) -> Sequence[Step]:
    """The hold had passed."""
    assert event.plan_id is not None
    task_id = TaskId(source.aggregate_id)
    reason = refused.reason_code if refused.rule == CANNOT_RESERVE else RESERVATION_LOST
    return [unassigning(task_id, event.round, reason), settling(event.plan_id, task_id, reason)]


def settling(plan_id: PlanId, task_id: TaskId, reason_code: str | None) -> Step:
    """Given where nothing speaks against it."""
    command = SettlePlannedTask(task_id=task_id, given=reason_code is None, reason_code=reason_code)
    return Step(kind="plan", aggregate_id=plan_id, command=command, purpose=f"settle-{task_id}")


async def follow_route(event: RouteCommitted, source: Source) -> Sequence[Step]:
    until = source.recorded_at + FOLLOWED_WITHIN
    command = FollowRoute(plan_id=PlanId(source.aggregate_id), until=until, order=event.order)
    return [Step(kind="rider", aggregate_id=event.rider_id, command=command, purpose="follow-route")]
