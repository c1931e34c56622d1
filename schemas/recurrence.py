"""Recurrence: the same task again and again, by a rule that is told in local time and kept in the outlet's zone."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from schemas.geo import Location, PostalCode
from schemas.goods import MAX_PARCELS
from schemas.message import (
    Code,
    Command,
    Event,
    ExternalReference,
    Id,
    Input,
    Metadata,
    Moment,
    OutletSlug,
    Personal,
    Record,
    Reference,
    ReferenceSource,
    Skills,
    Slug,
    StopId,
    SubjectId,
    TaskId,
    Text,
)
from schemas.proof import MinimumAge, PinlessKind, PinlessProof, ProofKind, RequiredProof
from schemas.simulation import Simulation
from schemas.stop import MAX_STOPS, NewContact, NewParcel
from schemas.task_kind import Priority, TaskKind
from schemas.template import TaskTemplate, TemplateParcel

MAX_AHEAD_S = 7 * 86_400
DAY_S = 86_400
MAX_SKIPS = 366
"""Occurrences ahead that are left out."""
MAX_REFUSED = 100
"""The latest that could not be created are known one by one; of those before it is known that they are settled."""
MISSED_AT_ONCE = 1_000
"""So many of those that are past are passed over with one fact."""

RuleText = Annotated[str, msgspec.Meta(min_length=1, max_length=300, pattern=r"^[A-Z0-9=;,+-]+$")]
LocalTime = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}$")]
"""A time of day at the outlet, such as `2026-03-29T09:00`."""
Minutes = Annotated[int, msgspec.Meta(ge=-10_080, le=10_080)]
"""From when the occurrence begins, as they pass on a clock that is never put forward or back."""
AheadSeconds = Annotated[int, msgspec.Meta(ge=0, le=MAX_AHEAD_S)]

RecurrenceStatus = Literal["active", "paused", "ended"]


# What can be asked


class MinutesWindow(Record, frozen=True, kw_only=True):
    """From so many minutes after the occurrence begins up to so many."""

    from_minutes: Minutes
    to_minutes: Minutes


class RecurringStop(Input, frozen=True, kw_only=True):
    """As a stop of a task that is created, but for its times, which hang on when the occurrence begins."""

    kind: Literal["pickup", "dropoff", "collection"]
    stop_id: Id | None = None
    outlet: Slug | None = None
    hub: Slug | None = None
    location: Location | None = None
    address: Text | None = None
    postal_code: PostalCode | None = None
    contact: NewContact | None = None
    window: MinutesWindow | None = None
    service_seconds: Annotated[int, msgspec.Meta(ge=0, le=14_400)] = 120
    goods_ready_minutes: Minutes | None = None
    required_proof: RequiredProof = []
    minimum_age: MinimumAge | None = None
    after: Annotated[list[StopId], msgspec.Meta(max_length=50)] = []


class RecurringTask(Input, frozen=True, kw_only=True):
    """What each occurrence is created with, at the recurrence's outlet."""

    kind: TaskKind
    priority: Priority = "normal"
    required_skills: Skills = []
    stops: Annotated[list[RecurringStop], msgspec.Meta(min_length=1, max_length=MAX_STOPS)]
    parcels: Annotated[list[NewParcel], msgspec.Meta(max_length=MAX_PARCELS)] = []
    return_proof: PinlessProof = []
    authorisation: Reference | None = None
    on_hold: bool = False
    shipment_id: Reference | None = None
    metadata: Metadata = {}
    simulation: Simulation | None = None


class CreateRecurrence(Command, frozen=True, kw_only=True):
    """`rule` is an RRULE of RFC 5545, hourly at most, such as `FREQ=WEEKLY;BYDAY=MO,TH`. From `starts_at` on it is read
    in the outlet's zone: 09:00 stays 09:00 when the clocks change; a time that a day does not have comes so much later
    as the clock is put forward, and one that it has twice is the first.

    Each occurrence's task is created `create_ahead_seconds` before it begins.
    """

    outlet: Slug
    rule: RuleText
    starts_at: Moment
    task: RecurringTask
    create_ahead_seconds: AheadSeconds = DAY_S
    external_reference: ExternalReference = None
    source: ReferenceSource = None
    metadata: Metadata = {}


class ChangeRecurrence(Command, frozen=True, kw_only=True):
    """What is not given stays as it is. It is for what has not been created yet: with `starts_at` from then on, else
    from the day of the next occurrence on."""

    rule: RuleText | None = None
    starts_at: Moment | None = None
    task: RecurringTask | None = None
    create_ahead_seconds: AheadSeconds | None = None


class SkipOccurrence(Command, frozen=True, kw_only=True):
    """The one that would begin then is left out; the rule goes on behind it."""

    local: LocalTime


class PauseRecurrence(Command, frozen=True, kw_only=True):
    """Nothing is created until it is resumed; what has been created stays."""

    reason_code: Code


class ResumeRecurrence(Command, frozen=True, kw_only=True):
    """It goes on with the next occurrence that is ahead: what lay in the pause is not made up for."""


class EndRecurrence(Command, frozen=True, kw_only=True):
    """Nothing more is created, for ever; what has been created stays."""

    reason_code: Code


class ReviewOccurrence(Command, frozen=True, kw_only=True):
    """Somebody has seen to an occurrence that could not be created; what it leads to is another command."""

    occurrence_at: Moment
    decision_code: Code


class CreateOccurrence(Command, frozen=True, kw_only=True):
    """Sent when it is due; firing early or twice changes nothing. What is past by then was missed."""

    occurrence_at: Moment


class ConfirmOccurrence(Command, frozen=True, kw_only=True):
    """Asked before its task is created: one that was refused is not created later, whoever reads the log anew."""

    occurrence_at: Moment


class RefuseOccurrence(Command, frozen=True, kw_only=True):
    """Sent when its task could not be created, with the rule that said so."""

    occurrence_at: Moment
    local: LocalTime
    task_id: Id
    rule: str
    reason_code: Code


type RecurrenceCommand = (
    CreateRecurrence
    | ChangeRecurrence
    | SkipOccurrence
    | PauseRecurrence
    | ResumeRecurrence
    | EndRecurrence
    | ReviewOccurrence
    | CreateOccurrence
    | ConfirmOccurrence
    | RefuseOccurrence
)


# What can happen


class RecurringTemplateStop(Record, frozen=True, kw_only=True):
    stop_id: StopId
    kind: Literal["pickup", "dropoff", "collection"]
    subject: SubjectId
    outlet: str | None
    hub: str | None
    location: Personal[Location] | None
    address: Personal[str] | None
    postal_code: Personal[str] | None
    name: Personal[str] | None
    phone: Personal[str] | None
    notes: Personal[str] | None
    window: MinutesWindow | None
    service_seconds: int
    goods_ready_minutes: int | None
    required_proof: list[list[ProofKind]]
    minimum_age: int | None
    after: list[StopId]


class RecurringTemplate(Record, frozen=True, kw_only=True):
    kind: TaskKind
    priority: Priority
    required_skills: list[str]
    stops: list[RecurringTemplateStop]
    parcels: list[TemplateParcel]
    return_proof: list[list[PinlessKind]]
    authorisation: str | None
    on_hold: bool
    shipment_id: str | None
    metadata: dict[str, str]
    simulation: Simulation | None = None


class Occurrence(Record, frozen=True, kw_only=True):
    """`number` counts from 1 by the rule; `local` is what the rule says, which at a change of the clocks may not be
    what the clock shows at `at`. `tzdata`: by which release of the time zones."""

    number: int
    local: str
    at: datetime
    tzdata: str


class RecurrenceCreated(Event, frozen=True, kw_only=True):
    outlet: OutletSlug
    zone: str
    rule: str
    starts: str
    create_ahead_s: int
    task: RecurringTemplate
    external_reference: str | None
    source: str
    metadata: dict[str, str]


class RecurrenceChanged(Event, frozen=True, kw_only=True):
    """As it is from `next` on; without `task` the tasks stay as they are."""

    rule: str
    starts: str
    create_ahead_s: int
    task: RecurringTemplate | None
    next: Occurrence


class OccurrenceScheduled(Event, frozen=True, kw_only=True):
    """The next one: its task is created at `due_at`."""

    occurrence: Occurrence
    due_at: datetime


class OccurrenceCreated(Event, frozen=True, kw_only=True):
    """Its task is to be created."""

    occurrence: Occurrence
    task_id: TaskId
    template: TaskTemplate


class OccurrencesMissed(Event, frozen=True, kw_only=True):
    """They were past when they could have been created: none of them is."""

    count: int
    first: Occurrence
    last: Occurrence


class OccurrenceSkipped(Event, frozen=True, kw_only=True):
    occurrence: Occurrence


class OccurrenceRefused(Event, frozen=True, kw_only=True):
    """Its task could not be created: a rule says no. Somebody must look at it."""

    occurrence_at: datetime
    local: str
    task_id: TaskId
    rule: str
    reason_code: str


class OccurrenceReviewed(Event, frozen=True, kw_only=True):
    occurrence_at: datetime
    decision_code: str


class RecurrencePaused(Event, frozen=True, kw_only=True):
    reason_code: str


class RecurrenceResumed(Event, frozen=True, kw_only=True):
    """`passed_over` occurrences lay in the pause."""

    passed_over: int


class RecurrenceEnded(Event, frozen=True, kw_only=True):
    """By somebody's word, or because the rule has no more occurrences."""

    reason_code: str


type RecurrenceEvent = (
    RecurrenceCreated
    | RecurrenceChanged
    | OccurrenceScheduled
    | OccurrenceCreated
    | OccurrencesMissed
    | OccurrenceSkipped
    | OccurrenceRefused
    | OccurrenceReviewed
    | RecurrencePaused
    | RecurrenceResumed
    | RecurrenceEnded
)
