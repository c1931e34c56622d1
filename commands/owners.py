"""The shards of this process: opened together, served side by side, opened again where a tenure broke."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import structlog
from aiokafka.errors import KafkaError

from commands.connection import KafkaConnection
from commands.context import Secrets
from commands.log import Fenced, ShardLog, TenureLost
from commands.memory import Account, LogCorrupt
from commands.opening import Opening, open_log
from commands.order import Answer, Order, Unavailable
from commands.policy import Policy
from commands.shard import Shard
from schemas.keyring import Keyring
from schemas.message import SubjectId
from schemas.partition import partition_of
from schemas.topics import OWNED

REOPEN_AFTER_S = 1.0

logger = structlog.get_logger()


class Shards:
    """A desk over all partitions. Until group ownership comes, one process owns every shard."""

    def __init__(
        self,
        *,
        client_args: Mapping[str, Any],
        cluster: str,
        partitions: int,
        keyring: Keyring,
        policy: Policy,
        secrets: Secrets,
        clock: Callable[[], datetime],
        owner: str,
        address: str = "",
    ) -> None:
        self._client_args = client_args
        self._cluster = cluster
        self._partitions = partitions
        self._keyring = keyring
        self._policy = policy
        self._secrets = secrets
        self._clock = clock
        self._owner = owner
        self._address = address
        self._open: dict[int, Shard] = {}
        self._closed: dict[int, str] = {}
        self._logs: dict[int, ShardLog] = {}
        self._tenures: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """All shards open, and every decision sees the whole directory. Raises LogCorrupt, TenureLost."""
        async with asyncio.TaskGroup() as opening:
            tasks = [opening.create_task(self._opened(p)) for p in range(self._partitions)]
        for task in tasks:
            shard = task.result()
            self._tenures.append(asyncio.create_task(self._serve(shard)))
        logger.info("shards open", shards=self._partitions, owner=self._owner)

    async def stop(self) -> None:
        for tenure in self._tenures:
            tenure.cancel()
        await asyncio.gather(*self._tenures, return_exceptions=True)
        await asyncio.gather(*(log.close() for log in self._logs.values()))

    async def submit(self, order: Order) -> Answer:
        partition = partition_of(order.aggregate_id, self._partitions)
        return await self._shard(partition).submit(order)

    async def forget(self, subject: SubjectId) -> int:
        """Throw away the subject's keys everywhere; how many there were. Raises Unavailable."""
        partitions = self._keyring.partitions_of(subject)
        await asyncio.gather(*(self._shard(p).forget(subject) for p in partitions))
        return len(partitions)

    async def accounts(self) -> list[Account]:
        """What each open shard's owner knows. Raises Unavailable."""
        return list(await asyncio.gather(*(shard.account() for shard in self._open.values())))

    def shards(self) -> Mapping[int, Shard]:
        return self._open

    def closed(self) -> Mapping[int, str]:
        """The shards that do not serve, and why."""
        return self._closed

    def _shard(self, partition: int) -> Shard:
        shard = self._open.get(partition)
        if shard is None:
            why = self._closed.get(partition, "it is opening")
            raise Unavailable("shard-not-open", f"shard {partition} is not open: {why}")
        return shard

    async def _opened(self, partition: int) -> Shard:
        identity, topics = f"logistics.{self._cluster}.shard.{partition}", [topic.name for topic in OWNED]
        log = ShardLog(KafkaConnection(self._client_args, identity, partition, topics))
        self._logs[partition] = log
        await log.connect()
        source = f"/logistics/{self._cluster}/shard/{partition}"
        opening = Opening(partition, self._keyring, self._policy)
        await open_log(opening, log, self._client_args, self._clock, source, self._owner)
        shard = Shard(
            log=log,
            memory=opening.memory,
            chain=opening.chain,
            keyring=self._keyring,
            policy=self._policy,
            secrets=self._secrets,
            clock=self._clock,
            cluster=self._cluster,
        )
        await shard.announce(self._owner, self._address)
        self._open[partition] = shard
        self._closed.pop(partition, None)
        return shard

    async def _serve(self, shard: Shard) -> None:
        """Serve; open again after a broken tenure. Who was fenced stays closed: the other owner has it."""
        partition = shard.partition
        while True:
            try:
                await shard.run()
            except Fenced as fenced:
                self._close(partition, f"fenced by another owner ({fenced})")
                return
            except TenureLost as lost:
                self._close(partition, f"opening again ({lost})")
            reopened = await self._reopened(partition)
            if reopened is None:
                return
            shard = reopened

    async def _reopened(self, partition: int) -> Shard | None:
        """Tries until it is open; None where it never will be."""
        while True:
            await self._logs[partition].close()
            await asyncio.sleep(REOPEN_AFTER_S)
            try:
                return await self._opened(partition)
            except (TenureLost, KafkaError, OSError) as again:
                self._close(partition, f"could not open ({again})")
            except LogCorrupt as corrupt:
                self._close(partition, str(corrupt))
                return None

    def _close(self, partition: int, why: str) -> None:
        logger.error("shard closed", shard=partition, why=why)
        self._open.pop(partition, None)
        self._closed[partition] = why
