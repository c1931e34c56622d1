"""What may be asked of a vehicle, and of a fleet."""

from datetime import timedelta
from random import Random
from typing import Any

from drawn import Repertoire, always, carrying

from schemas import fleet as e
from schemas import vehicle as v
from schemas.message import (
    DocumentId,
    MaintenanceId,
)

DUE = MaintenanceId("m1")


def planning(draw: Random, now: Any) -> v.PlanVehicleMaintenance:
    due_km = draw.choice((None, draw.randrange(300)))
    due_at = now + timedelta(minutes=draw.randrange(90)) if due_km is None or draw.random() < 0.5 else None
    return v.PlanVehicleMaintenance(maintenance_id=DUE, kind="service", due_at=due_at, due_km=due_km)


def inspecting(draw: Random, now: Any) -> v.ReportVehicleInspection:
    defects = draw.choice(([], [v.Defect(code="brake", severity="major")]))
    return v.ReportVehicleInspection(inspection_id=f"i{draw.randrange(99)}", observed_at=now, defects=defects)


VEHICLE: Repertoire = [
    (lambda draw, now: v.RegisterVehicle(kind="van", capacity=carrying(draw)), "shop", "integrator"),
    (lambda draw, now: v.ChangeVehicleOutfit(capacity=carrying(draw)), "shop", "integrator"),
    (always(v.SubmitVehicleDocument(document_id="d1", kind="roadworthiness")), "shop", "integrator"),
    (
        lambda draw, now: v.VerifyVehicleDocument(document_id="d1", valid_from=now, expires_at=now + timedelta(days=1)),
        "dora",
        "dispatcher",
    ),
    (always(v.RejectVehicleDocument(document_id="d1", reason_code="blurred")), "dora", "dispatcher"),
    (always(v.AssignVehicle(rider_id="ann")), "dora", "dispatcher"),
    (always(v.ReleaseVehicle(reason_code="shift_over")), "dora", "dispatcher"),
    (
        lambda draw, now: v.ReportVehicleOdometer(odometer_km=draw.randrange(300), observed_at=now),
        "dora",
        "dispatcher",
    ),
    (inspecting, "dora", "dispatcher"),
    (always(v.GroundVehicle(reason_code="accident")), "dora", "dispatcher"),
    (always(v.ReturnVehicleToService()), "dora", "dispatcher"),
    (planning, "dora", "dispatcher"),
    (always(v.RecordVehicleMaintenanceDue(maintenance_id=DUE)), "deadlines", "system"),
    (always(v.CompleteVehicleMaintenance(maintenance_id=DUE)), "dora", "dispatcher"),
    (always(v.CancelVehicleMaintenance(maintenance_id=DUE, reason_code="x")), "dora", "dispatcher"),
    (always(v.RetireVehicle(reason_code="sold")), "dora", "dispatcher"),
]
FLEET: Repertoire = [
    (lambda draw, now: e.CreateFleet(name="North", outlet=draw.choice((None, "kamppi"))), "shop", "integrator"),
    (lambda draw, now: e.ChangeFleet(name=draw.choice(("North", "South"))), "shop", "integrator"),
    (lambda draw, now: e.AddRiderToFleet(rider_id=draw.choice(("ann", "bob"))), "dora", "dispatcher"),
    (lambda draw, now: e.RemoveRiderFromFleet(rider_id=draw.choice(("ann", "bob"))), "dora", "dispatcher"),
    (lambda draw, now: e.AddVehicleToFleet(vehicle_id=draw.choice(("van", "bike"))), "dora", "dispatcher"),
    (lambda draw, now: e.RemoveVehicleFromFleet(vehicle_id=draw.choice(("van", "bike"))), "dora", "dispatcher"),
    (always(e.RetireFleet(reason_code="merged")), "dora", "dispatcher"),
]
BESIDE_VEHICLES: Repertoire = [
    (always(v.WarnVehicleDocumentExpiry(document_id=DocumentId("d1"))), "deadlines", "system")
]
