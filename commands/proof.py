"""Proof as it is captured: which of it counts, and what becomes of it where somebody rejects it."""

from collections.abc import Iterable
from typing import assert_never

import msgspec

from commands.context import Context
from commands.task_state import CreatedTask, ParcelState, ProofState, ProofStatus, StopState
from schemas.field_report import (
    CaptureProof,
    ReportCollected,
    ReportDelivered,
    ReportHeld,
    ReportPickedUp,
    ReportReturned,
)
from schemas.geo import ObservedFix
from schemas.ids import contact_subject, proof_id, rider_subject
from schemas.message import (
    NotInThisState,
    Personal,
    ProofId,
    Refused,
    RiderId,
    SubjectId,
)
from schemas.proof import (
    LOWEST_AGE,
    MAX_PROOFS_OF_STOP,
    IdCheck,
    IdCheckEntry,
    NfcEntry,
    PhotoEntry,
    PinEntry,
    PinRejected,
    ProofCaptured,
    ProofDisputed,
    ProofEntry,
    ProofKind,
    ProofProblem,
    ProofRejected,
    ScanEntry,
    SignatureEntry,
)
from schemas.task import RejectProof, TaskEvent

type ProvingReport = ReportPickedUp | ReportDelivered | ReportHeld | ReportReturned | ReportCollected | CaptureProof

KINDS: dict[type[ProofEntry], ProofKind] = {
    PinEntry: "pin",
    PhotoEntry: "photo",
    SignatureEntry: "signature",
    ScanEntry: "scan",
    IdCheckEntry: "id_check",
    NfcEntry: "nfc",
}
WITH_ARTEFACT: frozenset[ProofKind] = frozenset({"photo", "signature"})
"""A rejected one, sent again, is still what was rejected; a code or a tag may be read again."""


class PinAttemptsExhausted(Refused):
    rule = "pin-attempts-exhausted"
    is_about = ("proofs",)

    def __init__(self, allowed: int) -> None:
        super().__init__(f"the PIN was wrong {allowed} times; another proof or an operator is needed")
        self.allowed = allowed


class ParcelNotHere(Refused):
    rule = "unknown-parcel"
    stands_in = ("parcel_id", "short", "refused")

    def __init__(self, parcel_id: str, stop_id: str) -> None:
        super().__init__(f"parcel {parcel_id} does not belong to stop {stop_id}")
        self.parcel_id = parcel_id
        self.stop_id = stop_id


class ProofNotKnown(Refused):
    rule = "unknown-proof"
    stands_in = ("proof_id",)

    def __init__(self, proof_id: str, stop_id: str) -> None:
        super().__init__(f"stop {stop_id} has no proof {proof_id}")
        self.proof_id = proof_id
        self.stop_id = stop_id


class TooManyProofs(Refused):
    rule = "too-many"
    is_about = ("proofs",)

    def __init__(self, limit: int) -> None:
        super().__init__(f"a stop has at most {limit} proofs")
        self.limit = limit


class Captured(msgspec.Struct, frozen=True, kw_only=True):
    """`proofs` are all of the stop, those before among them. `under_age`: somebody too young, and nobody old enough."""

    events: list[TaskEvent]
    proofs: tuple[ProofState, ...]
    under_age: bool


def captured(
    task: CreatedTask, stop: StopState, command: ProvingReport, context: Context, *, physical: bool
) -> Captured:
    """A PIN after the last attempt is refused, unless a physical fact comes with it, which must not be lost. What the
    stop has already is passed over."""
    if not physical and len(stop.proofs) + len(command.proofs) > MAX_PROOFS_OF_STOP:
        raise TooManyProofs(MAX_PROOFS_OF_STOP)
    events: list[TaskEvent] = []
    proofs, failures = stop.proofs, stop.pin_failures
    for index, entry in enumerate(command.proofs):
        if isinstance(entry, PinEntry) and not right_pin(stop, entry, context, failures < task.pin_attempts):
            if failures < task.pin_attempts:
                failures += 1
                events.append(pin_rejected(task, stop, failures))
            elif not physical:
                raise PinAttemptsExhausted(task.pin_attempts)
            continue
        proof = proof_of(task, stop, entry, context, proof_id(context.command_id, index))
        if not is_told(proofs, state_of_proof(proof)):
            events.append(proof)
            proofs = (*proofs, state_of_proof(proof))
    return Captured(events=events, proofs=proofs, under_age=is_under_age(stop, command.proofs, proofs))


def right_pin(stop: StopState, entry: PinEntry, context: Context, may_try: bool) -> bool:
    given = context.secrets.keyed_hash("pin", context.aggregate_id, stop.stop.stop_id, entry.pin)
    return may_try and given == stop.stop.pin_hash


def pin_rejected(task: CreatedTask, stop: StopState, failures: int) -> PinRejected:
    left = task.pin_attempts - failures
    return PinRejected(stop_id=stop.stop.stop_id, attempt=failures, attempts_left=left)


def proof_of(
    task: CreatedTask, stop: StopState, entry: ProofEntry, context: Context, identity: ProofId
) -> ProofCaptured:
    """Raises ParcelNotHere for the scan of a parcel that the task does not have."""
    person = subject_of(stop, context)
    kept = entry if isinstance(entry, (PhotoEntry, SignatureEntry)) else None
    scan = entry if isinstance(entry, ScanEntry) else None
    check = entry if isinstance(entry, IdCheckEntry) else None
    return ProofCaptured(
        proof_id=identity,
        stop_id=stop.stop.stop_id,
        kind=KINDS[type(entry)],
        problem=problem_of(task, stop, entry),
        sha256=kept.sha256 if kept else None,
        kept_sha256=kept.kept_sha256 if kept else None,
        signer=Personal(person, entry.signer) if isinstance(entry, SignatureEntry) else None,
        parcel_id=scan.parcel_id if scan else None,
        scanned_code=scan.code if scan else None,
        id_check=Personal(person, IdCheck(result=check.result, age_band=check.age_band)) if check else None,
        tag_hash=tag_hash(entry.tag_id, context) if isinstance(entry, NfcEntry) else None,
        taken_at=entry.taken_at,
        fix=riders_own(entry.fix, context),
    )


def subject_of(stop: StopState, context: Context) -> SubjectId:
    """Whose data a signature and an ID check are: those of the stop's contact, so that one erasure reaches them."""
    if stop.stop.contact is not None:
        return stop.stop.contact.name.subject
    return contact_subject(context.tenant, f"{context.aggregate_id}/{stop.stop.stop_id}")


def riders_own(fix: ObservedFix | None, context: Context) -> Personal[ObservedFix] | None:
    return None if fix is None else Personal(rider_subject(RiderId(context.actor)), fix)


def tag_hash(tag_id: str, context: Context) -> str:
    """The same for the same tag wherever the tenant meets it."""
    return context.secrets.keyed_hash("nfc", context.tenant, tag_id)


def problem_of(task: CreatedTask, stop: StopState, entry: ProofEntry) -> ProofProblem | None:
    """Why it does not count, if so: it is recorded all the same."""
    match entry:
        case PinEntry() | PhotoEntry() | SignatureEntry() | NfcEntry():
            return None
        case ScanEntry():
            return problem_of_scan(task, stop, entry)
        case IdCheckEntry():
            passed = entry.result == "pass" and is_old_enough(stop, entry)
            return None if passed else "id_check_not_passed"
        case _:
            assert_never(entry)


def problem_of_scan(task: CreatedTask, stop: StopState, entry: ScanEntry) -> ProofProblem | None:
    known = task.parcels.get(entry.parcel_id)
    if known is None:
        raise ParcelNotHere(entry.parcel_id, stop.stop.stop_id)
    if (problem := problem_of_parcel(known, entry)) is not None:
        return problem
    stops = (known.parcel.pickup_stop, known.parcel.dropoff_stop, known.bound_for)
    return None if stop.stop.stop_id in stops else "parcel_of_another_stop"


def problem_of_parcel(known: ParcelState, entry: ScanEntry) -> ProofProblem | None:
    return None if known.parcel.barcode in (None, entry.code) else "barcode_differs"


def is_old_enough(stop: StopState, entry: IdCheckEntry) -> bool:
    return LOWEST_AGE[entry.age_band] >= (stop.stop.minimum_age or 0)


def is_under_age(stop: StopState, entries: Iterable[ProofEntry], proofs: tuple[ProofState, ...]) -> bool:
    if any(proof.kind == "id_check" and proof.status == "accepted" for proof in proofs):
        return False
    return any(isinstance(entry, IdCheckEntry) and not is_old_enough(stop, entry) for entry in entries)


def state_of_proof(event: ProofCaptured) -> ProofState:
    status: ProofStatus = "accepted" if event.problem is None else "failed"
    mark = event.sha256 or event.scanned_code or event.tag_hash
    return ProofState(proof_id=event.proof_id, kind=event.kind, status=status, parcel_id=event.parcel_id, mark=mark)


def is_told(proofs: Iterable[ProofState], proof: ProofState) -> bool:
    """Whether it is known: a device tells again what it was not sure to have told."""
    same = [p for p in proofs if (p.kind, p.parcel_id, p.mark) == (proof.kind, proof.parcel_id, proof.mark)]
    if proof.kind in WITH_ARTEFACT:
        return bool(same)
    if proof.mark is None and proof.status == "failed":
        return False  # another person's document, perhaps
    return any(p.status == proof.status for p in same)


# Rejecting it


def reject_proof(stop: StopState, command: RejectProof) -> list[TaskEvent]:
    """Raises ProofNotKnown, and NotInThisState for one that does not count anyway."""
    proof = next((p for p in stop.proofs if p.proof_id == command.proof_id), None)
    if proof is None:
        raise ProofNotKnown(command.proof_id, command.stop_id)
    if proof.status == "rejected":
        return []
    if proof.status == "failed":
        raise NotInThisState(needed="a proof that counts", actual=proof.status)
    rejected = ProofRejected(
        proof_id=proof.proof_id, stop_id=command.stop_id, kind=proof.kind, reason_code=command.reason_code
    )
    disputed = ProofDisputed(proof_id=proof.proof_id, stop_id=command.stop_id, reason_code=command.reason_code)
    return [rejected, disputed] if stop.status == "completed" else [rejected]


def with_rejected(proofs: tuple[ProofState, ...], rejected: ProofId) -> tuple[ProofState, ...]:
    return tuple(msgspec.structs.replace(p, status="rejected") if p.proof_id == rejected else p for p in proofs)
