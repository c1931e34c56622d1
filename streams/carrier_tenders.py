"""From a carrier's claim to its task: the booking takes the place of a rider's reservation.

| fact                      | command                                           | refused →                         |
|---------------------------|---------------------------------------------------|-----------------------------------|
| CarrierBookingRequested   | QuoteCarrierBooking, BookCarrier                  | RejectClaim (Tender)              |
| CarrierBooked, by tender  | AwardTender (Tender)                              | RefuseCarrierBooking              |
| TenderAwarded, to carrier | ConfirmCarrierBooking, AssignTaskToCarrier (Task) | RefuseCarrierBooking, CloseTender |

From there on it is a booking as any other (see `carriers`). One that does not win, because its time was over, somebody
else has the task or it is gone, is cancelled: there are never two couriers.
"""

from collections.abc import Sequence

from schemas.carried import AssignTaskToCarrier
from schemas.carrier_booking import (
    BookCarrier,
    CarrierBooked,
    ConfirmCarrierBooking,
    QuoteCarrierBooking,
    RefuseCarrierBooking,
)
from schemas.carrier_offer import CarrierBookingRequested
from schemas.ids import tendered_booking_id
from schemas.message import CarrierBookingId, Source, TenderId
from schemas.task import CloseTender
from schemas.tender import AwardTender, RejectClaim, TenderAwarded
from streams.dispatch.tendering import Lookup
from streams.process import NotAllowed, Rule, Step

NOT_AWARDED = "not_awarded"
TASK_GONE = "task_gone"


def carrier_tenders(lookup: Lookup) -> list[Rule]:
    async def book(event: CarrierBookingRequested, source: Source) -> Sequence[Step]:
        """Not again once the claim has its answer."""
        tender = TenderId(source.aggregate_id)
        if not await lookup.claimed(tender, event.offer_id, source):
            return []
        quote = QuoteCarrierBooking(
            task_id=event.task_id,
            carrier_id=event.carrier_id,
            service_level=event.service_level,
            price=event.price,
            estimated_pickup_at=event.pickup_at,
            estimated_dropoff_at=event.dropoff_at,
            expires_at=event.hold_until,
            tender_id=tender,
            offer_id=event.offer_id,
        )
        booked = BookCarrier(carrier_reference=event.carrier_reference or event.offer_id)
        booking = tendered_booking_id(event.offer_id)
        return [
            Step(kind="carrier_booking", aggregate_id=booking, command=quote, purpose="quote"),
            Step(kind="carrier_booking", aggregate_id=booking, command=booked, purpose="book"),
        ]

    return [
        Rule(CarrierBookingRequested, book, reject_claim),
        Rule(CarrierBooked, award, refuse_booking),
        Rule(TenderAwarded, give_task, refuse_winner),
    ]


def reject_claim(event: CarrierBookingRequested, source: Source, refused: NotAllowed) -> Sequence[Step]:
    command = RejectClaim(offer_id=event.offer_id, reason_code=refused.reason_code)
    return [Step(kind="tender", aggregate_id=source.aggregate_id, command=command, purpose="reject-claim")]


async def award(event: CarrierBooked, source: Source) -> Sequence[Step]:
    if event.tender_id is None or event.offer_id is None:
        return []
    command = AwardTender(offer_id=event.offer_id)
    return [Step(kind="tender", aggregate_id=event.tender_id, command=command, purpose="award")]


def refuse_booking(event: CarrierBooked, source: Source, refused: NotAllowed) -> Sequence[Step]:
    return [refusing(CarrierBookingId(source.aggregate_id), NOT_AWARDED)]


async def give_task(event: TenderAwarded, source: Source) -> Sequence[Step]:
    if event.carrier_id is None:
        return []
    booking = tendered_booking_id(event.offer_id)
    given = AssignTaskToCarrier(carrier_id=event.carrier_id, booking_id=booking)
    return [
        Step(kind="carrier_booking", aggregate_id=booking, command=ConfirmCarrierBooking(), purpose="confirm"),
        Step(kind="task", aggregate_id=event.task_id, command=given, purpose="give"),
    ]


def refuse_winner(event: TenderAwarded, source: Source, refused: NotAllowed) -> Sequence[Step]:
    """It was cancelled in between, or the task settled otherwise; if it was not, its next round comes."""
    closed = CloseTender(tender_id=TenderId(source.aggregate_id), round=event.round, outcome="exhausted")
    return [
        refusing(tendered_booking_id(event.offer_id), TASK_GONE),
        Step(kind="task", aggregate_id=event.task_id, command=closed, purpose="close-tender"),
    ]


def refusing(booking: CarrierBookingId, reason_code: str) -> Step:
    command = RefuseCarrierBooking(reason_code=reason_code)
    return Step(kind="carrier_booking", aggregate_id=booking, command=command, purpose="refuse")
