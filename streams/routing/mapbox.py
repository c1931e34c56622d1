"""Mapbox: Matrix v1, Directions v5, Map Matching v5 and Geocoding v6 (https://docs.mapbox.com/api/)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from schemas.geo import Location
from schemas.provider_config import Profile
from streams.routing import matching
from streams.routing.osrm import sized, way_of
from streams.routing.osrm_shaped import WAY, asked_of_trace, in_path, matched, ok, who_is_what
from streams.routing.provider import Candidate, Provider
from streams.routing.tiling import Grids, Limits
from streams.routing.wire import Answer, Credentials, Wire, WrongAnswer
from streams.telemetry.eta import Way
from streams.telemetry.recorded import Point

AT = "https://api.mapbox.com"
PROFILES: dict[Profile, str] = {"car": "mapbox/driving", "bicycle": "mapbox/cycling", "foot": "mapbox/walking"}
MOST_IN_MATRIX = 25
"""Coordinates of one request."""
MOST_CANDIDATES = 5
LONGEST_QUERY = 256

SURE = {"exact": 0.98, "high": 0.9, "medium": 0.6, "low": 0.3}
"""Of its `match_code.confidence`, which counts what of the question stands in the answer."""
OF_FEATURE = {"address": 0.6, "street": 0.5}
"""Where it tells no confidence, as of what is no address. Of anything larger, a place that is no door:"""
AREA = 0.2
INTERPOLATED = 0.8
"""At most, where it was reckoned from the numbers beside."""


class Mapbox(Provider):
    """Its matrices are of no time in particular."""

    name = "mapbox"

    def __init__(self, wire: Wire, reference: str, at: str, profile: Profile = "car", url: str = AT) -> None:
        super().__init__(wire, at)
        self.credentials = Credentials("query", "access_token", reference)
        self._url, self._profile = url, PROFILES[profile]

    @property
    def limits(self) -> Limits:
        return Limits(places=MOST_IN_MATRIX)

    async def tile(self, origins: Sequence[Location], goals: Sequence[Location], departing: datetime | None) -> Grids:
        told = await self._told("directions-matrix/v1", [*origins, *goals], who_is_what(len(origins), len(goals)))
        seconds, metres = (sized(told[word], len(origins), len(goals)) for word in ("durations", "distances"))
        return seconds, metres

    async def route(self, places: Sequence[Location]) -> Way:
        told = await self._told("directions/v5", places, WAY)
        return way_of(told["routes"][0], "mapbox")

    async def match(self, trace: Sequence[Point]) -> matching.Answer:
        places = [Location(lat=point.lat, lon=point.lon) for point in trace]
        return matched(await self._asked("matching/v5", places, asked_of_trace(trace)), trace)

    async def geocode(self, text: str) -> list[Candidate]:
        wanted = {
            "q": text.replace(";", " ")[:LONGEST_QUERY],
            "limit": str(MOST_CANDIDATES),
            "autocomplete": "false",
        }
        answer = await self.wire.get(f"{self._url}/search/geocode/v6/forward", wanted, self.credentials)
        told = answer.json()
        if answer.status != 200 or told["type"] != "FeatureCollection":
            raise WrongAnswer(f"status {answer.status}, and no features")
        found = [candidate_of(feature) for feature in told["features"]]
        return sorted(found, key=lambda each: -each.confidence)

    async def _told(self, service: str, places: Sequence[Location], wanted: dict[str, str]) -> Any:
        return ok(await self._asked(service, places, wanted))

    async def _asked(self, service: str, places: Sequence[Location], wanted: dict[str, str]) -> Answer:
        return await self.wire.get(f"{self._url}/{service}/{self._profile}", wanted, self.credentials, in_path(places))


def candidate_of(feature: Any) -> Candidate:
    properties = feature["properties"]
    at = properties["coordinates"]
    sure = SURE.get(properties.get("match_code", {}).get("confidence", ""))
    if sure is None:
        sure = OF_FEATURE.get(properties["feature_type"], AREA)
    if at.get("accuracy") == "interpolated":
        sure = min(sure, INTERPOLATED)
    place = Location(lat=float(at["latitude"]), lon=float(at["longitude"]))
    return Candidate(place, str(properties.get("full_address") or properties["name"]), sure)
