import pytest
from msgspec import ValidationError, convert, to_builtins
from msgspec.structs import replace
from story import NOON, Story, minutes, nothing_yet

from commands.tender import (
    BidInAnotherCurrency,
    BidNeeded,
    NoBids,
    NotYourOffer,
    OfferHasExpired,
    OfferNotPending,
)
from schemas.batch_rules import MAX_BUNDLE
from schemas.dispatch_rules import DispatchRules
from schemas.itinerary import Bundled
from schemas.load import Overload
from schemas.message import NotInThisState, OfferId, RiderId, TaskId
from schemas.money import Money
from schemas.tender import (
    AwardTender,
    Candidate,
    ClaimOffer,
    CloseBidding,
    DeclineOffer,
    Excluded,
    ExpireClaim,
    ExpireOffer,
    OfferAccepted,
    OfferLost,
    OpenTender,
    PlannedOffer,
    Queue,
    RejectClaim,
    TenderAwarded,
    ViewOffer,
    WaitingOffer,
    WithdrawTender,
)

TASK, ANN, BOB = TaskId("task-1"), RiderId("ann"), RiderId("bob")
TO_ANN, TO_BOB = OfferId("to-ann"), OfferId("to-bob")


def opening(*offers: PlannedOffer) -> OpenTender:
    return OpenTender(
        task_id=TASK,
        round=1,
        mode="broadcast",
        candidates=[Candidate(rider_id=ANN, rank=1, travel_s=60, distance_m=500, source="osrm")],
        excluded=[Excluded(rider_id=RiderId("cyd"), code="off_shift")],
        offers=list(offers),
        policy_version=1,
        input_hash="h",
        solver="nearest-1",
    )


def both_asked() -> Story:
    to_ann = PlannedOffer(offer_id=TO_ANN, rider_id=ANN, expires_at=minutes(1))
    to_bob = PlannedOffer(offer_id=TO_BOB, rider_id=BOB, expires_at=minutes(1))
    return nothing_yet("tender").when(opening(to_ann, to_bob)).happened()


def bob_first() -> Story:
    return both_asked().by(BOB).when(ClaimOffer(offer_id=TO_BOB)).happened()


def test_the_decision_comes_first_and_the_offers_follow():
    offer = PlannedOffer(offer_id=TO_ANN, rider_id=ANN, expires_at=minutes(1))
    nothing_yet("tender").when(opening(offer)).tells("DispatchDecisionRecorded", "TenderOpened", "OfferSent")


def test_without_a_candidate_it_ends_at_once_and_says_why():
    nothing_yet("tender").when(opening()).tells("DispatchDecisionRecorded", "TenderExhausted")


def test_a_claim_asks_for_a_reservation_and_does_not_win_yet():
    both_asked().by(BOB).when(ClaimOffer(offer_id=TO_BOB)).tells("OfferClaimed", "ReservationRequested")


def test_a_second_claim_waits_for_the_first():
    bob_first().by(ANN).when(ClaimOffer(offer_id=TO_ANN)).tells("OfferClaimed")


def test_the_award_ends_every_other_offer():
    bob_first().when(AwardTender(offer_id=TO_BOB)).then(
        OfferAccepted(offer_id=TO_BOB, rider_id=BOB),
        TenderAwarded(offer_id=TO_BOB, rider_id=BOB, task_id=TASK, round=1),
        OfferLost(offer_id=TO_ANN, rider_id=ANN),
    )


def test_when_a_claim_is_rejected_the_next_one_is_tried():
    reject = RejectClaim(offer_id=TO_BOB, reason_code="off_shift")
    bob_first().when(reject).tells("ClaimRejected")
    both_claim = bob_first().by(ANN).when(ClaimOffer(offer_id=TO_ANN)).happened()
    both_claim.when(reject).tells("ClaimRejected", "ReservationRequested")


def test_of_a_claim_that_is_too_much_it_is_told_what_there_is_too_much_of():
    too_much = Overload(measure="volume_cm3", load=900, limit=800)
    [rejected] = (
        bob_first().when(RejectClaim(offer_id=TO_BOB, reason_code="over_capacity", overload=too_much)).decided()
    )
    assert (rejected.reason_code, rejected.overload) == ("over_capacity", too_much)


def test_a_claim_whose_reservation_never_came_makes_way_for_the_next():
    both_claim = bob_first().by(ANN).when(ClaimOffer(offer_id=TO_ANN)).happened()
    expire = ExpireClaim(offer_id=TO_BOB)
    both_claim.when(expire).then()
    both_claim.at(minutes(0.5)).when(expire).tells("ClaimRejected", "ReservationRequested")


def test_when_nobody_is_left_the_tender_is_exhausted():
    story = both_asked().by(ANN).when(DeclineOffer(offer_id=TO_ANN, reason_code="too_far")).tells("OfferDeclined")
    story = story.happened()
    story.by(BOB).when(DeclineOffer(offer_id=TO_BOB, reason_code="tired")).tells("OfferDeclined", "TenderExhausted")
    story.at(minutes(1)).when(ExpireOffer(offer_id=TO_BOB)).tells("OfferExpired", "TenderExhausted")


def test_only_the_rider_who_was_asked_may_answer():
    both_asked().by(ANN).when(ClaimOffer(offer_id=TO_BOB)).refuses(NotYourOffer)
    both_asked().by(ANN).when(ViewOffer(offer_id=TO_BOB)).refuses(NotYourOffer)
    both_asked().by(ANN).when(DeclineOffer(offer_id=TO_BOB, reason_code="tired")).refuses(NotYourOffer)


def test_a_claimed_offer_is_not_declined():
    bob_first().when(DeclineOffer(offer_id=TO_BOB, reason_code="tired")).refuses(NotInThisState)


def test_a_claim_after_the_expiry_is_refused():
    both_asked().by(BOB).at(minutes(1)).when(ClaimOffer(offer_id=TO_BOB)).refuses(OfferHasExpired)


def test_nothing_is_claimed_after_the_award():
    won = bob_first().when(AwardTender(offer_id=TO_BOB)).happened()
    won.by(ANN).when(ClaimOffer(offer_id=TO_ANN)).refuses(OfferNotPending)
    won.by(BOB).when(ClaimOffer(offer_id=TO_BOB)).then()


def test_an_offer_expires_when_due_and_never_before():
    both_asked().at(NOON).when(ExpireOffer(offer_id=TO_BOB)).then()
    both_asked().at(minutes(1)).when(ExpireOffer(offer_id=TO_BOB)).tells("OfferExpired")
    bob_first().at(minutes(1)).when(ExpireOffer(offer_id=TO_BOB)).then()


def test_a_withdrawn_tender_withdraws_its_offers():
    both_asked().when(WithdrawTender(reason_code="cancelled")).tells(
        "OfferWithdrawn", "OfferWithdrawn", "TenderWithdrawn"
    )


def test_what_a_process_repeats_changes_nothing():
    won = bob_first().when(AwardTender(offer_id=TO_BOB)).happened()
    both_asked().when(opening()).then()
    won.when(AwardTender(offer_id=TO_BOB)).then()
    won.when(RejectClaim(offer_id=TO_BOB, reason_code="late")).then()
    won.at(minutes(1)).when(ExpireOffer(offer_id=TO_BOB)).then()
    won.when(WithdrawTender(reason_code="cancelled")).then()


def test_only_the_claim_whose_rider_is_being_reserved_wins():
    both_claim = bob_first().by(ANN).when(ClaimOffer(offer_id=TO_ANN)).happened()
    both_claim.when(AwardTender(offer_id=TO_ANN)).refuses(OfferNotPending)
    both_asked().when(AwardTender(offer_id=TO_ANN)).refuses(OfferNotPending)


# Asked one after the other


def one_after_the_other(*riders: RiderId, at_once: int = 1) -> Story:
    """The first of them are asked, the others wait."""
    offer = OfferId
    asked = [PlannedOffer(offer_id=offer(f"to-{r}"), rider_id=r, expires_at=minutes(1)) for r in riders[:at_once]]
    waiting = [WaitingOffer(offer_id=offer(f"to-{r}"), rider_id=r) for r in riders[at_once:]]
    ranked = replace(opening(*asked), mode="ranked", queue=Queue(waiting=waiting, at_once=at_once, seconds=60))
    return nothing_yet("tender").when(ranked).happened()


def test_who_declines_makes_way_for_the_next_who_has_as_much_time():
    story = one_after_the_other(ANN, BOB).at(minutes(0.5)).by(ANN)
    story = story.when(DeclineOffer(offer_id=TO_ANN, reason_code="far"))
    [_, sent] = story.decided()
    assert (sent.rider_id, sent.expires_at) == (BOB, minutes(1.5))
    story.happened().by(BOB).when(DeclineOffer(offer_id=TO_BOB, reason_code="far")).tells(
        "OfferDeclined", "TenderExhausted"
    )


def test_so_does_who_lets_it_pass_and_whose_claim_is_rejected():
    late = one_after_the_other(ANN, BOB).at(minutes(1))
    late.when(ExpireOffer(offer_id=TO_ANN)).tells("OfferExpired", "OfferSent")
    claimed = one_after_the_other(ANN, BOB).by(ANN).when(ClaimOffer(offer_id=TO_ANN)).happened()
    claimed.when(RejectClaim(offer_id=TO_ANN, reason_code="off_shift")).tells("ClaimRejected", "OfferSent")


def test_of_a_batch_all_have_answered_before_the_next_is_asked():
    cyd, dan = RiderId("cyd"), RiderId("dan")
    story = one_after_the_other(ANN, BOB, cyd, dan, at_once=2)
    story = story.by(ANN).when(DeclineOffer(offer_id=TO_ANN, reason_code="far")).tells("OfferDeclined").happened()
    story.by(BOB).when(DeclineOffer(offer_id=TO_BOB, reason_code="far")).tells(
        "OfferDeclined", "OfferSent", "OfferSent"
    )


def test_who_waits_has_no_offer_yet_and_gets_none_once_it_is_won():
    story = one_after_the_other(ANN, BOB)
    story.by(BOB).when(ClaimOffer(offer_id=TO_BOB)).refuses(OfferNotPending)
    claimed = story.by(ANN).when(ClaimOffer(offer_id=TO_ANN)).happened()
    claimed.when(AwardTender(offer_id=TO_ANN)).tells("OfferAccepted", "TenderAwarded")


# Several tasks at once


TOO = [Bundled(task_id=TaskId("task-2"), round=3), Bundled(task_id=TaskId("task-3"), round=1)]


def bundle_asked() -> Story:
    offers = [
        PlannedOffer(offer_id=offer, rider_id=rider, expires_at=minutes(1))
        for offer, rider in ((TO_ANN, ANN), (TO_BOB, BOB))
    ]
    return nothing_yet("tender").when(replace(opening(*offers), bundle=TOO)).happened()


def test_all_that_is_told_of_a_tender_names_the_tasks_of_its_bundle():
    [decision, opened] = nothing_yet("tender").when(replace(opening(), bundle=TOO)).decided()
    assert (decision.bundle, opened.bundle) == (TOO, TOO)
    claimed = bundle_asked().by(BOB).when(ClaimOffer(offer_id=TO_BOB))
    [_, requested] = claimed.decided()
    [_, awarded, _] = claimed.happened().when(AwardTender(offer_id=TO_BOB)).decided()
    [*_, withdrawn] = bundle_asked().when(WithdrawTender(reason_code="task_gone")).decided()
    assert (requested.bundle, awarded.bundle, withdrawn.bundle) == (TOO, TOO, TOO)


def test_a_bundle_that_nobody_took_is_exhausted_with_all_its_tasks():
    story = bundle_asked().by(ANN).when(DeclineOffer(offer_id=TO_ANN, reason_code="too_far")).happened()
    [_, exhausted] = story.by(BOB).when(DeclineOffer(offer_id=TO_BOB, reason_code="tired")).decided()
    assert exhausted.bundle == TOO


def test_a_bundle_has_a_bound():
    tasks = [Bundled(task_id=TaskId(f"task-{number}"), round=1) for number in range(MAX_BUNDLE)]
    convert(to_builtins(replace(opening(), bundle=tasks[1:])), OpenTender)
    with pytest.raises(ValidationError, match="bundle"):
        convert(to_builtins(replace(opening(), bundle=tasks)), OpenTender)


# What they want for it


def euros(amount: float, currency: str = "EUR") -> Money:
    return Money(amount_minor=round(amount * 100), currency=currency)


def bidding() -> Story:
    """Both may say within a minute for how much they would do it."""
    offers = [
        PlannedOffer(offer_id=offer, rider_id=rider, expires_at=minutes(1))
        for offer, rider in ((TO_ANN, ANN), (TO_BOB, BOB))
    ]
    return (
        nothing_yet("tender")
        .when(replace(opening(*offers), mode="bid", bids_until=minutes(1), bids_in="EUR"))
        .happened()
    )


def both_bid(of_ann: float, of_bob: float) -> Story:
    story = bidding().by(ANN).when(ClaimOffer(offer_id=TO_ANN, bid=euros(of_ann))).tells("OfferClaimed").happened()
    return story.by(BOB).when(ClaimOffer(offer_id=TO_BOB, bid=euros(of_bob)))


def test_the_smallest_bid_is_tried_first_though_it_came_last():
    [_, _, tried] = both_bid(9, 8).tells("OfferClaimed", "BiddingClosed", "ReservationRequested").decided()
    assert tried.offer_id == TO_BOB


def test_of_equal_bids_the_earlier_is_tried_first_and_then_the_other():
    story = both_bid(9, 9)
    [_, _, tried] = story.decided()
    assert tried.offer_id == TO_ANN
    [_, tried] = story.happened().when(RejectClaim(offer_id=TO_ANN, reason_code="off_shift")).decided()
    assert tried.offer_id == TO_BOB


def test_when_the_time_is_up_who_has_not_bid_is_asked_no_more():
    story = bidding().by(ANN).when(ClaimOffer(offer_id=TO_ANN, bid=euros(9))).happened()
    story.at(minutes(0.9)).when(CloseBidding()).then()
    closed = story.at(minutes(1)).when(CloseBidding())
    closed.tells("OfferExpired", "BiddingClosed", "ReservationRequested")
    closed.happened().when(CloseBidding()).then()
    bidding().at(minutes(1)).when(CloseBidding()).tells(
        "OfferExpired", "OfferExpired", "BiddingClosed", "TenderExhausted"
    )


def test_who_declines_last_closes_the_bidding():
    story = bidding().by(ANN).when(ClaimOffer(offer_id=TO_ANN, bid=euros(9))).happened()
    story.by(BOB).when(DeclineOffer(offer_id=TO_BOB, reason_code="cheap")).tells(
        "OfferDeclined", "BiddingClosed", "ReservationRequested"
    )


def test_bids_are_in_the_currency_that_was_agreed_when_they_were_asked_for():
    story = bidding().where(dispatch=DispatchRules(currency="JPY"))
    story.by(ANN).when(ClaimOffer(offer_id=TO_ANN, bid=euros(9))).tells("OfferClaimed")
    story.by(ANN).when(ClaimOffer(offer_id=TO_ANN, bid=euros(9, "JPY"))).refuses(BidInAnotherCurrency)


def test_a_bid_is_made_where_bids_are_asked_for_and_in_the_agreed_currency():
    bidding().by(ANN).when(ClaimOffer(offer_id=TO_ANN)).refuses(BidNeeded)
    bidding().by(ANN).when(ClaimOffer(offer_id=TO_ANN, bid=euros(9, "SEK"))).refuses(BidInAnotherCurrency)
    both_asked().by(ANN).when(ClaimOffer(offer_id=TO_ANN, bid=euros(9))).refuses(NoBids)


def test_claims_are_tried_in_the_order_in_which_they_came():
    cyd, to_cyd = RiderId("cyd"), OfferId("to-cyd")
    riders = {TO_ANN: ANN, TO_BOB: BOB, to_cyd: cyd}
    offers = [PlannedOffer(offer_id=o, rider_id=r, expires_at=minutes(1)) for o, r in riders.items()]
    story = nothing_yet("tender").when(opening(*offers)).happened()
    for offer in (TO_BOB, to_cyd, TO_ANN):
        story = story.by(riders[offer]).when(ClaimOffer(offer_id=offer)).happened()
    [_, requested] = story.when(RejectClaim(offer_id=TO_BOB, reason_code="off_shift")).decided()
    assert requested.offer_id == to_cyd
