"""Tracking links: a word in a URL that is all one needs to follow a task, or one stop of it.

The task's token is for who ordered. A link to a stop is for who waits there: it names the task by the hash of its
token, from which nobody finds the token, and nothing but our secret makes the last part for another stop.
"""

import hmac
import re
from collections.abc import Iterable

import msgspec

from commands.context import Secrets
from projections.public_tracking import HANDLE_CHARACTERS
from schemas.stop import NewStop

WORD = r"[0-9a-f]{32}(\.[A-Za-z0-9][A-Za-z0-9._:-]{0,79}\.[0-9a-f]{32})?"
"""No word of a tenant's paths looks like it."""
TOKEN = re.compile(r"[0-9a-f]{32}", re.ASCII)
STOP_LINK = re.compile(r"([0-9a-f]{32})\.([A-Za-z0-9][A-Za-z0-9._:-]{0,79})\.([0-9a-f]{32})", re.ASCII)
MAC_BYTES = 16
PAGE = "/track/{token}"


class Tracked(msgspec.Struct, frozen=True):
    """What a link leads to: a task by the first characters of its token's hash, and the stop that it is about."""

    handle: str
    stop_id: str | None


def tracked_by(word: str, secrets: Secrets) -> Tracked | None:
    """None for a word that we did not make, as far as that shows without looking for its task."""
    if TOKEN.fullmatch(word):
        return Tracked(handle_of(word, secrets), None)
    link = STOP_LINK.fullmatch(word)
    if link is None or not hmac.compare_digest(link[3], mac_of(link[1], link[2], secrets)):
        return None
    return Tracked(link[1], link[2])


def stop_links(token: str, stops: Iterable[NewStop], secrets: Secrets) -> dict[str, str]:
    """The paths of the pages, by stop: of the dropoffs, and of where somebody waits."""
    return {
        stop_id: PAGE.format(token=stop_link(token, stop_id, secrets))
        for stop_id, stop in named(stops)
        if stop.kind == "dropoff" or stop.contact is not None
    }


def stop_link(token: str, stop_id: str, secrets: Secrets) -> str:
    handle = handle_of(token, secrets)
    return f"{handle}.{stop_id}.{mac_of(handle, stop_id, secrets)}"


def named(stops: Iterable[NewStop]) -> list[tuple[str, NewStop]]:
    """Named as the creation names them."""
    return [(stop.stop_id or f"stop-{number}", stop) for number, stop in enumerate(stops, start=1)]


def handle_of(token: str, secrets: Secrets) -> str:
    return secrets.keyed_hash("tracking", token)[:HANDLE_CHARACTERS]


def mac_of(handle: str, stop_id: str, secrets: Secrets) -> str:
    return secrets.derived("tracking-link", handle, stop_id)[:MAC_BYTES].hex()
