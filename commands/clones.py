"""Which tasks were made from a task, by number, and which of them have come to nothing."""

from hashlib import sha256

import msgspec

from schemas.message import TaskId
from schemas.template import CloneRefused, TaskCloned, TaskTemplate


class CloneState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    task_id: TaskId
    mark: str
    """Of what was asked for."""
    refused: bool = False


type Clones = tuple[CloneState, ...]


def with_clone(clones: Clones, event: TaskCloned) -> Clones:
    return (*clones, CloneState(event.clone_id, mark_of(event.shift_seconds, event.template)))


def with_refused(clones: Clones, event: CloneRefused) -> Clones:
    place = event.number - 1
    refused = CloneState(event.clone_id, clones[place].mark, refused=True)
    return (*clones[:place], refused, *clones[place + 1 :])


def mark_of(shift_seconds: int | None, template: TaskTemplate) -> str:
    """By which the same request is known again: what was asked for, and not what the task was then."""
    asked = (shift_seconds, template.on_hold, template.shipment_id, template.authorisation, template.metadata)
    return sha256(msgspec.json.encode(asked, order="deterministic")).hexdigest()[:16]
