"""Template: what a task is made from that nobody orders line by line: another task, or a recurrence's next occurrence.

It has all that a task is created with, and nothing that is drawn or pinned then: no code, no PIN, no promise.
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from schemas.geo import Location, Window
from schemas.goods import Item
from schemas.message import (
    Code,
    Command,
    Count,
    Event,
    ExternalReference,
    Id,
    Metadata,
    OutletSlug,
    ParcelId,
    Personal,
    Record,
    RecurrenceId,
    Reference,
    ReferenceSource,
    StopId,
    SubjectId,
    TaskId,
)
from schemas.proof import PinlessKind, ProofKind
from schemas.simulation import Simulation
from schemas.task_kind import Priority, TaskKind

MAX_CLONES = 100
"""Of one task; each of them can be cloned in turn."""
MAX_SHIFT_S = 366 * 86_400


class TemplateStop(Record, frozen=True, kw_only=True):
    """At an outlet or a hub where it names one. Without a location it is where that is when the task is made."""

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
    window: Window | None
    service_seconds: int
    goods_ready_at: datetime | None
    required_proof: list[list[ProofKind]]
    minimum_age: int | None
    after: list[StopId]


class TemplateParcel(Record, frozen=True, kw_only=True):
    parcel_id: ParcelId
    pickup_stop: StopId
    dropoff_stop: StopId
    barcode: str | None
    description: str | None
    weight_g: int
    volume_cm3: int
    items: list[Item]
    required_proof: list[list[PinlessKind]]


class TaskTemplate(Record, frozen=True, kw_only=True):
    kind: TaskKind
    outlet: OutletSlug
    priority: Priority
    required_skills: list[str]
    stops: list[TemplateStop]
    parcels: list[TemplateParcel]
    return_proof: list[list[PinlessKind]]
    authorisation: str | None
    on_hold: bool
    external_reference: str | None
    source: str
    shipment_id: str | None
    metadata: dict[str, str]
    simulation: Simulation | None = None


# What can be asked


class CloneTask(Command, frozen=True, kw_only=True):
    """The same again: another task with the stops, contacts, parcels and proofs of this one, whatever has become of it.

    Its windows and the times at which goods are ready are this one's, `shift_seconds` later; without it there are none,
    and it comes to dispatch at once. What names this very order is not copied: references, shipment, authorisation,
    metadata and the barcodes of its parcels.
    """

    external_reference: ExternalReference = None
    source: ReferenceSource = None
    shift_seconds: Annotated[int, msgspec.Meta(ge=0, le=MAX_SHIFT_S)] | None = None
    on_hold: bool = False
    shipment_id: Reference | None = None
    authorisation: Reference | None = None
    metadata: Metadata = {}


class ConfirmClone(Command, frozen=True, kw_only=True):
    """Asked before the clone is made: one that was refused is not made later, whoever reads the log anew."""

    number: Count


class RefuseClone(Command, frozen=True, kw_only=True):
    """Sent when the clone could not be made, with the rule that said so."""

    number: Count
    rule: str
    reason_code: Code


class CreateFromTemplate(Command, frozen=True, kw_only=True):
    """Sent when a task is to be made from a template; it is decided as if somebody had just created it."""

    task: TaskTemplate
    cloned_from: Id | None = None
    recurrence_id: Id | None = None


type CloneCommand = CloneTask | ConfirmClone | RefuseClone | CreateFromTemplate


# What can happen


class TaskCloned(Event, frozen=True, kw_only=True):
    """Another task is to be made from this one. `number` counts its clones, from 1."""

    number: int
    clone_id: TaskId
    shift_seconds: int | None
    template: TaskTemplate


class CloneRefused(Event, frozen=True, kw_only=True):
    """It could not be made: a rule says no to it as things are now."""

    number: int
    clone_id: TaskId
    rule: str
    reason_code: str


type CloneEvent = TaskCloned | CloneRefused


class MadeFrom(msgspec.Struct, frozen=True, kw_only=True):
    """What a task was made from; of one that was ordered itself nothing."""

    cloned_from: TaskId | None = None
    recurrence_id: RecurrenceId | None = None
    subjects: dict[StopId, SubjectId] = {}
    """Whose data each stop has: known by the template, which has no names of the caller's for them."""
