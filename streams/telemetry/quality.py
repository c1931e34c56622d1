"""Which fixes are believed? By each fix alone in numpy, for a frame at once; then by where its device was before."""

from collections.abc import Sequence
from math import asin, cos, pi, sin, sqrt
from typing import Any

import msgspec
import numpy as np

from schemas.anomaly_rules import AnomalyRules
from schemas.directory import TenantCreated, TenantRules, TenantRulesChanged
from schemas.fix_rules import REASONS, FixRules, Reason
from schemas.fixes import MICRODEGREES, MOCK, NOT_KNOWN_U8, Fixes
from schemas.geo import EARTH_RADIUS_M
from schemas.message import Event, Source
from streams.telemetry.cells import Numbers, Truths
from streams.telemetry.moments import unix_ms

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
            versions.append((unix_ms(source.event_time), event.rules))
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


class Rows(msgspec.Struct, frozen=True):
    """Fixes of any number of frames, one a row, and what each is judged by."""

    at_ms: Numbers
    lat: Numbers
    lon: Numbers
    accuracy: Numbers
    """As on the log."""
    flags: Numbers
    bound: Truths
    """Whether anybody held the device."""
    received_ms: Numbers
    max_future_ms: Numbers
    max_age_ms: Numbers
    max_accuracy_m: Numbers
    max_speed_mps: Numbers


def rows_of(frames: Sequence[tuple[Fixes, FixRules, int]]) -> Rows:
    """Of each frame its fixes, the rules, and when it was received (Unix milliseconds)."""
    fixes = [each for each, _, _ in frames]
    counts = [len(each.lat) for each in fixes]

    def joined(name: str) -> Any:
        return np.concatenate([getattr(each, name) for each in fixes])

    def told(values: Sequence[int]) -> Numbers:
        return np.repeat(np.array(values, np.int64), counts)

    rules = [each for _, each, _ in frames]
    return Rows(
        at_ms=joined("at_ms"),
        lat=joined("lat"),
        lon=joined("lon"),
        accuracy=joined("accuracy"),
        flags=joined("flags"),
        bound=np.concatenate([np.array([bool(r) for r in each.frame.riders], bool)[each.device] for each in fixes]),
        received_ms=told([received_ms for _, _, received_ms in frames]),
        max_future_ms=told([each.max_future_seconds * 1000 for each in rules]),
        max_age_ms=told([each.max_age_seconds * 1000 for each in rules]),
        max_accuracy_m=told([each.max_accuracy_m for each in rules]),
        max_speed_mps=told([each.max_speed_mps for each in rules]),
    )


def judged(rows: Rows) -> Numbers:
    """What is wrong with each fix by itself: the place of its reason in `REASONS`, -1 where nothing is."""
    found: dict[Reason, Truths] = {
        "invalid": (np.abs(rows.lat) > MAX_LAT) | (np.abs(rows.lon) > MAX_LON),
        "zero": (rows.lat == 0) & (rows.lon == 0),
        "unbound": ~rows.bound,
        "suspected_spoof": (rows.flags & MOCK) != 0,
        "future": rows.at_ms > rows.received_ms + rows.max_future_ms,
        "outdated": rows.at_ms < rows.received_ms - rows.max_age_ms,
        "inaccurate": (rows.accuracy != NOT_KNOWN_U8) & (rows.accuracy > rows.max_accuracy_m),
    }
    wrong = np.full(len(rows.lat), -1, np.int64)
    for reason in reversed(REASONS):
        if reason in found and found[reason].any():
            wrong[found[reason]] = REASONS.index(reason)
    return wrong


def places_of(rows: Rows) -> Numbers:
    """Each fix as a `Place`, one a row. An accuracy that is not known adds nothing to the slack."""
    accuracy = np.where(rows.accuracy == NOT_KNOWN_U8, 0, rows.accuracy)
    return np.stack([rows.at_ms, rows.lat, rows.lon, accuracy], axis=1)


def follow(before: Numbers, after: Numbers, max_speed_mps: Numbers) -> Truths:
    """Whether each place can be where the one before it has come to, as `within_reach` tells of one pair."""
    (at_a, lat_a, lon_a, accuracy_a), (at_b, lat_b, lon_b, accuracy_b) = before.T, after.T
    a, b = lat_a * RADIANS, lat_b * RADIANS
    chord = np.sin((b - a) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin((lon_b - lon_a) * (RADIANS / 2)) ** 2
    metres = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(1.0, chord)))
    near: Truths = metres <= SLACK_M + accuracy_a + accuracy_b + max_speed_mps * np.abs(at_b - at_a) / 1000
    return near


def within_reach(a: Place, b: Place, rules: FixRules) -> bool:
    lat_a, lat_b = a[1] * RADIANS, b[1] * RADIANS
    chord = sin((lat_b - lat_a) / 2) ** 2 + cos(lat_a) * cos(lat_b) * sin((b[2] - a[2]) * RADIANS / 2) ** 2
    metres = 2 * EARTH_RADIUS_M * asin(sqrt(min(1.0, chord)))
    return metres <= SLACK_M + a[3] + b[3] + rules.max_speed_mps * abs(b[0] - a[0]) / 1000


def is_amid(place: Place, neighbours: Sequence[tuple[int, int, int]], rules: FixRules) -> bool:
    """Whether a late fix can be between those before and after it in time: Unix milliseconds and microdegrees. How sure
    they were of their place is not remembered, so that the most is allowed that is believed."""
    return all(within_reach((*each, rules.max_accuracy_m), place, rules) for each in neighbours)


class Reach:
    """Where a device was last, and whether it can have come from there. `strays` are those in a row that agree with one
    another, and `stray` the last of them."""

    __slots__ = ("last", "stray", "strays")

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
        """From the newest on the next is judged."""
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
