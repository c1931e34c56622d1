"""How long will it take? A forest tells how much longer than the router says, another how sure that is.

Both are of what recently came true: the middle and the width of what is told are those of the latest errors, of
forecasts that were made before their journeys had ended (conformal prediction, normalised: Papadopoulos et al. 2011).
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec
import numpy as np

from streams.eta import paces
from streams.eta.journey import COLUMNS, Floats

QUANTILES = (0.1, 0.5, 0.9)
BY_FACTORS = "factor-1"
FACTORS = (0.94, 1.77, 3.07)
"""Until anything is learned. Real taxi trips in Porto took so many times what the router says in one of ten, one of two
and nine of ten cases (264 trips)."""
OFFSET_S = 15.0
"""What is added before logarithms are taken: of a few seconds any number of times is few."""
LEAST_S = 15.0
AT_LEAST_S = 1.0

ROUTER_S, AHEAD_S = COLUMNS.index("router_s"), COLUMNS.index("router_ahead_s")


class Regressor(Protocol):
    """Of one number for each row."""

    def predict(self, rows: Floats) -> Floats: ...


class Told(msgspec.Struct, frozen=True):
    """Quantiles of the latest errors, in spreads, by the length of the way (log seconds by the router)."""

    length: Floats
    quantiles: Floats
    """Shape (lengths, 3)."""

    def at(self, length: Floats) -> Floats:
        """Linear in between, and beyond as at the end: shape (rows, 3)."""
        return np.column_stack([np.interp(length, self.length, column) for column in self.quantiles.T])


class Model(msgspec.Struct, frozen=True):
    """`version` is told with each forecast. Without forests it is the router's time times fixed factors.

    `paces` tell by tenant, and by tenant and vehicle, how much longer (a logarithm) it takes there than elsewhere;
    `service_times` by tenant and kind of stop how many times as long a stop takes as was planned.
    """

    version: str
    middle: Regressor | None = None
    spread: Regressor | None = None
    errors: Told | None = None
    paces: Mapping[tuple[str, str], float] = {}
    service_times: Mapping[tuple[str, str], float] = {}

    def longer(self, tenant: str, vehicle: str) -> float:
        return paces.longer(self.paces, tenant, vehicle)

    def service_s(self, tenant: str, kind: str, planned_s: float) -> float:
        return planned_s * self.service_times.get((tenant, kind), 1.0)

    def forecast(self, rows: Floats, longer: Floats | float = 0.0) -> Floats:
        """Seconds by which, with odds of 1 in 10, 1 in 2 and 9 in 10, it is done: shape (rows, 3), in order."""
        if self.middle is None or self.errors is None:
            return at_least(by_router_s(rows)[:, None] * np.array(FACTORS))
        length = log_router(rows)
        middle = self.middle.predict(rows) + longer
        spread = spread_of(self.spread, rows)
        quantiles = self.errors.at(length)
        told = np.exp((length + middle)[:, None] + quantiles * spread[:, None]) - OFFSET_S
        return at_least(np.sort(told, axis=1))


def at_least(seconds: Floats) -> Floats:
    told: Floats = np.maximum(AT_LEAST_S, seconds)
    return told


def by_router_s(rows: Floats) -> Floats:
    """Half as if the vehicle might turn around, half as if not: nobody knows which."""
    return np.maximum(LEAST_S, (rows[:, ROUTER_S] + rows[:, AHEAD_S]) / 2)


def log_router(rows: Floats) -> Floats:
    return np.log(by_router_s(rows) + OFFSET_S)


def spread_of(forest: Regressor | None, rows: Floats) -> Floats:
    return np.ones(len(rows)) if forest is None else np.maximum(1e-3, forest.predict(rows))
