"""Which shards this process should own, as a consumer group over `logistics.shards` says. Kafka decides by heartbeats.

It is advice: who does own a shard, the epoch says. Revoking ends nothing; a shard is given up when its next owner asks
for it, or some seconds after the group has given it to somebody else.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import InvalidSessionTimeoutError, KafkaError

from commands.assignment import Claim, Pin, ShardAssignor
from commands.owners import Shards
from schemas.topics import SHARDS

HEARTBEATS_A_SESSION = 7
REBALANCE_TIMEOUT_MS = 10_000
POLL_MS = 500
REJOIN_AFTER_S = 3.0
"""A shard that was taken from us though the group gave it to us: the group is asked again."""
LEAVE_WITHIN_S = 4.0
"""For the others to ask for what was ours: they hear of it within a heartbeat."""
LOOK_EVERY_S = 0.05

logger = structlog.get_logger()


def group_of(cluster: str) -> str:
    return f"logistics.shards.{cluster}"


class NotAMember(RuntimeError):
    """The brokers do not take this process into the group. Says what to set."""


class Membership(ConsumerRebalanceListener):  # type: ignore[misc]  # it is not typed
    def __init__(self, client_args: Mapping[str, Any], cluster: str, shards: Shards, session_ms: int) -> None:
        """A member that is silent for `session_ms` is missed."""
        self._shards = shards
        self._session_ms = session_ms
        self._assignor = ShardAssignor()
        self._consumer = AIOKafkaConsumer(
            **client_args,
            group_id=group_of(cluster),
            enable_auto_commit=False,
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms // HEARTBEATS_A_SESSION,
            rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
            partition_assignment_strategy=[self._assignor],
        )
        self._polling: asyncio.Task[None] | None = None
        self._rejoins: set[asyncio.Task[None]] = set()
        self._assigned: set[int] = set()
        self._assigned_once = asyncio.Event()

    async def start(self) -> None:
        self._shards.taken = self._taken
        self._claim()
        await self._consumer.start()
        self._consumer.subscribe([SHARDS.name], listener=self)
        self._polling = asyncio.create_task(self._poll())

    async def joined(self) -> None:
        """Returns when the group has said for the first time what is ours. Raises NotAMember."""
        waiting = asyncio.create_task(self._assigned_once.wait())
        assert self._polling is not None, "start first"
        await asyncio.wait([waiting, self._polling], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._polling.done():
            await self._polling

    async def run(self) -> None:
        """Until it is cancelled. Raises what keeps it from being a member."""
        assert self._polling is not None, "start first"
        await self._polling

    async def leave(self) -> None:
        """The others get what was ours, and ask us for it; what nobody asks for is written down and given up."""
        self._shards.taken = lambda shard: None
        for task in [*self._rejoins, *([self._polling] if self._polling else [])]:
            task.cancel()
        await asyncio.gather(self._consumer.stop(), return_exceptions=True)
        if self._assignor.members > 1:
            with suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_WITHIN_S):
                    while self._shards.held():  # noqa: ASYNC110 - others decide
                        await asyncio.sleep(LOOK_EVERY_S)
        await asyncio.gather(*(self._shards.release(shard) for shard in self._shards.held()))

    def rejoin(self) -> None:
        """Have the group assign anew."""
        self._claim()
        coordinator: Any = self._consumer._coordinator
        coordinator.request_rejoin()

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """We go on serving; what we say when we join again is what we serve now."""
        self._claim()

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._consumer.pause(*assigned)
        self._assigned = {place.partition for place in assigned}
        logger.info("shards assigned", owner=self._shards.owner, shards=sorted(self._assigned))
        self._shards.own(self._assigned)
        self._assigned_once.set()

    def _claim(self) -> None:
        pins = self._shards.following.announced.pins()
        self._assignor.claim = Claim(
            owner=self._shards.owner,
            serving={shard: opened.epoch for shard, opened in self._shards.shards().items()},
            pins={shard: Pin(pin.pinned_at, pin.owner) for shard, pin in pins.items()},
        )

    def _taken(self, shard: int) -> None:
        task = asyncio.create_task(self._assigned_again(shard))
        self._rejoins.add(task)
        task.add_done_callback(self._rejoins.discard)

    async def _assigned_again(self, shard: int) -> None:
        await asyncio.sleep(REJOIN_AFTER_S)
        if shard in self._assigned and shard not in self._shards.held():
            logger.info("the group is asked again", shard=shard, owner=self._shards.owner)
            self.rejoin()

    async def _poll(self) -> None:
        """Nothing is fetched; a member that does not ask for records for long is taken for stuck."""
        while True:
            try:
                await self._consumer.getmany(timeout_ms=POLL_MS)
            except InvalidSessionTimeoutError as refused:
                raise NotAMember(
                    f"the brokers do not allow LOGISTICS_OWNER_SESSION_MS={self._session_ms}: it lies between their "
                    "group.min.session.timeout.ms and group.max.session.timeout.ms"
                ) from refused
            except KafkaError as failed:
                logger.warning("group not reached", owner=self._shards.owner, error=repr(failed))
                await asyncio.sleep(POLL_MS / 1_000)
