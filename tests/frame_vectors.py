"""The frames of docs/decoders/vectors.json, made by the project's own code: python -m tests.frame_vectors"""

import json
import sys
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from schemas import catalog
from schemas.catalog import nothing_personal
from schemas.fixes import MICRODEGREES, NOT_KNOWN_U8, NOT_KNOWN_U16, FixFrame, HeldFix, NewFix, fixes_of, frame_of

FILE = Path(__file__).parents[1] / "docs" / "decoders" / "vectors.json"
ABOUT = (
    "Record values of logistics.fixes in Base64, and the fixes in them; those without fixes must be refused. The schema's "
    "id in each is 0: on the topic it is the registry's. Made by the project's own code (tests/frame_vectors.py)."
)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

type Json = dict[str, Any]


def value_of(frame: FixFrame) -> bytes:
    """As it stands on the topic, but for the schema's id."""
    return bytes(5) + catalog.write(frame, nothing_personal)[5:]


def fixes_told(frame: FixFrame) -> list[Json]:
    """A frame's fixes as the decoders tell them."""
    fixes = fixes_of(frame)
    columns = (
        fixes.device,
        fixes.at_ms,
        fixes.lat,
        fixes.lon,
        fixes.speed,
        fixes.bearing,
        fixes.accuracy,
        fixes.battery,
    )
    return [
        {
            "device_id": frame.devices[device],
            "rider_id": frame.riders[device] or None,
            "at_ms": at_ms,
            "lat": lat / MICRODEGREES,
            "lon": lon / MICRODEGREES,
            "speed_mps": None if speed == NOT_KNOWN_U16 else speed / 100,
            "bearing_deg": None if bearing == NOT_KNOWN_U8 else bearing * 2,
            "accuracy_m": None if accuracy == NOT_KNOWN_U8 else accuracy,
            "battery_pct": None if battery == NOT_KNOWN_U8 else battery,
            "mock": bool(flags),
        }
        for device, at_ms, lat, lon, speed, bearing, accuracy, battery, flags in zip(
            *(column.tolist() for column in (*columns, fixes.flags)), strict=True
        )
    ]


def fix(ms: int, lat: float, lon: float, **more: Any) -> NewFix:
    return NewFix(observed_at=NOON + timedelta(milliseconds=ms), lat=lat, lon=lon, **more)


def frames() -> dict[str, FixFrame]:
    full: dict[str, Any] = {"speed_mps": 12.34, "bearing_deg": 270.0, "accuracy_m": 5.0, "battery_pct": 80.0}
    return {
        "one fix of which nothing else is known": frame_of([HeldFix("phone", "ann", fix(0, 60.17, 24.94))], NOON),
        "all that there is to know": frame_of([HeldFix("phone", "ann", fix(123, -33.8568, 151.2153, **full))], NOON),
        "two devices, one of which nobody held": frame_of(
            [
                HeldFix("phone", "ann", fix(0, 60.17, 24.94, **full)),
                HeldFix("stray", "", fix(65_000, 60.18, 24.95)),
                HeldFix("phone", "ann", fix(65_000, 60.19, 24.96, **full)),
            ],
            NOON,
        ),
        "one that an app has set": frame_of(
            [HeldFix("phone", "ann", fix(0, 60.17, 24.94)), HeldFix("phone", "ann", fix(1, 60.17, 24.94, mock=True))],
            NOON,
        ),
        "as far as numbers go": frame_of(
            [
                HeldFix(
                    "phone",
                    "ann",
                    fix(0, 90.0, -180.0, speed_mps=1e9, bearing_deg=359.0, accuracy_m=1e9, battery_pct=100.0),
                ),
                HeldFix(
                    "phone",
                    "ann",
                    fix(1, -90.0, 180.0, speed_mps=0.0, bearing_deg=0.0, accuracy_m=0.0, battery_pct=0.0),
                ),
            ],
            NOON,
        ),
        "names beyond ASCII": frame_of([HeldFix("Käpylä-📱", "äiti", fix(0, 60.17, 24.94))], NOON),
        "before 1970": frame_of(
            [HeldFix("phone", "ann", NewFix(observed_at=datetime(1969, 12, 31, tzinfo=UTC), lat=0.5, lon=0.5))], NOON
        ),
    }


def refused() -> dict[str, bytes]:
    one = frames()["one fix of which nothing else is known"]
    return {
        "of another layout": value_of(replace(one, layout=2)),
        "a column that is too short": value_of(replace(one, lat=one.lat[:3])),
        "a device that it does not name": value_of(replace(one, device=b"\x01\x00\x00\x00")),
        "more devices than riders": value_of(replace(one, riders=[])),
        "cut off": value_of(one)[:-3],
        "no record": b"",
        "without framing": b"\x01" + value_of(one)[1:],
    }


def vectors() -> str:
    read = [
        {"name": name, "value": b64encode(value_of(frame)).decode(), "fixes": fixes_told(frame)}
        for name, frame in frames().items()
    ]
    wrong = [{"name": name, "value": b64encode(value).decode()} for name, value in refused().items()]
    return json.dumps({"about": ABOUT, "frames": [*read, *wrong]}, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(vectors())
    sys.stdout.write(f"{FILE.name}\n")
