"""Links to artefacts: whoever has one reads that artefact for a while, without a token."""

from time import time
from typing import Annotated

import msgspec

from commands.context import Secrets
from gateway.parameters import Parameter
from gateway.problems import Problem
from gateway.signed_words import signed, verified
from gateway.tokens import Caller
from schemas.message import Input

PURPOSE = "artefact-link"
LASTS_S, LASTS_AT_MOST_S = 300, 86_400
LINK_PARAMETERS = {
    "link": Parameter(
        str, {"type": "string", "maxLength": 2_000}, "The word of a link, in place of the Authorization header."
    )
}


class LinkAsked(Input, frozen=True, kw_only=True):
    expires_in_s: Annotated[int, msgspec.Meta(ge=1, le=LASTS_AT_MOST_S)] = LASTS_S


class LinkGiven(msgspec.Struct):
    """`url` is relative to this server's root."""

    url: str
    expires_in_s: int


def link_for(caller: Caller, tenant: str, digest: str, secrets: Secrets, lasts_s: int) -> str:
    """It names who asked for it: what is read by it is read on their word."""
    lasting = msgspec.structs.replace(caller, expires_at=int(time()) + lasts_s)
    return signed(PURPOSE, msgspec.msgpack.encode([tenant, digest, lasting]), secrets)


def reader_of(word: str, tenant: str, digest: str, secrets: Secrets) -> Caller:
    """Raises Problem for a link that is expired, another tenant's or artefact's, or none."""
    try:
        words = verified(PURPOSE, word, secrets)
        made_for, named, caller = msgspec.msgpack.decode(words, type=tuple[str, str, Caller])
    except ValueError as bad:
        raise Problem("link-invalid", "the link is not valid") from bad
    if (made_for, named) != (tenant, digest):
        raise Problem("link-invalid", "the link is for another artefact")
    if caller.expires_at <= time():
        raise Problem("link-invalid", "the link has expired")
    return caller
