"""The life of an aggregate: its states by name, and which event leads from which to which."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from schemas.message import Command, Event

NEW = "new"
"""Before the first event."""

type Move = tuple[str, str]
"""From one state to another, or to itself."""


class Life(msgspec.Struct, frozen=True):
    """`moves` are all there are, and `takes` says of each command that callers may send, but of the creating one, in
    which states it can change something: a test lives every life and finds each of them, and no other."""

    status: Callable[[Any], str]
    moves: Mapping[type[Event], frozenset[Move]]
    takes: Mapping[type[Command], frozenset[str]]
    only_for: Mapping[type[Command], str] = {}
    """Of which kind the aggregate must be for it, where it has kinds."""

    @property
    def statuses(self) -> tuple[str, ...]:
        """In the order in which the moves lead to them."""
        found = dict.fromkeys([NEW])
        for moves in self.moves.values():
            found |= dict.fromkeys(after for _, after in sorted(moves))
        return tuple(found)

    @property
    def ends(self) -> frozenset[str]:
        """The states that nothing leads out of."""
        left = {before for moves in self.moves.values() for before, after in moves if before != after}
        return frozenset(self.statuses) - left


def to(after: str, *before: str) -> frozenset[Move]:
    return frozenset((each, after) for each in before)


def within(*statuses: str) -> frozenset[Move]:
    """It happens there and leads nowhere else."""
    return frozenset((each, each) for each in statuses)


def when(*statuses: str) -> frozenset[str]:
    return frozenset(statuses)
