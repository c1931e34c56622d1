"""Which fences hold a point: as shapely and the great circle say, one by one."""

import numpy as np
import pytest
import shapely
from story import KAMPPI, NOON, minutes

from schemas.directory import Circle, GeofenceChanged, GeofenceCreated, GeofenceRemoved, Polygon
from schemas.geo import Location, distance_m
from schemas.message import Event, Source, TenantSlug
from streams.telemetry.fences import FenceIndex, Fences, FenceVersion, unix_ms, version_of

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
