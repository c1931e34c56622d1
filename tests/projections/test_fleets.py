"""What the list says of a fleet is what decisions say of it, whatever was asked and in whatever order it is folded."""

import contextlib
from datetime import timedelta
from random import Random
from typing import Any

from garage import Garage
from hypothesis import given, settings
from hypothesis import strategies as st
from interleaved import interleaved
from story import ACME, NOON, minutes

from commands.fleet import StandingFleet, status_of
from projections.fleets import FLEETS, FleetRow
from schemas import ids
from schemas.fleet import (
    AddRiderToFleet,
    AddVehicleToFleet,
    ChangeFleet,
    CreateFleet,
    RemoveRiderFromFleet,
    RemoveVehicleFromFleet,
    RetireFleet,
)
from schemas.message import Command, Refused

NORTH, SOUTH = (ids.aggregate_id("fleet", ACME, "shop", name) for name in ("north", "south"))
CREATE = CreateFleet(name="North", outlet="kamppi", external_reference="north", metadata={"depot": "7"})


def row(garage: Garage, fleet: str = NORTH) -> FleetRow:
    found = garage.rows(FLEETS)["acme", fleet]
    assert isinstance(found, FleetRow)
    return found


def told(garage: Garage, *commands: Command, fleet: str = NORTH) -> Garage:
    for command in commands:
        garage.send("fleet", fleet, command)
    return garage


def test_a_new_fleet_has_nobody_in_it():
    found = row(told(Garage(), CREATE))
    assert (found.name, found.outlet, found.status) == ("North", "kamppi", "active")
    assert (found.riders, found.vehicles, found.metadata) == ([], [], {"depot": "7"})
    assert (found.created_at, found.updated_at, found.version) == (NOON, NOON, 1)


def test_who_is_in_it_stands_in_the_order_in_which_they_came():
    garage = told(Garage(), CREATE, AddRiderToFleet(rider_id="bob"), AddRiderToFleet(rider_id="ann"))
    garage.now = minutes(5)
    told(garage, AddVehicleToFleet(vehicle_id="van"), ChangeFleet(name="Harbour"))
    found = row(garage)
    assert (found.name, found.outlet, found.riders, found.vehicles) == ("Harbour", None, ["bob", "ann"], ["van"])
    assert (found.updated_at, found.version) == (minutes(5), 5)
    assert row(told(garage, RemoveRiderFromFleet(rider_id="bob"))).riders == ["ann"]
    retired = row(told(garage, RetireFleet(reason_code="merged")))
    assert (retired.status, retired.reason_code, retired.riders, retired.vehicles) == ("retired", "merged", [], [])


# Whatever was asked

rider, vehicle = st.sampled_from(["ann", "bob", "cyd"]), st.sampled_from(["van", "bike"])
asked: st.SearchStrategy[Command] = st.one_of(
    st.builds(ChangeFleet, name=st.sampled_from(["North", "Harbour"]), outlet=st.sampled_from([None, "kamppi"])),
    st.builds(AddRiderToFleet, rider_id=rider),
    st.builds(RemoveRiderFromFleet, rider_id=rider),
    st.builds(AddVehicleToFleet, vehicle_id=vehicle),
    st.builds(RemoveVehicleFromFleet, vehicle_id=vehicle),
    st.builds(RetireFleet, reason_code=st.just("merged")),
)
stories = st.lists(st.tuples(st.sampled_from([NORTH, SOUTH]), st.integers(0, 20), asked), max_size=40)


def played(story: list[tuple[str, int, Command]]) -> Garage:
    """Two fleets, minute by minute; what is refused has not happened."""
    garage = told(told(Garage(), CREATE), CreateFleet(name="South"), fleet=SOUTH)
    for fleet, later, command in story:
        garage.now += timedelta(minutes=later)
        with contextlib.suppress(Refused):
            garage.send("fleet", fleet, command)
    return garage


@settings(max_examples=100, deadline=None)
@given(stories)
def test_the_list_says_of_a_fleet_what_decisions_say_of_it(story: list[tuple[str, int, Command]]):
    garage = played(story)
    for fleet in (NORTH, SOUTH):
        state: Any = garage.state(fleet)
        found = row(garage, fleet)
        assert found.status == status_of(state)
        stands = (state.riders, state.vehicles) if isinstance(state, StandingFleet) else ((), ())
        assert (tuple(found.riders), tuple(found.vehicles)) == stands


@settings(max_examples=100, deadline=None)
@given(stories, st.randoms(use_true_random=False))
def test_in_whatever_order_the_fleets_come_the_rows_are_the_same(story: list[tuple[str, int, Command]], draw: Random):
    garage = played(story)
    assert interleaved(FLEETS, garage.facts(), draw) == garage.rows(FLEETS)
