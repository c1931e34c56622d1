"""Of whom was nothing heard for too long, and who is heard again? Told of riders at work, by what they sent last.

A fix is heard, and so is whatever a rider says of a task that is theirs, or was until a moment ago. It has no table of
its own, since fixes are not on the aggregates' log. The rows read as deadlines, of which the rider judges.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from schemas.directory import SILENT_AFTER_SECONDS

QUERY = """
SELECT kind, tenant, aggregate_id, aggregate_id AS subject, heard_at, aggregate_id || '/' || version AS set_by,
       NULL::bigint AS round
FROM (
    SELECT roster.tenant, roster.rider_id AS aggregate_id, roster.version, heard.heard_at,
           CASE
           WHEN roster.silent_since IS NOT NULL
                AND heard.heard_at > roster.silent_since AND heard.heard_at > late.heard_by
           THEN 'record_rider_heard'
           WHEN roster.status = 'approved' AND NOT roster.on_break AND EXISTS (
               SELECT FROM jsonb_each(roster.reservations) AS reservation (task_id, its)
               WHERE greatest((its ->> 'activated_at')::timestamptz, (roster.shift ->> 'heard_at')::timestamptz,
                              heard.heard_at) <= late.heard_by
                 AND (its ->> 'active')::boolean
                 AND its -> 'round' IS DISTINCT FROM roster.asked_in_silence -> task_id
                 AND its -> 'round' IS DISTINCT FROM roster.handing_over -> task_id
           )
           THEN 'record_rider_silence'
           END AS kind
    FROM rider_roster AS roster
    LEFT JOIN live_map AS map USING (tenant, rider_id)
    LEFT JOIN unnest(%(clock_tenants)s::text[], %(ahead_s)s::bigint[]) AS clock (tenant, ahead_s) USING (tenant)
    LEFT JOIN unnest(%(rule_tenants)s::text[], %(after_s)s::bigint[]) AS rule (tenant, after_s) USING (tenant)
    CROSS JOIN LATERAL (
        SELECT %(now)s::timestamptz
               + make_interval(secs => coalesce(clock.ahead_s, 0) - coalesce(rule.after_s, %(default_s)s)) AS heard_by
    ) AS late
    CROSS JOIN LATERAL (
        SELECT CASE WHEN map.observed_at > late.heard_by THEN map.observed_at
               ELSE greatest(map.observed_at, (
                   SELECT max(recorded_at) FROM history
                   WHERE history.tenant = roster.tenant AND history.actor = roster.rider_id
                     AND history.aggregate_id IN (
                         SELECT jsonb_object_keys(roster.reservations)
                         UNION ALL SELECT jsonb_array_elements_text(roster.latest_tasks)
                     )
               )) END AS heard_at
    ) AS heard
    WHERE (roster.active_tasks > 0 OR roster.silent_since IS NOT NULL) AND roster.shift IS NOT NULL
) AS looked_at
WHERE kind IS NOT NULL
ORDER BY heard_at NULLS FIRST, aggregate_id
LIMIT %(limit)s
"""


async def silent(
    connection: AsyncConnection,
    now: datetime,
    limit: int,
    clocks_ahead: Mapping[Any, int] = MappingProxyType({}),
    silent_after: Mapping[Any, int] = MappingProxyType({}),
) -> list[dict[str, Any]]:
    """As deadlines: riders to be told that they fell silent, or are heard again, the longest unheard of first.
    `clocks_ahead` and `silent_after` are seconds, by tenant; of the others the clock is real and the rule the default.
    """
    wanted = {
        "now": now,
        "limit": limit,
        "clock_tenants": list(clocks_ahead),
        "ahead_s": list(clocks_ahead.values()),
        "rule_tenants": list(silent_after),
        "after_s": list(silent_after.values()),
        "default_s": SILENT_AFTER_SECONDS,
    }
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(QUERY, wanted)
        return await cursor.fetchall()
