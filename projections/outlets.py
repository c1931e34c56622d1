"""Which outlets has a tenant, where are they, and whom does one ask there?"""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from projections.model import Fact, Key, ReadModel, by_aggregate
from projections.page import Page
from projections.place_contacts import PlaceContactRow, contact_rows
from schemas.catalog import members_of
from schemas.directory import OutletContactsSet, OutletCreated, OutletEvent, OutletMoved
from schemas.geo import Location

TABLE = """
CREATE TABLE {table} (
    tenant     text        NOT NULL,
    outlet_id  text        NOT NULL,
    outlet     text        NOT NULL,
    name       text        NOT NULL,
    location   jsonb       NOT NULL,
    zone       text        NOT NULL,
    address    text,
    contacts   jsonb       NOT NULL,
    metadata   jsonb       NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version    bigint      NOT NULL,
    PRIMARY KEY (tenant, outlet_id)
);
CREATE INDEX ON {table} (tenant, created_at, outlet_id)
"""


class OutletRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    outlet_id: str
    outlet: str
    name: str
    location: Location
    zone: str
    address: str | None
    contacts: list[PlaceContactRow]
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime
    version: int


def apply(row: OutletRow | None, fact: Fact, key: Key) -> OutletRow:
    event, source = fact.event, fact.source
    if isinstance(event, OutletCreated):
        return OutletRow(
            tenant=source.tenant,
            outlet_id=source.aggregate_id,
            outlet=event.outlet,
            name=event.name,
            location=event.location,
            zone=event.zone,
            address=event.address,
            contacts=contact_rows(event.contacts),
            metadata=event.metadata,
            created_at=source.recorded_at,
            updated_at=source.recorded_at,
            version=source.version,
        )
    assert row is not None, "an outlet's first event creates it"
    row = replace(row, updated_at=source.recorded_at, version=source.version)
    match event:
        case OutletMoved():
            return replace(row, location=event.location, address=event.address)
        case OutletContactsSet():
            return replace(row, contacts=contact_rows(event.contacts))
        case _:
            return row


OUTLETS = ReadModel(
    name="outlets",
    version=2,
    table=TABLE,
    row=OutletRow,
    key=("tenant", "outlet_id"),
    events=frozenset(members_of(OutletEvent)),
    keys=by_aggregate,
    apply=apply,
)

PAGE = """
SELECT * FROM outlets
WHERE tenant = %(tenant)s
  AND (%(metadata)s::jsonb IS NULL OR metadata @> %(metadata)s::jsonb)
  AND (%(updated_since)s::timestamptz IS NULL OR updated_at >= %(updated_since)s)
  AND (%(at)s::timestamptz IS NULL OR (created_at, outlet_id) > (%(at)s, %(id)s))
ORDER BY created_at, outlet_id
LIMIT %(limit)s
"""


page = Page(PAGE)
"""Outlets, oldest first."""
