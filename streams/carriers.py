"""What a carrier's booking makes of its task, and what the task's end makes of the booking.

| fact                                  | command                                           | refused →            |
|---------------------------------------|---------------------------------------------------|----------------------|
| CarrierBookingQuoted                  | ConfirmCarrierServes (Task)                       | RefuseCarrierBooking |
| CarrierBooked                         | ConfirmCarrierBooking, AssignTaskToCarrier (Task) | RefuseCarrierBooking |
| TaskGivenToCarrier                    | WithdrawTender (Tender)                           |                      |
| CarrierPickedUp, Delivered, …Failed   | ConfirmCarrierBooking, RecordCarrierReport (Task) |                      |
| CarrierStatusRecorded, of the way     | ConfirmCarrierBooking, RecordCarrierReport (Task) |                      |
| CarrierBookingCancelled               | TakeTaskFromCarrier (Task)                        |                      |
| TaskCancelled, Failed, ForceCompleted | CancelCarrierBooking                              |                      |
| TaskReturned                          | SettleCarrierBooking                              |                      |

Before anything the booking is asked whether its task is to hear of it: who reads the log anew gives it no task that it
was refused then, and tells none that was not there. What the carrier has in hand is not cancelled: it tells how that
ends, and a person sees what does not fit.
"""

from collections.abc import Sequence

from schemas.carried import (
    AssignTaskToCarrier,
    CarrierSays,
    ConfirmCarrierServes,
    RecordCarrierReport,
    TakeTaskFromCarrier,
    TaskGivenToCarrier,
)
from schemas.carrier_booking import (
    BOOKING_ANSWERED,
    CancelCarrierBooking,
    CarrierBooked,
    CarrierBookingCancelled,
    CarrierBookingQuoted,
    CarrierDelivered,
    CarrierDeliveryFailed,
    CarrierPickedUp,
    CarrierStatusRecorded,
    ConfirmCarrierBooking,
    RefuseCarrierBooking,
    SettleCarrierBooking,
)
from schemas.geo import ObservedFix
from schemas.ids import tender_id
from schemas.message import CarrierBookingId, Source, TaskId
from schemas.task import TaskCancelled, TaskFailed, TaskForceCompleted, TaskReturned
from schemas.tender import WithdrawTender
from streams.dispatch.tendering import not_opened
from streams.process import NotAllowed, Rule, Step

UNKNOWN = "not-found"
WHY = {
    UNKNOWN: "unknown_task",
    "not-in-this-state": "not_to_be_dispatched",
    "not-for-this-kind": "nobody_is_sent_for_it",
    "outlet-not-served": "outlet_not_served",
    "postal-code-not-served": "postal_code_not_served",
}
CANCELLED = "booking_cancelled"
CAME_BACK = "goods_came_back"


async def ask_task(event: CarrierBookingQuoted, source: Source) -> Sequence[Step]:
    """Its answer is the same whenever it is asked: both the area and where the stops are stand as they were."""
    command = ConfirmCarrierServes(area=event.area)
    return [Step(kind="task", aggregate_id=event.task_id, command=command, purpose="ask")]


async def give_task(event: CarrierBooked, source: Source) -> Sequence[Step]:
    if event.tender_id is not None:
        return []  # see carrier_tenders
    booking = CarrierBookingId(source.aggregate_id)
    given = AssignTaskToCarrier(carrier_id=event.carrier_id, booking_id=booking)
    return [
        Step(kind="carrier_booking", aggregate_id=booking, command=ConfirmCarrierBooking(), purpose="confirm"),
        Step(kind="task", aggregate_id=event.task_id, command=given, purpose="give"),
    ]


def refuse_booking(event: CarrierBookingQuoted | CarrierBooked, source: Source, refused: NotAllowed) -> Sequence[Step]:
    if refused.rule == BOOKING_ANSWERED:
        return []
    command = RefuseCarrierBooking(
        reason_code=WHY.get(refused.rule, refused.reason_code), task_known=refused.rule != UNKNOWN
    )
    return [Step(kind="carrier_booking", aggregate_id=source.aggregate_id, command=command, purpose="refuse")]


async def withdraw_passed_over(event: TaskGivenToCarrier, source: Source) -> Sequence[Step]:
    """As by a dispatcher's order."""
    tender = event.passed_over or tender_id(TaskId(source.aggregate_id), event.round)
    command = WithdrawTender(reason_code="task_gone")
    return [Step(kind="tender", aggregate_id=tender, command=command, purpose="withdraw-tender")]


async def report_picked_up(event: CarrierPickedUp, source: Source) -> Sequence[Step]:
    return reporting(event, source, "picked_up", ConfirmCarrierBooking(of_goods=True))


async def report_delivered(event: CarrierDelivered, source: Source) -> Sequence[Step]:
    return reporting(event, source, "delivered", ConfirmCarrierBooking(of_goods=True), event.reason_code)


async def report_failed(event: CarrierDeliveryFailed, source: Source) -> Sequence[Step]:
    return reporting(event, source, "failed", ConfirmCarrierBooking(of_goods=True), event.reason_code)


async def report_way(event: CarrierStatusRecorded, source: Source) -> Sequence[Step]:
    """What becomes of the goods is told by what the booking has come to."""
    match event.status:
        case "en_route_to_pickup" | "arrived_at_pickup" | "en_route_to_dropoff" | "arrived_at_dropoff" as says:
            fix = None if event.fix is None else event.fix.value
            return reporting(event, source, says, ConfirmCarrierBooking(), fix=fix)
        case _:
            return []


def reporting(
    event: CarrierPickedUp | CarrierDelivered | CarrierDeliveryFailed | CarrierStatusRecorded,
    source: Source,
    says: CarrierSays,
    confirmed: ConfirmCarrierBooking,
    reason_code: str | None = None,
    fix: ObservedFix | None = None,
) -> Sequence[Step]:
    booking = CarrierBookingId(source.aggregate_id)
    command = RecordCarrierReport(
        carrier_id=event.carrier_id,
        booking_id=booking,
        booking_version=source.version,
        says=says,
        observed_at=event.observed_at,
        reason_code=reason_code,
        fix=fix,
    )
    return [
        Step(kind="carrier_booking", aggregate_id=booking, command=confirmed, purpose="confirm"),
        Step(kind="task", aggregate_id=event.task_id, command=command, purpose="report"),
    ]


async def take_task(event: CarrierBookingCancelled, source: Source) -> Sequence[Step]:
    booking = CarrierBookingId(source.aggregate_id)
    command = TakeTaskFromCarrier(booking_id=booking, reason_code=event.reason_code or CANCELLED)
    return [Step(kind="task", aggregate_id=event.task_id, command=command, purpose="take")]


async def cancel_booking(event: TaskCancelled | TaskFailed | TaskForceCompleted, source: Source) -> Sequence[Step]:
    if event.booking_id is None:
        return []
    command = CancelCarrierBooking(by="system", reason_code=event.reason_code)
    return [Step(kind="carrier_booking", aggregate_id=event.booking_id, command=command, purpose="cancel")]


async def settle_booking(event: TaskReturned, source: Source) -> Sequence[Step]:
    """The goods are back, whether or not the carrier has said that it failed."""
    if event.booking_id is None:
        return []
    command = SettleCarrierBooking(outcome="failed", reason_code=CAME_BACK)
    return [Step(kind="carrier_booking", aggregate_id=event.booking_id, command=command, purpose="settle")]


CARRIERS = (
    Rule(CarrierBookingQuoted, ask_task, refuse_booking),
    Rule(CarrierBooked, give_task, refuse_booking),
    Rule(TaskGivenToCarrier, withdraw_passed_over, not_opened),
    Rule(CarrierPickedUp, report_picked_up),
    Rule(CarrierDelivered, report_delivered),
    Rule(CarrierDeliveryFailed, report_failed),
    Rule(CarrierStatusRecorded, report_way),
    Rule(CarrierBookingCancelled, take_task),
    Rule(TaskReturned, settle_booking),
    *(Rule(end, cancel_booking) for end in (TaskCancelled, TaskFailed, TaskForceCompleted)),
)
