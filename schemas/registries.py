"""Registries: what a tenant may name, and what follows from the name. A tenant's own stand in place of the defaults."""

from typing import Annotated, Literal

import msgspec

from schemas.fault import AtFault
from schemas.message import Code, Command, Event, Input, Name

MAX_ENTRIES = 200
WARN_DAYS = 14

AfterFailure = Literal["retry", "reattempt", "hold_at_hub", "leave_at_door", "return", "dispose"]
Severity = Literal["low", "medium", "high", "critical"]
IncidentAction = Literal[
    "suspend_rider",
    "ground_vehicle",
    "hand_over_tasks",
    "write_off_parcels",
    "state_claim_value",
    "contact_customer",
    "call_emergency",
]
DocumentOf = Literal["rider", "vehicle"]


class FailureReason(Input, frozen=True, kw_only=True):
    """Why a stop could not be served. `after` is what happens to its goods once the attempts are used up."""

    code: Code
    title: Name
    at_fault: AtFault
    after: AfterFailure = "return"
    retryable: bool = True
    contact_attempts: Annotated[int, msgspec.Meta(ge=0, le=10)] = 0
    """To be recorded before this reason may be given."""
    waiting_seconds: Annotated[int, msgspec.Meta(ge=0, le=7_200)] = 0
    """So long somebody is to have waited, too."""


class IncidentKind(Input, frozen=True, kw_only=True):
    """`actions` are what is to be done; without an assignee it escalates after so many seconds, and again."""

    code: Code
    title: Name
    severity: Severity = "medium"
    actions: Annotated[list[IncidentAction], msgspec.Meta(max_length=10)] = []
    escalate_after_seconds: Annotated[int, msgspec.Meta(ge=30, le=7 * 86_400)] | None = None


class DocumentKind(Input, frozen=True, kw_only=True):
    """`of` says whose it is; `required` that nobody works without a valid one."""

    code: Code
    title: Name
    of: DocumentOf
    required: bool = False
    warn_days: Annotated[int, msgspec.Meta(ge=0, le=366)] = WARN_DAYS
    """So long before it expires somebody is told."""


class SetFailureReasons(Command, frozen=True, kw_only=True):
    """All the reasons anew; an empty list returns to the defaults."""

    reasons: Annotated[list[FailureReason], msgspec.Meta(max_length=MAX_ENTRIES)]


class SetIncidentKinds(Command, frozen=True, kw_only=True):
    """All the kinds anew; an empty list returns to the defaults."""

    kinds: Annotated[list[IncidentKind], msgspec.Meta(max_length=MAX_ENTRIES)]


class SetDocumentKinds(Command, frozen=True, kw_only=True):
    """All the kinds anew; an empty list returns to the defaults."""

    kinds: Annotated[list[DocumentKind], msgspec.Meta(max_length=MAX_ENTRIES)]


type RegistryCommand = SetFailureReasons | SetIncidentKinds | SetDocumentKinds


class FailureReasonsSet(Event, frozen=True, kw_only=True):
    """Empty: the defaults are in force again."""

    reasons: list[FailureReason]


class IncidentKindsSet(Event, frozen=True, kw_only=True):
    """Empty: the defaults are in force again."""

    kinds: list[IncidentKind]


class DocumentKindsSet(Event, frozen=True, kw_only=True):
    """Empty: the defaults are in force again."""

    kinds: list[DocumentKind]


type RegistryEvent = FailureReasonsSet | IncidentKindsSet | DocumentKindsSet

FAILURE_REASONS = (
    FailureReason(code="customer_unavailable", title="Nobody was there", at_fault="recipient", contact_attempts=1),
    FailureReason(code="wrong_address", title="The address is wrong", at_fault="sender", retryable=False),
    FailureReason(code="access_denied", title="No way in", at_fault="recipient"),
    FailureReason(code="refused", title="The recipient does not want it", at_fault="recipient", retryable=False),
    FailureReason(code="under_age", title="The recipient is too young", at_fault="recipient", retryable=False),
    FailureReason(code="damaged", title="The goods are damaged", at_fault="rider", retryable=False),
    FailureReason(code="goods_not_ready", title="The goods were not ready", at_fault="sender"),
    FailureReason(code="bad_weather", title="The weather does not allow it", at_fault="system"),
    FailureReason(code="vehicle_breakdown", title="The vehicle broke down", at_fault="rider"),
    FailureReason(code="other", title="Something else", at_fault="system"),
)
INCIDENT_KINDS = (
    IncidentKind(
        code="accident",
        title="Accident",
        severity="high",
        actions=["suspend_rider", "ground_vehicle", "hand_over_tasks"],
        escalate_after_seconds=600,
    ),
    IncidentKind(
        code="safety",
        title="A person is in danger",
        severity="critical",
        actions=["call_emergency", "hand_over_tasks"],
        escalate_after_seconds=120,
    ),
    IncidentKind(code="theft", title="Theft", severity="high", actions=["write_off_parcels", "state_claim_value"]),
    IncidentKind(code="loss", title="Goods are lost", actions=["write_off_parcels", "state_claim_value"]),
    IncidentKind(code="damage", title="Goods are damaged"),
    IncidentKind(code="silent_rider", title="A rider with goods is silent", severity="high"),
    IncidentKind(code="customer", title="A customer complains", severity="low", actions=["contact_customer"]),
    IncidentKind(code="vehicle_breakdown", title="A vehicle broke down", actions=["ground_vehicle", "hand_over_tasks"]),
    IncidentKind(code="other", title="Something else"),
)
DOCUMENT_KINDS = (
    DocumentKind(code="identity", title="Proof of identity", of="rider"),
    DocumentKind(code="licence", title="Driving licence", of="rider"),
    DocumentKind(code="insurance", title="Insurance of the rider", of="rider"),
    DocumentKind(code="face_photo", title="Photo of the face", of="rider"),
    DocumentKind(code="vehicle_insurance", title="Insurance of the vehicle", of="vehicle"),
    DocumentKind(code="roadworthiness", title="Roadworthiness", of="vehicle"),
)
