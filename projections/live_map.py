"""Where is each rider now? Written by the telemetry stream with its own place, from the latest fix of each rider.

Fixes are kept for a while only, so beyond their retention this table does not come back from the log.
"""

from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

TABLE = """
CREATE TABLE IF NOT EXISTS live_map (
    tenant      text             NOT NULL,
    rider_id    text             NOT NULL,
    device_id   text             NOT NULL,
    lat         double precision NOT NULL,
    lon         double precision NOT NULL,
    accuracy_m  double precision NOT NULL,
    speed_mps   double precision,
    bearing_deg double precision,
    observed_at timestamptz      NOT NULL,
    received_at timestamptz      NOT NULL,
    PRIMARY KEY (tenant, rider_id)
) WITH (fillfactor = 70)
"""

PAGE = """
SELECT *, rider_id AS id FROM live_map
WHERE tenant = %(tenant)s
  AND (%(west)s::float8 IS NULL OR lon BETWEEN %(west)s AND %(east)s AND lat BETWEEN %(south)s AND %(north)s)
  AND (%(rider_id)s::text IS NULL OR rider_id = %(rider_id)s)
  AND (%(at)s::timestamptz IS NULL OR (observed_at, rider_id) > (%(at)s, %(id)s))
ORDER BY observed_at, rider_id
LIMIT %(limit)s
"""


async def page(connection: AsyncConnection, tenant: str, filters: dict[str, Any]) -> list[dict[str, Any]]:
    """Riders and where they are. Filters: west, south, east, north (degrees), rider_id; after (at, id); limit."""
    wanted = dict.fromkeys(("west", "south", "east", "north", "rider_id", "at", "id"))
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(PAGE, wanted | filters | {"tenant": tenant})
        return await cursor.fetchall()
