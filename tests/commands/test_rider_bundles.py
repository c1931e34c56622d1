"""Several tasks for which a rider is reserved at once: all or none, and in the planned order whatever comes first."""

from itertools import permutations

import pytest
from msgspec import ValidationError, convert, to_builtins
from msgspec.structs import replace
from riding import KAMPPI, on_shift
from story import CENTRE, UP_NORTH, Story, minutes

from commands.rider_refusals import CannotReserve
from schemas.itinerary import MAX_ROUTE_STOPS, MAX_ROUTE_TASKS, Bundled, Placed, StopRef
from schemas.load import Load
from schemas.message import OfferId, PlanId, StopId, TaskId, TenderId
from schemas.rider import (
    ActivateReservation,
    ExpireReservation,
    NewPlannedStop,
    RecordRiderSilence,
    ReleaseReservation,
    RemoveStops,
    ReservedToo,
    ReserveRider,
    RiderReserved,
    SetRiderSkills,
    SetRiderZones,
)

PICKUP, DROPOFF = StopId("pickup"), StopId("dropoff")
KNOWN, ONE, TWO, THREE = (TaskId(name) for name in ("known", "one", "two", "three"))


def stops(grams: int = 100) -> list[NewPlannedStop]:
    return [
        NewPlannedStop(stop_id=PICKUP, kind="pickup", subject="s", location=KAMPPI, load=Load(weight_g=grams)),
        NewPlannedStop(stop_id=DROPOFF, kind="dropoff", subject="s", location=KAMPPI, load=Load(weight_g=-grams)),
    ]


def too(task: TaskId, grams: int = 100) -> ReservedToo:
    return ReservedToo(task_id=task, round=2, stops=stops(grams))


def reserving(*bundle: ReservedToo, placed: tuple[Placed, ...] = (), grams: int = 100) -> ReserveRider:
    return ReserveRider(
        task_id=ONE,
        round=1,
        tender_id=TenderId("tender"),
        offer_id=OfferId("offer"),
        hold_until=minutes(5),
        stops=stops(grams),
        bundle=list(bundle),
        placed=list(placed),
    )


def goes(task: TaskId, stop: StopId, behind: tuple[TaskId, StopId] | None) -> Placed:
    return Placed(
        task_id=task, stop_id=stop, behind=None if behind is None else StopRef(task_id=behind[0], stop_id=behind[1])
    )


WOVEN = (
    goes(ONE, PICKUP, (KNOWN, PICKUP)),
    goes(ONE, DROPOFF, (ONE, PICKUP)),
    goes(TWO, PICKUP, (KNOWN, PICKUP)),  # before what was placed there first
    goes(TWO, DROPOFF, (ONE, DROPOFF)),
    goes(THREE, PICKUP, (TWO, PICKUP)),
    goes(THREE, DROPOFF, (KNOWN, DROPOFF)),
)
AS_WOVEN = [
    (KNOWN, PICKUP),
    (TWO, PICKUP),
    (THREE, PICKUP),
    (ONE, PICKUP),
    (ONE, DROPOFF),
    (TWO, DROPOFF),
    (KNOWN, DROPOFF),
    (THREE, DROPOFF),
]
ROUNDS = {ONE: 1, TWO: 2, THREE: 2}
ORDERS = [*permutations(ROUNDS)]


def roomy() -> Story:
    return on_shift().where(max_active_tasks=4)


def with_one_ahead() -> Story:
    known = ReserveRider(task_id=KNOWN, round=1, hold_until=minutes(5), stops=stops())
    return roomy().when(known).and_then(ActivateReservation(task_id=KNOWN, round=1)).happened()


def woven() -> Story:
    return with_one_ahead().when(reserving(too(TWO), too(THREE), placed=WOVEN)).happened()


def activated(story: Story, *tasks: TaskId) -> Story:
    for task in tasks:
        story = story.when(ActivateReservation(task_id=task, round=ROUNDS[task])).happened()
    return story


def order_of(story: Story) -> list[tuple[str, str]]:
    return [(stop.task_id, stop.stop_id) for stop in story.state.itinerary]


def code(story: Story) -> object:
    return story.refuses(CannotReserve).values()["code"]


def released(task: TaskId, number: int) -> ReleaseReservation:
    return ReleaseReservation(task_id=task, round=number, reason_code="task_gone", tender_id=TenderId("tender"))


def test_all_of_them_are_reserved_in_one_breath_and_the_first_names_the_others():
    told = roomy().when(reserving(too(TWO), too(THREE))).decided()
    assert [type(event) for event in told] == [RiderReserved] * 3
    lead, second, third = told
    assert lead.bundle == [Bundled(task_id=TWO, round=2), Bundled(task_id=THREE, round=2)]
    assert (lead.lead, second.lead, third.lead) == (None, ONE, ONE)
    assert [(event.task_id, event.round) for event in told] == [(ONE, 1), (TWO, 2), (THREE, 2)]
    assert {(event.tender_id, event.offer_id, event.hold_until) for event in told} == {("tender", "offer", minutes(5))}


def test_what_is_said_again_is_quiet_also_when_one_of_them_was_released_since():
    command = reserving(too(TWO))
    story = roomy().when(command).happened()
    story.when(command).then()
    story.when(released(ONE, 1)).and_then(command).then()
    roomy().at(minutes(5)).when(command).then()


@pytest.mark.parametrize("since", [2, 3])
def test_one_that_the_rider_has_otherwise_in_that_round_or_since_lets_none_of_them_be_reserved(since: int):
    alone = ReserveRider(task_id=TWO, round=since, hold_until=minutes(5), stops=stops())
    assert code(roomy().when(alone).and_then(reserving(too(TWO)))) == "reserved_elsewhere"


def test_one_that_the_rider_had_in_a_round_before_is_reserved_anew():
    before = ReserveRider(task_id=TWO, round=1, hold_until=minutes(5), stops=stops())
    roomy().when(before).and_then(reserving(too(TWO))).tells("RiderReserved", "RiderReserved")


def test_there_must_be_room_for_as_many_tasks():
    roomy().where(max_active_tasks=2).when(reserving(too(TWO))).tells("RiderReserved", "RiderReserved")
    assert code(roomy().where(max_active_tasks=2).when(reserving(too(TWO), too(THREE)))) == "too_many_tasks"
    assert code(with_one_ahead().where(max_active_tasks=2).when(reserving(too(TWO)))) == "too_many_tasks"


def test_their_loads_are_judged_together_at_the_heaviest():
    together = (goes(ONE, PICKUP, None), goes(TWO, PICKUP, (ONE, PICKUP)), goes(ONE, DROPOFF, (TWO, PICKUP)))
    heavy = reserving(too(TWO, 3_000), grams=3_000)
    roomy().when(heavy).tells("RiderReserved", "RiderReserved")
    roomy().when(replace(heavy, placed=list(together))).tells("RiderReserved", "RiderReserved")  # goes to the end then
    refused = roomy().when(reserving(too(TWO, 5_001))).refuses(CannotReserve)
    assert refused.values() == {"code": "over_capacity", "measure": "weight_g", "load": 5_001, "limit": 5_000}


def test_a_skill_that_one_of_them_asks_for_shuts_out_of_all():
    taught = roomy().when(SetRiderSkills(skills=["chilled"])).happened()
    chilled = replace(too(TWO), required_skills=["chilled"])
    taught.when(reserving(chilled)).tells("RiderReserved", "RiderReserved")
    assert code(taught.when(reserving(chilled, replace(too(THREE), required_skills=["alcohol"])))) == "skill_missing"


def test_a_stop_of_one_of_them_outside_the_zones_shuts_out_of_all():
    zoned = roomy().when(SetRiderZones(zones=[CENTRE])).happened()
    zoned.when(reserving(too(TWO))).tells("RiderReserved", "RiderReserved")
    far = replace(too(THREE), stops=[replace(stops()[1], location=UP_NORTH)])
    assert code(zoned.when(reserving(too(TWO), far))) == "outside_zones"


def test_the_shift_must_last_for_all_of_them():
    long = replace(too(TWO), stops=[replace(stops()[1], service_seconds=481 * 60)])
    assert code(roomy().when(reserving(long))) == "shift_ends_too_soon"


def test_who_claims_a_bundle_is_heard_once():
    silent = with_one_ahead().at(minutes(60)).when(RecordRiderSilence(last_heard_at=None)).happened()
    command = replace(reserving(too(TWO)), hold_until=minutes(65))
    silent.when(command).tells("RiderHeardAgain", "RiderReserved", "RiderReserved")


@pytest.mark.parametrize("order", ORDERS)
def test_the_itinerary_is_as_it_was_planned_whatever_becomes_active_first(order: tuple[TaskId, ...]):
    assert order_of(activated(woven(), *order)) == AS_WOVEN


@pytest.mark.parametrize("order", ORDERS)
def test_what_is_not_placed_goes_to_the_end_in_the_order_of_the_bundle(order: tuple[TaskId, ...]):
    for story, ahead in ((roomy(), []), (with_one_ahead(), [(KNOWN, PICKUP), (KNOWN, DROPOFF)])):
        story = activated(story.when(reserving(too(TWO), too(THREE))).happened(), *order)
        assert order_of(story) == [*ahead, *((task, stop) for task in ROUNDS for stop in (PICKUP, DROPOFF))]


@pytest.mark.parametrize("gone", [ONE, TWO, THREE])
@pytest.mark.parametrize("held", [True, False])
def test_one_that_is_released_leaves_the_others_where_they_were_planned(gone: TaskId, held: bool):
    left = [task for task in ROUNDS if task != gone]
    for order in permutations(left):
        if held:
            story = woven().when(released(gone, ROUNDS[gone])).happened()
        else:
            story = activated(woven(), gone)
            story = story.when(RemoveStops(task_id=gone, round=ROUNDS[gone], reason_code="cancelled")).happened()
        assert order_of(activated(story, *order)) == [at for at in AS_WOVEN if at[0] != gone]


def test_one_hold_that_passes_leaves_those_that_are_active():
    story = activated(woven(), TWO).at(minutes(5))
    for task in (ONE, THREE):
        story = story.when(ExpireReservation(task_id=task, round=ROUNDS[task])).tells("ReservationReleased").happened()
    assert list(story.state.reservations) == [KNOWN, TWO]


def test_a_plan_reserves_without_a_tender_and_its_number_is_told():
    command = replace(reserving(too(TWO)), tender_id=None, offer_id=None, plan_id=PlanId("plan"))
    told = roomy().when(command).decided()
    assert [(event.plan_id, event.tender_id) for event in told] == [("plan", None)] * 2
    story = roomy().when(command).happened()
    story.when(command).then()
    assert code(story.when(replace(command, plan_id=PlanId("another")))) == "reserved_elsewhere"


def test_a_route_has_a_bound():
    tasks = [too(TaskId(f"task-{number}")) for number in range(MAX_ROUTE_TASKS)]
    story = roomy().where(max_active_tasks=MAX_ROUTE_TASKS)
    story.when(reserving(*tasks[1:])).tells(*["RiderReserved"] * MAX_ROUTE_TASKS)
    with pytest.raises(ValidationError, match="bundle"):
        convert(to_builtins(reserving(*tasks)), ReserveRider)
    placed = [goes(ONE, PICKUP, None)] * MAX_ROUTE_STOPS
    convert(to_builtins(reserving(placed=tuple(placed))), ReserveRider)
    with pytest.raises(ValidationError, match="placed"):
        convert(to_builtins(reserving(placed=(*placed, placed[0]))), ReserveRider)


def test_who_names_a_task_twice_is_stopped():
    with pytest.raises(AssertionError, match="named once"):
        roomy().when(reserving(too(TWO), too(TWO))).decided()


def test_a_plan_gives_nobody_what_they_have_in_whatever_round():
    story = on_shift().where(max_active_tasks=3)
    story.when(reserving()).happened()
    planned = replace(reserving(), plan_id=PlanId("plan-1"), tender_id=None, offer_id=None)
    assert story.when(planned).refuses(CannotReserve).code == "reserved_elsewhere"
    story.when(ActivateReservation(task_id=ONE, round=1)).happened()
    assert story.when(replace(planned, round=2)).refuses(CannotReserve).code == "reserved_elsewhere"


def test_of_a_route_of_which_something_is_theirs_already_the_rest_is_reserved():
    story = on_shift().where(max_active_tasks=3)
    story.when(reserving()).happened()
    planned = replace(reserving(too(TWO), placed=WOVEN), plan_id=PlanId("plan-1"), tender_id=None, offer_id=None)
    [event] = story.when(planned).decided()
    assert (event.task_id, event.plan_id, event.bundle, event.lead) == (TWO, "plan-1", [], None)
    story.happened()
    story.when(planned).then()


def test_a_route_of_a_plan_may_have_more_than_dispatch_gives():
    story = on_shift().where(max_active_tasks=1)
    assert story.when(reserving(too(TWO))).refuses(CannotReserve).code == "too_many_tasks"
    planned = replace(reserving(too(TWO)), plan_id=PlanId("plan-1"), tender_id=None, offer_id=None)
    story.when(planned).tells("RiderReserved", "RiderReserved").happened()
    story.when(planned).then()
