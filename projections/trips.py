"""Which trips did riders make, from where to where, how far, and how long did they stand on the way?"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from projections.model import Fact, Key, ReadModel
from projections.page import Page
from projections.sealed import Sealed, sealed
from schemas.signals import TripEnded, TripOver

TABLE = """
CREATE TABLE {table} (
    tenant      text        NOT NULL,
    rider_id    text        NOT NULL,
    trip_id     text        NOT NULL,
    device_id   text        NOT NULL,
    started_at  timestamptz NOT NULL,
    ended_at    timestamptz NOT NULL,
    metres      bigint      NOT NULL,
    moving_s    bigint      NOT NULL,
    idle_s      bigint      NOT NULL,
    stops       bigint      NOT NULL,
    why         text        NOT NULL,
    places      jsonb,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, rider_id, trip_id)
);
CREATE INDEX ON {table} (tenant, recorded_at, trip_id);
CREATE INDEX ON {table} (tenant, rider_id, started_at)
"""


class TripRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    rider_id: str
    trip_id: str
    device_id: str
    started_at: datetime
    ended_at: datetime
    metres: int
    moving_s: int
    idle_s: int
    """Of stops of a minute and more on the way; the rest of the time is `moving_s`."""
    stops: int
    why: TripOver
    """stood: there they stayed; unheard: nothing more came for long."""
    places: Sealed | None = None
    """Where it began and ended."""
    recorded_at: datetime


def keys(fact: Fact) -> Sequence[Key]:
    return ((fact.source.tenant, fact.source.aggregate_id, fact.source.event_id),)


def apply(row: TripRow | None, fact: Fact, key: Key) -> TripRow:
    event, source = fact.event, fact.source
    assert isinstance(event, TripEnded), "the model follows no other"
    return TripRow(
        tenant=source.tenant,
        rider_id=source.aggregate_id,
        trip_id=source.event_id,
        device_id=event.device_id,
        started_at=event.started_at,
        ended_at=event.ended_at,
        metres=event.metres,
        moving_s=event.moving_s,
        idle_s=event.idle_s,
        stops=event.stops,
        why=event.why,
        places=sealed(event.places, "TripEnded.places"),
        recorded_at=source.recorded_at,
    )


TRIPS = ReadModel(
    name="trips",
    version=2,
    table=TABLE,
    row=TripRow,
    key=("tenant", "rider_id", "trip_id"),
    events=frozenset({TripEnded}),
    keys=keys,
    apply=apply,
)

PAGE = """
SELECT * FROM trips
WHERE tenant = %(tenant)s
  AND (%(rider_id)s::text IS NULL OR rider_id = %(rider_id)s)
  AND (%(since)s::timestamptz IS NULL OR ended_at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR started_at < %(until)s)
  AND (%(at)s::timestamptz IS NULL OR (recorded_at, trip_id) > (%(at)s, %(id)s))
ORDER BY recorded_at, trip_id
LIMIT %(limit)s
"""

page = Page(PAGE)
"""In the order in which they were told: when they had ended."""
