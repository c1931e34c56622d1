"""What providers demand of a request, and what they answer, in the shapes that their documentation records."""

import re
from typing import Any

from provider_server import Answers, Request, Said

from schemas.geo import Location
from streams.routing.wire import SecretMissing

SECRET = "pk.very-secret"
STATION = Location(lat=60.1713, lon=24.9440)
HARBOUR = Location(lat=60.1677, lon=24.9465)
MARKET = Location(lat=60.1675, lon=24.9530)
ISLAND = Location(lat=60.1454, lon=24.9881)
SECONDS = {(STATION, HARBOUR): 120.0, (MARKET, HARBOUR): 95.5}
METRES = {(STATION, HARBOUR): 830.0, (MARKET, HARBOUR): 512.0}


def secret_of(reference: str) -> str:
    if reference != "env:TOKEN":
        raise SecretMissing(reference, "is not set")
    return SECRET


def lon_lats(text: str) -> list[Location]:
    found = []
    for pair in text.split(";"):
        assert re.fullmatch(r"-?\d+\.\d{6},-?\d+\.\d{6}", pair), f"{pair} is no place"
        lon, lat = pair.split(",")
        found.append(Location(lat=float(lat), lon=float(lon)))
    return found


def known(told: dict[tuple[Location, Location], float], origin: Location, goal: Location) -> float | None:
    return 0.0 if origin == goal else told.get((origin, goal))


def table_like_osrm(request: Request, places: list[Location], *, waypoints: bool) -> Said:
    wanted = set(request.query.get("annotations", "duration").split(","))
    assert wanted <= {"duration", "distance"}
    sources = [places[int(each)] for each in request.query["sources"].split(";")]
    goals = [places[int(each)] for each in request.query["destinations"].split(";")]
    met = [{"hint": "", "distance": 4.1, "name": "", "location": [place.lon, place.lat]} for place in places]
    told: dict[str, Any] = {"code": "Ok"}
    for word, known_of in (("duration", SECONDS), ("distance", METRES)):
        if word in wanted:
            told[f"{word}s"] = [[known(known_of, origin, goal) for goal in goals] for origin in sources]
    if waypoints:
        told |= {"sources": met[: len(sources)], "destinations": met[len(sources) :]}
    return 200, told


def route_like_osrm(request: Request, places: list[Location]) -> Said:
    assert (request.query["overview"], request.query["geometries"]) == ("full", "geojson")
    assert set(request.query["annotations"].split(",")) == {"duration", "distance"}
    line = [[24.9440, 60.1713], [24.9450, 60.1695], [24.9465, 60.1677]]
    legs = [
        {
            "summary": "",
            "weight": 60,
            "duration": 120.0,
            "distance": 830.0,
            "steps": [],
            "annotation": {"duration": [50.0, 50.0], "distance": [400.0, 430.0]},
        }
    ]
    met = [{"hint": "", "distance": 4.1, "name": "", "location": [place.lon, place.lat]} for place in places]
    route = {
        "legs": legs,
        "weight_name": "routability",
        "weight": 60,
        "duration": 120.0,
        "distance": 830.0,
        "geometry": {"type": "LineString", "coordinates": line},
    }
    return 200, {"code": "Ok", "routes": [route], "waypoints": met}


def match_like_osrm(request: Request, places: list[Location]) -> Said:
    count = len(places)
    assert [len(request.query[word].split(";")) for word in ("timestamps", "radiuses")] == [count, count]
    assert all(0 <= float(each) <= 50 for each in request.query["radiuses"].split(";"))
    assert (request.query["geometries"], request.query["overview"]) == ("geojson", "full")
    matching = {
        "confidence": 0.94,
        "distance": 830.4,
        "duration": 120.0,
        "legs": [],
        "geometry": {"type": "LineString", "coordinates": [[24.9440, 60.1713], [24.9465, 60.1677]]},
    }
    points = [{"matchings_index": 0, "waypoint_index": n, "alternatives_count": 0} for n in range(count)]
    return 200, {"code": "Ok", "matchings": [matching], "tracepoints": points}


def osrm(request: Request) -> Said:
    """http://project-osrm.org/docs/v5.24.0/api/."""
    service, version, profile, places = request.path[1:].split("/")
    assert (request.method, version, profile) == ("GET", "v1", "driving")
    assert SECRET not in request.path + str(request.query)
    at = lon_lats(places)
    if ISLAND in at and service == "route":
        return 400, {"code": "NoRoute", "message": "Impossible route between points"}
    match service:
        case "table":
            return table_like_osrm(request, at, waypoints=True)
        case "route":
            return route_like_osrm(request, at)
        case _:
            assert service == "match"
            return match_like_osrm(request, at)


def mapbox(request: Request) -> Said:
    """https://docs.mapbox.com/api/navigation/ and /search/geocoding/."""
    assert request.method == "GET"
    if request.query.get("access_token") != SECRET:
        return 401, {"message": "Not Authorized - Invalid Token"}
    if request.path == "/search/geocode/v6/forward":
        return geocoded_by_mapbox(request)
    api, version, account, profile, places = request.path[1:].split("/")
    assert (account, profile) == ("mapbox", "driving")
    at = lon_lats(places)
    if ISLAND in at and api == "directions":
        return 200, {"code": "NoRoute", "message": "No route found", "routes": []}
    match api, version:
        case "directions-matrix", "v1":
            if len(at) > 25:
                return 422, {"message": "Too many coordinates; maximum is 25", "code": "InvalidInput"}
            return table_like_osrm(request, at, waypoints=False)
        case "directions", "v5":
            assert len(at) <= 25
            return route_like_osrm(request, at)
        case _:
            assert (api, version) == ("matching", "v5")
            assert len(at) <= 100
            return match_like_osrm(request, at)


def feature(name: str, kind: str, **more: Any) -> dict[str, Any]:
    at = {"longitude": 24.9465, "latitude": 60.1677, "accuracy": more.pop("accuracy", "rooftop")}
    properties = {"mapbox_id": "dX", "feature_type": kind, "name": name, "full_address": f"{name}, Helsinki, Finland"}
    return {
        "type": "Feature",
        "id": "dX",
        "geometry": {"type": "Point", "coordinates": [24.9465, 60.1677]},
        "properties": properties | {"coordinates": at, "context": {}} | more,
    }


def geocoded_by_mapbox(request: Request) -> Said:
    assert len(request.query["q"]) <= 256
    assert ";" not in request.query["q"]
    assert 1 <= int(request.query["limit"]) <= 10
    found = [
        feature("Satamakatu", "street", accuracy="street"),
        feature("Satamakatu 2", "address", match_code={"confidence": "exact", "street": "matched"}),
        feature("Satamakatu 4", "address", match_code={"confidence": "exact"}, accuracy="interpolated"),
        feature("Helsinki", "place"),
    ]
    if request.query["q"] == "nowhere":
        found = []
    return 200, {"type": "FeatureCollection", "features": found, "attribution": "NOTICE"}


def valhalla(request: Request) -> Said:
    """https://valhalla.github.io/valhalla/api/."""
    body = request.body
    assert (request.method, request.headers["content-type"]) == ("POST", "application/json")
    assert (body["costing"], body["units"]) == ("auto", "kilometers")
    match request.path:
        case "/sources_to_targets":
            return valhalla_matrix(body)
        case "/route":
            return valhalla_route(body)
        case _:
            assert request.path == "/trace_attributes"
            return valhalla_match(body)


def valhalla_matrix(body: Any) -> Said:
    sources, targets = ([Location(**each) for each in body[word]] for word in ("sources", "targets"))
    if len(sources) * len(targets) > 2_500:
        return 400, {"error_code": 150, "error": "Exceeded max locations", "status_code": 400, "status": "Bad Request"}
    rows = [
        [
            {
                "distance": None if (m := known(METRES, origin, goal)) is None else m / 1_000,
                "time": known(SECONDS, origin, goal),
                "from_index": number,
                "to_index": column,
            }
            for column, goal in enumerate(targets)
        ]
        for number, origin in enumerate(sources)
    ]
    return 200, {"sources_to_targets": rows, "units": "kilometers", "algorithm": "costmatrix"}


def valhalla_route(body: Any) -> Said:
    assert all(each["type"] == "break" for each in body["locations"])
    assert len(body["locations"]) <= 20
    if body["locations"][-1]["lat"] == ISLAND.lat:
        return 400, {
            "error_code": 442,
            "error": "No path could be found for input",
            "status_code": 400,
            "status": "Bad Request",
        }
    turns = [
        {"type": 1, "time": 100.0, "length": 0.4, "begin_shape_index": 0, "end_shape_index": 1},
        {"type": 15, "time": 20.0, "length": 0.43, "begin_shape_index": 1, "end_shape_index": 2},
        {"type": 4, "time": 0.0, "length": 0.0, "begin_shape_index": 2, "end_shape_index": 2},
    ]
    leg = {"maneuvers": turns, "summary": {"time": 120.0, "length": 0.83}, "shape": encoded(LINE, 6)}
    trip = {"locations": body["locations"], "legs": [leg] * (len(body["locations"]) - 1), "units": "kilometers"}
    return 200, {"trip": trip | {"status": 0, "status_message": "Found route between points", "language": "en-US"}}


LINE = [(60.1713, 24.9440), (60.1695, 24.9450), (60.1677, 24.9465)]


def valhalla_match(body: Any) -> Said:
    assert body["shape_match"] == "map_snap"
    assert all({"lat", "lon", "time"} == set(each) for each in body["shape"])
    assert body["trace_options"]["search_radius"] <= 100
    assert body["filters"]["action"] == "include"
    if body["shape"][0]["lat"] == ISLAND.lat:
        return 400, {"error_code": 444, "error": "Map Match algorithm failed to find path", "status_code": 400}
    points: list[dict[str, Any]] = [
        {
            "lat": each["lat"],
            "lon": each["lon"],
            "type": "matched",
            "edge_index": min(number, 1),
            "distance_from_trace_point": 3.2,
        }
        for number, each in enumerate(body["shape"])
    ]
    points[-1]["distance_from_trace_point"] = 90.0
    edges = [{"begin_shape_index": 0, "end_shape_index": 1}, {"begin_shape_index": 1, "end_shape_index": 2}]
    return 200, {"edges": edges, "matched_points": points, "shape": encoded(LINE, 6), "units": "kilometers"}


def google(request: Request) -> Said:
    """https://developers.google.com/maps/documentation/routes/reference/rest/v2/TopLevel and /geocoding/."""
    if request.path == "/maps/api/geocode/json":
        return geocoded_by_google(request)
    assert (request.method, request.headers["content-type"]) == ("POST", "application/json")
    if request.headers.get("x-goog-api-key") != SECRET:
        return 403, {"error": {"code": 403, "message": "denied", "status": "PERMISSION_DENIED"}}
    assert request.headers["x-goog-fieldmask"], "without a mask the service refuses"
    assert "*" not in request.headers["x-goog-fieldmask"]
    body = request.body
    assert body["travelMode"] == "DRIVE"
    assert ("departureTime" in body) == (body["routingPreference"] == "TRAFFIC_AWARE")
    if request.path == "/distanceMatrix/v2:computeRouteMatrix":
        return google_matrix(request)
    assert request.path == "/directions/v2:computeRoutes"
    return google_route(request)


def at_waypoint(waypoint: Any) -> Location:
    degrees = waypoint["location"]["latLng"]
    return Location(lat=degrees["latitude"], lon=degrees["longitude"])


def google_matrix(request: Request) -> Said:
    assert "status" in request.headers["x-goog-fieldmask"], "else every element looks well"
    origins, goals = (
        [at_waypoint(each["waypoint"]) for each in request.body[word]] for word in ("origins", "destinations")
    )
    if len(origins) * len(goals) > 625:
        return 400, [{"error": {"code": 400, "message": "too many elements", "status": "INVALID_ARGUMENT"}}]
    told: list[dict[str, Any]] = []
    for column, goal in enumerate(goals):
        for row, origin in enumerate(origins):
            seconds, metres = known(SECONDS, origin, goal), known(METRES, origin, goal)
            element: dict[str, Any] = {"originIndex": row, "destinationIndex": column, "status": {}}
            if seconds is None:
                element |= {"condition": "ROUTE_NOT_FOUND"}
            else:
                element |= {"condition": "ROUTE_EXISTS", "duration": f"{seconds:g}s"}
                element |= {"distanceMeters": int(metres or 0)} if metres else {}
            told.append(element)
    return 200, told


def google_route(request: Request) -> Said:
    body = request.body
    assert len(body["intermediates"]) <= 25
    if at_waypoint(body["destination"]) == ISLAND:
        return 200, {}
    steps = [
        {"distanceMeters": 400, "staticDuration": "90s", "polyline": {"encodedPolyline": encoded(LINE[:2], 5)}},
        {"distanceMeters": 430, "staticDuration": "10s", "polyline": {"encodedPolyline": encoded(LINE[1:], 5)}},
    ]
    legs = [{"distanceMeters": 830, "duration": "120s", "steps": steps}] * (len(body["intermediates"]) + 1)
    return 200, {"routes": [{"legs": legs}]}


def geocoded_by_google(request: Request) -> Said:
    assert request.method == "GET"
    if request.query.get("key") != SECRET:
        return 200, {"results": [], "status": "REQUEST_DENIED", "error_message": "The provided API key is invalid."}
    if request.query["address"] == "nowhere":
        return 200, {"results": [], "status": "ZERO_RESULTS"}
    results = [
        {
            "address_components": [],
            "formatted_address": f"Satamakatu {number}, 00160 Helsinki, Finland",
            "geometry": {"location": {"lat": 60.1677, "lng": 24.9465}, "location_type": kind, "viewport": {}},
            "place_id": "ChIJ",
            "types": ["street_address"],
            **more,
        }
        for number, kind, more in ((1, "ROOFTOP", {"partial_match": True}), (2, "ROOFTOP", {}), (3, "APPROXIMATE", {}))
    ]
    return 200, {"results": results, "status": "OK"}


def encoded(line: list[tuple[float, float]], digits: int) -> str:
    """By Google's description of its lines."""
    text, before = "", (0, 0)
    for place in line:
        at = round(place[0] * 10**digits), round(place[1] * 10**digits)
        for now, then in zip(at, before, strict=True):
            value = (now - then) << 1
            value = ~value if now < then else value
            while value >= 32:
                text += chr((32 | value & 31) + 63)
                value >>= 5
            text += chr(value + 63)
        before = at
    return text


ANSWERS: dict[str, Answers] = {"osrm": osrm, "valhalla": valhalla, "mapbox": mapbox, "google": google}
