"""A partition of a topic as a sequence of stored events: the reading half of what the eventsourcing library records.

It runs in a thread of its own with an event loop; every method may be called from any thread. Of each event its place
is in memory, and the state of the latest ones.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from threading import Event, Thread
from typing import Any
from uuid import UUID

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from eventsourcing.persistence import OperationalError, StoredEvent

MOST_CACHED = 50_000
"""Events whose state is in memory; of the others only the place is."""

ANSWER_WITHIN_S = 60.0
WATCH_EVERY_S = 0.2
"""How often it is looked for what others have written, while somebody listens."""


class Known(msgspec.Struct):
    """Of each event its offset, and by originator and version its place in the sequence, from 1."""

    offsets: list[int] = []
    places: dict[str, dict[int, int]] = {}


class ReadLog(ABC):
    """`bootstrap` is host:port[,host:port]. Raises OperationalError where Kafka does not answer in time."""

    def __init__(self, bootstrap: str, topic: str, partition: int = 0) -> None:
        self._args: Mapping[str, Any] = {"bootstrap_servers": bootstrap}
        self._topic = topic
        self._place = TopicPartition(topic, partition)
        self._known = Known()
        self._cached: OrderedDict[int, StoredEvent] = OrderedDict()
        self._listeners: set[Event] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name=f"recorder {topic}", daemon=True)
        self._thread.start()
        self._closed = False
        self._call(self._open())

    # What a kind of log says of itself

    @abstractmethod
    def event_of(self, record: Any) -> StoredEvent | None:
        """None for what is no event."""

    @abstractmethod
    def _took(self, record: Any, place: int | None) -> None:
        """Called with each record once it is known; the place of an event."""

    # From any thread

    def select(
        self, originator_id: UUID | str, gt: int | None, lte: int | None, desc: bool, limit: int | None
    ) -> list[StoredEvent]:
        return self._call(self._select(str(originator_id), gt, lte, desc, limit))

    def notifications(
        self, first: int, last: int | None, limit: int, topics: Sequence[str]
    ) -> list[tuple[int, StoredEvent]]:
        """Ids from `first` up to `last`, with their events."""
        return self._call(self._notifications(first, last, limit, topics))

    def newest(self) -> int | None:
        return self._call(self._newest())

    def listen(self, event: Event) -> None:
        self._listeners.add(event)

    def unlisten(self, event: Event) -> None:
        self._listeners.discard(event)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        with suppress(OperationalError):
            self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call[T](self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop.is_closed():
            work.close()
            raise OperationalError(f"the recorder of {self._topic} is closed")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(ANSWER_WITHIN_S)
        except CancelledError as closed:
            raise OperationalError(f"the recorder of {self._topic} was closed meanwhile") from closed
        except TimeoutError as late:
            future.cancel()
            raise OperationalError(f"Kafka did not answer within {ANSWER_WITHIN_S:.0f} s") from late

    # In the loop

    async def _open(self) -> None:
        self._reader, self._random = (
            AIOKafkaConsumer(**self._args, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=20)
            for _ in range(2)
        )
        for consumer in (self._reader, self._random):
            await consumer.start()
            consumer.assign([self._place])
        self._reader.seek(self._place, 0)
        self._reading, self._fetching = asyncio.Lock(), asyncio.Lock()
        await self._read_up()
        self._watching = asyncio.create_task(self._watch())

    async def _end(self) -> None:
        """Whoever still waits hears that it is closed."""
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._reader.stop()
        await self._random.stop()

    async def _watch(self) -> None:
        """Listeners hear of what somebody else has read meanwhile, too."""
        told = len(self._known.offsets)
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            if self._listeners:
                with suppress(Exception):  # whoever reads hears of it
                    await self._read_up()
                if len(self._known.offsets) > told:
                    told = len(self._known.offsets)
                    self._notify()

    def _notify(self) -> None:
        for event in list(self._listeners):
            event.set()

    async def _read_up(self) -> None:
        """Everything that stands by now is known afterwards."""
        async with self._reading:
            end = (await self._reader.end_offsets([self._place]))[self._place]
            while await self._reader.position(self._place) < end:
                for record in (await self._reader.getmany(self._place, timeout_ms=500)).get(self._place, []):
                    self._take(record)

    def _take(self, record: Any) -> None:
        event = self.event_of(record)
        place = None
        if event is not None:
            self._known.offsets.append(record.offset)
            place = len(self._known.offsets)
            self._known.places.setdefault(str(event.originator_id), {})[event.originator_version] = place
            self._cache(place, event)
        self._took(record, place)

    def _cache(self, place: int, event: StoredEvent) -> None:
        self._cached[place] = event
        while len(self._cached) > MOST_CACHED:
            self._cached.popitem(last=False)

    async def _select(
        self, originator: str, gt: int | None, lte: int | None, desc: bool, limit: int | None
    ) -> list[StoredEvent]:
        await self._read_up()
        places = self._known.places.get(originator, {})
        versions = sorted((v for v in places if (gt is None or v > gt) and (lte is None or v <= lte)), reverse=desc)
        wanted = [places[version] for version in versions[:limit]]
        events = await self._events(wanted)
        return [events[place] for place in wanted]

    async def _notifications(
        self, first: int, last: int | None, limit: int, topics: Sequence[str]
    ) -> list[tuple[int, StoredEvent]]:
        await self._read_up()
        end = len(self._known.offsets) if last is None else min(last, len(self._known.offsets))
        found: list[tuple[int, StoredEvent]] = []
        at = max(first, 1)
        while at <= end and len(found) < limit:
            span = range(at, min(end, at + max(limit, 100) - 1) + 1)
            events = await self._events(span)
            found += [(place, events[place]) for place in span if not topics or events[place].topic in topics]
            at = span.stop
        return found[:limit]

    async def _newest(self) -> int | None:
        await self._read_up()
        return len(self._known.offsets) or None

    async def _events(self, places: Sequence[int]) -> dict[int, StoredEvent]:
        """From memory, else from the log."""
        found = {place: self._cached[place] for place in places if place in self._cached}
        missing = sorted(place for place in places if place not in found)
        if missing:
            async with self._fetching:
                for place in missing:
                    if place not in found:
                        found |= await self._fetched(place)
        return found

    async def _fetched(self, place: int) -> dict[int, StoredEvent]:
        """The event of this place, and those that came with it in one fetch."""
        self._random.seek(self._place, self._known.offsets[place - 1])
        while True:
            records = (await self._random.getmany(self._place, timeout_ms=500)).get(self._place, [])
            events = [event for record in records if (event := self.event_of(record)) is not None]
            if events:
                return dict(enumerate(events, start=place))
