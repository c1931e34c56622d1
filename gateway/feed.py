"""What has happened in a tenant, in the order of each aggregate: page by page, or as a stream."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from time import monotonic
from typing import Any

import msgspec
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from commands.aggregates import BY_PLURAL
from gateway import metrics
from gateway.allowed import FIX_SENDERS, READERS
from gateway.call import Call
from gateway.cloud_event import cloud_event
from gateway.commands import tenant_of
from gateway.door import Door
from gateway.entry import Entry
from gateway.parameters import DEFAULT_LIMIT, LIMIT, Parameter, id_of, number, parameters_of, text
from gateway.positions import Positions, position_of
from gateway.problems import Problem, not_found
from gateway.reading import Connection, Reading, Row
from gateway.reply import Reply, json_reply
from gateway.tickets import caller_of, ticket_for
from gateway.tokens import Caller
from projections import history
from schemas.position import BadToken, Vector, token, vector
from schemas.topics import HISTORY, SIGNALS

FED = (*HISTORY, SIGNALS)
"""What happens: to aggregates, and on the road."""

WITH_HISTORY = (
    "tasks",
    "riders",
    "vehicles",
    "fleets",
    "carriers",
    "tenders",
    "windows",
    "pick-waves",
    "plans",
    "carrier-bookings",
    "recurrences",
    "incidents",
)
STREAM_PAGE = 200
BREATH_S = 0.2
"""Between two looks of one stream."""

STREAM_LIFE_S = 3600.0
"""No stream outlives its token by more."""

AFTER = text("The cursor that an earlier answer, or an event's `id` in the stream, gave.")
FEED_PARAMETERS: dict[str, Parameter] = {
    "after": msgspec.structs.replace(AFTER, check=str, schema={"type": "string", "maxLength": 20_000}),
    "limit": LIMIT,
}
TICKET = text("A stream ticket, in place of the Authorization header.")
STREAM_PARAMETERS: dict[str, Parameter] = {
    "after": FEED_PARAMETERS["after"],
    "ticket": msgspec.structs.replace(TICKET, check=str, schema={"type": "string", "maxLength": 2_000}),
}
HISTORY_PARAMETERS: dict[str, Parameter] = {
    "after": number(0, 2**31, "Of which version the page before ended.", 0),
    "limit": LIMIT,
}


class Feed:
    def __init__(self, door: Door, entry: Entry, reading: Reading, positions: Positions) -> None:
        self._door = door
        self._entry = entry
        self._reading = reading
        self._positions = positions
        self._streams = 0

    async def events(self, call: Call) -> Reply:
        """A page from a cursor on; without one from the first event."""
        self._entry.admitted(call, READERS["events"], "read events")
        given = parameters_of(call, FEED_PARAMETERS)
        tenant, limit = tenant_of(call), given.get("limit", DEFAULT_LIMIT)
        places = self._from_start() | (self._cursor(given["after"]) if "after" in given else {})
        (rows, after), _ = await self._reading.fresh(
            call, history.HISTORY, lambda c: history.feed(c, tenant, places, limit)
        )
        cursor = token(after)
        body = {"items": [self._as_event(row) for row in rows], "next": cursor}
        link = f'<{call.path}?limit={limit}&after={cursor}>; rel="next"'
        return json_reply(body, headers=[(b"link", link.encode())])

    async def history(self, call: Call, plural: str) -> Reply:
        """One aggregate's events, from a version on."""
        self._entry.admitted(call, READERS["history"], f"read the history of {plural}")
        given = parameters_of(call, HISTORY_PARAMETERS)
        tenant, aggregate_id = tenant_of(call), id_of(call)
        first, limit = given.get("after", 0), given.get("limit", DEFAULT_LIMIT)

        async def query(connection: Connection) -> list[Row]:
            return await history.of_one(connection, tenant, aggregate_id, first, limit)

        rows, at = await self._reading.fresh(call, history.HISTORY, query)
        known = BY_PLURAL[plural]
        if (not rows and not first) or any(row["topic"] != known.topic for row in rows):
            raise not_found(f"there is no {known.kind} {aggregate_id}")
        body: dict[str, Any] = {"items": [self._as_event(row) for row in rows]}
        headers = [(b"logistics-consistency", token(at).encode())]
        if len(rows) == limit:
            body["next"] = rows[-1]["version"]
            link = f'<{call.path}?limit={limit}&after={body["next"]}>; rel="next"'
            headers.append((b"link", link.encode()))
        return json_reply(body, headers=headers)

    async def ticket(self, call: Call) -> Reply:
        caller = self._entry.admitted(call, READERS["events"] | FIX_SENDERS, "ask for a ticket")
        await call.body(self._door.limits.body_bytes)
        lasts_s = self._door.limits.ticket_s
        ticket = ticket_for(caller, tenant_of(call), self._door.secrets, lasts_s)
        return json_reply({"ticket": ticket, "expires_in_s": lasts_s}, 201, [(b"cache-control", b"no-store")])

    async def stream(self, call: Call) -> "Stream":
        """Server-sent events: from `Last-Event-ID`, or `after`, or now on."""
        given = parameters_of(call, STREAM_PARAMETERS)
        self._entry.let_in(call, self._streaming(call, given), READERS["events"], "read events")
        cursor = call.header(b"last-event-id") or given.get("after")
        places = self._cursor(cursor) if cursor else await self._now()
        if self._streams >= self._door.limits.streams:
            raise Problem("too-many-streams", f"{self._streams} streams are open", retry_after_s=10)
        return Stream(self, tenant_of(call), self._from_start() | places)

    async def _now(self) -> Vector:
        async with self._reading.connection() as connection:
            return await position_of(connection, history.HISTORY)

    def _streaming(self, call: Call, given: dict[str, Any]) -> Caller:
        if "ticket" in given:
            return caller_of(given["ticket"], call.param("tenant"), self._door.secrets)
        return self._entry.caller(call)

    def _from_start(self) -> Vector:
        return {(topic.name, p): 0 for topic in FED for p in range(self._door.partitions)}

    def _cursor(self, word: str) -> Vector:
        """Raises Problem for a cursor of another log, or of none."""
        try:
            places = vector(word)
        except BadToken as bad:
            raise Problem("cursor-gone", f"the cursor cannot be used: {bad}") from bad
        if places.keys() - self._from_start().keys():
            raise Problem("cursor-gone", "the cursor cannot be used: it names places that this log has not")
        return places

    async def written(self, tenant: str, places: Vector) -> AsyncGenerator[bytes]:
        """The stream's bytes. It ends after an hour, or with the database; its reader comes again and goes on."""
        self._streams += 1
        metrics.STREAMS.set(self._streams)
        try:
            with self._positions.watching():
                yield b": open\n\n"
                async for said in self._told(tenant, places, monotonic() + STREAM_LIFE_S):
                    yield said
        finally:
            self._streams -= 1
            metrics.STREAMS.set(self._streams)

    async def _told(self, tenant: str, places: Vector, until_s: float) -> AsyncGenerator[bytes]:
        heartbeat_s = self._door.limits.heartbeat_s
        while monotonic() < until_s:
            moves = self._positions.moves
            try:
                rows, after = await self._next(tenant, places)
            except Problem:
                return
            for row in rows:
                places[row["topic"], row["partition"]] = row["offset"] + 1
                yield self._said(row, places)
            places = after
            if len(rows) < STREAM_PAGE:
                await asyncio.sleep(BREATH_S)
                if not await self._positions.moved_since(moves, heartbeat_s):
                    yield b": still here\n\n"

    async def _next(self, tenant: str, places: Vector) -> tuple[list[Row], Vector]:
        async with self._reading.connection() as connection:
            return await history.feed(connection, tenant, places, STREAM_PAGE)

    def _as_event(self, row: Row) -> dict[str, Any]:
        return cloud_event(row, self._door.cluster, self._door.live(row["tenant"]))

    def _said(self, row: Row, places: Vector) -> bytes:
        data = msgspec.json.encode(self._as_event(row))
        return b"id: %s\nevent: %s\ndata: %s\n\n" % (token(places).encode(), row["type"].encode(), data)


class Stream:
    """The answer of a stream, as an ASGI app."""

    def __init__(self, feed: Feed, tenant: str, places: Vector) -> None:
        self._feed = feed
        self._tenant = tenant
        self._places = places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._feed.written(self._tenant, dict(self._places))) as written:
            answer = StreamingResponse(
                written,
                media_type="text/event-stream",
                headers={"cache-control": "no-store", "x-accel-buffering": "no"},
            )
            await answer(scope, receive, send)
