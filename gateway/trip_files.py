"""Trips as files: GPX 1.1, GeoJSON (RFC 7946), CSV, Apache Parquet, and JSON.

A trip has its recorded line, the fixes, and where it was asked for the line on streets, in parts. GPX and GeoJSON have
them as tracks and features of their own, and its stops as waypoints and points; in CSV and Parquet each point is a row,
and `line` says of which it is.
"""

import csv
import io
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import msgspec

from gateway.osmand import HDOP_M
from schemas.signals import StopMade, TripOver
from streams.routing.matching import Matched, Part
from streams.telemetry.recorded import Point

type Json = dict[str, Any]
type Row = tuple[Any, ...]


class Exported(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A trip with its points. `matched` is there where it was asked for, `stops_made` where there are stops: the first
    fifty."""

    trip_id: str
    rider_id: str
    device_id: str
    vehicle_id: str | None
    started_at: datetime
    ended_at: datetime
    metres: int
    moving_s: int
    idle_s: int
    stops: int
    why: TripOver
    stops_made: list[StopMade] = []
    points: list[Point]
    matched: Matched | None = None


class Format(msgspec.Struct, frozen=True):
    media_type: str
    suffix: str
    write: Callable[[Iterable[Exported]], Iterator[bytes]]
    """Of many trips one file, piece by piece."""


# GPX

GPX_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<gpx version="1.1" creator="Logistics" xmlns="http://www.topografix.com/GPX/1/1"
 xmlns:gpxtpx="http://www.garmin.com/xmlschemas/TrackPointExtension/v2">
"""


MOST_IN_MEMORY = 16 << 20
"""Of tracks that wait for the waypoints of later trips; what is beyond is in a temporary file."""
PIECE = 1 << 20


def gpx(trips: Iterable[Exported]) -> Iterator[bytes]:
    """Speed (m/s) and course as Garmin's extension has them; `hdop` as the accuracy at 5 m each. All waypoints come
    before all tracks, as the schema has it."""
    yield GPX_HEAD.encode()
    with tempfile.SpooledTemporaryFile(max_size=MOST_IN_MEMORY) as waiting:
        for trip in trips:
            for number, stop in enumerate(trip.stops_made, 1):
                yield waypoint(trip.trip_id, number, stop).encode()
            for each in tracks(trip):
                waiting.write(each.encode())
        waiting.seek(0)
        while piece := waiting.read(PIECE):
            yield piece
    yield b"</gpx>\n"


def waypoint(trip_id: str, number: int, stop: StopMade) -> str:
    about = f"stood from {stamp(stop.since)} to {stamp(stop.until)}, {lasted_s(stop)} s"
    return (
        f"{located('wpt', stop.lat, stop.lon)}><time>{stamp(stop.since)}</time>"
        f"<name>{escape(f'{trip_id} stop {number}')}</name><desc>{about}</desc><type>stop</type></wpt>\n"
    )


def lasted_s(stop: StopMade) -> int:
    return round((stop.until - stop.since).total_seconds())


def tracks(trip: Exported) -> Iterator[str]:
    about = f"rider {trip.rider_id}, {trip.metres} m, {trip.stops} stops, {trip.idle_s} s idle"
    yield track(trip.trip_id, about, "recorded", [[gpx_point(point) for point in trip.points]])
    if trip.matched is not None and trip.matched.parts:
        parts = [[located("trkpt", lat, lon) + "/>" for lon, lat in part.line] for part in trip.matched.parts]
        about = f"{trip.matched.metres} m, by streets {trip.matched.matched_metres} m of them"
        yield track(trip.trip_id, about, "matched", parts)


def track(name: str, about: str, kind: str, segments: Iterable[Iterable[str]]) -> str:
    inside = "".join(f"<trkseg>\n{'\n'.join(segment)}\n</trkseg>\n" for segment in segments)
    return f"<trk><name>{escape(name)}</name><desc>{escape(about)}</desc><type>{kind}</type>\n{inside}</trk>\n"


def located(tag: str, lat: float, lon: float) -> str:
    return f"<{tag} lat={quoteattr(f'{lat:.6f}')} lon={quoteattr(f'{lon:.6f}')}"


def gpx_point(point: Point) -> str:
    told = f"{located('trkpt', point.lat, point.lon)}><time>{stamp(point.observed_at)}</time>"
    if point.accuracy_m is not None:
        told += f"<hdop>{point.accuracy_m / HDOP_M:.1f}</hdop>"
    extra = "" if point.speed_mps is None else f"<gpxtpx:speed>{point.speed_mps:.2f}</gpxtpx:speed>"
    extra += "" if point.bearing_deg is None else f"<gpxtpx:course>{point.bearing_deg % 360:.0f}</gpxtpx:course>"
    if extra:
        inner = f"<gpxtpx:TrackPointExtension>{extra}</gpxtpx:TrackPointExtension>"
        told += f"<extensions>{inner}</extensions>"
    return told + "</trkpt>"


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# GeoJSON


def geojson(trips: Iterable[Exported]) -> Iterator[bytes]:
    yield b'{"type":"FeatureCollection","features":['
    comma = b"\n"
    for trip in trips:
        for feature in features(trip):
            yield comma + msgspec.json.encode(feature)
            comma = b",\n"
    yield b"\n]}\n"


def features(trip: Exported) -> Iterator[Json]:
    properties = msgspec.to_builtins(trip)
    told = properties.pop("matched", None)
    properties.pop("stops_made", None)
    properties["points"] = {
        name: [getattr(point, name) for point in trip.points] for name in POINT if name not in ("lat", "lon")
    }
    yield {
        "type": "Feature",
        "id": trip.trip_id,
        "geometry": line([(point.lon, point.lat) for point in trip.points]),
        "properties": {**properties, "line": "recorded"},
    }
    yield from (stop_feature(trip.trip_id, number, stop) for number, stop in enumerate(trip.stops_made, 1))
    if trip.matched is None:
        return
    yield {
        "type": "Feature",
        "id": f"{trip.trip_id}/matched",
        "geometry": {"type": "MultiLineString", "coordinates": [part.line for part in trip.matched.parts]}
        if trip.matched.parts
        else None,
        "properties": {"trip_id": trip.trip_id, "line": "matched"}
        | {name: told[name] for name in ("status", "why", "metres", "matched_metres")}
        | {"confidences": [part.confidence for part in trip.matched.parts]},
    }


def stop_feature(trip_id: str, number: int, stop: StopMade) -> Json:
    return {
        "type": "Feature",
        "id": f"{trip_id}/stop-{number}",
        "geometry": {"type": "Point", "coordinates": (stop.lon, stop.lat)},
        "properties": {
            "trip_id": trip_id,
            "kind": "stop",
            "arrived_at": stop.since,
            "left_at": stop.until,
            "stood_s": lasted_s(stop),
        },
    }


def line(places: list[tuple[float, float]]) -> Json:
    """A line has two places at least (RFC 7946, section 3.1.4)."""
    if len(places) == 1:
        return {"type": "Point", "coordinates": places[0]}
    return {"type": "LineString", "coordinates": places}


# Rows

POINT = Point.__struct_fields__
WHOSE = ("trip_id", "rider_id", "device_id", "vehicle_id")
COLUMNS = (*WHOSE, "line", "part", *POINT, "confidence")


def rows(trip: Exported) -> Iterator[Row]:
    """The fixes, and then the places of the line on streets, which have no time."""
    whose = tuple(getattr(trip, name) for name in WHOSE)
    for point in trip.points:
        yield (*whose, "recorded", 0, *(getattr(point, name) for name in POINT), None)
    for number, part in enumerate([] if trip.matched is None else trip.matched.parts, 1):
        yield from ((*whose, "matched", number, *told, part.confidence) for told in places_of(part))


def places_of(part: Part) -> Iterator[Row]:
    for lon, lat in part.line:
        known: Mapping[str, float] = {"lat": lat, "lon": lon}
        yield tuple(known.get(name) for name in POINT)


def table(trips: Iterable[Exported]) -> Iterator[bytes]:
    yield lines_of([COLUMNS])
    for trip in trips:
        yield lines_of([as_text(row) for row in rows(trip)])


def lines_of(told: Iterable[Row]) -> bytes:
    kept = io.StringIO(newline="")
    csv.writer(kept).writerows(told)
    return kept.getvalue().encode()


def as_text(row: Row) -> Row:
    return tuple(stamp(value) if isinstance(value, datetime) else value for value in row)


def parquet(trips: Iterable[Exported]) -> Iterator[bytes]:
    """`observed_at` is a timestamp in milliseconds, UTC. A row group for each trip is not made: readers like few."""
    from arro3.core import Array, DataType, Table
    from arro3.io import write_parquet

    text, number = DataType.string(), DataType.float64()
    kinds = dict.fromkeys(COLUMNS, number) | dict.fromkeys((*WHOSE, "line"), text) | {"part": DataType.int32()}
    kinds["observed_at"] = DataType.int64()
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for trip in trips:
        for row in rows(trip):
            for name, value in zip(COLUMNS, row, strict=True):
                columns[name].append(round(value.timestamp() * 1000) if isinstance(value, datetime) else value)
    arrays: dict[str, Any] = {name: Array(values, type=kinds[name]) for name, values in columns.items()}
    arrays["observed_at"] = arrays["observed_at"].cast(DataType.timestamp("ms", tz="UTC"))
    kept = io.BytesIO()
    write_parquet(Table.from_pydict(arrays), kept, compression="zstd(3)")
    yield kept.getvalue()


def json_lines(trips: Iterable[Exported]) -> Iterator[bytes]:
    for trip in trips:
        yield msgspec.json.encode(trip) + b"\n"


FORMATS = {
    "gpx": Format("application/gpx+xml", ".gpx", gpx),
    "geojson": Format("application/geo+json", ".geojson", geojson),
    "csv": Format("text/csv; charset=utf-8", ".csv", table),
    "parquet": Format("application/vnd.apache.parquet", ".parquet", parquet),
    "json": Format("application/json", ".jsonl", json_lines),
}
