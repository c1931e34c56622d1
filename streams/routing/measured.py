"""What is told of many ways at once, by whom, and why not by those who stand before."""

from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from schemas.signals import RoutingSource

type Grid = npt.NDArray[np.float64]
"""Shape (origins, goals)."""
type Why = Literal[
    "circuit_open",
    "budget_used_up",
    "budget_unknown",
    "no_credentials",
    "too_large",
    "busy",
    "no_way",
    "quota",
    "refused",
    "silent",
    "gone",
    "wrong",
]


class Passed(msgspec.Struct, frozen=True):
    """Who stands before whoever answered, and why they did not."""

    provider: str
    why: Why


class Measured(msgspec.Struct, frozen=True):
    """Seconds and metres of driving, not a number where there is no way."""

    seconds: Grid
    metres: Grid
    source: RoutingSource
    passed: tuple[Passed, ...] = ()
