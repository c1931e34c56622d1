"""Which outlets has a tenant, and where are they?"""

from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from projections.model import Fact, Key, ReadModel, by_aggregate
from schemas.catalog import members_of
from schemas.directory import OutletCreated, OutletEvent, OutletMoved
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
            metadata=event.metadata,
            created_at=source.recorded_at,
            updated_at=source.recorded_at,
            version=source.version,
        )
    assert row is not None, "an outlet's first event creates it"
    assert isinstance(event, OutletMoved), "nothing else happens to an outlet"
    return replace(
        row,
        location=event.location,
        address=event.address,
        updated_at=source.recorded_at,
        version=source.version,
    )


OUTLETS = ReadModel(
    name="outlets",
    version=1,
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
FILTERS = ("metadata", "updated_since", "at", "id")


async def page(connection: AsyncConnection, tenant: str, filters: dict[str, Any]) -> list[dict[str, Any]]:
    """Outlets, oldest first. Filters: see FILTERS; after (at, id); limit."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(PAGE, dict.fromkeys(FILTERS) | filters | {"tenant": tenant})
        return await cursor.fetchall()
