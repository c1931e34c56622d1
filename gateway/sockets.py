"""What all WebSockets have in common: how they end, and how what is wrong is told on them."""

import json
from contextlib import suppress
from typing import Any

import msgspec
from starlette.types import Scope, Send

from gateway.call import Call
from gateway.problems import Problem, answered

GOING_AWAY, POLICY, FAILED, TRY_AGAIN = 1001, 1008, 1011, 1013
"""RFC 6455, section 7.4.1, and the last by IANA's registry of close codes."""


def refused(problem: Problem, call: Call, seq: int | None) -> bytes:
    """With the seconds after which to send again, for which HTTP has a header."""
    body = json.loads(answered(problem, call.request_id).body)
    if body["retryable"]:
        body["retry_after_s"] = problem.retry_after_s or 1
    return msgspec.json.encode({"seq": seq, "problem": body})


def seq_of(body: bytes) -> int | None:
    """Whatever else is wrong with it."""
    found = fields_of(body).get("seq")
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def fields_of(body: bytes) -> dict[str, Any]:
    """Empty where it is no object."""
    with suppress(ValueError, RecursionError):
        parsed = msgspec.json.decode(body)
        return parsed if isinstance(parsed, dict) else {}
    return {}


async def refuse(problem: Problem, call: Call, scope: Scope, send: Send) -> None:
    """The handshake is answered with the problem, where the server can (ASGI's denial response)."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": POLICY})
        return
    reply = answered(problem, call.request_id)
    headers = [*reply.headers, (b"x-request-id", call.request_id.encode())]
    await send({"type": "websocket.http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": reply.body})
