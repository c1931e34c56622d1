"""`logistics tail`: the log as it is told, one record a line. Personal data stay sealed."""

import asyncio
import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from infra.endpoints import NotRunning, reached
from infra.kafka import client_args
from infra.observability import quiet
from infra.settings import Settings, WrongSetting, load_settings
from schemas.message import Personal
from schemas.record import Stored, Unreadable, envelope_of, event_of, stored_of
from schemas.topics import FIXES, HISTORY, SIGNALS

TOLD_BY_DEFAULT = (*HISTORY, SIGNALS)
BY_WORD = {topic.name.removeprefix("logistics."): topic.name for topic in (*TOLD_BY_DEFAULT, FIXES)}
WORD_OF = {name: word for word, name in BY_WORD.items()}
STALLED_AFTER_S = 30.0
"""Without a record for so long a partition cannot be read to its end."""
FETCH_RECORDS = 500
"""Held of each partition while the others are asked for what comes before."""
SEALED = "sealed"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A record for people. `version` is None where nobody counts them."""

    topic: str
    partition: int
    offset: int
    recorded_at: datetime | None
    tenant: str | None
    subject: str | None
    version: int | None
    type: str
    body: dict[str, Any] | None
    unreadable: str | None = None


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    topics: Sequence[str]
    tenant: str | None
    follow: bool
    from_beginning: bool


def tail(
    data: Path | None, tenant: str | None, topic: str | None, follow: bool, start: str | None, as_json: bool
) -> None:
    """Raises WrongSetting, NotRunning."""
    quiet()
    settings = load_settings(data=data)
    asked = Asked(
        topics=topics_of(topic),
        tenant=tenant,
        follow=follow,
        from_beginning=begins(start, follow),
    )
    try:
        asyncio.run(printed(reached(settings), asked, as_json))
    except KeyboardInterrupt:
        pass  # how following ends
    except BrokenPipeError:  # so does reading, where the reader has gone; and nothing is left to flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def topics_of(word: str | None) -> Sequence[str]:
    """Raises WrongSetting."""
    if word is None:
        return [topic.name for topic in TOLD_BY_DEFAULT]
    known = BY_WORD.get(word.removeprefix("logistics."))
    if known is None:
        raise WrongSetting(f"--topic {word}: there is no such topic to read; one of {', '.join(BY_WORD)}")
    return [known]


def begins(start: str | None, follow: bool) -> bool:
    """Who follows wants what is new, if nothing else is said. Raises WrongSetting."""
    if start not in (None, "beginning", "end"):
        raise WrongSetting(f"--from {start}: beginning or end is meant")
    return not follow if start is None else start == "beginning"


async def printed(settings: Settings, asked: Asked, as_json: bool) -> None:
    try:
        async for line in lines(client_args(settings), settings.partitions, asked):
            print(msgspec.json.encode(line).decode() if as_json else text_of(line), flush=asked.follow)
    except (KafkaError, OSError) as failed:
        if isinstance(failed, BrokenPipeError):
            raise
        raise NotRunning(f"Kafka at {settings.kafka} does not answer: {failed}") from failed


async def lines(args: Mapping[str, Any], partitions: int, asked: Asked) -> AsyncIterator[Line]:
    """What stands on the log in the order of its writing, then, if that is asked for, what comes."""
    consumer = AIOKafkaConsumer(**args, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=100)
    await consumer.start()
    try:
        places = [TopicPartition(topic, p) for topic in asked.topics for p in range(partitions)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        if asked.from_beginning:
            await consumer.seek_to_beginning(*places)
            async for record in until(consumer, ends):
                if line := line_of(record, asked.tenant):
                    yield line
        else:
            for place, end in ends.items():
                consumer.seek(place, end)
        while asked.follow:
            for record in by_time(await consumer.getmany(timeout_ms=500, max_records=FETCH_RECORDS)):
                if line := line_of(record, asked.tenant):
                    yield line
    finally:
        await consumer.stop()


async def until(consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]) -> AsyncIterator[Any]:
    """Every record before `ends` by the time of its writing: nothing is given while an earlier one may come.

    Raises KafkaError where one partition gives nothing: the others would wait for it for ever.
    """
    held: dict[TopicPartition, deque[Any]] = {place: deque() for place in ends}
    behind = {place for place, end in ends.items() if end > 0}
    came_s = monotonic()
    while behind:
        if lacking := [place for place in behind if not held[place]]:
            done = {place for place in lacking if await consumer.position(place) >= ends[place]}
            behind -= done
            if len(done) < len(lacking):
                fetched = await consumer.getmany(*(behind & set(lacking)), timeout_ms=500, max_records=FETCH_RECORDS)
                came_s = monotonic() if fetched else came_s
                if monotonic() - came_s > STALLED_AFTER_S:
                    raise KafkaError(f"{words_of(behind & set(lacking))} gave nothing for {STALLED_AFTER_S:.0f} s")
                for place, records in fetched.items():
                    held[place].extend(record for record in records if record.offset < ends[place])
            continue
        yield held[min(behind, key=lambda place: (held[place][0].timestamp, place))].popleft()
        came_s = monotonic()  # whoever reads may take their time
    for place, end in ends.items():
        consumer.seek(place, end)


def words_of(places: Iterable[TopicPartition]) -> str:
    return ", ".join(f"{place.topic}/{place.partition}" for place in sorted(places))


def by_time(fetched: Mapping[TopicPartition, Sequence[Any]]) -> list[Any]:
    together = [record for records in fetched.values() for record in records]
    return sorted(together, key=lambda record: (record.timestamp, record.topic, record.partition, record.offset))


def line_of(record: Any, tenant: str | None) -> Line | None:
    """None for what no one asked for: control records, other tenants' records."""
    stored = stored_of(record)
    if stored.is_control or (tenant is not None and stored.header("tenant") != tenant):
        return None
    return told(stored)


def told(stored: Stored) -> Line:
    body, unreadable = None, None
    try:
        envelope = envelope_of(stored)
        body = {name: shown(getattr(event, name)) for event in [event_of(stored, None)] for name in fields_of(event)}
    except Unreadable as failed:
        envelope, unreadable = None, failed.reason
    return Line(
        topic=WORD_OF.get(stored.topic, stored.topic),
        partition=stored.partition,
        offset=stored.offset,
        recorded_at=envelope.recorded_at if envelope else None,
        tenant=stored.header("tenant"),
        subject=stored.header("ce_subject"),
        version=(envelope.version or None) if envelope else None,
        type=(stored.header("ce_type") or "unknown").rpartition(".")[2],
        body=body,
        unreadable=unreadable,
    )


def fields_of(value: msgspec.Struct) -> tuple[str, ...]:
    return value.__struct_fields__


def shown(value: Any) -> Any:
    """Plain values; personal data as `sealed`, columns of bytes as their size."""
    if isinstance(value, Personal):
        return SEALED
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, msgspec.Struct):
        return {name: shown(getattr(value, name)) for name in fields_of(value)}
    if isinstance(value, dict):
        return {key: shown(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [shown(item) for item in value]
    return msgspec.to_builtins(value)


def text_of(line: Line) -> str:
    at = "-" if line.recorded_at is None else f"{line.recorded_at:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
    version = "-" if line.version is None else f"v{line.version}"
    said = f"unreadable: {line.unreadable}" if line.body is None else msgspec.json.encode(line.body).decode()
    place = f"{line.topic}/{line.partition}@{line.offset}"
    return f"{place} {at} {line.tenant or '-'} {line.subject or '-'} {version} {line.type} {said}"
