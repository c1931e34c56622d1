"""Carriers: under contract, in force, suspended and back, and in the end no more."""

import msgspec
import pytest
from story import POSTI, SAME_DAY, context, given, nothing_yet

from commands.aggregates import AGGREGATES
from commands.carrier import NoServiceLevel, decide, is_over
from commands.carrier_contract import CarrierView
from commands.context import UnknownOutlet
from commands.memory import encode
from commands.refusals import TooMany
from commands.registries import DuplicateCode
from schemas import catalog
from schemas.carrier import (
    MAX_CARRIERS,
    ActivateCarrier,
    CarrierActivated,
    CarrierContact,
    CarrierContractEnded,
    CarrierDetailsChanged,
    CarrierRegistered,
    CarrierReinstated,
    CarrierSuspended,
    CarrierTerms,
    CarrierTermsChanged,
    ChangeCarrierDetails,
    ChangeCarrierTerms,
    EndCarrierContract,
    NewCarrierContact,
    RegisterCarrier,
    ReinstateCarrier,
    ServedArea,
    ServiceLevel,
    SuspendCarrier,
)
from schemas.message import CarrierId, Command, NotInThisState, Personal, SubjectId

PIA = NewCarrierContact(name="Pia Postimies", phone="+358401112223", email="pia@posti.example")
SUBJECT = SubjectId("a-1")
SEALED_PIA = CarrierContact(
    name=Personal(SUBJECT, "Pia Postimies"),
    phone=Personal(SUBJECT, "+358401112223"),
    email=Personal(SUBJECT, "pia@posti.example"),
)
TERMS = CarrierTerms(
    service_levels=[SAME_DAY],
    area=ServedArea(outlets=["kamppi"], postal_prefixes=["FI-00", "FI-02"]),
    tariff_reference="posti-2026",
    capabilities=["chilled"],
)
REGISTER = RegisterCarrier(name="Posti", contact=PIA, terms=TERMS, external_reference="posti", metadata={"erp": "9"})
REGISTERED = CarrierRegistered(
    name="Posti",
    contact=SEALED_PIA,
    terms=TERMS,
    external_reference="posti",
    source="shop",
    metadata={"erp": "9"},
)
BARE = CarrierRegistered(
    name="Posti", contact=None, terms=CarrierTerms(), external_reference=None, source="shop", metadata={}
)
ACTIVE, BACK = CarrierActivated(), CarrierReinstated()
SUSPENDED = CarrierSuspended(reason_code="strike")
ENDED = CarrierContractEnded(reason_code="notice")


def with_terms(**more: object) -> ChangeCarrierTerms:
    return ChangeCarrierTerms(terms=msgspec.structs.replace(TERMS, **more))


def test_a_carrier_is_registered_once_with_whom_to_ask_sealed_under_its_own_subject():
    nothing_yet("carrier").when(REGISTER).then(REGISTERED)
    given(REGISTERED).when(REGISTER).refuses(NotInThisState)


def test_a_tenant_has_so_many_carriers_and_no_more():
    full = {CarrierId(f"c-{n}"): CarrierView("registered", ()) for n in range(MAX_CARRIERS)}
    refused = nothing_yet("carrier").under_contract(full).when(REGISTER).refuses(TooMany)
    assert refused.values() == {"what": "carriers under contract", "limit": MAX_CARRIERS}


def test_terms_name_each_thing_once_and_outlets_that_there_are():
    other = ServiceLevel(code="same_day", title="Other", commitment_seconds=1, silence_seconds=60)
    given(REGISTERED).when(with_terms(service_levels=[SAME_DAY, other])).refuses(DuplicateCode)
    given(REGISTERED).when(with_terms(capabilities=["chilled", "chilled"])).refuses(DuplicateCode)
    given(REGISTERED).when(with_terms(area=ServedArea(postal_prefixes=["FI-00", "FI-00"]))).refuses(DuplicateCode)
    given(REGISTERED).when(with_terms(currencies=["EUR", "EUR"])).refuses(DuplicateCode)
    given(REGISTERED).when(with_terms(area=ServedArea(outlets=["atlantis"]))).refuses(UnknownOutlet)
    bad = RegisterCarrier(name="Posti", terms=CarrierTerms(area=ServedArea(outlets=["atlantis"])))
    nothing_yet("carrier").when(bad).refuses(UnknownOutlet)


def test_terms_change_and_the_same_terms_are_no_change():
    anew = msgspec.structs.replace(TERMS, tariff_reference="posti-2027")
    given(REGISTERED, ACTIVE).when(ChangeCarrierTerms(terms=anew)).then(CarrierTermsChanged(terms=anew))
    given(REGISTERED, ACTIVE).when(ChangeCarrierTerms(terms=TERMS)).then()


def test_whom_to_ask_changes_and_the_same_person_is_no_change():
    same = ChangeCarrierDetails(name="Posti", contact=PIA)
    given(REGISTERED).when(same).then()
    nobody = CarrierDetailsChanged(name="Posti", contact=None)
    given(REGISTERED).when(ChangeCarrierDetails(name="Posti")).then(nobody)
    given(REGISTERED, nobody).when(ChangeCarrierDetails(name="Posti")).then()
    given(REGISTERED, nobody).when(same).then(CarrierDetailsChanged(name="Posti", contact=SEALED_PIA))


def test_the_same_person_is_no_change_though_they_are_sealed():
    registered = catalog.sealed(REGISTERED, lambda subject, field, plain: plain[::-1])
    knowing = msgspec.structs.replace(context(), unseal=lambda subject, field, sealed: sealed[::-1])
    state = given(registered).state
    assert "Pia" not in repr(state)
    assert decide(state, ChangeCarrierDetails(name="Posti", contact=PIA), knowing) == []
    other = NewCarrierContact(name="Pekka Postimies")
    assert len(decide(state, ChangeCarrierDetails(name="Posti", contact=other), knowing)) == 1


def test_who_is_forgotten_can_be_told_anew():
    forgotten = CarrierContact(name=Personal(SUBJECT, None, b"sealed", "CarrierContact.name"))
    registered = msgspec.structs.replace(REGISTERED, contact=forgotten)
    told = given(registered).when(ChangeCarrierDetails(name="Posti", contact=PIA))
    told.then(CarrierDetailsChanged(name="Posti", contact=SEALED_PIA))


def test_a_carrier_is_in_force_only_with_a_service_level():
    given(BARE).when(ActivateCarrier()).refuses(NoServiceLevel)
    given(REGISTERED).when(ActivateCarrier()).then(ACTIVE)
    given(REGISTERED, ACTIVE).when(ActivateCarrier()).then()
    given(REGISTERED, ACTIVE).when(with_terms(service_levels=[])).refuses(NoServiceLevel)
    given(REGISTERED, ACTIVE, SUSPENDED).when(with_terms(service_levels=[])).refuses(NoServiceLevel)
    given(REGISTERED).when(with_terms(service_levels=[])).tells("CarrierTermsChanged")


def test_a_carrier_is_suspended_and_reinstated_and_a_repeat_changes_nothing():
    given(REGISTERED, ACTIVE).when(SuspendCarrier(reason_code="strike")).then(SUSPENDED)
    given(REGISTERED, ACTIVE, SUSPENDED).when(SuspendCarrier(reason_code="again")).then()
    given(REGISTERED, ACTIVE, SUSPENDED).when(ReinstateCarrier()).then(BACK)
    given(REGISTERED, ACTIVE, SUSPENDED, BACK).when(ReinstateCarrier()).then()


def test_only_what_was_in_force_is_suspended_and_only_what_was_suspended_comes_back():
    given(REGISTERED).when(SuspendCarrier(reason_code="strike")).refuses(NotInThisState)
    given(REGISTERED).when(ReinstateCarrier()).refuses(NotInThisState)
    given(REGISTERED, ACTIVE, SUSPENDED).when(ActivateCarrier()).refuses(NotInThisState)


@pytest.mark.parametrize("history", [[], [ACTIVE], [ACTIVE, SUSPENDED]], ids=["registered", "active", "suspended"])
def test_a_contract_ends_from_wherever_it_stands_for_ever(history: list[object]):
    ended = given(REGISTERED, *history).when(EndCarrierContract(reason_code="notice"))  # type: ignore[arg-type]
    ended.then(ENDED)
    assert is_over(ended.happened().state)
    ended.when(EndCarrierContract(reason_code="again")).then()


EVERY = [
    ChangeCarrierDetails(name="Matka"),
    ChangeCarrierTerms(terms=TERMS),
    ActivateCarrier(),
    SuspendCarrier(reason_code="strike"),
    ReinstateCarrier(),
]


@pytest.mark.parametrize("command", EVERY, ids=lambda command: type(command).__name__)
def test_nothing_is_asked_of_a_carrier_whose_contract_has_ended_or_was_never_there(command: Command):
    assert given(REGISTERED, ENDED).when(command).refuses(NotInThisState).values()["actual"] == "ended"
    assert nothing_yet("carrier").when(command).refuses(NotInThisState).values()["actual"] == "new"


def test_no_contract_ends_that_was_never_there():
    nothing_yet("carrier").when(EndCarrierContract(reason_code="notice")).refuses(NotInThisState)


def test_a_carrier_that_was_put_aside_comes_back_as_it_was():
    state = given(REGISTERED, ACTIVE, SUSPENDED).state
    assert msgspec.msgpack.decode(encode(state), type=AGGREGATES["carrier"].state) == state


def test_decisions_know_the_carriers_under_contract():
    assert context().policy.carrier_to_book(POSTI).service_level("same_day") == SAME_DAY
