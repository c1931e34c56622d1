"""A read model made anew from the log, beside the live one, compared with it and put in its place while all goes on.

The new table is filled by a consumer of its own up to where the live one stands; of the live one a snapshot is
compared with it, row for row, at that same vector. Then one transaction holds off the projectors (`FOLD_LOCK`), folds
the few facts that came meanwhile, and gives the new table the live one's name: places stay as they are, since both
tables stand at them. Readers wait for the renaming at most; where one reads so long that others would have to wait,
it is tried again later. A projector notices by `rebuilds` that its memory is of the table before, and reads it anew.

A rebuild that dies leaves a table that the next one drops, and its lock goes with its connection.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import Any

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from psycopg import AsyncConnection, AsyncCursor, OperationalError
from psycopg.errors import LockNotAvailable

from projections.folding import Parked, folded, touched
from projections.model import Fact, ReadModel, fact_of, quoted, stored_value
from projections.projector import park
from projections.rows import load, write
from projections.tables import FOLD_LOCK, MIGRATION_LOCK, live_version, make_table, positions, show
from schemas import catalog
from schemas.record import Stored, Unreadable, stored_of

FETCH_RECORDS = 5_000
COMPARED_ROWS = 2_000
"""Of each table in memory at once."""
MOST_EXAMPLES = 5
STALLED_AFTER_S = 30.0
"""Without a record for so long the log cannot be read to where the live model stands."""
HELD_OFF_RECORDS = 2_000
"""So far behind the live one at most while the projectors are held off."""
LOCK_WAIT_MS = 500
"""So long at most do readers and projectors wait behind the swap."""
SWAP_TRIES = 60
BETWEEN_TRIES_S = 0.5
DEAD_WITHIN_S = 3.0
"""So long may the server need to see that the process of an earlier rebuild is gone."""
REBUILD_LOCK = 4_103

logger = structlog.get_logger()

type Place = tuple[str, int]
type Connection = AsyncConnection[Any]


class RebuildRefused(RuntimeError):
    """It cannot be done now; nothing has changed."""


class Rebuilt(msgspec.Struct, frozen=True, kw_only=True):
    """`differing` counts rows that the live one had otherwise, or not, or in addition, at the same vector."""

    model: str
    rows: int
    events: int
    differing: int
    examples: list[str]
    parked: int
    """Aggregates that could not be folded."""


async def rebuild(dsn: str, client_args: Mapping[str, Any], model: ReadModel) -> Rebuilt:
    """Raises RebuildRefused; then the live one stands as before."""
    async with await connected(dsn) as own, await connected(dsn) as live, reading(client_args) as consumer:
        await hold(own, model)
        await let_live(own, model)
        table = f"{model.physical}_rebuilt"
        await drop(own, table)
        try:
            await make_table(own, model, table)
            filling = Filling(own, model, table, consumer)
            await filling.reach(await positions(own, model))
            differing, examples = await compared(live, own, filling)
            await swapped(own, filling)
            cursor = await own.execute(f"SELECT count(*) FROM {model.physical}".encode())
            [(rows,)] = await cursor.fetchall()
        finally:
            with suppress(OperationalError):
                await drop(own, table)
    return Rebuilt(
        model=model.name,
        rows=rows,
        events=filling.events,
        differing=differing,
        examples=examples,
        parked=len(filling.parked),
    )


async def connected(dsn: str) -> Connection:
    return await AsyncConnection[Any].connect(dsn, autocommit=True)


@asynccontextmanager
async def reading(client_args: Mapping[str, Any]) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        **client_args,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=50,
        max_poll_records=FETCH_RECORDS,
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def hold(connection: Connection, model: ReadModel) -> None:
    """As long as the connection lives no other rebuilds this model. Raises RebuildRefused."""
    until_s = monotonic() + DEAD_WITHIN_S
    while True:
        cursor = await connection.execute("SELECT pg_try_advisory_lock(%s, hashtext(%s))", (REBUILD_LOCK, model.name))
        if await cursor.fetchone() == (True,):
            return
        if monotonic() > until_s:
            raise RebuildRefused(f"{model.name} is being rebuilt by another process: wait until it is done")
        await asyncio.sleep(0.1)


async def let_live(connection: Connection, model: ReadModel) -> None:
    """Queries see the newest version. Raises RebuildRefused where that is another: an older release would take the
    view from it."""
    live = await live_version(connection, model)
    if live != model.version:
        raise RebuildRefused(f"{model.name} is shown in version {live}, and this release knows version {model.version}")


async def drop(connection: Connection, table: str) -> None:
    await connection.execute(f"DROP TABLE IF EXISTS {table}".encode())


# Filling


class Filling:
    """A table that grows by the log's records. Its memory is one fetch and the rows that it touches."""

    def __init__(self, connection: Connection, model: ReadModel, table: str, consumer: AIOKafkaConsumer) -> None:
        self._connection = connection
        self._consumer = consumer
        self._parked = Parked()
        self._types = {catalog.BY_CLASS[event].name for event in model.events}
        self.model = model
        self.table = table
        self.at: dict[Place, int] = {}
        self.events = 0
        self.parked: list[tuple[Fact, str]] = []

    def behind(self, target: Mapping[Place, int]) -> dict[Place, int]:
        """The places that are not reached, and where they are."""
        return {place: self.at.get(place, 0) for place, end in target.items() if self.at.get(place, 0) < end}

    def missing(self, target: Mapping[Place, int]) -> int:
        """In offsets."""
        return sum(target[place] - at for place, at in self.behind(target).items())

    async def reach(self, target: Mapping[Place, int]) -> None:
        """Fold up to just there. Raises RebuildRefused where the log ends before."""
        left = {TopicPartition(*place): at for place, at in self.behind(target).items()}
        if not left:
            return
        self._consumer.assign(list(left))
        for place, at in left.items():
            self._consumer.seek(place, at)
        came_s = monotonic()
        while left:
            fetched = await self._consumer.getmany(*left, timeout_ms=200, max_records=FETCH_RECORDS)
            ends = {place: target[place.topic, place.partition] for place in left}
            await self._take([r for place, records in fetched.items() for r in records if r.offset < ends[place]])
            for place, end in ends.items():
                self.at[place.topic, place.partition] = min(end, await self._consumer.position(place))
            came_s = monotonic() if fetched else came_s
            left = {place: at for place, at in left.items() if self.at[place.topic, place.partition] < ends[place]}
            if left and monotonic() - came_s > STALLED_AFTER_S:
                raise RebuildRefused(f"{self.model.name}: the log did not come for {STALLED_AFTER_S:.0f} s: {left}")

    async def _take(self, records: Sequence[Any]) -> None:
        stored = (stored_of(r) for r in records)
        facts = [fact for each in stored for fact in [self._fact(each)] if fact is not None]
        if not facts:
            return
        async with self._connection.transaction(), self._connection.cursor() as cursor:
            rows = await load(cursor, self.model, self.table, touched(self.model, facts, self._parked))
            kept, gone = folded(self.model, facts, rows, self._parked)
            await self._copy(cursor, [row for key, row in kept.items() if key not in rows])
            await write(cursor, self.model, self.table, [row for key, row in kept.items() if key in rows], gone)
        self.events += len(facts)
        self.parked += self._parked.fresh
        self._parked.fresh.clear()

    def _fact(self, stored: Stored) -> Fact | None:
        """What cannot be read was put aside when the projector met it."""
        if stored.is_control or stored.header("ce_type") not in self._types:
            return None
        try:
            return fact_of(stored)
        except Unreadable:
            return None

    async def _copy(self, cursor: AsyncCursor[Any], rows: Sequence[Any]) -> None:
        """Those that were not there before: COPY is several times as fast as an upsert."""
        columns = self.model.columns()
        statement = f"COPY {self.table} ({quoted(columns)}) FROM STDIN".encode()
        async with cursor.copy(statement) as copy:
            for row in rows:
                await copy.write_row([stored_value(getattr(row, name), kind) for name, kind in columns.items()])


# Comparing


async def compared(live: Connection, own: Connection, filling: Filling) -> tuple[int, list[str]]:
    """How many rows differ at one vector, and some of them."""
    model = filling.model
    differing = 0
    examples: list[str] = []
    async with live.transaction():
        await live.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        await filling.reach(await positions(live, model))
        async with own.transaction():
            async for key, what in differences(hashes(live, model, model.physical), hashes(own, model, filling.table)):
                differing += 1
                if len(examples) < MOST_EXAMPLES:
                    examples.append(f"{model.name} {', '.join(map(str, key))}: {what}")
    return differing, examples


type Hash = tuple[Any, ...]
"""A row's key, and last a hash of the whole row."""


async def hashes(connection: Connection, model: ReadModel, table: str) -> AsyncIterator[Hash]:
    """In the order of their keys, as Python orders them too."""
    columns = model.columns()
    order = ", ".join(f'"{name}" COLLATE "C"' if columns[name] == "text" else f'"{name}"' for name in model.key)
    query = f"SELECT {quoted(model.key)}, md5(ROW({quoted(columns)})::text) FROM {table} ORDER BY {order}"
    async with connection.cursor(name=f"rows_of_{table}") as cursor:
        cursor.itersize = COMPARED_ROWS
        await cursor.execute(query.encode())
        async for row in cursor:
            yield row


async def differences(live: AsyncIterator[Hash], rebuilt: AsyncIterator[Hash]) -> AsyncIterator[tuple[Hash, str]]:
    """Keys, and what is otherwise. Both come in the order of their keys."""
    ours, theirs = await anext(live, None), await anext(rebuilt, None)
    while ours is not None or theirs is not None:
        if theirs is None or (ours is not None and ours[:-1] < theirs[:-1]):
            assert ours is not None, "one of the two goes on"
            yield ours[:-1], "was only in the live one"
            ours = await anext(live, None)
        elif ours is None or theirs[:-1] < ours[:-1]:
            yield theirs[:-1], "was not in the live one"
            theirs = await anext(rebuilt, None)
        else:
            if ours != theirs:
                yield ours[:-1], "was otherwise in the live one"
            ours, theirs = await anext(live, None), await anext(rebuilt, None)


# Swapping


async def swapped(own: Connection, filling: Filling) -> None:
    """Raises RebuildRefused where readers never let go of the live table, or a newer version came meanwhile."""
    for _ in range(SWAP_TRIES):
        await filling.reach(await positions(own, filling.model))
        try:
            async with projectors_held_off(own):
                target = await positions(own, filling.model)
                if filling.missing(target) <= HELD_OFF_RECORDS:
                    await filling.reach(target)
                    await swap(own, filling)
                    return
        except LockNotAvailable:
            logger.info("swap waits for a reader", model=filling.model.name)
            await asyncio.sleep(BETWEEN_TRIES_S)
    raise RebuildRefused(
        f"{filling.model.name}: in {SWAP_TRIES} tries others held the live table for more than {LOCK_WAIT_MS} ms, "
        "or it went on too fast; it stays as it was"
    )


@asynccontextmanager
async def projectors_held_off(own: Connection) -> AsyncIterator[None]:
    """Between two of their transactions. Raises LockNotAvailable."""
    await own.execute(f"SET lock_timeout = {LOCK_WAIT_MS}".encode())
    try:
        await own.execute("SELECT pg_advisory_lock(%s)", (FOLD_LOCK,))
        yield
    finally:
        await own.execute("SELECT pg_advisory_unlock(%s)", (FOLD_LOCK,))
        await own.execute("SET lock_timeout = 0")


async def swap(own: Connection, filling: Filling) -> None:
    """Raises LockNotAvailable, RebuildRefused.

    The view is locked before its table, as queries do: none meets a table that is gone, and none blocks another.
    """
    model, before = filling.model, f"{filling.model.physical}_before"
    async with own.transaction():
        await own.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
        await let_live(own, model)
        await own.execute(f"LOCK TABLE {model.name} IN ACCESS EXCLUSIVE MODE".encode())
        await own.execute(f"ALTER TABLE {model.physical} RENAME TO {before}".encode())
        await own.execute(f"ALTER TABLE {filling.table} RENAME TO {model.physical}".encode())
        await show(own, model, model.physical)
        await drop(own, before)
        await own.execute(COUNT, (model.name, model.version))
        await park_anew(own, filling)


COUNT = """
INSERT INTO projection_rebuilds AS known VALUES (%s, %s, 1)
ON CONFLICT (model, version) DO UPDATE SET rebuilds = known.rebuilds + 1
"""


async def park_anew(own: Connection, filling: Filling) -> None:
    """What could not be folded before is not parked any more, unless it still cannot be."""
    model = filling.model
    await own.execute("DELETE FROM projection_parked WHERE model = %s AND version = %s", (model.name, model.version))
    async with own.cursor() as cursor:
        for fact, reason in filling.parked:
            await park(cursor, model, fact, reason)
