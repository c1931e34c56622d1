"""Tenants with their rules and registries; outlets, hubs, geofences and what is promised."""

from gateway.examples.lumi import AT_KALLIO, AT_KAMPPI, AT_PASILA, HUB, LOCKER, OUTLET, TENANT, ZONE, ZONE_ID, at
from schemas.anomaly_rules import AnomalyRules
from schemas.calendar import Calendar, ExceptionalDay, WeeklyHours
from schemas.directory import (
    AdvanceTenantClock,
    ChangeGeofence,
    ChangeTenantRules,
    Circle,
    Corridor,
    CreateGeofence,
    CreateOutlet,
    CreateTenant,
    MoveOutlet,
    MultiPolygon,
    Polygon,
    RemoveGeofence,
    SetOutletContacts,
    TenantRules,
)
from schemas.fix_rules import FixRules
from schemas.geo import Location
from schemas.hub import CloseHub, CreateHub, MoveHub, ReopenHub, SetHubContacts
from schemas.message import Command
from schemas.person import ForgetPerson
from schemas.place_contact import NewPlaceContact
from schemas.provider_config import ClearProviders, CreateProviderConfig, Routing, RoutingProvider, SetProviders
from schemas.registries import (
    DocumentKind,
    FailureReason,
    IncidentKind,
    SetDocumentKinds,
    SetFailureReasons,
    SetIncidentKinds,
)
from schemas.sla_policy import ChangeSlaPolicy, CreateSlaPolicy, RemoveSlaPolicy, SlaScope, SlaTerms

TENANTS: dict[str, Command] = {
    "A tenant to try things with": CreateTenant(
        tenant=TENANT, name="Lumi", mode="test", rules=TenantRules(max_attempts=3, required_documents=["licence"])
    ),
    "All the rules: offers go to three riders at once": ChangeTenantRules(
        rules=TenantRules(max_attempts=3, required_documents=["licence"], tender_mode="broadcast", hours_rules="eu_561")
    ),
    "All the rules: fixes are believed within 100 metres and up to 144 km/h": ChangeTenantRules(
        rules=TenantRules(
            max_attempts=3, required_documents=["licence"], fixes=FixRules(max_accuracy_m=100, max_speed_mps=40)
        )
    ),
    "All the rules: faster than 90 km/h is too fast": ChangeTenantRules(
        rules=TenantRules(
            max_attempts=3, required_documents=["licence"], anomalies=AnomalyRules(speeding_mps=25, idling_minutes=20)
        )
    ),
    "One hour on": AdvanceTenantClock(seconds=3_600),
    "A customer wants to be forgotten": ForgetPerson(contact="CUST-17", reason_code="person_asked"),
    "Two reasons of one's own": SetFailureReasons(
        reasons=[
            FailureReason(
                code="customer_unavailable",
                title="Nobody was there",
                at_fault="recipient",
                after="hold_at_hub",
                contact_attempts=2,
                waiting_seconds=300,
            ),
            FailureReason(code="lift_broken", title="The lift is broken", at_fault="recipient"),
        ]
    ),
    "A dog has a kind of its own": SetIncidentKinds(
        kinds=[
            IncidentKind(
                code="dog_bite",
                title="A dog has bitten",
                severity="high",
                actions=["suspend_rider", "contact_customer"],
                escalate_after_seconds=600,
            )
        ]
    ),
    "What riders and vehicles must have": SetDocumentKinds(
        kinds=[
            DocumentKind(code="licence", title="Driving licence", of="rider", required=True, warn_days=30),
            DocumentKind(code="vehicle_insurance", title="Insurance of the vehicle", of="vehicle", required=True),
        ]
    ),
}

DESK = NewPlaceContact(
    duty="desk", name="Pirjo Lehto", phone="+358401230002", notes="Ring at gate 3.", reference="staff-31"
)

PLACES: dict[str, Command] = {
    "An outlet in the inner city": CreateOutlet(
        outlet=OUTLET, name="Lumi Kamppi", location=AT_KAMPPI, zone=ZONE, address="Fredrikinkatu 51, Helsinki"
    ),
    "The outlet moves across the street": MoveOutlet(
        location=Location(lat=60.1691, lon=24.9309), address="Fredrikinkatu 48, Helsinki"
    ),
    "Whom couriers ring at the outlet": SetOutletContacts(
        contacts=[NewPlaceContact(duty="counter", name="Leena Kallio", phone="+358401230001")]
    ),
    "A hub by the railway": CreateHub(
        hub=HUB, name="Pasila", location=AT_PASILA, zone=ZONE, address="Ratapihantie 9, Helsinki", contacts=[DESK]
    ),
    "Lockers at the station": CreateHub(hub=LOCKER, name="Rautatientori", kind="locker", location=AT_KAMPPI, zone=ZONE),
    "The hub has a manager, whom couriers do not ring": SetHubContacts(
        contacts=[
            DESK,
            NewPlaceContact(
                duty="manager", name="Risto Salmi", phone="+358401230003", readers=["dispatcher", "operator"]
            ),
        ]
    ),
    "The hub moves": MoveHub(location=AT_KALLIO, address="Vaasankatu 2, Helsinki"),
    "The hub is closed": CloseHub(),
    "The hub is open again": ReopenHub(),
    "A circle around the outlet": CreateGeofence(
        name="Around Kamppi",
        kind="outlet",
        shape=Circle(center=AT_KAMPPI, radius_m=150),
        dwell_s=300,
        outlet=OUTLET,
        external_reference="fence-kamppi",
    ),
    "An area where nobody rides, longitude first": CreateGeofence(
        name="Esplanadi",
        kind="exclusion",
        shape=Polygon(
            rings=[[(24.9426, 60.1669), (24.9512, 60.1679), (24.951, 60.1672), (24.9428, 60.1662), (24.9426, 60.1669)]]
        ),
    ),
    "The part of the city where some couriers ride": CreateGeofence(
        name="City centre",
        kind="zone",
        shape=Polygon(rings=[[(24.91, 60.15), (24.98, 60.15), (24.98, 60.19), (24.91, 60.19), (24.91, 60.15)]]),
        external_reference="zone-centre",
    ),
    "Two parts of the city, one with a hole": CreateGeofence(
        name="Harbours",
        shape=MultiPolygon(
            polygons=[
                [
                    [(24.90, 60.15), (24.93, 60.15), (24.93, 60.17), (24.90, 60.17), (24.90, 60.15)],
                    [(24.91, 60.16), (24.92, 60.16), (24.92, 60.165), (24.91, 60.165), (24.91, 60.16)],
                ],
                [[(24.96, 60.16), (24.98, 60.16), (24.98, 60.17), (24.96, 60.17), (24.96, 60.16)]],
            ]
        ),
    ),
    "A street, thirty metres to each side": CreateGeofence(
        name="Mannerheimintie",
        shape=Corridor(line=[(24.9415, 60.1689), (24.9372, 60.1722), (24.9317, 60.1757)], width_m=30),
    ),
    "A yard that counts at night, and not on Christmas Day": CreateGeofence(
        name="Yard",
        shape=Circle(center=AT_PASILA, radius_m=120),
        calendar=Calendar(
            zone=ZONE,
            weekly=[
                WeeklyHours(
                    days=["monday", "tuesday", "wednesday", "thursday", "friday"], opens="22:00", closes="06:00"
                ),
                WeeklyHours(days=["saturday", "sunday"], opens="00:00", closes="24:00"),
            ],
            exceptions=[ExceptionalDay(date="2026-12-25")],
        ),
        external_reference="fence-yard",
    ),
    "A wider circle": ChangeGeofence(shape=Circle(center=AT_KAMPPI, radius_m=250), dwell_s=300, valid_from=at(12)),
    "It holds until the evening": RemoveGeofence(valid_until=at(18)),
}

PROMISES: dict[str, Command] = {
    "What is urgent comes within the hour": CreateSlaPolicy(
        name="Urgent",
        applies_to=SlaScope(task_kind="delivery", priority="urgent"),
        terms=SlaTerms(pickup_within_s=1_200, deliver_within_s=3_600, pauses=["payment_review"]),
        external_reference="sla-urgent",
    ),
    "In the city centre it is half an hour": CreateSlaPolicy(
        name="City centre",
        applies_to=SlaScope(task_kind="delivery", zone=ZONE_ID),
        terms=SlaTerms(deliver_within_s=1_800),
        external_reference="sla-centre",
    ),
    "Somebody is told at once, then after an hour": ChangeSlaPolicy(
        name="Urgent",
        applies_to=SlaScope(task_kind="delivery", priority="urgent"),
        terms=SlaTerms(deliver_within_s=3_600, at_risk_margin_s=600, breach_levels_minutes=[1, 60]),
    ),
    "It is promised no more": RemoveSlaPolicy(),
}

PROVIDERS: dict[str, Command] = {
    "Our own server first, and one that costs money behind it": CreateProviderConfig(
        routing=Routing(
            providers=[
                RoutingProvider(provider="osrm"),
                RoutingProvider(
                    provider="mapbox", credentials="env:MAPBOX_TOKEN", timeout_ms=800, elements_per_day=100_000
                ),
            ],
        ),
    ),
    "Another for addresses alone": SetProviders(
        routing=Routing(
            providers=[
                RoutingProvider(provider="valhalla", url="http://valhalla.internal:8002"),
                RoutingProvider(
                    provider="google",
                    credentials="file:/run/secrets/google-maps",
                    only_for=["geocode"],
                    requests_per_day=2_000,
                ),
            ],
            answers_within_ms=1_500,
            rests_s=60,
        ),
    ),
    "The one of the settings is asked again": ClearProviders(),
}

EXAMPLES = (TENANTS, PLACES, PROMISES, PROVIDERS)
