"""Plan: routes for many tasks and riders at once; asked for, proposed by solvers, and committed rider by rider."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

import msgspec

from schemas.itinerary import StopRef
from schemas.message import (
    Code,
    Command,
    Count,
    Event,
    ExternalReference,
    Id,
    Input,
    Metadata,
    Moment,
    ReferenceSource,
    RiderId,
    Slug,
    StopId,
    TaskId,
)

MAX_PLAN_TASKS = 500
MAX_PLAN_RIDERS = 200
MAX_PLAN_OUTLETS = 20
MAX_PLAN_SECONDS = 60
MAX_ROUTE_VISITS = 500
PROPOSAL_STANDS = timedelta(minutes=15)
"""Older than that, riders are elsewhere."""

PlanObjective = Literal["duration", "distance", "vehicles"]
"""What is to be small: the seconds that routes take, waiting among them; metres; the number of riders who drive, then
metres."""

PlanCommit = Literal["by_hand", "at_once"]

NotPlanned = Literal[
    "skill_missing",
    "no_capacity",
    "window_unreachable",
    "shift_too_short",
    "ride_too_long",
    "break_in_the_way",
    "several_rules",
    "not_worth_it",
    "not_found",
    "route_full",
    "several_stops",
    "place_unknown",
    "no_rider",
    "not_waiting",
    "too_many",
]
"""Why a task is on no route. `several_rules`: one of them alone would not shut it out. `not_found`: it would fit, and
no solver has found where. `route_full`: its route has as many tasks as one may have. `several_stops`: it has another
shape than a pickup and a drop, or a single stop; dispatch takes it. `not_waiting`: it was named, and waits for no
rider. `too_many`: a plan has so many tasks at most; those that are due first are in it."""

PlanRefusal = Literal["nothing_to_plan", "nobody_at_work", "nothing_fits", "too_many_places", "no_plan"]
"""Why there is no plan: no task waits; no rider could take one; none fits on anybody's way; places beyond what a matrix
takes; no solver's plan passed the checker."""


class PlannedVisit(Input, frozen=True, kw_only=True):
    """A stop of a route, and when: it is reached at `arrives_at`, its service begins at `begins_at`."""

    task_id: TaskId
    stop_id: StopId
    arrives_at: Moment
    begins_at: Moment
    leaves_at: Moment
    metres: Count
    """Of the way to it."""


class RoutedTask(Input, frozen=True, kw_only=True):
    """A task that a route gives to its rider. `round` is the one that it is then in; `from_rider` has it until then."""

    task_id: TaskId
    round: Count
    from_rider: RiderId | None = None


class PlannedRoute(Input, frozen=True, kw_only=True):
    """All that lies ahead of a rider, in order. `tasks` are those that are new to them."""

    rider_id: RiderId
    tasks: Annotated[list[RoutedTask], msgspec.Meta(max_length=MAX_PLAN_TASKS)]
    visits: Annotated[list[PlannedVisit], msgspec.Meta(max_length=MAX_ROUTE_VISITS)]
    frozen: Count = 0
    """So many of the first visits stay as they are."""
    starts_at: Moment
    ends_at: Moment
    metres: Count


class LeftOutTask(Input, frozen=True, kw_only=True):
    task_id: TaskId
    code: NotPlanned
    told: str = ""


class LeftOutRider(Input, frozen=True, kw_only=True):
    """A rider who takes no part, by the rule that shuts them out of dispatch."""

    rider_id: RiderId
    code: Code


class SolverAttempt(Input, frozen=True, kw_only=True):
    """What came of a solver; `amount`, in the objective's unit, of its plan where that passed the checker."""

    solver: str
    version: str
    outcome: str
    seconds: float
    left_out: Count | None = None
    vehicles: Count | None = None
    amount: float | None = None
    told: str = ""


class Proposal(Input, frozen=True, kw_only=True):
    """`input_hash`: SHA-256 of the problem that the solvers were given, kept as an artefact under it. `source`: which
    router told the times."""

    decided_at: Moment
    policy_version: int
    solver: str
    version: str
    seed: Count
    input_hash: str
    source: str
    seconds_asked: Count
    metres: Count
    """Of all routes."""
    driving_seconds: Count
    routes: Annotated[list[PlannedRoute], msgspec.Meta(max_length=MAX_PLAN_RIDERS)]
    left_out: Annotated[list[LeftOutTask], msgspec.Meta(max_length=MAX_PLAN_TASKS)] = []
    more_left_out: dict[str, int] = {}
    """How many besides those, by code."""
    not_asked: Annotated[list[LeftOutRider], msgspec.Meta(max_length=MAX_PLAN_RIDERS)] = []
    more_not_asked: dict[str, int] = {}
    attempts: Annotated[list[SolverAttempt], msgspec.Meta(max_length=20)] = []


# What can be asked


class RequestPlan(Command, frozen=True, kw_only=True):
    """Of `tasks`; without any, of all that wait for a rider, or will before `until`, at `outlets` where some are named,
    those that are due first. For `riders`, or all who are at work. What riders have already stays theirs, in what order
    whatever; with `replan` what they have not begun may go to others, too. The solvers look for `seconds`. The plan is
    then committed by `commit-plan`, or with `commit: at_once` as soon as it is there."""

    tasks: Annotated[list[Id], msgspec.Meta(max_length=MAX_PLAN_TASKS)] = []
    riders: Annotated[list[Id], msgspec.Meta(max_length=MAX_PLAN_RIDERS)] = []
    outlets: Annotated[list[Slug], msgspec.Meta(max_length=MAX_PLAN_OUTLETS)] = []
    until: Moment | None = None
    objective: PlanObjective = "duration"
    seconds: Annotated[int, msgspec.Meta(ge=1, le=MAX_PLAN_SECONDS)] = 10
    seed: Count = 0
    replan: bool = False
    commit: PlanCommit = "by_hand"
    external_reference: ExternalReference = None
    source: ReferenceSource = None
    metadata: Metadata = {}


class CommitPlan(Command, frozen=True, kw_only=True):
    """Each rider's route is taken or refused as a whole. Refused where the plan is older than it may be."""


class RejectPlan(Command, frozen=True, kw_only=True):
    """It is not wanted: before it is there, or before it is committed."""

    reason_code: Code


class ProposePlan(Command, frozen=True, kw_only=True):
    """Sent when a plan was found."""

    proposal: Proposal


class FailPlan(Command, frozen=True, kw_only=True):
    """Sent where there is none."""

    reason_code: PlanRefusal
    told: str = ""


class SettlePlannedTask(Command, frozen=True, kw_only=True):
    """Sent when it is known what came of a task of a route: its rider has it, or why not."""

    task_id: TaskId
    given: bool
    reason_code: str | None = None


class NarrowRoute(Command, frozen=True, kw_only=True):
    """Sent when a rider is reserved for what the route would give them: for `task_ids`. What of it is not among them is
    theirs already, or somebody else's."""

    rider_id: RiderId
    task_ids: Annotated[list[TaskId], msgspec.Meta(max_length=MAX_PLAN_TASKS)]


class RefuseRoute(Command, frozen=True, kw_only=True):
    """Sent when a rider could not be reserved for what the route would give them."""

    rider_id: RiderId
    reason_code: str


class ClosePlan(Command, frozen=True, kw_only=True):
    """Sent when a proposal is too old to be committed, or all of it should long have been settled; firing late or twice
    changes nothing."""


type PlanCommand = (
    RequestPlan
    | CommitPlan
    | RejectPlan
    | ProposePlan
    | FailPlan
    | SettlePlannedTask
    | NarrowRoute
    | RefuseRoute
    | ClosePlan
)


# What can happen


class PlanRequested(Event, frozen=True, kw_only=True):
    tasks: list[TaskId]
    riders: list[RiderId]
    outlets: list[str]
    until: datetime | None
    objective: PlanObjective
    seconds: int
    seed: int
    replan: bool
    commit: PlanCommit
    external_reference: str | None
    source: str
    metadata: dict[str, str]


class PlanProposed(Event, frozen=True, kw_only=True):
    proposal: Proposal


class PlanCommitStarted(Event, frozen=True, kw_only=True):
    """What is not settled by `settled_by` never will be."""

    settled_by: datetime


class RouteCommitStarted(Event, frozen=True, kw_only=True):
    """The rider is to have `tasks`, and then to follow `order`; `hold_until` is how long they are held for them."""

    rider_id: RiderId
    tasks: list[RoutedTask]
    order: list[StopRef]
    hold_until: datetime


class PlannedTaskGiven(Event, frozen=True, kw_only=True):
    task_id: TaskId
    rider_id: RiderId


class PlannedTaskRefused(Event, frozen=True, kw_only=True):
    """It stays where it was: with its rider, or to be dispatched."""

    task_id: TaskId
    rider_id: RiderId
    reason_code: str


class RouteCommitted(Event, frozen=True, kw_only=True):
    """What was to be given to the rider is settled, and some of it, or nothing but the order, is theirs."""

    rider_id: RiderId
    order: list[StopRef]


class RouteRefused(Event, frozen=True, kw_only=True):
    """Nothing of it is the rider's."""

    rider_id: RiderId
    reason_code: str


class PlanCommitted(Event, frozen=True, kw_only=True):
    pass


class PlanPartlyCommitted(Event, frozen=True, kw_only=True):
    given: int
    refused: int


class PlanRejected(Event, frozen=True, kw_only=True):
    reason_code: str
    told: str = ""


type PlanEvent = (
    PlanRequested
    | PlanProposed
    | PlanCommitStarted
    | RouteCommitStarted
    | PlannedTaskGiven
    | PlannedTaskRefused
    | RouteCommitted
    | RouteRefused
    | PlanCommitted
    | PlanPartlyCommitted
    | PlanRejected
)
