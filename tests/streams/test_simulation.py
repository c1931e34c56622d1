"""A simulated task through the real processes: its courier takes it and goes on by the clock, and nobody is asked."""

from datetime import timedelta

import pytest
from story import ACME, KAMPPI
from town import RIDERS, Town

from schemas import ids
from schemas.directory import AdvanceTenantClock
from schemas.message import TaskId
from schemas.simulation import SimulatedOutcome, Simulation
from schemas.stop import NewParcel, NewStop
from schemas.task import CreateTask, UnassignTask

TASK = TaskId("task-1")
COURIER = ids.simulated_courier(ACME, ids.courier_number(TASK))
ENDS: dict[SimulatedOutcome, tuple[str, str]] = {
    "delivered": ("completed", "delivered"),
    "late": ("completed", "delivered"),
    "damaged": ("completed", "delivered"),
    "customer_unavailable": ("returned", "returned"),
    "refused": ("returned", "returned"),
    "wrong_pin": ("returned", "returned"),
    "lost": ("failed", "not_delivered"),
}


def ordered(town: Town, outcome: SimulatedOutcome) -> None:
    door = NewStop(kind="dropoff", location=KAMPPI, required_proof=[["pin"]])
    order = CreateTask(
        kind="delivery",
        outlet="kamppi",
        stops=[NewStop(kind="pickup"), door],
        parcels=[NewParcel(weight_g=50_000)],
        simulation=Simulation(outcome=outcome),
    )
    assert town.ask("task", TASK, order)
    town.comes_to_rest()


def hours_pass(town: Town, count: int = 2) -> None:
    for _ in range(count * 60):
        town.now += timedelta(minutes=1)
        town.comes_to_rest()


def adds_nothing_from_nothing(town: Town) -> None:
    town.starts_from_nothing()
    town.told.clear()
    town.comes_to_rest()
    assert town.told == []


@pytest.mark.parametrize(("outcome", "end"), ENDS.items())
def test_it_comes_to_its_end_and_leaves_nothing_behind(outcome: SimulatedOutcome, end: tuple[str, str]):
    town = Town()
    ordered(town, outcome)
    assert town.state(TASK).rider_id == COURIER
    assert [stop.stop_id for stop in town.state(COURIER).itinerary] == ["stop-1", "stop-2"]
    hours_pass(town)
    assert (town.state(TASK).ended, town.state(TASK).outcome) == end
    assert (town.state(COURIER).itinerary, dict(town.state(COURIER).reservations)) == ((), {})
    assert not any(row.kind == "simulate_step" for row in town.deadlines.values())
    adds_nothing_from_nothing(town)


def test_where_the_tenants_clock_is_advanced_all_of_it_has_happened():
    town = Town()
    ordered(town, "delivered")
    assert town.ask("tenant", ids.tenant_id(ACME), AdvanceTenantClock(seconds=600))
    town.comes_to_rest()
    assert town.state(TASK).ended == "completed"


def test_where_there_is_no_taker_the_rounds_go_by_and_nobody_is_asked():
    town = Town()
    ordered(town, "no_taker")
    hours_pass(town)
    task, tenders = town.state(TASK), dict(town.of_kind("tender"))
    assert (task.rider_id, task.ended, task.retry_at) == (None, None, None)
    assert task.round == task.closed_round == len(tenders) > 1
    assert {tender.how for tender in tenders.values()} == {"exhausted"}
    adds_nothing_from_nothing(town)


def test_what_is_taken_away_from_a_courier_comes_back_to_them():
    town = Town()
    ordered(town, "delivered")
    town.ask("task", TASK, UnassignTask(reason_code="x"), "dora", "dispatcher")
    town.comes_to_rest()
    assert (town.state(TASK).rider_id, town.state(TASK).round) == (COURIER, 2)
    assert town.state(COURIER).reservations[TASK].active
    hours_pass(town, 1)
    assert town.state(TASK).ended == "completed"
    assert all(not dict(town.state(rider).reservations) for rider in RIDERS)
    adds_nothing_from_nothing(town)
