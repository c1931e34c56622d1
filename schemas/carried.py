"""A task with a carrier: given to it by a booking, reported of by it, and taken from it again."""

from datetime import datetime
from typing import Literal

from schemas.carrier import ServedArea
from schemas.geo import ObservedFix
from schemas.message import CarrierBookingId, CarrierId, Code, Command, Event, Moment, TenderId

CarrierSays = Literal[
    "en_route_to_pickup",
    "arrived_at_pickup",
    "picked_up",
    "en_route_to_dropoff",
    "arrived_at_dropoff",
    "delivered",
    "failed",
]
"""Of all goods of the task, or of where its courier is: a carrier's status names no stop."""


# What can be asked


class AssignTaskToCarrier(Command, frozen=True, kw_only=True):
    """Sent when a carrier is booked. A booking gets its task once: who comes back to it later changes nothing."""

    carrier_id: CarrierId
    booking_id: CarrierBookingId


class ConfirmCarrierServes(Command, frozen=True, kw_only=True):
    """Changes nothing. Refused where a stop lies outside the area, as far as it tells where it is."""

    area: ServedArea


class TakeTaskFromCarrier(Command, frozen=True, kw_only=True):
    """Sent when the booking was cancelled: the task goes back to dispatch."""

    booking_id: CarrierBookingId
    reason_code: Code


class RecordCarrierReport(Command, frozen=True, kw_only=True):
    """Sent when a booking's goods were picked up or delivered, or were not, or its courier moves. A physical fact is
    never refused; what does not fit is put to a person. `booking_version` is that of the fact that is told: none is
    taken twice, nor after a later one."""

    carrier_id: CarrierId
    booking_id: CarrierBookingId
    booking_version: int
    says: CarrierSays
    observed_at: Moment
    reason_code: Code | None = None
    fix: ObservedFix | None = None


type CarriedCommand = ConfirmCarrierServes | AssignTaskToCarrier | TakeTaskFromCarrier | RecordCarrierReport


# What can happen


class TaskGivenToCarrier(Event, frozen=True, kw_only=True):
    """As with a rider who has said yes; the carrier has no itinerary."""

    carrier_id: CarrierId
    booking_id: CarrierBookingId
    round: int
    given_at: datetime
    passed_over: TenderId | None = None
    """That it was offered by."""


class TaskTakenFromCarrier(Event, frozen=True, kw_only=True):
    carrier_id: CarrierId
    booking_id: CarrierBookingId
    round: int
    reason_code: str


class CarrierReported(Event, frozen=True, kw_only=True):
    """What it leads to follows."""

    carrier_id: CarrierId
    booking_id: CarrierBookingId
    booking_version: int
    says: CarrierSays
    observed_at: datetime
    reason_code: str | None


type CarriedEvent = TaskGivenToCarrier | TaskTakenFromCarrier | CarrierReported
