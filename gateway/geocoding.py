"""Where an address is: asked of those whom the tenant has set, in their order. The address stands in the body, never in
a URL: it is somebody's."""

from typing import Annotated

import msgspec

from gateway.allowed import GEOCODERS
from gateway.call import Call
from gateway.commands import tenant_of
from gateway.door import Door
from gateway.entry import Entry
from gateway.parameters import parameters_of
from gateway.reply import Reply, json_reply
from gateway.validation import decoded
from schemas.address import LONGEST_ADDRESS, asked_of
from schemas.geo import Location, PostalCode
from schemas.message import Input

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
    """`source` is who knew it; null: nobody. `answered`: somebody has said where it is, or that they do not know; else
    nobody could be asked, and `passed` says why: ask again later."""

    candidates: list[CandidateTold]
    answered: bool
    source: str | None
    passed: list[PassedOver]


decoder = msgspec.json.Decoder(AddressAsked)


class Geocoding:
    def __init__(self, door: Door, entry: Entry) -> None:
        self._door = door
        self._entry = entry

    async def post(self, call: Call) -> Reply:
        self._entry.admitted(call, GEOCODERS, "ask where an address is")
        parameters_of(call, {})
        asked = decoded(decoder, AddressAsked, await call.body(self._door.limits.body_bytes))
        told = await self._door.addresses.geocode(tenant_of(call), asked_of(asked.address, asked.postal_code))
        passed = [PassedOver(provider=each.provider, why=each.why) for each in told.passed]
        candidates = [
            CandidateTold(location=each.place, label=each.label, confidence=each.confidence) for each in told.candidates
        ]
        answer = AddressTold(candidates=candidates, answered=told.is_told, source=told.source, passed=passed)
        return json_reply(answer, headers=[(b"cache-control", b"no-store")])
