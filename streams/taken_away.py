"""A suspended or silent rider's tasks go back to dispatch, and those of one in an incident that asks for it; where the
goods are with the rider, a person is told.

| fact                  | command             | then                  | refused →                             |
|-----------------------|---------------------|-----------------------|---------------------------------------|
| TaskHandOverRequested | UnassignTask (Task) | CloseHandOver (Rider) | LinkTaskInCustody or ReportIncident,  |
|                       |                     |                       | CloseHandOver                         |

Before anything the rider is asked whether the request still stands: who reads the log anew takes nothing away that the
rider was let keep. The incident's id is derived from the fact, so that it is reported once, and for ever. An incident
that asked for it is linked to the task instead, and what says no stands there; one that is resolved by then, or has no
room for it, is looked at by nobody, and another is reported.
"""

from collections.abc import Mapping, Sequence

from schemas import ids
from schemas.incident import IncidentLink, LinkTaskInCustody, ReportIncident
from schemas.message import Source
from schemas.rider import (
    HAND_OVER_ANSWERED,
    CloseHandOver,
    ConfirmHandOverRequested,
    HandOverReason,
    TaskHandOverRequested,
)
from schemas.task import UnassignTask
from streams.process import NotAllowed, Rule, Step

SOURCE = "taken-away"
IN_CUSTODY = "goods-in-custody"
"""The rule that keeps a task with its rider."""
TOLD: Mapping[HandOverReason, str] = {
    "rider_suspended": "A suspended rider has goods of this task: somebody must see to it that they go on.",
    "incident": "A rider in an incident has goods of this task: somebody must see to it that they go on.",
    "rider_silent": "Nothing is heard of the rider who has goods of this task: somebody must find out where they are.",
}


async def hand_over(event: TaskHandOverRequested, source: Source) -> Sequence[Step]:
    asked = ConfirmHandOverRequested(task_id=event.task_id, round=event.round)
    taken = UnassignTask(reason_code=event.reason_code, round=event.round)
    return [
        Step(kind="rider", aggregate_id=source.aggregate_id, command=asked, purpose="asked"),
        Step(kind="task", aggregate_id=event.task_id, command=taken, purpose="take-away"),
        closing(event, source, None),
    ]


def keep_and_tell(event: TaskHandOverRequested, source: Source, refused: NotAllowed) -> Sequence[Step]:
    if refused.rule == HAND_OVER_ANSWERED:
        return []
    told = [reporting(event, source)] if refused.rule == IN_CUSTODY else []
    return [*told, closing(event, source, refused.rule)]


def reporting(event: TaskHandOverRequested, source: Source) -> Step:
    links = [IncidentLink(kind="task", id=event.task_id), IncidentLink(kind="rider", id=source.aggregate_id)]
    if event.incident_id is None:
        return report(links, event, source)
    link = LinkTaskInCustody(task_id=event.task_id, rule=IN_CUSTODY)
    of_its_own = report([*links, IncidentLink(kind="incident", id=event.incident_id)], event, source)
    return Step(kind="incident", aggregate_id=event.incident_id, command=link, purpose="link", otherwise=of_its_own)


def report(links: list[IncidentLink], event: TaskHandOverRequested, source: Source) -> Step:
    command = ReportIncident(
        kind=event.incident_kind,
        description=TOLD[event.reason_code],
        links=links,
        external_reference=source.event_id,
        source=SOURCE,
    )
    incident = ids.aggregate_id("incident", source.tenant, SOURCE, source.event_id)
    return Step(kind="incident", aggregate_id=incident, command=command, purpose="report")


def closing(event: TaskHandOverRequested, source: Source, rule: str | None) -> Step:
    command = CloseHandOver(task_id=event.task_id, round=event.round, rule=rule)
    return Step(kind="rider", aggregate_id=source.aggregate_id, command=command, purpose="close")


TAKEN_AWAY = (Rule(TaskHandOverRequested, hand_over, keep_and_tell),)
