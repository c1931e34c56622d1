"""Which fixes are believed? By each fix alone in numpy, for a frame at once; then by where its device was before."""

from collections.abc import Sequence
from math import asin, cos, pi, sin, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.anomaly_rules import AnomalyRules
from schemas.directory import TenantCreated, TenantRules, TenantRulesChanged
from schemas.fix_rules import REASONS, FixRules, Reason
from schemas.fixes import MICRODEGREES, MOCK, NOT_KNOWN_U8, Fixes
from schemas.geo import EARTH_RADIUS_M
from schemas.message import Event, Source

MAX_LAT, MAX_LON = 90 * MICRODEGREES, 180 * MICRODEGREES
SLACK_M = 100.0
"""Beside what the two fixes say of their accuracy: two of them in one second may well be so far apart."""
CONFIRMED_BY = 3
"""So many strays that agree with one another are believed: what was before them was wrong, or the device was carried
where it saw no sky."""
MOST_VERSIONS = 100
"""Of one tenant's rules; the oldest go, and older frames are judged by the first that is left."""
RADIANS = pi / 180 / MICRODEGREES
DEFAULTS = TenantRules()

type Flags = npt.NDArray[np.bool_]
type Place = tuple[int, int, int, int]
"""Unix milliseconds, microdegrees of latitude and longitude, metres of accuracy."""


class Quality:
    """The rules of all tenants, folded from `logistics.directory`. A frame is judged by those at its arrival, so that
    it is judged alike whenever it is folded."""

    def __init__(self) -> None:
        self._versions: dict[str, list[tuple[int, TenantRules]]] = {}

    def take(self, event: Event, source: Source) -> None:
        if isinstance(event, TenantCreated | TenantRulesChanged):
            versions = self._versions.setdefault(source.tenant, [])
            versions.append((round(source.event_time.timestamp() * 1000), event.rules))
            del versions[:-MOST_VERSIONS]

    def rules(self, tenant: str, received_ms: int) -> FixRules:
        return self._of(tenant, received_ms).fixes

    def anomalies(self, tenant: str, received_ms: int) -> AnomalyRules:
        return self._of(tenant, received_ms).anomalies

    def _of(self, tenant: str, received_ms: int) -> TenantRules:
        versions = self._versions.get(tenant)
        if not versions:
            return DEFAULTS
        return next((rules for since_ms, rules in reversed(versions) if since_ms <= received_ms), versions[0][1])


def judged(fixes: Fixes, rules: FixRules, received_ms: int) -> list[Reason | None]:
    """What is wrong with each fix by itself."""
    bound = np.array([bool(rider) for rider in fixes.frame.riders], bool)
    found: dict[Reason, Flags] = {
        "invalid": (np.abs(fixes.lat) > MAX_LAT) | (np.abs(fixes.lon) > MAX_LON),
        "zero": (fixes.lat == 0) & (fixes.lon == 0),
        "unbound": ~bound[fixes.device],
        "suspected_spoof": (fixes.flags & MOCK) != 0,
        "future": fixes.at_ms > received_ms + rules.max_future_seconds * 1000,
        "outdated": fixes.at_ms < received_ms - rules.max_age_seconds * 1000,
        "inaccurate": (fixes.accuracy != NOT_KNOWN_U8) & (fixes.accuracy > rules.max_accuracy_m),
    }
    wrong = np.full(len(fixes.lat), -1, np.int64)
    for reason in reversed(REASONS):
        if reason in found:
            wrong[found[reason]] = REASONS.index(reason)
    if int(wrong.max(initial=-1)) < 0:
        return [None] * len(wrong)
    return [None if place < 0 else REASONS[place] for place in wrong.tolist()]


def metres_known(fixes: Fixes) -> Any:
    """Of accuracy: what is not known adds nothing to the slack."""
    return np.where(fixes.accuracy == NOT_KNOWN_U8, 0, fixes.accuracy)


def follows(fixes: Fixes, rules: FixRules) -> list[bool]:
    """Whether each fix can be where the row before it of the same device has come to."""
    accuracy = metres_known(fixes)
    lat, lon = fixes.lat * RADIANS, fixes.lon * RADIANS
    chord = np.sin(np.diff(lat) / 2) ** 2 + np.cos(lat[:-1]) * np.cos(lat[1:]) * np.sin(np.diff(lon) / 2) ** 2
    metres = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(1.0, chord)))
    seconds = np.abs(np.diff(fixes.at_ms)) / 1000
    near = metres <= SLACK_M + accuracy[:-1] + accuracy[1:] + rules.max_speed_mps * seconds
    return [False, *(near & (np.diff(fixes.device) == 0)).tolist()][: len(fixes.lat)]


def within_reach(a: Place, b: Place, rules: FixRules) -> bool:
    """As `follows`, for one pair."""
    lat_a, lat_b = a[1] * RADIANS, b[1] * RADIANS
    chord = sin((lat_b - lat_a) / 2) ** 2 + cos(lat_a) * cos(lat_b) * sin((b[2] - a[2]) * RADIANS / 2) ** 2
    metres = 2 * EARTH_RADIUS_M * asin(sqrt(min(1.0, chord)))
    return metres <= SLACK_M + a[3] + b[3] + rules.max_speed_mps * abs(b[0] - a[0]) / 1000


class Reach:
    """Where a device was last, and whether it can have come from there. `strays` are those in a row that agree with one
    another, and `stray` the last of them."""

    def __init__(self) -> None:
        self.last: Place | None = None
        self.stray: Place | None = None
        self.strays = 0

    def refuses(self, place: Place, rules: FixRules) -> bool:
        if self.last is None or within_reach(self.last, place, rules):
            self.believe(place)
            return False
        if self.stray is not None and self.stray[0] == place[0]:
            return True  # sent again, it confirms nothing
        agrees = self.stray is not None and within_reach(self.stray, place, rules)
        self.strays = self.strays + 1 if agrees else 1
        self.stray = place
        if self.strays < CONFIRMED_BY:
            return True
        self.last = None
        self.believe(place)
        return False

    def believe(self, place: Place) -> None:
        """A late one moves nothing: from the newest on the next is judged."""
        if self.strays:
            self.stray, self.strays = None, 0
        if self.last is None or place[0] > self.last[0]:
            self.last = place


def packed(reach: Reach) -> list[Any]:
    return [reach.last, reach.stray, reach.strays]


def unpacked(kept: Sequence[Any]) -> Reach:
    reach = Reach()
    last, stray, reach.strays = kept
    reach.last = None if last is None else (last[0], last[1], last[2], last[3])
    reach.stray = None if stray is None else (stray[0], stray[1], stray[2], stray[3])
    return reach
