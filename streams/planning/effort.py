"""How much a solver may do: seconds, or iterations, by which the answer repeats."""

import time

import msgspec

LEAST_S = 0.02
"""A step gets at least so much, also when the time is gone."""


class Effort(msgspec.Struct, frozen=True):
    """One of the two. Iterations mean what each solver calls so."""

    seconds: float | None = None
    iterations: int | None = None

    def __post_init__(self) -> None:
        if (self.seconds is None) == (self.iterations is None):
            raise ValueError("an effort is either seconds or iterations")
        if (self.seconds or self.iterations or 0) <= 0:
            raise ValueError("an effort is more than nothing")


class Watch:
    """Deals an effort out to steps that follow each other: seconds by the clock, iterations by their number."""

    def __init__(self, effort: Effort) -> None:
        self.effort = effort
        self.began = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self.began

    def until(self, share: float) -> Effort:
        """For the first step, which ends when that share of the whole is gone."""
        return self.between(0, share)

    def after(self, share: float) -> Effort:
        """For the last step: all that is left, where the steps before were to take that share."""
        return self.between(share, 1)

    def between(self, from_share: float, to_share: float) -> Effort:
        if self.effort.iterations is not None:
            return Effort(iterations=max(1, round(self.effort.iterations * (to_share - from_share))))
        return Effort(seconds=max(LEAST_S, (self.effort.seconds or 0) * to_share - self.elapsed_s))

    def gone(self, share: float) -> bool:
        return self.effort.seconds is not None and self.elapsed_s > self.effort.seconds * share
