"""What was odd about riders' ways, what shows it, and is it over?"""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from projections.model import Fact, Key, ReadModel
from projections.page import Page
from projections.sealed import Sealed, sealed
from schemas.signals import AnomalyCleared, AnomalyDetected, AnomalyKind, AnomalyOver

TABLE = """
CREATE TABLE {table} (
    tenant      text        NOT NULL,
    rider_id    text        NOT NULL,
    anomaly_id  text        NOT NULL,
    kind        text        NOT NULL,
    state       text        NOT NULL,
    device_id   text        NOT NULL,
    since       timestamptz NOT NULL,
    at          timestamptz NOT NULL,
    "limit"     float8      NOT NULL,
    measured    float8      NOT NULL,
    evidence    jsonb,
    over_at     timestamptz,
    why_over    text,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, rider_id, anomaly_id)
);
CREATE INDEX ON {table} (tenant, recorded_at, anomaly_id);
CREATE INDEX ON {table} (tenant, rider_id, recorded_at);
CREATE INDEX ON {table} (tenant, recorded_at, anomaly_id) WHERE state = 'open'
"""
STATES = ("open", "cleared")


class AnomalyRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    rider_id: str
    anomaly_id: str
    kind: AnomalyKind
    state: str = "open"
    """open, or cleared: it is over."""
    device_id: str
    since: datetime
    """From when on it was so."""
    at: datetime
    """When that was sure."""
    limit: float
    """Of the tenant's rules, in units of the kind: m/s, m/s², metres, seconds, fixes."""
    measured: float
    evidence: Sealed | None = None
    """The fixes that show it."""
    over_at: datetime | None = None
    why_over: AnomalyOver | None = None
    recorded_at: datetime


def keys(fact: Fact) -> Sequence[Key]:
    """What is over is named by the signal that told of it."""
    event, source = fact.event, fact.source
    anomaly_id = event.anomaly_id if isinstance(event, AnomalyCleared) else source.event_id
    return ((source.tenant, source.aggregate_id, anomaly_id),)


def apply(row: AnomalyRow | None, fact: Fact, key: Key) -> AnomalyRow:
    event, source = fact.event, fact.source
    if isinstance(event, AnomalyCleared):
        assert row is not None, "what is over was told before, on the same partition"
        return row if row.over_at else replace(row, state="cleared", over_at=event.at, why_over=event.why)
    assert isinstance(event, AnomalyDetected), "the model follows no other"
    return AnomalyRow(
        tenant=source.tenant,
        rider_id=source.aggregate_id,
        anomaly_id=source.event_id,
        kind=event.kind,
        device_id=event.device_id,
        since=event.since,
        at=event.at,
        limit=event.limit,
        measured=event.measured,
        evidence=sealed(event.evidence, "AnomalyDetected.evidence"),
        recorded_at=source.recorded_at,
    )


ANOMALIES = ReadModel(
    name="anomalies",
    version=1,
    table=TABLE,
    row=AnomalyRow,
    key=("tenant", "rider_id", "anomaly_id"),
    events=frozenset({AnomalyDetected, AnomalyCleared}),
    keys=keys,
    apply=apply,
)

PAGE = """
SELECT * FROM anomalies
WHERE tenant = %(tenant)s
  AND (%(rider_id)s::text IS NULL OR rider_id = %(rider_id)s)
  AND (%(kind)s::text IS NULL OR kind = %(kind)s)
  AND (%(state)s::text IS NULL OR state = %(state)s)
  AND (%(at)s::timestamptz IS NULL OR (recorded_at, anomaly_id) > (%(at)s, %(id)s))
ORDER BY recorded_at, anomaly_id
LIMIT %(limit)s
"""

page = Page(PAGE)
"""In the order in which they were recorded."""
