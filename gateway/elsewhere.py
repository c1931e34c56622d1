"""Where what is looked for stands instead: what is created at one path may be listed at another."""

from collections.abc import Mapping

from gateway.commands import OPEN, TENANT
from gateway.queries import LISTINGS, SINGLES

LISTED: Mapping[str, str] = {
    "tenants": "tenant",
    **{
        single.plural: listing.word
        for single in SINGLES
        for listing in LISTINGS
        if listing.model is single.model and single.plural not in {each.word for each in LISTINGS}
    },
}
"""By the word that they are created under, or read one by one: that of the list."""
MADE: Mapping[str, str] = {
    LISTED[known.plural]: known.plural
    for known in OPEN
    if known.creating and known is not TENANT and known.plural in LISTED
}


def elsewhere(method: str, word: str) -> str:
    """What to add to a refusal of `/v1/{tenant}/{word}`; nothing where nothing is known of it."""
    match method:
        case "GET" | "HEAD" if word in LISTED:
            return f"; {word} are read at GET /v1/{{tenant}}/{LISTED[word]}"
        case "POST" if word in MADE:
            return f"; {MADE[word]} are created at POST /v1/{{tenant}}/{MADE[word]}"
        case _:
            return ""
