"""How fast one caller may come: a token bucket for each."""

from collections import OrderedDict
from math import ceil

MAX_BUCKETS = 20_000
"""The one unused for longest is forgotten first; whoever comes back finds a full one."""


class Rates:
    """`rate_per_s` in the long run, `burst` at once."""

    def __init__(self, rate_per_s: float, burst: int) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()
        """(tenant, subject) → (tokens left, at which second)."""

    def wait_s(self, caller: tuple[str, str], now_s: float) -> int:
        """Take one: 0 where there was one, else the whole seconds until there is."""
        left, at_s = self._buckets.pop(caller, (float(self._burst), now_s))
        left = min(float(self._burst), left + (now_s - at_s) * self._rate_per_s)
        taken = left >= 1
        self._buckets[caller] = (left - 1 if taken else left, now_s)
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
        return 0 if taken else max(1, ceil((1 - left) / self._rate_per_s))
