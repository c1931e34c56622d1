"""How far a task has come, folded from its facts: what its state and leg are derived from."""

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec
from msgspec.structs import replace

from schemas.carried import TaskGivenToCarrier, TaskTakenFromCarrier
from schemas.message import Event
from schemas.sla import SlaAtRisk, SlaBreached, SlaClockStopped, SlaPromiseSettled
from schemas.stop import Stop
from schemas.stop_events import (
    CustomerArrived,
    CustomerOnTheWay,
    DeliveryAttemptFailed,
    HoldStarted,
    ReattemptPlanned,
    ReturnStarted,
    StopArrived,
    StopCompleted,
    StopEnRoute,
    StopFailed,
    StopSkipped,
)
from schemas.task import (
    CREATED_ON_HOLD,
    AssignmentAccepted,
    SimulatedStepScheduled,
    StopRescheduled,
    TaskAssigned,
    TaskCancelled,
    TaskCompleted,
    TaskCreated,
    TaskDispatchable,
    TaskFailed,
    TaskForceCompleted,
    TaskHeld,
    TaskReleased,
    TaskReturned,
    TaskScheduled,
    TaskTenderClosed,
    TaskTendered,
    TaskUnassigned,
)
from schemas.waiting import (
    DependencyDeclared,
    DependencyDropped,
    DependencyFailed,
    DependencyMet,
    DependencyWaived,
)

OVER = frozenset({"completed", "failed", "skipped"})


class StopProgress(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    window_end: datetime | None = None
    status: str = "pending"
    arrived_at: datetime | None = None
    ended_at: datetime | None = None
    attempts: int = 0


class Dependency(msgspec.Struct, frozen=True, kw_only=True):
    """What a task waits for before it comes to dispatch, or has waited for."""

    kind: str
    status: str = "open"
    """open, met, failed, waived, or dropped where the task has ended before."""
    reason_code: str | None = None


class Carrier(msgspec.Struct, frozen=True, kw_only=True):
    carrier_id: str
    booking_id: str


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    kind: str = "delivery"
    held: str | None = None
    dispatch_at: datetime | None = None
    dependencies: Mapping[str, Dependency] = {}
    stops: Mapping[str, StopProgress] = {}
    latest_stop: str | None = None
    waits: bool = True
    """Until it comes to dispatch: at first, and again once its goods wait for another attempt."""
    round: int = 0
    tender_id: str | None = None
    rider_id: str | None = None
    carrier: Carrier | None = None
    """That has it by a booking; there is no rider then."""
    accepted: bool = False
    returning: bool = False
    step_at: datetime | None = None
    """When what its simulated courier does next is due."""
    at_risk: list[str] = []
    """What was promised, is not settled yet, and may come too late."""
    breached: list[str] = []
    """What was promised and is late, for ever."""
    ended: str | None = None
    ended_at: datetime | None = None
    outcome: str | None = None
    reason_code: str | None = None


def state_of(task: Progress) -> str:
    if task.ended is not None:
        return task.ended
    if task.returning:
        return "returning"
    if task.kind == "collection":
        return "created" if all(stop.status == "pending" for stop in task.stops.values()) else "in_progress"
    if is_taken(task):
        if any(stop.status != "pending" for stop in task.stops.values()):
            return "in_progress"
        return "accepted" if task.accepted else "assigned"
    if task.tender_id is not None:
        return "offering"
    return "created" if task.waits else "dispatchable"


def is_taken(task: Progress) -> bool:
    return task.rider_id is not None or task.carrier is not None


def leg_of(task: Progress) -> str | None:
    """By the stop that was told of last, while it is under way."""
    if (not is_taken(task) and task.kind != "collection") or task.ended is not None:
        return None
    latest = [stop for stop_id, stop in task.stops.items() if stop_id == task.latest_stop]
    for stop in (*latest, *task.stops.values()):
        if stop.status in ("en_route", "arrived"):
            return f"{stop.status}_{stop.kind}"
    picked_up = any(stop.status == "completed" and stop.kind == "pickup" for stop in task.stops.values())
    return "picked_up" if picked_up else None


def progressed(task: Progress, event: Event, at: datetime) -> Progress:
    """`at` is when it happened."""
    match event:
        case TaskCreated():
            held = CREATED_ON_HOLD if event.on_hold else None
            return Progress(kind=event.kind, held=held, stops={stop.stop_id: planned(stop) for stop in event.stops})
        case DependencyDeclared():
            return replace(task, dependencies={**task.dependencies, event.on: Dependency(kind=event.kind)})
        case DependencyMet():
            return with_dependency(task, event.on, "met")
        case DependencyFailed():
            return with_dependency(task, event.on, "failed", event.reason_code)
        case DependencyWaived():
            return with_dependency(task, event.on, "waived", event.reason_code)
        case DependencyDropped():
            return with_dependency(task, event.on, "dropped")
        case StopRescheduled():
            return with_stop(task, event.stop_id, window_end=event.window.end)
        case TaskHeld():
            return replace(task, held=event.reason_code)
        case TaskReleased():
            return replace(task, held=None)
        case TaskScheduled():
            return replace(task, dispatch_at=event.dispatch_at)
        case TaskDispatchable():
            return replace(task, round=event.round, dispatch_at=None, waits=False)
        case TaskTendered():
            return replace(task, tender_id=event.tender_id)
        case TaskTenderClosed():
            return replace(task, tender_id=None)
        case TaskAssigned():
            given = replace(task, rider_id=event.rider_id, round=event.round, accepted=False, held=None)
            return replace(given, waits=False, dispatch_at=None)
        case AssignmentAccepted():
            return replace(task, accepted=True)
        case TaskUnassigned():
            stops = reset(task.stops, "pending")
            freed = replace(task, rider_id=None, accepted=False, tender_id=None, stops=stops)
            return replace(freed, waits=True, returning=False) if event.waits else freed
        case TaskGivenToCarrier():
            carrier = Carrier(carrier_id=event.carrier_id, booking_id=event.booking_id)
            return replace(task, carrier=carrier, round=event.round, accepted=True, held=None)
        case TaskTakenFromCarrier():
            stops = reset(task.stops, "pending")
            return replace(task, carrier=None, accepted=False, tender_id=None, stops=stops)
        case StopEnRoute() | CustomerOnTheWay():
            return with_stop(replace(task, latest_stop=event.stop_id), event.stop_id, status="en_route")
        case StopArrived(late=True):
            return with_stop(task, event.stop_id, arrived_at=min(task.stops[event.stop_id].arrived_at or at, at))
        case StopArrived() | CustomerArrived():
            return with_stop(replace(task, latest_stop=event.stop_id), event.stop_id, status="arrived", arrived_at=at)
        case DeliveryAttemptFailed():
            return with_stop(task, event.stop_id, status="pending", attempts=event.attempt)
        case StopCompleted():
            return with_stop(task, event.stop_id, status="completed", ended_at=at)
        case StopFailed():
            return with_stop(task, event.stop_id, status="failed", ended_at=at)
        case StopSkipped():
            return with_stop(task, event.stop_id, status="skipped", ended_at=at)
        case HoldStarted():
            return replace(task, stops={**task.stops, event.stop.stop_id: StopProgress(kind="hold")})
        case ReattemptPlanned():
            return replace(task, stops=ahead_again(task.stops, event))
        case ReturnStarted():
            back: dict[str, StopProgress] = {event.stop.stop_id: StopProgress(kind="return")}
            elsewhere = {stop_id: stop for stop_id, stop in task.stops.items() if stop.kind == "return"}
            stops = reset(task.stops, "skipped") | elsewhere | back
            return replace(task, stops=stops, returning=True, reason_code=event.reason_code)
        case SlaAtRisk():
            return replace(task, at_risk=[*without(task.at_risk, event.promise), event.promise])
        case SlaBreached():
            return broken(task, event.promise)
        case SlaPromiseSettled():
            return kept(task, event.promise) if event.late_s == 0 else broken(task, event.promise)
        case SlaClockStopped():
            return replace(task, at_risk=[])
        case SimulatedStepScheduled():
            return replace(task, step_at=event.step_at)
        case TaskCompleted():
            return replace(task, ended="completed", ended_at=at, outcome=event.outcome)
        case TaskForceCompleted():
            return replace(task, ended="completed", ended_at=at, outcome=event.outcome, reason_code=event.reason_code)
        case TaskFailed():
            return replace(task, ended="failed", ended_at=at, outcome=event.outcome, reason_code=event.reason_code)
        case TaskReturned():
            return replace(task, ended="returned", ended_at=at, outcome=event.outcome)
        case TaskCancelled():
            return replace(task, ended="cancelled", ended_at=at, outcome=event.outcome, reason_code=event.reason_code)
        case _:
            return task


def without(promises: list[str], promise: str) -> list[str]:
    return [each for each in promises if each != promise]


def broken(task: Progress, promise: str) -> Progress:
    late = [*without(task.breached, promise), promise]
    return replace(task, at_risk=without(task.at_risk, promise), breached=late)


def kept(task: Progress, promise: str) -> Progress:
    """By when it happened, though it was told so late that it had been said to be broken."""
    return replace(task, at_risk=without(task.at_risk, promise), breached=without(task.breached, promise))


def planned(stop: Stop) -> StopProgress:
    return StopProgress(kind=stop.kind, window_end=stop.window.end if stop.window else None)


def ahead_again(stops: Mapping[str, StopProgress], event: ReattemptPlanned) -> dict[str, StopProgress]:
    rest = {stop_id: stop for stop_id, stop in stops.items() if stop_id not in event.stop_ids}
    again: dict[str, StopProgress] = {
        stop_id: StopProgress(
            kind=stops[stop_id].kind, window_end=event.window.end if event.window else stops[stop_id].window_end
        )
        for stop_id in event.stop_ids
    }
    return {**rest, event.pickup.stop_id: StopProgress(kind="pickup"), **again}


def with_dependency(task: Progress, on: str, status: str, reason_code: str | None = None) -> Progress:
    answered = replace(task.dependencies[on], status=status, reason_code=reason_code)
    return replace(task, dependencies={**task.dependencies, on: answered})


def with_stop(task: Progress, stop_id: str, **changes: object) -> Progress:
    return replace(task, stops={**task.stops, stop_id: replace(task.stops[stop_id], **changes)})


def reset(stops: Mapping[str, StopProgress], status: str) -> dict[str, StopProgress]:
    return {stop_id: stop if stop.status in OVER else replace(stop, status=status) for stop_id, stop in stops.items()}


def count(stops: Iterable[StopProgress], *statuses: str) -> int:
    return sum(stop.status in statuses for stop in stops)
