"""A network that can be broken, in front of one address: connections pass through it, and so do its faults.

Kafka tells its clients where to connect. So that they come through here, the broker advertises the proxy's address:
`advertised.listeners=PLAINTEXT://<proxy.address>`.

    cut()               every connection breaks now; new ones are taken
    refuse()            every connection breaks, and new ones break at once
    delay(seconds)      each piece of data arrives so much later, in both directions
    hold()              requests arrive, answers are kept back; release() lets them go, in their order
    hold_requests()     requests are kept back; release() lets them arrive, even those of clients that are gone
    drop_answers()      requests arrive, answers are thrown away
    heal()              all is well again; a connection that answers are missing on breaks

The last four are for the connections that there are and those that come; with `new=False` for those that there are.
"""

import asyncio
from contextlib import suppress
from typing import NamedTuple

from infra.embedded.ports import HOST, free_port

PIECE_BYTES = 1 << 16
BROKEN = (OSError, asyncio.IncompleteReadError)


class Link:
    """One client's connection, with ours to the target."""

    def __init__(self, client: asyncio.StreamWriter, target: asyncio.StreamWriter) -> None:
        self._writers = (client, target)
        self.requests_pass, self.answers_pass = asyncio.Event(), asyncio.Event()
        self.dropping = False
        self.torn = False
        """Something is missing on it: it cannot go on."""

    def as_told(self, told: "Faults") -> None:
        for passing, held in ((self.requests_pass, told.requests_held), (self.answers_pass, told.answers_held)):
            if held:
                passing.clear()
            else:
                passing.set()
        self.dropping = told.answers_dropped

    def abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


class Faults(NamedTuple):
    requests_held: bool = False
    answers_held: bool = False
    answers_dropped: bool = False


class TcpProxy:
    def __init__(self) -> None:
        self._port = free_port()
        self._target: tuple[str, int] = (HOST, 0)
        self._server: asyncio.Server | None = None
        self._links: set[Link] = set()
        self._faults = Faults()
        self._delay_s = 0.0
        self._refusing = False
        self.requests_held = self.answers_held = self.answers_dropped = 0
        """Pieces, since the fault began."""

    @property
    def address(self) -> str:
        """Known before it starts."""
        return f"{HOST}:{self._port}"

    async def start(self, target: str) -> None:
        """`target` is host:port."""
        host, port = target.split(":")
        self._target = host, int(port)
        self._server = await asyncio.start_server(self._connected, HOST, self._port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self.cut()

    # Faults

    def cut(self) -> None:
        for link in list(self._links):
            link.abort()

    def refuse(self) -> None:
        self._refusing = True
        self.cut()

    def delay(self, seconds: float) -> None:
        self._delay_s = seconds

    def hold(self, new: bool = True) -> None:
        self.answers_held = 0
        self._fault(Faults(answers_held=True), new)

    def hold_requests(self, new: bool = True) -> None:
        self.requests_held = 0
        self._fault(Faults(requests_held=True), new)

    def release(self) -> None:
        self._fault(Faults(), True)

    def drop_answers(self, new: bool = True) -> None:
        self.answers_dropped = 0
        self._fault(Faults(answers_dropped=True), new)

    def heal(self) -> None:
        self._refusing = False
        self._delay_s = 0.0
        for link in list(self._links):
            if link.torn:
                link.abort()
        self.release()

    def _fault(self, faults: Faults, new: bool) -> None:
        self._faults = faults if new else Faults()
        for link in self._links:
            link.as_told(faults)

    # Passing on

    async def _connected(self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        if self._refusing:
            client_out.transport.abort()
            return
        try:
            target_in, target_out = await asyncio.open_connection(*self._target)
        except OSError:
            client_out.transport.abort()
            return
        link = Link(client_out, target_out)
        link.as_told(self._faults)
        self._links.add(link)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_requests(client_in, target_out, link))
                both.create_task(self._pass_answers(target_in, client_out, link))
        finally:
            self._links.discard(link)
            link.abort()

    async def _pass_requests(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, link: Link) -> None:
        """What a client has sent arrives, even if it is gone by then."""
        with suppress(*BROKEN):
            while piece := await source.read(PIECE_BYTES):
                await asyncio.sleep(self._delay_s)
                self.requests_held += not link.requests_pass.is_set()
                await link.requests_pass.wait()
                sink.write(piece)
                await sink.drain()
        with suppress(*BROKEN):
            sink.write_eof()

    async def _pass_answers(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, link: Link) -> None:
        with suppress(*BROKEN):
            while piece := await source.read(PIECE_BYTES):
                await asyncio.sleep(self._delay_s)
                self.answers_held += not link.answers_pass.is_set()
                await link.answers_pass.wait()
                if link.dropping:
                    link.torn = True
                    self.answers_dropped += 1
                    continue
                sink.write(piece)
                with suppress(*BROKEN):
                    await sink.drain()
        sink.close()
