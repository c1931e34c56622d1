"""SlaPolicy: what is promised for which tasks, and when somebody is told that it is not kept."""

from typing import Annotated

import msgspec

from schemas.message import (
    Code,
    Command,
    Event,
    ExternalReference,
    Id,
    Input,
    Metadata,
    Name,
    ReferenceSource,
    Slug,
)
from schemas.task_kind import Priority, TaskKind

MAX_POLICIES = 200
"""Of a tenant. Several made in the same moment may pass it by a few."""
MAX_BREACH_LEVELS = 10
MAX_PAUSES = 20
LONGEST_S = 30 * 86_400

PromisedSeconds = Annotated[int, msgspec.Meta(ge=1, le=LONGEST_S)]


class SlaScope(Input, frozen=True, kw_only=True):
    """Of which tasks it holds: of those that fit in all that is given, of any where nothing is.

    `zone` is the id of a geofence of kind `zone` in which the task's place is when it is created: the first dropoff of
    a delivery or a transfer, the first pickup of a pickup or a return, the stop of a collection. One that has no
    location yet is in no zone.
    """

    task_kind: TaskKind | None = None
    outlet: Slug | None = None
    zone: Id | None = None
    priority: Priority | None = None


class SlaTerms(Input, frozen=True, kw_only=True):
    """What is promised: at least one of the three, each in seconds from the start of the task's clock.

    A task is at risk `at_risk_margin_s` before a promise is broken. `breach_levels_minutes` count from when it is and
    ascend: 15, 30 and 60 where they are left out. While the task waits for what one of `pauses` names its clock stands
    still.
    """

    dispatch_within_s: PromisedSeconds | None = None
    pickup_within_s: PromisedSeconds | None = None
    deliver_within_s: PromisedSeconds | None = None
    at_risk_margin_s: Annotated[int, msgspec.Meta(ge=0, le=LONGEST_S)] = 300
    breach_levels_minutes: Annotated[
        list[Annotated[int, msgspec.Meta(ge=1, le=LONGEST_S // 60)]], msgspec.Meta(max_length=MAX_BREACH_LEVELS)
    ] = msgspec.field(default_factory=lambda: [15, 30, 60])
    pauses: Annotated[list[Code], msgspec.Meta(max_length=MAX_PAUSES)] = []


class CreateSlaPolicy(Command, frozen=True, kw_only=True):
    """For each task the one that names most of what it is; a task keeps what was promised at its creation."""

    name: Name
    applies_to: SlaScope = SlaScope()
    terms: SlaTerms
    external_reference: ExternalReference = None
    source: ReferenceSource = None
    metadata: Metadata = {}


class ChangeSlaPolicy(Command, frozen=True, kw_only=True):
    """All of it anew; what is left out is at its default. Tasks under way keep what they were promised."""

    name: Name
    applies_to: SlaScope = SlaScope()
    terms: SlaTerms


class RemoveSlaPolicy(Command, frozen=True, kw_only=True):
    """It holds for no new task."""


type SlaPolicyCommand = CreateSlaPolicy | ChangeSlaPolicy | RemoveSlaPolicy


class SlaPolicyCreated(Event, frozen=True, kw_only=True):
    name: str
    applies_to: SlaScope
    terms: SlaTerms
    external_reference: str | None
    source: str
    metadata: dict[str, str]


class SlaPolicyChanged(Event, frozen=True, kw_only=True):
    name: str
    applies_to: SlaScope
    terms: SlaTerms


class SlaPolicyRemoved(Event, frozen=True, kw_only=True):
    pass


type SlaPolicyEvent = SlaPolicyCreated | SlaPolicyChanged | SlaPolicyRemoved
