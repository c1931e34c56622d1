"""What a solver is asked and what it may answer. What it says is judged by streams/planning/check.py."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from streams.planning.effort import Effort
from streams.planning.problem import Problem, Solution

SEED_MAX = 2**31 - 1


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """`incumbent`: a plan that is there already, to begin from."""

    problem: Problem
    effort: Effort
    seed: int = 0
    incumbent: Solution | None = None


class NoPlan(Exception):
    """The solver has none, and says why."""


type Found = Callable[[Solution], None]
"""Told of each better plan on the way, so that a solver that is killed has not worked in vain."""


class Solver(Protocol):
    """`version`: of every library in it."""

    name: str
    version: str

    def solve(self, asked: Asked, found: Found) -> Solution:
        """Raises NoPlan. Whatever else it raises is told as a crash."""
        ...
