"""OSRM's answers, which Mapbox' are shaped like: tables, ways and matches, asked for by places in the path."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from schemas.geo import Location
from schemas.provider_config import Profile
from streams.routing import matching
from streams.routing.osrm import FARTHEST_M, NO_HINTS, farthest_m, grids_of, way_of
from streams.routing.provider import Provider
from streams.routing.routers import RouterSaysNo
from streams.routing.tiling import OFF_THE_MAP, Grids, Limits, TableSize
from streams.routing.wire import Answer, Wire, WrongAnswer
from streams.telemetry.eta import Way
from streams.telemetry.recorded import Point

NO_WAY = frozenset({"NoRoute", "NoSegment", "NoTable", "NoMatch", "TooBig"})
"""Answers, and no faults: http://project-osrm.org/docs/v5.24.0/api/#responses."""
OSRM_PROFILES: dict[Profile, str] = {"car": "driving", "bicycle": "cycling", "foot": "walking"}


def ok(answer: Answer) -> Any:
    """Raises RouterSaysNo, WrongAnswer and what `json` does."""
    told = answer.json()
    code = told["code"] if "code" in told or answer.status == 200 else f"status {answer.status}"
    if code in NO_WAY:
        raise RouterSaysNo(code)
    if code != "Ok":
        raise WrongAnswer("a code that tells of a fault in the question")
    return told


def in_path(places: Sequence[Location]) -> str:
    return "/" + ";".join(f"{place.lon:.6f},{place.lat:.6f}" for place in places)


def who_is_what(origins: int, goals: int) -> dict[str, str]:
    return {
        "sources": ";".join(map(str, range(origins))),
        "destinations": ";".join(map(str, range(origins, origins + goals))),
        "annotations": "duration,distance",
    }


def asked_of_trace(trace: Sequence[Point]) -> dict[str, str]:
    return {
        "timestamps": ";".join(str(round(point.observed_at.timestamp())) for point in trace),
        "radiuses": ";".join(f"{matching.known_m(point):.0f}" for point in trace),
        "overview": "full",
        "geometries": "geojson",
        "tidy": "true",
    }


def matched(answer: Answer, trace: Sequence[Point]) -> matching.Answer:
    """Fixes that are on no street are an answer."""
    try:
        return matching.answer_of(ok(answer), trace)
    except RouterSaysNo as no:
        if no.code not in matching.NOT_THERE:
            raise
        return matching.Answer([], no.code)


WAY = {"overview": "full", "geometries": "geojson", "annotations": "duration,distance", "steps": "false"}


class Osrm(Provider):
    """One server, with the profile that it was prepared by: the name of one in the path is of no matter to it."""

    name = "osrm"
    most_places = 100

    def __init__(self, wire: Wire, url: str, at: str, profile: Profile = "car") -> None:
        super().__init__(wire, at)
        self._url, self._profile = url.rstrip("/"), OSRM_PROFILES[profile]
        self._table_size = TableSize()

    @property
    def limits(self) -> Limits:
        return self._table_size.limits

    async def matrix(
        self, origins: Sequence[Location], goals: Sequence[Location], departing: datetime | None = None
    ) -> Grids:
        return await self._table_size.fitted(lambda: super(Osrm, self).matrix(origins, goals, departing))

    async def tile(self, origins: Sequence[Location], goals: Sequence[Location], departing: datetime | None) -> Grids:
        asked = who_is_what(len(origins), len(goals)) | NO_HINTS
        told = ok(await self._asked("table", [*origins, *goals], asked))
        return grids_of(told, len(origins), len(goals))

    async def route(self, places: Sequence[Location]) -> Way:
        told = ok(await self._asked("route", places, WAY))
        if farthest_m(told["waypoints"]) > FARTHEST_M:
            raise RouterSaysNo(OFF_THE_MAP)
        return way_of(told["routes"][0])

    async def match(self, trace: Sequence[Point]) -> matching.Answer:
        places = [Location(lat=point.lat, lon=point.lon) for point in trace]
        return matched(await self._asked("match", places, asked_of_trace(trace)), trace)

    async def _asked(self, service: str, places: Sequence[Location], wanted: dict[str, str]) -> Answer:
        url = f"{self._url}/{service}/v1/{self._profile}"
        return await self.wire.get(url, wanted, places=in_path(places))
