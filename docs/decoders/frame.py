"""Frames of fixes: read as they stand on the topic `logistics.fixes`, and made for `POST /v1/{tenant}/fixes/frames`.

No dependencies. A fix is {device_id, rider_id, at_ms, lat, lon, speed_mps, bearing_deg, accuracy_m, battery_pct, mock};
what is not known is None, as the rider of a device that nobody held.
"""

import json
import math
import struct
import sys
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

MOST_FIXES, SPAN_MS = 500, 65_000
COLUMNS = {
    "device": "I",
    "offset_ms": "H",
    "lat": "i",
    "lon": "i",
    "speed": "H",
    "bearing": "B",
    "accuracy": "B",
    "battery": "B",
    "flags": "B",
}
"""In the order of the Avro record, little-endian."""

type Fix = dict[str, Any]


class Avro:
    """As much of Avro's binary encoding as a frame needs. Raises ValueError, IndexError where it is cut off."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def long(self) -> int:
        value = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return (value >> 1) ^ -(value & 1)
            shift += 7

    def bytes(self) -> bytes:
        length = self.long()
        if not 0 <= length <= len(self.data) - self.at:
            raise ValueError("the value is cut off")
        self.at += length
        return self.data[self.at - length : self.at]

    def strings(self) -> list[str]:
        found: list[str] = []
        while count := self.long():
            if count < 0:  # a block that tells its size, too
                self.long()
            found += [self.bytes().decode() for _ in range(abs(count))]
        return found


def decode_frame(value: bytes) -> list[Fix]:
    """Of a record's value: a zero, the schema's id (4 bytes), and the record. Raises ValueError, IndexError."""
    if len(value) < 5 or value[0]:
        raise ValueError("the value is not in Confluent framing")
    avro = Avro(value[5:])
    layout, count, base_us, _received_us = (avro.long() for _ in range(4))
    if layout != 1:
        raise ValueError(f"layout {layout} is not known")
    devices, riders = avro.strings(), avro.strings()
    if len(devices) != len(riders):
        raise ValueError(f"{len(devices)} devices and {len(riders)} riders")
    columns = {name: column(name, avro.bytes(), count) for name in COLUMNS}
    if any(device >= len(devices) for device in columns["device"]):
        raise ValueError("a fix is of a device that the frame does not name")
    return [
        {
            "device_id": devices[device],
            "rider_id": riders[device] or None,
            "at_ms": base_us // 1000 + offset_ms,
            "lat": lat / 1e6,
            "lon": lon / 1e6,
            "speed_mps": None if speed == 0xFFFF else speed / 100,
            "bearing_deg": None if bearing == 0xFF else bearing * 2,
            "accuracy_m": None if accuracy == 0xFF else accuracy,
            "battery_pct": None if battery == 0xFF else battery,
            "mock": bool(flags & 1),
        }
        for device, offset_ms, lat, lon, speed, bearing, accuracy, battery, flags in zip(*columns.values(), strict=True)
    ]


def column(name: str, packed: bytes, count: int) -> tuple[int, ...]:
    if name == "flags" and not packed:
        return (0,) * count
    if len(packed) != count * struct.calcsize(COLUMNS[name]):
        raise ValueError(f"column {name} has {len(packed)} bytes for {count} fixes")
    return struct.unpack(f"<{count}{COLUMNS[name]}", packed)


def encode_frame(fixes: list[Fix]) -> dict[str, Any]:
    """The body of `POST /v1/{tenant}/fixes/frames`; what a fix leaves out is not known. Raises ValueError for what does
    not fit into one frame."""
    times = [fix["at_ms"] for fix in fixes]
    if not 0 < len(fixes) <= MOST_FIXES or max(times) - min(times) > SPAN_MS:
        raise ValueError(f"a frame has 1 to {MOST_FIXES} fixes of {SPAN_MS} ms")
    devices = sorted({fix["device_id"] for fix in fixes})
    rows = [
        (
            devices.index(fix["device_id"]),
            fix["at_ms"] - min(times),
            rounded(fix["lat"] * 1e6),
            rounded(fix["lon"] * 1e6),
            scaled(fix.get("speed_mps"), 100, 0xFFFE, 0xFFFF),
            scaled(turned(fix.get("bearing_deg")), 0.5, 180, 0xFF),
            scaled(fix.get("accuracy_m"), 1, 254, 0xFF),
            scaled(fix.get("battery_pct"), 1, 100, 0xFF),
            int(fix.get("mock", False)),
        )
        for fix in fixes
    ]
    packed = {
        name: b64encode(struct.pack(f"<{len(rows)}{kind}", *values)).decode()
        for (name, kind), values in zip(COLUMNS.items(), zip(*rows, strict=True), strict=True)
    }
    base = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=min(times))
    base_time = base.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"count": len(rows), "base_time": base_time, "devices": devices} | packed


def turned(degrees: float | None) -> float | None:
    return None if degrees is None else degrees % 360


def rounded(value: float) -> int:
    return math.floor(value + 0.5)


def scaled(value: float | None, factor: float, most: int, not_known: int) -> int:
    return not_known if value is None else min(most, rounded(value * factor))


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Of {"decode": Base64} or {"encode": [fix, …]}."""
    try:
        if "decode" in asked:
            return {"fixes": decode_frame(b64decode(asked["decode"]))}
        return {"frame": encode_frame(asked["encode"])}
    except (ValueError, IndexError) as wrong:
        return {"error": str(wrong)}


def answer_line(number: int, line: str) -> tuple[dict[str, Any], bool]:
    """And whether the line asks for something: else the error names it."""
    try:
        asked = json.loads(line)
        if not isinstance(asked, dict) or not asked.keys() & {"decode", "encode"}:
            raise ValueError('{"decode": "…"} or {"encode": […]} is needed')
        return answer(asked), True
    except (ValueError, TypeError, KeyError, AttributeError) as wrong:
        return {"error": f"line {number}: {wrong}"}, False


def main() -> int:
    """The exit code: whether all lines asked for something. A bad one ends nothing."""
    code = 0
    for number, line in enumerate(sys.stdin, start=1):
        told, asks = answer_line(number, line)
        print(json.dumps(told))
        code = code if asks else 1
    return code


if __name__ == "__main__":
    sys.exit(main())
