"""The vehicles that a rider has, in the rider's decisions: may they be given work with it, and how much can it carry?"""

from datetime import datetime

import pytest
from msgspec.structs import replace
from riding import OTHER, approved, on_shift, reserve, underway, within
from story import Story, minutes

from commands.refusals import TooMany
from commands.rider_refusals import CannotReserve
from schemas.message import VehicleId
from schemas.rider import MAX_VEHICLES, RecordVehicleFitness, VehicleFitnessChanged
from schemas.vehicle_fitness import VehicleFitness, VehicleValidity

VAN, BIKE = VehicleId("van"), VehicleId("bike")
FIT = VehicleFitness(
    grounded=False,
    inspection_failed=False,
    maintenance_due=False,
    maintenance_due_at=None,
    capacity_g=200_000,
    documents=[],
)
GROUNDED = replace(FIT, grounded=True)


def record(fitness: VehicleFitness | None, number: int = 1, vehicle: VehicleId = VAN) -> RecordVehicleFitness:
    return RecordVehicleFitness(vehicle_id=vehicle, number=number, fitness=fitness)


def having(*vehicles: VehicleFitness, story: Story | None = None) -> Story:
    """On shift until 20:00; vehicle by vehicle."""
    told = story or on_shift()
    for number, fitness in enumerate(vehicles):
        told = told.when(record(fitness, vehicle=VehicleId(f"vehicle-{number}"))).happened()
    return told


def roadworthy(*spans: tuple[float, float]) -> VehicleFitness:
    documents = [
        VehicleValidity(kind="roadworthiness", valid_from=minutes(start), expires_at=minutes(end))
        for start, end in spans
    ]
    return replace(FIT, documents=documents)


def why_not(story: Story) -> object:
    return story.refuses(CannotReserve).values()["code"]


# What is known of them


def test_what_a_vehicle_states_is_known_of_it():
    on_shift().when(record(FIT)).then(VehicleFitnessChanged(vehicle_id=VAN, number=1, fitness=FIT))


def test_a_rider_may_have_a_vehicle_before_they_may_work():
    approved().when(record(FIT)).tells("VehicleFitnessChanged")


def test_an_older_statement_changes_nothing():
    known = on_shift().when(record(FIT, 3)).happened()
    for number in (2, 3):
        known.when(record(GROUNDED, number)).then()
        known.when(record(None, number)).then()
    known.when(record(GROUNDED, 4)).tells("VehicleFitnessChanged")


def test_one_that_says_the_same_changes_nothing_nor_does_the_end_of_what_is_not_there():
    on_shift().when(record(FIT)).happened().when(record(FIT, 2)).then()
    on_shift().when(record(None)).then()


def test_a_vehicle_that_is_theirs_no_more_is_forgotten():
    gone = on_shift().when(record(GROUNDED)).and_then(record(None, 2)).happened()
    assert gone.state.vehicles == {}
    gone.when(reserve()).tells("RiderReserved")


def test_a_rider_has_so_many_at_once_and_no_more():
    full = having(*[FIT] * MAX_VEHICLES)
    full.when(record(FIT, vehicle=BIKE)).refuses(TooMany)
    full.when(record(GROUNDED, 2, VehicleId("vehicle-0"))).tells("VehicleFitnessChanged")


# May they be given work with it?


@pytest.mark.parametrize(
    ("vehicle", "code"),
    [
        (GROUNDED, "vehicle_grounded"),
        (replace(FIT, inspection_failed=True), "vehicle_inspection_failed"),
        (replace(FIT, maintenance_due=True), "vehicle_maintenance_overdue"),
    ],
)
def test_with_a_vehicle_that_may_not_drive_nobody_is_reserved(vehicle: VehicleFitness, code: str):
    assert why_not(having(vehicle).when(reserve())) == code


def test_a_vehicle_that_is_grounded_takes_nothing_away():
    story = having(GROUNDED, story=underway())
    assert [r.active for r in story.state.reservations.values()] == [True]
    assert why_not(story.when(reserve(OTHER))) == "vehicle_grounded"


def test_who_has_another_that_is_fit_goes_by_that():
    having(GROUNDED, FIT).when(reserve()).tells("RiderReserved")


def test_of_several_reasons_it_is_always_the_same():
    failed = replace(FIT, inspection_failed=True)
    assert why_not(having(failed, GROUNDED).when(reserve())) == "vehicle_grounded"
    assert why_not(having(GROUNDED, failed).when(reserve())) == "vehicle_grounded"


@pytest.mark.parametrize(("due_at", "code"), [(minutes(0), "vehicle_maintenance_overdue"), (minutes(1), None)])
def test_maintenance_is_overdue_from_its_date_on(due_at: datetime, code: str | None):
    story = having(replace(FIT, maintenance_due_at=due_at)).when(reserve())
    if code is None:
        story.tells("RiderReserved")
    else:
        assert why_not(story) == code


def test_a_document_that_vehicles_need_must_be_valid_for_all_of_the_time():
    def story(*spans: tuple[float, float]) -> Story:
        return having(roadworthy(*spans)).requiring("roadworthiness")

    assert why_not(story().when(reserve())) == "vehicle_document_missing"
    assert why_not(story((-60, 0)).when(reserve())) == "vehicle_document_expired"
    assert why_not(story((-60, 479)).when(reserve())) == "vehicle_document_expires_too_soon"
    story((-60, 480)).when(reserve()).tells("RiderReserved")
    story((-60, 100)).when(reserve(window=within(30, 100))).tells("RiderReserved")
    assert why_not(story((-60, 100)).when(reserve(window=within(30, 101)))) == "vehicle_document_expires_too_soon"
    story((100, 480), (-60, 100)).when(reserve()).tells("RiderReserved")
    assert why_not(story((101, 480), (-60, 100)).when(reserve())) == "vehicle_document_expires_too_soon"


def test_who_has_no_vehicle_of_ours_needs_no_papers_of_one():
    on_shift().requiring("roadworthiness").when(reserve()).tells("RiderReserved")


# How much can it carry?


def test_who_can_carry_more_than_the_vehicle_carries_what_that_can():
    small = replace(FIT, capacity_g=900)
    assert why_not(having(small).when(reserve(load_g=1_000))) == "over_capacity"
    having(small).when(reserve(load_g=900)).tells("RiderReserved")
    having(small, FIT).when(reserve(load_g=1_000)).tells("RiderReserved")
    assert why_not(having(FIT).when(reserve(load_g=5_001))) == "over_capacity", "the rider can carry no more than that"


def test_a_large_one_that_stands_still_does_not_help():
    story = having(replace(FIT, capacity_g=900), GROUNDED)
    assert why_not(story.when(reserve(load_g=1_000))) == "over_capacity"
