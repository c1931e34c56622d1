"""Stream tickets: a browser's EventSource sends no headers, so a word in the URL stands for its token."""

import base64
import binascii
import hmac
from time import time

import msgspec

from commands.context import Secrets
from gateway.problems import Problem
from gateway.tokens import Caller

MAC_BYTES = 32


def ticket_for(caller: Caller, tenant: str, secrets: Secrets, lasts_s: int) -> str:
    """For one tenant's stream. It needs no memory, so any gateway takes it."""
    expires_at = min(int(time()) + lasts_s, caller.expires_at)
    words = msgspec.msgpack.encode([tenant, msgspec.structs.replace(caller, expires_at=expires_at)])
    return base64.urlsafe_b64encode(mac_of(words, secrets) + words).rstrip(b"=").decode()


def caller_of(ticket: str, tenant: str, secrets: Secrets) -> Caller:
    """Raises Problem for a ticket that is expired, another tenant's, or none."""
    try:
        packed = base64.b64decode(ticket + "=" * (-len(ticket) % 4), altchars=b"-_", validate=True)
        mac, words = packed[:MAC_BYTES], packed[MAC_BYTES:]
        if not hmac.compare_digest(mac, mac_of(words, secrets)):
            raise ValueError("not made here")
        made_for, caller = msgspec.msgpack.decode(words, type=tuple[str, Caller])
    except (binascii.Error, ValueError) as bad:
        raise Problem("token-invalid", "the ticket is not valid") from bad
    if made_for != tenant or caller.expires_at <= time():
        raise Problem("token-invalid", "the ticket has expired, or is for another tenant")
    return caller


def mac_of(words: bytes, secrets: Secrets) -> bytes:
    return secrets.derived("stream-ticket", words.hex())
