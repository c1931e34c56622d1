"""What becomes of parcels apart from their stops: lost, damaged, received line by line, inspected on their return."""

from collections.abc import Iterable, Mapping, Sequence
from typing import assert_never

from commands.context import Context
from commands.field_reports import conflicted
from commands.refusals import TooMany
from commands.task_evolve import states_of
from commands.task_state import CreatedTask, LineState, ParcelState, ids_of, known_stop, line_of, only_for, state_of
from schemas.goods import (
    MAX_LINES,
    Discrepancy,
    InspectedLine,
    InspectionDifference,
    InspectionLine,
    InspectReturn,
    ParcelReport,
    ParcelsDamaged,
    ParcelsLost,
    Party,
    ReceiptLine,
    ReceivedLine,
    ReceiveTransfer,
    ReportParcelsDamaged,
    ReportParcelsLost,
    ReturnInspected,
    TransferReceived,
)
from schemas.message import NotInThisState, ParcelId, Refused
from schemas.task import TaskEvent

SPOILT = ("damaged", "defective", "spoiled")
NOBODY = Party(kind="nobody")


class ParcelNotKnown(Refused):
    rule = "unknown-parcel"
    stands_in = ("parcel_id", "parcel_ids")

    def __init__(self, parcel_id: str) -> None:
        super().__init__(f"the task has no parcel {parcel_id}")
        self.parcel_id = parcel_id


class ItemNotKnown(Refused):
    rule = "unknown-item"
    stands_in = ("sku",)
    is_about = ("lines",)

    def __init__(self, parcel_id: str, sku: str | None) -> None:
        what = "is told by its items" if sku is None else f"has no item {sku}"
        super().__init__(f"parcel {parcel_id} {what}")
        self.parcel_id = parcel_id
        self.sku = sku


class NotADropoff(Refused):
    rule = "stops-mismatch"
    stands_in = ("stop_id",)

    def __init__(self, stop_id: str) -> None:
        super().__init__(f"{stop_id} is no dropoff: goods are received at one")
        self.stop_id = stop_id


def decide_on_parcels(
    task: CreatedTask, command: ReportParcelsLost | ReportParcelsDamaged, context: Context
) -> list[TaskEvent]:
    known, unknown = told_of(task, command, context)
    parcels = [known_parcel(task, parcel_id) for parcel_id in known]
    if context.role == "rider" and context.actor != task.rider_id:
        return [conflicted(command, context, "reported by a rider who no longer has the task")]
    match command:
        case ReportParcelsLost():
            return [*lost(task, parcels, command, context), *not_known(unknown, command, context)]
        case ReportParcelsDamaged():
            return damaged(parcels, command)
        case _:
            assert_never(command)


def told_of(task: CreatedTask, command: ParcelReport, context: Context) -> tuple[list[ParcelId], list[ParcelId]]:
    """Those that it has, and those that it does not. Of what an incident says the one does not wait for the other."""
    told = list(dict.fromkeys(command.parcel_ids))
    known = [parcel_id for parcel_id in told if parcel_id in task.parcels]
    if not known or context.role != "system":
        return told, []
    return known, [parcel_id for parcel_id in told if parcel_id not in known]


def not_known(parcel_ids: list[ParcelId], command: ParcelReport, context: Context) -> list[TaskEvent]:
    if not parcel_ids:
        return []
    return [conflicted(command, context, f"the task has no parcels {', '.join(parcel_ids)}"[:500])]


def has_parcels(task: CreatedTask, parcel_ids: Iterable[ParcelId]) -> list[TaskEvent]:
    """Raises ParcelNotKnown."""
    for parcel_id in parcel_ids:
        known_parcel(task, parcel_id)
    return []


def lost(
    task: CreatedTask, parcels: list[ParcelState], command: ReportParcelsLost, context: Context
) -> list[TaskEvent]:
    """What has been handed over cannot be lost any more: somebody has to see what that means."""
    new = [parcel for parcel in parcels if parcel.status != "lost"]
    settled = [parcel for parcel in new if parcel.status in ("delivered", "returned", "disposed")]
    contradicted: list[TaskEvent] = []
    if settled:
        told = ", ".join(f"{parcel.parcel.parcel_id} is {parcel.status}" for parcel in settled)
        contradicted = [conflicted(command, context, f"of the parcels {told}"[:500])]
        new = [parcel for parcel in new if parcel not in settled]
    if new and task.ended:
        return [conflicted(command, context, f"the task is {state_of(task)}")]
    had: dict[tuple[str, str | None], list[ParcelState]] = {}
    for parcel in new:
        had.setdefault((parcel.party.kind, parcel.party.id), []).append(parcel)
    lost_now: list[TaskEvent] = [
        ParcelsLost(
            parcel_ids=ids_of(parcels),
            from_party=parcels[0].party,
            to_party=NOBODY,
            reason_code=command.reason_code,
            note=command.note,
            evidence=command.evidence,
        )
        for parcels in had.values()
    ]
    return [*lost_now, *contradicted]


def damaged(parcels: list[ParcelState], command: ParcelReport) -> list[TaskEvent]:
    new = [parcel for parcel in parcels if not parcel.damaged]
    if not new:
        return []
    return [
        ParcelsDamaged(
            parcel_ids=ids_of(new), reason_code=command.reason_code, note=command.note, evidence=command.evidence
        )
    ]


def receive_transfer(task: CreatedTask, command: ReceiveTransfer) -> list[TaskEvent]:
    only_for(task, command)
    stop = known_stop(task, command.stop_id)
    if stop.stop.kind != "dropoff":
        raise NotADropoff(command.stop_id)
    coming = [p for p in task.parcels.values() if p.parcel.dropoff_stop == command.stop_id]
    if not any(parcel.status == "delivered" for parcel in coming):
        raise NotInThisState(needed="a stop where goods have come", actual=stop.status)
    expected = {line: count for parcel in coming for line, count in expected_of(parcel).items()}
    told: dict[str, ReceiptLine] = {}
    for line in command.lines:
        known_parcel(task, line.parcel_id)
        made = receipt_line(line, expected)
        key = line_of(line.parcel_id, line.sku)
        if task.lines.get(key) != (LineState(line.received, line.condition),):
            told[key] = made
    within_bounds(task, told)
    if not told:
        return []
    complete = expected.keys() <= task.lines.keys() | told.keys()
    return [TransferReceived(stop_id=command.stop_id, lines=list(told.values()), complete=complete)]


def receipt_line(line: ReceivedLine, expected: Mapping[str, int]) -> ReceiptLine:
    due = expected.get(line_of(line.parcel_id, line.sku), 0)
    return ReceiptLine(
        parcel_id=line.parcel_id,
        sku=line.sku,
        expected=due,
        received=line.received,
        condition=line.condition,
        discrepancy=discrepancy_of(line, due),
        note=line.note,
    )


def discrepancy_of(line: ReceivedLine, expected: int) -> Discrepancy | None:
    if not expected:
        return "unexpected" if line.received else None
    if line.received < expected:
        return "short"
    if line.received > expected:
        return "over"
    return "damaged" if line.condition in SPOILT else None


def inspect_return(task: CreatedTask, command: InspectReturn) -> list[TaskEvent]:
    only_for(task, command)
    told: dict[str, list[InspectionLine]] = {}
    for line in command.lines:
        parcel = known_parcel(task, line.parcel_id)
        if parcel.status != "delivered":
            raise NotInThisState(needed="a parcel that has come back", actual=parcel.status)
        key = line_of(line.parcel_id, line.sku)
        if key not in expected_of(parcel):
            raise ItemNotKnown(line.parcel_id, line.sku)
        told.setdefault(key, []).append(inspection_line(line))
    new = {key: lines for key, lines in told.items() if task.lines.get(key) != states_of(lines)}
    within_bounds(task, new)
    if not new:
        return []
    back = [p for p in task.parcels.values() if p.status == "delivered"]
    expected = {line for parcel in back for line in expected_of(parcel)}
    complete = expected <= task.lines.keys() | new.keys()
    return [
        ReturnInspected(
            lines=[line for lines in new.values() for line in lines],
            differences=[d for lines in new.values() if (d := difference_of(lines, back)) is not None],
            complete=complete,
        )
    ]


def difference_of(lines: Sequence[InspectionLine], back: Iterable[ParcelState]) -> InspectionDifference | None:
    """Of one item."""
    first, inspected = lines[0], sum(line.quantity for line in lines)
    counts = {line: count for parcel in back for line, count in expected_of(parcel).items()}
    expected = counts[line_of(first.parcel_id, first.sku)]
    if inspected == expected:
        return None
    return InspectionDifference(
        parcel_id=first.parcel_id,
        sku=first.sku,
        expected=expected,
        inspected=inspected,
        discrepancy="short" if inspected < expected else "over",
    )


def inspection_line(line: InspectedLine) -> InspectionLine:
    return InspectionLine(
        parcel_id=line.parcel_id,
        sku=line.sku,
        quantity=line.quantity,
        condition=line.condition,
        disposition=line.disposition,
        note=line.note,
        evidence=line.evidence,
    )


def expected_of(parcel: ParcelState) -> dict[str, int]:
    """By `line_of`; a parcel without items is one line itself."""
    parcel_id = parcel.parcel.parcel_id
    if not parcel.parcel.items:
        return {line_of(parcel_id, None): 1}
    return {line_of(parcel_id, item.sku): item.quantity for item in parcel.parcel.items}


def within_bounds(task: CreatedTask, told: Mapping[str, object]) -> None:
    if len(task.lines.keys() | told.keys()) > MAX_LINES:
        raise TooMany("lines of a task's goods", MAX_LINES)


def known_parcel(task: CreatedTask, parcel_id: ParcelId) -> ParcelState:
    parcel = task.parcels.get(parcel_id)
    if parcel is None:
        raise ParcelNotKnown(parcel_id)
    return parcel
