"""What a vehicle tells the rider who has it: how fit it is, as often as that changes, and that it is theirs no more."""

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from commands.vehicle_state import RegisteredVehicle, Vehicle
from schemas.message import Refused
from schemas.vehicle import ConfirmVehicleFitness, VehicleEvent, VehicleFitnessStated
from schemas.vehicle_fitness import VehicleFitness, VehicleValidity


class FitnessStatedAnew(Refused):
    rule = "fitness-stated-anew"

    def __init__(self, given: int, latest: int) -> None:
        super().__init__(f"it was stated {latest} times, and {given} is not the last")
        self.given = given
        self.latest = latest


def confirm_fitness(vehicle: RegisteredVehicle, command: ConfirmVehicleFitness) -> list[VehicleEvent]:
    if command.number != vehicle.statements:
        raise FitnessStatedAnew(command.number, vehicle.statements)
    return []


def with_statements(
    vehicle: Vehicle, events: Iterable[VehicleEvent], evolve: Callable[[Vehicle, VehicleEvent], Vehicle]
) -> list[VehicleEvent]:
    """The events, each followed by what it means for who has the vehicle, or had it."""
    told: list[VehicleEvent] = []
    for event in events:
        before, vehicle = vehicle, evolve(vehicle, event)
        told.append(event)
        for statement in statements(before, vehicle):
            told.append(statement)
            vehicle = evolve(vehicle, statement)
    return told


def statements(before: Vehicle, after: Vehicle) -> Iterable[VehicleFitnessStated]:
    if not isinstance(before, RegisteredVehicle) or not isinstance(after, RegisteredVehicle):
        return
    number = after.statements + 1
    if before.rider_id is not None and after.rider_id is None:
        yield VehicleFitnessStated(rider_id=before.rider_id, number=number, fitness=None)
    if after.rider_id is not None and (after.rider_id, fitness_of(after)) != (before.rider_id, fitness_of(before)):
        yield VehicleFitnessStated(rider_id=after.rider_id, number=number, fitness=fitness_of(after))


def fitness_of(vehicle: RegisteredVehicle) -> VehicleFitness:
    planned = [m.due_at for m in vehicle.maintenance.values() if m.status == "planned" and m.due_at is not None]
    return VehicleFitness(
        grounded=vehicle.grounded,
        inspection_failed=vehicle.inspection_failed,
        maintenance_due=any(m.status == "due" for m in vehicle.maintenance.values()),
        maintenance_due_at=min(planned, default=None),
        capacity=vehicle.capacity,
        documents=[
            VehicleValidity(kind=d.kind, valid_from=d.valid_from, expires_at=d.expires_at)
            for d in vehicle.documents.values()
            if d.status == "verified" and d.valid_from and d.expires_at
        ],
    )


def with_statement(vehicle: RegisteredVehicle, event: VehicleFitnessStated) -> RegisteredVehicle:
    return replace(vehicle, statements=event.number)
