"""CarrierBooking: one task in a carrier's hands, from its quote to its end; what the carrier says is never refused."""

from datetime import datetime, timedelta
from typing import assert_never

from msgspec.structs import replace

from commands.carrier_booking_state import (
    BEFORE_CUSTODY,
    QUOTED,
    UNDER_WAY,
    WITH_TASK,
    CarrierBooking,
    Courier,
    Heard,
    QuotedBooking,
    Unquoted,
    quoted,
    status_of,
    within_states,
)
from commands.carrier_feed import heard_again, record_silence, record_status, review, subject_of
from commands.context import Context
from commands.refusals import NotAnInterval
from schemas.carrier_booking import (
    BOOKING_ANSWERED,
    MAX_OPEN_STATUS_CONFLICTS,
    REMEMBERED_STATUSES,
    BookCarrier,
    CancelCarrierBooking,
    CarrierBooked,
    CarrierBookingCancelled,
    CarrierBookingCommand,
    CarrierBookingEvent,
    CarrierBookingExpired,
    CarrierBookingQuoted,
    CarrierBookingRefused,
    CarrierCancellationCharged,
    CarrierCourierKnown,
    CarrierDelivered,
    CarrierDeliveryFailed,
    CarrierFellSilent,
    CarrierHeardAgain,
    CarrierPickedUp,
    CarrierStatusConflicted,
    CarrierStatusRecorded,
    CarrierStatusReviewed,
    ConfirmCarrierBooking,
    ExpireCarrierQuote,
    NameCarrierCourier,
    QuoteCarrierBooking,
    RecordCarrierSilence,
    RecordCarrierStatus,
    RefuseCarrierBooking,
    ReviewCarrierStatus,
    SettleCarrierBooking,
)
from schemas.message import CarrierId, NotInThisState, Personal, Refused, TaskId
from schemas.money import Currency, Money


class QuoteExpired(Refused):
    rule = "quote-expired"
    stands_in = ("expires_at",)

    def __init__(self, expires_at: datetime) -> None:
        super().__init__(f"the quote was good until {expires_at.isoformat()}")
        self.expires_at = expires_at


class TaskRefusedCarrier(Refused):
    rule = "task-refused-carrier"

    def __init__(self, reason_code: str) -> None:
        super().__init__(f"the task cannot be with the carrier: {reason_code}")
        self.reason_code = reason_code


class GoodsWithCarrier(Refused):
    rule = "goods-with-carrier"

    def __init__(self) -> None:
        super().__init__("the carrier has the goods already")


class FeeCurrencyDiffers(Refused):
    rule = "fee-currency-differs"
    stands_in = ("currency",)

    def __init__(self, given: Currency, agreed: Currency) -> None:
        super().__init__(f"the booking's price is in {agreed}, the fee in {given}")
        self.given = given
        self.agreed = agreed


class BookingAnswered(Refused):
    rule = BOOKING_ANSWERED

    def __init__(self, status: str) -> None:
        super().__init__(f"the booking waits for no task: it is {status}")
        self.status = status


def decide(booking: CarrierBooking, command: CarrierBookingCommand, context: Context) -> list[CarrierBookingEvent]:
    match command:
        case QuoteCarrierBooking():
            return quote(booking, command, context)
        case BookCarrier():
            return book(quoted(booking), command, context)
        case NameCarrierCourier():
            return name_courier(within_states(quoted(booking), UNDER_WAY), command, context)
        case RecordCarrierStatus():
            return record_status(quoted(booking), command, context)
        case ReviewCarrierStatus():
            return review(quoted(booking), command)
        case SettleCarrierBooking():
            return settle(quoted(booking), command, context)
        case CancelCarrierBooking():
            return cancel(quoted(booking), command, context)
        case ExpireCarrierQuote():
            return expire(booking, context)
        case RecordCarrierSilence():
            return record_silence(booking, context)
        case ConfirmCarrierBooking():
            return confirm(quoted(booking), command)
        case RefuseCarrierBooking():
            return refuse(quoted(booking), command, context)
        case _:
            assert_never(command)


def quote(booking: CarrierBooking, command: QuoteCarrierBooking, context: Context) -> list[CarrierBookingEvent]:
    if isinstance(booking, QuotedBooking) and command.offer_id is not None and booking.offer_id == command.offer_id:
        return []
    if not isinstance(booking, Unquoted):
        raise NotInThisState(needed="new", actual=status_of(booking))
    carrier = context.policy.carrier_to_book(command.carrier_id)
    level = carrier.service_level(command.service_level)
    if command.estimated_dropoff_at <= command.estimated_pickup_at:
        raise NotAnInterval(command.estimated_pickup_at, command.estimated_dropoff_at)
    if command.expires_at <= context.now:
        raise QuoteExpired(command.expires_at)
    quoted = CarrierBookingQuoted(
        task_id=TaskId(command.task_id),
        carrier_id=CarrierId(command.carrier_id),
        service_level=level.code,
        price=carrier.price_in_currency_agreed(command.price),
        estimated_pickup_at=command.estimated_pickup_at,
        estimated_dropoff_at=command.estimated_dropoff_at,
        expires_at=command.expires_at,
        silence_seconds=level.silence_seconds,
        area=carrier.area,
        tender_id=command.tender_id,
        offer_id=command.offer_id,
        external_reference=command.external_reference,
        source=command.source or context.actor,
        metadata=command.metadata,
    )
    return [quoted]


def book(booking: QuotedBooking, command: BookCarrier, context: Context) -> list[CarrierBookingEvent]:
    if booking.carrier_reference == command.carrier_reference:
        return []
    if booking.refused_for is not None:
        raise TaskRefusedCarrier(booking.refused_for)
    within_states(booking, QUOTED)
    if context.now >= booking.expires_at:
        raise QuoteExpired(booking.expires_at)
    context.policy.carrier_to_book(booking.carrier_id)
    booked = CarrierBooked(
        task_id=booking.task_id,
        carrier_id=booking.carrier_id,
        carrier_reference=command.carrier_reference,
        silent_at=unless_heard(booking, context),
        tender_id=booking.tender_id,
        offer_id=booking.offer_id,
    )
    return [booked]


def unless_heard(booking: QuotedBooking, context: Context) -> datetime:
    return context.now + timedelta(seconds=booking.silence_seconds)


def name_courier(booking: QuotedBooking, command: NameCarrierCourier, context: Context) -> list[CarrierBookingEvent]:
    """The carrier is heard by it, even where it says what is known."""
    if known_courier(booking, context) == command and booking.unheard_since is None:
        return []
    subject = subject_of(context)
    known = CarrierCourierKnown(
        task_id=booking.task_id,
        name=Personal(subject, command.name),
        phone=Personal(subject, command.phone) if command.phone else None,
        vehicle_plate=Personal(subject, command.vehicle_plate) if command.vehicle_plate else None,
        silent_at=unless_heard(booking, context),
    )
    return [*heard_again(booking, context), known]


def known_courier(booking: QuotedBooking, context: Context) -> NameCarrierCourier | None:
    """None too where the courier is forgotten."""
    courier = booking.courier
    name = None if courier is None else context.opened(courier.name, str)
    if courier is None or name is None:
        return None
    return NameCarrierCourier(
        name=name,
        phone=context.opened(courier.phone, str),
        vehicle_plate=context.opened(courier.vehicle_plate, str),
    )


def settle(booking: QuotedBooking, command: SettleCarrierBooking, context: Context) -> list[CarrierBookingEvent]:
    if booking.status == command.outcome:
        return []
    within_states(booking, UNDER_WAY)
    told = CarrierDelivered if command.outcome == "delivered" else CarrierDeliveryFailed
    settled = told(
        task_id=booking.task_id,
        carrier_id=booking.carrier_id,
        observed_at=context.now,
        told_by="system" if context.role == "system" else "dispatcher",
        reason_code=command.reason_code,
    )
    return [settled]


def cancel(booking: QuotedBooking, command: CancelCarrierBooking, context: Context) -> list[CarrierBookingEvent]:
    if command.fee is not None and command.fee.currency != booking.currency:
        raise FeeCurrencyDiffers(command.fee.currency, booking.currency)
    if booking.status == "cancelled":
        return charge(booking, command.fee)
    if booking.status == "picked_up":
        raise GoodsWithCarrier
    within_states(booking, QUOTED | BEFORE_CUSTODY)
    cancelled = CarrierBookingCancelled(
        task_id=booking.task_id,
        cancelled_at=context.now,
        by=command.by,
        reason_code=command.reason_code,
        fee=command.fee,
    )
    return [cancelled]


def charge(booking: QuotedBooking, fee: Money | None) -> list[CarrierBookingEvent]:
    """The carrier asks for it once it has heard; that it was cancelled stands."""
    if fee is None or fee == booking.fee:
        return []
    return [CarrierCancellationCharged(task_id=booking.task_id, carrier_id=booking.carrier_id, fee=fee)]


def confirm(booking: QuotedBooking, command: ConfirmCarrierBooking) -> list[CarrierBookingEvent]:
    """What was delivered before its task was given to it may still be given: the report of it comes next. That is told
    also to a task that refused it, for a person to see."""
    refused = booking.refused_for is not None
    waits = booking.task_known if command.of_goods else not refused and booking.status in WITH_TASK
    if not waits:
        raise BookingAnswered("refused" if refused else booking.status)
    return []


def refuse(booking: QuotedBooking, command: RefuseCarrierBooking, context: Context) -> list[CarrierBookingEvent]:
    if booking.refused_for is not None or booking.status not in QUOTED | WITH_TASK:
        return []
    refused = CarrierBookingRefused(
        task_id=booking.task_id,
        carrier_id=booking.carrier_id,
        reason_code=command.reason_code,
        has_goods=booking.status == "picked_up",
        task_known=command.task_known,
    )
    if booking.status not in QUOTED | BEFORE_CUSTODY:
        return [refused]
    return [refused, *cancel(booking, CancelCarrierBooking(by="system", reason_code=command.reason_code), context)]


def expire(booking: CarrierBooking, context: Context) -> list[CarrierBookingEvent]:
    if not isinstance(booking, QuotedBooking) or booking.status != "quoted" or context.now < booking.expires_at:
        return []
    return [CarrierBookingExpired(task_id=booking.task_id)]


def evolve(booking: CarrierBooking, event: CarrierBookingEvent) -> CarrierBooking:
    if isinstance(event, CarrierBookingQuoted):
        return born(event)
    booking = quoted(booking)
    match event:
        case CarrierBooked():
            return replace(
                booking, status="booked", carrier_reference=event.carrier_reference, silent_at=event.silent_at
            )
        case CarrierCourierKnown():
            return with_courier(booking, event)
        case CarrierStatusRecorded():
            return with_heard(booking, event)
        case CarrierStatusConflicted():
            conflicts = (*booking.conflicts, event.conflict_id)[-MAX_OPEN_STATUS_CONFLICTS:]
            return replace(with_heard(booking, event), conflicts=conflicts)
        case CarrierStatusReviewed():
            return replace(booking, conflicts=tuple(c for c in booking.conflicts if c != event.conflict_id))
        case CarrierPickedUp():
            return replace(booking, status="picked_up")
        case CarrierDelivered():
            return ended(replace(booking, status="delivered"), event.observed_at)
        case CarrierDeliveryFailed():
            return ended(replace(booking, status="failed"), event.observed_at)
        case CarrierBookingCancelled():
            return ended(replace(booking, status="cancelled", fee=event.fee), event.cancelled_at)
        case CarrierCancellationCharged():
            return replace(booking, fee=event.fee)
        case CarrierBookingRefused():
            return replace(booking, refused_for=event.reason_code, task_known=event.task_known)
        case CarrierBookingExpired():
            return ended(replace(booking, status="expired"), booking.expires_at)
        case CarrierFellSilent():
            return replace(booking, silent_at=None, unheard_since=event.last_heard_at)
        case CarrierHeardAgain():
            return replace(booking, unheard_since=None)
        case _:
            assert_never(event)


def born(event: CarrierBookingQuoted) -> QuotedBooking:
    return QuotedBooking(
        task_id=event.task_id,
        carrier_id=event.carrier_id,
        currency=event.price.currency,
        expires_at=event.expires_at,
        silence_seconds=event.silence_seconds,
        tender_id=event.tender_id,
        offer_id=event.offer_id,
    )


def with_courier(booking: QuotedBooking, event: CarrierCourierKnown) -> QuotedBooking:
    """Once the carrier has the goods, who drives is no state of its own."""
    courier = Courier(name=event.name, phone=event.phone, vehicle_plate=event.vehicle_plate)
    known = replace(booking, courier=courier, silent_at=event.silent_at)
    return replace(known, status="courier_known") if booking.status == "booked" else known


def with_heard(booking: QuotedBooking, event: CarrierStatusRecorded | CarrierStatusConflicted) -> QuotedBooking:
    heard = (*booking.heard, Heard(event.carrier_event_id, event.status))[-REMEMBERED_STATUSES:]
    return replace(booking, heard=heard, silent_at=event.silent_at)


def ended(booking: QuotedBooking, at: datetime) -> QuotedBooking:
    return replace(booking, ended_at=at, silent_at=None, unheard_since=None)
