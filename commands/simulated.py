"""Simulated tasks and couriers: where there may be any, whose is which, and that the two keep to themselves."""

from commands.context import Context
from commands.refusals import NotATestTenant
from commands.task_state import CreatedTask, NotForThisKind
from schemas.ids import SIMULATED_COURIERS, simulated_courier
from schemas.message import Refused
from schemas.simulation import SimulatedOutcome
from schemas.task import CreateTask


class NothingToSimulate(Refused):
    rule = "nothing-to-simulate"
    stands_in = ("outcome",)

    def __init__(self, outcome: SimulatedOutcome, needed: str) -> None:
        super().__init__(f"{outcome} is of a task with {needed}")
        self.outcome = outcome
        self.needed = needed


class SimulatedApart(Refused):
    rule = "simulated-apart"
    is_about = ("rider_id", "to_rider")

    def __init__(self) -> None:
        super().__init__("simulated tasks are for simulated couriers, and for nobody else")


def must_be_simulable(command: CreateTask, context: Context) -> None:
    """Raises NotATestTenant, NotForThisKind, NothingToSimulate."""
    if command.simulation is None:
        return
    outcome = command.simulation.outcome
    if context.policy.mode != "test":
        raise NotATestTenant
    if command.kind == "collection":
        raise NotForThisKind("delivery", command.kind, "simulation")  # no courier comes for it
    if outcome in ("refused", "damaged", "lost") and not command.parcels:
        raise NothingToSimulate(outcome, "parcels")
    pins = (stop for stop in command.stops if stop.kind == "dropoff" and any("pin" in g for g in stop.required_proof))
    if outcome == "wrong_pin" and next(pins, None) is None:
        raise NothingToSimulate(outcome, "a PIN at a dropoff")


def must_keep_apart(task: CreatedTask, rider_id: str, context: Context) -> None:
    """A task is not simulated for a rider who is at work for real, nor real work given to one who is not. Raises
    SimulatedApart."""
    couriers = [simulated_courier(context.tenant, number + 1) for number in range(SIMULATED_COURIERS)]
    if task.simulated is not None or rider_id in couriers:
        raise SimulatedApart
