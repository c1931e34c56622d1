"""What a vehicle tells the rider who has it: how fit it is, each time that it changes."""

from msgspec.structs import replace
from story import Story, minutes, nothing_yet

from commands.vehicle_fitness import FitnessStatedAnew
from schemas.load import Capacity
from schemas.message import RiderId
from schemas.vehicle import (
    AssignVehicle,
    ChangeVehicleOutfit,
    ConfirmVehicleFitness,
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
    VehicleAssigned,
    VehicleFitnessStated,
    VehicleGrounded,
    VehicleReturnedToService,
    VerifyVehicleDocument,
)
from schemas.vehicle_fitness import VehicleFitness, VehicleValidity

ANN = RiderId("ann")
SMALL = Capacity(weight_g=200_000, volume_cm3=800_000, parcels=40)
FIT = VehicleFitness(
    grounded=False,
    inspection_failed=False,
    maintenance_due=False,
    maintenance_due_at=None,
    capacity=SMALL,
    documents=[],
)
GROUND = GroundVehicle(reason_code="flat_tyre")
SUBMIT = SubmitVehicleDocument(document_id="d-1", kind="roadworthiness")
VERIFY = VerifyVehicleDocument(document_id="d-1", valid_from=minutes(-60), expires_at=minutes(60))


def idle() -> Story:
    return nothing_yet("vehicle").when(RegisterVehicle(kind="van", capacity=SMALL)).happened()


def with_ann() -> Story:
    return idle().when(AssignVehicle(rider_id="ann")).happened()


def inspected(word: str, *severities: str, km: int | None = None) -> ReportVehicleInspection:
    defects = [Defect(code="brakes", severity=severity) for severity in severities]  # type: ignore[arg-type]
    return ReportVehicleInspection(inspection_id=word, observed_at=minutes(0), odometer_km=km, defects=defects)


def stated(story: Story) -> list[VehicleFitness | None]:
    return [event.fitness for event in story.decided() if isinstance(event, VehicleFitnessStated)]


def test_who_is_given_it_is_told_how_fit_it_is():
    idle().when(AssignVehicle(rider_id="ann")).then(
        VehicleAssigned(rider_id=ANN), VehicleFitnessStated(rider_id=ANN, number=1, fitness=FIT)
    )


def test_who_has_it_is_told_each_time_that_it_changes():
    grounded = with_ann().when(GROUND)
    grounded.then(
        VehicleGrounded(reason_code="flat_tyre", note=None),
        VehicleFitnessStated(rider_id=ANN, number=2, fitness=replace(FIT, grounded=True)),
    )
    grounded.happened().when(ReturnVehicleToService()).then(
        VehicleReturnedToService(), VehicleFitnessStated(rider_id=ANN, number=3, fitness=FIT)
    )
    larger = ChangeVehicleOutfit(capacity=replace(SMALL, weight_g=900_000))
    assert stated(with_ann().when(larger)) == [replace(FIT, capacity=replace(SMALL, weight_g=900_000))]
    for changes in ({"volume_cm3": 900_000}, {"parcels": 41}):
        roomier = replace(SMALL, **changes)
        assert stated(with_ann().when(ChangeVehicleOutfit(capacity=roomier))) == [replace(FIT, capacity=roomier)]
    assert stated(with_ann().when(inspected("i-1", "major"))) == [replace(FIT, inspection_failed=True)]


def test_maintenance_is_told_by_its_date_and_once_it_is_due():
    by_half_past = PlanVehicleMaintenance(maintenance_id="m-1", kind="oil_change", due_at=minutes(30))
    planned = with_ann().when(by_half_past)
    assert stated(planned) == [replace(FIT, maintenance_due_at=minutes(30))]
    fired = planned.happened().at(minutes(30)).when(RecordVehicleMaintenanceDue(maintenance_id="m-1"))  # type: ignore[arg-type]
    assert stated(fired) == [replace(FIT, maintenance_due=True)]


def test_a_document_is_told_while_it_is_verified():
    submitted = with_ann().when(SUBMIT)
    assert stated(submitted) == []
    verified = submitted.and_then(VERIFY)
    until_one = VehicleValidity(kind="roadworthiness", valid_from=minutes(-60), expires_at=minutes(60))
    assert stated(verified) == [replace(FIT, documents=[until_one])]
    assert stated(verified.and_then(RejectVehicleDocument(document_id="d-1", reason_code="forged"))) == [FIT]


def test_what_changes_nothing_for_who_has_it_is_not_told():
    with_ann().when(ReportVehicleOdometer(odometer_km=1_200, observed_at=minutes(0))).tells("VehicleOdometerReported")
    with_ann().when(inspected("i-1")).tells("VehicleInspectionPassed")
    idle().when(GROUND).tells("VehicleGrounded")


def test_what_several_things_in_one_command_make_of_it_is_told_each_time():
    by_distance = PlanVehicleMaintenance(maintenance_id="m-1", kind="oil_change", due_km=1_500)
    both = with_ann().when(by_distance).happened().when(inspected("i-1", "major", km=1_600))
    assert stated(both) == [
        replace(FIT, maintenance_due=True),
        replace(FIT, maintenance_due=True, inspection_failed=True),
    ]


def test_who_has_it_no_more_is_told_that():
    with_ann().when(ReleaseVehicle(reason_code="shift_over")).tells("VehicleReleased", "VehicleFitnessStated")
    assert stated(with_ann().when(ReleaseVehicle(reason_code="shift_over"))) == [None]
    with_ann().when(RetireVehicle(reason_code="sold")).tells(
        "VehicleReleased", "VehicleFitnessStated", "VehicleRetired"
    )


def test_only_its_last_word_is_confirmed():
    grounded = with_ann().when(GROUND).happened()
    refused = grounded.when(ConfirmVehicleFitness(number=1)).refuses(FitnessStatedAnew)
    assert refused.values() == {"given": 1, "latest": 2}
    grounded.when(ConfirmVehicleFitness(number=2)).then()


def test_statements_are_numbered_through_whoever_has_it():
    back = with_ann().when(ReleaseVehicle(reason_code="shift_over")).and_then(AssignVehicle(rider_id="bob"))
    told = back.decided()[-1]
    assert told == VehicleFitnessStated(rider_id=RiderId("bob"), number=3, fitness=FIT)
