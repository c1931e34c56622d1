"""Fences that are drawn in a file: GeoJSON (RFC 7946), longitude first, heights passed over.

A polygon or several are a fence as they are, a point with the property `radius_m`, a line with `width_m`; each may have
`dwell_s`. A feature says by its `id`, or by the property, which fence it stands for; else by its `name`, which is that
of one of the tenant's fences or a new one's.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from commands.fence_shape import InvalidShape, check_shape
from infra.settings import WrongSetting
from schemas.directory import CreateGeofence

MOST_BYTES = 64 << 20

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


def drawn_in(file: Path, names: Mapping[str, str]) -> list[DrawnFence]:
    """`names` gives the tenant's fences by id. Raises WrongSetting."""
    drawn: dict[str, DrawnFence] = {}
    for number, feature in enumerate(features_of(file)):
        where = f"--fences {file}: feature {number}"
        fence = fence_of(where, feature)
        geofence_id = id_of(where, feature, names)
        if geofence_id in drawn:
            raise WrongSetting(f"{where}: {geofence_id} is drawn before")
        drawn[geofence_id] = DrawnFence(geofence_id, fence)
    return list(drawn.values())


def features_of(file: Path) -> Sequence[Feature]:
    """Raises WrongSetting."""
    try:
        if file.stat().st_size > MOST_BYTES:
            raise WrongSetting(f"--fences {file}: larger than {MOST_BYTES >> 20} MiB")
        return msgspec.json.decode(file.read_bytes(), type=FeatureCollection).features
    except OSError as unread:
        raise WrongSetting(f"--fences {file}: it cannot be read: {unread.strerror}") from unread
    except (msgspec.MsgspecError, UnicodeDecodeError) as wrong:
        raise WrongSetting(f"--fences {file}: no GeoJSON FeatureCollection: {wrong}") from wrong


def fence_of(where: str, feature: Feature) -> CreateGeofence:
    """As the command that would create it. Raises WrongSetting."""
    properties = feature.properties or {}
    try:
        shape = shape_of(feature.geometry, properties)
        asked = {"name": str(properties.get("name") or "drawn"), "shape": shape, "dwell_s": properties.get("dwell_s")}
        fence = msgspec.convert(asked, CreateGeofence)
        check_shape(fence.shape)
    except (msgspec.ValidationError, InvalidShape, ValueError) as wrong:
        raise WrongSetting(f"{where}: {wrong}") from wrong
    return fence


def shape_of(geometry: Geometry, properties: Mapping[str, Any]) -> dict[str, Any]:
    """As a body says it. Raises ValueError, ValidationError."""
    match geometry.type:
        case "Polygon":
            rings = msgspec.convert(geometry.coordinates, list[list[Position]])
            return {"type": "polygon", "rings": flat(rings)}
        case "MultiPolygon":
            polygons = msgspec.convert(geometry.coordinates, list[list[list[Position]]])
            return {"type": "multipolygon", "polygons": [flat(rings) for rings in polygons]}
        case "LineString":
            if "width_m" not in properties:
                raise ValueError("a line needs the property width_m, to each side of it")
            line = msgspec.convert(geometry.coordinates, list[Position])
            return {"type": "corridor", "line": flat([line])[0], "width_m": properties["width_m"]}
        case "Point":
            if "radius_m" not in properties:
                raise ValueError("a point needs the property radius_m")
            lon, lat, *_ = msgspec.convert(geometry.coordinates, Position)
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
