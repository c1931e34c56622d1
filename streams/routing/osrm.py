"""Travel times from OSRM servers; where all are silent, from the great circle, and that is said."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import structlog

from schemas.geo import Location, distance_m
from schemas.message import TenantSlug
from streams.dispatch.straight import DETOUR, SPEED_MPS, Grid, radians
from streams.dispatch.straight import metres as metres_between
from streams.dispatch.ways import Matrix
from streams.routing.routers import TIMEOUT_S, RouterFailed, Routers
from streams.telemetry.eta import Way

FARTHEST_M = 2_000.0
"""From a street; what is farther is outside the router's map."""
TURNS_BY_DEG = 60
"""A street in a direction that differs by more is not the one that is driven on."""

type Heading = tuple[Location, float | None]
"""A place, and whither one heads there: degrees clockwise from north, None where that is not known."""

logger = structlog.get_logger()


class Table(msgspec.Struct, frozen=True):
    """Of each origin (rows) to each goal (columns) seconds and metres of driving, not a number where there is no way.
    Besides, how far each origin and each goal lies from a street."""

    seconds: Grid
    metres: Grid
    off_street_m: Grid
    goal_off_street_m: Grid


class OsrmRouter:
    """`urls` are one or several, separated by commas."""

    def __init__(self, urls: str, timeout_s: float = TIMEOUT_S) -> None:
        self._routers = Routers(urls, timeout_s)

    async def close(self) -> None:
        await self._routers.aclose()

    async def matrix(self, tenant: TenantSlug, origins: Sequence[Location], goals: Sequence[Location]) -> Matrix:
        """Does not fail: the great circle stands in, and says so; for one place that is far from any street, too."""
        try:
            table = await self.table([(place, None) for place in origins], goals)
        except RouterFailed as failed:
            logger.warning("router failed, the great circle stands in", error=failed)
            return straight_matrix(origins, goals)
        far = np.logical_or.outer(table.off_street_m > FARTHEST_M, table.goal_off_street_m > FARTHEST_M)
        if not far.any():
            return Matrix(no_way(table.seconds), no_way(table.metres), "osrm")
        straight = straight_matrix(origins, goals)
        seconds, metres = (np.where(far, s, no_way(t)) for s, t in pairs(straight, table))
        return Matrix(seconds, metres, "great_circle" if far.all() else "osrm")

    async def way(self, places: Sequence[Location]) -> Way:
        """The route through all places. Does not fail: the great circle stands in, and says so."""
        points = ";".join(f"{place.lon:.6f},{place.lat:.6f}" for place in places)
        wanted = {"overview": "full", "geometries": "geojson", "annotations": "duration,distance", "steps": "false"}
        try:
            far_m, way = await self._routers.told(
                f"/route/v1/driving/{points}",
                wanted,
                lambda told: (farthest_m(told["waypoints"]), way_of(told["routes"][0])),
            )
            near_enough(far_m)
            return way
        except RouterFailed as failed:
            logger.warning("router failed, the great circle stands in", error=failed)
            return straight(places)

    async def table(self, origins: Sequence[Heading], goals: Sequence[Location]) -> Table:
        """Whoever heads somewhere does not turn around. Raises RouterFailed."""
        headings = [f"{heading:.0f},{TURNS_BY_DEG}" if heading is not None else "" for _, heading in origins]
        bearings = ";".join([*headings, *("" for _ in goals)])
        more = {"annotations": "duration,distance", "bearings": bearings}
        return await self._table([place for place, _ in origins], goals, more, table_of)

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
        np.array([goal["distance"] for goal in told["destinations"]], float),
    )


def grid(told: Sequence[Sequence[float | None]]) -> Grid:
    return np.array([[np.nan if each is None else each for each in row] for row in told], float)


def farthest_m(waypoints: Sequence[Any]) -> float:
    return max((float(waypoint["distance"]) for waypoint in waypoints), default=0.0)


def near_enough(far_m: float) -> None:
    """Raises RouterFailed where a place is so far from any street that the router's answer is about another."""
    if far_m > FARTHEST_M:
        raise RouterFailed(f"a place is {far_m:.0f} m from the nearest street")


def straight_matrix(origins: Sequence[Location], goals: Sequence[Location]) -> Matrix:
    metres = DETOUR * metres_between(radians(origins)[:, None, :], radians(goals)[None, :, :])
    return Matrix(metres / SPEED_MPS, metres, "great_circle")


def no_way(grid: Grid) -> Grid:
    return np.where(np.isnan(grid), np.inf, grid)


def pairs(matrix: Matrix, table: Table) -> list[tuple[Grid, Grid]]:
    return [(matrix.seconds, table.seconds), (matrix.metres, table.metres)]


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
