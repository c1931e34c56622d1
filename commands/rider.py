"""Rider: registered, approved and on shift; reserved for tasks, whose stops become the itinerary."""

from datetime import datetime
from typing import assert_never

from msgspec.structs import replace

from commands.context import Context
from commands.rider_state import (
    DocumentState,
    RegisteredRider,
    Reservation,
    Rider,
    Shift,
    Unregistered,
    held,
    not_compliant,
    peak_load_g,
)
from schemas.ids import rider_subject
from schemas.message import (
    DeviceId,
    DocumentId,
    NotInThisState,
    Personal,
    Refused,
    RiderId,
    ShiftId,
    SubjectId,
    TaskId,
)
from schemas.rider import (
    MAX_DEVICES,
    MAX_DOCUMENTS,
    ActivateReservation,
    ApproveRider,
    BindDevice,
    DeviceBound,
    DeviceUnbound,
    DocumentRejected,
    DocumentSubmitted,
    DocumentVerified,
    EndShift,
    ExpireReservation,
    InsertStops,
    ItineraryResequenced,
    ItineraryStopsInserted,
    ItineraryStopsRemoved,
    NewPlannedStop,
    PlannedStop,
    RegisterRider,
    ReinstateRider,
    RejectDocument,
    RejectRider,
    ReleaseReservation,
    RemoveStops,
    ResequenceItinerary,
    ReservationActivated,
    ReservationReleased,
    ReserveRider,
    RiderApproved,
    RiderCommand,
    RiderEvent,
    RiderRegistered,
    RiderReinstated,
    RiderRejected,
    RiderReserved,
    RiderSuspended,
    ShiftEnded,
    ShiftEnding,
    ShiftStarted,
    StartShift,
    StopRef,
    SubmitDocument,
    SuspendRider,
    UnbindDevice,
    VerifyDocument,
)
from schemas.tender import Exclusion


class CannotReserve(Refused):
    rule = "cannot-reserve"

    def __init__(self, code: Exclusion) -> None:
        super().__init__(f"the rider cannot be reserved: {code}")
        self.code = code


class NotReserved(Refused):
    rule = "not-reserved"

    def __init__(self, task_id: str) -> None:
        super().__init__(f"the rider holds no reservation for task {task_id}")
        self.task_id = task_id


class UnknownDocument(Refused):
    rule = "unknown-document"

    def __init__(self, document_id: str) -> None:
        super().__init__(f"no document {document_id} was submitted")
        self.document_id = document_id


class TooMany(Refused):
    rule = "too-many"

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"there are at most {limit} {what}")
        self.what = what
        self.limit = limit


class NotAnInterval(Refused):
    rule = "not-an-interval"

    def __init__(self, start: datetime, end: datetime) -> None:
        super().__init__(f"{end.isoformat()} is not after {start.isoformat()}")
        self.start = start
        self.end = end


class ItineraryChanged(Refused):
    rule = "itinerary-changed"

    def __init__(self, given: int, actual: int) -> None:
        super().__init__(f"the itinerary is at version {actual}, not {given}")
        self.given = given
        self.actual = actual


class NotThatItinerary(Refused):
    rule = "not-that-itinerary"

    def __init__(self) -> None:
        super().__init__("the order must name each stop of the itinerary once, a task's pickups before its dropoffs")


def decide(rider: Rider, command: RiderCommand, context: Context) -> list[RiderEvent]:
    match command:
        case RegisterRider():
            return register_rider(rider, command, context)
        case ApproveRider():
            return approve_rider(registered(rider))
        case RejectRider():
            return reject_rider(registered(rider), command)
        case SuspendRider():
            return suspend_rider(registered(rider), command)
        case ReinstateRider():
            return reinstate_rider(registered(rider))
        case SubmitDocument():
            return submit_document(registered(rider), command, context)
        case VerifyDocument():
            return verify_document(registered(rider), command)
        case RejectDocument():
            return reject_document(registered(rider), command)
        case StartShift():
            return start_shift(registered(rider), command, context)
        case EndShift():
            return end_shift(registered(rider), context)
        case BindDevice():
            return bind_device(registered(rider), command, context)
        case UnbindDevice():
            return unbind_device(registered(rider), command, context)
        case ReserveRider():
            return reserve_rider(registered(rider), command, context)
        case ActivateReservation():
            return activate_reservation(registered(rider), command, context)
        case ReleaseReservation():
            return release_reservation(registered(rider), command)
        case ExpireReservation():
            return expire_reservation(registered(rider), command, context)
        case InsertStops():
            return insert_stops(registered(rider), command)
        case RemoveStops():
            return remove_stops(registered(rider), command)
        case ResequenceItinerary():
            return resequence_itinerary(registered(rider), command)
        case _:
            assert_never(command)


def register_rider(rider: Rider, command: RegisterRider, context: Context) -> list[RiderEvent]:
    if not isinstance(rider, Unregistered):
        raise NotInThisState(needed="new", actual=rider.status)
    assert context.policy, "the tenant is known"
    subject = rider_subject(RiderId(context.aggregate_id))
    return [
        RiderRegistered(
            name=Personal(subject, command.name),
            phone=Personal(subject, command.phone) if command.phone else None,
            employment=command.employment,
            vehicle=command.vehicle,
            capacity_g=command.capacity_g,
            skills=list(command.skills),
            external_reference=command.external_reference,
            source=command.source or context.actor,
            metadata=command.metadata,
        )
    ]


def approve_rider(rider: RegisteredRider) -> list[RiderEvent]:
    match rider.status:
        case "invited" | "rejected":
            return [RiderApproved()]
        case "approved":
            return []
        case _:
            raise NotInThisState(needed="invited or rejected", actual=rider.status)


def reject_rider(rider: RegisteredRider, command: RejectRider) -> list[RiderEvent]:
    match rider.status:
        case "invited":
            return [RiderRejected(reason_code=command.reason_code)]
        case "rejected":
            return []
        case _:
            raise NotInThisState(needed="invited", actual=rider.status)


def suspend_rider(rider: RegisteredRider, command: SuspendRider) -> list[RiderEvent]:
    match rider.status:
        case "approved":
            return [RiderSuspended(reason_code=command.reason_code, note=command.note)]
        case "suspended":
            return []
        case _:
            raise NotInThisState(needed="approved", actual=rider.status)


def reinstate_rider(rider: RegisteredRider) -> list[RiderEvent]:
    match rider.status:
        case "suspended":
            return [RiderReinstated()]
        case "approved":
            return []
        case _:
            raise NotInThisState(needed="suspended", actual=rider.status)


def submit_document(rider: RegisteredRider, command: SubmitDocument, context: Context) -> list[RiderEvent]:
    document_id = DocumentId(command.document_id)
    if document_id in rider.documents:
        raise NotInThisState(needed="a new document_id", actual=rider.documents[document_id].status)
    if len(rider.documents) >= MAX_DOCUMENTS:
        raise TooMany("documents", MAX_DOCUMENTS)
    subject = rider_subject(RiderId(context.aggregate_id))
    number = Personal(subject, command.number) if command.number else None
    return [DocumentSubmitted(document_id=document_id, kind=command.kind, number=number)]


def verify_document(rider: RegisteredRider, command: VerifyDocument) -> list[RiderEvent]:
    document = rider.documents.get(command.document_id)
    if document is None:
        raise UnknownDocument(command.document_id)
    if command.expires_at <= command.valid_from:
        raise NotAnInterval(command.valid_from, command.expires_at)
    verified = replace(document, status="verified", valid_from=command.valid_from, expires_at=command.expires_at)
    if verified == document:
        return []
    return [
        DocumentVerified(
            document_id=command.document_id,
            kind=document.kind,
            valid_from=command.valid_from,
            expires_at=command.expires_at,
        )
    ]


def reject_document(rider: RegisteredRider, command: RejectDocument) -> list[RiderEvent]:
    document = rider.documents.get(command.document_id)
    if document is None:
        raise UnknownDocument(command.document_id)
    if document.status == "rejected":
        return []
    return [DocumentRejected(document_id=command.document_id, reason_code=command.reason_code)]


def start_shift(rider: RegisteredRider, command: StartShift, context: Context) -> list[RiderEvent]:
    if command.ends_at <= context.now:
        raise NotAnInterval(context.now, command.ends_at)
    if rider.shift is not None:
        raise NotInThisState(needed="off shift", actual="ending" if rider.shift.ending else "on shift")
    why_not = not_compliant(rider, context.policy.rules, context.now)
    if why_not is not None:
        raise CannotReserve(why_not)
    subject = rider_subject(RiderId(context.aggregate_id))
    return [
        ShiftStarted(
            shift_id=ShiftId(command.shift_id or context.command_id),
            ends_at=command.ends_at,
            location=Personal(subject, command.location) if command.location else None,
        )
    ]


def end_shift(rider: RegisteredRider, context: Context) -> list[RiderEvent]:
    """What is only held is let go; what is under way is finished first."""
    if rider.shift is None or rider.shift.ending:
        return []
    let_go = [
        ReservationReleased(task_id=task_id, round=r.round, reason_code="shift_ending")
        for task_id, r in rider.reservations.items()
        if not r.active
    ]
    if any(r.active for r in rider.reservations.values()):
        return [*let_go, ShiftEnding(shift_id=rider.shift.shift_id)]
    return [*let_go, ShiftEnded(shift_id=rider.shift.shift_id)]


def bind_device(rider: RegisteredRider, command: BindDevice, context: Context) -> list[RiderEvent]:
    device_id = DeviceId(command.device_id)
    if device_id in rider.devices:
        return []
    if len(rider.devices) >= MAX_DEVICES:
        raise TooMany("devices", MAX_DEVICES)
    return [DeviceBound(device_id=device_id, valid_from=command.valid_from or context.now)]


def unbind_device(rider: RegisteredRider, command: UnbindDevice, context: Context) -> list[RiderEvent]:
    bound_from = rider.devices.get(command.device_id)
    if bound_from is None:
        return []
    until = command.valid_until or context.now
    if until <= bound_from:
        raise NotAnInterval(bound_from, until)
    return [DeviceUnbound(device_id=command.device_id, valid_until=until)]


def reserve_rider(rider: RegisteredRider, command: ReserveRider, context: Context) -> list[RiderEvent]:
    known = rider.reservations.get(command.task_id)
    if known is not None and known.round == command.round:
        return []
    if command.hold_until <= context.now:
        return []
    stops = planned_stops(command.task_id, command.stops)
    why_not = cannot_reserve(rider, stops, context)
    if why_not is not None:
        raise CannotReserve(why_not)
    return [
        RiderReserved(
            task_id=command.task_id,
            round=command.round,
            tender_id=command.tender_id,
            offer_id=command.offer_id,
            hold_until=command.hold_until,
            stops=stops,
        )
    ]


def cannot_reserve(rider: RegisteredRider, stops: list[PlannedStop], context: Context) -> Exclusion | None:
    rules = context.policy.rules
    why_not = not_compliant(rider, rules, context.now)
    if why_not is not None:
        return why_not
    if rider.shift is None or rider.shift.ending:
        return "off_shift"
    if rider.shift.ends_at <= context.now:
        return "shift_ends_too_soon"
    still_held = held(rider, context.now)
    if len(still_held) >= rules.max_active_tasks:
        return "too_many_tasks"
    promised = [stop for r in still_held.values() if not r.active for stop in r.stops]
    if peak_load_g([*rider.itinerary, *promised, *stops]) > rider.capacity_g:
        return "over_capacity"
    return None


def planned_stops(task_id: TaskId, stops: list[NewPlannedStop]) -> list[PlannedStop]:
    return [
        PlannedStop(
            task_id=task_id,
            stop_id=stop.stop_id,
            kind=stop.kind,
            location=Personal(SubjectId(stop.subject), stop.location),
            window=stop.window,
            service_seconds=stop.service_seconds,
            load_g=stop.load_g,
        )
        for stop in stops
    ]


def activate_reservation(rider: RegisteredRider, command: ActivateReservation, context: Context) -> list[RiderEvent]:
    reservation = rider.reservations.get(command.task_id)
    if reservation is None or reservation.round != command.round:
        raise NotReserved(command.task_id)
    if reservation.active:
        return []
    if reservation.hold_until <= context.now:
        raise NotReserved(command.task_id)
    return [
        ReservationActivated(task_id=command.task_id, round=command.round),
        ItineraryStopsInserted(itinerary_version=rider.itinerary_version + 1, stops=list(reservation.stops)),
    ]


def release_reservation(rider: RegisteredRider, command: ReleaseReservation) -> list[RiderEvent]:
    """Of what is only held. An active one ends with its task."""
    reservation = rider.reservations.get(command.task_id)
    if reservation is None or reservation.round != command.round or reservation.active:
        return []
    return [ReservationReleased(task_id=command.task_id, round=command.round, reason_code=command.reason_code)]


def expire_reservation(rider: RegisteredRider, command: ExpireReservation, context: Context) -> list[RiderEvent]:
    reservation = rider.reservations.get(command.task_id)
    if reservation is None or reservation.round != command.round or reservation.active:
        return []
    if context.now < reservation.hold_until:
        return []
    return [ReservationReleased(task_id=command.task_id, round=command.round, reason_code="hold_expired")]


def insert_stops(rider: RegisteredRider, command: InsertStops) -> list[RiderEvent]:
    reservation = rider.reservations.get(command.task_id)
    if reservation is None or reservation.round != command.round or not reservation.active:
        return []
    there = {stop.stop_id for stop in rider.itinerary if stop.task_id == command.task_id}
    new = [s for s in command.stops if s.stop_id not in there and s.stop_id not in reservation.removed]
    if not new:
        return []
    return [
        ItineraryStopsInserted(itinerary_version=rider.itinerary_version + 1, stops=planned_stops(command.task_id, new))
    ]


def remove_stops(rider: RegisteredRider, command: RemoveStops) -> list[RiderEvent]:
    reservation = rider.reservations.get(command.task_id)
    if reservation is None or reservation.round != command.round:
        return []
    there = [stop.stop_id for stop in rider.itinerary if stop.task_id == command.task_id]
    through = command.stop_ids is None
    gone = there if command.stop_ids is None else [s for s in there if s in command.stop_ids]
    events: list[RiderEvent] = []
    if gone:
        events.append(
            ItineraryStopsRemoved(
                itinerary_version=rider.itinerary_version + 1,
                task_id=command.task_id,
                stop_ids=gone,
                reason_code=command.reason_code,
            )
        )
    if not through:
        return events
    events.append(ReservationReleased(task_id=command.task_id, round=command.round, reason_code=command.reason_code))
    return [*events, *shift_end_after(rider, command.task_id)]


def shift_end_after(rider: RegisteredRider, task_id: TaskId) -> list[RiderEvent]:
    others = any(r.active for other, r in rider.reservations.items() if other != task_id)
    if rider.shift is None or not rider.shift.ending or others:
        return []
    return [ShiftEnded(shift_id=rider.shift.shift_id)]


def resequence_itinerary(rider: RegisteredRider, command: ResequenceItinerary) -> list[RiderEvent]:
    if command.itinerary_version != rider.itinerary_version:
        raise ItineraryChanged(command.itinerary_version, rider.itinerary_version)
    present = {(stop.task_id, stop.stop_id): stop for stop in rider.itinerary}
    wanted = [(ref.task_id, ref.stop_id) for ref in command.order]
    if sorted(wanted) != sorted(present) or not pickups_first([present[ref] for ref in wanted]):
        raise NotThatItinerary
    if wanted == list(present):
        return []
    return [ItineraryResequenced(itinerary_version=rider.itinerary_version + 1, order=command.order)]


def pickups_first(stops: list[PlannedStop]) -> bool:
    dropped: set[TaskId] = set()
    for stop in stops:
        if stop.kind == "pickup" and stop.task_id in dropped:
            return False
        if stop.kind != "pickup":
            dropped.add(stop.task_id)
    return True


def registered(rider: Rider) -> RegisteredRider:
    if isinstance(rider, Unregistered):
        raise NotInThisState(needed="registered", actual="new")
    return rider


def evolve(rider: Rider, event: RiderEvent) -> Rider:
    if isinstance(event, RiderRegistered):
        return RegisteredRider(employment=event.employment, vehicle=event.vehicle, capacity_g=event.capacity_g)
    rider = registered(rider)
    match event:
        case RiderApproved() | RiderReinstated():
            return replace(rider, status="approved")
        case RiderRejected():
            return replace(rider, status="rejected")
        case RiderSuspended():
            return replace(rider, status="suspended")
        case DocumentSubmitted():
            return with_document(rider, event.document_id, DocumentState(kind=event.kind))
        case DocumentVerified():
            verified = DocumentState(
                kind=event.kind,
                status="verified",
                valid_from=event.valid_from,
                expires_at=event.expires_at,
            )
            return with_document(rider, event.document_id, verified)
        case DocumentRejected():
            rejected = replace(rider.documents[event.document_id], status="rejected")
            return with_document(rider, event.document_id, rejected)
        case ShiftStarted():
            shift = Shift(shift_id=event.shift_id, ends_at=event.ends_at, location=event.location)
            return replace(rider, shift=shift)
        case ShiftEnding():
            assert rider.shift is not None, "only a started shift ends"
            return replace(rider, shift=replace(rider.shift, ending=True))
        case ShiftEnded():
            return replace(rider, shift=None)
        case DeviceBound():
            return replace(rider, devices={**rider.devices, event.device_id: event.valid_from})
        case DeviceUnbound():
            rest = {device: at for device, at in rider.devices.items() if device != event.device_id}
            return replace(rider, devices=rest)
        case RiderReserved():
            return with_reservation(rider, event.task_id, reservation_of(event))
        case ReservationActivated():
            active = replace(rider.reservations[event.task_id], active=True)
            return with_reservation(rider, event.task_id, active)
        case ReservationReleased():
            kept = {task: r for task, r in rider.reservations.items() if task != event.task_id}
            return replace(rider, reservations=kept)
        case ItineraryStopsInserted():
            return replace(
                rider,
                itinerary=(*rider.itinerary, *event.stops),
                itinerary_version=event.itinerary_version,
            )
        case ItineraryStopsRemoved():
            return without_stops(rider, event)
        case ItineraryResequenced():
            return in_order(rider, event)
        case _:
            assert_never(event)


def reservation_of(event: RiderReserved) -> Reservation:
    return Reservation(
        round=event.round,
        tender_id=event.tender_id,
        offer_id=event.offer_id,
        hold_until=event.hold_until,
        stops=tuple(event.stops),
    )


def with_document(rider: RegisteredRider, document_id: DocumentId, document: DocumentState) -> RegisteredRider:
    return replace(rider, documents={**rider.documents, document_id: document})


def with_reservation(rider: RegisteredRider, task_id: TaskId, reservation: Reservation) -> RegisteredRider:
    return replace(rider, reservations={**rider.reservations, task_id: reservation})


def without_stops(rider: RegisteredRider, event: ItineraryStopsRemoved) -> RegisteredRider:
    gone = set(event.stop_ids)
    rest = tuple(s for s in rider.itinerary if s.task_id != event.task_id or s.stop_id not in gone)
    reservation = rider.reservations[event.task_id]
    marked = replace(reservation, removed=tuple(sorted({*reservation.removed, *gone})))
    return replace(
        with_reservation(rider, event.task_id, marked),
        itinerary=rest,
        itinerary_version=event.itinerary_version,
    )


def in_order(rider: RegisteredRider, event: ItineraryResequenced) -> RegisteredRider:
    stops = {StopRef(task_id=s.task_id, stop_id=s.stop_id): s for s in rider.itinerary}
    return replace(
        rider,
        itinerary=tuple(stops[ref] for ref in event.order),
        itinerary_version=event.itinerary_version,
    )
