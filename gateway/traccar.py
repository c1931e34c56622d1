"""What a Traccar server forwards (`forward.type=json`): one position of one of its devices, speeds in knots.

Source: Traccar's PositionForwarderJson and its model of a position. What else it tells is passed over.
"""

from datetime import datetime

import msgspec

from gateway.osmand import KNOT_MPS, Told, device, fix_of, moment
from gateway.problems import FieldError
from gateway.validation import decoded, invalid

type Time = str | int | None


class Attributes(msgspec.Struct, rename="camel"):
    battery_level: float | None = None


class Position(msgspec.Struct, rename="camel"):
    """One that is not `valid`, or `outdated`, is the last one told again. An `accuracy` of 0 was not measured."""

    latitude: float
    longitude: float
    fix_time: Time = None
    device_time: Time = None
    valid: bool = True
    outdated: bool = False
    speed: float | None = None
    course: float | None = None
    accuracy: float | None = None
    attributes: Attributes | None = None


class TraccarDevice(msgspec.Struct, rename="camel"):
    unique_id: str


class Forwarded(msgspec.Struct):
    position: Position
    device: TraccarDevice


decoder = msgspec.json.Decoder(Forwarded)


def forwarded(body: bytes, now: datetime) -> Told:
    """Raises Problem: malformed-json, invalid-body."""
    message = decoded(decoder, Forwarded, body)
    told = message.position
    errors: list[FieldError] = []
    device_id, at = "", now
    try:
        device_id = device(message.device.unique_id)
    except ValueError as wrong:
        errors.append(FieldError("/device/uniqueId", str(wrong)))
    name, given = ("deviceTime", told.device_time) if told.fix_time is None else ("fixTime", told.fix_time)
    try:
        at = now if given is None else moment(given)
    except ValueError as wrong:
        errors.append(FieldError(f"/position/{name}", str(wrong)))
    if errors:
        raise invalid(errors)
    if not told.valid or told.outdated:
        return device_id, None
    speed_mps = None if told.speed is None else told.speed * KNOT_MPS
    battery = None if told.attributes is None else told.attributes.battery_level
    fix = fix_of(at, told.latitude, told.longitude, told.accuracy or None, speed_mps, told.course, battery)
    return device_id, fix
