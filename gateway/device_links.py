"""Links for devices: a tracker that can send no headers comes in by a word in its URL, which is worth the fixes of one
device and nothing else.

The word names who asked for it, and needs no memory. Whoever has it can tell where that device is said to be: where it
got about, the device is bound by another id.
"""

from time import time
from typing import Annotated

import msgspec

from commands.context import Secrets
from gateway.allowed import FIX_SENDERS
from gateway.artefact_links import LinkGiven
from gateway.call import Call
from gateway.commands import tenant_of
from gateway.door import Door
from gateway.entry import Entry
from gateway.parameters import id_of
from gateway.problems import Problem
from gateway.reply import Reply, json_reply
from gateway.signed_words import signed, verified
from gateway.tokens import Caller
from gateway.validation import decoded
from schemas.message import Input

PURPOSE = "device-link"
DAY_S = 86_400
LASTS_S, LASTS_AT_MOST_S = 365 * DAY_S, 1_100 * DAY_S


class DeviceLinkAsked(Input, frozen=True, kw_only=True):
    expires_in_s: Annotated[int, msgspec.Meta(ge=1, le=LASTS_AT_MOST_S)] = LASTS_S


decoder = msgspec.json.Decoder(DeviceLinkAsked)


class DeviceLinks:
    def __init__(self, door: Door, entry: Entry) -> None:
        self._door = door
        self._entry = entry

    async def post(self, call: Call) -> Reply:
        caller = self._entry.admitted(call, FIX_SENDERS, "send fixes")
        asked = decoded(decoder, DeviceLinkAsked, await call.body(self._door.limits.body_bytes))
        tenant = tenant_of(call)
        word = link_for(caller, tenant, id_of(call), self._door.secrets, asked.expires_in_s)
        url = f"/v1/{tenant}/fixes/osmand?token={word}"
        return json_reply(LinkGiven(url=url, expires_in_s=asked.expires_in_s), 201, [(b"cache-control", b"no-store")])


def link_for(caller: Caller, tenant: str, device_id: str, secrets: Secrets, lasts_s: int) -> str:
    lasting = msgspec.structs.replace(caller, expires_at=int(time()) + lasts_s)
    return signed(PURPOSE, msgspec.msgpack.encode([tenant, device_id, lasting]), secrets)


def sender_of(word: str, tenant: str, secrets: Secrets) -> tuple[str, Caller]:
    """The device, and on whose word it comes. Raises Problem for a link that is expired, another tenant's, or none."""
    try:
        words = verified(PURPOSE, word, secrets)
        made_for, device_id, caller = msgspec.msgpack.decode(words, type=tuple[str, str, Caller])
    except ValueError as bad:
        raise Problem("link-invalid", "the link is not valid") from bad
    if made_for != tenant:
        raise Problem("link-invalid", "the link is for another tenant")
    if caller.expires_at <= time():
        raise Problem("link-invalid", "the link has expired")
    return device_id, caller
