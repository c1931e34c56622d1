"""The task of a recurrence: what each occurrence is created with, and when its stops are."""

from datetime import datetime, timedelta

from commands.cloning import put_in
from commands.context import Context
from commands.task_creation import StopsMismatch
from schemas.geo import Location, Window
from schemas.goods import Item
from schemas.ids import RECURRENCE_SOURCE, contact_subject, occurrence_reference
from schemas.message import OutletSlug, ParcelId, StopId
from schemas.recurrence import (
    MinutesWindow,
    Occurrence,
    RecurringStop,
    RecurringTask,
    RecurringTemplate,
    RecurringTemplateStop,
)
from schemas.stop import NewParcel
from schemas.template import TaskTemplate, TemplateParcel, TemplateStop


def recurring_template(task: RecurringTask, context: Context) -> RecurringTemplate:
    """Each stop and each parcel gets its name once, and has it in all occurrences."""
    ids = [StopId(stop.stop_id or f"stop-{number}") for number, stop in enumerate(task.stops, start=1)]
    stops = [template_stop(stop, stop_id, context) for stop, stop_id in zip(task.stops, ids, strict=True)]
    first = next((stop.stop_id for stop in stops if stop.kind != "dropoff"), ids[0])
    last = next((stop.stop_id for stop in reversed(stops) if stop.kind != "pickup"), ids[-1])
    return RecurringTemplate(
        kind=task.kind,
        priority=task.priority,
        required_skills=task.required_skills,
        stops=stops,
        parcels=[template_parcel(each, number, first, last) for number, each in enumerate(task.parcels, start=1)],
        return_proof=task.return_proof,
        authorisation=task.authorisation,
        on_hold=task.on_hold,
        shipment_id=task.shipment_id,
        metadata=task.metadata,
        simulation=task.simulation,
    )


def template_stop(stop: RecurringStop, stop_id: StopId, context: Context) -> RecurringTemplateStop:
    if stop.window is not None and stop.window.to_minutes <= stop.window.from_minutes:
        raise StopsMismatch(f"the window of {stop_id} ends before it starts", stop_id)
    contact = stop.contact
    reference = contact.reference if contact else None
    subject = contact_subject(context.tenant, reference or f"{context.aggregate_id}/{stop_id}")
    return RecurringTemplateStop(
        stop_id=stop_id,
        kind=stop.kind,
        subject=subject,
        outlet=stop.outlet,
        hub=stop.hub,
        location=put_in(subject, stop.location),
        address=put_in(subject, stop.address),
        postal_code=put_in(subject, stop.postal_code),
        name=put_in(subject, contact.name if contact else None),
        phone=put_in(subject, contact.phone if contact else None),
        notes=put_in(subject, contact.notes if contact else None),
        window=stop.window,
        service_seconds=stop.service_seconds,
        goods_ready_minutes=stop.goods_ready_minutes,
        required_proof=stop.required_proof,
        minimum_age=stop.minimum_age,
        after=stop.after,
    )


def template_parcel(parcel: NewParcel, number: int, first: StopId, last: StopId) -> TemplateParcel:
    return TemplateParcel(
        parcel_id=ParcelId(parcel.parcel_id or f"parcel-{number}"),
        pickup_stop=StopId(parcel.pickup_stop) if parcel.pickup_stop else first,
        dropoff_stop=StopId(parcel.dropoff_stop) if parcel.dropoff_stop else last,
        barcode=parcel.barcode,
        description=parcel.description,
        weight_g=parcel.weight_g,
        volume_cm3=parcel.volume_cm3,
        items=[Item(sku=each.sku, quantity=each.quantity, description=each.description) for each in parcel.items],
        required_proof=parcel.required_proof,
    )


def task_of(outlet: OutletSlug, template: RecurringTemplate, occurrence: Occurrence, context: Context) -> TaskTemplate:
    """The task of this occurrence; who is forgotten by now is not in it."""
    return TaskTemplate(
        kind=template.kind,
        outlet=outlet,
        priority=template.priority,
        required_skills=template.required_skills,
        stops=[stop_at(stop, occurrence.at, context) for stop in template.stops],
        parcels=template.parcels,
        return_proof=template.return_proof,
        authorisation=template.authorisation,
        on_hold=template.on_hold,
        external_reference=occurrence_reference(context.aggregate_id, occurrence.local),
        source=RECURRENCE_SOURCE,
        shipment_id=template.shipment_id,
        metadata=template.metadata,
        simulation=template.simulation,
    )


def lacks_a_place(template: RecurringTemplate, context: Context) -> bool:
    """Whether a stop was at a place that nobody can read any more: who lived there is forgotten."""
    return any(stop.location is not None and context.opened(stop.location, Location) is None for stop in template.stops)


def stop_at(stop: RecurringTemplateStop, begins: datetime, context: Context) -> TemplateStop:
    ready = stop.goods_ready_minutes
    return TemplateStop(
        stop_id=stop.stop_id,
        kind=stop.kind,
        subject=stop.subject,
        outlet=stop.outlet,
        hub=stop.hub,
        location=put_in(stop.subject, context.opened(stop.location, Location)),
        address=put_in(stop.subject, context.opened(stop.address, str)),
        postal_code=put_in(stop.subject, context.opened(stop.postal_code, str)),
        name=put_in(stop.subject, context.opened(stop.name, str)),
        phone=put_in(stop.subject, context.opened(stop.phone, str)),
        notes=put_in(stop.subject, context.opened(stop.notes, str)),
        window=window_at(stop.window, begins),
        service_seconds=stop.service_seconds,
        goods_ready_at=None if ready is None else begins + timedelta(minutes=ready),
        required_proof=stop.required_proof,
        minimum_age=stop.minimum_age,
        after=stop.after,
    )


def window_at(window: MinutesWindow | None, begins: datetime) -> Window | None:
    if window is None:
        return None
    return Window(
        start=begins + timedelta(minutes=window.from_minutes), end=begins + timedelta(minutes=window.to_minutes)
    )
