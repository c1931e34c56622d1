"""Proof: what shows that goods changed hands as they should, as it is given and as it stands on the log."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from schemas.geo import ObservedFix
from schemas.message import (
    Event,
    Input,
    Moment,
    Name,
    ParcelId,
    Personal,
    ProofId,
    Record,
    Reference,
    Sha256,
    StopId,
)

MAX_PROOFS = 250
"""In one report: a scan of every parcel a task may have, and what else there is."""

MAX_PROOFS_OF_STOP = 500
"""Captured at one stop ahead of its hand-over or after it."""

ProofKind = Literal["pin", "photo", "signature", "scan", "id_check", "nfc"]
PinlessKind = Literal["photo", "signature", "scan", "id_check", "nfc"]
"""A PIN is a recipient's: nobody has one for a parcel, or where goods come back to."""
AgeBand = Literal["under_16", "16_to_17", "18_to_19", "20", "21_to_24", "25_or_over"]
MinimumAge = Literal[16, 18, 20, 21, 25]
"""Where a band begins, so that a band always says whether somebody is old enough."""
IdResult = Literal["pass", "fail"]
ProofProblem = Literal["barcode_differs", "parcel_of_another_stop", "id_check_not_passed"]
"""Not whether somebody failed or was too young: that is personal."""

KINDS_OF_PROOF = (
    "`photo` is one of the goods, put as an artefact; `signature` an image of one, with the name of who signed; `scan` "
    "the barcode of each parcel that changes hands; `id_check` that a document is the person's, and how old they are "
    "about; `nfc` a tag that was read."
)
"""What each word asks for, as the API's description tells it."""

RequiredProof = Annotated[
    list[Annotated[list[ProofKind], msgspec.Meta(min_length=1, max_length=10)]],
    msgspec.Meta(
        max_length=10,
        description="What shows that goods changed hands here, reported with the pickup, the delivery or the "
        "collection. Each inner list must be met by one of its kinds: "
        '`[["pin", "photo"], ["signature"]]` is a signature, and a PIN or a photo. '
        f"{KINDS_OF_PROOF} `pin` is the PIN of this stop, which the answer to the creation tells (`pins`), and "
        "`tasks/{id}/secrets` later: whoever ordered gives it to who waits there, and the rider is told it by them. "
        "Nothing is asked for where all goods are refused or were not there. What is reported without is taken down, "
        "and stands on the exception desk as `proof_missing`.",
    ),
]
"""Each inner list must be met by one of its kinds: [["pin", "photo"], ["scan"]] is (PIN or photo) and a scan of every
parcel that changes hands."""
PinlessProof = Annotated[
    list[Annotated[list[PinlessKind], msgspec.Meta(min_length=1, max_length=10)]],
    msgspec.Meta(
        max_length=10,
        description="As a stop's `required_proof`, without PINs: each inner list must be met by one of its kinds. "
        f"{KINDS_OF_PROOF}",
    ),
]
"""The same without PINs."""

LOWEST_AGE: dict[AgeBand, int] = {
    "under_16": 0,
    "16_to_17": 16,
    "18_to_19": 18,
    "20": 20,
    "21_to_24": 21,
    "25_or_over": 25,
}


# As it is given


class GivenProof(Input, frozen=True, kw_only=True):
    """`fix` is where the device was, `taken_at` when."""

    taken_at: Moment | None = None
    fix: ObservedFix | None = None


class PinEntry(GivenProof, frozen=True, kw_only=True, tag_field="kind", tag="pin"):
    pin: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4,8}$")]


class PhotoEntry(GivenProof, frozen=True, kw_only=True, tag_field="kind", tag="photo"):
    """`sha256` names an artefact that was put before, `kept_sha256` is that of what is kept of it."""

    sha256: Sha256
    kept_sha256: Sha256 | None = None


class SignatureEntry(GivenProof, frozen=True, kw_only=True, tag_field="kind", tag="signature"):
    """As an image, like a photo, with the name of who signed."""

    sha256: Sha256
    kept_sha256: Sha256 | None = None
    signer: Name


class ScanEntry(GivenProof, frozen=True, kw_only=True, tag_field="kind", tag="scan"):
    """The code that was read off this parcel. One that is not the parcel's barcode is recorded and does not count."""

    parcel_id: ParcelId
    code: Reference


class IdCheckEntry(GivenProof, frozen=True, kw_only=True, tag_field="kind", tag="id_check"):
    """Neither number nor date of birth: whether the document is the person's, and how old they are about."""

    result: IdResult
    age_band: AgeBand


class NfcEntry(GivenProof, frozen=True, kw_only=True, tag_field="kind", tag="nfc"):
    """`tag_id` is stored as a keyed hash: the same tag is known again, and not who carries it."""

    tag_id: Reference


AnyProof = PinEntry | PhotoEntry | SignatureEntry | ScanEntry | IdCheckEntry | NfcEntry
type ProofEntry = AnyProof
Proofs = Annotated[list[AnyProof], msgspec.Meta(max_length=MAX_PROOFS)]
SomeProofs = Annotated[list[AnyProof], msgspec.Meta(min_length=1, max_length=MAX_PROOFS)]


# As it stands on the log


class IdCheck(Record, frozen=True, kw_only=True):
    result: IdResult
    age_band: AgeBand


class ProofCaptured(Event, frozen=True, kw_only=True):
    """One with a `problem` does not count. `sha256` is what the sender called the artefact, `kept_sha256` what is kept
    of it: whoever alters what is kept contradicts the log."""

    proof_id: ProofId
    stop_id: StopId
    kind: ProofKind
    problem: ProofProblem | None
    sha256: str | None
    kept_sha256: str | None
    signer: Personal[str] | None
    parcel_id: ParcelId | None
    scanned_code: str | None
    id_check: Personal[IdCheck] | None
    tag_hash: str | None
    taken_at: datetime | None
    fix: Personal[ObservedFix] | None


class PinRejected(Event, frozen=True, kw_only=True):
    stop_id: StopId
    attempt: int
    attempts_left: int


class ProofRejected(Event, frozen=True, kw_only=True):
    """Somebody looked at it and it shows nothing: it counts no more."""

    proof_id: ProofId
    stop_id: StopId
    kind: ProofKind
    reason_code: str


class ProofDisputed(Event, frozen=True, kw_only=True):
    """A proof was rejected after its stop had completed. The stop stays completed, and a person must look at it."""

    proof_id: ProofId
    stop_id: StopId
    reason_code: str


class ProofDisputeSettled(Event, frozen=True, kw_only=True):
    """All that was disputed of the task's proofs."""

    decision_code: str
