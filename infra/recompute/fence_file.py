"""Fences that are drawn in a file: GeoJSON (RFC 7946), longitude first, heights passed over.

A polygon or several are a fence as they are, a point with the property `radius_m`, a line with `width_m`; each may have
`dwell_s` and `calendar`. A feature says by its `id`, or by the property, which fence it stands for; else by its `name`.
What is none of the tenant's is a new one, and said to be.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from commands.fence_calendar import check_calendar
from commands.fence_shape import check_shape
from gateway.validation import PLACE, misfits
from infra.recompute.given import content_of
from infra.settings import WrongSetting
from schemas.directory import CreateGeofence
from schemas.message import Refused

MOST_BYTES = 64 << 20
ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)

type Position = Annotated[list[float], msgspec.Meta(min_length=2, max_length=4)]


class Geometry(msgspec.Struct, frozen=True):
    type: str
    coordinates: Any = None


class Feature(msgspec.Struct, frozen=True):
    type: Literal["Feature"]
    geometry: Geometry
    properties: dict[str, Any] | None = None
    id: str | int | None = None


class FeatureCollection(msgspec.Struct, frozen=True):
    type: Literal["FeatureCollection"]
    features: list[Feature]


class DrawnFence(msgspec.Struct, frozen=True):
    geofence_id: str
    fence: CreateGeofence
    is_new: bool
    """The tenant has none by this id or name."""


def drawn_in(file: Path, names: Mapping[str, str]) -> list[DrawnFence]:
    """`names` gives the tenant's fences by id. Raises WrongSetting."""
    drawn: dict[str, DrawnFence] = {}
    for number, feature in enumerate(features_of(file)):
        where = f"--fences {file}: feature {number}"
        geofence_id = id_of(where, feature, names)
        fence = fence_of(where, feature, geofence_id)
        if geofence_id in drawn:
            raise WrongSetting(f"{where}: {geofence_id} is drawn before")
        drawn[geofence_id] = DrawnFence(geofence_id, fence, is_new=geofence_id not in names)
    return list(drawn.values())


def features_of(file: Path) -> Sequence[Feature]:
    """Raises WrongSetting."""
    content = content_of("--fences", file, MOST_BYTES)
    try:
        return msgspec.json.decode(content, type=FeatureCollection).features
    except (msgspec.MsgspecError, UnicodeDecodeError) as wrong:
        raise WrongSetting(f"--fences {file}: no GeoJSON FeatureCollection{found_wrong(wrong)}") from wrong


def fence_of(where: str, feature: Feature, otherwise: str) -> CreateGeofence:
    """As the command that would create it; without a name it is called otherwise. Raises WrongSetting."""
    properties = feature.properties or {}
    try:
        shape = shape_of(feature.geometry, properties)
        asked = {"name": str(properties.get("name") or otherwise), "shape": shape}
        fence = fitting(asked | {name: properties.get(name) for name in ("dwell_s", "calendar")})
        check_shape(fence.shape)
        check_calendar(fence.calendar, fence.kind, ALWAYS)
    except (Refused, ValueError) as wrong:
        raise WrongSetting(f"{where}: {wrong}") from wrong
    return fence


def fitting(asked: Mapping[str, Any]) -> CreateGeofence:
    """Raises ValueError, which says what does not fit, and where in a body it would stand."""
    try:
        return msgspec.convert(asked, CreateGeofence)
    except msgspec.ValidationError as wrong:
        told = [f"{error.pointer} {error.detail}" for error in misfits(CreateGeofence, asked)]
        raise ValueError("; ".join(told) or "it is no fence") from wrong


def found_wrong(wrong: Exception) -> str:
    """Where a file is JSON, but not that."""
    if not isinstance(wrong, msgspec.ValidationError):
        return ", but no JSON at all"
    place = PLACE.search(str(wrong))
    return f": {place[1].lstrip('.') if place else 'the whole'} is not as it must be"


def coordinates[T](given: Any, tp: type[T], words: str) -> T:
    """Raises ValueError."""
    try:
        return msgspec.convert(given, tp)
    except msgspec.ValidationError as wrong:
        raise ValueError(f"its coordinates are not {words}, each of longitude and latitude") from wrong


def shape_of(geometry: Geometry, properties: Mapping[str, Any]) -> dict[str, Any]:
    """As a body says it. Raises ValueError."""
    match geometry.type:
        case "Polygon":
            rings = coordinates(geometry.coordinates, list[list[Position]], "rings of positions")
            return {"type": "polygon", "rings": flat(rings)}
        case "MultiPolygon":
            polygons = coordinates(geometry.coordinates, list[list[list[Position]]], "polygons, as rings of positions")
            return {"type": "multipolygon", "polygons": [flat(rings) for rings in polygons]}
        case "LineString":
            if "width_m" not in properties:
                raise ValueError("a line needs the property width_m, to each side of it")
            line = coordinates(geometry.coordinates, list[Position], "positions")
            return {"type": "corridor", "line": flat([line])[0], "width_m": properties["width_m"]}
        case "Point":
            if "radius_m" not in properties:
                raise ValueError("a point needs the property radius_m")
            [(lon, lat, *_)] = coordinates([geometry.coordinates], list[Position], "one position")
            return {"type": "circle", "center": {"lat": lat, "lon": lon}, "radius_m": properties["radius_m"]}
        case other:
            known = "Polygon, MultiPolygon, Point with radius_m, or LineString with width_m"
            raise ValueError(f"{other} is no shape of a fence: {known}")


def flat(rings: Sequence[Sequence[Position]]) -> list[list[list[float]]]:
    return [[position[:2] for position in ring] for ring in rings]


def id_of(where: str, feature: Feature, names: Mapping[str, str]) -> str:
    """Raises WrongSetting."""
    properties = feature.properties or {}
    given = feature.id if feature.id is not None else properties.get("id")
    if given is not None:
        return str(given)
    name = properties.get("name")
    if not isinstance(name, str) or not name:
        raise WrongSetting(f"{where}: it has neither an id nor a name")
    meant = [geofence_id for geofence_id, known in names.items() if known == name]
    if len(meant) > 1:
        raise WrongSetting(f"{where}: {len(meant)} fences are called {name}; say by id which one is meant")
    return meant[0] if meant else name
