"""A server that stands for a provider: it judges each request as the protocol demands, and answers what was recorded."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec


class Request(msgspec.Struct, frozen=True):
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


type Said = tuple[int, Any] | tuple[int, Any, Mapping[str, str]]
"""Status, body (bytes as they are, else as JSON), headers."""
type Answers = Callable[[Request], Said]


class ProviderServer:
    """`answers` gives what is said; what it raises is told to the test by `faults`. `silent` says nothing."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.asked: list[Request] = []
        self.faults: list[str] = []
        self.silent = False
        self.port = 0
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self._server.close_clients()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read(reader)
        self.asked.append(request)
        if self.silent:
            await reader.read()  # until who asks has had enough
            writer.close()
            return
        try:
            said = self.answers(request)
        except Exception as fault:
            self.faults.append(f"{request.method} {request.path}: {fault!r}")
            said = 400, {"fault": repr(fault)}
        status, body, *more = said
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Length": str(len(content)), "Connection": "close", **(more[0] if more else {})}
        head = f"HTTP/1.1 {status} x\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(head.encode() + b"\r\n" + content)
        await writer.drain()
        writer.close()


async def read(reader: asyncio.StreamReader) -> Request:
    method, target, _ = (await reader.readline()).decode().split()
    headers: dict[str, str] = {}
    while line := (await reader.readline()).decode().strip():
        name, value = line.split(":", 1)
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    parts = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(parts.query, strict_parsing=bool(parts.query)).items()}
    return Request(method, unquote(parts.path), query, headers, json.loads(body) if body else None)
