"""Whose fact is next where those of many tenants go on side by side.

Tenants take turns, so that nobody waits for all that another has. The facts of one aggregate follow one after another.
Of a partition, too, only some are under way, and of a tenant in a partition fewer: while nobody judges for its shard
they wait, and others must go on, those of the same tenant, too.
"""

from collections import Counter, OrderedDict, deque

import msgspec

from schemas.record import Stored

MOST_AT_ONCE = 32
"""While all providers take their two seconds one is free sixteen times a second. The index of addresses is one thread
that takes 16 ms for what it does not find in Porto: the last of so many is answered in time."""
MOST_OF_A_TENANT = 8
MOST_OF_A_PARTITION = 8
"""Of two shards that are closed at once half of all are free."""
MOST_OF_A_LINE = 4

type Line = tuple[str, int]
"""A tenant's, in a partition."""


class Bounds(msgspec.Struct, frozen=True):
    """How many may be under way."""

    at_once: int = MOST_AT_ONCE
    of_a_tenant: int = MOST_OF_A_TENANT
    of_a_partition: int = MOST_OF_A_PARTITION
    of_a_line: int = MOST_OF_A_LINE


class Turns:
    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._facts: dict[str, deque[Stored]] = {}
        """Of each aggregate in their order; the first may be under way."""
        self._ready: OrderedDict[Line, deque[str]] = OrderedDict()
        """Aggregates of which none is under way; whose line has waited for longest stands first."""
        self._of_tenant, self._of_partition, self._of_line = Counter[str](), Counter[int](), Counter[Line]()
        self.waiting = self.underway = 0

    def add(self, stored: Stored) -> None:
        facts = self._facts.setdefault(aggregate_of(stored), deque())
        facts.append(stored)
        self.waiting += 1
        if len(facts) == 1:
            self._is_ready(stored)

    def next(self) -> Stored | None:
        """It is under way from now on. None where nobody has both a fact and room."""
        if self.underway >= self._bounds.at_once:
            return None
        line = next((line for line in self._ready if self._has_room(line)), None)
        return None if line is None else self._begun(line)

    def done(self, stored: Stored) -> None:
        aggregate, line = aggregate_of(stored), line_of(stored)
        self.underway -= 1
        self._of_tenant.subtract([line[0]])
        self._of_partition.subtract([line[1]])
        self._of_line.subtract([line])
        if not self._of_tenant[line[0]]:
            del self._of_tenant[line[0]]
        if not self._of_line[line]:
            del self._of_line[line]
        facts = self._facts[aggregate]
        facts.popleft()
        if facts:
            self._is_ready(facts[0])
        else:
            del self._facts[aggregate]

    def _is_ready(self, stored: Stored) -> None:
        self._ready.setdefault(line_of(stored), deque()).append(aggregate_of(stored))

    def _has_room(self, line: Line) -> bool:
        tenant, partition = line
        return (
            self._of_tenant[tenant] < self._bounds.of_a_tenant
            and self._of_partition[partition] < self._bounds.of_a_partition
            and self._of_line[line] < self._bounds.of_a_line
        )

    def _begun(self, line: Line) -> Stored:
        aggregates = self._ready[line]
        stored = self._facts[aggregates.popleft()][0]
        if aggregates:
            self._ready.move_to_end(line)
        else:
            del self._ready[line]
        self.waiting -= 1
        self.underway += 1
        self._of_tenant[line[0]] += 1
        self._of_partition[line[1]] += 1
        self._of_line[line] += 1
        return stored


def line_of(stored: Stored) -> Line:
    return stored.header("tenant") or "", stored.partition


def aggregate_of(stored: Stored) -> str:
    return stored.header("ce_subject") or ""
