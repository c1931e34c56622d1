"""The directory as decisions see it, folded from partitions that come in any order."""

from collections.abc import Iterable
from itertools import count, permutations

import pytest
from msgspec.structs import replace
from story import ACME, KAMPPI, NOON, SAME_DAY, minutes

from commands.carrier_contract import CarrierNotActive, CarrierView, UnknownCarrier, UnknownServiceLevel
from commands.context import HubPolicy, TenantPolicy, UnknownHub
from commands.policy import Policy
from commands.service_zones import MOST_VERSIONS, UnknownServiceZone
from schemas import ids
from schemas.carrier import (
    CarrierActivated,
    CarrierContractEnded,
    CarrierDetailsChanged,
    CarrierRegistered,
    CarrierReinstated,
    CarrierSuspended,
    CarrierTerms,
    CarrierTermsChanged,
)
from schemas.directory import (
    Circle,
    FenceKind,
    GeofenceChanged,
    GeofenceCreated,
    GeofenceRemoved,
    OutletCreated,
    OutletMoved,
    Polygon,
    TenantCreated,
    TenantRules,
    TenantRulesChanged,
)
from schemas.geo import Location
from schemas.hub import HubClosed, HubCreated, HubMoved, HubReopened
from schemas.message import Event, GeofenceId, HubSlug, OutletSlug, Source, TenantSlug
from schemas.registries import (
    FAILURE_REASONS,
    DocumentKind,
    DocumentKindsSet,
    FailureReason,
    FailureReasonsSet,
    IncidentKind,
    IncidentKindsSet,
)
from schemas.sla_policy import SlaPolicyChanged, SlaPolicyCreated, SlaPolicyRemoved, SlaScope, SlaTerms

ELSEWHERE = Location(lat=60.2, lon=25)
DOG = FailureReason(code="dog", title="A dog", at_fault="recipient")
HOUR, HALF = SlaTerms(deliver_within_s=3600), SlaTerms(deliver_within_s=1800)

TENANT = TenantCreated(tenant=ACME, name="Acme", mode="test", rules=TenantRules())
OUTLET = OutletCreated(
    outlet=OutletSlug("kamppi"), name="Kamppi", location=KAMPPI, zone="Europe/Helsinki", address=None, metadata={}
)
HUB = HubCreated(hub=HubSlug("north"), name="North", location=KAMPPI, zone="Europe/Helsinki", address=None, metadata={})
GOLD = SlaPolicyCreated(
    name="Gold", applies_to=SlaScope(), terms=HOUR, external_reference="gold", source="shop", metadata={}
)
TENANTS = ids.tenant_id("acme")
OUTLETS = ids.outlet_id("acme", "kamppi")
HUBS = ids.hub_id("acme", "north")
POLICIES = "policy-1"
POSTI = CarrierRegistered(
    name="Posti", contact=None, terms=CarrierTerms(), external_reference=None, source="shop", metadata={}
)
AGREED = CarrierTermsChanged(terms=CarrierTerms(service_levels=[SAME_DAY]))
CARRIERS = "carrier-1"
ZONE = "zone-1"
AROUND, FAR = Circle(center=KAMPPI, radius_m=500), Circle(center=ELSEWHERE, radius_m=500)
WITH_HOLE = Polygon(
    rings=[
        [(24.0, 60.0), (26.0, 60.0), (26.0, 61.0), (24.0, 61.0), (24.0, 60.0)],
        [(24.9, 60.1), (24.95, 60.1), (24.95, 60.18), (24.9, 60.18), (24.9, 60.1)],
    ]
)


class Log:
    """Each aggregate's events in a partition of their own."""

    def __init__(self) -> None:
        self.partitions: dict[int, list[tuple[Event, Source]]] = {}

    def wrote(self, aggregate_id: str, *events: Event) -> "Log":
        records = self.partitions.setdefault(len(self.partitions), [])
        for version, event in zip(count(1), events):
            records.append((event, source(aggregate_id, version)))
        return self

    def tell(self, policy: Policy, order: Iterable[int]) -> None:
        for partition in order:
            for offset, (event, from_where) in enumerate(self.partitions[partition]):
                policy.take(event, from_where, partition, offset)

    def told(self, order: Iterable[int] | None = None) -> TenantPolicy:
        """What is known of the tenant once all has come, in this order of the partitions."""
        policy = Policy()
        self.tell(policy, order or self.partitions)
        known = policy.tenant("acme")
        assert known is not None
        return known


def fence(shape: Circle | Polygon, since: float = 0, kind: FenceKind = "zone") -> GeofenceCreated:
    return GeofenceCreated(
        name="Centre",
        kind=kind,
        shape=shape,
        outlet=None,
        valid_from=minutes(since),
        external_reference=None,
        source="shop",
        metadata={},
    )


def source(aggregate_id: str, version: int) -> Source:
    return Source(
        event_id=f"{aggregate_id}/{version}",
        tenant=ACME,
        outlet=None,
        aggregate_id=aggregate_id,
        version=version,
        event_time=minutes(version - 1),
        recorded_at=minutes(version - 1),
        actor="shop",
        command_id="c-1",
        correlation_id="c-1",
        topic="logistics.directory",
        partition=0,
        offset=version - 1,
    )


def all_of_it() -> Log:
    return (
        Log()
        .wrote(TENANTS, TENANT, FailureReasonsSet(reasons=[DOG]), TenantRulesChanged(rules=TenantRules(max_attempts=3)))
        .wrote(OUTLETS, OUTLET, OutletMoved(location=ELSEWHERE, address=None))
        .wrote(HUBS, HUB, HubMoved(location=ELSEWHERE, address=None), HubClosed())
        .wrote(POLICIES, GOLD, SlaPolicyChanged(name="Gold", applies_to=SlaScope(), terms=HALF))
        .wrote(CARRIERS, POSTI, AGREED, CarrierActivated())
        .wrote(ZONE, fence(AROUND), GeofenceChanged(shape=FAR, valid_from=minutes(1)))
    )


@pytest.mark.parametrize("order", list(permutations(range(6))))
def test_in_whatever_order_the_partitions_come_the_directory_is_the_same(order: tuple[int, ...]):
    known = all_of_it().told(order)
    assert known == all_of_it().told()
    assert known.outlet("kamppi").location == ELSEWHERE
    assert known.hub("north") == HubPolicy(ELSEWHERE, "Europe/Helsinki", closed=True)
    assert known.failure_reason("dog") == DOG
    assert known.carrier_to_book(CARRIERS) == CarrierView("active", (SAME_DAY,))
    assert known.zones_holding(ELSEWHERE, minutes(1)) == {ZONE}
    held = known.sla_policy_for("delivery", "kamppi", "normal", None, NOON)
    assert held is not None
    assert (held.policy_id, held.version, held.created_at, held.terms) == (POLICIES, 2, NOON, HALF)


def test_a_decision_that_holds_the_tenant_sees_a_hub_and_a_policy_that_come_later():
    policy, log = Policy(), all_of_it()
    log.tell(policy, (0,))
    known = policy.tenant("acme")
    assert known is not None
    log.tell(policy, (2, 3))
    assert known.hub("north").location == ELSEWHERE
    assert known.sla_policy_for("delivery", "kamppi", "normal", None, NOON) is not None


def test_what_comes_again_is_passed_over():
    policy, log = Policy(), all_of_it()
    log.tell(policy, range(6))
    log.tell(policy, range(6))
    assert policy.tenant("acme") == log.told()


def test_the_registries_are_set_and_emptied_each_by_itself_and_count_as_changes_of_the_tenant():
    flood = IncidentKind(code="flood", title="Flood")
    hygiene = DocumentKind(code="hygiene_pass", title="Hygiene pass", of="rider")
    known = (
        Log()
        .wrote(
            TENANTS,
            TENANT,
            FailureReasonsSet(reasons=[DOG]),
            IncidentKindsSet(kinds=[flood]),
            DocumentKindsSet(kinds=[hygiene]),
            FailureReasonsSet(reasons=[]),
        )
        .told()
    )
    assert known.registries.failure_reasons == FAILURE_REASONS
    assert known.incident_kind("flood") == flood
    assert known.document_kind("hygiene_pass") == hygiene
    assert known.version == 5


def test_a_hub_that_opened_again_is_open():
    known = Log().wrote(TENANTS, TENANT).wrote(HUBS, HUB, HubClosed(), HubReopened()).told()
    assert known.hub("north").closed is False


def test_a_removed_sla_policy_holds_for_no_task():
    known = Log().wrote(TENANTS, TENANT).wrote(POLICIES, GOLD, SlaPolicyRemoved()).told()
    assert known.sla_policy_for("delivery", "kamppi", "normal", None, NOON) is None


def test_a_carrier_can_be_booked_while_its_contract_is_in_force():
    def known(*events: Event) -> TenantPolicy:
        return Log().wrote(TENANTS, TENANT).wrote(CARRIERS, POSTI, AGREED, *events).told()

    suspended, active = CarrierSuspended(reason_code="strike"), CarrierActivated()
    for events, status in (((), "registered"), ((active, suspended), "suspended")):
        with pytest.raises(CarrierNotActive) as refused:
            known(*events).carrier_to_book(CARRIERS)
        assert refused.value.values() == {"carrier_id": CARRIERS, "status": status}
    back = known(active, suspended, CarrierReinstated(), CarrierDetailsChanged(name="Post", contact=None))
    assert back.carrier_to_book(CARRIERS).service_level("same_day") == SAME_DAY
    with pytest.raises(UnknownServiceLevel) as unknown:
        back.carrier_to_book(CARRIERS).service_level("next_day")
    assert unknown.value.values() == {"code": "next_day", "known": ["same_day"]}
    with pytest.raises(UnknownCarrier) as gone:
        known(active, CarrierContractEnded(reason_code="notice")).carrier_to_book(CARRIERS)
    assert gone.value.values() == {"carrier_id": CARRIERS}


def test_another_tenants_hubs_and_policies_are_not_this_ones():
    policy = Policy()
    policy.take(TENANT, source(TENANTS, 1), 0, 0)
    policy.take(HUB, replace(source(ids.hub_id("other", "north"), 1), tenant=TenantSlug("other")), 1, 0)
    policy.take(GOLD, replace(source(POLICIES, 1), tenant=TenantSlug("other")), 2, 0)
    known = policy.tenant("acme")
    assert known is not None
    assert known.sla_policy_for("delivery", "kamppi", "normal", None, NOON) is None
    with pytest.raises(UnknownHub):
        known.hub("north")


# Zones: fences of that kind, as they stand


def zoned(*events: Event) -> TenantPolicy:
    return Log().wrote(TENANTS, TENANT).wrote(ZONE, *events).told()


def test_a_zone_holds_a_place_from_its_time_on_until_its_shape_is_another():
    known = zoned(fence(AROUND, since=10), GeofenceChanged(shape=FAR, valid_from=minutes(20)))
    assert [known.zones_holding(KAMPPI, minutes(at)) for at in (9, 10, 20)] == [set(), {ZONE}, set()]
    assert [known.zones_holding(ELSEWHERE, minutes(at)) for at in (19, 20)] == [set(), {ZONE}]


def test_what_lies_in_a_hole_of_a_zone_is_not_in_it_and_its_border_is():
    known = zoned(fence(WITH_HOLE))
    assert known.zones_holding(KAMPPI, NOON) == set()
    assert known.zones_holding(ELSEWHERE, NOON) == {ZONE}
    assert known.zones_holding(Location(lat=60.5, lon=26.0), NOON) == {ZONE}


def test_a_zone_may_be_worked_in_from_when_it_is_made_until_it_ends():
    known = zoned(fence(AROUND, since=10), GeofenceRemoved(valid_until=minutes(20)))
    assert known.standing_zone(ZONE, NOON) == ZONE, "it will stand"
    assert known.zones_holding(KAMPPI, minutes(20)) == set()
    with pytest.raises(UnknownServiceZone):
        known.standing_zone(ZONE, minutes(20))


def test_a_zone_that_is_gone_before_it_began_never_stood():
    known = zoned(fence(AROUND, since=30), GeofenceRemoved(valid_until=minutes(20)))
    assert known.zones_holding(KAMPPI, minutes(40)) == set()


def test_fences_of_other_kinds_are_no_zones():
    known = zoned(fence(AROUND, kind="exclusion"), GeofenceChanged(shape=FAR, valid_from=minutes(1)))
    assert known.zones_holding(ELSEWHERE, minutes(2)) == set()
    with pytest.raises(UnknownServiceZone) as refused:
        known.standing_zone(ZONE, NOON)
    assert refused.value.values() == {"zone": ZONE}


def test_so_many_shapes_of_a_zone_are_planned_and_the_one_that_holds_now_is_among_them():
    planned = [GeofenceChanged(shape=(AROUND, FAR)[n % 2], valid_from=minutes(1_000 + n)) for n in range(MOST_VERSIONS)]
    known = zoned(fence(AROUND, since=999), *planned)
    zone = ids_of_zone(known)
    assert len(known.zones[zone]) == MOST_VERSIONS
    assert known.zones_holding(KAMPPI, minutes(999)) == {zone}


def ids_of_zone(known: TenantPolicy) -> GeofenceId:
    [zone] = known.zones
    return zone
