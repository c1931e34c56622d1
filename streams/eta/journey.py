"""What is known, at a fix, of the way that is left to a place: a row of columns for the model.

None of it is known later than the fix itself: where the vehicle is and has been, how far it is by the router, and when.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import get_args

import msgspec
import numpy as np
import numpy.typing as npt

from schemas.geo import EARTH_RADIUS_M
from schemas.rider_vehicle import VehicleKind

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
    "vehicle",
)
"""`ahead` is by the router if the vehicle does not turn around where it is; `toward` the cosine between where it heads
and where the place is; `nearer` over the last two minutes; `standing` since it last moved; `hour` in UTC;
`vehicle` by its place in `VEHICLES`."""
COLUMNS_NAME = sha256(",".join(COLUMNS).encode()).hexdigest()[:8]
"""By which rows of another release are told."""
VEHICLES = get_args(VehicleKind)
CAR = VEHICLES.index("car")

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
    track: Track,
    fixes: Places,
    to_lat: Floats,
    to_lon: Floats,
    left: Left,
    pairs: tuple[Places, Places],
    vehicle: int = CAR,
) -> Floats:
    """One row for each pair of a fix and a place, both by their numbers in `left`: shape (pairs, columns)."""
    row, place = pairs
    fix = fixes[row]
    moves = Moves.of(track)
    lat, lon, at_s = track.lat[fix], track.lon[fix], track.at_s[fix]
    there_lat, there_lon = to_lat[place], to_lon[place]
    east, north = metres_between(lat, lon, there_lat, there_lon)
    before = moves.before(fix, NEARER_S)
    then = np.hypot(*metres_between(track.lat[before], track.lon[before], there_lat, there_lon))
    passed_s = np.maximum(1.0, at_s - track.at_s[before])
    motion = Motion(
        short_mps=moves.speed(fix, SHORT_S),
        medium_mps=moves.speed(fix, MEDIUM_S),
        long_mps=moves.speed(fix, LONG_S),
        mps=moves.speed(fix, np.inf),
        elapsed_s=at_s - track.at_s[0],
        toward=moves.toward(fix, east, north),
        nearer_mps=np.where(fix > 0, (then - np.hypot(east, north)) / passed_s, -1.0),
        standing_s=moves.standing_s[fix],
    )
    drive = Drive(
        left.s[pairs],
        left.ahead_s[pairs],
        left.m[pairs],
        left.ahead_m[pairs],
        left.off_street_m[row],
        left.routed[pairs].astype(float),
    )
    return assembled(at_s, (lat, lon), (there_lat, there_lon), drive, motion, vehicle)


def rows_from_rest(
    at_s: Floats, here: tuple[Floats, Floats], there: tuple[Floats, Floats], drive: "Drive", vehicle: int = CAR
) -> Floats:
    """Of drives that begin at these moments, as at the first fix of a journey: shape (drives, columns)."""
    none, nothing = np.full(len(at_s), -1.0), np.zeros(len(at_s))
    motion = Motion(none, none, none, none, nothing, nothing, none, nothing)
    return assembled(at_s, here, there, drive, motion, vehicle)


class Drive(msgspec.Struct, frozen=True):
    """By the router, of each row."""

    s: Floats
    ahead_s: Floats
    m: Floats
    ahead_m: Floats
    off_street_m: Floats
    routed: Floats


class Motion(msgspec.Struct, frozen=True):
    """How the vehicle of each row has moved. -1 where it is not known."""

    short_mps: Floats
    medium_mps: Floats
    long_mps: Floats
    mps: Floats
    elapsed_s: Floats
    toward: Floats
    nearer_mps: Floats
    standing_s: Floats


def assembled(
    at_s: Floats,
    here: tuple[Floats, Floats],
    there: tuple[Floats, Floats],
    drive: Drive,
    motion: Motion,
    vehicle: int,
) -> Floats:
    """In the order of `COLUMNS`."""
    east, north = metres_between(*here, *there)
    straight = np.hypot(east, north)
    columns: Sequence[Floats] = (
        drive.s,
        drive.ahead_s,
        drive.m,
        drive.ahead_m,
        drive.m / np.maximum(1.0, drive.s),
        straight,
        drive.m / np.maximum(LEAST_M, straight),
        motion.short_mps,
        motion.medium_mps,
        motion.long_mps,
        motion.mps,
        motion.elapsed_s,
        motion.toward,
        motion.nearer_mps,
        motion.standing_s,
        *here,
        *there,
        east,
        north,
        at_s % 86_400 / 3_600,
        drive.off_street_m,
        drive.routed,
        np.full(len(at_s), float(vehicle)),
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
