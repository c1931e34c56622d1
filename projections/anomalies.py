"""What was odd about riders' ways, what shows it, is it over, and does anybody have to see to it?"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace
from psycopg import AsyncConnection

from projections.model import Fact, Key, ReadModel
from projections.page import Page
from projections.sealed import Sealed, sealed
from schemas.rider import AnomalyDismissed
from schemas.signals import AnomalyCleared, AnomalyDetected, AnomalyKind, AnomalyOver

TABLE = """
CREATE TABLE {table} (
    tenant      text        NOT NULL,
    rider_id    text        NOT NULL,
    anomaly_id  text        NOT NULL,
    kind        text,
    state       text        NOT NULL,
    device_id   text,
    since       timestamptz,
    at          timestamptz,
    "limit"     float8,
    measured    float8,
    evidence    jsonb,
    over_at     timestamptz,
    why_over    text,
    dismissed_at timestamptz,
    dismissed_by text,
    dismissed_reason text,
    dismissed_note jsonb,
    recorded_at timestamptz,
    PRIMARY KEY (tenant, rider_id, anomaly_id)
);
CREATE INDEX ON {table} (tenant, recorded_at, anomaly_id);
CREATE INDEX ON {table} (tenant, rider_id, recorded_at);
CREATE INDEX ON {table} (tenant, recorded_at, anomaly_id) WHERE state = 'open'
"""
STATES = ("open", "cleared", "dismissed")


class AnomalyRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    rider_id: str
    anomaly_id: str
    kind: AnomalyKind | None = None
    """As all that was told of it not there where a rebuild has come to its dismissal first: such a one is not shown."""
    state: str = "open"
    """open; cleared: it is over; dismissed: somebody has looked at it, whether or not it is over."""
    device_id: str | None = None
    since: datetime | None = None
    """From when on it was so."""
    at: datetime | None = None
    """When that was sure."""
    limit: float | None = None
    """Of the tenant's rules, in units of the kind: m/s, m/s², metres, seconds, fixes."""
    measured: float | None = None
    evidence: Sealed | None = None
    """The fixes that show it."""
    over_at: datetime | None = None
    why_over: AnomalyOver | None = None
    dismissed_at: datetime | None = None
    dismissed_by: str | None = None
    dismissed_reason: str | None = None
    dismissed_note: Sealed | None = None
    recorded_at: datetime | None = None


def keys(fact: Fact) -> Sequence[Key]:
    """What is over, or dismissed, is named by the signal that told of it."""
    event, source = fact.event, fact.source
    named = event.anomaly_id if isinstance(event, (AnomalyCleared, AnomalyDismissed)) else source.event_id
    return ((source.tenant, source.aggregate_id, named),)


def apply(row: AnomalyRow | None, fact: Fact, key: Key) -> AnomalyRow:
    """Signals and the rider's own facts come in any order; each of the two in its own."""
    event, source = fact.event, fact.source
    row = row or AnomalyRow(tenant=source.tenant, rider_id=source.aggregate_id, anomaly_id=key[2])
    match event:
        case AnomalyDetected():
            row = row if row.kind else detected(row, event, fact)
        case AnomalyCleared():
            assert row.kind, "what is over was told before, on the same partition"
            row = row if row.over_at else replace(row, over_at=event.at, why_over=event.why)
        case AnomalyDismissed():
            row = replace(
                row,
                dismissed_at=source.recorded_at,
                dismissed_by=source.actor,
                dismissed_reason=event.reason_code,
                dismissed_note=sealed(event.note, "AnomalyDismissed.note"),
            )
        case _:
            raise AssertionError("the model follows no other")
    return replace(row, state="dismissed" if row.dismissed_at else "cleared" if row.over_at else "open")


def detected(row: AnomalyRow, event: AnomalyDetected, fact: Fact) -> AnomalyRow:
    return replace(
        row,
        kind=event.kind,
        device_id=event.device_id,
        since=event.since,
        at=event.at,
        limit=event.limit,
        measured=event.measured,
        evidence=sealed(event.evidence, "AnomalyDetected.evidence"),
        recorded_at=fact.source.recorded_at,
    )


ANOMALIES = ReadModel(
    name="anomalies",
    version=2,
    table=TABLE,
    row=AnomalyRow,
    key=("tenant", "rider_id", "anomaly_id"),
    events=frozenset({AnomalyDetected, AnomalyCleared, AnomalyDismissed}),
    keys=keys,
    apply=apply,
)

PAGE = """
SELECT * FROM anomalies
WHERE tenant = %(tenant)s
  AND kind IS NOT NULL
  AND (%(rider_id)s::text IS NULL OR rider_id = %(rider_id)s)
  AND (%(kind)s::text IS NULL OR kind = %(kind)s)
  AND (%(state)s::text IS NULL OR state = %(state)s)
  AND (%(since)s::timestamptz IS NULL OR over_at IS NULL OR over_at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR since < %(until)s)
  AND (%(at)s::timestamptz IS NULL OR (recorded_at, anomaly_id) > (%(at)s, %(id)s))
ORDER BY recorded_at, anomaly_id
LIMIT %(limit)s
"""

page = Page(PAGE)
"""In the order in which they were recorded."""

KNOWN = """
SELECT 1 FROM anomalies
WHERE tenant = %s AND rider_id = %s AND anomaly_id = %s AND kind IS NOT NULL
"""


async def is_known(connection: AsyncConnection[Any], tenant: str, rider_id: str, anomaly_id: str) -> bool:
    found = await connection.execute(KNOWN, (tenant, rider_id, anomaly_id))
    return await found.fetchone() is not None
