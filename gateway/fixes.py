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
from gateway.fix_rates import FixRates, Told
from gateway.new_frame import fixes_in
from gateway.positions import consistency_of, wait_of
from gateway.problems import Problem, unavailable
from gateway.reply import Reply, json_reply
from gateway.tokens import Caller
from gateway.validation import decoded
from schemas.fixes import FixBatch, FixFrame, HeldFix, frames_of
from schemas.partition import partition_of
from schemas.position import Vector, token

ACCEPTED = Counter("logistics_fixes_accepted", "Fixes on the log.")
OFF_DUTY = Counter("logistics_fixes_off_duty", "Fixes dropped before the log, since their rider was off duty.")

decoder = msgspec.json.Decoder(FixBatch)


class FixesAnswer(msgspec.Struct, kw_only=True):
    """`off_duty` were dropped; `unbound` are on the log without a rider, for the quarantine: nobody held their device
    then, or, of so many as `anothers` says, another rider than who sent them."""

    accepted: int
    off_duty: int
    unbound: int
    anothers: int
    consistency: str


class FrameAnswer(FixesAnswer, kw_only=True):
    """`too_many`: devices that sent too much, of which nothing was taken, and after how many seconds they may again."""

    too_many: dict[str, int] = {}


class FixIngest:
    def __init__(self, door: Door, entry: Entry) -> None:
        self._door = door
        self._entry = entry
        self._rates = FixRates(door.limits)

    async def post(self, call: Call) -> Reply:
        caller = self._entry.admitted(call, FIX_SENDERS, "send fixes")
        body = await call.body(self._door.limits.fixes_body_bytes)
        batch = decoded(decoder, FixBatch, body)
        await self._known(consistency_of(call), wait_of(call, self._door.limits))
        return json_reply(await self._judged(batch, tenant_of(call), caller), 202)

    async def frame(self, call: Call) -> Reply:
        """Of many devices at once, in columns."""
        caller = self._entry.admitted(call, FIX_SENDERS, "send fixes")
        told = fixes_in(await call.body(self._door.limits.fixes_body_bytes))
        await self._known(consistency_of(call), wait_of(call, self._door.limits))
        taken, too_many = self._rates.within(told, tenant_of(call), caller)
        answer = await self._written(taken, tenant_of(call), caller)
        return json_reply(FrameAnswer(**msgspec.structs.asdict(answer), too_many=too_many), 202)

    async def taken(self, batch: FixBatch, tenant: str, caller: Caller) -> FixesAnswer:
        """Raises Problem where the bindings lag, or the log does not take them."""
        await self._known({}, self._door.limits.wait_s)
        return await self._judged(batch, tenant, caller)

    async def _known(self, wanted: Vector, wait_s: float) -> None:
        """Until every shift and device is known that was acknowledged here, and `wanted`: a fix that comes right after
        its shift began is not off duty. Raises Problem."""
        bindings = self._door.bindings
        if not bindings.missing(wanted):
            return
        if bindings.waiting >= self._door.limits.waiters:
            raise Problem("too-many-waiters", f"{bindings.waiting} batches of fixes wait for their bindings")
        try:
            await bindings.until(wanted, wait_s)
        except TimeoutError as late:
            raise lagging(bindings.missing(wanted)) from late

    async def _judged(self, batch: FixBatch, tenant: str, caller: Caller) -> FixesAnswer:
        told = [(batch.device_id, fix) for fix in batch.fixes]
        taken, _ = self._rates.within(told, tenant, caller)
        return await self._written(taken, tenant, caller)

    async def _written(self, told: Sequence[Told], tenant: str, caller: Caller) -> FixesAnswer:
        held, off_duty, anothers = self._held(told, tenant, caller)
        at: Mapping[tuple[str, int], int] = {}
        if held:
            try:
                at = await self._door.frames.write(tenant, caller.subject, self._frames(tenant, held))
            except Unavailable as nobody:
                raise unavailable(nobody) from nobody
        unbound = sum(not each.rider_id for each in held)
        ACCEPTED.inc(len(held))
        OFF_DUTY.inc(off_duty)
        return FixesAnswer(
            accepted=len(held) - unbound,
            off_duty=off_duty,
            unbound=unbound,
            anothers=anothers,
            consistency=token(at),
        )

    def _held(self, told: Sequence[Told], tenant: str, caller: Caller) -> tuple[list[HeldFix], int, int]:
        """What goes to the log, and of the rest how many: of who was off duty; and in it, of another rider's device."""
        bindings = self._door.bindings
        held = []
        off_duty = anothers = 0
        for device_id, fix in told:
            rider = bindings.holder(tenant, device_id, fix.observed_at)
            if rider is not None and caller.role == "rider" and rider != caller.subject:
                rider = None
                anothers += 1
            if rider is not None and not bindings.on_duty(tenant, rider, fix.observed_at):
                off_duty += 1
                continue
            held.append(HeldFix(device_id, rider or "", fix))
        return held, off_duty, anothers

    def _frames(self, tenant: str, held: Sequence[HeldFix]) -> list[tuple[int, FixFrame]]:
        """By rider; what nobody held by its device."""
        by_partition: dict[int, list[HeldFix]] = {}
        for each in held:
            partition = partition_of(each.rider_id or each.device_id, self._door.partitions)
            by_partition.setdefault(partition, []).append(each)
        received_at = self._door.now(tenant)
        return [
            (partition, frame)
            for partition, fixes in sorted(by_partition.items())
            for frame in frames_of(fixes, received_at)
        ]


def lagging(missing: int) -> Problem:
    return Problem(
        "projection-lagging",
        f"who holds which device is {missing} records behind what the fixes must be judged by",
        values={"model": "bindings", "lag_records": missing},
    )
