"""Goods on their way go from one rider to another: who has them has them until the other has scanned them."""

from datetime import timedelta
from typing import assert_never

from commands.context import Context
from commands.proof import problem_of_parcel
from commands.simulated import must_keep_apart
from commands.task_state import (
    CreatedTask,
    HandOverState,
    NotTheAssignee,
    ParcelState,
    carried,
    ids_of,
    open_stops,
    state_of,
)
from schemas.goods import Party
from schemas.hand_over import (
    AcceptHandOver,
    DeclineHandOver,
    ExpireHandOver,
    HandOverClosed,
    HandOverCommand,
    HandOverEnd,
    HandOverOffered,
    OfferHandOver,
    ParcelsHandedOver,
    RefuseHandOver,
    WithdrawHandOver,
)
from schemas.ids import rider_subject
from schemas.load import Overload
from schemas.message import NotInThisState, Personal, Refused, RiderId
from schemas.task import AssignmentAccepted, TaskAssigned, TaskEvent, TaskUnassigned

HANDED_OVER = "handed_over"


class HandOverIncomplete(Refused):
    rule = "hand-over-incomplete"
    is_about = ("scans",)

    def __init__(self, missing: list[str]) -> None:
        super().__init__(f"not scanned, or with another code: {', '.join(missing)}")
        self.missing = missing


class NotOfferedToYou(Refused):
    rule = "not-offered-to-you"

    def __init__(self, actor: str) -> None:
        super().__init__(f"no hand-over of this task is offered to {actor}")
        self.actor = actor


class HandOverPending(Refused):
    rule = "hand-over-pending"

    def __init__(self, to_rider: str) -> None:
        super().__init__(f"it is offered to {to_rider} already")
        self.to_rider = to_rider


def decide_hand_over(task: CreatedTask, command: HandOverCommand, context: Context) -> list[TaskEvent]:
    match command:
        case OfferHandOver():
            return offer(task, command, context)
        case AcceptHandOver():
            return accept(task, command, context)
        case DeclineHandOver():
            offered = offered_to(task, context.actor)
            return [closed(offered, "declined", command.reason_code)]
        case WithdrawHandOver():
            return withdraw(task, command, context)
        case ExpireHandOver():
            pending = task.hand_over
            if pending is None or pending.round != command.round or context.now < pending.expires_at:
                return []
            return [closed(pending, "expired", None)]
        case RefuseHandOver():
            refused = offer_of(task, command.to_rider)
            return [] if refused is None else [closed(refused, "not_reserved", command.reason_code, command.overload)]
        case _:
            assert_never(command)


def offer(task: CreatedTask, command: OfferHandOver, context: Context) -> list[TaskEvent]:
    by_its_rider(task, context)
    must_keep_apart(task, command.to_rider, context)
    if task.ended or task.rider_id is None or not carried(task):
        raise NotInThisState(needed="goods in a rider's custody", actual=state_of(task))
    if any(stop.handed_over for stop in open_stops(task)):
        raise NotInThisState(needed="the proof of what has changed hands already", actual=state_of(task))
    if command.to_rider == task.rider_id:
        raise NotInThisState(needed="another rider", actual="the one who has it")
    if task.hand_over is not None:
        if task.hand_over.to_rider == command.to_rider:
            return []
        raise HandOverPending(task.hand_over.to_rider)
    return [
        HandOverOffered(
            from_rider=task.rider_id,
            to_rider=command.to_rider,
            round=task.round + 1,
            place=Personal(rider_subject(task.rider_id), command.place),
            reason_code=command.reason_code,
            expires_at=context.now + timedelta(seconds=context.policy.rules.hand_over_seconds),
        )
    ]


def accept(task: CreatedTask, command: AcceptHandOver, context: Context) -> list[TaskEvent]:
    """By when it was done: what was scanned while the offer stood is theirs, though it was told afterwards."""
    if context.actor == task.rider_id:
        return []
    offered = offer_of(task, RiderId(context.actor)) or in_time(task, command, context)
    if offered is None or task.rider_id is None:
        raise NotOfferedToYou(context.actor)
    goods = carried(task)
    if not goods:
        raise NotInThisState(needed="goods in a rider's custody", actual=state_of(task))
    missing = ids_of(p for p in goods if not is_scanned(task, p, command))
    if missing:
        raise HandOverIncomplete([*missing])
    taker, giver, task_round = offered.to_rider, task.rider_id, offered.round
    fix = None if command.fix is None else Personal(rider_subject(taker), command.fix)
    handed_over = ParcelsHandedOver(
        parcel_ids=ids_of(goods),
        from_party=Party(kind="rider", id=giver),
        to_party=Party(kind="rider", id=taker),
        fix=fix,
    )
    return [
        handed_over,
        TaskUnassigned(rider_id=giver, round=task.round, reason_code=HANDED_OVER),
        TaskAssigned(
            rider_id=taker, round=task_round, tender_id=None, offer_id=None, assigned_at=context.now, handed_over=True
        ),
        AssignmentAccepted(rider_id=taker),
    ]


def in_time(task: CreatedTask, command: AcceptHandOver, context: Context) -> HandOverState | None:
    """The offer that has lapsed, if they had the goods by then."""
    lapsed = task.lapsed
    if lapsed is None or lapsed.to_rider != context.actor or lapsed.round != task.round + 1:
        return None
    return lapsed if command.observed_at <= lapsed.expires_at else None


def with_closed(before: HandOverState | None, after: CreatedTask, events: list[TaskEvent]) -> list[TaskEvent]:
    """What is still offered as its task ends, or its goods are elsewhere, is offered no more."""
    answered = any(isinstance(event, (HandOverClosed, ParcelsHandedOver)) for event in events)
    if before is None or after.hand_over is not None or answered:
        return events
    return [*events, closed(before, "task_over", None)]


def is_scanned(task: CreatedTask, parcel: ParcelState, command: AcceptHandOver) -> bool:
    """What has no code to scan need not be."""
    scans = [scan for scan in command.scans if scan.parcel_id == parcel.parcel.parcel_id]
    if parcel.parcel.barcode is None:
        return True
    return any(problem_of_parcel(parcel, scan) is None for scan in scans)


def withdraw(task: CreatedTask, command: WithdrawHandOver, context: Context) -> list[TaskEvent]:
    by_its_rider(task, context)
    return [] if task.hand_over is None else [closed(task.hand_over, "withdrawn", command.reason_code)]


def by_its_rider(task: CreatedTask, context: Context) -> None:
    """Or by somebody who dispatches."""
    if context.role == "rider" and context.actor != task.rider_id:
        raise NotTheAssignee(context.actor)


def offer_of(task: CreatedTask, rider: RiderId) -> HandOverState | None:
    return task.hand_over if task.hand_over is not None and task.hand_over.to_rider == rider else None


def offered_to(task: CreatedTask, actor: str) -> HandOverState:
    offered = offer_of(task, RiderId(actor))
    if offered is None:
        raise NotOfferedToYou(actor)
    return offered


def closed(
    offered: HandOverState, end: HandOverEnd, reason_code: str | None, overload: Overload | None = None
) -> HandOverClosed:
    return HandOverClosed(
        to_rider=offered.to_rider, round=offered.round, end=end, reason_code=reason_code, overload=overload
    )
