"""Shards in another process. What waits is sent together; a refusal there is the same refusal here."""

import asyncio
import time
from collections import deque

import httpx
import msgspec
import structlog

from commands.memory import Account
from commands.order import Answer, Order, Unavailable
from commands.wire import (
    Directed,
    NotOurs,
    Outcome,
    Pinning,
    accounts,
    check,
    encode,
    outcomes,
    result,
    sent,
    signature,
)
from schemas.message import SubjectId

TOGETHER = 200
UNDER_WAY = 4
QUEUE_LIMIT = 10_000
CONNECT_WITHIN_S = 1.0
ANSWER_WITHIN_S = 30.0

logger = structlog.get_logger()


class Unreached(Unavailable):
    """Nothing took the connection, so that nothing has come of what was asked."""

    def __init__(self) -> None:
        super().__init__("shard-not-open", "the shard's owner cannot be reached; the command has had no effect")


class Peer:
    """The internal listener at `address`, host:port, of a process that owns shards."""

    def __init__(self, address: str, key: bytes) -> None:
        self._address = address
        self._key = key
        timeout = httpx.Timeout(ANSWER_WITHIN_S, connect=CONNECT_WITHIN_S)
        self._client = httpx.AsyncClient(timeout=timeout, trust_env=False)
        self._waiting: deque[tuple[Order, asyncio.Future[Answer]]] = deque()
        self._wake = asyncio.Event()
        self._senders: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._senders = [asyncio.create_task(self._send()) for _ in range(UNDER_WAY)]

    async def stop(self) -> None:
        """Who still waits is told to come again."""
        for sender in self._senders:
            sender.cancel()
        await asyncio.gather(*self._senders, return_exceptions=True)
        self._unanswered(list(self._waiting), "it is not asked any more")
        await self._client.aclose()

    async def submit(self, order: Order) -> Answer:
        """Raises Refused by a rule, Misdirected where it does not own the shard, Unreached, Unavailable."""
        if len(self._waiting) >= QUEUE_LIMIT:
            raise Unavailable("shard-busy", f"{QUEUE_LIMIT} orders wait to be sent")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((order, answer))
        self._wake.set()
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await answer
        except TimeoutError as late:
            said = f"the shard's owner did not answer within {ANSWER_WITHIN_S:g} s; the command may have taken effect"
            raise Unavailable("shards-unreachable", said) from late

    async def accounts(self) -> list[Account]:
        """What it knows of each shard that is open there. Raises Unavailable."""
        return accounts.decode(await self._call("/accounts", b""))

    async def serving(self) -> dict[int, int]:
        """The shards that are open there, with the epochs of their tenures. Raises Unavailable."""
        return msgspec.msgpack.decode(await self._call("/serving", b""), type=dict[int, int])

    async def forget(self, shard: int, subject: SubjectId) -> bool:
        """Throw away the subject's key of one shard; whether there was one. Raises Unavailable."""
        told = await self._call("/forget", encode((shard, subject)))
        return msgspec.msgpack.decode(told, type=bool)

    async def release(self, shard: int, epoch: int) -> bool:
        """Have the shard of this tenure given up in good order; whether it was open there. Raises Unavailable."""
        told = await self._call("/release", encode(Directed(shard=shard, epoch=epoch)))
        return msgspec.msgpack.decode(told, type=bool)

    async def pin(self, shard: int, owner: str) -> None:
        """Have it written down who is to have the shard. Raises Unavailable."""
        await self._call("/pin", encode(Pinning(shard=shard, owner=owner)))

    async def _send(self) -> None:
        while True:
            await self._wake.wait()
            group: list[tuple[Order, asyncio.Future[Answer]]] = []
            while self._waiting and len(group) < TOGETHER:
                if not (each := self._waiting.popleft())[1].done():
                    group.append(each)
            if not self._waiting:
                self._wake.clear()
            if group:
                await self._settle(group)

    async def _settle(self, group: list[tuple[Order, asyncio.Future[Answer]]]) -> None:
        try:
            told = await self._ask([order for order, _ in group])
        except asyncio.CancelledError:
            self._unanswered(group, "it is not asked any more")
            raise
        except Unreached as gone:
            self._unanswered(group, repr(gone.__cause__), gone)
            return
        except Exception as failed:  # whatever it is, the next ones are to be sent
            self._unanswered(group, str(failed))
            return
        for (_, answer), outcome in zip(group, told, strict=True):
            settle(answer, outcome)

    def _unanswered(
        self, group: list[tuple[Order, asyncio.Future[Answer]]], why: str, told: Unavailable | None = None
    ) -> None:
        """Where and why is for our log: who asked is told by everybody's door."""
        logger.info("owner did not answer", address=self._address, orders=len(group), why=why)
        said = "the shard's owner did not answer; the command may have taken effect"
        for _, answer in group:
            if not answer.done():
                answer.set_exception(told or Unavailable("shards-unreachable", said))

    async def _ask(self, asked: list[Order]) -> list[Outcome]:
        told = outcomes.decode(await self._call("/orders", encode([sent(order) for order in asked])))
        if len(told) != len(asked):
            raise ValueError(f"{len(told)} answers to {len(asked)} orders")
        return list(told)

    async def _call(self, path: str, body: bytes) -> bytes:
        """Raises Unreached, Unavailable: nothing is known of what was asked."""
        at_s = int(time.time())
        headers = {"x-at": str(at_s), "x-signature": signature(self._key, f"request {path}", at_s, body)}
        try:
            response = await self._client.post(f"http://{self._address}{path}", content=body, headers=headers)
            if response.is_error:
                raise Unavailable("shards-unreachable", f"{self._address}: {response.status_code} {response.text}")
            answered_s = int(response.headers.get("x-at", "0"))
            claimed = response.headers.get("x-signature", "")
            check(self._key, f"answer {path}", answered_s, response.content, claimed, time.time())
        except (httpx.ConnectError, httpx.ConnectTimeout) as refused:
            raise Unreached from refused
        except (httpx.HTTPError, NotOurs, ValueError) as failed:
            raise Unavailable("shards-unreachable", f"{self._address}: {failed!r}") from failed
        return response.content


def settle(answer: asyncio.Future[Answer], outcome: Outcome) -> None:
    if answer.done():
        return
    try:
        answer.set_result(result(outcome))
    except Exception as told:
        answer.set_exception(told)
