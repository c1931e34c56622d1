"""Which fences hold a point? Cells over each fence, inside or on its border, looked up in numpy; borders by shapely."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import shapely

from schemas.directory import Circle, GeofenceChanged, GeofenceCreated, GeofenceRemoved, Polygon
from schemas.fixes import MICRODEGREES, Column
from schemas.geo import EARTH_RADIUS_M
from schemas.message import Event, Source
from schemas.outline import enclosed

CELL_LAT, CELL_LON = 1_000, 2_000
"""Microdegrees: 111 m to the north, as much to the east at 60 degrees (10,000 fences: 1.7 µs a point; 223 m: 4.9)."""
MOST_CELLS = 4_096
"""A fence over more cells is tested as it is, for every point."""
CIRCLE_VERTICES = 64
FOR_EVER_MS = 2**62
MOST_VERSIONS = 100
"""Of one fence; the oldest go, and a fix from their time finds no fence."""

type Places = npt.NDArray[np.int64]


class FenceVersion(msgspec.Struct, frozen=True):
    """A fence's shape from one moment to another, Unix milliseconds."""

    geofence_id: str
    shape: Circle | Polygon
    from_ms: int
    until_ms: int


class FenceIndex:
    """Of one tenant. Built anew when a fence changes."""

    def __init__(self, versions: Sequence[FenceVersion]) -> None:
        self.ids = [version.geofence_id for version in versions]
        self._from = np.array([version.from_ms for version in versions], np.int64)
        self._until = np.array([version.until_ms for version in versions], np.int64)
        self._circles = np.array([circle_of(version.shape) for version in versions], float).reshape(-1, 3)
        self._shapes: npt.NDArray[Any] = np.array([geometry(version.shape) for version in versions], object)
        shapely.prepare(self._shapes)
        self._cells()

    def _cells(self) -> None:
        """Sorted cell keys; of each the fences, and whether the cell lies wholly inside."""
        keys: list[Places] = []
        fences: list[Places] = []
        inside: list[npt.NDArray[np.bool_]] = []
        large = []
        for place, shape in enumerate(self._shapes):
            covered = cells_over(shape)
            if covered is None:
                large.append(place)
                continue
            lat, lon = covered
            boxes = shapely.box(
                lon * CELL_LON / MICRODEGREES,
                lat * CELL_LAT / MICRODEGREES,
                (lon + 1) * CELL_LON / MICRODEGREES,
                (lat + 1) * CELL_LAT / MICRODEGREES,
            )
            touched = shapely.intersects(shape, boxes)
            whole = shapely.contains_properly(shape, boxes[touched]) & np.isnan(self._circles[place, 2])
            keys.append(cell_key(lat[touched], lon[touched]))
            fences.append(np.full(int(touched.sum()), place, np.int64))
            inside.append(whole)
        self._large = np.array(large, np.int64)
        key = np.concatenate(keys) if keys else np.empty(0, np.int64)
        order = np.argsort(key, kind="stable")
        self._fence = (np.concatenate(fences) if keys else np.empty(0, np.int64))[order]
        self._whole = (np.concatenate(inside) if keys else np.empty(0, bool))[order]
        self._keys, self._start, self._count = np.unique(key[order], return_index=True, return_counts=True)

    def holding(self, lat: Column, lon: Column, at_ms: Column) -> list[list[str]]:
        """Of each point (microdegrees) the ids of the fences that hold it then, borders included."""
        held: list[list[str]] = [[] for _ in range(len(lat))]
        for point, fence in zip(*self._pairs(lat, lon, at_ms), strict=True):
            held[point].append(self.ids[fence])
        return held

    def _pairs(self, lat: Column, lon: Column, at_ms: Column) -> tuple[list[int], list[int]]:
        point, fence, sure = self._candidates(lat, lon)
        valid = (self._from[fence] <= at_ms[point]) & (at_ms[point] < self._until[fence])
        point, fence, sure = point[valid], fence[valid], sure[valid]
        unsure = np.flatnonzero(~sure)
        sure[unsure] = self._exactly(fence[unsure], lat[point[unsure]], lon[point[unsure]])
        return point[sure].tolist(), fence[sure].tolist()

    def _candidates(self, lat: Column, lon: Column) -> tuple[Places, Places, npt.NDArray[np.bool_]]:
        points = len(lat)
        everywhere = np.repeat(np.arange(points), len(self._large))
        larger = np.tile(self._large, points)
        if not len(self._keys):
            return everywhere, larger, np.zeros(len(larger), bool)
        key = cell_key(np.floor_divide(lat, CELL_LAT), np.floor_divide(lon, CELL_LON))
        found = np.minimum(np.searchsorted(self._keys, key), len(self._keys) - 1)
        count = np.where(self._keys[found] == key, self._count[found], 0)
        point = np.repeat(np.arange(points), count)
        within = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
        place = within + np.repeat(self._start[found], count)
        return (
            np.concatenate([point, everywhere]),
            np.concatenate([self._fence[place], larger]),
            np.concatenate([self._whole[place], np.zeros(len(larger), bool)]),
        )

    def _exactly(self, fence: Places, lat: Column, lon: Column) -> npt.NDArray[np.bool_]:
        round_ones = ~np.isnan(self._circles[fence, 2])
        held = np.zeros(len(fence), bool)
        circles = self._circles[fence[round_ones]]
        held[round_ones] = metres_from(circles, lat[round_ones], lon[round_ones]) <= circles[:, 2]
        others = ~round_ones
        held[others] = shapely.intersects_xy(
            self._shapes[fence[others]], lon[others] / MICRODEGREES, lat[others] / MICRODEGREES
        )
        return held


def circle_of(shape: Circle | Polygon) -> tuple[float, float, float]:
    """Latitude, longitude, metres; not a number for what is no circle."""
    if isinstance(shape, Circle):
        return shape.center.lat, shape.center.lon, shape.radius_m
    return (np.nan, np.nan, np.nan)


def geometry(shape: Circle | Polygon) -> Any:
    """In degrees. A circle's is drawn around it, so that no point of it is missed."""
    if isinstance(shape, Polygon):
        return enclosed(shape)
    turns = np.linspace(0, 2 * np.pi, CIRCLE_VERTICES, endpoint=False)
    reach = np.degrees(shape.radius_m / EARTH_RADIUS_M) * 1.01 / np.cos(np.pi / CIRCLE_VERTICES)
    lat = np.clip(shape.center.lat + reach * np.sin(turns), -90, 90)
    narrow = max(0.01, float(np.cos(np.radians(min(89.0, abs(shape.center.lat) + reach)))))
    return shapely.Polygon(np.column_stack([shape.center.lon + reach / narrow * np.cos(turns), lat]))


def cells_over(shape: Any) -> tuple[Places, Places] | None:
    """The cells of its bounding box; None where they are too many."""
    west, south, east, north = shapely.bounds(shape) * MICRODEGREES
    first_lat, last_lat = int(south // CELL_LAT), int(north // CELL_LAT)
    first_lon, last_lon = int(west // CELL_LON), int(east // CELL_LON)
    if (last_lat - first_lat + 1) * (last_lon - first_lon + 1) > MOST_CELLS:
        return None
    lat, lon = np.meshgrid(np.arange(first_lat, last_lat + 1), np.arange(first_lon, last_lon + 1), indexing="ij")
    return lat.ravel(), lon.ravel()


def cell_key(lat: Places, lon: Places) -> Places:
    return (lat.astype(np.int64) << 32) + lon


def metres_from(circles: npt.NDArray[np.float64], lat: Column, lon: Column) -> npt.NDArray[np.float64]:
    """Great-circle metres from each circle's centre (haversine, as schemas.geo.distance_m)."""
    lat_a, lat_b = np.radians(circles[:, 0]), np.radians(lat / MICRODEGREES)
    half_lat = (lat_b - lat_a) / 2
    half_lon = np.radians(lon / MICRODEGREES - circles[:, 1]) / 2
    chord = np.sin(half_lat) ** 2 + np.cos(lat_a) * np.cos(lat_b) * np.sin(half_lon) ** 2
    metres: npt.NDArray[np.float64] = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(1.0, chord)))
    return metres


class Fences:
    """The fences of all tenants, folded from `logistics.directory`; a change holds from its own moment on."""

    def __init__(self) -> None:
        self._versions: dict[str, dict[str, list[FenceVersion]]] = {}
        self._indexes: dict[str, FenceIndex] = {}

    def take(self, event: Event, source: Source) -> None:
        of_tenant = self._versions.setdefault(source.tenant, {})
        versions = of_tenant.setdefault(source.aggregate_id, [])
        match event:
            case GeofenceCreated() | GeofenceChanged():
                ended(versions, unix_ms(event.valid_from))
                del versions[: -MOST_VERSIONS + 1]
                versions.append(FenceVersion(source.aggregate_id, event.shape, unix_ms(event.valid_from), FOR_EVER_MS))
            case GeofenceRemoved():
                ended(versions, unix_ms(event.valid_until))
            case _:
                return
        self._indexes.pop(source.tenant, None)

    def index(self, tenant: str) -> FenceIndex:
        if tenant not in self._indexes:
            self._indexes[tenant] = FenceIndex(list(standing(self._versions.get(tenant, {}).values())))
        return self._indexes[tenant]


def ended(versions: list[FenceVersion], until_ms: int) -> None:
    """What began later than this never held."""
    versions[:] = [
        msgspec.structs.replace(version, until_ms=min(version.until_ms, until_ms))
        for version in versions
        if version.from_ms < until_ms
    ]


def standing(of_fences: Iterable[list[FenceVersion]]) -> Iterable[FenceVersion]:
    for versions in of_fences:
        yield from versions


def unix_ms(at: datetime) -> int:
    """Milliseconds."""
    return round(at.timestamp() * 1000)
