"""Plan: requested, proposed, committed route by route until each of its tasks is settled, or rejected."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal, assert_never

import msgspec
from msgspec.structs import replace

from commands.context import Context
from commands.life import NEW, Life, to, when, within
from schemas.itinerary import StopRef
from schemas.message import NotInThisState, Refused, RiderId, TaskId
from schemas.plan import (
    PROPOSAL_STANDS,
    ClosePlan,
    CommitPlan,
    FailPlan,
    NarrowRoute,
    PlanCommand,
    PlanCommit,
    PlanCommitStarted,
    PlanCommitted,
    PlanEvent,
    PlannedRoute,
    PlannedTaskGiven,
    PlannedTaskRefused,
    PlanPartlyCommitted,
    PlanProposed,
    PlanRejected,
    PlanRequested,
    Proposal,
    ProposePlan,
    RefuseRoute,
    RejectPlan,
    RequestPlan,
    RouteCommitStarted,
    RouteCommitted,
    RoutedTask,
    RouteRefused,
    SettlePlannedTask,
)

HELD_FOR = timedelta(minutes=2)
"""At least: hundreds of tasks are assigned one after the other."""
SETTLES_WITHIN = timedelta(minutes=1)
"""After the riders' holds have passed."""
NOT_IN_TIME, OUTDATED, NOT_RESERVED = "not_in_time", "outdated", "reserved_elsewhere"


class PlanOutdated(Refused):
    rule = "plan-outdated"

    def __init__(self, decided_at: datetime, good_until: datetime) -> None:
        super().__init__(f"the plan is of {decided_at.isoformat()} and was good until {good_until.isoformat()}")
        self.decided_at = decided_at
        self.good_until = good_until


type PlanStatus = Literal["requested", "proposed", "committing", "committed", "partly_committed", "rejected"]


class Unrequested(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    pass


class Requested(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    commit: PlanCommit


class RouteAhead(msgspec.Struct, frozen=True, array_like=True, gc=False):
    rider_id: RiderId
    tasks: tuple[RoutedTask, ...]
    order: tuple[StopRef, ...]


class Proposed(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    decided_at: datetime
    routes: tuple[RouteAhead, ...]


class UnderWay(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A route of which some tasks are not settled."""

    order: tuple[StopRef, ...]
    left: tuple[TaskId, ...]
    given: int = 0
    reason_code: str = ""
    """Of the task that was refused last."""


class Committing(msgspec.Struct, frozen=True, kw_only=True, tag=True, array_like=True, gc=False):
    settled_by: datetime
    routes: Mapping[RiderId, UnderWay] = {}
    rider_of: Mapping[TaskId, RiderId] = {}
    """Of each task that is not settled."""
    given: int = 0
    refused: int = 0


class Over(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    how: Literal["committed", "partly_committed", "rejected"]


type Plan = Unrequested | Requested | Proposed | Committing | Over


def is_over(plan: Plan) -> bool:
    return isinstance(plan, Over)


def status_of(plan: Plan) -> str:
    match plan:
        case Unrequested():
            return NEW
        case Requested():
            return "requested"
        case Proposed():
            return "proposed"
        case Committing():
            return "committing"
        case Over():
            return plan.how


LIFE = Life(
    status_of,
    {
        PlanRequested: to("requested", NEW),
        PlanProposed: to("proposed", "requested"),
        PlanCommitStarted: to("committing", "proposed"),
        RouteCommitStarted: within("committing"),
        PlannedTaskGiven: within("committing"),
        PlannedTaskRefused: within("committing"),
        RouteCommitted: within("committing"),
        RouteRefused: within("committing"),
        PlanCommitted: to("committed", "committing"),
        PlanPartlyCommitted: to("partly_committed", "committing"),
        PlanRejected: to("rejected", "requested", "proposed", "committing"),
    },
    {
        CommitPlan: when("proposed"),
        RejectPlan: when("requested", "proposed"),
    },
)


def decide(plan: Plan, command: PlanCommand, context: Context) -> list[PlanEvent]:
    match command:
        case RequestPlan():
            return request(plan, command, context)
        case ProposePlan():
            return propose(plan, command, context)
        case FailPlan():
            if not isinstance(plan, Requested):
                return []
            return [PlanRejected(reason_code=command.reason_code, told=command.told)]
        case CommitPlan():
            return commit(plan, context)
        case RejectPlan():
            return reject(plan, command)
        case SettlePlannedTask():
            return settle(plan, command)
        case NarrowRoute():
            return narrow_route(plan, command)
        case RefuseRoute():
            return refuse_route(plan, command)
        case ClosePlan():
            return close(plan, context)
        case _:
            assert_never(command)


def request(plan: Plan, command: RequestPlan, context: Context) -> list[PlanEvent]:
    if not isinstance(plan, Unrequested):
        raise NotInThisState(needed="new", actual=status_of(plan))
    for outlet in command.outlets:
        context.policy.outlet(outlet)
    requested = PlanRequested(
        tasks=[TaskId(task) for task in dict.fromkeys(command.tasks)],
        riders=[RiderId(rider) for rider in dict.fromkeys(command.riders)],
        outlets=[*dict.fromkeys(command.outlets)],
        until=command.until,
        objective=command.objective,
        seconds=command.seconds,
        seed=command.seed,
        replan=command.replan,
        commit=command.commit,
        external_reference=command.external_reference,
        source=command.source or context.actor,
        metadata=command.metadata,
    )
    return [requested]


def propose(plan: Plan, command: ProposePlan, context: Context) -> list[PlanEvent]:
    """Where it gives nobody anything, there is nothing to commit."""
    if not isinstance(plan, Requested):
        return []
    proposed = PlanProposed(proposal=command.proposal)
    if not any(route.tasks for route in command.proposal.routes):
        return [proposed, PlanRejected(reason_code="nothing_fits")]
    if plan.commit == "by_hand":
        return [proposed]
    return [proposed, *commit_started(as_proposed(command.proposal), context)]


def commit(plan: Plan, context: Context) -> list[PlanEvent]:
    if isinstance(plan, Committing) or (isinstance(plan, Over) and plan.how != "rejected"):
        return []
    if not isinstance(plan, Proposed):
        raise NotInThisState(needed="proposed", actual=status_of(plan))
    good_until = plan.decided_at + PROPOSAL_STANDS
    if context.now >= good_until:
        raise PlanOutdated(plan.decided_at, good_until)
    return commit_started(plan, context)


def commit_started(plan: Proposed, context: Context) -> list[PlanEvent]:
    hold_until = context.now + max(timedelta(seconds=context.policy.rules.hold_seconds), HELD_FOR)
    routes: list[PlanEvent] = [
        RouteCommitStarted(
            rider_id=route.rider_id, tasks=list(route.tasks), order=list(route.order), hold_until=hold_until
        )
        for route in plan.routes
    ]
    started = PlanCommitStarted(settled_by=hold_until + SETTLES_WITHIN)
    only_ordered: list[PlanEvent] = [
        RouteCommitted(rider_id=route.rider_id, order=list(route.order)) for route in plan.routes if not route.tasks
    ]
    return [started, *routes, *only_ordered]


def reject(plan: Plan, command: RejectPlan) -> list[PlanEvent]:
    match plan:
        case Requested() | Proposed():
            return [PlanRejected(reason_code=command.reason_code)]
        case Over(how="rejected"):
            return []
        case _:
            raise NotInThisState(needed="requested or proposed", actual=status_of(plan))


def settle(plan: Plan, command: SettlePlannedTask) -> list[PlanEvent]:
    if not isinstance(plan, Committing) or command.task_id not in plan.rider_of:
        return []
    rider_id = plan.rider_of[command.task_id]
    settled: PlanEvent = (
        PlannedTaskGiven(task_id=command.task_id, rider_id=rider_id)
        if command.given
        else refused(command.task_id, rider_id, command.reason_code or "refused")
    )
    return with_what_follows(plan, [settled])


def narrow_route(plan: Plan, command: NarrowRoute) -> list[PlanEvent]:
    if not isinstance(plan, Committing) or command.rider_id not in plan.routes:
        return []
    reserved = set(command.task_ids)
    rest = [task for task in plan.routes[command.rider_id].left if task not in reserved]
    return with_what_follows(plan, [refused(task, command.rider_id, NOT_RESERVED) for task in rest]) if rest else []


def refuse_route(plan: Plan, command: RefuseRoute) -> list[PlanEvent]:
    if not isinstance(plan, Committing) or command.rider_id not in plan.routes:
        return []
    left = plan.routes[command.rider_id].left
    return with_what_follows(plan, [refused(task, command.rider_id, command.reason_code) for task in left])


def close(plan: Plan, context: Context) -> list[PlanEvent]:
    if isinstance(plan, Proposed) and context.now >= plan.decided_at + PROPOSAL_STANDS:
        return [PlanRejected(reason_code=OUTDATED)]
    if not isinstance(plan, Committing) or context.now < plan.settled_by:
        return []
    return with_what_follows(plan, [refused(task, rider, NOT_IN_TIME) for task, rider in plan.rider_of.items()])


def refused(task_id: TaskId, rider_id: RiderId, reason_code: str) -> PlannedTaskRefused:
    return PlannedTaskRefused(task_id=task_id, rider_id=rider_id, reason_code=reason_code)


def with_what_follows(plan: Committing, settled: list[PlanEvent]) -> list[PlanEvent]:
    """Routes that are settled by it, and with the last of them the plan."""
    after: Plan = plan
    for event in settled:
        after = evolve(after, event)
    assert isinstance(after, Committing)
    events = list(settled)
    for rider_id, route in after.routes.items():
        if route.left:
            continue
        done = (
            RouteCommitted(rider_id=rider_id, order=list(route.order))
            if route.given
            else RouteRefused(rider_id=rider_id, reason_code=route.reason_code)
        )
        events.append(done)
    if after.rider_of:
        return events
    if not after.given:
        return [*events, PlanRejected(reason_code="all_refused")]
    if after.refused:
        return [*events, PlanPartlyCommitted(given=after.given, refused=after.refused)]
    return [*events, PlanCommitted()]


def as_proposed(proposal: Proposal) -> Proposed:
    return Proposed(proposal.decided_at, tuple(ahead(route) for route in proposal.routes))


def ahead(route: PlannedRoute) -> RouteAhead:
    order = tuple(StopRef(task_id=visit.task_id, stop_id=visit.stop_id) for visit in route.visits)
    return RouteAhead(route.rider_id, tuple(route.tasks), order)


def evolve(plan: Plan, event: PlanEvent) -> Plan:
    match event:
        case PlanRequested():
            return Requested(event.commit)
        case PlanProposed():
            return as_proposed(event.proposal)
        case PlanCommitStarted():
            return Committing(settled_by=event.settled_by)
        case RouteCommitStarted():
            return with_route(committing(plan), event)
        case PlannedTaskGiven() | PlannedTaskRefused():
            return with_settled(committing(plan), event)
        case RouteCommitted() | RouteRefused():
            still = committing(plan)
            return replace(still, routes={r: route for r, route in still.routes.items() if r != event.rider_id})
        case PlanCommitted():
            return Over("committed")
        case PlanPartlyCommitted():
            return Over("partly_committed")
        case PlanRejected():
            return Over("rejected")
        case _:
            assert_never(event)


def committing(plan: Plan) -> Committing:
    assert isinstance(plan, Committing), f"a plan that is being committed, not {plan}"
    return plan


def with_route(plan: Committing, event: RouteCommitStarted) -> Committing:
    tasks = tuple(each.task_id for each in event.tasks)
    return replace(
        plan,
        routes={**plan.routes, event.rider_id: UnderWay(tuple(event.order), tasks)},
        rider_of={**plan.rider_of, **dict.fromkeys(tasks, event.rider_id)},
    )


def with_settled(plan: Committing, event: PlannedTaskGiven | PlannedTaskRefused) -> Committing:
    given = isinstance(event, PlannedTaskGiven)
    route = plan.routes[event.rider_id]
    settled = replace(
        route,
        left=tuple(task for task in route.left if task != event.task_id),
        given=route.given + given,
        reason_code=route.reason_code if isinstance(event, PlannedTaskGiven) else event.reason_code,
    )
    return replace(
        plan,
        routes={**plan.routes, event.rider_id: settled},
        rider_of={task: rider for task, rider in plan.rider_of.items() if task != event.task_id},
        given=plan.given + given,
        refused=plan.refused + (not given),
    )
