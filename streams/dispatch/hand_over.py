"""A rider who is to take over another's goods is reserved for that before the two meet.

| fact                       | command                             | refused →        | undone by          |
|----------------------------|-------------------------------------|------------------|--------------------|
| HandOverOffered            | ReserveRider (Rider), to the meeting| RefuseHandOver   | ExpireReservation  |
| HandOverClosed             | ReleaseReservation (Rider)          |                  |                    |
| TaskAssigned, handed over  | ActivateReservation (see tendering) |                  |                    |
| ParcelsHandedOver          | RemoveStops (Rider), the meeting    |                  |                    |

The meeting is a stop of its own on the way of who takes over: there the load comes aboard.
"""

from collections.abc import Sequence

from schemas.geo import Location
from schemas.hand_over import HandOverClosed, HandOverOffered, RefuseHandOver
from schemas.message import RiderId, Source, StopId, TaskId
from schemas.rider import NewPlannedStop, ReleaseReservation, RemoveStops, ReserveRider
from schemas.task import TaskAssigned
from streams.dispatch.tendering import Lookup
from streams.process import NotAllowed, Rule, Step

MEETING = StopId("meeting")


def hand_over(lookup: Lookup) -> list[Rule]:
    async def reserve_taker(event: HandOverOffered, source: Source) -> Sequence[Step]:
        task = await lookup.task(source.tenant, source.aggregate_id, source)
        if task.meeting is None or task.round >= event.round:
            return []  # it is over already
        command = ReserveRider(
            task_id=task.task_id,
            round=event.round,
            handed_over=True,
            hold_until=event.expires_at,
            stops=[meeting(task.meeting, event.place.subject, task.aboard_g), *task.ahead],
        )
        return [Step(kind="rider", aggregate_id=event.to_rider, command=command, purpose="reserve-taker")]

    return [
        Rule(HandOverOffered, reserve_taker, refuse),
        Rule(HandOverClosed, release_taker),
        Rule(TaskAssigned, leave_meeting),
    ]


def meeting(place: Location, subject: str, load_g: int) -> NewPlannedStop:
    return NewPlannedStop(stop_id=MEETING, kind="pickup", subject=subject, location=place, load_g=load_g)


def refuse(event: HandOverOffered, source: Source, refused: NotAllowed) -> Sequence[Step]:
    command = RefuseHandOver(to_rider=event.to_rider, reason_code=refused.reason_code)
    return [Step(kind="task", aggregate_id=source.aggregate_id, command=command, purpose="refuse-hand-over")]


async def release_taker(event: HandOverClosed, source: Source) -> Sequence[Step]:
    command = ReleaseReservation(task_id=TaskId(source.aggregate_id), round=event.round, reason_code="not_handed_over")
    return [Step(kind="rider", aggregate_id=event.to_rider, command=command, purpose="release-taker")]


async def leave_meeting(event: TaskAssigned, source: Source) -> Sequence[Step]:
    if not event.handed_over:
        return []
    command = RemoveStops(task_id=TaskId(source.aggregate_id), round=event.round, reason_code="met", stop_ids=[MEETING])
    return [Step(kind="rider", aggregate_id=RiderId(event.rider_id), command=command, purpose="leave-meeting")]
