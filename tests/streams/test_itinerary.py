"""What lies ahead of a rider follows a task through everything that is told of it, and again."""

from datetime import timedelta

from story import CENTRE, KAMPPI, NORTH
from town import RIDERS, Town

from schemas.field_report import ReportAttemptFailed, ReportPickedUp, ReportReturned
from schemas.geo import Window
from schemas.ids import offer_id, tender_id
from schemas.message import StopId, TaskId
from schemas.rider import SetRiderSkills, SetRiderZones
from schemas.stop import NewParcel, NewStop
from schemas.task import AssignTask, CancelTask, CreateTask, RescheduleStop
from schemas.tender import ClaimOffer

TASK, ANN = TaskId("task-1"), RIDERS[0]


def test_the_second_way_back_stays_ahead_though_the_first_is_told_again():
    town = Town()
    stops = [NewStop(kind="pickup"), NewStop(kind="dropoff", location=KAMPPI)]
    town.ask("task", TASK, CreateTask(kind="delivery", outlet="kamppi", stops=stops, parcels=[NewParcel()]))
    town.ask("task", TASK, AssignTask(rider_id=ANN), "dora", "dispatcher")
    town.comes_to_rest()
    town.ask("task", TASK, ReportPickedUp(stop_id=StopId("stop-1"), observed_at=town.now), ANN, "rider")
    town.ask("task", TASK, CancelTask(reason_code="changed_mind"))
    failed = ReportAttemptFailed(stop_id=StopId("return-1"), observed_at=town.now, reason_code="outlet_closed")
    while StopId("return-2") not in town.state(TASK).stops:
        assert town.ask("task", TASK, failed, ANN, "rider")
    town.comes_to_rest()
    assert [stop.stop_id for stop in town.state(ANN).itinerary] == ["return-2"]
    town.starts_from_nothing()
    town.comes_to_rest()
    assert [stop.stop_id for stop in town.state(ANN).itinerary] == ["return-2"]


def test_ways_back_to_two_places_are_both_ahead_each_with_what_it_takes_off():
    town = Town()
    stops = [NewStop(kind="pickup"), NewStop(kind="pickup", outlet="kallio"), NewStop(kind="dropoff", location=KAMPPI)]
    parcels = [NewParcel(weight_g=300), NewParcel(pickup_stop="stop-2", weight_g=50)]
    town.ask("task", TASK, CreateTask(kind="delivery", outlet="kamppi", stops=stops, parcels=parcels))
    town.ask("task", TASK, AssignTask(rider_id=ANN), "dora", "dispatcher")
    town.comes_to_rest()
    for stop_id in (StopId("stop-1"), StopId("stop-2")):
        town.ask("task", TASK, ReportPickedUp(stop_id=stop_id, observed_at=town.now), ANN, "rider")
    town.ask("task", TASK, CancelTask(reason_code="changed_mind"))
    for _ in range(2):
        town.comes_to_rest()
        ahead = [(stop.stop_id, stop.load.weight_g) for stop in town.state(ANN).itinerary]
        assert ahead == [("return-1", -300), ("return-2", -50)]
        town.starts_from_nothing()
    returned = ReportReturned(stop_id=StopId("return-2"), observed_at=town.now)
    assert town.ask("task", TASK, returned, ANN, "rider")
    town.comes_to_rest()
    assert [stop.stop_id for stop in town.state(ANN).itinerary] == ["return-1"]


def test_a_stop_that_is_rescheduled_has_its_new_window_on_the_way():
    town = Town()
    stops = [NewStop(kind="pickup"), NewStop(kind="dropoff", location=KAMPPI)]
    town.ask("task", TASK, CreateTask(kind="delivery", outlet="kamppi", stops=stops, parcels=[NewParcel()]))
    town.ask("task", TASK, AssignTask(rider_id=ANN), "dora", "dispatcher")
    town.comes_to_rest()
    window = Window(start=town.now + timedelta(hours=1), end=town.now + timedelta(hours=2))
    town.ask("task", TASK, RescheduleStop(stop_id=StopId("stop-2"), window=window, reason_code="customer_asked"))
    town.comes_to_rest()
    assert [stop.window for stop in town.state(ANN).itinerary] == [None, window]


def test_a_task_is_given_to_nobody_who_lacks_its_skills():
    town = Town()
    stops = [NewStop(kind="pickup"), NewStop(kind="dropoff", location=KAMPPI)]
    order = CreateTask(kind="delivery", outlet="kamppi", stops=stops, required_skills=["alcohol"])
    town.ask("task", TASK, order)
    town.ask("task", TASK, AssignTask(rider_id=ANN), "dora", "dispatcher")
    town.comes_to_rest()
    assert town.state(TASK).rider_id is None
    assert [rule for step, rule in town.refused if step.purpose == "reserve"] == ["cannot-reserve"]
    town.ask("rider", ANN, SetRiderSkills(skills=["alcohol"]))
    town.ask("task", TASK, AssignTask(rider_id=ANN), "dora", "dispatcher")
    town.comes_to_rest()
    assert town.state(TASK).rider_id == ANN


def test_a_task_is_given_to_nobody_whose_zones_do_not_hold_its_stops():
    town = Town()
    assert not town.ask("rider", ANN, SetRiderZones(zones=["south"])), "nobody has made it"
    assert town.ask("rider", ANN, SetRiderZones(zones=[NORTH]))
    stops = [NewStop(kind="pickup"), NewStop(kind="dropoff", location=KAMPPI)]
    town.ask("task", TASK, CreateTask(kind="delivery", outlet="kamppi", stops=stops))
    town.ask("task", TASK, AssignTask(rider_id=ANN), "dora", "dispatcher")
    town.comes_to_rest()
    assert town.state(TASK).rider_id is None
    assert [rule for step, rule in town.refused if step.purpose == "reserve"] == ["cannot-reserve"]
    town.ask("rider", ANN, SetRiderZones(zones=[NORTH, CENTRE]))
    town.ask("task", TASK, AssignTask(rider_id=ANN), "dora", "dispatcher")
    town.comes_to_rest()
    assert town.state(TASK).rider_id == ANN


def test_a_stop_that_is_rescheduled_while_its_rider_is_reserved_has_its_new_window_too():
    town = Town()
    town.whom = lambda: [ANN]
    first, later = (Window(start=town.now + timedelta(hours=h), end=town.now + timedelta(hours=h + 1)) for h in (1, 5))
    stops = [NewStop(kind="pickup"), NewStop(kind="dropoff", location=KAMPPI, window=first)]
    town.ask("task", TASK, CreateTask(kind="delivery", outlet="kamppi", stops=stops, parcels=[NewParcel()]))
    town.comes_to_rest()
    tender = tender_id(TASK, 1)
    town.ask("tender", tender, ClaimOffer(offer_id=offer_id(tender, ANN)), ANN, "rider")
    while TASK not in town.state(ANN).reservations:
        town._go_on(("dispatch", tender))
    assert town.state(TASK).rider_id is None
    town.ask("task", TASK, RescheduleStop(stop_id=StopId("stop-2"), window=later, reason_code="customer_asked"))
    town.comes_to_rest()
    assert [stop.window for stop in town.state(ANN).itinerary] == [None, later]
