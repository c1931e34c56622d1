"""Real taxi trips, played as deliveries: each trip's fixes at their own times, from where it began to where it ended.

The trips are those of the ECML/PKDD 2015 challenge (Porto, 2013-07-01): one place every 15 s. A trip's delivery goes
from the first to the last place within the city's streets, and is given to the taxi that really drove it.
"""

import csv
import gzip
import heapq
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from infra.demo.api import Api, Json, Refusal
from infra.demo.cities import City
from infra.demo.plan import Persona
from infra.demo.play import Settle
from infra.embedded.city import CityMissing
from infra.porto_trips import FIX_EVERY_S
from schemas.geo import Location, distance_m
from streams.eta.journey import FASTEST_MPS

FILE = Path("traces/porto_taxi_trips.csv.gz")
FIX_EVERY = timedelta(seconds=FIX_EVERY_S)
FEWEST = 8
"""Fixes in a trip within the streets: two minutes."""

ORDERED_BEFORE = timedelta(seconds=90)
ASSIGNED_BEFORE = timedelta(seconds=60)
WINDOW = timedelta(minutes=20)


class Trip(msgspec.Struct, frozen=True):
    """`first` and `last` are the places of the fixes between which it is a delivery."""

    trip_id: str
    taxi: str
    started_at: datetime
    places: tuple[Location, ...]
    first: int
    last: int

    def at(self, number: int) -> datetime:
        return self.started_at + number * FIX_EVERY

    @property
    def picked_up_at(self) -> datetime:
        return self.at(self.first)

    @property
    def delivered_at(self) -> datetime:
        return self.at(self.last)


def trips(sample_data: Path | None, city: City) -> list[Trip]:
    """In the order of their starts, none of a taxi's overlapping another of the same. Raises CityMissing."""
    if sample_data is None:
        raise CityMissing("the taxi trips are in the sample data: name their folder by LOGISTICS_SAMPLE_DATA")
    file = sample_data / FILE
    if not file.exists():
        raise CityMissing(f"LOGISTICS_SAMPLE_DATA={sample_data}: there is no {FILE} in it")
    with gzip.open(file, "rt", newline="") as rows:
        found = [trip for row in csv.DictReader(rows) if (trip := trip_of(row, city)) is not None]
    return list(one_at_a_time(sorted(found, key=lambda trip: (trip.started_at, trip.trip_id))))


def trip_of(row: Mapping[str, str], city: City) -> Trip | None:
    """None where too little of it is within the streets."""
    places = tuple(Location(lat=lat, lon=lon) for lon, lat in json.loads(row["POLYLINE"]))
    first, last = longest_within(places, city)
    if last - first + 1 < FEWEST:
        return None
    started_at = datetime.fromtimestamp(int(row["TIMESTAMP"]), UTC)
    return Trip(row["TRIP_ID"], row["TAXI_ID"], started_at, places, first, last)


def longest_within(places: tuple[Location, ...], city: City) -> tuple[int, int]:
    """The longest stretch without a step that nobody can drive, all of it within the city's box; (0, -1) if none. The
    other fixes are sent, but no delivery ends there."""
    west, south, east, north = city.box
    best, begin = (0, -1), 0
    for number, place in enumerate(places):
        inside = west <= place.lon <= east and south <= place.lat <= north
        if not inside:
            begin = number + 1
            continue
        if number > begin and distance_m(places[number - 1], place) > FASTEST_MPS * FIX_EVERY.total_seconds():
            begin = number
        if number - begin > best[1] - best[0]:
            best = (begin, number)
    return best


def one_at_a_time(ordered: Iterable[Trip]) -> Iterator[Trip]:
    busy: dict[str, datetime] = {}
    for trip in ordered:
        if trip.started_at - ORDERED_BEFORE >= busy.get(trip.taxi, datetime.min.replace(tzinfo=UTC)):
            busy[trip.taxi] = trip.at(len(trip.places))
            yield trip


def busiest(known: list[Trip], length: timedelta, most: int) -> list[Trip]:
    """Those that begin in the span of this length in which most do."""
    best: list[Trip] = []
    for first in known:
        within = [trip for trip in known if first.started_at <= trip.started_at < first.started_at + length]
        if len(within) > len(best):
            best = within
    return best[:most]


def driver(taxi: str, start: Location) -> Persona:
    """A taxi's driver, who does what the trips say."""
    return Persona(
        reference=f"taxi-{taxi}",
        name=f"Taxi {taxi}",
        vehicle="car",
        start=start,
        declines=0.0,
        ignores=0.0,
        thinks_s=(0.0, 0.0),
        offline=(),
        papers_end_s=None,
        clock_ahead=False,
    )


class TaxiPlay:
    """Every trip is a list of moments; a tick does those that have come, in their order."""

    def __init__(self, api: Api, shop: str, riders: Mapping[str, str], settle: Settle) -> None:
        """`riders` are the ids of the taxis' drivers, by taxi; `shop` is the outlet that orders."""
        self._api, self._shop, self._riders, self._settle = api, shop, riders, settle
        self._moments: list[tuple[datetime, int, str, Trip, int]] = []
        self._order = count()
        self._tasks: dict[str, Json] = {}
        self.counts: Counter[str] = Counter()

    def plan(self, known: Iterable[Trip]) -> None:
        for trip in known:
            self._add(trip.picked_up_at - ORDERED_BEFORE, "ordered", trip)
            self._add(trip.picked_up_at - ASSIGNED_BEFORE, "assigned", trip)
            for number in range(len(trip.places)):
                self._add(trip.at(number), "fix", trip, number)
            self._add(trip.picked_up_at, "picked_up", trip)
            self._add(trip.delivered_at, "delivered", trip)

    def _add(self, at: datetime, what: str, trip: Trip, number: int = 0) -> None:
        heapq.heappush(self._moments, (at, next(self._order), what, trip, number))

    @property
    def planned(self) -> int:
        return len(self._moments)

    @property
    def ordered(self) -> Mapping[str, Json]:
        """By task."""
        return {task["id"]: task for task in self._tasks.values()}

    async def tick(self, now: datetime) -> None:
        """Raises Refusal, Unanswered."""
        fixes: dict[str, list[Json]] = {}
        while self._moments and self._moments[0][0] <= now:
            _, _, what, trip, number = heapq.heappop(self._moments)
            if what == "fix":
                fixes.setdefault(trip.taxi, []).append(self._fix(trip, number))
                continue
            await self._send(fixes)
            await self._happen(what, trip, now)
            await self._settle()
        if await self._send(fixes):
            await self._settle()

    async def _send(self, fixes: dict[str, list[Json]]) -> bool:
        for taxi, given in fixes.items():
            told = await self._api.fixes(self._riders[taxi], f"phone-taxi-{taxi}", given)
            for name in ("accepted", "off_duty", "unbound"):
                self.counts[f"fixes {name}"] += told[name]
        sent = bool(fixes)
        fixes.clear()
        return sent

    async def _happen(self, what: str, trip: Trip, now: datetime) -> None:
        match what:
            case "ordered":
                self._tasks[trip.trip_id] = await self._api.command(
                    "integrator", "shop", "/tasks", body_of(trip, self._shop)
                )
                self.counts["ordered"] += 1
            case "assigned":
                await self._command("dispatcher", "dora", trip, "assign-task", {"rider_id": self._riders[trip.taxi]})
                await self._settle()
                await self._report(trip, "accept-assignment", {})
                self.counts["claimed"] += 1
            case "picked_up":
                await self._visit(trip, "stop-1", trip.first, "report-picked-up", {})
                await self._settle()
                body = {"stop_id": "stop-2", "observed_at": trip.picked_up_at.isoformat()}
                await self._report(trip, "report-en-route", body)
            case _:
                pin = self._tasks[trip.trip_id]["pins"]["stop-2"]
                await self._visit(
                    trip, "stop-2", trip.last, "report-delivered", {"proofs": [{"kind": "pin", "pin": pin}]}
                )

    async def _visit(self, trip: Trip, stop: str, number: int, command: str, more: Json) -> None:
        """Arrived, and done at once: the trips know no more."""
        body = {"stop_id": stop, "observed_at": trip.at(number).isoformat()}
        await self._report(trip, "report-arrived", body | {"fix": self._fix(trip, number) | {"accuracy_m": 10.0}})
        await self._report(trip, command, body | more)

    async def _report(self, trip: Trip, command: str, body: Json) -> None:
        await self._command("rider", self._riders[trip.taxi], trip, command, body)

    async def _command(self, role: Any, subject: str, trip: Trip, command: str, body: Json) -> None:
        path = f"/tasks/{self._tasks[trip.trip_id]['id']}/{command}"
        key = f"{trip.trip_id}-{command}-{body.get('stop_id', '')}"
        try:
            await self._api.command(role, subject, path, body, key)
        except Refusal as refused:
            if refused.status not in (404, 409, 422):
                raise
            self.counts[f"refused {refused.code}"] += 1

    def _fix(self, trip: Trip, number: int) -> Json:
        place = trip.places[number]
        return {"observed_at": trip.at(number).isoformat(), "lat": place.lat, "lon": place.lon}


def body_of(trip: Trip, shop: str) -> Json:
    """As CreateTask wants it."""
    begin, end = trip.places[trip.first], trip.places[trip.last]
    window = {"start": trip.picked_up_at.isoformat(), "end": (trip.picked_up_at + WINDOW).isoformat()}
    pickup = {"kind": "pickup", "stop_id": "stop-1", "location": {"lat": begin.lat, "lon": begin.lon}}
    dropoff = {
        "kind": "dropoff",
        "stop_id": "stop-2",
        "location": {"lat": end.lat, "lon": end.lon},
        "contact": {"name": f"Passenger of {trip.trip_id}"},
        "window": window,
        "required_proof": [["pin"]],
    }
    return {
        "kind": "delivery",
        "outlet": shop,
        "external_reference": f"trip-{trip.trip_id}",
        "stops": [pickup, dropoff],
        "parcels": [{"description": "as the taxi's passenger"}],
    }
