"""Recurrence: a rule in local time, of which each occurrence is created once, ahead of its time."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import assert_never

from msgspec.structs import replace

from commands.cloning import create_from_template
from commands.context import Context
from commands.recurrence_rule import LOCAL, local_time, occurrences, rule_of
from commands.recurrence_state import (
    CreatedRecurrence,
    Recurrence,
    Uncreated,
    created,
    evolve,
    going_on,
    is_refused,
    status_of,
)
from commands.recurring_task import lacks_a_place, recurring_template, task_of
from commands.refusals import TooMany
from commands.task_state import Uncreated as NoTask
from schemas.ids import occurrence_task_id
from schemas.message import NotInThisState, OutletSlug, Refused, TaskId
from schemas.recurrence import (
    MAX_SKIPS,
    MISSED_AT_ONCE,
    ChangeRecurrence,
    ConfirmOccurrence,
    CreateOccurrence,
    CreateRecurrence,
    EndRecurrence,
    Occurrence,
    OccurrenceCreated,
    OccurrenceRefused,
    OccurrenceReviewed,
    OccurrenceScheduled,
    OccurrenceSkipped,
    OccurrencesMissed,
    PauseRecurrence,
    RecurrenceChanged,
    RecurrenceCommand,
    RecurrenceCreated,
    RecurrenceEnded,
    RecurrenceEvent,
    RecurrencePaused,
    RecurrenceResumed,
    RecurringTemplate,
    RefuseOccurrence,
    ResumeRecurrence,
    ReviewOccurrence,
    SkipOccurrence,
)
from schemas.template import CreateFromTemplate
from schemas.zones import instant_of, local_of, zone_of

PERSON_FORGOTTEN = "person-forgotten"
"""Told as the rule that refuses a task, though it is never asked for."""
LATE = timedelta(minutes=15)
"""So long after it has begun an occurrence is still created: what is due fires a moment later."""
LOOKED_THROUGH = 10_000
"""So many occurrences, for the first one that is ahead: an hourly rule's of more than a year."""
FAR = timedelta(days=3_660)
"""A start that lies further away is none."""
EXHAUSTED = "exhausted"


class NothingAhead(Refused):
    rule = "nothing-ahead"
    is_about = ("rule",)

    def __init__(self, rule: str) -> None:
        super().__init__(f"{rule} has no occurrence ahead, or none soon enough after its start")
        self.recurrence_rule = rule


class NotAnOccurrence(Refused):
    rule = "not-an-occurrence"
    stands_in = ("local",)

    def __init__(self, local: str) -> None:
        super().__init__(f"no occurrence is ahead that begins at {local}")
        self.local = local


class OccurrenceAnswered(Refused):
    rule = "occurrence-answered"

    def __init__(self, at: datetime) -> None:
        super().__init__(f"the occurrence at {at.isoformat()} was refused")
        self.occurrence_at = at


class NoSuchRefusal(Refused):
    rule = "unknown-occurrence"
    stands_in = ("occurrence_at",)

    def __init__(self, at: datetime) -> None:
        super().__init__(f"no occurrence at {at.isoformat()} waits for a review")
        self.occurrence_at = at


def decide(recurrence: Recurrence, command: RecurrenceCommand, context: Context) -> list[RecurrenceEvent]:
    match command:
        case CreateRecurrence():
            return create(recurrence, command, context)
        case ChangeRecurrence():
            return change(going_on(created(recurrence)), command, context)
        case SkipOccurrence():
            return skip(going_on(created(recurrence)), command)
        case PauseRecurrence():
            return pause(going_on(created(recurrence)), command)
        case ResumeRecurrence():
            return resume(going_on(created(recurrence)), context)
        case EndRecurrence():
            return end(created(recurrence), command)
        case ReviewOccurrence():
            return review(created(recurrence), command)
        case CreateOccurrence():
            return create_occurrence(created(recurrence), command, context)
        case ConfirmOccurrence():
            return confirm(created(recurrence), command)
        case RefuseOccurrence():
            return refuse(created(recurrence), command)
        case _:
            assert_never(command)


def create(recurrence: Recurrence, command: CreateRecurrence, context: Context) -> list[RecurrenceEvent]:
    """What began before now is none of its occurrences, though the rule counts it."""
    if not isinstance(recurrence, Uncreated):
        raise NotInThisState(needed="new", actual=status_of(recurrence))
    zone = context.policy.outlet(command.outlet).zone
    starts = local_start(command.starts_at, zone, command.rule, context)
    made = RecurrenceCreated(
        outlet=OutletSlug(command.outlet),
        zone=zone,
        rule=command.rule,
        starts=starts,
        create_ahead_s=command.create_ahead_seconds,
        task=recurring_template(command.task, context),
        external_reference=command.external_reference,
        source=command.source or context.actor,
        metadata=command.metadata,
    )
    known = created(evolve(recurrence, made))
    first = ahead_of(known, context.now, local_time(starts))
    must_be_creatable(known, known.task, first, context)
    return [made, scheduled(known, first)]


def change(recurrence: CreatedRecurrence, command: ChangeRecurrence, context: Context) -> list[RecurrenceEvent]:
    """By the rule from where it starts, so that what it counts is counted from there."""
    assert recurrence.next is not None, "while it goes on, something comes next"
    rule, starts = command.rule or recurrence.rule, recurrence.starts
    if command.starts_at is not None:
        starts = local_start(command.starts_at, recurrence.zone, rule, context)
    task = None if command.task is None else recurring_template(command.task, context)
    ahead_s = command.create_ahead_seconds
    changed = RecurrenceChanged(
        rule=rule,
        starts=starts,
        create_ahead_s=recurrence.create_ahead_s if ahead_s is None else ahead_s,
        task=task,
        next=recurrence.next,
    )
    if (changed.rule, starts) != (recurrence.rule, recurrence.starts):
        rest = created(evolve(recurrence, changed))
        first = ahead_of(rest, begins(recurrence, command, context), local_time(starts))
        changed = replace(changed, next=first)
    elif task is None and changed.create_ahead_s == recurrence.create_ahead_s:
        return []
    known = created(evolve(recurrence, changed))
    must_be_creatable(known, task or recurrence.task, changed.next, context)
    return [changed, scheduled(known, changed.next)] if recurrence.status == "active" else [changed]


def local_start(at: datetime, zone: str, rule: str, context: Context) -> str:
    if abs(at - context.now) > FAR:
        raise NothingAhead(rule)
    return local_of(at, zone_of(zone)).strftime(LOCAL)


def begins(recurrence: CreatedRecurrence, command: ChangeRecurrence, context: Context) -> datetime:
    """After what has been created already; without another start not before the day of what would have come next."""
    assert recurrence.next is not None, "while it goes on, something comes next"
    floor = max(context.now, recurrence.latest_at or context.now)
    if command.starts_at is not None:
        return floor
    midnight = local_time(recurrence.next.local).replace(hour=0, minute=0)
    return max(floor, instant_of(midnight, zone_of(recurrence.zone)) - timedelta(seconds=1))


def must_be_creatable(
    recurrence: CreatedRecurrence, task: RecurringTemplate, occurrence: Occurrence, context: Context
) -> None:
    """What would be refused of its task now is refused now. Later the directory may say otherwise."""
    template = task_of(recurrence.outlet, task, occurrence, context)
    create_from_template(NoTask(), CreateFromTemplate(task=template), context)


def skip(recurrence: CreatedRecurrence, command: SkipOccurrence) -> list[RecurrenceEvent]:
    assert recurrence.next is not None, "while it goes on, something comes next"
    if command.local in recurrence.skips:
        return []
    occurrence = next((each for each in coming(recurrence) if each.local >= command.local), None)
    if occurrence is None or occurrence.local != command.local:
        raise NotAnOccurrence(command.local)
    if len(recurrence.skips) >= MAX_SKIPS:
        raise TooMany("occurrences left out", MAX_SKIPS)
    skipped = OccurrenceSkipped(occurrence=occurrence)
    if recurrence.status == "active" and occurrence.number == recurrence.next.number:
        return [skipped, *followed(created(evolve(recurrence, skipped)))]
    return [skipped]


def pause(recurrence: CreatedRecurrence, command: PauseRecurrence) -> list[RecurrenceEvent]:
    return [] if recurrence.status == "paused" else [RecurrencePaused(reason_code=command.reason_code)]


def resume(recurrence: CreatedRecurrence, context: Context) -> list[RecurrenceEvent]:
    if recurrence.status == "active":
        return []
    past: list[Occurrence] = []
    for occurrence in coming(recurrence):
        if occurrence.at > context.now and occurrence.local not in recurrence.skips:
            return [RecurrenceResumed(passed_over=unskipped(recurrence, past)), scheduled(recurrence, occurrence)]
        past.append(occurrence)
    if len(past) == LOOKED_THROUGH:  # the rest of what is past is missed as it falls due
        left = [occurrence for occurrence in past if occurrence.local not in recurrence.skips] or past
        return [RecurrenceResumed(passed_over=unskipped(recurrence, past) - 1), scheduled(recurrence, left[-1])]
    return [RecurrenceResumed(passed_over=unskipped(recurrence, past)), RecurrenceEnded(reason_code=EXHAUSTED)]


def unskipped(recurrence: CreatedRecurrence, past: list[Occurrence]) -> int:
    return sum(occurrence.local not in recurrence.skips for occurrence in past)


def end(recurrence: CreatedRecurrence, command: EndRecurrence) -> list[RecurrenceEvent]:
    return [] if recurrence.status == "ended" else [RecurrenceEnded(reason_code=command.reason_code)]


def create_occurrence(
    recurrence: CreatedRecurrence, command: CreateOccurrence, context: Context
) -> list[RecurrenceEvent]:
    occurrence = recurrence.next
    if recurrence.status != "active" or occurrence is None or recurrence.due_at is None:
        return []
    if command.occurrence_at != occurrence.at or context.now < recurrence.due_at:
        return []
    now_at = next(coming(recurrence))
    if now_at.at != occurrence.at and context.now < now_at.at - timedelta(seconds=recurrence.create_ahead_s):
        return [scheduled(recurrence, now_at)]  # another release of the time zones has it later
    if now_at.at + LATE < context.now:
        return missed(recurrence, context)
    task = occurrence_task_id(context.tenant, context.aggregate_id, now_at.local)
    if lacks_a_place(recurrence.task, context):
        return [nowhere_to_go(now_at, task), *followed(recurrence)]
    template = task_of(recurrence.outlet, recurrence.task, now_at, context)
    made = OccurrenceCreated(occurrence=now_at, task_id=task, template=template)
    return [made, *followed(recurrence)]


def nowhere_to_go(occurrence: Occurrence, task: TaskId) -> OccurrenceRefused:
    """No task is made that nobody could do: a person says what becomes of the recurrence."""
    return OccurrenceRefused(
        occurrence_at=occurrence.at,
        local=occurrence.local,
        task_id=task,
        rule=PERSON_FORGOTTEN,
        reason_code=PERSON_FORGOTTEN.replace("-", "_"),
    )


def missed(recurrence: CreatedRecurrence, context: Context) -> list[RecurrenceEvent]:
    """All that are past, but for a bounded number at once: the rest is due as soon as this is written."""
    past: list[Occurrence] = []
    for occurrence in islice(coming(recurrence), MISSED_AT_ONCE):
        if occurrence.at + LATE >= context.now:
            break
        if occurrence.local not in recurrence.skips:
            past.append(occurrence)
    if not past:
        return followed(recurrence)
    told = OccurrencesMissed(count=len(past), first=past[0], last=past[-1])
    return [told, *followed(recurrence, past[-1])]


def followed(recurrence: CreatedRecurrence, latest: Occurrence | None = None) -> list[RecurrenceEvent]:
    """What comes after `latest`, or else after the next one; or the end, where nothing does."""
    assert recurrence.next is not None, "while it goes on, something comes next"
    behind = latest or recurrence.next
    for occurrence in coming(recurrence, behind):
        if occurrence.number > behind.number and occurrence.local not in recurrence.skips:
            return [scheduled(recurrence, occurrence)]
    return [RecurrenceEnded(reason_code=EXHAUSTED)]


def coming(recurrence: CreatedRecurrence, since: Occurrence | None = None) -> Iterator[Occurrence]:
    """From the next one on, itself among them, whatever is left out of them."""
    since = since or recurrence.next
    assert since is not None, "while it goes on, something comes next"
    rule, zone = rule_of(recurrence.rule), zone_of(recurrence.zone)
    return islice(occurrences(rule, zone, local_time(since.local), since.number), LOOKED_THROUGH)


def ahead_of(recurrence: CreatedRecurrence, floor: datetime, starts: datetime) -> Occurrence:
    """The first that begins after `floor`. Raises NothingAhead, InvalidRule."""
    rule, zone = rule_of(recurrence.rule), zone_of(recurrence.zone)
    for occurrence in islice(occurrences(rule, zone, starts), LOOKED_THROUGH):
        if occurrence.at > floor and occurrence.local not in recurrence.skips:
            return occurrence
    raise NothingAhead(recurrence.rule)


def scheduled(recurrence: CreatedRecurrence, occurrence: Occurrence) -> OccurrenceScheduled:
    due_at = occurrence.at - timedelta(seconds=recurrence.create_ahead_s)
    return OccurrenceScheduled(occurrence=occurrence, due_at=due_at)


# What becomes of its tasks


def confirm(recurrence: CreatedRecurrence, command: ConfirmOccurrence) -> list[RecurrenceEvent]:
    if is_refused(recurrence, command.occurrence_at):
        raise OccurrenceAnswered(command.occurrence_at)
    return []


def refuse(recurrence: CreatedRecurrence, command: RefuseOccurrence) -> list[RecurrenceEvent]:
    if is_refused(recurrence, command.occurrence_at):
        return []
    refused = OccurrenceRefused(
        occurrence_at=command.occurrence_at,
        local=command.local,
        task_id=TaskId(command.task_id),
        rule=command.rule,
        reason_code=command.reason_code,
    )
    return [refused]


def review(recurrence: CreatedRecurrence, command: ReviewOccurrence) -> list[RecurrenceEvent]:
    known = next((each for each in recurrence.refused if each.at == command.occurrence_at), None)
    if known is None:
        raise NoSuchRefusal(command.occurrence_at)
    if known.reviewed:
        return []
    return [OccurrenceReviewed(occurrence_at=command.occurrence_at, decision_code=command.decision_code)]
