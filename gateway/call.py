"""One request, and what is known of it so far."""

import os
import re
from time import perf_counter
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from gateway.problems import Problem
from gateway.tokens import Caller

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
"""W3C Trace Context, section 3.2."""


class Call:
    """`route` is the path's template; it and the ids below are what the log and the metrics may know."""

    __slots__ = (
        "_headers",
        "caller",
        "command_id",
        "live",
        "receive",
        "request_id",
        "route",
        "scope",
        "started_s",
        "tenant",
        "trace_id",
        "traceparent",
    )

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self.receive = receive
        self.started_s = perf_counter()
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        self.request_id = self._request_id()
        self.trace_id, self.traceparent = self._trace()
        self.route = "unknown"
        self.tenant: str | None = None
        self.command_id: str | None = None
        self.caller: Caller | None = None
        self.live = True
        """Until it is known that the tenant is one for tests."""

    @property
    def method(self) -> str:
        method: str = self.scope["method"]
        return method

    @property
    def path(self) -> str:
        path: str = self.scope["path"]
        return path

    @property
    def query(self) -> str:
        return bytes(self.scope["query_string"]).decode("latin-1")

    def param(self, name: str) -> str:
        """Of the path."""
        value: str = self.scope["path_params"][name]
        return value

    def header(self, name: bytes) -> str | None:
        """`name` in lower case."""
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")

    async def body(self, limit_bytes: int) -> bytes:
        """The whole body. Raises Problem where it is too large or packed, ClientDisconnect where it ends early."""
        packed = self.header(b"content-encoding") or "identity"
        if packed.strip().lower() not in ("", "identity"):
            raise as_it_is(packed)
        announced = self._headers.get(b"content-length", b"")
        if announced.isdigit() and int(announced) > limit_bytes:
            raise too_large(limit_bytes)
        message = await self.receive()
        body = chunk(message)
        while message.get("more_body", False):
            message = await self.receive()
            body += chunk(message)
            if len(body) > limit_bytes:
                break
        if len(body) > limit_bytes:
            raise too_large(limit_bytes)
        return body

    def _request_id(self) -> str:
        given = self.header(b"x-request-id")
        return given if given is not None and REQUEST_ID.fullmatch(given) else os.urandom(12).hex()

    def _trace(self) -> tuple[str, str]:
        """The caller's trace with a span of our own, or a new one."""
        given = TRACEPARENT.fullmatch(self.header(b"traceparent") or "")
        trace_id, flags = (given[1], given[3]) if given else (os.urandom(16).hex(), "01")
        return trace_id, f"00-{trace_id}-{os.urandom(8).hex()}-{flags}"


def chunk(message: Any) -> bytes:
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    body: bytes = message.get("body", b"")
    return body


def as_it_is(packed: str) -> Problem:
    """What is packed would have to be unpacked to be bounded."""
    return Problem(
        "unsupported-media-type",
        f"a body of Content-Encoding {packed[:40]} is not unpacked: send it as it is",
        headers=[(b"accept-encoding", b"identity"), (b"connection", b"close")],
    )


def too_large(limit_bytes: int) -> Problem:
    return Problem(
        "body-too-large",
        f"the body is larger than {limit_bytes} bytes",
        values={"limit_bytes": limit_bytes},
        headers=[(b"connection", b"close")],
    )
