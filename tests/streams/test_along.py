"""Where the stops of several tasks go, told task by task and along the way, is the same."""

from story import KAMPPI

from commands.placing import placed_among
from schemas.itinerary import Placed, StopRef
from schemas.load import Load
from schemas.message import Personal, StopId, SubjectId, TaskId
from schemas.rider import PlannedStop
from streams.dispatch.along import Put, along_the_way

KNOWN, ONE, TWO = TaskId("known"), TaskId("one"), TaskId("two")
PICKUP, DROPOFF = StopId("pickup"), StopId("dropoff")
STOPS = (PICKUP, DROPOFF)


def ref(task: TaskId, stop: StopId) -> StopRef:
    return StopRef(task_id=task, stop_id=stop)


def planned(task: TaskId) -> list[PlannedStop]:
    return [
        PlannedStop(
            task_id=task,
            stop_id=stop,
            kind="pickup" if stop == PICKUP else "dropoff",
            location=Personal(SubjectId("s"), KAMPPI),
            window=None,
            service_seconds=0,
            load=Load(),
        )
        for stop in STOPS
    ]


AHEAD = [ref(KNOWN, PICKUP), ref(KNOWN, DROPOFF)]
FIRST = Put(
    ONE, STOPS, [Placed(stop_id=PICKUP, behind=ref(KNOWN, PICKUP)), Placed(stop_id=DROPOFF, behind=ref(ONE, PICKUP))]
)
BEFORE_IT = Put(
    TWO, STOPS, [Placed(stop_id=PICKUP, behind=ref(KNOWN, PICKUP)), Placed(stop_id=DROPOFF, behind=ref(ONE, DROPOFF))]
)
TO_THE_END = Put(TWO, STOPS, [])


def order_of(*tasks: Put) -> list[StopRef]:
    new = [stop for task in tasks for stop in planned(task.task_id)]
    order = placed_among(planned(KNOWN), new, along_the_way(AHEAD, tasks))
    return [ref(stop.task_id, stop.stop_id) for stop in order]


def test_each_task_goes_among_those_that_were_put_there_before_it():
    assert order_of(FIRST, BEFORE_IT) == [
        ref(KNOWN, PICKUP),
        ref(TWO, PICKUP),
        ref(ONE, PICKUP),
        ref(ONE, DROPOFF),
        ref(TWO, DROPOFF),
        ref(KNOWN, DROPOFF),
    ]


def test_what_is_not_placed_goes_to_the_end_of_all_that_is_there():
    assert order_of(FIRST, TO_THE_END) == [
        ref(KNOWN, PICKUP),
        ref(ONE, PICKUP),
        ref(ONE, DROPOFF),
        ref(KNOWN, DROPOFF),
        ref(TWO, PICKUP),
        ref(TWO, DROPOFF),
    ]


def test_it_is_told_in_the_order_of_the_way_each_behind_the_one_before():
    told = along_the_way(AHEAD, [FIRST, BEFORE_IT])
    assert [(each.task_id, each.stop_id) for each in told] == [
        (TWO, PICKUP),
        (ONE, PICKUP),
        (ONE, DROPOFF),
        (TWO, DROPOFF),
    ]
    assert [each.behind for each in told] == [
        ref(KNOWN, PICKUP),
        ref(TWO, PICKUP),
        ref(ONE, PICKUP),
        ref(ONE, DROPOFF),
    ]


def test_who_has_nothing_ahead_begins_with_the_first_of_them():
    assert along_the_way([], [Put(ONE, STOPS, [])])[0] == Placed(task_id=ONE, stop_id=PICKUP)
