"""How things are called where a dispatch is told in words."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

type Row = Mapping[str, Any]
"""As Postgres gives it: what has structure as plain values."""


def name(rider: str, called: Mapping[str, str]) -> str:
    return f"rider {called.get(rider, rider)}"


def name_of_carrier(carrier: str, called: Mapping[str, str]) -> str:
    return f"carrier {called.get(carrier, carrier)}"


def offeree_name(offer: Row, called: Mapping[str, str]) -> str:
    """A rider's or a carrier's."""
    carrier = offer.get("carrier_id")
    return name(offer["rider_id"], called) if carrier is None else name_of_carrier(carrier, called)


def capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def words(code: str) -> str:
    return code.replace("_", " ")


def moment(at: datetime | str) -> datetime:
    """What stands within jsonb is text."""
    return datetime.fromisoformat(at) if isinstance(at, str) else at


def clock(at: datetime | str) -> str:
    return f"{moment(at).astimezone(UTC):%H:%M:%S} UTC"
