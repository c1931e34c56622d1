"""Stream tickets: a browser's EventSource sends no headers, so a word in the URL stands for its token."""

from time import time

import msgspec

from commands.context import Secrets
from gateway.problems import Problem
from gateway.signed_words import signed, verified
from gateway.tokens import Caller

PURPOSE = "stream-ticket"


def ticket_for(caller: Caller, tenant: str, secrets: Secrets, lasts_s: int) -> str:
    """For one tenant's stream. It needs no memory, so any gateway takes it."""
    expires_at = min(int(time()) + lasts_s, caller.expires_at)
    words = msgspec.msgpack.encode([tenant, msgspec.structs.replace(caller, expires_at=expires_at)])
    return signed(PURPOSE, words, secrets)


def caller_of(ticket: str, tenant: str, secrets: Secrets) -> Caller:
    """Raises Problem for a ticket that is expired, another tenant's, or none."""
    try:
        made_for, caller = msgspec.msgpack.decode(verified(PURPOSE, ticket, secrets), type=tuple[str, Caller])
    except ValueError as bad:
        raise Problem("token-invalid", "the ticket is not valid") from bad
    if made_for != tenant or caller.expires_at <= time():
        raise Problem("token-invalid", "the ticket has expired, or is for another tenant")
    return caller
