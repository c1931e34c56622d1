"""What a play has come to, counted out of the read models."""

from collections import Counter
from collections.abc import Sequence
from statistics import mean, median
from typing import Any

import msgspec
from psycopg import AsyncConnection

OUTCOMES = """
SELECT CASE WHEN state = 'dispatchable' AND round >= %(rounds)s THEN 'nobody took it'
            WHEN state = 'completed' THEN coalesce(outcome, 'completed') || CASE WHEN late THEN ', late' ELSE '' END
            ELSE state END AS what,
       count(*)
FROM task_board WHERE tenant = %(tenant)s GROUP BY 1 ORDER BY 2 DESC, 1
"""
ASIDE = "SELECT reason, count(*) FROM quarantine WHERE tenant = %(tenant)s GROUP BY 1 ORDER BY 1"
CROSSINGS = "SELECT transition, count(*) FROM fence_alerts WHERE tenant = %(tenant)s GROUP BY 1 ORDER BY 1"
CORRECTED = """
SELECT state, count(*) FROM fence_alerts WHERE tenant = %(tenant)s AND state <> 'standing' GROUP BY 1 ORDER BY 1
"""
FORECASTS = """
SELECT extract(epoch FROM arrived_at - first_p50)::float8
FROM etas WHERE tenant = %(tenant)s AND arrived_at IS NOT NULL AND first_p50 IS NOT NULL
"""
INTERESTING = """
WITH told AS (
    SELECT aggregate_id AS task_id, count(*) FILTER (WHERE type = 'DeliveryAttemptFailed') AS attempts
    FROM history WHERE tenant = %(tenant)s AND topic = 'logistics.task' GROUP BY 1
), asked AS (
    SELECT task_id, count(*) AS rounds,
           sum((SELECT count(*) FROM jsonb_each(offers) AS o WHERE o.value ->> 'state' IN ('declined', 'expired')))
               AS refusals
    FROM tender_board WHERE tenant = %(tenant)s GROUP BY 1
)
SELECT DISTINCT ON (kind) kind, task_id FROM (
    SELECT task_id, coalesce(attempts, 0) * 3 + coalesce(refusals, 0) * 2 + coalesce(rounds, 0)
               + CASE WHEN late THEN 3 ELSE 0 END + conflicts AS weight,
           CASE WHEN state = 'dispatchable' THEN 'the one that nobody took after most refusals'
                WHEN state = 'returned' THEN 'the return with most turns'
                ELSE 'of the others the one with most turns' END
               AS kind
    FROM task_board LEFT JOIN told USING (task_id) LEFT JOIN asked USING (task_id) WHERE tenant = %(tenant)s
) AS weighed ORDER BY kind, weight DESC, task_id
"""
"""One that nobody took, one that came back, and of the others the one with the most turns."""


class EtaError(msgspec.Struct, frozen=True, kw_only=True):
    """Of the first forecast of each stop against the arrival, seconds; positive: the rider came later."""

    count: int
    mean_absolute_s: float
    median_absolute_s: float
    bias_s: float


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    outcomes: dict[str, int]
    aside: dict[str, int]
    crossings: dict[str, int]
    corrected: dict[str, int]
    eta: EtaError | None
    interesting: dict[str, str]
    """Why it is, and the task."""


async def figures(dsn: str, tenant: str, rounds: int) -> Figures:
    """`rounds` are the rounds after which a task is given up."""
    given = {"tenant": tenant, "rounds": rounds}
    async with await AsyncConnection.connect(dsn) as connection:

        async def rows(sql: str) -> list[tuple[Any, ...]]:
            return await (await connection.execute(sql.encode(), given)).fetchall()

        return Figures(
            outcomes=dict(await rows(OUTCOMES)),
            aside=dict(await rows(ASIDE)),
            crossings=dict(await rows(CROSSINGS)),
            corrected=dict(await rows(CORRECTED)),
            eta=eta_error([late for (late,) in await rows(FORECASTS)]),
            interesting=dict(await rows(INTERESTING)),
        )


def eta_error(late_s: Sequence[float]) -> EtaError | None:
    if not late_s:
        return None
    return EtaError(
        count=len(late_s),
        mean_absolute_s=mean(map(abs, late_s)),
        median_absolute_s=median(map(abs, late_s)),
        bias_s=mean(late_s),
    )


def total(counts: dict[str, int] | Counter[str]) -> int:
    return sum(counts.values())
