"""SLA policies: what is promised for which tasks, and which of them holds for a task."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from story import CENTRE, KAMPPI, NOON, NORTH, PROMISED, UP_NORTH, ZONES, context, given, minutes, nothing_yet, policy

from commands.context import UnknownOutlet
from commands.directory import NotThere
from commands.registries import DuplicateCode
from commands.service_zones import ServiceZone, UnknownServiceZone, ZoneVersion
from commands.sla_choice import SlaPolicyView
from commands.sla_policy import LevelsNotAscending, NothingPromised, SlaScopeTaken, TooManyPolicies, decide
from schemas.directory import Circle
from schemas.geo import Location
from schemas.message import Command, GeofenceId, NotInThisState, Refused, SlaPolicyId
from schemas.sla_policy import (
    MAX_BREACH_LEVELS,
    MAX_PAUSES,
    MAX_POLICIES,
    ChangeSlaPolicy,
    CreateSlaPolicy,
    RemoveSlaPolicy,
    SlaPolicyChanged,
    SlaPolicyCreated,
    SlaPolicyRemoved,
    SlaScope,
    SlaTerms,
)

HOUR = SlaTerms(deliver_within_s=3600, pauses=["customer_unavailable"])
HALF = SlaTerms(dispatch_within_s=60, pickup_within_s=900, deliver_within_s=1800, breach_levels_minutes=[5, 10])
KAMPPI_ONLY = SlaScope(outlet="kamppi")
CREATE = CreateSlaPolicy(
    name="An hour", applies_to=KAMPPI_ONLY, terms=HOUR, external_reference="gold", metadata={"a": "b"}
)
CREATED = SlaPolicyCreated(
    name="An hour",
    applies_to=KAMPPI_ONLY,
    terms=HOUR,
    external_reference="gold",
    source="shop",
    metadata={"a": "b"},
)


def test_a_policy_is_created_once():
    nothing_yet("sla_policy").when(CREATE).then(CREATED)
    given(CREATED).when(CREATE).refuses(NotInThisState)


def test_of_one_scope_there_is_one_policy():
    taken = nothing_yet("sla_policy").promising(HALF, KAMPPI_ONLY).when(CREATE).refuses(SlaScopeTaken)
    assert taken.values() == {"policy_id": PROMISED}
    nothing_yet("sla_policy").promising(HALF).when(CREATE).then(CREATED)
    changed = ChangeSlaPolicy(name="An hour", terms=HOUR)
    given(CREATED).promising(HALF).when(changed).refuses(SlaScopeTaken)


def test_of_two_made_at_one_moment_the_younger_is_not_changed_but_elsewhere():
    """Each was decided before it knew of the other."""
    twin = given(CREATED).promising(HALF, KAMPPI_ONLY)
    changed = ChangeSlaPolicy(name="Gold", applies_to=KAMPPI_ONLY, terms=HOUR)
    assert twin.when(changed).refuses(SlaScopeTaken).values() == {"policy_id": PROMISED}
    twin.when(replace(changed, applies_to=SlaScope(outlet="kallio"))).tells("SlaPolicyChanged")
    twin.when(RemoveSlaPolicy()).tells("SlaPolicyRemoved")
    older = twin.context()
    mine = SlaPolicyView(
        policy_id=SlaPolicyId("a-1"), version=1, created_at=minutes(-1), applies_to=KAMPPI_ONLY, terms=HOUR
    )
    known = {**older.policy.sla_policies, mine.policy_id: mine}
    older = msgspec.structs.replace(older, policy_or_none=replace(older.policy, sla_policies=known))
    [event] = decide(twin.state, changed, older)
    assert isinstance(event, SlaPolicyChanged)


def test_a_policy_changes_as_a_whole_and_the_same_again_changes_nothing():
    given(CREATED).when(ChangeSlaPolicy(name="Half an hour", terms=HALF)).then(
        SlaPolicyChanged(name="Half an hour", applies_to=SlaScope(), terms=HALF)
    )
    given(CREATED).when(ChangeSlaPolicy(name="An hour", applies_to=KAMPPI_ONLY, terms=HOUR)).then()
    given(CREATED).when(ChangeSlaPolicy(name="Gold", applies_to=KAMPPI_ONLY, terms=HOUR)).tells("SlaPolicyChanged")


def test_a_removed_policy_stays_removed():
    given(CREATED).when(RemoveSlaPolicy()).then(SlaPolicyRemoved())
    removed = given(CREATED, SlaPolicyRemoved())
    removed.when(RemoveSlaPolicy()).then()
    removed.when(ChangeSlaPolicy(name="An hour", applies_to=KAMPPI_ONLY, terms=HOUR)).refuses(NotInThisState)
    removed.when(CREATE).refuses(NotInThisState)


@pytest.mark.parametrize("command", [ChangeSlaPolicy(name="x", terms=HOUR), RemoveSlaPolicy()])
def test_nothing_happens_to_a_policy_that_is_not_there(command: Command):
    nothing_yet("sla_policy").when(command).refuses(NotInThisState)


@pytest.mark.parametrize(
    ("scope", "terms", "rule", "values"),
    [
        (SlaScope(outlet="nowhere"), HOUR, UnknownOutlet, {"outlet": "nowhere"}),
        (SlaScope(zone="nowhere"), HOUR, UnknownServiceZone, {"zone": "nowhere"}),
        (SlaScope(), SlaTerms(), NothingPromised, {}),
        (
            SlaScope(),
            SlaTerms(deliver_within_s=60, breach_levels_minutes=[15, 15]),
            LevelsNotAscending,
            {"levels_minutes": [15, 15]},
        ),
        (
            SlaScope(),
            SlaTerms(deliver_within_s=60, breach_levels_minutes=[30, 60, 15]),
            LevelsNotAscending,
            {"levels_minutes": [30, 60, 15]},
        ),
        (SlaScope(), SlaTerms(deliver_within_s=60, pauses=["rain", "rain"]), DuplicateCode, {"code": "rain"}),
    ],
)
def test_what_cannot_be_promised_is_refused_at_first_and_later(
    scope: SlaScope, terms: SlaTerms, rule: type[Refused], values: dict[str, Any]
):
    create = CreateSlaPolicy(name="x", applies_to=scope, terms=terms)
    assert nothing_yet("sla_policy").when(create).refuses(rule).values() == values
    change = ChangeSlaPolicy(name="x", applies_to=scope, terms=terms)
    assert given(CREATED).when(change).refuses(rule).values() == values


@pytest.mark.parametrize("promise", ["dispatch_within_s", "pickup_within_s", "deliver_within_s"])
def test_one_promise_is_enough(promise: str):
    one = CreateSlaPolicy(name="x", terms=SlaTerms(**{promise: 600}))
    nothing_yet("sla_policy").when(one).tells("SlaPolicyCreated")


def test_the_levels_of_a_breach_are_a_quarter_half_and_a_whole_hour_where_none_are_given():
    assert HOUR.breach_levels_minutes == [15, 30, 60]


@pytest.mark.parametrize(
    ("field", "fits"),
    [
        ("breach_levels_minutes", list(range(1, MAX_BREACH_LEVELS + 1))),
        ("pauses", [f"c{n}" for n in range(MAX_PAUSES)]),
    ],
)
def test_the_lists_of_the_terms_have_their_bounds(field: str, fits: list[Any]):
    assert getattr(msgspec.convert({field: fits}, SlaTerms), field) == fits
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({field: [*fits, fits[-1]]}, SlaTerms)


def test_a_tenant_has_a_bounded_number_of_policies():
    def among(count: int) -> Any:
        many = {SlaPolicyId(str(n)): view(str(n)) for n in range(count)}
        known = msgspec.structs.replace(policy(), sla_policies=many)
        return msgspec.structs.replace(context(), policy_or_none=known)

    assert decide(NotThere(), CREATE, among(MAX_POLICIES - 1)) == [CREATED]
    with pytest.raises(TooManyPolicies):
        decide(NotThere(), CREATE, among(MAX_POLICIES))


# Which one holds for a task


def view(name: str, *, created_at: datetime = NOON, **scope: Any) -> SlaPolicyView:
    return SlaPolicyView(
        policy_id=SlaPolicyId(name), version=1, created_at=created_at, applies_to=SlaScope(**scope), terms=HOUR
    )


def chosen_of(
    *policies: SlaPolicyView, to: Location | None = KAMPPI, zones: Mapping[GeofenceId, ServiceZone] = ZONES
) -> str | None:
    """For an urgent delivery from Kamppi, whatever order they are known in."""
    found = set()
    for order in (policies, policies[::-1]):
        known = msgspec.structs.replace(policy(), sla_policies={each.policy_id: each for each in order}, zones=zones)
        held = known.sla_policy_for("delivery", "kamppi", "urgent", to, NOON)
        found.add(held.policy_id if held else None)
    [only] = found
    return only


def test_without_a_policy_that_fits_nothing_is_promised():
    assert chosen_of() is None
    others = (view("kind", task_kind="return"), view("outlet", outlet="pasila"), view("priority", priority="low"))
    assert chosen_of(*others) is None
    assert chosen_of(view("half", outlet="kamppi", priority="low")) is None


def test_a_policy_that_names_nothing_holds_for_every_task():
    assert chosen_of(view("any")) == "any"


def test_the_policy_that_names_most_of_a_task_wins():
    one = view("one", outlet="kamppi")
    two = view("two", task_kind="delivery", priority="urgent")
    three = view("three", task_kind="delivery", priority="urgent", outlet="kamppi")
    assert chosen_of(view("any"), one) == "one"
    assert chosen_of(view("any"), one, two) == "two"
    assert chosen_of(view("any"), one, two, three) == "three"


def test_a_policy_of_a_zone_holds_for_what_goes_there():
    centre, north, any_where = view("centre", zone=CENTRE), view("north", zone=NORTH), view("any")
    assert chosen_of(centre, north, any_where) == "centre"
    assert chosen_of(centre, north, any_where, to=UP_NORTH) == "north"
    assert chosen_of(centre, north, any_where, to=Location(lat=61.5, lon=23.8)) == "any"
    assert chosen_of(centre, north, any_where, to=None) == "any", "nobody knows yet where it goes"
    assert chosen_of(view("elsewhere", zone="nowhere")) is None


def test_where_zones_overlap_the_oldest_policy_wins():
    around = {CENTRE: ZONES[CENTRE], NORTH: (ZoneVersion(Circle(center=KAMPPI, radius_m=90_000), NOON),)}
    younger, older = view("a", zone=CENTRE, created_at=minutes(1)), view("b", zone=NORTH)
    assert chosen_of(younger, older, zones=around) == "b"


def test_a_zone_holds_from_when_it_is_made_until_it_is_removed():
    def lasting(since: float, until: float) -> Mapping[GeofenceId, ServiceZone]:
        return {CENTRE: (ZoneVersion(Circle(center=KAMPPI, radius_m=500), minutes(since), minutes(until)),)}

    centre, any_where = view("centre", zone=CENTRE), view("any")
    assert chosen_of(centre, any_where, zones=lasting(0, 1)) == "centre"
    assert chosen_of(centre, any_where, zones=lasting(-1, 0)) == "any"
    assert chosen_of(centre, any_where, zones=lasting(1, 2)) == "any"
    assert chosen_of(centre, any_where, zones={}) == "any"


def test_of_two_that_name_as_much_the_outlet_counts_before_the_zone_the_priority_and_the_kind():
    outlet, priority = view("outlet", outlet="kamppi"), view("priority", priority="urgent")
    zone = view("zone", zone=CENTRE)
    kind = view("kind", task_kind="delivery")
    assert chosen_of(outlet, priority) == "outlet"
    assert chosen_of(outlet, kind) == "outlet"
    assert chosen_of(outlet, zone) == "outlet"
    assert chosen_of(priority, zone) == "zone"
    assert chosen_of(priority, kind) == "priority"
    with_priority = view("with priority", outlet="kamppi", priority="urgent")
    with_kind = view("with kind", outlet="kamppi", task_kind="delivery")
    neither = view("no outlet", priority="urgent", task_kind="delivery")
    assert chosen_of(with_kind, with_priority) == "with priority"
    assert chosen_of(with_kind, neither) == "with kind"


def test_of_two_that_name_the_same_the_oldest_wins_and_of_one_moment_the_lower_id():
    assert chosen_of(view("a", created_at=minutes(1)), view("b", created_at=NOON)) == "b"
    assert chosen_of(view("b"), view("a")) == "a"
