"""Whether a stop has all the proof that it needs, and that the parcels which changed hands there need besides."""

from collections.abc import Collection, Iterable
from typing import assert_never

from commands.task_state import CreatedTask, ProofState, StopState
from schemas.message import ParcelId
from schemas.proof import ProofKind
from schemas.stop_events import ParcelsDelivered, ParcelsHeld, ParcelsPickedUp, ParcelsReturned
from schemas.task import TaskEvent

OF_A_PERSON: frozenset[ProofKind] = frozenset({"signature", "id_check"})


def proof_holds(
    task: CreatedTask, stop: StopState, parcels: Collection[ParcelId], proofs: Iterable[ProofState]
) -> bool:
    """For `parcels`, which changed hands at this stop."""
    accepted = [proof for proof in proofs if proof.status == "accepted"]
    if stop.at_door:
        return is_given("photo", accepted, parcels)
    if not all(any(is_given(kind, accepted, parcels) for kind in group) for group in stop.stop.required_proof):
        return False
    return stop.stop.kind not in ("dropoff", "collection") or all(
        any(is_given(kind, accepted, [parcel_id]) for kind in group)
        for parcel_id in parcels
        for group in task.parcels[parcel_id].parcel.required_proof
    )


def is_given(kind: ProofKind, accepted: list[ProofState], parcels: Iterable[ParcelId]) -> bool:
    """Of scans there must be one of each parcel."""
    if kind != "scan":
        return any(proof.kind == kind for proof in accepted)
    return set(parcels) <= {proof.parcel_id for proof in accepted if proof.kind == "scan"}


def needs_somebody(kinds: Iterable[ProofKind]) -> bool:
    """Each of them is of a person."""
    return all(kind in OF_A_PERSON for kind in kinds)


def moved(task: CreatedTask, stop: StopState, facts: Iterable[TaskEvent]) -> list[ParcelId]:
    """What changed hands at this stop: by these facts, or else before."""
    handing_over = (ParcelsPickedUp, ParcelsDelivered, ParcelsHeld, ParcelsReturned)
    if stop.handed_over:
        return [p for p in task.parcels if has_moved(task, stop, p)]
    return [parcel_id for fact in facts if isinstance(fact, handing_over) for parcel_id in fact.parcel_ids]


def nothing_moved(task: CreatedTask, stop: StopState, facts: Iterable[TaskEvent]) -> bool:
    """All that was to change hands here was refused or was not there: whoever takes nothing proves nothing."""
    due = any(stop.stop.stop_id in (p.parcel.pickup_stop, p.parcel.dropoff_stop) for p in task.parcels.values())
    return due and stop.stop.kind in ("pickup", "dropoff", "collection") and not moved(task, stop, facts)


def has_moved(task: CreatedTask, stop: StopState, parcel_id: ParcelId) -> bool:
    known, stop_id = task.parcels[parcel_id], stop.stop.stop_id
    match stop.stop.kind:
        case "pickup":
            return known.parcel.pickup_stop == stop_id and not known.short
        case "dropoff" | "collection":
            return known.parcel.dropoff_stop == stop_id and known.status == "delivered"
        case "hold":
            return known.bound_for == stop_id and known.party == stop.stop.party
        case "return":
            return known.bound_for == stop_id and known.status == "returned"
        case _:
            assert_never(stop.stop.kind)
