"""What an incident of this kind asks for is done: riders come off dispatch, vehicles stay where they are, tasks go on;
and tasks are told which of their parcels are lost. Once it is over riders who were only asked for their tasks are back.

| fact                                     | command                   | then                | refused →         |
|------------------------------------------|---------------------------|---------------------|-------------------|
| IncidentActionRequested, suspend_rider   | SuspendRider (Rider)      | TakeIncidentAction  | NoteActionRefused |
| IncidentActionRequested, ground_vehicle  | GroundVehicle (Vehicle)   | TakeIncidentAction  | NoteActionRefused |
| IncidentActionRequested, hand_over_tasks | UnassignTask (Task),      | TakeIncidentAction  | NoteActionRefused |
|                                          | HandOverAllTasks (Rider)  |                     |                   |
| IncidentActionRequested,                 | ReportParcelsLost (Task)  | TakeIncidentAction  | NoteActionRefused |
| write_off_parcels                        |                           |                     |                   |
| IncidentResolved, IncidentUnlinked       | ReturnToDispatch (Rider)  |                     |                   |

Before anything the incident is asked whether the request still stands: a rider who was reinstated since is not
suspended again by a process that reads the log anew. What a rule refuses, such as taking a task away whose goods are in
custody, stands on the incident: somebody must act.
"""

from collections.abc import Sequence

from schemas.goods import ReportParcelsLost
from schemas.incident import (
    ACTION_ANSWERED,
    ConfirmActionRequested,
    IncidentActionRequested,
    IncidentResolved,
    IncidentUnlinked,
    NoteActionRefused,
    TakeIncidentAction,
)
from schemas.message import Command, RiderId, Source
from schemas.rider import HandOverAllTasks, ReturnToDispatch, SuspendRider
from schemas.task import UnassignTask
from schemas.vehicle import GroundVehicle
from streams.process import NotAllowed, Rule, Step

REASON = "incident"


def command_of(event: IncidentActionRequested, source: Source) -> Command:
    match event.action, event.link.kind:
        case "suspend_rider", "rider":
            return SuspendRider(reason_code=REASON, incident_id=source.aggregate_id)
        case "ground_vehicle", "vehicle":
            return GroundVehicle(reason_code=REASON)
        case "hand_over_tasks", "rider":
            return HandOverAllTasks(incident_id=source.aggregate_id, number=source.version)
        case "hand_over_tasks", "task":
            return UnassignTask(reason_code=REASON)
        case "write_off_parcels", "task":
            return ReportParcelsLost(parcel_ids=event.parcel_ids, reason_code=REASON, observed_at=source.event_time)
        case _:
            raise AssertionError(f"{event.action} of a {event.link.kind} is for people")


async def act(event: IncidentActionRequested, source: Source) -> Sequence[Step]:
    command = command_of(event, source)
    asked = ConfirmActionRequested(action=event.action, link=event.link, parcel_ids=event.parcel_ids)
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


async def resolved(event: IncidentResolved, source: Source) -> Sequence[Step]:
    return [back(rider_id, source) for rider_id in event.riders]


async def unlinked(event: IncidentUnlinked, source: Source) -> Sequence[Step]:
    return [back(RiderId(event.link.id), source)] if event.link.kind == "rider" else []


def back(rider_id: RiderId, source: Source) -> Step:
    command = ReturnToDispatch(incident_id=source.aggregate_id, number=source.version)
    return Step(kind="rider", aggregate_id=rider_id, command=command, purpose=f"back {rider_id}")


RESPONSE = (
    Rule(IncidentActionRequested, act, note_refused),
    Rule(IncidentResolved, resolved, apart=True),
    Rule(IncidentUnlinked, unlinked, apart=True),
)
