from story import KAMPPI, NOON, nothing_yet

from commands.context import UnknownOutlet
from schemas.directory import (
    ChangeGeofence,
    ChangeTenantRules,
    Circle,
    CreateGeofence,
    CreateOutlet,
    CreateTenant,
    MoveOutlet,
    Polygon,
    RemoveGeofence,
    TenantRules,
)
from schemas.geo import Location
from schemas.message import NotInThisState
from schemas.zones import UnknownZone

SQUARE = [(24.9, 60.1), (25.0, 60.1), (25.0, 60.2), (24.9, 60.2), (24.9, 60.1)]
HOLE = [(24.94, 60.14), (24.96, 60.14), (24.96, 60.16), (24.94, 60.16), (24.94, 60.14)]


def test_a_tenant_is_created_once_and_its_rules_change():
    new = nothing_yet("tenant").when(CreateTenant(tenant="acme", name="Acme")).tells("TenantCreated").happened()
    new.when(CreateTenant(tenant="acme", name="Acme")).refuses(NotInThisState)
    new.when(ChangeTenantRules(rules=TenantRules())).then()
    new.when(ChangeTenantRules(rules=TenantRules(max_attempts=3))).tells("TenantRulesChanged")


def test_an_outlet_has_a_known_time_zone():
    here = CreateOutlet(outlet="kamppi", name="Kamppi", location=KAMPPI, zone="Europe/Helsinki")
    new = nothing_yet("outlet").when(here).tells("OutletCreated").happened()
    new.when(MoveOutlet(location=KAMPPI)).then()
    new.when(MoveOutlet(location=Location(lat=60.2, lon=25))).tells("OutletMoved")
    nowhere = CreateOutlet(outlet="kamppi", name="Kamppi", location=KAMPPI, zone="Europe/Atlantis")
    nothing_yet("outlet").when(nowhere).refuses(UnknownZone)


def test_a_fence_is_created_changed_and_removed():
    fence = nothing_yet("geofence").when(CreateGeofence(name="centre", shape=Circle(center=KAMPPI, radius_m=300)))
    story = fence.tells("GeofenceCreated").happened()
    story.when(ChangeGeofence(shape=Polygon(rings=[SQUARE, HOLE]))).tells("GeofenceChanged")
    again = story.when(ChangeGeofence(shape=Circle(center=KAMPPI, radius_m=300), dwell_s=60))
    again.tells("GeofenceChanged").happened().when(
        ChangeGeofence(shape=Circle(center=KAMPPI, radius_m=300), dwell_s=60)
    ).then()
    removed = story.when(RemoveGeofence()).tells("GeofenceRemoved").happened()
    removed.when(RemoveGeofence()).then()
    removed.when(ChangeGeofence(shape=Circle(center=KAMPPI, radius_m=1))).refuses(NotInThisState)


def test_a_fence_of_an_outlet_needs_the_outlet():
    lost = CreateGeofence(name="x", shape=Circle(center=KAMPPI, radius_m=1), outlet="nowhere")
    nothing_yet("geofence").when(lost).refuses(UnknownOutlet)


def test_a_fence_counts_from_when_it_is_made():
    made = nothing_yet("geofence").when(CreateGeofence(name="x", shape=Circle(center=KAMPPI, radius_m=1)))
    assert made.decided()[0].valid_from == NOON  # type: ignore[attr-defined]
