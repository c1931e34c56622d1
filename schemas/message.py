"""What every message is: an immutable record whose stored name is its class name."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, ClassVar, Literal, NewType

import msgspec

TenantSlug = NewType("TenantSlug", str)
OutletSlug = NewType("OutletSlug", str)
HubSlug = NewType("HubSlug", str)
TaskId = NewType("TaskId", str)
StopId = NewType("StopId", str)
ParcelId = NewType("ParcelId", str)
ProofId = NewType("ProofId", str)
TenderId = NewType("TenderId", str)
OfferId = NewType("OfferId", str)
PlanId = NewType("PlanId", str)
RiderId = NewType("RiderId", str)
VehicleId = NewType("VehicleId", str)
DeviceId = NewType("DeviceId", str)
DocumentId = NewType("DocumentId", str)
MaintenanceId = NewType("MaintenanceId", str)
ShiftId = NewType("ShiftId", str)
GeofenceId = NewType("GeofenceId", str)
SlaPolicyId = NewType("SlaPolicyId", str)
FleetId = NewType("FleetId", str)
CarrierId = NewType("CarrierId", str)
CarrierBookingId = NewType("CarrierBookingId", str)
RecurrenceId = NewType("RecurrenceId", str)
SubjectId = NewType("SubjectId", str)

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Text = Annotated[str, msgspec.Meta(max_length=2_000)]
Code = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
"""A machine-readable reason from a registry, such as `customer_unavailable`."""
Slug = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Id = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,79}$")]
Reference = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
ExternalReference = Annotated[
    Reference | None,
    msgspec.Meta(
        description="The caller's own name for it. The id follows from the tenant, `source` and this: the same request "
        "again meets the same one and is answered as a repeat; with another body it is refused (`already-exists`). "
        "Whoever says another `source` and the same name makes another one."
    ),
]
ReferenceSource = Annotated[
    Reference | None,
    msgspec.Meta(
        description="Whose name `external_reference` is; without it that of the token's subject. Two who use one name "
        "meet where both say the same source, and nowhere else."
    ),
]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Metadata = Annotated[
    dict[
        Annotated[str, msgspec.Meta(min_length=1, max_length=64)],
        Annotated[str, msgspec.Meta(max_length=500)],
    ],
    msgspec.Meta(max_length=32),
]

Role = Literal["integrator", "dispatcher", "rider", "analyst", "auditor", "operator", "system"]
"""`system` is our own processes; no token carries it."""


MAX_SKILLS = 50
Skills = Annotated[list[Slug], msgspec.Meta(max_length=MAX_SKILLS)]
"""What somebody can do, and what a task asks for, such as `chilled` or `alcohol`."""


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A part of a message."""


class Input(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A part of a command."""


class Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """An order. It may be refused."""


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A fact. It has happened, and nothing may refuse it."""


HIDDEN, ERASED = "hidden", "erased"
"""What is read in place of personal data: by who may not see it, and by everybody once its subject is forgotten."""


class Personal[T](msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A person's data: as `value` where they are put in or have been opened, everywhere else as `sealed`.

    `field` names the record and the field that they were sealed in, to which the seal is bound. Once the subject's key
    is erased what is sealed opens no more: the person is forgotten and the record still verifies.
    """

    subject: SubjectId
    value: T | None = None
    sealed: bytes = b""
    field: str = ""


class Source(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where an event came from: the part of its envelope that folds may read."""

    event_id: str
    tenant: TenantSlug
    outlet: OutletSlug | None
    aggregate_id: str
    version: int
    event_time: datetime
    recorded_at: datetime
    actor: str
    command_id: str
    correlation_id: str
    topic: str
    partition: int
    offset: int


class Refused(Exception):
    """A rule says no. Subclasses name the rule in kebab-case and carry its values."""

    rule = "refused"
    stands_in: ClassVar[tuple[str, ...]] = ()
    """Fields of a command's body in which one of the values may stand."""
    is_about: ClassVar[tuple[str, ...]] = ()
    """Fields that it speaks of as a whole, where no value stands in one of those."""

    def values(self) -> Mapping[str, object]:
        """The rule's values, as they stand in the problem's `values`."""
        return vars(self)


class NotInThisState(Refused):
    rule = "not-in-this-state"

    def __init__(self, *, needed: str, actual: str) -> None:
        super().__init__(f"needs {needed}, is {actual}")
        self.needed = needed
        self.actual = actual


class NotInDirectory(Refused):
    """The directory as decisions see it does not have it, or not free; it may have been written there a moment ago."""


class UnknownAggregate(Refused):
    rule = "not-found"

    def __init__(self, kind: str, aggregate_id: str) -> None:
        super().__init__(f"there is no {kind} {aggregate_id}")
        self.kind = kind
        self.aggregate_id = aggregate_id
