"""Whether an SLA policy holds: told as it is read, by the others that this door knows."""

from datetime import datetime
from typing import Any

import msgspec

from commands.context import TenantPolicy
from commands.sla_choice import oldest
from gateway.reading import Row
from schemas.message import SlaPolicyId
from schemas.sla_policy import SlaScope


def in_force(row: Row, known: TenantPolicy | None) -> bool:
    """Of two that were created at one moment for one scope the older holds."""
    if row["removed"] or known is None:
        return False
    scope = msgspec.convert(row["applies_to"], SlaScope)
    own: tuple[datetime, SlaPolicyId] = (row["created_at"], SlaPolicyId(row["sla_policy_id"]))
    first = oldest(known.sla_policies.values(), scope)
    return first is None or own <= (first.created_at, first.policy_id)


IN_FORCE: dict[str, Any] = {
    "in_force": {
        "type": "boolean",
        "description": "It is not removed, and of two that were created at one moment for one scope it is the older.",
    }
}
