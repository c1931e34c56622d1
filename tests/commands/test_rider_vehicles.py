"""The vehicles that a rider has, in the rider's decisions: may they be given work with it, and how much can it carry?"""

from datetime import datetime

import pytest
from msgspec.structs import replace
from riding import DROPOFF, OTHER, PICKUP, TASK, approved, on_shift, reserve, stops, underway, within
from story import Story, minutes

from commands.refusals import TooMany
from commands.rider_refusals import CannotReserve, TooHeavyThatWay
from schemas.load import Capacity, Load
from schemas.message import TaskId, VehicleId
from schemas.rider import (
    MAX_VEHICLES,
    ActivateReservation,
    RecordVehicleFitness,
    ResequenceItinerary,
    StopRef,
    VehicleFitnessChanged,
)
from schemas.vehicle_fitness import VehicleFitness, VehicleValidity

VAN, BIKE = VehicleId("van"), VehicleId("bike")
VAN_HOLDS = Capacity(weight_g=200_000, volume_cm3=800_000, parcels=40)
FIT = VehicleFitness(
    grounded=False,
    inspection_failed=False,
    maintenance_due=False,
    maintenance_due_at=None,
    capacity=VAN_HOLDS,
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


def too_much(story: Story) -> tuple[object, ...]:
    """Of what, how much, and how much there may be."""
    refused = story.refuses(CannotReserve).values()
    assert refused["code"] == "over_capacity"
    return refused["measure"], refused["load"], refused["limit"]


def holding(**changes: int) -> VehicleFitness:
    return replace(FIT, capacity=replace(VAN_HOLDS, **changes))


def grams(count: int) -> Load:
    return Load(weight_g=count, volume_cm3=1, parcels=1)


def test_who_can_carry_more_than_the_vehicle_carries_what_that_can():
    small = holding(weight_g=900)
    assert too_much(having(small).when(reserve(load=grams(1_000)))) == ("weight_g", 1_000, 900)
    having(small).when(reserve(load=grams(900))).tells("RiderReserved")
    having(small, FIT).when(reserve(load=grams(1_000))).tells("RiderReserved")
    weak = having(FIT).when(reserve(load=grams(5_001)))
    assert too_much(weak) == ("weight_g", 5_001, 5_000), "the rider can carry no more than that"


def test_a_large_one_that_stands_still_does_not_help():
    story = having(holding(weight_g=900), GROUNDED)
    assert too_much(story.when(reserve(load=grams(1_000)))) == ("weight_g", 1_000, 900)


@pytest.mark.parametrize("measure", ["volume_cm3", "parcels"])
def test_volume_and_number_bind_as_weight_does(measure: str):
    load = Load(weight_g=100, volume_cm3=40, parcels=40)
    assert too_much(having(holding(**{measure: 39})).when(reserve(load=load))) == (measure, 40, 39)
    having(holding(**{measure: 40})).when(reserve(load=load)).tells("RiderReserved")
    on_shift().when(reserve(load=replace(load, volume_cm3=9**12, parcels=999))).tells("RiderReserved")


def test_all_of_it_goes_into_one_vehicle():
    heavy, bulky = holding(volume_cm3=10), holding(weight_g=100)
    both = Load(weight_g=200, volume_cm3=20, parcels=1)
    assert too_much(having(heavy, bulky).when(reserve(load=both))) == ("volume_cm3", 20, 10)
    having(heavy, bulky).when(reserve(load=replace(both, weight_g=100))).tells("RiderReserved")


def test_what_is_held_and_what_is_on_the_way_take_their_room():
    boxes = Load(weight_g=1, volume_cm3=1, parcels=25)
    story = having(FIT).when(reserve(load=boxes)).happened()
    one_way = replace(reserve(OTHER, load=boxes), stops=stops(boxes)[:1])
    story.when(one_way).tells("RiderReserved")
    under_way = story.when(one_way).happened().when(ActivateReservation(task_id=OTHER, round=1)).happened()
    third = replace(one_way, task_id=TaskId("task-3"))
    assert too_much(under_way.where(max_active_tasks=9).when(third)) == ("parcels", 50, 40)


def test_no_order_puts_more_into_the_vehicle_than_it_holds():
    boxes = Load(weight_g=1, volume_cm3=1, parcels=25)
    story = underway(having(FIT).when(reserve(load=boxes)).happened()).when(reserve(OTHER, load=boxes)).happened()
    story = story.when(ActivateReservation(task_id=OTHER, round=1)).happened()
    here, there = ([StopRef(task_id=task, stop_id=stop) for stop in (PICKUP, DROPOFF)] for task in (TASK, OTHER))
    both_first = ResequenceItinerary(
        itinerary_version=2, order=[here[0], there[0], here[1], there[1]], reason_code="pressing"
    )
    refused = story.when(both_first).refuses(TooHeavyThatWay).values()
    assert refused == {"measure": "parcels", "load": 50, "limit": 40}
    story.when(replace(both_first, order=[*there, *here])).tells("ItineraryResequenced")


def test_what_is_too_much_as_it_is_may_get_better_but_not_in_another_respect_worse():
    """After the vehicle was changed for a smaller one."""
    heavy, light = Load(weight_g=2_000, volume_cm3=1, parcels=1), Load(weight_g=1, volume_cm3=1, parcels=20)
    story = underway(having(FIT).when(reserve(load=heavy)).happened()).when(reserve(OTHER, load=light)).happened()
    story = story.when(ActivateReservation(task_id=OTHER, round=1)).happened()
    here, there = ([StopRef(task_id=task, stop_id=stop) for stop in (PICKUP, DROPOFF)] for task in (TASK, OTHER))
    smaller = story.when(record(holding(weight_g=1_000, parcels=20), 2, VehicleId("vehicle-0"))).happened()
    anew = ResequenceItinerary(itinerary_version=2, order=[*there, *here], reason_code="pressing")
    smaller.when(anew).tells("ItineraryResequenced")
    both_first = replace(anew, order=[there[0], here[0], there[1], here[1]])
    refused = smaller.when(both_first).refuses(TooHeavyThatWay).values()
    assert refused == {"measure": "weight_g", "load": 2_001, "limit": 1_000}
    large_again = smaller.when(record(FIT, 3, VehicleId("vehicle-0"))).happened()
    large_again.when(both_first).tells("ItineraryResequenced")
