"""The clock of what is promised for a task: it starts with dispatch, pauses by the terms, and stops as things happen.

What happens to the task is decided elsewhere; here is said what that means for its clock. It goes by when something
happened, not by when it was told.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from commands.context import Context
from commands.registries import UnknownFailureReason
from schemas.fault import AtFault
from schemas.message import Event
from schemas.sla import (
    MarkSlaAtRisk,
    MarkSlaBreach,
    PinnedSla,
    Promise,
    SlaAtRisk,
    SlaBreached,
    SlaClockPaused,
    SlaClockResumed,
    SlaClockStarted,
    SlaClockStopped,
    SlaEvent,
    SlaPromiseSettled,
    SlaTarget,
    promised,
)
from schemas.sla_policy import SlaTerms
from schemas.task_kind import TaskKind

DELIVERED = ("delivered", "partially_delivered")


class PromiseState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    target_at: datetime
    at_risk: bool = False
    level: int = 0
    """The next that may be breached: 0 is the target itself."""


type Promises = dict[Promise, PromiseState]


class SlaState(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """`promises` are those that are open."""

    terms: SlaTerms
    kind: TaskKind
    running_since: datetime | None = None
    """Since it was started, or went on."""
    promises: Mapping[Promise, PromiseState] = {}
    paused_at: datetime | None = None


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision means for the clock. `at` is when it happened."""

    at: datetime
    begins: bool
    waits_for: Sequence[str]
    """The reasons for which the task now waits."""
    settles: Sequence[Promise]
    ended: str | None
    """How the task has ended, if it has."""


def pinned(sla: PinnedSla | None, kind: TaskKind) -> SlaState | None:
    return None if sla is None else SlaState(terms=sla.terms, kind=kind)


def clock_after(sla: SlaState, turn: Turn, context: Context) -> list[SlaEvent]:
    """A promise that is settled in the moment in which the clock pauses or stops is settled first."""
    events: list[SlaEvent] = []
    if sla.running_since is None and turn.ended is not None:
        never: list[Promise] = [*promised(sla.terms, sla.kind)]
        return [*([SlaClockStopped(promises=never, outcome=turn.ended)] if never else [])]
    if turn.begins and sla.running_since is None:
        first: Promises = {promise: PromiseState(at) for promise, at in first_targets(sla, turn.at)}
        events.append(SlaClockStarted(started_at=turn.at, targets=targets(first, sla.terms, turn.at)))
    elif sla.paused_at is not None and not pausing(sla, turn) and turn.ended is None and sla.promises:
        events.append(resumed(sla, sla.paused_at, turn.at))
    now = folded(sla, events)
    settled = [settling(now, promise, turn.at) for promise in turn.settles if promise in now.promises]
    events += settled
    now = folded(now, settled)
    if turn.ended is not None:
        if now.promises:
            events.append(SlaClockStopped(promises=list(now.promises), outcome=turn.ended))
        return events
    reason = pausing(now, turn)
    if reason is not None and now.paused_at is None and now.promises:
        paused = SlaClockPaused(
            reason_code=reason,
            at_fault=at_fault(reason, context),
            paused_at=turn.at if now.running_since is None else max(turn.at, now.running_since),
            promises=list(now.promises),
        )
        events.append(paused)
    return events


def pausing(sla: SlaState, turn: Turn) -> str | None:
    """For which of what the task waits for the clock stands still, if for any."""
    return next((reason for reason in turn.waits_for if reason in sla.terms.pauses), None)


def first_targets(sla: SlaState, at: datetime) -> Iterator[tuple[Promise, datetime]]:
    for promise, within in promised(sla.terms, sla.kind).items():
        yield promise, at + timedelta(seconds=within)


def targets(promises: Mapping[Promise, PromiseState], terms: SlaTerms, at: datetime) -> list[SlaTarget]:
    margin = timedelta(seconds=terms.at_risk_margin_s)
    return [
        SlaTarget(
            promise=promise,
            target_at=state.target_at,
            at_risk_at=None if state.at_risk else max(at, state.target_at - margin),
            level=state.level,
            breach_at=breach_at(state.target_at, state.level, terms),
        )
        for promise, state in promises.items()
    ]


def breach_at(target_at: datetime, level: int, terms: SlaTerms) -> datetime | None:
    """Level 0 is the target itself."""
    levels = [0, *terms.breach_levels_minutes]
    return target_at + timedelta(minutes=levels[level]) if level < len(levels) else None


def resumed(sla: SlaState, paused_at: datetime, at: datetime) -> SlaClockResumed:
    stood = max(at - paused_at, timedelta())
    later: Promises = {p: replace(s, target_at=s.target_at + stood) for p, s in sla.promises.items()}
    resumed_at = max(at, paused_at)
    paused_s = round(stood.total_seconds())
    return SlaClockResumed(resumed_at=resumed_at, targets=targets(later, sla.terms, at), paused_s=paused_s)


def settling(sla: SlaState, promise: Promise, at: datetime) -> SlaPromiseSettled:
    target_at = sla.promises[promise].target_at
    stopped = at if sla.paused_at is None else min(at, sla.paused_at)
    late = max(stopped - target_at, timedelta())
    late_s = round(late.total_seconds())
    return SlaPromiseSettled(promise=promise, target_at=target_at, settled_at=at, late_s=late_s)


def at_fault(reason_code: str, context: Context) -> AtFault:
    try:
        return context.policy.failure_reason(reason_code).at_fault
    except UnknownFailureReason:
        return "system"


def mark_at_risk(sla: SlaState | None, command: MarkSlaAtRisk, context: Context) -> list[SlaEvent]:
    promise = open_promise(sla, command.promise, command.target_at)
    if sla is None or promise is None or promise.at_risk:
        return []
    margin = timedelta(seconds=sla.terms.at_risk_margin_s)
    foreseen = command.predicted_at is not None and command.predicted_at > command.target_at
    if not foreseen and context.now < command.target_at - margin:
        return []
    predicted_at = command.predicted_at if foreseen else None
    return [SlaAtRisk(promise=command.promise, target_at=command.target_at, predicted_at=predicted_at)]


def mark_breach(sla: SlaState | None, command: MarkSlaBreach, fault: AtFault, context: Context) -> list[SlaEvent]:
    promise = open_promise(sla, command.promise, command.target_at)
    if sla is None or promise is None or promise.level != command.level:
        return []
    due_at = breach_at(command.target_at, command.level, sla.terms)
    if due_at is None or context.now < due_at:
        return []
    return [
        SlaBreached(
            promise=command.promise,
            target_at=command.target_at,
            level=command.level,
            minutes=round((due_at - command.target_at).total_seconds() / 60),
            at_fault=fault,
            next_at=breach_at(command.target_at, command.level + 1, sla.terms),
        )
    ]


def open_promise(sla: SlaState | None, promise: Promise, target_at: datetime) -> PromiseState | None:
    """None where the clock stands still, or the target is another by now."""
    if sla is None or sla.paused_at is not None:
        return None
    state = sla.promises.get(promise)
    return state if state is not None and state.target_at == target_at else None


def folded(sla: SlaState, events: Iterable[Event]) -> SlaState:
    for event in events:
        sla = evolve_clock(sla, event)
    return sla


def evolve_clock(sla: SlaState, event: Event) -> SlaState:
    match event:
        case SlaClockStarted():
            promises = {t.promise: PromiseState(t.target_at) for t in event.targets}
            return replace(sla, running_since=event.started_at, promises=promises)
        case SlaClockPaused():
            return replace(sla, paused_at=event.paused_at)
        case SlaClockResumed():
            moved = {t.promise: replace(sla.promises[t.promise], target_at=t.target_at) for t in event.targets}
            return replace(sla, promises=moved, paused_at=None, running_since=event.resumed_at)
        case SlaAtRisk():
            return with_promise(sla, event.promise, at_risk=True)
        case SlaBreached():
            return with_promise(sla, event.promise, at_risk=True, level=event.level + 1)
        case SlaPromiseSettled():
            return replace(sla, promises={p: s for p, s in sla.promises.items() if p != event.promise})
        case SlaClockStopped():
            return replace(sla, promises={}, paused_at=None)
        case _:
            return sla


def with_promise(sla: SlaState, promise: Promise, **changes: object) -> SlaState:
    return replace(sla, promises={**sla.promises, promise: replace(sla.promises[promise], **changes)})
