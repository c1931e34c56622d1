"""What routing providers are asked a day, counted by all processes together: a row of each tenant, provider and day."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import structlog
from psycopg import AsyncConnection, OperationalError
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from projections.tables import MIGRATION_LOCK
from streams.routing.budgets import Budget, Taken
from streams.routing.provider import Cost

KEPT_DAYS = 90
WITHIN_S = 0.25
"""Who would wait longer for the count than for the answer asks somebody else."""
TABLE = """
CREATE TABLE IF NOT EXISTS routing_budgets (
    tenant   text   NOT NULL,
    provider text   NOT NULL,
    day      date   NOT NULL,
    requests bigint NOT NULL,
    elements bigint NOT NULL,
    PRIMARY KEY (tenant, provider, day)
)
"""
LET_GO = "DELETE FROM routing_budgets WHERE day < %s"
BEGIN = "INSERT INTO routing_budgets VALUES (%s, %s, %s, 0, 0) ON CONFLICT DO NOTHING"
TAKE = """
UPDATE routing_budgets
SET requests = requests + %(requests)s, elements = elements + %(elements)s
WHERE tenant = %(tenant)s AND provider = %(provider)s AND day = %(day)s
  AND (%(most_requests)s::bigint IS NULL OR requests + %(requests)s <= %(most_requests)s)
  AND (%(most_elements)s::bigint IS NULL OR elements + %(elements)s <= %(most_elements)s)
"""

logger = structlog.get_logger()


class CountedInPostgres:
    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[Any]]) -> None:
        self._pool = pool

    async def make(self) -> None:
        before = datetime.now(UTC).date() - timedelta(days=KEPT_DAYS)
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
            await connection.execute(TABLE)
            await connection.execute(LET_GO, (before,))

    async def take(self, tenant: str, provider: str, day: date, cost: Cost, budget: Budget) -> Taken:
        """`unknown` where the database does not answer in time."""
        asked = {
            "tenant": tenant,
            "provider": provider,
            "day": day,
            "requests": cost.requests,
            "elements": cost.elements,
            "most_requests": budget.requests,
            "most_elements": budget.elements,
        }
        try:
            async with asyncio.timeout(WITHIN_S), self._pool.connection() as connection:
                await connection.execute(BEGIN, (tenant, provider, day))
                taken = await connection.execute(TAKE, asked)
                return "taken" if taken.rowcount else "used_up"
        except (OperationalError, PoolTimeout, TimeoutError) as lost:
            logger.warning("nobody counts what routing providers are asked", tenant=tenant, error=repr(lost))
            return "unknown"
