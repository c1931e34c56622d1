"""What a carrier has answered to an offer, and whether what it asks for in place of that may be had at once."""

from datetime import datetime, timedelta

import msgspec

from schemas.carrier_offer import CarrierAnswer, CarrierAnswered, CarrierOfferTerms, RecordCarrierAnswer
from schemas.dispatch_rules import CounterLimit
from schemas.message import CarrierId, OfferId, Refused
from schemas.money import Money


class UnknownOffer(Refused):
    rule = "unknown-offer"
    stands_in = ("offer_id",)

    def __init__(self, offer_id: OfferId) -> None:
        super().__init__(f"there is no offer {offer_id} in this tender for this carrier")
        self.offer_id = offer_id


class AnsweredTooLate(Refused):
    """`how`: `awarded` to somebody else, `exhausted` or `withdrawn` as the tender is, or `over` as the offer."""

    rule = "answered-too-late"
    stands_in = ("offer_id",)

    def __init__(self, offer_id: OfferId, how: str) -> None:
        super().__init__(f"offer {offer_id} is not to be had any more: {how}")
        self.offer_id = offer_id
        self.how = how


class NoCounters(Refused):
    rule = "no-counters"
    is_about = ("offer_id",)

    def __init__(self) -> None:
        super().__init__("in this tender carriers bid: accept with the price that is wanted")


class Answered(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The latest that the carrier has said."""

    answer: CarrierAnswer
    price: Money | None
    pickup_at: datetime | None
    dropoff_at: datetime | None
    carrier_reference: str | None


def answered_by(carrier_id: CarrierId, command: RecordCarrierAnswer) -> CarrierAnswered:
    return CarrierAnswered(
        offer_id=command.offer_id,
        carrier_id=carrier_id,
        answer=command.answer,
        carrier_event_id=command.carrier_event_id,
        price=command.price,
        pickup_at=command.pickup_at,
        dropoff_at=command.dropoff_at,
        carrier_reference=command.carrier_reference,
        reason_code=command.reason_code,
    )


def answer_of(event: CarrierAnswered) -> Answered:
    return Answered(event.answer, event.price, event.pickup_at, event.dropoff_at, event.carrier_reference)


def within_limit(terms: CarrierOfferTerms, price: Money, dropoff_at: datetime, limit: CounterLimit) -> bool:
    """Whether it may be had at once for that, by then."""
    by = terms.deliver_by
    late = by is not None and dropoff_at > by + timedelta(seconds=limit.max_late_seconds)
    offered = 0 if terms.price is None else terms.price.amount_minor
    over = 100 * price.amount_minor > (100 + limit.max_over_percent) * offered
    below = limit.max_price_minor is not None and price.amount_minor <= limit.max_price_minor
    return not late and (not over or below)
