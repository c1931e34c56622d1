"""Whether a provider is asked at all: not while it has failed some times in a row (the circuit breaker of Nygard,
Release It!). After a rest one request tries it, and the others wait for what becomes of that."""

from collections.abc import Callable
from time import monotonic

LONGEST_REST_S = 86_400.0


class Circuit:
    """`opens_after` failures in a row it opens for `rests_s`."""

    def __init__(self, opens_after: int, rests_s: float, clock: Callable[[], float] = monotonic) -> None:
        self._opens_after, self._rests_s, self._clock = opens_after, rests_s, clock
        self._failures = 0
        self._rests_until_s: float | None = None
        self._tried = False

    @property
    def is_open(self) -> bool:
        """Nobody is let through now."""
        return self._rests_until_s is not None and (self._tried or self._clock() < self._rests_until_s)

    def lets_through(self) -> bool:
        """Who is let through says what became of it: answered, failed, opens_for or released."""
        if self.is_open:
            return False
        self._tried = self._rests_until_s is not None
        return True

    def answered(self) -> None:
        self._failures, self._rests_until_s, self._tried = 0, None, False

    def failed(self) -> None:
        self._failures += 1
        if self._tried or self._failures >= self._opens_after:
            self.opens_for(self._rests_s)
        self._tried = False

    def opens_for(self, rest_s: float | None) -> None:
        """At once, whatever was before; as long as it rests where nobody says how long."""
        rest_s = self._rests_s if rest_s is None else min(rest_s, LONGEST_REST_S)
        self._rests_until_s, self._tried = self._clock() + rest_s, False

    def released(self) -> None:
        """It was not asked after all."""
        self._tried = False
