"""One look at the log for all riders who listen: what happens to offers is handed on to whom it concerns."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import structlog

from gateway.offers.told import CHANGES, all_of
from gateway.positions import Positions, position_of
from gateway.problems import Problem
from gateway.reading import Connection, Reading, Row
from gateway.sockets import POLICY, TRY_AGAIN
from projections.history import HISTORY
from schemas.position import Vector
from schemas.topics import DISPATCH

MOST_WAITING = 100
"""Changes that a connection has not taken yet. It is dropped then, and comes again with its position."""

MOST_OF_ONE = 5
"""Connections for one rider: a phone's before it lost its network are among them, for a while. The oldest makes way."""

PAGE = 500
"""Records of a partition that are looked at together."""

BREATH_S = 0.02
"""Between two looks."""

LOOK_S = 15.0
"""Nobody needs to say that the read models have moved."""

RETRY_S = 1.0
BEGIN_S = 10.0

ON = """
SELECT found.*
FROM unnest(%(partitions)s::bigint[], %(offsets)s::bigint[]) AS place (partition, "offset")
CROSS JOIN LATERAL (
    SELECT partition, "offset", tenant, aggregate_id, type, event_time,
           CASE WHEN type = ANY(%(types)s) THEN body END AS body
    FROM history
    WHERE history.topic = %(topic)s AND history.partition = place.partition AND history."offset" >= place."offset"
    ORDER BY history."offset"
    LIMIT %(limit)s
) AS found
ORDER BY found.partition, found."offset"
"""
"""Of whoever's offers: the bodies of what else happens there are large, and stay where they are."""

OF_ONE = """
SELECT found.*, max(found.event_time) OVER (PARTITION BY found.partition ORDER BY found."offset") AS reached
FROM unnest(%(partitions)s::bigint[], %(offsets)s::bigint[]) AS place (partition, "offset")
CROSS JOIN LATERAL (
    SELECT partition, "offset", tenant, aggregate_id, type, event_time, body
    FROM history
    WHERE history.tenant = %(tenant)s AND history.topic = %(topic)s AND history.partition = place.partition
      AND history."offset" >= place."offset" AND type = ANY(%(types)s) AND body ->> 'rider_id' = %(rider)s
    ORDER BY history."offset"
    LIMIT %(limit)s
) AS found
ORDER BY reached, found.partition, found."offset"
LIMIT %(limit)s
"""
"""As the feed has them: within a partition nothing comes before what stands before it."""

type Listened = tuple[str, str]
"""Tenant and rider."""

type Ending = tuple[int, str]
"""A close code of RFC 6455, and why."""

SLOW: Ending = (TRY_AGAIN, f"over {MOST_WAITING} changes were not taken: come again with your position")
REPLACED: Ending = (POLICY, "a later connection has taken its place")

logger = structlog.get_logger("gateway")


class Listener:
    """One connection. `changes` are rows of the rider's, from the place on at which it began to listen."""

    def __init__(self) -> None:
        self.changes: asyncio.Queue[Row] = asyncio.Queue(MOST_WAITING)
        self.ended: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()

    def hand(self, row: Row) -> None:
        """Nothing more once it has ended: what followed would hide what is missing."""
        if self.ended.done():
            return
        try:
            self.changes.put_nowait(row)
        except asyncio.QueueFull:
            self.end(SLOW)

    def end(self, ending: Ending) -> None:
        if not self.ended.done():
            self.ended.set_result(ending)


class Following:
    """`run` must run. It looks only while somebody listens."""

    def __init__(self, reading: Reading, positions: Positions, partitions: int) -> None:
        self._reading, self._positions = reading, positions
        self._start = {(DISPATCH.name, partition): 0 for partition in range(partitions)}
        self._listeners: dict[Listened, list[Listener]] = {}
        self._somebody = asyncio.Event()
        self._at: Vector | None = None
        self._has_place = asyncio.Event()

    @contextmanager
    def listening(self, whom: Listened) -> Iterator[Listener]:
        listener = Listener()
        of_one = self._listeners.setdefault(whom, [])
        of_one.append(listener)
        if len(of_one) > MOST_OF_ONE:
            of_one[0].end(REPLACED)
            del of_one[0]
        self._somebody.set()
        try:
            yield listener
        finally:
            if listener in of_one:
                of_one.remove(listener)
            if not self._listeners.get(whom, True):
                del self._listeners[whom]

    def of_offers(self, at: Mapping[tuple[str, int], int]) -> Vector:
        """A place in every partition in which there may be offers, and in no other."""
        return {place: at.get(place, 0) for place in self._start}

    async def looks(self) -> None:
        """Returns once whatever comes is handed to who listens already. Raises Problem where that does not begin."""
        try:
            async with asyncio.timeout(BEGIN_S):
                await self._has_place.wait()
        except TimeoutError:
            raise Problem("read-models-unavailable", "what happens to offers cannot be followed now") from None

    @property
    def looked_up_to(self) -> Vector:
        """Where nobody listens, nowhere."""
        return dict(self._at or {})

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self._somebody.wait()
            try:
                with self._positions.watching():
                    await self._look()
            except Problem as lost:
                logger.warning("offers cannot be followed", error=lost.detail)
                await asyncio.sleep(RETRY_S)

    async def _look(self) -> None:
        """As long as somebody listens. Raises Problem; where it was is remembered."""
        while self._listeners:
            moves = self._positions.moves
            full = await self._one_look()
            if not full:
                await asyncio.sleep(BREATH_S)
                await self._positions.moved_since(moves, LOOK_S)
        self._somebody.clear()
        self._has_place.clear()
        self._at = None

    async def _one_look(self) -> bool:
        """Whether there may be more already."""
        async with self._reading.connection() as connection:
            if self._at is None:
                self._at = self.of_offers(await position_of(connection, HISTORY))
                self._has_place.set()
            at = self._at
            rows = await rows_on(connection, at)
        for row in rows:
            at[DISPATCH.name, row["partition"]] = row["offset"] + 1
            if row["body"] is not None:
                for listener in self._listeners.get((row["tenant"], row["body"]["rider_id"]), ()):
                    listener.hand(row)
        return len(rows) >= PAGE


async def rows_on(connection: Connection, at: Vector) -> list[Row]:
    return await all_of(connection, ON, asked_from(at, PAGE))


async def rows_of(connection: Connection, whom: Listened, at: Vector, limit: int) -> list[Row]:
    """What happened to this rider's offers from a place on."""
    tenant, rider = whom
    return await all_of(connection, OF_ONE, asked_from(at, limit) | {"tenant": tenant, "rider": rider})


def asked_from(at: Vector, limit: int) -> Row:
    return {
        "topic": DISPATCH.name,
        "partitions": [partition for _, partition in at],
        "offsets": [*at.values()],
        "types": [*CHANGES],
        "limit": limit,
    }
