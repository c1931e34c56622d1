"""Places on earth: WGS 84 degrees, metres, seconds."""

from math import asin, cos, radians, sin, sqrt
from typing import Annotated

import msgspec

from schemas.message import Input, Moment, Record

EARTH_RADIUS_M = 6_371_008.8
"""Mean radius of the WGS 84 ellipsoid (IUGG R1)."""

Lat = Annotated[float, msgspec.Meta(ge=-90, le=90)]
Lon = Annotated[float, msgspec.Meta(ge=-180, le=180)]

PostalCode = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{2}-[A-Z0-9][A-Z0-9 -]{0,9}$")]
"""The country's code (ISO 3166-1 alpha-2), then its postal code: `FI-00180`. Spaces and hyphens in it do not count."""

Zone = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class Location(Input, frozen=True, kw_only=True):
    """A point, in degrees."""

    lat: Lat
    lon: Lon


class ObservedFix(Input, frozen=True, kw_only=True):
    """A device's claim of where it was, and when; without `accuracy_m` it does not say how sure it is."""

    lat: Lat
    lon: Lon
    accuracy_m: Annotated[float, msgspec.Meta(ge=0, le=100_000)] | None = None
    observed_at: Moment


class Window(Record, frozen=True, kw_only=True):
    """From `start` up to `end`, both UTC."""

    start: Moment
    end: Moment


def distance_m(a: Location | ObservedFix, b: Location | ObservedFix) -> float:
    """Great-circle metres (haversine; error against the ellipsoid below 0.6 %)."""
    lat_a, lat_b = radians(a.lat), radians(b.lat)
    half_lat, half_lon = (lat_b - lat_a) / 2, radians(b.lon - a.lon) / 2
    chord = sin(half_lat) ** 2 + cos(lat_a) * cos(lat_b) * sin(half_lon) ** 2
    return 2 * EARTH_RADIUS_M * asin(sqrt(min(1.0, chord)))
