"""How far the read models are behind the log."""

from collections.abc import Mapping
from typing import Any

from psycopg import AsyncConnection

from projections.models import MODELS

LEAST = """
SELECT topic, partition, min(next_offset)
FROM projection_positions JOIN read_models USING (model, version)
GROUP BY topic, partition
"""
FOLLOWED = frozenset(topic for model in MODELS.values() for topic in model.topics)


async def lag_records(connection: AsyncConnection[Any], ends: Mapping[tuple[str, int], int]) -> int:
    """Records before `ends` that some read model has not folded yet."""
    cursor = await connection.execute(LEAST)
    at = {(topic, partition): offset for topic, partition, offset in await cursor.fetchall()}
    return sum(max(0, end - at.get(place, 0)) for place, end in ends.items() if place[0] in FOLLOWED)
