"""A frame as a device gateway sends it: fixes of many devices in the log's columns (`schemas.fixes`), Base64 in JSON.

Who held which device is not the sender's to say: it is looked up for each fix. 500 fixes take about 12 KiB, as rows of
JSON 60.
"""

from datetime import timedelta
from typing import Annotated, Literal

import msgspec
import numpy as np

from gateway.problems import FieldError
from gateway.validation import decoded, invalid
from schemas.fixes import MAX_FRAME, MICRODEGREES, MOCK, NOT_KNOWN_U8, NOT_KNOWN_U16, Column, NewFix
from schemas.message import Id, Input, Moment

COLUMNS = {
    "device": "<u4",
    "offset_ms": "<u2",
    "lat": "<i4",
    "lon": "<i4",
    "speed": "<u2",
    "bearing": "<u1",
    "accuracy": "<u1",
    "battery": "<u1",
    "flags": "<u1",
}
NOT_KNOWN = {"speed": NOT_KNOWN_U16, "bearing": NOT_KNOWN_U8, "accuracy": NOT_KNOWN_U8, "battery": NOT_KNOWN_U8}
LEFT_OUT = NOT_KNOWN | {"flags": 0}
"""What stands for each fix where the whole column is left out."""
MOST = {"bearing": 180, "battery": 100, "flags": MOCK}


class NewFrame(Input, frozen=True, kw_only=True):
    """Little-endian columns of `count` entries each, in any order. `device` is the place in `devices`."""

    layout: Literal[1] = 1
    count: Annotated[int, msgspec.Meta(ge=1, le=MAX_FRAME)]
    base_time: Moment
    devices: Annotated[list[Id], msgspec.Meta(min_length=1, max_length=MAX_FRAME)]
    device: bytes
    offset_ms: bytes
    lat: bytes
    lon: bytes
    speed: bytes = b""
    bearing: bytes = b""
    accuracy: bytes = b""
    battery: bytes = b""
    flags: bytes = b""


decoder = msgspec.json.Decoder(NewFrame)


def fixes_in(body: bytes) -> list[tuple[str, NewFix]]:
    """Each with its device. Raises Problem: invalid-body with every column that does not hold together."""
    frame = decoded(decoder, NewFrame, body)
    errors: list[FieldError] = []
    columns: dict[str, Column] = {}
    for name in COLUMNS:
        try:
            columns[name] = column(frame, name)
        except ValueError as wrong:
            errors.append(FieldError(f"/{name}", str(wrong)))
    if errors:
        raise invalid(errors)
    rows = zip(*(columns[name].tolist() for name in COLUMNS), strict=True)
    return [(frame.devices[device], new_fix(frame, *told)) for device, *told in rows]


def column(frame: NewFrame, name: str) -> Column:
    """Raises ValueError."""
    packed: bytes = getattr(frame, name)
    if not packed and name in LEFT_OUT:
        return np.full(frame.count, LEFT_OUT[name], np.int64)
    dtype = np.dtype(COLUMNS[name])
    if len(packed) != frame.count * dtype.itemsize:
        needed = f"{frame.count} fixes of {dtype.itemsize} bytes each"
        raise ValueError(f"has {len(packed)} bytes, where {needed} take {frame.count * dtype.itemsize}")
    values: Column = np.frombuffer(packed, dtype).astype(np.int64)
    most = len(frame.devices) - 1 if name == "device" else MOST.get(name)
    if most is not None:
        wrong = np.flatnonzero((values > most) & (values != NOT_KNOWN.get(name, -1)))
        if len(wrong):
            raise ValueError(f"entry {wrong[0]} is {values[wrong[0]]}, and {most} is the most")
    return values


def new_fix(
    frame: NewFrame,
    offset_ms: int,
    lat: int,
    lon: int,
    speed: int,
    bearing: int,
    accuracy: int,
    battery: int,
    flags: int,
) -> NewFix:
    return NewFix(
        observed_at=frame.base_time + timedelta(milliseconds=offset_ms),
        lat=lat / MICRODEGREES,
        lon=lon / MICRODEGREES,
        speed_mps=None if speed == NOT_KNOWN_U16 else speed / 100,
        bearing_deg=None if bearing == NOT_KNOWN_U8 else bearing * 2.0,
        accuracy_m=None if accuracy == NOT_KNOWN_U8 else float(accuracy),
        battery_pct=None if battery == NOT_KNOWN_U8 else float(battery),
        mock=bool(flags & MOCK),
    )
