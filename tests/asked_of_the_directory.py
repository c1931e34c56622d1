"""What may be asked of what a tenant sets up: itself, outlets, hubs, fences and promises."""

from random import Random

from drawn import HOME, Repertoire, always, some
from story import KAMPPI

from schemas import directory as d
from schemas import hub as h
from schemas import person as n
from schemas import provider_config as r
from schemas import registries as g
from schemas import sla_policy as p
from schemas.place_contact import NewPlaceContact

ASKED_THERE = [NewPlaceContact(duty="desk", name="Dee"), NewPlaceContact(duty="gate", name="Gil")]
TENANT: Repertoire = [
    (always(d.CreateTenant(tenant="acme", name="Acme", mode="test")), "root", "operator"),
    (lambda draw, now: d.AdvanceTenantClock(seconds=draw.randint(1, 9)), "shop", "integrator"),
    (
        lambda draw, now: d.ChangeTenantRules(
            rules=d.TenantRules(max_attempts=draw.randint(1, 3), max_active_tasks=draw.randint(2, 5))
        ),
        "root",
        "operator",
    ),
    (always(n.ForgetPerson(contact="CUST-1", reason_code="asked")), "shop", "integrator"),
    (lambda draw, now: n.CloseForgetting(number=draw.randint(1, 3)), "forgetting", "system"),
    (lambda draw, now: g.SetFailureReasons(reasons=some(draw, list(g.FAILURE_REASONS))), "root", "operator"),
    (lambda draw, now: g.SetIncidentKinds(kinds=some(draw, list(g.INCIDENT_KINDS))), "root", "operator"),
    (lambda draw, now: g.SetDocumentKinds(kinds=some(draw, list(g.DOCUMENT_KINDS))), "root", "operator"),
]
OUTLET: Repertoire = [
    (
        always(d.CreateOutlet(outlet="kamppi", name="Kamppi", location=KAMPPI, zone="Europe/Helsinki")),
        "shop",
        "integrator",
    ),
    (lambda draw, now: d.MoveOutlet(location=draw.choice((KAMPPI, HOME))), "shop", "integrator"),
    (lambda draw, now: d.SetOutletContacts(contacts=some(draw, ASKED_THERE)), "shop", "integrator"),
]
GEOFENCE: Repertoire = [
    (always(d.CreateGeofence(name="Yard", shape=d.Circle(center=KAMPPI, radius_m=100))), "shop", "integrator"),
    (
        lambda draw, now: d.ChangeGeofence(shape=d.Circle(center=KAMPPI, radius_m=draw.randint(10, 99))),
        "shop",
        "integrator",
    ),
    (always(d.RemoveGeofence()), "shop", "integrator"),
]
HUB: Repertoire = [
    (always(h.CreateHub(hub="pasila", name="Pasila", location=KAMPPI, zone="Europe/Helsinki")), "shop", "integrator"),
    (lambda draw, now: h.MoveHub(location=draw.choice((KAMPPI, HOME))), "shop", "integrator"),
    (lambda draw, now: h.SetHubContacts(contacts=some(draw, ASKED_THERE)), "shop", "integrator"),
    (always(h.CloseHub()), "shop", "integrator"),
    (always(h.ReopenHub()), "shop", "integrator"),
]


def terms(draw: Random) -> p.SlaTerms:
    return p.SlaTerms(deliver_within_s=draw.randint(60, 9_000))


DELIVERIES = p.SlaScope(task_kind="delivery")
"""Another policy is there for every task."""
SLA_POLICY: Repertoire = [
    (lambda draw, now: p.CreateSlaPolicy(name="Quick", applies_to=DELIVERIES, terms=terms(draw)), "root", "operator"),
    (lambda draw, now: p.ChangeSlaPolicy(name="Quick", applies_to=DELIVERIES, terms=terms(draw)), "root", "operator"),
    (always(p.RemoveSlaPolicy()), "root", "operator"),
]


def routing(draw: Random) -> r.Routing:
    return r.Routing(providers=[r.RoutingProvider(provider="osrm")], rests_s=draw.randint(1, 3_600))


PROVIDER_CONFIG: Repertoire = [
    (lambda draw, now: r.CreateProviderConfig(routing=routing(draw)), "root", "operator"),
    (lambda draw, now: r.SetProviders(routing=routing(draw)), "root", "operator"),
    (always(r.ClearProviders()), "root", "operator"),
]
