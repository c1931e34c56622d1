"""Places on a city's streets from which, and to which, one can drive."""

import random

import httpx

from infra.demo.cities import City
from schemas.geo import Location

SNAP_M = 80.0
"""Farther from a street there is no door."""

TABLE = 50
"""Places asked for in one request."""

MOST_TRIES = 20_000


class NoStreets(RuntimeError):
    """The router knows too few streets of this city."""


class Streets:
    def __init__(self, url: str, city: City) -> None:
        self._url = url.rstrip("/")
        self._city = city

    async def places(self, seed: str, count: int) -> list[Location]:
        """The same for the same seed. Raises NoStreets, httpx.HTTPError."""
        chance = random.Random(seed)
        west, south, east, north = self._city.box
        found: list[Location] = []
        async with httpx.AsyncClient(timeout=10.0, trust_env=False) as client:
            for _ in range(MOST_TRIES // TABLE):
                tries = [(chance.uniform(south, north), chance.uniform(west, east)) for _ in range(TABLE)]
                snapped = [await self._snapped(client, lat, lon) for lat, lon in tries]
                found += await self._reachable(client, [place for place in snapped if place is not None])
                if len(found) >= count:
                    return found[:count]
        raise NoStreets(f"found {len(found)} of {count} places on the streets of {self._city.name}")

    async def snapped(self, lat: float, lon: float) -> Location:
        """On the nearest street, however far. Raises NoStreets."""
        async with httpx.AsyncClient(timeout=10.0, trust_env=False) as client:
            place, _ = await self._nearest(client, lat, lon)
        return place

    async def _snapped(self, client: httpx.AsyncClient, lat: float, lon: float) -> Location | None:
        place, distance_m = await self._nearest(client, lat, lon)
        return place if distance_m <= SNAP_M else None

    async def _nearest(self, client: httpx.AsyncClient, lat: float, lon: float) -> tuple[Location, float]:
        told = (await client.get(f"{self._url}/nearest/v1/driving/{lon:.6f},{lat:.6f}")).json()
        if told.get("code") != "Ok":
            raise NoStreets(f"no street near {lat:.5f}, {lon:.5f}: {told.get('message', told.get('code'))}")
        waypoint = told["waypoints"][0]
        lon, lat = waypoint["location"]
        return Location(lat=lat, lon=lon), waypoint["distance"]

    async def _reachable(self, client: httpx.AsyncClient, places: list[Location]) -> list[Location]:
        """From the centre and back to it."""
        if not places:
            return []
        lat, lon = self._city.centre
        points = ";".join([f"{lon:.6f},{lat:.6f}", *(f"{place.lon:.6f},{place.lat:.6f}" for place in places)])
        url = f"{self._url}/table/v1/driving/{points}"
        there = (await client.get(url, params={"sources": "0"})).json()["durations"][0][1:]
        back = [row[0] for row in (await client.get(url, params={"destinations": "0"})).json()["durations"]][1:]
        return [
            place for place, out, home in zip(places, there, back, strict=True) if out is not None and home is not None
        ]
