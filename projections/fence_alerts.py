"""Who entered and left which fence, stayed in it or crossed it, when, and was it corrected since?"""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from projections.model import Fact, Key, ReadModel
from projections.page import Page
from schemas.signals import (
    FENCE_SIGNALS,
    TRANSITIONS,
    GeofenceCrossed,
    GeofenceDwelled,
    GeofenceTransitionCorrected,
    Transition,
)

TABLE = """
CREATE TABLE {table} (
    tenant       text        NOT NULL,
    signal_id    text        NOT NULL,
    geofence_id  text        NOT NULL,
    rider_id     text        NOT NULL,
    device_id    text        NOT NULL,
    transition   text        NOT NULL,
    at           timestamptz NOT NULL,
    told_at      timestamptz NOT NULL,
    state        text        NOT NULL,
    late         boolean     NOT NULL,
    recorded_at  timestamptz NOT NULL,
    corrected_at timestamptz,
    since        timestamptz,
    PRIMARY KEY (tenant, signal_id)
);
CREATE INDEX ON {table} (tenant, recorded_at, signal_id);
CREATE INDEX ON {table} (tenant, rider_id, recorded_at);
CREATE INDEX ON {table} (tenant, geofence_id, recorded_at)
"""


class FenceAlertRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    signal_id: str
    geofence_id: str
    rider_id: str
    device_id: str
    transition: Transition
    since: datetime | None = None
    """Of who stayed, when they had entered; of who crossed, the fix before."""
    at: datetime
    """When it happened, as it stands now."""
    told_at: datetime
    """When it had happened, as it was told first."""
    state: str = "standing"
    """standing, moved, or withdrawn: it never happened."""
    late: bool
    recorded_at: datetime
    corrected_at: datetime | None = None


def keys(fact: Fact) -> Sequence[Key]:
    """A correction names the signal that told of it first."""
    event, source = fact.event, fact.source
    signal = event.supersedes if isinstance(event, GeofenceTransitionCorrected) else source.event_id
    return ((source.tenant, signal),)


def apply(row: FenceAlertRow | None, fact: Fact, key: Key) -> FenceAlertRow:
    event, source = fact.event, fact.source
    if isinstance(event, GeofenceTransitionCorrected):
        assert row is not None, "what is corrected was told before, on the same partition"
        state = "withdrawn" if event.at is None else "moved"
        since, at = event.since or row.since, event.at or row.at
        return replace(row, since=since, at=at, state=state, corrected_at=source.recorded_at)
    assert isinstance(event, FENCE_SIGNALS), "the model follows no other"
    return FenceAlertRow(
        tenant=source.tenant,
        signal_id=source.event_id,
        geofence_id=event.geofence_id,
        rider_id=source.aggregate_id,
        device_id=event.device_id,
        transition=TRANSITIONS[type(event)],
        since=event.since if isinstance(event, (GeofenceDwelled, GeofenceCrossed)) else None,
        at=event.at,
        told_at=event.at,
        late=event.late,
        recorded_at=source.recorded_at,
    )


FENCE_ALERTS = ReadModel(
    name="fence_alerts",
    version=2,
    table=TABLE,
    row=FenceAlertRow,
    key=("tenant", "signal_id"),
    events=frozenset({*FENCE_SIGNALS, GeofenceTransitionCorrected}),
    keys=keys,
    apply=apply,
)

PAGE = """
SELECT * FROM fence_alerts
WHERE tenant = %(tenant)s
  AND (%(rider_id)s::text IS NULL OR rider_id = %(rider_id)s)
  AND (%(geofence_id)s::text IS NULL OR geofence_id = %(geofence_id)s)
  AND (%(transition)s::text IS NULL OR transition = %(transition)s)
  AND (%(since)s::timestamptz IS NULL OR (at >= %(since)s AND recorded_at >= %(since)s - interval '1 day'))
  AND (%(until)s::timestamptz IS NULL OR at < %(until)s)
  AND (%(at)s::timestamptz IS NULL OR (recorded_at, signal_id) > (%(at)s, %(id)s))
ORDER BY recorded_at, signal_id
LIMIT %(limit)s
"""
"""Nothing is told a day before it happens, which spares looking through all that was told before."""


page = Page(PAGE)
"""Transitions in the order in which they were recorded."""
