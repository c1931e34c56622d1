"""A simulated task goes to a simulated courier, or to nobody; no rider is asked.

| fact                         | command                        | refused →              |
|------------------------------|--------------------------------|------------------------|
| TaskDispatchable, simulated  | RegisterSimulatedRider (Rider) | it is there; as below  |
|                              | AssignSimulatedCourier (Task)  |                        |
| TaskDispatchable, `no_taker` | OpenTender, with nobody in it  |                        |

What the courier then does falls due step by step (see deadlines), and is reserved and planned as for anybody (see
dispatch).
"""

from collections.abc import Sequence

from schemas.ids import courier_number, simulated_courier, tender_id
from schemas.message import Source, TaskId
from schemas.rider import RegisterSimulatedRider
from schemas.task import AssignSimulatedCourier, TaskDispatchable
from schemas.tender import OpenTender
from streams.process import NotAllowed, Rule, Step

SOLVER = "simulated-1"


async def register(event: TaskDispatchable, source: Source) -> Sequence[Step]:
    if event.simulated in (None, "no_taker"):
        return []
    number = courier_number(source.aggregate_id)
    courier, command = simulated_courier(source.tenant, number), RegisterSimulatedRider(number=number)
    return [Step(kind="rider", aggregate_id=courier, command=command, purpose="register")]


def registered_before(event: TaskDispatchable, source: Source, refused: NotAllowed) -> Sequence[Step]:
    """By another task of theirs."""
    return []


async def take(event: TaskDispatchable, source: Source) -> Sequence[Step]:
    task = TaskId(source.aggregate_id)
    if event.simulated is None:
        return []
    if event.simulated == "no_taker":
        tender = tender_id(task, event.round)
        return [Step(kind="tender", aggregate_id=tender, command=asking_nobody(task, event.round), purpose="open")]
    command = AssignSimulatedCourier(round=event.round)
    return [Step(kind="task", aggregate_id=task, command=command, purpose="assign")]


def asking_nobody(task: TaskId, task_round: int) -> OpenTender:
    return OpenTender(
        task_id=task,
        round=task_round,
        mode="broadcast",
        candidates=[],
        excluded=[],
        offers=[],
        policy_version=0,
        input_hash="",
        solver=SOLVER,
    )


SIMULATION = (Rule(TaskDispatchable, register, registered_before), Rule(TaskDispatchable, take))
