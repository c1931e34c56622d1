"""Which tasks do simulated couriers go about now, and where were they seen last? It has no table of its own, since
fixes are not on the aggregates' log."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

LATELY = timedelta(minutes=1)
"""What has moved on since then is looked at, too: a clock that was advanced leaves whole ways behind."""
MOST = 200
"""Of a tenant."""

QUERY = """
SELECT roster.tenant, roster.rider_id, roster.external_reference AS device_id,
       detail.task_id, detail.outlet, detail.stops, detail.progress, detail.simulation,
       map.lat, map.lon, map.observed_at
FROM (
    SELECT tenant, rider_id, task_id, updated_at,
           row_number() OVER (PARTITION BY tenant ORDER BY updated_at DESC) AS place
    FROM (
        SELECT tenant, rider_id, task_id, board.updated_at
        FROM rider_roster AS courier JOIN task_board AS board USING (tenant, rider_id)
        WHERE courier.simulated AND board.leg LIKE 'en_route%%'
        UNION
        SELECT tenant, rider_id, task_id, board.updated_at
        FROM rider_roster AS courier JOIN task_board AS board USING (tenant, rider_id)
        LEFT JOIN unnest(%(tenants)s::text[], %(ahead_s)s::bigint[]) AS clock (tenant, ahead_s) USING (tenant)
        WHERE courier.simulated
          AND board.updated_at > %(since)s::timestamptz + make_interval(secs => coalesce(clock.ahead_s, 0))
    ) AS each
) AS moved
JOIN rider_roster AS roster USING (tenant, rider_id)
JOIN task_detail AS detail USING (tenant, task_id)
LEFT JOIN live_map AS map USING (tenant, rider_id)
WHERE place <= %(limit)s AND detail.progress ->> 'rider_id' = roster.rider_id
ORDER BY moved.updated_at DESC, task_id
"""


async def gone_about(
    connection: AsyncConnection[Any], now: datetime, clocks_ahead: Mapping[Any, int] = MappingProxyType({})
) -> list[dict[str, Any]]:
    """The latest first. `clocks_ahead` is seconds, by tenant; of the others the clock is real."""
    wanted = {
        "tenants": list(clocks_ahead),
        "ahead_s": list(clocks_ahead.values()),
        "since": now - LATELY,
        "limit": MOST,
    }
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(QUERY, wanted)
        return await cursor.fetchall()
