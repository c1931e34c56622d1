"""Task: goods to be taken from stop to stop, until nobody has to move them any more."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import assert_never

from commands.attempts import reattempt_delivery
from commands.carried import decide_carried
from commands.cloning import clone_task, confirm_clone, create_from_template, refuse_clone
from commands.collection import decide_collection
from commands.context import Context
from commands.field_reports import decide_report
from commands.goods import decide_on_parcels, has_parcels, inspect_return, receive_transfer
from commands.hand_over import decide_hand_over, with_closed
from commands.planned_task import assign_by_plan
from commands.proof import reject_proof
from commands.simulated import must_keep_apart
from commands.simulation import assign_courier, simulate_step, with_next_step
from commands.task_creation import create_task
from commands.task_evolve import evolved
from commands.task_promises import mark, with_clock
from commands.task_state import (
    CreatedTask,
    GoodsInCustody,
    NotTheAssignee,
    ParcelState,
    StopState,
    Task,
    carried,
    created,
    is_taken,
    known_stop,
    only_for,
    open_stops,
    outcome_of,
    state_of,
    taker_at,
    unsettled,
    waiting_elsewhere,
)
from commands.task_timing import (
    authorise_return,
    followed,
    hold_task,
    next_round,
    release_task,
    reschedule_stop,
    start_dispatch,
    update_goods_ready,
)
from commands.waiting import decide_waiting, with_answers
from commands.way_back import ways_back
from schemas.carried import AssignTaskToCarrier, ConfirmCarrierServes, RecordCarrierReport, TakeTaskFromCarrier
from schemas.field_report import (
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
)
from schemas.geo import Location
from schemas.goods import (
    InspectReturn,
    Party,
    PartyKind,
    ReceiveTransfer,
    ReportParcelsDamaged,
    ReportParcelsLost,
)
from schemas.hand_over import (
    AcceptHandOver,
    DeclineHandOver,
    ExpireHandOver,
    OfferHandOver,
    RefuseHandOver,
    WithdrawHandOver,
)
from schemas.ids import contact_subject
from schemas.message import (
    CarrierBookingId,
    NotInThisState,
    ParcelId,
    Personal,
    Refused,
    RiderId,
    StopId,
)
from schemas.proof import ProofDisputeSettled
from schemas.sla import MarkSlaAtRisk, MarkSlaBreach
from schemas.stop_events import Disposition, ParcelsWrittenOff, StopSkipped
from schemas.task import (
    AcceptAssignment,
    AssignByPlan,
    AssignmentAccepted,
    AssignSimulatedCourier,
    AssignTask,
    AuthoriseReturn,
    CancelTask,
    CloseTender,
    ConfirmTaskCreated,
    CreateTask,
    DeclineAssignment,
    FieldReportReviewed,
    ForceCompleteTask,
    HoldTask,
    LocateStop,
    Outcome,
    ReattemptDelivery,
    RecordTender,
    RejectProof,
    ReleaseTask,
    RescheduleStop,
    RetryDispatch,
    ReviewFieldReport,
    SettleProofDispute,
    SimulateStep,
    StartDispatch,
    StopLocated,
    TaskAssigned,
    TaskCancelled,
    TaskCommand,
    TaskCompleted,
    TaskEvent,
    TaskFailed,
    TaskForceCompleted,
    TaskHeld,
    TaskReturned,
    TaskTenderClosed,
    TaskTendered,
    TaskUnassigned,
    UnassignTask,
    UpdateGoodsReady,
)
from schemas.template import CloneTask, ConfirmClone, CreateFromTemplate, RefuseClone
from schemas.waiting import (
    AddDependent,
    AnswerDependency,
    AskForDependency,
    ConfirmDependency,
    FollowPickWave,
    LookForCircle,
    RecordDependencyUnknown,
    WaiveDependency,
)


class UnknownConflict(Refused):
    rule = "unknown-conflict"
    stands_in = ("conflict_id",)

    def __init__(self, conflict_id: str) -> None:
        super().__init__(f"the task has no report {conflict_id} that waits for a review")
        self.conflict_id = conflict_id


def decide(task: Task, command: TaskCommand, context: Context) -> list[TaskEvent]:
    """What is asked, and what a simulated courier then has to do."""
    if isinstance(command, SimulateStep):
        return simulate_step(created(task), command, context, decided)
    return with_next_step(task, decided(task, command, context), context)


def decided(task: Task, command: TaskCommand, context: Context) -> list[TaskEvent]:
    """What is asked, and what that means for the clock of what was promised."""
    events = with_answers(task, with_offers_closed(task, asked(task, command, context)))
    return with_clock(task, events, happened_at(task, command, context), context)


def happened_at(task: Task, command: TaskCommand, context: Context) -> datetime:
    """As it is told, though not before the rider who tells it got the task: nobody keeps a promise by such a claim."""
    observed: datetime = getattr(command, "observed_at", None) or context.now
    had_since = task.assigned_at if isinstance(task, CreatedTask) else None
    return min(observed if had_since is None else max(observed, had_since), context.now)


def with_offers_closed(task: Task, events: list[TaskEvent]) -> list[TaskEvent]:
    if not isinstance(task, CreatedTask) or task.hand_over is None or not events:
        return events
    return with_closed(task.hand_over, created(evolved(task, events)), events)


def asked(task: Task, command: TaskCommand, context: Context) -> list[TaskEvent]:
    """What is asked most stands first, as in `evolve`."""
    match command:
        case CreateTask():
            return create_task(task, command, context)
        case (
            ReportEnRoute()
            | ReportArrived()
            | ReportPickedUp()
            | ReportDelivered()
            | ReportAttemptFailed()
            | ReportContactAttempt()
            | ReportHeld()
            | ReportReturned()
            | CaptureProof()
        ):
            return report(created(task), command, context)
        case AssignTask():
            return assign_task(created(task), command, context)
        case AssignByPlan():
            return assign_by_plan(created(task), command, context)
        case AcceptAssignment():
            return accept_assignment(created(task), context)
        case LocateStop():
            return locate_stop(created(task), command, context)
        case AuthoriseReturn():
            return authorise_return(created(task), command, context)
        case ReattemptDelivery():
            return reattempt_delivery(created(task), command, context)
        case UpdateGoodsReady():
            return update_goods_ready(created(task), command, context)
        case RescheduleStop():
            return reschedule_stop(created(task), command, context)
        case HoldTask():
            return hold_task(created(task), command, context)
        case ReleaseTask():
            return release_task(created(task), command, context)
        case StartDispatch():
            return start_dispatch(created(task), command, context)
        case RecordTender():
            return record_tender(created(task), command)
        case CloseTender():
            return close_tender(created(task), command, context)
        case RetryDispatch():
            return retry_dispatch(created(task), command, context)
        case AssignSimulatedCourier():
            return assign_courier(created(task), command, context)
        case SimulateStep():
            raise AssertionError("a step is decided as what it is")
        case DeclineAssignment():
            return decline_assignment(created(task), command, context)
        case UnassignTask():
            return unassign_task(created(task), command, context)
        case CancelTask():
            return cancel_task(created(task), command, context)
        case ForceCompleteTask():
            return force_complete(created(task), command)
        case ConfirmTaskCreated():
            return has_parcels(created(task), command.parcel_ids)
        case RejectProof():
            return reject_proof(known_stop(created(task), command.stop_id), command)
        case SettleProofDispute():
            return settle_proof_dispute(created(task), command)
        case ReviewFieldReport():
            return review_field_report(created(task), command)
        case ReportCustomerOnTheWay() | ReportCustomerArrived() | ReportCollected():
            return collection_report(created(task), command, context)
        case ReportParcelsLost() | ReportParcelsDamaged():
            return parcel_report(created(task), command, context)
        case (
            OfferHandOver()
            | AcceptHandOver()
            | DeclineHandOver()
            | WithdrawHandOver()
            | ExpireHandOver()
            | RefuseHandOver()
        ):
            return decide_hand_over(created(task), command, context)
        case ConfirmCarrierServes() | AssignTaskToCarrier() | TakeTaskFromCarrier():
            return decide_carried(created(task), command, context)
        case RecordCarrierReport():
            return with_consequences(created(task), decide_carried(created(task), command, context), context)
        case ReceiveTransfer():
            return receive_transfer(created(task), command)
        case InspectReturn():
            return inspect_return(created(task), command)
        case MarkSlaAtRisk() | MarkSlaBreach():
            return mark(created(task), command, context)
        case (
            ConfirmDependency()
            | AddDependent()
            | LookForCircle()
            | AnswerDependency()
            | RecordDependencyUnknown()
            | AskForDependency()
            | FollowPickWave()
            | WaiveDependency()
        ):
            return decide_waiting(created(task), command, context)
        case CreateFromTemplate():
            return create_from_template(task, command, context)
        case CloneTask():
            return clone_task(created(task), command, context)
        case ConfirmClone():
            return confirm_clone(created(task), command)
        case RefuseClone():
            return refuse_clone(created(task), command)
        case _:
            assert_never(command)


def locate_stop(task: CreatedTask, command: LocateStop, context: Context) -> list[TaskEvent]:
    stop = known_stop(task, command.stop_id)
    if state_of(task) not in ("created", "dispatchable", "offering"):
        raise NotInThisState(needed="not yet under way", actual=state_of(task))
    if context.opened(stop.stop.location, Location) == command.location:
        return []
    subject = contact_subject(context.tenant, f"{context.aggregate_id}/{command.stop_id}")
    if stop.stop.contact:
        subject = stop.stop.contact.name.subject
    placed = StopLocated(stop_id=command.stop_id, location=Personal(subject, command.location))
    return followed(task, placed, context)


def record_tender(task: CreatedTask, command: RecordTender) -> list[TaskEvent]:
    """A tender that the task has outrun has nothing to offer: that it is refused is what withdraws it."""
    if command.tender_id in (task.tender_id, task.closed_tender):
        return []
    if command.round != task.round or task.tender_id is not None or is_settled(task, command.round):
        raise NotInThisState(needed="dispatchable", actual=state_of(task))
    return [TaskTendered(tender_id=command.tender_id, round=command.round)]


def is_settled(task: CreatedTask, tender_round: int) -> bool:
    """Whether nothing is to be heard any more of this round's tender."""
    return task.closed_round >= tender_round or is_taken(task) or task.ended is not None or task.waits


def close_tender(task: CreatedTask, command: CloseTender, context: Context) -> list[TaskEvent]:
    """Withdrawn means that it was settled otherwise; else the next round waits a little, if there is one. On hold there
    is none: it comes with the release."""
    if command.round != task.round or is_settled(task, command.round):
        return []
    if task.tender_id not in (None, command.tender_id):
        return []
    rules = context.policy.rules
    again = command.outcome != "withdrawn" and task.round < rules.max_rounds and not task.held
    at_once = command.outcome == "withdrawn" and command.bundled and not task.held
    return [
        TaskTenderClosed(
            tender_id=command.tender_id,
            round=task.round,
            outcome=command.outcome,
            retry_at=context.now + timedelta(seconds=rules.retry_seconds) if again else None,
        ),
        *([next_round(task, context)] if at_once else []),
    ]


def retry_dispatch(task: CreatedTask, command: RetryDispatch, context: Context) -> list[TaskEvent]:
    if command.round != task.round or task.tender_id or is_taken(task) or task.ended or task.held or task.waits:
        return []
    if task.retry_at is None or context.now < task.retry_at:
        return []
    return [next_round(task, context)]


def assign_task(task: CreatedTask, command: AssignTask, context: Context) -> list[TaskEvent]:
    """A won claim is a yes already; a dispatcher's order waits for one."""
    if task.rider_id == command.rider_id and not task.ended:
        return []
    must_keep_apart(task, command.rider_id, context)
    if task.ended or is_taken(task) or task.waits:
        raise NotInThisState(needed="dispatchable or offering", actual=state_of(task))
    if command.tender_id is not None and command.tender_id != task.tender_id:
        raise NotInThisState(needed=f"offering by tender {command.tender_id}", actual=state_of(task))
    assigned = TaskAssigned(
        rider_id=command.rider_id,
        round=task.round,
        tender_id=command.tender_id,
        offer_id=command.offer_id,
        assigned_at=context.now,
        reason_code=command.reason_code,
        passed_over=None if command.tender_id is not None else task.tender_id,
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
    return unassigned(task, rider, command.reason_code, context)


def unassign_task(task: CreatedTask, command: UnassignTask, context: Context) -> list[TaskEvent]:
    """From a rider; a carrier's booking is cancelled."""
    if task.carrier is not None and command.round is None:
        raise NotInThisState(needed="with a rider", actual="with a carrier")
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
    return unassigned(task, task.rider_id, command.reason_code, context)


def unassigned(task: CreatedTask, rider: RiderId, reason_code: str, context: Context) -> list[TaskEvent]:
    return [
        TaskUnassigned(rider_id=rider, round=task.round, reason_code=reason_code),
        next_round(task, context),
    ]


def cancel_task(task: CreatedTask, command: CancelTask, context: Context) -> list[TaskEvent]:
    if task.ended == "cancelled" or task.cancelling:
        return []
    if task.ended:
        raise NotInThisState(needed="not ended", actual=task.ended)
    if task.return_reason is not None:
        raise NotInThisState(needed="not on its way back", actual=state_of(task))
    if carried(task):
        return [*ways_back(task, command.reason_code, context, cancelled=True)]
    return [
        TaskCancelled(
            outcome=outcome_of(task),
            rider_id=task.rider_id,
            tender_id=task.tender_id,
            round=task.round,
            reason_code=command.reason_code,
            note=command.note,
            booking_id=booking_with(task),
        )
    ]


def force_complete(task: CreatedTask, command: ForceCompleteTask) -> list[TaskEvent]:
    if task.ended:
        raise NotInThisState(needed="not ended", actual=task.ended)
    left = unsettled(task)
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
        booking_id=booking_with(task),
    )
    return [*written_off(task, left, command.disposition), closed]


def written_off(task: CreatedTask, parcels: list[ParcelState], disposition: Disposition) -> list[TaskEvent]:
    """Each goes to where it was to be dropped off, or came from, or to nobody."""
    goes: dict[tuple[PartyKind, str | None], list[ParcelId]] = {}
    for each in parcels:
        party = Party(kind="nobody")
        if disposition == "delivered":
            party = taker_at(task.stops[each.parcel.dropoff_stop].stop)
        elif disposition == "returned":
            party = task.stops[each.parcel.pickup_stop].stop.party
        goes.setdefault((party.kind, party.id), []).append(each.parcel.parcel_id)
    return [
        ParcelsWrittenOff(parcel_ids=parcel_ids, disposition=disposition, to_party=Party(kind=kind, id=slug))
        for (kind, slug), parcel_ids in goes.items()
    ]


def settle_proof_dispute(task: CreatedTask, command: SettleProofDispute) -> list[TaskEvent]:
    return [ProofDisputeSettled(decision_code=command.decision_code)] if task.proof_disputed else []


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
        | ReportContactAttempt
        | ReportHeld
        | ReportReturned
        | CaptureProof
    ),
    context: Context,
) -> list[TaskEvent]:
    """A report is followed by what it leads to: the stop's end, the way back, the task's end."""
    if context.role == "rider" or not isinstance(command, BY_STAFF_TOO):
        by_whom_it_was_done(task, context)
    known_stop(task, command.stop_id)
    return with_consequences(task, decide_report(task, command, context), context)


BY_STAFF_TOO = (ReportReturned, CaptureProof)
"""A rejected proof is captured anew by whoever has it, and who works where goods come back says that they have come."""


def by_whom_it_was_done(task: CreatedTask, context: Context) -> None:
    """Its rider or one who was; of a carrier's task also somebody who dispatches, as the carrier tells only of some."""
    if context.role != "rider":
        if task.carrier is None:
            raise NotTheAssignee(context.actor)
    elif context.actor != task.rider_id and context.actor not in task.former_riders:
        raise NotTheAssignee(context.actor)


def collection_report(task: CreatedTask, command: CollectionReport, context: Context) -> list[TaskEvent]:
    only_for(task, command)
    known_stop(task, command.stop_id)
    return with_consequences(task, decide_collection(task, command, context), context)


def parcel_report(
    task: CreatedTask, command: ReportParcelsLost | ReportParcelsDamaged, context: Context
) -> list[TaskEvent]:
    if context.role == "rider" and context.actor not in (task.rider_id, *task.former_riders):
        raise NotTheAssignee(context.actor)
    return with_consequences(task, decide_on_parcels(task, command, context), context)


def with_consequences(task: CreatedTask, events: list[TaskEvent], context: Context) -> list[TaskEvent]:
    return [*events, *consequences(created(evolved(task, events)), context)] if events else []


def consequences(task: CreatedTask, context: Context) -> list[TaskEvent]:
    """What follows by itself: dropoffs with nothing to drop are skipped, what is left goes back, the task ends."""
    if task.ended:
        return []
    if not is_taken(task) and task.kind != "collection":
        return nothing_left(task)
    skipped = [
        StopSkipped(stop_id=s, rider_id=task.rider_id, round=task.round, reason_code="nothing_to_deliver")
        for s in idle_stops(task)
    ]
    return [*skipped, *ending(created(evolved(task, skipped)), context)]


def nothing_left(task: CreatedTask) -> list[TaskEvent]:
    """Nobody has the task, and nobody will have to move anything of it: all that was left is lost."""
    if not task.parcels or unsettled(task):
        return []
    skipped = [
        StopSkipped(stop_id=s.stop.stop_id, rider_id=None, round=task.round, reason_code="nothing_to_deliver")
        for s in open_stops(task)
    ]
    return [*skipped, ended(task)]


def idle_stops(task: CreatedTask) -> list[StopId]:
    """Nothing is left that would be dropped off, collected or brought back there."""
    if not task.parcels or any(s.stop.kind == "pickup" for s in open_stops(task)):
        return []
    goods = unsettled(task) if task.kind == "collection" else carried(task)
    due = {p.bound_for or p.parcel.dropoff_stop for p in goods if not p.short}
    return [s.stop.stop_id for s in open_stops(task) if untouched(s, due)]


def untouched(stop: StopState, due: Iterable[StopId]) -> bool:
    return not stop.handed_over and stop.stop.stop_id not in due


def ending(task: CreatedTask, context: Context) -> list[TaskEvent]:
    if open_stops(task):
        return []
    if carried(task):
        return [*ways_back(task, "not_delivered", context)]
    if waiting_elsewhere(task) and task.rider_id is not None and not task.cancelling:
        reason = task.hold_reason or "goods_wait"
        left = TaskUnassigned(rider_id=task.rider_id, round=task.round, reason_code=reason, waits=True)
        return [left, TaskHeld(reason_code=reason)]
    if task.return_reason is not None:
        back = TaskReturned(
            outcome=outcome_of(task), rider_id=task.rider_id, round=task.round, booking_id=booking_with(task)
        )
        return [back]
    return [ended(task)]


def ended(task: CreatedTask) -> TaskCompleted | TaskFailed:
    outcome, rider, tender = outcome_of(task), task.rider_id, task.tender_id
    if outcome in ("not_delivered", "disposed"):
        return TaskFailed(
            outcome=outcome,
            rider_id=rider,
            tender_id=tender,
            round=task.round,
            reason_code=outcome,
            booking_id=booking_with(task),
        )
    return TaskCompleted(outcome=outcome, rider_id=rider, tender_id=tender, round=task.round)


def booking_with(task: CreatedTask) -> CarrierBookingId | None:
    return None if task.carrier is None else task.carrier.booking_id


def assignee(task: CreatedTask, context: Context) -> RiderId:
    if task.rider_id is None or task.ended:
        raise NotInThisState(needed="assigned", actual=state_of(task))
    if context.actor != task.rider_id:
        raise NotTheAssignee(context.actor)
    return task.rider_id
