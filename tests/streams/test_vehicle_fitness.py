"""What a vehicle states is copied to its rider by the process on real decisions: told by what stands afterwards."""

from typing import Any

from following import anew, made
from reception import House, house, key

from schemas.load import Capacity
from schemas.message import RiderId, VehicleId
from schemas.rider import RecordVehicleFitness
from schemas.topics import FLEET
from schemas.vehicle import AssignVehicle
from streams.vehicle_fitness import VEHICLE_FITNESS

COPIED = [("ConfirmVehicleFitness", ""), ("RecordVehicleFitness", "VehicleFitnessChanged")]
TAKEN = [("RecordVehicleFitness", "VehicleFitnessChanged")]
OUTDATED = [("ConfirmVehicleFitness", "fitness-stated-anew")]
KNOWN = [("ConfirmVehicleFitness", ""), ("RecordVehicleFitness", "")]


async def followed(at: House) -> list[tuple[str, str]]:
    """The whole log from its first record, by who remembers no command by its id."""
    for kept in at.desk.kept.values():
        kept.answers = {}
    return await anew(at, "vehicle-fitness", VEHICLE_FITNESS, FLEET)


async def a_rider(at: House, name: str = "Ann") -> str:
    return await made(at, "riders", {"name": name, "external_reference": name})


async def a_van(at: House) -> str:
    capacity = {"weight_g": 800, "volume_cm3": 1, "parcels": 1}
    return await made(at, "vehicles", {"kind": "van", "capacity": capacity})


async def does(at: House, vehicle: str, word: str, **body: Any) -> None:
    path = f"/v1/acme/vehicles/{vehicle}/{word}"
    headers = key(f"{word}-{len(at.desk.orders)}")
    done = await at.caller("dispatcher", "dora").post(path, json=body, headers=headers)
    assert done.status_code == 200, done.text


def vehicles(at: House, rider: str) -> Any:
    return {vehicle: known.fitness for vehicle, known in at.desk.kept[rider].state.vehicles.items()}


async def test_who_is_given_a_vehicle_knows_how_fit_it_is_until_it_is_theirs_no_more():
    async with house() as at:
        rider, van = await a_rider(at), await a_van(at)
        await does(at, van, "assign-vehicle", rider_id=rider)
        assert await followed(at) == COPIED
        [fitness] = vehicles(at, rider).values()
        assert (fitness.grounded, fitness.capacity) == (False, Capacity(weight_g=800, volume_cm3=1, parcels=1))
        await does(at, van, "ground-vehicle", reason_code="flat_tyre")
        assert await followed(at) == [*OUTDATED, *COPIED]
        assert vehicles(at, rider)[van].grounded
        await does(at, van, "release-vehicle", reason_code="shift_over")
        assert await followed(at) == [*OUTDATED * 2, *TAKEN]
        assert vehicles(at, rider) == {}


async def test_who_reads_the_log_anew_gives_nobody_a_vehicle_that_they_had_once():
    async with house() as at:
        ann, bo, van = await a_rider(at), await a_rider(at, "Bo"), await a_van(at)
        for rider in (ann, bo):
            await does(at, van, "assign-vehicle", rider_id=rider)
            await does(at, van, "release-vehicle", reason_code="shift_over")
        await does(at, van, "assign-vehicle", rider_id=ann)
        await followed(at)
        records = len(at.desk.log)
        nothing = [("RecordVehicleFitness", "")]
        assert await followed(at) == [*OUTDATED, *nothing, *OUTDATED, *nothing, *KNOWN]
        assert len(at.desk.log) == records
        assert ([*vehicles(at, ann)], vehicles(at, bo)) == ([van], {})


async def test_what_was_stated_before_and_comes_late_changes_nothing():
    async with house() as at:
        rider, van = await a_rider(at), await a_van(at)
        await does(at, van, "assign-vehicle", rider_id=rider)
        await does(at, van, "ground-vehicle", reason_code="flat_tyre")
        await followed(at)
        late = RecordVehicleFitness(vehicle_id=VehicleId(van), number=1, fitness=None)
        assert (await at.process("rider", rider, late)).events == ()


async def test_nobody_who_is_not_registered_is_told():
    async with house() as at:
        van = await a_van(at)
        await at.process("vehicle", van, AssignVehicle(rider_id=RiderId("nobody-of-ours")))  # the door would have asked
        assert await followed(at) == [COPIED[0], ("RecordVehicleFitness", "not-found")]
