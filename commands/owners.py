"""The shards of this process: opened when they are to be owned, served side by side, given up in good order."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from commands.announced import Announced
from commands.cold import Cold
from commands.connection import KafkaConnection
from commands.context import Secrets
from commands.follow import Follower, TooFarBehind
from commands.learning import LEARNED_FROM, Learning
from commands.log import Fenced, ShardLog, TenureLost
from commands.memory import Account, LogCorrupt
from commands.opening import Opening, open_log
from commands.order import Answer, Order, Unavailable
from commands.policy import Policy
from commands.shard import Released, Shard, in_time
from schemas.keyring import Keyring
from schemas.message import NotInDirectory, SubjectId
from schemas.partition import partition_of
from schemas.record import Stored, Unreadable
from schemas.topics import OWNED, SHARDS

REOPEN_AFTER_S = 1.0
NEW_WITHIN_S = 5.0
LAG_LIMIT_S = 10.0
"""Decisions by an older directory are not given."""
RELEASED_WITHIN_S = 25.0
"""It is served until the end of it: only then does its next owner wait."""
ASKED_WITHIN_S = 5.0
"""A shard that is given to somebody else is served until that one asks for it, but not for longer."""

HANDED_OVER = "it is handed over"

type Asking = Callable[[int], Awaitable[None]]
"""Asks the former owner of a shard to give it up; returns once it has, or where nobody answers."""

logger = structlog.get_logger()


class Following:
    """What this process reads of all shards: keys, directory, owners."""

    def __init__(
        self,
        client_args: Mapping[str, Any],
        keyring: Keyring,
        policy: Policy,
        opened: Callable[[int], None] = lambda shard: None,
    ) -> None:
        """`opened` hears of each shard that somebody has opened."""
        self._opened = opened
        self._learning = Learning(keyring, policy)
        self.announced = Announced()
        self.barriers = self._learning.barriers
        self._follower = Follower(client_args, [*LEARNED_FROM, SHARDS.name], self._take)

    async def start(self) -> None:
        """Returns once everything that stood on the log at the start is known."""
        await self._follower.start()

    async def stop(self) -> None:
        await self._follower.stop()

    async def run(self) -> None:
        """Until it is cancelled. Raises what it cannot go on after."""
        await self._follower.run()

    async def up_to(self, ends: Mapping[TopicPartition, int]) -> None:
        await self._follower.up_to(ends)

    async def up_to_now(self) -> None:
        """Returns once everything is known that stands on the log now: what is not known here may have been written by
        another owner just now. Raises Unavailable."""
        try:
            async with asyncio.timeout(NEW_WITHIN_S):
                await self._follower.up_to()
        except (TimeoutError, KafkaError, TooFarBehind) as failed:
            raise Unavailable("directory-lagging", f"the directory cannot be read: {failed!r}") from failed

    @property
    def behind_s(self) -> float:
        """For how long it has not known all that stands on the log."""
        return self._follower.behind_s

    def _take(self, stored: Stored) -> None:
        if stored.topic == SHARDS.name and self.announced.take(stored):
            self._opened(stored.partition)
        self._learning.take(stored)


class Shards:
    """A desk over the shards that are owned here. `own` says which are to be."""

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
        cold: Cold | None = None,
        asks: Asking | None = None,
    ) -> None:
        self._client_args = client_args
        self._cluster = cluster
        self._keyring = keyring
        self._policy = policy
        self._secrets = secrets
        self._clock = clock
        self._cold = cold
        self._asks = asks
        self._open: dict[int, Shard] = {}
        self._closed: dict[int, str] = {}
        self._tenures: dict[int, asyncio.Task[None]] = {}
        self._releasing: dict[int, asyncio.Task[None]] = {}
        self._wanted: set[int] = set()
        self._handing_over: dict[int, asyncio.Task[None]] = {}
        self._again: set[int] = set()
        """Given back to us while they were being handed over."""
        self.partitions = partitions
        self.owner = owner
        self.address = address
        self._confirming: set[asyncio.Task[None]] = set()
        self.following = Following(client_args, keyring, policy, self._opened_somewhere)
        self.taken: Callable[[int], None] = lambda partition: None
        """Told of a shard that another owner has, by a fence or because it asked, though it is to be owned here."""

    async def start(self) -> None:
        """All shards open, and every decision sees the whole directory. Raises LogCorrupt, TenureLost."""
        await self.following.start()
        every = range(self.partitions)
        self._wanted = set(every)
        opened = await asyncio.gather(*(self._opened(p) for p in every))
        for shard in opened:
            self._tenures[shard.partition] = asyncio.create_task(self._tenure(shard.partition, shard))
        logger.info("shards open", shards=self.partitions, owner=self.owner)

    async def join(self) -> None:
        """Ready to own what `own` will say."""
        await self.following.start()

    async def stop(self) -> None:
        """At once; nothing is handed over. See `own` for that."""
        self._again.clear()
        tenures = [
            *self._tenures.values(),
            *self._releasing.values(),
            *self._handing_over.values(),
            *self._confirming,
        ]
        for tenure in tenures:
            tenure.cancel()
        await asyncio.gather(*tenures, return_exceptions=True)
        await self.following.stop()

    # Which are owned

    def own(self, partitions: Iterable[int]) -> None:
        """These, and no others, from now on: what is new is opened, what is not among them is handed over."""
        self._wanted = set(partitions)
        self._again = self._wanted & self._handing_over.keys()
        for partition in self._releasing.keys() & self._wanted - self._handing_over.keys():
            self._releasing[partition].cancel()
        for partition in self._wanted - self.held():
            self._tenures[partition] = asyncio.create_task(self._tenure(partition))
        for partition in self.held() - self._wanted:
            self._let_go(partition)

    def held(self) -> set[int]:
        """Those that are open here or being opened."""
        return {partition for partition, tenure in self._tenures.items() if not tenure.done()}

    def _let_go(self, partition: int) -> None:
        """Its next owner will ask for it when it is ready; if it does not, it is given up all the same."""

        async def later() -> None:
            if partition in self._open:
                await asyncio.sleep(ASKED_WITHIN_S)
            if partition not in self._wanted:
                await self.release(partition)

        if partition not in self._releasing:
            task = self._releasing[partition] = asyncio.create_task(later())
            task.add_done_callback(lambda _: self._releasing.pop(partition, None))

    async def release(self, partition: int) -> None:
        """Hand it over: serve what waits, write down what is known. Returns when it is no longer served here."""
        under_way = self._handing_over.get(partition)
        if under_way is None:
            under_way = asyncio.create_task(self._hand_over(partition))
            self._handing_over[partition] = under_way
            under_way.add_done_callback(lambda _: self._handed_over(partition))
        await asyncio.shield(under_way)

    def _handed_over(self, partition: int) -> None:
        del self._handing_over[partition]
        if partition in self._again:
            self._again.discard(partition)
            self._tenures[partition] = asyncio.create_task(self._tenure(partition))

    async def _hand_over(self, partition: int) -> None:
        tenure, shard = self._tenures.get(partition), self._open.get(partition)
        if tenure is None or tenure.done():
            return
        try:
            if shard is not None:
                async with asyncio.timeout(RELEASED_WITHIN_S):
                    await shard.release()
                    await asyncio.wait([tenure])
        except (Unavailable, TimeoutError) as hindered:
            logger.warning("shard not handed over in order", shard=partition, why=str(hindered))
        finally:
            tenure.cancel()
            await asyncio.wait([tenure])
            if partition in self._open:
                self._close(partition, HANDED_OVER)
            if partition in self._wanted:
                self.taken(partition)

    # What is asked of them

    async def submit(self, order: Order) -> Answer:
        """Raises Refused by a rule; Unavailable where the shard is not open here or the log does not answer in time."""
        partition = partition_of(order.aggregate_id, self.partitions)
        if self.following.behind_s > LAG_LIMIT_S:
            said = f"the directory as decisions see it is {self.following.behind_s:.0f} s old"
            raise Unavailable("directory-lagging", said)
        try:
            return await in_time(self._shard(partition).submit(order), partition)
        except NotInDirectory:
            await self.following.up_to_now()
            return await in_time(self._shard(partition).submit(order), partition)

    async def forget_in(self, partition: int, subject: SubjectId) -> bool:
        """Throw away the subject's key of one shard, if it has one. Raises Unavailable where it is not open here."""
        return await self._shard(partition).forget(subject)

    async def forget(self, subject: SubjectId) -> int:
        """Throw away the subject's keys everywhere; how many there were. Raises Unavailable."""
        return sum(await asyncio.gather(*(self.forget_in(p, subject) for p in range(self.partitions))))

    async def accounts(self) -> list[Account]:
        """What each open shard's owner knows. Raises Unavailable."""
        return list(await asyncio.gather(*(shard.account() for shard in self._open.values())))

    async def pin(self, partition: int, owner: str) -> None:
        """Say on the log who is to have the shard. Raises Unavailable where it is not open here."""
        await self._shard(partition).pin(owner)

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

    # A tenure

    def _opened_somewhere(self, partition: int) -> None:
        """Where another owner has opened what is open here, a write tells that this tenure is over. Without one it
        would not be known: orders go to who has announced, and that one may have given the shard up again."""
        shard, said = self._open.get(partition), self.following.announced.owner(partition)
        if shard is None or said is None or (said.owner, said.epoch) == (self.owner, shard.epoch):
            return
        task = asyncio.create_task(confirmed(shard))
        self._confirming.add(task)
        task.add_done_callback(self._confirming.discard)

    async def _tenure(self, partition: int, shard: Shard | None = None) -> None:
        """Serve; open again after a broken tenure. Who was fenced stays closed: the other owner has it."""
        while True:
            try:
                shard = shard or await self._opened(partition)
                try:
                    await shard.run()
                finally:
                    await shard.close()
            except Released:
                self._close(partition, HANDED_OVER)
                return
            except Fenced as fenced:
                self._close(partition, f"fenced by another owner ({fenced})")
                self.taken(partition)
                return
            except (LogCorrupt, Unreadable) as corrupt:
                self._close(partition, str(corrupt))
                return
            except (TenureLost, KafkaError, OSError) as lost:
                self._close(partition, f"opening again ({lost})")
            except Exception as broken:
                logger.exception("tenure broken", shard=partition)
                self._close(partition, f"opening again ({broken!r})")
            shard = None
            await asyncio.sleep(REOPEN_AFTER_S)
            if partition not in self._wanted:
                self._close(partition, "somebody else is to have it")
                return

    async def _opened(self, partition: int) -> Shard:
        identity, topics = f"logistics.{self._cluster}.shard.{partition}", [topic.name for topic in OWNED]
        log = ShardLog(KafkaConnection(self._client_args, identity, partition, topics))
        try:
            return await self._open_with(log)
        except BaseException:
            await log.close()
            raise

    async def _open_with(self, log: ShardLog) -> Shard:
        partition = log.partition
        await log.connect()
        source = f"/logistics/{self._cluster}/shard/{partition}"
        opening = Opening(partition)

        async def former_owner_done() -> None:
            if self._asks is not None:
                await self._asks(partition)

        await open_log(
            opening, log, self._client_args, self.following, self._clock, source, self.owner, former_owner_done
        )
        shard = Shard(
            log=log,
            memory=opening.memory,
            chain=opening.chain,
            keyring=self._keyring,
            policy=self._policy,
            secrets=self._secrets,
            clock=self._clock,
            cluster=self._cluster,
            snapshots=opening.snapshots(),
            cold=self._cold,
        )
        await shard.announce(self.owner, self.address)
        self._open[partition] = shard
        self._closed.pop(partition, None)
        logger.info("shard open", shard=partition, epoch=log.epoch, aggregates=len(opening.memory), owner=self.owner)
        return shard

    def _close(self, partition: int, why: str) -> None:
        in_order = why == HANDED_OVER
        (logger.info if in_order else logger.warning)("shard closed", shard=partition, why=why)
        self._open.pop(partition, None)
        self._closed[partition] = why


async def confirmed(shard: Shard) -> None:
    with suppress(Unavailable):
        await shard.confirm()
