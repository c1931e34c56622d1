"""Which tasks are in carriers' hands, how far are they, what was heard of them last, and what does it cost?"""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from projections.model import Fact, Key, ReadModel, by_aggregate
from projections.page import Page
from projections.sealed import Sealed, sealed
from schemas.carrier_booking import (
    MAX_OPEN_STATUS_CONFLICTS,
    CarrierBooked,
    CarrierBookingCancelled,
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
)
from schemas.catalog import members_of
from schemas.message import Source
from schemas.money import Money

TABLE = """
CREATE TABLE {table} (
    tenant               text        NOT NULL,
    carrier_booking_id   text        NOT NULL,
    task_id              text        NOT NULL,
    carrier_id           text        NOT NULL,
    service_level        text        NOT NULL,
    status               text        NOT NULL,
    price                jsonb       NOT NULL,
    estimated_pickup_at  timestamptz NOT NULL,
    estimated_dropoff_at timestamptz NOT NULL,
    expires_at           timestamptz NOT NULL,
    silence_seconds      bigint      NOT NULL,
    tender_id            text,
    carrier_reference    text,
    booked_at            timestamptz,
    courier              jsonb,
    latest               jsonb,
    unheard_since        timestamptz,
    conflicts            jsonb       NOT NULL,
    picked_up_at         timestamptz,
    ended_at             timestamptz,
    ended_by             text,
    reason_code          text,
    fee                  jsonb,
    refusal              jsonb,
    external_reference   text,
    metadata             jsonb       NOT NULL,
    created_at           timestamptz NOT NULL,
    updated_at           timestamptz NOT NULL,
    version              bigint      NOT NULL,
    PRIMARY KEY (tenant, carrier_booking_id)
);
CREATE INDEX ON {table} (tenant, created_at, carrier_booking_id);
CREATE INDEX ON {table} (tenant, task_id)
"""


class CourierRow(msgspec.Struct, frozen=True, kw_only=True):
    name: Sealed | None
    phone: Sealed | None
    vehicle_plate: Sealed | None


class CarrierStatusRow(msgspec.Struct, frozen=True, kw_only=True):
    status: str
    observed_at: datetime
    reason_code: str | None
    fix: Sealed | None
    note: Sealed | None


class StatusConflictRow(msgspec.Struct, frozen=True, kw_only=True):
    """What the carrier says, by its own id of it, and why it cannot be."""

    conflict_id: str
    carrier_event_id: str
    status: str
    observed_at: datetime
    conflict: str


class BookingRefusalRow(msgspec.Struct, frozen=True, kw_only=True):
    """Why its task is not with it; `has_goods`: the carrier had them all the same."""

    reason_code: str
    has_goods: bool
    refused_at: datetime


class CarrierBookingRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    carrier_booking_id: str
    task_id: str
    carrier_id: str
    service_level: str
    status: str = "quoted"
    price: Money
    estimated_pickup_at: datetime
    estimated_dropoff_at: datetime
    expires_at: datetime
    silence_seconds: int
    tender_id: str | None = None
    """Of the tender that it came from, if it did."""
    carrier_reference: str | None = None
    booked_at: datetime | None = None
    courier: CourierRow | None = None
    latest: CarrierStatusRow | None = None
    """Of the statuses that fit the one that was observed last."""
    unheard_since: datetime | None = None
    """Of a carrier that has fallen silent: when something was heard last."""
    conflicts: list[StatusConflictRow] = []
    """Those that wait for a review."""
    picked_up_at: datetime | None = None
    ended_at: datetime | None = None
    ended_by: str | None = None
    """Who has cancelled it, or told how it ended."""
    reason_code: str | None = None
    fee: Money | None = None
    refusal: BookingRefusalRow | None = None
    external_reference: str | None
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime
    version: int


def apply(row: CarrierBookingRow | None, fact: Fact, key: Key) -> CarrierBookingRow:
    if isinstance(fact.event, CarrierBookingQuoted):
        return quoted(fact.event, fact.source)
    assert row is not None, "a booking's first event quotes it"
    row = changed(row, fact)
    return replace(row, updated_at=fact.source.recorded_at, version=fact.source.version)


def quoted(event: CarrierBookingQuoted, source: Source) -> CarrierBookingRow:
    return CarrierBookingRow(
        tenant=source.tenant,
        carrier_booking_id=source.aggregate_id,
        task_id=event.task_id,
        carrier_id=event.carrier_id,
        service_level=event.service_level,
        price=event.price,
        estimated_pickup_at=event.estimated_pickup_at,
        estimated_dropoff_at=event.estimated_dropoff_at,
        expires_at=event.expires_at,
        silence_seconds=event.silence_seconds,
        tender_id=event.tender_id,
        external_reference=event.external_reference,
        metadata=event.metadata,
        created_at=source.recorded_at,
        updated_at=source.recorded_at,
        version=source.version,
    )


def changed(row: CarrierBookingRow, fact: Fact) -> CarrierBookingRow:
    match fact.event:
        case CarrierBooked() as event:
            at = fact.source.recorded_at
            return replace(row, status="booked", carrier_reference=event.carrier_reference, booked_at=at)
        case CarrierCourierKnown() as event:
            status = "courier_known" if row.status == "booked" else row.status
            return replace(row, status=status, courier=courier_of(event))
        case CarrierStatusRecorded() as event:
            return with_status(row, event)
        case CarrierStatusConflicted() as event:
            return with_conflict(row, event)
        case CarrierStatusReviewed(conflict_id=conflict_id):
            return replace(row, conflicts=[c for c in row.conflicts if c.conflict_id != conflict_id])
        case CarrierFellSilent(last_heard_at=last_heard_at):
            return replace(row, unheard_since=last_heard_at)
        case CarrierHeardAgain():
            return replace(row, unheard_since=None)
        case CarrierBookingRefused() as event:
            at = fact.source.recorded_at
            refusal = BookingRefusalRow(reason_code=event.reason_code, has_goods=event.has_goods, refused_at=at)
            return replace(row, refusal=refusal)
        case CarrierCancellationCharged(fee=fee):
            return replace(row, fee=fee)
        case CarrierPickedUp(observed_at=at):
            return replace(row, status="picked_up", picked_up_at=at)
        case _:
            return ended(row, fact)


def ended(row: CarrierBookingRow, fact: Fact) -> CarrierBookingRow:
    row = replace(row, unheard_since=None)
    match fact.event:
        case CarrierDelivered() as event:
            over = {"ended_at": event.observed_at, "ended_by": event.told_by, "reason_code": event.reason_code}
            return replace(row, status="delivered", **over)
        case CarrierDeliveryFailed() as event:
            over = {"ended_at": event.observed_at, "ended_by": event.told_by, "reason_code": event.reason_code}
            return replace(row, status="failed", **over)
        case CarrierBookingCancelled() as event:
            over = {"ended_at": event.cancelled_at, "ended_by": event.by, "reason_code": event.reason_code}
            return replace(row, status="cancelled", fee=event.fee, **over)
        case CarrierBookingExpired():
            return replace(row, status="expired", ended_at=row.expires_at)
        case _:
            raise AssertionError(f"{type(fact.event).__name__} is no event of a booking")


def courier_of(event: CarrierCourierKnown) -> CourierRow:
    return CourierRow(
        name=sealed(event.name, "CarrierCourierKnown.name"),
        phone=sealed(event.phone, "CarrierCourierKnown.phone"),
        vehicle_plate=sealed(event.vehicle_plate, "CarrierCourierKnown.vehicle_plate"),
    )


def with_status(row: CarrierBookingRow, event: CarrierStatusRecorded) -> CarrierBookingRow:
    if row.latest is not None and event.observed_at < row.latest.observed_at:
        return row
    latest = CarrierStatusRow(
        status=event.status,
        observed_at=event.observed_at,
        reason_code=event.reason_code,
        fix=sealed(event.fix, "CarrierStatusRecorded.fix"),
        note=sealed(event.note, "CarrierStatusRecorded.note"),
    )
    return replace(row, latest=latest)


def with_conflict(row: CarrierBookingRow, event: CarrierStatusConflicted) -> CarrierBookingRow:
    """As many as the booking itself keeps open."""
    conflict = StatusConflictRow(
        conflict_id=event.conflict_id,
        carrier_event_id=event.carrier_event_id,
        status=event.status,
        observed_at=event.observed_at,
        conflict=event.conflict,
    )
    return replace(row, conflicts=[*row.conflicts, conflict][-MAX_OPEN_STATUS_CONFLICTS:])


CARRIER_BOOKINGS = ReadModel(
    name="carrier_bookings",
    version=3,
    table=TABLE,
    row=CarrierBookingRow,
    key=("tenant", "carrier_booking_id"),
    events=frozenset(members_of(CarrierBookingEvent)),
    keys=by_aggregate,
    apply=apply,
)

PAGE = """
SELECT * FROM carrier_bookings
WHERE tenant = %(tenant)s
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(task_id)s::text IS NULL OR task_id = %(task_id)s)
  AND (%(carrier_id)s::text IS NULL OR carrier_id = %(carrier_id)s)
  AND (%(silent)s::boolean IS NULL OR (unheard_since IS NOT NULL) = %(silent)s)
  AND (%(refused)s::boolean IS NULL OR (refusal IS NOT NULL) = %(refused)s)
  AND (%(reference)s::text IS NULL OR external_reference = %(reference)s)
  AND (%(metadata)s::jsonb IS NULL OR metadata @> %(metadata)s::jsonb)
  AND (%(updated_since)s::timestamptz IS NULL OR updated_at >= %(updated_since)s)
  AND (%(at)s::timestamptz IS NULL OR (created_at, carrier_booking_id) > (%(at)s, %(id)s))
ORDER BY created_at, carrier_booking_id
LIMIT %(limit)s
"""


page = Page(PAGE)
"""Bookings, oldest first."""
