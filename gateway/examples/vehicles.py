"""Vehicles, and the fleets that they and their riders are in."""

from gateway.examples.lumi import OUTLET, RIDER_ID, VEHICLE, VEHICLE_ID, at
from schemas.fleet import (
    AddRiderToFleet,
    AddVehicleToFleet,
    ChangeFleet,
    CreateFleet,
    RemoveRiderFromFleet,
    RemoveVehicleFromFleet,
    RetireFleet,
)
from schemas.load import Capacity
from schemas.message import Command
from schemas.vehicle import (
    AssignVehicle,
    CancelVehicleMaintenance,
    ChangeVehicleOutfit,
    CompleteVehicleMaintenance,
    Defect,
    GroundVehicle,
    PlanVehicleMaintenance,
    RegisterVehicle,
    RejectVehicleDocument,
    ReleaseVehicle,
    ReportVehicleInspection,
    ReportVehicleOdometer,
    RetireVehicle,
    ReturnVehicleToService,
    SubmitVehicleDocument,
    VerifyVehicleDocument,
)

LOAD = Capacity(weight_g=800_000, volume_cm3=6_000_000, parcels=120)
INSURANCE, SERVICE = "insurance-2026", "service-2026"

VEHICLES: dict[str, Command] = {
    "An electric van with a cold box": RegisterVehicle(
        kind="van",
        capacity=LOAD,
        plate="LUM-107",
        range_km=280,
        temperatures=["ambient", "chilled"],
        outlet=OUTLET,
        odometer_km=18_200,
        external_reference=VEHICLE,
    ),
    "The cold box was taken out": ChangeVehicleOutfit(
        capacity=Capacity(weight_g=850_000, volume_cm3=7_000_000, parcels=140), range_km=280
    ),
    "This year's insurance": SubmitVehicleDocument(
        document_id=INSURANCE, kind="vehicle_insurance", number="FI-88-204417"
    ),
    "The insurance was looked at": VerifyVehicleDocument(
        document_id=INSURANCE, valid_from=at(0, day=1), expires_at=at(0, day=1).replace(year=2027)
    ),
    "The insurance is another vehicle's": RejectVehicleDocument(document_id=INSURANCE, reason_code="another_vehicle"),
    "To the rider of the morning": AssignVehicle(rider_id=RIDER_ID),
    "The shift is over": ReleaseVehicle(reason_code="shift_over"),
    "Read at the end of the day": ReportVehicleOdometer(odometer_km=18_346, observed_at=at(16, 5)),
    "Looked at before the first tour: a worn tyre": ReportVehicleInspection(
        inspection_id="2026-03-02-morning",
        observed_at=at(7, 50),
        odometer_km=18_212,
        defects=[Defect(code="tyre_worn", severity="minor", note="Front left")],
    ),
    "It may not drive": GroundVehicle(reason_code="brakes", note="The pedal is soft."),
    "It may drive again": ReturnVehicleToService(),
    "A service in May, or at 20 000 km": PlanVehicleMaintenance(
        maintenance_id=SERVICE, kind="service", due_at=at(8).replace(month=5, day=4), due_km=20_000
    ),
    "The service was done": CompleteVehicleMaintenance(maintenance_id=SERVICE),
    "The garage is closed that day": CancelVehicleMaintenance(maintenance_id=SERVICE, reason_code="garage_closed"),
    "It was sold": RetireVehicle(reason_code="sold"),
}

FLEETS: dict[str, Command] = {
    "Those who are at home in Kamppi": CreateFleet(name="Kamppi", outlet=OUTLET, external_reference="fleet-kamppi"),
    "Another name": ChangeFleet(name="Kamppi and Punavuori", outlet=OUTLET),
    "A rider comes to it": AddRiderToFleet(rider_id=RIDER_ID),
    "A rider leaves it": RemoveRiderFromFleet(rider_id=RIDER_ID),
    "A vehicle comes to it": AddVehicleToFleet(vehicle_id=VEHICLE_ID),
    "A vehicle leaves it": RemoveVehicleFromFleet(vehicle_id=VEHICLE_ID),
    "Two fleets become one": RetireFleet(reason_code="merged"),
}

EXAMPLES = (VEHICLES, FLEETS)
