"""A hundred riders race for one task or a bundle, and riders win two at once: one has it in the end, whatever the
processes do.

The decisions and the processes are the real ones; their steps come in any order and again, and they end within any of them.
"""

from collections import Counter
from random import Random

import pytest
from story import KAMPPI
from town import Town

from commands.task_state import CreatedTask
from commands.tender import Over
from schemas import directory as d
from schemas import ids
from schemas import rider as r
from schemas.dispatch_rules import TenderStep
from schemas.message import RiderId, TaskId
from schemas.money import Money
from schemas.stop import NewStop
from schemas.task import CancelTask, CreateTask, TaskAssigned
from schemas.tender import ClaimOffer, TenderAwarded

RACERS = [RiderId(f"racer-{number:03}") for number in range(100)]
RACES = 1_000
IN_ONE_TOWN = 50
"""Then another is made, lest all that was remembered slows down what follows."""
TWO_AT_ONCE = 100
BUNDLES = 60
ALL_AT_ONCE = TenderStep(mode="broadcast", size=100, seconds=600)
BIDS = TenderStep(mode="bid", size=100, seconds=600)


def town_of(racers: list[RiderId], step: TenderStep, most_tasks: int = 1) -> Town:
    town = Town()
    town.steps = [step]
    rules = d.TenantRules(max_active_tasks=most_tasks)
    town.ask("tenant", ids.tenant_id("acme"), d.ChangeTenantRules(rules=rules), "olga", "operator")
    for racer in racers:
        town.ask("rider", racer, r.RegisterRider(name=racer, capacity_g=9_000))
        town.ask("rider", racer, r.ApproveRider(), "dora", "dispatcher")
        town.ask("rider", racer, r.StartShift(ends_at=town.now.replace(hour=23)), racer, "rider")
    town.whom = lambda: racers
    town.comes_to_rest()
    town.told.clear()
    return town


def ordered(town: Town, number: int) -> TaskId:
    task = TaskId(f"task-{number}")
    stops = [NewStop(kind="pickup"), NewStop(kind="dropoff", location=KAMPPI)]
    assert town.ask("task", task, CreateTask(kind="delivery", outlet="kamppi", stops=stops))
    return task


def raced(town: Town, tasks: list[TaskId], racers: list[RiderId], bid: bool = False) -> None:
    """Each claims each that is offered, as soon as it is; the processes go on meanwhile, and start again."""
    claims = [(task, racer) for task in tasks for racer in racers]
    town.chance.shuffle(claims)
    while claims:
        task, racer = claims.pop()
        tender = ids.tender_id(task, 1)
        while town.state(tender) is None:
            town.processes_go_on()
        of = ids.offer_id(tender, racer)
        wants = Money(amount_minor=town.chance.randint(1, 9_999), currency="EUR") if bid else None
        town.ask("tender", tender, ClaimOffer(offer_id=of, bid=wants), racer, "rider")
        if town.chance.random() < 0.2:
            town.processes_go_on()
        if town.chance.random() < 0.05:
            town.a_process_starts_again()
    town.comes_to_rest()


def winners(town: Town) -> Counter[str]:
    """Of each task how often somebody won it, or was given it."""
    told = [each.event for each in town.told if isinstance(each.event, TenderAwarded)]
    assigned = [each.aggregate_id for each in town.told if isinstance(each.event, TaskAssigned)]
    won = [task for event in told for task in (event.task_id, *(other.task_id for other in event.bundle))]
    assert sorted(won) == sorted(assigned)
    return Counter(assigned)


def assigned_to(town: Town, task: TaskId) -> RiderId:
    state = town.state(task)
    assert isinstance(state, CreatedTask)
    assert state.rider_id is not None
    return state.rider_id


@pytest.mark.timeout(900)
def test_of_a_hundred_who_race_for_a_task_one_has_it_a_thousand_times():
    won: Counter[RiderId] = Counter()
    for first in range(0, RACES, IN_ONE_TOWN):
        town = town_of(RACERS, ALL_AT_ONCE)
        for number in range(first, first + IN_ONE_TOWN):
            town.chance = Random(number)
            task = ordered(town, number)
            raced(town, [task], RACERS[:])
            assert winners(town) == {task: 1}
            rider = assigned_to(town, task)
            over = town.state(ids.tender_id(task, 1))
            assert over == Over("awarded", ids.offer_id(ids.tender_id(task, 1), rider))
            assert [name for name in RACERS if task in town.state(name).reservations] == [rider]
            won[rider] += 1
            town.ask("task", task, CancelTask(reason_code="raced"), "dora", "dispatcher")
            town.comes_to_rest()
            town.told.clear()
    assert len(won) > 50, "chance decides who is first"


@pytest.mark.timeout(300)
def test_of_a_hundred_who_race_for_a_bundle_one_has_all_of_it():
    won: Counter[RiderId] = Counter()
    for number in range(BUNDLES):
        town = town_of(RACERS, ALL_AT_ONCE, most_tasks=3)
        town.chance = Random(number)
        town.together = lambda: 2
        tasks = [ordered(town, 3 * number + each) for each in range(3)]
        lead = led(town, tasks)
        raced(town, [lead], RACERS[:])
        assert winners(town) == dict.fromkeys(tasks, 1)
        [rider] = {assigned_to(town, task) for task in tasks}
        assert [name for name in RACERS if town.state(name).reservations] == [rider]
        assert set(town.state(rider).reservations) == set(tasks)
        won[rider] += 1
    assert len(won) > BUNDLES / 4, "chance decides who is first"


@pytest.mark.timeout(300)
def test_who_wins_two_bundles_at_once_and_may_have_one_has_one_whole_and_the_other_goes_whole_to_somebody_else():
    riders = RACERS[:3]
    for number in range(TWO_AT_ONCE):
        town = town_of(riders, ALL_AT_ONCE, most_tasks=3)
        town.chance = Random(number)
        town.together = lambda: 1
        pairs = []
        for first in (4 * number, 4 * number + 2):
            tasks = [ordered(town, first), ordered(town, first + 1)]
            pairs.append((led(town, tasks), tasks))
        raced(town, [lead for lead, _ in pairs], riders)
        assert winners(town) == dict.fromkeys([task for _, tasks in pairs for task in tasks], 1)
        assert [len({assigned_to(town, task) for task in tasks}) for _, tasks in pairs] == [1, 1]
        assert len({assigned_to(town, lead) for lead, _ in pairs}) == 2


def led(town: Town, tasks: list[TaskId]) -> TaskId:
    """Those that wait are offered together, by whichever comes first."""
    lead = town.chance.choice(tasks)
    while town.state(ids.tender_id(lead, 1)) is None:
        town.goes_on("deciding", lead)
    return lead


@pytest.mark.timeout(300)
def test_who_wins_two_at_once_and_may_have_one_has_one_and_the_other_goes_to_somebody_else():
    riders = RACERS[:3]
    for number in range(TWO_AT_ONCE):
        town = town_of(riders, ALL_AT_ONCE)
        town.chance = Random(number)
        tasks = [ordered(town, 2 * number), ordered(town, 2 * number + 1)]
        raced(town, tasks, riders)
        assert winners(town) == dict.fromkeys(tasks, 1)
        assert len({assigned_to(town, task) for task in tasks}) == 2


@pytest.mark.timeout(300)
def test_of_those_who_bid_one_has_it():
    for number in range(TWO_AT_ONCE):
        town = town_of(RACERS[:8], BIDS)
        town.chance = Random(number)
        task = ordered(town, number)
        raced(town, [task], RACERS[:8], bid=True)
        assert winners(town) == {task: 1}
