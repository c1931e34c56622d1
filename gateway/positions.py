"""How far the read models have come, and waiting until they have come far enough: read your own writes."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import Any

import structlog
from psycopg import AsyncConnection, OperationalError
from psycopg_pool import PoolTimeout

from gateway import metrics
from gateway.call import Call
from gateway.door import Limits, Pool
from gateway.problems import Problem
from projections.live_map import LIVE_MAP
from projections.model import Readable
from projections.quarantine import QUARANTINE
from schemas.position import BadToken, Vector, reached, vector

POLL_S = 0.1
"""Between looks where no notification comes."""

RECONNECT_S = 1.0
WAIT = re.compile(r"(?:^|,)\s*wait=(\d{1,6})\s*(?:,|$)")
"""RFC 7240, section 4.3."""

OF_ONE = """
SELECT topic, partition, next_offset
FROM projection_positions JOIN read_models USING (model, version)
WHERE model = %(model)s
UNION ALL
SELECT topic, partition, next_offset FROM stream_places WHERE %(model)s = ANY(%(streamed)s)
"""
OF_ALL = """
SELECT model, topic, partition, next_offset
FROM projection_positions JOIN read_models USING (model, version)
UNION ALL
SELECT streamed, topic, partition, next_offset FROM stream_places, unnest(%s::text[]) AS streamed
"""
STREAMED = [LIVE_MAP.name, QUARANTINE.name]
"""They stand where the telemetry stream stands."""

logger = structlog.get_logger("gateway")


class Positions:
    """One connection listens for all who wait. `run` must run; without its database everybody waits in vain."""

    def __init__(self, pool: Pool, limits: Limits) -> None:
        self._pool = pool
        self._limits = limits
        self._at: dict[str, Vector] = {}
        self._waiting = 0
        self._moved = asyncio.Event()
        self.moves = 0
        """How often, while somebody waited, the read models were seen to have moved."""

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                async with self._pool.connection() as connection:
                    await self._listen(connection)
            except (OperationalError, PoolTimeout) as lost:
                logger.warning("positions cannot be read", error=lost)
                await asyncio.sleep(RECONNECT_S)

    async def until(self, model: Readable, wanted: Vector, wait_s: float) -> None:
        """Raises Problem where the model has not come to `wanted` in time."""
        until_s = monotonic() + wait_s
        with self.waiting():
            while not reached(wanted, self._at.get(model.name, {})):
                await self._before(until_s, lagging(model, wanted, self._at.get(model.name, {})))

    async def moved_since(self, moves: int, wait_s: float) -> bool:
        """Wait until the read models move: whether they did in time. Only while `waiting` or `watching`."""
        if self.moves != moves:
            return True
        try:
            async with asyncio.timeout(wait_s):
                await self._moved.wait()
        except TimeoutError:
            return False
        return True

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Raises Problem where too many wait already."""
        if self._waiting >= self._limits.waiters:
            raise Problem("too-many-waiters", f"{self._waiting} requests wait for their read models")
        with self.watching():
            yield

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Counted as somebody to look for; bounded elsewhere."""
        self._waiting += 1
        metrics.WAITING.set(self._waiting)
        try:
            yield
        finally:
            self._waiting -= 1
            metrics.WAITING.set(self._waiting)

    async def _before(self, until_s: float, otherwise: Problem) -> None:
        left_s = until_s - monotonic()
        if left_s <= 0 or not await self.moved_since(self.moves, left_s):
            raise otherwise

    async def _listen(self, connection: AsyncConnection[Any]) -> None:
        await connection.set_autocommit(True)
        try:
            await connection.execute("LISTEN logistics_positions")
            while True:
                async for _ in connection.notifies(timeout=POLL_S, stop_after=1):
                    pass
                if self._waiting:
                    await self._look(connection)
        finally:
            if not connection.closed:
                await connection.execute("UNLISTEN *")
                await connection.set_autocommit(False)

    async def _look(self, connection: AsyncConnection[Any]) -> None:
        at: dict[str, Vector] = {}
        cursor = await connection.execute(OF_ALL, (STREAMED,))
        for model, topic, partition, next_offset in await cursor.fetchall():
            at.setdefault(model, {})[topic, partition] = next_offset
        if at != self._at:
            self._at = at
            self.moves += 1
            moved, self._moved = self._moved, asyncio.Event()
            moved.set()


async def position_of(connection: AsyncConnection[Any], model: Readable) -> Vector:
    """How far the model is that queries see. Read before the rows: they are at least as fresh."""
    cursor = await connection.execute(OF_ONE, {"model": model.name, "streamed": STREAMED})
    return {(topic, partition): offset for topic, partition, offset in await cursor.fetchall()}


def wanted_of(call: Call, model: Readable) -> Vector:
    """What the read must have seen, of the topics that the model follows. Raises Problem."""
    return {place: offset for place, offset in consistency_of(call).items() if place[0] in model.topics}


def consistency_of(call: Call) -> Vector:
    """What the caller has been told. Raises Problem."""
    word = call.header(b"logistics-consistency")
    if word is None:
        return {}
    try:
        return vector(word.strip())
    except BadToken as bad:
        raise Problem("invalid-header", f"Logistics-Consistency: {bad}") from bad


def wait_of(call: Call, limits: Limits) -> float:
    """Seconds, by `Prefer: wait=2`."""
    preferred = WAIT.search(call.header(b"prefer") or "")
    return min(float(preferred[1]), limits.max_wait_s) if preferred else limits.wait_s


def lagging(model: Readable, wanted: Mapping[tuple[str, int], int], at: Vector) -> Problem:
    behind = sum(max(0, offset - at.get(place, 0)) for place, offset in wanted.items())
    return Problem(
        "projection-lagging",
        f"{model.name} is {behind} records behind what the request must see",
        values={"model": model.name, "lag_records": behind},
    )
