"""Whom each tenant asks: those it has set; else the servers of the settings, as ever."""

from collections.abc import AsyncIterator
from datetime import timedelta

import msgspec
import pytest
from provider_server import ProviderServer, Request, Said
from provider_shapes import HARBOUR, ISLAND, LINE, MARKET, STATION, osrm, valhalla
from story import ACME, NOON

from schemas import ids
from schemas.message import Source
from schemas.provider_config import ProvidersCleared, ProvidersSet, Routing, RoutingProvider
from streams.routing import tenants
from streams.routing.budgets import CountedHere
from streams.routing.matching import Matcher
from streams.routing.measured import Passed
from streams.routing.osrm import OsrmRouter
from streams.routing.tenants import Chains, Configs, TenantAddresses, TenantMatching, TenantRouting
from streams.routing.wire import SecretMissing
from streams.telemetry.recorded import Point

TRACE = [
    Point(observed_at=NOON + timedelta(seconds=30 * n), lat=lat, lon=lon, accuracy_m=10.0)
    for n, (lat, lon) in enumerate(LINE)
]
NOBODY_URL = "http://127.0.0.1:1"
PATIENT_MS = 20_000


def no_secret(reference: str) -> str:
    raise SecretMissing(reference, "is not set")


class Town:
    """Acme sets whom it asks; Lumi nothing."""

    def __init__(self, ours: str) -> None:
        self.set: dict[str, Routing] = {}
        self.default = OsrmRouter(ours)
        self.chains = Chains(ours, self.set.get, no_secret, CountedHere())
        self.routing = TenantRouting(self.chains, self.default)
        self.addresses = TenantAddresses(self.chains)

    def asks(self, *providers: RoutingProvider, **more: int) -> "Town":
        self.set[ACME] = Routing(providers=list(providers), answers_within_ms=PATIENT_MS, **more)
        return self


@pytest.fixture
async def ours() -> AsyncIterator[ProviderServer]:
    one = ProviderServer(osrm)
    await one.start()
    yield one
    await one.stop()
    assert not one.faults


@pytest.fixture
async def theirs() -> AsyncIterator[ProviderServer]:
    one = ProviderServer(valhalla)
    await one.start()
    yield one
    await one.stop()
    assert not one.faults


@pytest.fixture
async def town(ours: ProviderServer) -> AsyncIterator[Town]:
    made = Town(ours.url)
    yield made
    await made.chains.close()
    await made.default.close()


async def test_a_tenant_that_has_set_nothing_asks_the_servers_of_the_settings(town, ours):
    told = await town.routing.matrix("lumi", [STATION, MARKET, ISLAND], [HARBOUR])
    assert (told.source, told.seconds[:2, 0].tolist(), told.passed) == ("osrm", [120, 95.5], ())
    assert told.seconds[2, 0] != told.seconds[2, 0], "not a number: there is no way"
    assert (await town.routing.of("lumi").way([STATION, HARBOUR])).source == "osrm"
    assert len(ours.asked) == 2


async def test_a_tenant_asks_whom_it_has_set(town, ours, theirs):
    town.asks(RoutingProvider(provider="valhalla", url=theirs.url))
    told = await town.routing.matrix(ACME, [STATION], [HARBOUR])
    assert (told.source, told.seconds[0, 0], told.metres[0, 0]) == ("valhalla", 120, 830)
    assert (await town.routing.of(ACME).way([STATION, HARBOUR])).source == "valhalla"
    assert ours.asked == []


async def test_the_servers_of_the_settings_can_stand_behind_others(town, ours):
    town.asks(
        RoutingProvider(provider="mapbox", credentials="env:TOKEN"),
        RoutingProvider(provider="valhalla", url=NOBODY_URL),
        RoutingProvider(provider="osrm"),
    )
    told = await town.routing.matrix(ACME, [STATION], [HARBOUR])
    assert told.source == "osrm"
    assert told.passed == (Passed("mapbox", "no_credentials"), Passed("127.0.0.1:1", "gone"))


async def test_a_dead_first_provider_is_asked_no_more_and_the_next_decides(town, ours):
    town.asks(RoutingProvider(provider="valhalla", url=NOBODY_URL), RoutingProvider(provider="osrm"), keeps_s=0)
    whys = [(await town.routing.matrix(ACME, [STATION], [HARBOUR])).passed[0].why for _ in range(5)]
    assert whys == ["gone"] * 3 + ["circuit_open"] * 2
    assert len(ours.asked) == 5


async def test_what_is_set_anew_holds_at_once_and_what_is_not_changed_goes_on(town, theirs):
    town.asks(RoutingProvider(provider="valhalla", url=NOBODY_URL), opens_after_failures=1)
    await town.routing.matrix(ACME, [STATION], [HARBOUR])
    town.asks(RoutingProvider(provider="valhalla", url=NOBODY_URL), opens_after_failures=1)
    assert (await town.routing.matrix(ACME, [STATION], [HARBOUR])).passed[0].why == "circuit_open"
    town.asks(RoutingProvider(provider="valhalla", url=theirs.url), opens_after_failures=1)
    assert (await town.routing.matrix(ACME, [STATION], [HARBOUR])).source == "valhalla"
    town.set.clear()
    assert (await town.routing.matrix(ACME, [STATION], [HARBOUR])).source == "osrm"


async def test_with_no_server_in_the_settings_osrm_is_nobody():
    town = Town("").asks(RoutingProvider(provider="osrm"))
    told = await town.routing.matrix(ACME, [STATION], [HARBOUR])
    assert (told.source, told.passed) == ("great_circle", ())
    await town.chains.close()
    await town.default.close()


async def test_each_server_of_the_settings_has_a_circuit_of_its_own(ours):
    town = Town(f"{NOBODY_URL},{ours.url}").asks(RoutingProvider(provider="osrm"))
    told = await town.routing.matrix(ACME, [STATION], [HARBOUR])
    assert (told.source, told.passed) == ("osrm", (Passed("127.0.0.1:1", "gone"),))
    await town.chains.close()
    await town.default.close()


async def test_so_many_tenants_have_their_circuits_remembered(town, monkeypatch):
    monkeypatch.setattr(tenants, "MOST_TENANTS", 1)
    dead = Routing(providers=[RoutingProvider(provider="valhalla", url=NOBODY_URL)], opens_after_failures=1)
    town.set |= {"a": dead, "b": dead}
    whys = [(await town.routing.matrix(tenant, [STATION], [HARBOUR])).passed[0].why for tenant in "aaba"]
    assert whys == ["gone", "circuit_open", "gone", "gone"]


async def test_an_address_is_asked_of_those_who_know_any(town):
    told = await town.addresses.geocode("lumi", "Satamakatu 2")
    assert (told.source, list(told.candidates)) == (None, [])
    town.asks(RoutingProvider(provider="osrm"), RoutingProvider(provider="google", credentials="env:TOKEN"))
    assert (await town.addresses.geocode(ACME, "Satamakatu 2")).passed == (Passed("google", "no_credentials"),)


async def test_a_trip_is_matched_by_who_can_of_the_tenants_own_else_by_the_settings(town, ours, theirs):
    matcher = Matcher(ours.url)
    matching = TenantMatching(town.chains, matcher)
    town.asks(RoutingProvider(provider="google", credentials="env:TOKEN"))
    assert (await matching.matched(ACME, TRACE)).parts[0].confidence == 0.94
    town.asks(RoutingProvider(provider="valhalla", url=theirs.url))
    found = await matching.matched(ACME, TRACE)
    assert (found.status, found.parts[0].confidence) == ("matched", 0.667)
    town.asks(RoutingProvider(provider="valhalla", url=NOBODY_URL))
    assert (await matching.matched(ACME, TRACE)).why == "router_silent"
    assert (len(ours.asked), len(theirs.asked)) == (1, 1)
    await matcher.close()


async def test_a_server_is_named_without_what_may_be_a_secret_in_its_address(town):
    assert tenants.host_of("https://osrm.example/secret-path/") == "osrm.example"


async def test_two_ways_of_moving_are_kept_and_counted_apart(ours):
    def by_bicycle_slower(request: Request) -> Said:
        if "/cycling/" not in request.path:
            return osrm(request)
        return osrm(msgspec.structs.replace(request, path=request.path.replace("/cycling/", "/driving/")))

    ours.answers = by_bicycle_slower
    town = Town(ours.url)
    for profile, asked in (("car", 1), ("bicycle", 2), ("bicycle", 2)):
        town.asks(RoutingProvider(provider="osrm", profile=profile))
        await town.routing.matrix(ACME, [STATION], [HARBOUR])
        assert len(ours.asked) == asked
    await town.chains.close()
    await town.default.close()


def told_at(offset: int) -> Source:
    return Source(
        event_id="e",
        tenant=ACME,
        outlet=None,
        aggregate_id=ids.provider_config_id(ACME),
        version=offset + 1,
        event_time=NOON,
        recorded_at=NOON,
        actor="olga",
        command_id="c",
        correlation_id="c",
        topic="logistics.directory",
        partition=0,
        offset=offset,
    )


def test_streams_learn_whom_a_tenant_asks_from_its_facts():
    configs, routing = Configs(), Routing(providers=[RoutingProvider(provider="osrm")])
    assert configs.of(ACME) is None
    configs.take(ProvidersSet(routing=routing), told_at(0))
    assert configs.of(ACME) == routing
    configs.take(ProvidersCleared(), told_at(1))
    assert configs.of(ACME) is None
