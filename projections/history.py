"""What has happened, in full: every event with both its times, its place in the log and its hash."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from projections.model import Fact, Key, ReadModel
from projections.sealed import told
from schemas import catalog
from schemas.position import Vector
from schemas.topics import HISTORY as AGGREGATES
from schemas.topics import SIGNALS

KEPT_FOR_EVER = frozenset(topic.name for topic in (*AGGREGATES, SIGNALS))
"""Frames of fixes go after a month: what follows from them stands in signals."""

TABLE = """
CREATE TABLE {table} (
    topic           text        NOT NULL,
    partition       bigint      NOT NULL,
    "offset"        bigint      NOT NULL,
    event_id        text        NOT NULL,
    tenant          text        NOT NULL,
    outlet          text,
    aggregate_id    text        NOT NULL,
    version         bigint      NOT NULL,
    type            text        NOT NULL,
    event_time      timestamptz NOT NULL,
    recorded_at     timestamptz NOT NULL,
    actor           text        NOT NULL,
    command_id      text        NOT NULL,
    command_index   bigint      NOT NULL,
    command_size    bigint      NOT NULL,
    correlation_id  text        NOT NULL,
    causation_id    text,
    device_id       text,
    device_sequence bigint,
    policy_position text        NOT NULL,
    epoch           bigint      NOT NULL,
    hash            text        NOT NULL,
    body            jsonb       NOT NULL,
    PRIMARY KEY (topic, partition, "offset")
);
CREATE INDEX ON {table} (tenant, aggregate_id, version);
CREATE INDEX ON {table} (tenant, aggregate_id, event_time);
CREATE INDEX ON {table} (tenant, topic, partition, "offset");
CREATE INDEX ON {table} (tenant, recorded_at)
"""


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    topic: str
    partition: int
    offset: int
    event_id: str
    tenant: str
    outlet: str | None
    aggregate_id: str
    version: int
    type: str
    event_time: datetime
    recorded_at: datetime
    actor: str
    command_id: str
    command_index: int
    command_size: int
    correlation_id: str
    causation_id: str | None
    device_id: str | None
    device_sequence: int | None
    policy_position: str
    epoch: int
    hash: str
    body: dict[str, Any]


def keys(fact: Fact) -> Sequence[Key]:
    return ((fact.stored.topic, fact.stored.partition, fact.stored.offset),)


def apply(row: EventRow | None, fact: Fact, key: Key) -> EventRow:
    envelope, stored = fact.envelope, fact.stored
    return EventRow(
        topic=stored.topic,
        partition=stored.partition,
        offset=stored.offset,
        event_id=envelope.event_id,
        tenant=envelope.tenant,
        outlet=envelope.outlet,
        aggregate_id=envelope.aggregate_id,
        version=envelope.version,
        type=type(fact.event).__name__,
        event_time=envelope.event_time,
        recorded_at=envelope.recorded_at,
        actor=envelope.actor,
        command_id=envelope.command_id,
        command_index=envelope.command_index,
        command_size=envelope.command_size,
        correlation_id=envelope.correlation_id,
        causation_id=envelope.causation_id,
        device_id=envelope.device_id,
        device_sequence=envelope.device_sequence,
        policy_position=envelope.policy_position,
        epoch=envelope.epoch,
        hash=stored.header("hash") or "",
        body=told(fact.event),
    )


HISTORY = ReadModel(
    name="history",
    version=4,
    table=TABLE,
    row=EventRow,
    key=("topic", "partition", "offset"),
    events=frozenset(cls for cls, known in catalog.BY_CLASS.items() if known.topic in KEPT_FOR_EVER),
    keys=keys,
    apply=apply,
    appends=True,
)

OF_ONE = """
SELECT * FROM history
WHERE tenant = %(tenant)s AND aggregate_id = %(aggregate_id)s AND version > %(after)s
ORDER BY version
LIMIT %(limit)s
"""

VERSION_OF = "SELECT coalesce(max(version), 0) FROM history WHERE tenant = %s AND aggregate_id = %s"

PLACES_OF_ONE = """
SELECT "offset" FROM history
WHERE topic = %s AND partition = %s AND tenant = %s AND aggregate_id = %s
ORDER BY version
"""

FEED = """
SELECT found.*, max(found.recorded_at) OVER (
    PARTITION BY found.topic, found.partition ORDER BY found."offset"
) AS reached
FROM unnest(%(topics)s::text[], %(partitions)s::bigint[], %(offsets)s::bigint[]) AS place (topic, partition, "offset")
CROSS JOIN LATERAL (
    SELECT * FROM history
    WHERE history.tenant = %(tenant)s AND history.topic = place.topic
      AND history.partition = place.partition AND history."offset" >= place."offset"
    ORDER BY history."offset"
    LIMIT %(limit)s
) AS found
ORDER BY reached, found.topic, found.partition, found."offset"
LIMIT %(limit)s
"""
"""Clocks of different owners disagree: within a partition nothing comes before what stands before it, so that a page
ends each partition at one place, whatever its limit cuts off."""


async def of_one(
    connection: AsyncConnection, tenant: str, aggregate_id: str, after: int = 0, limit: int = 500
) -> list[dict[str, Any]]:
    """One aggregate's events after a version, in their order."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(OF_ONE, {"tenant": tenant, "aggregate_id": aggregate_id, "after": after, "limit": limit})
        return await cursor.fetchall()


async def version_of(connection: AsyncConnection, tenant: str, aggregate_id: str) -> int:
    """To which version its events stand here."""
    cursor = await connection.execute(VERSION_OF, (tenant, aggregate_id))
    told = await cursor.fetchone()
    assert told is not None, "an aggregation has one row"
    version: int = told[0]
    return version


async def places_of_one(
    connection: AsyncConnection, topic: str, partition: int, tenant: str, aggregate_id: str
) -> list[int]:
    """The offsets of all its records in this topic, in their order."""
    cursor = await connection.execute(PLACES_OF_ONE, (topic, partition, tenant, aggregate_id))
    return [offset for (offset,) in await cursor.fetchall()]


async def feed(
    connection: AsyncConnection, tenant: str, places: Mapping[tuple[str, int], int], limit: int
) -> tuple[list[dict[str, Any]], Vector]:
    """The tenant's events from a vector on, and the vector after them. Each partition's are in its order."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            FEED,
            {
                "tenant": tenant,
                "topics": [topic for topic, _ in places],
                "partitions": [partition for _, partition in places],
                "offsets": list(places.values()),
                "limit": limit,
            },
        )
        rows = await cursor.fetchall()
    after = dict(places)
    for row in rows:
        after[row["topic"], row["partition"]] = row["offset"] + 1
    return rows, after
