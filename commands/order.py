"""What is handed to a shard, and what comes back."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

import msgspec

from schemas.message import Command, Refused, Role, SubjectId, TenantSlug


class Order(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A command for one aggregate. `request_hash` tells whether a repeat asks for the same."""

    tenant: TenantSlug
    kind: str
    """task, rider, vehicle, tender, tenant, outlet or geofence: see `commands.aggregates`."""
    aggregate_id: str
    command: Command
    command_id: str
    request_hash: str
    actor: str
    role: Role
    natural: bool = False
    """The aggregate's id comes from the caller's own reference, not from an idempotency key."""
    expected_version: int | None = None
    correlation_id: str
    causation_id: str | None = None
    traceparent: str | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Everything in it is on the log. `position` is the place after it; events are named by their types."""

    aggregate_id: str
    version: int
    command_id: str
    """Of a repeat: the first one's."""
    recorded_at: datetime
    position: Mapping[tuple[str, int], int]
    events: tuple[str, ...]
    repeated: bool = False


class Desk(Protocol):
    """Whoever takes orders: the shards of this process, or a connection to them."""

    async def submit(self, order: Order) -> Answer:
        """Raises Refused by a rule, Unavailable where nobody could judge."""
        ...


class Keepers(Desk, Protocol):
    """The shards' owners, who have the data keys of their shards, too."""

    async def forget(self, subject: SubjectId) -> int:
        """Throw away the subject's keys in all shards; how many there were. Raises Unavailable."""
        ...


class IdempotencyKeyReused(Refused):
    rule = "idempotency-key-reused"

    def __init__(self, aggregate_id: str) -> None:
        super().__init__("the idempotency key was used before, with another request")
        self.aggregate_id = aggregate_id


class AlreadyExists(Refused):
    rule = "already-exists"
    is_about = ("external_reference", "hub", "outlet", "tenant")

    def __init__(self, aggregate_id: str) -> None:
        super().__init__(f"{aggregate_id} was created from the same reference with another request")
        self.aggregate_id = aggregate_id


class VersionConflict(Refused):
    rule = "version-conflict"

    def __init__(self, expected: int, actual: int) -> None:
        super().__init__(f"expected version {expected}, is {actual}")
        self.expected = expected
        self.actual = actual


class CommandTooLarge(Refused):
    rule = "command-too-large"

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(f"its events take {size_bytes} bytes, {limit_bytes} are allowed")
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class Unavailable(Exception):
    """Nobody can judge now; the same command may be sent again. `code` is the problem's code."""

    def __init__(self, code: str, detail: str, retry_after_s: int = 1) -> None:
        super().__init__(detail)
        self.code = code
        self.retry_after_s = retry_after_s
