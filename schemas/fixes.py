"""Fixes: where a device was, and when. On the log they stand in frames: many of one tenant and partition, in columns.

The columns are a public contract (layout 1): little-endian, one entry a fix, sorted by device.

| column      | type | unit                     | not known |
|-------------|------|--------------------------|-----------|
| `device`    | u32  | place in `devices`       |           |
| `offset_ms` | u16  | milliseconds after base  |           |
| `lat`, `lon`| i32  | 1e-6 degrees, WGS 84     |           |
| `speed`     | u16  | cm/s                     | 65535     |
| `bearing`   | u8   | 2 degrees                | 255       |
| `accuracy`  | u8   | metres, 254 or more: 254 | 255       |
| `battery`   | u8   | per cent                 | 255       |
| `flags`     | u8   | 1: a mock location       |           |

`flags` is empty where no fix has any.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt

from schemas.message import Event, Id, Input, Moment

LAYOUT = 1
MAX_FRAME = 500
"""Fixes in a frame."""
MAX_BATCH = 500
"""Fixes in a request."""
SPAN_MS = 65_000
"""A fix further than this from the base starts another frame."""

NOT_KNOWN_U16 = 0xFFFF
NOT_KNOWN_U8 = 0xFF
MOCK = 1
MICRODEGREES = 1_000_000
MAX_MICRODEGREES = 2**31 - 1
"""A latitude of 2,147 degrees can be told, and is put aside as invalid; what is further off is cut to it."""

type Column = npt.NDArray[np.int64]


class NewFix(Input, frozen=True, kw_only=True):
    """A place or a time that is out of range is taken and put aside with its reason. A number that no fix has, such as
    a speed of -1, refuses the batch, with a pointer to each of them: what is not known is left out."""

    observed_at: Moment
    lat: float
    lon: float
    accuracy_m: Annotated[float, msgspec.Meta(ge=0)] | None = None
    speed_mps: Annotated[float, msgspec.Meta(ge=0)] | None = None
    bearing_deg: Annotated[float, msgspec.Meta(ge=0, le=360)] | None = None
    battery_pct: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None
    mock: bool = False
    """The phone itself says that the place was set by an app, as Android tells it of mock locations."""


class FixBatch(Input, frozen=True, kw_only=True):
    """A device's fixes, in any order."""

    device_id: Id
    fixes: Annotated[list[NewFix], msgspec.Meta(min_length=1, max_length=MAX_BATCH)]


class HeldFix(msgspec.Struct, frozen=True):
    """A fix and who held its device then; an empty rider where nobody did."""

    device_id: str
    rider_id: str
    fix: NewFix


class FixFrame(Event, frozen=True, kw_only=True):
    """`devices` and `riders` go together: the devices of this frame and who held each; "" where nobody did."""

    layout: int
    count: int
    base_time: datetime
    received_at: datetime
    devices: list[str]
    riders: list[str]
    device: bytes
    offset_ms: bytes
    lat: bytes
    lon: bytes
    speed: bytes
    bearing: bytes
    accuracy: bytes
    battery: bytes
    flags: bytes = b""


class Fixes(msgspec.Struct, frozen=True):
    """A frame's columns as numbers: `at_ms` in Unix time, the others as on the log."""

    frame: FixFrame
    device: Column
    at_ms: Column
    lat: Column
    lon: Column
    speed: Column
    bearing: Column
    accuracy: Column
    battery: Column
    flags: Column


def frames_of(held: list[HeldFix], received_at: datetime) -> list[FixFrame]:
    """As few frames as hold them all, in order of time; one frame's fixes in order of device and time."""
    frames: list[list[HeldFix]] = []
    for each in sorted(held, key=lambda each: each.fix.observed_at):
        if not frames or len(frames[-1]) == MAX_FRAME or too_far(frames[-1][0], each):
            frames.append([])
        frames[-1].append(each)
    return [frame_of(each, received_at) for each in frames]


def too_far(base: HeldFix, other: HeldFix) -> bool:
    return other.fix.observed_at - base.fix.observed_at > timedelta(milliseconds=SPAN_MS)


def frame_of(held: list[HeldFix], received_at: datetime) -> FixFrame:
    """`held` in order of time, within the span."""
    base = floored(held[0].fix.observed_at)
    holders = sorted({(each.device_id, each.rider_id) for each in held})
    place = {holder: index for index, holder in enumerate(holders)}
    rows = sorted(held, key=lambda each: (place[each.device_id, each.rider_id], each.fix.observed_at))
    fixes = [each.fix for each in rows]
    return FixFrame(
        layout=LAYOUT,
        count=len(rows),
        base_time=base,
        received_at=received_at,
        devices=[device for device, _ in holders],
        riders=[rider for _, rider in holders],
        device=packed("<u4", [place[each.device_id, each.rider_id] for each in rows]),
        offset_ms=packed("<u2", [(fix.observed_at - base) // timedelta(milliseconds=1) for fix in fixes]),
        lat=packed("<i4", [microdegrees(fix.lat) for fix in fixes]),
        lon=packed("<i4", [microdegrees(fix.lon) for fix in fixes]),
        speed=packed("<u2", [scaled(fix.speed_mps, 100, NOT_KNOWN_U16) for fix in fixes]),
        bearing=packed("<u1", [scaled(turned(fix.bearing_deg), 0.5, NOT_KNOWN_U8) for fix in fixes]),
        accuracy=packed("<u1", [scaled(fix.accuracy_m, 1, NOT_KNOWN_U8) for fix in fixes]),
        battery=packed("<u1", [scaled(fix.battery_pct, 1, NOT_KNOWN_U8) for fix in fixes]),
        flags=packed("<u1", [MOCK if fix.mock else 0 for fix in fixes]) if any(fix.mock for fix in fixes) else b"",
    )


def floored(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(microsecond=at.microsecond // 1000 * 1000)


def packed(dtype: str, values: list[int]) -> bytes:
    return np.array(values, dtype=np.int64).astype(dtype).tobytes()


def microdegrees(degrees: float) -> int:
    return round(max(-MAX_MICRODEGREES, min(MAX_MICRODEGREES, degrees * MICRODEGREES)))


def turned(degrees: float | None) -> float | None:
    return None if degrees is None else degrees % 360


def scaled(value: float | None, factor: float, not_known: int) -> int:
    """The largest number before `not_known` stands for everything beyond it."""
    return not_known if value is None else round(min(value * factor, not_known - 1))


def fixes_of(frame: FixFrame) -> Fixes:
    """Raises ValueError for columns that do not hold together."""
    if frame.layout != LAYOUT:
        raise ValueError(f"frames of layout {frame.layout} are not known here")
    if len(frame.devices) != len(frame.riders):
        raise ValueError(f"{len(frame.devices)} devices and {len(frame.riders)} riders")
    device = column(frame, "device", "<u4")
    if frame.count and (len(frame.devices) == 0 or int(device.max()) >= len(frame.devices)):
        raise ValueError("a fix is of a device that the frame does not name")
    base_ms = round(frame.base_time.timestamp() * 1000)
    return Fixes(
        frame=frame,
        device=device,
        at_ms=column(frame, "offset_ms", "<u2") + base_ms,
        lat=column(frame, "lat", "<i4"),
        lon=column(frame, "lon", "<i4"),
        speed=column(frame, "speed", "<u2"),
        bearing=column(frame, "bearing", "<u1"),
        accuracy=column(frame, "accuracy", "<u1"),
        battery=column(frame, "battery", "<u1"),
        flags=column(frame, "flags", "<u1") if frame.flags else np.zeros(frame.count, np.int64),
    )


def column(frame: FixFrame, name: str, dtype: str) -> Column:
    values = np.frombuffer(getattr(frame, name), dtype)
    if len(values) != frame.count:
        raise ValueError(f"column {name} has {len(values)} entries for {frame.count} fixes")
    return values.astype(np.int64)
