"""Time zones as everybody here has them: from the package, not from the machine, so that all decide alike."""

from datetime import UTC, datetime
from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

import tzdata

from schemas.message import Refused

TZDATA: str = tzdata.IANA_VERSION
"""The release of the IANA time zones, such as 2026f."""


class UnknownZone(Refused):
    rule = "unknown-zone"
    stands_in = ("zone",)

    def __init__(self, zone: str) -> None:
        super().__init__(f"{zone} is not an IANA time zone")
        self.zone = zone


@lru_cache(maxsize=1_024)
def zone_of(name: str) -> ZoneInfo:
    """Raises UnknownZone."""
    try:
        with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as data:
            return ZoneInfo.from_file(data, key=name)
    except (OSError, ValueError) as unknown:
        raise UnknownZone(name) from unknown


def instant_of(local: datetime, zone: ZoneInfo) -> datetime:
    """When a clock there shows it. RFC 5545, section 3.3.5: a time that it never shows is by the offset before the gap,
    one that it shows twice is the first (PEP 495, fold 0)."""
    return local.replace(tzinfo=zone, fold=0).astimezone(UTC)


def local_of(at: datetime, zone: ZoneInfo) -> datetime:
    """What a clock there shows, to the minute."""
    return at.astimezone(zone).replace(tzinfo=None, fold=0, second=0, microsecond=0)
