"""A topic of one partition as the eventsourcing library's recorders see it: inserts that are whole or not at all.

Written by the shard's own fenced writer. What waits when a batch is acknowledged goes together into the next one; each
insert is judged against everything that stands before it. A second process that opens the same topic fences the first,
which then reads what the other wrote, judges again and goes on: both are right, one at a time.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import msgspec
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError
from eventsourcing.persistence import IntegrityError, OperationalError, StoredEvent, Tracking

from commands.connection import KafkaConnection
from commands.log import Entry, ShardLog, TenureLost
from commands.read_log import ReadLog

CONFIG = {"retention.ms": "-1", "retention.bytes": "-1", "cleanup.policy": "delete", "flush.messages": "1"}
MOST_TOGETHER = 500
"""Inserts in one batch."""

TRIES = 20
"""Tenures that may be lost to others, one after the other, before an insert is given up."""

BARRIER, RETIRED, EVENT, TRACKING = "barrier", "retired", "event", "tracking"
CONTROL_KEY = b"recorder"


class Inserting(msgspec.Struct):
    """An insert that waits: its own id is in its records, so that it is found after a lost answer."""

    insert_id: str
    events: Sequence[StoredEvent]
    tracking: Tracking | None
    done: asyncio.Future[list[int]]


class RecordedLog(ReadLog):
    """`bootstrap` is host:port[,host:port]. Raises OperationalError where Kafka does not answer in time."""

    def __init__(self, bootstrap: str, topic: str, replication: int = 1) -> None:
        self._replication = replication
        self._waiting: list[Inserting] = []
        self._tracked_at: dict[str, int] = {}
        self._barred_by: int | None = None
        """The producer id of the latest barrier."""

        self._inserted: OrderedDict[str, list[int]] = OrderedDict()
        """Of the latest inserts, the notification ids that they got."""
        super().__init__(bootstrap, topic)

    # From any thread

    def insert(self, events: Sequence[StoredEvent], tracking: Tracking | None = None) -> list[int]:
        """The notification ids. Raises IntegrityError where one stands already."""
        return self._call(self._insert(events, tracking))

    def tracked(self, application_name: str) -> int | None:
        return self._call(self._tracked(application_name))

    # Opening

    async def _open(self) -> None:
        await self._make_topic()
        self._more = asyncio.Event()
        self._log: ShardLog | None = None
        await super()._open()
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
        await super()._end()
        await self._lose()

    async def _tenure(self) -> ShardLog:
        """The writer, as the only one there is; whatever others wrote before is known."""
        if self._log is None:
            log = ShardLog(KafkaConnection(self._args, f"{self._topic}.recorder", 0, [self._topic]))
            try:
                await self._take_over(log)
            except BaseException:
                await log.close()
                raise
            self._log = log
        return self._log

    async def _take_over(self, log: ShardLog) -> None:
        await log.connect()
        await log.take_epoch()
        await self._read_up()
        found = {} if self._barred_by is None else {self._topic: self._barred_by}
        replaced = await log.replaced(found)
        await log.retire(replaced, {self._topic: control(RETIRED, log)})
        await log.barriers({self._topic: control(BARRIER, log)})
        await self._read_up()

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
            self._notify()
            return
        for each in open_ones:
            answer(each, OperationalError(f"the tenure of {self._topic} was lost {TRIES} times"))

    async def _lose(self) -> None:
        if self._log is not None:
            await self._log.close()
            self._log = None

    def _found(self, waiting: Inserting) -> bool:
        """Whether it stands already: its answer was lost with the tenure."""
        ids = self._inserted.get(waiting.insert_id)
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
            newest = tracked.get(name, self._tracked_at.get(name, -1))
            if position <= newest:
                raise IntegrityError(f"{name} was tracked up to {newest} already, {position} is not after it")
            tracked[name] = position
        taken |= mine

    # Reading

    def event_of(self, record: Any) -> StoredEvent | None:
        headers = dict(record.headers)
        if headers.get("kind") != EVENT.encode():
            return None
        written = record.key.decode()
        originator: UUID | str = UUID(written) if headers["id"] == b"uuid" else written
        return StoredEvent(originator, int(headers["version"]), headers["topic"].decode(), record.value)

    def _took(self, record: Any, place: int | None) -> None:
        headers = dict(record.headers)
        if headers.get("kind") == BARRIER.encode() and "producer" in headers:
            self._barred_by = int(headers["producer"])
        if headers.get("kind") == TRACKING.encode():
            name = headers["application"].decode()
            self._tracked_at[name] = max(int(headers["position"]), self._tracked_at.get(name, -1))
        if "insert" in headers:
            ids = self._inserted.setdefault(headers["insert"].decode(), [])
            if place is not None:
                ids.append(place)
            while len(self._inserted) > 10 * MOST_TOGETHER:
                self._inserted.popitem(last=False)

    async def _tracked(self, application_name: str) -> int | None:
        await self._read_up()
        return self._tracked_at.get(application_name)


def control(kind: str, log: ShardLog) -> Entry:
    return CONTROL_KEY, b"", [("kind", kind.encode()), ("control", b"1"), ("producer", b"%d" % log.producer_id)]


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
