"""What a carrier says of a booking, and that it says nothing. Nothing is refused; what cannot be is put to a person."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from commands.carrier_booking_state import ENDS, UNDER_WAY, BookingStatus, CarrierBooking, QuotedBooking
from commands.context import Context
from schemas.carrier_booking import (
    CARRIER_SILENT,
    CarrierBookingCancelled,
    CarrierBookingEvent,
    CarrierDelivered,
    CarrierDeliveryFailed,
    CarrierFellSilent,
    CarrierHeardAgain,
    CarrierPickedUp,
    CarrierStatusConflicted,
    CarrierStatusRecorded,
    CarrierStatusReviewed,
    CarrierWord,
    RecordCarrierStatus,
    ReviewCarrierStatus,
)
from schemas.geo import ObservedFix
from schemas.ids import conflict_id, courier_subject
from schemas.message import CarrierBookingId, Personal, Refused, SubjectId

ENDED_BY: Mapping[CarrierWord, BookingStatus] = {"delivered": "delivered", "failed": "failed", "cancelled": "cancelled"}


class NoSuchConflict(Refused):
    rule = "unknown-conflict"
    stands_in = ("conflict_id",)

    def __init__(self, conflict_id: str) -> None:
        super().__init__(f"the booking has no status {conflict_id} that waits for a review")
        self.conflict_id = conflict_id


class NotYourBooking(Refused):
    rule = "not-your-booking"

    def __init__(self, carrier_id: str) -> None:
        super().__init__(f"carrier {carrier_id} is not booked by this")
        self.carrier_id = carrier_id


def record_status(booking: QuotedBooking, command: RecordCarrierStatus, context: Context) -> list[CarrierBookingEvent]:
    if context.role == "system" and context.actor != booking.carrier_id:
        raise NotYourBooking(context.actor)
    known: list[CarrierWord] = [
        heard.status for heard in booking.heard if heard.carrier_event_id == command.carrier_event_id
    ]
    if command.status in known:
        return []
    at = min(command.observed_at, context.now)
    conflict = told_otherwise(command, known) or conflict_of(booking, command.status, at)
    if conflict is not None:
        return [*heard_again(booking, context), conflicted(booking, command, context, conflict)]
    ends = command.status in ENDED_BY
    recorded = CarrierStatusRecorded(
        task_id=booking.task_id,
        carrier_id=booking.carrier_id,
        status=command.status,
        observed_at=at,
        carrier_event_id=command.carrier_event_id,
        reason_code=command.reason_code,
        fix=sealed_fix(command, context),
        note=sealed_note(command, context),
        silent_at=None if ends else silent_at(booking, context),
    )
    return [*heard_again(booking, context), recorded, *changes(booking, command, at)]


def told_otherwise(command: RecordCarrierStatus, known: Sequence[CarrierWord]) -> str | None:
    """One event is one fact: which of the two it was is not for us to say."""
    return f"{command.carrier_event_id} was told as {known[0]} before" if known else None


def conflict_of(booking: QuotedBooking, word: CarrierWord, at: datetime) -> str | None:
    """Why it cannot be true as the booking stands, if so. What was observed before the end, and told after it, can."""
    if booking.status in ("quoted", "expired"):
        return None if word == "cancelled" else f"nothing is booked: it is {booking.status}"
    if booking.status == "picked_up" and word == "cancelled":
        return "the carrier has the goods"
    if booking.status not in ENDS or ENDED_BY.get(word) == booking.status:
        return None
    if word in ENDED_BY or (word == "picked_up" and booking.status == "cancelled"):
        return f"the booking is {booking.status}"
    assert booking.ended_at is not None, "what has ended has its time"
    return f"the booking is {booking.status} since {booking.ended_at.isoformat()}" if at > booking.ended_at else None


def conflicted(
    booking: QuotedBooking, command: RecordCarrierStatus, context: Context, conflict: str
) -> CarrierStatusConflicted:
    return CarrierStatusConflicted(
        conflict_id=conflict_id(context.command_id),
        task_id=booking.task_id,
        carrier_id=booking.carrier_id,
        status=command.status,
        observed_at=min(command.observed_at, context.now),
        carrier_event_id=command.carrier_event_id,
        reason_code=command.reason_code,
        fix=sealed_fix(command, context),
        note=sealed_note(command, context),
        conflict=conflict,
        silent_at=silent_at(booking, context),
    )


def changes(booking: QuotedBooking, command: RecordCarrierStatus, at: datetime) -> list[CarrierBookingEvent]:
    """What comes of a status that fits: a delivery of what was never said to be picked up is a delivery, and a quote
    that the carrier takes back is cancelled."""
    if booking.status in ENDS:
        return []
    task_id, carrier_id, reason_code = booking.task_id, booking.carrier_id, command.reason_code
    match command.status:
        case "picked_up" if booking.status != "picked_up":
            return [CarrierPickedUp(task_id=task_id, carrier_id=carrier_id, observed_at=at)]
        case "delivered" | "failed" as word:
            told = CarrierDelivered if word == "delivered" else CarrierDeliveryFailed
            ended = told(
                task_id=task_id, carrier_id=carrier_id, observed_at=at, told_by="carrier", reason_code=reason_code
            )
            return [ended]
        case "cancelled":
            cancelled = CarrierBookingCancelled(
                task_id=task_id, cancelled_at=at, by="carrier", reason_code=reason_code, fee=None
            )
            return [cancelled]
        case _:
            return []


def record_silence(booking: CarrierBooking, context: Context) -> list[CarrierBookingEvent]:
    if not isinstance(booking, QuotedBooking) or booking.silent_at is None or context.now < booking.silent_at:
        return []
    last_heard_at = booking.silent_at - timedelta(seconds=booking.silence_seconds)
    has_goods = booking.status == "picked_up"
    silent = CarrierFellSilent(
        task_id=booking.task_id,
        carrier_id=booking.carrier_id,
        last_heard_at=last_heard_at,
        has_goods=has_goods,
    )
    if has_goods or booking.tender_id is None:
        return [silent]
    return [silent, given_back(booking, context)]


def given_back(booking: QuotedBooking, context: Context) -> CarrierBookingCancelled:
    """What dispatch gave it dispatch takes back; what a person has booked is a person's."""
    return CarrierBookingCancelled(
        task_id=booking.task_id, cancelled_at=context.now, by="system", reason_code=CARRIER_SILENT, fee=None
    )


def heard_again(booking: QuotedBooking, context: Context) -> list[CarrierBookingEvent]:
    if booking.unheard_since is None:
        return []
    unheard_seconds = int((context.now - booking.unheard_since).total_seconds())
    return [CarrierHeardAgain(task_id=booking.task_id, unheard_seconds=unheard_seconds)]


def silent_at(booking: QuotedBooking, context: Context) -> datetime | None:
    """By when something must be heard that is heard from now on; None where nothing is waited for."""
    return context.now + timedelta(seconds=booking.silence_seconds) if booking.status in UNDER_WAY else None


def review(booking: QuotedBooking, command: ReviewCarrierStatus) -> list[CarrierBookingEvent]:
    if command.conflict_id not in booking.conflicts:
        raise NoSuchConflict(command.conflict_id)
    return [CarrierStatusReviewed(conflict_id=command.conflict_id, decision_code=command.decision_code)]


def sealed_fix(command: RecordCarrierStatus, context: Context) -> Personal[ObservedFix] | None:
    return None if command.fix is None else Personal(subject_of(context), command.fix)


def sealed_note(command: RecordCarrierStatus, context: Context) -> Personal[str] | None:
    """People write names."""
    return None if command.note is None else Personal(subject_of(context), command.note)


def subject_of(context: Context) -> SubjectId:
    return courier_subject(CarrierBookingId(context.aggregate_id))
