"""Which fences stand, in what shape, from when until when?"""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from projections.model import Fact, Key, ReadModel, by_aggregate
from projections.page import Page
from schemas.calendar import Calendar
from schemas.catalog import members_of
from schemas.directory import GeofenceChanged, GeofenceCreated, GeofenceEvent, GeofenceRemoved, Shape

TABLE = """
CREATE TABLE {table} (
    tenant      text        NOT NULL,
    geofence_id text        NOT NULL,
    name        text        NOT NULL,
    kind        text        NOT NULL,
    shape       jsonb       NOT NULL,
    dwell_s     integer,
    calendar    jsonb,
    outlet      text,
    valid_from  timestamptz NOT NULL,
    valid_until timestamptz,
    external_reference text,
    metadata    jsonb       NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    version     bigint      NOT NULL,
    PRIMARY KEY (tenant, geofence_id)
);
CREATE INDEX ON {table} (tenant, created_at, geofence_id)
"""


class GeofenceRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    geofence_id: str
    name: str
    kind: str
    shape: Shape
    dwell_s: int | None
    calendar: Calendar | None = None
    """When it is closed nobody is inside; null: it is open all the time."""
    outlet: str | None
    valid_from: datetime
    valid_until: datetime | None = None
    external_reference: str | None
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime
    version: int


def apply(row: GeofenceRow | None, fact: Fact, key: Key) -> GeofenceRow:
    event, source = fact.event, fact.source
    if isinstance(event, GeofenceCreated):
        row = created(event, fact)
    assert row is not None, "a fence's first event creates it"
    row = replace(row, updated_at=source.recorded_at, version=source.version)
    match event:
        case GeofenceChanged():
            told = {"shape": event.shape, "dwell_s": event.dwell_s, "calendar": event.calendar}
            return replace(row, **told, valid_from=event.valid_from)
        case GeofenceRemoved():
            return replace(row, valid_until=event.valid_until)
        case _:
            return row


def created(event: GeofenceCreated, fact: Fact) -> GeofenceRow:
    return GeofenceRow(
        tenant=fact.source.tenant,
        geofence_id=fact.source.aggregate_id,
        name=event.name,
        kind=event.kind,
        shape=event.shape,
        dwell_s=event.dwell_s,
        calendar=event.calendar,
        outlet=event.outlet,
        valid_from=event.valid_from,
        external_reference=event.external_reference,
        metadata=event.metadata,
        created_at=fact.source.recorded_at,
        updated_at=fact.source.recorded_at,
        version=fact.source.version,
    )


GEOFENCES = ReadModel(
    name="geofences",
    version=3,
    table=TABLE,
    row=GeofenceRow,
    key=("tenant", "geofence_id"),
    events=frozenset(members_of(GeofenceEvent)),
    keys=by_aggregate,
    apply=apply,
)

PAGE = """
SELECT * FROM geofences
WHERE tenant = %(tenant)s
  AND (%(reference)s::text IS NULL OR external_reference = %(reference)s)
  AND (%(metadata)s::jsonb IS NULL OR metadata @> %(metadata)s::jsonb)
  AND (%(updated_since)s::timestamptz IS NULL OR updated_at >= %(updated_since)s)
  AND (%(at)s::timestamptz IS NULL OR (created_at, geofence_id) > (%(at)s, %(id)s))
ORDER BY created_at, geofence_id
LIMIT %(limit)s
"""


page = Page(PAGE)
"""Fences, removed ones too, oldest first."""
