"""What the list says of a carrier is what decisions say of it, whatever was asked and in whatever order it is folded."""

import contextlib
from datetime import timedelta
from random import Random
from typing import Any

from garage import Garage
from hypothesis import given, settings
from hypothesis import strategies as st
from interleaved import interleaved
from story import ACME, NOON, SAME_DAY, minutes

from commands.carrier import ContractedCarrier, status_of
from projections.carriers import CARRIERS, CarrierRow
from schemas import ids
from schemas.carrier import (
    ActivateCarrier,
    CarrierTerms,
    ChangeCarrierDetails,
    ChangeCarrierTerms,
    EndCarrierContract,
    NewCarrierContact,
    RegisterCarrier,
    ReinstateCarrier,
    ServedArea,
    SuspendCarrier,
)
from schemas.message import Command, Refused

POSTI, MATKA = (ids.aggregate_id("carrier", ACME, "shop", name) for name in ("posti", "matka"))
PIA = NewCarrierContact(name="Pia Postimies", phone="+358401112223")
TERMS = CarrierTerms(service_levels=[SAME_DAY], area=ServedArea(outlets=["kamppi"], postal_prefixes=["FI-00"]))
REGISTER = RegisterCarrier(name="Posti", contact=PIA, terms=TERMS, external_reference="posti", metadata={"erp": "9"})


def row(garage: Garage, carrier: str = POSTI) -> CarrierRow:
    found = garage.rows(CARRIERS)["acme", carrier]
    assert isinstance(found, CarrierRow)
    return found


def told(garage: Garage, *commands: Command, carrier: str = POSTI) -> Garage:
    for command in commands:
        garage.send("carrier", carrier, command)
    return garage


def test_a_registered_carrier_stands_there_with_its_terms_and_whom_to_ask_sealed():
    found = row(told(Garage(), REGISTER))
    assert (found.name, found.status, found.terms, found.metadata) == ("Posti", "registered", TERMS, {"erp": "9"})
    assert (found.created_at, found.updated_at, found.version) == (NOON, NOON, 1)
    assert found.contact is not None
    assert found.contact.name is not None
    assert (found.contact.name.subject, found.contact.name.field) == (POSTI, "CarrierContact.name")
    assert "Pia" not in repr(found)
    assert found.contact.email is None
    assert row(told(Garage(), REGISTER, ChangeCarrierDetails(name="Post"))).contact is None


def test_why_it_cannot_be_booked_stands_there_while_it_cannot():
    garage = told(Garage(), REGISTER, ActivateCarrier())
    assert (row(garage).status, row(garage).reason_code) == ("active", None)
    garage.now = minutes(5)
    told(garage, SuspendCarrier(reason_code="strike"))
    assert (row(garage).status, row(garage).reason_code, row(garage).updated_at) == ("suspended", "strike", minutes(5))
    told(garage, ReinstateCarrier())
    assert (row(garage).status, row(garage).reason_code) == ("active", None)
    told(garage, EndCarrierContract(reason_code="notice"))
    assert (row(garage).status, row(garage).reason_code, row(garage).version) == ("ended", "notice", 5)


# Whatever was asked

reason = st.just("because")
asked: st.SearchStrategy[Command] = st.one_of(
    st.builds(ChangeCarrierDetails, name=st.sampled_from(["Posti", "Post"]), contact=st.sampled_from([None, PIA])),
    st.builds(ChangeCarrierTerms, terms=st.sampled_from([TERMS, CarrierTerms()])),
    st.builds(ActivateCarrier),
    st.builds(SuspendCarrier, reason_code=reason),
    st.builds(ReinstateCarrier),
    st.builds(EndCarrierContract, reason_code=reason),
)
stories = st.lists(st.tuples(st.sampled_from([POSTI, MATKA]), st.integers(0, 20), asked), max_size=30)


def played(story: list[tuple[str, int, Command]]) -> Garage:
    garage = told(told(Garage(), REGISTER), RegisterCarrier(name="Matka"), carrier=MATKA)
    for carrier, later, command in story:
        garage.now += timedelta(minutes=later)
        with contextlib.suppress(Refused):
            garage.send("carrier", carrier, command)
    return garage


@settings(max_examples=100, deadline=None)
@given(stories)
def test_the_list_says_of_a_carrier_what_decisions_say_of_it(story: list[tuple[str, int, Command]]):
    garage = played(story)
    for carrier in (POSTI, MATKA):
        state: Any = garage.state(carrier)
        found = row(garage, carrier)
        assert found.status == status_of(state)
        if isinstance(state, ContractedCarrier):
            assert (found.name, found.terms) == (state.name, state.terms)
            assert (found.contact is None) == (state.contact is None)


@settings(max_examples=100, deadline=None)
@given(stories, st.randoms(use_true_random=False))
def test_in_whatever_order_the_carriers_come_the_rows_are_the_same(story: list[tuple[str, int, Command]], draw: Random):
    garage = played(story)
    assert interleaved(CARRIERS, garage.facts(), draw) == garage.rows(CARRIERS)
