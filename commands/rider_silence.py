"""A rider of whom nothing is heard: their tasks are to be handed over, each once, until they are heard again.

Fixes and reports of tasks do not come here: whoever knows of them says when something was heard last. Who is on a break
owes no word, and what a suspended rider had was asked for when they were suspended.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from msgspec.structs import replace

from commands.context import Context
from commands.rider_hand_over import requested
from commands.rider_state import RegisteredRider, Reservation, Shift
from schemas.message import TaskId
from schemas.rider import RecordRiderHeard, RecordRiderSilence, RiderEvent, RiderFellSilent, RiderHeardAgain


def record_silence(rider: RegisteredRider, command: RecordRiderSilence, context: Context) -> list[RiderEvent]:
    """A task that came to the rider in the silence is not taken at once: it has as long as any."""
    match rider:
        case RegisteredRider(status="approved", shift=Shift(break_since=None, heard_at=heard_at)):
            since = max(heard_at, command.last_heard_at or heard_at)
        case _:
            return []
    rounds = unheard_of(rider, since, context)
    if not rounds:
        return []
    fell = [RiderFellSilent(since=since, task_ids=[*rounds])] if rider.silence is None else []
    return [*fell, *requested(rounds, "rider_silent", context)]


def unheard_of(rider: RegisteredRider, since: datetime, context: Context) -> Mapping[TaskId, int]:
    """Tasks, with the round, whose rider has been silent for too long, and nobody has asked for them yet."""
    asked = {} if rider.silence is None else rider.silence.asked
    return {
        task_id: r.round
        for task_id, r in rider.reservations.items()
        if is_overdue(r, since, context) and r.round not in (asked.get(task_id), rider.handing_over.get(task_id))
    }


def is_overdue(reservation: Reservation, since: datetime, context: Context) -> bool:
    if reservation.activated_at is None:
        return False
    return max(since, reservation.activated_at) <= context.now - silent_after(context)


def silent_after(context: Context) -> timedelta:
    return timedelta(seconds=context.policy.rules.silent_after_seconds)


def record_heard(rider: RegisteredRider, command: RecordRiderHeard, context: Context) -> list[RiderEvent]:
    """Not by what was said so long ago that it is silence again: a phone may tell late of what was before."""
    if rider.silence is None or command.heard_at <= rider.silence.since:
        return []
    if command.heard_at <= context.now - silent_after(context):
        return []
    return [RiderHeardAgain(heard_at=command.heard_at)]


def heard(rider: RegisteredRider, context: Context) -> list[RiderEvent]:
    """By a command of their own."""
    if rider.silence is None or context.role != "rider":
        return []
    return [RiderHeardAgain(heard_at=context.now)]


def back_in_touch(rider: RegisteredRider, event: RiderHeardAgain) -> RegisteredRider:
    assert rider.shift is not None, "silence ends with the shift"
    shift = replace(rider.shift, heard_at=max(rider.shift.heard_at, event.heard_at))
    return replace(rider, silence=None, shift=shift)
