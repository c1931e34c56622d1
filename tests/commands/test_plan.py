"""A plan: asked for, proposed, committed route by route until each of its tasks is settled."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from story import NOON, Story, minutes, nothing_yet

from commands.aggregates import AGGREGATES
from commands.context import UnknownOutlet
from commands.plan import (
    HELD_FOR,
    NOT_IN_TIME,
    NOT_RESERVED,
    OUTDATED,
    SETTLES_WITHIN,
    PlanOutdated,
    is_over,
    status_of,
)
from schemas.itinerary import StopRef
from schemas.message import Command, NotInThisState, RiderId, StopId, TaskId
from schemas.plan import (
    PROPOSAL_STANDS,
    ClosePlan,
    CommitPlan,
    FailPlan,
    NarrowRoute,
    PlanCommitStarted,
    PlanCommitted,
    PlannedRoute,
    PlannedTaskGiven,
    PlannedTaskRefused,
    PlannedVisit,
    PlanPartlyCommitted,
    PlanProposed,
    PlanRejected,
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

ANN, BOB = RiderId("ann"), RiderId("bob")
ONE, TWO, THREE = TaskId("one"), TaskId("two"), TaskId("three")
DOOR = StopId("door")


def route(rider: RiderId, *tasks: TaskId, had: TaskId | None = None) -> PlannedRoute:
    """What they have comes first."""
    visited = [*([] if had is None else [had]), *tasks]
    return PlannedRoute(
        rider_id=rider,
        tasks=[RoutedTask(task_id=task, round=1) for task in tasks],
        visits=[
            PlannedVisit(
                task_id=task, stop_id=DOOR, arrives_at=minutes(5), begins_at=minutes(5), leaves_at=minutes(6), metres=9
            )
            for task in visited
        ],
        starts_at=NOON,
        ends_at=minutes(6),
        metres=9,
    )


def proposal(*routes: PlannedRoute) -> ProposePlan:
    return ProposePlan(
        proposal=Proposal(
            decided_at=NOON,
            policy_version=1,
            solver="pyvrp",
            version="pyvrp 0.14.1",
            seed=0,
            input_hash="abc",
            source="osrm",
            seconds_asked=1,
            metres=9,
            driving_seconds=60,
            routes=list(routes),
        )
    )


TWO_ROUTES = proposal(route(ANN, ONE, TWO), route(BOB, THREE))


def a_plan(*commands: Command, commit: bool = False) -> Story:
    story = nothing_yet("plan")
    for command in (RequestPlan(commit="at_once" if commit else "by_hand"), *commands):
        story.when(command).happened()
    return story


def given(task: TaskId) -> SettlePlannedTask:
    return SettlePlannedTask(task_id=task, given=True)


def not_given(task: TaskId, why: str = "task_gone") -> SettlePlannedTask:
    return SettlePlannedTask(task_id=task, given=False, reason_code=why)


def comes_of(story: Story, command: Command) -> list[Any]:
    """What is decided, which has happened then."""
    events = story.when(command).decided()
    story.take(events)
    return events


def order(*tasks: TaskId) -> list[StopRef]:
    return [StopRef(task_id=task, stop_id=DOOR) for task in tasks]


def test_it_is_asked_for_at_outlets_that_there_are():
    nothing_yet("plan").when(RequestPlan(outlets=["nowhere"])).refuses(UnknownOutlet)
    a_plan().when(RequestPlan()).refuses(NotInThisState)


def test_each_task_and_rider_is_asked_for_once():
    [asked] = comes_of(nothing_yet("plan"), RequestPlan(tasks=["b", "a", "b"], riders=["x", "x"]))
    assert (asked.tasks, asked.riders) == (["b", "a"], ["x"])


def test_what_is_proposed_waits_for_somebody_to_commit_it():
    a_plan().when(TWO_ROUTES).then(PlanProposed(proposal=TWO_ROUTES.proposal))


def test_committed_each_rider_is_to_have_their_route():
    hold_until = NOON + HELD_FOR
    a_plan(TWO_ROUTES).when(CommitPlan()).then(
        PlanCommitStarted(settled_by=hold_until + timedelta(minutes=1)),
        RouteCommitStarted(
            rider_id=ANN, tasks=TWO_ROUTES.proposal.routes[0].tasks, order=order(ONE, TWO), hold_until=hold_until
        ),
        RouteCommitStarted(
            rider_id=BOB, tasks=TWO_ROUTES.proposal.routes[1].tasks, order=order(THREE), hold_until=hold_until
        ),
    )


def test_committed_at_once_it_is_proposed_and_begun_in_one_breath():
    events = comes_of(a_plan(commit=True), TWO_ROUTES)
    kinds = [type(event) for event in events]
    assert kinds == [PlanProposed, PlanCommitStarted, RouteCommitStarted, RouteCommitStarted]


def test_a_route_of_nothing_new_is_another_order_and_settled_at_once():
    only_order = route(BOB, had=THREE)
    events = comes_of(a_plan(proposal(route(ANN, ONE), only_order)), CommitPlan())
    assert RouteCommitted(rider_id=BOB, order=order(THREE)) in events
    after = a_plan(proposal(route(ANN, ONE), only_order), CommitPlan())
    assert comes_of(after, given(ONE))[-1] == PlanCommitted()


def test_a_plan_that_gives_nobody_anything_is_rejected_with_its_reasons():
    nothing = proposal(route(BOB, had=THREE))
    a_plan(commit=True).when(nothing).then(
        PlanProposed(proposal=nothing.proposal), PlanRejected(reason_code="nothing_fits")
    )


def test_it_is_committed_once_all_its_tasks_are_given():
    story = a_plan(TWO_ROUTES, CommitPlan())
    assert comes_of(story, given(TWO)) == [PlannedTaskGiven(task_id=TWO, rider_id=ANN)]
    assert comes_of(story, given(TWO)) == []
    assert comes_of(story, given(ONE)) == [
        PlannedTaskGiven(task_id=ONE, rider_id=ANN),
        RouteCommitted(rider_id=ANN, order=order(ONE, TWO)),
    ]
    assert comes_of(story, given(THREE)) == [
        PlannedTaskGiven(task_id=THREE, rider_id=BOB),
        RouteCommitted(rider_id=BOB, order=order(THREE)),
        PlanCommitted(),
    ]
    assert is_over(story.state)


def test_of_a_route_that_is_refused_nothing_is_given_and_the_others_stand():
    story = a_plan(TWO_ROUTES, CommitPlan(), given(THREE))
    assert comes_of(story, RefuseRoute(rider_id=ANN, reason_code="on_break")) == [
        PlannedTaskRefused(task_id=ONE, rider_id=ANN, reason_code="on_break"),
        PlannedTaskRefused(task_id=TWO, rider_id=ANN, reason_code="on_break"),
        RouteRefused(rider_id=ANN, reason_code="on_break"),
        PlanPartlyCommitted(given=1, refused=2),
    ]
    assert comes_of(story, RefuseRoute(rider_id=ANN, reason_code="on_break")) == []


def test_a_task_that_is_gone_leaves_the_rest_of_its_route():
    story = a_plan(TWO_ROUTES, CommitPlan(), given(THREE), not_given(ONE))
    assert comes_of(story, given(TWO)) == [
        PlannedTaskGiven(task_id=TWO, rider_id=ANN),
        RouteCommitted(rider_id=ANN, order=order(ONE, TWO)),
        PlanPartlyCommitted(given=2, refused=1),
    ]


def test_where_nothing_is_given_it_is_rejected():
    story = a_plan(proposal(route(ANN, ONE)), CommitPlan())
    assert comes_of(story, not_given(ONE))[-1] == PlanRejected(reason_code="all_refused")


def test_what_is_not_settled_in_time_never_is():
    story = a_plan(TWO_ROUTES, CommitPlan(), given(ONE))
    assert comes_of(story, ClosePlan()) == []
    late = comes_of(story.at(NOON + HELD_FOR + SETTLES_WITHIN), ClosePlan())
    assert late[0] == PlannedTaskRefused(task_id=TWO, rider_id=ANN, reason_code=NOT_IN_TIME)
    assert late[-1] == PlanPartlyCommitted(given=1, refused=2)
    assert comes_of(story, given(TWO)) == []


def test_an_old_plan_is_not_committed_any_more_and_then_it_is_over():
    just_yet = NOON + PROPOSAL_STANDS - timedelta(seconds=1)
    a_plan(TWO_ROUTES).at(just_yet).when(CommitPlan()).happened()
    assert comes_of(a_plan(TWO_ROUTES).at(just_yet), ClosePlan()) == []
    old = a_plan(TWO_ROUTES).at(NOON + PROPOSAL_STANDS)
    old.when(CommitPlan()).refuses(PlanOutdated)
    assert comes_of(old, ClosePlan()) == [PlanRejected(reason_code=OUTDATED)]


def test_what_a_rider_is_not_reserved_for_is_not_theirs_by_the_plan():
    story = a_plan(TWO_ROUTES, CommitPlan())
    assert comes_of(story, NarrowRoute(rider_id=ANN, task_ids=[TWO])) == [
        PlannedTaskRefused(task_id=ONE, rider_id=ANN, reason_code=NOT_RESERVED)
    ]
    assert comes_of(story, NarrowRoute(rider_id=ANN, task_ids=[TWO])) == []
    assert comes_of(story, given(TWO)) == [
        PlannedTaskGiven(task_id=TWO, rider_id=ANN),
        RouteCommitted(rider_id=ANN, order=order(ONE, TWO)),
    ]


@pytest.mark.parametrize("before", [(), (TWO_ROUTES,)])
def test_it_is_rejected_before_it_is_committed_and_not_after(before: tuple[Command, ...]):
    unwanted = RejectPlan(reason_code="not_needed")
    story = a_plan(*before)
    assert comes_of(story, unwanted) == [PlanRejected(reason_code="not_needed")]
    assert comes_of(story, unwanted) == []
    assert comes_of(story, TWO_ROUTES) == []
    story.when(CommitPlan()).refuses(NotInThisState)
    a_plan(TWO_ROUTES, CommitPlan()).when(unwanted).refuses(NotInThisState)


def test_a_proposal_is_taken_once_and_a_failure_not_after_it():
    story = a_plan(TWO_ROUTES)
    other = replace(TWO_ROUTES.proposal, solver="vroom")
    assert comes_of(story, ProposePlan(proposal=other)) == []
    assert comes_of(story, FailPlan(reason_code="no_plan")) == []
    assert status_of(story.state) == "proposed"
    a_plan().when(FailPlan(reason_code="no_plan", told="why")).then(PlanRejected(reason_code="no_plan", told="why"))
    assert AGGREGATES["plan"].plural == "plans"
