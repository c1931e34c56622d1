"""Fences that are drawn in a file: GeoJSON (RFC 7946), longitude first, heights passed over.

A polygon or several are a fence as they are, a point with the property `radius_m`, a line with `width_m`; each may have
`dwell_s` and `calendar`. A feature says by its `id`, or by the property, which fence it stands for; else by its `name`.
What is none of the tenant's is a new one, and said to be. What is wrong is told of all features at once: which one, the
place in it as a JSON pointer, and by which rule, as over HTTP.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from commands.fence_calendar import check_calendar
from commands.fence_shape import check_shape
from gateway.validation import EXPLAINED_BYTES, as_told, misfits, pointer
from infra.recompute.given import content_of
from infra.settings import WrongSetting
from schemas.directory import CreateGeofence
from schemas.message import Refused

MOST_BYTES = 64 << 20
MOST_TOLD = 20
"""Features that are told to be wrong."""
ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
COORDINATES = "/geometry/coordinates"

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
    wrong: list[str] = []
    for number, feature in enumerate(features_of(file)):
        try:
            each = drawn_by(feature, names)
            if each.geofence_id in drawn:
                raise ValueError(f"{each.geofence_id} is drawn before")
            drawn[each.geofence_id] = each
        except ValueError as told:
            wrong.append(f"--fences {file}: feature {number}: {told}")
    if wrong:
        more = [f"and {len(wrong) - MOST_TOLD:,} features more"] if len(wrong) > MOST_TOLD else []
        raise WrongSetting("\n".join([*wrong[:MOST_TOLD], *more]))
    return list(drawn.values())


def drawn_by(feature: Feature, names: Mapping[str, str]) -> DrawnFence:
    """Raises ValueError."""
    geofence_id = id_of(feature, names)
    return DrawnFence(geofence_id, fence_of(feature, geofence_id), is_new=geofence_id not in names)


def features_of(file: Path) -> Sequence[Feature]:
    """Raises WrongSetting."""
    content = content_of("--fences", file, MOST_BYTES)
    try:
        return msgspec.json.decode(content, type=FeatureCollection).features
    except (msgspec.MsgspecError, UnicodeDecodeError) as wrong:
        raise WrongSetting(f"--fences {file}: no GeoJSON FeatureCollection{found_wrong(content, wrong)}") from wrong


def fence_of(feature: Feature, otherwise: str) -> CreateGeofence:
    """As the command that would create it; without a name it is called otherwise. Raises ValueError."""
    properties = feature.properties or {}
    try:
        shape = shape_of(feature.geometry, properties)
        name = properties.get("name")
        asked = {"name": otherwise if name is None else name, "shape": shape}
        fence = fitting(asked | {name: properties.get(name) for name in ("dwell_s", "calendar")})
        check_shape(fence.shape)
        check_calendar(fence.calendar, fence.kind, ALWAYS)
    except Refused as wrong:
        place = in_feature(getattr(wrong, "pointer", "/calendar/zone"))
        raise ValueError(f"{wrong} ({wrong.rule}, at {place})") from wrong
    return fence


def in_feature(of_body: str) -> str:
    """The place in a feature that stands for one in a body: JSON pointers."""
    match of_body.split("/")[1:]:
        case ["shape", "center"]:
            return COORDINATES
        case ["shape", "center", "lon"]:
            return f"{COORDINATES}/0"
        case ["shape", "center", "lat"]:
            return f"{COORDINATES}/1"
        case ["shape", "rings" | "polygons" | "line", *rest]:
            return "/".join([COORDINATES, *rest])
        case ["shape", *rest]:
            return "/".join(["/properties" if rest else "/geometry", *rest])
        case _:
            return f"/properties{of_body}"


def fitting(asked: Mapping[str, Any]) -> CreateGeofence:
    """Raises ValueError, which says what does not fit, and where in a body it would stand."""
    try:
        return msgspec.convert(asked, CreateGeofence)
    except msgspec.ValidationError as wrong:
        told = [f"{in_feature(error.pointer)} {error.detail}" for error in misfits(CreateGeofence, asked)]
        raise ValueError("; ".join(told) or "it is no fence") from wrong


def found_wrong(content: bytes, wrong: Exception) -> str:
    """Where a file is JSON, but not that."""
    if not isinstance(wrong, msgspec.ValidationError):
        return ", but no JSON at all"
    errors = misfits(FeatureCollection, msgspec.json.decode(content)) if len(content) <= EXPLAINED_BYTES else []
    return ": " + "; ".join(f"{error.pointer or 'the whole'} {error.detail}" for error in errors or [as_told(wrong)])


def coordinates(given: Any, depth: int, words: str) -> Any:
    """Lists of so many lists of positions. Raises ValueError."""
    at = misplaced(given, depth, ())
    if at is not None:
        raise ValueError(f"its coordinates are not {words}, each of longitude and latitude: {COORDINATES}{pointer(at)}")
    return given


def misplaced(given: Any, depth: int, at: tuple[int, ...]) -> tuple[int, ...] | None:
    """The first place in it that is none."""
    if depth == 0:
        return None if is_position(given) else at
    if not isinstance(given, list):
        return at
    within = (misplaced(each, depth - 1, (*at, number)) for number, each in enumerate(given))
    return next((found for found in within if found is not None), None)


def is_position(given: Any) -> bool:
    try:
        msgspec.convert(given, Position)
    except msgspec.ValidationError:
        return False
    return True


def shape_of(geometry: Geometry, properties: Mapping[str, Any]) -> dict[str, Any]:
    """As a body says it. Raises ValueError."""
    match geometry.type:
        case "Polygon":
            rings = coordinates(geometry.coordinates, 2, "rings of positions")
            return {"type": "polygon", "rings": flat(rings)}
        case "MultiPolygon":
            polygons = coordinates(geometry.coordinates, 3, "polygons, as rings of positions")
            return {"type": "multipolygon", "polygons": [flat(rings) for rings in polygons]}
        case "LineString":
            if "width_m" not in properties:
                raise ValueError("a line needs the property width_m, to each side of it")
            line = coordinates(geometry.coordinates, 1, "positions")
            return {"type": "corridor", "line": flat([line])[0], "width_m": properties["width_m"]}
        case "Point":
            if "radius_m" not in properties:
                raise ValueError("a point needs the property radius_m")
            lon, lat, *_ = coordinates(geometry.coordinates, 0, "one position")
            return {"type": "circle", "center": {"lat": lat, "lon": lon}, "radius_m": properties["radius_m"]}
        case other:
            known = "Polygon, MultiPolygon, Point with radius_m, or LineString with width_m"
            raise ValueError(f"{other} is no shape of a fence: {known}")


def flat(rings: Sequence[Sequence[Position]]) -> list[list[list[float]]]:
    return [[position[:2] for position in ring] for ring in rings]


def id_of(feature: Feature, names: Mapping[str, str]) -> str:
    """Raises ValueError."""
    properties = feature.properties or {}
    given = feature.id if feature.id is not None else properties.get("id")
    if isinstance(given, bool) or not isinstance(given, str | int | None):
        raise ValueError("/properties/id must be string or integer")
    if given is not None:
        return str(given)
    name = properties.get("name")
    if name is not None and not isinstance(name, str):
        raise ValueError("/properties/name must be of type string")
    if not name:
        raise ValueError("it has neither an id nor a name")
    meant = [geofence_id for geofence_id, known in names.items() if known == name]
    if len(meant) > 1:
        raise ValueError(f"{len(meant)} fences are called {name}; say by id which one is meant")
    return meant[0] if meant else name
