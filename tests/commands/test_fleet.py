"""Fleets: a tenant's own groups of riders and vehicles."""

import pytest
from story import given, nothing_yet

from commands.context import UnknownOutlet
from commands.fleet import RetiredFleet, is_over
from commands.refusals import TooMany
from schemas.fleet import (
    MAX_FLEET_RIDERS,
    MAX_FLEET_VEHICLES,
    AddRiderToFleet,
    AddVehicleToFleet,
    ChangeFleet,
    CreateFleet,
    FleetChanged,
    FleetCreated,
    FleetRetired,
    RemoveRiderFromFleet,
    RemoveVehicleFromFleet,
    RetireFleet,
    RiderAddedToFleet,
    RiderRemovedFromFleet,
    VehicleAddedToFleet,
    VehicleRemovedFromFleet,
)
from schemas.message import Command, NotInThisState, OutletSlug, RiderId, VehicleId

ANN, VAN = RiderId("ann"), VehicleId("van")
CREATED = FleetCreated(
    name="North", outlet=OutletSlug("kamppi"), external_reference="f-1", source="shop", metadata={"depot": "7"}
)
WITH_ANN, WITH_VAN = RiderAddedToFleet(rider_id=ANN), VehicleAddedToFleet(vehicle_id=VAN)
WITHOUT_ANN, WITHOUT_VAN = RiderRemovedFromFleet(rider_id=ANN), VehicleRemovedFromFleet(vehicle_id=VAN)
RETIRED = FleetRetired(reason_code="merged")


def test_a_fleet_is_created_once():
    create = CreateFleet(name="North", outlet="kamppi", external_reference="f-1", metadata={"depot": "7"})
    nothing_yet("fleet").when(create).then(CREATED)
    given(CREATED).when(create).refuses(NotInThisState)


def test_a_fleet_is_at_home_at_an_outlet_that_there_is_or_nowhere():
    nothing_yet("fleet").when(CreateFleet(name="North", outlet="atlantis")).refuses(UnknownOutlet)
    given(CREATED).when(ChangeFleet(name="North", outlet="atlantis")).refuses(UnknownOutlet)
    given(CREATED).when(ChangeFleet(name="North")).then(FleetChanged(name="North", outlet=None))


def test_a_fleet_takes_another_name_and_its_own_is_no_change():
    renamed = FleetChanged(name="South", outlet=OutletSlug("kamppi"))
    given(CREATED).when(ChangeFleet(name="South", outlet="kamppi")).then(renamed)
    given(CREATED).when(ChangeFleet(name="North", outlet="kamppi")).then()
    given(CREATED, renamed).when(ChangeFleet(name="South", outlet="kamppi")).then()


def test_who_is_added_twice_is_in_it_once():
    given(CREATED).when(AddRiderToFleet(rider_id="ann")).then(WITH_ANN)
    given(CREATED, WITH_ANN).when(AddRiderToFleet(rider_id="ann")).then()
    given(CREATED).when(AddVehicleToFleet(vehicle_id="van")).then(WITH_VAN)
    given(CREATED, WITH_VAN).when(AddVehicleToFleet(vehicle_id="van")).then()


def test_who_is_removed_may_come_back_and_who_is_not_in_it_is_not_removed():
    given(CREATED, WITH_ANN).when(RemoveRiderFromFleet(rider_id="ann")).then(WITHOUT_ANN)
    given(CREATED, WITH_ANN, WITHOUT_ANN).when(RemoveRiderFromFleet(rider_id="ann")).then()
    given(CREATED, WITH_ANN, WITHOUT_ANN).when(AddRiderToFleet(rider_id="ann")).then(WITH_ANN)
    given(CREATED, WITH_VAN).when(RemoveVehicleFromFleet(vehicle_id="van")).then(WITHOUT_VAN)
    given(CREATED).when(RemoveVehicleFromFleet(vehicle_id="van")).then()


def test_a_fleet_holds_so_many_riders_and_no_more():
    full = [RiderAddedToFleet(rider_id=RiderId(f"r-{n}")) for n in range(MAX_FLEET_RIDERS)]
    refused = given(CREATED, *full).when(AddRiderToFleet(rider_id="ann")).refuses(TooMany)
    assert refused.values() == {"what": "riders in a fleet", "limit": MAX_FLEET_RIDERS}
    given(CREATED, *full).when(AddRiderToFleet(rider_id="r-0")).then()
    given(CREATED, *full).when(AddVehicleToFleet(vehicle_id="van")).then(WITH_VAN)


def test_a_fleet_holds_so_many_vehicles_and_no_more():
    full = [VehicleAddedToFleet(vehicle_id=VehicleId(f"v-{n}")) for n in range(MAX_FLEET_VEHICLES)]
    refused = given(CREATED, *full).when(AddVehicleToFleet(vehicle_id="van")).refuses(TooMany)
    assert refused.values() == {"what": "vehicles in a fleet", "limit": MAX_FLEET_VEHICLES}


def test_a_retired_fleet_is_retired_for_ever():
    retired = given(CREATED, WITH_ANN).when(RetireFleet(reason_code="merged")).happened()
    assert retired.state == RetiredFleet(OutletSlug("kamppi"))
    assert is_over(retired.state)
    given(CREATED, RETIRED).when(RetireFleet(reason_code="again")).then()


EVERY = [
    ChangeFleet(name="South"),
    AddRiderToFleet(rider_id="ann"),
    RemoveRiderFromFleet(rider_id="ann"),
    AddVehicleToFleet(vehicle_id="van"),
    RemoveVehicleFromFleet(vehicle_id="van"),
]


@pytest.mark.parametrize("command", EVERY, ids=lambda command: type(command).__name__)
def test_nothing_is_asked_of_a_fleet_that_is_retired_or_not_there(command: Command):
    assert given(CREATED, RETIRED).when(command).refuses(NotInThisState).values()["actual"] == "retired"
    assert nothing_yet("fleet").when(command).refuses(NotInThisState).values()["actual"] == "new"


def test_a_fleet_that_is_not_there_is_not_retired():
    nothing_yet("fleet").when(RetireFleet(reason_code="merged")).refuses(NotInThisState)
