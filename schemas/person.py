"""A person who is to be forgotten: one who asked for it, or for whom the time has come."""

from schemas.message import Code, Command, Count, Event, Id, Reference, SubjectId


class ForgetPerson(Command, frozen=True, kw_only=True):
    """`contact` is the reference that tasks and places give of their contact; of one without a reference `TASK/STOP`,
    the ids of task and stop, or `PLACE/DUTY`, that of the outlet or hub and the duty: of those one that names nobody is
    refused. What is known of the person stays sealed where it stands, and nobody opens it again: this cannot be taken
    back. Tasks that are under way lose whom to ring and where to go."""

    contact: Reference | None = None
    subject: Id | None = None
    is_known: bool | None = None
    """Whether anything is sealed under their key, where the door has looked."""
    reason_code: Code


class ConfirmForgetting(Command, frozen=True, kw_only=True):
    """Changes nothing. Refused where the keys were thrown away before: who reads the log anew closes nothing that was
    told since."""

    number: Count


class CloseForgetting(Command, frozen=True, kw_only=True):
    """No shard has a key of the person any more."""

    number: Count


class PersonForgotten(Event, frozen=True, kw_only=True):
    """All that is sealed under this subject's keys is closed for ever. Who it was does not stand here. `number` counts
    them within the tenant, from 1."""

    number: int
    subject: SubjectId
    reason_code: str


class PersonKeysDropped(Event, frozen=True, kw_only=True):
    """What is told of the person from now on is remembered, under a new key."""

    number: int
    subject: SubjectId


type PersonCommand = ForgetPerson | ConfirmForgetting | CloseForgetting
type PersonEvent = PersonForgotten | PersonKeysDropped
