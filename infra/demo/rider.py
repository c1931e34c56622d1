"""A rider at work: drives real streets, hands over, and carries a phone that tells of it more or less well."""

from datetime import datetime, timedelta
from math import atan2, cos, degrees, radians, sin
from typing import Any

import msgspec
import numpy as np

from infra.demo.chance import chance
from infra.demo.plan import Persona
from schemas.geo import EARTH_RADIUS_M, Location
from streams.telemetry.eta import Way

FIX_EVERY = timedelta(seconds=10)
NOISE_M = 4.0
LOST, LATE, DOUBLED = 0.03, 0.04, 0.03
"""Of a hundred fixes so many hundredths never leave the phone, come late, or come twice."""

LATE_S = (20.0, 60.0)
CLOCK_JUMP = timedelta(seconds=150)
JUMPS = 0.05
MOST_KEPT = 500
"""Fixes in a phone without network; the oldest go first."""

type Json = dict[str, Any]


class Drive(msgspec.Struct, frozen=True):
    """Along a way, slower than the router thinks by `factor`."""

    way: Way
    started_at: datetime
    factor: float

    @property
    def arrives_at(self) -> datetime:
        return self.started_at + timedelta(seconds=float(self.way.seconds[-1]) * self.factor)

    def place(self, at: datetime) -> Location:
        driven_s = (at - self.started_at).total_seconds() / self.factor
        return Location(
            lat=float(np.interp(driven_s, self.way.seconds, self.way.lat)),
            lon=float(np.interp(driven_s, self.way.seconds, self.way.lon)),
        )

    def speed_mps(self, at: datetime) -> float:
        driven_s = (at - self.started_at).total_seconds() / self.factor
        ahead = np.interp([driven_s, driven_s + 1.0], self.way.seconds, self.way.metres)
        return float(ahead[1] - ahead[0]) / self.factor


class Visit(msgspec.Struct, kw_only=True):
    """One stop of one task. `due_at` is when its next thing happens."""

    task_id: str
    stop_id: str
    kind: str
    goal: Location
    since: datetime
    drive: Drive | None = None
    reported: int = 0
    """Arrivals, hand-overs and attempts that were told."""
    due_at: datetime

    @property
    def key(self) -> tuple[str, str]:
        return self.task_id, self.stop_id


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What the rider's phone tells of a task; kept while there is no network."""

    task_id: str
    command: str
    body: Json
    key: str


class Phone:
    """Fixes as they leave it: in time, late, twice, or all at once when the network is back."""

    def __init__(self, seed: str, persona: Persona, began_at: datetime, fix_every: timedelta) -> None:
        self._seed, self._persona, self._began_at, self._fix_every = seed, persona, began_at, fix_every
        self._next_at = began_at
        self._waiting: list[tuple[datetime, Json]] = []
        self.reports: list[Report] = []

    def online(self, at: datetime) -> bool:
        return self._persona.online((at - self._began_at).total_seconds())

    def locate(self, drive: Drive | None, place: Location, until: datetime) -> None:
        """Fixes up to `until`."""
        while self._next_at <= until:
            at, self._next_at = self._next_at, self._next_at + self._fix_every
            of = chance(self._seed, "fix", self._persona.reference, at.timestamp())
            if of.random() < LOST:
                continue
            fix = self._fix(of.gauss, drive, place, at)
            jumped = self._persona.clock_ahead and of.random() < JUMPS
            if jumped:
                fix["observed_at"] = (at + CLOCK_JUMP).isoformat()
            leaves_at = at + timedelta(seconds=of.uniform(*LATE_S) if of.random() < LATE else 0)
            self._waiting.append((leaves_at, fix))
            if of.random() < DOUBLED:
                self._waiting.append((leaves_at + timedelta(seconds=5), fix))
        del self._waiting[:-MOST_KEPT]

    def sent(self, at: datetime) -> list[Json]:
        """What goes out now."""
        if not self.online(at):
            return []
        going = [fix for leaves_at, fix in self._waiting if leaves_at <= at]
        self._waiting = [each for each in self._waiting if each[0] > at]
        return going

    def told(self, at: datetime) -> list[Report]:
        """The reports that go out now."""
        if not self.online(at):
            return []
        going, self.reports = self.reports, []
        return going

    def _fix(self, gauss: Any, drive: Drive | None, place: Location, at: datetime) -> Json:
        true = place if drive is None else drive.place(at)
        seen = moved(true, gauss(0, NOISE_M), gauss(0, NOISE_M))
        fix = {"observed_at": at.isoformat(), "lat": seen.lat, "lon": seen.lon, "accuracy_m": 8.0}
        if drive is not None and at < drive.arrives_at:
            fix |= {"speed_mps": round(drive.speed_mps(at), 2), "bearing_deg": bearing_deg(drive, at)}
        return fix | {"battery_pct": 80.0}


def moved(place: Location, east_m: float, north_m: float) -> Location:
    lat = place.lat + degrees(north_m / EARTH_RADIUS_M)
    return Location(lat=lat, lon=place.lon + degrees(east_m / (EARTH_RADIUS_M * cos(radians(place.lat)))))


def bearing_deg(drive: Drive, at: datetime) -> float:
    """Initial bearing of the next two seconds, 0 to 360."""
    here, there = drive.place(at), drive.place(at + timedelta(seconds=2))
    lat_a, lat_b, lon = radians(here.lat), radians(there.lat), radians(there.lon - here.lon)
    east = sin(lon) * cos(lat_b)
    north = cos(lat_a) * sin(lat_b) - sin(lat_a) * cos(lat_b) * cos(lon)
    return round(degrees(atan2(east, north)) % 360, 1) % 360


class Rider:
    """`rider_id` is theirs in the system."""

    def __init__(
        self,
        seed: str,
        persona: Persona,
        rider_id: str,
        place: Location,
        now: datetime,
        fix_every: timedelta = FIX_EVERY,
    ) -> None:
        self.persona, self.rider_id, self.place = persona, rider_id, place
        self.phone = Phone(seed, persona, now, fix_every)
        self.visit: Visit | None = None
        self.wandering: Drive | None = None
        self.idle_since = now
        self.answers: dict[str, datetime] = {}
        """When they will answer an offer."""

    @property
    def drive(self) -> Drive | None:
        return self.visit.drive if self.visit is not None else self.wandering

    def at(self, now: datetime) -> Location:
        return self.place if self.drive is None else self.drive.place(now)
