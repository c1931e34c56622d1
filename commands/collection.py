"""Collection: the recipient comes for the goods, and who works at the outlet says how far that has come."""

from typing import assert_never

from commands.context import Context
from commands.field_reports import capture_proof, conflict_of, conflicted, named, with_proofs
from commands.proof import subject_of
from commands.task_state import OVER, CreatedTask, StopState, ids_of, parcels_of, taker_at
from schemas.field_report import CollectionReport, ReportCollected, ReportCustomerArrived, ReportCustomerOnTheWay
from schemas.message import Personal
from schemas.stop_events import (
    CustomerArrived,
    CustomerOnTheWay,
    ParcelsDelivered,
    ParcelsRefused,
    ParcelsShort,
    StopFailed,
)
from schemas.task import TaskEvent

NOTHING_THERE = "goods_not_ready"


def decide_collection(task: CreatedTask, command: CollectionReport, context: Context) -> list[TaskEvent]:
    stop = task.stops[command.stop_id]
    conflict = conflict_of(task, stop, command, context)
    if conflict is not None:
        return [conflicted(command, context, conflict)]
    match command:
        case ReportCustomerOnTheWay():
            if stop.status != "pending":
                return []
            return [CustomerOnTheWay(stop_id=command.stop_id, expected_at=command.expected_at)]
        case ReportCustomerArrived():
            return customer_arrived(stop, command, context)
        case ReportCollected():
            return collected(task, stop, command, context)
        case _:
            assert_never(command)


def customer_arrived(stop: StopState, command: ReportCustomerArrived, context: Context) -> list[TaskEvent]:
    if stop.status == "arrived" or stop.status in OVER:
        return []
    customer = subject_of(stop, context)
    return [
        CustomerArrived(
            stop_id=command.stop_id,
            spot=Personal(customer, command.spot) if command.spot else None,
            vehicle=Personal(customer, command.vehicle) if command.vehicle else None,
        )
    ]


def collected(task: CreatedTask, stop: StopState, command: ReportCollected, context: Context) -> list[TaskEvent]:
    if stop.handed_over or stop.status == "completed":
        return capture_proof(task, stop, command, context)
    here = ids_of(parcels_of(task, stop))
    short, refused = named(command.short, here, stop), named(command.refused, here, stop)
    taken = [parcel_id for parcel_id in here if parcel_id not in (*short, *refused)]
    stop_id = command.stop_id
    facts: list[TaskEvent] = []
    if short:
        facts.append(ParcelsShort(stop_id=stop_id, parcel_ids=short))
    if here and len(short) == len(here):
        failed = StopFailed(stop_id=stop_id, rider_id=None, round=task.round, reason_code=NOTHING_THERE)
        return [*facts, failed]
    if left := [parcel_id for parcel_id in refused if parcel_id not in short]:
        reason = command.refusal_reason or "refused_by_recipient"
        facts.append(ParcelsRefused(stop_id=stop_id, parcel_ids=left, reason_code=reason))
    if taken or not here:
        facts.append(
            ParcelsDelivered(
                stop_id=stop_id, parcel_ids=taken, from_party=stop.stop.party, to_party=taker_at(stop.stop)
            )
        )
    return with_proofs(task, stop, facts, command, context)
