"""Keeps what decisions of dispatch rested on, as artefacts.

A store that fails holds no task up: the decision stands on the log all the same, and can only not be made again.
"""

import asyncio
from collections.abc import Callable
from time import monotonic

import structlog
from prometheus_client import Counter

from gateway.problems import Problem
from infra.artefacts import ObjectArtefacts
from schemas.message import TenantSlug

LOST = Counter("logistics_dispatch_records_lost_total", "Records of decisions that the artefacts' store did not take")

WITHIN_S = 2.0
READS_WITHIN_S = 10.0
"""Of a window it is much."""
RESTS_S = 30.0
"""So long nothing is given to a store that has failed: each decision would wait for it."""

logger = structlog.get_logger()


class DecisionRecords:
    def __init__(
        self, store: ObjectArtefacts, within_s: float = WITHIN_S, clock: Callable[[], float] = monotonic
    ) -> None:
        self._store, self._within_s, self._clock = store, within_s, clock
        self._reads_within_s = max(within_s, READS_WITHIN_S)
        self._rests_until_s = 0.0

    async def record(self, tenant: TenantSlug, digest: str) -> bytes | None:
        """None where it is not kept, or the store does not give it."""
        try:
            async with asyncio.timeout(self._reads_within_s):
                return await self._store.decision(tenant, digest)
        except (Problem, TimeoutError, OSError, ValueError) as failed:
            logger.warning("a decision's record is not had", digest=digest, error=repr(failed))
            return None

    async def keep(self, tenant: TenantSlug, digest: str, record: bytes) -> None:
        """Before anybody hears of the decision, unless the store does not take it."""
        if self._clock() < self._rests_until_s:
            LOST.inc()
            return
        try:
            async with asyncio.timeout(self._within_s):
                await self._store.keep_decision(tenant, digest, record)
        except (Problem, TimeoutError, OSError) as failed:
            self._rests_until_s = self._clock() + RESTS_S
            LOST.inc()
            logger.warning("decisions are not kept for a while", error=repr(failed), for_s=RESTS_S)
