"""Who is silent, and who is heard again: looked for where all is known that came in until a moment ago.

A stream or a projector that stands still would make every rider silent. So what stood on the log at the look before is
to be folded by now: of whom that is not sure, nothing is said.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from aiokafka import TopicPartition
from psycopg import AsyncConnection

from commands.policy import Policy
from projections.history import HISTORY
from projections.rider_roster import RIDER_ROSTER
from projections.silent_riders import silent
from schemas.partition import partition_of
from schemas.topics import FIXES, FLEET, TASK

FOLDED = """
SELECT topic, partition, next_offset FROM stream_places WHERE topic = %(fixes)s
UNION ALL
SELECT topic, partition, min(next_offset) FROM projection_positions
JOIN read_models USING (model, version)
WHERE model = ANY(%(models)s) AND topic = ANY(%(topics)s)
GROUP BY topic, partition
"""
WANTED = {
    "fixes": FIXES.name,
    "models": [HISTORY.name, RIDER_ROSTER.name],
    "topics": [TASK.name, FLEET.name],
}

type Ends = Callable[[Iterable[TopicPartition]], Awaitable[Mapping[TopicPartition, int]]]
"""Where the log ends now."""


class SilenceWatch:
    def __init__(self, ends: Ends, policy: Policy, partitions: int) -> None:
        self._ends = ends
        self._policy = policy
        self._partitions = partitions
        topics = (FIXES.name, TASK.name, FLEET.name)
        self._places = [TopicPartition(topic, p) for topic in topics for p in range(partitions)]
        self._seen: dict[TopicPartition, int] = {}
        """Where the log ended when somebody was first found silent, or at the look before."""

    async def look(self, connection: AsyncConnection[Any], now: datetime, most: int) -> list[dict[str, Any]]:
        """As rows of the deadlines. Raises KafkaError."""
        folded = await self._folded(connection)
        rows = await silent(connection, now, most, self._policy.clocks_ahead(), self._policy.silent_after())
        if not rows:
            self._seen.clear()
            return []
        known = {place for place, end in self._seen.items() if folded.get(place, 0) >= end}
        self._seen |= await self._ends([place for place in self._places if place in known or place not in self._seen])
        placed = [row | {"partition": partition_of(row["aggregate_id"], self._partitions)} for row in rows]
        return [row for row in placed if self._needed(row["partition"]) <= known]

    async def _folded(self, connection: AsyncConnection[Any]) -> Mapping[TopicPartition, int]:
        cursor = await connection.execute(FOLDED, WANTED)
        return {TopicPartition(topic, p): offset for topic, p, offset in await cursor.fetchall()}

    def _needed(self, partition: int) -> set[TopicPartition]:
        """A rider's fixes and facts stand in the rider's partition; their tasks may be in any."""
        tasks = {place for place in self._places if place.topic == TASK.name}
        return tasks | {TopicPartition(topic, partition) for topic in (FIXES.name, FLEET.name)}
