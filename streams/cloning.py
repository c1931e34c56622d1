"""A task that is cloned is followed by its clone.

| fact       | command                   | refused →          |
|------------|---------------------------|--------------------|
| TaskCloned | CreateFromTemplate (Task) | RefuseClone (Task) |

Before anything the original is asked whether the clone still stands: one that was refused is not made later, by whoever
reads the log anew.
"""

from collections.abc import Sequence

from schemas.message import Source
from schemas.template import ConfirmClone, CreateFromTemplate, RefuseClone, TaskCloned
from streams.process import NotAllowed, Rule, Step

CREATE = "create-clone"


async def make(event: TaskCloned, source: Source) -> Sequence[Step]:
    original = source.aggregate_id
    creation = CreateFromTemplate(task=event.template, cloned_from=original)
    return [
        Step(kind="task", aggregate_id=original, command=ConfirmClone(number=event.number), purpose="confirm-clone"),
        Step(kind="task", aggregate_id=event.clone_id, command=creation, purpose=CREATE),
    ]


def refuse(event: TaskCloned, source: Source, refused: NotAllowed) -> Sequence[Step]:
    command = RefuseClone(number=event.number, rule=refused.rule, reason_code=refused.reason_code)
    return [Step(kind="task", aggregate_id=source.aggregate_id, command=command, purpose="refuse-clone")]


CLONING = (Rule(TaskCloned, make, refuse),)
