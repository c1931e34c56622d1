"""Aggregates that their owner has let go: loaded again where a command comes for one."""

from collections.abc import Sequence
from typing import Any, Protocol

from commands.memory import Live, folded
from schemas.record import Stored, Unreadable, envelope_of, event_of


class Cold(Protocol):
    async def load(self, topic: str, partition: int, tenant: str, aggregate_id: str, up_to: int) -> Sequence[Stored]:
        """All records of one aggregate in their order, at least those before offset `up_to`.

        Raises Unavailable("aggregate-cold") where that cannot be told now.
        """
        ...


def thawed(records: Sequence[Stored]) -> Live[Any] | None:
    """None of no records: it never existed. Raises Unreadable."""
    live: Live[Any] | None = None
    for stored in records:
        envelope = envelope_of(stored)
        if envelope.version != (0 if live is None else live.version) + 1:
            raise Unreadable(stored, f"version {envelope.version} does not follow what was loaded before it")
        live = folded(live, envelope, event_of(stored, None), stored.offset)
    return live
