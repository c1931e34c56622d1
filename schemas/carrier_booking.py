"""CarrierBooking: one task in a carrier's hands: what it offered, what was booked, and what it says of the way."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from schemas.carrier import ServedArea
from schemas.geo import ObservedFix
from schemas.message import (
    CarrierId,
    Code,
    Command,
    Event,
    ExternalReference,
    Id,
    Metadata,
    Moment,
    Name,
    OfferId,
    Personal,
    Reference,
    ReferenceSource,
    TaskId,
    TenderId,
    Text,
)
from schemas.money import Money

MAX_OPEN_STATUS_CONFLICTS = 50
"""The oldest are closed by themselves."""
REMEMBERED_STATUSES = 100
"""So many of the carrier's latest events are known when they are told again."""

CarrierWord = Literal[
    "courier_assigned",
    "en_route_to_pickup",
    "arrived_at_pickup",
    "picked_up",
    "en_route_to_dropoff",
    "arrived_at_dropoff",
    "delivered",
    "failed",
    "cancelled",
]
"""What a carrier's status says."""
CancelledBy = Literal["sender", "recipient", "carrier", "system"]
BOOKING_ANSWERED = "carrier-booking-answered"
"""The rule by which nothing is left to be done."""
CARRIER_SILENT = "carrier_silent"
"""Why a booking that came from a tender is cancelled: nothing is heard of it."""
ToldBy = Literal["carrier", "dispatcher", "system"]
Phone = Annotated[str, msgspec.Meta(min_length=3, max_length=40)]
Plate = Annotated[str, msgspec.Meta(min_length=1, max_length=20)]


# What can be asked


class QuoteCarrierBooking(Command, frozen=True, kw_only=True):
    """What a carrier under contract offers for a task, by one of its service levels, until `expires_at`.

    It keeps the service level's silence and the area as they are now, whatever the carrier's terms become. A task with
    a stop that lies outside refuses it: `refusal` in the booking says why.
    """

    task_id: Id
    carrier_id: Id
    service_level: Code
    price: Money
    estimated_pickup_at: Moment
    estimated_dropoff_at: Moment
    expires_at: Moment
    tender_id: TenderId | None = None
    offer_id: OfferId | None = None
    """That the carrier took: the task is its only if that wins."""
    external_reference: ExternalReference = None
    source: ReferenceSource = None
    metadata: Metadata = {}


class BookCarrier(Command, frozen=True, kw_only=True):
    """`carrier_reference` is the carrier's own for the booking."""

    carrier_reference: Reference


class NameCarrierCourier(Command, frozen=True, kw_only=True):
    """All of it anew: also of another courier, who takes over."""

    name: Name
    phone: Phone | None = None
    vehicle_plate: Plate | None = None


class RecordCarrierStatus(Command, frozen=True, kw_only=True):
    """What the carrier says has happened. Late, out of order and again are normal, and nothing is refused: what does
    not fit is recorded as a conflict. `carrier_event_id` is the carrier's own for what it says: told again it changes
    nothing, and told again with another status it is a conflict."""

    status: CarrierWord
    observed_at: Moment
    carrier_event_id: Reference
    reason_code: Code | None = None
    fix: ObservedFix | None = None
    note: Text | None = None


class ReviewCarrierStatus(Command, frozen=True, kw_only=True):
    """A status that did not fit was looked at; what it leads to is another command."""

    conflict_id: Id
    decision_code: Code


class SettleCarrierBooking(Command, frozen=True, kw_only=True):
    """How it ended, by a person's word, since the carrier says nothing, or what does not fit; or by its task's, the
    goods being back."""

    outcome: Literal["delivered", "failed"]
    reason_code: Code


class CancelCarrierBooking(Command, frozen=True, kw_only=True):
    """Before the carrier has the goods. `fee` is what the carrier asks for it, in the currency of its price; where that
    is known only later, it is told by the same command again."""

    by: CancelledBy = "sender"
    reason_code: Code
    fee: Money | None = None


class ExpireCarrierQuote(Command, frozen=True, kw_only=True):
    """Sent when the quote's time is over; firing early or twice changes nothing."""


class RecordCarrierSilence(Command, frozen=True, kw_only=True):
    """Sent when nothing seems to have been heard for too long; if something was, nothing changes."""


class ConfirmCarrierBooking(Command, frozen=True, kw_only=True):
    """Changes nothing. Refused where its task is not to be given to it any more, or where there was none to be told
    `of_goods`: who comes back to it later has nothing to do."""

    of_goods: bool = False


class RefuseCarrierBooking(Command, frozen=True, kw_only=True):
    """Sent when the task cannot be with the carrier, by a rule of the task's. The booking is cancelled; where the
    carrier has the goods already, a person must see to it."""

    reason_code: Code
    task_known: bool = True


type CarrierBookingCommand = (
    QuoteCarrierBooking
    | BookCarrier
    | NameCarrierCourier
    | RecordCarrierStatus
    | ReviewCarrierStatus
    | SettleCarrierBooking
    | CancelCarrierBooking
    | ExpireCarrierQuote
    | RecordCarrierSilence
    | ConfirmCarrierBooking
    | RefuseCarrierBooking
)


# What can happen


class CarrierBookingQuoted(Event, frozen=True, kw_only=True):
    """`area` is what the carrier serves by its terms at that time."""

    task_id: TaskId
    carrier_id: CarrierId
    service_level: str
    price: Money
    estimated_pickup_at: datetime
    estimated_dropoff_at: datetime
    expires_at: datetime
    silence_seconds: int
    area: ServedArea
    tender_id: TenderId | None = None
    offer_id: OfferId | None = None
    external_reference: str | None
    source: str
    metadata: dict[str, str]


class CarrierBooked(Event, frozen=True, kw_only=True):
    """Unless something is heard until `silent_at`, the carrier is silent."""

    task_id: TaskId
    carrier_id: CarrierId
    carrier_reference: str
    silent_at: datetime
    tender_id: TenderId | None = None
    offer_id: OfferId | None = None


class CarrierCourierKnown(Event, frozen=True, kw_only=True):
    task_id: TaskId
    name: Personal[str]
    phone: Personal[str] | None
    vehicle_plate: Personal[str] | None
    silent_at: datetime


class CarrierStatusRecorded(Event, frozen=True, kw_only=True):
    """Without `silent_at` nothing more is waited for."""

    task_id: TaskId
    carrier_id: CarrierId
    status: CarrierWord
    observed_at: datetime
    carrier_event_id: str
    reason_code: str | None
    fix: Personal[ObservedFix] | None
    note: Personal[str] | None
    silent_at: datetime | None


class CarrierStatusConflicted(Event, frozen=True, kw_only=True):
    """The carrier said it, and it cannot be as the booking stands: somebody must look at it."""

    conflict_id: str
    task_id: TaskId
    carrier_id: CarrierId
    status: CarrierWord
    observed_at: datetime
    carrier_event_id: str
    reason_code: str | None
    fix: Personal[ObservedFix] | None
    note: Personal[str] | None
    conflict: str
    silent_at: datetime | None


class CarrierStatusReviewed(Event, frozen=True, kw_only=True):
    conflict_id: str
    decision_code: str


class CarrierPickedUp(Event, frozen=True, kw_only=True):
    task_id: TaskId
    carrier_id: CarrierId
    observed_at: datetime


class CarrierDelivered(Event, frozen=True, kw_only=True):
    task_id: TaskId
    carrier_id: CarrierId
    observed_at: datetime
    told_by: ToldBy
    reason_code: str | None


class CarrierDeliveryFailed(Event, frozen=True, kw_only=True):
    task_id: TaskId
    carrier_id: CarrierId
    observed_at: datetime
    told_by: ToldBy
    reason_code: str | None


class CarrierBookingCancelled(Event, frozen=True, kw_only=True):
    task_id: TaskId
    cancelled_at: datetime
    by: CancelledBy
    reason_code: str | None
    fee: Money | None


class CarrierCancellationCharged(Event, frozen=True, kw_only=True):
    """The fee became known, or another one, after the booking was cancelled."""

    task_id: TaskId
    carrier_id: CarrierId
    fee: Money


class CarrierBookingRefused(Event, frozen=True, kw_only=True):
    """The task is not with it. `has_goods`: the carrier has them all the same."""

    task_id: TaskId
    carrier_id: CarrierId
    reason_code: str
    has_goods: bool
    task_known: bool


class CarrierBookingExpired(Event, frozen=True, kw_only=True):
    """Nobody booked it in time."""

    task_id: TaskId


class CarrierFellSilent(Event, frozen=True, kw_only=True):
    """`has_goods`: what it has cannot be cancelled."""

    task_id: TaskId
    carrier_id: CarrierId
    last_heard_at: datetime
    has_goods: bool


class CarrierHeardAgain(Event, frozen=True, kw_only=True):
    task_id: TaskId
    unheard_seconds: int


type CarrierBookingEvent = (
    CarrierBookingQuoted
    | CarrierBooked
    | CarrierCourierKnown
    | CarrierStatusRecorded
    | CarrierStatusConflicted
    | CarrierStatusReviewed
    | CarrierPickedUp
    | CarrierDelivered
    | CarrierDeliveryFailed
    | CarrierBookingCancelled
    | CarrierCancellationCharged
    | CarrierBookingRefused
    | CarrierBookingExpired
    | CarrierFellSilent
    | CarrierHeardAgain
)
