"""Which trips did riders make, from where to where, how far, and how long did they stand on the way? Their mileage."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import dict_row

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
    vehicle_id  text,
    started_at  timestamptz NOT NULL,
    ended_at    timestamptz NOT NULL,
    metres      bigint      NOT NULL,
    moving_s    bigint      NOT NULL,
    idle_s      bigint      NOT NULL,
    stops       bigint      NOT NULL,
    why         text        NOT NULL,
    places      jsonb,
    frame       text,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, rider_id, trip_id)
);
CREATE INDEX ON {table} (tenant, recorded_at, trip_id);
CREATE INDEX ON {table} (tenant, rider_id, started_at);
CREATE INDEX ON {table} (tenant, trip_id)
"""


class TripRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    rider_id: str
    trip_id: str
    device_id: str
    vehicle_id: str | None
    """The one that the rider had then."""
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
    frame: str | None = None
    """The place in the log of the frame that led to it: what was told later is none of it."""
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
        vehicle_id=event.vehicle_id,
        started_at=event.started_at,
        ended_at=event.ended_at,
        metres=event.metres,
        moving_s=event.moving_s,
        idle_s=event.idle_s,
        stops=event.stops,
        why=event.why,
        places=sealed(event.places, "TripEnded.places"),
        frame=fact.envelope.causation_id,
        recorded_at=source.recorded_at,
    )


TRIPS = ReadModel(
    name="trips",
    version=3,
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
  AND (%(vehicle_id)s::text IS NULL OR vehicle_id = %(vehicle_id)s)
  AND (%(since)s::timestamptz IS NULL OR ended_at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR started_at < %(until)s)
  AND (%(at)s::timestamptz IS NULL OR (recorded_at, trip_id) > (%(at)s, %(id)s))
ORDER BY recorded_at, trip_id
LIMIT %(limit)s
"""

page = Page(PAGE)
"""In the order in which they were told: when they had ended."""

ONE = "SELECT * FROM trips WHERE tenant = %s AND trip_id = %s"


async def one(connection: AsyncConnection, tenant: str, trip_id: str) -> dict[str, Any] | None:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(ONE, (tenant, trip_id))
        return await cursor.fetchone()


OF_WHOM = {"rider": "rider_id", "vehicle": "coalesce(vehicle_id, '')"}
"""Whose mileage it is."""
MILEAGE = """
SELECT * FROM (
    SELECT (started_at AT TIME ZONE %(zone)s)::date AS day, {whom} AS id,
           count(*) AS trips, sum(metres)::bigint AS metres, sum(moving_s)::bigint AS moving_s,
           sum(idle_s)::bigint AS idle_s, sum(stops)::bigint AS stops,
           min(started_at) AS first_started_at, max(ended_at) AS last_ended_at
    FROM trips
    WHERE tenant = %(tenant)s
      AND (%(rider_id)s::text IS NULL OR rider_id = %(rider_id)s)
      AND (%(vehicle_id)s::text IS NULL OR vehicle_id = %(vehicle_id)s)
      AND (%(since)s::timestamptz IS NULL OR started_at >= %(since)s)
      AND (%(until)s::timestamptz IS NULL OR started_at < %(until)s)
    GROUP BY 1, 2
) AS days
WHERE %(after_day)s::date IS NULL OR (day, id) > (%(after_day)s, %(after_id)s)
ORDER BY day, id
LIMIT %(limit)s
"""

mileage = {by: Page(MILEAGE.format(whom=whom)) for by, whom in OF_WHOM.items()}
"""Day by day of a time zone, and in each by rider or by vehicle; a trip counts for the day on which it began."""
