"""Incident: what went wrong, what belongs to it and what was done about it, until it is sealed."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from schemas.geo import Location
from schemas.goods import MAX_PARCELS
from schemas.message import (
    Code,
    Command,
    Count,
    Event,
    ExternalReference,
    Id,
    Input,
    Metadata,
    Moment,
    ParcelId,
    Personal,
    ReferenceSource,
    RiderId,
    Sha256,
    TaskId,
    Text,
)
from schemas.money import Money
from schemas.registries import IncidentAction, Severity

MAX_LINKS = 100
MAX_EVIDENCE = 200
MAX_COMMENTS = 1_000
MAX_ADDENDA = 100
MAX_ACTIONS = 200
HIGHEST_LEVEL = 3
"""Of escalation: nobody is above it."""

ACTION_ANSWERED = "action-answered"
"""The rule that says so."""

LinkKind = Literal["task", "rider", "vehicle", "tender", "incident"]
EvidenceKind = Literal["photo", "document", "statement", "recording"]
Words = Annotated[str, msgspec.Meta(min_length=1, max_length=4_000)]
Assignee = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class IncidentLink(Input, frozen=True, kw_only=True):
    """What the incident is about: its events belong to the timeline."""

    kind: LinkKind
    id: Id


class NewEvidence(Input, frozen=True, kw_only=True):
    """`sha256` names an artefact that was put before."""

    sha256: Sha256
    kind: EvidenceKind = "photo"
    note: Text | None = None


# What can be asked


class ReportIncident(Command, frozen=True, kw_only=True):
    """`kind` is one of the tenant's registry, which says how severe it is where the caller does not."""

    kind: Code
    description: Words
    occurred_at: Moment | None = None
    severity: Severity | None = None
    location: Location | None = None
    links: Annotated[list[IncidentLink], msgspec.Meta(max_length=MAX_LINKS)] = []
    evidence: Annotated[list[NewEvidence], msgspec.Meta(max_length=20)] = []
    claim_value: Money | None = None
    external_reference: ExternalReference = None
    source: ReferenceSource = None
    metadata: Metadata = {}


class AssignIncident(Command, frozen=True, kw_only=True):
    """`assignee` is the subject of a token."""

    assignee: Assignee


class CommentIncident(Command, frozen=True, kw_only=True):
    comment: Words


class AttachEvidence(Command, frozen=True, kw_only=True):
    evidence: Annotated[list[NewEvidence], msgspec.Meta(min_length=1, max_length=20)]


class LinkIncident(Command, frozen=True, kw_only=True):
    link: IncidentLink


class UnlinkIncident(Command, frozen=True, kw_only=True):
    link: IncidentLink
    reason_code: Code


class ChangeIncidentSeverity(Command, frozen=True, kw_only=True):
    severity: Severity
    reason_code: Code


class StateClaimValue(Command, frozen=True, kw_only=True):
    """What is claimed for it: what the goods were worth. The last that was stated counts."""

    claim_value: Money
    reason_code: Code


class TakeIncidentAction(Command, frozen=True, kw_only=True):
    """Something was done; `link` says to what."""

    action: IncidentAction
    link: IncidentLink | None = None
    note: Text | None = None


class ConfirmIncidentReported(Command, frozen=True, kw_only=True):
    """Changes nothing. Refused where there never was such an incident."""


class ConfirmActionRequested(Command, frozen=True, kw_only=True):
    """Changes nothing. Refused where the request was answered before, or is of other parcels by now: who comes back to
    it later has nothing to do."""

    action: IncidentAction
    link: IncidentLink
    parcel_ids: list[ParcelId] = []


class NoteActionRefused(Command, frozen=True, kw_only=True):
    """What our own process tried for the incident, and which rule said no: somebody must act."""

    action: IncidentAction
    link: IncidentLink
    rule: Annotated[str, msgspec.Meta(max_length=64)]


class LinkTaskInCustody(Command, frozen=True, kw_only=True):
    """Sent when a task of a rider whom the incident took off dispatch cannot be taken away, by this rule: somebody must
    act. Refused once nobody looks at the incident any more, or no link has room."""

    task_id: TaskId
    rule: Annotated[str, msgspec.Meta(max_length=64)]


class EscalateIncident(Command, frozen=True, kw_only=True):
    reason_code: Code


class EscalateUnattended(Command, frozen=True, kw_only=True):
    """Sent when the deadline is due; firing late or twice changes nothing."""

    level: Count


class LostParcels(Input, frozen=True, kw_only=True):
    """Of a task that the incident is linked to."""

    task_id: TaskId
    parcel_ids: Annotated[list[ParcelId], msgspec.Meta(min_length=1, max_length=MAX_PARCELS)]


class ResolveIncident(Command, frozen=True, kw_only=True):
    """`waived` are actions of its kind that were not taken, and need not be. Of `lost` our own process tells the tasks:
    that takes `write_off_parcels`."""

    resolution_code: Code
    note: Text | None = None
    waived: Annotated[list[IncidentAction], msgspec.Meta(max_length=10)] = []
    lost: Annotated[list[LostParcels], msgspec.Meta(max_length=MAX_LINKS)] = []


class ReopenIncident(Command, frozen=True, kw_only=True):
    reason_code: Code
    note: Text | None = None


class SealedTimeline(Input, frozen=True, kw_only=True):
    """The records of the timeline that stand in the log before the positions of `up_to`, which names the partitions
    that hold some of them; of riders and of vehicles those since a moment of event time.

    `merkle_root` is over their hashes (RFC 9162, section 2.1.1) by event time, then topic, partition, offset.
    """

    merkle_root: Sha256
    records: Count
    since: Moment
    up_to: str


class SealIncident(Command, frozen=True, kw_only=True):
    """For good. The door fills in the timeline as the read models have it."""

    timeline: SealedTimeline | None = None


class FileAddendum(Command, frozen=True, kw_only=True):
    text: Words
    evidence: Annotated[list[NewEvidence], msgspec.Meta(max_length=20)] = []


type IncidentCommand = (
    ReportIncident
    | AssignIncident
    | CommentIncident
    | AttachEvidence
    | LinkIncident
    | UnlinkIncident
    | ChangeIncidentSeverity
    | StateClaimValue
    | TakeIncidentAction
    | ConfirmIncidentReported
    | ConfirmActionRequested
    | NoteActionRefused
    | LinkTaskInCustody
    | EscalateIncident
    | EscalateUnattended
    | ResolveIncident
    | ReopenIncident
    | SealIncident
    | FileAddendum
)


# What can happen


class IncidentReported(Event, frozen=True, kw_only=True):
    """`actions` are what its kind asks for. Unless somebody takes it until `escalate_at`, it escalates."""

    kind: str
    severity: Severity
    description: Personal[str]
    occurred_at: datetime
    location: Personal[Location] | None
    links: list[IncidentLink]
    actions: list[IncidentAction]
    escalate_after_seconds: int | None
    escalate_at: datetime | None
    reporter: str
    claim_value: Money | None
    external_reference: str | None
    source: str
    metadata: dict[str, str]


class IncidentAssigned(Event, frozen=True, kw_only=True):
    assignee: str


class IncidentCommented(Event, frozen=True, kw_only=True):
    comment: Personal[str]


class EvidenceAttached(Event, frozen=True, kw_only=True):
    sha256: str
    kind: EvidenceKind
    note: Personal[str] | None


class IncidentLinked(Event, frozen=True, kw_only=True):
    link: IncidentLink


class IncidentUnlinked(Event, frozen=True, kw_only=True):
    link: IncidentLink
    reason_code: str


class IncidentSeverityChanged(Event, frozen=True, kw_only=True):
    severity: Severity
    reason_code: str


class ClaimValueStated(Event, frozen=True, kw_only=True):
    claim_value: Money
    reason_code: str


class IncidentActionRequested(Event, frozen=True, kw_only=True):
    """Its kind asks for it, and our own process does it; or parcels are lost, and it tells their task which."""

    action: IncidentAction
    link: IncidentLink
    parcel_ids: list[ParcelId] = []


class IncidentActionTaken(Event, frozen=True, kw_only=True):
    action: IncidentAction
    link: IncidentLink | None
    note: Personal[str] | None


class IncidentActionRefused(Event, frozen=True, kw_only=True):
    action: IncidentAction
    link: IncidentLink
    rule: str


class IncidentEscalated(Event, frozen=True, kw_only=True):
    level: int
    reason_code: str
    escalate_at: datetime | None


class IncidentResolved(Event, frozen=True, kw_only=True):
    """`riders` are those whose tasks it had asked for: as far as it goes they are on dispatch again."""

    resolution_code: str
    note: Personal[str] | None
    waived: list[IncidentAction]
    riders: list[RiderId] = []


class IncidentReopened(Event, frozen=True, kw_only=True):
    """`level` is to which it was escalated before."""

    reason_code: str
    note: Personal[str] | None
    level: int
    escalate_at: datetime | None


class IncidentSealed(Event, frozen=True, kw_only=True):
    timeline: SealedTimeline


class AddendumFiled(Event, frozen=True, kw_only=True):
    text: Personal[str]


type IncidentEvent = (
    IncidentReported
    | IncidentAssigned
    | IncidentCommented
    | EvidenceAttached
    | IncidentLinked
    | IncidentUnlinked
    | IncidentSeverityChanged
    | ClaimValueStated
    | IncidentActionRequested
    | IncidentActionTaken
    | IncidentActionRefused
    | IncidentEscalated
    | IncidentResolved
    | IncidentReopened
    | IncidentSealed
    | AddendumFiled
)
