"""What a task is after each of its events."""

from collections.abc import Iterable
from typing import assert_never

from msgspec.structs import replace

from commands.carrier_way import MOVES
from commands.clones import with_clone, with_refused
from commands.proof import state_of_proof, with_rejected
from commands.sla_clock import evolve_clock, pinned
from commands.task_state import (
    MAX_BOOKINGS,
    MAX_OPEN_CONFLICTS,
    OVER,
    BookingState,
    CarrierAssignment,
    CreatedTask,
    Ended,
    HandOverState,
    LineState,
    ParcelState,
    Simulated,
    StopState,
    StopStatus,
    Task,
    booking_of,
    created,
    line_of,
)
from commands.waiting_state import evolve_waiting
from schemas.carried import CarrierReported, TaskGivenToCarrier, TaskTakenFromCarrier
from schemas.goods import InspectionLine, ParcelsDamaged, ParcelsLost, Party, ReturnInspected, TransferReceived
from schemas.hand_over import HandOverClosed, HandOverOffered, ParcelsHandedOver
from schemas.message import ParcelId, StopId
from schemas.proof import PinRejected, ProofCaptured, ProofDisputed, ProofDisputeSettled, ProofRejected
from schemas.sla import SLA_EVENTS
from schemas.stop_events import (
    ContactAttempted,
    CustomerArrived,
    CustomerOnTheWay,
    DeliveryAttemptFailed,
    HoldStarted,
    ParcelsDelivered,
    ParcelsHeld,
    ParcelsPickedUp,
    ParcelsRefused,
    ParcelsReturned,
    ParcelsShort,
    ParcelsWrittenOff,
    ReattemptPlanned,
    ReturnStarted,
    StopArrived,
    StopCompleted,
    StopEnRoute,
    StopFailed,
    StopSkipped,
)
from schemas.task import (
    CREATED_ON_HOLD,
    RESERVATION_LOST,
    AssignmentAccepted,
    FieldReportConflicted,
    FieldReportReviewed,
    GoodsReadyUpdated,
    Outcome,
    ReturnAuthorised,
    SimulatedStepScheduled,
    StopLocated,
    StopRescheduled,
    TaskAssigned,
    TaskCancelled,
    TaskCompleted,
    TaskCreated,
    TaskDispatchable,
    TaskEvent,
    TaskFailed,
    TaskForceCompleted,
    TaskHeld,
    TaskReleased,
    TaskReturned,
    TaskScheduled,
    TaskTenderClosed,
    TaskTendered,
    TaskUnassigned,
)
from schemas.template import CloneRefused, TaskCloned
from schemas.waiting import WAITING_EVENTS


def evolve(task: Task, event: TaskEvent) -> Task:
    """What happens to nearly every task stands first: an event is asked for each class in turn, and that costs."""
    if isinstance(event, TaskCreated):
        return born(event)
    task = created(task)
    match event:
        case StopEnRoute():
            return on_the_way(task, event.stop_id, "en_route")
        case StopArrived():
            return task if event.late else on_the_way(task, event.stop_id, "arrived")
        case StopCompleted():
            return with_stop(task, event.stop_id, status="completed")
        case ParcelsPickedUp():
            return handed_over(task, event.stop_id, event.parcel_ids, event.to_party, "in_custody")
        case ParcelsDelivered():
            return handed_over(task, event.stop_id, event.parcel_ids, event.to_party, "delivered")
        case TaskDispatchable():
            return replace(task, round=event.round, dispatch_at=None, waits=False, hold_reason=None)
        case TaskTendered():
            return replace(task, tender_id=event.tender_id)
        case TaskAssigned():
            return replace(
                task,
                rider_id=event.rider_id,
                round=event.round,
                accepted=False,
                held=None,
                assigned_at=event.assigned_at,
                waits=False,
                dispatch_at=None,
            )
        case AssignmentAccepted():
            return replace(task, accepted=True)
        case TaskCompleted():
            return ended(task, "completed", event.outcome)
    if isinstance(event, WAITING_EVENTS):
        return replace(task, waiting=evolve_waiting(task.waiting, event))
    if isinstance(event, SLA_EVENTS):
        return replace(task, sla=None if task.sla is None else evolve_clock(task.sla, event))
    match event:
        case StopLocated():
            stop = replace(task.stops[event.stop_id].stop, location=event.location, from_directory=False)
            return with_stop(task, event.stop_id, stop=stop)
        case ReturnAuthorised():
            return replace(task, authorised=True)
        case GoodsReadyUpdated():
            stop = replace(task.stops[event.stop_id].stop, goods_ready_at=event.ready_at)
            return with_stop(task, event.stop_id, stop=stop, goods_ready=event.actual)
        case StopRescheduled():
            stop = replace(task.stops[event.stop_id].stop, window=event.window)
            return with_stop(task, event.stop_id, stop=stop)
        case TaskHeld():
            return replace(task, held=event.reason_code)
        case TaskReleased():
            return replace(task, held=None)
        case TaskScheduled():
            return replace(task, dispatch_at=event.dispatch_at)
        case TaskTenderClosed():
            closed = replace(task, closed_round=event.round, closed_tender=event.tender_id)
            return replace(closed, tender_id=None, retry_at=event.retry_at)
        case HandOverOffered():
            return replace(task, hand_over=HandOverState(event.to_rider, event.round, event.expires_at))
        case HandOverClosed():
            return replace(task, hand_over=None, lapsed=task.hand_over if event.end == "expired" else None)
        case ParcelsHandedOver():
            return with_parcels(task, event.parcel_ids, party=event.to_party)
        case SimulatedStepScheduled():
            return with_step(task, event)
        case TaskUnassigned():
            return back_to_dispatch(task, event)
        case TaskGivenToCarrier():
            return with_carrier(task, event)
        case TaskTakenFromCarrier():
            return replace(without_taker(task), carrier=None)
        case CarrierReported():
            return with_word(task, event)
        case CustomerOnTheWay():
            return on_the_way(task, event.stop_id, "en_route")
        case CustomerArrived():
            return on_the_way(task, event.stop_id, "arrived")
        case ParcelsShort():
            return with_parcels(task, event.parcel_ids, short=True)
        case ParcelsRefused():
            refused = with_parcels(task, event.parcel_ids, status="refused")
            return with_stop(refused, event.stop_id, handed_over=True)
        case ParcelsReturned():
            return handed_over(task, event.stop_id, event.parcel_ids, event.to_party, "returned")
        case ParcelsLost():
            return with_parcels(task, event.parcel_ids, party=event.to_party, status="lost")
        case ParcelsDamaged():
            return with_parcels(task, event.parcel_ids, damaged=True)
        case TransferReceived() | ReturnInspected():
            return replace(task, lines=lines_after(task, event))
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
        case ProofDisputeSettled():
            return replace(task, proof_disputed=False)
        case PinRejected():
            return with_stop(task, event.stop_id, pin_failures=event.attempt)
        case DeliveryAttemptFailed():
            return after_attempt(task, event)
        case ContactAttempted():
            return with_stop(task, event.stop_id, contacts=task.stops[event.stop_id].contacts + 1)
        case HoldStarted():
            bound = with_parcels(task, event.parcel_ids, bound_for=event.stop.stop_id)
            return replace(
                bound,
                hold_reason=event.reason_code,
                stops={**bound.stops, event.stop.stop_id: StopState(stop=event.stop)},
            )
        case ParcelsHeld():
            return handed_over(task, event.stop_id, event.parcel_ids, event.to_party, "in_custody")
        case ReattemptPlanned():
            return ahead_again(task, event)
        case StopFailed():
            return with_stop(task, event.stop_id, status="failed")
        case StopSkipped():
            return with_stop(task, event.stop_id, status="skipped")
        case ReturnStarted():
            return on_the_way_back(task, event)
        case TaskForceCompleted():
            return ended(task, "completed", event.outcome)
        case TaskFailed():
            return ended(task, "failed", event.outcome)
        case TaskReturned():
            return ended(task, "returned", event.outcome)
        case TaskCancelled():
            return ended(task, "cancelled", event.outcome)
        case FieldReportConflicted():
            return replace(task, conflicts=(*task.conflicts, event.conflict_id)[-MAX_OPEN_CONFLICTS:])
        case FieldReportReviewed():
            return replace(task, conflicts=tuple(c for c in task.conflicts if c != event.conflict_id))
        case TaskCloned():
            return replace(task, clones=with_clone(task.clones, event))
        case CloneRefused():
            return replace(task, clones=with_refused(task.clones, event))
        case _:
            assert_never(event)


def evolved(task: Task, events: Iterable[TaskEvent]) -> Task:
    """What it is after all of them."""
    for event in events:
        task = evolve(task, event)
    return task


def born(event: TaskCreated) -> CreatedTask:
    parties = {stop.stop_id: stop.party for stop in event.stops}
    return CreatedTask(
        external_reference=event.external_reference,
        kind=event.kind,
        outlet=event.outlet,
        priority=event.priority,
        required_skills=event.required_skills,
        stops={stop.stop_id: StopState(stop=stop) for stop in event.stops},
        parcels={
            parcel.parcel_id: ParcelState(parcel=parcel, party=parties[parcel.pickup_stop]) for parcel in event.parcels
        },
        max_attempts=event.max_attempts,
        arrival_radius_m=event.arrival_radius_m,
        pin_attempts=event.pin_attempts,
        dispatch_lead_s=event.dispatch_lead_s,
        return_proof=event.return_proof,
        sla=pinned(event.sla, event.kind),
        simulated=None if event.simulation is None else Simulated(event.simulation),
        authorised=event.kind != "return" or event.authorisation is not None,
        held=CREATED_ON_HOLD if event.on_hold else None,
    )


def with_stop(task: CreatedTask, stop_id: StopId, **changes: object) -> CreatedTask:
    stop = replace(task.stops[stop_id], **changes)
    return replace(task, stops={**task.stops, stop_id: stop})


def on_the_way(task: CreatedTask, stop_id: StopId, status: StopStatus) -> CreatedTask:
    stop = replace(task.stops[stop_id], status=status)
    return replace(task, latest_stop=stop_id, stops={**task.stops, stop_id: stop})


def with_parcels(task: CreatedTask, parcel_ids: Iterable[ParcelId], **changes: object) -> CreatedTask:
    changed = {parcel_id: replace(task.parcels[parcel_id], **changes) for parcel_id in parcel_ids}
    return replace(task, parcels={**task.parcels, **changed})


def handed_over(
    task: CreatedTask, stop_id: StopId, parcel_ids: Iterable[ParcelId], party: Party, status: str
) -> CreatedTask:
    return with_stop(with_parcels(task, parcel_ids, party=party, status=status), stop_id, handed_over=True)


def after_attempt(task: CreatedTask, event: DeliveryAttemptFailed) -> CreatedTask:
    at_door = task.stops[event.stop_id].at_door or event.policy == "leave_at_door"
    return with_stop(task, event.stop_id, attempts=event.attempt, status="pending", contacts=0, at_door=at_door)


def ahead_again(task: CreatedTask, event: ReattemptPlanned) -> CreatedTask:
    """The stops that are ahead again stand after the pickup, and that after all that is over."""
    stops = {stop_id: stop for stop_id, stop in task.stops.items() if stop_id not in event.stop_ids}
    stops[event.pickup.stop_id] = StopState(stop=event.pickup)
    for stop_id in event.stop_ids:
        stop = task.stops[stop_id].stop
        window = event.window or stop.window
        stops[stop_id] = StopState(stop=replace(stop, window=window), pin_failures=task.stops[stop_id].pin_failures)
    parcels = dict(task.parcels)
    for parcel_id in event.parcel_ids:
        known = parcels[parcel_id]
        parcel = replace(known.parcel, pickup_stop=event.pickup.stop_id)
        first = known.first_pickup or known.parcel.pickup_stop
        parcels[parcel_id] = replace(known, parcel=parcel, status="expected", bound_for=None, first_pickup=first)
    return replace(task, stops=stops, parcels=parcels)


def back_to_dispatch(task: CreatedTask, event: TaskUnassigned) -> CreatedTask:
    assert task.rider_id is not None, "only an assigned task is unassigned"
    former = (*(r for r in task.former_riders if r != task.rider_id), task.rider_id)
    return replace(
        without_taker(without_step(task, event.reason_code)),
        rider_id=None,
        hand_over=None,
        lapsed=None,
        former_riders=former[-16:],
        waits=event.waits,
        return_reason=None if event.waits else task.return_reason,
    )


def without_taker(task: CreatedTask) -> CreatedTask:
    """Nothing was in custody: what somebody had begun is begun anew by the next one, who gives proof of their own."""
    stops = {
        stop_id: stop if stop.status in OVER else replace(stop, status="pending", proofs=())
        for stop_id, stop in task.stops.items()
    }
    return replace(task, accepted=False, tender_id=None, stops=stops)


def with_carrier(task: CreatedTask, event: TaskGivenToCarrier) -> CreatedTask:
    return replace(
        task,
        carrier=CarrierAssignment(event.carrier_id, event.booking_id),
        bookings=(*task.bookings, BookingState(event.booking_id)),
        round=event.round,
        accepted=True,
        held=None,
        assigned_at=event.given_at,
    )


def with_word(task: CreatedTask, event: CarrierReported) -> CreatedTask:
    """Also of a booking that it was never with: it is not told twice."""
    known = booking_of(task, event.booking_id) or BookingState(event.booking_id)
    others = [each for each in task.bookings if each.booking_id != event.booking_id]
    known = replace(known, heard_version=event.booking_version)
    if event.says in MOVES:
        known = replace(known, moved_at=max(known.moved_at or event.observed_at, event.observed_at))
    elif event.says == "picked_up":
        known = replace(known, picked_up_at=event.observed_at)
    elif event.says == "delivered":
        known = replace(known, delivered_at=event.observed_at)
    return replace(task, bookings=(*others, known)[-MAX_BOOKINGS:])


def with_step(task: CreatedTask, event: SimulatedStepScheduled) -> CreatedTask:
    assert task.simulated is not None, "only a simulated courier has steps"
    return replace(task, simulated=Simulated(task.simulated.simulation, event.number, event.step_at))


def without_step(task: CreatedTask, reason_code: str) -> CreatedTask:
    """A clock that leaps while the courier is being reserved costs them no time."""
    known = task.simulated
    if known is None:
        return task
    lost_at = known.step_at if reason_code == RESERVATION_LOST else None
    return replace(task, simulated=replace(known, step_at=None, lost_at=lost_at))


def on_the_way_back(task: CreatedTask, event: ReturnStarted) -> CreatedTask:
    """The stops ahead are given up; the ways back are all that is left."""
    stops = {
        stop_id: stop if stop.status in OVER or stop.stop.kind == "return" else replace(stop, status="skipped")
        for stop_id, stop in task.stops.items()
    }
    stops[event.stop.stop_id] = StopState(stop=event.stop)
    bound = with_parcels(task, event.parcel_ids, bound_for=event.stop.stop_id)
    cancelling = task.cancelling or event.cancelled
    return replace(bound, stops=stops, return_reason=event.reason_code, cancelling=cancelling)


def ended(task: CreatedTask, how: Ended, outcome: Outcome) -> CreatedTask:
    return replace(task, ended=how, outcome=outcome, hand_over=None)


def states_of(lines: Iterable[InspectionLine]) -> tuple[LineState, ...]:
    return tuple(LineState(line.quantity, line.condition, line.disposition) for line in lines)


def lines_after(task: CreatedTask, event: TransferReceived | ReturnInspected) -> dict[str, tuple[LineState, ...]]:
    """A line that is told again stands in place of what it was."""
    told: dict[str, tuple[LineState, ...]] = {}
    if isinstance(event, TransferReceived):
        for line in event.lines:
            told[line_of(line.parcel_id, line.sku)] = (LineState(line.received, line.condition),)
    else:
        for found in event.lines:
            key = line_of(found.parcel_id, found.sku)
            told[key] = (*told.get(key, ()), *states_of([found]))
    return {**task.lines, **told}
