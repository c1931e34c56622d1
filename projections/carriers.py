"""Which carriers has the tenant, can they be booked, and on which terms?"""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from projections.model import Fact, Key, ReadModel, by_aggregate
from projections.page import Page
from projections.sealed import Sealed, sealed
from schemas.carrier import (
    CarrierActivated,
    CarrierChannelSet,
    CarrierContact,
    CarrierContractEnded,
    CarrierDetailsChanged,
    CarrierEvent,
    CarrierRegistered,
    CarrierReinstated,
    CarrierSuspended,
    CarrierTerms,
    CarrierTermsChanged,
)
from schemas.catalog import members_of
from schemas.message import Source

TABLE = """
CREATE TABLE {table} (
    tenant             text        NOT NULL,
    carrier_id         text        NOT NULL,
    name               text        NOT NULL,
    contact            jsonb,
    status             text        NOT NULL,
    reason_code        text,
    terms              jsonb       NOT NULL,
    channel_url        text,
    external_reference text,
    metadata           jsonb       NOT NULL,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    version            bigint      NOT NULL,
    PRIMARY KEY (tenant, carrier_id)
);
CREATE INDEX ON {table} (tenant, created_at, carrier_id)
"""


class CarrierContactRow(msgspec.Struct, frozen=True, kw_only=True):
    name: Sealed | None
    phone: Sealed | None
    email: Sealed | None


class CarrierRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    carrier_id: str
    name: str
    contact: CarrierContactRow | None
    status: str = "registered"
    """registered, active, suspended or ended."""
    reason_code: str | None = None
    """Why it is suspended, or its contract has ended."""
    terms: CarrierTerms
    channel_url: str | None = None
    """Where it is told of offers; None: it is not."""
    external_reference: str | None
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime
    version: int


def apply(row: CarrierRow | None, fact: Fact, key: Key) -> CarrierRow:
    event, source = fact.event, fact.source
    if isinstance(event, CarrierRegistered):
        return registered(event, source)
    assert row is not None, "a carrier's first event registers it"
    row = replace(row, updated_at=source.recorded_at, version=source.version)
    match event:
        case CarrierDetailsChanged():
            return replace(row, name=event.name, contact=contact_row(event.contact))
        case CarrierTermsChanged():
            return replace(row, terms=event.terms)
        case CarrierChannelSet(channel=channel):
            return replace(row, channel_url=None if channel is None else channel.url)
        case CarrierActivated() | CarrierReinstated():
            return replace(row, status="active", reason_code=None)
        case CarrierSuspended():
            return replace(row, status="suspended", reason_code=event.reason_code)
        case CarrierContractEnded():
            return replace(row, status="ended", reason_code=event.reason_code)
        case _:
            return row


def registered(event: CarrierRegistered, source: Source) -> CarrierRow:
    return CarrierRow(
        tenant=source.tenant,
        carrier_id=source.aggregate_id,
        name=event.name,
        contact=contact_row(event.contact),
        terms=event.terms,
        external_reference=event.external_reference,
        metadata=event.metadata,
        created_at=source.recorded_at,
        updated_at=source.recorded_at,
        version=source.version,
    )


def contact_row(contact: CarrierContact | None) -> CarrierContactRow | None:
    if contact is None:
        return None
    return CarrierContactRow(
        name=sealed(contact.name, "CarrierContact.name"),
        phone=sealed(contact.phone, "CarrierContact.phone"),
        email=sealed(contact.email, "CarrierContact.email"),
    )


CARRIERS = ReadModel(
    name="carriers",
    version=2,
    table=TABLE,
    row=CarrierRow,
    key=("tenant", "carrier_id"),
    events=frozenset(members_of(CarrierEvent)),
    keys=by_aggregate,
    apply=apply,
)

PAGE = """
SELECT * FROM carriers
WHERE tenant = %(tenant)s
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(reference)s::text IS NULL OR external_reference = %(reference)s)
  AND (%(metadata)s::jsonb IS NULL OR metadata @> %(metadata)s::jsonb)
  AND (%(updated_since)s::timestamptz IS NULL OR updated_at >= %(updated_since)s)
  AND (%(at)s::timestamptz IS NULL OR (created_at, carrier_id) > (%(at)s, %(id)s))
ORDER BY created_at, carrier_id
LIMIT %(limit)s
"""


page = Page(PAGE)
"""Carriers, oldest first."""
