"""Which vehicles are there, who has them, may they drive, and what care do they need?"""

from collections.abc import Mapping
from datetime import datetime

import msgspec
from msgspec.structs import replace

from projections.model import Fact, Key, ReadModel, by_aggregate
from projections.page import Page
from projections.sealed import Sealed, sealed
from schemas.catalog import members_of
from schemas.load import Capacity
from schemas.vehicle import (
    Defect,
    VehicleAssigned,
    VehicleDocumentRejected,
    VehicleDocumentSubmitted,
    VehicleDocumentVerified,
    VehicleEvent,
    VehicleGrounded,
    VehicleInspectionFailed,
    VehicleInspectionPassed,
    VehicleMaintenanceCancelled,
    VehicleMaintenanceCompleted,
    VehicleMaintenanceFellDue,
    VehicleMaintenancePlanned,
    VehicleOdometerReported,
    VehicleOutfitChanged,
    VehicleRegistered,
    VehicleReleased,
    VehicleRetired,
    VehicleReturnedToService,
)

TABLE = """
CREATE TABLE {table} (
    tenant             text        NOT NULL,
    vehicle_id         text        NOT NULL,
    kind               text        NOT NULL,
    plate              jsonb,
    status             text        NOT NULL,
    reason_code        text,
    rider_id           text,
    assigned_at        timestamptz,
    outlet             text,
    capacity           jsonb       NOT NULL,
    range_km           bigint,
    temperatures       jsonb       NOT NULL,
    odometer_km        bigint      NOT NULL,
    odometer_at        timestamptz,
    documents          jsonb       NOT NULL,
    inspection         jsonb,
    maintenance        jsonb       NOT NULL,
    external_reference text,
    metadata           jsonb       NOT NULL,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    version            bigint      NOT NULL,
    PRIMARY KEY (tenant, vehicle_id)
);
CREATE INDEX ON {table} (tenant, created_at, vehicle_id);
CREATE INDEX ON {table} (tenant, rider_id)
"""


class VehicleDocumentRow(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    status: str
    valid_from: datetime | None = None
    expires_at: datetime | None = None


class InspectionRow(msgspec.Struct, frozen=True, kw_only=True):
    """The latest by the time it was made."""

    inspection_id: str
    result: str
    observed_at: datetime
    defects: list[Defect]


class MaintenanceRow(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    due_at: datetime | None
    due_km: int | None
    status: str = "planned"
    """planned or due; what is completed or cancelled stands in the history."""


class VehicleRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    vehicle_id: str
    kind: str
    plate: Sealed | None
    status: str = "available"
    reason_code: str | None = None
    """Why it is grounded, or retired."""
    rider_id: str | None = None
    assigned_at: datetime | None = None
    outlet: str | None
    capacity: Capacity
    range_km: int | None
    temperatures: list[str]
    odometer_km: int
    odometer_at: datetime | None = None
    documents: Mapping[str, VehicleDocumentRow] = {}
    inspection: InspectionRow | None = None
    maintenance: Mapping[str, MaintenanceRow] = {}
    external_reference: str | None
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime
    version: int


def apply(row: VehicleRow | None, fact: Fact, key: Key) -> VehicleRow:
    if isinstance(fact.event, VehicleRegistered):
        row = registered(fact.event, fact)
    assert row is not None, "a vehicle's first event registers it"
    row = changed(row, fact)
    return replace(row, updated_at=fact.source.recorded_at, version=fact.source.version)


def registered(event: VehicleRegistered, fact: Fact) -> VehicleRow:
    return VehicleRow(
        tenant=fact.source.tenant,
        vehicle_id=fact.source.aggregate_id,
        kind=event.kind,
        plate=sealed(event.plate, "VehicleRegistered.plate"),
        outlet=event.outlet,
        capacity=event.capacity,
        range_km=event.range_km,
        temperatures=list(event.temperatures),
        odometer_km=event.odometer_km,
        external_reference=event.external_reference,
        metadata=event.metadata,
        created_at=fact.source.recorded_at,
        updated_at=fact.source.recorded_at,
        version=fact.source.version,
    )


def changed(row: VehicleRow, fact: Fact) -> VehicleRow:
    match fact.event:
        case VehicleOutfitChanged() as event:
            outfit = {"capacity": event.capacity, "range_km": event.range_km}
            return replace(row, temperatures=list(event.temperatures), **outfit)
        case VehicleAssigned() as event:
            return replace(row, status="assigned", rider_id=event.rider_id, assigned_at=fact.source.event_time)
        case VehicleReleased():
            status = "available" if row.status == "assigned" else row.status
            return replace(row, status=status, rider_id=None, assigned_at=None)
        case VehicleGrounded() as event:
            return replace(row, status="grounded", reason_code=event.reason_code)
        case VehicleReturnedToService():
            status = "available" if row.rider_id is None else "assigned"
            return replace(row, status=status, reason_code=None)
        case VehicleRetired() as event:
            return replace(row, status="retired", reason_code=event.reason_code)
        case VehicleOdometerReported() as event:
            return replace(row, odometer_km=event.odometer_km, odometer_at=event.observed_at)
        case VehicleInspectionPassed() | VehicleInspectionFailed() as event:
            return with_inspection(row, event)
        case _:
            return with_papers(row, fact)


def with_papers(row: VehicleRow, fact: Fact) -> VehicleRow:
    match fact.event:
        case VehicleDocumentSubmitted() as event:
            return with_document(row, event.document_id, VehicleDocumentRow(kind=event.kind, status="submitted"))
        case VehicleDocumentVerified() as event:
            verified = VehicleDocumentRow(
                kind=event.kind, status="verified", valid_from=event.valid_from, expires_at=event.expires_at
            )
            return with_document(row, event.document_id, verified)
        case VehicleDocumentRejected() as event:
            rejected = replace(row.documents[event.document_id], status="rejected")
            return with_document(row, event.document_id, rejected)
        case VehicleMaintenancePlanned() as event:
            planned = MaintenanceRow(kind=event.kind, due_at=event.due_at, due_km=event.due_km)
            return replace(row, maintenance={**row.maintenance, event.maintenance_id: planned})
        case VehicleMaintenanceFellDue() as event:
            due = replace(row.maintenance[event.maintenance_id], status="due")
            return replace(row, maintenance={**row.maintenance, event.maintenance_id: due})
        case VehicleMaintenanceCompleted() | VehicleMaintenanceCancelled() as event:
            rest = {key: each for key, each in row.maintenance.items() if key != event.maintenance_id}
            return replace(row, maintenance=rest)
        case _:
            return row


def with_document(row: VehicleRow, document_id: str, document: VehicleDocumentRow) -> VehicleRow:
    return replace(row, documents={**row.documents, document_id: document})


def with_inspection(row: VehicleRow, event: VehicleInspectionPassed | VehicleInspectionFailed) -> VehicleRow:
    if row.inspection is not None and event.observed_at < row.inspection.observed_at:
        return row
    inspection = InspectionRow(
        inspection_id=event.inspection_id,
        result="failed" if isinstance(event, VehicleInspectionFailed) else "passed",
        observed_at=event.observed_at,
        defects=event.defects,
    )
    return replace(row, inspection=inspection)


VEHICLE_ROSTER = ReadModel(
    name="vehicle_roster",
    version=1,
    table=TABLE,
    row=VehicleRow,
    key=("tenant", "vehicle_id"),
    events=frozenset(members_of(VehicleEvent)),
    keys=by_aggregate,
    apply=apply,
)

PAGE = """
SELECT * FROM vehicle_roster
WHERE tenant = %(tenant)s
  AND (%(kind)s::text IS NULL OR kind = %(kind)s)
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(rider_id)s::text IS NULL OR rider_id = %(rider_id)s)
  AND (%(outlet)s::text IS NULL OR outlet = %(outlet)s)
  AND (%(reference)s::text IS NULL OR external_reference = %(reference)s)
  AND (%(metadata)s::jsonb IS NULL OR metadata @> %(metadata)s::jsonb)
  AND (%(updated_since)s::timestamptz IS NULL OR updated_at >= %(updated_since)s)
  AND (%(at)s::timestamptz IS NULL OR (created_at, vehicle_id) > (%(at)s, %(id)s))
ORDER BY created_at, vehicle_id
LIMIT %(limit)s
"""


page = Page(PAGE)
"""Vehicles, oldest first."""
