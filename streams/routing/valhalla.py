"""Valhalla: `sources_to_targets`, `route` and `trace_attributes` (https://valhalla.github.io/valhalla/api/)."""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from schemas.geo import Location, distance_m
from schemas.provider_config import Profile
from streams.routing import matching
from streams.routing.legs import Leg, Stretch, way_through
from streams.routing.osrm import sized
from streams.routing.polyline import decoded
from streams.routing.provider import Provider
from streams.routing.routers import RouterSaysNo
from streams.routing.tiling import Grids, Limits
from streams.routing.wire import Answer, Wire, WrongAnswer
from streams.telemetry.eta import Way
from streams.telemetry.recorded import Point

COSTINGS: dict[Profile, str] = {"car": "auto", "bicycle": "bicycle", "foot": "pedestrian"}
MOST_PAIRS = 2_500
"""`service_limits.auto.max_matrix_location_pairs` as a server has it that nobody has set otherwise."""
DIGITS = 6
"""Of its lines."""
NO_WAY = frozenset({154, 170, 171, 442, 443, 444})
"""Too far, unconnected, no street near, no path, and no streets under a trace: answers, and no faults."""
OFF_THE_STREETS = frozenset({171, 443, 444})
FITS_WITHIN = 2
"""Times what a fix knows of its place: so far off it may lie from the street that it is matched to."""
SHOWN = [
    "shape",
    "matched.point",
    "matched.type",
    "matched.edge_index",
    "matched.begin_route_discontinuity",
    "matched.end_route_discontinuity",
    "matched.distance_from_trace_point",
    "edge.begin_shape_index",
    "edge.end_shape_index",
]

type Trip = Sequence[tuple[Point, Any]]
"""Fixes, and what each was matched to."""


class Valhalla(Provider):
    """Its departures are in the local time of the place, which nobody here knows: its times are of none in
    particular."""

    name = "valhalla"
    most_places = 20

    def __init__(self, wire: Wire, url: str, at: str, profile: Profile = "car") -> None:
        super().__init__(wire, at)
        self._url, self._costing = url.rstrip("/"), COSTINGS[profile]

    @property
    def limits(self) -> Limits:
        return Limits(pairs=MOST_PAIRS)

    async def tile(self, origins: Sequence[Location], goals: Sequence[Location], departing: datetime | None) -> Grids:
        told = await self._told("sources_to_targets", {"sources": lat_lon(origins), "targets": lat_lon(goals)})
        in_kilometres(told)
        rows = told["sources_to_targets"]
        seconds = sized([[pair["time"] for pair in row] for row in rows], len(origins), len(goals))
        kilometres = sized([[pair["distance"] for pair in row] for row in rows], len(origins), len(goals))
        return seconds, kilometres * 1_000

    async def route(self, places: Sequence[Location]) -> Way:
        stops = [each | {"type": "break"} for each in lat_lon(places)]
        trip = (await self._told("route", {"locations": stops, "directions_type": "maneuvers"}))["trip"]
        in_kilometres(trip)
        return way_through([leg_of(leg) for leg in trip["legs"]], "valhalla")

    async def match(self, trace: Sequence[Point]) -> matching.Answer:
        shape = [{"lat": point.lat, "lon": point.lon, "time": round(point.observed_at.timestamp())} for point in trace]
        accuracy_m = max(matching.known_m(point) for point in trace)
        wanted = {
            "shape": shape,
            "shape_match": "map_snap",
            "trace_options": {"gps_accuracy": accuracy_m, "search_radius": min(100.0, 2 * accuracy_m)},
            "filters": {"attributes": SHOWN, "action": "include"},
        }
        try:
            told = await self._told("trace_attributes", wanted)
        except RouterSaysNo as no:
            if no.code not in {str(code) for code in OFF_THE_STREETS}:
                raise
            return matching.Answer([], "NoSegment")
        return matched_of(told, trace)

    async def _told(self, service: str, wanted: dict[str, Any]) -> Any:
        body = wanted | {"costing": self._costing, "units": "kilometers"}
        return ok(await self.wire.post(f"{self._url}/{service}", body))


def ok(answer: Answer) -> Any:
    """Raises RouterSaysNo, WrongAnswer and what `json` does."""
    told = answer.json()
    if answer.status == 200:
        return told
    code = int(told["error_code"])
    if code in NO_WAY:
        raise RouterSaysNo(str(code))
    raise WrongAnswer(f"error {code}")


def lat_lon(places: Sequence[Location]) -> list[dict[str, Any]]:
    return [{"lat": round(place.lat, 6), "lon": round(place.lon, 6)} for place in places]


def in_kilometres(told: Any) -> None:
    if told["units"] != "kilometers":
        raise WrongAnswer("lengths in another unit than was asked for")


def leg_of(leg: Any) -> Leg:
    points = decoded(leg["shape"], DIGITS)
    stretches = [
        Stretch(points[turn["begin_shape_index"] : turn["end_shape_index"] + 1], turn["time"], turn["length"] * 1_000)
        for turn in leg["maneuvers"]
        if turn["end_shape_index"] > turn["begin_shape_index"]
    ]
    if stretches and stretches[-1].points[-1:] != points[-1:]:
        raise WrongAnswer("manoeuvres that end elsewhere than their leg")
    summary = leg["summary"]
    return Leg(stretches or [Stretch(points, 0.0, 0.0)], summary["time"], summary["length"] * 1_000)


def matched_of(told: Any, trace: Sequence[Point]) -> matching.Answer:
    """`confidence` is the share of the fixes that lie as near to their street as they may: its own score compares what
    it found with what else it found."""
    line = decoded(told["shape"], DIGITS)
    trips = unbroken(list(zip(trace, told["matched_points"], strict=True)))
    return matching.Answer([part_of(trip, told["edges"], line) for trip in trips])


def unbroken(trip: Trip) -> list[Trip]:
    """Where it knows no way from one fix to the next another begins."""
    found: list[list[tuple[Point, Any]]] = [[]]
    for point, met in trip:
        if met.get("end_route_discontinuity"):
            found.append([])
        found[-1].append((point, met))
        if met.get("begin_route_discontinuity"):
            found.append([])
    return [each for each in found if len([met for _, met in each if "edge_index" in met]) > 1]


def part_of(trip: Trip, edges: Sequence[Any], line: Sequence[tuple[float, float]]) -> matching.Part:
    on_streets = [(point, met) for point, met in trip if "edge_index" in met]
    first, last = (edges[on_streets[number][1]["edge_index"]] for number in (0, -1))
    along = line[first["begin_shape_index"] : last["end_shape_index"] + 1]
    places = [Location(lat=lat, lon=lon) for lat, lon in along]
    fits = [met["distance_from_trace_point"] <= FITS_WITHIN * matching.known_m(point) for point, met in on_streets]
    return matching.Part(
        since=on_streets[0][0].observed_at,
        until=on_streets[-1][0].observed_at,
        metres=round(sum(distance_m(a, b) for a, b in pairwise(places)), 1),
        confidence=round(sum(fits) / len(trip), 3),
        line=[(lon, lat) for lat, lon in along],
    )
