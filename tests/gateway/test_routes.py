"""A route is asked for, answered at once by its id, and told by an event once it is known."""

from collections.abc import AsyncIterator

import pytest
from following import Sent, anew
from provider_server import ProviderServer
from provider_shapes import HARBOUR, ISLAND, STATION, osrm
from read_models import ReadModels
from reception import House, Json, key

from schemas import ids
from schemas.topics import DISPATCH
from streams.routes import routes
from streams.routing.osrm import OsrmRouter
from streams.routing.polyline import decoded
from streams.routing.tenants import TenantRoutes


def at(place) -> Json:
    return {"lat": place.lat, "lon": place.lon}


ASKED = {"waypoints": [at(STATION), at(HARBOUR)], "external_reference": "way-1", "contact": "CUST-17"}


class Office:
    def __init__(self, house: House, models: ReadModels, server: ProviderServer) -> None:
        self.house, self.models, self.server = house, models, server
        self.default = OsrmRouter("")

    async def asks(self, *providers: Json) -> None:
        olga = self.house.caller("operator", "olga")
        routing = {"providers": [*providers], "answers_within_ms": 20_000}
        assert (await olga.post("/v1/acme/provider-configs", json={"routing": routing})).is_success

    async def request(self, **more: object) -> Json:
        answer = await self.house.caller().post("/v1/acme/routes", json=ASKED | more)
        assert answer.status_code == 202, answer.text
        told: Json = answer.json()
        return told

    async def follow(self) -> list[tuple[str, str]]:
        ways = TenantRoutes(self.house.chains, self.default)
        sent = await anew(self.house, "routes", routes(Sent(self.house), ways), DISPATCH)
        await self.models.fold()
        return sent

    async def route(self, route_id: str, role="dispatcher") -> Json:
        answer = await self.house.caller(role, "somebody").get(f"/v1/acme/routes/{route_id}")
        assert answer.status_code == 200, answer.text
        told: Json = answer.json()
        return told


@pytest.fixture
async def office(library) -> AsyncIterator[Office]:
    server = ProviderServer(osrm)
    await server.start()
    made = Office(*library, server)
    yield made
    await made.house.chains.close()
    await made.default.close()
    await server.stop()


async def test_a_route_is_promised_by_its_id_and_told_once_it_is_known(office):
    await office.asks({"provider": "osrm", "url": office.server.url})
    promised = await office.request()
    assert (promised["events"], promised["id"]) == (
        ["RouteRequested"],
        ids.aggregate_id("route", "acme", "shop", "way-1"),
    )
    assert await office.follow() == [("RecordRoute", "RouteComputed")]
    told = await office.route(promised["id"])
    assert (told["status"], told["provider"]) == ("computed", "osrm")
    [leg] = told["legs"]
    assert leg == {"distance_m": told["distance_m"], "duration_s": told["duration_s"]}
    line = decoded(told["geometry"], 5)
    assert line[0] == pytest.approx((STATION.lat, STATION.lon), abs=1e-3)
    assert told["waypoints"] == ASKED["waypoints"]
    assert (told["allowed_commands"], told["reason_code"]) == ([], None)


async def test_everybody_who_follows_the_feed_is_told_and_nobody_has_to_ask(office):
    await office.asks({"provider": "osrm", "url": office.server.url})
    await office.request()
    await office.follow()
    items = (await office.house.caller("analyst", "ana").get("/v1/acme/events?limit=200")).json()["items"]
    told = [item for item in items if item["type"].startswith("logistics.dispatch.Route")]
    assert [item["type"].rpartition(".")[2] for item in told] == ["RouteRequested", "RouteComputed"]
    assert told[1]["data"]["distance_m"] > 0
    assert told[1]["data"]["geometry"] == {"subject": ids.contact_subject("acme", "CUST-17")}


@pytest.mark.parametrize(
    ("provider", "waypoints", "reason_code"),
    [
        ({"provider": "osrm", "url": "http://127.0.0.1:1"}, [STATION, HARBOUR], "nobody_answers"),
        ({"provider": "google", "credentials": "env:TOKEN"}, [STATION, HARBOUR], "nobody_answers"),
        (None, [STATION, ISLAND], "no_way"),
    ],
)
async def test_where_there_is_none_that_is_told_with_why_and_nothing_is_guessed(
    office, provider, waypoints, reason_code
):
    await office.asks(provider or {"provider": "osrm", "url": office.server.url})
    promised = await office.request(waypoints=[at(place) for place in waypoints])
    assert await office.follow() == [("RecordRouteFailure", "RouteFailed")]
    told = await office.route(promised["id"])
    assert (told["status"], told["reason_code"], told["geometry"]) == ("failed", reason_code, None)


async def test_the_log_read_anew_asks_nobody(office):
    await office.asks({"provider": "osrm", "url": office.server.url})
    await office.request()
    await office.follow()
    for kept in office.house.desk.kept.values():
        kept.answers = {}
    asked = len(office.server.asked)
    assert await office.follow() == []
    assert len(office.server.asked) == asked


async def test_a_repeat_is_answered_with_the_same_route(office):
    first = await office.request()
    again = await office.request()
    assert (again["id"], again["repeated"]) == (first["id"], True)


async def test_whose_places_they_are_is_hidden_and_can_be_forgotten(office):
    await office.asks({"provider": "osrm", "url": office.server.url})
    promised = await office.request()
    await office.follow()
    hidden = await office.route(promised["id"], "analyst")
    assert (hidden["geometry"], hidden["waypoints"]) == ("hidden", ["hidden", "hidden"])
    await office.house.desk.forget(ids.contact_subject("acme", "CUST-17"))
    erased = await office.route(promised["id"])
    assert (erased["geometry"], erased["waypoints"]) == ("erased", ["erased", "erased"])
    assert erased["distance_m"] > 0


async def test_of_who_is_forgotten_no_route_is_asked_for(office):
    await office.asks({"provider": "osrm", "url": office.server.url})
    promised = await office.request()
    await office.house.desk.forget(ids.contact_subject("acme", "CUST-17"))
    await office.follow()
    assert (await office.route(promised["id"]))["reason_code"] == "person_forgotten"
    assert office.server.asked == []


@pytest.mark.parametrize(
    ("waypoints", "pointer"),
    [
        ([at(STATION)], "/waypoints"),
        ([at(STATION)] * 26, "/waypoints"),
        ([at(STATION), {"lat": 91, "lon": 0}], "/waypoints/1/lat"),
    ],
)
async def test_what_is_no_way_is_refused_with_its_place(office, waypoints, pointer):
    answer = await office.house.caller().post("/v1/acme/routes", json=ASKED | {"waypoints": waypoints})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


@pytest.mark.parametrize("role", ["analyst", "auditor", "rider"])
async def test_who_gives_no_orders_asks_for_no_route(office, role):
    answer = await office.house.caller(role, "somebody").post("/v1/acme/routes", json=ASKED, headers=key("way"))
    assert answer.status_code == 403
