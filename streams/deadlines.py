"""Fires what is due: each deadline becomes a command whose id is derived from the fact that set it.

The aggregate judges by the time in the command, so that firing late or twice changes nothing.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from schemas import ids
from schemas.carrier_booking import ExpireCarrierQuote, RecordCarrierSilence
from schemas.dispatch_window import CloseWindow
from schemas.hand_over import ExpireHandOver
from schemas.incident import EscalateUnattended
from schemas.message import Command, DocumentId, MaintenanceId, OfferId, ShiftId, Source, TaskId, TenantSlug
from schemas.plan import ClosePlan
from schemas.recurrence import CreateOccurrence
from schemas.rider import ExpireReservation, RecordRiderHeard, RecordRiderSilence, WarnDocumentExpiry, WarnHoursLimit
from schemas.sla import MarkSlaAtRisk, MarkSlaBreach
from schemas.task import RetryDispatch, SimulateStep, StartDispatch
from schemas.tender import CloseBidding, ExpireClaim, ExpireOffer
from schemas.vehicle import RecordVehicleMaintenanceDue, WarnVehicleDocumentExpiry
from schemas.waiting import AskForDependency
from streams.process import Step

KINDS = (
    "expire_offer",
    "expire_claim",
    "close_bidding",
    "close_plan",
    "expire_reservation",
    "retry_dispatch",
    "start_dispatch",
    "expire_hand_over",
    "ask_for_dependency",
    "sla_at_risk",
    "sla_breach",
    "sla_predicted_late",
    "escalate_incident",
    "record_maintenance_due",
    "warn_hours_limit",
    "warn_document_expiry",
    "warn_vehicle_document_expiry",
    "record_rider_silence",
    "record_rider_heard",
    "expire_carrier_quote",
    "record_carrier_silence",
    "create_occurrence",
    "close_window",
    "simulate_step",
)


def step_of(deadline: Mapping[str, Any]) -> Step:
    """The command of a row of the deadlines read model."""
    kind = deadline["kind"]
    command: Command
    match kind:
        case "expire_offer":
            aggregate, command = "tender", ExpireOffer(offer_id=OfferId(deadline["subject"]))
        case "expire_claim":
            aggregate, command = "tender", ExpireClaim(offer_id=OfferId(deadline["subject"]))
        case "close_bidding":
            aggregate, command = "tender", CloseBidding()
        case "close_plan":
            aggregate, command = "plan", ClosePlan()
        case "expire_reservation":
            aggregate = "rider"
            command = ExpireReservation(task_id=TaskId(deadline["subject"]), round=deadline["round"])
        case "retry_dispatch":
            aggregate, command = "task", RetryDispatch(round=deadline["round"])
        case "start_dispatch":
            aggregate, command = "task", StartDispatch()
        case "sla_at_risk":
            aggregate = "task"
            command = MarkSlaAtRisk(promise=deadline["subject"], target_at=deadline["target_at"])
        case "sla_breach":
            aggregate = "task"
            command = MarkSlaBreach(
                promise=deadline["subject"], target_at=deadline["target_at"], level=deadline["round"]
            )
        case "sla_predicted_late":
            aggregate = "task"
            command = MarkSlaAtRisk(
                promise=deadline["subject"], target_at=deadline["target_at"], predicted_at=deadline["predicted_at"]
            )
        case "expire_hand_over":
            aggregate, command = "task", ExpireHandOver(round=deadline["round"])
        case "ask_for_dependency":
            aggregate, command = "task", AskForDependency(on=deadline["subject"], number=deadline["round"])
        case "escalate_incident":
            aggregate, command = "incident", EscalateUnattended(level=deadline["round"])
        case "record_maintenance_due":
            aggregate = "vehicle"
            command = RecordVehicleMaintenanceDue(maintenance_id=MaintenanceId(deadline["subject"]))
        case "warn_hours_limit":
            aggregate, command = "rider", WarnHoursLimit(shift_id=ShiftId(deadline["subject"]))
        case "warn_document_expiry":
            aggregate, command = "rider", WarnDocumentExpiry(document_id=DocumentId(deadline["subject"]))
        case "warn_vehicle_document_expiry":
            aggregate, command = "vehicle", WarnVehicleDocumentExpiry(document_id=DocumentId(deadline["subject"]))
        case "record_rider_silence":
            aggregate, command = "rider", RecordRiderSilence(last_heard_at=deadline["heard_at"])
        case "record_rider_heard":
            aggregate, command = "rider", RecordRiderHeard(heard_at=deadline["heard_at"])
        case "expire_carrier_quote":
            aggregate, command = "carrier_booking", ExpireCarrierQuote()
        case "record_carrier_silence":
            aggregate, command = "carrier_booking", RecordCarrierSilence()
        case "create_occurrence":
            aggregate, command = "recurrence", CreateOccurrence(occurrence_at=deadline["target_at"])
        case "close_window":
            aggregate, command = "window", CloseWindow()
        case "simulate_step":
            aggregate, command = "task", SimulateStep(number=deadline["round"], observed_at=deadline["due_at"])
        case _:
            raise ValueError(f"{kind} is no deadline of ours: {', '.join(KINDS)}")
    return Step(kind=aggregate, aggregate_id=deadline["aggregate_id"], command=command, purpose=kind)


def source_of(deadline: Mapping[str, Any], now: datetime) -> Source:
    """As if the fact that set it had just been read: the command's id hangs on it."""
    return Source(
        event_id=deadline["set_by"],
        tenant=TenantSlug(deadline["tenant"]),
        outlet=None,
        aggregate_id=deadline["aggregate_id"],
        version=0,
        event_time=now,
        recorded_at=now,
        actor="deadlines",
        command_id=deadline["set_by"],
        correlation_id=ids.derived("deadline", deadline["set_by"], deadline["kind"]),
        topic="",
        partition=deadline["partition"],
        offset=0,
    )
