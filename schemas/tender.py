"""Tender: one offering of one task; what can be asked of it and what can happen to it."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from schemas.directory import TenderMode
from schemas.load import Overload
from schemas.message import Code, Command, Event, Input, Moment, OfferId, RiderId, TaskId

MAX_CANDIDATES = 50

Exclusion = Literal[
    "not_approved",
    "suspended",
    "off_shift",
    "on_break",
    "silent",
    "incident_open",
    "shift_ends_too_soon",
    "hours_exhausted",
    "document_missing",
    "document_expired",
    "document_expires_too_soon",
    "vehicle_grounded",
    "vehicle_inspection_failed",
    "vehicle_document_missing",
    "vehicle_document_expired",
    "vehicle_document_expires_too_soon",
    "vehicle_maintenance_overdue",
    "skill_missing",
    "outside_zones",
    "over_capacity",
    "too_many_tasks",
    "reserved_elsewhere",
    "no_fix",
    "stale_fix",
    "declined_before",
    "unreachable",
]


class Candidate(Input, frozen=True, kw_only=True):
    """A rider who could do it. `travel_s` to the first stop decides; less is better."""

    rider_id: RiderId
    rank: int
    travel_s: float
    distance_m: float
    source: str


class Excluded(Input, frozen=True, kw_only=True):
    """`overload` is what would be too much, where that is why."""

    rider_id: RiderId
    code: Exclusion
    overload: Overload | None = None


class PlannedOffer(Input, frozen=True, kw_only=True):
    offer_id: OfferId
    rider_id: RiderId
    expires_at: Moment


class OpenTender(Command, frozen=True, kw_only=True):
    """Who was looked at, who is asked. Without an offer it ends at once, exhausted."""

    task_id: TaskId
    round: int
    mode: TenderMode
    candidates: Annotated[list[Candidate], msgspec.Meta(max_length=MAX_CANDIDATES)]
    excluded: list[Excluded]
    offers: list[PlannedOffer]
    policy_version: int
    input_hash: str
    solver: str


class ViewOffer(Command, frozen=True, kw_only=True):
    offer_id: OfferId


class ClaimOffer(Command, frozen=True, kw_only=True):
    """A rider wants it. Nobody has won until the rider's reservation holds."""

    offer_id: OfferId


class DeclineOffer(Command, frozen=True, kw_only=True):
    offer_id: OfferId
    reason_code: Code


class AwardTender(Command, frozen=True, kw_only=True):
    """Sent when the rider's reservation holds."""

    offer_id: OfferId


class RejectClaim(Command, frozen=True, kw_only=True):
    """Sent when the rider's reservation was refused; of what it would be too much, where that is why."""

    offer_id: OfferId
    reason_code: str
    overload: Overload | None = None


class ExpireClaim(Command, frozen=True, kw_only=True):
    """Sent when a reservation should long have been there; firing late or twice changes nothing."""

    offer_id: OfferId


class ExpireOffer(Command, frozen=True, kw_only=True):
    """Sent when the deadline is due; firing late or twice changes nothing."""

    offer_id: OfferId


class WithdrawTender(Command, frozen=True, kw_only=True):
    """The task is gone or was assigned otherwise."""

    reason_code: Code


class ConfirmTenderOpened(Command, frozen=True, kw_only=True):
    """Changes nothing. Refused where there never was such a tender."""


type TenderCommand = (
    OpenTender
    | ViewOffer
    | ClaimOffer
    | DeclineOffer
    | AwardTender
    | RejectClaim
    | ExpireClaim
    | ExpireOffer
    | WithdrawTender
    | ConfirmTenderOpened
)


class DispatchDecisionRecorded(Event, frozen=True, kw_only=True):
    task_id: TaskId
    round: int
    mode: TenderMode
    candidates: list[Candidate]
    excluded: list[Excluded]
    policy_version: int
    input_hash: str
    solver: str


class TenderOpened(Event, frozen=True, kw_only=True):
    task_id: TaskId
    round: int
    mode: TenderMode


class OfferSent(Event, frozen=True, kw_only=True):
    offer_id: OfferId
    rider_id: RiderId
    expires_at: datetime


class OfferViewed(Event, frozen=True, kw_only=True):
    offer_id: OfferId
    rider_id: RiderId


class OfferClaimed(Event, frozen=True, kw_only=True):
    offer_id: OfferId
    rider_id: RiderId


class ReservationRequested(Event, frozen=True, kw_only=True):
    """Of the claims, this one is tried now; if the rider is not reserved by `hold_until`, the next one is."""

    offer_id: OfferId
    rider_id: RiderId
    task_id: TaskId
    hold_until: datetime


class ClaimRejected(Event, frozen=True, kw_only=True):
    """`overload`: of what it would be too much for the rider, where that is why."""

    offer_id: OfferId
    rider_id: RiderId
    reason_code: str
    overload: Overload | None = None


class OfferDeclined(Event, frozen=True, kw_only=True):
    offer_id: OfferId
    rider_id: RiderId
    reason_code: str


class OfferExpired(Event, frozen=True, kw_only=True):
    offer_id: OfferId
    rider_id: RiderId


class OfferAccepted(Event, frozen=True, kw_only=True):
    offer_id: OfferId
    rider_id: RiderId


class OfferLost(Event, frozen=True, kw_only=True):
    offer_id: OfferId
    rider_id: RiderId


class OfferWithdrawn(Event, frozen=True, kw_only=True):
    offer_id: OfferId
    rider_id: RiderId


class TenderAwarded(Event, frozen=True, kw_only=True):
    offer_id: OfferId
    rider_id: RiderId
    task_id: TaskId
    round: int


class TenderExhausted(Event, frozen=True, kw_only=True):
    """Nobody was left to ask, or nobody wanted it."""

    task_id: TaskId
    round: int


class TenderWithdrawn(Event, frozen=True, kw_only=True):
    task_id: TaskId
    round: int
    reason_code: str


type TenderEvent = (
    DispatchDecisionRecorded
    | TenderOpened
    | OfferSent
    | OfferViewed
    | OfferClaimed
    | ReservationRequested
    | ClaimRejected
    | OfferDeclined
    | OfferExpired
    | OfferAccepted
    | OfferLost
    | OfferWithdrawn
    | TenderAwarded
    | TenderExhausted
    | TenderWithdrawn
)
