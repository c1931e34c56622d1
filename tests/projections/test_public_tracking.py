"""What public tracking says of a task is what its facts and decisions say, and nothing that is personal."""

import contextlib
from collections.abc import Sequence
from datetime import timedelta

import msgspec
import pytest
from asked_of_tasks import TASK
from drawn import HOME
from garage import Garage
from hypothesis import given, settings
from hypothesis import strategies as st
from story import ACME, POSTI, minutes

from commands.task_state import CreatedTask, leg_of, state_of
from gateway.tracking_told import Dropoffs, dropoffs_of, phase_of, told_stop
from projections.etas import ETAS
from projections.folding import Parked, folded
from projections.model import Fact, Key, key_of, parameters, row_of
from projections.public_tracking import PUBLIC_TRACKING, PublicTrackingRow, Road
from projections.task_detail import TASK_DETAIL
from projections.task_progress import OVER
from schemas import ids
from schemas.carried import AssignTaskToCarrier, CarrierSays, RecordCarrierReport
from schemas.field_report import (
    ReportArrived,
    ReportAttemptFailed,
    ReportDelivered,
    ReportEnRoute,
    ReportHeld,
    ReportPickedUp,
    ReportReturned,
)
from schemas.geo import Window
from schemas.message import CarrierBookingId, ParcelId, Refused, RiderId, StopId
from schemas.registries import FailureReason, SetFailureReasons
from schemas.stop import NewContact, NewParcel, NewStop
from schemas.task import (
    AcceptAssignment,
    AssignTask,
    CancelTask,
    CreateTask,
    ReattemptDelivery,
    TaskCommand,
    TaskCreated,
    UnassignTask,
)

BREAD, MILK = (ids.aggregate_id("task", ACME, "shop", name) for name in ("bread", "milk"))
SHOP, FIRST, SECOND = StopId("stop-1"), StopId("stop-2"), StopId("stop-3")
WINDOW = Window(start=minutes(30), end=minutes(60))


def ordered(task: str = BREAD) -> Garage:
    garage = Garage()
    order(garage, task)
    return garage


def order(garage: Garage, task: str) -> None:
    cleo = NewContact(name="Cleo Contact", phone="+358401234567", notes="Ring twice")
    dropoffs = [
        NewStop(kind="dropoff", location=HOME, address="Pursimiehenkatu 1", contact=cleo, window=WINDOW),
        NewStop(kind="dropoff", location=HOME, contact=NewContact(name="Nora Neighbour")),
    ]
    parcels = [NewParcel(dropoff_stop=FIRST), NewParcel(dropoff_stop=SECOND)]
    stops = [NewStop(kind="pickup"), *dropoffs]
    garage.send("task", task, CreateTask(kind="delivery", outlet="kamppi", stops=stops, parcels=parcels))


def assigned(task: str = BREAD) -> Garage:
    garage = ordered(task)
    garage.send("task", task, AssignTask(rider_id=RiderId("ann")))
    return says(garage, AcceptAssignment(), at=1, task=task)


def says(garage: Garage, *commands: TaskCommand, at: float, task: str = BREAD) -> Garage:
    """The rider."""
    garage.now = minutes(at)
    for command in commands:
        garage.send("task", task, command, "rider", "ann")
    return garage


def row(garage: Garage, task: str = BREAD) -> PublicTrackingRow:
    found = garage.rows(PUBLIC_TRACKING)[ACME, task]
    assert isinstance(found, PublicTrackingRow)
    return found


def ahead(garage: Garage) -> dict[str, int]:
    return {stop.stop_id: stop.ahead for stop in row(garage).stops}


def test_it_is_found_by_the_hash_of_its_token_and_says_when_to_be_there():
    garage = ordered()
    found = row(garage)
    token_hash = next(fact.event for fact in garage.facts() if isinstance(fact.event, TaskCreated)).tracking_token_hash
    assert found.handle == token_hash[:32]
    assert found.tracking_code.startswith("CV-20260301-")
    assert [(stop.kind, stop.window) for stop in found.stops] == [
        ("pickup", None),
        ("dropoff", WINDOW),
        ("dropoff", None),
    ]
    assert (found.state, found.rider_id, found.rider_since, found.ended_at) == ("dispatchable", None, None, None)


def test_nothing_personal_stands_in_the_row():
    garage = says(assigned(), ReportPickedUp(stop_id=SHOP, observed_at=minutes(5)), at=5)
    told = msgspec.json.encode(row(garage)).decode()
    for personal in ("Cleo", "Nora", "+358", "Ring", "Pursimiehenkatu", "sealed", "subject", "60.1"):
        assert personal not in told


def test_stops_are_counted_down_as_they_are_done():
    garage = assigned()
    assert ahead(garage) == {SHOP: 0, FIRST: 1, SECOND: 2}
    says(garage, ReportPickedUp(stop_id=SHOP, observed_at=minutes(5)), at=5)
    assert ahead(garage) == {SHOP: 0, FIRST: 0, SECOND: 1}
    says(garage, ReportDelivered(stop_id=FIRST, observed_at=minutes(9)), at=9)
    assert ahead(garage)[SECOND] == 0
    first = row(garage).stops[1]
    assert (first.status, first.ended_at) == ("completed", minutes(9))


def test_the_rider_is_told_of_since_their_yes_and_until_they_have_it_no_more():
    garage = assigned()
    assert (row(garage).rider_id, row(garage).rider_since) == ("ann", minutes(1))
    garage.send("task", BREAD, UnassignTask(reason_code="late"))
    assert (row(garage).rider_id, row(garage).rider_since) == (None, None)


def test_an_attempt_in_vain_is_counted():
    garage = says(assigned(), ReportPickedUp(stop_id=SHOP, observed_at=minutes(5)), at=5)
    failed = ReportAttemptFailed(stop_id=FIRST, observed_at=minutes(8), reason_code="access_denied")
    says(garage, ReportEnRoute(stop_id=FIRST, observed_at=minutes(6)), failed, at=8)
    assert (row(garage).stops[1].status, row(garage).stops[1].attempts) == ("pending", 1)


def test_the_end_is_told_with_its_time_and_a_return_stands_last():
    garage = says(assigned(), ReportPickedUp(stop_id=SHOP, observed_at=minutes(5)), at=5)
    garage.now = minutes(7)
    garage.send("task", BREAD, CancelTask(reason_code="changed_mind"))
    assert (row(garage).state, row(garage).ended_at) == ("returning", None)
    back = row(garage).stops[-1]
    assert back.kind == "return"
    says(garage, ReportReturned(stop_id=StopId(back.stop_id), observed_at=minutes(20)), at=20)
    assert (row(garage).state, row(garage).ended_at) == ("returned", minutes(20))


def test_the_row_comes_out_of_its_table_as_it_went_in():
    found = row(says(assigned(), ReportPickedUp(stop_id=SHOP, observed_at=minutes(5)), at=5))
    columns = [column[0] for column in parameters(PUBLIC_TRACKING, [found])]
    jsonb = [kind == "jsonb" for kind in PUBLIC_TRACKING.columns().values()]
    stored = [msgspec.json.decode(value) if json else value for value, json in zip(columns, jsonb, strict=True)]
    assert row_of(PUBLIC_TRACKING, stored) == found


def test_two_tasks_rows_are_the_same_however_their_facts_interleave_and_are_fetched():
    garage = assigned(BREAD)
    order(garage, MILK)
    says(garage, ReportPickedUp(stop_id=SHOP, observed_at=minutes(5)), at=5)
    garage.send("task", MILK, CancelTask(reason_code="changed_mind"))
    says(garage, ReportDelivered(stop_id=FIRST, observed_at=minutes(9)), at=9)
    wanted = garage.rows(PUBLIC_TRACKING)
    bread, milk = ([f for f in garage.facts() if f.source.aggregate_id == task] for task in (BREAD, MILK))
    assert (len(wanted), len(bread) > 5, len(milk) > 2) == (2, True, True)

    @given(st.permutations("b" * len(bread) + "m" * len(milk)), st.integers(1, 5))
    def fold(order: Sequence[str], size: int) -> None:
        queues = {"b": list(bread), "m": list(milk)}
        assert fetched([queues[which].pop(0) for which in order], size) == wanted

    fold()


def fetched(facts: list[Fact], size: int) -> dict[Key, PublicTrackingRow]:
    """Folded fetch by fetch, each upon what the one before has left."""
    rows: dict[Key, PublicTrackingRow] = {}
    for at in range(0, len(facts), size):
        kept, _ = folded(PUBLIC_TRACKING, facts[at : at + size], rows, Parked())
        rows |= {key_of(PUBLIC_TRACKING, known): known for known in kept.values()}
    return rows


def carried(*told: tuple[CarrierSays, int]) -> Garage:
    """The bread with a carrier, and what it said, with the minute that it was of."""
    garage = ordered()
    garage.now = minutes(30)
    booking = CarrierBookingId("booking-1")
    given_to = AssignTaskToCarrier(carrier_id=POSTI, booking_id=booking)
    garage.send("task", BREAD, given_to, "system", "carriers")
    for version, (word, at) in enumerate(told, start=3):
        report = RecordCarrierReport(
            carrier_id=POSTI, booking_id=booking, booking_version=version, says=word, observed_at=minutes(at)
        )
        garage.send("task", BREAD, report, "system", "carriers")
    return garage


@pytest.mark.parametrize("then", [[4, 7], [7, 4]])
def test_of_an_arrival_that_a_carrier_tells_twice_the_first_to_be_stands(then: list[int]):
    first, second = then
    garage = carried(("picked_up", 9), ("arrived_at_pickup", first), ("arrived_at_pickup", second))
    assert row(garage).stops[0].arrived_at == minutes(4)
    assert garage.rows(TASK_DETAIL)[ACME, BREAD].progress.stops[SHOP].arrived_at == minutes(4)
    assert garage.rows(ETAS)[ACME, BREAD, SHOP].arrived_at == minutes(4)


def test_a_carriers_way_is_told_in_whatever_order_the_carrier_tells_it():
    garage = carried(("picked_up", 9), ("arrived_at_dropoff", 20), ("arrived_at_pickup", 7))
    shown = row(garage)
    assert (shown.state, shown.leg, shown.with_carrier) == ("in_progress", "arrived_dropoff", True)
    assert [(stop.status, stop.arrived_at, stop.ahead) for stop in shown.stops] == [
        ("completed", minutes(7), 0),
        ("arrived", minutes(20), 0),
        ("pending", None, 1),
    ]
    detail = garage.rows(TASK_DETAIL)[ACME, BREAD].progress.stops
    assert [detail[stop].arrived_at for stop in (SHOP, FIRST)] == [minutes(7), minutes(20)]
    etas = garage.rows(ETAS)
    assert [etas[ACME, BREAD, stop].arrived_at for stop in (SHOP, FIRST)] == [minutes(7), minutes(20)]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(TASK) - 1), st.integers(0, 60)), max_size=40),
    st.randoms(use_true_random=False),
)
def test_public_tracking_and_decisions_agree_on_everything_they_both_know(asked, draw):
    garage = ordered()
    ended_at = None
    for which, wait in asked:
        garage.now += timedelta(minutes=wait)
        draws, actor, role = TASK[which]
        with contextlib.suppress(Refused):
            garage.send("task", BREAD, draws(draw, garage.now), role, actor)
        known = garage.desk.kept[BREAD].state
        ended_at = ended_at or (garage.now if known.ended else None)
    state, shown = garage.desk.kept[BREAD].state, row(garage)
    assert isinstance(state, CreatedTask)
    assert (shown.state, shown.leg, shown.rider_id) == (state_of(state), leg_of(state), state.rider_id)
    assert (shown.outcome, shown.ended_at) == (state.outcome, ended_at)
    assert (shown.rider_since is not None) == (state.accepted and state.rider_id is not None)
    assert [(s.stop_id, s.status, s.attempts) for s in shown.stops] == [
        (stop_id, s.status, s.attempts) for stop_id, s in state.stops.items()
    ]
    open_stops = [stop for stop in shown.stops if stop.status not in OVER]
    assert [stop.ahead for stop in open_stops] == list(range(len(open_stops)))


def test_goods_that_go_to_a_hub_for_another_attempt_have_not_failed():
    garage = Garage()
    reasons = [
        FailureReason(code="nobody", title="Nobody", at_fault="recipient", after="hold_at_hub", retryable=False),
        FailureReason(code="spoiled", title="Spoiled", at_fault="carrier", after="dispose", retryable=False),
    ]
    garage.send("tenant", ids.tenant_id(ACME), SetFailureReasons(reasons=reasons), "operator")
    order(garage, BREAD)
    garage.send("task", BREAD, AssignTask(rider_id=RiderId("ann")))
    says(garage, AcceptAssignment(), ReportPickedUp(stop_id=SHOP, observed_at=minutes(5)), at=5)
    failed = [
        ReportAttemptFailed(stop_id=stop, observed_at=minutes(9), reason_code=code)
        for stop, code in ((FIRST, "nobody"), (SECOND, "spoiled"))
    ]
    says(garage, *failed, at=9)
    assert phases(garage) == ["another_attempt", "failed"]
    says(garage, ReportHeld(stop_id=StopId("hold-1"), observed_at=minutes(20)), at=20)
    assert phases(garage) == ["another_attempt", "failed"]
    garage.send("task", BREAD, ReattemptDelivery(reason_code="agreed"))
    assert phases(garage) == ["another_attempt", "failed"]
    assert told_attempts(garage) == 1
    garage.send("task", BREAD, AssignTask(rider_id=RiderId("ann")))
    says(garage, AcceptAssignment(), at=30)
    assert phases(garage) == ["another_attempt", "failed"]
    says(garage, ReportEnRoute(stop_id=StopId("again-1"), observed_at=minutes(31)), at=31)
    assert phases(garage) == ["in_progress", "failed"]
    again = (
        ReportPickedUp(stop_id=StopId("again-1"), observed_at=minutes(35)),
        ReportAttemptFailed(stop_id=FIRST, observed_at=minutes(40), reason_code="nobody"),
    )
    says(garage, *again, at=40)
    assert phases(garage) == ["another_attempt", "failed"]
    assert told_attempts(garage) == 2


def told_attempts(garage: Garage) -> int:
    stop = next(stop for stop in row(garage).stops if stop.stop_id == FIRST)
    return told_stop(stop, None, Road()).attempts


def test_what_was_all_refused_at_the_door_was_not_delivered():
    garage = says(assigned(), ReportPickedUp(stop_id=SHOP, observed_at=minutes(5)), at=5)
    refused = ReportDelivered(stop_id=FIRST, observed_at=minutes(8), refused=[ParcelId("parcel-1")])
    says(garage, refused, at=8)
    assert phases(garage) == ["failed", "in_progress"]
    assert dropoffs_of(row(garage).stops) == Dropoffs(done=0, total=2)
    says(garage, ReportDelivered(stop_id=SECOND, observed_at=minutes(9), refused=[ParcelId("parcel-2")]), at=9)
    assert [*phases(garage), phase_of(row(garage), None)] == ["returning"] * 3
    says(garage, ReportReturned(stop_id=StopId("return-1"), observed_at=minutes(20)), at=20)
    assert [*phases(garage), phase_of(row(garage), None)] == ["returned"] * 3


def test_where_one_of_two_parcels_was_refused_the_rest_was_delivered():
    garage = Garage()
    stops = [NewStop(kind="pickup"), NewStop(kind="dropoff", location=HOME)]
    parcels = [NewParcel(dropoff_stop=FIRST), NewParcel(dropoff_stop=FIRST)]
    garage.send("task", BREAD, CreateTask(kind="delivery", outlet="kamppi", stops=stops, parcels=parcels))
    garage.send("task", BREAD, AssignTask(rider_id=RiderId("ann")))
    delivered = ReportDelivered(stop_id=FIRST, observed_at=minutes(8), refused=[ParcelId("parcel-2")])
    says(garage, AcceptAssignment(), ReportPickedUp(stop_id=SHOP, observed_at=minutes(5)), delivered, at=8)
    shown = row(garage)
    assert (phase_of(shown, shown.stops[1]), phase_of(shown, None)) == ("partly_delivered", "returning")
    says(garage, ReportReturned(stop_id=StopId("return-1"), observed_at=minutes(20)), at=20)
    shown = row(garage)
    assert (phase_of(shown, shown.stops[1]), phase_of(shown, None)) == ("partly_delivered", "partly_delivered")


def test_and_those_that_are_not_brought_again_have():
    garage = ordered()
    garage.send("task", BREAD, AssignTask(rider_id=RiderId("ann")))
    says(garage, AcceptAssignment(), ReportPickedUp(stop_id=SHOP, observed_at=minutes(5)), at=5)
    garage.send("task", BREAD, CancelTask(reason_code="changed_mind"))
    assert phases(garage) == ["returning", "returning"]


def phases(garage: Garage) -> list[str]:
    shown = row(garage)
    return [phase_of(shown, next(s for s in shown.stops if s.stop_id == stop_id)) for stop_id in (FIRST, SECOND)]


def test_where_the_rider_arrives_is_not_told():
    near = {"lat": 60.161, "lon": 24.942, "accuracy_m": 5.0, "observed_at": minutes(8)}
    picked_up = ReportPickedUp(stop_id=SHOP, observed_at=minutes(5))
    arrived = msgspec.convert({"stop_id": FIRST, "observed_at": minutes(8), "fix": near}, ReportArrived)
    garage = says(assigned(), picked_up, arrived, at=8)
    first = row(garage).stops[1]
    assert (first.status, first.arrived_at) == ("arrived", minutes(8))
    assert "24.9" not in msgspec.json.encode(row(garage)).decode()
