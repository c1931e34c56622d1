"""From a dispatchable task to an award, or to the next round.

| fact                       | command                         | refused →                 | undone by              |
|----------------------------|---------------------------------|---------------------------|------------------------|
| TaskDispatchable, deciding | OpenTender (Tender)             |                           |                        |
|   with a window            | see windowing                   |                           |                        |
| TenderOpened               | RecordTender (each Task)        | WithdrawTender            |                        |
| ReservationRequested       | ReserveRider (Rider)            | RejectClaim (Tender)      | ExpireClaim            |
| RiderReserved, by tender   | AwardTender (Tender)            | ReleaseReservation        | ExpireReservation      |
| RiderReserved, by order    | ActivateReservation (Rider)     | UnassignTask              |                        |
| TenderAwarded              | AssignTask (each Task)          | ReleaseReservation of it  |                        |
| TaskAssigned, by tender    | ActivateReservation (Rider)     | UnassignTask              |                        |
| TaskAssigned, by order     | ReserveRider, Activate… (Rider) | UnassignTask              |                        |
|                            | WithdrawTender (Tender)         |                           |                        |
| TaskAssigned, handed over  | see hand_over                   |                           |                        |
| TenderExhausted, Withdrawn | CloseTender (each Task)         |                           |                        |
| TaskCancelled, other ends  | WithdrawTender (Tender)         |                           |                        |

Each task of a bundle goes its own way but for the rider's reservation, which is one for all: the first RiderReserved of
it awards the tender, or releases all of it.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from schemas.carried import TaskGivenToCarrier
from schemas.directory import TenantRules
from schemas.geo import Location
from schemas.ids import tender_id
from schemas.itinerary import Bundled, Placed
from schemas.load import NOTHING, Load
from schemas.message import OfferId, PlanId, RiderId, Source, TaskId, TenantSlug, TenderId
from schemas.rider import (
    ActivateReservation,
    NewPlannedStop,
    ReleaseReservation,
    ReservedToo,
    ReserveRider,
    RiderReserved,
)
from schemas.task import (
    RESERVATION_LOST,
    AssignTask,
    CloseTender,
    RecordTender,
    TaskAssigned,
    TaskCancelled,
    TaskCompleted,
    TaskDispatchable,
    TaskFailed,
    TaskForceCompleted,
    TenderOutcome,
    UnassignTask,
)
from schemas.task_kind import TaskKind
from schemas.tender import (
    AwardTender,
    OpenTender,
    RejectClaim,
    ReservationRequested,
    TenderAwarded,
    TenderExhausted,
    TenderOpened,
    TenderWithdrawn,
    WithdrawTender,
)
from streams.process import NotAllowed, Rule, Step


class KnownTask(msgspec.Struct, frozen=True, kw_only=True):
    """What reserving a rider needs to know of a task: its stops as the road ahead sees them."""

    task_id: TaskId
    round: int
    stops: list[NewPlannedStop]
    ahead: list[NewPlannedStop]
    """Those that are not over."""
    required_skills: list[str] = []
    aboard: Load = NOTHING
    """What its rider has of it."""
    kind: TaskKind = "delivery"
    meeting: Location | None = None
    """Where another rider is to take it over, if that is offered."""
    settled: bool = False
    """Somebody has it, it is over, or it waits again: nobody is sought any more."""
    held: bool = False
    """On hold, and nobody is asked: who was asked before goes on being asked."""


class Lookup(Protocol):
    """What processes look up. Each raises NotNow until it knows everything up to the asking fact."""

    async def task(self, tenant: TenantSlug, task_id: str, source: Source) -> KnownTask: ...

    async def rules(self, tenant: TenantSlug) -> TenantRules: ...

    async def claimed(self, tender: TenderId, offer: OfferId, source: Source) -> bool:
        """Whether the offer's claim still waits for its reservation."""
        ...


type Decide = Callable[[KnownTask, int, Source], Awaitable[OpenTender | None]]
"""Chooses whom to ask for a task in a round; None where the task is no longer to be dispatched."""


def deciding(lookup: Lookup, decide: Decide) -> list[Rule]:
    async def open_tender(event: TaskDispatchable, source: Source) -> Sequence[Step]:
        if event.simulated is not None or event.window_seconds is not None:
            return []  # see simulation and windowing
        task = await lookup.task(source.tenant, source.aggregate_id, source)
        if task.held and task.round == event.round and not task.settled:
            return [closing_unasked(task)]
        opening = await decide(task, event.round, source)
        if opening is None:
            return []
        tender = tender_id(TaskId(source.aggregate_id), event.round)
        return [Step(kind="tender", aggregate_id=tender, command=opening, purpose="open-tender")]

    return [Rule(TaskDispatchable, open_tender)]


def tendering(lookup: Lookup) -> list[Rule]:
    async def reserve_claimant(event: ReservationRequested, source: Source) -> Sequence[Step]:
        """Not again once the claim has its answer: a rider who was too busy then may be free by now."""
        tender = TenderId(source.aggregate_id)
        if not await lookup.claimed(tender, event.offer_id, source):
            return []
        task = await lookup.task(source.tenant, event.task_id, source)
        others = [await lookup.task(source.tenant, each.task_id, source) for each in event.bundle]
        placed = event.placed, event.ends_at
        return [reserve(event.rider_id, task, event.hold_until, tender, event.offer_id, *placed, others)]

    async def reserve_ordered(event: TaskAssigned, source: Source) -> Sequence[Step]:
        if event.handed_over or event.plan_id is not None:
            return []  # see hand_over and planning.committing
        if event.tender_id is not None:
            return [activate(event.rider_id, TaskId(source.aggregate_id), event.round)]
        task = await lookup.task(source.tenant, source.aggregate_id, source)
        if task.round != event.round or not task.ahead:
            return []
        rules = await lookup.rules(source.tenant)
        hold_until = source.recorded_at + timedelta(seconds=rules.hold_seconds)
        return [
            reserve(event.rider_id, task, hold_until, None, None),
            activate(event.rider_id, task.task_id, event.round),  # refused where the hold had passed before this came
        ]

    return [
        Rule(TenderOpened, record_tender, withdraw_outrun),
        Rule(ReservationRequested, reserve_claimant, reject_claim),
        Rule(RiderReserved, award_or_activate, release_or_unassign),
        Rule(TenderAwarded, assign_tasks, apart=True),
        Rule(TaskAssigned, reserve_ordered, unassign),
        Rule(TaskAssigned, withdraw_passed_over, not_opened),
        Rule(TenderExhausted, close_tender),
        Rule(TenderWithdrawn, close_tender),
        *(Rule(end, withdraw_tender) for end in (TaskCancelled, TaskForceCompleted, TaskCompleted, TaskFailed)),
    ]


def closing_unasked(task: KnownTask) -> Step:
    """It was put on hold before it was decided on: the next round comes with its release."""
    tender = tender_id(task.task_id, task.round)
    command = CloseTender(tender_id=tender, round=task.round, outcome="exhausted")
    return Step(kind="task", aggregate_id=task.task_id, command=command, purpose="on-hold")


def reserve(
    rider_id: RiderId,
    task: KnownTask,
    hold_until: datetime,
    tender: TenderId | None,
    offer: OfferId | None,
    placed: Sequence[Placed] = (),
    ends_at: datetime | None = None,
    others: Sequence[KnownTask] = (),
) -> Step:
    command = ReserveRider(
        task_id=task.task_id,
        round=task.round,
        tender_id=tender,
        offer_id=offer,
        hold_until=hold_until,
        required_skills=task.required_skills,
        stops=task.ahead,
        bundle=[
            ReservedToo(task_id=o.task_id, round=o.round, required_skills=o.required_skills, stops=o.ahead)
            for o in others
        ],
        placed=[*placed],
        ends_at=ends_at,
    )
    return Step(kind="rider", aggregate_id=rider_id, command=command, purpose="reserve")


def activate(rider_id: RiderId, task_id: TaskId, task_round: int) -> Step:
    command = ActivateReservation(task_id=task_id, round=task_round)
    return Step(kind="rider", aggregate_id=rider_id, command=command, purpose="activate")


def each_of(lead: TaskId, lead_round: int, bundle: Sequence[Bundled], purpose: str) -> Iterator[tuple[Bundled, str]]:
    """The task and those that go together with it, each with what its step is for."""
    yield Bundled(task_id=lead, round=lead_round), purpose
    for other in bundle:
        yield other, f"{purpose}-{other.task_id}"


async def record_tender(event: TenderOpened, source: Source) -> Sequence[Step]:
    tender = TenderId(source.aggregate_id)
    return [
        Step(
            kind="task",
            aggregate_id=each.task_id,
            command=RecordTender(tender_id=tender, round=each.round),
            purpose=purpose,
        )
        for each, purpose in each_of(event.task_id, event.round, event.bundle, "record-tender")
    ]


def withdraw_outrun(event: TenderOpened, source: Source, refused: NotAllowed) -> Sequence[Step]:
    """A task was settled before it knew of this tender: whoever was asked is asked in vain."""
    return [withdrawing(TenderId(source.aggregate_id))]


async def withdraw_passed_over(event: TaskAssigned, source: Source) -> Sequence[Step]:
    """An order settles what was offered; goods that are handed over were not offered any more."""
    if event.tender_id is not None or event.handed_over:
        return []
    if event.plan_id is not None:
        return [] if event.passed_over is None else [withdrawing(event.passed_over)]
    return [withdrawing(event.passed_over or tender_id(TaskId(source.aggregate_id), event.round))]


def not_opened(event: TaskAssigned | TaskGivenToCarrier, source: Source, refused: NotAllowed) -> Sequence[Step]:
    """It is not yet decided whom to ask: once it is, the task has outrun that."""
    return []


def reject_claim(event: ReservationRequested, source: Source, refused: NotAllowed) -> Sequence[Step]:
    command = RejectClaim(offer_id=event.offer_id, reason_code=refused.reason_code, overload=refused.overload)
    return [Step(kind="tender", aggregate_id=source.aggregate_id, command=command, purpose="reject-claim")]


async def award_or_activate(event: RiderReserved, source: Source) -> Sequence[Step]:
    if event.handed_over or is_by_plan(event):
        return []
    if event.tender_id is not None and event.lead is not None:
        return []  # the first one speaks for all
    if event.tender_id is None or event.offer_id is None:
        return [activate(RiderId(source.aggregate_id), event.task_id, event.round)]
    command = AwardTender(offer_id=event.offer_id)
    return [Step(kind="tender", aggregate_id=event.tender_id, command=command, purpose="award")]


def is_by_plan(event: RiderReserved) -> bool:
    """What follows then is the plan's to say."""
    return event.plan_id is not None


def release_or_unassign(event: RiderReserved, source: Source, refused: NotAllowed) -> Sequence[Step]:
    if event.tender_id is None:
        return [unassigning(event.task_id, event.round)]
    tasks = each_of(event.task_id, event.round, event.bundle, "release")
    return [release(source.aggregate_id, each, "not_awarded", purpose, event.tender_id) for each, purpose in tasks]


async def assign_tasks(event: TenderAwarded, source: Source) -> Sequence[Step]:
    """Of a task that was settled otherwise the reservation goes, of whatever round this tender was for; the others of
    its bundle stand."""
    if event.carrier_id is not None:
        return []  # see carrier_tenders
    command = AssignTask(rider_id=event.rider_id, tender_id=TenderId(source.aggregate_id), offer_id=event.offer_id)
    tasks = each_of(event.task_id, event.round, event.bundle, "")
    return [
        Step(
            kind="task",
            aggregate_id=each.task_id,
            command=command,
            purpose=f"assign{which}",
            otherwise=release(event.rider_id, each, "task_gone", f"release{which}", TenderId(source.aggregate_id)),
        )
        for each, which in tasks
    ]


CANNOT_RESERVE = "cannot-reserve"
"""The rule by which a rider may not be given it now."""


def unassign(event: TaskAssigned, source: Source, refused: NotAllowed) -> Sequence[Step]:
    """By why they cannot be reserved; or the hold had passed."""
    reason = refused.reason_code if refused.rule == CANNOT_RESERVE else RESERVATION_LOST
    return [unassigning(TaskId(source.aggregate_id), event.round, reason)]


def unassigning(task_id: TaskId, task_round: int, reason_code: str = RESERVATION_LOST) -> Step:
    command = UnassignTask(reason_code=reason_code, round=task_round)
    return Step(kind="task", aggregate_id=task_id, command=command, purpose="unassign")


def release(
    rider_id: str,
    task: Bundled,
    reason_code: str,
    purpose: str,
    tender_id: TenderId | None = None,
    plan_id: PlanId | None = None,
) -> Step:
    command = ReleaseReservation(
        task_id=task.task_id, round=task.round, reason_code=reason_code, tender_id=tender_id, plan_id=plan_id
    )
    return Step(kind="rider", aggregate_id=rider_id, command=command, purpose=purpose)


async def close_tender(event: TenderExhausted | TenderWithdrawn, source: Source) -> Sequence[Step]:
    outcome: TenderOutcome = "exhausted" if isinstance(event, TenderExhausted) else "withdrawn"
    tender, bundled = TenderId(source.aggregate_id), bool(event.bundle)
    return [
        Step(
            kind="task",
            aggregate_id=each.task_id,
            command=CloseTender(tender_id=tender, round=each.round, outcome=outcome, bundled=bundled),
            purpose=purpose,
        )
        for each, purpose in each_of(event.task_id, event.round, event.bundle, "close-tender")
    ]


async def withdraw_tender(
    event: TaskCancelled | TaskForceCompleted | TaskCompleted | TaskFailed, source: Source
) -> Sequence[Step]:
    return [] if event.tender_id is None else [withdrawing(event.tender_id)]


def withdrawing(tender: TenderId) -> Step:
    command = WithdrawTender(reason_code="task_gone")
    return Step(kind="tender", aggregate_id=tender, command=command, purpose="withdraw-tender")
