"""Places on a city's streets from which, and to which, one can drive."""

import random
from contextlib import aclosing

from infra.demo.cities import City
from schemas.geo import Location
from streams.routing.routers import Routers, RouterSaysNo

SNAP_M = 80.0
"""Farther from a street there is no door."""

TABLE = 50
"""Places asked for in one request."""

MOST_TRIES = 20_000


ANSWERS_WITHIN_S = 10.0


class NoStreets(RuntimeError):
    """The router knows too few streets of this city."""


class Streets:
    def __init__(self, urls: str, city: City) -> None:
        self._urls = urls
        self._city = city

    async def places(self, seed: str, count: int) -> list[Location]:
        """The same for the same seed. Raises NoStreets, RouterFailed."""
        chance = random.Random(seed)
        west, south, east, north = self._city.box
        found: list[Location] = []
        async with aclosing(Routers(self._urls, ANSWERS_WITHIN_S)) as routers:
            for _ in range(MOST_TRIES // TABLE):
                tries = [(chance.uniform(south, north), chance.uniform(west, east)) for _ in range(TABLE)]
                snapped = [await self._snapped(routers, lat, lon) for lat, lon in tries]
                found += await self._reachable(routers, [place for place in snapped if place is not None])
                if len(found) >= count:
                    return found[:count]
        raise NoStreets(f"found {len(found)} of {count} places on the streets of {self._city.name}")

    async def snapped(self, lat: float, lon: float) -> Location:
        """On the nearest street, however far. Raises NoStreets, RouterFailed."""
        async with aclosing(Routers(self._urls, ANSWERS_WITHIN_S)) as routers:
            place, _ = await self._nearest(routers, lat, lon)
        return place

    async def _snapped(self, routers: Routers, lat: float, lon: float) -> Location | None:
        place, distance_m = await self._nearest(routers, lat, lon)
        return place if distance_m <= SNAP_M else None

    async def _nearest(self, routers: Routers, lat: float, lon: float) -> tuple[Location, float]:
        try:
            path = f"/nearest/v1/driving/{lon:.6f},{lat:.6f}"
            waypoint = await routers.told(path, {}, lambda told: told["waypoints"][0])
        except RouterSaysNo as no:
            raise NoStreets(f"no street near {lat:.5f}, {lon:.5f}: {no.code}") from no
        lon, lat = waypoint["location"]
        return Location(lat=lat, lon=lon), waypoint["distance"]

    async def _reachable(self, routers: Routers, places: list[Location]) -> list[Location]:
        """From the centre and back to it."""
        if not places:
            return []
        lat, lon = self._city.centre
        points = ";".join([f"{lon:.6f},{lat:.6f}", *(f"{place.lon:.6f},{place.lat:.6f}" for place in places)])
        path = f"/table/v1/driving/{points}"
        there = await routers.told(path, {"sources": "0"}, lambda told: told["durations"][0][1:])
        back = await routers.told(path, {"destinations": "0"}, lambda told: [row[0] for row in told["durations"]][1:])
        return [
            place for place, out, home in zip(places, there, back, strict=True) if out is not None and home is not None
        ]
