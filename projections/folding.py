"""Folding a fetch into rows: which rows are touched, what they become, which facts must be parked."""

from collections.abc import Iterable, Mapping
from typing import Any

import structlog

from projections.model import Fact, Key, ReadModel

PARKED_AT_MOST = 100
"""Aggregates parked in one partition of a model; one more parks the partition."""

logger = structlog.get_logger()


class Parked:
    """What a model does not fold any more, until it is rebuilt: aggregates, and whole partitions."""

    def __init__(self) -> None:
        self.aggregates: dict[str, tuple[str, int]] = {}
        self.fresh: list[tuple[Fact, str]] = []

    def holds(self, fact: Fact) -> bool:
        return fact.source.aggregate_id in self.aggregates or self.full(fact.stored.topic, fact.stored.partition)

    def full(self, topic: str, partition: int) -> bool:
        return sum(place == (topic, partition) for place in self.aggregates.values()) > PARKED_AT_MOST

    def park(self, fact: Fact, reason: str) -> None:
        self.aggregates[fact.source.aggregate_id] = (fact.stored.topic, fact.stored.partition)
        self.fresh.append((fact, reason))


def touched(model: ReadModel, facts: Iterable[Fact], parked: Parked) -> list[Key]:
    if model.appends:
        return []
    return list(
        dict.fromkeys(
            key
            for fact in facts
            if type(fact.event) in model.events and not parked.holds(fact)
            for key in model.keys(fact)
        )
    )


def folded(
    model: ReadModel, facts: Iterable[Fact], rows: Mapping[Key, Any], parked: Parked
) -> tuple[dict[Key, Any], set[Key]]:
    """The rows as they become, and the keys of those that are gone. What cannot be folded parks its aggregate."""
    current: dict[Key, Any] = dict(rows)
    changed: set[Key] = set()
    for fact in facts:
        if type(fact.event) not in model.events or parked.holds(fact):
            continue
        try:
            for key in model.keys(fact):
                current[key] = model.apply(current.get(key), fact, key)
                changed.add(key)
        except Exception as poison:
            place = f"{fact.stored.topic}/{fact.stored.partition}@{fact.stored.offset}"
            logger.exception("fact parked", model=model.name, place=place)
            parked.park(fact, f"{type(poison).__name__}: {poison}")
    kept = {key: current[key] for key in changed if current[key] is not None}
    return kept, {key for key in changed if current[key] is None and key in rows}
