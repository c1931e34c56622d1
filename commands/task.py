"""Task: goods to be taken from stop to stop, until nobody has to move them any more."""

from collections.abc import Iterable
from datetime import timedelta
from typing import assert_never

import msgspec
from msgspec.structs import replace

from commands.context import Context
from commands.field_reports import decide_report
from commands.proof import reject_proof, state_of_proof, with_rejected
from commands.task_state import (
    MAX_OPEN_CONFLICTS,
    OVER,
    CreatedTask,
    Ended,
    ParcelState,
    StopState,
    Task,
    Uncreated,
    carried,
    located,
    open_stops,
    outcome_of,
    state_of,
)
from schemas.geo import Location
from schemas.ids import contact_subject
from schemas.message import (
    NotInThisState,
    OutletSlug,
    ParcelId,
    Personal,
    Refused,
    RiderId,
    StopId,
    SubjectId,
)
from schemas.proof import PinRejected, ProofCaptured, ProofDisputed, ProofKind, ProofRejected
from schemas.task import (
    AcceptAssignment,
    AssignmentAccepted,
    AssignTask,
    CancelTask,
    CaptureProof,
    CloseTender,
    Contact,
    CreateTask,
    DeclineAssignment,
    DeliveryAttemptFailed,
    FieldReportConflicted,
    FieldReportReviewed,
    ForceCompleteTask,
    LocateStop,
    NewContact,
    NewParcel,
    NewStop,
    Outcome,
    Parcel,
    ParcelsDelivered,
    ParcelsPickedUp,
    ParcelsRefused,
    ParcelsReturned,
    ParcelsShort,
    ParcelsWrittenOff,
    Party,
    RecordTender,
    RejectProof,
    ReportArrived,
    ReportAttemptFailed,
    ReportDelivered,
    ReportEnRoute,
    ReportPickedUp,
    ReportReturned,
    RetryDispatch,
    ReturnStarted,
    ReviewFieldReport,
    Stop,
    StopArrived,
    StopCompleted,
    StopEnRoute,
    StopFailed,
    StopLocated,
    StopSkipped,
    TaskAssigned,
    TaskCancelled,
    TaskCommand,
    TaskCompleted,
    TaskCreated,
    TaskDispatchable,
    TaskEvent,
    TaskFailed,
    TaskForceCompleted,
    TaskReturned,
    TaskTenderClosed,
    TaskTendered,
    TaskUnassigned,
    UnassignTask,
)

CODE_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Without the letters and digits that people take for each other."""


class StopNotKnown(Refused):
    rule = "unknown-stop"

    def __init__(self, stop_id: str) -> None:
        super().__init__(f"the task has no stop {stop_id}")
        self.stop_id = stop_id


class ParcelMismatch(Refused):
    rule = "parcel-mismatch"

    def __init__(self, parcel_id: str, problem: str) -> None:
        super().__init__(f"parcel {parcel_id} {problem}")
        self.parcel_id = parcel_id
        self.problem = problem


class StopsMismatch(Refused):
    rule = "stops-mismatch"

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class NotTheAssignee(Refused):
    rule = "not-the-assignee"

    def __init__(self, actor: str) -> None:
        super().__init__(f"{actor} does not have this task")
        self.actor = actor


class UnknownConflict(Refused):
    rule = "unknown-conflict"

    def __init__(self, conflict_id: str) -> None:
        super().__init__(f"the task has no report {conflict_id} that waits for a review")
        self.conflict_id = conflict_id


class GoodsInCustody(Refused):
    rule = "goods-in-custody"

    def __init__(self, parcels: int) -> None:
        super().__init__(f"{parcels} of its parcels are in a rider's custody")
        self.parcels = parcels


def decide(task: Task, command: TaskCommand, context: Context) -> list[TaskEvent]:
    match command:
        case CreateTask():
            return create_task(task, command, context)
        case LocateStop():
            return locate_stop(created(task), command, context)
        case RecordTender():
            return record_tender(created(task), command)
        case CloseTender():
            return close_tender(created(task), command, context)
        case RetryDispatch():
            return retry_dispatch(created(task), command, context)
        case AssignTask():
            return assign_task(created(task), command)
        case AcceptAssignment():
            return accept_assignment(created(task), context)
        case DeclineAssignment():
            return decline_assignment(created(task), command, context)
        case UnassignTask():
            return unassign_task(created(task), command, context)
        case CancelTask():
            return cancel_task(created(task), command, context)
        case ForceCompleteTask():
            return force_complete(created(task), command)
        case RejectProof():
            return reject_proof(known_stop(created(task), command.stop_id), command)
        case ReviewFieldReport():
            return review_field_report(created(task), command)
        case (
            ReportEnRoute()
            | ReportArrived()
            | ReportPickedUp()
            | ReportDelivered()
            | ReportAttemptFailed()
            | ReportReturned()
            | CaptureProof()
        ):
            return report(created(task), command, context)
        case _:
            assert_never(command)


def create_task(task: Task, command: CreateTask, context: Context) -> list[TaskEvent]:
    if not isinstance(task, Uncreated):
        raise NotInThisState(needed="new", actual=state_of(task))
    outlet = context.policy.outlet(command.outlet)
    stops = new_stops(command.stops, outlet.location, context)
    parcels = new_parcels(command.parcels, stops)
    must_be_scannable(stops, parcels)
    rules = context.policy.rules
    made = TaskCreated(
        kind=command.kind,
        outlet=OutletSlug(command.outlet),
        stops=stops,
        parcels=parcels,
        return_proof=command.return_proof,
        external_reference=command.external_reference,
        source=command.source or context.actor,
        shipment_id=command.shipment_id,
        metadata=command.metadata,
        tracking_code=tracking_code(context),
        tracking_token_hash=context.secrets.keyed_hash("tracking", tracking_token(context)),
        max_attempts=rules.max_attempts,
        arrival_radius_m=rules.arrival_radius_m,
        pin_attempts=rules.pin_attempts,
    )
    return [made, *([TaskDispatchable(round=1)] if all(stop.location for stop in stops) else [])]


def new_stops(wanted: list[NewStop], outlet: Location, context: Context) -> list[Stop]:
    ids = [StopId(stop.stop_id or f"stop-{number}") for number, stop in enumerate(wanted, start=1)]
    if len(set(ids)) < len(ids):
        raise StopsMismatch("two stops have the same stop_id")
    kinds = [stop.kind for stop in wanted]
    if kinds[0] != "pickup" or "dropoff" not in kinds:
        raise StopsMismatch("a delivery begins with a pickup and has a dropoff")
    return [new_stop(stop, stop_id, outlet, context) for stop, stop_id in zip(wanted, ids, strict=True)]


def new_stop(stop: NewStop, stop_id: StopId, outlet: Location, context: Context) -> Stop:
    if stop.window is not None and stop.window.end <= stop.window.start:
        raise StopsMismatch(f"the window of {stop_id} ends before it starts")
    reference = stop.contact.reference if stop.contact else None
    subject = contact_subject(context.tenant, reference or f"{context.aggregate_id}/{stop_id}")
    location = stop.location or (outlet if stop.kind == "pickup" else None)
    if stop.minimum_age is not None and stop.kind == "pickup":
        raise StopsMismatch(f"{stop_id} is a pickup: a minimum_age is for who receives")
    wants_pin = any("pin" in group for group in stop.required_proof)
    return Stop(
        stop_id=stop_id,
        kind=stop.kind,
        location=Personal(subject, location) if location else None,
        address=Personal(subject, stop.address) if stop.address else None,
        contact=new_contact(stop.contact, subject) if stop.contact else None,
        window=stop.window,
        service_seconds=stop.service_seconds,
        goods_ready_at=stop.goods_ready_at,
        required_proof=with_age_check(stop),
        minimum_age=stop.minimum_age,
        pin_hash=pin_hash(context, stop_id, pin_of(context, stop_id)) if wants_pin else None,
    )


def with_age_check(stop: NewStop) -> list[list[ProofKind]]:
    """A minimum age is not kept unless an ID check is needed, whatever else would do."""
    if stop.minimum_age is None or ["id_check"] in stop.required_proof:
        return stop.required_proof
    return [*stop.required_proof, ["id_check"]]


def must_be_scannable(stops: list[Stop], parcels: list[Parcel]) -> None:
    """Else a scan would be asked for where there is nothing to scan, and none would do."""
    scannable = {stop_id for parcel in parcels for stop_id in (parcel.pickup_stop, parcel.dropoff_stop)}
    for stop in stops:
        if stop.stop_id not in scannable and any("scan" in group for group in stop.required_proof):
            raise StopsMismatch(f"{stop.stop_id} asks for scans and has no parcels")


def new_contact(contact: NewContact, subject: SubjectId) -> Contact:
    return Contact(
        name=Personal(subject, contact.name),
        phone=Personal(subject, contact.phone) if contact.phone else None,
        notes=Personal(subject, contact.notes) if contact.notes else None,
    )


def new_parcels(wanted: list[NewParcel], stops: list[Stop]) -> list[Parcel]:
    first = next(stop.stop_id for stop in stops if stop.kind == "pickup")
    last = next(stop.stop_id for stop in reversed(stops) if stop.kind == "dropoff")
    parcels = [new_parcel(parcel, number, first, last) for number, parcel in enumerate(wanted, start=1)]
    order = {stop.stop_id: number for number, stop in enumerate(stops)}
    kinds = {stop.stop_id: stop.kind for stop in stops}
    seen: set[str] = set()
    for parcel in parcels:
        if parcel.parcel_id in seen:
            raise ParcelMismatch(parcel.parcel_id, "stands twice")
        seen.add(parcel.parcel_id)
        for stop_id, kind in ((parcel.pickup_stop, "pickup"), (parcel.dropoff_stop, "dropoff")):
            if kinds.get(stop_id) != kind:
                raise ParcelMismatch(parcel.parcel_id, f"names {stop_id}, which is no {kind} of this task")
        if order[parcel.pickup_stop] > order[parcel.dropoff_stop]:
            raise ParcelMismatch(parcel.parcel_id, "is dropped off before it is picked up")
    return parcels


def new_parcel(parcel: NewParcel, number: int, pickup: StopId, dropoff: StopId) -> Parcel:
    return Parcel(
        parcel_id=ParcelId(parcel.parcel_id or f"parcel-{number}"),
        pickup_stop=StopId(parcel.pickup_stop) if parcel.pickup_stop else pickup,
        dropoff_stop=StopId(parcel.dropoff_stop) if parcel.dropoff_stop else dropoff,
        barcode=parcel.barcode,
        description=parcel.description,
        weight_g=parcel.weight_g,
        volume_cm3=parcel.volume_cm3,
        required_proof=parcel.required_proof,
    )


def tracking_code(context: Context) -> str:
    """For people: CV-YYYYMMDD-XXXXXX. It may collide, and is looked up within the tenant."""
    number = int.from_bytes(context.secrets.derived("tracking-code", context.command_id))
    letters = []
    for _ in range(6):
        number, letter = divmod(number, len(CODE_ALPHABET))
        letters.append(CODE_ALPHABET[letter])
    day = context.now.date().isoformat().replace("-", "")
    return f"CV-{day}-{''.join(letters)}"


def tracking_token(context: Context) -> str:
    """For links: 128 bits that nobody can guess."""
    return context.secrets.derived("tracking-token", context.command_id)[:16].hex()


def pin_of(context: Context, stop_id: StopId) -> str:
    """Four digits for the recipient; the same for ever, since the creating command's id is."""
    return context.secrets.digits(4, "pin", context.aggregate_id, stop_id)


def pin_hash(context: Context, stop_id: StopId, pin: str) -> str:
    return context.secrets.keyed_hash("pin", context.aggregate_id, stop_id, pin)


def locate_stop(task: CreatedTask, command: LocateStop, context: Context) -> list[TaskEvent]:
    stop = known_stop(task, command.stop_id)
    if task.ended or task.rider_id:
        raise NotInThisState(needed="not yet assigned", actual=state_of(task))
    if context.opened(stop.stop.location, Location) == command.location:
        return []
    subject = contact_subject(context.tenant, f"{context.aggregate_id}/{command.stop_id}")
    if stop.stop.contact:
        subject = stop.stop.contact.name.subject
    placed = StopLocated(stop_id=command.stop_id, location=Personal(subject, command.location))
    return [placed, *dispatchable_if_located(evolve(task, placed))]


def dispatchable_if_located(task: Task) -> list[TaskEvent]:
    match task:
        case CreatedTask(round=0) if located(task):
            return [TaskDispatchable(round=1)]
        case _:
            return []


def record_tender(task: CreatedTask, command: RecordTender) -> list[TaskEvent]:
    """A tender that the task has outrun has nothing to offer: that it is refused is what withdraws it."""
    if task.tender_id == command.tender_id or task.closed_round >= command.round:
        return []
    if command.round != task.round or task.tender_id is not None or is_settled(task, command.round):
        raise NotInThisState(needed="dispatchable", actual=state_of(task))
    return [TaskTendered(tender_id=command.tender_id, round=command.round)]


def is_settled(task: CreatedTask, tender_round: int) -> bool:
    """Whether nothing is to be heard any more of this round's tender."""
    return task.closed_round >= tender_round or task.rider_id is not None or task.ended is not None


def close_tender(task: CreatedTask, command: CloseTender, context: Context) -> list[TaskEvent]:
    """Withdrawn means that it was settled otherwise; else the next round waits a little, if there is one."""
    if command.round != task.round or is_settled(task, command.round):
        return []
    if task.tender_id not in (None, command.tender_id):
        return []
    rules = context.policy.rules
    again = command.outcome != "withdrawn" and task.round < rules.max_rounds
    return [
        TaskTenderClosed(
            tender_id=command.tender_id,
            round=task.round,
            outcome=command.outcome,
            retry_at=context.now + timedelta(seconds=rules.retry_seconds) if again else None,
        )
    ]


def retry_dispatch(task: CreatedTask, command: RetryDispatch, context: Context) -> list[TaskEvent]:
    if command.round != task.round or task.tender_id or task.rider_id or task.ended:
        return []
    if task.retry_at is None or context.now < task.retry_at:
        return []
    return [TaskDispatchable(round=task.round + 1)]


def assign_task(task: CreatedTask, command: AssignTask) -> list[TaskEvent]:
    """A won claim is a yes already; a dispatcher's order waits for one."""
    if task.rider_id == command.rider_id and not task.ended:
        return []
    if task.ended or task.rider_id or not task.round:
        raise NotInThisState(needed="dispatchable or offering", actual=state_of(task))
    if command.tender_id is not None and command.tender_id != task.tender_id:
        raise NotInThisState(needed=f"offering by tender {command.tender_id}", actual=state_of(task))
    assigned = TaskAssigned(
        rider_id=command.rider_id,
        round=task.round,
        tender_id=command.tender_id,
        offer_id=command.offer_id,
    )
    if command.tender_id is None:
        return [assigned]
    return [assigned, AssignmentAccepted(rider_id=command.rider_id)]


def accept_assignment(task: CreatedTask, context: Context) -> list[TaskEvent]:
    rider = assignee(task, context)
    return [] if task.accepted else [AssignmentAccepted(rider_id=rider)]


def decline_assignment(task: CreatedTask, command: DeclineAssignment, context: Context) -> list[TaskEvent]:
    rider = assignee(task, context)
    if task.accepted:
        raise NotInThisState(needed="assigned", actual=state_of(task))
    if carried(task):
        raise GoodsInCustody(len(carried(task)))
    if task.return_reason is not None:
        raise NotInThisState(needed="assigned", actual=state_of(task))
    return unassigned(task, rider, command.reason_code)


def unassign_task(task: CreatedTask, command: UnassignTask, context: Context) -> list[TaskEvent]:
    if task.rider_id is None or task.ended or command.round not in (None, task.round):
        return []
    if context.role == "rider":
        assignee(task, context)
    if carried(task):
        raise GoodsInCustody(len(carried(task)))
    if task.return_reason is not None:
        raise NotInThisState(needed="not returning", actual=state_of(task))
    if any(stop.handed_over for stop in open_stops(task)):  # what has changed hands nobody else can hand over
        raise NotInThisState(needed="nothing that waits for its proof", actual=state_of(task))
    return unassigned(task, task.rider_id, command.reason_code)


def unassigned(task: CreatedTask, rider: RiderId, reason_code: str) -> list[TaskEvent]:
    return [
        TaskUnassigned(rider_id=rider, round=task.round, reason_code=reason_code),
        TaskDispatchable(round=task.round + 1),
    ]


def cancel_task(task: CreatedTask, command: CancelTask, context: Context) -> list[TaskEvent]:
    if task.ended == "cancelled" or task.return_reason is not None:
        return []
    if task.ended:
        raise NotInThisState(needed="not ended", actual=task.ended)
    if carried(task):
        return [return_started(task, command.reason_code, context)]
    return [
        TaskCancelled(
            rider_id=task.rider_id,
            tender_id=task.tender_id,
            round=task.round,
            reason_code=command.reason_code,
            note=command.note,
        )
    ]


def force_complete(task: CreatedTask, command: ForceCompleteTask) -> list[TaskEvent]:
    if task.ended:
        raise NotInThisState(needed="not ended", actual=task.ended)
    unsettled = [p.parcel.parcel_id for p in task.parcels.values() if p.party.kind not in ("recipient", "nobody")]
    outlet = Party(kind="outlet", id=task.outlet)
    parties = {"delivered": Party(kind="recipient"), "returned": outlet}
    to_party = parties.get(command.disposition, Party(kind="nobody"))
    written_off = ParcelsWrittenOff(parcel_ids=unsettled, disposition=command.disposition, to_party=to_party)
    outcomes: dict[str, Outcome] = {
        "delivered": "delivered",
        "returned": "returned",
        "lost": "not_delivered",
        "disposed": "disposed",
    }
    closed = TaskForceCompleted(
        outcome=outcomes[command.disposition],
        rider_id=task.rider_id,
        tender_id=task.tender_id,
        round=task.round,
        reason_code=command.reason_code,
        note=command.note,
    )
    return [*([written_off] if unsettled else []), closed]


def review_field_report(task: CreatedTask, command: ReviewFieldReport) -> list[TaskEvent]:
    if command.conflict_id not in task.conflicts:
        raise UnknownConflict(command.conflict_id)
    return [FieldReportReviewed(conflict_id=command.conflict_id, decision_code=command.decision_code)]


def report(
    task: CreatedTask,
    command: (
        ReportEnRoute
        | ReportArrived
        | ReportPickedUp
        | ReportDelivered
        | ReportAttemptFailed
        | ReportReturned
        | CaptureProof
    ),
    context: Context,
) -> list[TaskEvent]:
    """A report is followed by what it leads to: the stop's end, the way back, the task's end."""
    rider = RiderId(context.actor)
    if rider != task.rider_id and rider not in task.former_riders:
        raise NotTheAssignee(context.actor)
    known_stop(task, command.stop_id)
    events = decide_report(task, command, context)
    after: Task = task
    for event in events:
        after = evolve(after, event)
    return [*events, *consequences(created(after), context)] if events else []


def consequences(task: CreatedTask, context: Context) -> list[TaskEvent]:
    """What follows by itself: dropoffs with nothing to drop are skipped, what is left goes back, the task ends."""
    if task.ended or task.rider_id is None:
        return []
    skipped = [
        StopSkipped(stop_id=s, rider_id=task.rider_id, round=task.round, reason_code="nothing_to_deliver")
        for s in idle_dropoffs(task)
    ]
    after: Task = task
    for event in skipped:
        after = evolve(after, event)
    return [*skipped, *ending(created(after), context)]


def idle_dropoffs(task: CreatedTask) -> list[StopId]:
    if not task.parcels or any(s.stop.kind == "pickup" for s in open_stops(task)):
        return []
    due = {p.parcel.dropoff_stop for p in carried(task)}
    return [s.stop.stop_id for s in open_stops(task) if s.stop.kind == "dropoff" and untouched(s, due)]


def untouched(stop: StopState, due: Iterable[StopId]) -> bool:
    return not stop.handed_over and stop.stop.stop_id not in due


def ending(task: CreatedTask, context: Context) -> list[TaskEvent]:
    if open_stops(task):
        return []
    if carried(task):
        return [return_started(task, "not_delivered", context)]
    outcome, rider = outcome_of(task), assigned_rider(task)
    if task.return_reason is not None:
        return [TaskReturned(outcome=outcome, rider_id=rider, round=task.round)]
    if outcome == "not_delivered":
        return [TaskFailed(outcome=outcome, rider_id=rider, round=task.round, reason_code="not_delivered")]
    return [TaskCompleted(outcome=outcome, rider_id=rider, round=task.round)]


def assigned_rider(task: CreatedTask) -> RiderId:
    assert task.rider_id is not None, "what is under way has a rider"
    return task.rider_id


def return_started(task: CreatedTask, reason_code: str, context: Context) -> ReturnStarted:
    """Back to where the first of the carried parcels was picked up."""
    goods = carried(task)
    origin = task.stops[goods[0].parcel.pickup_stop].stop
    failed = sum(stop.stop.kind == "return" for stop in task.stops.values())
    stop = Stop(
        stop_id=StopId(f"return-{failed + 1}"),  # an itinerary takes no stop twice
        kind="return",
        location=context.anew(origin.location, Location),
        address=origin.address,
        contact=origin.contact,
        window=None,
        service_seconds=origin.service_seconds,
        goods_ready_at=None,
        required_proof=[list(group) for group in task.return_proof],
        minimum_age=None,
        pin_hash=None,
    )
    return ReturnStarted(
        stop=stop,
        parcel_ids=[p.parcel.parcel_id for p in goods],
        rider_id=assigned_rider(task),
        round=task.round,
        reason_code=reason_code,
    )


def assignee(task: CreatedTask, context: Context) -> RiderId:
    if task.rider_id is None or task.ended:
        raise NotInThisState(needed="assigned", actual=state_of(task))
    if context.actor != task.rider_id:
        raise NotTheAssignee(context.actor)
    return task.rider_id


def known_stop(task: CreatedTask, stop_id: StopId) -> StopState:
    stop = task.stops.get(stop_id)
    if stop is None:
        raise StopNotKnown(stop_id)
    return stop


def created(task: Task) -> CreatedTask:
    if isinstance(task, Uncreated):
        raise NotInThisState(needed="created", actual="new")
    return task


def evolve(task: Task, event: TaskEvent) -> Task:
    if isinstance(event, TaskCreated):
        return born(event)
    task = created(task)
    match event:
        case StopLocated():
            stop = replace(task.stops[event.stop_id].stop, location=event.location)
            return with_stop(task, event.stop_id, stop=stop)
        case TaskDispatchable():
            return replace(task, round=event.round)
        case TaskTendered():
            return replace(task, tender_id=event.tender_id)
        case TaskTenderClosed():
            return replace(task, tender_id=None, closed_round=event.round, retry_at=event.retry_at)
        case TaskAssigned():
            return replace(task, rider_id=event.rider_id, accepted=False)
        case AssignmentAccepted():
            return replace(task, accepted=True)
        case TaskUnassigned():
            return back_to_dispatch(task)
        case StopEnRoute():
            return with_stop(task, event.stop_id, status="en_route")
        case StopArrived(late=True):
            return task
        case StopArrived():
            return with_stop(task, event.stop_id, status="arrived")
        case ParcelsPickedUp():
            return handed_over(task, event.stop_id, event.parcel_ids, event.to_party, "in_custody")
        case ParcelsShort():
            return with_parcels(task, event.parcel_ids, short=True)
        case ParcelsDelivered():
            return handed_over(task, event.stop_id, event.parcel_ids, event.to_party, "delivered")
        case ParcelsRefused():
            refused = with_parcels(task, event.parcel_ids, status="refused")
            return with_stop(refused, event.stop_id, handed_over=True)
        case ParcelsReturned():
            return handed_over(task, event.stop_id, event.parcel_ids, event.to_party, "returned")
        case ParcelsWrittenOff():
            return with_parcels(task, event.parcel_ids, party=event.to_party, status=event.disposition)
        case ProofCaptured():
            proofs = (*task.stops[event.stop_id].proofs, state_of_proof(event))
            return with_stop(task, event.stop_id, proofs=proofs)
        case ProofRejected():
            proofs = with_rejected(task.stops[event.stop_id].proofs, event.proof_id)
            return with_stop(task, event.stop_id, proofs=proofs)
        case ProofDisputed():
            return replace(task, proof_disputed=True)
        case PinRejected():
            return with_stop(task, event.stop_id, pin_failures=event.attempt)
        case DeliveryAttemptFailed():
            return with_stop(task, event.stop_id, attempts=event.attempt, status="pending")
        case StopCompleted():
            return with_stop(task, event.stop_id, status="completed")
        case StopFailed():
            return with_stop(task, event.stop_id, status="failed")
        case StopSkipped():
            return with_stop(task, event.stop_id, status="skipped")
        case ReturnStarted():
            return on_the_way_back(task, event)
        case TaskCompleted() | TaskForceCompleted():
            return ended(task, "completed", event.outcome)
        case TaskFailed():
            return ended(task, "failed", event.outcome)
        case TaskReturned():
            return ended(task, "returned", event.outcome)
        case TaskCancelled():
            return ended(task, "cancelled", "not_delivered")
        case FieldReportConflicted():
            return replace(task, conflicts=(*task.conflicts, event.conflict_id)[-MAX_OPEN_CONFLICTS:])
        case FieldReportReviewed():
            return replace(task, conflicts=tuple(c for c in task.conflicts if c != event.conflict_id))
        case _:
            assert_never(event)


def born(event: TaskCreated) -> CreatedTask:
    outlet = Party(kind="outlet", id=event.outlet)
    return CreatedTask(
        outlet=event.outlet,
        stops={stop.stop_id: StopState(stop=stop) for stop in event.stops},
        parcels={parcel.parcel_id: ParcelState(parcel=parcel, party=outlet) for parcel in event.parcels},
        max_attempts=event.max_attempts,
        arrival_radius_m=event.arrival_radius_m,
        pin_attempts=event.pin_attempts,
        return_proof=event.return_proof,
    )


def with_stop(task: CreatedTask, stop_id: StopId, **changes: object) -> CreatedTask:
    stop = replace(task.stops[stop_id], **changes)
    return replace(task, stops={**task.stops, stop_id: stop})


def with_parcels(task: CreatedTask, parcel_ids: Iterable[ParcelId], **changes: object) -> CreatedTask:
    changed = {parcel_id: replace(task.parcels[parcel_id], **changes) for parcel_id in parcel_ids}
    return replace(task, parcels={**task.parcels, **changed})


def handed_over(
    task: CreatedTask, stop_id: StopId, parcel_ids: Iterable[ParcelId], party: Party, status: str
) -> CreatedTask:
    return with_stop(with_parcels(task, parcel_ids, party=party, status=status), stop_id, handed_over=True)


def back_to_dispatch(task: CreatedTask) -> CreatedTask:
    """Nothing was in custody: what the rider had begun is begun anew by the next one, who gives proof of their own."""
    assert task.rider_id is not None, "only an assigned task is unassigned"
    stops = {
        stop_id: stop if stop.status in OVER else replace(stop, status="pending", proofs=())
        for stop_id, stop in task.stops.items()
    }
    former = (*(r for r in task.former_riders if r != task.rider_id), task.rider_id)
    return replace(task, rider_id=None, accepted=False, tender_id=None, stops=stops, former_riders=former[-16:])


def on_the_way_back(task: CreatedTask, event: ReturnStarted) -> CreatedTask:
    """The stops ahead are given up; the return stop is the only one left."""
    stops = {
        stop_id: stop if stop.status in ("completed", "failed", "skipped") else replace(stop, status="skipped")
        for stop_id, stop in task.stops.items()
    }
    stops[event.stop.stop_id] = StopState(stop=event.stop)
    return replace(task, stops=stops, return_reason=event.reason_code)


def ended(task: CreatedTask, how: Ended, outcome: Outcome) -> CreatedTask:
    return msgspec.structs.replace(task, ended=how, outcome=outcome)
