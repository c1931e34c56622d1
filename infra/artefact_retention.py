"""What is older than its tenant keeps artefacts goes by itself: once a day, by one process, for an hour at most.

When the next is due stands in the database, so that no start puts it off. The first is due a day after the first start.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import structlog
from psycopg import AsyncConnection, OperationalError
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from commands.policy import Policy
from infra.artefact_sweep import kept_days_of, swept
from infra.artefacts import ObjectArtefacts, artefacts_of
from infra.settings import Settings
from projections.tables import MIGRATION_LOCK

EVERY = timedelta(days=1)
AGAIN_AFTER = timedelta(hours=2)
"""It began, where the store was lost or had too much for one sweep: longer than a sweep lasts."""
LOOK_EVERY_S = 600.0
LONGEST_S = 3_600.0

TABLE = """
CREATE TABLE IF NOT EXISTS artefact_sweeps (
    only_row boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    next_at  timestamptz NOT NULL
)
"""
FIRST = "INSERT INTO artefact_sweeps (next_at) VALUES (%s) ON CONFLICT DO NOTHING"
CLAIM = "UPDATE artefact_sweeps SET next_at = %s WHERE next_at <= %s"
SOONER = "UPDATE artefact_sweeps SET next_at = %s"

logger = structlog.get_logger()


async def retain(
    settings: Settings, pool: AsyncConnectionPool[AsyncConnection[Any]], policy: Policy, clock: Callable[[], datetime]
) -> None:
    """Until it is cancelled, unless the settings leave it to somebody."""
    if settings.sweep_artefacts:
        retention = Retention(pool, artefacts_of(settings), policy, clock)
        await retention.start()
        await retention.run()


class Retention:
    """`policy` is kept up to date by who gives it; of a tenant that it does not have everything stays."""

    def __init__(
        self,
        pool: AsyncConnectionPool[AsyncConnection[Any]],
        store: ObjectArtefacts,
        policy: Policy,
        clock: Callable[[], datetime],
    ) -> None:
        self._pool, self._store, self._policy, self._clock = pool, store, policy, clock

    async def start(self) -> None:
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
            await connection.execute(TABLE)
            await connection.execute(FIRST, (self._clock() + EVERY,))

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self.sweep_if_due()
            except (OperationalError, PoolTimeout) as lost:
                logger.warning("artefact sweep waits", error=lost)
            await asyncio.sleep(LOOK_EVERY_S)

    async def sweep_if_due(self) -> bool:
        """Whether it was. Of several that look at once one sweeps, and the day is claimed before it begins: what is
        begun is given up before the next may be due. Raises OperationalError, PoolTimeout."""
        now = self._clock()
        async with self._pool.connection() as connection:
            claimed = (await connection.execute(CLAIM, (now + EVERY, now))).rowcount == 1
        if claimed and not await self._swept(now):
            async with self._pool.connection() as connection:
                await connection.execute(SOONER, (now + AGAIN_AFTER,))
        return claimed

    async def _swept(self, now: datetime) -> bool:
        """Whether all was swept. What was deleted until the store was lost is gone."""
        try:
            async with asyncio.timeout(LONGEST_S):
                done = await swept(self._store, kept_days_of(self._policy), now, delete=True)
        except Exception as broken:  # by the store, or by what else stands in it: it takes no process with it
            logger.warning("artefacts were not all swept", error=repr(broken))
            return False
        logger.info(
            "artefacts swept",
            artefacts=sum(each.artefacts for each in done),
            deleted=sum(each.expired for each in done),
            deleted_bytes=sum(each.expired_bytes for each in done),
            unknown_tenants=sum(each.days is None for each in done),
        )
        return True
