"""Carriers' bookings: quoted, booked, driven by somebody, delivered or not; and what the carrier says of them."""

from datetime import datetime
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from story import KAMPPI, POSTI, SAME_DAY, Story, context, given, minutes, nothing_yet

from commands.aggregates import AGGREGATES
from commands.carrier_booking import (
    BookingAnswered,
    FeeCurrencyDiffers,
    GoodsWithCarrier,
    QuoteExpired,
    TaskRefusedCarrier,
    decide,
)
from commands.carrier_booking_state import is_over, status_of
from commands.carrier_contract import (
    CarrierNotActive,
    CarrierView,
    CurrencyNotAgreed,
    UnknownCarrier,
    UnknownServiceLevel,
)
from commands.carrier_feed import NoSuchConflict
from commands.memory import encode
from commands.refusals import NotAnInterval
from schemas import catalog
from schemas.carrier import ServedArea
from schemas.carrier_booking import (
    MAX_OPEN_STATUS_CONFLICTS,
    REMEMBERED_STATUSES,
    BookCarrier,
    CancelCarrierBooking,
    CarrierBooked,
    CarrierBookingCancelled,
    CarrierBookingExpired,
    CarrierBookingQuoted,
    CarrierBookingRefused,
    CarrierCancellationCharged,
    CarrierCourierKnown,
    CarrierDelivered,
    CarrierDeliveryFailed,
    CarrierFellSilent,
    CarrierHeardAgain,
    CarrierPickedUp,
    CarrierStatusConflicted,
    CarrierStatusRecorded,
    CarrierStatusReviewed,
    ConfirmCarrierBooking,
    ExpireCarrierQuote,
    NameCarrierCourier,
    QuoteCarrierBooking,
    RecordCarrierSilence,
    RecordCarrierStatus,
    RefuseCarrierBooking,
    ReviewCarrierStatus,
    SettleCarrierBooking,
)
from schemas.geo import ObservedFix
from schemas.ids import conflict_id
from schemas.message import CarrierId, Command, Event, NotInThisState, Personal, SubjectId, TaskId
from schemas.money import Money

TASK, SUBJECT = TaskId("task-1"), SubjectId("a-1")
PRICE, FEE = Money(amount_minor=1_250, currency="EUR"), Money(amount_minor=500, currency="EUR")
QUOTE = QuoteCarrierBooking(
    task_id="task-1",
    carrier_id="posti",
    service_level="same_day",
    price=PRICE,
    estimated_pickup_at=minutes(60),
    estimated_dropoff_at=minutes(120),
    expires_at=minutes(10),
    external_reference="q-1",
    metadata={"lane": "1"},
)
QUOTED = CarrierBookingQuoted(
    task_id=TASK,
    carrier_id=POSTI,
    service_level="same_day",
    price=PRICE,
    estimated_pickup_at=minutes(60),
    estimated_dropoff_at=minutes(120),
    expires_at=minutes(10),
    silence_seconds=1_800,
    area=ServedArea(),
    external_reference="q-1",
    source="shop",
    metadata={"lane": "1"},
)
BOOK = BookCarrier(carrier_reference="P-77")
BOOKED = CarrierBooked(task_id=TASK, carrier_id=POSTI, carrier_reference="P-77", silent_at=minutes(30))
CAI = NameCarrierCourier(name="Cai Courier", phone="+358409998887", vehicle_plate="XYZ-1")
KNOWN = CarrierCourierKnown(
    task_id=TASK,
    name=Personal(SUBJECT, "Cai Courier"),
    phone=Personal(SUBJECT, "+358409998887"),
    vehicle_plate=Personal(SUBJECT, "XYZ-1"),
    silent_at=minutes(30),
)
PICKED_UP = CarrierPickedUp(task_id=TASK, carrier_id=POSTI, observed_at=minutes(20))
DELIVERED = CarrierDelivered(
    task_id=TASK, carrier_id=POSTI, observed_at=minutes(40), told_by="carrier", reason_code=None
)
FAILED = CarrierDeliveryFailed(
    task_id=TASK, carrier_id=POSTI, observed_at=minutes(40), told_by="carrier", reason_code="closed"
)
CANCELLED = CarrierBookingCancelled(
    task_id=TASK, cancelled_at=minutes(40), by="sender", reason_code="changed_mind", fee=None
)
EXPIRED = CarrierBookingExpired(task_id=TASK)
SILENT = CarrierFellSilent(task_id=TASK, carrier_id=POSTI, last_heard_at=minutes(0), has_goods=False)
SILENCE = RecordCarrierSilence()


def says(word: Any, minute: float, event: str = "e-1", **more: Any) -> RecordCarrierStatus:
    return RecordCarrierStatus(status=word, observed_at=minutes(minute), carrier_event_id=event, **more)


def recorded(word: Any, minute: float, silent_at: datetime | None, event: str = "e-1") -> CarrierStatusRecorded:
    return CarrierStatusRecorded(
        task_id=TASK,
        carrier_id=POSTI,
        status=word,
        observed_at=minutes(minute),
        carrier_event_id=event,
        reason_code=None,
        fix=None,
        note=None,
        silent_at=silent_at,
    )


def conflicted(number: int = 0) -> CarrierStatusConflicted:
    return CarrierStatusConflicted(
        conflict_id=f"conflict-{number}",
        task_id=TASK,
        carrier_id=POSTI,
        status="delivered",
        observed_at=minutes(50),
        carrier_event_id=f"c-{number}",
        reason_code=None,
        fix=None,
        note=None,
        conflict="the booking is failed",
        silent_at=None,
    )


def conflict(story: Story) -> str:
    """Why it cannot be; nothing else has happened."""
    [event] = story.decided()
    assert isinstance(event, CarrierStatusConflicted)
    return event.conflict


# Quoted


def test_a_quote_keeps_the_silence_of_its_service_level():
    nothing_yet("carrier_booking").when(QUOTE).then(QUOTED)
    given(QUOTED).when(QUOTE).refuses(NotInThisState)


def test_only_a_carrier_whose_contract_is_in_force_is_quoted_and_only_by_its_service_levels():
    nobody: dict[CarrierId, CarrierView] = {}
    new = nothing_yet("carrier_booking")
    assert new.under_contract(nobody).when(QUOTE).refuses(UnknownCarrier).values() == {"carrier_id": "posti"}
    suspended = {POSTI: CarrierView("suspended", (SAME_DAY,))}
    assert new.under_contract(suspended).when(QUOTE).refuses(CarrierNotActive).values()["status"] == "suspended"
    other = {POSTI: CarrierView("active", ())}
    assert new.under_contract(other).when(QUOTE).refuses(UnknownServiceLevel).values()["known"] == []


def test_a_quote_keeps_the_area_that_the_carrier_serves_by_then():
    area = ServedArea(outlets=["kamppi"], postal_prefixes=["FI-00"])
    serving = {POSTI: CarrierView("active", (SAME_DAY,), area)}
    nothing_yet("carrier_booking").under_contract(serving).when(QUOTE).then(replace(QUOTED, area=area))


def test_a_price_is_in_a_currency_of_the_contract_if_that_names_any():
    in_crowns = {POSTI: CarrierView("active", (SAME_DAY,), currencies=("SEK", "NOK"))}
    refused = nothing_yet("carrier_booking").under_contract(in_crowns).when(QUOTE).refuses(CurrencyNotAgreed)
    assert refused.values() == {"given": "EUR", "agreed": ["SEK", "NOK"]}
    both = {POSTI: CarrierView("active", (SAME_DAY,), currencies=("SEK", "EUR"))}
    nothing_yet("carrier_booking").under_contract(both).when(QUOTE).then(QUOTED)
    given(QUOTED).under_contract(in_crowns).when(BOOK).then(BOOKED)


def test_a_quote_has_its_drop_off_after_its_pickup_and_its_end_before_it():
    backwards = replace(QUOTE, estimated_dropoff_at=minutes(60))
    nothing_yet("carrier_booking").when(backwards).refuses(NotAnInterval)
    nothing_yet("carrier_booking").at(minutes(10)).when(QUOTE).refuses(QuoteExpired)


def test_a_quote_that_nobody_booked_in_time_expires():
    given(QUOTED).at(minutes(10)).when(ExpireCarrierQuote()).then(EXPIRED)
    assert is_over(given(QUOTED, EXPIRED).state)


@pytest.mark.parametrize(
    ("history", "minute"),
    [([QUOTED], 9), ([QUOTED, EXPIRED], 11), ([QUOTED, BOOKED], 11), ([QUOTED, CANCELLED], 11)],
    ids=["early", "twice", "booked", "cancelled"],
)
def test_a_quote_that_fires_early_or_twice_or_is_over_changes_nothing(history: list[Event], minute: float):
    given(*history).at(minutes(minute)).when(ExpireCarrierQuote()).then()


def test_a_deadline_of_a_booking_that_is_not_there_changes_nothing():
    nothing_yet("carrier_booking").when(ExpireCarrierQuote()).then()
    nothing_yet("carrier_booking").when(SILENCE).then()


# Its task


def refused_for(has_goods: bool, task_known: bool = True) -> CarrierBookingRefused:
    return CarrierBookingRefused(
        task_id=TASK, carrier_id=POSTI, reason_code="unknown_task", has_goods=has_goods, task_known=task_known
    )


@pytest.mark.parametrize("history", [[BOOKED], [BOOKED, PICKED_UP], [BOOKED, DELIVERED], [BOOKED, FAILED]])
def test_what_is_booked_waits_for_its_task_though_the_carrier_was_quick(history: list[Event]):
    given(QUOTED, *history).when(ConfirmCarrierBooking()).then()


@pytest.mark.parametrize("history", [[], [EXPIRED], [BOOKED, CANCELLED], [BOOKED, PICKED_UP, refused_for(True)]])
def test_what_is_not_booked_any_more_or_was_refused_waits_for_none(history: list[Event]):
    given(QUOTED, *history).when(ConfirmCarrierBooking()).refuses(BookingAnswered)


def test_a_task_that_refused_it_is_told_of_the_goods_and_one_that_was_not_there_is_not():
    of_goods = ConfirmCarrierBooking(of_goods=True)
    given(QUOTED, BOOKED, PICKED_UP, refused_for(True)).when(of_goods).then()
    given(QUOTED, BOOKED, PICKED_UP, refused_for(True, False)).when(of_goods).refuses(BookingAnswered)


def test_a_booking_that_its_task_refuses_is_cancelled():
    refuse = RefuseCarrierBooking(reason_code="unknown_task", task_known=False)
    cancelled = CarrierBookingCancelled(
        task_id=TASK, cancelled_at=minutes(1), by="system", reason_code="unknown_task", fee=None
    )
    story = given(QUOTED, BOOKED).at(minutes(1)).when(refuse)
    story.then(refused_for(False, False), cancelled)
    story.happened().when(refuse).then()


def test_a_quote_that_its_task_refuses_is_cancelled_and_who_books_it_is_told_why():
    story = given(QUOTED).at(minutes(1)).when(RefuseCarrierBooking(reason_code="postal_code_not_served"))
    story.tells("CarrierBookingRefused", "CarrierBookingCancelled").happened()
    assert (status_of(story.state), is_over(story.state)) == ("cancelled", True)
    assert story.when(BOOK).refuses(TaskRefusedCarrier).values() == {"reason_code": "postal_code_not_served"}
    for end in (EXPIRED, CANCELLED):
        given(QUOTED, end).when(RefuseCarrierBooking(reason_code="x")).then()


def test_what_the_carrier_has_in_hand_by_then_is_put_to_a_person():
    refuse = RefuseCarrierBooking(reason_code="unknown_task")
    story = given(QUOTED, BOOKED, PICKED_UP).when(refuse)
    story.then(refused_for(True))
    story.happened().when(refuse).then()
    given(QUOTED, BOOKED, DELIVERED).when(refuse).then(refused_for(False))


# Booked


def test_a_quote_is_booked_under_the_carriers_own_reference_and_a_repeat_changes_nothing():
    given(QUOTED).when(BOOK).then(BOOKED)
    given(QUOTED, BOOKED).at(minutes(15)).when(BOOK).then()
    given(QUOTED, BOOKED).when(BookCarrier(carrier_reference="P-78")).refuses(NotInThisState)


def test_a_quote_whose_time_is_over_is_not_booked_whether_or_not_somebody_has_said_so():
    refused = given(QUOTED).at(minutes(10)).when(BOOK).refuses(QuoteExpired)
    assert refused.values() == {"expires_at": minutes(10)}
    given(QUOTED, EXPIRED).at(minutes(11)).when(BOOK).refuses(NotInThisState)


def test_a_carrier_that_was_suspended_after_its_quote_is_not_booked():
    suspended = {POSTI: CarrierView("suspended", (SAME_DAY,))}
    given(QUOTED).under_contract(suspended).when(BOOK).refuses(CarrierNotActive)
    given(QUOTED).under_contract({}).when(BOOK).refuses(UnknownCarrier)


def test_what_is_booked_goes_on_whatever_becomes_of_the_contract():
    given(QUOTED, BOOKED).under_contract({}).at(minutes(20)).when(says("picked_up", 20)).tells(
        "CarrierStatusRecorded", "CarrierPickedUp"
    )


# The courier


def test_who_drives_is_sealed_under_the_bookings_own_subject_and_a_repeat_changes_nothing():
    named = given(QUOTED, BOOKED).when(CAI)
    named.then(KNOWN)
    assert status_of(named.happened().state) == "courier_known"
    given(QUOTED, BOOKED, KNOWN).at(minutes(5)).when(CAI).then()


def test_another_courier_takes_over_and_once_the_goods_are_aboard_that_is_no_state_of_its_own():
    other = NameCarrierCourier(name="Kim Courier")
    given(QUOTED, BOOKED, KNOWN).when(other).tells("CarrierCourierKnown")
    aboard = given(QUOTED, BOOKED, PICKED_UP).when(other).happened()
    assert status_of(aboard.state) == "picked_up"


@pytest.mark.parametrize("end", [DELIVERED, FAILED, CANCELLED], ids=lambda event: type(event).__name__)
def test_nobody_drives_what_is_over_or_not_booked(end: Event):
    given(QUOTED, BOOKED, end).when(CAI).refuses(NotInThisState)
    given(QUOTED).when(CAI).refuses(NotInThisState)


def test_the_same_courier_is_no_change_though_they_are_sealed():
    known = catalog.sealed(KNOWN, lambda subject, field, plain: plain[::-1])
    knowing = replace(context(), unseal=lambda subject, field, sealed: sealed[::-1])
    state = given(QUOTED, BOOKED, known).state
    assert "Cai" not in repr(state)
    assert decide(state, CAI, knowing) == []
    assert len(decide(state, NameCarrierCourier(name="Cai Courier"), knowing)) == 1


def test_a_courier_who_is_forgotten_can_be_named_anew():
    sealed = replace(KNOWN, name=Personal(SUBJECT, None, b"sealed", "CarrierCourierKnown.name"))
    given(QUOTED, BOOKED, sealed).when(CAI).then(KNOWN)


# What the carrier says


def test_what_the_carrier_says_is_recorded_and_moves_the_silence():
    story = given(QUOTED, BOOKED).at(minutes(12))
    story.when(says("arrived_at_pickup", 11)).then(recorded("arrived_at_pickup", 11, minutes(42)))


def test_where_the_courier_was_and_what_was_written_are_sealed():
    fix = ObservedFix(lat=KAMPPI.lat, lon=KAMPPI.lon, observed_at=minutes(11))
    said = says("en_route_to_pickup", 11, fix=fix, note="Cai is late")
    [event] = given(QUOTED, BOOKED).at(minutes(12)).when(said).decided()
    assert isinstance(event, CarrierStatusRecorded)
    assert (event.fix, event.note) == (Personal(SUBJECT, fix), Personal(SUBJECT, "Cai is late"))


def test_what_is_said_to_happen_later_happens_now():
    given(QUOTED, BOOKED).at(minutes(12)).when(says("arrived_at_pickup", 15)).then(
        recorded("arrived_at_pickup", 12, minutes(42))
    )


def test_goods_are_picked_up_once():
    picked = given(QUOTED, BOOKED).at(minutes(20)).when(says("picked_up", 20))
    picked.then(recorded("picked_up", 20, minutes(50)), PICKED_UP)
    again = picked.happened().at(minutes(21)).when(says("picked_up", 20, "e-2"))
    again.then(recorded("picked_up", 20, minutes(51), "e-2"))


def test_a_delivery_ends_it_and_nothing_more_is_waited_for():
    done = given(QUOTED, BOOKED, PICKED_UP).at(minutes(40)).when(says("delivered", 40))
    done.then(recorded("delivered", 40, None), DELIVERED)
    over = done.happened()
    assert (status_of(over.state), is_over(over.state)) == ("delivered", True)
    over.at(minutes(900)).when(SILENCE).then()


def test_a_delivery_of_what_was_never_said_to_be_picked_up_is_a_delivery_and_the_pickup_may_come_late():
    done = given(QUOTED, BOOKED).at(minutes(40)).when(says("delivered", 40)).happened()
    assert status_of(done.state) == "delivered"
    done.at(minutes(41)).when(says("picked_up", 20, "e-2")).then(recorded("picked_up", 20, None, "e-2"))


def test_a_failure_ends_it_with_its_reason():
    said = says("failed", 40, reason_code="closed")
    given(QUOTED, BOOKED, PICKED_UP).at(minutes(40)).when(said).tells("CarrierStatusRecorded", "CarrierDeliveryFailed")
    assert given(QUOTED, BOOKED, PICKED_UP).at(minutes(40)).when(said).decided()[-1] == FAILED


def test_a_carrier_cancels_what_it_has_not_got_and_takes_back_its_quote():
    by_carrier = replace(CANCELLED, by="carrier", cancelled_at=minutes(5), reason_code="no_courier")
    said = says("cancelled", 5, reason_code="no_courier")
    for history in ([QUOTED], [QUOTED, BOOKED], [QUOTED, BOOKED, KNOWN]):
        assert given(*history).at(minutes(5)).when(said).decided()[-1] == by_carrier


def test_the_same_event_of_the_carriers_again_changes_nothing():
    once = given(QUOTED, BOOKED).at(minutes(12)).when(says("arrived_at_pickup", 11)).happened()
    once.at(minutes(20)).when(says("arrived_at_pickup", 11)).then()
    conflict_once = given(QUOTED).when(says("picked_up", 0)).happened()
    conflict_once.when(says("picked_up", 0)).then()


def test_the_same_event_of_the_carriers_with_another_status_is_put_to_a_person_and_changes_nothing():
    once = given(QUOTED, BOOKED).at(minutes(12)).when(says("arrived_at_pickup", 11)).happened()
    otherwise = once.at(minutes(20)).when(says("picked_up", 19))
    [event] = otherwise.decided()
    assert isinstance(event, CarrierStatusConflicted)
    assert (event.status, event.carrier_event_id, event.silent_at) == ("picked_up", "e-1", minutes(50))
    assert event.conflict == "e-1 was told as arrived_at_pickup before"
    assert status_of(otherwise.happened().state) == "booked"


def test_either_of_the_two_told_again_changes_nothing_and_a_third_is_put_to_a_person_too():
    both = given(QUOTED, BOOKED).when(says("arrived_at_pickup", 0)).happened().when(says("picked_up", 0)).happened()
    both.when(says("arrived_at_pickup", 0)).then()
    both.when(says("picked_up", 0)).then()
    assert conflict(both.when(says("delivered", 0))) == "e-1 was told as arrived_at_pickup before"


def test_a_silent_carrier_is_heard_again_by_an_event_told_otherwise():
    silent = given(QUOTED, BOOKED, recorded("arrived_at_pickup", 9, minutes(40)), SILENT).at(minutes(45))
    silent.when(says("picked_up", 44)).tells("CarrierHeardAgain", "CarrierStatusConflicted")


def test_so_many_of_the_carriers_events_are_remembered_and_what_is_told_again_after_that_is_told_late():
    told = [recorded("en_route_to_dropoff", 5, minutes(35), f"e-{n}") for n in range(REMEMBERED_STATUSES)]
    full = given(QUOTED, BOOKED, *told).at(minutes(6))
    full.when(says("en_route_to_dropoff", 5, "e-0")).then()
    one_more = full.take([recorded("en_route_to_dropoff", 6, minutes(36), "e-new")])
    assert len(one_more.state.heard) == REMEMBERED_STATUSES
    one_more.when(says("en_route_to_dropoff", 5, "e-0")).tells("CarrierStatusRecorded")


def test_nothing_is_said_of_what_was_never_quoted():
    nothing_yet("carrier_booking").when(says("delivered", 0)).refuses(NotInThisState)


# What cannot be


def test_what_happens_to_what_nobody_has_booked_is_put_to_a_person():
    assert conflict(given(QUOTED).when(says("picked_up", 0))) == "nothing is booked: it is quoted"
    assert conflict(given(QUOTED, EXPIRED).when(says("delivered", 0))) == "nothing is booked: it is expired"
    given(QUOTED, EXPIRED).when(says("cancelled", 0)).tells("CarrierStatusRecorded")


def test_a_carrier_that_has_the_goods_does_not_cancel_and_is_still_waited_for():
    story = given(QUOTED, BOOKED, PICKED_UP).at(minutes(25)).when(says("cancelled", 25))
    [event] = story.decided()
    assert isinstance(event, CarrierStatusConflicted)
    assert (event.conflict, event.silent_at) == ("the carrier has the goods", minutes(55))
    assert status_of(story.happened().state) == "picked_up"


@pytest.mark.parametrize(
    ("end", "word"),
    [
        (DELIVERED, "failed"),
        (DELIVERED, "cancelled"),
        (FAILED, "delivered"),
        (CANCELLED, "picked_up"),
        (CANCELLED, "delivered"),
        (CANCELLED, "failed"),
    ],
    ids=lambda each: each if isinstance(each, str) else type(each).__name__,
)
def test_what_has_ended_does_not_end_otherwise_even_where_that_was_observed_before(end: Event, word: str):
    story = given(QUOTED, BOOKED, end).at(minutes(50)).when(says(word, 30))
    assert conflict(story) == f"the booking is {status_of(story.state)}"
    assert status_of(story.happened().state) == status_of(given(QUOTED, BOOKED, end).state)


@pytest.mark.parametrize("end", [DELIVERED, FAILED, CANCELLED], ids=lambda event: type(event).__name__)
def test_what_was_observed_before_the_end_may_be_told_after_it_and_what_was_observed_later_cannot_be(end: Event):
    late = given(QUOTED, BOOKED, end).at(minutes(50))
    late.when(says("arrived_at_pickup", 39)).then(recorded("arrived_at_pickup", 39, None))
    assert conflict(late.when(says("arrived_at_pickup", 41))).endswith(f"since {minutes(40).isoformat()}")


@pytest.mark.parametrize(
    ("end", "word"), [(DELIVERED, "delivered"), (FAILED, "failed"), (CANCELLED, "cancelled")], ids=lambda e: str(e)[:9]
)
def test_the_same_end_told_again_in_other_words_is_no_conflict(end: Event, word: str):
    given(QUOTED, BOOKED, end).at(minutes(50)).when(says(word, 45)).then(recorded(word, 45, None))


def test_a_conflict_has_an_id_by_which_it_is_reviewed_once():
    told = given(QUOTED, BOOKED, FAILED).at(minutes(50)).when(says("delivered", 45)).happened()
    assert not is_over(told.state), "somebody has to look at it"
    review = ReviewCarrierStatus(conflict_id=conflict_id("c-1"), decision_code="called")
    told.when(review).then(CarrierStatusReviewed(conflict_id=conflict_id("c-1"), decision_code="called"))
    done = told.happened()
    assert is_over(done.state)
    assert done.when(review).refuses(NoSuchConflict).values() == {"conflict_id": conflict_id("c-1")}


def test_so_many_conflicts_stay_open_and_the_oldest_are_closed_by_themselves():
    many = [conflicted(number) for number in range(MAX_OPEN_STATUS_CONFLICTS + 1)]
    full = given(QUOTED, BOOKED, FAILED, *many)
    assert len(full.state.conflicts) == MAX_OPEN_STATUS_CONFLICTS
    full.when(ReviewCarrierStatus(conflict_id="conflict-0", decision_code="called")).refuses(NoSuchConflict)
    full.when(ReviewCarrierStatus(conflict_id="conflict-1", decision_code="called")).tells("CarrierStatusReviewed")


# Silence


def test_a_carrier_of_which_nothing_is_heard_for_as_long_as_its_service_level_allows_is_silent():
    given(QUOTED, BOOKED).at(minutes(30)).when(SILENCE).then(SILENT)
    given(QUOTED, BOOKED, PICKED_UP).at(minutes(30)).when(SILENCE).then(replace(SILENT, has_goods=True))


@pytest.mark.parametrize(
    ("history", "minute"),
    [
        ([QUOTED, BOOKED], 29),
        ([QUOTED, BOOKED, recorded("arrived_at_pickup", 9, minutes(40))], 39),
        ([QUOTED, BOOKED, replace(KNOWN, silent_at=minutes(40))], 39),
        ([QUOTED, BOOKED, SILENT], 90),
        ([QUOTED], 90),
        ([QUOTED, BOOKED, DELIVERED], 90),
        ([QUOTED, BOOKED, CANCELLED], 90),
    ],
    ids=["early", "a status was heard", "the courier was named", "twice", "not booked", "delivered", "cancelled"],
)
def test_a_silence_that_fires_early_or_twice_or_late_changes_nothing(history: list[Event], minute: float):
    given(*history).at(minutes(minute)).when(SILENCE).then()


def test_a_late_status_is_heard_when_it_comes_whenever_it_was_observed():
    heard = given(QUOTED, BOOKED).at(minutes(29)).when(says("arrived_at_pickup", 1)).happened()
    heard.at(minutes(58)).when(SILENCE).then()
    heard.at(minutes(59)).when(SILENCE).then(replace(SILENT, last_heard_at=minutes(29)))


def test_a_silent_carrier_that_says_something_is_heard_again():
    again = CarrierHeardAgain(task_id=TASK, unheard_seconds=2_700)
    silent = given(QUOTED, BOOKED, SILENT).at(minutes(45))
    silent.when(says("arrived_at_pickup", 44)).then(again, recorded("arrived_at_pickup", 44, minutes(75)))
    silent.happened().at(minutes(75)).when(SILENCE).then(replace(SILENT, last_heard_at=minutes(45)))


def test_a_silent_carrier_is_heard_by_what_cannot_be_and_by_who_drives_too():
    given(QUOTED, BOOKED, PICKED_UP, SILENT).at(minutes(45)).when(says("cancelled", 44)).tells(
        "CarrierHeardAgain", "CarrierStatusConflicted"
    )
    given(QUOTED, BOOKED, SILENT).at(minutes(45)).when(CAI).tells("CarrierHeardAgain", "CarrierCourierKnown")
    known = given(QUOTED, BOOKED, KNOWN, SILENT).at(minutes(45)).when(CAI)
    known.tells("CarrierHeardAgain", "CarrierCourierKnown").happened().when(CAI).then()


def test_what_ends_is_silent_no_more():
    ended = given(QUOTED, BOOKED, SILENT).at(minutes(50)).when(CancelCarrierBooking(reason_code="silent")).happened()
    assert ended.state.unheard_since is None
    ended.when(says("cancelled", 51, "e-2")).tells("CarrierStatusRecorded")


# By a person


def test_a_booking_is_cancelled_with_its_fee_and_by_whom_and_a_repeat_changes_nothing():
    cancel = CancelCarrierBooking(by="recipient", reason_code="changed_mind", fee=FEE)
    told = replace(CANCELLED, by="recipient", fee=FEE, cancelled_at=minutes(5))
    for history in ([QUOTED], [QUOTED, BOOKED], [QUOTED, BOOKED, KNOWN]):
        given(*history).at(minutes(5)).when(cancel).then(told)
    given(QUOTED, BOOKED, told).when(cancel).then()


CHARGED = CarrierCancellationCharged(task_id=TASK, carrier_id=POSTI, fee=FEE)


@pytest.mark.parametrize("by", ["sender", "carrier", "system"])
def test_a_fee_that_is_known_only_after_the_cancellation_is_taken_down(by: Any):
    cancelled = given(QUOTED, BOOKED, replace(CANCELLED, by=by)).at(minutes(90))
    cancelled.when(CancelCarrierBooking(reason_code="x", fee=FEE)).then(CHARGED)
    charged = cancelled.happened()
    charged.when(CancelCarrierBooking(reason_code="x", fee=FEE)).then()
    charged.when(CancelCarrierBooking(reason_code="x")).then()
    less = Money(amount_minor=300, currency="EUR")
    charged.when(CancelCarrierBooking(reason_code="x", fee=less)).then(replace(CHARGED, fee=less))


@pytest.mark.parametrize("history", [[], [BOOKED], [BOOKED, CANCELLED]], ids=["quoted", "booked", "cancelled"])
def test_a_fee_is_in_the_currency_of_the_price(history: list[Event]):
    in_crowns = CancelCarrierBooking(reason_code="x", fee=Money(amount_minor=500, currency="SEK"))
    refused = given(QUOTED, *history).when(in_crowns).refuses(FeeCurrencyDiffers)
    assert refused.values() == {"given": "SEK", "agreed": "EUR"}


def test_what_the_carrier_has_is_not_cancelled():
    cancel = CancelCarrierBooking(reason_code="changed_mind")
    given(QUOTED, BOOKED, PICKED_UP).when(cancel).refuses(GoodsWithCarrier)
    for end in (DELIVERED, FAILED, EXPIRED):
        given(QUOTED, BOOKED, end).when(cancel).refuses(NotInThisState)


@pytest.mark.parametrize("outcome", ["delivered", "failed"])
def test_how_it_ended_is_settled_by_a_person_where_the_carrier_does_not_say(outcome: Any):
    settle = SettleCarrierBooking(outcome=outcome, reason_code="recipient_called")
    for history in ([BOOKED], [BOOKED, KNOWN], [BOOKED, PICKED_UP], [BOOKED, SILENT]):
        [event] = given(QUOTED, *history).at(minutes(60)).by("dora", "dispatcher").when(settle).decided()
        assert isinstance(event, CarrierDelivered | CarrierDeliveryFailed)
        assert (event.told_by, event.observed_at, event.reason_code) == (
            "dispatcher",
            minutes(60),
            "recipient_called",
        )
    settled = given(QUOTED, BOOKED).when(settle).happened()
    assert status_of(settled.state) == outcome
    settled.when(settle).then()


def test_what_came_back_is_settled_by_its_task():
    settle = SettleCarrierBooking(outcome="failed", reason_code="goods_came_back")
    [event] = given(QUOTED, BOOKED, PICKED_UP).by("carriers", "system").when(settle).decided()
    assert (type(event), event.told_by) == (CarrierDeliveryFailed, "system")


def test_what_is_not_under_way_is_not_settled():
    settle = SettleCarrierBooking(outcome="delivered", reason_code="recipient_called")
    for history in ([QUOTED], [QUOTED, EXPIRED], [QUOTED, BOOKED, FAILED], [QUOTED, BOOKED, CANCELLED]):
        given(*history).when(settle).refuses(NotInThisState)


EVERY = [
    BOOK,
    CAI,
    CancelCarrierBooking(reason_code="x"),
    SettleCarrierBooking(outcome="failed", reason_code="x"),
    ReviewCarrierStatus(conflict_id="c", decision_code="x"),
]


@pytest.mark.parametrize("command", EVERY, ids=lambda command: type(command).__name__)
def test_nothing_is_asked_of_a_booking_that_is_not_there(command: Command):
    assert nothing_yet("carrier_booking").when(command).refuses(NotInThisState).values()["actual"] == "new"


def test_a_booking_that_was_put_aside_comes_back_as_it_was():
    state = given(QUOTED, BOOKED, KNOWN, recorded("arrived_at_pickup", 9, minutes(40)), SILENT, conflicted()).state
    assert msgspec.msgpack.decode(encode(state), type=AGGREGATES["carrier_booking"].state) == state
