"""How good were the forecasts? Each that was made of a stop, beside when the rider was there."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from projections.model import Fact, Key, ReadModel
from projections.page import Page
from schemas.signals import EtaScored

TABLE = """
CREATE TABLE {table} (
    tenant      text        NOT NULL,
    task_id     text        NOT NULL,
    stop_id     text        NOT NULL,
    rider_id    text        NOT NULL,
    forecast_at timestamptz NOT NULL,
    arrived_at  timestamptz NOT NULL,
    p10         timestamptz NOT NULL,
    p50         timestamptz NOT NULL,
    p90         timestamptz NOT NULL,
    model       text        NOT NULL,
    source      text        NOT NULL,
    horizon_s   float8      NOT NULL,
    error_s     float8      NOT NULL,
    by_p50      boolean     NOT NULL,
    by_p90      boolean     NOT NULL,
    in_band     boolean     NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, task_id, stop_id, rider_id, forecast_at)
);
CREATE INDEX ON {table} (tenant, arrived_at)
"""


class EtaScoreRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    task_id: str
    stop_id: str
    rider_id: str
    forecast_at: datetime
    arrived_at: datetime
    p10: datetime
    p50: datetime
    p90: datetime
    model: str
    source: str
    horizon_s: float
    """From the forecast to the arrival."""
    error_s: float
    """Above nothing it was told too late."""
    by_p50: bool
    """The rider was there by then."""
    by_p90: bool
    in_band: bool
    """Between p10 and p90."""
    recorded_at: datetime


def keys(fact: Fact) -> Sequence[Key]:
    event, source = fact.event, fact.source
    assert isinstance(event, EtaScored), "the model follows no other"
    return [
        (source.tenant, event.task_id, event.stop_id, source.aggregate_id, forecast.at) for forecast in event.forecasts
    ]


def apply(row: EtaScoreRow | None, fact: Fact, key: Key) -> EtaScoreRow:
    event, source = fact.event, fact.source
    assert isinstance(event, EtaScored), "the model follows no other"
    made = next(forecast for forecast in event.forecasts if forecast.at == key[-1])
    there = event.arrived_at
    return EtaScoreRow(
        tenant=source.tenant,
        task_id=event.task_id,
        stop_id=event.stop_id,
        rider_id=source.aggregate_id,
        forecast_at=made.at,
        arrived_at=there,
        p10=made.p10,
        p50=made.p50,
        p90=made.p90,
        model=made.model,
        source=made.source,
        horizon_s=(there - made.at).total_seconds(),
        error_s=(made.p50 - there).total_seconds(),
        by_p50=there <= made.p50,
        by_p90=there <= made.p90,
        in_band=made.p10 <= there <= made.p90,
        recorded_at=source.recorded_at,
    )


ETA_SCORES = ReadModel(
    name="eta_scores",
    version=1,
    table=TABLE,
    row=EtaScoreRow,
    key=("tenant", "task_id", "stop_id", "rider_id", "forecast_at"),
    events=frozenset({EtaScored}),
    keys=keys,
    apply=apply,
)

PAGE = """
SELECT *, task_id || '/' || stop_id || '/' || rider_id AS id
FROM eta_scores
WHERE tenant = %(tenant)s
  AND (%(task_id)s::text IS NULL OR task_id = %(task_id)s)
  AND (%(rider_id)s::text IS NULL OR rider_id = %(rider_id)s)
  AND (%(model)s::text IS NULL OR model = %(model)s)
  AND (%(at)s::timestamptz IS NULL
       OR (forecast_at, task_id || '/' || stop_id || '/' || rider_id) > (%(at)s, %(id)s))
ORDER BY forecast_at, id
LIMIT %(limit)s
"""

page = Page(PAGE)
"""Forecasts of which is known what came true, the oldest first."""

GROUPS = {
    "horizon": """CASE WHEN horizon_s < 300 THEN 'under 5 min' WHEN horizon_s < 900 THEN '5 to 15 min'
                       WHEN horizon_s < 1800 THEN '15 to 30 min' WHEN horizon_s < 3600 THEN '30 to 60 min'
                       ELSE 'over 60 min' END""",
    "model": "model",
    "source": "source",
    "hour": "lpad(extract(hour FROM arrived_at AT TIME ZONE 'UTC')::text, 2, '0')",
    "rider": "rider_id",
}
"""What forecasts are counted together by."""
MOST_GROUPS = 1_000
STATISTICS = """
SELECT {group} AS "group",
       count(*) AS forecasts,
       count(DISTINCT (task_id, stop_id, rider_id)) AS arrivals,
       avg(abs(error_s)) AS mean_absolute_s,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY abs(error_s)) AS median_absolute_s,
       percentile_cont(0.9) WITHIN GROUP (ORDER BY abs(error_s)) AS p90_absolute_s,
       avg(error_s) AS bias_s,
       avg(by_p50::int) AS by_p50,
       avg(by_p90::int) AS by_p90,
       avg(in_band::int) AS in_band,
       avg(extract(epoch FROM p90 - p10)) AS width_s
FROM eta_scores
WHERE tenant = %(tenant)s
  AND (%(since)s::timestamptz IS NULL OR arrived_at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR arrived_at < %(until)s)
GROUP BY 1
ORDER BY min(horizon_s), 1
LIMIT {most}
"""


async def statistics(connection: AsyncConnection, tenant: str, by: str, period: dict[str, Any]) -> list[dict[str, Any]]:
    """How far forecasts were off and how often their bounds held, of arrivals within `since` and `until`; `by` is one
    of `GROUPS`. At most a thousand groups."""
    asked = STATISTICS.format(group=GROUPS[by], most=MOST_GROUPS)
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(asked.encode(), {"since": None, "until": None} | period | {"tenant": tenant})
        rows = await cursor.fetchall()
    return [{name: rounded(value) for name, value in row.items()} for row in rows]


def rounded(value: Any) -> Any:
    return value if isinstance(value, (str, int)) or value is None else round(float(value), 3)
