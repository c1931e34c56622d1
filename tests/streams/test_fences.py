"""Which fences hold a point: as shapely and the great circle say, one by one."""

import msgspec
import numpy as np
import pytest
import shapely
from story import KAMPPI, NOON, minutes

from schemas.directory import Circle, Corridor, GeofenceChanged, GeofenceCreated, GeofenceRemoved, Polygon, Shape
from schemas.geo import Location, distance_m
from schemas.message import Event, Source, TenantSlug
from streams.telemetry.fence_index import OUTSIDE, FenceIndex, FenceVersion, step_from, version_of, ways_of
from streams.telemetry.fences import Fences
from streams.telemetry.moments import unix_ms

NOW_MS = unix_ms(NOON)


def rings(random: np.random.Generator, lat: float, lon: float, size: float) -> Polygon:
    turns = np.sort(random.uniform(0, 2 * np.pi, 12))
    out = [(lon + 2 * size * np.cos(t), lat + size * np.sin(t)) for t in turns]
    hole = [(lon + size / 5 * np.cos(t), lat + size / 10 * np.sin(t)) for t in turns]
    return Polygon(rings=[[*out, out[0]], [*hole, hole[0]]])


def some_fences(random: np.random.Generator, count: int) -> list[FenceVersion]:
    versions = []
    for number in range(count):
        lat, lon, size = (
            random.uniform(60.1, 60.3),
            random.uniform(24.8, 25.1),
            float(random.choice([0.001, 0.01, 0.2])),
        )
        shape: Circle | Polygon = rings(random, lat, lon, size)
        if number % 2:
            shape = Circle(center=Location(lat=lat, lon=lon), radius_m=size * 100_000)
        versions.append(version_of(f"f{number}", shape))
    return versions


def holds(shape: Circle | Polygon, lat: float, lon: float) -> bool:
    if isinstance(shape, Circle):
        return distance_m(shape.center, Location(lat=lat, lon=lon)) <= shape.radius_m
    return bool(shapely.intersects_xy(shapely.Polygon(shape.rings[0], shape.rings[1:]), lon, lat))


@pytest.mark.parametrize("seed", range(3))
def test_the_index_holds_what_each_fence_holds(seed: int):
    random = np.random.default_rng(seed)
    versions = some_fences(random, 60)
    lat = random.integers(60_050_000, 60_350_000, 3_000)
    lon = random.integers(24_700_000, 25_200_000, 3_000)
    held = FenceIndex(versions).holding(lat, lon, np.full(3_000, NOW_MS))
    some = 0
    for each, north, east in zip(held, lat.tolist(), lon.tolist(), strict=True):
        wanted = {v.geofence_id for v in versions if holds(v.shape, north / 1e6, east / 1e6)}
        assert set(each) == wanted
        some += len(wanted)
    assert some > 1_000


def test_without_fences_nothing_is_held():
    assert FenceIndex([]).holding(np.array([1, 2]), np.array([1, 2]), np.array([0, 0])) == [frozenset(), frozenset()]


HERE = Circle(center=KAMPPI, radius_m=100)
THERE = Circle(center=Location(lat=61, lon=25), radius_m=100)


def fences(*events: Event) -> Fences:
    folded = Fences()
    for number, event in enumerate(events, start=1):
        folded.take(event, source(number))
    return folded


def source(version: int) -> Source:
    return Source(
        event_id=f"e{version}",
        tenant=TenantSlug("acme"),
        outlet=None,
        aggregate_id="fence-1",
        version=version,
        event_time=NOON,
        recorded_at=NOON,
        actor="shop",
        command_id="c",
        correlation_id="c",
        topic="logistics.directory",
        partition=0,
        offset=version,
    )


def created(from_minute: float) -> GeofenceCreated:
    return GeofenceCreated(
        name="Kamppi",
        kind="zone",
        shape=HERE,
        outlet=None,
        valid_from=minutes(from_minute),
        external_reference=None,
        source="shop",
        metadata={},
    )


def inside_at(folded: Fences, minute: float, tenant: str = "acme") -> list[str]:
    at = np.array([unix_ms(minutes(minute))])
    lat, lon = np.array([round(KAMPPI.lat * 1e6)]), np.array([round(KAMPPI.lon * 1e6)])
    return sorted(folded.index(tenant).holding(lat, lon, at)[0])


def test_a_fence_holds_from_its_moment_on_and_for_its_tenant_only():
    folded = fences(created(10))
    assert inside_at(folded, 9) == []
    assert inside_at(folded, 10) == ["fence-1"]
    assert inside_at(folded, 10, "other") == []


def test_a_changed_fence_keeps_its_old_shape_for_what_was_before():
    folded = fences(created(0), GeofenceChanged(shape=THERE, valid_from=minutes(30)))
    assert inside_at(folded, 29) == ["fence-1"]
    assert inside_at(folded, 30) == []


def test_a_removed_fence_holds_nothing_from_then_on():
    folded = fences(created(0), GeofenceRemoved(valid_until=minutes(30)))
    assert inside_at(folded, 29) == ["fence-1"]
    assert inside_at(folded, 30) == []


def test_a_fence_asks_for_a_stay_of_who_enters_while_it_does():
    folded = fences(
        msgspec.structs.replace(created(0), dwell_s=60), GeofenceChanged(shape=HERE, dwell_s=90, valid_from=minutes(30))
    )
    dwell = folded.index("acme").dwell
    assert dwell is not None
    assert [dwell("fence-1", unix_ms(minutes(minute))) for minute in (-1, 0, 29, 30)] == [None, 60_000, 60_000, 90_000]
    assert fences(created(0)).index("acme").dwell is None


# From fix to fix

BOX = Polygon(rings=[[(25.00, 60.00), (25.02, 60.00), (25.02, 60.01), (25.00, 60.01), (25.00, 60.00)]])


def crossed(shape: Shape, one: tuple[float, float], other: tuple[float, float]) -> bool:
    """On the way from latitude and longitude to latitude and longitude, both outside."""

    def spot(place: tuple[float, float]) -> tuple[int, int]:
        return round(place[0] * 1e6), round(place[1] * 1e6)

    index = FenceIndex([version_of("f", shape)])
    step = step_from(NOW_MS, spot(one), OUTSIDE, NOW_MS + 1, spot(other), OUTSIDE)
    back = step_from(NOW_MS, spot(other), OUTSIDE, NOW_MS + 1, spot(one), OUTSIDE)
    there, again = index.crossed(ways_of([step])), index.crossed(ways_of([back]))
    assert there == again
    return there == {0: ["f"]}


def test_a_way_leads_through_a_fence_or_past_it():
    assert crossed(BOX, (60.005, 24.99), (60.005, 25.03))
    assert crossed(BOX, (60.0095, 24.999), (60.0105, 25.002))
    assert not crossed(BOX, (60.0105, 24.99), (60.0105, 25.03))
    gate = Corridor(line=[(25.0, 60.0), (25.0, 60.01)], width_m=1)
    assert crossed(gate, (60.005, 24.9999), (60.005, 25.0001))
    assert not crossed(gate, (60.011, 24.9999), (60.011, 25.0001))
    around = Circle(center=Location(lat=60, lon=25), radius_m=30)
    assert crossed(around, (60.0002, 24.99), (60.0002, 25.01))
    assert not crossed(around, (60.0004, 24.99), (60.0004, 25.01))


def test_a_way_through_the_hole_of_a_fence_leads_through_the_fence_only_where_it_must():
    hole = [(25.005, 60.003), (25.015, 60.003), (25.015, 60.007), (25.005, 60.007), (25.005, 60.003)]
    ring = Polygon(rings=[*BOX.rings, hole])
    assert not crossed(ring, (60.005, 25.006), (60.005, 25.014))
    assert crossed(ring, (60.005, 25.006), (60.005, 25.03))


def test_a_way_over_the_antimeridian_meets_what_stands_on_either_side():
    for lon in (179.9995, -179.9995, 180, -180):
        gate = Circle(center=Location(lat=-17, lon=lon), radius_m=20)
        assert crossed(gate, (-17, 179.999), (-17, -179.999))
        assert not crossed(gate, (-17, 179.998), (-17, 179.999))
    box = Polygon(rings=[[(179.9995, -17), (-179.9995, -17), (-179.9995, -16.9), (179.9995, -16.9), (179.9995, -17)]])
    assert crossed(box, (-16.95, 179.999), (-16.95, -179.999))


def test_a_long_way_is_the_shortest_one_and_too_long_a_one_is_none():
    north = Circle(center=Location(lat=80.000_06, lon=25.2), radius_m=3)
    assert crossed(north, (80, 25), (80, 25.4))
    assert not crossed(Circle(center=Location(lat=80, lon=25.2), radius_m=3), (80, 25), (80, 25.4))
    assert not crossed(Circle(center=Location(lat=60, lon=25), radius_m=20), (60, 24.9), (60, 25.1))


def test_a_fence_that_stood_at_one_end_only_was_not_crossed():
    index = FenceIndex([version_of("f", BOX, from_ms=NOW_MS)])
    west, east = (60_005_000, 24_990_000), (60_005_000, 25_030_000)
    assert index.crossed(ways_of([step_from(NOW_MS, west, OUTSIDE, NOW_MS + 1, east, OUTSIDE)])) == {0: ["f"]}
    assert index.crossed(ways_of([step_from(NOW_MS - 1, west, OUTSIDE, NOW_MS, east, OUTSIDE)])) == {}
    assert index.crossed(ways_of([step_from(NOW_MS, west, OUTSIDE, NOW_MS + 1, east, frozenset("f"))])) == {}
    assert index.crossed(ways_of([])) == {}
