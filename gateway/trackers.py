"""Fixes as trackers send them: each device's own protocol becomes fixes as all others are."""

from prometheus_client import Counter

from gateway.allowed import FIX_SENDERS
from gateway.call import Call
from gateway.commands import JSON_TYPE, tenant_of
from gateway.device_links import sender_of
from gateway.door import Door
from gateway.entry import Entry
from gateway.fixes import FixIngest
from gateway.osmand import Told, batch_of, parameters_in, told_by, told_in
from gateway.problems import Problem
from gateway.reply import Reply
from gateway.tokens import Caller
from gateway.traccar import forwarded

WITHOUT_PLACE = Counter("logistics_fixes_without_place", "Messages of trackers that tell no place.")
TAKEN = Reply(200, b"", [(b"cache-control", b"no-store")])
"""Trackers look at the status alone."""


class Trackers:
    def __init__(self, door: Door, entry: Entry, ingest: FixIngest) -> None:
        self._door, self._entry, self._ingest = door, entry, ingest

    async def osmand(self, call: Call) -> Reply:
        given = parameters_in(call.query)
        named, caller = self._sender(call, given.pop("token", None))
        if call.method == "HEAD":
            return TAKEN
        told = await self._told(call, given)
        if named is not None and told[0] != named:
            raise Problem("link-invalid", "the link is for another device", values={"device_id": named})
        return await self._taken(told, call, caller)

    async def traccar(self, call: Call) -> Reply:
        """What a Traccar server forwards, of any device."""
        caller = self._entry.admitted(call, FIX_SENDERS, "send fixes")
        body = await call.body(self._door.limits.tracker_body_bytes)
        return await self._taken(forwarded(body, self._door.now(tenant_of(call))), call, caller)

    async def _taken(self, told: Told, call: Call, caller: Caller) -> Reply:
        batch = batch_of(told)
        if batch is None:
            WITHOUT_PLACE.inc()
        else:
            await self._ingest.taken(batch, tenant_of(call), caller)
        return TAKEN

    def _sender(self, call: Call, word: str | None) -> tuple[str | None, Caller]:
        """Of a link the device that it is for. Raises Problem."""
        if word is None:
            return None, self._entry.admitted(call, FIX_SENDERS, "send fixes")
        device_id, known = sender_of(word, call.param("tenant"), self._door.secrets)
        caller = self._entry.let_in(call, known, FIX_SENDERS, "send fixes")
        self._entry.again(caller)
        return device_id, caller

    async def _told(self, call: Call, given: dict[str, str]) -> Told:
        """Raises Problem."""
        now = self._door.now(tenant_of(call))
        body = await call.body(self._door.limits.tracker_body_bytes) if call.method == "POST" else b""
        if JSON_TYPE.fullmatch(call.header(b"content-type") or ""):
            return told_in(body, now)
        return told_by(given | parameters_in(body.decode("latin-1")), now)
