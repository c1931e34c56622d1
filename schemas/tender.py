"""Tender: one offering of one task, or of a bundle, all or none; what can be asked of it and what can happen to it.

An offer is a rider's or a carrier's: one that has a `carrier_id` is no rider's, and its `rider_id` is empty.
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from schemas.batch_rules import MAX_BUNDLE
from schemas.carrier_offer import (
    CarrierOfferCommand,
    CarrierOfferEvent,
    CarrierOfferTerms,
    Carriers,
    ExcludedCarriers,
)
from schemas.dispatch_rules import ScoreWeights, TenderMode
from schemas.itinerary import Bundled, Placed
from schemas.load import Overload
from schemas.message import CarrierId, Code, Command, Event, Input, Moment, OfferId, RiderId, TaskId, WindowId
from schemas.money import Currency, Money

NO_RIDER = RiderId("")
MAX_CANDIDATES = 50
MAX_EXCLUDED = 5_000
"""Of whom each is named; how many others there are is told by code."""

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
    "vehicle_kind",
    "declines_too_often",
    "rated_too_low",
    "too_far",
    "travel_too_long",
    "detour_too_long",
    "would_be_late",
    "ride_too_long",
]


LeftBecause = Literal[Exclusion, "dearer_than_waiting", "no_riders", "on_hold", "window_too_large", "not_decided"]
"""Why a window gave a task to nobody: what shuts most riders out, or `dearer_than_waiting`: somebody could take it, but
for more than it counts to leave it; `on_hold`: somebody had put it on hold meanwhile; `window_too_large`: there was no
room to look at it; `not_decided`: deciding failed."""

type Bundle = Annotated[list[Bundled], msgspec.Meta(max_length=MAX_BUNDLE - 1)]
"""The tasks that are offered together with the one that the tender is named by."""


class ScoreParts(Input, frozen=True, kw_only=True):
    """What a score is made of, before weights (`ScoreWeights`): `detour_s` and `lateness_s` are what this task adds."""

    travel_s: float
    detour_s: float
    lateness_s: float
    tasks: int
    cost: float
    rating_below_5: float


class Candidate(Input, frozen=True, kw_only=True):
    """A rider who could do it. The smallest `score` is the best."""

    rider_id: RiderId
    rank: int
    travel_s: float
    """Until they are at the task's first stop, by way of what they do before."""
    distance_m: float
    """From where they are to the first stop, as the crow flies."""
    source: str
    """Which router told the times."""
    score: float = 0.0
    parts: ScoreParts | None = None
    placed: list[Placed] = []
    """Where its stops would go on their itinerary."""
    ends_at: Moment | None = None
    """When they would be through with all of it."""


class Others(Input, frozen=True, kw_only=True):
    """Riders who could do it too, by columns, the best first: as the crow flies their scores are worse than those that
    were looked at closely."""

    rider_ids: list[RiderId] = []
    scores: list[float] = []
    more: int = 0
    """So many besides, who are not named."""


class InWindow(Input, frozen=True, kw_only=True):
    """Of a task that was decided on together with others: `given_to` nobody, by `left_because`. The candidates' scores
    are those for the task as if nothing else of the window were given, but for whom it is given to; of a task that is
    left those once all else is."""

    window_id: WindowId
    tasks: int
    riders: int
    given_to: RiderId | None = None
    left_because: LeftBecause | None = None


class Excluded(Input, frozen=True, kw_only=True):
    """`overload` is what would be too much, where that is why."""

    rider_id: RiderId
    code: Exclusion
    overload: Overload | None = None


class PlannedOffer(Input, frozen=True, kw_only=True):
    """`placed` of a bundle names its stops in the order of the way, each behind the one before."""

    offer_id: OfferId
    rider_id: RiderId = NO_RIDER
    expires_at: Moment
    placed: list[Placed] = []
    ends_at: Moment | None = None
    carrier_id: CarrierId | None = None
    terms: CarrierOfferTerms | None = None


class WaitingOffer(Input, frozen=True, kw_only=True):
    """Of somebody who is asked once those before have not taken it."""

    offer_id: OfferId
    rider_id: RiderId = NO_RIDER
    placed: list[Placed] = []
    ends_at: Moment | None = None
    carrier_id: CarrierId | None = None
    terms: CarrierOfferTerms | None = None


class Queue(Input, frozen=True, kw_only=True):
    """Who is asked next, by so many at once, each for so long."""

    waiting: Annotated[list[WaitingOffer], msgspec.Meta(max_length=MAX_CANDIDATES)]
    at_once: int
    seconds: int


class OpenTender(Command, frozen=True, kw_only=True):
    """Who was looked at, who is asked. Without an offer it ends at once, exhausted. `input_hash` is of what the
    decision knew, which is kept as an artefact under it for a while: from that it can be made again."""

    task_id: TaskId
    round: int
    bundle: Bundle = []
    mode: TenderMode
    candidates: Annotated[list[Candidate], msgspec.Meta(max_length=MAX_CANDIDATES)]
    others: Others = Others()
    excluded: Annotated[list[Excluded], msgspec.Meta(max_length=MAX_EXCLUDED)]
    more_excluded: dict[str, int] = {}
    carriers: Carriers = []
    carriers_excluded: ExcludedCarriers = []
    offers: list[PlannedOffer]
    queue: Queue | None = None
    bids_until: Moment | None = None
    """In mode `bid`: who wants it says for how much until then."""
    bids_in: Currency | None = None
    policy_version: int
    weights: ScoreWeights | None = None
    input_hash: str
    solver: str
    in_window: InWindow | None = None


class ViewOffer(Command, frozen=True, kw_only=True):
    offer_id: OfferId


class ClaimOffer(Command, frozen=True, kw_only=True):
    """A rider wants it. Nobody has won until the rider's reservation holds. In a tender of mode `bid` the claim says
    for how much, and the smallest is tried first once the bidding is over; elsewhere `bid` is refused."""

    offer_id: OfferId
    bid: Money | None = None


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


class CloseBidding(Command, frozen=True, kw_only=True):
    """Sent when the deadline is due; firing late or twice changes nothing."""


class WithdrawTender(Command, frozen=True, kw_only=True):
    """The task, or one of the bundle, is gone or was assigned otherwise."""

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
    | CloseBidding
    | WithdrawTender
    | ConfirmTenderOpened
    | CarrierOfferCommand
)


class DispatchDecisionRecorded(Event, frozen=True, kw_only=True):
    task_id: TaskId
    round: int
    bundle: list[Bundled] = []
    mode: TenderMode
    candidates: list[Candidate]
    others: Others = Others()
    excluded: list[Excluded]
    more_excluded: dict[str, int] = {}
    """How many besides those, by code."""
    carriers: Carriers = []
    carriers_excluded: ExcludedCarriers = []
    policy_version: int
    weights: ScoreWeights | None = None
    """By which the parts of scores are summed."""
    input_hash: str
    solver: str
    in_window: InWindow | None = None


class TenderOpened(Event, frozen=True, kw_only=True):
    """`queue` are those who are asked once the first have not taken it."""

    task_id: TaskId
    round: int
    bundle: list[Bundled] = []
    mode: TenderMode
    queue: Queue | None = None
    bids_until: datetime | None = None
    bids_in: str | None = None


class OfferSent(Event, frozen=True, kw_only=True):
    offer_id: OfferId
    rider_id: RiderId = NO_RIDER
    expires_at: datetime
    placed: list[Placed] = []
    ends_at: datetime | None = None
    carrier_id: CarrierId | None = None
    terms: CarrierOfferTerms | None = None


class OfferViewed(Event, frozen=True, kw_only=True):
    offer_id: OfferId
    rider_id: RiderId


class OfferClaimed(Event, frozen=True, kw_only=True):
    offer_id: OfferId
    rider_id: RiderId = NO_RIDER
    bid: Money | None = None
    carrier_id: CarrierId | None = None


class BiddingClosed(Event, frozen=True, kw_only=True):
    """What was bid is tried from now on, the smallest first."""

    task_id: TaskId
    round: int


class ReservationRequested(Event, frozen=True, kw_only=True):
    """Of the claims, this one is tried now; if the rider is not reserved by `hold_until`, the next one is."""

    offer_id: OfferId
    rider_id: RiderId
    task_id: TaskId
    bundle: list[Bundled] = []
    hold_until: datetime
    placed: list[Placed] = []
    ends_at: datetime | None = None


class ClaimRejected(Event, frozen=True, kw_only=True):
    """`overload`: of what it would be too much for the rider, where that is why."""

    offer_id: OfferId
    rider_id: RiderId = NO_RIDER
    reason_code: str
    overload: Overload | None = None
    carrier_id: CarrierId | None = None


class OfferDeclined(Event, frozen=True, kw_only=True):
    offer_id: OfferId
    rider_id: RiderId = NO_RIDER
    reason_code: str
    carrier_id: CarrierId | None = None


class OfferExpired(Event, frozen=True, kw_only=True):
    offer_id: OfferId
    rider_id: RiderId
    carrier_id: CarrierId | None = None


class OfferAccepted(Event, frozen=True, kw_only=True):
    offer_id: OfferId
    rider_id: RiderId
    carrier_id: CarrierId | None = None


class OfferLost(Event, frozen=True, kw_only=True):
    offer_id: OfferId
    rider_id: RiderId
    carrier_id: CarrierId | None = None


class OfferWithdrawn(Event, frozen=True, kw_only=True):
    offer_id: OfferId
    rider_id: RiderId
    carrier_id: CarrierId | None = None


class TenderAwarded(Event, frozen=True, kw_only=True):
    offer_id: OfferId
    rider_id: RiderId = NO_RIDER
    task_id: TaskId
    round: int
    carrier_id: CarrierId | None = None
    bundle: list[Bundled] = []


class TenderExhausted(Event, frozen=True, kw_only=True):
    """Nobody was left to ask, or nobody wanted it."""

    task_id: TaskId
    round: int
    bundle: list[Bundled] = []


class TenderWithdrawn(Event, frozen=True, kw_only=True):
    task_id: TaskId
    round: int
    bundle: list[Bundled] = []
    reason_code: str


type TenderEvent = (
    DispatchDecisionRecorded
    | TenderOpened
    | OfferSent
    | OfferViewed
    | OfferClaimed
    | BiddingClosed
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
    | CarrierOfferEvent
)
