"""Travel times from an OSRM server; where it is silent, from the great circle, and that is said."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from time import monotonic
from typing import Any

import httpx
import msgspec
import numpy as np
import numpy.typing as npt
import structlog

from schemas.geo import Location, distance_m
from schemas.message import RiderId
from streams.dispatch.candidates import KnownRider, Travel
from streams.telemetry.eta import Way

DETOUR = 1.4
"""Road metres for one of the great circle, in a city (Boscoe et al. 2012 found 1.42 in the United States)."""
SPEED_MPS = 6.0
"""Of a car in a city, stops at lights included."""
FARTHEST_M = 2_000.0
"""From a street; what is farther is outside the router's map."""
TIMEOUT_S = 2.0
RESTS_S = 5.0
KEPT_CONNECTIONS = 8
TURNS_BY_DEG = 60
"""A street in a direction that differs by more is not the one that is driven on."""

type Grid = npt.NDArray[np.float64]

type Heading = tuple[Location, float | None]
"""A place, and whither one heads there: degrees clockwise from north, None where that is not known."""

logger = structlog.get_logger()


class RouterFailed(Exception):
    """It was silent, or its answer cannot be used."""


class Table(msgspec.Struct, frozen=True):
    """Of each origin (rows) to each goal (columns) seconds and metres of driving, not a number where there is no way.
    Besides, how far each origin lies from a street."""

    seconds: Grid
    metres: Grid
    off_street_m: Grid


class OsrmRouter:
    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        self._url = url.rstrip("/")
        self._rests_until_s = 0.0
        limits = httpx.Limits(max_keepalive_connections=KEPT_CONNECTIONS)
        self._client = httpx.AsyncClient(timeout=timeout_s, trust_env=False, limits=limits)

    async def close(self) -> None:
        await self._client.aclose()

    async def travel(self, riders: Sequence[KnownRider], goal: Location) -> dict[RiderId, Travel]:
        placed = [rider for rider in riders if rider.place is not None]
        if not placed:
            return {}
        try:
            seconds = await self._seconds([rider.place for rider in placed if rider.place], goal)
        except (httpx.HTTPError, ValueError, KeyError) as failed:
            logger.warning("router failed, the great circle stands in", error=failed)
            return {rider.rider_id: as_the_crow_flies(rider, goal) for rider in placed}
        return {
            rider.rider_id: Travel(duration, "osrm")
            for rider, duration in zip(placed, seconds, strict=True)
            if duration is not None
        }

    async def way(self, places: Sequence[Location]) -> Way:
        """The route through all places. Does not fail: the great circle stands in, and says so."""
        points = ";".join(f"{place.lon:.6f},{place.lat:.6f}" for place in places)
        wanted = {"overview": "full", "geometries": "geojson", "annotations": "duration,distance", "steps": "false"}
        try:
            answer = await self._get(f"{self._url}/route/v1/driving/{points}", wanted)
            told = answer.json()
            snapped(told["waypoints"])
            return way_of(told["routes"][0])
        except (httpx.HTTPError, ValueError, KeyError, IndexError) as failed:
            logger.warning("router failed, the great circle stands in", error=failed)
            return straight(places)

    async def table(self, origins: Sequence[Heading], goals: Sequence[Location]) -> Table:
        """Whoever heads somewhere does not turn around. Raises RouterFailed."""
        headings = [f"{heading:.0f},{TURNS_BY_DEG}" if heading is not None else "" for _, heading in origins]
        bearings = ";".join([*headings, *("" for _ in goals)])
        try:
            told = await self._table(
                [place for place, _ in origins], goals, annotations="duration,distance", bearings=bearings
            )
            return Table(
                grid(told["durations"]),
                grid(told["distances"]),
                np.array([source["distance"] for source in told["sources"]], float),
            )
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as failed:
            raise RouterFailed(f"no table of {len(origins)} x {len(goals)}: {failed}") from failed

    async def _get(self, url: str, params: Mapping[str, str]) -> httpx.Response:
        """Again where the server has closed a connection that was kept: it does so after 512 requests.

        A server that was silent is not asked for some seconds: whoever waits for it would hold up everybody else.
        """
        if monotonic() < self._rests_until_s:
            raise httpx.ConnectError("the router was silent a moment ago")
        try:
            answer = await self._asked(url, params)
        except httpx.TransportError:
            self._rests_until_s = monotonic() + RESTS_S
            raise
        return answer.raise_for_status()

    async def _asked(self, url: str, params: Mapping[str, str]) -> httpx.Response:
        for _ in range(KEPT_CONNECTIONS):
            try:
                return await self._client.get(url, params=params)
            except httpx.RemoteProtocolError:
                continue  # a connection that was kept, and closed over there meanwhile
        return await self._client.get(url, params=params)

    async def _seconds(self, places: Sequence[Location], goal: Location) -> list[float | None]:
        told = await self._table(places, [goal])
        snapped(told["destinations"])
        near = [source["distance"] <= FARTHEST_M for source in told["sources"]]
        return [row[0] if close else None for row, close in zip(told["durations"], near, strict=True)]

    async def _table(self, origins: Sequence[Location], goals: Sequence[Location], **more: str) -> Any:
        """As OSRM tells it. Raises httpx.HTTPError, and ValueError where it says no."""
        points = ";".join(f"{place.lon:.6f},{place.lat:.6f}" for place in (*origins, *goals))
        count = len(origins)
        wanted = {
            "sources": ";".join(map(str, range(count))),
            "destinations": ";".join(map(str, range(count, count + len(goals)))),
        }
        told = (await self._get(f"{self._url}/table/v1/driving/{points}", wanted | more)).json()
        if told["code"] != "Ok":
            raise ValueError(told["code"])
        return told


def grid(told: Sequence[Sequence[float | None]]) -> Grid:
    return np.array([[np.nan if each is None else each for each in row] for row in told], float)


def snapped(waypoints: Sequence[Any]) -> None:
    """Raises ValueError where a place is so far from any street that the router's answer is about another."""
    far = max((waypoint["distance"] for waypoint in waypoints), default=0.0)
    if far > FARTHEST_M:
        raise ValueError(f"a place is {far:.0f} m from the nearest street")


def as_the_crow_flies(rider: KnownRider, goal: Location) -> Travel:
    assert rider.place is not None, "only who has a place is asked for"
    return Travel(distance_m(rider.place, goal) * DETOUR / SPEED_MPS, "great_circle")


def way_of(route: Any) -> Way:
    """Raises ValueError where geometry and annotations do not fit each other."""
    legs = route["legs"]
    lon, lat = np.array(route["geometry"]["coordinates"], float).T
    durations = [seconds for leg in legs for seconds in leg["annotation"]["duration"]]
    distances = [metres for leg in legs for metres in leg["annotation"]["distance"]]
    if len(durations) + 1 != len(lat):
        raise ValueError(f"{len(lat)} points and {len(durations)} segments")
    scale = [leg["duration"] / max(1e-9, sum(leg["annotation"]["duration"])) for leg in legs for _ in segments(leg)]
    return Way(
        lat=lat,
        lon=lon,
        seconds=np.concatenate([[0.0], np.cumsum(np.array(durations) * scale)]),
        metres=np.concatenate([[0.0], np.cumsum(distances)]),
        stops=np.cumsum([len(segments(leg)) for leg in legs]).tolist(),
        source="osrm",
    )


def segments(leg: Any) -> list[float]:
    """Turns cost time that no segment has: the leg's own duration is shared out over them."""
    found: list[float] = leg["annotation"]["duration"]
    return found


def straight(places: Sequence[Location]) -> Way:
    metres = [distance_m(a, b) * DETOUR for a, b in pairwise(places)]
    driven = np.concatenate([[0.0], np.cumsum(metres)])
    return Way(
        lat=np.array([place.lat for place in places]),
        lon=np.array([place.lon for place in places]),
        seconds=driven / SPEED_MPS,
        metres=driven,
        stops=list(range(1, len(places))),
        source="great_circle",
    )
