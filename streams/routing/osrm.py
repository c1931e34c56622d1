"""Travel times from OSRM servers; where all are silent, from the great circle, and that is said."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import structlog

from schemas.geo import Location
from schemas.signals import RoutingSource
from streams.routing.great_circle import straight, straight_matrix
from streams.routing.measured import Grid, Measured
from streams.routing.routers import TIMEOUT_S, RouterFailed, Routers, RouterSaysNo
from streams.routing.tiling import OFF_THE_MAP, Grids, TableSize, tiled
from streams.telemetry.eta import Way

FARTHEST_M = 2_000.0
"""From a street; what is farther is outside the router's map."""
BESIDE = 10.0
"""Metres or seconds less than none that are taken for none: of places on one stretch of street OSRM (osrm-bindings
26.10) told -0.6 m once in 50,000 pairs of central Helsinki."""
TURNS_BY_DEG = 60
"""A street in a direction that differs by more is not the one that is driven on."""

NO_HINTS = {"generate_hints": "false"}
"""Nobody asks again by them, and they are more than half of a long table's answer."""

type Heading = tuple[Location, float | None]
"""A place, and whither one heads there: degrees clockwise from north, None where that is not known."""

logger = structlog.get_logger()


class Table(msgspec.Struct, frozen=True):
    """Of each origin (rows) to each goal (columns) seconds and metres of driving, not a number where there is no way.
    Besides, how far each origin lies from a street."""

    seconds: Grid
    metres: Grid
    off_street_m: Grid


class OsrmRouter:
    """`urls` are one or several, separated by commas."""

    def __init__(self, urls: str, timeout_s: float = TIMEOUT_S) -> None:
        self._routers = Routers(urls, timeout_s)
        self._table_size = TableSize()

    async def close(self) -> None:
        await self._routers.aclose()

    async def matrix(self, origins: Sequence[Location], goals: Sequence[Location]) -> Measured:
        """Does not fail: the great circle stands in, and says so."""
        if not origins or not goals:
            return straight_matrix(origins, goals)
        try:
            return Measured(*await self._tiled(origins, goals), "osrm")
        except RouterFailed as failed:
            logger.warning("router failed, the great circle stands in", error=failed)
            return straight_matrix(origins, goals)

    async def way(self, places: Sequence[Location]) -> Way:
        """The route through all places. Does not fail: the great circle stands in, and says so."""
        try:
            return await self.route(places)
        except RouterFailed as failed:
            logger.warning("router failed, the great circle stands in", error=failed)
            return straight(places)

    async def route(self, places: Sequence[Location]) -> Way:
        """Raises RouterFailed, RouterSaysNo."""
        points = ";".join(f"{place.lon:.6f},{place.lat:.6f}" for place in places)
        wanted = {"overview": "full", "geometries": "geojson", "annotations": "duration,distance", "steps": "false"}
        far_m, way = await self._routers.told(
            f"/route/v1/driving/{points}",
            wanted,
            lambda told: (farthest_m(told["waypoints"]), way_of(told["routes"][0])),
        )
        near_enough(far_m)
        return way

    async def table(self, origins: Sequence[Heading], goals: Sequence[Location]) -> Table:
        """Whoever heads somewhere does not turn around. Raises RouterFailed."""
        headings = [f"{heading:.0f},{TURNS_BY_DEG}" if heading is not None else "" for _, heading in origins]
        bearings = ";".join([*headings, *("" for _ in goals)])
        more = {"annotations": "duration,distance", "bearings": bearings}
        return await self._table([place for place, _ in origins], goals, more, table_of)

    async def _tiled(self, origins: Sequence[Location], goals: Sequence[Location]) -> Grids:
        """Raises RouterFailed."""
        more = {"annotations": "duration,distance"} | NO_HINTS

        async def tile(rows: Sequence[Location], columns: Sequence[Location]) -> Grids:
            return await self._table(rows, columns, more, lambda told: grids_of(told, len(rows), len(columns)))

        size = self._table_size
        return await size.fitted(lambda: tiled(origins, goals, size.limits, tile))

    async def _table[T](
        self,
        origins: Sequence[Location],
        goals: Sequence[Location],
        more: Mapping[str, str],
        read: Callable[[Any], T],
    ) -> T:
        """Raises RouterFailed."""
        points = ";".join(f"{place.lon:.6f},{place.lat:.6f}" for place in (*origins, *goals))
        count = len(origins)
        wanted = {
            "sources": ";".join(map(str, range(count))),
            "destinations": ";".join(map(str, range(count, count + len(goals)))),
        }
        return await self._routers.told(f"/table/v1/driving/{points}", {**wanted, **more}, read)


def table_of(told: Any) -> Table:
    return Table(
        grid(told["durations"]),
        grid(told["distances"]),
        np.array([source["distance"] for source in told["sources"]], float),
    )


def grids_of(told: Any, rows: int, columns: int) -> Grids:
    """Who is too far from a street has no way. Raises RouterSaysNo where that are all there are on one side, ValueError
    or the like where it is no table of that size."""
    far = np.array([source["distance"] > FARTHEST_M for source in told["sources"]], bool)
    far_goals = np.array([goal["distance"] > FARTHEST_M for goal in told["destinations"]], bool)
    if (len(far), len(far_goals)) != (rows, columns):
        raise ValueError(f"{len(far)} by {len(far_goals)} places of {rows} by {columns}")
    if far.all() or far_goals.all():
        raise RouterSaysNo(OFF_THE_MAP)
    seconds, metres = (sized(told[word], rows, columns) for word in ("durations", "distances"))
    for each in (seconds, metres):
        each[far, :] = each[:, far_goals] = np.nan
    return seconds, metres


def sized(told: Sequence[Sequence[float | None]], rows: int, columns: int) -> Grid:
    """Raises ValueError or the like where it has another shape, or what is no length or time."""
    found = grid(told)
    if found.shape != (rows, columns):
        raise ValueError(f"a table of {found.shape} for {rows} by {columns}")
    if np.isinf(found).any() or (found < -BESIDE).any():
        raise ValueError("a table with numbers that are none")
    return np.maximum(found, 0.0)


def grid(told: Sequence[Sequence[float | None]]) -> Grid:
    """Not a number where nothing is told."""
    return np.array(told, float)


def farthest_m(waypoints: Sequence[Any]) -> float:
    return max((float(waypoint["distance"]) for waypoint in waypoints), default=0.0)


def near_enough(far_m: float) -> None:
    """Raises RouterSaysNo where a place is so far from any street that the router's answer is about another."""
    if far_m > FARTHEST_M:
        raise RouterSaysNo(f"a place is {far_m:.0f} m from the nearest street")


def way_of(route: Any, source: RoutingSource = "osrm") -> Way:
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
        source=source,
    )


def segments(leg: Any) -> list[float]:
    """Turns cost time that no segment has: the leg's own duration is shared out over them."""
    found: list[float] = leg["annotation"]["duration"]
    return found
