"""How soon can stops be through? Told alike by who decides and by who chooses."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Protocol

from schemas.geo import Window


class Timed(Protocol):
    @property
    def window(self) -> Window | None: ...

    @property
    def service_seconds(self) -> int: ...


def soonest_end(stops: Iterable[Timed], now: datetime) -> datetime:
    """Not before this, however short the way: no stop begins before its window, and each takes its time."""
    at = now
    for stop in stops:
        begins = at if stop.window is None else max(at, stop.window.start)
        at = begins + timedelta(seconds=stop.service_seconds)
    return at
