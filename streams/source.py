"""Kafka through Faust, with the place held in Postgres: each fetch is one piece of work, done together with its place.

A thin adapter: Faust spreads partitions over workers and fetches; where a worker begins, and when a place moves, is
Postgres's say alone. It reaches into faust-streaming 0.15 and aiokafka 0.14, whose versions are pinned; each override
names what it is for. An agent must never raise into Faust: its queue would stay full and all partitions would stall.
"""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Protocol

import faust
import msgspec
import structlog
from aiokafka.consumer.fetcher import OffsetResetStrategy
from faust.serializers import codecs
from faust.transport.consumer import ensure_TPset
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from schemas.record import Stored, stored_of

FETCH_WAIT_MS = 50
"""Faust's own 1,500 would be the delay of a quiet stream."""
FETCH_RECORDS = 128
SESSION_S = 10.0
BUFFERED_FETCHES = 2
MOST_FAILURES = 8
BACK_OFF_S = 0.05
LONGEST_BACK_OFF_S = 5.0

logger = structlog.get_logger()

type Place = tuple[str, int]
"""Topic and partition."""


class PlaceLost(RuntimeError):
    """The place in Postgres is outside the log: retention has eaten what was not read, or the topic is another."""


class Batch(msgspec.Struct, frozen=True):
    """What one fetch brought of one partition: from `start` up to `end`, which is the next place.

    `epoch` counts the seeks of the partition: with another epoch everything in memory of it is void. `behind` is how
    many offsets the partition had after `end` when it was fetched.
    """

    topic: str
    partition: int
    start: int
    end: int
    epoch: int
    records: Sequence[Stored]
    behind: int = 0


class Work[Folded](Protocol):
    """What one fetch leads to is kept while the next one is folded."""

    async def places(self, beginnings: Mapping[Place, int]) -> Mapping[Place, int]:
        """The next offset of each partition; one that is not known is kept at its beginning."""
        ...

    async def fold(self, batches: Sequence[Batch]) -> Folded:
        """Do the work up to what is to be kept. May raise: it is given again."""
        ...

    async def keep(self, folded: Folded) -> None:
        """Move each place from start to end, together, in the order in which they were folded. May raise: then what was
        folded since is void, and all is given again."""
        ...


class Untouched(codecs.Codec):
    """Faust's serialisers see no record: a fetch goes through as it is."""

    def _loads(self, s: Any) -> Any:
        return s

    def _dumps(self, s: Any) -> Any:
        return s


class ConsumerThread(driver.AIOKafkaConsumerThread):
    def __post_init__(self) -> None:
        super().__post_init__()
        self.at: dict[TP, int] = {}
        """Where each partition's next batch starts: an unbroken chain from the seek."""
        self.epochs: dict[TP, int] = {}

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """The eager protocol takes everything away. Until the next seek an unknown place may be any."""
        for place in list(self.at):
            del self.at[place]
            self.epochs[place] += 1
        consumer: Any = self._ensure_consumer()
        consumer._fetcher._default_reset_strategy = OffsetResetStrategy.EARLIEST
        await super().on_partitions_revoked(revoked)

    async def bounds(self, places: Any) -> tuple[Mapping[TP, int], Mapping[TP, int]]:
        async def ask() -> Any:
            consumer = self._ensure_consumer()
            return await consumer.beginning_offsets(places), await consumer.end_offsets(places)

        first, end = await self.call_thread(ask)
        return first, end

    async def seek_all(self, offsets: Mapping[TP, int]) -> None:
        """In the consumer's own thread, so that no fetch falls between. From here on a lost place must raise."""

        async def seek() -> None:
            consumer: Any = self._ensure_consumer()
            consumer._fetcher._default_reset_strategy = OffsetResetStrategy.NONE
            for place, offset in offsets.items():
                if place in consumer.assignment():
                    consumer.seek(driver.ensure_aiokafka_TP(place), offset)
                    self.at[place] = offset
                    self.epochs[place] = self.epochs.get(place, 0) + 1

        await self.call_thread(seek)

    async def _fetch_records(
        self, consumer: Any, active_partitions: Any, timeout: Any = None, max_records: Any = None
    ) -> Any:
        fetched = await super()._fetch_records(consumer, active_partitions, timeout=timeout, max_records=max_records)
        assignment = consumer._subscription.subscription.assignment
        batches = {}
        for raw, records in fetched.items():
            place = TP(raw.topic, raw.partition)
            if place not in self.at or records[0].offset < self.at[place]:
                continue  # fetched before our seek
            state = assignment.state_value(raw)
            end, behind = state.position, max(0, (state.highwater or 0) - state.position)
            stored = [stored_of(r) for r in records]
            batches[place] = [Batch(raw.topic, raw.partition, self.at[place], end, self.epochs[place], stored, behind)]
            self.at[place] = end
        return batches


class NothingRead(dict[Any, Any]):
    """Faust passes over what is below its last read offset; after a seek back that would lose records."""

    def __getitem__(self, key: Any) -> Any:
        return None

    def __setitem__(self, key: Any, value: Any) -> None:
        pass


class Consumer(driver.Consumer):
    app: Any
    _thread: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_offset = NothingRead()

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Every way by which Faust comes to a starting place leads here."""
        return await self.seek_again(ensure_TPset(self.assignment()))

    async def seek_again(self, places: Any) -> Mapping[TP, int]:
        ours = [place for place in places if place.topic in self.app.work_topics]
        if not ours:
            return {}
        first, end = await self._thread.bounds(ours)
        kept = await self.app.work.places({(p.topic, p.partition): first[p] for p in ours})
        offsets = {place: kept[place.topic, place.partition] for place in ours}
        for place, offset in offsets.items():
            if not first[place] <= offset <= end[place]:
                await self.crash(
                    PlaceLost(f"{place}: the place is {offset}, the log holds {first[place]} to {end[place]}")
                )
                return {}
        await self._thread.seek_all(offsets)
        return {}

    def on_buffer_full(self, tp: TP) -> None:
        """Held back by the bounded queue alone: Faust's pausing dies with an agent and stalls its partitions."""

    def on_buffer_drop(self, tp: TP) -> None:
        pass

    def is_current(self, batch: Batch) -> bool:
        epoch = self._thread.epochs.get(TP(batch.topic, batch.partition))
        return epoch == batch.epoch and not self.app.rebalancing

    async def _commit(self, offsets: Any) -> bool:
        return True

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:
        """All partitions of a fetch as one message."""
        fetched = await super()._getmany(active_partitions, timeout)
        if not fetched:
            return fetched
        return {next(iter(fetched)): [[batch for batches in fetched.values() for batch in batches]]}

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        last = record[0].records[-1]
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            0.0,
            0,
            [],
            None,
            record,
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )


class Transport(driver.Transport):
    Consumer = Consumer


class Worker(faust.App):
    def _create_directories(self) -> None:
        """None: what is known lies in Postgres, and a folder here would be made wherever the program was started."""


class Keeping:
    """What was folded last, on its way into Postgres. `failures` are those since something was kept."""

    def __init__(self) -> None:
        self.failures = 0
        self._batches: Sequence[Batch] = ()
        self._task: asyncio.Task[None] | None = None

    def begin(self, batches: Sequence[Batch], keep: Coroutine[Any, Any, None]) -> None:
        self._batches, self._task = batches, asyncio.create_task(keep)

    def or_else(self, coming: asyncio.Future[Any]) -> list[asyncio.Future[Any]]:
        return [coming] if self._task is None else [coming, self._task]

    async def ended(self) -> None:
        """Raises what it failed by."""
        if self._task is not None:
            await self._task
            self._batches, self._task, self.failures = (), None, 0

    async def settled(self) -> None:
        """What has ended has ended well. Raises what it failed by."""
        if self._task is not None and self._task.done():
            await self.ended()

    async def given_up(self) -> Sequence[Batch]:
        """What of it is void: all, unless it comes to a good end."""
        task, batches = self._task, self._batches
        self._batches, self._task = (), None
        if task is None:
            return ()
        await asyncio.wait([task])
        if not task.cancelled() and task.exception() is None:
            return ()
        logger.warning("what was folded before is void, too", error=None if task.cancelled() else task.exception())
        return batches

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()


class Source:
    """One worker of the group `name`. Runs in the loop that starts it. Whoever is silent for `session_s` loses its
    partitions to the others."""

    def __init__(
        self, name: str, client_args: Mapping[str, Any], topic: str, work: Work[Any], session_s: float = SESSION_S
    ) -> None:
        self._app = worker(name, client_args, session_s)
        self._app.work = work
        self._app.work_topics = frozenset({topic})
        self._app.transport = Transport(self._app.conf.broker_consumer, self._app)
        self._work = work
        channel = self._app.topic(topic, value_serializer=Untouched(), key_serializer="raw", acks=False)
        self._app.agent(channel, name=f"{name}.agent")(self._follow)
        self.crashed: asyncio.Future[None] | None = None

    async def start(self) -> None:
        """Returns once it is started; partitions are assigned later."""
        self._app.loop = asyncio.get_running_loop()
        self._app.finalize()
        await self._app.start()

    async def run(self) -> None:
        """Until it is cancelled. Raises what it crashed by."""
        await self._app.wait_until_stopped()
        if self._app.crash_reason is not None:
            raise self._app.crash_reason

    async def stop(self) -> None:
        await self._app.stop()

    async def _follow(self, stream: Any) -> None:
        """The agent: never raises. After a failure it goes back to what Postgres holds."""
        events = aiter(stream.events())
        keeping = Keeping()
        coming = asyncio.ensure_future(anext(events))
        try:
            while True:
                await asyncio.wait(keeping.or_else(coming), return_when=asyncio.FIRST_COMPLETED)
                batches: list[Batch] = []
                try:
                    if coming.done():
                        batches = [batch for batch in coming.result().value if self._app.consumer.is_current(batch)]
                        coming = asyncio.ensure_future(anext(events))
                        if batches:
                            await self._taken(batches, keeping)
                    await keeping.settled()
                except StopAsyncIteration:
                    return
                except Exception as failed:
                    keeping.failures += 1
                    logger.warning("batch failed", error=failed, failures=keeping.failures)
                    if keeping.failures > MOST_FAILURES:
                        await self._app.crash(failed)
                        return
                    void = [*await keeping.given_up(), *batches]
                    if not await self._back_to({TP(batch.topic, batch.partition) for batch in void}, keeping.failures):
                        return
        finally:
            coming.cancel()
            keeping.cancel()

    async def _taken(self, batches: Sequence[Batch], keeping: Keeping) -> None:
        """Folded while what came before is kept; and on the way to be kept."""
        folded = await self._work.fold(batches)
        await keeping.ended()
        keeping.begin(batches, self._work.keep(folded))

    async def _back_to(self, places: set[TP], failures: int) -> bool:
        """To what Postgres holds, however long that takes to answer; whether it did before it was given up.

        Whoever went on without would read past what is not folded.
        """
        tries = failures
        while True:
            await asyncio.sleep(min(LONGEST_BACK_OFF_S, BACK_OFF_S * 2**tries))
            try:
                await self._app.consumer.seek_again(places)
                return True
            except Exception as failed:
                logger.warning("place not read", error=failed, tries=tries)
                tries += 1
                if tries >= failures + MOST_FAILURES:
                    await self._app.crash(failed)
                    return False


def worker(name: str, client_args: Mapping[str, Any], session_s: float) -> Any:
    servers = str(client_args["bootstrap_servers"]).split(",")
    return Worker(
        name,
        broker=[f"kafka://{server}" for server in servers],
        broker_credentials=credentials(client_args),
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        stream_buffer_maxsize=BUFFERED_FETCHES,
        stream_wait_empty=False,
        broker_max_poll_records=FETCH_RECORDS,
        broker_session_timeout=session_s,
        broker_heartbeat_interval=session_s / 5,
        consumer_auto_offset_reset="earliest",
        autodiscover=False,
    )


def credentials(client_args: Mapping[str, Any]) -> Any:
    """As Faust wants them: TLS by a context, SASL by names."""
    protocol = client_args.get("security_protocol", "PLAINTEXT")
    context = client_args.get("ssl_context")
    if protocol == "PLAINTEXT":
        return None
    if protocol == "SSL":
        return faust.SSLCredentials(context=context)
    return faust.SASLCredentials(
        mechanism=client_args["sasl_mechanism"],
        username=client_args["sasl_plain_username"],
        password=client_args["sasl_plain_password"],
        ssl_context=context,
    )
