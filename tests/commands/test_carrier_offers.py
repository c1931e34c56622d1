"""Offers to carriers: what they answer by a signed call, within their commitment."""

from datetime import datetime
from typing import Any

import pytest
from story import POSTI, Story, minutes, nothing_yet

from commands.carrier_offer import AnsweredTooLate, NoCounters, UnknownOffer
from commands.refusals import NotAnInterval
from commands.tender import BidInAnotherCurrency, BidNeeded, NoBids, NotYourOffer, OfferHasExpired, OfferNotPending
from schemas import ids
from schemas.carrier_offer import (
    AcceptCounter,
    CarrierAnswer,
    CarrierBookingRequested,
    CarrierOfferTerms,
    DeclineCounter,
    RecordCarrierAnswer,
)
from schemas.dispatch_rules import CounterLimit, DispatchRules
from schemas.message import CarrierId, NotInThisState, OfferId, RiderId, TaskId, TenderId
from schemas.money import Money
from schemas.tender import (
    AwardTender,
    ClaimOffer,
    CloseBidding,
    ExpireClaim,
    ExpireOffer,
    OpenTender,
    PlannedOffer,
    Queue,
    RejectClaim,
    WaitingOffer,
    WithdrawTender,
)

TASK, ANN, MATKA = TaskId("task-1"), RiderId("ann"), CarrierId("matka")
TO_ANN, TO_MATKA = OfferId("to-ann"), OfferId("to-matka")
TO_POSTI = ids.offer_id(TenderId("a-1"), POSTI)
AN_HOUR = minutes(60)
TWELVE = Money(amount_minor=1_200, currency="EUR")
TERMS = CarrierOfferTerms(service_level="same_day", commitment_seconds=600, price=TWELVE, deliver_by=minutes(120))


def opening(*offers: PlannedOffer, **more: Any) -> OpenTender:
    known: dict[str, Any] = {"task_id": TASK, "round": 1, "mode": "broadcast", "candidates": [], "excluded": []}
    known |= {"policy_version": 1, "input_hash": "h", "solver": "x"}
    return OpenTender(**known | more, offers=[*offers])


TO_THEM = PlannedOffer(offer_id=TO_POSTI, carrier_id=POSTI, terms=TERMS, expires_at=minutes(10))


def asked(*others: PlannedOffer, **more: Any) -> Story:
    return nothing_yet("tender").when(opening(TO_THEM, *others, **more)).happened().by(POSTI, "system")


def asked_with_ann() -> Story:
    return asked(PlannedOffer(offer_id=TO_ANN, rider_id=ANN, expires_at=minutes(10)))


def says(
    answer: CarrierAnswer = "accept",
    price: Money | None = None,
    until: datetime = AN_HOUR,
    reason_code: str | None = None,
) -> RecordCarrierAnswer:
    return RecordCarrierAnswer(
        offer_id=TO_POSTI,
        answer=answer,
        carrier_event_id="evt-1",
        price=price,
        pickup_at=minutes(20),
        dropoff_at=until,
        carrier_reference="P-7",
        reason_code=reason_code,
    )


def test_an_acceptance_is_recorded_as_it_came_and_asks_for_a_booking():
    told = asked().when(says()).tells("CarrierAnswered", "OfferClaimed", "CarrierBookingRequested").decided()
    assert (told[0].carrier_event_id, told[0].answer, told[1].carrier_id) == ("evt-1", "accept", POSTI)
    assert told[2] == CarrierBookingRequested(
        offer_id=TO_POSTI,
        carrier_id=POSTI,
        task_id=TASK,
        service_level="same_day",
        price=TWELVE,
        pickup_at=minutes(20),
        dropoff_at=minutes(60),
        carrier_reference="P-7",
        hold_until=minutes(0.5),
    )


def test_said_again_it_changes_nothing_not_even_once_it_has_won():
    claimed = asked().when(says()).happened()
    claimed.when(says()).then()
    claimed.when(AwardTender(offer_id=TO_POSTI)).happened().when(says()).then()


def test_the_award_is_the_carriers_and_every_other_offer_is_lost():
    claimed = asked_with_ann().when(says()).happened()
    won = claimed.when(AwardTender(offer_id=TO_POSTI)).tells("OfferAccepted", "TenderAwarded", "OfferLost").decided()
    assert (won[1].carrier_id, won[1].rider_id, won[2].rider_id, won[2].carrier_id) == (POSTI, "", ANN, None)


def test_of_a_rider_and_a_carrier_who_both_want_it_the_second_waits_for_the_first():
    rider_first = asked_with_ann().by(ANN).when(ClaimOffer(offer_id=TO_ANN)).happened().by(POSTI, "system")
    rider_first = rider_first.when(says()).tells("CarrierAnswered", "OfferClaimed").happened()
    rejected = RejectClaim(offer_id=TO_ANN, reason_code="off_shift")
    rider_first.when(rejected).tells("ClaimRejected", "CarrierBookingRequested")
    rider_first.when(AwardTender(offer_id=TO_ANN)).tells("OfferAccepted", "TenderAwarded", "OfferLost")


def test_who_is_late_is_told_how_it_ended():
    won = asked_with_ann().by(ANN).when(ClaimOffer(offer_id=TO_ANN)).happened()
    won = won.when(AwardTender(offer_id=TO_ANN)).happened().by(POSTI, "system")
    assert won.when(says()).refuses(AnsweredTooLate).values()["how"] == "awarded"
    gone = asked().when(WithdrawTender(reason_code="task_gone")).happened()
    assert gone.when(says()).refuses(AnsweredTooLate).values()["how"] == "withdrawn"
    asked().at(minutes(10)).when(says()).refuses(OfferHasExpired)
    declined = asked_with_ann().when(says("decline")).happened()
    assert declined.when(says()).refuses(AnsweredTooLate).values()["how"] == "over"


def test_who_was_not_asked_is_told_so():
    asked().by("matka", "system").when(says()).refuses(NotYourOffer)
    asked().when(RecordCarrierAnswer(offer_id=TO_ANN, answer="decline", carrier_event_id="e")).refuses(UnknownOffer)
    nothing_yet("tender").by(POSTI, "system").when(says()).refuses(UnknownOffer)
    asked_with_ann().when(RecordCarrierAnswer(offer_id=TO_ANN, answer="decline", carrier_event_id="e")).refuses(
        NotYourOffer
    )
    asked().by(ANN).when(ClaimOffer(offer_id=TO_POSTI)).refuses(NotYourOffer)


def test_a_refusal_has_its_reason_and_the_next_is_asked_for_its_own_commitment():
    waits = WaitingOffer(offer_id=TO_MATKA, carrier_id=MATKA, terms=TERMS)
    queue = Queue(waiting=[waits], at_once=1, seconds=30)
    in_turn = asked(mode="waterfall", queue=queue).at(minutes(1))
    told = in_turn.when(says("decline", reason_code="no_courier")).tells(
        "CarrierAnswered", "OfferDeclined", "OfferSent"
    )
    _, declined, sent = told.decided()
    assert (declined.reason_code, sent.carrier_id, sent.expires_at) == ("no_courier", MATKA, minutes(11))


def test_an_offer_that_is_not_answered_expires_with_the_commitment():
    asked().at(minutes(9)).when(ExpireOffer(offer_id=TO_POSTI)).then()
    asked().at(minutes(10)).when(ExpireOffer(offer_id=TO_POSTI)).tells("OfferExpired", "TenderExhausted")


def test_a_booking_that_never_came_makes_way_for_the_next_claim():
    both = asked_with_ann().when(says()).happened().by(ANN).when(ClaimOffer(offer_id=TO_ANN)).happened()
    both.at(minutes(0.5)).when(ExpireClaim(offer_id=TO_POSTI)).tells("ClaimRejected", "ReservationRequested")


def test_times_in_the_wrong_order_are_refused():
    asked().when(says(until=minutes(20))).refuses(NotAnInterval)


def test_a_price_where_nobody_bids_is_refused_unless_it_is_the_offered_one():
    asked().when(says(price=TWELVE)).tells("CarrierAnswered", "OfferClaimed", "CarrierBookingRequested")
    asked().when(says(price=Money(amount_minor=1_300, currency="EUR"))).refuses(NoBids)


def euros(minor: int) -> Money:
    return Money(amount_minor=minor, currency="EUR")


LIMITED = DispatchRules(counters=CounterLimit(max_over_percent=10, max_price_minor=1_250, max_late_seconds=900))


@pytest.mark.parametrize(
    ("minor", "until", "at_once"),
    [
        (1_320, minutes(120), True),
        (1_321, minutes(120), False),
        (1_200, minutes(135), True),
        (1_200, minutes(136), False),
    ],
)
def test_a_counter_within_the_limit_is_had_at_once_and_another_waits(minor: int, until: datetime, at_once: bool):
    countered = asked().where(dispatch=LIMITED).when(says("counter", euros(minor), until))
    if at_once:
        told = countered.tells("CarrierAnswered", "OfferCountered", "OfferClaimed", "CarrierBookingRequested")
        assert told.decided()[-1].price == euros(minor)
    else:
        countered.tells("CarrierAnswered", "OfferCountered")


def test_a_price_below_the_highest_is_within_the_limit_however_much_it_is_over():
    low = DispatchRules(counters=CounterLimit(max_price_minor=1_250))
    assert asked().where(dispatch=low).when(says("counter", euros(1_250))).decided()[1].within_limit
    assert not asked().where(dispatch=low).when(says("counter", euros(1_251))).decided()[1].within_limit


def countered() -> Story:
    return asked().when(says("counter", euros(2_000))).happened()


def test_a_dispatcher_agrees_to_a_counter_and_it_is_booked_for_that():
    agreed = countered().by("dora", "dispatcher").when(AcceptCounter(offer_id=TO_POSTI))
    told = agreed.tells("CounterAccepted", "OfferClaimed", "CarrierBookingRequested").decided()
    assert told[-1].price == euros(2_000)
    agreed.and_then(AcceptCounter(offer_id=TO_POSTI)).then()


def test_a_dispatcher_does_not_agree_and_the_carrier_is_out():
    no = DeclineCounter(offer_id=TO_POSTI, reason_code="too_dear")
    countered().by("dora", "dispatcher").when(no).tells("CounterDeclined", "TenderExhausted")


def test_a_counter_waits_no_longer_than_the_offer_stands():
    late = countered().by("dora", "dispatcher").at(minutes(10))
    late.when(AcceptCounter(offer_id=TO_POSTI)).refuses(OfferHasExpired)
    late.when(ExpireOffer(offer_id=TO_POSTI)).tells("OfferExpired", "TenderExhausted")


def test_a_carrier_that_countered_may_still_take_what_was_offered():
    told = countered().when(says()).tells("CarrierAnswered", "OfferClaimed", "CarrierBookingRequested").decided()
    assert told[-1].price == TWELVE


def test_only_a_counter_is_agreed_to():
    asked().by("dora", "dispatcher").when(AcceptCounter(offer_id=TO_POSTI)).refuses(NotInThisState)
    asked().by("dora", "dispatcher").when(AcceptCounter(offer_id=TO_ANN)).refuses(OfferNotPending)


def test_a_counter_in_another_currency_is_refused():
    dollars = Money(amount_minor=1_200, currency="USD")
    asked().when(says("counter", dollars)).refuses(BidInAnotherCurrency)


def bidding() -> Story:
    to_ann = PlannedOffer(offer_id=TO_ANN, rider_id=ANN, expires_at=minutes(10))
    return asked(to_ann, mode="bid", bids_until=minutes(10), bids_in="EUR")


def test_where_carriers_bid_the_smallest_bid_is_tried_first_whoever_it_is_from():
    bidding().when(says()).refuses(BidNeeded)
    bidding().when(says("counter", euros(900))).refuses(NoCounters)
    one = bidding().when(says(price=euros(900))).tells("CarrierAnswered", "OfferClaimed").happened()
    claim = ClaimOffer(offer_id=TO_ANN, bid=euros(1_000))
    told = one.by(ANN).when(claim).tells("OfferClaimed", "BiddingClosed", "CarrierBookingRequested").decided()
    assert told[-1].price == euros(900)


def test_the_bids_close_without_those_who_said_nothing():
    one = bidding().when(says(price=euros(900))).happened()
    one.at(minutes(10)).when(CloseBidding()).tells("OfferExpired", "BiddingClosed", "CarrierBookingRequested")


def test_a_claimed_offer_is_not_declined_any_more():
    asked().when(says()).happened().when(says("decline")).refuses(NotInThisState)
