"""Where is each rider now? Written by the telemetry stream with its own place, from the latest fix of each rider.

Fixes are kept for a while only, so beyond their retention this table does not come back from the log. What a rider does
off duty is nobody's to see: where they were last stays for a while, for who asks for it.
"""

from datetime import datetime

import msgspec

from projections.model import StreamTable
from projections.page import Page
from schemas.topics import FIXES

TABLE = """
CREATE TABLE IF NOT EXISTS live_map (
    tenant      text             NOT NULL,
    rider_id    text             NOT NULL,
    device_id   text             NOT NULL,
    lat         double precision NOT NULL,
    lon         double precision NOT NULL,
    accuracy_m  double precision,
    speed_mps   double precision,
    bearing_deg double precision,
    observed_at timestamptz      NOT NULL,
    received_at timestamptz      NOT NULL,
    PRIMARY KEY (tenant, rider_id)
) WITH (fillfactor = 70);
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_attribute
               WHERE attrelid = 'live_map'::regclass AND attname = 'accuracy_m' AND attnotnull) THEN
        ALTER TABLE live_map ALTER COLUMN accuracy_m DROP NOT NULL;
    END IF;
END $$
"""
"""The second statement is for a table that is older than accuracies that are not known; it locks nothing else."""


class LiveMapRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    rider_id: str
    device_id: str
    lat: float
    lon: float
    accuracy_m: float | None
    """This, the speed and the bearing are null where the device does not tell them."""
    speed_mps: float | None
    bearing_deg: float | None
    observed_at: datetime
    received_at: datetime
    on_duty: bool
    """As the roster knows it: whether they are on a shift, be it ending. Simulated couriers always are."""


LIVE_MAP = StreamTable(name="live_map", row=LiveMapRow, key=("tenant", "rider_id"), topics=frozenset({FIXES.name}))

PAGE = """
WITH told AS (
    SELECT map.*,
           roster.rider_id IS NULL OR roster.simulated OR roster.shift ->> 'shift_id' IS NOT NULL AS on_duty
    FROM live_map AS map LEFT JOIN rider_roster AS roster USING (tenant, rider_id)
    WHERE tenant = %(tenant)s
)
SELECT * FROM told
WHERE on_duty = coalesce(%(on_duty)s, true)
  AND (%(west)s::float8 IS NULL OR lat BETWEEN %(south)s AND %(north)s AND
       CASE WHEN %(west)s <= %(east)s THEN lon BETWEEN %(west)s AND %(east)s
            ELSE lon >= %(west)s OR lon <= %(east)s END)
  AND (%(rider_id)s::text IS NULL OR rider_id = %(rider_id)s)
  AND (%(at)s::timestamptz IS NULL OR (observed_at, rider_id) > (%(at)s, %(id)s))
ORDER BY observed_at, rider_id
LIMIT %(limit)s
"""
"""A box from west to east may cross the antimeridian. Whom the roster does not know yet has come on duty just now: a
fix off duty is not taken."""


page = Page(PAGE)
"""Riders and where they are."""
