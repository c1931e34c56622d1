"""What trackers send, described: their parameters and bodies, beside what OpenAPI says of every operation."""

from typing import Any

from gateway.device_links import LASTS_AT_MOST_S, LASTS_S
from gateway.osmand import HDOP_M

type Json = dict[str, Any]

SEND_FIXES = "Up to 500 fixes of one device."
IN_FRAME = "Up to 500 fixes of many devices at once."
ABOUT_FIXES = (
    "Accepted means on the log. Fixes off duty are dropped and counted; those of a device that nobody held are put "
    "aside."
)
BY_OSMAND = (
    "One place by the OsmAnd protocol, as phone trackers and Traccar Client send it. The answer is empty: 200 says "
    "that it stands on the log, or was dropped since the rider is off duty. So is a message without a place answered. "
    "`token` is the word of a device's link, for trackers that send no Authorization header."
)
BY_TRACCAR = (
    "One position as a Traccar server forwards it (`forward.type=json`), of any of the tenant's devices; its "
    "`device.uniqueId` is the device. The answer is empty. A position that is not `valid` is taken and tells nothing."
)
BY_FRAME = (
    "Up to 500 fixes of many devices in columns, as they stand on the log (docs/telemetry.md): little-endian, Base64. "
    "Each is looked up by who held its device then. Of a device that sends too much nothing is taken (`too_many`)."
)
DEVICE_LINK = (
    f"A URL for a tracker that sends no headers: worth this device's fixes and nothing else, for a year ({LASTS_S} s) "
    f"where nothing is said, at most {LASTS_AT_MOST_S} s."
)
NUMBER: Json = {"type": "number"}
OSMAND: dict[str, tuple[Json, str]] = {
    "id": ({"type": "string", "maxLength": 80}, "The device; or `deviceid`."),
    "lat": (NUMBER, "Degrees, WGS 84."),
    "lon": (NUMBER, "Degrees, WGS 84."),
    "location": ({"type": "string"}, "`lat,lon`, in place of the two."),
    "timestamp": (
        {"type": "string"},
        "Unix seconds or milliseconds, ISO 8601, or `YYYY-MM-DD HH:MM:SS` in UTC; now, where it is not there.",
    ),
    "valid": ({"type": "string"}, "`false` or `0`: the device does not know where it is."),
    "speed": (NUMBER, "Knots."),
    "speed_mps": (NUMBER, "Metres a second, in place of `speed`."),
    "bearing": (NUMBER, "Degrees; or `heading`."),
    "accuracy": (NUMBER, "Metres."),
    "hdop": (NUMBER, f"Dilution of precision, {HDOP_M:g} m each; where there is no `accuracy`."),
    "batt": (NUMBER, "Per cent."),
}
LINK: Json = {
    "name": "token",
    "in": "query",
    "description": "The word of a device's link, in place of the Authorization header.",
    "schema": {"type": "string", "maxLength": 2_000},
}


def osmand_parameters() -> list[Json]:
    return [
        LINK,
        *(
            {"name": name, "in": "query", "description": about, "schema": schema}
            for name, (schema, about) in OSMAND.items()
        ),
    ]


def osmand_form() -> Json:
    properties = {name: schema | {"description": about} for name, (schema, about) in OSMAND.items()}
    return {"application/x-www-form-urlencoded": {"schema": {"type": "object", "properties": properties}}}
