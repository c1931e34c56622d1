"""How much is asked of a provider a day: counted before it is asked, for nobody can take a question back."""

from collections import OrderedDict
from datetime import date
from typing import Literal, Protocol

import msgspec

from streams.routing.provider import Cost

MOST_COUNTED = 10_000
"""Tenants and providers of a day that one process remembers by itself."""

type Taken = Literal["taken", "used_up", "unknown"]
"""`unknown`: who counts does not answer, and what costs money is not asked then."""


class Budget(msgspec.Struct, frozen=True):
    """Of a UTC day; None where there is no bound."""

    requests: int | None = None
    elements: int | None = None

    @property
    def is_bound(self) -> bool:
        return self.requests is not None or self.elements is not None

    def has_room(self, used: Cost) -> bool:
        return (self.requests is None or used.requests <= self.requests) and (
            self.elements is None or used.elements <= self.elements
        )


class Budgets(Protocol):
    async def take(self, tenant: str, provider: str, day: date, cost: Cost, budget: Budget) -> Taken:
        """All of the cost or nothing of it."""
        ...


class CountedHere:
    """By one process, as long as it runs."""

    def __init__(self) -> None:
        self._used: OrderedDict[tuple[str, str, date], Cost] = OrderedDict()

    async def take(self, tenant: str, provider: str, day: date, cost: Cost, budget: Budget) -> Taken:
        key = tenant, provider, day
        used = self._used.get(key, Cost(0, 0))
        after = Cost(used.requests + cost.requests, used.elements + cost.elements)
        if not budget.has_room(after):
            return "used_up"
        self._used[key] = after
        self._used.move_to_end(key)
        while len(self._used) > MOST_COUNTED:
            self._used.popitem(last=False)
        return "taken"
