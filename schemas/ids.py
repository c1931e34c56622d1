"""Ids are derived, never drawn: the same request always meets the same aggregate (domain, section 2)."""

from hashlib import sha1
from uuid import UUID
from zlib import crc32

import msgspec

from schemas.message import (
    CarrierBookingId,
    CarrierId,
    OfferId,
    ProofId,
    RiderId,
    SubjectId,
    TaskId,
    TenderId,
    VehicleId,
    WindowId,
)

NAMESPACE = UUID("6f1ed002-ab5d-5a0e-9d2c-1f5a3c7b9e42")
"""For ever: every id on every log hangs on it."""

RECURRENCE_SOURCE = "recurrence"
"""Who gives the reference of an occurrence's task."""

SIMULATED_COURIERS = 5
"""Of a test tenant. Each has as many tasks at once as fall to them."""

SALT = NAMESPACE.bytes
VARIANT = {f"{digit:x}": f"{digit & 0x3 | 0x8:x}" for digit in range(16)}
"""Of each digit, the one in its place that says what the id is."""


def derived(*parts: str) -> str:
    """uuid5 of the parts as a JSON array, so that no two different lists of parts read the same.

    RFC 9562, section 5.5, written out: the library's objects take three times as long, and every command makes ten.
    """
    words = sha1(SALT + msgspec.json.encode(parts), usedforsecurity=False).hexdigest()
    return f"{words[:8]}-{words[8:12]}-5{words[13:16]}-{VARIANT[words[16]]}{words[17:20]}-{words[20:32]}"


def aggregate_id(kind: str, tenant: str, source: str, reference: str) -> str:
    return derived(kind, tenant, source, reference)


def command_id(aggregate: str, key: str) -> str:
    return derived("command", aggregate, key)


def event_id(command: str, index: int) -> str:
    return derived("event", command, str(index))


def proof_id(command: str, index: int) -> ProofId:
    """Of the proofs that came with a command, by their place in it."""
    return ProofId(derived("proof", command, str(index)))


def conflict_id(command: str) -> str:
    """Of a field report that did not fit."""
    return derived("conflict", command)


def contact_subject(tenant: str, reference: str) -> SubjectId:
    return SubjectId(derived(tenant, "contact", reference))


def rider_subject(rider: RiderId) -> SubjectId:
    """A rider's own data are sealed under the rider's id."""
    return SubjectId(rider)


def incident_subject(incident: str) -> SubjectId:
    """What people write of an incident is sealed under the incident's own id."""
    return SubjectId(incident)


def vehicle_subject(vehicle: VehicleId) -> SubjectId:
    """What a vehicle tells of its owner is sealed under the vehicle's id."""
    return SubjectId(vehicle)


def carrier_subject(carrier: CarrierId) -> SubjectId:
    """Whom to ask at a carrier is sealed under the carrier's id."""
    return SubjectId(carrier)


def courier_subject(booking: CarrierBookingId) -> SubjectId:
    """Who drives for a carrier is known by the booking alone, and is sealed under the booking's id."""
    return SubjectId(booking)


def tenant_id(tenant: str) -> str:
    return derived("tenant", tenant, "", tenant)


def outlet_id(tenant: str, outlet: str) -> str:
    return derived("outlet", tenant, "", outlet)


def hub_id(tenant: str, hub: str) -> str:
    return derived("hub", tenant, "", hub)


def provider_config_id(tenant: str) -> str:
    """A tenant has one."""
    return derived("provider_config", tenant, "", tenant)


def cloned_task_id(tenant: str, source: str, reference: str | None, command: str) -> TaskId:
    """By the caller's reference, as of any created task; without one by the command that asked for the clone."""
    return TaskId(derived("clone", command) if reference is None else aggregate_id("task", tenant, source, reference))


def occurrence_reference(recurrence: str, local: str) -> str:
    """An occurrence's task is created from a reference like any other: what recurs, and when by the rule."""
    return f"{recurrence}/{local}"


def occurrence_task_id(tenant: str, recurrence: str, local: str) -> TaskId:
    return TaskId(aggregate_id("task", tenant, RECURRENCE_SOURCE, occurrence_reference(recurrence, local)))


def courier_number(task: str) -> int:
    """Of the simulated courier who has this task, if it is simulated."""
    return 1 + crc32(task.encode()) % SIMULATED_COURIERS


def simulated_courier(tenant: str, number: int) -> RiderId:
    return RiderId(derived("simulated-courier", tenant, str(number)))


def tender_id(task: TaskId, tender_round: int) -> TenderId:
    return TenderId(derived("tender", task, str(tender_round)))


def window_id(tenant: str, seconds: int, number: int) -> WindowId:
    """Of a tenant's windows of one length, by their number (`dispatch_window.number_of`)."""
    return WindowId(derived("window", tenant, str(seconds), str(number)))


def offer_id(tender: TenderId, offeree: str) -> OfferId:
    """`offeree` is the rider or the carrier."""
    return OfferId(derived("offer", tender, offeree))


def tendered_booking_id(offer: OfferId) -> CarrierBookingId:
    """An offer that a carrier takes is booked once."""
    return CarrierBookingId(derived("tendered-booking", offer))
