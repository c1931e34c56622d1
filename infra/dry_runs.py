"""What dispatch would decide at this moment by other rules, out of the read models."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace
from psycopg import AsyncConnection

from infra.lookups import Lookups, Pool
from projections.task_detail import some as some_tasks
from schemas.message import RiderId, TaskId, TenantSlug
from streams.dispatch.dry_run import ByBoth, DryRun
from streams.dispatch.other_rules import with_given
from streams.dispatch.tendering import KnownTask
from streams.dispatch.ways import Router

ASKED = """
SELECT named.task_id, offer.value ->> 'rider_id'
FROM tender_board
CROSS JOIN LATERAL (
    SELECT tender_board.task_id UNION SELECT other ->> 'task_id' FROM jsonb_array_elements(bundle) AS other
) AS named
CROSS JOIN LATERAL jsonb_each(offers) AS offer
WHERE tenant = %s AND state = 'open' AND named.task_id = ANY(%s)
  AND offer.value ->> 'carrier_id' IS NULL AND offer.value ->> 'state' IN ('sent', 'viewed', 'claimed')
"""


class DispatchDryRuns:
    def __init__(self, pool: Pool, lookups: Lookups, router: Router) -> None:
        self._pool, self._lookups, self._router = pool, lookups, router

    async def decided(
        self, tenant: TenantSlug, tasks: Sequence[TaskId], given: Mapping[str, Any]
    ) -> Mapping[TaskId, ByBoth]:
        rules = await self._lookups.rules(tenant)
        others = replace(rules, dispatch=with_given(rules.dispatch, given))
        async with self._pool.connection() as connection:
            known = await self._known(connection, tenant, tasks)
            asked = await asked_by_their_own(connection, tenant, tasks)
        dry_run = DryRun(tenant, self._lookups.now(tenant), self._lookups, self._router)
        return {task.task_id: await dry_run.by_both(task, rules, others, asked[task.task_id]) for task in known}

    async def _known(
        self, connection: AsyncConnection[Any], tenant: TenantSlug, tasks: Sequence[TaskId]
    ) -> list[KnownTask]:
        """In their order, those that have a stop ahead whose place is known."""
        rows = await some_tasks(connection, tenant, tasks)
        known = [self._lookups.known_task(rows[task_id], tenant) for task_id in tasks if task_id in rows]
        return [task for task in known if task.ahead]


async def asked_by_their_own(
    connection: AsyncConnection[Any], tenant: TenantSlug, tasks: Sequence[TaskId]
) -> Mapping[TaskId, frozenset[RiderId]]:
    """Of each task the riders who have an offer of its own open tender."""
    cursor = await connection.execute(ASKED, (tenant, list(tasks)))
    rows = await cursor.fetchall()
    return {task: frozenset(RiderId(rider) for of, rider in rows if of == task) for task in tasks}
