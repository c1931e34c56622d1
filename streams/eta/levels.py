"""Do the bounds hold? Where more arrivals than one in ten come later than nine in ten of the latest errors had said,
the city drives otherwise than it did, and the bound goes further out until it holds (adaptive conformal inference:
Gibbs and Candès 2021).
"""

import msgspec

from streams.eta.model import QUANTILES

STEP = 0.02
"""By how much one journey, all of which was outside, moves a bound's level."""
FARTHEST = 0.01
"""From the end: no quantile is taken further out."""
NEAREST = 0.25
"""To the middle, that is: nor is it taken further in."""


class Levels(msgspec.Struct):
    """The quantiles of the latest errors that stand for one in ten and for nine in ten."""

    low: float = QUANTILES[0]
    high: float = QUANTILES[2]

    def met(self, below: float, within: float) -> None:
        """Of a journey's forecasts the shares by whose p10, and by whose p90, it was there."""
        self.low = min(NEAREST, max(FARTHEST, self.low + STEP * (QUANTILES[0] - below)))
        self.high = max(1 - NEAREST, min(1 - FARTHEST, self.high + STEP * (QUANTILES[2] - within)))
