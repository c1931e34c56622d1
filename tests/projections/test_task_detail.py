"""What a task tells of what was undone."""

from garage import Garage
from story import ACME, NOON, minutes

from projections.task_detail import MAX_CONFLICTS, TASK_DETAIL, TaskDetailRow, UndoneRow
from schemas import ids
from schemas.field_report import CaptureProof, ReportPickedUp
from schemas.geo import Location
from schemas.message import RiderId, StopId
from schemas.proof import PinEntry
from schemas.stop import NewParcel, NewStop
from schemas.task import AcceptAssignment, AssignTask, CancelTask, CreateTask, ReviewFieldReport, UnassignTask

BREAD = ids.aggregate_id("task", ACME, "shop", "bread")
HOME = Location(lat=60.1610, lon=24.9420)


def assigned() -> Garage:
    garage = Garage()
    stops = [NewStop(kind="pickup"), NewStop(kind="dropoff", location=HOME)]
    garage.send("task", BREAD, CreateTask(kind="delivery", outlet="kamppi", stops=stops, parcels=[NewParcel()]))
    garage.send("task", BREAD, AssignTask(rider_id=RiderId("ann")), "dispatcher", "dora")
    return garage


def row(garage: Garage) -> TaskDetailRow:
    found: TaskDetailRow = garage.rows(TASK_DETAIL)[ACME, BREAD]
    return found


def test_an_assignment_that_was_undone_a_moment_later_leaves_by_whom_when_and_why():
    garage = assigned()
    garage.now = minutes(1)
    garage.send("task", BREAD, UnassignTask(reason_code="over_capacity"), "system", "dispatch")
    undone = UndoneRow(by="dispatch", at=minutes(1), reason_code="over_capacity", rider_id="ann")
    assert (row(garage).state, row(garage).unassigned) == ("dispatchable", undone)
    garage.send("task", BREAD, AssignTask(rider_id=RiderId("bob")), "dispatcher", "dora")
    assert row(garage).unassigned is None


def test_a_report_that_waits_for_a_review_gives_way_to_none_that_was_reviewed():
    garage = assigned()
    garage.send("task", BREAD, UnassignTask(reason_code="late"))
    for number in range(MAX_CONFLICTS + 1):
        report = ReportPickedUp(stop_id=StopId("stop-1"), observed_at=minutes(number))
        garage.send("task", BREAD, report, "rider", "ann")
        if number:
            latest = row(garage).conflicts[-1]
            review = ReviewFieldReport(conflict_id=latest.conflict_id, decision_code="seen")
            garage.send("task", BREAD, review)
    told = row(garage).conflicts
    assert len(told) == MAX_CONFLICTS
    waiting = [each.conflict_id for each in told if each.decision_code is None]
    assert waiting == list(garage.state(BREAD).conflicts)
    assert len(waiting) == 1


def test_a_stop_that_asks_for_a_pin_tells_how_often_it_may_still_be_tried():
    garage = Garage()
    stops = [NewStop(kind="pickup"), NewStop(kind="dropoff", location=HOME, required_proof=[["pin"]])]
    garage.send("task", BREAD, CreateTask(kind="delivery", outlet="kamppi", stops=stops, parcels=[NewParcel()]))
    garage.send("task", BREAD, AssignTask(rider_id=RiderId("ann")), "dispatcher", "dora")
    pickup, dropoff = row(garage).stops
    assert "pin_attempts_left" not in pickup
    before = dropoff["pin_attempts_left"]
    wrong = CaptureProof(stop_id=StopId("stop-2"), observed_at=NOON, proofs=[PinEntry(pin="no pin")])
    garage.send("task", BREAD, wrong, "rider", "ann")
    assert [stop.get("pin_attempts_left") for stop in row(garage).stops] == [None, before - 1]


def test_a_cancelled_task_tells_by_whom_when_and_why_also_while_its_goods_come_back():
    garage = assigned()
    garage.send("task", BREAD, AcceptAssignment(), "rider", "ann")
    garage.send("task", BREAD, ReportPickedUp(stop_id=StopId("stop-1"), observed_at=NOON), "rider", "ann")
    garage.now = minutes(2)
    garage.send("task", BREAD, CancelTask(reason_code="changed_mind"), "integrator", "shop")
    told = UndoneRow(by="shop", at=minutes(2), reason_code="changed_mind", rider_id="ann")
    assert (row(garage).state, row(garage).cancelled) == ("returning", told)
    assert assigned_and_cancelled().cancelled == UndoneRow(by="dora", at=NOON, reason_code="twice", rider_id="ann")


def assigned_and_cancelled() -> TaskDetailRow:
    garage = assigned()
    garage.send("task", BREAD, CancelTask(reason_code="twice"), "dispatcher", "dora")
    return row(garage)
