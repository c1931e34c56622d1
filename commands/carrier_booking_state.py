"""What a carrier's booking is, folded from its events: how far it is, and whether anything is heard of it."""

from datetime import datetime
from typing import Literal

import msgspec

from commands.life import NEW, Life, to, when, within
from schemas.carrier_booking import (
    BookCarrier,
    CancelCarrierBooking,
    CarrierBooked,
    CarrierBookingCancelled,
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
    CarrierWord,
    NameCarrierCourier,
    RecordCarrierStatus,
    ReviewCarrierStatus,
    SettleCarrierBooking,
)
from schemas.message import CarrierId, NotInThisState, OfferId, Personal, TaskId, TenderId
from schemas.money import Currency, Money

type BookingStatus = Literal[
    "quoted", "booked", "courier_known", "picked_up", "delivered", "failed", "cancelled", "expired"
]

QUOTED: frozenset[BookingStatus] = frozenset({"quoted"})
BEFORE_CUSTODY: frozenset[BookingStatus] = frozenset({"booked", "courier_known"})
UNDER_WAY: frozenset[BookingStatus] = frozenset({*BEFORE_CUSTODY, "picked_up"})
"""The carrier has something to do, and should be heard of."""
WITH_TASK: frozenset[BookingStatus] = frozenset({*UNDER_WAY, "delivered", "failed"})
"""Booked, and not cancelled: its task was given to it, or is to be."""
ENDS: frozenset[BookingStatus] = frozenset({"delivered", "failed", "cancelled", "expired"})


class Unquoted(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    pass


class Courier(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    name: Personal[str]
    phone: Personal[str] | None
    vehicle_plate: Personal[str] | None


class Heard(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the carrier said, under an id of its own."""

    carrier_event_id: str
    status: CarrierWord


class QuotedBooking(msgspec.Struct, frozen=True, kw_only=True, tag=True, array_like=True, gc=False):
    status: BookingStatus = "quoted"
    task_id: TaskId
    carrier_id: CarrierId
    currency: Currency
    expires_at: datetime
    silence_seconds: int
    carrier_reference: str | None = None
    courier: Courier | None = None
    ended_at: datetime | None = None
    """When that happened which ended it, by whoever tells it."""
    silent_at: datetime | None = None
    """When it will be silent, unless something is heard."""
    unheard_since: datetime | None = None
    """Of a silent one: when something was heard last."""
    heard: tuple[Heard, ...] = ()
    """The carrier's latest events, by which a repeat is known."""
    conflicts: tuple[str, ...] = ()
    """Those that wait for a review."""
    fee: Money | None = None
    """That the carrier asks for having been cancelled."""
    refused_for: str | None = None
    """Why its task cannot be with it."""
    task_known: bool = True
    tender_id: TenderId | None = None
    offer_id: OfferId | None = None


type CarrierBooking = Unquoted | QuotedBooking


def is_over(booking: CarrierBooking) -> bool:
    return isinstance(booking, QuotedBooking) and booking.status in ENDS and not booking.conflicts


def status_of(booking: CarrierBooking) -> str:
    return NEW if isinstance(booking, Unquoted) else booking.status


def quoted(booking: CarrierBooking) -> QuotedBooking:
    if isinstance(booking, Unquoted):
        raise NotInThisState(needed="quoted", actual=NEW)
    return booking


def within_states(booking: QuotedBooking, statuses: frozenset[BookingStatus]) -> QuotedBooking:
    if booking.status not in statuses:
        raise NotInThisState(needed=" or ".join(sorted(statuses)), actual=booking.status)
    return booking


ALL = ("quoted", *UNDER_WAY, *ENDS)

LIFE = Life(
    status_of,
    {
        CarrierBookingQuoted: to("quoted", NEW),
        CarrierBooked: to("booked", "quoted"),
        CarrierCourierKnown: to("courier_known", "booked") | within("courier_known", "picked_up"),
        CarrierStatusRecorded: within(*ALL),
        CarrierStatusConflicted: within(*ALL),
        CarrierStatusReviewed: within(*ALL),
        CarrierPickedUp: to("picked_up", *BEFORE_CUSTODY),
        CarrierDelivered: to("delivered", *UNDER_WAY),
        CarrierDeliveryFailed: to("failed", *UNDER_WAY),
        CarrierBookingCancelled: to("cancelled", "quoted", *BEFORE_CUSTODY),
        CarrierCancellationCharged: within("cancelled"),
        CarrierBookingRefused: within("quoted", *WITH_TASK),
        CarrierBookingExpired: to("expired", "quoted"),
        CarrierFellSilent: within(*UNDER_WAY),
        CarrierHeardAgain: within(*UNDER_WAY),
    },
    {
        BookCarrier: when("quoted"),
        NameCarrierCourier: when(*UNDER_WAY),
        RecordCarrierStatus: when(*ALL),
        ReviewCarrierStatus: when(*ALL),
        SettleCarrierBooking: when(*UNDER_WAY),
        CancelCarrierBooking: when("quoted", *BEFORE_CUSTODY, "cancelled"),
    },
)
