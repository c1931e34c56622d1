"""Solvers that fail, each in its own way, to be run in processes of their own."""

import os
import signal
import time
from pathlib import Path

from streams.planning.insertion import inserted
from streams.planning.model import Model
from streams.planning.problem import Route, Solution
from streams.planning.solving import Asked, Found, NoPlan


class Broken:
    version = "0"

    def __init__(self) -> None:
        self.name = type(self).__name__.lower()


class Killed(Broken):
    """By SIGKILL, in the middle of its work."""

    def solve(self, asked: Asked, found: Found) -> Solution:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("lives on")


class Hanging(Broken):
    """For longer than anybody waits."""

    def solve(self, asked: Asked, found: Found) -> Solution:
        time.sleep(3_600)
        raise AssertionError("came back")


class HangingLate(Hanging):
    """But has told of a plan before."""

    def solve(self, asked: Asked, found: Found) -> Solution:
        found(reversed_routes(asked))
        return super().solve(asked, found)


class Cheating(Broken):
    """Delivers before it has picked up, which is shorter."""

    def solve(self, asked: Asked, found: Found) -> Solution:
        plan = inserted(Model(asked.problem)).solution
        return Solution(
            routes=tuple(
                Route(vehicle=route.vehicle, visits=tuple(v for v in route.visits if v.action == "deliver"))
                for route in plan.routes
            )
        )


class Raising(Broken):
    def solve(self, asked: Asked, found: Found) -> Solution:
        raise ZeroDivisionError("by nothing")


class Refusing(Broken):
    def solve(self, asked: Asked, found: Found) -> Solution:
        raise NoPlan("it is Sunday")


class DyingOnce(Broken):
    """The first time it is asked; then it does its work. `mark` remembers."""

    def __init__(self, mark: Path) -> None:
        super().__init__()
        self.mark = mark

    def solve(self, asked: Asked, found: Found) -> Solution:
        if not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return reversed_routes(asked)


def reversed_routes(asked: Asked) -> Solution:
    """Another plan than the insertion's, where any order will do."""
    plan = inserted(Model(asked.problem)).solution
    return Solution(routes=tuple(Route(vehicle=route.vehicle, visits=route.visits[::-1]) for route in plan.routes))
