"""What phone trackers tell by the OsmAnd protocol: one place in a query or a form, or Traccar Client's JSON.

Unknown names are passed over: trackers tell of much else. A value that a device has not measured, such as a speed of
-1, is not known. Sources: https://www.traccar.org/osmand and Traccar's own decoder, by which speeds are knots in a
query and metres a second in JSON.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from math import isfinite
from urllib.parse import parse_qsl

import msgspec

from gateway.parameters import ID
from gateway.problems import FieldError, Problem
from gateway.validation import decoded, in_range, invalid
from schemas.fixes import FixBatch, NewFix

KNOT_MPS = 1852 / 3600
HDOP_M = 5.0
"""Metres of error for each unit of dilution: about what a phone's receiver has by itself."""
SECONDS_BELOW = 2**31 - 1
"""A larger Unix time is in milliseconds, as Traccar reads it."""
MAX_PARAMETERS = 200
WHOLE = re.compile(r"-?\d{1,15}", re.ASCII)
NO = ("false", "0")

type Told = tuple[str, NewFix | None]
"""A device and where it is; None where it only says that it lives."""


class Coords(msgspec.Struct):
    latitude: float
    longitude: float
    accuracy: float | None = None
    speed: float | None = None
    heading: float | None = None


class Battery(msgspec.Struct):
    level: float | None = None


class PhoneLocation(msgspec.Struct):
    """`mock`: the place was set by an app."""

    timestamp: str | int | None = None
    coords: Coords | None = None
    battery: Battery | None = None
    mock: bool = False


class PhoneMessage(msgspec.Struct):
    """Traccar Client's, from version 9 on."""

    device_id: str
    location: PhoneLocation


decoder = msgspec.json.Decoder(PhoneMessage)


def batch_of(told: Told) -> FixBatch | None:
    device_id, fix = told
    return None if fix is None else FixBatch(device_id=device_id, fixes=[fix])


# A query or a form


def parameters_in(*words: str) -> dict[str, str]:
    """Of what is given twice the last. Raises Problem."""
    try:
        return dict(pair for each in words for pair in parse_qsl(each, True, max_num_fields=MAX_PARAMETERS))
    except ValueError as many:
        raise Problem("invalid-parameter", f"at most {MAX_PARAMETERS} parameters are allowed") from many


def told_by(given: Mapping[str, str], now: datetime) -> Told:
    """Raises Problem: invalid-parameter with all its errors."""
    read = Reading(given)
    device_id = read.needed("id", "deviceid", parse=device)
    place = read.one("location", parse=pair) if "location" in given else None
    lat, lon = place or (read.one("lat", parse=degrees), read.one("lon", parse=degrees))
    at = read.one("timestamp", parse=moment) or now
    accuracy, hdop = read.one("accuracy", parse=number), read.one("hdop", parse=number)
    speed_mps, knots = read.one("speed_mps", parse=number), read.one("speed", parse=number)
    bearing, battery = read.one("bearing", "heading", parse=number), read.one("batt", parse=number)
    valid = given.get("valid", "true").lower() not in NO
    if (lat is None) != (lon is None) and not read.errors:
        read.errors.append(FieldError("lat" if lat is None else "lon", "is required beside the other"))
    if read.errors:
        raise Problem("invalid-parameter", "the parameters are not valid", errors=read.errors)
    if lat is None or lon is None or not valid:
        return device_id, None
    if accuracy is None and hdop:
        accuracy = hdop * HDOP_M
    if speed_mps is None and knots is not None:
        speed_mps = knots * KNOT_MPS
    return device_id, fix_of(at, lat, lon, accuracy, speed_mps, bearing, battery)


class Reading:
    """Parameters by name; what is wrong is gathered."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given
        self.errors: list[FieldError] = []

    def one[T](self, *names: str, parse: Callable[[str], T]) -> T | None:
        """Of several names for one thing the first that is given."""
        name = next((each for each in names if self._given.get(each)), None)
        if name is None:
            return None
        try:
            return parse(self._given[name])
        except ValueError as wrong:
            self.errors.append(FieldError(name, str(wrong)))
            return None

    def needed(self, *names: str, parse: Callable[[str], str]) -> str:
        found = self.one(*names, parse=parse)
        if found is None and not self.errors:
            self.errors.append(FieldError(names[0], "is required"))
        return found or ""


def device(value: str) -> str:
    if not ID.fullmatch(value):
        raise ValueError("must be up to 80 letters, digits and . _ : -, the first a letter or a digit")
    return value


def number(value: str) -> float:
    try:
        return float(value)
    except ValueError as wrong:
        raise ValueError("must be a number") from wrong


def degrees(value: str) -> float:
    found = number(value)
    if not isfinite(found):
        raise ValueError("must be a number of degrees")
    return found


def pair(value: str) -> tuple[float, float]:
    lat, comma, lon = value.partition(",")
    if not comma:
        raise ValueError("must be latitude,longitude")
    return degrees(lat), degrees(lon)


def moment(value: str | int) -> datetime:
    """Unix seconds or milliseconds, ISO 8601 or `YYYY-MM-DD HH:MM:SS`; UTC where it does not say. Raises ValueError."""
    try:
        at = unix(int(value)) if isinstance(value, int) or WHOLE.fullmatch(value) else datetime.fromisoformat(value)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        if in_range(at):
            return at
    except (ValueError, OverflowError):
        pass
    raise ValueError("must be Unix seconds or milliseconds, or a time as 2026-03-01T12:00:00Z, of these two centuries")


def unix(value: int) -> datetime:
    seconds = timedelta(seconds=value) if value < SECONDS_BELOW else timedelta(milliseconds=value)
    return datetime.fromtimestamp(0, UTC) + seconds


# JSON


def told_in(body: bytes, now: datetime) -> Told:
    """Raises Problem: malformed-json, invalid-body."""
    message = decoded(decoder, PhoneMessage, body)
    location = message.location
    try:
        device_id = device(message.device_id)
    except ValueError as wrong:
        raise invalid([FieldError("/device_id", str(wrong))]) from wrong
    try:
        at = now if location.timestamp is None else moment(location.timestamp)
    except ValueError as wrong:
        raise invalid([FieldError("/location/timestamp", str(wrong))]) from wrong
    coords = location.coords
    if coords is None:
        return device_id, None
    level = None if location.battery is None else location.battery.level
    battery = None if level is None else level * 100
    fix = fix_of(
        at,
        coords.latitude,
        coords.longitude,
        coords.accuracy,
        coords.speed,
        coords.heading,
        battery,
        mock=location.mock,
    )
    return device_id, fix


def fix_of(
    at: datetime,
    lat: float,
    lon: float,
    accuracy_m: float | None,
    speed_mps: float | None,
    bearing_deg: float | None,
    battery_pct: float | None,
    *,
    mock: bool = False,
) -> NewFix:
    """What lies out of its range was not measured."""
    return NewFix(
        observed_at=at,
        lat=lat,
        lon=lon,
        accuracy_m=within(accuracy_m),
        speed_mps=within(speed_mps),
        bearing_deg=within(bearing_deg, 360),
        battery_pct=within(battery_pct, 100),
        mock=mock,
    )


def within(value: float | None, most: float = float("inf")) -> float | None:
    return value if value is not None and isfinite(value) and 0 <= value <= most else None
