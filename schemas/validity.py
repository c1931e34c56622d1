"""Is there a valid document for all of a time? Told alike by who decides and by who chooses."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

Shortfall = Literal["document_missing", "document_expired", "document_expires_too_soon"]

type Span = tuple[datetime, datetime]
"""Valid from the one up to the other."""


def shortfall(spans: Iterable[Span], at: datetime, until: datetime) -> Shortfall | None:
    """What is wrong with the verified documents of one kind, for work from `at` up to `until`."""
    known = list(spans)
    if not known:
        return "document_missing"
    valid_until = covered(known, at)
    if valid_until is None:
        return "document_expired"
    return "document_expires_too_soon" if valid_until < until else None


def covered(spans: Iterable[Span], at: datetime) -> datetime | None:
    """Until when there is a valid one without a gap, one taking over from the other; None where there is none now."""
    valid_until = at
    for valid_from, expires_at in sorted(spans):
        if valid_from <= valid_until:
            valid_until = max(valid_until, expires_at)
    return valid_until if valid_until > at else None
