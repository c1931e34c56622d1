"""Tracking without a token: who has a link follows their own stop, and learns nothing of another's.

The code is for people who talk to staff: it is short and may collide, so it opens nothing to who comes without a token.
"""

import re
from ipaddress import IPv6Address, ip_address
from time import monotonic

from gateway.allowed import READERS
from gateway.call import Call
from gateway.commands import tenant_of
from gateway.door import Door
from gateway.entry import Entry
from gateway.parameters import Parameter, parameters_of
from gateway.positions import Positions
from gateway.problems import FieldError, Problem, TenantNotKnown, not_found
from gateway.queries import vector_header
from gateway.rates import Rates
from gateway.reading import Reading, parked_of
from gateway.reply import Reply, json_reply
from gateway.tracking_links import Tracked, tracked_by
from gateway.tracking_told import Tracking, is_past, own_stop, told
from projections.public_tracking import PUBLIC_TRACKING, PublicTrackingRow, by_code, by_handle, road_to

CODE = re.compile(r"CV-[0-9]{8}-[2-9A-HJKMNP-Z]{6}")
MOST_OF_A_CODE = 100
NETWORK_BITS = 64
"""One subscriber has at least so much of IPv6 (RFC 6177)."""

UNSEEN = [
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-robots-tag", b"noindex"),
    (b"x-content-type-options", b"nosniff"),
]
"""The address is the right: nobody is to keep it, pass it on or find it."""


def code_of(given: str) -> str:
    code = given.strip().upper()
    if not CODE.fullmatch(code):
        raise ValueError("must be a tracking code, such as CV-20260301-ABC234")
    return code


CODE_PARAMETERS = {
    "code": Parameter(code_of, {"type": "string", "pattern": f"^{CODE.pattern}$"}, "As people read it out."),
}


class PublicTracking:
    """Each address may come so often, whether or not it has a link; and each of staff with a code."""

    def __init__(self, door: Door, entry: Entry, reading: Reading, positions: Positions) -> None:
        self._door = door
        self._entry = entry
        self._reading = reading
        self._positions = positions
        self._rates = Rates(door.limits.tracking_rate_per_s, door.limits.tracking_burst)

    async def by_link(self, call: Call) -> Reply:
        return json_reply(await self.told(call), headers=UNSEEN)

    async def told(self, call: Call) -> Tracking:
        """Raises Problem: 429, and the same 404 for a link that is unknown, no link at all, or past."""
        self._spend(("", address_of(call)))
        tracked = tracked_by(call.param("token"), self._door.secrets)
        row = None if tracked is None else await self._row(tracked)
        if tracked is None or row is None:
            raise nothing_tracked()
        stop = own_stop(row, tracked.stop_id)
        if stop is None and tracked.stop_id is not None:
            raise nothing_tracked()
        async with self._reading.connection() as connection:
            road = await road_to(connection, row, None if stop is None else stop.stop_id)
            stands_still = bool(await parked_of(connection, PUBLIC_TRACKING, [row.task_id]))
        call.tenant = row.tenant
        policy = self._door.policy.tenant(row.tenant)
        if policy is None:
            raise TenantNotKnown(row.tenant, hidden=True)
        if is_past(row, policy.rules, self._door.now(row.tenant)):
            raise nothing_tracked()
        if stands_still:  # whether the stop is over we cannot tell
            road = road.without_place()
        return told(row, stop, road, policy, self._door.clock())

    async def by_code(self, call: Call) -> Reply:
        """For staff: the tenant's tasks of this code."""
        caller = self._entry.admitted(call, READERS["tracking"], "look a tracking code up")
        self._spend((caller.tenant, caller.subject))
        given = parameters_of(call, CODE_PARAMETERS)
        if "code" not in given:
            raise Problem("invalid-parameter", "the parameters are not valid", errors=[FieldError("code", "is needed")])
        tenant = tenant_of(call)
        items, at = await self._reading.fresh(
            call, PUBLIC_TRACKING, lambda c: by_code(c, tenant, given["code"], MOST_OF_A_CODE)
        )
        return json_reply({"items": items}, headers=[vector_header(at)])

    async def _row(self, tracked: Tracked) -> PublicTrackingRow | None:
        """A link to a stop we have made ourselves: where its task is missing it may come in a moment."""
        row = await self._by_handle(tracked)
        if row is not None or tracked.stop_id is None:
            return row
        until_s = monotonic() + self._door.limits.wait_s
        with self._positions.waiting():
            while row is None:
                moves = self._positions.moves
                row = await self._by_handle(tracked)
                left_s = until_s - monotonic()
                if row is None and (left_s <= 0 or not await self._positions.moved_since(moves, left_s)):
                    break
        return row

    async def _by_handle(self, tracked: Tracked) -> PublicTrackingRow | None:
        async with self._reading.connection() as connection:
            return await by_handle(connection, tracked.handle)

    def _spend(self, who: tuple[str, str]) -> None:
        """Raises Problem: 429."""
        wait_s = self._rates.wait_s(who, monotonic())
        if wait_s:
            rate = self._door.limits.tracking_rate_per_s
            raise Problem(
                "rate-limited",
                f"{rate:g} requests a second are allowed here",
                values={"rate_per_s": rate},
                headers=UNSEEN[1:],
                retry_after_s=wait_s,
            )


def nothing_tracked() -> Problem:
    """The same words as for any path that leads nowhere."""
    problem = not_found()
    problem.headers += UNSEEN[1:]  # a problem is never kept
    return problem


def address_of(call: Call) -> str:
    """Of who asks: of IPv6 the network, in which one has as many addresses as one likes."""
    client = call.scope.get("client")
    if client is None:
        return ""
    try:
        address = ip_address(client[0])
    except ValueError:
        return str(client[0])
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped) if mapped else str(int(address) >> (128 - NETWORK_BITS))
    return str(address)
