"""Tasks made from tasks, or from another template: what is the same again, and what is not."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal, assert_never, cast

from commands.clones import CloneState, mark_of
from commands.context import Context
from commands.order import AlreadyExists
from commands.refusals import TooMany
from commands.task_creation import OURS, StopsMismatch, create_task
from commands.task_state import CreatedTask, NotForThisKind, ParcelState, Task
from schemas.geo import Location, Window
from schemas.goods import NewItem, Party
from schemas.ids import cloned_task_id, contact_subject
from schemas.message import Personal, RecurrenceId, Refused, SubjectId, TaskId
from schemas.proof import MinimumAge
from schemas.stop import NewContact, NewParcel, NewStop, Stop
from schemas.task import CreateTask, TaskEvent
from schemas.template import (
    MAX_CLONES,
    CloneRefused,
    CloneTask,
    ConfirmClone,
    CreateFromTemplate,
    MadeFrom,
    RefuseClone,
    TaskCloned,
    TaskTemplate,
    TemplateParcel,
    TemplateStop,
)


class CloneAnswered(Refused):
    rule = "clone-answered"

    def __init__(self, number: int) -> None:
        super().__init__(f"clone {number} was refused")
        self.number = number


def clone_task(task: CreatedTask, command: CloneTask, context: Context) -> list[TaskEvent]:
    """Asked for again, it is the same clone; one that was refused is tried again."""
    if command.on_hold and task.kind == "collection":
        raise NotForThisKind("delivery", task.kind, "on_hold")
    template = template_of(task, command, context)
    clone_id = cloned_task_id(context.tenant, template.source, command.external_reference, context.command_id)
    mark = mark_of(command.shift_seconds, template)
    if clone_id == context.aggregate_id or is_named_like(task, command):
        raise AlreadyExists(context.aggregate_id)
    for known in task.clones:
        if known.task_id == clone_id and not known.refused:
            if known.mark != mark:
                raise AlreadyExists(clone_id)
            return []
    if len(task.clones) >= MAX_CLONES:
        raise TooMany("clones", MAX_CLONES)
    cloned = TaskCloned(
        number=len(task.clones) + 1, clone_id=clone_id, shift_seconds=command.shift_seconds, template=template
    )
    return [cloned]


def is_named_like(task: CreatedTask, command: CloneTask) -> bool:
    """Whoever's name it is: of two tasks of one name, the one the other's clone, nobody could say which is meant."""
    return command.external_reference is not None and command.external_reference == task.external_reference


def confirm_clone(task: CreatedTask, command: ConfirmClone) -> list[TaskEvent]:
    if clone_of(task, command.number).refused:
        raise CloneAnswered(command.number)
    return []


def refuse_clone(task: CreatedTask, command: RefuseClone) -> list[TaskEvent]:
    known = clone_of(task, command.number)
    if known.refused:
        return []
    refused = CloneRefused(
        number=command.number, clone_id=known.task_id, rule=command.rule, reason_code=command.reason_code
    )
    return [refused]


def clone_of(task: CreatedTask, number: int) -> CloneState:
    if not 0 < number <= len(task.clones):
        raise CloneAnswered(number)
    return task.clones[number - 1]


# What is the same again


def template_of(task: CreatedTask, command: CloneTask, context: Context) -> TaskTemplate:
    """The stops that it was created with, as they are known by now; those of the way are this task's alone."""
    stops = [stop.stop for stop in task.stops.values() if not stop.stop.stop_id.startswith(OURS)]
    return TaskTemplate(
        kind=task.kind,
        outlet=task.outlet,
        priority=task.priority,
        required_skills=task.required_skills,
        stops=[stop_again(stop, command.shift_seconds, context) for stop in stops],
        parcels=[parcel_again(parcel) for parcel in task.parcels.values()],
        return_proof=task.return_proof,
        authorisation=command.authorisation,
        on_hold=command.on_hold,
        external_reference=command.external_reference,
        source=command.source or context.actor,
        shipment_id=command.shipment_id,
        metadata=command.metadata,
        simulation=None if task.simulated is None else task.simulated.simulation,
    )


def stop_again(stop: Stop, shift_seconds: int | None, context: Context) -> TemplateStop:
    """Of who is forgotten nothing is copied."""
    subject = subject_at(stop, context)
    location = None if stop.from_directory else context.opened(stop.location, Location)
    contact = stop.contact
    return TemplateStop(
        stop_id=stop.stop_id,
        kind=kind_again(stop),
        subject=subject,
        outlet=named_at(stop.party, "outlet"),
        hub=named_at(stop.party, "hub") or named_at(stop.party, "locker"),
        location=put_in(subject, location),
        address=put_in(subject, context.opened(stop.address, str)),
        postal_code=put_in(subject, context.opened(stop.postal_code, str)),
        name=put_in(subject, context.opened(contact.name, str) if contact else None),
        phone=put_in(subject, context.opened(contact.phone, str) if contact else None),
        notes=put_in(subject, context.opened(contact.notes, str) if contact else None),
        window=shifted_window(stop.window, shift_seconds),
        service_seconds=stop.service_seconds,
        goods_ready_at=shifted(stop.goods_ready_at, shift_seconds),
        required_proof=stop.required_proof,
        minimum_age=stop.minimum_age,
        after=stop.after,
    )


def subject_at(stop: Stop, context: Context) -> SubjectId:
    """The clone's data are the same person's: one erasure reaches both."""
    of = (stop.contact.name if stop.contact else None, stop.location, stop.address, stop.postal_code)
    known = next((person.subject for person in of if person is not None), None)
    return known or contact_subject(context.tenant, f"{context.aggregate_id}/{stop.stop_id}")


def kind_again(stop: Stop) -> Literal["pickup", "dropoff", "collection"]:
    match stop.kind:
        case "pickup" | "dropoff" | "collection":
            return stop.kind
        case "hold" | "return":
            raise AssertionError("such a stop comes on the way")
        case _:
            assert_never(stop.kind)


def named_at(party: Party, kind: Literal["outlet", "hub", "locker"]) -> str | None:
    return party.id if party.kind == kind else None


def put_in[T](subject: SubjectId, value: T | None) -> Personal[T] | None:
    return None if value is None else Personal(subject, value)


def shifted(at: datetime | None, by_seconds: int | None) -> datetime | None:
    if at is None or by_seconds is None:
        return None
    try:
        return at + timedelta(seconds=by_seconds)
    except OverflowError as beyond:
        raise StopsMismatch(
            f"{at.isoformat()} cannot be moved by {by_seconds} s: no calendar goes on so long"
        ) from beyond


def shifted_window(window: Window | None, by_seconds: int | None) -> Window | None:
    if window is None or by_seconds is None:
        return None
    start, end = shifted(window.start, by_seconds), shifted(window.end, by_seconds)
    assert start is not None
    assert end is not None
    return Window(start=start, end=end)


def parcel_again(known: ParcelState) -> TemplateParcel:
    """A barcode is of the goods that went, so that it does not go with it."""
    parcel = known.parcel
    return TemplateParcel(
        parcel_id=parcel.parcel_id,
        pickup_stop=known.first_pickup or parcel.pickup_stop,
        dropoff_stop=parcel.dropoff_stop,
        barcode=None,
        description=parcel.description,
        weight_g=parcel.weight_g,
        volume_cm3=parcel.volume_cm3,
        items=parcel.items,
        required_proof=parcel.required_proof,
    )


# How a task comes of a template


def create_from_template(task: Task, command: CreateFromTemplate, context: Context) -> list[TaskEvent]:
    """As if somebody had just created it: by the directory and the rules of now, and all that is drawn drawn anew."""
    template = command.task
    made_from = MadeFrom(
        cloned_from=TaskId(command.cloned_from) if command.cloned_from else None,
        recurrence_id=RecurrenceId(command.recurrence_id) if command.recurrence_id else None,
        subjects={stop.stop_id: stop.subject for stop in template.stops},
    )
    ordered = CreateTask(
        kind=template.kind,
        outlet=template.outlet,
        priority=template.priority,
        required_skills=template.required_skills,
        stops=list(stops_of(template.stops)),
        parcels=[parcel_of(parcel) for parcel in template.parcels],
        return_proof=template.return_proof,
        authorisation=template.authorisation,
        on_hold=template.on_hold,
        external_reference=template.external_reference,
        source=template.source,
        shipment_id=template.shipment_id,
        metadata=template.metadata,
        simulation=template.simulation,
    )
    return create_task(task, ordered, context, made_from)


def stops_of(stops: Iterable[TemplateStop]) -> Iterable[NewStop]:
    for stop in stops:
        name = value_of(stop.name)
        contact = NewContact(name=name, phone=value_of(stop.phone), notes=value_of(stop.notes)) if name else None
        yield NewStop(
            kind=stop.kind,
            stop_id=stop.stop_id,
            outlet=stop.outlet,
            hub=stop.hub,
            location=value_of(stop.location),
            address=value_of(stop.address),
            postal_code=value_of(stop.postal_code),
            contact=contact,
            window=stop.window,
            service_seconds=stop.service_seconds,
            goods_ready_at=stop.goods_ready_at,
            required_proof=stop.required_proof,
            minimum_age=cast(MinimumAge | None, stop.minimum_age),  # as it was let in
            after=[*stop.after],
        )


def value_of[T](person: Personal[T] | None) -> T | None:
    """None where the person has been forgotten since."""
    return None if person is None else person.value


def parcel_of(parcel: TemplateParcel) -> NewParcel:
    return NewParcel(
        parcel_id=parcel.parcel_id,
        pickup_stop=parcel.pickup_stop,
        dropoff_stop=parcel.dropoff_stop,
        barcode=parcel.barcode,
        description=parcel.description,
        weight_g=parcel.weight_g,
        volume_cm3=parcel.volume_cm3,
        items=[NewItem(sku=item.sku, quantity=item.quantity, description=item.description) for item in parcel.items],
        required_proof=parcel.required_proof,
    )
