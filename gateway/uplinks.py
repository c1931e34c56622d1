"""Up to which number each device's connection was acknowledged, for those who come again."""

import asyncio
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from time import monotonic

import structlog
from psycopg import Error

from gateway.door import Pool
from projections import uplinks
from projections.uplinks import Key

MOST_KNOWN = 20_000
"""In memory; those that were silent for longest are read again."""
KEEP_EVERY_S = 1.0
ASK_WITHIN_S = 2.0
"""A phone that comes again does not wait longer for Postgres: it sends again what had no answer."""
FORGET_AFTER = timedelta(days=30)
FORGET_EVERY_S = 3_600.0

logger = structlog.get_logger("gateway")


class Uplinks:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._known: OrderedDict[Key, int] = OrderedDict()
        self._unkept: dict[Key, int] = {}
        self._forgot_s = 0.0

    async def last(self, key: Key) -> int | None:
        """The number that was acknowledged last; None where nothing is known of this session."""
        if key in self._known:
            return self._known[key]
        try:
            async with asyncio.timeout(ASK_WITHIN_S), self._pool.connection(timeout=ASK_WITHIN_S) as connection:
                found = await uplinks.last(connection, key)
        except (Error, TimeoutError) as away:
            logger.warning("uplinks cannot be read", error=repr(away))
            return None
        if found is not None:
            self._remember(key, max(found, self._known.get(key, 0)))
        return self._known.get(key)

    def acknowledged(self, key: Key, seq: int) -> None:
        seq = max(seq, self._known.get(key, 0))
        self._remember(key, seq)
        self._unkept[key] = seq

    async def run(self) -> None:
        """Until it is cancelled; then what is left is kept."""
        try:
            while True:
                await asyncio.sleep(KEEP_EVERY_S)
                await self.keep()
        finally:
            await self.keep()

    async def keep(self) -> None:
        """What could not be kept is kept with the next: it is at most as much as is known."""
        if not self._unkept:
            return
        now, unkept = datetime.now(UTC), self._unkept
        self._unkept = {}
        try:
            async with asyncio.timeout(ASK_WITHIN_S), self._pool.connection(timeout=ASK_WITHIN_S) as connection:
                await uplinks.keep(connection, unkept, now)
                if monotonic() - self._forgot_s > FORGET_EVERY_S:
                    await uplinks.forget(connection, now - FORGET_AFTER)
                    self._forgot_s = monotonic()
        except (Error, TimeoutError) as away:
            logger.warning("uplinks cannot be kept", error=repr(away))
            both = unkept | self._unkept
            self._unkept = {key: seq for key, seq in both.items() if key in self._known}

    def _remember(self, key: Key, seq: int) -> None:
        self._known[key] = seq
        self._known.move_to_end(key)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
