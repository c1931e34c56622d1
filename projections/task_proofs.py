"""The proofs of a task, as its detail tells them: what was captured, whether it counts, and why not."""

from collections.abc import Container
from datetime import datetime

import msgspec
from msgspec.structs import replace

from projections.sealed import Sealed, sealed
from schemas.message import Event
from schemas.proof import PinRejected, ProofCaptured, ProofRejected
from schemas.task import TaskUnassigned


class ProofRow(msgspec.Struct, frozen=True, kw_only=True):
    """`status`: accepted, failed (`problem` says why it does not count), rejected (by a person), or void (of a rider
    from whom the task was taken before the stop was over). A wrong PIN has no id."""

    proof_id: str | None = None
    stop_id: str
    kind: str
    status: str
    problem: str | None = None
    reason_code: str | None = None
    sha256: str | None = None
    kept_sha256: str | None = None
    signer: Sealed | None = None
    parcel_id: str | None = None
    scanned_code: str | None = None
    id_check: Sealed | None = None
    taken_at: datetime | None = None
    fix: Sealed | None = None
    at: datetime


def proofs_after(proofs: list[ProofRow], event: Event, at: datetime, begun: Container[str]) -> list[ProofRow]:
    """`begun` are the stops that are not over."""
    match event:
        case ProofCaptured():
            return [*proofs, proof_row(event, at)]
        case PinRejected():
            wrong = ProofRow(stop_id=event.stop_id, kind="pin", status="failed", problem="pin_differs", at=at)
            return [*proofs, wrong]
        case ProofRejected():
            rejected = {"status": "rejected", "reason_code": event.reason_code}
            return [replace(p, **rejected) if p.proof_id == event.proof_id else p for p in proofs]
        case TaskUnassigned():
            return [replace(p, status="void") if p.stop_id in begun else p for p in proofs]
        case _:
            return proofs


def proof_row(event: ProofCaptured, at: datetime) -> ProofRow:
    """The tag's hash is left out: it is nobody's to read."""
    return ProofRow(
        proof_id=event.proof_id,
        stop_id=event.stop_id,
        kind=event.kind,
        status="failed" if event.problem else "accepted",
        problem=event.problem,
        sha256=event.sha256,
        kept_sha256=event.kept_sha256,
        signer=sealed(event.signer, "ProofCaptured.signer"),
        parcel_id=event.parcel_id,
        scanned_code=event.scanned_code,
        id_check=sealed(event.id_check, "ProofCaptured.id_check"),
        taken_at=event.taken_at,
        fix=sealed(event.fix, "ProofCaptured.fix"),
        at=at,
    )
