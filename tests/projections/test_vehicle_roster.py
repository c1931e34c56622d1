"""What a roster says of a vehicle is what decisions say of it, whatever was asked and in whatever order."""

import contextlib
from datetime import timedelta

import msgspec
from garage import BIKE, VAN, Garage
from hypothesis import given, settings
from hypothesis import strategies as st
from story import NOON, minutes

from commands.aggregates import AGGREGATES
from commands.memory import encode
from commands.vehicle_state import RegisteredVehicle, status_of
from projections.deadlines import DEADLINES
from projections.vehicle_roster import VEHICLE_ROSTER, VehicleRow
from schemas.load import Capacity
from schemas.message import Command, Refused
from schemas.vehicle import (
    AssignVehicle,
    CancelVehicleMaintenance,
    ChangeVehicleOutfit,
    CompleteVehicleMaintenance,
    Defect,
    GroundVehicle,
    PlanVehicleMaintenance,
    RecordVehicleMaintenanceDue,
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

SMALL = Capacity(weight_g=200_000, volume_cm3=800_000, parcels=40)
LARGE = Capacity(weight_g=900_000, volume_cm3=6_000_000, parcels=200)
REGISTER = RegisterVehicle(
    kind="van", plate="ABC-123", capacity=SMALL, outlet="kamppi", external_reference="van-1", metadata={"depot": "7"}
)
PLAN = PlanVehicleMaintenance(maintenance_id="m-1", kind="oil_change", due_at=minutes(30), due_km=1_500)
BRAKES = Defect(code="brakes", severity="major")


def row(garage: Garage, vehicle: str = VAN) -> VehicleRow:
    found = garage.rows(VEHICLE_ROSTER)["acme", vehicle]
    assert isinstance(found, VehicleRow)
    return found


def test_a_registered_vehicle_is_available_with_its_plate_sealed():
    garage = Garage().sends(REGISTER)
    found = row(garage)
    assert (found.kind, found.status, found.outlet, found.capacity) == ("van", "available", "kamppi", SMALL)
    assert (found.external_reference, found.metadata, found.temperatures) == ("van-1", {"depot": "7"}, ["ambient"])
    assert (found.created_at, found.updated_at, found.version) == (NOON, NOON, 1)
    assert found.plate is not None
    assert (found.plate.subject, found.plate.field) == (VAN, "VehicleRegistered.plate")
    assert "ABC-123" not in repr(found)


def test_who_has_it_since_when_and_why_it_stands_still():
    garage = Garage().sends(REGISTER)
    garage.now = minutes(5)
    garage.sends(AssignVehicle(rider_id="ann"))
    assert (row(garage).status, row(garage).rider_id, row(garage).assigned_at) == ("assigned", "ann", minutes(5))
    garage.sends(GroundVehicle(reason_code="flat_tyre"))
    assert (row(garage).status, row(garage).reason_code, row(garage).rider_id) == ("grounded", "flat_tyre", "ann")
    garage.sends(ReturnVehicleToService())
    assert (row(garage).status, row(garage).reason_code, row(garage).rider_id) == ("assigned", None, "ann")
    garage.sends(GroundVehicle(reason_code="accident"), ReleaseVehicle(reason_code="shift_over"))
    assert (row(garage).status, row(garage).rider_id, row(garage).assigned_at) == ("grounded", None, None)
    garage.sends(ReturnVehicleToService())
    assert (row(garage).status, row(garage).reason_code) == ("available", None)
    garage.sends(RetireVehicle(reason_code="sold"))
    assert (row(garage).status, row(garage).reason_code) == ("retired", "sold")


def test_the_latest_inspection_stands_and_what_was_told_late_does_not():
    garage = Garage().sends(
        REGISTER,
        ReportVehicleInspection(inspection_id="i-2", observed_at=NOON, odometer_km=70, defects=[BRAKES]),
        ReportVehicleInspection(inspection_id="i-1", observed_at=minutes(-30)),
    )
    inspection = row(garage).inspection
    assert inspection is not None
    assert (inspection.inspection_id, inspection.result, inspection.defects) == ("i-2", "failed", [BRAKES])
    assert (row(garage).odometer_km, row(garage).odometer_at, row(garage).version) == (70, NOON, 4)
    again = row(garage.sends(ReportVehicleInspection(inspection_id="i-3", observed_at=NOON))).inspection
    assert again is not None
    assert (again.inspection_id, again.result) == ("i-3", "passed")


def test_maintenance_stands_there_until_it_is_done():
    garage = Garage().sends(REGISTER, PLAN)
    assert [(m.kind, m.status, m.due_km) for m in row(garage).maintenance.values()] == [
        ("oil_change", "planned", 1_500)
    ]
    garage.sends(ReportVehicleOdometer(odometer_km=1_500, observed_at=NOON))
    assert [m.status for m in row(garage).maintenance.values()] == ["due"]
    garage.sends(CompleteVehicleMaintenance(maintenance_id="m-1"))
    assert row(garage).maintenance == {}


def test_a_document_stands_with_its_time_and_without_its_number():
    garage = Garage().sends(
        REGISTER,
        SubmitVehicleDocument(document_id="d-1", kind="roadworthiness", number="R-99"),
        VerifyVehicleDocument(document_id="d-1", valid_from=NOON, expires_at=minutes(60)),
    )
    document = row(garage).documents["d-1"]
    assert (document.kind, document.status) == ("roadworthiness", "verified")
    assert (document.valid_from, document.expires_at) == (NOON, minutes(60))
    assert "R-99" not in repr(row(garage))
    garage.sends(RejectVehicleDocument(document_id="d-1", reason_code="forged"))
    assert row(garage).documents["d-1"].status == "rejected"


# Whatever was asked

maintenance = st.sampled_from(["m-1", "m-2"])
reason = st.just("because")
at = st.integers(-60, 60).map(minutes)
km = st.integers(0, 3_000)
asked: st.SearchStrategy[Command] = st.one_of(
    st.builds(AssignVehicle, rider_id=st.sampled_from(["ann", "bob"])),
    st.builds(ReleaseVehicle, reason_code=reason),
    st.builds(GroundVehicle, reason_code=reason),
    st.builds(ReturnVehicleToService),
    st.builds(ChangeVehicleOutfit, capacity=st.sampled_from([SMALL, LARGE])),
    st.builds(
        SubmitVehicleDocument, document_id=st.just("d-1"), kind=st.just("roadworthiness"), number=st.just("R-99")
    ),
    st.builds(VerifyVehicleDocument, document_id=st.just("d-1"), valid_from=at, expires_at=at),
    st.builds(RejectVehicleDocument, document_id=st.just("d-1"), reason_code=reason),
    st.builds(ReportVehicleOdometer, odometer_km=km, observed_at=at),
    st.builds(
        ReportVehicleInspection,
        inspection_id=st.sampled_from(["i-1", "i-2", "i-3"]),
        observed_at=at,
        odometer_km=st.none() | km,
        defects=st.sampled_from([[], [BRAKES]]),
    ),
    st.builds(
        PlanVehicleMaintenance,
        maintenance_id=maintenance,
        kind=st.just("oil_change"),
        due_at=st.none() | at,
        due_km=st.none() | km,
    ),
    st.builds(RecordVehicleMaintenanceDue, maintenance_id=maintenance),
    st.builds(CompleteVehicleMaintenance, maintenance_id=maintenance),
    st.builds(CancelVehicleMaintenance, maintenance_id=maintenance, reason_code=reason),
)
stories = st.lists(st.tuples(st.sampled_from([VAN, BIKE]), st.integers(0, 20), asked), max_size=40)


def played(story: list[tuple[str, int, Command]]) -> Garage:
    """Two vehicles, minute by minute; what is refused has not happened. At the end the bicycle is retired."""
    garage = Garage().sends(REGISTER).sends(RegisterVehicle(kind="bicycle", capacity=SMALL), vehicle=BIKE)
    for vehicle, later, command in story:
        garage.now += timedelta(minutes=later)
        with contextlib.suppress(Refused):
            garage.sends(command, vehicle=vehicle)
    return garage.sends(RetireVehicle(reason_code="sold"), vehicle=BIKE)


@settings(max_examples=150, deadline=None)
@given(stories)
def test_the_roster_says_of_a_vehicle_what_decisions_say_of_it(story: list[tuple[str, int, Command]]):
    garage = played(story)
    van, bike = row(garage), row(garage, BIKE)
    assert (bike.status, bike.rider_id, bike.maintenance) == ("retired", None, {})
    state = garage.state()
    assert (van.status, van.rider_id) == (status_of(state), state.rider_id)
    assert (van.capacity, tuple(van.temperatures)) == (state.capacity, state.temperatures)
    assert (van.odometer_km, van.odometer_at) == (state.odometer_km, state.odometer_at)
    assert (van.inspection is not None and van.inspection.result == "failed") == state.inspection_failed
    documents = {key: (each.status, each.expires_at) for key, each in state.documents.items()}
    assert {key: (each.status, each.expires_at) for key, each in van.documents.items()} == documents
    still_open = {key: (each.status, each.due_at, each.due_km) for key, each in open_of(state).items()}
    assert {key: (each.status, each.due_at, each.due_km) for key, each in van.maintenance.items()} == still_open


@settings(max_examples=150, deadline=None)
@given(stories)
def test_a_deadline_stands_for_each_date_that_is_waited_for_and_for_no_other(story: list[tuple[str, int, Command]]):
    garage = played(story)
    waiting = {
        ("acme", "record_maintenance_due", VAN, key): each.due_at
        for key, each in open_of(garage.state()).items()
        if each.status == "planned" and each.due_at is not None
    }
    waiting |= {
        ("acme", "warn_vehicle_document_expiry", VAN, key): each.warn_at
        for key, each in garage.state().documents.items()
        if each.warn_at is not None
    }
    assert {key: each.due_at for key, each in garage.rows(DEADLINES).items()} == waiting


@settings(max_examples=50, deadline=None)
@given(stories)
def test_a_vehicle_that_was_put_aside_comes_back_as_it_was(story: list[tuple[str, int, Command]]):
    garage = played(story)
    for vehicle in (VAN, BIKE):
        state = garage.state(vehicle)
        assert msgspec.msgpack.decode(encode(state), type=AGGREGATES["vehicle"].state) == state


def open_of(state: RegisteredVehicle) -> dict[str, object]:
    return {key: each for key, each in state.maintenance.items() if each.is_open}
