"""The desk of a process that may own some shards or none: decides here, or hands over to the owner, one hop."""

import asyncio
from time import monotonic

import structlog

from commands.announced import Announced
from commands.memory import Account
from commands.order import Answer, Order, Unavailable
from commands.owners import Shards
from commands.remote import Peer, Unreached
from commands.wire import Misdirected
from schemas.message import SubjectId
from schemas.partition import partition_of

LEARN_WITHIN_S = 1.0
"""For the announcement of an owner that somebody else knows already."""
LEARN_EVERY_S = 0.02
ALIVE_WITHIN_S = 2.0
"""A former owner that says nothing for so long is not waited for."""

logger = structlog.get_logger()


class Router:
    """`shards` of None: this process owns none."""

    def __init__(self, announced: Announced, partitions: int, key: bytes, shards: Shards | None = None) -> None:
        self.announced = announced
        self._partitions = partitions
        self._key = key
        self._shards = shards
        self._peers: dict[str, Peer] = {}

    async def stop(self) -> None:
        await asyncio.gather(*(peer.stop() for peer in self._peers.values()))

    async def submit(self, order: Order) -> Answer:
        """Raises Refused by a rule, Unavailable where nobody can judge now."""
        shard = partition_of(order.aggregate_id, self._partitions)
        former = self.announced.owner(shard)
        try:
            return await self._handed_over(shard, order)
        except Misdirected as elsewhere:
            await self._learned(shard, elsewhere.epoch)
        except Unreached:
            await self._learned(shard, 0 if former is None else former.epoch + 1)
        try:
            return await self._handed_over(shard, order)
        except Misdirected as elsewhere:
            raise Unavailable("shard-not-open", f"shard {shard} changes hands: {elsewhere}") from elsewhere

    async def _handed_over(self, shard: int, order: Order) -> Answer:
        if self._shards is not None and self._is_here(shard):
            return await self._shards.submit(order)
        return await self._owner(shard).submit(order)

    async def forget(self, subject: SubjectId) -> int:
        """Throw away the subject's keys in all shards; how many there were. Each owner knows whether it has one: what
        this process knows may be a little old. Raises Unavailable."""
        return sum(await asyncio.gather(*(self._forget_in(shard, subject) for shard in range(self._partitions))))

    async def _forget_in(self, shard: int, subject: SubjectId) -> bool:
        if self._shards is not None and self._is_here(shard):
            return await self._shards.forget_in(shard, subject)
        return await self._owner(shard).forget(shard, subject)

    async def accounts(self) -> list[Account]:
        """What each shard's owner knows. Raises Unavailable."""
        if self._shards is not None and self._all_here():
            return await self._shards.accounts()
        told = await asyncio.gather(*(peer.accounts() for peer in self._everyone()))
        return [account for accounts in told for account in accounts]

    async def ask_to_release(self, shard: int) -> None:
        """The owner that the log knows, if it is not this process. Returns once it has, or does not answer."""
        owner = self.announced.owner(shard)
        if owner is None or not owner.address or (self._shards is not None and owner.address == self._shards.address):
            return
        began = monotonic()
        try:
            peer = self._peer(owner.address)
            async with asyncio.timeout(ALIVE_WITHIN_S):  # one that stands still takes connections, and answers nothing
                await peer.serving()
            released = await peer.release(shard, owner.epoch)
        except (Unavailable, TimeoutError) as silent:
            logger.info("former owner does not answer", shard=shard, owner=owner.owner, why=str(silent))
        else:
            took_s = round(monotonic() - began, 3)
            logger.info("former owner has released", shard=shard, owner=owner.owner, was=released, took_s=took_s)

    async def pin(self, shard: int, owner: str) -> None:
        """Raises Unavailable."""
        await self._owner(shard).pin(shard, owner)

    async def is_open(self, shard: int) -> bool:
        """Whether its owner says that it serves it, under the epoch that is announced."""
        return shard not in await self.not_served()

    def closed(self) -> dict[int, str]:
        """The shards that nobody is known to serve, and why."""
        found = {}
        for shard in range(self._partitions):
            if not self._is_here(shard):
                try:
                    self._owner(shard)
                except Unavailable as why:
                    found[shard] = str(why)
        return found

    async def not_served(self) -> dict[int, str]:
        """The shards that nobody serves, and why: those who are announced to are asked."""
        found = self.closed()
        asked = [shard for shard in range(self._partitions) if shard not in found and not self._is_here(shard)]
        serving: dict[str, dict[int, int]] = {}
        for address in {owner.address for shard in asked if (owner := self.announced.owner(shard))}:
            try:
                async with asyncio.timeout(ALIVE_WITHIN_S):
                    serving[address] = await self._peer(address).serving()
            except (Unavailable, TimeoutError):
                serving[address] = {}
        for shard in asked:
            owner = self.announced.owner(shard)
            if owner is not None and serving.get(owner.address, {}).get(shard, -1) < owner.epoch:
                found[shard] = f"{owner.owner} does not serve it"
        return found

    def _is_here(self, shard: int) -> bool:
        return self._shards is not None and shard in self._shards.shards()

    def _all_here(self) -> bool:
        return self._shards is not None and len(self._shards.shards()) == self._partitions

    def _everyone(self) -> list[Peer]:
        return [self._peer(address) for address in sorted(self.announced.addresses())]

    def _owner(self, shard: int) -> Peer:
        owner = self.announced.owner(shard)
        if owner is None or not owner.address:
            raise Unavailable("shard-not-open", f"nobody has announced to own shard {shard}")
        if self._shards is not None and owner.address == self._shards.address:
            why = self._shards.closed().get(shard, "it is opening")
            raise Unavailable("shard-not-open", f"shard {shard} is not open: {why}")
        return self._peer(owner.address)

    def _peer(self, address: str) -> Peer:
        if address not in self._peers:
            known = self.announced.addresses()
            for gone in [old for old in self._peers if old not in known]:
                asyncio.get_running_loop().create_task(self._peers.pop(gone).stop())
            self._peers[address] = Peer(address, self._key)
            self._peers[address].start()
        return self._peers[address]

    async def _learned(self, shard: int, epoch: int) -> None:
        """Wait, not for long, until the announcement of an owner of `epoch` or later has come."""
        end = monotonic() + LEARN_WITHIN_S
        while monotonic() < end:
            owner = self.announced.owner(shard)
            if owner is not None and owner.epoch >= epoch:
                return
            await asyncio.sleep(LEARN_EVERY_S)
