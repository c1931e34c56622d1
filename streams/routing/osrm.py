"""Travel times from an OSRM server; where it is silent, from the great circle, and that is said."""

from collections.abc import Sequence

import httpx
import structlog

from schemas.geo import Location, distance_m
from schemas.message import RiderId
from streams.dispatch.candidates import KnownRider, Travel

DETOUR = 1.4
"""Road metres for one of the great circle, in a city (Boscoe et al. 2012 found 1.42 in the United States)."""
SPEED_MPS = 6.0
"""Of a car in a city, stops at lights included."""
TIMEOUT_S = 3.0

logger = structlog.get_logger()


class OsrmRouter:
    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._client = httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False)

    async def close(self) -> None:
        await self._client.aclose()

    async def travel(self, riders: Sequence[KnownRider], goal: Location) -> dict[RiderId, Travel]:
        placed = [rider for rider in riders if rider.place is not None]
        if not placed:
            return {}
        try:
            seconds = await self._table([rider.place for rider in placed if rider.place], goal)
        except (httpx.HTTPError, ValueError, KeyError) as failed:
            logger.warning("router failed, the great circle stands in", error=repr(failed))
            return {rider.rider_id: as_the_crow_flies(rider, goal) for rider in placed}
        return {
            rider.rider_id: Travel(duration, "osrm")
            for rider, duration in zip(placed, seconds, strict=True)
            if duration is not None
        }

    async def _table(self, places: Sequence[Location], goal: Location) -> list[float | None]:
        points = ";".join(f"{place.lon:.6f},{place.lat:.6f}" for place in (*places, goal))
        sources = ";".join(map(str, range(len(places))))
        answer = await self._client.get(
            f"{self._url}/table/v1/driving/{points}",
            params={"sources": sources, "destinations": str(len(places))},
        )
        answer.raise_for_status()
        told = answer.json()
        if told["code"] != "Ok":
            raise ValueError(told["code"])
        return [row[0] for row in told["durations"]]


def as_the_crow_flies(rider: KnownRider, goal: Location) -> Travel:
    assert rider.place is not None, "only who has a place is asked for"
    return Travel(distance_m(rider.place, goal) * DETOUR / SPEED_MPS, "great_circle")
