"""A fence that cannot be is refused at its definition, with the place in the body and on earth."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from story import KAMPPI, nothing_yet

from commands.fence_shape import InvalidShape, check_shape
from schemas.directory import MAX_VERTICES, Circle, Corridor, CreateGeofence, MultiPolygon, Polygon, Shape
from schemas.geo import Location

CASES = Path(os.environ.get("LOGISTICS_SAMPLE_DATA", "nowhere")) / "geofence"
needs_cases = pytest.mark.skipif(not CASES.exists(), reason="LOGISTICS_SAMPLE_DATA names no folder with fences")

type Ring = list[tuple[float, float]]


def box(west: float, south: float, east: float, north: float) -> Ring:
    return [(west, south), (east, south), (east, north), (west, north), (west, south)]


SQUARE = box(24, 60, 25, 61)
STAR: Ring = [(0, 0), (2, 2), (2, 0), (0, 2), (0, 0)]


def refused(shape: Shape) -> InvalidShape:
    with pytest.raises(InvalidShape) as told:
        check_shape(shape)
    return told.value


def polygon(*rings: Ring) -> Polygon:
    return Polygon(rings=list(rings))


@pytest.mark.parametrize(
    ("shape", "problem", "pointer", "place"),
    [
        (polygon(SQUARE[:-1]), "not closed", "/shape/rings/0/3", None),
        (polygon([(0, 0), (1, 1), (0, 0), (0, 0)]), "three vertices", "/shape/rings/0", None),
        (polygon([(0, 0), (1, 1), (2, 2), (0, 0)]), "no area", "/shape/rings/0", None),
        (polygon([(0, 0), (0, 1), (1, float("nan")), (0, 0)]), "not a number", "/shape/rings/0/2", None),
        (polygon([(0, 0), (0, 1), (60, 91), (0, 0)]), "in degrees", "/shape/rings/0/2", None),
        (polygon(STAR), "vertices 0 and 2 meet", "/shape/rings/0/0", (1, 1)),
        (polygon([(179, 0), (-179, 2), (-179, 0), (179, 2), (179, 0)]), "0 and 2 meet", "/shape/rings/0/0", (-180, 1)),
        (polygon(SQUARE, STAR), "crosses or touches itself", "/shape/rings/1/0", (1, 1)),
        (polygon(SQUARE, box(24.5, 60.5, 25.5, 60.6)), "not within", "/shape/rings/1/1", (25.5, 60.5)),
        (polygon(SQUARE, box(30, 60, 31, 61)), "not within", "/shape/rings/1/0", (30, 60)),
        (polygon(SQUARE, box(24.1, 60.1, 24.5, 60.5), box(24.4, 60.4, 24.6, 60.6)), "hole 1 and hole 2 overlap", "/shape/rings/2", (24.45, 60.45)),
        (polygon(SQUARE, SQUARE), "leave nothing", "/shape/rings/0", None),
        (polygon([(0, 0), (170, 0), (-20, 0), (150, 1), (-40, 1), (130, 2), (-60, 2), (0, 2), (0, 0)]), "more than once", "/shape/rings/0", None),
        (MultiPolygon(polygons=[[SQUARE], [box(24.9, 60.9, 26, 62)]]), "polygon 0 and polygon 1 overlap", "/shape/polygons/1", (24.95, 60.95)),
        (MultiPolygon(polygons=[[SQUARE], [STAR]]), "crosses or touches itself", "/shape/polygons/1/0/0", (1, 1)),
        (Circle(center=Location(lat=float("nan"), lon=0), radius_m=1), "not a number", "/shape/center", None),
        (Circle(center=KAMPPI, radius_m=float("inf")), "not a number", "/shape/radius_m", None),
        (Corridor(line=[(0, 0), (0, 1), (0, float("inf"))], width_m=1), "not a number", "/shape/line/2", None),
        (Corridor(line=[(0, 0), (0, 1), (0, 11)], width_m=1), "more than 1,000 km", "/shape/line/1", None),
        (polygon([(0, 0), *[(1, 1)] * MAX_VERTICES, (0, 0)]), f"at most {MAX_VERTICES}", "/shape", None),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_and_pointed_at(
    shape: Shape, problem: str, pointer: str, place: tuple[float, float] | None
):
    told = refused(shape)
    assert problem in told.problem
    assert told.pointer == pointer
    found = None if told.longitude is None or told.latitude is None else (told.longitude, told.latitude)
    assert found == (place if place is None else pytest.approx(place))


@pytest.mark.parametrize(
    "shape",
    [
        polygon(SQUARE),
        polygon(SQUARE[::-1]),
        polygon(SQUARE, box(24.1, 60.1, 24.2, 60.2)),
        polygon(SQUARE, box(24.1, 60.1, 24.2, 60.2)[::-1], box(24.3, 60.3, 24.4, 60.4)),
        polygon(SQUARE, box(24.1, 60.1, 24.2, 60.2), box(24.2, 60.2, 24.4, 60.4)),
        polygon(box(170, -10, -170, 10), box(179, -1, -179, 1)),
        polygon([(0, 80), (120, 80), (-120, 80), (0, 80)], [(0, 85), (-120, 85), (120, 85), (0, 85)]),
        MultiPolygon(polygons=[[SQUARE], [box(25, 60, 26, 61)]]),
        MultiPolygon(polygons=[[SQUARE, box(24.2, 60.2, 24.8, 60.8)], [box(24.4, 60.4, 24.6, 60.6)]]),
        Circle(center=Location(lat=90, lon=0), radius_m=1_000),
        Corridor(line=[(179.9, 0), (-179.9, 0), (-179.9, 0)], width_m=50),
    ],
)
def test_what_can_be_is_taken_either_way_around(shape: Shape):
    check_shape(shape)


def test_the_largest_shape_is_judged_as_it_comes():
    around = [(24 + i / MAX_VERTICES, 60 + (i % 2) / 100_000) for i in range(MAX_VERTICES - 2)]
    check_shape(polygon([*around, (24.5, 59), around[0]]))


def test_the_command_is_refused_at_its_creation_and_at_its_change():
    nothing_yet("geofence").when(CreateGeofence(name="x", shape=polygon(STAR))).refuses(InvalidShape)


# What others have collected


def cases(file: str) -> list[Any]:
    if not CASES.exists():
        return []
    return [json.loads(line) for line in (CASES / file).read_text().splitlines()]


def shapes_of(geojson: Any) -> list[Shape]:
    """Of all that is an area in it; heights are not ours."""
    match geojson["type"]:
        case "FeatureCollection":
            return [shape for feature in geojson["features"] for shape in shapes_of(feature)]
        case "Feature":
            return shapes_of(geojson["geometry"])
        case "Polygon":
            return [Polygon(rings=[ring_of(ring) for ring in geojson["coordinates"]])]
        case "MultiPolygon":
            return [MultiPolygon(polygons=[[ring_of(ring) for ring in rings] for rings in geojson["coordinates"]])]
        case _:
            return []


def ring_of(ring: list[list[float]]) -> Ring:
    return [(vertex[0], vertex[1]) for vertex in ring]


@needs_cases
def test_every_geometry_that_is_an_area_is_taken():
    shapes = [
        shape for case in cases("cases_all_geometry_types.jsonl") for shape in shapes_of(json.loads(case["text"]))
    ]
    assert len(shapes) >= 5
    for shape in shapes:
        check_shape(shape)


@needs_cases
def test_what_crosses_itself_elsewhere_is_refused_here():
    refusals = 0
    for case in cases("cases_self_intersection_and_holes.jsonl"):
        for shape in shapes_of(json.loads(case["text"])):
            if "kinks" in case["name"] or "hourglass" in case["name"]:
                assert refused(shape).longitude is not None, case["name"]
                refusals += 1
            elif "point-in-polygon" in case["name"] or case["name"].endswith("test/in/polygon.geojson"):
                check_shape(shape)
    assert refusals >= 4


@needs_cases
@pytest.mark.parametrize("name", ["different-first-last", "short-linearring", "good/multipolygon"])
def test_rings_are_closed_and_long_enough(name: str):
    [case] = [case for case in cases("cases_geojson_validity.jsonl") if name in case["name"]]
    [shape] = shapes_of(json.loads(case["text"]))
    if case["expect"] == "valid":
        check_shape(shape)
    else:
        assert "not closed" in refused(shape).problem


@needs_cases
def test_the_parishes_of_porto_are_taken_but_for_the_one_that_crosses_itself():
    features = json.loads((CASES / "porto_area_freguesias.geojson").read_text())["features"]
    shapes = {feature["properties"]["dtmnfr"]: shape for feature in features for shape in shapes_of(feature)}
    assert refused(shapes.pop("131704")).longitude == pytest.approx(-8.66, abs=0.02)
    for shape in shapes.values():
        check_shape(shape)


@needs_cases
def test_the_sites_of_porto_are_taken():
    for feature in json.loads((CASES / "porto_osm_sites.geojson").read_text())["features"]:
        for shape in shapes_of(feature):
            check_shape(shape)
