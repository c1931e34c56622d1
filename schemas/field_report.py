"""What is reported of a task from the field: by a rider's device, by whoever hands out a collection, and of proofs."""

from typing import Annotated, Literal

import msgspec

from schemas.device_report import DeviceReport
from schemas.geo import ObservedFix
from schemas.goods import MAX_PARCELS
from schemas.message import (
    Code,
    Count,
    Input,
    Moment,
    Name,
    ParcelId,
    Sha256,
    StopId,
    Text,
)
from schemas.proof import (
    Proofs,
    SomeProofs,
)

MAX_CONTACTS = 20
ContactChannel = Literal["call", "text", "chat", "doorbell"]


class FieldReport(DeviceReport, frozen=True, kw_only=True):
    """What a rider's device says has happened. Late is normal, and a physical fact is never refused. Of a task with a
    carrier a dispatcher tells what the carrier's status cannot: proof, and what has come back."""

    stop_id: StopId


class ReportEnRoute(FieldReport, frozen=True, kw_only=True):
    pass


class ReportArrived(FieldReport, frozen=True, kw_only=True):
    """Too far from the stop needs `override_reason`, and the arrival is flagged. With `entrance_elsewhere` the stop is
    where the fix is, if that is accurate to 50 m: it is remembered for the stop's address."""

    fix: ObservedFix
    override_reason: Code | None = None


class ReportPickedUp(FieldReport, frozen=True, kw_only=True):
    """`short` names parcels that were not there; all others of the stop are now with the rider."""

    short: Annotated[list[ParcelId], msgspec.Meta(max_length=MAX_PARCELS)] = []
    proofs: Proofs = []


class ReportDelivered(FieldReport, frozen=True, kw_only=True):
    """`refused` names parcels that the recipient did not take; they stay with the rider."""

    refused: Annotated[list[ParcelId], msgspec.Meta(max_length=MAX_PARCELS)] = []
    refusal_reason: Code | None = None
    proofs: Proofs = []


class ContactAttempt(Input, frozen=True, kw_only=True):
    """The rider tried to reach whoever is there."""

    channel: ContactChannel
    attempted_at: Moment
    answered: bool = False


class ReportAttemptFailed(FieldReport, frozen=True, kw_only=True):
    """What follows is by the reason, as the tenant has it: another try, a later one, a hub, the door, the way back.

    A reason may ask that contact was attempted before, or that somebody has waited; `contacts` are those that no report
    has told yet. Where it could not be, `override_reason` says why, and the attempt is flagged.
    """

    reason_code: Code
    note: Text | None = None
    evidence: Annotated[list[Sha256], msgspec.Meta(max_length=10)] = []
    contacts: Annotated[list[ContactAttempt], msgspec.Meta(max_length=MAX_CONTACTS)] = []
    waited_seconds: Count | None = None
    override_reason: Code | None = None


class ReportContactAttempt(FieldReport, frozen=True, kw_only=True):
    contact: ContactAttempt


class ReportHeld(FieldReport, frozen=True, kw_only=True):
    """The goods of a hold are where they wait for another attempt."""

    proofs: Proofs = []


class ReportReturned(FieldReport, frozen=True, kw_only=True):
    proofs: Proofs = []


class ReportCustomerOnTheWay(FieldReport, frozen=True, kw_only=True):
    """Who comes for the goods of a collection has set out."""

    expected_at: Moment | None = None


class ReportCustomerArrived(FieldReport, frozen=True, kw_only=True):
    """`spot` says where they wait, such as the number of a parking bay, and `vehicle` what to look for."""

    spot: Name | None = None
    vehicle: Name | None = None


class ReportCollected(FieldReport, frozen=True, kw_only=True):
    """`short` names parcels that were not there, `refused` those that were not taken; all others were."""

    short: Annotated[list[ParcelId], msgspec.Meta(max_length=MAX_PARCELS)] = []
    refused: Annotated[list[ParcelId], msgspec.Meta(max_length=MAX_PARCELS)] = []
    refusal_reason: Code | None = None
    proofs: Proofs = []


class CaptureProof(FieldReport, frozen=True, kw_only=True):
    """Ahead of the hand-over or after it; the stop completes with the last of both."""

    proofs: SomeProofs


type TaskReport = (
    ReportEnRoute
    | ReportArrived
    | ReportPickedUp
    | ReportDelivered
    | ReportAttemptFailed
    | ReportContactAttempt
    | ReportHeld
    | ReportReturned
    | CaptureProof
)
type CollectionReport = ReportCustomerOnTheWay | ReportCustomerArrived | ReportCollected
