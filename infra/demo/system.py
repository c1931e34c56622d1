"""All roles in one process, on one clock that moves only when everything has caught up."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Protocol, Self

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from gateway.app import app
from infra.dead_letters import DeadLetters
from infra.kafka import client_args
from infra.lag import lag_records
from infra.role_gateway import Gateway
from infra.role_processes import Processes
from infra.role_streams import Streams
from infra.settings import Settings
from projections.models import MODELS
from projections.projector import Projector
from projections.tables import migrate
from schemas.topics import FIXES, HISTORY, KEYS, SIGNALS

LOOK_EVERY_S = 0.004
CAUGHT_UP_WITHIN_S = 120.0
ACTION = timedelta(milliseconds=1)
"""By so much one thing that happens is later than the one before."""

NEXT_DUE = "SELECT min(due_at) FROM deadlines WHERE due_at <= %s"

type Ends = Mapping[TopicPartition, int]


class Part(Protocol):
    async def caught_up(self, ends: Ends) -> bool: ...


class NotCaughtUp(RuntimeError):
    """Something in the system stands still."""


class VirtualClock:
    def __init__(self, start: datetime) -> None:
        self.now = start

    def __call__(self) -> datetime:
        return self.now

    def advance(self, to: datetime) -> None:
        self.now = max(self.now, to)

    def step(self) -> None:
        self.now += ACTION


class System:
    """`settings` with every address and secret. The door is open to `client` alone."""

    def __init__(self, settings: Settings, clock: VirtualClock) -> None:
        args = client_args(settings)
        self._settings, self.clock = settings, clock
        self._pool = AsyncConnectionPool[AsyncConnection[Any]](
            settings.postgres.get_secret_value(), min_size=2, max_size=8, open=False
        )
        self.gateway = Gateway(settings, clock, alone=True)
        self._app = app(self.gateway.door)
        self._producer = AIOKafkaProducer(**args, enable_idempotence=True)
        self._ends = AIOKafkaConsumer(**args, enable_auto_commit=False)
        self._projector = Projector(
            client_args=args,
            group=f"logistics.projector.{settings.cluster}",
            instance="projector-1",
            pool=self._pool,
            models=list(MODELS.values()),
            dead=DeadLetters(self._producer, "projector"),
        )
        self._processes = Processes(
            settings,
            self.gateway.shards,
            self._pool,
            clock,
            keyring=self.gateway.keyring,
            policy=self.gateway.policy,
            fires=False,
        )
        self._streams = Streams(settings, self._pool, clock)
        self._serving: list[asyncio.Task[Any]] = []
        self._lifespan = self._app.router.lifespan_context(self._app)
        self.waits = 0
        """How often it was waited for that everything has caught up."""

    async def __aenter__(self) -> Self:
        """Raises what keeps a part from starting."""
        await self._pool.open()
        async with self._pool.connection() as connection:
            await migrate(connection, MODELS.values())
        await self._producer.start()
        await self._ends.start()
        await self.gateway.start()
        await self._lifespan.__aenter__()
        await self._projector.start()
        await self._processes.start()
        await self._streams.start()
        self._serving = [
            asyncio.create_task(self._projector.run()),
            asyncio.create_task(self._processes.run()),
            asyncio.create_task(self._streams.run()),
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._streams.stop()
        await self._processes.stop()
        await self._projector.stop()
        await self._lifespan.__aexit__(None, None, None)
        await self.gateway.stop()
        await self._ends.stop()
        await self._producer.stop()
        await self._pool.close()

    def client(self) -> httpx.AsyncClient:
        """Of the door, by ASGI."""
        return httpx.AsyncClient(transport=httpx.ASGITransport(self._app), base_url="http://door", timeout=60.0)

    async def settle(self) -> None:
        """Until everything that follows from what is on the log stands on it, too; what has fallen due meanwhile is
        fired one by one, each with all that follows from it. Raises NotCaughtUp."""
        self.clock.step()
        self.waits += 1
        try:
            async with asyncio.timeout(CAUGHT_UP_WITHIN_S):
                await self._quiet()
                while await self._processes.fire_due(1):
                    await self._quiet()
        except TimeoutError as late:
            said = await self._behind()
            raise NotCaughtUp(f"after {CAUGHT_UP_WITHIN_S:.0f} s these have not caught up: {said}") from late

    async def _quiet(self) -> None:
        while not await self._settled():  # noqa: ASYNC110 - it is the log that is waited for
            await asyncio.sleep(LOOK_EVERY_S)

    async def advance(self, to: datetime) -> None:
        """The clock moves on, with a stop at each deadline between. Raises NotCaughtUp."""
        while (due := await self._next_due(to)) is not None:
            self.clock.advance(due)
            await self.settle()
        self.clock.advance(to)

    async def lag(self) -> int:
        """Records that the read models have not folded yet."""
        ends = {(place.topic, place.partition): end for place, end in (await self._log_ends()).items()}
        async with self._pool.connection() as connection:
            return await lag_records(connection, ends)

    async def _next_due(self, until: datetime) -> datetime | None:
        async with self._pool.connection() as connection:
            row = await (await connection.execute(NEXT_DUE, (until,))).fetchone()
        return None if row is None else row[0]

    async def _settled(self) -> bool:
        """Nothing was added while everybody had read everything."""
        for task in self._serving:
            if task.done():
                task.result()
                raise NotCaughtUp("a part of the system has ended")
        ends = await self._log_ends()
        for part in (self._projector, self._processes, self._streams, self.gateway):
            if not await part.caught_up(ends):
                return False
        return await self._log_ends() == ends

    async def _behind(self) -> str:
        parts: dict[str, Part] = {
            "processes": self._processes,
            "streams": self._streams,
            "gateway": self.gateway,
            "projector": self._projector,
        }
        ends = await self._log_ends()
        return ", ".join([name for name, part in parts.items() if not await part.caught_up(ends)]) or "the log"

    async def _log_ends(self) -> Ends:
        names = [topic.name for topic in (*HISTORY, KEYS, FIXES, SIGNALS)]
        places = [TopicPartition(name, p) for name in names for p in range(self._settings.partitions)]
        ends: Ends = await self._ends.end_offsets(places)
        return ends
