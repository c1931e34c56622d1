"""What a rider's device reports of a task. A physical fact is never refused; one that cannot be is put to a person."""

from typing import assert_never

from commands.arrival import away
from commands.attempts import attempt_failed
from commands.context import Context
from commands.geocoding import entrance_key, subject_of
from commands.proof import ParcelNotHere, ProvingReport, captured
from commands.proof_needed import moved, nothing_moved, proof_holds
from commands.task_state import OVER, CreatedTask, StopState, bearer, ids_of, is_taken, parcels_of, state_of, taker_at
from schemas.field_report import (
    MAX_CONTACTS,
    CaptureProof,
    CollectionReport,
    ReportArrived,
    ReportAttemptFailed,
    ReportCollected,
    ReportContactAttempt,
    ReportCustomerArrived,
    ReportCustomerOnTheWay,
    ReportDelivered,
    ReportEnRoute,
    ReportHeld,
    ReportPickedUp,
    ReportReturned,
    TaskReport,
)
from schemas.geo import Location, ObservedFix
from schemas.goods import ParcelReport, Party
from schemas.ids import conflict_id, rider_subject
from schemas.message import ParcelId, Personal, Refused, RiderId, StopId
from schemas.stop_events import (
    ContactAttempted,
    ParcelsDelivered,
    ParcelsHeld,
    ParcelsPickedUp,
    ParcelsRefused,
    ParcelsReturned,
    ParcelsShort,
    StopArrived,
    StopCompleted,
    StopEnRoute,
    StopFailed,
)
from schemas.task import FieldReportConflicted, TaskEvent

UNDER_AGE = "under_age"


class TooFarFromStop(Refused):
    rule = "too-far-from-stop"
    is_about = ("fix",)

    def __init__(self, distance_m: int, allowed_m: int) -> None:
        super().__init__(f"the fix is {distance_m} m from the stop, {allowed_m} m are allowed; give an override_reason")
        self.distance_m = distance_m
        self.allowed_m = allowed_m


def decide_report(task: CreatedTask, command: TaskReport, context: Context) -> list[TaskEvent]:
    stop = task.stops[command.stop_id]
    conflict = conflict_of(task, stop, command, context)
    if conflict is not None:
        return [conflicted(command, context, conflict)]
    match command:
        case ReportEnRoute():
            return en_route(stop, context)
        case ReportArrived():
            return arrived(task, stop, command, context)
        case ReportPickedUp():
            return picked_up(task, stop, command, context)
        case ReportDelivered():
            return delivered(task, stop, command, context)
        case ReportAttemptFailed():
            return attempt_failed(task, stop, command, context)
        case ReportContactAttempt():
            return contact_attempted(task, stop, command, context)
        case ReportHeld():
            return held(task, stop, command, context)
        case ReportReturned():
            return returned(task, stop, command, context)
        case CaptureProof():
            return capture_proof(task, stop, command, context)
        case _:
            assert_never(command)


def conflict_of(
    task: CreatedTask, stop: StopState, command: TaskReport | CollectionReport, context: Context
) -> str | None:
    """Why the report cannot be true as the task stands, if so."""
    if task.kind != "collection" and not reports_for_who_has_it(task, context):
        return "reported by a rider who no longer has the task" if context.role == "rider" else "nobody has the task"
    if task.ended:
        return None if repeats(stop, command) else f"the task is {state_of(task)}"
    kinds = {ReportPickedUp: "pickup", ReportDelivered: "dropoff", ReportHeld: "hold", ReportReturned: "return"}
    needed = kinds.get(type(command))
    if needed is not None and stop.stop.kind != needed:
        return f"{stop.stop.stop_id} is a {stop.stop.kind}, not a {needed}"
    if stop.status in ("failed", "skipped"):
        return f"the stop is {stop.status}"
    if isinstance(command, ReportAttemptFailed) and (stop.handed_over or stop.status == "completed"):
        return "the parcels of this stop have changed hands already"
    if isinstance(command, ReportAttemptFailed) and (ahead := comes_before(task, stop)):
        return too_early(stop, ahead)
    tried = isinstance(command, ReportDelivered | ReportAttemptFailed) and stop.stop.kind == "dropoff"
    if tried and not stop.handed_over:
        waiting = [p for p in parcels_of(task, stop) if p.status == "expected"]
        if waiting:
            return f"{len(waiting)} of the parcels were never picked up"
    return None


def reports_for_who_has_it(task: CreatedTask, context: Context) -> bool:
    """A rider for themself; who dispatches for whoever has it."""
    return context.actor == task.rider_id if context.role == "rider" else is_taken(task) or task.ended is not None


def comes_before(task: CreatedTask, stop: StopState) -> list[StopId]:
    """The stops that this one comes after and that are still ahead."""
    earlier = [task.stops[stop_id] for stop_id in stop.stop.after]
    return [each.stop.stop_id for each in earlier if each.status not in OVER and not each.handed_over]


def too_early(stop: StopState, ahead: list[StopId]) -> str:
    return f"{stop.stop.stop_id} comes after {', '.join(ahead)}, still ahead"


def repeats(stop: StopState, command: TaskReport | CollectionReport) -> bool:
    """Whether the report says what is known: a device tells again what it was not sure to have told."""
    match command:
        case ReportEnRoute() | ReportArrived() | ReportCustomerOnTheWay() | ReportCustomerArrived():
            return stop.status == "completed"
        case ReportPickedUp() | ReportDelivered() | ReportReturned() | ReportCollected() | ReportHeld():
            return stop.handed_over or stop.status == "completed"
        case ReportAttemptFailed():
            return stop.status == "failed"
        case CaptureProof() | ReportContactAttempt():
            return True
        case _:
            assert_never(command)


def conflicted(
    command: TaskReport | CollectionReport | ParcelReport, context: Context, conflict: str
) -> FieldReportConflicted:
    return FieldReportConflicted(
        conflict_id=conflict_id(context.command_id),
        report=type(command).__name__,
        stop_id=None if isinstance(command, ParcelReport) else command.stop_id,
        rider_id=RiderId(context.actor) if context.role == "rider" else None,
        observed_at=command.observed_at,
        conflict=conflict,
    )


def en_route(stop: StopState, context: Context) -> list[TaskEvent]:
    if stop.status != "pending":
        return []
    return [StopEnRoute(stop_id=stop.stop.stop_id, rider_id=RiderId(context.actor))]


def arrived(task: CreatedTask, stop: StopState, command: ReportArrived, context: Context) -> list[TaskEvent]:
    if stop.status == "arrived" or task.ended:
        return []
    rider = RiderId(context.actor)
    key = entrance_key(stop.stop, command, context)
    found = away(task, stop, command.fix, context)
    if found.metres is not None and found.too_far and command.override_reason is None:
        raise TooFarFromStop(found.metres, found.allowed_m)
    return [
        StopArrived(
            stop_id=stop.stop.stop_id,
            rider_id=rider,
            fix=Personal(rider_subject(rider), command.fix),
            distance_m=found.metres,
            override_reason=command.override_reason,
            late=stop.status in OVER or stop.handed_over,
            entrance=None if key is None else Personal(subject_of(stop.stop, context), entrance_at(command.fix)),
            remember_as=key,
        )
    ]


def entrance_at(fix: ObservedFix) -> Location:
    return Location(lat=fix.lat, lon=fix.lon)


def picked_up(task: CreatedTask, stop: StopState, command: ReportPickedUp, context: Context) -> list[TaskEvent]:
    if stop.handed_over or stop.status == "completed":
        return capture_proof(task, stop, command, context)
    here = ids_of(parcels_of(task, stop))
    short = named(command.short, here, stop)
    taken = [parcel_id for parcel_id in here if parcel_id not in short]
    facts: list[TaskEvent] = []
    if short:
        facts.append(ParcelsShort(stop_id=stop.stop.stop_id, parcel_ids=short))
    facts.append(
        ParcelsPickedUp(
            stop_id=stop.stop.stop_id,
            parcel_ids=taken,
            from_party=stop.stop.party,
            to_party=bearer(task, context.actor),
        )
    )
    return with_proofs(task, stop, facts, command, context)


def delivered(task: CreatedTask, stop: StopState, command: ReportDelivered, context: Context) -> list[TaskEvent]:
    if stop.handed_over or stop.status == "completed":
        return capture_proof(task, stop, command, context)
    here = ids_of(parcels_of(task, stop))
    refused = named(command.refused, here, stop)
    taken = [parcel_id for parcel_id in here if parcel_id not in refused]
    facts: list[TaskEvent] = []
    if refused:
        reason = command.refusal_reason or "refused_by_recipient"
        facts.append(ParcelsRefused(stop_id=stop.stop.stop_id, parcel_ids=refused, reason_code=reason))
    if taken or not here:
        has = bearer(task, context.actor)
        facts.append(
            ParcelsDelivered(stop_id=stop.stop.stop_id, parcel_ids=taken, from_party=has, to_party=taker_at(stop.stop))
        )
    return with_proofs(task, stop, facts, command, context)


def held(task: CreatedTask, stop: StopState, command: ReportHeld, context: Context) -> list[TaskEvent]:
    if stop.handed_over or stop.status == "completed":
        return capture_proof(task, stop, command, context)
    fact = ParcelsHeld(
        stop_id=stop.stop.stop_id,
        parcel_ids=ids_of(parcels_of(task, stop)),
        from_party=Party(kind="rider", id=context.actor),
        to_party=stop.stop.party,
    )
    return with_proofs(task, stop, [fact], command, context)


def contact_attempted(
    task: CreatedTask, stop: StopState, command: ReportContactAttempt, context: Context
) -> list[TaskEvent]:
    """More of them than anybody needs are passed over."""
    if task.ended or stop.status in OVER or stop.contacts >= MAX_CONTACTS:
        return []
    return [
        ContactAttempted(stop_id=command.stop_id, rider_id=RiderId(context.actor), contact=command.contact),
    ]


def returned(task: CreatedTask, stop: StopState, command: ReportReturned, context: Context) -> list[TaskEvent]:
    if stop.handed_over or stop.status == "completed":
        return capture_proof(task, stop, command, context)
    fact = ParcelsReturned(
        stop_id=stop.stop.stop_id,
        parcel_ids=ids_of(parcels_of(task, stop)),
        from_party=bearer(task, context.actor),
        to_party=stop.stop.party,
    )
    return with_proofs(task, stop, [fact], command, context)


def capture_proof(task: CreatedTask, stop: StopState, command: ProvingReport, context: Context) -> list[TaskEvent]:
    """Also of a report whose goods had changed hands before: what it adds is the proof, the right PIN after a wrong
    one."""
    if task.ended or stop.status in OVER:
        return []
    return with_proofs(task, stop, [], command, context)


def with_proofs(
    task: CreatedTask, stop: StopState, facts: list[TaskEvent], command: ProvingReport, context: Context
) -> list[TaskEvent]:
    """The facts, the proofs given with them, and the stop's end once its proof holds."""
    given = captured(task, stop, command, context, physical=bool(facts))
    so_far = [*facts, *given.events]
    handed_over = stop.handed_over or bool(facts)
    if given.under_age and not handed_over:
        return [*so_far, *kept_back(task, stop, context)]
    if conflicts := contradicted(task, stop, facts, under_age=given.under_age):
        so_far.append(conflicted(command, context, "; ".join(conflicts)))
    goods = moved(task, stop, facts)
    proven = nothing_moved(task, stop, facts) or proof_holds(task, stop, goods, given.proofs)
    if not handed_over or not proven:
        return so_far
    return [*so_far, StopCompleted(stop_id=stop.stop.stop_id, rider_id=task.rider_id, round=task.round)]


def contradicted(task: CreatedTask, stop: StopState, facts: list[TaskEvent], *, under_age: bool) -> list[str]:
    """What should not have happened, and has: the goods are where they are, and a person looks at it."""
    conflicts = ["the goods went to somebody who is too young, or may be"] if under_age else []
    if facts and (ahead := comes_before(task, stop)):
        conflicts.append(too_early(stop, ahead))
    return conflicts


def kept_back(task: CreatedTask, stop: StopState, context: Context) -> list[TaskEvent]:
    """Nobody there is old enough: by rule the goods are refused, and the stop is over."""
    stop_id = stop.stop.stop_id
    has = "outlet" if stop.stop.kind == "collection" else bearer(task, context.actor).kind
    goods = ids_of(p for p in parcels_of(task, stop) if p.party.kind == has)
    refused = ParcelsRefused(stop_id=stop_id, parcel_ids=goods, reason_code=UNDER_AGE)
    failed = StopFailed(stop_id=stop_id, rider_id=task.rider_id, round=task.round, reason_code=UNDER_AGE)
    return [*([refused] if goods else []), failed]


def named(wanted: list[ParcelId], here: list[ParcelId], stop: StopState) -> list[ParcelId]:
    for parcel_id in wanted:
        if parcel_id not in here:
            raise ParcelNotHere(parcel_id, stop.stop.stop_id)
    return list(dict.fromkeys(wanted))
