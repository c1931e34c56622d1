"""Fixes come in: each goes by the rider who held its device, and is on the log before it is answered."""

from collections.abc import Mapping, Sequence

import msgspec
from prometheus_client import Counter

from commands.order import Unavailable
from gateway.allowed import FIX_SENDERS
from gateway.call import Call
from gateway.commands import tenant_of
from gateway.door import Door
from gateway.entry import Entry
from gateway.problems import unavailable
from gateway.reply import Reply, json_reply
from gateway.tokens import Caller
from gateway.validation import decoded
from schemas.fixes import FixBatch, FixFrame, HeldFix, frames_of
from schemas.partition import partition_of
from schemas.position import Vector, token
from schemas.topics import FIXES

ACCEPTED = Counter("logistics_fixes_accepted", "Fixes on the log.")
OFF_DUTY = Counter("logistics_fixes_off_duty", "Fixes dropped before the log, since their rider was off duty.")

decoder = msgspec.json.Decoder(FixBatch)


class FixesAnswer(msgspec.Struct, kw_only=True):
    """`off_duty` were dropped; `unbound` are on the log without a rider, for the quarantine."""

    accepted: int
    off_duty: int
    unbound: int
    consistency: str


class FixIngest:
    def __init__(self, door: Door, entry: Entry) -> None:
        self._door = door
        self._entry = entry

    async def post(self, call: Call) -> Reply:
        caller = self._entry.admitted(call, FIX_SENDERS, "send fixes")
        body = await call.body(self._door.limits.fixes_body_bytes)
        batch = decoded(decoder, FixBatch, body)
        return json_reply(await self.taken(batch, tenant_of(call), caller), 202)

    async def taken(self, batch: FixBatch, tenant: str, caller: Caller) -> FixesAnswer:
        """Raises Problem where the log does not take them."""
        held, off_duty = self._held(batch, tenant, caller)
        at: Mapping[tuple[str, int], int] = {}
        if held:
            try:
                at = await self._door.frames.write(tenant, caller.subject, self._frames(held))
            except Unavailable as nobody:
                raise unavailable(nobody) from nobody
        unbound = sum(not each.rider_id for each in held)
        ACCEPTED.inc(len(held))
        OFF_DUTY.inc(off_duty)
        return FixesAnswer(accepted=len(held) - unbound, off_duty=off_duty, unbound=unbound, consistency=token(at))

    def _held(self, batch: FixBatch, tenant: str, caller: Caller) -> tuple[list[HeldFix], int]:
        bindings = self._door.bindings
        held = []
        off_duty = 0
        for fix in batch.fixes:
            rider = bindings.holder(tenant, batch.device_id, fix.observed_at)
            if rider is not None and caller.role == "rider" and rider != caller.subject:
                rider = None
            if rider is not None and not bindings.on_duty(tenant, rider, fix.observed_at):
                off_duty += 1
                continue
            held.append(HeldFix(batch.device_id, rider or "", fix))
        return held, off_duty

    def _frames(self, held: Sequence[HeldFix]) -> list[tuple[int, FixFrame]]:
        """By rider; what nobody held by its device."""
        by_partition: dict[int, list[HeldFix]] = {}
        for each in held:
            partition = partition_of(each.rider_id or each.device_id, self._door.partitions)
            by_partition.setdefault(partition, []).append(each)
        received_at = self._door.clock()
        return [
            (partition, frame)
            for partition, fixes in sorted(by_partition.items())
            for frame in frames_of(fixes, received_at)
        ]


def places_after(topic_partitions: Sequence[tuple[int, int]]) -> Vector:
    """Of (partition, offset) of what was written: the place after all of it."""
    after: Vector = {}
    for partition, offset in topic_partitions:
        after[FIXES.name, partition] = max(offset + 1, after.get((FIXES.name, partition), 0))
    return after
