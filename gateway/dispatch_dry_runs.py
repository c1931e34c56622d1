"""What dispatch would decide now by other rules, beside what it would by those in force. Nothing is recorded, and
nobody is asked."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import msgspec

from gateway.allowed import DRY_RUNNERS
from gateway.call import Call
from gateway.commands import tenant_of
from gateway.door import Door
from gateway.entry import Entry
from gateway.parameters import parameters_of
from gateway.problems import FieldError, Problem
from gateway.queries import nothing, vector_header
from gateway.reading import Connection, Reading, Row, answering
from gateway.reply import Reply, json_reply
from gateway.validation import decoded, invalid, pointer
from projections.rider_roster import RIDER_ROSTER
from projections.task_board import TASK_BOARD, standing, waiting
from projections.task_detail import TASK_DETAIL
from projections.tender_board import TENDER_BOARD
from schemas.carrier_offer import CarrierCandidate
from schemas.dispatch_rules import Asked, DispatchRules, TenderMode
from schemas.message import CarrierId, Id, Input, RiderId, TaskId, TenantSlug
from schemas.money import Money
from schemas.position import Vector
from schemas.tender import Candidate, ScoreParts
from streams.dispatch.dry_run import ByBoth, Would

ROUTE = "/v1/{tenant}/dispatch-dry-runs"
ABOUT = (
    "Whom dispatch would put first at this moment for tasks that wait for a rider, by the rules in force and by those "
    "given; what is left out of these stays as it is in force, also within `filters` and `weights`. Without `tasks` "
    "those that are due first. Each is decided on by itself in its present round, also where tasks are given by "
    "windows. Nothing is recorded, and nobody is asked but whom the tenant asks for ways. A tenant has one dry run at "
    "a time."
)
MOST_TASKS = 10
WAITING = frozenset({"dispatchable", "offering"})
READ = (TASK_DETAIL, TENDER_BOARD, RIDER_ROSTER)


class DryRunAsked(Input, frozen=True, kw_only=True):
    """`rules` as in `dispatch` of a tenant's rules."""

    rules: DispatchRules
    tasks: Annotated[list[Id], msgspec.Meta(min_length=1, max_length=MOST_TASKS)] | None = None


class FirstRider(msgspec.Struct, frozen=True, kw_only=True):
    rider_id: RiderId
    score: float
    parts: ScoreParts | None


class FirstCarrier(msgspec.Struct, frozen=True, kw_only=True):
    """Without a `price` the carrier would say one."""

    carrier_id: CarrierId
    service_level: str
    price: Money | None


class WouldBeDecided(msgspec.Struct, frozen=True, kw_only=True):
    """`able` could do it, `excluded` counts the others by what shuts them out. Who is not asked in this round (`to`)
    is not looked at."""

    mode: TenderMode
    to: Asked
    first: FirstRider | None
    able: int
    excluded: dict[str, int]
    first_carrier: FirstCarrier | None
    able_carriers: int
    carriers_excluded: dict[str, int]


class TaskDryRun(msgspec.Struct, frozen=True, kw_only=True):
    """`same_first`: the same rider and the same carrier come first, or nobody by either."""

    task_id: TaskId
    round: int
    in_force: WouldBeDecided
    given: WouldBeDecided
    same_first: bool


class DryRunTold(msgspec.Struct, frozen=True, kw_only=True):
    tasks: list[TaskDryRun]


decoder = msgspec.json.Decoder(DryRunAsked)


class DispatchDryRuns:
    def __init__(self, door: Door, entry: Entry, reading: Reading) -> None:
        self._door, self._entry, self._reading = door, entry, reading
        self._under_way: set[TenantSlug] = set()

    async def post(self, call: Call) -> Reply:
        self._entry.admitted(call, DRY_RUNNERS, "ask what dispatch would decide by other rules")
        parameters_of(call, {})
        body = await call.body(self._door.limits.body_bytes)
        asked = decoded(decoder, DryRunAsked, body)
        given: Mapping[str, Any] = msgspec.json.decode(body)["rules"]
        tenant = TenantSlug(tenant_of(call))
        with self._alone(tenant), answering():
            tasks, at = await self._tasks(call, tenant, asked.tasks)
            told = await self._door.dry_runs.decided(tenant, tasks, given)
        if asked.tasks is not None and (lost := [task for task in asked.tasks if task not in told]):
            raise not_waiting(asked.tasks, dict.fromkeys(lost, "has no stop ahead whose place is known"))
        answer = DryRunTold(tasks=[dry_run_of(task, both) for task, both in told.items()])
        return json_reply(answer, headers=[vector_header(at), (b"cache-control", b"no-store")])

    @contextmanager
    def _alone(self, tenant: TenantSlug) -> Iterator[None]:
        """Deciding is work for the processor that answers everybody. Raises Problem."""
        if tenant in self._under_way:
            raise Problem("dry-run-under-way", f"another dry run of {tenant} is under way")
        self._under_way.add(tenant)
        try:
            yield
        finally:
            self._under_way.remove(tenant)

    async def _tasks(self, call: Call, tenant: TenantSlug, named: Sequence[str] | None) -> tuple[list[TaskId], Vector]:
        """As new as the request asks for. Raises Problem where one that is named does not wait."""
        for model in READ:
            await self._reading.fresh(call, model, nothing)
        if named is None:
            found, at = await self._reading.fresh(call, TASK_BOARD, lambda c: waiting(c, tenant, MOST_TASKS))
            return [TaskId(task) for task in found], at

        async def query(connection: Connection) -> dict[str, Row]:
            return await standing(connection, tenant, named)

        rows, at = await self._reading.fresh(call, TASK_BOARD, query)
        wrong = {task: why for task in named if (why := why_not(rows.get(task))) is not None}
        if wrong:
            raise not_waiting(named, wrong)
        return [TaskId(task) for task in dict.fromkeys(named)], at


def why_not(row: Row | None) -> str | None:
    """What keeps a task from waiting for a rider."""
    if row is None:
        return "is no task that is known here"
    if row["state"] not in WAITING:
        return f"does not wait for a rider: it is {row['state']}"
    if row["held"] is not None:
        return "does not wait for a rider: it is on hold"
    return "does not wait for a rider: it is simulated" if row["simulated"] else None


def not_waiting(named: Sequence[str], wrong: Mapping[str, str]) -> Problem:
    return invalid([FieldError(pointer(("tasks", at)), wrong[task]) for at, task in enumerate(named) if task in wrong])


def dry_run_of(task_id: TaskId, both: ByBoth) -> TaskDryRun:
    in_force, given = would_be(both.in_force), would_be(both.given)
    return TaskDryRun(
        task_id=task_id,
        round=both.in_force.opening.round,
        in_force=in_force,
        given=given,
        same_first=firsts(in_force) == firsts(given),
    )


def would_be(would: Would) -> WouldBeDecided:
    opening = would.opening
    excluded = Counter(each.code for each in opening.excluded) + Counter(opening.more_excluded)
    others = opening.others
    return WouldBeDecided(
        mode=opening.mode,
        to=would.to,
        first=first_rider(opening.candidates[0]) if opening.candidates else None,
        able=len(opening.candidates) + len(others.rider_ids) + others.more,
        excluded=dict(sorted(excluded.items())),
        first_carrier=first_carrier(opening.carriers[0]) if opening.carriers else None,
        able_carriers=len(opening.carriers),
        carriers_excluded=dict(sorted(Counter(each.code for each in opening.carriers_excluded).items())),
    )


def first_rider(best: Candidate) -> FirstRider:
    return FirstRider(rider_id=best.rider_id, score=best.score, parts=best.parts)


def first_carrier(best: CarrierCandidate) -> FirstCarrier:
    terms = best.terms
    return FirstCarrier(carrier_id=best.carrier_id, service_level=terms.service_level, price=terms.price)


def firsts(would: WouldBeDecided) -> tuple[RiderId | None, CarrierId | None]:
    rider, carrier = would.first, would.first_carrier
    return None if rider is None else rider.rider_id, None if carrier is None else carrier.carrier_id
