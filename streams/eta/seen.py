"""What was known on the way to a stop: rows for the model, from which the arrival will teach."""

from collections.abc import Container, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from streams.eta.journey import COLUMNS_NAME, Floats

EVERY_S = 60.0
MOST_ROWS = 12
"""Of one stop: of more, every second one of the older half goes, not the first."""
MOST_STOPS = 20
"""Of one rider. The oldest are forgotten: they teach nothing."""

type Row = npt.NDArray[np.float32]


class Sightings:
    """Of one rider, by the names of the stops."""

    def __init__(self) -> None:
        self._of: dict[str, list[tuple[float, Row]]] = {}

    def take(self, stop: str, at_s: float, row: Floats) -> None:
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

    def let_go(self, stop: str) -> Sequence[tuple[float, Row]]:
        """In the order of their times (Unix seconds)."""
        return self._of.pop(stop, [])

    def let_go_but(self, stops: Container[str]) -> None:
        self._of = {stop: seen for stop, seen in self._of.items() if stop in stops}

    def packed(self) -> list[Any]:
        return [COLUMNS_NAME, {stop: [(at_s, row.tobytes()) for at_s, row in seen] for stop, seen in self._of.items()}]


def unpacked(kept: list[Any]) -> Sightings:
    """Of what another release has seen nothing."""
    sightings, (columns, of) = Sightings(), kept
    if columns == COLUMNS_NAME:
        for stop, seen in of.items():
            sightings._of[stop] = [(at_s, np.frombuffer(row, np.float32)) for at_s, row in seen]
    return sightings
