"""Google: computeRouteMatrix and computeRoutes of the Routes API v2, and the Geocoding API.

https://developers.google.com/maps/documentation/routes, https://developers.google.com/maps/documentation/geocoding.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from schemas.geo import Location
from schemas.provider_config import Profile
from streams.routing.legs import Leg, Stretch, way_through
from streams.routing.osrm import sized
from streams.routing.polyline import decoded
from streams.routing.provider import Candidate, Provider
from streams.routing.routers import RouterSaysNo
from streams.routing.tiling import Grids, Limits
from streams.routing.wire import Answer, Credentials, NotAdmitted, QuotaUsedUp, Wire, WrongAnswer, retry_after_s
from streams.telemetry.eta import Way

ROUTES_AT, MAPS_AT = "https://routes.googleapis.com", "https://maps.googleapis.com"
MODES: dict[Profile, str] = {"car": "DRIVE", "bicycle": "BICYCLE", "foot": "WALK"}
MOST_ELEMENTS = 625
"""Of one matrix of places that are told by degrees."""
MOST_BETWEEN = 25
"""Places between the first and the last of a way."""
DIGITS = 5
"""Of its lines."""
OF_MATRIX = "originIndex,destinationIndex,status,condition,distanceMeters,duration"
"""Without `status` every element looks well."""
OF_WAY = (
    "routes.legs.distanceMeters,routes.legs.duration,routes.legs.steps.distanceMeters,"
    "routes.legs.steps.staticDuration,routes.legs.steps.polyline.encodedPolyline"
)
MAY_STAND = {"routes", "fallbackInfo", "geocodingResults"}
"""In an answer to computeRoutes: what is empty is left out, and without a route nothing may be left."""
NOT_FOUND = 5
"""google.rpc.Code, of an element: a place that no street is near to."""
MOST_CANDIDATES = 5

SURE = {"ROOFTOP": 0.97, "RANGE_INTERPOLATED": 0.8, "GEOMETRIC_CENTER": 0.5, "APPROXIMATE": 0.2}
"""Of `location_type`: a door, one between two whose numbers are known, a street or the like, and an area."""
IN_PART = 0.6
"""Times so much where not all of the address was found."""


class Google(Provider):
    """Its terms do not let its answers be kept. It heeds a departure, in the traffic that is foretold for it."""

    name = "google"
    keeps = False
    most_places = MOST_BETWEEN + 2

    def __init__(
        self,
        wire: Wire,
        reference: str,
        at: str,
        profile: Profile = "car",
        urls: tuple[str, str] = (ROUTES_AT, MAPS_AT),
    ) -> None:
        super().__init__(wire, at)
        self.credentials = Credentials("header", "X-Goog-Api-Key", reference)
        self._in_query = Credentials("query", "key", reference)
        self._mode, (self._routes_at, self._maps_at) = MODES[profile], urls

    @property
    def limits(self) -> Limits:
        return Limits(pairs=MOST_ELEMENTS)

    def heeds(self, departing: datetime | None) -> datetime | None:
        """What has passed it refuses."""
        ahead = departing is not None and self._mode == "DRIVE" and departing > datetime.now(UTC)
        return departing if ahead else None

    async def tile(self, origins: Sequence[Location], goals: Sequence[Location], departing: datetime | None) -> Grids:
        body = {
            "origins": [{"waypoint": waypoint(place)} for place in origins],
            "destinations": [{"waypoint": waypoint(place)} for place in goals],
            **self._how(self.heeds(departing)),
        }
        told = await self._posted("distanceMatrix/v2:computeRouteMatrix", body, OF_MATRIX)
        return grids_of(told, len(origins), len(goals))

    async def route(self, places: Sequence[Location]) -> Way:
        body = {
            "origin": waypoint(places[0]),
            "destination": waypoint(places[-1]),
            "intermediates": [waypoint(place) for place in places[1:-1]],
            "polylineQuality": "HIGH_QUALITY",
            "polylineEncoding": "ENCODED_POLYLINE",
            **self._how(None),
        }
        told = await self._posted("directions/v2:computeRoutes", body, OF_WAY)
        if told.keys() - MAY_STAND:
            raise WrongAnswer("an answer to another question")
        if not told.get("routes"):
            raise RouterSaysNo("NoRoute")
        legs = told["routes"][0]["legs"]
        if len(legs) != len(places) - 1:
            raise WrongAnswer(f"{len(legs)} legs between {len(places)} places")
        return way_through([leg_of(leg) for leg in legs], "google")

    async def geocode(self, text: str) -> list[Candidate]:
        answer = await self.wire.get(f"{self._maps_at}/maps/api/geocode/json", {"address": text}, self._in_query)
        found = [candidate_of(result) for result in results_of(answer)[:MOST_CANDIDATES]]
        return sorted(found, key=lambda each: -each.confidence)

    def _how(self, departing: datetime | None) -> dict[str, str]:
        """Only who drives may say how traffic counts."""
        if self._mode != "DRIVE":
            return {"travelMode": self._mode}
        if departing is None:
            return {"travelMode": self._mode, "routingPreference": "TRAFFIC_UNAWARE"}
        at = departing.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"travelMode": self._mode, "routingPreference": "TRAFFIC_AWARE", "departureTime": at}

    async def _posted(self, service: str, body: dict[str, Any], mask: str) -> Any:
        answer = await self.wire.post(
            f"{self._routes_at}/{service}", body, self.credentials, {"X-Goog-FieldMask": mask}
        )
        told = answer.json()
        if answer.status != 200:
            raise WrongAnswer(f"status {answer.status}")
        return told


def waypoint(place: Location) -> dict[str, Any]:
    return {"location": {"latLng": {"latitude": round(place.lat, 6), "longitude": round(place.lon, 6)}}}


def grids_of(told: Sequence[Any], rows: int, columns: int) -> Grids:
    """Elements come in any order; each pair has one. What is nothing is left out of an element."""
    seconds: list[list[float | None]] = [[None] * columns for _ in range(rows)]
    metres: list[list[float | None]] = [[None] * columns for _ in range(rows)]
    told_of = set[tuple[int, int]]()
    for element in told:
        if "error" in element:
            raise WrongAnswer("an error in the middle of the answer")
        pair = element.get("originIndex", 0), element.get("destinationIndex", 0)
        if pair in told_of or not (0 <= pair[0] < rows and 0 <= pair[1] < columns):
            raise WrongAnswer("elements of other pairs than were asked for")
        told_of.add(pair)
        if has_way(element):
            seconds[pair[0]][pair[1]] = seconds_in(element.get("duration", "0s"))
            metres[pair[0]][pair[1]] = float(element.get("distanceMeters", 0))
    if len(told_of) != rows * columns:
        raise WrongAnswer(f"{len(told_of)} elements of {rows * columns}")
    return sized(seconds, rows, columns), sized(metres, rows, columns)


def has_way(element: Any) -> bool:
    code = int(element.get("status", {}).get("code", 0))
    if code not in (0, NOT_FOUND):
        raise WrongAnswer(f"an element with status {code}")
    return bool(code == 0 and element["condition"] == "ROUTE_EXISTS")


def seconds_in(duration: str) -> float:
    """Such as `160s` or `3.5s`."""
    if not duration.endswith("s"):
        raise WrongAnswer("a duration without its unit")
    return float(duration[:-1])


def leg_of(leg: Any) -> Leg:
    stretches = [
        Stretch(
            decoded(step["polyline"]["encodedPolyline"], DIGITS),
            seconds_in(step.get("staticDuration", "0s")),
            float(step.get("distanceMeters", 0)),
        )
        for step in leg["steps"]
    ]
    return Leg(stretches, seconds_in(leg.get("duration", "0s")), float(leg.get("distanceMeters", 0)))


def results_of(answer: Answer) -> Sequence[Any]:
    """Whether it went well it says in the body."""
    told = answer.json()
    match told["status"]:
        case "OK":
            found: Sequence[Any] = told["results"]
            return found
        case "ZERO_RESULTS":
            return []
        case "OVER_QUERY_LIMIT" | "OVER_DAILY_LIMIT":
            raise QuotaUsedUp(retry_after_s(answer.headers))
        case "REQUEST_DENIED":
            raise NotAdmitted("request denied")
        case _:
            raise WrongAnswer("a status that tells of a fault")


def candidate_of(result: Any) -> Candidate:
    at = result["geometry"]["location"]
    sure = SURE[result["geometry"]["location_type"]] * (IN_PART if result.get("partial_match") else 1)
    place = Location(lat=float(at["lat"]), lon=float(at["lng"]))
    return Candidate(place, str(result["formatted_address"]), round(sure, 3))
