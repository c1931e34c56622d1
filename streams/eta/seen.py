"""What was known on the way to a stop: rows for the model, from which the arrival will teach."""

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from streams.eta.journey import Floats

EVERY_S = 60.0
MOST_ROWS = 12
"""Of one stop: of more, every second one of the older half goes, not the first."""
MOST_STOPS = 20_000
"""The oldest are forgotten: they teach nothing."""

type Row = npt.NDArray[np.float32]


class Sightings:
    """Kept in memory alone: what is lost with it teaches nothing, and that is all."""

    def __init__(self) -> None:
        self._of: dict[Hashable, list[tuple[float, Row]]] = {}

    def take(self, stop: Hashable, at_s: float, row: Floats) -> None:
        seen = self._of.get(stop)
        if seen is None:
            seen = self._of[stop] = []
            if len(self._of) > MOST_STOPS:
                del self._of[next(iter(self._of))]
        elif at_s - seen[-1][0] < EVERY_S:
            return
        seen.append((at_s, row.astype(np.float32)))
        if len(seen) > MOST_ROWS:
            del seen[1 : MOST_ROWS // 2 : 2]

    def let_go(self, stop: Hashable) -> Sequence[tuple[float, Row]]:
        """In the order of their times (Unix seconds)."""
        return self._of.pop(stop, [])
