"""Fences hold what lies in them at the equator, in the north, at the poles and on the antimeridian."""

import json
import os
from pathlib import Path
from random import Random
from typing import Any

import fence_truth
import numpy as np
import pytest
import shapely
from shapely.geometry import shape as geometry

from commands.fence_shape import InvalidShape, check_shape
from schemas.directory import Circle, Corridor, MultiPolygon, Polygon, Rings, Shape
from schemas.fixes import Column
from schemas.geo import Location
from schemas.ground import ground_of, lies_within
from schemas.outline import outline
from streams.telemetry.fence_index import FenceIndex, version_of

CASES = Path(os.environ.get("LOGISTICS_SAMPLE_DATA", "nowhere")) / "geofence"
needs_cases = pytest.mark.skipif(not CASES.exists(), reason="LOGISTICS_SAMPLE_DATA names no folder with fences")

PLACES = [(0, 0), (0, 180), (60, 25), (-41, 179.999), (66, -180), (84, 12), (-89.2, 100), (89.99, -179.9), (90, 0)]
REACHES_M = [120, 3_000, 60_000, 400_000]

type Place = tuple[float, float]
"""Latitude, longitude."""


def off(center: Place, north_m: float, east_m: float) -> Place:
    """So far from there, over the pole and around the earth where it comes to that."""
    lat, lon = np.radians(center)
    angle, way = np.hypot(north_m, east_m) / 6_371_008.8, np.arctan2(east_m, north_m)
    there = np.arcsin(np.clip(np.sin(lat) * np.cos(angle) + np.cos(lat) * np.sin(angle) * np.cos(way), -1, 1))
    turn = np.arctan2(np.sin(way) * np.sin(angle) * np.cos(lat), np.cos(angle) - np.sin(lat) * np.sin(there))
    return float(np.degrees(there)), float((np.degrees(lon + turn) + 180) % 360 - 180)


def shapes(draw: Random, center: Place, reach_m: float) -> list[Shape]:
    def ring(size_m: float, middle: Place = center, corners: int = 17) -> list[tuple[float, float]]:
        turns = sorted(draw.uniform(0, 2 * np.pi) for _ in range(corners))
        ways = [(size_m * draw.uniform(0.7, 1), turn) for turn in turns]
        vertices = [off(middle, size * np.cos(turn), size * np.sin(turn)) for size, turn in ways]
        return [(lon, lat) for lat, lon in [*vertices, vertices[0]]]

    aside = off(center, reach_m * 3, reach_m)
    line = [off(center, reach_m * draw.uniform(-2, 2), reach_m * draw.uniform(-2, 2)) for _ in range(6)]
    drawn: list[Shape] = [
        Circle(center=Location(lat=center[0], lon=center[1]), radius_m=reach_m),
        Corridor(line=[(lon, lat) for lat, lon in line], width_m=reach_m / 4),
        Polygon(rings=[ring(reach_m)]),
        Polygon(rings=[ring(reach_m)[::-1], ring(reach_m / 4)]),
        MultiPolygon(polygons=[[ring(reach_m), ring(reach_m / 3)], [ring(reach_m / 5)], [ring(reach_m / 2, aside)]]),
    ]
    return [shape for shape in drawn if can_be(shape)]


def can_be(shape: Shape) -> bool:
    try:
        check_shape(shape)
    except InvalidShape:
        return False
    return True


def points(draw: Random, center: Place, reach_m: float, count: int) -> tuple[Column, Column]:
    found = [off(center, reach_m * draw.uniform(-3, 3), reach_m * draw.uniform(-3, 3)) for _ in range(count)]
    found += [(lat, lon) for lat, _ in found[:50] for lon in (-180.0, 180.0)]
    found += [(pole, lon) for pole in (-90.0, 90.0) for lon in (-180.0, -90.0, 0.0, 77.0, 180.0)]
    lat, lon = np.array(found).T * 1_000_000
    return np.round(lat).astype(np.int64), np.round(lon).astype(np.int64)


@pytest.mark.parametrize("center", PLACES)
def test_a_fence_holds_what_lies_in_it_wherever_it_is(center: Place):
    draw = Random(str(center))
    for reach_m in REACHES_M:
        made = [shape for _ in range(2) for shape in shapes(draw, center, reach_m)]
        index = FenceIndex([version_of(str(number), shape) for number, shape in enumerate(made)])
        lat, lon = points(draw, center, reach_m, 600)
        held = index.holding(lat, lon, np.zeros(len(lat), np.int64))
        for number, shape in enumerate(made):
            wanted = fence_truth.holds(shape, lat / 1e6, lon / 1e6)
            assert wanted.any()
            told = np.array([str(number) in each for each in held])
            assert np.array_equal(told, wanted), (reach_m, shape, lat[told != wanted], lon[told != wanted])
            assert np.array_equal(lies_within(ground_of(shape), lat / 1e6, lon / 1e6), wanted)


def test_at_the_poles_and_on_the_antimeridian_most_shapes_can_be():
    draw = Random(1)
    made = [shapes(draw, center, reach_m) for center in PLACES for reach_m in REACHES_M for _ in range(5)]
    assert np.mean([len(each) for each in made]) > 4


def holds(shape: Shape, lat: float, lon: float) -> bool:
    check_shape(shape)
    [held] = FenceIndex([version_of("f", shape)]).holding(
        np.array([round(lat * 1e6)]), np.array([round(lon * 1e6)]), np.array([0])
    )
    return bool(held)


def test_a_ring_around_the_earth_holds_the_pole_that_is_nearer_whichever_way_it_goes():
    ring = [(0.0, 80.0), (120.0, 80.0), (-120.0, 80.0), (0.0, 80.0)]
    for north in (Polygon(rings=[ring]), Polygon(rings=[ring[::-1]])):
        assert holds(north, 90, 33)
        assert holds(north, 81, -179.99)
        assert not holds(north, 79, 10)
    south = Polygon(rings=[[(lon, -lat) for lon, lat in ring]])
    assert holds(south, -85, 180)
    assert not holds(south, 85, 180)


def test_the_antimeridian_belongs_to_what_touches_it_from_either_side():
    east = Polygon(rings=[[(179, 0), (180, 0), (180, 1), (179, 1), (179, 0)]])
    west = Polygon(rings=[[(-180, 0), (-179, 0), (-179, 1), (-180, 1), (-180, 0)]])
    for shape in (east, west):
        assert holds(shape, 0.5, 180)
        assert holds(shape, 0.5, -180)
        assert not holds(shape, 1.5, 180)


def test_a_slice_that_comes_up_to_the_pole_holds_it_whatever_its_longitude():
    shape = Polygon(rings=[[(10, 80), (20, 80), (20, 90), (10, 90), (10, 80)]])
    assert holds(shape, 90, 15)
    assert holds(shape, 90, -120)
    assert not holds(shape, 89.9, -120)


def test_a_border_belongs_to_the_fence_also_on_the_other_side_of_the_antimeridian():
    shape = Polygon(rings=[[(179.1, 0.1), (-179.3, 0.1), (-179.3, 0.7), (179.1, 0.7), (179.1, 0.1)]])
    for lon in (179.1, -179.3):
        for lat in (0.1, 0.4, 0.7):
            assert holds(shape, lat, lon)
    assert not holds(shape, 0.4, -179.299999)
    assert not holds(shape, 0.4, 179.099999)


def test_a_corridor_is_as_wide_in_the_north_as_at_the_equator():
    for lat in (0.0, 60.0, 85.0, 89.0):
        along = Corridor(line=[(10, lat - 0.1), (10, lat + 0.1)], width_m=100)
        metre = np.degrees(1 / 6_371_008.8) / np.cos(np.radians(lat))
        assert holds(along, lat, 10 + 99 * metre)
        assert not holds(along, lat, 10 + 101.5 * metre)


# What others have collected


def polygons_of(geojson: Any) -> list[Rings]:
    coordinates = geojson["coordinates"] if geojson["type"] == "MultiPolygon" else [geojson["coordinates"]]
    return [[[(lon, lat) for lon, lat, *_ in ring] for ring in rings] for rings in coordinates]


UNLIKE = {"line.json": "it is no area", "issues-187.json": "not closed, and beyond 180 degrees", "overlap.json": "over itself"}  # fmt: skip


@needs_cases
def test_what_crosses_the_antimeridian_is_cut_as_elsewhere():
    compared = 0
    for line in (CASES / "cases_antimeridian.jsonl").read_text().splitlines():
        case = json.loads(line)
        if case["name"] in UNLIKE or not case["expected_flat"]:
            continue
        shape = MultiPolygon(polygons=polygons_of(json.loads(case["text"])))
        check_shape(shape)
        expected = geometry(json.loads(case["expected_flat"]))
        assert shapely.symmetric_difference(outline(shape), expected).area < 1e-5, case["name"]
        compared += 1
    assert compared >= 12


@needs_cases
def test_what_lies_over_itself_at_the_antimeridian_is_refused():
    cases = map(json.loads, (CASES / "cases_antimeridian.jsonl").read_text().splitlines())
    for case in cases:
        if case["name"] in ("issues-187.json", "overlap.json"):
            with pytest.raises(InvalidShape):
                check_shape(MultiPolygon(polygons=polygons_of(json.loads(case["text"]))))


@needs_cases
def test_countries_hold_their_towns_and_not_those_of_an_enclave():
    features = json.loads((CASES / "countries_edge.geojson").read_text())["features"]
    countries = {each["id"]: MultiPolygon(polygons=polygons_of(each["geometry"])) for each in features}
    towns = {"FJI": (-17.8, 178.0), "ESP": (40.4, -3.7), "PRT": (41.16, -8.6), "LSO": (-29.6, 28.2), "ZAF": (-26.2, 28.0)}  # fmt: skip
    for name, country in countries.items():
        for home, (lat, lon) in towns.items():
            assert holds(country, lat, lon) == (home == name), (home, name)
    assert holds(countries["FJI"], -16.5, 179.9)
    assert holds(countries["FJI"], -16.5, -179.95)
