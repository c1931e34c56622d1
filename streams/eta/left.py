"""How far it is from where a vehicle was to some places: by the router, else by the great circle."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import structlog

from schemas.geo import Location
from streams.eta.journey import Floats, Left, Places, Track, headings, metres_between
from streams.routing.great_circle import DETOUR, SPEED_MPS
from streams.routing.osrm import Heading, Table
from streams.routing.routers import RouterFailed

OFF_MAP_M = 150.0
"""From a street; the router's way is another than what is driven there."""

logger = structlog.get_logger()


class Tables(Protocol):
    async def table(self, origins: Sequence[Heading], goals: Sequence[Location]) -> Table:
        """Raises RouterFailed."""
        ...


async def left_of(track: Track, fixes: Places, places: Sequence[Location], tables: Tables) -> Left:
    """Of these fixes (by number) to these places."""
    straight_m = great_circle_m(track, fixes, places)
    here = [Location(lat=float(track.lat[fix]), lon=float(track.lon[fix])) for fix in fixes]
    known = headings(track)
    ahead: list[Heading] = [(place, known[fix]) for place, fix in zip(here, fixes, strict=True)]
    try:
        table = await tables.table([*((place, None) for place in here), *ahead], places)
    except RouterFailed as failed:
        logger.warning("router failed, the great circle stands in", error=failed)
        none = np.zeros(straight_m.shape, bool)
        seconds = straight_m / SPEED_MPS
        return Left(seconds, straight_m, seconds, straight_m, np.zeros(len(fixes)), none, answered=False)
    count = len(fixes)
    off_street_m = table.off_street_m[:count]
    routed = ~np.isnan(table.seconds[:count]) & (off_street_m <= OFF_MAP_M)[:, None]
    s = np.where(routed, table.seconds[:count], straight_m / SPEED_MPS)
    m = np.where(routed, table.metres[:count], straight_m)
    also = routed & ~np.isnan(table.seconds[count:])
    ahead_s, ahead_m = np.where(also, table.seconds[count:], s), np.where(also, table.metres[count:], m)
    return Left(s, m, ahead_s, ahead_m, off_street_m, routed, answered=True)


def great_circle_m(track: Track, fixes: Places, places: Sequence[Location]) -> Floats:
    """With the detours of a city: shape (fixes, places)."""
    lat, lon = track.lat[fixes][:, None], track.lon[fixes][:, None]
    to_lat = np.array([place.lat for place in places])[None, :]
    to_lon = np.array([place.lon for place in places])[None, :]
    return np.hypot(*metres_between(lat, lon, to_lat, to_lon)) * DETOUR
