"""A network that can be broken, in front of one address: connections pass through it, and so do its faults.

    cut()               every connection breaks now; new ones are taken
    refuse()            every connection breaks, and new ones break at once
    delay(seconds)      each piece of data arrives so much later, in both directions
    hold()              nothing arrives, in either direction or in one; when that is over all of it does, in its order,
                        even what clients sent that are gone by then
    drop_answers()      requests arrive, answers are thrown away; when that is over these connections break

All but the first last until the fault that is given, or every one, is healed. Each may be for the connections of one
client alone: `of` is its name, as `who` tells it by the port it comes from. With `new=False` a hold is for the connections
that there are.

Kafka tells its clients where to connect. So that they come through here, the broker advertises the proxy's address.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Literal, NamedTuple

from infra.embedded.ports import HOST, free_port

PIECE_BYTES = 1 << 16
PIECES_WAITING = 256
"""Of one direction of a connection; then its sender is not read any more."""
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER by which a close is a reset."""

type Who = Callable[[int], str]
"""The name of who comes from this port."""
type Piece = tuple[float, bytes]
"""When it is due, by the loop's clock; empty where the sender has ended."""


type Way = Literal["requests", "answers"]


class Fault(NamedTuple):
    kind: Literal["refuse", "delay", "hold", "drop answers"]
    of: str | None
    seconds: float = 0.0
    way: Way | None = None
    """None: both."""
    links: "frozenset[Link] | None" = None
    """None: those that come, too."""

    def strikes(self, link: "Link", way: Way | None) -> bool:
        return (
            self.of in (None, link.of)
            and (self.way is None or way in (None, self.way))
            and (self.links is None or link in self.links)
        )


class Link:
    """One client's connection, with ours to the target."""

    def __init__(self, of: str, client: asyncio.StreamWriter) -> None:
        self.of = of
        self.writers = [client]
        self.torn = False
        """An answer is missing on it: it cannot go on."""

    def abort(self) -> None:
        for writer in self.writers:
            with suppress(OSError, AttributeError):
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()


class TcpProxy:
    def __init__(self, who: Who = lambda port: "") -> None:
        self.port = free_port()
        """Known before it starts."""
        self._who = who
        self._target: tuple[str, int] = (HOST, 0)
        self._server: asyncio.Server | None = None
        self._links: set[Link] = set()
        self._faults: list[Fault] = []
        self._changed = asyncio.Event()
        self.held = self.dropped = 0
        """Pieces, since the last fault of the kind began."""

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    async def start(self, target_port: int) -> None:
        self._target = HOST, target_port
        self._server = await asyncio.start_server(self._connected, HOST, self.port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()

    # Faults

    def cut(self, of: str | None = None) -> int:
        """How many connections that were."""
        cut = [link for link in self._links if of in (None, link.of)]
        for link in cut:
            link.abort()
        return len(cut)

    def refuse(self, of: str | None = None) -> Fault:
        fault = self._begin(Fault("refuse", of))
        self.cut(of)
        return fault

    def delay(self, seconds: float, of: str | None = None) -> Fault:
        return self._begin(Fault("delay", of, seconds))

    def hold(self, of: str | None = None, way: Way | None = None, *, new: bool = True) -> Fault:
        self.held = 0
        return self._begin(Fault("hold", of, way=way, links=None if new else frozenset(self._links)))

    def drop_answers(self, of: str | None = None) -> Fault:
        self.dropped = 0
        return self._begin(Fault("drop answers", of))

    def heal(self, fault: Fault | None = None) -> None:
        """None: all of them."""
        if fault is None:
            self._faults.clear()
        else:
            self._faults.remove(fault)
        for link in self._links:
            if link.torn and not self._suffers(link, "drop answers"):
                link.abort()
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _begin(self, fault: Fault) -> Fault:
        self._faults.append(fault)
        return fault

    def _suffers(self, link: Link, kind: str, way: Way | None = None) -> bool:
        return any(fault.kind == kind and fault.strikes(link, way) for fault in self._faults)

    def _delay_s(self, link: Link) -> float:
        return max((f.seconds for f in self._faults if f.of in (None, link.of)), default=0.0)

    # Connections

    async def _connected(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        link = Link(self._who(client.get_extra_info("peername")[1]), client)
        self._links.add(link)
        try:
            if self._suffers(link, "refuse"):
                return
            target_reader, target = await asyncio.open_connection(*self._target)
            link.writers.append(target)
            await asyncio.gather(
                self._direction(link, reader, target, answers=False),
                self._direction(link, target_reader, client, answers=True),
            )
        except OSError:
            pass  # nobody listens there: the client's connection breaks
        finally:
            self._links.discard(link)
            link.abort()

    async def _direction(
        self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        waiting: asyncio.Queue[Piece] = asyncio.Queue(PIECES_WAITING)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._read(link, reader, waiting))
            both.create_task(self._write(link, waiting, writer, answers=answers))

    async def _read(self, link: Link, reader: asyncio.StreamReader, waiting: asyncio.Queue[Piece]) -> None:
        loop, piece = asyncio.get_running_loop(), b"-"
        while piece:
            try:
                piece = await reader.read(PIECE_BYTES)
            except OSError:
                piece = b""
            await waiting.put((loop.time() + self._delay_s(link), piece))

    async def _write(
        self, link: Link, waiting: asyncio.Queue[Piece], writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        """Whether or not the other side is still there: what it sent arrives."""
        loop = asyncio.get_running_loop()
        while True:
            due, piece = await waiting.get()
            if (early_s := due - loop.time()) > 0:
                await asyncio.sleep(early_s)
            way: Way = "answers" if answers else "requests"
            self.held += self._suffers(link, "hold", way)
            while self._suffers(link, "hold", way) and not writer.is_closing():
                with suppress(TimeoutError):
                    async with asyncio.timeout(1.0):
                        await self._changed.wait()
            if not piece:
                writer.close()
                return
            if answers and self._suffers(link, "drop answers"):
                link.torn = True
                self.dropped += 1
                continue
            if writer.is_closing():
                continue
            with suppress(OSError):
                writer.write(piece)
                await writer.drain()
