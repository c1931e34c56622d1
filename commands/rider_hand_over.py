"""The tasks of a rider who is suspended: to be taken away, and what became of that."""

from msgspec.structs import replace

from commands.context import Context
from commands.rider_refusals import HandOverAnswered
from commands.rider_shift import released_holds
from commands.rider_state import RegisteredRider
from schemas.message import NotInThisState
from schemas.rider import (
    CloseHandOver,
    ConfirmHandOverRequested,
    RiderEvent,
    RiderSuspended,
    SuspendRider,
    TaskHandOverClosed,
    TaskHandOverRequested,
)

INCIDENT_KIND = "other"


def suspend_rider(rider: RegisteredRider, command: SuspendRider, context: Context) -> list[RiderEvent]:
    """What the rider has is to be handed over; what is only held is let go."""
    match rider.status:
        case "approved":
            suspended = RiderSuspended(reason_code=command.reason_code, note=command.note)
            return [suspended, *requested(rider, context), *released_holds(rider, "rider_suspended", context)]
        case "suspended":
            return []
        case _:
            raise NotInThisState(needed="approved", actual=rider.status)


def requested(rider: RegisteredRider, context: Context) -> list[RiderEvent]:
    kind = incident_kind(context)
    return [
        TaskHandOverRequested(task_id=task_id, round=r.round, incident_kind=kind)
        for task_id, r in rider.reservations.items()
    ]


def incident_kind(context: Context) -> str:
    """Of a tenant that has no kind for what is something else, the first."""
    kinds = [kind.code for kind in context.policy.registries.incident_kinds]
    return INCIDENT_KIND if INCIDENT_KIND in kinds else kinds[0]


def confirm_requested(rider: RegisteredRider, command: ConfirmHandOverRequested) -> list[RiderEvent]:
    if rider.handing_over.get(command.task_id) != command.round:
        raise HandOverAnswered(command.task_id)
    return []


def close_hand_over(rider: RegisteredRider, command: CloseHandOver) -> list[RiderEvent]:
    if rider.handing_over.get(command.task_id) != command.round:
        return []
    return [TaskHandOverClosed(task_id=command.task_id, round=command.round, rule=command.rule)]


def with_requested(rider: RegisteredRider, event: TaskHandOverRequested) -> RegisteredRider:
    return replace(rider, handing_over={**rider.handing_over, event.task_id: event.round})


def with_closed(rider: RegisteredRider, event: TaskHandOverClosed) -> RegisteredRider:
    still = {task: task_round for task, task_round in rider.handing_over.items() if task != event.task_id}
    return replace(rider, handing_over=still)
