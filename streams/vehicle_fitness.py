"""What a vehicle states of its fitness is copied to the rider who has it.

| fact                        | command                         | then                         | refused → |
|-----------------------------|---------------------------------|------------------------------|-----------|
| VehicleFitnessStated        | ConfirmVehicleFitness (Vehicle) | RecordVehicleFitness (Rider) | nothing   |
| the same, theirs no more    | RecordVehicleFitness (Rider)    |                              | nothing   |

Before anything the vehicle is asked whether that is its last word: who reads the log anew gives nobody a vehicle that
they had once. A rider who is not registered has no decisions that could go by it.
"""

from collections.abc import Sequence

from schemas.message import Source, VehicleId
from schemas.rider import RecordVehicleFitness
from schemas.vehicle import ConfirmVehicleFitness, VehicleFitnessStated
from streams.process import NotAllowed, Rule, Step


async def copied(event: VehicleFitnessStated, source: Source) -> Sequence[Step]:
    recorded = RecordVehicleFitness(
        vehicle_id=VehicleId(source.aggregate_id), number=event.number, fitness=event.fitness
    )
    recording = Step(kind="rider", aggregate_id=event.rider_id, command=recorded, purpose="record")
    if event.fitness is None:
        return [recording]
    asked = ConfirmVehicleFitness(number=event.number)
    return [Step(kind="vehicle", aggregate_id=source.aggregate_id, command=asked, purpose="asked"), recording]


def left_alone(event: VehicleFitnessStated, source: Source, refused: NotAllowed) -> Sequence[Step]:
    return []


VEHICLE_FITNESS = (Rule(VehicleFitnessStated, copied, left_alone),)
