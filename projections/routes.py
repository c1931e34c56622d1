"""Which ways were asked for, and how do they go?"""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from projections.model import Fact, Key, ReadModel, by_aggregate
from projections.page import Page
from projections.sealed import Sealed, sealed
from schemas.catalog import members_of
from schemas.route import LegOfRoute, RouteComputed, RouteEvent, RouteFailed, RouteRequested

TABLE = """
CREATE TABLE {table} (
    tenant             text        NOT NULL,
    route_id           text        NOT NULL,
    status             text        NOT NULL,
    waypoints          jsonb       NOT NULL,
    distance_m         bigint,
    duration_s         bigint,
    legs               jsonb       NOT NULL,
    geometry           jsonb,
    provider           text,
    reason_code        text,
    external_reference text,
    metadata           jsonb       NOT NULL,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    version            bigint      NOT NULL,
    PRIMARY KEY (tenant, route_id)
);
CREATE INDEX ON {table} (tenant, created_at, route_id)
"""


class RouteRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    route_id: str
    status: str = "requested"
    """requested, computed or failed."""
    waypoints: list[Sealed]
    distance_m: int | None = None
    duration_s: int | None = None
    legs: list[LegOfRoute] = []
    geometry: Sealed | None = None
    """A line of Google's polyline format with five decimals."""
    provider: str | None = None
    reason_code: str | None = None
    """Why there is none."""
    external_reference: str | None
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime
    version: int


def apply(row: RouteRow | None, fact: Fact, key: Key) -> RouteRow:
    event, source = fact.event, fact.source
    if isinstance(event, RouteRequested):
        places = [sealed(place, "RouteRequested.waypoints") for place in event.waypoints]
        row = RouteRow(
            tenant=source.tenant,
            route_id=source.aggregate_id,
            waypoints=[place for place in places if place is not None],
            external_reference=event.external_reference,
            metadata=event.metadata,
            created_at=source.recorded_at,
            updated_at=source.recorded_at,
            version=source.version,
        )
    assert row is not None, "a route's first event requests it"
    row = replace(row, updated_at=source.recorded_at, version=source.version)
    match event:
        case RouteComputed():
            return replace(
                row,
                status="computed",
                distance_m=event.distance_m,
                duration_s=event.duration_s,
                legs=event.legs,
                geometry=sealed(event.geometry, "RouteComputed.geometry"),
                provider=event.provider,
            )
        case RouteFailed():
            return replace(row, status="failed", reason_code=event.reason_code)
        case _:
            return row


ROUTES = ReadModel(
    name="routes",
    version=1,
    table=TABLE,
    row=RouteRow,
    key=("tenant", "route_id"),
    events=frozenset(members_of(RouteEvent)),
    keys=by_aggregate,
    apply=apply,
)

PAGE = """
SELECT * FROM routes
WHERE tenant = %(tenant)s
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(reference)s::text IS NULL OR external_reference = %(reference)s)
  AND (%(metadata)s::jsonb IS NULL OR metadata @> %(metadata)s::jsonb)
  AND (%(updated_since)s::timestamptz IS NULL OR updated_at >= %(updated_since)s)
  AND (%(at)s::timestamptz IS NULL OR (created_at, route_id) > (%(at)s, %(id)s))
ORDER BY created_at, route_id
LIMIT %(limit)s
"""

page = Page(PAGE)
"""Routes, oldest first."""
