"""Where closed windows are decided on, each once: beside the facts, which wait for none of them.

Of a tenant one at a time, so that who is asked by the one is known to be busy by the next.
"""

import asyncio
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any

import structlog
from msgspec import convert
from psycopg import AsyncConnection, OperationalError
from psycopg_pool import AsyncConnectionPool

from infra.again_and_again import again_and_again
from projections import tender_board
from projections.windows import to_decide
from schemas.dispatch_window import DecideWindow, GivenTask, Left, WaitingTask
from schemas.ids import tender_id
from schemas.message import TenantSlug, WindowId
from streams.deadlines import source_of
from streams.dispatch.decision import Clock
from streams.dispatch.windows import ClosedWindow, WindowDecision, not_decided
from streams.process import BROKEN, NotAllowed, NotNow, Send, Step

EVERY_S = 0.25
AT_ONCE = 4
"""Windows that are decided on side by side, each of another tenant."""
AGAIN_S = 0.25
"""After which a tenant is looked at again: until then its windows may be shown as they were."""
OFFERED_WITHIN_S = 30.0
"""So long the tenders of the window before are waited for."""

type Pool = AsyncConnectionPool[AsyncConnection[Any]]

logger = structlog.get_logger()


class WindowDesk:
    def __init__(self, pool: Pool, decide: WindowDecision, send: Send, clock: Clock) -> None:
        self._pool, self._decide, self._send, self._clock = pool, decide, send, clock
        self._busy: dict[TenantSlug, asyncio.Task[None]] = {}
        self._later: dict[TenantSlug, float] = {}

    async def run(self) -> None:
        """Until it is cancelled."""
        try:
            await again_and_again("windows", self.look, EVERY_S)
        finally:
            for task in self._busy.values():
                task.cancel()
            await asyncio.gather(*self._busy.values(), return_exceptions=True)

    async def look(self) -> int:
        """Begins with what has closed; how many are under way."""
        self._busy = {tenant: task for tenant, task in self._busy.items() if not task.done()}
        self._later = {tenant: at for tenant, at in self._later.items() if at > monotonic()}
        room = AT_ONCE - len(self._busy)
        if room:
            async with self._pool.connection() as connection:
                rows = await to_decide(connection, [*self._busy, *self._later], room)
            for row in rows:
                self._busy[row["tenant"]] = asyncio.create_task(self._through(row))
        return len(self._busy)

    async def _through(self, row: Mapping[str, Any]) -> None:
        window = window_of(row)
        tenant = window.tenant
        try:
            command = await self.decided(window)
            await self.sent(row, command)
            await self._offered(tenant, command)
        except (NotNow, OperationalError) as later:
            logger.info("window waits", tenant=tenant, window_id=window.window_id, why=str(later))
        self._later[tenant] = monotonic() + AGAIN_S

    async def decided(self, window: ClosedWindow) -> DecideWindow:
        """Raises NotNow."""
        try:
            return await self._decide(window)
        except (*BROKEN, MemoryError):
            logger.exception("window cannot be decided on", tenant=window.tenant, window_id=window.window_id)
            return not_decided(window)

    async def sent(self, row: Mapping[str, Any], command: DecideWindow) -> None:
        """Raises NotNow."""
        window_id = row["window_id"]
        step = Step(kind="window", aggregate_id=window_id, command=command, purpose="decide-window")
        closed = {"kind": "decide_window", "aggregate_id": window_id, "set_by": row["closed_by"], "partition": 0, **row}
        outcome = await self._send(step, source_of(closed, self._clock(row["tenant"])), row["tenant"])
        if isinstance(outcome, NotAllowed):
            logger.warning("a window's decision is refused", window_id=window_id, rule=outcome.rule)

    async def _offered(self, tenant: TenantSlug, command: DecideWindow) -> None:
        """Until the last of its tenders is known, or for so long that they come late."""
        tenders = [tender_id(each.task_id, each.round) for each in last_of(command)]
        until_s = monotonic() + OFFERED_WITHIN_S
        while tenders and monotonic() < until_s:
            await asyncio.sleep(EVERY_S)
            async with self._pool.connection() as connection:
                if await tender_board.known(connection, tenant, tenders) == len(tenders):
                    return


def window_of(row: Mapping[str, Any]) -> ClosedWindow:
    tasks = convert(row["tasks"], list[WaitingTask])
    return ClosedWindow(tenant=TenantSlug(row["tenant"]), window_id=WindowId(row["window_id"]), tasks=tasks)


def last_of(command: DecideWindow) -> Sequence[GivenTask | Left]:
    """They are opened in this order."""
    return command.left[-1:] or [each.tasks[0] for each in command.given[-1:]]
