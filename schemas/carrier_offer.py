"""An offer to a carrier: on what terms, what the carrier answers, and what comes of that."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from schemas.load import Overload
from schemas.message import CarrierId, Code, Command, Event, Input, Moment, OfferId, Reference, TaskId
from schemas.money import Money

MAX_CARRIER_CANDIDATES = 250
"""More than are under contract with a tenant, and so many that are shut out."""

CarrierExclusion = Literal[
    "not_named",
    "contract_not_active",
    "not_to_be_told",
    "declined_before",
    "gave_it_back",
    "outlet_not_served",
    "postal_code_not_served",
    "capability_missing",
    "service_level_missing",
    "kind_not_served",
    "over_capacity",
    "no_price",
    "currency_differs",
    "too_dear",
]
CarrierAnswer = Literal["accept", "decline", "counter"]


class CarrierOfferTerms(Input, frozen=True, kw_only=True):
    """`pickup_by` and `deliver_by` are the ends of the first and of the last window, where there are such. Without a
    `price` it is the carrier who says one."""

    service_level: str
    commitment_seconds: int
    price: Money | None = None
    pickup_by: Moment | None = None
    deliver_by: Moment | None = None
    bids: bool = False
    """Whoever accepts says for how much."""


class CarrierCandidate(Input, frozen=True, kw_only=True):
    """A carrier that could do it. The smallest `score` is the best: its price in minor units; without one it comes
    last."""

    carrier_id: CarrierId
    rank: int
    terms: CarrierOfferTerms
    score: float | None = None


class ExcludedCarrier(Input, frozen=True, kw_only=True):
    carrier_id: CarrierId
    code: CarrierExclusion
    price: Money | None = None
    """That it would have asked for, where that is why."""
    overload: Overload | None = None


class RecordCarrierAnswer(Command, frozen=True, kw_only=True):
    """What the carrier that was asked has answered, signed. `carrier_event_id` is the carrier's own for it."""

    offer_id: OfferId
    answer: CarrierAnswer
    carrier_event_id: Reference
    price: Money | None = None
    pickup_at: Moment | None = None
    dropoff_at: Moment | None = None
    carrier_reference: Reference | None = None
    reason_code: Code | None = None


class AcceptCounter(Command, frozen=True, kw_only=True):
    """The carrier has it on the terms that it asked for, unless somebody else has it by then."""

    offer_id: OfferId


class DeclineCounter(Command, frozen=True, kw_only=True):
    """The carrier is not asked for this task again."""

    offer_id: OfferId
    reason_code: Code


type CarrierOfferCommand = RecordCarrierAnswer | AcceptCounter | DeclineCounter


class CarrierAnswered(Event, frozen=True, kw_only=True):
    """As it came; what it leads to follows."""

    offer_id: OfferId
    carrier_id: CarrierId
    answer: CarrierAnswer
    carrier_event_id: str
    price: Money | None = None
    pickup_at: datetime | None = None
    dropoff_at: datetime | None = None
    carrier_reference: str | None = None
    reason_code: str | None = None


class OfferCountered(Event, frozen=True, kw_only=True):
    """`within_limit`: it is taken at once; else it waits for a dispatcher until `expires_at`."""

    offer_id: OfferId
    carrier_id: CarrierId
    task_id: TaskId
    price: Money
    pickup_at: datetime
    dropoff_at: datetime
    within_limit: bool
    expires_at: datetime


class CounterAccepted(Event, frozen=True, kw_only=True):
    offer_id: OfferId
    carrier_id: CarrierId


class CounterDeclined(Event, frozen=True, kw_only=True):
    offer_id: OfferId
    carrier_id: CarrierId
    reason_code: str


class CarrierBookingRequested(Event, frozen=True, kw_only=True):
    """Of the claims, this carrier's is tried now; if it is not booked by `hold_until`, the next one is."""

    offer_id: OfferId
    carrier_id: CarrierId
    task_id: TaskId
    service_level: str
    price: Money
    pickup_at: datetime
    dropoff_at: datetime
    carrier_reference: str | None
    hold_until: datetime


type CarrierOfferEvent = CarrierAnswered | OfferCountered | CounterAccepted | CounterDeclined | CarrierBookingRequested

Carriers = Annotated[list[CarrierCandidate], msgspec.Meta(max_length=MAX_CARRIER_CANDIDATES)]
ExcludedCarriers = Annotated[list[ExcludedCarrier], msgspec.Meta(max_length=MAX_CARRIER_CANDIDATES)]
