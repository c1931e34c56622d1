"""The projector: follows the log and keeps every read model's rows and its place in one transaction."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from time import monotonic
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from prometheus_client import Counter, Gauge, Histogram
from psycopg import AsyncConnection, AsyncCursor
from psycopg_pool import AsyncConnectionPool

from projections.folding import Parked
from projections.model import Fact, ReadModel, fact_of
from projections.rows import fold_into
from projections.tables import FOLD_LOCK, positions, rebuilds
from schemas import catalog
from schemas.record import Stored, Unreadable, stored_of, whole_commands

FETCH_RECORDS = 2_000
FETCH_WAIT_MS = 100
BACK_OFF_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)

FOLDED = Counter("logistics_projector_events_total", "Events folded into read models")
LAG = Gauge("logistics_projector_lag_records", "Records not yet folded", ["topic", "partition"])
COMMIT = Histogram("logistics_projector_commit_seconds", "One transaction for all read models")

LET_GO = "SET LOCAL idle_in_transaction_session_timeout = '30s'"
"""Whoever stands still before the end of it, frozen or cut off, holds its places and rows locked no longer."""

logger = structlog.get_logger()

type Place = tuple[str, int]
type Dead = Callable[[Stored, str], Awaitable[None]]


class PositionMoved(RuntimeError):
    """Another projector has folded this partition: what is in memory is void."""


class TableSwapped(RuntimeError):
    """A model was rebuilt and stands in another table now: what is in memory is void."""


class Projector(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """Several may run: Kafka's group spreads the partitions, and compare-and-set keeps them from folding twice."""

    def __init__(
        self,
        *,
        client_args: Mapping[str, Any],
        group: str,
        instance: str,
        pool: AsyncConnectionPool[AsyncConnection],
        models: Sequence[ReadModel],
        dead: Dead,
    ) -> None:
        self._models = models
        self._pool = pool
        self._dead = dead
        self._topics = sorted({topic for model in models for topic in model.topics})
        self._consumer = AIOKafkaConsumer(
            **client_args,
            group_id=group_of(group, self._topics),
            group_instance_id=instance,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=FETCH_RECORDS,
            fetch_max_wait_ms=50,
            max_partition_fetch_bytes=4 << 20,
            session_timeout_ms=10_000,
            heartbeat_interval_ms=1_000,
        )
        self._places: dict[str, dict[Place, int]] = {}
        """Of each model: the next offset to fold."""
        self._parked: dict[str, Parked] = {}
        self._rebuilds: dict[tuple[str, int], int] = {}
        self._held: dict[Place, list[Stored]] = {}
        """The beginning of a command whose end is not yet fetched."""
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._consumer.subscribe(self._topics, listener=self)
        await self._consumer.start()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._consumer.stop()

    async def run(self) -> None:
        """Until it is cancelled."""
        assert self._task is not None, "start first"
        await self._task

    async def caught_up(self, ends: Mapping[TopicPartition, int] | None = None) -> bool:
        """Whether everything before `ends`, or else everything that is on the log now, is in the rows."""
        assigned = self._consumer.assignment()
        if not assigned or not self._places:
            return False
        if ends is None:
            ends = await self._consumer.end_offsets(list(assigned))
        return all(
            at.get((place.topic, place.partition), 0) >= end
            for model in self._models
            for at in [self._places[model.name]]
            for place, end in ends.items()
            if place in assigned and place.topic in model.topics
        )

    # The consumer's group

    async def on_partitions_revoked(  # pyright: ignore[reportIncompatibleMethodOverride]  # aiokafka awaits it
        self, revoked: Iterable[TopicPartition]
    ) -> None:
        self._held.clear()

    async def on_partitions_assigned(  # pyright: ignore[reportIncompatibleMethodOverride]  # aiokafka awaits it
        self, assigned: Iterable[TopicPartition]
    ) -> None:
        await self._seek_to_stored(list(assigned))

    async def _seek_to_stored(self, assigned: Sequence[TopicPartition]) -> None:
        self._held.clear()
        async with self._pool.connection() as connection:
            self._rebuilds = await rebuilds(connection)  # first: what is read after it is at least as new
            for model in self._models:
                self._places[model.name] = await positions(connection, model)
                self._parked[model.name] = await load_parked(connection, model)
        for place in assigned:
            followers = [model for model in self._models if place.topic in model.topics]
            at = min(self._places[m.name].get((place.topic, place.partition), 0) for m in followers)
            self._consumer.seek(place, at)

    # Fetch, fold, commit

    async def _run(self) -> None:
        failures = 0
        while True:
            fetched = await self._consumer.getmany(timeout_ms=FETCH_WAIT_MS, max_records=FETCH_RECORDS)
            if not fetched:
                continue
            try:
                await self._take(fetched)
                failures = 0
            except Exception as failed:
                wait_s = BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)]
                failures += 1
                logger.warning("fold failed, starting again from what is stored", error=failed)
                await asyncio.sleep(wait_s)
                await self._recover()

    async def _recover(self) -> None:
        """Until it is where the stored places are: whoever read on from here would pass over what was not folded."""
        failures = 0
        while True:
            try:
                await self._seek_to_stored(list(self._consumer.assignment()))
                return
            except Exception as failed:
                logger.warning("positions could not be read", error=failed)
                await asyncio.sleep(BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)])
                failures += 1

    async def _take(self, fetched: Mapping[TopicPartition, Sequence[Any]]) -> None:
        facts: list[Fact] = []
        moves: dict[Place, int] = {}
        for partition, records in fetched.items():
            place = (partition.topic, partition.partition)
            ready, after = await self._ready(place, [stored_of(record) for record in records])
            facts += ready
            if after is not None:
                moves[place] = after
        if moves:
            with COMMIT.time():
                await self._commit(facts, moves)
            FOLDED.inc(len(facts))
        for place in moves:
            end = self._consumer.highwater(TopicPartition(*place))
            LAG.labels(*map(str, place)).set(0 if end is None else max(0, end - moves[place]))

    async def _ready(self, place: Place, records: list[Stored]) -> tuple[list[Fact], int | None]:
        """The facts that may be committed, and the offset after them: never in the middle of a command."""
        held = self._held.pop(place, [])
        waiting = [record for record in held if record.offset < records[0].offset] + records
        facts: list[Fact] = []
        pending: list[Fact] = []
        after: int | None = None
        for record in waiting:
            fact = await self._fact(record)
            if fact is None:
                if not pending:
                    after = record.offset + 1
                continue
            pending.append(fact)
            if whole_commands([(fact.envelope, record)]):
                facts += pending
                pending, after = [], record.offset + 1
        if pending:
            first = pending[0].stored.offset
            self._held[place] = [record for record in waiting if record.offset >= first]
        return facts, after

    async def _fact(self, record: Stored) -> Fact | None:
        """None for control records and types that no model follows; what cannot be read goes to the dead."""
        if record.is_control or record.header("ce_type") not in catalog.TYPES:
            return None
        try:
            return fact_of(record)
        except Unreadable as unreadable:
            await self._dead(record, unreadable.reason)
            return None

    async def _commit(self, facts: list[Fact], moves: Mapping[Place, int]) -> None:
        async with self._pool.connection() as connection, connection.transaction(), connection.cursor() as cursor:
            await cursor.execute(LET_GO.encode())
            await self._hold_tables(connection)
            for model in self._models:
                await self._fold(cursor, model, facts)
            for model in self._models:
                await self._move(cursor, model, moves)
            await cursor.execute("SELECT pg_notify('logistics_positions', '')")
        for model in self._models:
            self._parked[model.name].fresh.clear()
            for place, after in moves.items():
                if place[0] in model.topics:
                    at = self._places[model.name]
                    at[place] = max(after, at.get(place, 0))

    async def _hold_tables(self, connection: AsyncConnection) -> None:
        """No table is swapped before the transaction's end. Two statements: the second must see what the lock saw."""
        await connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", (FOLD_LOCK,))
        if await rebuilds(connection) != self._rebuilds:
            raise TableSwapped("a model was rebuilt: places and what is parked are read again")

    async def _fold(self, cursor: AsyncCursor[Any], model: ReadModel, facts: Iterable[Fact]) -> None:
        at, parked = self._places[model.name], self._parked[model.name]
        mine = [
            fact
            for fact in facts
            if type(fact.event) in model.events
            and fact.stored.offset >= at.get((fact.stored.topic, fact.stored.partition), 0)
        ]
        if not mine:
            return
        await fold_into(cursor, model, model.physical, mine, parked)
        for fact, reason in parked.fresh:
            await park(cursor, model, fact, reason)

    async def _move(self, cursor: AsyncCursor[Any], model: ReadModel, moves: Mapping[Place, int]) -> None:
        """Compare-and-set of the model's place in each partition."""
        at = self._places[model.name]
        mine = {place: after for place, after in moves.items() if place[0] in model.topics and after > at.get(place, 0)}
        if not mine:
            return
        await cursor.execute(
            MOVE,
            {
                "model": model.name,
                "version": model.version,
                "topics": [topic for topic, _ in mine],
                "partitions": [partition for _, partition in mine],
                "before": [at.get(place, 0) for place in mine],
                "after": list(mine.values()),
            },
        )
        if cursor.rowcount != len(mine):
            raise PositionMoved(f"{model.name}: {len(mine) - cursor.rowcount} places were moved by another")


MOVE = """
INSERT INTO projection_positions AS stored (model, version, topic, partition, next_offset)
SELECT %(model)s, %(version)s, topic, partition, after
FROM unnest(%(topics)s::text[], %(partitions)s::bigint[], %(before)s::bigint[], %(after)s::bigint[])
    AS given (topic, partition, before, after)
WHERE before = 0 OR EXISTS (
    SELECT FROM projection_positions AS known
    WHERE known.model = %(model)s AND known.version = %(version)s
      AND known.topic = given.topic AND known.partition = given.partition
)
ORDER BY topic, partition
ON CONFLICT (model, version, topic, partition) DO UPDATE SET next_offset = excluded.next_offset
WHERE stored.next_offset = (
    SELECT before
    FROM unnest(%(topics)s::text[], %(partitions)s::bigint[], %(before)s::bigint[]) AS asked (topic, partition, before)
    WHERE asked.topic = stored.topic AND asked.partition = stored.partition
)
"""


def group_of(name: str, topics: Sequence[str]) -> str:
    """One for each set of topics: a static member that comes back gets its old assignment, of topics that it may no
    longer follow, and could not start. Its places are in Postgres, so nothing is lost with the old group."""
    return f"{name}.{sha256(' '.join(topics).encode()).hexdigest()[:8]}"


async def load_parked(connection: AsyncConnection, model: ReadModel) -> Parked:
    parked = Parked()
    cursor = await connection.execute(
        "SELECT aggregate_id, topic, partition FROM projection_parked WHERE model = %s AND version = %s",
        (model.name, model.version),
    )
    parked.aggregates = {aggregate: (topic, partition) for aggregate, topic, partition in await cursor.fetchall()}
    return parked


async def park(cursor: AsyncCursor[Any], model: ReadModel, fact: Fact, reason: str) -> None:
    await cursor.execute(
        "INSERT INTO projection_parked VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (
            model.name,
            model.version,
            fact.stored.topic,
            fact.stored.partition,
            fact.source.aggregate_id,
            fact.stored.offset,
            reason[:2_000],
        ),
    )


async def until_caught_up(projector: Projector, timeout_s: float) -> None:
    """Raises TimeoutError."""
    until = monotonic() + timeout_s
    while not await projector.caught_up():
        if monotonic() > until:
            raise TimeoutError(f"the projector did not catch up within {timeout_s} s")
        await asyncio.sleep(0.02)
