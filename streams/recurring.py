"""An occurrence of a recurrence is followed by its task.

| fact              | command                   | refused →                     |
|-------------------|---------------------------|-------------------------------|
| OccurrenceCreated | CreateFromTemplate (Task) | RefuseOccurrence (Recurrence) |

Before anything the recurrence is asked whether the occurrence still stands: one that was refused is not created later,
by whoever reads the log anew. The task's id is derived from the occurrence, so that it is created once, and for ever.
"""

from collections.abc import Sequence

from schemas.message import Source
from schemas.recurrence import ConfirmOccurrence, OccurrenceCreated, RefuseOccurrence
from schemas.template import CreateFromTemplate
from streams.process import NotAllowed, Rule, Step


async def make(event: OccurrenceCreated, source: Source) -> Sequence[Step]:
    recurrence = source.aggregate_id
    asked = ConfirmOccurrence(occurrence_at=event.occurrence.at)
    creation = CreateFromTemplate(task=event.template, recurrence_id=recurrence)
    return [
        Step(kind="recurrence", aggregate_id=recurrence, command=asked, purpose="confirm-occurrence"),
        Step(kind="task", aggregate_id=event.task_id, command=creation, purpose="create-occurrence"),
    ]


def refuse(event: OccurrenceCreated, source: Source, refused: NotAllowed) -> Sequence[Step]:
    command = RefuseOccurrence(
        occurrence_at=event.occurrence.at,
        local=event.occurrence.local,
        task_id=event.task_id,
        rule=refused.rule,
        reason_code=refused.reason_code,
    )
    return [Step(kind="recurrence", aggregate_id=source.aggregate_id, command=command, purpose="refuse-occurrence")]


RECURRING = (Rule(OccurrenceCreated, make, refuse),)
