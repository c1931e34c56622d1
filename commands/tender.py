"""Tender: one offering of one task, or of a bundle, until somebody wins it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal, TypedDict, assert_never

import msgspec
from msgspec.structs import replace

from commands.carrier_offer import (
    Answered,
    AnsweredTooLate,
    NoCounters,
    UnknownOffer,
    answer_of,
    answered_by,
    within_limit,
)
from commands.context import Context
from commands.life import NEW, Life, to, when, within
from commands.refusals import NotAnInterval
from schemas import ids
from schemas.carrier_offer import (
    AcceptCounter,
    CarrierAnswered,
    CarrierBookingRequested,
    CarrierOfferTerms,
    CounterAccepted,
    CounterDeclined,
    DeclineCounter,
    OfferCountered,
    RecordCarrierAnswer,
)
from schemas.itinerary import Bundled, Placed
from schemas.load import Overload
from schemas.message import CarrierId, NotInThisState, OfferId, Refused, RiderId, TaskId, TenderId
from schemas.money import Money
from schemas.tender import (
    AwardTender,
    BiddingClosed,
    ClaimOffer,
    ClaimRejected,
    CloseBidding,
    ConfirmTenderOpened,
    DeclineOffer,
    DispatchDecisionRecorded,
    ExpireClaim,
    ExpireOffer,
    OfferAccepted,
    OfferClaimed,
    OfferDeclined,
    OfferExpired,
    OfferLost,
    OfferSent,
    OfferViewed,
    OfferWithdrawn,
    OpenTender,
    PlannedOffer,
    Queue,
    RejectClaim,
    ReservationRequested,
    TenderAwarded,
    TenderCommand,
    TenderEvent,
    TenderExhausted,
    TenderOpened,
    TenderWithdrawn,
    ViewOffer,
    WaitingOffer,
    WithdrawTender,
)


class Offer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    rider_id: RiderId
    expires_at: datetime
    viewed: bool = False
    claimed: bool = False
    placed: tuple[Placed, ...] = ()
    ends_at: datetime | None = None
    bid: Money | None = None
    carrier_id: CarrierId | None = None
    """Then it is no rider's."""
    terms: CarrierOfferTerms | None = None
    answered: Answered | None = None


class Offeree(TypedDict):
    rider_id: RiderId
    carrier_id: CarrierId | None


def whose(offer: Offer) -> Offeree:
    return Offeree(rider_id=offer.rider_id, carrier_id=offer.carrier_id)


class Unopened(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    pass


class Open(msgspec.Struct, frozen=True, kw_only=True, tag=True, array_like=True, gc=False):
    """`pending` holds the offers that may still win, claimed ones last and in the order of their claims."""

    task_id: TaskId
    round: int
    pending: Mapping[OfferId, Offer] = {}
    reserving: OfferId | None = None
    hold_until: datetime | None = None
    queue: Queue | None = None
    """Those who have not been asked yet."""
    bids_until: datetime | None = None
    """In a tender in which riders bid, while they may."""
    bidding: bool = False
    """It is, or was, one of those."""
    bids_in: str | None = None
    bundle: tuple[Bundled, ...] = ()


class Over(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    how: Literal["awarded", "exhausted", "withdrawn"]
    winner: OfferId | None = None


type Tender = Unopened | Open | Over


def is_over(tender: Tender) -> bool:
    return isinstance(tender, Over)


def status_of(tender: Tender) -> str:
    match tender:
        case Unopened():
            return NEW
        case Open():
            return "open"
        case Over():
            return tender.how


LIFE = Life(
    status_of,
    {
        DispatchDecisionRecorded: to("open", NEW),
        TenderOpened: within("open"),
        OfferSent: within("open"),
        OfferViewed: within("open"),
        OfferClaimed: within("open"),
        BiddingClosed: within("open"),
        ReservationRequested: within("open"),
        ClaimRejected: within("open"),
        CarrierAnswered: within("open"),
        OfferCountered: within("open"),
        CounterAccepted: within("open"),
        CounterDeclined: within("open"),
        CarrierBookingRequested: within("open"),
        OfferDeclined: within("open"),
        OfferExpired: within("open"),
        OfferWithdrawn: within("open"),
        OfferAccepted: within("open"),
        TenderAwarded: to("awarded", "open"),
        OfferLost: within("awarded"),
        TenderExhausted: to("exhausted", "open"),
        TenderWithdrawn: to("withdrawn", "open"),
    },
    {
        ViewOffer: when("open"),
        ClaimOffer: when("open"),
        DeclineOffer: when("open"),
        AcceptCounter: when("open"),
        DeclineCounter: when("open"),
    },
)


class OfferNotPending(Refused):
    rule = "offer-not-pending"
    stands_in = ("offer_id",)

    def __init__(self, offer_id: OfferId) -> None:
        super().__init__(f"offer {offer_id} is not pending")
        self.offer_id = offer_id


class BidNeeded(Refused):
    rule = "bid-needed"
    is_about = ("bid",)

    def __init__(self) -> None:
        super().__init__("in this tender riders say for how much: the claim has no bid")


class NoBids(Refused):
    rule = "no-bids"
    is_about = ("bid",)

    def __init__(self, bid: Money) -> None:
        super().__init__("in this tender nobody bids")
        self.bid = bid


class BidInAnotherCurrency(Refused):
    rule = "bid-in-another-currency"
    is_about = ("bid",)

    def __init__(self, currency: str, agreed: str) -> None:
        super().__init__(f"bids are in {agreed}, not in {currency}")
        self.currency = currency
        self.agreed = agreed


class NotYourOffer(Refused):
    rule = "not-your-offer"
    stands_in = ("offer_id",)

    def __init__(self, offer_id: OfferId, actor: str) -> None:
        super().__init__(f"offer {offer_id} was not made to {actor}")
        self.offer_id = offer_id


class OfferHasExpired(Refused):
    rule = "offer-has-expired"
    stands_in = ("offer_id",)

    def __init__(self, offer_id: OfferId, expired_at: datetime) -> None:
        super().__init__(f"offer {offer_id} expired at {expired_at.isoformat()}")
        self.offer_id = offer_id
        self.expired_at = expired_at


def decide(tender: Tender, command: TenderCommand, context: Context) -> list[TenderEvent]:
    match command:
        case OpenTender():
            return open_tender(tender, command)
        case ViewOffer():
            return view_offer(tender, command, context)
        case ClaimOffer():
            return claim_offer(tender, command, context)
        case DeclineOffer():
            return decline_offer(tender, command, context)
        case AwardTender():
            return award_tender(tender, command)
        case RejectClaim():
            return reject_claim(tender, command, context)
        case ExpireClaim():
            return expire_claim(tender, command, context)
        case ExpireOffer():
            return expire_offer(tender, command, context)
        case CloseBidding():
            return close_bidding(tender, context)
        case WithdrawTender():
            return withdraw_tender(tender, command)
        case ConfirmTenderOpened():
            return []
        case RecordCarrierAnswer():
            return record_answer(tender, command, context)
        case AcceptCounter():
            return accept_counter(tender, command, context)
        case DeclineCounter():
            return decline_counter(tender, command, context)
        case _:
            assert_never(command)


def open_tender(tender: Tender, command: OpenTender) -> list[TenderEvent]:
    """The decision comes first, so that also a task that nobody can take has its why."""
    if not isinstance(tender, Unopened):
        return []
    decision = DispatchDecisionRecorded(
        task_id=command.task_id,
        round=command.round,
        bundle=command.bundle,
        mode=command.mode,
        candidates=command.candidates,
        others=command.others,
        excluded=command.excluded,
        more_excluded=command.more_excluded,
        carriers=command.carriers,
        carriers_excluded=command.carriers_excluded,
        policy_version=command.policy_version,
        weights=command.weights,
        input_hash=command.input_hash,
        solver=command.solver,
        in_window=command.in_window,
    )
    if not command.offers:
        return [decision, TenderExhausted(task_id=command.task_id, round=command.round, bundle=command.bundle)]
    opened = TenderOpened(
        task_id=command.task_id,
        round=command.round,
        bundle=command.bundle,
        mode=command.mode,
        queue=command.queue,
        bids_until=command.bids_until,
        bids_in=command.bids_in,
    )
    return [decision, opened, *(sent(offer, offer.expires_at) for offer in command.offers)]


def sent(offer: PlannedOffer | WaitingOffer, expires_at: datetime) -> OfferSent:
    return OfferSent(
        offer_id=offer.offer_id,
        rider_id=offer.rider_id,
        expires_at=expires_at,
        placed=offer.placed,
        ends_at=offer.ends_at,
        carrier_id=offer.carrier_id,
        terms=offer.terms,
    )


def view_offer(tender: Tender, command: ViewOffer, context: Context) -> list[TenderEvent]:
    _, offer = own_offer(tender, command.offer_id, context)
    return [] if offer.viewed else [OfferViewed(offer_id=command.offer_id, rider_id=offer.rider_id)]


def claim_offer(tender: Tender, command: ClaimOffer, context: Context) -> list[TenderEvent]:
    """A claim is recorded at once; claims are tried one at a time, in the order they came, or by what they bid."""
    if isinstance(tender, Over) and tender.winner == command.offer_id:
        return []
    still, offer = own_offer(tender, command.offer_id, context)
    must_bid_where_asked(still, command.bid)
    if offer.claimed:
        return []
    if context.now >= offer.expires_at:
        raise OfferHasExpired(command.offer_id, offer.expires_at)
    return claimed(still, command.offer_id, command.bid, context)


def claimed(still: Open, offer_id: OfferId, bid: Money | None, context: Context) -> list[TenderEvent]:
    offer = still.pending[offer_id]
    told = OfferClaimed(offer_id=offer_id, **whose(offer), bid=bid)
    if still.reserving is not None:
        return [told]
    if still.bids_until is None:
        return [told, request_reservation(still, offer_id, offer, context)]
    if all(other.claimed for each, other in still.pending.items() if each != offer_id):
        return [told, *bidding_closed(claims_last(still, offer_id, bid), context)]
    return [told]


def must_bid_where_asked(tender: Open, bid: Money | None) -> None:
    if bid is None:
        if tender.bidding:
            raise BidNeeded
    elif not tender.bidding:
        raise NoBids(bid)
    elif tender.bids_in is not None and bid.currency != tender.bids_in:
        raise BidInAnotherCurrency(bid.currency, tender.bids_in)


def close_bidding(tender: Tender, context: Context) -> list[TenderEvent]:
    match tender:
        case Open(bids_until=datetime() as due) if context.now >= due:
            return bidding_closed(tender, context)
        case _:
            return []


def bidding_closed(tender: Open, context: Context) -> list[TenderEvent]:
    """Who has not bid by then is not asked any more."""
    silent = {offer_id: offer for offer_id, offer in tender.pending.items() if not offer.claimed}
    expired = [OfferExpired(offer_id=offer_id, **whose(offer)) for offer_id, offer in silent.items()]
    closed = BiddingClosed(task_id=tender.task_id, round=tender.round)
    claims = replace(tender, pending={o: offer for o, offer in tender.pending.items() if o not in silent})
    return [*expired, closed, *(next_claim(claims, context) or [exhausted(tender)])]


def decline_offer(tender: Tender, command: DeclineOffer, context: Context) -> list[TenderEvent]:
    """A claimed offer is no longer declined: its reservation decides."""
    still, offer = own_offer(tender, command.offer_id, context)
    if offer.claimed:
        raise NotInThisState(needed="not yet claimed", actual="claimed")
    declined = OfferDeclined(offer_id=command.offer_id, **whose(offer), reason_code=command.reason_code)
    return [declined, *after(without_offer(still, command.offer_id), context)]


def award_tender(tender: Tender, command: AwardTender) -> list[TenderEvent]:
    """The rider is reserved: the claim wins, and every other offer is lost in the same breath."""
    match tender:
        case Over(how="awarded", winner=command.offer_id):
            return []
        case Open(reserving=command.offer_id):
            won = tender.pending[command.offer_id]
            return [
                OfferAccepted(offer_id=command.offer_id, **whose(won)),
                TenderAwarded(
                    offer_id=command.offer_id,
                    **whose(won),
                    task_id=tender.task_id,
                    round=tender.round,
                    bundle=[*tender.bundle],
                ),
                *(
                    OfferLost(offer_id=offer_id, **whose(other))
                    for offer_id, other in tender.pending.items()
                    if offer_id != command.offer_id
                ),
            ]
        case _:
            raise OfferNotPending(command.offer_id)


def reject_claim(tender: Tender, command: RejectClaim, context: Context) -> list[TenderEvent]:
    """The rider could not be reserved: the claim goes, the next one is tried."""
    match tender:
        case Open(reserving=command.offer_id):
            return claim_rejected(tender, command.offer_id, command.reason_code, context, command.overload)
        case _:
            return []


def expire_claim(tender: Tender, command: ExpireClaim, context: Context) -> list[TenderEvent]:
    match tender:
        case Open(reserving=command.offer_id, hold_until=datetime() as due) if context.now >= due:
            return claim_rejected(tender, command.offer_id, "reservation_timed_out", context)
        case _:
            return []


def claim_rejected(
    tender: Open, offer_id: OfferId, reason_code: str, context: Context, overload: Overload | None = None
) -> list[TenderEvent]:
    claim = tender.pending[offer_id]
    rejected = ClaimRejected(offer_id=offer_id, **whose(claim), reason_code=reason_code, overload=overload)
    rest = replace(without_offer(tender, offer_id), reserving=None, hold_until=None)
    return [rejected, *(next_claim(rest, context) or after(rest, context))]


def expire_offer(tender: Tender, command: ExpireOffer, context: Context) -> list[TenderEvent]:
    """A claimed offer does not expire: its reservation decides."""
    match tender:
        case Open(pending={command.offer_id: Offer(claimed=False) as offer}) if context.now >= offer.expires_at:
            expired = OfferExpired(offer_id=command.offer_id, **whose(offer))
            return [expired, *after(without_offer(tender, command.offer_id), context)]
        case _:
            return []


def withdraw_tender(tender: Tender, command: WithdrawTender) -> list[TenderEvent]:
    match tender:
        case Open():
            withdrawn = (
                OfferWithdrawn(offer_id=offer_id, **whose(offer)) for offer_id, offer in tender.pending.items()
            )
            return [
                *withdrawn,
                TenderWithdrawn(
                    task_id=tender.task_id,
                    round=tender.round,
                    bundle=[*tender.bundle],
                    reason_code=command.reason_code,
                ),
            ]
        case _:
            return []


def after(rest: Open, context: Context) -> list[TenderEvent]:
    """An offer has come to nothing, and these are left: where nobody is, those who are next are asked."""
    if rest.bids_until is not None and rest.pending and all(offer.claimed for offer in rest.pending.values()):
        return bidding_closed(rest, context)
    if rest.pending:
        return []
    if rest.queue is None or not rest.queue.waiting:
        return [exhausted(rest)]
    next_ones = rest.queue.waiting[: rest.queue.at_once]
    return [sent(offer, context.now + stands_for(offer, rest.queue)) for offer in next_ones]


def stands_for(offer: WaitingOffer, queue: Queue) -> timedelta:
    """To a carrier for its commitment."""
    return timedelta(seconds=queue.seconds if offer.terms is None else offer.terms.commitment_seconds)


def exhausted(tender: Open) -> TenderExhausted:
    return TenderExhausted(task_id=tender.task_id, round=tender.round, bundle=[*tender.bundle])


def next_claim(tender: Open, context: Context) -> list[TenderEvent]:
    """In the order of the claims; where riders bid the smallest bid first, of equal ones the earlier."""
    claims = [(offer_id, offer) for offer_id, offer in tender.pending.items() if offer.claimed]
    if tender.bidding:
        claims.sort(key=lambda claim: 0 if claim[1].bid is None else claim[1].bid.amount_minor)
    return [request_reservation(tender, offer_id, offer, context) for offer_id, offer in claims[:1]]


def request_reservation(
    tender: Open, offer_id: OfferId, offer: Offer, context: Context
) -> ReservationRequested | CarrierBookingRequested:
    hold_until = context.now + timedelta(seconds=context.policy.rules.hold_seconds)
    if offer.carrier_id is not None:
        return request_booking(tender, offer_id, offer, offer.carrier_id, hold_until)
    return ReservationRequested(
        offer_id=offer_id,
        rider_id=offer.rider_id,
        task_id=tender.task_id,
        bundle=[*tender.bundle],
        hold_until=hold_until,
        placed=[*offer.placed],
        ends_at=offer.ends_at,
    )


def request_booking(
    tender: Open, offer_id: OfferId, offer: Offer, carrier_id: CarrierId, hold_until: datetime
) -> CarrierBookingRequested:
    told, terms = offer.answered, offer.terms
    assert told is not None, "a carrier claims by its answer"
    assert terms is not None, "a carrier is asked on terms"
    price = offer.bid or (told.price if told.answer == "counter" else None) or terms.price
    assert price is not None, "it is offered, or the carrier has said it"
    assert told.pickup_at is not None, "who takes it says when"
    assert told.dropoff_at is not None, "who takes it says when"
    return CarrierBookingRequested(
        offer_id=offer_id,
        carrier_id=carrier_id,
        task_id=tender.task_id,
        service_level=terms.service_level,
        price=price,
        pickup_at=told.pickup_at,
        dropoff_at=told.dropoff_at,
        carrier_reference=told.carrier_reference,
        hold_until=hold_until,
    )


def record_answer(tender: Tender, command: RecordCarrierAnswer, context: Context) -> list[TenderEvent]:
    """The carrier is the actor: its signature was verified at the door."""
    if isinstance(tender, Over) and tender.winner == command.offer_id and command.answer == "accept":
        return []
    still, offer, carrier_id = carriers_offer(tender, command.offer_id, context)
    if offer.claimed:
        if command.answer == "accept":
            return []
        raise NotInThisState(needed="not yet claimed", actual="claimed")
    if context.now >= offer.expires_at:
        raise OfferHasExpired(command.offer_id, offer.expires_at)
    told = answered_by(carrier_id, command)
    heard = with_offer(still, command.offer_id, replace(offer, answered=answer_of(told)))
    if command.answer == "decline":
        reason = command.reason_code or "declined"
        declined = OfferDeclined(offer_id=command.offer_id, **whose(offer), reason_code=reason)
        return [told, declined, *after(without_offer(still, command.offer_id), context)]
    return [told, *taken(heard, offer, command, context)]


def taken(heard: Open, offer: Offer, command: RecordCarrierAnswer, context: Context) -> list[TenderEvent]:
    pickup_at, dropoff_at, terms = command.pickup_at, command.dropoff_at, offer.terms
    assert terms is not None, "a carrier is asked on terms"
    assert pickup_at is not None, "who takes it says when"
    assert dropoff_at is not None, "who takes it says when"
    if dropoff_at <= pickup_at:
        raise NotAnInterval(pickup_at, dropoff_at)
    if command.answer == "accept":
        bid = command.price if heard.bidding or command.price != terms.price else None
        must_bid_where_asked(heard, bid)
        return claimed(heard, command.offer_id, bid, context)
    if heard.bidding or terms.price is None or offer.carrier_id is None:
        raise NoCounters
    price = command.price or terms.price
    if price.currency != terms.price.currency:
        raise BidInAnotherCurrency(price.currency, terms.price.currency)
    countered = OfferCountered(
        offer_id=command.offer_id,
        carrier_id=offer.carrier_id,
        task_id=heard.task_id,
        price=price,
        pickup_at=pickup_at,
        dropoff_at=dropoff_at,
        within_limit=within_limit(terms, price, dropoff_at, context.policy.rules.dispatch.counters),
        expires_at=offer.expires_at,
    )
    return [countered, *(claimed(heard, command.offer_id, None, context) if countered.within_limit else [])]


def accept_counter(tender: Tender, command: AcceptCounter, context: Context) -> list[TenderEvent]:
    if isinstance(tender, Over) and tender.winner == command.offer_id:
        return []
    still, offer, carrier_id = countered_offer(tender, command.offer_id)
    if offer.claimed:
        return []
    if context.now >= offer.expires_at:
        raise OfferHasExpired(command.offer_id, offer.expires_at)
    accepted = CounterAccepted(offer_id=command.offer_id, carrier_id=carrier_id)
    return [accepted, *claimed(still, command.offer_id, None, context)]


def decline_counter(tender: Tender, command: DeclineCounter, context: Context) -> list[TenderEvent]:
    still, offer, carrier_id = countered_offer(tender, command.offer_id)
    if offer.claimed:
        raise NotInThisState(needed="not yet claimed", actual="claimed")
    declined = CounterDeclined(offer_id=command.offer_id, carrier_id=carrier_id, reason_code=command.reason_code)
    return [declined, *after(without_offer(still, command.offer_id), context)]


def countered_offer(tender: Tender, offer_id: OfferId) -> tuple[Open, Offer, CarrierId]:
    offer = tender.pending.get(offer_id) if isinstance(tender, Open) else None
    if offer is None or offer.carrier_id is None or not isinstance(tender, Open):
        raise OfferNotPending(offer_id)
    if offer.answered is None or offer.answered.answer != "counter":
        raise NotInThisState(needed="countered", actual="not countered")
    return tender, offer, offer.carrier_id


def carriers_offer(tender: Tender, offer_id: OfferId, context: Context) -> tuple[Open, Offer, CarrierId]:
    """Raises UnknownOffer, NotYourOffer, AnsweredTooLate."""
    offer = tender.pending.get(offer_id) if isinstance(tender, Open) else None
    if offer is not None and (offer.carrier_id is None or offer.carrier_id != context.actor):
        raise NotYourOffer(offer_id, context.actor)
    if isinstance(tender, Open) and offer is not None and offer.carrier_id is not None:
        return tender, offer, offer.carrier_id
    if isinstance(tender, Unopened) or offer_id != ids.offer_id(TenderId(context.aggregate_id), context.actor):
        raise UnknownOffer(offer_id)
    raise AnsweredTooLate(offer_id, tender.how if isinstance(tender, Over) else "over")


def own_offer(tender: Tender, offer_id: OfferId, context: Context) -> tuple[Open, Offer]:
    offer = tender.pending.get(offer_id) if isinstance(tender, Open) else None
    if offer is None or not isinstance(tender, Open):
        raise OfferNotPending(offer_id)
    if offer.carrier_id is not None or context.actor != offer.rider_id:
        raise NotYourOffer(offer_id, context.actor)
    return tender, offer


def evolve(tender: Tender, event: TenderEvent) -> Tender:
    match event:
        case DispatchDecisionRecorded():
            return Open(task_id=event.task_id, round=event.round, bundle=tuple(event.bundle))
        case TenderOpened():
            bids_until = event.bids_until
            bidding = bids_until is not None
            opened = replace(still_open(tender), queue=event.queue, bids_until=bids_until, bids_in=event.bids_in)
            return replace(opened, bidding=bidding)
        case OfferSent():
            offer = Offer(event.rider_id, event.expires_at, placed=tuple(event.placed), ends_at=event.ends_at)
            offer = replace(offer, carrier_id=event.carrier_id, terms=event.terms)
            return with_offer(asked(still_open(tender), event.offer_id), event.offer_id, offer)
        case OfferViewed():
            viewed = replace(still_open(tender).pending[event.offer_id], viewed=True)
            return with_offer(still_open(tender), event.offer_id, viewed)
        case OfferClaimed():
            return claims_last(still_open(tender), event.offer_id, event.bid)
        case BiddingClosed():
            return replace(still_open(tender), bids_until=None)
        case CarrierAnswered():
            heard = replace(still_open(tender).pending[event.offer_id], answered=answer_of(event))
            return with_offer(still_open(tender), event.offer_id, heard)
        case ReservationRequested() | CarrierBookingRequested():
            return replace(still_open(tender), reserving=event.offer_id, hold_until=event.hold_until)
        case ClaimRejected():
            rejected = without_offer(still_open(tender), event.offer_id)
            return replace(rejected, reserving=None, hold_until=None)
        case OfferDeclined() | OfferExpired() | OfferWithdrawn() | CounterDeclined():
            return without_offer(still_open(tender), event.offer_id)
        case TenderAwarded():
            return Over("awarded", event.offer_id)
        case TenderExhausted():
            return Over("exhausted")
        case TenderWithdrawn():
            return Over("withdrawn")
        case OfferAccepted() | OfferLost() | OfferCountered() | CounterAccepted():
            return tender
        case _:
            assert_never(event)


def asked(tender: Open, offer_id: OfferId) -> Open:
    """They wait no longer."""
    if tender.queue is None or all(offer.offer_id != offer_id for offer in tender.queue.waiting):
        return tender
    waiting = [offer for offer in tender.queue.waiting if offer.offer_id != offer_id]
    return replace(tender, queue=replace(tender.queue, waiting=waiting))


def claims_last(tender: Open, offer_id: OfferId, bid: Money | None) -> Open:
    claimed = replace(tender.pending[offer_id], claimed=True, bid=bid)
    return with_offer(without_offer(tender, offer_id), offer_id, claimed)


def still_open(tender: Tender) -> Open:
    assert isinstance(tender, Open), f"an open tender, not {tender}"
    return tender


def with_offer(tender: Open, offer_id: OfferId, offer: Offer) -> Open:
    return replace(tender, pending={**tender.pending, offer_id: offer})


def without_offer(tender: Open, offer_id: OfferId) -> Open:
    rest = {other: offer for other, offer in tender.pending.items() if other != offer_id}
    return replace(tender, pending=rest)
