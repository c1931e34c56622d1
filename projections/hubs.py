"""Which hubs has a tenant, where are they, whom does one ask there, and which are closed?"""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from projections.model import Fact, Key, ReadModel, by_aggregate
from projections.page import Page
from projections.place_contacts import PlaceContactRow, contact_rows
from schemas.catalog import members_of
from schemas.geo import Location
from schemas.hub import HubClosed, HubContactsSet, HubCreated, HubEvent, HubMoved, HubReopened
from schemas.message import Source

TABLE = """
CREATE TABLE {table} (
    tenant     text        NOT NULL,
    hub_id     text        NOT NULL,
    hub        text        NOT NULL,
    name       text        NOT NULL,
    kind       text        NOT NULL,
    location   jsonb       NOT NULL,
    zone       text        NOT NULL,
    address    text,
    contacts   jsonb       NOT NULL,
    closed     boolean     NOT NULL,
    metadata   jsonb       NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version    bigint      NOT NULL,
    PRIMARY KEY (tenant, hub_id)
);
CREATE INDEX ON {table} (tenant, created_at, hub_id)
"""


class HubRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    hub_id: str
    hub: str
    name: str
    kind: str
    location: Location
    zone: str
    address: str | None
    contacts: list[PlaceContactRow]
    closed: bool = False
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime
    version: int


def apply(row: HubRow | None, fact: Fact, key: Key) -> HubRow:
    event, source = fact.event, fact.source
    if isinstance(event, HubCreated):
        return created(event, source)
    assert row is not None, "a hub's first event creates it"
    row = replace(row, updated_at=source.recorded_at, version=source.version)
    match event:
        case HubMoved():
            return replace(row, location=event.location, address=event.address)
        case HubContactsSet():
            return replace(row, contacts=contact_rows(event.contacts))
        case HubClosed():
            return replace(row, closed=True)
        case HubReopened():
            return replace(row, closed=False)
        case _:
            return row


def created(event: HubCreated, source: Source) -> HubRow:
    return HubRow(
        tenant=source.tenant,
        hub_id=source.aggregate_id,
        hub=event.hub,
        name=event.name,
        kind=event.kind,
        location=event.location,
        zone=event.zone,
        address=event.address,
        contacts=contact_rows(event.contacts),
        metadata=event.metadata,
        created_at=source.recorded_at,
        updated_at=source.recorded_at,
        version=source.version,
    )


HUBS = ReadModel(
    name="hubs",
    version=3,
    table=TABLE,
    row=HubRow,
    key=("tenant", "hub_id"),
    events=frozenset(members_of(HubEvent)),
    keys=by_aggregate,
    apply=apply,
)

PAGE = """
SELECT * FROM hubs
WHERE tenant = %(tenant)s
  AND (%(kind)s::text IS NULL OR kind = %(kind)s)
  AND (%(metadata)s::jsonb IS NULL OR metadata @> %(metadata)s::jsonb)
  AND (%(updated_since)s::timestamptz IS NULL OR updated_at >= %(updated_since)s)
  AND (%(at)s::timestamptz IS NULL OR (created_at, hub_id) > (%(at)s, %(id)s))
ORDER BY created_at, hub_id
LIMIT %(limit)s
"""


page = Page(PAGE)
"""Hubs, closed ones too, oldest first."""
