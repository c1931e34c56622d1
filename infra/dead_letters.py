"""What could not be read or followed, put aside in `logistics.dead`: where and why; its bytes stay where they are."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from infra.check.reading import ends_of, whole_log
from infra.endpoints import NotRunning, reached
from infra.kafka import client_args
from infra.observability import quiet
from infra.settings import WrongSetting, load_settings
from schemas.record import Stored
from schemas.topics import DEAD, TOPICS

logger = structlog.get_logger()


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    topic: str
    partition: int
    offset: int
    reader: str
    reason: str
    found_at: datetime


class DeadLetters:
    """`reader` says who could not read it."""

    def __init__(self, producer: AIOKafkaProducer, reader: str) -> None:
        self._producer = producer
        self._reader = reader

    async def __call__(self, stored: Stored, reason: str) -> None:
        """Once it returns the letter is on the log."""
        letter = DeadLetter(
            topic=stored.topic,
            partition=stored.partition,
            offset=stored.offset,
            reader=self._reader,
            reason=reason[:2_000],
            found_at=datetime.now(UTC),
        )
        logger.error("dead letter", **msgspec.to_builtins(letter))
        key = f"{stored.topic}/{stored.partition}@{stored.offset}"
        await self._producer.send_and_wait(DEAD.name, msgspec.json.encode(letter), key=key.encode())


async def letters(args: Mapping[str, Any], partitions: int) -> list[DeadLetter]:
    """All of them in the order in which they were found; of one record that was given up twice the first."""
    decoder = msgspec.json.Decoder(DeadLetter)
    found: dict[tuple[str, int, int, str], DeadLetter] = {}
    async for stored in whole_log(args, await ends_of(args, [DEAD.name], partitions)):
        letter = decoder.decode(stored.value or b"")
        found.setdefault((letter.topic, letter.partition, letter.offset, letter.reader), letter)
    return sorted(found.values(), key=lambda letter: letter.found_at)


def show(topic: str | None, data: Path | None, as_json: bool) -> None:
    """Raises WrongSetting, NotRunning."""
    quiet()
    wanted = None if topic is None else named(topic)
    settings = reached(load_settings(data=data))
    try:
        all_of_them = asyncio.run(letters(client_args(settings), settings.partitions))
    except (KafkaError, OSError) as failed:
        raise NotRunning(f"Kafka at {settings.kafka} does not answer: {failed}") from failed
    for letter in all_of_them:
        if wanted in (None, letter.topic):
            print(msgspec.json.encode(letter).decode() if as_json else text_of(letter))


def named(word: str) -> str:
    """The topic, with or without what all their names begin with. Raises WrongSetting."""
    known = {topic.name.removeprefix("logistics."): topic.name for topic in TOPICS}
    if word not in known and word not in known.values():
        raise WrongSetting(f"--topic {word}: there is no such topic; one of {', '.join(known)}")
    return known.get(word, word)


def text_of(letter: DeadLetter) -> str:
    at = letter.found_at.isoformat(timespec="seconds").replace("+00:00", "Z")
    return f"{at}  {letter.topic}/{letter.partition}@{letter.offset}  {letter.reader}: {letter.reason}"
