"""The clock of what is promised for a task: when it runs, when a promise is at risk, broken, kept."""

from datetime import datetime
from typing import Literal, assert_never

from schemas.fault import AtFault
from schemas.message import Command, Count, Event, Moment, Record, SlaPolicyId
from schemas.sla_policy import SlaTerms
from schemas.task_kind import TaskKind

Promise = Literal["dispatch", "pickup", "deliver"]


def promised(terms: SlaTerms, kind: TaskKind) -> dict[Promise, int]:
    """Seconds within which each is to happen. A collection is neither dispatched nor picked up by anybody of ours."""
    if kind == "collection":
        return {} if terms.deliver_within_s is None else {"deliver": terms.deliver_within_s}
    within: dict[Promise, int | None] = {
        "dispatch": terms.dispatch_within_s,
        "pickup": terms.pickup_within_s,
        "deliver": terms.deliver_within_s,
    }
    return {promise: seconds for promise, seconds in within.items() if seconds is not None}


# What can be asked: by our own processes alone


class MarkSlaAtRisk(Command, frozen=True, kw_only=True):
    """Sent when the margin before `target_at` is used up, or the forecast is later: `predicted_at`. Of a target that is
    no more, or too early, nothing comes."""

    promise: Promise
    target_at: Moment
    predicted_at: Moment | None = None


class MarkSlaBreach(Command, frozen=True, kw_only=True):
    """Sent at `target_at` for level 0, and so many minutes later for each level that the terms name."""

    promise: Promise
    target_at: Moment
    level: Count


type SlaCommand = MarkSlaAtRisk | MarkSlaBreach


# What can happen


class PinnedSla(Record, frozen=True, kw_only=True):
    """What was promised for the task when it was created; it holds whatever becomes of the policy."""

    policy_id: SlaPolicyId
    policy_version: int
    terms: SlaTerms


class SlaTarget(Record, frozen=True, kw_only=True):
    """`at_risk_at` is when the margin before it is used up, unless it is at risk already; `breach_at` when `level` is
    reached, unless that was the last."""

    promise: Promise
    target_at: datetime
    at_risk_at: datetime | None
    level: int
    breach_at: datetime | None


class SlaClockStarted(Event, frozen=True, kw_only=True):
    started_at: datetime
    targets: list[SlaTarget]


class SlaClockPaused(Event, frozen=True, kw_only=True):
    """The task waits for what the terms name; no promise of `promises` comes nearer until it goes on."""

    reason_code: str
    at_fault: AtFault
    paused_at: datetime
    promises: list[Promise]


class SlaClockResumed(Event, frozen=True, kw_only=True):
    """The targets are so much later than they were."""

    resumed_at: datetime
    targets: list[SlaTarget]
    paused_s: int


class SlaAtRisk(Event, frozen=True, kw_only=True):
    """By the clock; by the forecast where there is a `predicted_at`."""

    promise: Promise
    target_at: datetime
    predicted_at: datetime | None


class SlaBreached(Event, frozen=True, kw_only=True):
    """`minutes` after the target. `next_at` is when the next level is reached, if there is one."""

    promise: Promise
    target_at: datetime
    level: int
    minutes: int
    at_fault: AtFault
    next_at: datetime | None


class SlaPromiseSettled(Event, frozen=True, kw_only=True):
    """What was promised has happened: in time where `late_s` is 0, by when it happened, whenever that was told."""

    promise: Promise
    target_at: datetime
    settled_at: datetime
    late_s: int


class SlaClockStopped(Event, frozen=True, kw_only=True):
    """The task has ended without what was promised."""

    promises: list[Promise]
    outcome: str


SLA_EVENTS = (
    SlaClockStarted,
    SlaClockPaused,
    SlaClockResumed,
    SlaAtRisk,
    SlaBreached,
    SlaPromiseSettled,
    SlaClockStopped,
)
type SlaEvent = (
    SlaClockStarted | SlaClockPaused | SlaClockResumed | SlaAtRisk | SlaBreached | SlaPromiseSettled | SlaClockStopped
)


def promises_of(event: SlaEvent) -> list[Promise]:
    """Those that it is about."""
    match event:
        case SlaClockStarted() | SlaClockResumed():
            return [target.promise for target in event.targets]
        case SlaClockPaused() | SlaClockStopped():
            return event.promises
        case SlaAtRisk() | SlaBreached() | SlaPromiseSettled():
            return [event.promise]
        case _:
            assert_never(event)
