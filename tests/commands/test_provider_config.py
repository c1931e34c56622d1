"""Whom a tenant asks for ways: what can be set, and what is refused by name."""

import msgspec
import pytest
from story import ACME, NOON, given, nothing_yet

from commands.policy import Policy
from commands.provider_config import ProviderMisconfigured, ProviderNamedTwice
from schemas import ids
from schemas.message import Event, NotInThisState, Source
from schemas.provider_config import (
    MAX_PROVIDERS,
    ClearProviders,
    CreateProviderConfig,
    ProvidersCleared,
    ProvidersSet,
    Routing,
    RoutingProvider,
    SetProviders,
)

OURS = RoutingProvider(provider="osrm")
MAPBOX = RoutingProvider(provider="mapbox", credentials="env:MAPBOX_TOKEN", elements_per_day=10_000)
BOTH = Routing(providers=[OURS, MAPBOX])
SET = ProvidersSet(routing=BOTH)


def alone(**fields: object) -> Routing:
    return Routing(providers=[msgspec.convert(fields, RoutingProvider)])


def test_a_tenant_sets_whom_it_asks_and_sets_it_anew():
    nothing_yet("provider_config").when(CreateProviderConfig(routing=BOTH)).then(SET)
    given(SET).when(CreateProviderConfig(routing=BOTH)).refuses(NotInThisState)
    given(SET).when(SetProviders(routing=alone(provider="osrm"))).then(ProvidersSet(routing=alone(provider="osrm")))


def test_what_is_set_already_is_a_quiet_repeat():
    given(SET).when(SetProviders(routing=BOTH)).then()
    given(SET, ProvidersCleared()).when(ClearProviders()).then()


def test_what_is_cleared_may_be_set_again():
    given(SET).when(ClearProviders()).then(ProvidersCleared())
    given(SET, ProvidersCleared()).when(SetProviders(routing=BOTH)).then(SET)


def test_nothing_is_set_before_it_is_created():
    nothing_yet("provider_config").when(SetProviders(routing=BOTH)).refuses(NotInThisState)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"provider": "valhalla"}, "url_missing"),
        ({"provider": "valhalla", "url": "valhalla:8002"}, "url_unusable"),
        ({"provider": "valhalla", "url": "ftp://valhalla:8002"}, "url_unusable"),
        ({"provider": "valhalla", "url": "http://valhalla:0"}, "url_unusable"),
        ({"provider": "valhalla", "url": "http://valhalla:port"}, "url_unusable"),
        ({"provider": "osrm", "url": "http://me:secret@osrm:5000"}, "url_unusable"),
        ({"provider": "osrm", "url": "http://osrm:5000?key=secret"}, "url_unusable"),
        ({"provider": "osrm", "url": "http://osrm:5000/a b"}, "url_unusable"),
        ({"provider": "osrm", "url": "http://169.254.169.254"}, "url_unusable"),
        ({"provider": "osrm", "url": "http://[fe80::1]:5000"}, "url_unusable"),
        ({"provider": "osrm", "url": "http://0.0.0.0:5000"}, "url_unusable"),
        ({"provider": "mapbox", "url": "https://api.example", "credentials": "env:T"}, "url_not_taken"),
        ({"provider": "osm", "url": "https://addresses.example"}, "url_not_taken"),
        ({"provider": "osm", "credentials": "env:T"}, "credentials_not_taken"),
        ({"provider": "osm", "only_for": ["route"]}, "cannot_do"),
        ({"provider": "google"}, "credentials_missing"),
        ({"provider": "osrm", "credentials": "env:T"}, "credentials_not_taken"),
        ({"provider": "osrm", "only_for": ["geocode"]}, "cannot_do"),
        ({"provider": "google", "credentials": "env:T", "only_for": ["match"]}, "cannot_do"),
    ],
)
def test_a_provider_that_could_not_be_asked_is_refused_with_its_number_and_its_fault(fields, fault):
    second = Routing(providers=[OURS, *alone(**fields, profile="foot").providers])
    refused = given(SET).when(SetProviders(routing=second)).refuses(ProviderMisconfigured)
    told = {"number": 1, "provider": fields["provider"], "fault": fault, "pointer": "/routing/providers/1"}
    assert refused.values() == told


@pytest.mark.parametrize("url", ["http://osrm:5000", "https://10.0.0.7/osrm/", "http://[fd00::7]:5000"])
def test_a_server_may_stand_in_a_network_of_ones_own(url):
    there = alone(provider="osrm", url=url)
    given(SET).when(SetProviders(routing=there)).then(ProvidersSet(routing=there))


def test_the_same_provider_twice_is_refused():
    twice = Routing(
        providers=[OURS, msgspec.structs.replace(MAPBOX, timeout_ms=500), MAPBOX],
    )
    refused = given(SET).when(SetProviders(routing=twice)).refuses(ProviderNamedTwice)
    assert refused.values() == {"number": 2, "provider": "mapbox", "pointer": "/routing/providers/2"}


def test_one_server_may_be_asked_for_two_ways_of_moving():
    both = Routing(providers=[OURS, msgspec.structs.replace(OURS, profile="bicycle")])
    given(SET).when(SetProviders(routing=both)).then(ProvidersSet(routing=both))


@pytest.mark.parametrize(
    "credentials", ["pk.eyJ1Ijoi", "MAPBOX_TOKEN", "env:", "env:lower", "file:relative", "file:/a\nb", "https://vault"]
)
def test_a_secret_itself_is_not_taken_where_its_place_belongs(credentials):
    with pytest.raises(msgspec.ValidationError, match="credentials"):
        alone(provider="mapbox", credentials=credentials)


def test_so_many_are_asked_at_most_and_one_at_least():
    servers = [{"provider": "osrm", "url": f"http://osrm-{n}:5000"} for n in range(MAX_PROVIDERS + 1)]
    msgspec.convert({"providers": servers[:-1]}, Routing)
    for wrong in (servers, []):
        with pytest.raises(msgspec.ValidationError, match="providers"):
            msgspec.convert({"providers": wrong}, Routing)


def source_at(offset: int) -> Source:
    return Source(
        event_id=f"e-{offset}",
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


def test_the_directory_tells_whom_a_tenant_asks_now():
    policy = Policy()
    told: list[Event] = [SET, ProvidersSet(routing=alone(provider="osrm")), ProvidersCleared()]
    found = [policy.routing(ACME)]
    for offset, event in enumerate(told):
        policy.take(event, source_at(offset), 0, offset)
        found.append(policy.routing(ACME))
    assert found == [None, BOTH, alone(provider="osrm"), None]
