"""Simulated couriers: each outcome step by step, by the same decisions as of anybody; and where there are none."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from story import ACME, KAMPPI, NOON, Story, minutes, nothing_yet

from commands.refusals import NotATestTenant
from commands.rider_refusals import CannotReserve, SimulatedRider
from commands.simulated import NothingToSimulate, SimulatedApart
from commands.task_state import NotForThisKind, state_of
from schemas.carried import AssignTaskToCarrier, TakeTaskFromCarrier
from schemas.geo import Location, Window
from schemas.hand_over import OfferHandOver
from schemas.ids import courier_number, simulated_courier
from schemas.load import Load
from schemas.message import CarrierBookingId, CarrierId, RiderId, StopId, TaskId
from schemas.proof import ProofCaptured
from schemas.rider import (
    NewPlannedStop,
    RegisterRider,
    RegisterSimulatedRider,
    ReserveRider,
    StartShift,
    SuspendRider,
)
from schemas.simulation import SimulatedOutcome, Simulation
from schemas.stop import NewParcel, NewStop
from schemas.stop_events import StopArrived, StopCompleted
from schemas.task import (
    RESERVATION_LOST,
    AssignSimulatedCourier,
    AssignTask,
    CancelTask,
    CreateTask,
    ReattemptDelivery,
    RejectProof,
    SimulatedStepScheduled,
    SimulateStep,
    TaskAssigned,
    TaskDispatchable,
    UnassignTask,
)
from schemas.template import CloneTask, TaskCloned

HOME = Location(lat=60.1610, lon=24.9420)
COURIER = simulated_courier(ACME, courier_number("a-1"))
AT_DROPOFF = StopId("stop-2")


def ordered(outcome: SimulatedOutcome = "delivered", **changes: Any) -> Story:
    """A delivery of one parcel for a PIN."""
    door = NewStop(kind="dropoff", location=HOME, required_proof=[["pin"]])
    wanted: dict[str, Any] = {
        "kind": "delivery",
        "outlet": "kamppi",
        "stops": [NewStop(kind="pickup"), door],
        "parcels": [NewParcel(barcode="A1")],
        "simulation": Simulation(outcome=outcome),
    }
    return nothing_yet("task").when(CreateTask(**(wanted | changes)))


def taken(story: Story) -> Story:
    """Its courier has it."""
    story = story.happened().by("simulation", "system")
    return story.when(AssignSimulatedCourier(round=story.state.round)).happened()


def goes_on(story: Story) -> list[str]:
    """Step by step until nothing more comes by itself: the events, each step when it is due."""
    happened: list[str] = []
    while (step_at := story.state.simulated.step_at) is not None and not story.state.ended:
        events = (
            story.at(max(step_at, story.now))
            .by("deadlines", "system")
            .when(SimulateStep(number=story.state.simulated.number))
        )
        happened += [
            type(event).__name__ for event in events.decided() if not isinstance(event, SimulatedStepScheduled)
        ]
        story.happened()
        assert len(happened) < 100
    return happened


def until_stop(story: Story, fact: type) -> datetime:
    """When that happened at the dropoff."""
    while True:
        at = story.state.simulated.step_at
        story.at(at).by("deadlines", "system").when(SimulateStep(number=story.state.simulated.number))
        events = story.decided()
        story.happened()
        if any(isinstance(event, fact) and event.stop_id == AT_DROPOFF for event in events):
            return at


THERE = ["StopEnRoute", "StopArrived"]
PICKED_UP = [*THERE, "ParcelsPickedUp", "StopCompleted"]
BACK = [*THERE, "ParcelsReturned", "StopCompleted", "TaskReturned"]


def test_it_comes_to_dispatch_with_what_becomes_of_it():
    story = ordered()
    [_, dispatchable] = story.decided()
    assert dispatchable == TaskDispatchable(round=1, simulated="delivered")
    [_, dispatchable] = ordered(simulation=None).decided()
    assert dispatchable == TaskDispatchable(round=1)


def test_a_courier_takes_it_and_says_yes_at_once_once():
    story = ordered().happened().by("simulation", "system").when(AssignSimulatedCourier(round=1))
    assigned = story.decided()
    assert assigned[0] == TaskAssigned(rider_id=COURIER, round=1, tender_id=None, offer_id=None, assigned_at=NOON)
    assert assigned[-1] == SimulatedStepScheduled(number=1, step_at=minutes(1))
    story.happened()
    assert state_of(story.state) == "accepted"
    story.when(AssignSimulatedCourier(round=1)).then()
    story.by("dora", "dispatcher").when(UnassignTask(reason_code="x")).happened()
    assert story.state.round == 2
    story.by("simulation", "system").when(AssignSimulatedCourier(round=1)).then()


def test_it_is_delivered_for_its_pin():
    story = taken(ordered())
    assert goes_on(story) == [*PICKED_UP, *THERE, "ParcelsDelivered", "ProofCaptured", "StopCompleted", "TaskCompleted"]
    assert story.now == minutes(6), "six steps of a minute"
    assert (story.state.outcome, story.state.rider_id) == ("delivered", COURIER)


def test_every_kind_of_proof_is_given():
    every = [[kind] for kind in ("pin", "photo", "signature", "scan", "id_check", "nfc")]
    door = NewStop(kind="dropoff", location=HOME, required_proof=every, minimum_age=18)
    parcels = [NewParcel(barcode="A1", required_proof=[["photo", "nfc"]]), NewParcel()]
    pickup = NewStop(kind="pickup", required_proof=[["scan"]])
    story = taken(ordered(stops=[pickup, door], parcels=parcels))
    assert goes_on(story)[-1] == "TaskCompleted"


def test_nobody_is_there_and_after_the_attempts_it_goes_back():
    story = taken(ordered("customer_unavailable"))
    attempt = ["ContactAttempted", "DeliveryAttemptFailed"]
    attempts = [*THERE, *attempt, *THERE, *attempt, "StopFailed", "ReturnStarted"]
    assert goes_on(story) == [*PICKED_UP, *attempts, *BACK]


def test_a_courier_waits_as_long_as_the_reason_asks_for():
    story = taken(ordered("customer_unavailable").after("customer_unavailable", "return", waiting_seconds=300))
    assert "StopFailed" in goes_on(story)


def test_what_follows_an_attempt_is_by_the_tenants_reason_and_the_next_one_that_is_planned_succeeds():
    story = taken(ordered("customer_unavailable").after("customer_unavailable", "hold_at_hub", retryable=False))
    went = goes_on(story)
    assert went[-6:] == [*THERE, "ParcelsHeld", "StopCompleted", "TaskUnassigned", "TaskHeld"]
    story.by("shop", "integrator").when(ReattemptDelivery(reason_code="asked"))
    assert TaskDispatchable(round=2, simulated="delivered") in story.decided()
    assert goes_on(taken(story))[-1] == "TaskCompleted"


def test_at_the_door_a_photo_is_enough():
    story = taken(ordered("customer_unavailable").after("customer_unavailable", "leave_at_door", retryable=False))
    assert goes_on(story)[-4:] == ["ParcelsDelivered", "ProofCaptured", "StopCompleted", "TaskCompleted"]


def test_the_goods_are_refused_and_go_back():
    story = taken(ordered("refused"))
    assert goes_on(story) == [*PICKED_UP, *THERE, "ParcelsRefused", "StopCompleted", "ReturnStarted", *BACK]


def test_the_pin_is_wrong_until_no_attempt_is_left():
    story = taken(ordered("wrong_pin"))
    went = goes_on(story)
    assert went[: len(PICKED_UP) + 2] == [*PICKED_UP, *THERE]
    assert went.count("PinRejected") == story.state.pin_attempts
    assert went[-len(BACK) :] == BACK


def test_who_is_late_arrives_so_long_after_the_window():
    window = Window(start=NOON, end=minutes(60))
    pickup, door = NewStop(kind="pickup"), NewStop(kind="dropoff", location=HOME, window=window)
    simulation = Simulation(outcome="late", step_seconds=30, late_seconds=600)
    story = taken(ordered(stops=[pickup, door], simulation=simulation))
    assert until_stop(story, StopArrived) == minutes(70)
    assert goes_on(story)[-1] == "TaskCompleted"
    without = taken(ordered(stops=[pickup, replace(door, window=None)], simulation=simulation))
    assert until_stop(without, StopArrived) == minutes(2.5) + timedelta(seconds=600)


def test_goods_are_damaged_on_the_way_and_delivered():
    story = taken(ordered("damaged"))
    assert goes_on(story) == [
        *PICKED_UP,
        "ParcelsDamaged",
        *THERE,
        "ParcelsDelivered",
        "ProofCaptured",
        "StopCompleted",
        "TaskCompleted",
    ]


def test_goods_are_lost_on_the_way_and_the_task_fails():
    assert goes_on(taken(ordered("lost"))) == [*PICKED_UP, "ParcelsLost", "StopSkipped", "TaskFailed"]


def test_a_transfer_and_a_return_are_simulated_too():
    elsewhere = NewStop(kind="dropoff", outlet="kallio")
    assert goes_on(taken(ordered(kind="transfer", stops=[NewStop(kind="pickup"), elsewhere])))[-1] == "TaskCompleted"
    back = [NewStop(kind="pickup", location=HOME), NewStop(kind="dropoff")]
    assert goes_on(taken(ordered(kind="return", stops=back, authorisation="R-1")))[-1] == "TaskCompleted"


def test_a_step_is_due_by_the_clock_and_is_taken_once():
    story = taken(ordered()).by("deadlines", "system")
    story.at(minutes(0.9)).when(SimulateStep(number=1)).then()
    story.at(minutes(1)).when(SimulateStep(number=1)).tells("StopEnRoute", "SimulatedStepScheduled").happened()
    story.when(SimulateStep(number=1)).then()


def test_where_the_clock_leaps_the_steps_go_on_as_they_were_due():
    story = taken(ordered()).at(minutes(90)).by("deadlines", "system").when(SimulateStep(number=1))
    assert story.decided()[-1] == SimulatedStepScheduled(number=2, step_at=minutes(2))


def test_whoever_has_it_no_more_goes_no_further():
    story = taken(ordered()).by("dora", "dispatcher").when(UnassignTask(reason_code="x")).happened()
    story.at(minutes(1)).by("deadlines", "system").when(SimulateStep(number=1)).then()
    taken(story.when(SimulateStep(number=1)))
    assert story.state.simulated.number == 2
    story.by("shop", "integrator").when(CancelTask(reason_code="x")).happened()
    story.at(minutes(5)).by("deadlines", "system").when(SimulateStep(number=2)).then()


def test_where_the_clock_leaps_before_the_courier_is_reserved_no_time_is_lost():
    story = taken(ordered()).at(minutes(90)).by("dispatch", "system")
    story.when(UnassignTask(reason_code=RESERVATION_LOST)).happened()
    taken(story)
    assert story.state.simulated.step_at == minutes(2)
    assert goes_on(story)[-1] == "TaskCompleted"


def test_goods_on_their_way_go_back_where_the_task_is_cancelled():
    story = taken(ordered())
    until_stop(story, StopArrived)
    story.by("shop", "integrator").when(CancelTask(reason_code="x")).happened()
    assert goes_on(story)[-len(BACK) :] == BACK


def test_what_nobody_can_simulate_waits_for_a_person():
    """A proof that was rejected cannot be given again: there is one picture."""
    door = NewStop(kind="dropoff", location=HOME, required_proof=[["photo"], ["scan"]])
    story = taken(ordered(stops=[NewStop(kind="pickup", required_proof=[["photo"], ["nfc"]]), door]))
    while story.state.stops[StopId("stop-1")].status != "arrived":
        story.at(story.state.simulated.step_at).by("deadlines", "system")
        story.when(SimulateStep(number=story.state.simulated.number)).happened()
    picked_up = story.at(story.state.simulated.step_at).when(SimulateStep(number=story.state.simulated.number))
    without_nfc = [e for e in picked_up.decided() if not (isinstance(e, ProofCaptured) and e.kind == "nfc")]
    photo = next(e for e in without_nfc if isinstance(e, ProofCaptured))
    story.take([e for e in without_nfc if not isinstance(e, StopCompleted)])
    rejected = RejectProof(stop_id=photo.stop_id, proof_id=photo.proof_id, reason_code="blurred")
    story.by("dora", "dispatcher").when(rejected).happened()
    went = goes_on(story)
    assert went == ["ProofCaptured"], "the tag was still to be read"
    assert story.state.simulated.step_at is None


def test_a_clone_is_simulated_likewise():
    [cloned] = ordered("late").happened().when(CloneTask()).decided()
    assert isinstance(cloned, TaskCloned)
    assert cloned.template.simulation == Simulation(outcome="late")


# Where there are none


def test_not_on_a_live_tenant(monkeypatch: pytest.MonkeyPatch):
    live(monkeypatch)
    ordered().refuses(NotATestTenant)
    nothing_yet("rider").when(RegisterSimulatedRider(number=1)).refuses(NotATestTenant)
    ordered(simulation=None).happened()


def live(monkeypatch: pytest.MonkeyPatch) -> None:
    of_test = Story.context

    def context(story: Story) -> Any:
        known = of_test(story)
        return replace(known, policy_or_none=replace(known.policy, mode="live"))

    monkeypatch.setattr(Story, "context", context)


def test_not_for_what_the_customer_collects():
    ordered(kind="collection", stops=[NewStop(kind="collection")]).refuses(NotForThisKind)


@pytest.mark.parametrize("outcome", ["refused", "damaged", "lost"])
def test_nothing_becomes_of_parcels_that_there_are_not(outcome: SimulatedOutcome):
    ordered(outcome, parcels=[]).refuses(NothingToSimulate)


def test_no_pin_is_wrong_where_none_is_asked_for():
    stops = [NewStop(kind="pickup"), NewStop(kind="dropoff", location=HOME)]
    ordered("wrong_pin", stops=stops).refuses(NothingToSimulate)


def test_simulated_tasks_are_for_simulated_couriers_and_for_nobody_else():
    order = AssignTask(rider_id=RiderId("ann"))
    ordered().happened().by("dora", "dispatcher").when(order).refuses(SimulatedApart)
    real = ordered(simulation=None).happened().by("dora", "dispatcher")
    real.when(AssignTask(rider_id=COURIER)).refuses(SimulatedApart)
    real.when(AssignSimulatedCourier(round=1)).then()
    story = taken(ordered())
    until_stop(story, StopArrived)
    offer = OfferHandOver(to_rider=RiderId("ann"), place=KAMPPI, reason_code="x")
    story.by("dora", "dispatcher").when(offer).refuses(SimulatedApart)


# The courier


def a_courier() -> Story:
    return nothing_yet("rider").by("simulation", "system").when(RegisterSimulatedRider(number=3))


def test_a_courier_is_registered_once_and_may_work():
    story = a_courier().tells("RiderRegistered", "RiderApproved").happened()
    assert (story.state.simulated, story.state.status) == (True, "approved")
    story.when(RegisterSimulatedRider(number=3)).then()


def test_they_are_reserved_whatever_they_have_and_no_other_rider_is():
    story = a_courier().happened()
    for number in range(10):
        story.when(reserving(f"task-{number}")).tells("RiderReserved").happened()
    real = nothing_yet("rider").when(RegisterRider(name="Ann")).happened().when(reserving("task-1"))
    real.refuses(CannotReserve)


def reserving(task: str) -> ReserveRider:
    stop = NewPlannedStop(
        stop_id=StopId("stop-1"), kind="pickup", subject="s", location=KAMPPI, load=Load(weight_g=500_000)
    )
    return ReserveRider(task_id=TaskId(task), round=1, hold_until=minutes(5), stops=[stop])


def test_nobody_speaks_to_them_and_they_are_not_suspended():
    story = a_courier().happened()
    story.by("dora", "dispatcher").when(StartShift(ends_at=minutes(60))).refuses(SimulatedRider)
    story.by("incident-response", "system").when(SuspendRider(reason_code="x")).refuses(SimulatedRider)


def test_what_a_carrier_has_is_no_couriers_and_comes_back_to_one():
    """Booked ahead of its time, and taken from the carrier again: in each round it is known to be simulated."""
    booking = CarrierBookingId("booking-1")
    give = AssignTaskToCarrier(carrier_id=CarrierId("posti"), booking_id=booking)
    waiting = ordered(
        stops=[NewStop(kind="pickup", goods_ready_at=minutes(600)), NewStop(kind="dropoff", location=HOME)]
    )
    story = waiting.happened().by("carriers", "system").when(give)
    assert [event.simulated for event in story.decided() if isinstance(event, TaskDispatchable)] == ["delivered"]
    story = story.happened()
    story.when(AssignSimulatedCourier(round=story.state.round)).then()
    story = story.when(TakeTaskFromCarrier(booking_id=booking, reason_code="booking_cancelled"))
    assert [event.simulated for event in story.decided() if isinstance(event, TaskDispatchable)] == ["delivered"]
    assert taken(story).state.rider_id == COURIER
