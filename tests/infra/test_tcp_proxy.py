"""The network that tests break: what passes it, what is held back, and what is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from tcp_proxy import TcpProxy

from infra.embedded.ports import HOST


class Echo:
    """Answers each line by itself, and remembers it."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.server: asyncio.Server | None = None

    async def start(self) -> int:
        self.server = await asyncio.start_server(self._answer, HOST, 0)
        port: int = self.server.sockets[0].getsockname()[1]
        return port

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while line := await reader.readline():
                self.heard.append(line.strip())
                writer.write(line)
        writer.close()


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    made = Echo()
    yield made
    if made.server is not None:
        made.server.close()


@pytest.fixture
async def proxy(echo: Echo) -> AsyncIterator[TcpProxy]:
    """It calls the first who comes `ann`, all others `bob`."""
    names = iter(["ann"])
    made = TcpProxy(lambda port: next(names, "bob"))
    await made.start(await echo.start())
    yield made
    await made.stop()


type Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connected(proxy: TcpProxy) -> Line:
    """And heard of: a line has gone there and back."""
    line = await asyncio.open_connection(HOST, proxy.port)
    assert await asked(line, b"hello") == b"hello"
    return line


async def asked(line: Line, what: bytes) -> bytes:
    """Empty where the connection broke."""
    try:
        line[1].write(what + b"\n")
        async with asyncio.timeout(10):
            return (await line[0].readline()).strip()
    except ConnectionError:
        return b""


async def test_what_is_cut_breaks_and_who_comes_again_is_served(proxy: TcpProxy):
    line = await connected(proxy)
    assert proxy.cut() == 1
    assert await asked(line, b"a") == b""
    await connected(proxy)


async def test_one_client_alone_is_cut(proxy: TcpProxy):
    ann, bob = await connected(proxy), await connected(proxy)
    assert proxy.cut("ann") == 1
    assert await asked(ann, b"a") == b""
    assert await asked(bob, b"b") == b"b"


async def test_who_is_refused_is_served_once_that_is_over(proxy: TcpProxy):
    fault = proxy.refuse()
    line = await asyncio.open_connection(HOST, proxy.port)
    assert await asked(line, b"a") == b""
    proxy.heal(fault)
    await connected(proxy)


async def test_what_is_held_arrives_late_even_of_a_client_that_is_gone(proxy: TcpProxy, echo: Echo):
    ann, bob = await connected(proxy), await connected(proxy)
    fault = proxy.hold()
    ann[1].write(b"of ann\n")
    bob[1].write(b"of bob\n")
    await asyncio.sleep(0.2)
    ann[1].transport.abort()
    await asyncio.sleep(0.2)
    assert echo.heard == [b"hello", b"hello"]
    proxy.heal(fault)
    assert (await bob[0].readline()).strip() == b"of bob"
    async with asyncio.timeout(10):
        while sorted(echo.heard[2:]) != [b"of ann", b"of bob"]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_answers_that_are_dropped_were_asked_for_and_the_connection_breaks_afterwards(
    proxy: TcpProxy, echo: Echo
):
    line = await connected(proxy)
    fault = proxy.drop_answers("ann")
    line[1].write(b"a\n")
    async with asyncio.timeout(10):
        while echo.heard != [b"hello", b"a"]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.2)
    proxy.heal(fault)
    with suppress(ConnectionError):
        assert await line[0].readline() == b""


async def test_what_is_delayed_comes_in_its_order_and_not_before(proxy: TcpProxy):
    line = await connected(proxy)
    proxy.delay(0.2, "ann")
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    assert [await asked(line, b"a"), await asked(line, b"b")] == [b"a", b"b"]
    assert loop.time() - began_s >= 0.8
