"""What a recurrence is, folded from its events: its rule, what comes next, what is left out, what came to nothing."""

from datetime import datetime
from typing import assert_never

import msgspec
from msgspec.structs import replace

from commands.life import NEW, Life, to, when, within
from schemas.message import NotInThisState, OutletSlug
from schemas.recurrence import (
    MAX_REFUSED,
    ChangeRecurrence,
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
    RecurrenceCreated,
    RecurrenceEnded,
    RecurrenceEvent,
    RecurrencePaused,
    RecurrenceResumed,
    RecurrenceStatus,
    RecurringTemplate,
    ResumeRecurrence,
    ReviewOccurrence,
    SkipOccurrence,
)


class Uncreated(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    pass


class RefusedState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    at: datetime
    reviewed: bool = False


class CreatedRecurrence(msgspec.Struct, frozen=True, kw_only=True, tag=True, array_like=True, gc=False):
    status: RecurrenceStatus = "active"
    outlet: OutletSlug
    zone: str
    rule: str
    starts: str
    create_ahead_s: int
    task: RecurringTemplate
    next: Occurrence | None = None
    """The one that is not created, missed or passed over yet; None once there is none."""
    due_at: datetime | None = None
    latest_at: datetime | None = None
    """When the last that was created begins."""
    skips: tuple[str, ...] = ()
    """Those ahead that are left out, by their local time."""
    refused: tuple[RefusedState, ...] = ()
    """The latest of them."""
    settled_until: datetime | None = None
    """Of what began until then nothing is asked any more."""


type Recurrence = Uncreated | CreatedRecurrence


def created(recurrence: Recurrence) -> CreatedRecurrence:
    if isinstance(recurrence, Uncreated):
        raise NotInThisState(needed="created", actual=NEW)
    return recurrence


def going_on(recurrence: CreatedRecurrence) -> CreatedRecurrence:
    if recurrence.status == "ended":
        raise NotInThisState(needed="active or paused", actual="ended")
    return recurrence


def status_of(recurrence: Recurrence) -> str:
    return NEW if isinstance(recurrence, Uncreated) else recurrence.status


def is_over(recurrence: Recurrence) -> bool:
    """Ended, and nothing of it waits for a person."""
    if isinstance(recurrence, Uncreated) or recurrence.status != "ended":
        return False
    return all(each.reviewed for each in recurrence.refused)


def is_refused(recurrence: CreatedRecurrence, at: datetime) -> bool:
    """Or so long ago that it does not matter any more."""
    if recurrence.settled_until is not None and at <= recurrence.settled_until:
        return True
    return any(each.at == at for each in recurrence.refused)


def evolve(recurrence: Recurrence, event: RecurrenceEvent) -> Recurrence:
    if isinstance(event, RecurrenceCreated):
        return born(event)
    recurrence = created(recurrence)
    match event:
        case RecurrenceChanged():
            return replace(
                recurrence,
                rule=event.rule,
                starts=event.starts,
                create_ahead_s=event.create_ahead_s,
                task=event.task or recurrence.task,
                next=event.next,
            )
        case OccurrenceScheduled(occurrence=occurrence):
            ahead = tuple(local for local in recurrence.skips if local >= occurrence.local)
            return replace(recurrence, next=occurrence, due_at=event.due_at, skips=ahead)
        case OccurrenceCreated():
            return replace(recurrence, latest_at=event.occurrence.at, due_at=None)
        case OccurrencesMissed():
            return replace(recurrence, due_at=None)
        case OccurrenceSkipped(occurrence=occurrence):
            return replace(recurrence, skips=(*recurrence.skips, occurrence.local))
        case OccurrenceRefused():
            return with_refused(recurrence, event.occurrence_at)
        case OccurrenceReviewed(occurrence_at=at):
            refused = tuple(RefusedState(at, True) if each.at == at else each for each in recurrence.refused)
            return replace(recurrence, refused=refused)
        case RecurrencePaused():
            return replace(recurrence, status="paused", due_at=None)
        case RecurrenceResumed():
            return replace(recurrence, status="active")
        case RecurrenceEnded():
            return replace(recurrence, status="ended", next=None, due_at=None, skips=())
        case _:
            assert_never(event)


def born(event: RecurrenceCreated) -> CreatedRecurrence:
    return CreatedRecurrence(
        outlet=event.outlet,
        zone=event.zone,
        rule=event.rule,
        starts=event.starts,
        create_ahead_s=event.create_ahead_s,
        task=event.task,
    )


def with_refused(recurrence: CreatedRecurrence, at: datetime) -> CreatedRecurrence:
    refused = (*recurrence.refused, RefusedState(at))
    if len(refused) <= MAX_REFUSED:
        return replace(recurrence, refused=refused)
    oldest = max(refused[0].at, recurrence.settled_until or refused[0].at)
    return replace(recurrence, refused=refused[1:], settled_until=oldest)


GOING_ON = ("active", "paused")
ALL = (*GOING_ON, "ended")

LIFE = Life(
    status_of,
    {
        RecurrenceCreated: to("active", NEW),
        RecurrenceChanged: within(*GOING_ON),
        OccurrenceScheduled: within("active"),
        OccurrenceCreated: within("active"),
        OccurrencesMissed: within("active"),
        OccurrenceSkipped: within(*GOING_ON),
        OccurrenceRefused: within(*ALL),
        OccurrenceReviewed: within(*ALL),
        RecurrencePaused: to("paused", "active"),
        RecurrenceResumed: to("active", "paused"),
        RecurrenceEnded: to("ended", *GOING_ON),
    },
    {
        ChangeRecurrence: when(*GOING_ON),
        SkipOccurrence: when(*GOING_ON),
        PauseRecurrence: when("active"),
        ResumeRecurrence: when("paused"),
        EndRecurrence: when(*GOING_ON),
        ReviewOccurrence: when(*ALL),
    },
)
