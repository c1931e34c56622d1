"""What is read of a booking is what decisions say of it, whatever was asked and in whatever order it is folded."""

import contextlib
from datetime import timedelta
from random import Random
from typing import Any

from garage import Garage
from hypothesis import given, settings
from hypothesis import strategies as st
from interleaved import interleaved
from msgspec.structs import replace
from story import ACME, KAMPPI, NOON, SAME_DAY, minutes

from commands.carrier_booking_state import UNDER_WAY, QuotedBooking, status_of
from projections.carrier_bookings import CARRIER_BOOKINGS, BookingRefusalRow, CarrierBookingRow
from projections.deadlines import DEADLINES
from projections.exception_desk import EXCEPTION_DESK
from schemas import ids
from schemas.carrier import ActivateCarrier, CarrierTerms, RegisterCarrier
from schemas.carrier_booking import (
    BookCarrier,
    CancelCarrierBooking,
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
from schemas.message import Command, Refused
from schemas.money import Money

POSTI = ids.aggregate_id("carrier", ACME, "shop", "posti")
FIRST, SECOND = (ids.aggregate_id("carrier_booking", ACME, "shop", name) for name in ("first", "second"))
PRICE, FEE = Money(amount_minor=1_250, currency="EUR"), Money(amount_minor=500, currency="EUR")
QUOTE = QuoteCarrierBooking(
    task_id="task-1",
    carrier_id=POSTI,
    service_level="same_day",
    price=PRICE,
    estimated_pickup_at=minutes(60),
    estimated_dropoff_at=minutes(120),
    expires_at=minutes(20),
    external_reference="first",
)
BOOK = BookCarrier(carrier_reference="P-77")
CAI = NameCarrierCourier(name="Cai Courier", phone="+358409998887", vehicle_plate="XYZ-1")


def says(word: Any, minute: float, event: str, **more: Any) -> RecordCarrierStatus:
    return RecordCarrierStatus(status=word, observed_at=minutes(minute), carrier_event_id=event, **more)


def with_posti() -> Garage:
    garage = Garage()
    terms = CarrierTerms(service_levels=[SAME_DAY])
    garage.send("carrier", POSTI, RegisterCarrier(name="Posti", terms=terms))
    garage.send("carrier", POSTI, ActivateCarrier())
    return garage


def told(garage: Garage, *commands: Command, booking: str = FIRST) -> Garage:
    for command in commands:
        garage.send("carrier_booking", booking, command)
    return garage


def row(garage: Garage, booking: str = FIRST) -> CarrierBookingRow:
    found = garage.rows(CARRIER_BOOKINGS)["acme", booking]
    assert isinstance(found, CarrierBookingRow)
    return found


def test_a_quote_stands_there_with_its_price_and_until_when_it_is_good():
    found = row(told(with_posti(), QUOTE))
    assert (found.status, found.task_id, found.carrier_id, found.service_level) == (
        "quoted",
        "task-1",
        POSTI,
        "same_day",
    )
    assert (found.price, found.expires_at, found.silence_seconds) == (PRICE, minutes(20), 1_800)
    assert (found.created_at, found.updated_at, found.version) == (NOON, NOON, 1)


def test_who_drives_and_where_they_were_are_sealed():
    fix = ObservedFix(lat=KAMPPI.lat, lon=KAMPPI.lon, observed_at=NOON)
    found = row(told(with_posti(), QUOTE, BOOK, CAI, says("picked_up", 0, "e-1", fix=fix, note="Cai has it")))
    assert (found.status, found.carrier_reference, found.booked_at, found.picked_up_at) == (
        "picked_up",
        "P-77",
        NOON,
        NOON,
    )
    assert found.courier is not None
    assert found.courier.name is not None
    assert (found.courier.name.subject, found.courier.name.field) == (FIRST, "CarrierCourierKnown.name")
    assert found.latest is not None
    assert found.latest.fix is not None
    assert "Cai" not in repr(found)
    assert str(KAMPPI.lat) not in repr(found)


def test_what_was_observed_last_stands_there_whatever_was_told_last():
    garage = told(with_posti(), QUOTE, BOOK)
    garage.now = minutes(10)
    told(garage, says("arrived_at_pickup", 9, "e-2"), says("en_route_to_pickup", 3, "e-1"))
    latest = row(garage).latest
    assert latest is not None
    assert (latest.status, latest.observed_at) == ("arrived_at_pickup", minutes(9))


def test_how_it_ended_stands_there_with_who_says_so():
    def ended(*commands: Command) -> tuple[Any, ...]:
        found = row(told(with_posti(), QUOTE, *commands))
        return found.status, found.ended_at, found.ended_by, found.reason_code, found.fee

    assert ended(BOOK, says("delivered", -5, "e-1")) == ("delivered", minutes(-5), "carrier", None, None)
    settled = SettleCarrierBooking(outcome="failed", reason_code="lost")
    assert ended(BOOK, settled) == ("failed", NOON, "dispatcher", "lost", None)
    cancelled = CancelCarrierBooking(by="sender", reason_code="changed_mind", fee=FEE)
    assert ended(BOOK, cancelled) == ("cancelled", NOON, "sender", "changed_mind", FEE)
    assert ended() == ("quoted", None, None, None, None)
    garage = told(with_posti(), QUOTE)
    garage.now = minutes(25)
    expired = row(told(garage, ExpireCarrierQuote()))
    assert (expired.status, expired.ended_at) == ("expired", minutes(20))


def test_what_cannot_be_stands_there_until_it_is_reviewed():
    garage = told(with_posti(), QUOTE, BOOK, SettleCarrierBooking(outcome="failed", reason_code="lost"))
    told(garage, says("delivered", 0, "e-1"))
    [conflict] = row(garage).conflicts
    said = (conflict.status, conflict.carrier_event_id, conflict.conflict)
    assert said == ("delivered", "e-1", "the booking is failed")
    told(garage, ReviewCarrierStatus(conflict_id=conflict.conflict_id, decision_code="called"))
    assert row(garage).conflicts == []


def test_a_fee_that_is_told_later_stands_there_and_the_cancellation_as_it_was():
    garage = told(with_posti(), QUOTE, BOOK, CancelCarrierBooking(by="system", reason_code="task_cancelled"))
    garage.now = minutes(90)
    found = row(told(garage, CancelCarrierBooking(reason_code="told_later", fee=FEE)))
    assert (found.fee, found.ended_at, found.ended_by, found.reason_code) == (FEE, NOON, "system", "task_cancelled")


def test_why_its_task_is_not_with_it_stands_there_and_whether_the_carrier_has_the_goods():
    refuse = RefuseCarrierBooking(reason_code="not_to_be_dispatched")
    booked = row(told(with_posti(), QUOTE, BOOK, refuse))
    told_so = BookingRefusalRow(reason_code="not_to_be_dispatched", has_goods=False, refused_at=NOON)
    assert (booked.status, booked.ended_by, booked.refusal) == ("cancelled", "system", told_so)
    under_way = row(told(with_posti(), QUOTE, BOOK, says("picked_up", 0, "e-1"), refuse))
    assert (under_way.status, under_way.refusal) == ("picked_up", replace(told_so, has_goods=True))
    assert row(told(with_posti(), QUOTE, BOOK)).refusal is None


# Whatever was asked

event = st.integers(1, 30).map(lambda number: f"e-{number}")
word = st.sampled_from(["arrived_at_pickup", "picked_up", "en_route_to_dropoff", "delivered", "failed", "cancelled"])
asked: st.SearchStrategy[Command] = st.one_of(
    st.just(BOOK),
    st.just(BOOK),
    st.builds(NameCarrierCourier, name=st.sampled_from(["Cai", "Kim"])),
    st.builds(RecordCarrierStatus, status=word, observed_at=st.integers(-60, 120).map(minutes), carrier_event_id=event),
    st.builds(RecordCarrierStatus, status=word, observed_at=st.integers(-60, 120).map(minutes), carrier_event_id=event),
    st.builds(SettleCarrierBooking, outcome=st.sampled_from(["delivered", "failed"]), reason_code=st.just("called")),
    st.builds(CancelCarrierBooking, reason_code=st.just("changed_mind"), fee=st.sampled_from([None, FEE])),
    st.just(ExpireCarrierQuote()),
    st.just(RecordCarrierSilence()),
    st.just(RecordCarrierSilence()),
    st.just(RefuseCarrierBooking(reason_code="held")),
)
stories = st.lists(st.tuples(st.sampled_from([FIRST, SECOND]), st.sampled_from([0, 1, 5, 31]), asked), max_size=40)


def played(story: list[tuple[str, int, Command]]) -> Garage:
    """Two bookings, the first booked at once; what is refused has not happened, and some conflicts are reviewed."""
    garage = told(told(with_posti(), QUOTE, BOOK), QUOTE, booking=SECOND)
    for number, (booking, later, command) in enumerate(story):
        garage.now += timedelta(minutes=later)
        with contextlib.suppress(Refused):
            garage.send("carrier_booking", booking, command)
        conflicts = garage.state(booking).conflicts
        if conflicts and number % 3 == 0:
            told(garage, ReviewCarrierStatus(conflict_id=conflicts[0], decision_code="called"), booking=booking)
    return garage


def states(garage: Garage) -> dict[str, QuotedBooking]:
    return {booking: garage.state(booking) for booking in (FIRST, SECOND)}


@settings(max_examples=150, deadline=None)
@given(stories)
def test_the_list_says_of_a_booking_what_decisions_say_of_it(story: list[tuple[str, int, Command]]):
    garage = played(story)
    for booking, state in states(garage).items():
        found = row(garage, booking)
        assert (found.status, found.carrier_reference) == (status_of(state), state.carrier_reference)
        assert (found.ended_at, found.unheard_since) == (state.ended_at, state.unheard_since)
        assert tuple(conflict.conflict_id for conflict in found.conflicts) == state.conflicts
        assert (found.courier is None) == (state.courier is None)
        assert (found.refusal is not None, found.fee) == (state.refused_for is not None, state.fee)


@settings(max_examples=150, deadline=None)
@given(stories)
def test_a_deadline_stands_for_each_quote_and_each_silence_that_is_waited_for(story: list[tuple[str, int, Command]]):
    garage = played(story)
    waiting = {}
    for booking, state in states(garage).items():
        if state.status == "quoted":
            waiting["acme", "expire_carrier_quote", booking, booking] = state.expires_at
        if state.silent_at is not None:
            waiting["acme", "record_carrier_silence", booking, booking] = state.silent_at
        heard_of = state.silent_at is not None or state.unheard_since is not None
        assert heard_of == (state.status in UNDER_WAY), "the carrier is waited for, or silent, until it is over"
    assert {key: each.due_at for key, each in garage.rows(DEADLINES).items()} == waiting


@settings(max_examples=150, deadline=None)
@given(stories)
def test_a_silent_carrier_and_what_cannot_be_stand_on_the_exception_desk_while_they_need_a_person(
    story: list[tuple[str, int, Command]],
):
    garage = played(story)
    needed: dict[tuple[str, str], list[str]] = {}
    for booking, state in states(garage).items():
        if state.unheard_since is not None:
            needed[booking, "carrier_silent"] = ["silence"]
        if state.conflicts:
            needed[booking, "carrier_status_conflicted"] = list(state.conflicts)
        if state.refused_for is not None and state.status == "picked_up":
            needed[booking, "carrier_refused"] = ["refused"]
    desk = {(key[1], key[2]): [item["id"] for item in each.items] for key, each in garage.rows(EXCEPTION_DESK).items()}
    assert desk == needed


@settings(max_examples=100, deadline=None)
@given(stories, st.randoms(use_true_random=False))
def test_in_whatever_order_the_bookings_come_the_rows_are_the_same(story: list[tuple[str, int, Command]], draw: Random):
    garage = played(story)
    for model in (CARRIER_BOOKINGS, DEADLINES, EXCEPTION_DESK):
        assert interleaved(model, garage.facts(), draw) == garage.rows(model)
