"""The vehicles that a rider has, as far as the rider's decisions need to know of them: copied in when they change."""

from collections.abc import Sequence

from msgspec.structs import replace

from commands.refusals import TooMany
from commands.rider_state import AssignedVehicle, RegisteredRider
from schemas.rider import MAX_VEHICLES, RecordVehicleFitness, RiderEvent, VehicleFitnessChanged
from schemas.vehicle_fitness import VehicleFitness


def record_vehicle_fitness(rider: RegisteredRider, command: RecordVehicleFitness) -> list[RiderEvent]:
    """What was stated before what is known comes too late."""
    known = rider.vehicles.get(command.vehicle_id)
    if known is None and command.fitness is None:
        return []
    if known is not None and (command.number <= known.number or command.fitness == known.fitness):
        return []
    if known is None and len(rider.vehicles) >= MAX_VEHICLES:
        raise TooMany("vehicles", MAX_VEHICLES)
    return [VehicleFitnessChanged(vehicle_id=command.vehicle_id, number=command.number, fitness=command.fitness)]


def vehicles_of(rider: RegisteredRider) -> Sequence[VehicleFitness]:
    return [vehicle.fitness for vehicle in rider.vehicles.values()]


def with_vehicle(rider: RegisteredRider, event: VehicleFitnessChanged) -> RegisteredRider:
    others = {vehicle: known for vehicle, known in rider.vehicles.items() if vehicle != event.vehicle_id}
    if event.fitness is None:
        return replace(rider, vehicles=others)
    return replace(rider, vehicles={**others, event.vehicle_id: AssignedVehicle(event.number, event.fitness)})
