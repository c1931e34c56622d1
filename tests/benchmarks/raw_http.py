"""A client that costs the machine little: what is measured is the server. HTTP/1.1, kept alive, one request at a time."""

import asyncio
from typing import Any

import msgspec


class Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._buffer = bytearray()
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        lower = bytes(self._buffer[:head]).lower()
        at = lower.index(b"content-length:") + 15
        length = int(lower[at : lower.index(b"\r\n", at) if b"\r\n" in lower[at:] else None])
        if len(self._buffer) < head + 4 + length:
            return
        status, body = int(lower[9:12]), bytes(self._buffer[head + 4 : head + 4 + length])
        del self._buffer[: head + 4 + length]
        assert self._answer is not None, "it was asked"
        self._answer.set_result((status, body))

    def connection_lost(self, lost: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(lost or ConnectionResetError())

    async def post(self, path: str, token: str, body: Any, key: str | None = None) -> Any:
        content = msgspec.json.encode(body)
        told = f"Idempotency-Key: {key}\r\n" if key else ""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n{told}"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(head.encode() + content)
        status, told_body = await self._answer
        assert status < 300, told_body
        return msgspec.json.decode(told_body)

    def close(self) -> None:
        self._transport.close()


async def connected(host: str, port: int) -> Connection:
    _, connection = await asyncio.get_running_loop().create_connection(Connection, host, port)
    return connection
