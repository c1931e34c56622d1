"""What is gone through: of each partition which frames, and the signals that stand."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import msgspec
import psycopg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from psycopg import AsyncConnection

from infra.clock import real_time
from infra.endpoints import NotRunning
from infra.log_reading import offset_from, stretch, time_from
from infra.recompute.asked import HELD_FOR, LEAD, Asked, refused_as_gone
from schemas.record import Stored, Unreadable, envelope_of, event_of, stored_of
from schemas.topics import FIXES, SIGNALS
from streams.telemetry.found import Draft, drafted

FOLDED = 'SELECT "partition", next_offset FROM stream_places WHERE topic = %s'


class Span(msgspec.Struct, frozen=True):
    """Of one partition's frames: from `first` up to `end` is what is asked for, from `lead` on what comes before it."""

    lead: int
    first: int
    end: int
    lead_is_whole: bool
    not_told: int
    """Frames of that time which the stream has not folded yet; they are left out."""


@contextmanager
def gone_through(kafka: str) -> Iterator[None]:
    """Raises NotRunning where Kafka or Postgres does not answer, or no more."""
    try:
        yield
    except (KafkaError, psycopg.OperationalError, OSError) as lost:
        raise NotRunning(f"it could not be gone through (Kafka at {kafka}): {lost}") from lost


async def spans_of(
    consumer: AIOKafkaConsumer, partitions: int, asked: Asked, folded: Mapping[int, int]
) -> dict[int, Span]:
    """Of each partition that is asked for. Raises WrongSetting where frames of that time are gone."""
    wanted = range(partitions) if asked.partition is None else [asked.partition]
    now = real_time()
    return {p: await span_of(consumer, p, asked, folded.get(p, 0), now) for p in wanted}


async def span_of(consumer: AIOKafkaConsumer, partition: int, asked: Asked, folded: int, now: datetime) -> Span:
    """`folded` is the next frame that the stream will fold. Raises WrongSetting where frames of that time are gone."""
    place = TopicPartition(FIXES.name, partition)
    held = (await consumer.beginning_offsets([place]))[place]
    refused_as_gone(asked, held, await time_from(consumer, place, 0), now)
    lead = await offset_from(consumer, place, asked.since - LEAD)
    first = await offset_from(consumer, place, asked.since)
    end = await offset_from(consumer, place, asked.until)
    told = max(first, min(end, folded))
    whole = held == 0 or lead > held or asked.since - LEAD >= now - HELD_FOR
    return Span(lead, first, told, lead_is_whole=whole, not_told=end - told)


def of_tenant(records: Iterable[Any], tenant: str) -> list[Stored]:
    return [stored for r in records if not (stored := stored_of(r)).is_control and stored.header("tenant") == tenant]


async def signals_since(
    consumer: AIOKafkaConsumer, partition: int, since: datetime, tenant: str, types: str | tuple[str, ...]
) -> AsyncIterator[Draft]:
    """Of a partition, from then on up to its end now."""
    place = TopicPartition(SIGNALS.name, partition)
    first = await offset_from(consumer, place, since)
    end = (await consumer.end_offsets([place]))[place]
    async for records in stretch(consumer, place, first, end):
        for draft in drafts_of(records, tenant, types):
            yield draft


def drafts_of(records: Iterable[Any], tenant: str, types: str | tuple[str, ...]) -> Iterator[Draft]:
    """Of signals whose types begin so, as the stream made them; what is of a newer release is passed over."""
    for stored in of_tenant(records, tenant):
        if not (stored.header("ce_type") or "").startswith(types):
            continue
        try:
            envelope, event = envelope_of(stored), event_of(stored, None)
        except Unreadable:
            continue
        yield drafted(envelope, event)


async def folded_up_to(dsn: str) -> dict[int, int]:
    """Of each partition the next frame that the stream will fold."""
    async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute("SET default_transaction_read_only = on")
        try:
            cursor = await connection.execute(FOLDED, (FIXES.name,))
        except psycopg.errors.UndefinedTable:
            return {}
        return dict(await cursor.fetchall())
