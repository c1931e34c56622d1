"""Fixes by WebSocket: a phone keeps one connection, and every batch is answered once it is on the log.

| sent                                       | answered                                         |
|--------------------------------------------|--------------------------------------------------|
| `{"resume": "s1", "device_id": …}`         | `{"resume": "s1", "device_id": …, "seq": 6}`     |
| `{"seq": 7, "device_id": …, "fixes": […]}` | `{"seq": 7}` and what FixesAnswer has            |
| what cannot be taken                       | `{"seq": 7, "problem": {…}}`, as RFC 9457 has it |

`seq` is null where it could not be read. Batches are taken one after the other. What has no answer when the connection
ends is sent again: a fix that stood already is put aside as a duplicate.

Who asks to resume is told the highest number that was acknowledged of the session, on whatever connection and gateway;
null where nothing is known of it. A session is the sender's own word for one row of numbers: another begins where the
sender has forgotten its numbers, as after it was installed anew. It is remembered for 30 days.
"""

import asyncio
from typing import Annotated

import msgspec
from prometheus_client import Gauge
from starlette.types import Receive, Scope, Send

from gateway import log
from gateway.allowed import FIX_SENDERS
from gateway.call import Call, too_large
from gateway.commands import tenant_of
from gateway.door import Door
from gateway.entry import Entry
from gateway.feed import TICKET
from gateway.fixes import FixesAnswer, FixIngest
from gateway.parameters import Parameter, parameters_of
from gateway.problems import Problem
from gateway.sockets import FAILED, GOING_AWAY, POLICY, fields_of, refuse, refused, seq_of
from gateway.tickets import caller_of
from gateway.tokens import Caller
from gateway.uplinks import Uplinks
from gateway.validation import decoded
from projections.uplinks import Key
from schemas.fixes import FixBatch
from schemas.message import Id, Input

ROUTE = "/v1/{tenant}/fixes/socket"
IDLE_S = 300.0
"""A phone that says nothing for so long is disconnected: it comes again when it has something."""

MOST_SESSIONS = 1_000
"""Devices of one connection that resume."""

type Sessions = dict[str, Key]
"""By device."""

PARAMETERS: dict[str, Parameter] = {
    "ticket": msgspec.structs.replace(TICKET, check=str, schema={"type": "string", "maxLength": 2_000})
}
SOCKETS = Gauge("logistics_fix_sockets", "Open connections for fixes.")


class NumberedBatch(FixBatch, frozen=True, kw_only=True):
    """`seq` is the sender's own number; the answer has it, too."""

    seq: Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Resume(Input, frozen=True, kw_only=True):
    """What follows on this connection of this device is of this session."""

    resume: Id
    device_id: Id


class Resumed(msgspec.Struct, kw_only=True):
    resume: str
    device_id: str
    seq: int | None


class NumberedAnswer(FixesAnswer, kw_only=True):
    seq: int


decoder = msgspec.json.Decoder(NumberedBatch)
resumes = msgspec.json.Decoder(Resume)


class FixSocket:
    """An ASGI app for WebSocket connections."""

    def __init__(self, door: Door, entry: Entry, ingest: FixIngest, uplinks: Uplinks) -> None:
        self._door, self._entry, self._ingest, self._uplinks = door, entry, ingest, uplinks
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = Call(scope, receive)
        call.route = ROUTE
        await receive()  # websocket.connect
        try:
            caller = self._admitted(call)
        except Problem as problem:
            await refuse(problem, call, scope, send)
            return
        self._open += 1
        SOCKETS.set(self._open)
        try:
            await send({"type": "websocket.accept"})
            await self._serve(call, caller, send)
        except Exception as failed:
            log.failure(call, failed)
            await send({"type": "websocket.close", "code": FAILED, "reason": f"request {call.request_id} failed"})
        finally:
            self._open -= 1
            SOCKETS.set(self._open)

    def _admitted(self, call: Call) -> Caller:
        """Raises Problem."""
        given = parameters_of(call, PARAMETERS)
        if "ticket" in given:
            known = caller_of(given["ticket"], call.param("tenant"), self._door.secrets)
            caller = self._entry.let_in(call, known, FIX_SENDERS, "send fixes")
        else:
            caller = self._entry.admitted(call, FIX_SENDERS, "send fixes")
        if self._open >= self._door.limits.sockets:
            raise Problem("too-many-streams", f"{self._open} connections for fixes are open", retry_after_s=10)
        return caller

    async def _serve(self, call: Call, caller: Caller, send: Send) -> None:
        sessions: Sessions = {}
        while True:
            try:
                async with asyncio.timeout(IDLE_S):
                    message = await call.receive()
            except TimeoutError:
                await send({"type": "websocket.close", "code": GOING_AWAY, "reason": "silent for too long"})
                return
            if message["type"] == "websocket.disconnect":
                return
            body = message.get("bytes") or (message.get("text") or "").encode()
            try:
                told = msgspec.json.encode(await self._answer(call, caller, body, sessions))
            except Problem as problem:
                told = refused(problem, call, seq_of(body))
                if problem.code == "token-invalid":
                    await send({"type": "websocket.send", "text": told.decode()})
                    await send({"type": "websocket.close", "code": POLICY, "reason": problem.detail})
                    return
            await send({"type": "websocket.send", "text": told.decode()})

    async def _answer(self, call: Call, caller: Caller, body: bytes, sessions: Sessions) -> NumberedAnswer | Resumed:
        """Raises Problem."""
        self._entry.again(caller)
        if len(body) > self._door.limits.fixes_body_bytes:
            raise too_large(self._door.limits.fixes_body_bytes)
        if b'"resume"' in body and "resume" in fields_of(body):
            return await self._resumed(decoded(resumes, Resume, body), tenant_of(call), caller, sessions)
        batch = decoded(decoder, NumberedBatch, body)
        taken = await self._ingest.taken(batch, tenant_of(call), caller)
        if batch.device_id in sessions:
            self._uplinks.acknowledged(sessions[batch.device_id], batch.seq)
        return NumberedAnswer(seq=batch.seq, **msgspec.structs.asdict(taken))

    async def _resumed(self, asked: Resume, tenant: str, caller: Caller, sessions: Sessions) -> Resumed:
        """Raises Problem where there are too many."""
        if asked.device_id not in sessions and len(sessions) >= MOST_SESSIONS:
            raise Problem("too-many", f"one connection resumes at most {MOST_SESSIONS} devices")
        key = tenant, caller.subject, asked.device_id, asked.resume
        sessions[asked.device_id] = key
        return Resumed(resume=asked.resume, device_id=asked.device_id, seq=await self._uplinks.last(key))
