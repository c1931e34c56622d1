"""Which carriers are asked, for how much, and the rule that shuts each of the others out."""

from typing import Any, get_args

import pytest
from choosing import asked, delivery, km, rider, rules
from msgspec.structs import replace
from story import minutes

from gateway.why.carriers import EXCLUSIONS
from schemas.carrier import CarrierPrice, ServiceLevel
from schemas.carrier_offer import MAX_CARRIER_CANDIDATES, CarrierExclusion
from schemas.dispatch_rules import TenderStep
from schemas.load import Capacity, Load
from schemas.message import CarrierId
from schemas.tender import OpenTender
from streams.dispatch.again import differences
from streams.dispatch.choice import choose
from streams.dispatch.known import KnownCarrier
from streams.dispatch.question import recorded

PRICE = CarrierPrice(currency="EUR", base_minor=600, per_km_minor=100)
LEVEL = ServiceLevel(code="express", title="Express", commitment_seconds=120, silence_seconds=600, price=PRICE)
GOODS = Load(weight_g=800, volume_cm3=500, parcels=1)
THE_WAY = delivery(km(0), km(2.5), closes=90, load=GOODS)
TO_CARRIERS = TenderStep(mode="waterfall", to="carriers")


def carrier(name: str = "posti", level: dict[str, Any] | None = None, **known: Any) -> KnownCarrier:
    offers = {"active": True, "told": True, "levels": [replace(LEVEL, **(level or {}))]}
    return KnownCarrier(carrier_id=CarrierId(name), **offers | known)


async def opened(*carriers: KnownCarrier, step: TenderStep = TO_CARRIERS, **more: Any) -> OpenTender:
    known = sorted(carriers, key=lambda each: each.carrier_id)
    riders = more.pop("riders", [])
    by = more.pop("by", rules(steps=[step]))
    record = await asked(riders, THE_WAY, by=by, carriers=known, **more)
    return choose(record.question, record.ways, recorded(record)[0])


async def why_not(known: KnownCarrier, step: TenderStep = TO_CARRIERS, **more: Any) -> CarrierExclusion | None:
    """Beside one that nothing shuts out."""
    opening = await opened(known, carrier("matka"), step=step, **more)
    named = step.carriers or ["matka"]
    assert "matka" not in named or [each.carrier_id for each in opening.carriers][-1:] == ["matka"]
    return next((each.code for each in opening.carriers_excluded if each.carrier_id == "posti"), None)


async def test_a_price_is_the_base_and_each_kilometre_that_is_begun():
    [only] = (await opened(carrier())).carriers
    assert only.terms.price is not None
    assert (only.terms.price.amount_minor, only.score) == (600 + 3 * 100, 900.0)


async def test_the_cheapest_is_asked_first_and_the_others_wait_each_for_its_own_commitment():
    cheap = carrier("matka", {"price": replace(PRICE, base_minor=500), "commitment_seconds": 600})
    opening = await opened(carrier(), cheap)
    assert [(each.carrier_id, each.rank) for each in opening.carriers] == [("matka", 1), ("posti", 2)]
    [first] = opening.offers
    assert (first.carrier_id, first.rider_id, first.expires_at) == ("matka", "", minutes(10))
    assert opening.queue is not None
    [second] = opening.queue.waiting
    assert (second.carrier_id, second.terms and second.terms.commitment_seconds) == ("posti", 120)


async def test_equal_prices_go_by_the_carriers_ids():
    opening = await opened(carrier("b"), carrier("a"))
    assert [each.carrier_id for each in opening.carriers] == ["a", "b"]


async def test_of_its_service_levels_the_cheapest_that_fits_counts_or_the_one_that_the_step_names():
    slow = replace(LEVEL, code="same_day", price=replace(PRICE, base_minor=100))
    both = carrier(levels=[LEVEL, slow])
    [only] = (await opened(both)).carriers
    assert only.terms.service_level == "same_day"
    [only] = (await opened(both, step=replace(TO_CARRIERS, service_level="express"))).carriers
    assert only.terms.service_level == "express"


async def test_an_offer_tells_until_when_it_is_to_be_delivered():
    [only] = (await opened(carrier())).carriers
    assert (only.terms.pickup_by, only.terms.deliver_by) == (None, minutes(90))


async def test_who_has_no_price_is_asked_for_bids_and_comes_last():
    step = TenderStep(mode="bid", to="carriers", size=5, seconds=60)
    opening = await opened(carrier("a", {"price": None}), carrier("b"), step=step)
    assert [(each.carrier_id, each.score) for each in opening.carriers] == [("b", 900.0), ("a", None)]
    assert all(each.terms.bids for each in opening.carriers)
    assert {offer.expires_at for offer in opening.offers} == {minutes(1)}
    assert (opening.bids_until, opening.bids_in) == (minutes(1), "EUR")


NARROW = Capacity(weight_g=700, volume_cm3=10_000, parcels=9)
SHUT_OUT: list[tuple[CarrierExclusion, KnownCarrier, dict[str, Any]]] = [
    ("not_named", carrier(), {"step": replace(TO_CARRIERS, carriers=["matka"])}),
    ("contract_not_active", carrier(active=False), {}),
    ("not_to_be_told", carrier(told=False), {}),
    ("declined_before", carrier(answered="declined_before"), {}),
    ("gave_it_back", carrier(answered="gave_it_back"), {}),
    ("outlet_not_served", carrier(outside="outlet_not_served"), {}),
    ("postal_code_not_served", carrier(outside="postal_code_not_served"), {}),
    ("service_level_missing", carrier(level={"code": "slow"}), {"step": replace(TO_CARRIERS, service_level="express")}),
    ("kind_not_served", carrier(level={"kinds": ["return"]}), {}),
    ("over_capacity", carrier(level={"capacity": NARROW}), {}),
    ("no_price", carrier(level={"price": None}), {}),
    ("currency_differs", carrier(level={"price": replace(PRICE, currency="SEK")}), {}),
    (
        "too_dear",
        carrier(level={"price": replace(PRICE, base_minor=601)}),
        {"by": rules(steps=[TO_CARRIERS], max_carrier_price_minor=900)},
    ),
]


@pytest.mark.parametrize(("code", "known", "more"), SHUT_OUT, ids=[code for code, _, _ in SHUT_OUT])
async def test_each_rule_alone_shuts_a_carrier_out(code: CarrierExclusion, known: KnownCarrier, more: dict[str, Any]):
    assert await why_not(known, **more) == code


async def test_what_a_task_asks_for_is_among_what_a_carrier_can():
    able = carrier("matka", capabilities=frozenset({"age_check"}))
    opening = await opened(carrier(), able, required_skills=["age-check"])
    assert [each.carrier_id for each in opening.carriers] == ["matka"]
    assert [each.code for each in opening.carriers_excluded] == ["capability_missing"]


def test_every_rule_has_its_case_and_its_words():
    assert {code for code, _, _ in SHUT_OUT} | {"capability_missing"} == set(get_args(CarrierExclusion))
    assert set(EXCLUSIONS) == set(get_args(CarrierExclusion))


async def test_who_is_too_dear_or_has_no_room_is_told_with_how_much():
    dear = await opened(carrier(), by=rules(steps=[TO_CARRIERS], max_carrier_price_minor=899))
    [out] = dear.carriers_excluded
    assert out.price is not None
    assert out.price.amount_minor == 900
    [out] = (await opened(carrier(level={"capacity": NARROW}))).carriers_excluded
    assert out.overload is not None
    assert (out.overload.measure, out.overload.load, out.overload.limit) == ("weight_g", 800, 700)


async def test_a_step_for_riders_looks_at_no_carrier():
    opening = await opened(carrier(), step=TenderStep(mode="direct"), riders=[rider("ann", km(1))])
    assert (opening.carriers, opening.carriers_excluded) == ([], [])
    assert [offer.rider_id for offer in opening.offers] == ["ann"]


async def test_a_step_for_both_asks_so_many_of_each_or_the_riders_first():
    riders = [rider("ann", km(1)), rider("bob", km(2))]
    at_once = TenderStep(mode="broadcast", to="both", size=1)
    opening = await opened(carrier(), carrier("matka"), step=at_once, riders=riders)
    assert [(offer.rider_id, offer.carrier_id) for offer in opening.offers] == [("ann", None), ("", "matka")]
    in_turn = TenderStep(mode="waterfall", to="both")
    opening = await opened(carrier(), step=in_turn, riders=riders)
    assert [offer.rider_id for offer in opening.offers] == ["ann"]
    assert opening.queue is not None
    assert [(each.rider_id, each.carrier_id) for each in opening.queue.waiting] == [("bob", None), ("", "posti")]


async def test_where_no_carrier_can_do_it_nobody_is_asked_and_the_decision_says_why():
    opening = await opened(carrier(active=False))
    assert (opening.offers, opening.queue) == ([], None)
    assert [each.code for each in opening.carriers_excluded] == ["contract_not_active"]


async def test_of_very_many_so_many_are_named():
    many = [carrier(f"c-{number:03}") for number in range(MAX_CARRIER_CANDIDATES + 1)]
    assert len((await opened(*many)).carriers) == MAX_CARRIER_CANDIDATES
    idle = [replace(each, active=False) for each in many]
    assert len((await opened(*idle)).carriers_excluded) == MAX_CARRIER_CANDIDATES


async def test_from_its_record_a_decision_about_carriers_is_made_again_alike():
    record = await asked([], THE_WAY, by=rules(steps=[TO_CARRIERS]), carriers=[carrier(), carrier("z", active=False)])
    digest, content = recorded(record)
    opening = choose(record.question, record.ways, digest)
    as_read = {name: getattr(opening, name) for name in ("task_id", "round", "mode", "policy_version", "solver")}
    as_read |= {name: getattr(opening, name) for name in ("more_excluded", "candidates", "others", "excluded")}
    as_read |= {"weights": opening.weights, "input_hash": digest}
    as_read |= {"carriers": opening.carriers, "carriers_excluded": opening.carriers_excluded}
    as_read |= {"in_window": None, "bundle": []}
    assert differences(as_read, content) == []
    assert differences(as_read | {"carriers": []}, content) == ["carriers"]
