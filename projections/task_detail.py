"""What is known of this one task: its stops, its parcels and where they are, its proofs, who has it?"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from projections.model import Fact, Key, ReadModel, by_aggregate
from projections.page import Page
from projections.sealed import told
from projections.task_incidents import OPEN
from projections.task_progress import OVER, Dependency, Progress, leg_of, needs_location, nowhere, progressed, state_of
from projections.task_proofs import ProofRow, proofs_after
from schemas.carried import TaskGivenToCarrier, TaskTakenFromCarrier
from schemas.catalog import members_of
from schemas.geocoding import StopLocationSought, StopNeedsLocation
from schemas.goods import (
    InspectionLine,
    ParcelsDamaged,
    ParcelsLost,
    Party,
    ReceiptLine,
    ReturnInspected,
    TransferReceived,
)
from schemas.hand_over import HandOverClosed, HandOverOffered, ParcelsHandedOver
from schemas.message import Event, Source
from schemas.proof import PinRejected, ProofDisputed, ProofDisputeSettled
from schemas.simulation import Simulation
from schemas.stop import Parcel, Stop
from schemas.stop_events import (
    CustomerArrived,
    CustomerOnTheWay,
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
)
from schemas.task import (
    FieldReportConflicted,
    FieldReportReviewed,
    GoodsReadyUpdated,
    ReturnAuthorised,
    StopLocated,
    StopRescheduled,
    TaskAssigned,
    TaskCancelled,
    TaskCreated,
    TaskEvent,
    TaskUnassigned,
)
from schemas.template import CloneRefused, TaskCloned

TABLE = """
CREATE TABLE {table} (
    tenant             text        NOT NULL,
    task_id            text        NOT NULL,
    outlet             text        NOT NULL,
    kind               text        NOT NULL,
    priority           text        NOT NULL,
    required_skills    jsonb       NOT NULL,
    authorisation      text,
    held               text,
    needs_location     boolean     NOT NULL,
    sla_at_risk        boolean     NOT NULL,
    sla_breached       boolean     NOT NULL,
    dependencies       jsonb       NOT NULL,
    dispatch_at        timestamptz,
    state              text        NOT NULL,
    leg                text,
    stops              jsonb       NOT NULL,
    parcels            jsonb       NOT NULL,
    hand_over          jsonb,
    unassigned         jsonb,
    cancelled          jsonb,
    lines              jsonb       NOT NULL,
    proofs             jsonb       NOT NULL,
    proof_disputed     boolean     NOT NULL,
    conflicts          jsonb       NOT NULL,
    tracking_code      text        NOT NULL,
    external_reference text,
    source             text        NOT NULL,
    shipment_id        text,
    cloned_from        text,
    recurrence_id      text,
    simulation         jsonb,
    clones             jsonb       NOT NULL,
    metadata           jsonb       NOT NULL,
    created_by         text        NOT NULL,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    version            bigint      NOT NULL,
    progress           jsonb       NOT NULL,
    PRIMARY KEY (tenant, task_id)
);
CREATE INDEX ON {table} (tenant, created_at, task_id)
    WHERE state NOT IN ('completed', 'failed', 'cancelled', 'returned')
"""

MAX_CONFLICTS = 50
MAX_CUSTODY = 50
"""The latest changes of hands of a parcel."""


class HandedOn(msgspec.Struct, frozen=True, kw_only=True):
    """A change of hands, and by which fact."""

    at: datetime
    fact: str
    from_party: Party
    to_party: Party
    stop_id: str | None = None


class ParcelRow(msgspec.Struct, frozen=True, kw_only=True):
    """`custody` is the chain of who had it, the oldest first, from whoever gave it out."""

    parcel: Parcel
    party: Party
    status: str = "expected"
    short: bool = False
    refused: bool = False
    damaged: bool = False
    bound_for: str | None = None
    """The hold that it is brought to, or waits at."""
    custody: list[HandedOn] = []


class HandOverRow(msgspec.Struct, frozen=True, kw_only=True):
    """Offered to another rider, and not answered yet."""

    to_rider: str
    place: dict[str, Any]
    """Where the two meet, sealed."""
    reason_code: str
    expires_at: datetime


class LineRow(msgspec.Struct, frozen=True, kw_only=True):
    """What was received of a transfer, or found of a return, of one item; without a `sku` of the parcel itself."""

    parcel_id: str
    sku: str | None
    quantity: int
    condition: str
    expected: int | None = None
    discrepancy: str | None = None
    disposition: str | None = None
    note: str | None = None
    evidence: list[str] = []


class ConflictRow(msgspec.Struct, frozen=True, kw_only=True):
    """`decision_code` once somebody has looked at it."""

    conflict_id: str
    report: str
    stop_id: str | None
    rider_id: str | None
    carrier_id: str | None = None
    observed_at: datetime
    conflict: str
    decision_code: str | None = None


class CloneRow(msgspec.Struct, frozen=True, kw_only=True):
    """A task that was made from this one; `refused` says which rule said no to it, where one did."""

    task_id: str
    at: datetime
    refused: str | None = None
    reason_code: str | None = None


class UndoneRow(msgspec.Struct, frozen=True, kw_only=True):
    """By whom, when and why; `rider_id` or `carrier_id` is who had it."""

    by: str
    at: datetime
    reason_code: str
    rider_id: str | None = None
    carrier_id: str | None = None


class TaskDetailRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    task_id: str
    outlet: str
    kind: str
    priority: str
    required_skills: list[str]
    authorisation: str | None
    """Of a return; None while it waits for one."""
    held: str | None = None
    needs_location: bool = False
    """A person has to tell where one of its stops is: `needs_location` of the stop says why, and which places it may
    be."""
    sla_at_risk: bool = False
    sla_breached: bool = False
    """Why it is kept from dispatch, if it is."""
    dependencies: Mapping[str, Dependency] = {}
    """The tasks and the pick wave that it waits for, or has waited for, by their ids."""
    dispatch_at: datetime | None = None
    """When it comes to dispatch, while it waits for that."""
    state: str
    leg: str | None = None
    stops: list[dict[str, Any]]
    """As they were created and have changed since, personal data sealed."""
    parcels: Mapping[str, ParcelRow]
    hand_over: HandOverRow | None = None
    unassigned: UndoneRow | None = None
    """While nobody else has it: that it was somebody's, maybe for a moment, and is not any more."""
    cancelled: UndoneRow | None = None
    """Also while its goods are still on their way back for it."""
    lines: list[LineRow] = []
    """Of a receipt or an inspection."""
    proofs: list[ProofRow] = []
    proof_disputed: bool = False
    """A proof was rejected after its stop had completed."""
    conflicts: list[ConflictRow] = []
    tracking_code: str
    external_reference: str | None
    source: str
    shipment_id: str | None
    cloned_from: str | None = None
    recurrence_id: str | None = None
    """Of which it is an occurrence, if it is one."""
    simulation: Simulation | None = None
    """What its simulated courier is to do with it, if it has one."""
    clones: list[CloneRow] = []
    metadata: dict[str, str]
    created_by: str
    """The id of the command that did, from which all is derived that was drawn for it."""
    created_at: datetime
    updated_at: datetime
    version: int
    progress: Progress


def apply(row: TaskDetailRow | None, fact: Fact, key: Key) -> TaskDetailRow:
    event, source = fact.event, fact.source
    if isinstance(event, TaskCreated):
        row = created(event, fact)
    assert row is not None, "a task's first event creates it"
    progress = progressed(row.progress, event, source.event_time)
    row = replace(
        row,
        state=state_of(progress),
        leg=leg_of(progress),
        held=progress.held,
        needs_location=needs_location(progress),
        sla_at_risk=bool(progress.at_risk),
        sla_breached=bool(progress.breached),
        dependencies=progress.dependencies,
        dispatch_at=progress.dispatch_at,
        updated_at=source.recorded_at,
        version=source.version,
        progress=progress,
    )
    row = with_clones(with_places(with_undone(row, event, source), event), event, source.event_time)
    return with_proofs(with_goods(row, event, source.event_time), event, source.event_time)


def unlocated(stop: Stop) -> dict[str, Any]:
    """Of a stop that has neither a place nor an address: nobody is asked for it."""
    if not nowhere([stop]):
        return {}
    return {"needs_location": {"reason_code": "no_address", "source": None, "candidates": []}}


def created(event: TaskCreated, fact: Fact) -> TaskDetailRow:
    parties = {stop.stop_id: stop.party for stop in event.stops}
    return TaskDetailRow(
        tenant=fact.source.tenant,
        task_id=fact.source.aggregate_id,
        outlet=event.outlet,
        kind=event.kind,
        priority=event.priority,
        required_skills=event.required_skills,
        authorisation=event.authorisation,
        state="created",
        stops=[told(stop) | pin_of(stop, event.pin_attempts) | unlocated(stop) for stop in event.stops],
        parcels={p.parcel_id: ParcelRow(parcel=p, party=parties[p.pickup_stop]) for p in event.parcels},
        tracking_code=event.tracking_code,
        external_reference=event.external_reference,
        source=event.source,
        shipment_id=event.shipment_id,
        cloned_from=event.cloned_from,
        recurrence_id=event.recurrence_id,
        simulation=event.simulation,
        metadata=event.metadata,
        created_by=fact.source.command_id,
        created_at=fact.source.recorded_at,
        updated_at=fact.source.recorded_at,
        version=fact.source.version,
        progress=Progress(),
    )


def pin_of(stop: Stop, attempts: int) -> dict[str, int]:
    """Of a stop that asks for a PIN, how often it may still be tried."""
    return {"pin_attempts_left": attempts} if any("pin" in group for group in stop.required_proof) else {}


def with_undone(row: TaskDetailRow, event: Event, source: Source) -> TaskDetailRow:
    by, at = source.actor, source.event_time
    match event:
        case TaskAssigned() | TaskGivenToCarrier():
            return replace(row, unassigned=None)
        case TaskUnassigned(rider_id=rider, reason_code=reason):
            return replace(row, unassigned=UndoneRow(by=by, at=at, reason_code=reason, rider_id=rider))
        case TaskTakenFromCarrier(carrier_id=carrier, reason_code=reason):
            return replace(row, unassigned=UndoneRow(by=by, at=at, reason_code=reason, carrier_id=carrier))
        case ReturnStarted(cancelled=True, reason_code=reason, rider_id=rider, carrier_id=carrier):
            undone = UndoneRow(by=by, at=at, reason_code=reason, rider_id=rider, carrier_id=carrier)
            return replace(row, cancelled=undone)
        case TaskCancelled(reason_code=reason, rider_id=rider):
            return replace(row, cancelled=UndoneRow(by=by, at=at, reason_code=reason, rider_id=rider))
        case _:
            return row


def with_places(row: TaskDetailRow, event: Event) -> TaskDetailRow:
    match event:
        case StopLocated():
            place = told(event.location, StopLocated.__name__, "location")
            by = {"source": event.source, "confidence": event.confidence, "reason_code": event.reason_code}
            located = {"location": place, "from_directory": False, "located_by": by, "needs_location": None}
            return with_stop(row, event.stop_id, located)
        case StopLocationSought():
            return with_stop(row, event.stop_id, {"needs_location": None})
        case StopNeedsLocation():
            why = {"reason_code": event.reason_code, "source": event.source, "candidates": told(event.candidates)}
            return with_stop(row, event.stop_id, {"needs_location": why})
        case StopRescheduled():
            return with_stop(row, event.stop_id, {"window": msgspec.to_builtins(event.window)})
        case GoodsReadyUpdated():
            ready = {"goods_ready_at": msgspec.to_builtins(event.ready_at), "goods_ready": event.actual}
            return with_stop(row, event.stop_id, ready)
        case CustomerOnTheWay():
            return with_stop(row, event.stop_id, {"expected_at": msgspec.to_builtins(event.expected_at)})
        case CustomerArrived():
            where = {name: told(getattr(event, name), CustomerArrived.__name__, name) for name in ("spot", "vehicle")}
            return with_stop(row, event.stop_id, where)
        case HandOverOffered():
            offered = HandOverRow(
                to_rider=event.to_rider,
                place=told(event.place, HandOverOffered.__name__, "place"),
                reason_code=event.reason_code,
                expires_at=event.expires_at,
            )
            return replace(row, hand_over=offered)
        case HandOverClosed() | TaskUnassigned():
            return replace(row, hand_over=None)
        case ReturnAuthorised():
            return replace(row, authorisation=event.authorisation)
        case ReturnStarted():
            back = replace(row, stops=[*row.stops, told(event.stop)])
            return with_parcels(back, event.parcel_ids, bound_for=event.stop.stop_id)
        case HoldStarted():
            held = replace(row, stops=[*row.stops, told(event.stop)])
            return with_parcels(held, event.parcel_ids, bound_for=event.stop.stop_id)
        case ReattemptPlanned():
            return ahead_again(row, event)
        case _:
            return row


def with_clones(row: TaskDetailRow, event: Event, at: datetime) -> TaskDetailRow:
    match event:
        case TaskCloned():
            return replace(row, clones=[*row.clones, CloneRow(task_id=event.clone_id, at=at)])
        case CloneRefused():
            clones, place = list(row.clones), event.number - 1
            clones[place] = replace(clones[place], refused=event.rule, reason_code=event.reason_code)
            return replace(row, clones=clones)
        case _:
            return row


def ahead_again(row: TaskDetailRow, event: ReattemptPlanned) -> TaskDetailRow:
    window = {} if event.window is None else {"window": msgspec.to_builtins(event.window)}
    rest = [stop for stop in row.stops if stop["stop_id"] not in event.stop_ids]
    again = [stop | window for stop in row.stops if stop["stop_id"] in event.stop_ids]
    parcels = dict(row.parcels)
    for parcel_id in event.parcel_ids:
        known = parcels[parcel_id]
        parcel = replace(known.parcel, pickup_stop=event.pickup.stop_id)
        parcels[parcel_id] = replace(known, parcel=parcel, status="expected", bound_for=None)
    return replace(row, stops=[*rest, told(event.pickup), *again], parcels=parcels)


def with_stop(row: TaskDetailRow, stop_id: str, changes: dict[str, Any]) -> TaskDetailRow:
    return replace(row, stops=[stop | changes if stop["stop_id"] == stop_id else stop for stop in row.stops])


def with_goods(row: TaskDetailRow, event: Event, at: datetime) -> TaskDetailRow:
    match event:
        case ParcelsPickedUp():
            return handed_on(row, event, at, "in_custody")
        case ParcelsDelivered():
            return handed_on(row, event, at, "delivered")
        case ParcelsHandedOver():
            return handed_on(row, event, at, None)
        case ParcelsHeld():
            return handed_on(row, event, at, "in_custody")
        case ParcelsReturned():
            return handed_on(row, event, at, "returned")
        case ParcelsLost():
            return handed_on(row, event, at, "lost")
        case ParcelsWrittenOff():
            return handed_on(row, event, at, event.disposition)
        case ParcelsShort():
            return with_parcels(row, event.parcel_ids, short=True)
        case ParcelsRefused():
            return with_parcels(row, event.parcel_ids, refused=True, status="refused")
        case ParcelsDamaged():
            return with_parcels(row, event.parcel_ids, damaged=True)
        case TransferReceived():
            return with_lines(row, [received(line) for line in event.lines])
        case ReturnInspected():
            return with_lines(row, [inspected(line) for line in event.lines])
        case FieldReportConflicted():
            conflict = ConflictRow(
                conflict_id=event.conflict_id,
                report=event.report,
                stop_id=event.stop_id,
                rider_id=event.rider_id,
                carrier_id=event.carrier_id,
                observed_at=event.observed_at,
                conflict=event.conflict,
            )
            return replace(row, conflicts=latest([*row.conflicts, conflict]))
        case FieldReportReviewed():
            return replace(row, conflicts=[reviewed(each, event) for each in row.conflicts])
        case _:
            return row


def with_proofs(row: TaskDetailRow, event: Event, at: datetime) -> TaskDetailRow:
    begun = {stop_id for stop_id, stop in row.progress.stops.items() if stop.status not in OVER}
    disputed = row.proof_disputed or isinstance(event, ProofDisputed)
    if isinstance(event, ProofDisputeSettled):
        disputed = False
    if isinstance(event, PinRejected):
        row = with_stop(row, event.stop_id, {"pin_attempts_left": event.attempts_left})
    proofs = proofs_after(row.proofs, event, at, begun)
    return replace(row, proofs=proofs, proof_disputed=disputed)


def latest(conflicts: list[ConflictRow]) -> list[ConflictRow]:
    """Of those that are too many one that was reviewed goes first."""
    if len(conflicts) <= MAX_CONFLICTS:
        return conflicts
    gone = next((each for each in conflicts if each.decision_code is not None), conflicts[0])
    return [each for each in conflicts if each is not gone]


def reviewed(conflict: ConflictRow, event: FieldReportReviewed) -> ConflictRow:
    if conflict.conflict_id != event.conflict_id:
        return conflict
    return replace(conflict, decision_code=event.decision_code)


type HandingOn = (
    ParcelsPickedUp
    | ParcelsHandedOver
    | ParcelsDelivered
    | ParcelsHeld
    | ParcelsReturned
    | ParcelsLost
    | ParcelsWrittenOff
)


def handed_on(
    row: TaskDetailRow,
    event: ParcelsPickedUp
    | ParcelsHandedOver
    | ParcelsDelivered
    | ParcelsHeld
    | ParcelsReturned
    | ParcelsLost
    | ParcelsWrittenOff,
    at: datetime,
    status: str | None,
) -> TaskDetailRow:
    changed = dict(row.parcels)
    for parcel_id in event.parcel_ids:
        parcel = changed[parcel_id]
        link = HandedOn(
            at=at,
            fact=type(event).__name__,
            from_party=parcel.party,
            to_party=event.to_party,
            stop_id=getattr(event, "stop_id", None),
        )
        custody = [*parcel.custody, link][-MAX_CUSTODY:]
        changed[parcel_id] = replace(parcel, party=event.to_party, status=status or parcel.status, custody=custody)
    return replace(row, parcels=changed)


def received(line: ReceiptLine) -> LineRow:
    return LineRow(
        parcel_id=line.parcel_id,
        sku=line.sku,
        quantity=line.received,
        condition=line.condition,
        expected=line.expected,
        discrepancy=line.discrepancy,
        note=line.note,
    )


def inspected(line: InspectionLine) -> LineRow:
    return LineRow(
        parcel_id=line.parcel_id,
        sku=line.sku,
        quantity=line.quantity,
        condition=line.condition,
        disposition=line.disposition,
        note=line.note,
        evidence=line.evidence,
    )


def with_lines(row: TaskDetailRow, lines: list[LineRow]) -> TaskDetailRow:
    """What is told again of an item stands in place of what was."""
    told = {(line.parcel_id, line.sku) for line in lines}
    kept = [line for line in row.lines if (line.parcel_id, line.sku) not in told]
    return replace(row, lines=[*kept, *lines])


def with_parcels(row: TaskDetailRow, parcel_ids: list[Any], **changes: object) -> TaskDetailRow:
    changed = {parcel_id: replace(row.parcels[parcel_id], **changes) for parcel_id in parcel_ids}
    return replace(row, parcels={**row.parcels, **changed})


TASK_DETAIL = ReadModel(
    name="task_detail",
    version=12,
    table=TABLE,
    row=TaskDetailRow,
    key=("tenant", "task_id"),
    events=frozenset(members_of(TaskEvent)),
    keys=by_aggregate,
    apply=apply,
)

ONE = "SELECT * FROM task_detail WHERE tenant = %s AND task_id = %s"
SOME = "SELECT * FROM task_detail WHERE tenant = %s AND task_id = ANY(%s)"


PAGE = f"""
WITH troubled AS MATERIALIZED ({OPEN})
SELECT task_detail.*, task_id IN (SELECT task_id FROM troubled) AS incident_open
FROM task_detail
WHERE tenant = %(tenant)s AND state NOT IN ('completed', 'failed', 'cancelled', 'returned')
  AND (
    %(incident_open)s::boolean IS NULL OR (task_id IN (SELECT task_id FROM troubled)) = %(incident_open)s
  )
  AND (%(rider_id)s::text IS NULL OR progress ->> 'rider_id' = %(rider_id)s)
  AND (%(reference)s::text IS NULL OR external_reference = %(reference)s)
  AND (%(metadata)s::jsonb IS NULL OR metadata @> %(metadata)s::jsonb)
  AND (%(updated_since)s::timestamptz IS NULL OR updated_at >= %(updated_since)s)
  AND (%(at)s::timestamptz IS NULL OR (created_at, task_id) > (%(at)s, %(id)s))
ORDER BY created_at, task_id
LIMIT %(limit)s
"""

LED_TO = """
SELECT DISTINCT stop.value -> 'party' ->> 'id'
FROM task_board AS board
JOIN task_detail AS detail USING (tenant, task_id), jsonb_array_elements(detail.stops) AS stop
WHERE tenant = %(tenant)s AND board.rider_id = %(rider_id)s
  AND (board.state NOT IN ('completed', 'failed', 'cancelled', 'returned') OR board.updated_at > %(ended_since)s)
  AND detail.progress ->> 'rider_id' = %(rider_id)s
  AND stop.value -> 'party' ->> 'kind' = ANY(%(kinds)s)
  AND CASE WHEN detail.progress ->> 'ended' IS NULL THEN (detail.progress -> 'accepted')::boolean
           ELSE (detail.progress ->> 'ended_at')::timestamptz > %(ended_since)s END
"""


page = Page(PAGE)
"""The tasks under way, oldest first."""


async def led_to(
    connection: AsyncConnection, tenant: str, kinds: Sequence[str], rider_id: str, ended_since: datetime
) -> frozenset[str]:
    """Slugs of the places of those kinds where stops of the rider's tasks are: from the acceptance on, and until they
    have ended so long ago."""
    asked = {"tenant": tenant, "kinds": [*kinds], "rider_id": rider_id, "ended_since": ended_since}
    cursor = await connection.execute(LED_TO, asked)
    return frozenset(slug for (slug,) in await cursor.fetchall())


async def one(connection: AsyncConnection, tenant: str, task_id: str) -> dict[str, Any] | None:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(ONE, (tenant, task_id))
        return await cursor.fetchone()


async def some(connection: AsyncConnection, tenant: str, task_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Of those that are known."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SOME, (tenant, list(task_ids)))
        return {row["task_id"]: row for row in await cursor.fetchall()}
