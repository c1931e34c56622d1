"""Where a task's stops go on an itinerary, as dispatch has placed them, whatever has become of it since."""

from story import KAMPPI, Story, minutes, nothing_yet

from commands.placing import placed_among
from commands.rider_refusals import CannotReserve
from schemas.itinerary import Placed, StopRef
from schemas.load import Capacity, Load
from schemas.message import Personal, StopId, SubjectId, TaskId, VehicleId
from schemas.rider import (
    ActivateReservation,
    ApproveRider,
    LockNextStop,
    NewPlannedStop,
    PlannedStop,
    RecordVehicleFitness,
    RegisterRider,
    RemoveStops,
    ReserveRider,
    StartShift,
)
from schemas.vehicle_fitness import VehicleFitness

ONE, TWO = TaskId("one"), TaskId("two")
PICKUP, DROPOFF = StopId("pickup"), StopId("dropoff")


def ref(task: TaskId, stop: StopId) -> StopRef:
    return StopRef(task_id=task, stop_id=stop)


def planned(task: str, name: str) -> PlannedStop:
    return PlannedStop(
        task_id=TaskId(task),
        stop_id=StopId(name),
        kind="dropoff",
        location=Personal(SubjectId("s"), KAMPPI),
        window=None,
        service_seconds=0,
        load=Load(),
    )


A, B, C = (planned("known", name) for name in "abc")
X, Y = (planned("new", name) for name in "xy")
BEHIND_A = Placed(stop_id=X.stop_id, behind=ref(TaskId("known"), A.stop_id))
BEHIND_X = Placed(stop_id=Y.stop_id, behind=ref(TaskId("new"), X.stop_id))


def test_each_goes_behind_the_stop_that_it_names_also_of_its_own_task():
    assert placed_among([A, B, C], [X, Y], [BEHIND_A, BEHIND_X]) == [A, X, Y, B, C]


def test_what_names_none_comes_first_and_what_is_not_placed_last():
    assert placed_among([A, B], [X, Y], [Placed(stop_id=X.stop_id)]) == [X, A, B, Y]
    assert placed_among([A, B], [X, Y], []) == [A, B, X, Y]


def test_behind_a_stop_that_is_over_is_first():
    assert placed_among([B, C], [X, Y], [BEHIND_A, BEHIND_X]) == [X, Y, B, C]


def test_what_is_locked_stays_first():
    locked = ref(TaskId("known"), B.stop_id)
    assert placed_among([B, C], [X], [BEHIND_A], locked) == [B, X, C]


# On a rider


def stops(grams: int = 100) -> list[NewPlannedStop]:
    return [
        NewPlannedStop(stop_id=PICKUP, kind="pickup", subject="s", location=KAMPPI, load=Load(weight_g=grams)),
        NewPlannedStop(stop_id=DROPOFF, kind="dropoff", subject="s", location=KAMPPI, load=Load(weight_g=-grams)),
    ]


def reserving(task: TaskId, *placed: Placed, grams: int = 100, ends: float | None = None) -> ReserveRider:
    return ReserveRider(
        task_id=task,
        round=1,
        hold_until=minutes(5),
        stops=stops(grams),
        placed=list(placed),
        ends_at=None if ends is None else minutes(ends),
    )


def with_one_ahead(grams: int = 100, capacity_g: int = 1_000) -> Story:
    story = nothing_yet("rider").when(RegisterRider(name="Ann", capacity_g=capacity_g)).happened()
    story = story.by("dora", "dispatcher").when(ApproveRider()).happened()
    story = story.by("a-1").when(StartShift(ends_at=minutes(480))).happened()
    story = story.when(reserving(ONE, grams=grams)).happened()
    return story.when(ActivateReservation(task_id=ONE, round=1)).happened()


BETWEEN = (
    Placed(stop_id=PICKUP, behind=ref(ONE, PICKUP)),
    Placed(stop_id=DROPOFF, behind=ref(TWO, PICKUP)),
)


def order_of(story: Story) -> list[tuple[str, str]]:
    state = story.state
    return [(stop.task_id, stop.stop_id) for stop in state.itinerary]


def activated(story: Story) -> Story:
    return story.when(ActivateReservation(task_id=TWO, round=1)).happened()


def test_what_was_reserved_in_between_is_ahead_in_between():
    story = with_one_ahead().when(reserving(TWO, *BETWEEN)).happened()
    story.when(ActivateReservation(task_id=TWO, round=1)).tells(
        "ReservationActivated", "ItineraryStopsInserted", "ItineraryResequenced"
    )
    assert order_of(activated(story)) == [(ONE, PICKUP), (TWO, PICKUP), (TWO, DROPOFF), (ONE, DROPOFF)]


def test_where_it_goes_to_the_end_nothing_is_brought_into_another_order():
    story = with_one_ahead().when(reserving(TWO)).happened()
    story.when(ActivateReservation(task_id=TWO, round=1)).tells("ReservationActivated", "ItineraryStopsInserted")


def test_a_stop_that_is_over_by_then_leaves_the_rest_in_its_order():
    story = with_one_ahead().when(reserving(TWO, *BETWEEN)).happened()
    over = RemoveStops(task_id=ONE, round=1, reason_code="stop_over", stop_ids=[PICKUP])
    assert order_of(activated(story.when(over).happened())) == [(TWO, PICKUP), (TWO, DROPOFF), (ONE, DROPOFF)]


def test_before_what_was_locked_meanwhile_nothing_goes():
    first = (Placed(stop_id=PICKUP), Placed(stop_id=DROPOFF, behind=ref(TWO, PICKUP)))
    story = with_one_ahead().when(reserving(TWO, *first)).happened()
    assert order_of(activated(story))[0] == (TWO, PICKUP)
    story = with_one_ahead().when(reserving(TWO, *first)).happened()
    story = story.by("dora", "dispatcher").when(LockNextStop(itinerary_version=1, reason_code="near")).happened()
    assert order_of(activated(story)) == [(ONE, PICKUP), (TWO, PICKUP), (TWO, DROPOFF), (ONE, DROPOFF)]


def test_what_would_be_too_much_in_between_goes_to_the_end():
    story = with_one_ahead(grams=600).when(reserving(TWO, *BETWEEN, grams=600)).happened()
    assert order_of(activated(story)) == [(ONE, PICKUP), (ONE, DROPOFF), (TWO, PICKUP), (TWO, DROPOFF)]


def test_what_is_too_much_for_the_vehicle_that_may_drive_goes_to_the_end_though_a_grounded_one_would_hold_it():
    story = with_one_ahead(grams=600, capacity_g=9_000)
    for number, (vehicle, limit, grounded) in enumerate((("bike", 1_000, False), ("van", 5_000, True)), start=1):
        fitness = VehicleFitness(
            grounded=grounded,
            inspection_failed=False,
            maintenance_due=False,
            maintenance_due_at=None,
            capacity=Capacity(weight_g=limit, volume_cm3=9**9, parcels=99),
            documents=[],
        )
        told = RecordVehicleFitness(vehicle_id=VehicleId(vehicle), number=number, fitness=fitness)
        story = story.by("vehicle-fitness", "system").when(told).happened()
    story = story.when(reserving(TWO, *BETWEEN, grams=600)).happened()
    assert order_of(activated(story)) == [(ONE, PICKUP), (ONE, DROPOFF), (TWO, PICKUP), (TWO, DROPOFF)]


def test_a_placing_that_puts_the_door_before_the_shop_is_not_followed():
    upside_down = (Placed(stop_id=PICKUP, behind=ref(ONE, DROPOFF)), Placed(stop_id=DROPOFF))
    story = with_one_ahead().when(reserving(TWO, *upside_down)).happened()
    assert order_of(activated(story)) == [(ONE, PICKUP), (ONE, DROPOFF), (TWO, PICKUP), (TWO, DROPOFF)]


def test_who_would_not_be_through_before_the_shift_ends_is_not_reserved():
    with_one_ahead().when(reserving(TWO, ends=480)).tells("RiderReserved")
    refused = with_one_ahead().when(reserving(TWO, ends=481)).refuses(CannotReserve)
    assert refused.values()["code"] == "shift_ends_too_soon"
