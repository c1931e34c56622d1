"""What a caller may ask of one aggregate as it is now, and which rule forbids the rest.

It is told from the aggregate's state by name. What lies within a command, such as a stop that is over, is judged when
it is sent.
"""

from collections.abc import Mapping
from typing import Any

from commands.aggregates import AGGREGATES
from gateway.commands import OPEN
from gateway.tokens import Caller

type Row = Mapping[str, Any]


def permitted(kind: str, aggregate_id: str, row: Row, caller: Caller) -> dict[str, Any]:
    """`allowed_commands` as they stand behind `/v1/{tenant}/`; `forbidden_commands` by their word, with the rule."""
    life, status = AGGREGATES[kind].life, status_in(kind, row)
    allowed: list[str] = []
    forbidden: dict[str, dict[str, Any]] = {}
    for known in OPEN:
        if known.kind != kind or known.creating:
            continue
        if caller.role not in known.roles:
            forbidden[known.word] = {"rule": "forbidden", "allowed": sorted(known.roles)}
        elif known.cls in life.only_for and row["kind"] != (kind_needed := life.only_for[known.cls]):
            forbidden[known.word] = {"rule": "not-for-this-kind", "needed": [kind_needed], "actual": row["kind"]}
        elif status not in life.takes[known.cls]:
            needed = sorted(life.takes[known.cls])
            forbidden[known.word] = {"rule": "not-in-this-state", "needed": needed, "actual": status}
        else:
            allowed.append(f"{known.plural}/{aggregate_id}/{known.word}")
    return {"allowed_commands": allowed, "forbidden_commands": forbidden}


def status_in(kind: str, row: Row) -> str:
    """As the aggregate's life names it."""
    match kind:
        case "task" | "tender":
            status: str = row["state"]
            return status
        case "outlet":
            return "created"
        case "hub":
            return "closed" if row["closed"] else "open"
        case "sla_policy":
            return "removed" if row["removed"] else "in_force"
        case "geofence":
            return "present" if row["valid_until"] is None else "removed"
        case _:
            told: str = row["status"]
            return told
