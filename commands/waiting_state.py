"""What a task waits for, and which tasks wait for it, folded from its events."""

from datetime import datetime
from typing import assert_never

import msgspec
from msgspec.structs import replace

from schemas.message import TaskId
from schemas.waiting import (
    AwaitedKind,
    CircleLookedFor,
    DependencyAskedFor,
    DependencyDeclared,
    DependencyDropped,
    DependencyFailed,
    DependencyMet,
    DependencyNotFound,
    DependencyWaived,
    DependentAdded,
    DependentsAnswered,
    PickWaveFollowed,
    Wait,
    WaitingEvent,
)


class Awaited(msgspec.Struct, frozen=True, array_like=True, gc=False):
    kind: AwaitedKind
    on: str
    failed: str | None = None
    """Why it will not be met, if so."""
    revision: int = 0
    """What its wave has said up to this is done."""
    asked: int = 0
    """How often it was asked for again, since nobody knew it."""
    ask_again_at: datetime | None = None


class Waiting(msgspec.Struct, frozen=True, array_like=True, gc=False):
    awaited: tuple[Awaited, ...] = ()
    """Until all of it is met or waived the task is kept from dispatch."""
    dependents: tuple[TaskId, ...] = ()
    """Tasks that wait for this one, or have."""
    looked: tuple[tuple[TaskId, str, Wait], ...] = ()
    """Who waits for what, where it was looked from here whether that leads back to them, and which wait gives way."""


def open_wait(waiting: Waiting, on: str) -> Awaited | None:
    """What may still be met."""
    return next((each for each in waiting.awaited if each.on == on and each.failed is None), None)


def evolve_waiting(waiting: Waiting, event: WaitingEvent) -> Waiting:
    match event:
        case DependencyDeclared():
            return replace(waiting, awaited=(*waiting.awaited, Awaited(event.kind, event.on)))
        case DependencyNotFound():
            return with_awaited(waiting, event.on, ask_again_at=event.ask_again_at)
        case DependencyAskedFor():
            return with_awaited(waiting, event.on, asked=event.number, ask_again_at=None)
        case DependencyMet() | DependencyWaived() | DependencyDropped():
            return replace(waiting, awaited=tuple(each for each in waiting.awaited if each.on != event.on))
        case DependencyFailed():
            return with_awaited(waiting, event.on, failed=event.reason_code)
        case PickWaveFollowed():
            return with_awaited(waiting, event.pick_wave, revision=event.revision)
        case DependentAdded():
            return replace(waiting, dependents=(*waiting.dependents, event.task_id))
        case CircleLookedFor():
            look = event.task_id, event.on, event.gives_way
            return waiting if look in waiting.looked else replace(waiting, looked=(*waiting.looked, look))
        case DependentsAnswered():
            return waiting
        case _:
            assert_never(event)


def with_awaited(waiting: Waiting, on: str, **changes: object) -> Waiting:
    awaited = tuple(replace(each, **changes) if each.on == on else each for each in waiting.awaited)
    return replace(waiting, awaited=awaited)
