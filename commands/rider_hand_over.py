"""The tasks of a rider who is suspended, silent, or in an incident: to be taken away, and what became of that.

Who is in an incident is asked for nothing new while it is open.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from commands.context import Context
from commands.rider_refusals import HandOverAnswered
from commands.rider_reservations import released_holds
from commands.rider_state import RegisteredRider
from schemas.message import NotInThisState, TaskId
from schemas.rider import (
    CloseHandOver,
    ConfirmHandOverRequested,
    HandOverAllTasks,
    HandOverReason,
    ReturnToDispatch,
    RiderEvent,
    RiderReturnedToDispatch,
    RiderSuspended,
    RiderTakenOffDispatch,
    SuspendRider,
    TaskHandOverClosed,
    TaskHandOverRequested,
)

MAX_OPEN_INCIDENTS = 20
"""So many are kept that keep a rider off dispatch."""

OTHER = "other"
INCIDENT_KINDS: Mapping[HandOverReason, str] = {
    "rider_suspended": OTHER,
    "rider_silent": "silent_rider",
    "incident": OTHER,
}


def suspend_rider(rider: RegisteredRider, command: SuspendRider, context: Context) -> list[RiderEvent]:
    """What the rider has is to be handed over; what is only held is let go."""
    match rider.status:
        case "approved":
            suspended = RiderSuspended(reason_code=command.reason_code, note=command.note)
            rounds = {task_id: r.round for task_id, r in rider.reservations.items()}
            asked = requested(rounds, "rider_suspended", context, command.incident_id)
            return [suspended, *asked, *released_holds(rider, "rider_suspended", context)]
        case "suspended":
            return []
        case _:
            raise NotInThisState(needed="approved", actual=rider.status)


def hand_over_all(rider: RegisteredRider, command: HandOverAllTasks, context: Context) -> list[RiderEvent]:
    """What is asked for already is not asked for again."""
    if rider.status != "approved":
        return []
    rounds = {
        task_id: r.round for task_id, r in rider.reservations.items() if rider.handing_over.get(task_id) != r.round
    }
    asked = requested(rounds, "incident", context, command.incident_id)
    return [*taken_off(rider, command), *asked, *released_holds(rider, "incident", context)]


def taken_off(rider: RegisteredRider, command: HandOverAllTasks) -> list[RiderEvent]:
    """Once for an incident; whom so many keep off another need not. A simulated courier goes on: nobody else would do
    their tasks."""
    known = rider.off_dispatch_for
    if rider.simulated or command.incident_id in known or len(known) >= MAX_OPEN_INCIDENTS:
        return []
    return [RiderTakenOffDispatch(incident_id=command.incident_id, number=command.number)]


def return_to_dispatch(rider: RegisteredRider, command: ReturnToDispatch) -> list[RiderEvent]:
    asked = rider.off_dispatch_for.get(command.incident_id)
    if asked is None or asked > command.number:
        return []
    return [RiderReturnedToDispatch(incident_id=command.incident_id)]


def with_incident(rider: RegisteredRider, event: RiderTakenOffDispatch) -> RegisteredRider:
    return replace(rider, off_dispatch_for={**rider.off_dispatch_for, event.incident_id: event.number})


def without_incident(rider: RegisteredRider, incident_id: str) -> RegisteredRider:
    left = {incident: number for incident, number in rider.off_dispatch_for.items() if incident != incident_id}
    return replace(rider, off_dispatch_for=left)


def requested(
    rounds: Mapping[TaskId, int], reason: HandOverReason, context: Context, incident_id: str | None = None
) -> list[RiderEvent]:
    kind = incident_kind(reason, context)
    return [
        TaskHandOverRequested(
            task_id=task_id, round=task_round, reason_code=reason, incident_kind=kind, incident_id=incident_id
        )
        for task_id, task_round in rounds.items()
    ]


def incident_kind(reason: HandOverReason, context: Context) -> str:
    """Of a tenant that has no kind for it, what is something else; without that, the first."""
    kinds = [kind.code for kind in context.policy.registries.incident_kinds]
    return next((kind for kind in (INCIDENT_KINDS[reason], OTHER) if kind in kinds), kinds[0])


def confirm_requested(rider: RegisteredRider, command: ConfirmHandOverRequested) -> list[RiderEvent]:
    if rider.handing_over.get(command.task_id) != command.round:
        raise HandOverAnswered(command.task_id)
    return []


def close_hand_over(rider: RegisteredRider, command: CloseHandOver) -> list[RiderEvent]:
    if rider.handing_over.get(command.task_id) != command.round:
        return []
    return [TaskHandOverClosed(task_id=command.task_id, round=command.round, rule=command.rule)]


def with_requested(rider: RegisteredRider, event: TaskHandOverRequested) -> RegisteredRider:
    asked = replace(rider, handing_over={**rider.handing_over, event.task_id: event.round})
    if event.reason_code != "rider_silent" or rider.silence is None:
        return asked
    silence = replace(rider.silence, asked={**rider.silence.asked, event.task_id: event.round})
    return replace(asked, silence=silence)


def with_closed(rider: RegisteredRider, event: TaskHandOverClosed) -> RegisteredRider:
    still = {task: task_round for task, task_round in rider.handing_over.items() if task != event.task_id}
    return replace(rider, handing_over=still)
