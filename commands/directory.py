"""What the directory's aggregates share: none is there before its first event."""

import msgspec

from schemas.message import NotInThisState, Refused


class NotThere(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """Before the first event."""


def misplaced(state: msgspec.Struct) -> Refused:
    """The command is not for what the aggregate is now."""
    if isinstance(state, NotThere):
        return NotInThisState(needed="created", actual="new")
    if getattr(state, "removed", False):
        return NotInThisState(needed="present", actual="removed")
    return NotInThisState(needed="new", actual="created")
