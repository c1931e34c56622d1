"""Vehicle: what it carries, whether it may drive, who has it, and when it needs care."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from schemas.device_report import DeviceReport
from schemas.load import Capacity
from schemas.message import (
    Code,
    Command,
    Count,
    DocumentId,
    Event,
    ExternalReference,
    Id,
    Input,
    MaintenanceId,
    Metadata,
    Moment,
    OutletSlug,
    Personal,
    ReferenceSource,
    RiderId,
    Slug,
    Text,
)
from schemas.vehicle_fitness import VehicleFitness

MAX_VEHICLE_DOCUMENTS = 100
MAX_OPEN_MAINTENANCE = 50
MAX_DEFECTS = 100
MAX_ODOMETER_KM = 10_000_000

VehicleKind = Literal["bicycle", "scooter", "car", "van"]
Temperature = Literal["ambient", "chilled", "frozen"]
DefectSeverity = Literal["minor", "major", "dangerous"]
"""As in Directive 2014/45/EU, article 7: one that is not minor fails the inspection."""
MaintenanceTrigger = Literal["date", "distance"]
Unfitness = Literal[
    "retired",
    "grounded",
    "inspection_failed",
    "document_missing",
    "document_expired",
    "maintenance_overdue",
]

Odometer = Annotated[int, msgspec.Meta(ge=0, le=MAX_ODOMETER_KM)]
Temperatures = Annotated[list[Temperature], msgspec.Meta(min_length=1, max_length=3)]
Range = Annotated[int, msgspec.Meta(ge=1, le=100_000)]


def ambient() -> list[Temperature]:
    return ["ambient"]


class Defect(Input, frozen=True, kw_only=True):
    code: Code
    severity: DefectSeverity
    note: Annotated[str, msgspec.Meta(max_length=500)] | None = None


# What can be asked


class RegisterVehicle(Command, frozen=True, kw_only=True):
    """`outlet` is where it is at home; `range_km` how far it goes without a stop for energy, where that binds."""

    kind: VehicleKind
    capacity: Capacity
    plate: Annotated[str, msgspec.Meta(min_length=1, max_length=20)] | None = None
    range_km: Range | None = None
    temperatures: Temperatures = msgspec.field(default_factory=ambient)
    outlet: Slug | None = None
    odometer_km: Odometer = 0
    external_reference: ExternalReference = None
    source: ReferenceSource = None
    metadata: Metadata = {}


class ChangeVehicleOutfit(Command, frozen=True, kw_only=True):
    """The outfit anew; what is left out is at its default."""

    capacity: Capacity
    range_km: Range | None = None
    temperatures: Temperatures = msgspec.field(default_factory=ambient)


class SubmitVehicleDocument(Command, frozen=True, kw_only=True):
    """`kind` is one of the tenant's kinds of vehicle documents, such as `vehicle_insurance` or `roadworthiness`."""

    document_id: Id
    kind: Code
    number: Annotated[str, msgspec.Meta(min_length=1, max_length=80)] | None = None


class VerifyVehicleDocument(Command, frozen=True, kw_only=True):
    document_id: Id
    valid_from: Moment
    expires_at: Moment


class RejectVehicleDocument(Command, frozen=True, kw_only=True):
    document_id: Id
    reason_code: Code


class AssignVehicle(Command, frozen=True, kw_only=True):
    """To one rider at a time, and only while it is fit."""

    rider_id: Id


class ReleaseVehicle(Command, frozen=True, kw_only=True):
    reason_code: Code


class ReportVehicleOdometer(DeviceReport, frozen=True, kw_only=True):
    """May come late; what was read before the latest reading, and fits it, changes nothing."""

    odometer_km: Odometer


class ReportVehicleInspection(DeviceReport, frozen=True, kw_only=True):
    """Failed where a defect is more than minor, else passed. May come late; the latest inspection counts."""

    inspection_id: Id
    odometer_km: Odometer | None = None
    defects: Annotated[list[Defect], msgspec.Meta(max_length=MAX_DEFECTS)] = []


class GroundVehicle(Command, frozen=True, kw_only=True):
    reason_code: Code
    note: Text | None = None


class ReturnVehicleToService(Command, frozen=True, kw_only=True):
    pass


class PlanVehicleMaintenance(Command, frozen=True, kw_only=True):
    """Due at a time, at so many kilometres on the odometer, or at what comes first. Planned again it is moved."""

    maintenance_id: Id
    kind: Code
    due_at: Moment | None = None
    due_km: Odometer | None = None


class RecordVehicleMaintenanceDue(Command, frozen=True, kw_only=True):
    """Sent when the date has come; firing late or twice changes nothing."""

    maintenance_id: MaintenanceId


class WarnVehicleDocumentExpiry(Command, frozen=True, kw_only=True):
    """Sent so long before it expires as its kind says; firing late or twice changes nothing."""

    document_id: DocumentId


class CompleteVehicleMaintenance(Command, frozen=True, kw_only=True):
    maintenance_id: Id


class CancelVehicleMaintenance(Command, frozen=True, kw_only=True):
    maintenance_id: Id
    reason_code: Code


class ConfirmVehicleRegistered(Command, frozen=True, kw_only=True):
    """Changes nothing. Refused where there never was such a vehicle."""


class ConfirmVehicleFitness(Command, frozen=True, kw_only=True):
    """Changes nothing. Refused where it was stated anew since: who comes back to it later has nothing to do."""

    number: Count


class RetireVehicle(Command, frozen=True, kw_only=True):
    """For ever. Who has it has it no more, and what was planned is off."""

    reason_code: Code


type VehicleCommand = (
    RegisterVehicle
    | ChangeVehicleOutfit
    | SubmitVehicleDocument
    | VerifyVehicleDocument
    | RejectVehicleDocument
    | AssignVehicle
    | ReleaseVehicle
    | ReportVehicleOdometer
    | ReportVehicleInspection
    | GroundVehicle
    | ReturnVehicleToService
    | PlanVehicleMaintenance
    | RecordVehicleMaintenanceDue
    | WarnVehicleDocumentExpiry
    | CompleteVehicleMaintenance
    | CancelVehicleMaintenance
    | ConfirmVehicleRegistered
    | ConfirmVehicleFitness
    | RetireVehicle
)


# What can happen


class VehicleRegistered(Event, frozen=True, kw_only=True):
    kind: VehicleKind
    plate: Personal[str] | None
    capacity: Capacity
    range_km: int | None
    temperatures: list[Temperature]
    outlet: OutletSlug | None
    odometer_km: int
    external_reference: str | None
    source: str
    metadata: dict[str, str]


class VehicleOutfitChanged(Event, frozen=True, kw_only=True):
    capacity: Capacity
    range_km: int | None
    temperatures: list[Temperature]


class VehicleDocumentSubmitted(Event, frozen=True, kw_only=True):
    document_id: DocumentId
    kind: str
    number: Personal[str] | None


class VehicleDocumentVerified(Event, frozen=True, kw_only=True):
    """Somebody is to be warned at `warn_at`."""

    document_id: DocumentId
    kind: str
    valid_from: datetime
    expires_at: datetime
    warn_at: datetime


class VehicleDocumentExpiryWarned(Event, frozen=True, kw_only=True):
    """`covered_until`: so long there is a valid one of its kind, be it another."""

    document_id: DocumentId
    kind: str
    expires_at: datetime
    covered_until: datetime


class VehicleDocumentRejected(Event, frozen=True, kw_only=True):
    document_id: DocumentId
    reason_code: str


class VehicleAssigned(Event, frozen=True, kw_only=True):
    rider_id: RiderId


class VehicleReleased(Event, frozen=True, kw_only=True):
    rider_id: RiderId
    reason_code: str


class VehicleOdometerReported(Event, frozen=True, kw_only=True):
    odometer_km: int
    observed_at: datetime


class VehicleInspectionPassed(Event, frozen=True, kw_only=True):
    inspection_id: str
    observed_at: datetime
    odometer_km: int | None
    defects: list[Defect]


class VehicleInspectionFailed(Event, frozen=True, kw_only=True):
    inspection_id: str
    observed_at: datetime
    odometer_km: int | None
    defects: list[Defect]


class VehicleGrounded(Event, frozen=True, kw_only=True):
    reason_code: str
    note: str | None


class VehicleReturnedToService(Event, frozen=True, kw_only=True):
    pass


class VehicleMaintenancePlanned(Event, frozen=True, kw_only=True):
    """Also of what was planned before and is moved."""

    maintenance_id: MaintenanceId
    kind: str
    due_at: datetime | None
    due_km: int | None


class VehicleMaintenanceFellDue(Event, frozen=True, kw_only=True):
    maintenance_id: MaintenanceId
    trigger: MaintenanceTrigger


class VehicleMaintenanceCompleted(Event, frozen=True, kw_only=True):
    maintenance_id: MaintenanceId


class VehicleMaintenanceCancelled(Event, frozen=True, kw_only=True):
    maintenance_id: MaintenanceId
    reason_code: str


class VehicleFitnessStated(Event, frozen=True, kw_only=True):
    """To the rider who has it, each time that it changes; None to who has it no more. Statements are numbered."""

    rider_id: RiderId
    number: int
    fitness: VehicleFitness | None


class VehicleRetired(Event, frozen=True, kw_only=True):
    """Of `document_ids` nobody is to be warned any more."""

    reason_code: str
    document_ids: list[DocumentId] = []


type VehicleEvent = (
    VehicleRegistered
    | VehicleOutfitChanged
    | VehicleDocumentSubmitted
    | VehicleDocumentVerified
    | VehicleDocumentExpiryWarned
    | VehicleDocumentRejected
    | VehicleAssigned
    | VehicleReleased
    | VehicleOdometerReported
    | VehicleInspectionPassed
    | VehicleInspectionFailed
    | VehicleGrounded
    | VehicleReturnedToService
    | VehicleMaintenancePlanned
    | VehicleMaintenanceFellDue
    | VehicleMaintenanceCompleted
    | VehicleMaintenanceCancelled
    | VehicleFitnessStated
    | VehicleRetired
)
