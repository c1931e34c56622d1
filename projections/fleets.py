"""Which fleets has the tenant, and who and what is in them?"""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from projections.model import Fact, Key, ReadModel, by_aggregate
from projections.page import Page
from schemas.catalog import members_of
from schemas.fleet import (
    FleetChanged,
    FleetCreated,
    FleetEvent,
    FleetRetired,
    RiderAddedToFleet,
    RiderRemovedFromFleet,
    VehicleAddedToFleet,
    VehicleRemovedFromFleet,
)
from schemas.message import Source

TABLE = """
CREATE TABLE {table} (
    tenant             text        NOT NULL,
    fleet_id           text        NOT NULL,
    name               text        NOT NULL,
    outlet             text,
    status             text        NOT NULL,
    reason_code        text,
    riders             jsonb       NOT NULL,
    vehicles           jsonb       NOT NULL,
    external_reference text,
    metadata           jsonb       NOT NULL,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    version            bigint      NOT NULL,
    PRIMARY KEY (tenant, fleet_id)
);
CREATE INDEX ON {table} (tenant, created_at, fleet_id)
"""


class FleetRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    fleet_id: str
    name: str
    outlet: str | None
    status: str = "active"
    """active or retired."""
    reason_code: str | None = None
    """Why it was retired."""
    riders: list[str] = []
    vehicles: list[str] = []
    external_reference: str | None
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime
    version: int


def apply(row: FleetRow | None, fact: Fact, key: Key) -> FleetRow:
    event, source = fact.event, fact.source
    if isinstance(event, FleetCreated):
        return created(event, source)
    assert row is not None, "a fleet's first event creates it"
    row = replace(row, updated_at=source.recorded_at, version=source.version)
    match event:
        case FleetChanged():
            return replace(row, name=event.name, outlet=event.outlet)
        case RiderAddedToFleet():
            return replace(row, riders=[*row.riders, event.rider_id])
        case RiderRemovedFromFleet():
            return replace(row, riders=[each for each in row.riders if each != event.rider_id])
        case VehicleAddedToFleet():
            return replace(row, vehicles=[*row.vehicles, event.vehicle_id])
        case VehicleRemovedFromFleet():
            return replace(row, vehicles=[each for each in row.vehicles if each != event.vehicle_id])
        case FleetRetired():
            return replace(row, status="retired", reason_code=event.reason_code, riders=[], vehicles=[])
        case _:
            return row


def created(event: FleetCreated, source: Source) -> FleetRow:
    return FleetRow(
        tenant=source.tenant,
        fleet_id=source.aggregate_id,
        name=event.name,
        outlet=event.outlet,
        external_reference=event.external_reference,
        metadata=event.metadata,
        created_at=source.recorded_at,
        updated_at=source.recorded_at,
        version=source.version,
    )


FLEETS = ReadModel(
    name="fleets",
    version=1,
    table=TABLE,
    row=FleetRow,
    key=("tenant", "fleet_id"),
    events=frozenset(members_of(FleetEvent)),
    keys=by_aggregate,
    apply=apply,
)

PAGE = """
SELECT * FROM fleets
WHERE tenant = %(tenant)s
  AND (%(rider_id)s::text IS NULL OR riders ? %(rider_id)s)
  AND (%(vehicle_id)s::text IS NULL OR vehicles ? %(vehicle_id)s)
  AND (%(reference)s::text IS NULL OR external_reference = %(reference)s)
  AND (%(metadata)s::jsonb IS NULL OR metadata @> %(metadata)s::jsonb)
  AND (%(updated_since)s::timestamptz IS NULL OR updated_at >= %(updated_since)s)
  AND (%(at)s::timestamptz IS NULL OR (created_at, fleet_id) > (%(at)s, %(id)s))
ORDER BY created_at, fleet_id
LIMIT %(limit)s
"""


page = Page(PAGE)
"""Fleets, retired ones too, oldest first."""
