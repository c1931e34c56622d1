"""A task with a carrier: it has the goods by what it reports, and nobody else is asked for them meanwhile.

A carrier's status is of all the goods and names no stop; what a rider's device would tell stop by stop follows from it.
Where its courier is, see `carrier_way`.
"""

from collections.abc import Iterator
from typing import assert_never

from msgspec.structs import replace

from commands.attempts import reason_of
from commands.carrier_area import within_area
from commands.carrier_way import MOVES, came, gone_back
from commands.context import Context
from commands.field_reports import comes_before, decide_report
from commands.refusals import TooMany
from commands.task_evolve import evolved
from commands.task_state import (
    MAX_BOOKINGS,
    BookingState,
    CreatedTask,
    GoodsInCustody,
    NotForThisKind,
    StopState,
    booking_of,
    carried,
    created,
    open_stops,
    state_of,
)
from commands.task_timing import kept_back, next_round
from schemas.carried import (
    AssignTaskToCarrier,
    CarriedCommand,
    CarrierReported,
    CarrierSays,
    ConfirmCarrierServes,
    RecordCarrierReport,
    TakeTaskFromCarrier,
    TaskGivenToCarrier,
    TaskTakenFromCarrier,
)
from schemas.field_report import ReportDelivered, ReportPickedUp
from schemas.ids import conflict_id
from schemas.message import CarrierBookingId, NotInThisState, Refused
from schemas.stop_events import DeliveryAttemptFailed, StopFailed
from schemas.task import FieldReportConflicted, TaskEvent

AS_OF_RIDER: dict[CarrierSays, str] = {
    "en_route_to_pickup": "ReportEnRoute",
    "arrived_at_pickup": "ReportArrived",
    "en_route_to_dropoff": "ReportEnRoute",
    "arrived_at_dropoff": "ReportArrived",
    "picked_up": "ReportPickedUp",
    "delivered": "ReportDelivered",
    "failed": "ReportAttemptFailed",
}
UNEXPLAINED = "carrier_failed"


class TaskOnHold(Refused):
    rule = "task-on-hold"

    def __init__(self, held: str) -> None:
        super().__init__(f"the task is on hold: {held}")
        self.held = held


class TaskWithCarrier(Refused):
    rule = "task-with-carrier"

    def __init__(self, carrier_id: str) -> None:
        super().__init__(f"carrier {carrier_id} has the task")
        self.carrier_id = carrier_id


class TaskWithRider(Refused):
    rule = "task-with-rider"

    def __init__(self, rider_id: str) -> None:
        super().__init__(f"rider {rider_id} has the task")
        self.rider_id = rider_id


def decide_carried(task: CreatedTask, command: CarriedCommand, context: Context) -> list[TaskEvent]:
    match command:
        case ConfirmCarrierServes():
            within_area(task, command.area, context)
            return []
        case AssignTaskToCarrier():
            return give(task, command, context)
        case TakeTaskFromCarrier():
            return take(task, command)
        case RecordCarrierReport():
            return record_report(task, command, context)
        case _:
            assert_never(command)


def give(task: CreatedTask, command: AssignTaskToCarrier, context: Context) -> list[TaskEvent]:
    """One that only waits for its time comes to dispatch by it: carriers are booked ahead."""
    if booking_of(task, command.booking_id) is not None:
        return []
    if task.kind == "collection":
        raise NotForThisKind("delivery", task.kind)
    must_be_free(task)
    early = task.waits and not kept_back(task) and bool(open_stops(task))
    if task.waits and not early:
        raise NotInThisState(needed="dispatchable or offering", actual=state_of(task))
    if len(task.bookings) >= MAX_BOOKINGS:
        raise TooMany("bookings of a task", MAX_BOOKINGS)
    given = TaskGivenToCarrier(
        carrier_id=command.carrier_id,
        booking_id=command.booking_id,
        round=task.round + early,
        given_at=context.now,
        passed_over=task.tender_id,
    )
    return [next_round(task), given] if early else [given]


def must_be_free(task: CreatedTask) -> None:
    if task.ended:
        raise NotInThisState(needed="dispatchable or offering", actual=state_of(task))
    if task.carrier is not None:
        raise TaskWithCarrier(task.carrier.carrier_id)
    if task.rider_id is not None:
        raise TaskWithRider(task.rider_id)
    if task.waits and task.held is not None:
        raise TaskOnHold(task.held)


def take(task: CreatedTask, command: TakeTaskFromCarrier) -> list[TaskEvent]:
    if task.ended or not is_with(task, command.booking_id):
        return []
    if carried(task):
        raise GoodsInCustody(len(carried(task)))
    return back_to_dispatch(task, command.reason_code)


def is_with(task: CreatedTask, booking_id: CarrierBookingId) -> bool:
    return task.carrier is not None and task.carrier.booking_id == booking_id


def back_to_dispatch(task: CreatedTask, reason_code: str) -> list[TaskEvent]:
    assert task.carrier is not None, "only a carrier's task is taken from one"
    taken = TaskTakenFromCarrier(
        carrier_id=task.carrier.carrier_id,
        booking_id=task.carrier.booking_id,
        round=task.round,
        reason_code=reason_code,
    )
    return [taken, next_round(task)]


def record_report(task: CreatedTask, command: RecordCarrierReport, context: Context) -> list[TaskEvent]:
    known = booking_of(task, command.booking_id) or BookingState(command.booking_id)
    if command.booking_version <= known.heard_version or is_of_no_use(task, command):
        return []
    command = replace(command, observed_at=min(command.observed_at, context.now))
    reported = CarrierReported(
        carrier_id=command.carrier_id,
        booking_id=command.booking_id,
        booking_version=command.booking_version,
        says=command.says,
        observed_at=command.observed_at,
        reason_code=command.reason_code,
    )
    if (conflict := conflict_of(task, known, command)) is not None:
        return [reported, conflicted(command, context, conflict)]
    if command.says in MOVES:
        return [reported, *came(task, known, command, context)]
    return [reported, *followed(task, command, context)]


def is_of_no_use(task: CreatedTask, command: RecordCarrierReport) -> bool:
    """Where the courier is of a carrier that does not have the task, or was of a task that is over; its booking keeps
    it."""
    return command.says in MOVES and (task.ended is not None or not is_with(task, command.booking_id))


def conflict_of(task: CreatedTask, known: BookingState, command: RecordCarrierReport) -> str | None:
    """Why it cannot be true as the task stands, if so. That it came to nothing contradicts nothing: whoever looks at
    what was picked up in vain knows of it."""
    if command.says in MOVES:
        return gone_back(task, known, command.says, command.observed_at)
    if command.says == "failed":
        return None
    if task.ended:
        return None if task.outcome == "delivered" else f"the task is {state_of(task)}"
    if not is_with(task, command.booking_id):
        return "reported by a carrier that does not have the task"
    if command.says == "delivered" and task.return_reason is not None:
        return "its goods are on their way back"
    return None


def conflicted(command: RecordCarrierReport, context: Context, conflict: str) -> FieldReportConflicted:
    return FieldReportConflicted(
        conflict_id=conflict_id(context.command_id),
        report=AS_OF_RIDER[command.says],
        stop_id=None,
        rider_id=None,
        observed_at=command.observed_at,
        conflict=conflict,
        carrier_id=command.carrier_id,
    )


def followed(task: CreatedTask, command: RecordCarrierReport, context: Context) -> list[TaskEvent]:
    if task.ended or not is_with(task, command.booking_id):
        return []
    if command.says != "failed":
        return moved(task, command, context)
    code = command.reason_code or UNEXPLAINED
    if carried(task) or any(stop.handed_over for stop in open_stops(task)):
        return [event for stop in undelivered(task) for event in given_up(task, stop, code, context)]
    return back_to_dispatch(task, code)


def moved(task: CreatedTask, command: RecordCarrierReport, context: Context) -> list[TaskEvent]:
    """Stop by stop in their order: a delivery of what was never said to be picked up is a pickup, too."""
    events: list[TaskEvent] = []
    for stop in ahead(task, command.says):
        report = ReportPickedUp if stop.stop.kind == "pickup" else ReportDelivered
        told = report(stop_id=stop.stop.stop_id, observed_at=command.observed_at)
        events += decide_report(created(evolved(task, events)), told, context)
    return events


def ahead(task: CreatedTask, says: CarrierSays) -> Iterator[StopState]:
    """Those that the report is about. What is fetched only after something was brought is not picked up before."""
    for stop in open_stops(task):
        if stop.handed_over:
            continue
        if stop.stop.kind == "pickup":
            if says == "delivered" or not comes_before(task, stop):
                yield stop
        elif stop.stop.kind == "dropoff" and says == "delivered":
            yield stop


def undelivered(task: CreatedTask) -> list[StopState]:
    return [stop for stop in open_stops(task) if stop.stop.kind == "dropoff" and not stop.handed_over]


def given_up(task: CreatedTask, stop: StopState, code: str, context: Context) -> list[TaskEvent]:
    """A carrier has its own attempts behind it by then: what it has goes back."""
    reason = reason_of(code, context, "carrier")
    failed = DeliveryAttemptFailed(
        stop_id=stop.stop.stop_id,
        attempt=stop.attempts + 1,
        reason_code=code,
        note=None,
        evidence=[],
        contacts=[],
        waited_seconds=None,
        override_reason=None,
        at_fault=reason.at_fault,
        policy="return",
    )
    over = StopFailed(stop_id=stop.stop.stop_id, rider_id=None, round=task.round, reason_code=code)
    return [failed, over]
