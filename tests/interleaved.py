"""Facts folded in another order than they were written in: that of one aggregate is all that a read model may assume."""

from collections.abc import Iterable
from random import Random
from typing import Any

from projections.folding import Parked, folded
from projections.model import Fact, Key, ReadModel


def interleaved(model: ReadModel, facts: Iterable[Fact], draw: Random) -> dict[Key, Any]:
    """The rows, folded fetch by fetch, each of a length that is drawn too."""
    waiting: dict[str, list[Fact]] = {}
    for fact in facts:
        waiting.setdefault(fact.source.aggregate_id, []).append(fact)
    parked = Parked()
    rows: dict[Key, Any] = {}
    while waiting:
        fetch = [drawn(waiting, draw) for _ in range(draw.randint(1, 5)) if waiting]
        changed, gone = folded(model, fetch, rows, parked)
        rows = {key: row for key, row in (rows | changed).items() if row is not None and key not in gone}
    assert not parked.fresh, parked.fresh
    return rows


def drawn(waiting: dict[str, list[Fact]], draw: Random) -> Fact:
    aggregate = draw.choice(list(waiting))
    fact = waiting[aggregate].pop(0)
    if not waiting[aggregate]:
        del waiting[aggregate]
    return fact
