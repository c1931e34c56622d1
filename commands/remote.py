"""A desk in another process. What waits is sent together; a refusal there is the same refusal here."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

import httpx
import msgspec

from commands.memory import Account
from commands.order import Answer, Order, Unavailable
from commands.wire import NotOurs, Outcome, check, encode, outcomes, result, sent, signature
from schemas.message import SubjectId

TOGETHER = 200
UNDER_WAY = 4
QUEUE_LIMIT = 10_000

accounts = msgspec.msgpack.Decoder(list[Account])


class RemoteDesk:
    """`address` gives host:port of the shards' internal listener, which may move."""

    def __init__(self, address: Callable[[], str], key: bytes, timeout_s: float = 30.0) -> None:
        self._address = address
        self._key = key
        self._client = httpx.AsyncClient(timeout=timeout_s, trust_env=False)
        self._waiting: deque[tuple[Order, asyncio.Future[Answer]]] = deque()
        self._wake = asyncio.Event()
        self._senders: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._senders = [asyncio.create_task(self._send()) for _ in range(UNDER_WAY)]

    async def stop(self) -> None:
        for sender in self._senders:
            sender.cancel()
        await asyncio.gather(*self._senders, return_exceptions=True)
        await self._client.aclose()

    async def submit(self, order: Order) -> Answer:
        if len(self._waiting) >= QUEUE_LIMIT:
            raise Unavailable("desk-busy", f"{QUEUE_LIMIT} orders wait to be sent")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((order, answer))
        self._wake.set()
        return await answer

    async def _send(self) -> None:
        while True:
            await self._wake.wait()
            group = [self._waiting.popleft() for _ in range(min(TOGETHER, len(self._waiting)))]
            if not self._waiting:
                self._wake.clear()
            if group:
                await self._settle(group)

    async def _settle(self, group: list[tuple[Order, asyncio.Future[Answer]]]) -> None:
        try:
            told = await self._ask([order for order, _ in group])
        except (httpx.HTTPError, NotOurs, msgspec.MsgspecError, ValueError) as failed:
            for _, answer in group:
                if not answer.done():
                    answer.set_exception(Unavailable("shards-unreachable", f"the shards did not answer: {failed!r}"))
            return
        for (_, answer), outcome in zip(group, told, strict=True):
            settle(answer, outcome)

    async def accounts(self) -> list[Account]:
        """What each shard's owner knows. Raises httpx.HTTPError, NotOurs."""
        return accounts.decode(await self._call("/accounts", b""))

    async def forget(self, subject: SubjectId) -> int:
        """Throw away the subject's keys; how many there were. Raises httpx.HTTPError, NotOurs."""
        return msgspec.msgpack.decode(await self._call("/forget", encode(subject)), type=int)

    async def _ask(self, asked: list[Order]) -> list[Outcome]:
        told = outcomes.decode(await self._call("/orders", encode([sent(order) for order in asked])))
        if len(told) != len(asked):
            raise ValueError(f"{len(told)} answers to {len(asked)} orders")
        return list(told)

    async def _call(self, path: str, body: bytes) -> bytes:
        at_s = int(time.time())
        headers = {"x-at": str(at_s), "x-signature": signature(self._key, "request", at_s, body)}
        response = await self._client.post(f"http://{self._address()}{path}", content=body, headers=headers)
        response.raise_for_status()
        answered_s = int(response.headers.get("x-at", "0"))
        claimed = response.headers.get("x-signature", "")
        check(self._key, "answer", answered_s, response.content, claimed, time.time())
        return response.content


def settle(answer: asyncio.Future[Answer], outcome: Outcome) -> None:
    if answer.done():
        return
    try:
        answer.set_result(result(outcome))
    except Exception as told:
        answer.set_exception(told)
