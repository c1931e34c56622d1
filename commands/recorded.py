"""A topic of one partition as the eventsourcing library's recorders see it: inserts that are whole or not at all.

Written by the shard's own fenced writer. What waits when a batch is acknowledged goes together into the next one; each
insert is judged against everything that stands before it. A second process that opens the same topic fences the first,
which then reads what the other wrote, judges again and goes on: both are right, one at a time.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from threading import Event, Thread
from typing import Any
from uuid import UUID, uuid4

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError
from eventsourcing.persistence import IntegrityError, OperationalError, StoredEvent, Tracking

from commands.log import Entry, ShardLog, TenureLost

CONFIG = {"retention.ms": "-1", "retention.bytes": "-1", "cleanup.policy": "delete", "flush.messages": "1"}
MOST_TOGETHER = 500
"""Inserts in one batch."""

MOST_CACHED = 50_000
"""Events whose state is in memory; of the others only the place is."""

ANSWER_WITHIN_S = 60.0
TRIES = 20
"""Tenures that may be lost to others, one after the other, before an insert is given up."""

BARRIER, EVENT, TRACKING = "barrier", "event", "tracking"
CONTROL_KEY = b"recorder"


class Inserting(msgspec.Struct):
    """An insert that waits: its own id is in its records, so that it is found after a lost answer."""

    insert_id: str
    events: Sequence[StoredEvent]
    tracking: Tracking | None
    done: asyncio.Future[list[int]]


class Known(msgspec.Struct):
    """What stands: of each event its offset, and by originator and version its place in the sequence, from 1."""

    offsets: list[int] = []
    places: dict[str, dict[int, int]] = {}
    tracked: dict[str, int] = {}
    inserted: OrderedDict[str, list[int]] = msgspec.field(default_factory=OrderedDict)
    """Of the latest inserts, the notification ids that they got."""


class RecordedLog:
    """Runs in a thread of its own with an event loop; every method may be called from any thread.

    `bootstrap` is host:port[,host:port]. Raises OperationalError where Kafka does not answer in time.
    """

    def __init__(self, bootstrap: str, topic: str, replication: int = 1) -> None:
        self._args: Mapping[str, Any] = {"bootstrap_servers": bootstrap}
        self._topic, self._replication = topic, replication
        self._place = TopicPartition(topic, 0)
        self._known = Known()
        self._cached: OrderedDict[int, StoredEvent] = OrderedDict()
        self._waiting: list[Inserting] = []
        self._listeners: set[Event] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name=f"recorder {topic}", daemon=True)
        self._thread.start()
        self._closed = False
        self._call(self._open())

    # From any thread

    def insert(self, events: Sequence[StoredEvent], tracking: Tracking | None = None) -> list[int]:
        """The notification ids. Raises IntegrityError where one stands already."""
        return self._call(self._insert(events, tracking))

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

    def tracked(self, application_name: str) -> int | None:
        return self._call(self._tracked(application_name))

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

    # Opening

    async def _open(self) -> None:
        await self._make_topic()
        self._reader = AIOKafkaConsumer(
            **self._args, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=20
        )
        self._random = AIOKafkaConsumer(
            **self._args, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=20
        )
        for consumer in (self._reader, self._random):
            await consumer.start()
            consumer.assign([self._place])
        self._reader.seek(self._place, 0)
        self._reading = asyncio.Lock()
        self._fetching = asyncio.Lock()
        self._more = asyncio.Event()
        self._log: ShardLog | None = None
        await self._read_up()
        self._writing = asyncio.create_task(self._write())

    async def _make_topic(self) -> None:
        admin = AIOKafkaAdminClient(**self._args)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(self._topic, 1, self._replication, topic_configs=CONFIG)])
        except TopicAlreadyExistsError:
            pass
        finally:
            await admin.close()

    async def _end(self) -> None:
        """Whoever still waits hears that it is closed."""
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in (self._writing, *others):
            task.cancel()
        await asyncio.gather(self._writing, *others, return_exceptions=True)
        await self._reader.stop()
        await self._random.stop()
        if self._log is not None:
            await self._log.close()

    async def _tenure(self) -> ShardLog:
        """The writer, as the only one there is; whatever others wrote before is known."""
        if self._log is None:
            log = ShardLog(self._args, f"{self._topic}.recorder", 0, [self._topic])
            await log.connect()
            await log.take_epoch()
            await log.barriers({self._topic: (CONTROL_KEY, b"", [("kind", BARRIER.encode()), ("control", b"1")])})
            self._log = log
            await self._read_up()
        return self._log

    # Writing

    async def _insert(self, events: Sequence[StoredEvent], tracking: Tracking | None) -> list[int]:
        waiting = Inserting(str(uuid4()), events, tracking, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._more.set()
        return await waiting.done

    async def _write(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._waiting:
                together = self._waiting[:MOST_TOGETHER]
                del self._waiting[:MOST_TOGETHER]
                await self._settle(together)

    async def _settle(self, together: Sequence[Inserting]) -> None:
        """Until each has its answer."""
        open_ones = list(together)
        for _ in range(TRIES):
            try:
                log = await self._tenure()
                open_ones = [each for each in open_ones if not self._found(each)]
                await self._append(log, open_ones)
            except TenureLost:
                await self._lose()
                continue
            except Exception as failed:
                for each in open_ones:
                    answer(each, OperationalError(str(failed)))
                await self._lose()
                return
            for event in list(self._listeners):
                event.set()
            return
        for each in open_ones:
            answer(each, OperationalError(f"the tenure of {self._topic} was lost {TRIES} times"))

    async def _lose(self) -> None:
        if self._log is not None:
            await self._log.close()
            self._log = None

    def _found(self, waiting: Inserting) -> bool:
        """Whether it stands already: its answer was lost with the tenure."""
        ids = self._known.inserted.get(waiting.insert_id)
        if ids is not None:
            answer(waiting, ids)
        return ids is not None

    async def _append(self, log: ShardLog, waiting: Sequence[Inserting]) -> None:
        """One batch of all that may stand. Raises TenureLost."""
        entries: list[Entry] = []
        accepted: list[Inserting] = []
        taken: set[tuple[str, int]] = set()
        tracked: dict[str, int] = {}
        for each in waiting:
            try:
                self._judge(each, taken, tracked)
            except IntegrityError as refused:
                answer(each, refused)
                continue
            accepted.append(each)
            entries += entries_of(each)
        if entries and (await log.append({self._topic: entries}))[self._topic] is None:
            for each in accepted:
                answer(each, OperationalError("the events are larger than the broker takes in one batch"))
            return
        await self._read_up()
        for each in accepted:
            if not each.events and each.tracking is None:
                answer(each, [])
            elif not self._found(each):
                raise TenureLost(f"{self._topic}: what was acknowledged is not there")

    def _judge(self, each: Inserting, taken: set[tuple[str, int]], tracked: dict[str, int]) -> None:
        """Raises IntegrityError. What it takes counts for the next ones of the batch."""
        mine = {(str(event.originator_id), event.originator_version) for event in each.events}
        if len(mine) < len(each.events):
            raise IntegrityError(f"the events of one insert are not unique: {sorted(mine)[:3]}")
        for originator, version in mine:
            if (originator, version) in taken or version in self._known.places.get(originator, {}):
                raise IntegrityError(f"version {version} of {originator} is recorded already")
        if each.tracking is not None:
            name, position = each.tracking.application_name, each.tracking.notification_id
            newest = tracked.get(name, self._known.tracked.get(name, -1))
            if position <= newest:
                raise IntegrityError(f"{name} was tracked up to {newest} already, {position} is not after it")
            tracked[name] = position
        taken |= mine

    # Reading

    async def _read_up(self) -> None:
        """Everything that stands by now is known afterwards."""
        async with self._reading:
            end = (await self._reader.end_offsets([self._place]))[self._place]
            while await self._reader.position(self._place) < end:
                for record in (await self._reader.getmany(self._place, timeout_ms=500)).get(self._place, []):
                    self._take(record)

    def _take(self, record: Any) -> None:
        headers = dict(record.headers)
        match headers.get("kind", b"").decode():
            case "event":
                self._take_event(record, headers)
            case "tracking":
                name = headers["application"].decode()
                self._known.tracked[name] = max(int(headers["position"]), self._known.tracked.get(name, -1))
                self._note(headers["insert"].decode(), None)

    def _take_event(self, record: Any, headers: Mapping[str, bytes]) -> None:
        known = self._known
        known.offsets.append(record.offset)
        place = len(known.offsets)
        event = event_of(record, headers)
        known.places.setdefault(str(event.originator_id), {})[event.originator_version] = place
        self._cache(place, event)
        self._note(headers["insert"].decode(), place)

    def _note(self, insert_id: str, place: int | None) -> None:
        ids = self._known.inserted.setdefault(insert_id, [])
        if place is not None:
            ids.append(place)
        while len(self._known.inserted) > 10 * MOST_TOGETHER:
            self._known.inserted.popitem(last=False)

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

    async def _tracked(self, application_name: str) -> int | None:
        await self._read_up()
        return self._known.tracked.get(application_name)

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
            events = [event_of(record, headers) for record in records if is_event(headers := dict(record.headers))]
            if events:
                return dict(enumerate(events, start=place))


def is_event(headers: Mapping[str, bytes]) -> bool:
    return headers.get("kind") == EVENT.encode()


def event_of(record: Any, headers: Mapping[str, bytes]) -> StoredEvent:
    written = record.key.decode()
    originator: UUID | str = UUID(written) if headers["id"] == b"uuid" else written
    return StoredEvent(originator, int(headers["version"]), headers["topic"].decode(), record.value)


def entries_of(waiting: Inserting) -> list[Entry]:
    insert = ("insert", waiting.insert_id.encode())
    entries: list[Entry] = []
    for event in waiting.events:
        kind = b"uuid" if isinstance(event.originator_id, UUID) else b"text"
        headers = [
            ("kind", EVENT.encode()),
            ("id", kind),
            ("version", b"%d" % event.originator_version),
            ("topic", event.topic.encode()),
            insert,
        ]
        entries.append((str(event.originator_id).encode(), event.state, headers))
    if waiting.tracking is not None:
        headers = [
            ("kind", TRACKING.encode()),
            ("application", waiting.tracking.application_name.encode()),
            ("position", b"%d" % waiting.tracking.notification_id),
            insert,
        ]
        entries.append((CONTROL_KEY, b"", headers))
    return entries


def answer(waiting: Inserting, told: list[int] | Exception) -> None:
    if waiting.done.done():
        return
    if isinstance(told, Exception):
        waiting.done.set_exception(told)
    else:
        waiting.done.set_result(told)
