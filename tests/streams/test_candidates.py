"""Whom dispatch passes by, and why: the first rule that shuts a rider out."""

from typing import Any

import pytest
from msgspec.structs import replace
from story import NOON, minutes

from schemas.directory import TenantRules
from schemas.dispatch_rules import DispatchFilters, DispatchRules
from schemas.load import NOTHING, Capacity, Load, Overload
from schemas.message import RiderId
from schemas.vehicle_fitness import VehicleFitness, VehicleValidity
from streams.dispatch.candidates import Work, excluded_for, exclusion_of
from streams.dispatch.known import Document, KnownRider

RULES = TenantRules(required_documents=["licence"])


def grams(count: int) -> Load:
    return Load(weight_g=count, volume_cm3=1, parcels=1)


ALL_DAY = Work(grams(1_000), None)


def licence(start: float, end: float, *, verified: bool = True) -> Document:
    return Document(kind="licence", verified=verified, valid_from=minutes(start), expires_at=minutes(end))


ANN = KnownRider(
    rider_id=RiderId("ann"),
    status="approved",
    documents=[licence(-60, 480)],
    shift_ends_at=minutes(480),
    on_break=False,
    silent=False,
    hours_end_at=None,
    capacity_g=5_000,
    tasks=0,
    offers=0,
    seen_at=NOON,
)


def why_not(rider: KnownRider = ANN, work: Work = ALL_DAY) -> str | Overload | None:
    return exclusion_of(rider, RULES, work, frozenset(), NOON)


def licensed(*documents: Document) -> KnownRider:
    return replace(ANN, documents=list(documents))


def test_who_is_on_shift_with_a_licence_is_able():
    assert why_not() is None


def test_whom_an_open_incident_keeps_off_dispatch_is_passed_by():
    assert why_not(replace(ANN, incident_open=True)) == "incident_open"


def test_who_takes_a_break_is_passed_by():
    assert why_not(replace(ANN, on_break=True)) == "on_break"


def test_who_is_silent_is_passed_by_however_old_a_fix_may_be():
    patient = replace(RULES, stale_fix_seconds=86_400)
    assert exclusion_of(replace(ANN, silent=True), patient, ALL_DAY, frozenset(), NOON) == "silent"


@pytest.mark.parametrize(("minute", "code"), [(-1, "hours_exhausted"), (0, "hours_exhausted"), (1, None)])
def test_whose_hours_are_used_up_is_passed_by(minute: float, code: str | None):
    assert why_not(replace(ANN, hours_end_at=minutes(minute))) == code


def test_a_licence_is_there_verified_and_valid():
    assert why_not(licensed()) == "document_missing"
    assert why_not(licensed(licence(-60, 480, verified=False))) == "document_missing"
    assert why_not(licensed(licence(-60, 0))) == "document_expired"
    assert why_not(licensed(licence(1, 480))) == "document_expired"


def test_it_must_be_valid_until_the_last_window_closes_or_the_shift_ends():
    brief = licensed(licence(-60, 100))
    assert why_not(brief) == "document_expires_too_soon"
    assert why_not(brief, Work(NOTHING, minutes(101))) == "document_expires_too_soon"
    assert why_not(brief, Work(NOTHING, minutes(100))) is None
    assert why_not(ANN, Work(NOTHING, minutes(999))) is None, "by then the shift is over"
    assert why_not(brief, Work(NOTHING, minutes(-5))) is None, "a window that has closed asks for now"


def test_one_licence_takes_over_from_the_other_but_without_a_gap():
    assert why_not(licensed(licence(100, 480), licence(-60, 100))) is None
    assert why_not(licensed(licence(101, 480), licence(-60, 100))) == "document_expires_too_soon"


def test_the_load_is_judged_after_that():
    assert why_not(ANN, Work(grams(5_001), None)) == Overload(measure="weight_g", load=5_001, limit=5_000)
    assert why_not(ANN, Work(Load(weight_g=1, volume_cm3=9**9, parcels=999), None)) is None, "no rule limits that"


def test_who_is_passed_by_for_the_load_is_recorded_with_what_is_too_much():
    too_much = why_not(ANN, Work(grams(5_001), None))
    assert isinstance(too_much, Overload)
    passed_by = excluded_for(ANN.rider_id, too_much)
    assert (passed_by.code, passed_by.overload) == ("over_capacity", too_much)


# Whose vehicle it is not done with

HOLDS = Capacity(weight_g=800, volume_cm3=900, parcels=2)
VAN = VehicleFitness(
    grounded=False,
    inspection_failed=False,
    maintenance_due=False,
    maintenance_due_at=None,
    capacity=HOLDS,
    documents=[VehicleValidity(kind="roadworthiness", valid_from=minutes(-60), expires_at=minutes(100))],
)
GROUNDED = replace(VAN, grounded=True, capacity=replace(HOLDS, weight_g=9_000))


def with_vehicles(*vehicles: VehicleFitness, work: Work = ALL_DAY, needs: str = "") -> str | Overload | None:
    return exclusion_of(replace(ANN, vehicles=vehicles), RULES, work, frozenset(), NOON, [needs] if needs else [])


def test_who_has_none_but_vehicles_that_may_not_drive_is_passed_by():
    assert with_vehicles(GROUNDED) == "vehicle_grounded"
    assert with_vehicles(GROUNDED, VAN, work=Work(grams(800), None)) is None


def test_a_vehicle_has_its_papers_for_all_of_the_time():
    assert with_vehicles(VAN, work=Work(grams(1), minutes(100)), needs="roadworthiness") is None
    assert (
        with_vehicles(VAN, work=Work(grams(1), minutes(101)), needs="roadworthiness")
        == "vehicle_document_expires_too_soon"
    )
    assert with_vehicles(VAN, needs="vehicle_insurance") == "vehicle_document_missing"
    assert with_vehicles(needs="roadworthiness") is None


def test_the_load_is_judged_by_what_a_vehicle_that_drives_can_carry():
    too_heavy = Overload(measure="weight_g", load=801, limit=800)
    assert with_vehicles(VAN, GROUNDED, work=Work(grams(801), None)) == too_heavy


@pytest.mark.parametrize(
    ("load", "measure", "limit"),
    [
        (Load(weight_g=801, volume_cm3=901, parcels=3), "weight_g", 800),
        (Load(weight_g=800, volume_cm3=901, parcels=3), "volume_cm3", 900),
        (Load(weight_g=800, volume_cm3=900, parcels=3), "parcels", 2),
    ],
)
def test_each_of_weight_volume_and_number_binds(load: Load, measure: Any, limit: int):
    assert with_vehicles(VAN, work=Work(load, None)) == Overload(
        measure=measure, load=getattr(load, measure), limit=limit
    )
    assert with_vehicles(VAN, work=Work(Load(weight_g=800, volume_cm3=900, parcels=2), None)) is None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"status": "invited"}, "not_approved"),
        ({"status": "rejected"}, "not_approved"),
        ({"status": "suspended"}, "suspended"),
        ({"shift_ends_at": None}, "off_shift"),
        ({"shift_ends_at": minutes(14), "documents": [licence(-60, 480)]}, "shift_ends_too_soon"),
        ({"shift_ends_at": minutes(15), "documents": [licence(-60, 480)]}, None),
        ({"tasks": 2}, "too_many_tasks"),
        ({"tasks": 1}, None),
        ({"offers": 1}, "reserved_elsewhere"),
        ({"placed": False, "seen_at": None}, "no_fix"),
        ({"seen_at": minutes(-15.1)}, "stale_fix"),
        ({"seen_at": minutes(-15)}, None),
        ({"seen_at": None}, None),
    ],
)
def test_each_rule_alone_shuts_a_rider_out(changes: dict[str, Any], code: str | None):
    """`seen_at` is None for where a shift began: that is known, however long ago it was."""
    assert why_not(replace(ANN, **changes)) == code


def test_what_cannot_be_done_before_the_shift_ends_is_not_offered():
    assert why_not(ANN, Work(NOTHING, None, minutes(480))) is None
    assert why_not(ANN, Work(NOTHING, None, minutes(481))) == "shift_ends_too_soon"


def test_who_has_declined_this_task_is_not_asked_for_it_again():
    assert exclusion_of(ANN, RULES, ALL_DAY, frozenset({"ann"}), NOON) == "declined_before"
    assert exclusion_of(ANN, RULES, ALL_DAY, frozenset({"bob"}), NOON) is None


# What a tenant's own filters shut out


def filtered(rider: KnownRider, **filters: Any) -> str | Overload | None:
    rules = replace(RULES, dispatch=DispatchRules(filters=DispatchFilters(**filters)))
    return exclusion_of(rider, rules, ALL_DAY, frozenset(), NOON)


def test_what_may_only_be_done_by_bicycle_is_not_offered_to_who_drives():
    assert filtered(ANN, vehicles=["bicycle", "foot"]) == "vehicle_kind"
    assert filtered(replace(ANN, vehicle="bicycle"), vehicles=["bicycle", "foot"]) is None


def test_who_has_declined_more_than_the_rules_have_patience_for_is_passed_by():
    assert filtered(replace(ANN, declines=3), max_declines=2) == "declines_too_often"
    assert filtered(replace(ANN, declines=2), max_declines=2) is None
    assert filtered(replace(ANN, declines=99)) is None


def test_who_is_rated_too_low_is_passed_by_but_not_who_has_no_rating():
    assert filtered(replace(ANN, rating=4.4), min_rating=4.5) == "rated_too_low"
    assert filtered(replace(ANN, rating=4.5), min_rating=4.5) is None
    assert filtered(ANN, min_rating=4.5) is None


def test_who_lacks_a_skill_is_not_asked():
    work = Work(grams(100), None, skills=frozenset({"chilled", "alcohol"}))
    assert why_not(replace(ANN, skills=frozenset({"chilled"})), work) == "skill_missing"
    assert why_not(replace(ANN, skills=frozenset({"chilled", "alcohol", "fragile"})), work) is None


def test_who_has_zones_is_asked_for_what_stops_within_them_and_nowhere_else():
    centre, north = frozenset({"centre"}), frozenset({"north"})
    ann = replace(ANN, zones=centre | north)
    assert why_not(ann, Work(grams(100), None, zones=[centre, north])) is None
    assert why_not(ann, Work(grams(100), None, zones=[centre, frozenset()])) == "outside_zones"
    assert why_not(replace(ANN, zones=centre), Work(grams(100), None, zones=[centre, north])) == "outside_zones"


def test_who_has_no_zones_is_asked_for_what_is_anywhere():
    assert why_not(ANN, Work(grams(100), None, zones=[frozenset(), frozenset({"north"})])) is None
