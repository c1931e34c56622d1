"""What a recurrence brings next: computed as it is read, by the rule and the time zones of now."""

from itertools import islice
from typing import Any

import msgspec

from commands.recurrence_rule import local_time, occurrences, rule_of
from gateway.reading import Row
from schemas.recurrence import Occurrence
from schemas.zones import zone_of

SHOWN = 5


def with_upcoming(body: dict[str, Any], row: Row) -> dict[str, Any]:
    """Nothing comes of one that is paused, until it is resumed."""
    return body | {"upcoming": upcoming(row) if row["status"] == "active" else []}


def upcoming(row: Row) -> list[Any]:
    following = row["next"]
    coming = occurrences(
        rule_of(row["rule"]), zone_of(row["zone"]), local_time(following["local"]), following["number"]
    )
    wanted = (each for each in coming if each.local not in row["skips"])
    return [msgspec.to_builtins(each) for each in islice(wanted, SHOWN)]


UPCOMING: dict[str, Any] = {
    "upcoming": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "number": {"type": "integer"},
                "local": {"type": "string"},
                "at": {"type": "string", "format": "date-time"},
                "tzdata": {"type": "string"},
            },
        },
        "description": f"The next {SHOWN} occurrences of one that is active.",
    }
}
assert set(UPCOMING["upcoming"]["items"]["properties"]) == set(Occurrence.__struct_fields__)
