"""A rider who is to take over another's goods is reserved for that before the two meet.

| fact                       | command                             | refused →        | undone by          |
|----------------------------|-------------------------------------|------------------|--------------------|
| HandOverOffered            | ReserveRider (Rider), to the meeting| RefuseHandOver   | ExpireReservation  |
| HandOverClosed             | ReleaseReservation (Rider)          |                  |                    |
| TaskAssigned, handed over  | ReserveRider, ActivateReservation,  |                  |                    |
|                            | RemoveStops, InsertStops (Rider)    |                  |                    |

The meeting is a stop of its own on the way of who takes over: there the load comes aboard. Once they have the goods
they are reserved whatever could be said against it, and what lies ahead is what does by now.
"""

from collections.abc import Sequence
from datetime import timedelta

from schemas.geo import Location
from schemas.hand_over import HandOverClosed, HandOverOffered, RefuseHandOver
from schemas.load import Load
from schemas.message import Command, Source, StopId, TaskId
from schemas.rider import (
    ActivateReservation,
    InsertStops,
    NewPlannedStop,
    ReleaseReservation,
    RemoveStops,
    ReserveRider,
)
from schemas.task import TaskAssigned
from streams.dispatch.tendering import Lookup
from streams.process import NotAllowed, Rule, Step

MEETING = StopId("meeting")
HELD_LONGER = timedelta(minutes=5)
"""Than the offer stands: what was accepted at its end is told a little later."""


def hand_over(lookup: Lookup) -> list[Rule]:
    async def reserve_taker(event: HandOverOffered, source: Source) -> Sequence[Step]:
        task = await lookup.task(source.tenant, source.aggregate_id, source)
        if task.meeting is None or task.round >= event.round:
            return []  # it is over already
        command = ReserveRider(
            task_id=task.task_id,
            round=event.round,
            handed_over=True,
            hold_until=event.expires_at + HELD_LONGER,
            required_skills=task.required_skills,
            stops=[meeting(task.meeting, event.place.subject, task.aboard), *task.ahead],
        )
        return [Step(kind="rider", aggregate_id=event.to_rider, command=command, purpose="reserve-taker")]

    async def take_over(event: TaskAssigned, source: Source) -> Sequence[Step]:
        if not event.handed_over:
            return []
        task = await lookup.task(source.tenant, source.aggregate_id, source)
        if task.round != event.round or not task.ahead:
            return []
        rules = await lookup.rules(source.tenant)
        has_goods = ReserveRider(
            task_id=task.task_id,
            round=event.round,
            handed_over=True,
            has_goods=True,
            hold_until=source.recorded_at + timedelta(seconds=rules.hand_over_seconds),
            stops=task.ahead,
        )
        ahead = {stop.stop_id for stop in task.ahead}
        gone = [MEETING, *(stop.stop_id for stop in task.stops if stop.stop_id not in ahead)]
        met = RemoveStops(task_id=task.task_id, round=event.round, reason_code="met", stop_ids=gone)
        more = InsertStops(task_id=task.task_id, round=event.round, stops=task.ahead)
        activated = ActivateReservation(task_id=task.task_id, round=event.round)
        steps: list[tuple[Command, str]] = [
            (has_goods, "reserve-with-goods"),
            (activated, "activate-with-goods"),
            (met, "leave-meeting"),
            (more, "insert-ahead"),
        ]
        return [Step(kind="rider", aggregate_id=event.rider_id, command=c, purpose=p) for c, p in steps]

    return [
        Rule(HandOverOffered, reserve_taker, refuse),
        Rule(HandOverClosed, release_taker),
        Rule(TaskAssigned, take_over),
    ]


def meeting(place: Location, subject: str, load: Load) -> NewPlannedStop:
    return NewPlannedStop(stop_id=MEETING, kind="pickup", subject=subject, location=place, load=load)


def refuse(event: HandOverOffered, source: Source, refused: NotAllowed) -> Sequence[Step]:
    command = RefuseHandOver(to_rider=event.to_rider, reason_code=refused.reason_code, overload=refused.overload)
    return [Step(kind="task", aggregate_id=source.aggregate_id, command=command, purpose="refuse-hand-over")]


async def release_taker(event: HandOverClosed, source: Source) -> Sequence[Step]:
    command = ReleaseReservation(task_id=TaskId(source.aggregate_id), round=event.round, reason_code="not_handed_over")
    return [Step(kind="rider", aggregate_id=event.to_rider, command=command, purpose="release-taker")]
