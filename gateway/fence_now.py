"""A fence as it holds now, and apart from that what it is told to become: read by the tenant's clock."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from gateway.reading import Row
from projections.geofence_versions import MOST_UPCOMING

TOLD = ("shape", "dwell_s", "calendar", "valid_from")
"""What a version says of the fence."""


def as_it_holds(item: Row, versions: Sequence[Row], now: datetime) -> dict[str, Any]:
    """`versions` are those that hold now or later, in order of time. Of a fence that does not hold yet its first shape
    is shown, of one that does no more its last."""
    held = [version for version in versions if version["valid_from"] <= now]
    coming = [version for version in versions if version["valid_from"] > now]
    shown: Mapping[str, Any] = {name: each[name] for each in (*held, *coming)[:1] for name in TOLD}
    upcoming = [{name: version[name] for name in (*TOLD, "valid_until")} for version in coming]
    return {**item, **shown, "in_force": bool(held), "upcoming": upcoming}


FENCE_NOW: dict[str, Any] = {
    "in_force": {
        "type": "boolean",
        "description": "Shape, stay and calendar hold now, since `valid_from`; else the fence holds later, or no more.",
    },
    "upcoming": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "shape": {"type": "object"},
                "dwell_s": {"type": ["integer", "null"]},
                "calendar": {"type": ["object", "null"]},
                "valid_from": {"type": "string", "format": "date-time"},
                "valid_until": {"type": ["string", "null"], "format": "date-time"},
            },
        },
        "description": f"What is told for later, the next {MOST_UPCOMING}.",
    },
}
