"""The tenant of a play: made where it is not there, found again where it is."""

from datetime import datetime, timedelta

from infra.demo.api import Api, Json
from infra.demo.cities import City
from infra.demo.plan import Persona
from infra.demo.streets import Streets
from schemas.geo import Location

TENANT = "demo"
SHIFT = timedelta(hours=12)
PAPERS = timedelta(days=365)
RULES: Json = {
    "required_documents": ["identity"],
    "offer_seconds": 30,
    "hold_seconds": 30,
    "retry_seconds": 45,
    "max_rounds": 5,
    "max_active_tasks": 2,
    "max_attempts": 2,
}


async def settle_tenant(api: Api, city: City, streets: Streets) -> None:
    """Tenant, outlets on their streets, fences. Raises Refusal, Unanswered, NoStreets."""
    name = f"Deliveries of {city.name.title()}"
    await api.create_tenant({"tenant": api.tenant, "name": name, "mode": "test", "rules": RULES})
    for shop in city.shops:
        place = await streets.snapped(shop.lat, shop.lon)
        body = {"outlet": shop.slug, "name": shop.name, "location": located(place), "zone": city.zone}
        await api.command("dispatcher", "dora", "/outlets", body)
    for fence in city.fences:
        await api.command("dispatcher", "dora", "/geofences", fence)


async def settle_rider(api: Api, persona: Persona, now: datetime) -> str:
    """Registered, approved, with papers and a phone; their id. Raises Refusal, Unanswered."""
    body = {"name": persona.name, "vehicle": persona.vehicle, "external_reference": persona.reference}
    rider = str((await api.command("dispatcher", "dora", "/riders", body))["id"])
    ends = now + (PAPERS if persona.papers_end_s is None else timedelta(seconds=persona.papers_end_s))
    paper = {"document_id": "identity-1", "kind": "identity", "number": f"FI-{persona.reference}"}
    verified = {"document_id": "identity-1", "valid_from": (now - PAPERS).isoformat(), "expires_at": ends.isoformat()}
    for word, given in (
        ("approve-rider", {}),
        ("submit-document", paper),
        ("verify-document", verified),
        ("bind-device", {"device_id": persona.device}),
    ):
        await api.command("dispatcher", "dora", f"/riders/{rider}/{word}", given, f"settle-{word}")
    return rider


async def start_shift(api: Api, rider: str, place: Location, now: datetime) -> None:
    """Raises Refusal, Unanswered."""
    body = {"ends_at": (now + SHIFT).isoformat(), "location": located(place)}
    await api.command("dispatcher", "dora", f"/riders/{rider}/start-shift", body, f"shift-{now.isoformat()}")


def located(place: Location) -> Json:
    return {"lat": place.lat, "lon": place.lon}
