"""A fact as those outside read it: CloudEvents 1.0 in JSON, personal data left out."""

from collections.abc import Mapping
from typing import Any

from gateway.personal import subjects_only
from schemas.position import position

UNTOLD = frozenset({"pin_hash", "tracking_token_hash", "routing"})
"""Of no use outside, and not for guessing at. Whom a tenant asks for ways, and where its secrets stand, is read by
operators as the provider config."""


def cloud_event(row: Mapping[str, Any], cluster: str, live: bool) -> dict[str, Any]:
    """From a row of `history`; `live` stands there of a test tenant alone. Extension names are lower-case letters and
    digits (CloudEvents, section 3.1)."""
    event = {
        "specversion": "1.0",
        "id": row["event_id"],
        "source": f"/logistics/{cluster}/shard/{row['partition']}",
        "type": f"{row['topic']}.{row['type']}",
        "subject": row["aggregate_id"],
        "time": row["event_time"],
        "datacontenttype": "application/json",
        "recordedat": row["recorded_at"],
        "tenant": row["tenant"],
        "outlet": row["outlet"],
        "live": None if live else False,
        "aggregateversion": row["version"],
        "actor": row["actor"],
        "commandid": row["command_id"],
        "correlationid": row["correlation_id"],
        "causationid": row["causation_id"],
        "deviceid": row["device_id"],
        "devicesequence": row["device_sequence"],
        "topic": row["topic"],
        "position": position(row["topic"], row["partition"], row["offset"]),
        "hash": row["hash"],
        "data": told(subjects_only(row["body"])),
    }
    return {name: value for name, value in event.items() if value is not None}


def told(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: told(item) for name, item in value.items() if name not in UNTOLD}
    if isinstance(value, list):
        return [told(item) for item in value]
    return value
