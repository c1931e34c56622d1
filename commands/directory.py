"""What the directory's aggregates share: none is there before its first event, and each zone is one that is known."""

from zoneinfo import ZoneInfo

import msgspec

from schemas.message import NotInThisState, Refused


class UnknownZone(Refused):
    rule = "unknown-zone"
    stands_in = ("zone",)

    def __init__(self, zone: str) -> None:
        super().__init__(f"{zone} is not an IANA time zone")
        self.zone = zone


class NotThere(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """Before the first event."""


def known_zone(zone: str) -> None:
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as unknown:
        raise UnknownZone(zone) from unknown


def misplaced(state: msgspec.Struct) -> Refused:
    """The command is not for what the aggregate is now."""
    if isinstance(state, NotThere):
        return NotInThisState(needed="created", actual="new")
    if getattr(state, "removed", False):
        return NotInThisState(needed="present", actual="removed")
    return NotInThisState(needed="new", actual="created")
