"""A task that carriers are asked for: from the claim to the booking, and back, whatever the processes do meanwhile."""

from datetime import timedelta
from random import Random
from typing import Any

import pytest
from story import KAMPPI
from town import CARRIERS, RIDERS, Town

from commands.carrier_booking_state import QuotedBooking
from commands.task_state import CreatedTask
from commands.tender import Over
from schemas import carrier as c
from schemas import directory as d
from schemas import ids
from schemas.carrier_booking import RecordCarrierStatus
from schemas.dispatch_rules import DispatchRules, TenderStep
from schemas.message import CarrierBookingId, RiderId, TaskId, TenderId
from schemas.stop import NewStop
from schemas.task import AssignTask, CancelTask, CreateTask, UnassignTask
from schemas.tender import ClaimOffer, TenderAwarded

TASK = TaskId("task-1")
POSTI, MATKA = CARRIERS
ANN = RIDERS[0]
TO_CARRIERS = TenderStep(mode="broadcast", size=5, seconds=600, to="carriers")
TO_ALL = TenderStep(mode="broadcast", size=5, seconds=600, to="both")
RACES = 300


def tender(task_round: int = 1) -> TenderId:
    return ids.tender_id(TASK, task_round)


def booking_of(carrier: str, task_round: int = 1) -> CarrierBookingId:
    return ids.tendered_booking_id(ids.offer_id(tender(task_round), carrier))


def town_with(*steps: TenderStep) -> Town:
    town = Town()
    town.steps = steps
    town.whom = lambda: RIDERS
    stops = [NewStop(kind="pickup"), NewStop(kind="dropoff", location=KAMPPI)]
    assert town.ask("task", TASK, CreateTask(kind="delivery", outlet="kamppi", stops=stops))
    return town


@pytest.fixture
def town() -> Town:
    """With a task that carriers are asked for."""
    made = town_with(TO_CARRIERS)
    made.comes_to_rest()
    return made


def the_task(town: Town) -> CreatedTask:
    state = town.state(TASK)
    assert isinstance(state, CreatedTask)
    return state


def booking(town: Town, carrier: str, task_round: int = 1) -> QuotedBooking:
    state = town.state(booking_of(carrier, task_round))
    assert isinstance(state, QuotedBooking)
    return state


def says(town: Town, carrier: str, status: Any) -> None:
    told = RecordCarrierStatus(status=status, observed_at=town._now(), carrier_event_id=status)
    assert town.ask("carrier_booking", booking_of(carrier), told)


def couriers(town: Town) -> list[str]:
    """Who has the task, or believes so."""
    task = the_task(town)
    riders = [rider for rider in RIDERS if TASK in town.state(rider).reservations]
    booked = [
        known.carrier_id
        for _, known in town.of_kind("carrier_booking")
        if known.task_id == TASK and known.status in ("booked", "courier_known", "picked_up")
    ]
    has = task.rider_id or (task.carrier.carrier_id if task.carrier else None)
    assert riders + booked == ([has] if has else [])
    return riders + booked


def test_a_carrier_that_takes_it_is_booked_and_has_the_task(town: Town):
    assert town.carrier_answers(tender(), POSTI)
    town.comes_to_rest()
    assert couriers(town) == [POSTI]
    known = booking(town, POSTI)
    assert (known.status, known.tender_id) == ("booked", tender())
    assert town.state(tender()) == Over("awarded", ids.offer_id(tender(), POSTI))


def test_of_two_carriers_that_take_it_one_has_it(town: Town):
    assert town.carrier_answers(tender(), POSTI)
    assert town.carrier_answers(tender(), MATKA)
    town.comes_to_rest()
    assert couriers(town) == [POSTI]
    assert town.state(booking_of(MATKA)) is None


def test_a_carrier_that_may_not_be_booked_any_more_makes_way_for_the_next(town: Town):
    assert town.ask("carrier", POSTI, c.SuspendCarrier(reason_code="strike"), "dora", "dispatcher")
    assert town.carrier_answers(tender(), POSTI)
    assert town.carrier_answers(tender(), MATKA)
    town.comes_to_rest()
    assert couriers(town) == [MATKA]


def test_what_a_carrier_cancels_comes_back_to_dispatch(town: Town):
    town.carrier_answers(tender(), POSTI)
    town.comes_to_rest()
    town.carriers = [MATKA]
    says(town, POSTI, "cancelled")
    town.comes_to_rest()
    assert couriers(town) == []
    assert the_task(town).round == 2
    assert town.carrier_answers(tender(2), MATKA)
    town.comes_to_rest()
    assert couriers(town) == [MATKA]


def test_a_carrier_that_cancels_before_the_task_knows_of_it_holds_nothing_up(town: Town):
    town.carrier_answers(tender(), POSTI)
    while town.state(booking_of(POSTI)) is None or booking(town, POSTI).status != "booked":
        town.processes_go_on()
    says(town, POSTI, "cancelled")
    town.comes_to_rest()
    assert couriers(town) == []
    town.now += timedelta(minutes=2)
    town.comes_to_rest()
    assert the_task(town).round == 2


def test_a_carrier_of_which_nothing_is_heard_gives_it_back_before_it_has_the_goods(town: Town):
    town.carrier_answers(tender(), POSTI)
    town.comes_to_rest()
    town.carriers = []
    town.now += timedelta(minutes=31)
    town.comes_to_rest()
    assert (booking(town, POSTI).status, the_task(town).carrier) == ("cancelled", None)


def test_a_silent_carrier_with_the_goods_is_for_a_person(town: Town):
    town.carrier_answers(tender(), POSTI)
    town.comes_to_rest()
    says(town, POSTI, "picked_up")
    town.comes_to_rest()
    town.now += timedelta(minutes=31)
    town.comes_to_rest()
    known = booking(town, POSTI)
    assert (known.status, known.unheard_since is not None) == ("picked_up", True)
    assert couriers(town) == [POSTI]


def test_an_order_while_the_booking_is_made_leaves_one_courier(town: Town):
    for seed in range(40):
        town = town_with(TO_CARRIERS)
        town.comes_to_rest()
        town.chance = Random(seed)
        town.carrier_answers(tender(), POSTI)
        for _ in range(town.chance.randint(0, 6)):
            town.processes_go_on()
        town.ask("task", TASK, AssignTask(rider_id=ANN), "dora", "dispatcher")
        town.comes_to_rest()
        assert len(couriers(town)) == 1


def test_a_task_that_is_cancelled_while_the_booking_is_made_leaves_nobody_booked(town: Town):
    for seed in range(40):
        town = town_with(TO_CARRIERS)
        town.comes_to_rest()
        town.chance = Random(seed)
        town.carrier_answers(tender(), POSTI)
        for _ in range(town.chance.randint(0, 6)):
            town.processes_go_on()
        assert town.ask("task", TASK, CancelTask(reason_code="changed_mind"), "dora", "dispatcher")
        town.comes_to_rest()
        known = town.state(booking_of(POSTI))
        assert known is None or known.status in ("cancelled", "expired")


def test_a_late_acceptance_after_the_task_went_to_a_rider_gets_nothing():
    town = town_with(TO_ALL)
    town.comes_to_rest()
    assert town.ask("tender", tender(), ClaimOffer(offer_id=ids.offer_id(tender(), ANN)), ANN, "rider")
    town.comes_to_rest()
    assert not town.carrier_answers(tender(), POSTI)
    town.comes_to_rest()
    assert couriers(town) == [ANN]
    assert town.state(booking_of(POSTI)) is None


def test_when_the_own_riders_have_not_taken_it_the_carriers_are_asked_at_once():
    steps = [TenderStep(mode="broadcast", size=5, seconds=60), TO_CARRIERS]
    town = town_with(steps[0])
    rules = d.TenantRules(dispatch=DispatchRules(steps=steps))
    assert town.ask("tenant", ids.tenant_id("acme"), d.ChangeTenantRules(rules=rules), "olga", "operator")
    town.comes_to_rest()
    town.steps = steps[1:]
    town.now += timedelta(seconds=61)
    town.comes_to_rest()
    assert the_task(town).round == 2
    assert town.carrier_answers(tender(2), POSTI)
    town.comes_to_rest()
    assert the_task(town).carrier is not None


def crashed(town: Town) -> None:
    """Every process ends within its step, and comes back to the fact before."""
    for lane in list(town._through):
        if lane in town._underway:
            town._underway.pop(lane).close()
        town._through[lane] = max(0, town._through[lane] - 1)


def test_a_crash_after_any_step_leaves_the_carrier_with_the_task():
    taken = 0
    while True:
        town = town_with(TO_CARRIERS)
        town.comes_to_rest()
        town.carrier_answers(tender(), POSTI)
        for _ in range(taken):
            if lanes := town.lanes():
                town._go_on(lanes[0])
        through = not town.lanes()
        crashed(town)
        town.comes_to_rest()
        assert couriers(town) == [POSTI], f"after {taken} steps"
        if through:
            break
        taken += 1
    assert taken > 10


def test_what_a_carrier_is_told_is_told_by_the_same_ids_however_often(town: Town):
    town.carrier_answers(tender(), POSTI)
    town.comes_to_rest()
    first = {(message.type, message.message_id) for message in town.messages}
    assert {kind for kind, _ in first} == {
        "logistics.offer.sent",
        "logistics.offer.lost",
        "logistics.booking.confirmed",
    }
    town.starts_from_nothing()
    told = [message for message in town.messages if message.type == "logistics.booking.confirmed"]
    town.comes_to_rest()
    assert first < {(message.type, message.message_id) for message in town.messages}
    assert len({message.message_id for message in told}) == 1


def raced(town: Town) -> None:
    """Riders and carriers want it, the processes go on and start again, and what is due fires."""
    town.told.clear()
    wishes: list[Any] = [*RIDERS, *CARRIERS, "due", "back"]
    town.chance.shuffle(wishes)
    for who in wishes:
        for _ in range(town.chance.randint(0, 5)):
            town.processes_go_on()
        if town.chance.random() < 0.3:
            town.a_process_starts_again()
        if who in CARRIERS:
            town.carrier_answers(tender(), who)
        elif who == "due":
            town.now += timedelta(seconds=town.chance.choice((1, 31, 61)))
            town.what_is_due_fires()
        elif who == "back":
            town.ask("task", TASK, UnassignTask(reason_code="changed_mind"), "dora", "dispatcher")
        else:
            town.ask("tender", tender(), ClaimOffer(offer_id=ids.offer_id(tender(), who)), RiderId(who), "rider")
    town.comes_to_rest()


@pytest.mark.timeout(600)
def test_of_riders_and_carriers_who_race_for_a_task_one_has_it_and_the_log_read_again_adds_nothing():
    won = set[str]()
    for seed in range(RACES):
        town = town_with(TO_ALL)
        while town.state(tender()) is None:
            town.processes_go_on()
        town.chance = Random(seed)
        raced(town)
        awards = [each for each in town.told if isinstance(each.event, TenderAwarded) and each.aggregate_id == tender()]
        assert len(awards) <= 1
        assert len(couriers(town)) <= 1
        won |= {*couriers(town)}
        town.starts_from_nothing()
        town.told.clear()
        town.comes_to_rest()
        assert [type(each.event).__name__ for each in town.told] == []
    assert won >= {*RIDERS, *CARRIERS}, "chance decides who is first"
