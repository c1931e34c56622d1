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

    def wait_s(self, caller: tuple[str, str], now_s: float, count: int = 1) -> int:
        """Take so many, at most a burst: 0 where they were there, else none, and the whole seconds until they are."""
        left, at_s = self._buckets.pop(caller, (float(self._burst), now_s))
        left = min(float(self._burst), left + (now_s - at_s) * self._rate_per_s)
        taken = left >= count
        self._buckets[caller] = (left - count if taken else left, now_s)
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
        return 0 if taken else max(1, ceil((count - left) / self._rate_per_s))
