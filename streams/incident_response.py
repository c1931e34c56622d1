"""What an incident of this kind asks for is done: riders come off dispatch, vehicles stay where they are, tasks go on.

| fact                                     | command                   | then                | refused →         |
|------------------------------------------|---------------------------|---------------------|-------------------|
| IncidentActionRequested, suspend_rider   | SuspendRider (Rider)      | TakeIncidentAction  | NoteActionRefused |
| IncidentActionRequested, ground_vehicle  | GroundVehicle (Vehicle)   | TakeIncidentAction  | NoteActionRefused |
| IncidentActionRequested, hand_over_tasks | UnassignTask (Task)       | TakeIncidentAction  | NoteActionRefused |

Before anything the incident is asked whether the request still stands: a rider who was reinstated since is not
suspended again by a process that reads the log anew. What a rule refuses, such as taking a task away whose goods are in
custody, stands on the incident: somebody must act.
"""

from collections.abc import Mapping, Sequence

from schemas.incident import (
    ACTION_ANSWERED,
    ConfirmActionRequested,
    IncidentActionRequested,
    NoteActionRefused,
    TakeIncidentAction,
)
from schemas.message import Command, Source
from schemas.registries import IncidentAction
from schemas.rider import SuspendRider
from schemas.task import UnassignTask
from schemas.vehicle import GroundVehicle
from streams.process import NotAllowed, Rule, Step

REASON = "incident"
COMMANDS: Mapping[IncidentAction, Command] = {
    "suspend_rider": SuspendRider(reason_code=REASON),
    "ground_vehicle": GroundVehicle(reason_code=REASON),
    "hand_over_tasks": UnassignTask(reason_code=REASON),
}


async def act(event: IncidentActionRequested, source: Source) -> Sequence[Step]:
    command = COMMANDS[event.action]
    asked = ConfirmActionRequested(action=event.action, link=event.link)
    taken = TakeIncidentAction(action=event.action, link=event.link)
    return [
        Step(kind="incident", aggregate_id=source.aggregate_id, command=asked, purpose="asked"),
        Step(kind=event.link.kind, aggregate_id=event.link.id, command=command, purpose="act"),
        Step(kind="incident", aggregate_id=source.aggregate_id, command=taken, purpose="taken"),
    ]


def note_refused(event: IncidentActionRequested, source: Source, refused: NotAllowed) -> Sequence[Step]:
    if refused.rule == ACTION_ANSWERED:
        return []
    noted = NoteActionRefused(action=event.action, link=event.link, rule=refused.rule)
    return [Step(kind="incident", aggregate_id=source.aggregate_id, command=noted, purpose="refused")]


RESPONSE = (Rule(IncidentActionRequested, act, note_refused),)
