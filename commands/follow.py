"""Follows whole topics into memory: the directory, the keys, who owns what, the fleet's bindings."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from time import monotonic, time
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.record import Stored, Unreadable, stored_of

logger = structlog.get_logger()


LOOK_EVERY_S = 0.01
AGAIN_S = 0.25
PLACES_WITHIN_S = 60.0
"""A broker that is busy lets a question for its topics run out, and of a new topic the others hear later."""
BEHIND_LIMIT_S = 12 * 3600.0
"""Tombstones of compacted topics are kept for a day: who stood still for longer might never hear of one."""


class TooFarBehind(RuntimeError):
    """What was forgotten meanwhile might be known here for ever: start again."""


class Follower:
    """From the first record on, or from the first one since `since`, each record once and in its partition's order; no
    group, no stored place."""

    def __init__(
        self,
        client_args: Mapping[str, Any],
        topics: Sequence[str],
        take: Callable[[Stored], object],
        since: datetime | None = None,
    ) -> None:
        self._consumer = AIOKafkaConsumer(
            **client_args,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=50,
            max_poll_records=2_000,
        )
        self._topics = topics
        self._take = take
        self._since = since
        self._task: asyncio.Task[None] | None = None
        self._places: list[TopicPartition] = []
        self._taken: dict[TopicPartition, int] = {}
        """Of each place the next record to take."""
        self._knew_all_s = monotonic()

    async def start(self) -> None:
        """Returns once everything that stood on the log at the start has been taken. Raises LookupError for a topic
        that no broker knows."""
        await self._consumer.start()
        for topic in self._topics:
            partitions = self._consumer.partitions_for_topic(topic) or await self._partitions(topic)
            self._places += [TopicPartition(topic, partition) for partition in sorted(partitions)]
        self._consumer.assign(self._places)
        await self._seek()
        self._taken = {place: await self._consumer.position(place) for place in self._places}
        self._task = asyncio.create_task(self._run())
        await self.up_to()

    async def _seek(self) -> None:
        if self._since is None:
            await self._consumer.seek_to_beginning(*self._places)
            return
        since_ms = round(self._since.timestamp() * 1_000)
        ends = await self._consumer.end_offsets(self._places)
        firsts = await self._consumer.offsets_for_times(dict.fromkeys(self._places, since_ms))
        for place in self._places:
            first = firsts.get(place)
            self._consumer.seek(place, ends[place] if first is None else first.offset)

    async def up_to(self, ends: Mapping[TopicPartition, int] | None = None) -> None:
        """Returns once it has caught up (see there). Raises what its following ended with: it never would."""
        assert self._task is not None, "start first"
        while not await self.caught_up(ends):
            if self._task.done():
                await self._task
            await asyncio.sleep(LOOK_EVERY_S)

    async def run(self) -> None:
        """Until it is cancelled. Raises what it cannot go on after: whoever rests on what it knows must end, too."""
        assert self._task is not None, "start first"
        await self._task

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        # While its broker is away aiokafka 0.14 lets a cancellation of its own out of here (consumer/fetcher.py).
        await asyncio.gather(self._consumer.stop(), return_exceptions=True)

    @property
    def behind_s(self) -> float:
        """For how long it has not taken all that it knows to stand on the log."""
        return monotonic() - self._knew_all_s

    async def caught_up(self, ends: Mapping[TopicPartition, int] | None = None) -> bool:
        """Whether everything before `ends` has been taken; without them, before where the log ends now."""
        if ends is None:
            ends = await self._consumer.end_offsets(self._places)
        return all(taken >= ends[place] for place, taken in self._taken.items() if place in ends)

    async def _partitions(self, topic: str) -> set[int]:
        until_s = monotonic() + PLACES_WITHIN_S
        while True:
            try:
                topics = await self._consumer._client.fetch_all_metadata()
                if found := topics.partitions_for_topic(topic):
                    return set(found)
                untold: Exception = LookupError(f"there is no topic {topic}")
            except KafkaError as unanswered:
                untold = unanswered
            if monotonic() >= until_s:
                raise untold
            await asyncio.sleep(AGAIN_S)

    async def _run(self) -> None:
        """Raises TooFarBehind."""
        while True:
            if self.behind_s > BEHIND_LIMIT_S:
                raise TooFarBehind(f"nothing was heard of {', '.join(self._topics)} for {self.behind_s / 3600:.0f} h")
            fetched = await self._consumer.getmany(timeout_ms=500)
            for place, records in fetched.items():
                for r in records:
                    self._took(stored_of(r))
                self._taken[place] = await self._consumer.position(place)
            self._judge_distance()

    def _judge_distance(self) -> None:
        """All is known as of when the brokers told of the place that they have been silent about for the longest."""
        heard_ms: list[int] = []
        for place in self._places:
            end: int | None = self._consumer.highwater(place)
            told_ms: int | None = self._consumer.last_poll_timestamp(place)
            if end is None or told_ms is None or self._taken[place] < end:
                return
            heard_ms.append(told_ms)
        self._knew_all_s = monotonic() - max(0.0, time() - min(heard_ms) / 1_000)

    def _took(self, stored: Stored) -> None:
        """What cannot be read, or is of a type that only a newer release knows, is passed over: the projector buries
        it for all."""
        try:
            self._take(stored)
        except Unreadable as unreadable:
            place = f"{stored.topic}/{stored.partition}@{stored.offset}"
            logger.warning("record passed over", place=place, why=unreadable.reason)
