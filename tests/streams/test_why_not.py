"""Why not this rider? Of each rule ten cases in which it alone shuts a rider out, and the decision says so, and the words."""

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any, get_args

import msgspec
import pytest
from choosing import KM_S, chosen, delivery, km, rider, rules, stop
from msgspec.structs import replace
from story import NOON, minutes

from gateway.why.candidates import EXCLUSIONS, excluded_told
from schemas.directory import TenantRules
from schemas.load import Capacity, Load
from schemas.message import TenantSlug
from schemas.tender import Exclusion, OpenTender
from schemas.vehicle_fitness import VehicleFitness, VehicleValidity
from streams.dispatch.known import Document, Seen
from streams.routing.great_circle import straight_matrix
from streams.routing.measured import Measured

CASES = 10
CAN = "can"
"""A rider whom nothing shuts out, there in every case."""


class Case:
    """A rider called `cannot`, and what else is given; what is not said is as for anybody."""

    def __init__(self, **changes: Any) -> None:
        self.changes = changes
        self.here = km(changes.pop("east", 1.0))
        self.ahead = changes.pop("ahead", ())
        self.task = changes.pop("task", delivery(km(0), km(-1)))
        self.rules: TenantRules = changes.pop("rules", rules())
        self.question = changes.pop("question", {})
        self.router = changes.pop("router", None)

    def riders(self) -> list[Seen]:
        cannot = rider("cannot", self.here, *self.ahead, **self.changes)
        return [cannot, rider(CAN, km(0.5), documents=papers(-60, 600), rating=5.0, skills=frozenset({"chilled"}))]


def papers(start: float, end: float, *, verified: bool = True) -> list[Document]:
    return [Document(kind="licence", verified=verified, valid_from=minutes(start), expires_at=minutes(end))]


def van(**changes: Any) -> VehicleFitness:
    fit = VehicleFitness(
        grounded=False,
        inspection_failed=False,
        maintenance_due=False,
        maintenance_due_at=None,
        capacity=Capacity(weight_g=50_000, volume_cm3=50_000, parcels=50),
        documents=[VehicleValidity(kind="insurance", valid_from=minutes(-60), expires_at=minutes(600))],
    )
    return replace(fit, **changes)


def insured(start: float, end: float) -> list[VehicleValidity]:
    return [VehicleValidity(kind="insurance", valid_from=minutes(start), expires_at=minutes(end))]


LICENSED = replace(rules(), required_documents=["licence"])
INSURED = {"of_vehicles": ["insurance"]}


def filtered(**filters: Any) -> TenantRules:
    return rules(filters=filters)


class Unreached:
    """Nobody gets away from where `cannot` is."""

    def __init__(self, east: float) -> None:
        self.place = km(east)

    async def matrix(self, tenant: TenantSlug, origins: Any, goals: Any) -> Measured:
        told = straight_matrix(origins, goals)
        told.seconds[[place == self.place for place in origins]] = float("nan")
        return told


def unreachable(draw: Random) -> Case:
    east = draw.uniform(2, 9)
    return Case(east=east, router=Unreached(east))


def late(draw: Random) -> Case:
    """The window closes before they can be there, but after the other one is."""
    east = draw.uniform(3, 8)
    closes = (0.5 + 1) * KM_S / 60 + 0.5
    return Case(east=east, task=delivery(km(0), km(-1), closes=closes), rules=filtered(max_lateness_seconds=0))


def riding(draw: Random) -> Case:
    """What they have would ride longer than it may, wherever the task goes; they are at their first stop."""
    kilometres = draw.uniform(4, 6)
    known = [(stop("has", "pickup"), km(3)), (stop("has", "dropoff"), km(3 - kilometres))]
    limit = round(0.5 * KM_S)
    return Case(east=3.0, ahead=known, task=delivery(km(0), km(-1)), rules=filtered(max_ride_seconds=limit))


def heavy(draw: Random) -> Case:
    grams = draw.randint(1_001, 90_000)
    return Case(capacity_g=1_000, task=delivery(km(0), km(-1), load=Load(weight_g=grams, parcels=1)))


def detour(draw: Random) -> Case:
    east = draw.uniform(2, 9)
    return Case(east=east, rules=filtered(max_detour_seconds=round((east + 1) * KM_S) - 1 - draw.randint(0, 60)))


def travel(draw: Random) -> Case:
    east = draw.uniform(2, 9)
    return Case(east=east, rules=filtered(max_travel_seconds=round(east * KM_S) - 1 - draw.randint(0, 60)))


SHUT_OUT: dict[str, Callable[[Random], Case]] = {
    "not_approved": lambda draw: Case(status=draw.choice(("invited", "rejected"))),
    "suspended": lambda draw: Case(status="suspended", tasks=draw.randint(0, 3)),
    "off_shift": lambda draw: Case(shift_ends_at=None, tasks=draw.randint(0, 3)),
    "on_break": lambda draw: Case(on_break=True, tasks=draw.randint(0, 3)),
    "silent": lambda draw: Case(silent=True, seen_at=minutes(-draw.uniform(0, 14))),
    "incident_open": lambda draw: Case(incident_open=True, tasks=draw.randint(0, 3)),
    "shift_ends_too_soon": lambda draw: Case(
        shift_ends_at=minutes(draw.uniform(16, 30)), task=delivery(km(0), km(-9), service_s=600)
    ),
    "hours_exhausted": lambda draw: Case(hours_end_at=minutes(draw.uniform(-30, 5))),
    "document_missing": lambda draw: Case(rules=LICENSED, documents=[]),
    "document_expired": lambda draw: Case(rules=LICENSED, documents=papers(-600, -draw.uniform(0, 300))),
    "document_expires_too_soon": lambda draw: Case(rules=LICENSED, documents=papers(-60, draw.uniform(1, 400))),
    "vehicle_grounded": lambda draw: Case(vehicles=[van(grounded=True)] * draw.randint(1, 3)),
    "vehicle_inspection_failed": lambda draw: Case(vehicles=[van(inspection_failed=True)] * draw.randint(1, 3)),
    "vehicle_document_missing": lambda draw: Case(vehicles=[van(documents=[])], question=INSURED),
    "vehicle_document_expired": lambda draw: Case(
        vehicles=[van(documents=insured(-600, -draw.uniform(0, 300)))], question=INSURED
    ),
    "vehicle_document_expires_too_soon": lambda draw: Case(
        vehicles=[van(documents=insured(-60, draw.uniform(1, 400)))], question=INSURED
    ),
    "vehicle_maintenance_overdue": lambda draw: Case(
        vehicles=[van(maintenance_due_at=minutes(-draw.uniform(0, 9_000)))]
    ),
    "skill_missing": lambda draw: Case(
        skills=frozenset(draw.sample(["alcohol", "fragile"], draw.randint(0, 2))),
        question={"required_skills": ["chilled"]},
    ),
    "outside_zones": lambda draw: Case(
        zones=frozenset({f"zone-{draw.randint(2, 9)}"}), question={"zones": [["zone-1"], ["zone-1"]]}
    ),
    "over_capacity": heavy,
    "too_many_tasks": lambda draw: Case(tasks=draw.randint(100, 200)),
    "reserved_elsewhere": lambda draw: Case(offers=draw.randint(1, 5)),
    "no_fix": lambda draw: Case(placed=False, seen_at=None, tasks=draw.randint(0, 3)),
    "stale_fix": lambda draw: Case(seen_at=NOON - timedelta(seconds=draw.uniform(901, 90_000))),
    "declined_before": lambda draw: Case(question={"declined": ["cannot"]}, tasks=draw.randint(0, 3)),
    "unreachable": unreachable,
    "vehicle_kind": lambda draw: Case(
        vehicle=draw.choice(("bicycle", "foot", "scooter")), rules=filtered(vehicles=["car", "van"])
    ),
    "declines_too_often": lambda draw: Case(declines=draw.randint(4, 40), rules=filtered(max_declines=3)),
    "rated_too_low": lambda draw: Case(rating=draw.uniform(1, 3.99), rules=filtered(min_rating=4.0)),
    "too_far": lambda draw: Case(east=draw.uniform(5.01, 9), rules=filtered(max_distance_m=5_000)),
    "travel_too_long": travel,
    "detour_too_long": detour,
    "would_be_late": late,
    "ride_too_long": riding,
}


def test_there_are_cases_of_every_rule():
    assert SHUT_OUT.keys() == set(get_args(Exclusion))


@pytest.mark.parametrize("number", range(CASES))
@pytest.mark.parametrize("code", SHUT_OUT)
async def test_each_rule_shuts_out_whom_it_is_about_and_is_named(code: str, number: int):
    case = SHUT_OUT[code](Random(f"{code}-{number}"))
    opening = await decided(case)
    excluded = {each.rider_id: each.code for each in opening.excluded}
    assert excluded["cannot"] == code
    if code != "ride_too_long":  # of whom it says so of another task, the other has none
        assert [each.rider_id for each in opening.candidates] == [CAN]
    [told] = excluded_told(
        {"excluded": [msgspec.to_builtins(each) for each in opening.excluded if each.rider_id == "cannot"]}
    )
    assert code in told
    assert EXCLUSIONS[code] in told or (code == "over_capacity" and "too heavy" in told)


async def decided(case: Case) -> OpenTender:
    riders = case.riders()
    if case.changes.get("placed") is False:
        riders = [replace(riders[0], here=None), *riders[1:]]
    return await chosen(riders, case.task, case.rules, router=case.router, **case.question)
