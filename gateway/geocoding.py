"""Where an address is: asked of those whom the tenant has set, in their order. The address stands in the body, never in
a URL: it is somebody's."""

from typing import Annotated

import msgspec

from commands.geocoding import key_of_address
from gateway.allowed import GEOCODERS
from gateway.call import Call
from gateway.commands import tenant_of
from gateway.door import Door
from gateway.entry import Entry
from gateway.parameters import parameters_of
from gateway.problems import Problem
from gateway.reading import Reading
from gateway.reply import Reply, json_reply
from gateway.validation import decoded
from projections.known_places import remembered
from schemas.address import LONGEST_ADDRESS, asked_of
from schemas.geo import Location, PostalCode
from schemas.geocoding import REMEMBERED
from schemas.message import Input, TenantSlug

ROUTE = "/v1/{tenant}/geocode"
ABOUT = (
    "Where an address may be, and how sure that is, as the providers say whom the tenant has set; who was passed over "
    "before whoever answered, and why, stands in `passed`. Nothing is recorded."
)
Address = Annotated[str, msgspec.Meta(max_length=LONGEST_ADDRESS, pattern=r"\S")]


class AddressAsked(Input, frozen=True, kw_only=True):
    address: Address
    postal_code: PostalCode | None = None


class CandidateTold(msgspec.Struct, frozen=True, kw_only=True):
    """`confidence` from 0 to 1: 0.95 and more is the house, about 0.5 the street."""

    location: Location
    label: str
    confidence: float


class PassedOver(msgspec.Struct, frozen=True, kw_only=True):
    provider: str
    why: str


class AddressTold(msgspec.Struct, frozen=True, kw_only=True):
    """`source` is who knew it, `remembered` where a person has told it once; null: nobody. `answered`: somebody has
    said where it is, or that they do not know; else nobody could be asked, and `passed` says why: ask again later."""

    candidates: list[CandidateTold]
    answered: bool
    source: str | None
    passed: list[PassedOver]


decoder = msgspec.json.Decoder(AddressAsked)


class Geocoding:
    def __init__(self, door: Door, entry: Entry, reading: Reading) -> None:
        self._door = door
        self._entry = entry
        self._reading = reading

    async def post(self, call: Call) -> Reply:
        self._entry.admitted(call, GEOCODERS, "ask where an address is")
        parameters_of(call, {})
        asked = decoded(decoder, AddressAsked, await call.body(self._door.limits.body_bytes))
        tenant, text = TenantSlug(tenant_of(call)), asked_of(asked.address, asked.postal_code)
        known = await self._remembered(tenant, asked)
        if known is not None:
            so = CandidateTold(location=known, label=text, confidence=1.0)
            return told_so(AddressTold(candidates=[so], answered=True, source=REMEMBERED, passed=[]))
        told = await self._door.addresses.geocode(tenant, text)
        passed = [PassedOver(provider=each.provider, why=each.why) for each in told.passed]
        candidates = [
            CandidateTold(location=each.place, label=each.label, confidence=each.confidence) for each in told.candidates
        ]
        answer = AddressTold(candidates=candidates, answered=told.is_told, source=told.source, passed=passed)
        return told_so(answer)

    async def _remembered(self, tenant: TenantSlug, asked: AddressAsked) -> Location | None:
        """As a person has told it; None where that cannot be read just now, either."""
        door, policy = self._door, self._door.policy.tenant(tenant)
        assert policy is not None, "the caller was admitted to it"
        key = key_of_address(door.secrets, tenant, asked.address, asked.postal_code)
        of = door.keyring, door.partitions, tenant, key
        try:
            async with self._reading.connection() as connection:
                return await remembered(connection, *of, door.now(tenant), policy.rules.remember_places_days)
        except Problem:
            return None


def told_so(answer: AddressTold) -> Reply:
    return json_reply(answer, headers=[(b"cache-control", b"no-store")])
