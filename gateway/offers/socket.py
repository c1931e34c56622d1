"""A rider's offers by WebSocket: what is pending, what becomes of it as it happens, and the rider's answers.

| told                                                | when                                                     |
|-----------------------------------------------------|----------------------------------------------------------|
| `{"position": …, "change": "won", …}`               | an offer was sent, or something became of it             |
| `{"position": …, "offers": […], "more": false}`     | on connecting: all that are pending                      |
| `{"position": …, "heartbeat": …}`                   | nothing else was told for a while                        |

| sent                                                | answered                                                 |
|-----------------------------------------------------|----------------------------------------------------------|
| `{"seq": 7, "answer": "claim", "tender_id": …, …}`  | `{"seq": 7}` and what CommandAnswer has                  |
| `{"seq": 8, "answer": "alive"}`                     | `{"seq": 8}`                                             |
| what cannot be taken                                | `{"seq": 9, "problem": {…}}`, as RFC 9457 has it         |

Who comes again with `?after=` and the last position is told first what has changed since, then what is pending, then
what comes: nothing is left out, and nothing told twice. Each tender's changes come in their order.
"""

import asyncio
from contextlib import suppress
from time import time
from typing import Any

import msgspec
from prometheus_client import Counter, Gauge
from starlette.types import Receive, Scope, Send

from gateway import log
from gateway.allowed import READERS
from gateway.call import Call, too_large
from gateway.commands import tenant_of
from gateway.door import Door
from gateway.entry import Entry
from gateway.feed import FEED_PARAMETERS, STREAM_PARAMETERS
from gateway.offers.answers import answer_in, answered
from gateway.offers.following import SLOW, Ending, Following, Listener
from gateway.offers.telling import Telling
from gateway.parameters import id_of, parameters_of
from gateway.problems import Problem, not_found
from gateway.sockets import FAILED, GOING_AWAY, POLICY, TRY_AGAIN, refuse, refused, seq_of
from gateway.tickets import caller_of
from gateway.tokens import Caller
from schemas.position import BadToken, Vector, vector

ROUTE = "/v1/{tenant}/riders/{id}/socket"
MESSAGE_BYTES = 4 << 10
IDLE_S = 900.0
"""Who has said nothing for so long is disconnected, and comes again with their position if they are there."""

LIFE_S = 3_600
"""No connection that a ticket opened lasts longer, and none outlives its token."""

SEND_S = 20.0
"""In which a message is taken, or the connection is given up."""

CLOSE_S = 5.0
PARAMETERS = {"after": FEED_PARAMETERS["after"], "ticket": STREAM_PARAMETERS["ticket"]}
SOCKETS = Gauge("logistics_offer_sockets", "Open connections on which riders are told their offers.")
DROPPED = Counter("logistics_offer_sockets_dropped", "Connections whose reader was too slow.")
STALLED: Ending = (TRY_AGAIN, "what was told was not taken: come again with your position")
IDLE: Ending = (GOING_AWAY, "silent for too long")
EXPIRED: Ending = (POLICY, "the token has expired")


class Line:
    """One message at a time to one who may be slow."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._free = asyncio.Lock()

    async def say(self, what: bytes | msgspec.Struct) -> None:
        """Raises TimeoutError where it is not taken."""
        text = what if isinstance(what, bytes) else msgspec.json.encode(what)
        async with self._free, asyncio.timeout(SEND_S):
            await self._send({"type": "websocket.send", "text": text.decode()})


class OfferSocket:
    """An ASGI app for WebSocket connections."""

    def __init__(self, door: Door, entry: Entry, following: Following, telling: Telling) -> None:
        self._door, self._entry, self._following, self._telling = door, entry, following, telling
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = Call(scope, receive)
        call.route = ROUTE
        await receive()  # websocket.connect
        try:
            caller, after = self._admitted(call)
        except Problem as problem:
            await refuse(problem, call, scope, send)
            return
        self._count(1)
        try:
            with self._following.listening((tenant_of(call), id_of(call))) as listener:
                await self._visit(call, caller, after, listener, send)
        except Exception as failed:
            log.failure(call, failed)
            await send({"type": "websocket.close", "code": FAILED, "reason": f"request {call.request_id} failed"})
        finally:
            self._count(-1)

    def _count(self, more: int) -> None:
        self._open += more
        SOCKETS.set(self._open)

    def _admitted(self, call: Call) -> tuple[Caller, Vector | None]:
        """And after which place they come again. Raises Problem."""
        given = parameters_of(call, PARAMETERS)
        what = "follow a rider's offers"
        if "ticket" in given:
            known = caller_of(given["ticket"], call.param("tenant"), self._door.secrets)
            known = msgspec.structs.replace(known, expires_at=int(time()) + LIFE_S)
            caller = self._entry.let_in(call, known, READERS["offers"], what)
        else:
            caller = self._entry.admitted(call, READERS["offers"], what)
        rider = id_of(call)
        if caller.role == "rider" and caller.subject != rider:
            raise not_found(f"there is no rider {rider} for this token")
        after = self._cursor(given["after"]) if "after" in given else None
        if self._open >= self._door.limits.offer_sockets:
            raise Problem("too-many-streams", f"{self._open} connections for offers are open", retry_after_s=10)
        return caller, after

    def _cursor(self, word: str) -> Vector:
        """Raises Problem for a cursor of another log, or of none."""
        try:
            places = vector(word)
        except BadToken as bad:
            raise Problem("cursor-gone", f"the position cannot be used: {bad}") from bad
        if places.keys() - self._following.of_offers(places).keys():
            raise Problem("cursor-gone", "the position cannot be used: it names places where there are no offers")
        return self._following.of_offers(places)

    async def _visit(self, call: Call, caller: Caller, after: Vector | None, listener: Listener, send: Send) -> None:
        try:
            beginning = await self._telling.beginning(call, after)
        except Problem as problem:
            await refuse(problem, call, call.scope, send)
            return
        await send({"type": "websocket.accept"})
        line = Line(send)
        ending = await self._until_over(
            [
                asyncio.ensure_future(self._telling.tell(call, listener, beginning, line.say)),
                asyncio.ensure_future(self._hear(call, caller, line)),
                listener.ended,
            ],
            max(0.0, caller.expires_at - time()),
        )
        if ending is not None:
            DROPPED.inc(ending in (SLOW, STALLED))
            with suppress(TimeoutError, OSError):
                async with asyncio.timeout(CLOSE_S):
                    await send({"type": "websocket.close", "code": ending[0], "reason": ending[1]})

    async def _until_over(self, works: list[asyncio.Future[Any]], left_s: float) -> Ending | None:
        """How it is to be closed; None where the other side is gone."""
        done, _ = await asyncio.wait(works, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)
        if not done:
            return EXPIRED
        try:
            ending: Ending | None = next(iter(done)).result()
        except TimeoutError:
            return STALLED
        except Problem as problem:
            return TRY_AGAIN, problem.code
        except OSError:  # uvicorn's, where the other side is gone
            return None
        return ending

    async def _hear(self, call: Call, caller: Caller, line: Line) -> Ending | None:
        """One answer after the other."""
        while True:
            message: Any = None
            with suppress(TimeoutError):
                async with asyncio.timeout(IDLE_S):
                    message = await call.receive()
            if message is None:
                return IDLE
            if message["type"] == "websocket.disconnect":
                return None
            body = message.get("bytes") or (message.get("text") or "").encode()
            try:
                await line.say(await self._answer(call, caller, body))
            except Problem as problem:
                await line.say(refused(problem, call, seq_of(body)))
                if problem.code == "token-invalid":
                    return EXPIRED

    async def _answer(self, call: Call, caller: Caller, body: bytes) -> msgspec.Struct:
        """Raises Problem."""
        self._entry.again(caller)
        if len(body) > MESSAGE_BYTES:
            raise too_large(MESSAGE_BYTES)
        return await answered(self._door, call, caller, answer_in(body))
