"""What is known, at a fix, of the way that is left to a place: a row of columns for the model.

None of it is known later than the fix itself: where the vehicle is and has been, how far it is by the router, and when.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from schemas.geo import EARTH_RADIUS_M

type Floats = npt.NDArray[np.float64]
type Places = npt.NDArray[np.intp]

COLUMNS = (
    "router_s",
    "router_ahead_s",
    "router_m",
    "router_ahead_m",
    "router_mps",
    "straight_m",
    "detour",
    "speed_30_mps",
    "speed_60_mps",
    "speed_300_mps",
    "speed_mps",
    "elapsed_s",
    "toward",
    "nearer_mps",
    "standing_s",
    "lat",
    "lon",
    "to_lat",
    "to_lon",
    "east_m",
    "north_m",
    "hour",
    "off_street_m",
    "routed",
)
"""`ahead` is by the router if the vehicle does not turn around where it is; `toward` the cosine between where it heads
and where the place is; `nearer` over the last two minutes; `standing` since it last moved; `hour` in UTC."""

FASTEST_MPS = 45.0
"""What is said to be faster is a broken fix: nobody drives so in a city."""
MOVED_M = 15.0
"""Between two fixes; what is less says nothing of where a vehicle heads."""
SHORT_S, MEDIUM_S, LONG_S = 30.0, 60.0, 300.0
NEARER_S = 120.0
LEAST_M = 50.0


class Track(msgspec.Struct, frozen=True):
    """Fixes of one vehicle on one journey in the order of their times: Unix seconds, degrees."""

    at_s: Floats
    lat: Floats
    lon: Floats

    def __len__(self) -> int:
        return len(self.at_s)

    def steps(self) -> tuple[Floats, Floats]:
        """Metres to the east and to the north from each fix to the next."""
        return metres_between(self.lat[:-1], self.lon[:-1], self.lat[1:], self.lon[1:])


class Journey(msgspec.Struct, frozen=True):
    journey_id: str
    track: Track

    @property
    def ended_s(self) -> float:
        return float(self.track.at_s[-1])


class Left(msgspec.Struct, frozen=True):
    """By the router, of some fixes of a track (rows) to some places (columns): seconds and metres of driving.

    `ahead_*` for a vehicle that does not turn around. `off_street_m` is how far from a street each fix lies. Where the
    router knows no way `routed` is false, and what is told comes from the great circle; `answered` is false where it
    does so since the router was not there.
    """

    s: Floats
    m: Floats
    ahead_s: Floats
    ahead_m: Floats
    off_street_m: Floats
    routed: npt.NDArray[np.bool_]
    answered: bool


def headings(track: Track) -> list[float | None]:
    """Of each fix, degrees clockwise from north; None where the vehicle has not moved."""
    east, north = track.steps()
    turned = np.degrees(np.arctan2(east, north)) % 360
    moved = np.hypot(east, north) > MOVED_M
    return [None, *(float(angle) if went else None for angle, went in zip(turned, moved, strict=True))][: len(track)]


def rows(
    track: Track, fixes: Places, to_lat: Floats, to_lon: Floats, left: Left, pairs: tuple[Places, Places]
) -> Floats:
    """One row for each pair of a fix and a place, both by their numbers in `left`: shape (pairs, columns)."""
    row, place = pairs
    fix = fixes[row]
    moves = Moves.of(track)
    lat, lon, at_s = track.lat[fix], track.lon[fix], track.at_s[fix]
    there_lat, there_lon = to_lat[place], to_lon[place]
    east, north = metres_between(lat, lon, there_lat, there_lon)
    straight = np.hypot(east, north)
    before = moves.before(fix, NEARER_S)
    then = np.hypot(*metres_between(track.lat[before], track.lon[before], there_lat, there_lon))
    passed_s = np.maximum(1.0, at_s - track.at_s[before])
    router_s, router_m = left.s[pairs], left.m[pairs]
    columns: Sequence[Floats] = (
        router_s,
        left.ahead_s[pairs],
        router_m,
        left.ahead_m[pairs],
        router_m / np.maximum(1.0, router_s),
        straight,
        router_m / np.maximum(LEAST_M, straight),
        moves.speed(fix, SHORT_S),
        moves.speed(fix, MEDIUM_S),
        moves.speed(fix, LONG_S),
        moves.speed(fix, np.inf),
        at_s - track.at_s[0],
        moves.toward(fix, east, north),
        np.where(fix > 0, (then - straight) / passed_s, -1.0),
        moves.standing_s[fix],
        lat,
        lon,
        there_lat,
        there_lon,
        east,
        north,
        at_s % 86_400 / 3_600,
        left.off_street_m[row],
        left.routed[pairs].astype(float),
    )
    return np.column_stack(columns)


class Moves(msgspec.Struct, frozen=True):
    """How a track has moved up to each of its fixes."""

    at_s: Floats
    driven_m: Floats
    east_m: Floats
    north_m: Floats
    """Since the fix before."""
    standing_s: Floats

    @classmethod
    def of(cls, track: Track) -> "Moves":
        east, north = track.steps()
        step = np.hypot(east, north)
        moved_at = np.concatenate([[0], np.where(step >= MOVED_M, np.arange(1, len(track)), 0)])
        stood_since = np.maximum.accumulate(moved_at)
        return cls(
            at_s=track.at_s,
            driven_m=np.concatenate([[0.0], np.cumsum(step)]),
            east_m=np.concatenate([[0.0], east]),
            north_m=np.concatenate([[0.0], north]),
            standing_s=track.at_s - track.at_s[stood_since],
        )

    def before(self, fix: Places, seconds: float) -> Places:
        """The earliest fix that is no longer before each than this."""
        return np.searchsorted(self.at_s, self.at_s[fix] - seconds)

    def speed(self, fix: Places, seconds: float) -> Floats:
        """Metres a second over the last so many; -1 at the first fix, of which nothing is known."""
        before = self.before(fix, seconds)
        passed_s = self.at_s[fix] - self.at_s[before]
        driven_m = self.driven_m[fix] - self.driven_m[before]
        return divided(driven_m, passed_s, passed_s > 0, -1.0)

    def toward(self, fix: Places, east: Floats, north: Floats) -> Floats:
        step = np.hypot(self.east_m[fix], self.north_m[fix])
        length = step * np.hypot(east, north)
        dot = self.east_m[fix] * east + self.north_m[fix] * north
        return divided(dot, length, (step > MOVED_M) & (length > 0), 0.0)


def divided(upper: Floats, lower: Floats, where: npt.NDArray[np.bool_], otherwise: float) -> Floats:
    share: Floats = np.divide(upper, lower, out=np.full(len(upper), otherwise), where=where)
    return share


def metres_between(lat: Floats, lon: Floats, to_lat: Floats, to_lon: Floats) -> tuple[Floats, Floats]:
    """East and north, on a plane through the first: right within a city."""
    east = np.radians((to_lon - lon + 180) % 360 - 180) * np.cos(np.radians(lat)) * EARTH_RADIUS_M
    return east, np.radians(to_lat - lat) * EARTH_RADIUS_M
