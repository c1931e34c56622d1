"""An attempt that failed, and what follows by the tenant's reason for it: now, later, at a hub, at the door, back."""

from collections.abc import Mapping

from msgspec.structs import replace

from commands.context import Context, HubPolicy
from commands.refusals import NotAnInterval
from commands.registries import UnknownFailureReason
from commands.task_creation import location_of
from commands.task_evolve import evolved
from commands.task_state import (
    AGAIN,
    HOLD,
    OVER,
    CreatedTask,
    StopState,
    ids_of,
    next_stop_id,
    parcels_of,
    state_of,
    waiting_elsewhere,
)
from commands.task_timing import not_ended, towards_dispatch
from schemas.fault import AtFault
from schemas.field_report import ReportAttemptFailed
from schemas.geo import Location, distance_m
from schemas.goods import Party
from schemas.ids import contact_subject
from schemas.message import HubSlug, NotInThisState, ParcelId, Personal, Refused, RiderId, StopId
from schemas.registries import AfterFailure, FailureReason
from schemas.stop import Stop, StopKind
from schemas.stop_events import (
    AttemptPolicy,
    DeliveryAttemptFailed,
    HoldStarted,
    ParcelsWrittenOff,
    ReattemptPlanned,
    StopFailed,
)
from schemas.task import ReattemptDelivery, TaskEvent, TaskReleased

FOLLOWS: Mapping[AfterFailure, AttemptPolicy] = {
    "retry": "return",
    "reattempt": "reattempt_later",
    "hold_at_hub": "hold_at_hub",
    "leave_at_door": "leave_at_door",
    "return": "return",
    "dispose": "dispose",
}
"""Once the attempts are used up."""
HOLDING = ("reattempt_later", "hold_at_hub")
HOLD_SERVICE_S = 120


class ContactFirst(Refused):
    rule = "contact-first"
    stands_in = ("reason_code",)

    def __init__(self, reason_code: str, needed: int, made: int) -> None:
        super().__init__(f"{reason_code} needs {needed} attempts at contact before, {made} were made")
        self.reason_code = reason_code
        self.needed = needed
        self.made = made


class WaitFirst(Refused):
    rule = "wait-first"
    stands_in = ("reason_code",)

    def __init__(self, reason_code: str, needed_s: int, waited_s: int) -> None:
        super().__init__(f"{reason_code} needs {needed_s} s of waiting before, {waited_s} s are told")
        self.reason_code = reason_code
        self.needed_s = needed_s
        self.waited_s = waited_s


def attempt_failed(
    task: CreatedTask, stop: StopState, command: ReportAttemptFailed, context: Context
) -> list[TaskEvent]:
    if task.ended or stop.status in OVER:
        return []
    reason = reason_of(command.reason_code, context)
    made = stop.contacts + len(command.contacts)
    if made < reason.contact_attempts and command.override_reason is None:
        raise ContactFirst(command.reason_code, reason.contact_attempts, made)
    waited_s = command.waited_seconds or 0
    if waited_s < reason.waiting_seconds and command.override_reason is None:
        raise WaitFirst(command.reason_code, reason.waiting_seconds, waited_s)
    attempt = stop.attempts + 1
    policy = policy_of(task, stop, reason, attempt)
    failed = DeliveryAttemptFailed(
        stop_id=stop.stop.stop_id,
        attempt=attempt,
        reason_code=command.reason_code,
        note=command.note,
        evidence=command.evidence,
        contacts=command.contacts,
        waited_seconds=command.waited_seconds,
        override_reason=command.override_reason,
        at_fault=reason.at_fault,
        policy=policy,
    )
    if policy in ("retry_now", "leave_at_door"):
        return [failed]
    over = StopFailed(
        stop_id=stop.stop.stop_id,
        rider_id=RiderId(context.actor),
        round=task.round,
        reason_code=command.reason_code,
    )
    return [failed, over, *goods_of_failed(task, stop, policy, command.reason_code, context)]


def reason_of(code: str, context: Context, at_fault: AtFault = "system") -> FailureReason:
    """What happened is not refused for a code that the tenant does not have, or no more."""
    try:
        return context.policy.failure_reason(code)
    except UnknownFailureReason:
        return FailureReason(code=code, title=code, at_fault=at_fault)


def policy_of(task: CreatedTask, stop: StopState, reason: FailureReason, attempt: int) -> AttemptPolicy:
    if reason.retryable and attempt < task.max_attempts:
        return "retry_now"
    policy = FOLLOWS[reason.after]
    if stop.stop.kind != "dropoff" or (policy != "leave_at_door" and not aboard(task, stop)):
        return "return"
    if policy == "leave_at_door" and (stop.at_door or stop.stop.party.kind == "locker" or needs_a_person(task, stop)):
        return "return"
    return policy


def aboard(task: CreatedTask, stop: StopState) -> list[ParcelId]:
    return ids_of(p for p in parcels_of(task, stop) if p.party.kind == "rider")


def needs_a_person(task: CreatedTask, stop: StopState) -> bool:
    """An ID check is of somebody."""
    of_parcels = [group for p in parcels_of(task, stop) for group in p.parcel.required_proof]
    return stop.stop.minimum_age is not None or ["id_check"] in [*stop.stop.required_proof, *of_parcels]


def goods_of_failed(
    task: CreatedTask, stop: StopState, policy: AttemptPolicy, reason_code: str, context: Context
) -> list[TaskEvent]:
    goods = aboard(task, stop)
    if policy == "dispose":
        return [ParcelsWrittenOff(parcel_ids=goods, disposition="disposed", to_party=Party(kind="nobody"))]
    if policy not in HOLDING:
        return []
    return [
        HoldStarted(
            stop=hold_stop(task, stop, context),
            parcel_ids=goods,
            rider_id=RiderId(context.actor),
            round=task.round,
            reason_code=reason_code,
        )
    ]


def hold_stop(task: CreatedTask, stop: StopState, context: Context) -> Stop:
    place = context.opened(stop.stop.location, Location)
    party = holding_party(task, place, context)
    return plain_stop(next_stop_id(task, HOLD), "hold", party, context)


def holding_party(task: CreatedTask, near: Location | None, context: Context) -> Party:
    """The nearest hub that is open, and no locker; the outlet where there is none."""
    hubs = [(slug, hub) for slug, hub in context.policy.hubs.items() if hub.kind == "hub" and not hub.closed]
    if not hubs:
        return Party(kind="outlet", id=task.outlet)

    def away(each: tuple[HubSlug, HubPolicy]) -> tuple[float, HubSlug]:
        slug, hub = each
        return (0.0 if near is None else distance_m(near, hub.location)), slug

    return Party(kind="hub", id=min(hubs, key=away)[0])


def plain_stop(stop_id: StopId, kind: StopKind, party: Party, context: Context) -> Stop:
    """At a place of the tenant's own, where nothing needs to be proven."""
    place = location_of(party, context)
    subject = contact_subject(context.tenant, f"{context.aggregate_id}/{stop_id}")
    return Stop(
        stop_id=stop_id,
        kind=kind,
        party=party,
        location=None if place is None else Personal(subject, place),
        address=None,
        contact=None,
        window=None,
        service_seconds=HOLD_SERVICE_S,
        goods_ready_at=None,
        required_proof=[],
        minimum_age=None,
        pin_hash=None,
    )


def reattempt_delivery(task: CreatedTask, command: ReattemptDelivery, context: Context) -> list[TaskEvent]:
    not_ended(task)
    if command.window is not None and command.window.end <= command.window.start:
        raise NotAnInterval(command.window.start, command.window.end)
    goods = waiting_elsewhere(task)
    if not goods or not task.waits:
        raise NotInThisState(needed="goods that wait for another attempt", actual=state_of(task))
    pickup = plain_stop(next_stop_id(task, AGAIN), "pickup", goods[0].party, context)
    if command.window is not None:
        pickup = replace(pickup, goods_ready_at=command.window.start)
    here = [p for p in goods if p.party == goods[0].party]
    planned = ReattemptPlanned(
        pickup=pickup,
        parcel_ids=ids_of(here),
        stop_ids=list(dict.fromkeys(p.parcel.dropoff_stop for p in here)),
        window=command.window,
        reason_code=command.reason_code,
    )
    released: list[TaskEvent] = [TaskReleased(reason_code=command.reason_code)] if task.held else []
    return [planned, *released, *towards_dispatch(evolved(task, [planned, *released]), context)]
