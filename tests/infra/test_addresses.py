"""The index of a city's addresses: made once of its extract, asked by whoever names nobody else."""

import csv
import os
from pathlib import Path

import pytest
from extracts import index_of_town, town
from story import ACME

from infra.addresses import addresses_of
from infra.embedded.addresses import prepare_addresses
from infra.embedded.city import city_extract
from infra.settings import Settings, WrongSetting
from schemas.geo import Location, distance_m
from schemas.provider_config import Routing, RoutingProvider
from streams.addresses.index import HOUSE, AddressIndex
from streams.routing.budgets import CountedHere
from streams.routing.measured import Passed
from streams.routing.tenants import Chains, TenantAddresses
from streams.routing.wire import SecretMissing

SAMPLES = Path(os.environ.get("LOGISTICS_SAMPLE_DATA", "absent"))
NEAR_M = 60.0
"""A house with several doors is where one of them is."""
needs_porto = pytest.mark.skipif(
    not (SAMPLES / "osm").is_dir(), reason="the sample data (LOGISTICS_SAMPLE_DATA) are not on this machine"
)


def no_secret(reference: str) -> str:
    raise SecretMissing(reference, "is not set")


def test_an_index_is_made_once_and_another_extract_has_its_own(tmp_path):
    extract = town(tmp_path / "kyla.osm.pbf")
    file = prepare_addresses(tmp_path, extract)
    made = file.stat().st_mtime_ns
    assert prepare_addresses(tmp_path, extract) == file
    assert file.stat().st_mtime_ns == made
    extract.write_bytes(city_extract("helsinki", None).read_bytes())
    assert prepare_addresses(tmp_path, extract) != file


def test_a_broken_extract_leaves_nothing_that_counts(tmp_path):
    extract = tmp_path / "kyla.osm.pbf"
    extract.write_bytes(b"no map")
    with pytest.raises(RuntimeError):
        prepare_addresses(tmp_path, extract)
    assert list(tmp_path.glob("*.sqlite")) == []


def test_a_setting_that_names_no_index_is_named(tmp_path):
    assert addresses_of(Settings()) is None
    with pytest.raises(WrongSetting, match="LOGISTICS_ADDRESSES"):
        addresses_of(Settings(addresses=tmp_path / "missing.sqlite"))


async def test_who_has_set_nobody_who_knows_addresses_asks_the_index(tmp_path):
    configured: dict[str, Routing] = {}
    chains = Chains("", configured.get, no_secret, CountedHere(), index_of_town(tmp_path))
    addresses = TenantAddresses(chains)
    for providers in ([], [RoutingProvider(provider="osrm")]):
        if providers:
            configured[ACME] = Routing(providers=providers)
        told = await addresses.geocode(ACME, "Annankatu 12")
        assert (told.source, told.candidates[0].confidence) == ("osm", HOUSE)
    await chains.close()


async def test_the_index_stands_in_its_place_among_the_others(tmp_path):
    google = RoutingProvider(provider="google", credentials="env:TOKEN")
    routing = Routing(providers=[google, RoutingProvider(provider="osm")])
    chains = Chains("", {ACME: routing}.get, no_secret, CountedHere(), index_of_town(tmp_path))
    addresses = TenantAddresses(chains)
    told = await addresses.geocode(ACME, "Annankatu 12")
    assert (told.source, told.passed) == ("osm", (Passed("google", "no_credentials"),))
    unknown = await addresses.geocode(ACME, "zzz qqq")
    assert (unknown.is_told, unknown.passed[-1]) == (True, Passed("osm", "no_way"))
    await chains.close()


async def test_that_nobody_could_be_asked_is_not_that_nobody_knows():
    routing = Routing(providers=[RoutingProvider(provider="google", credentials="env:TOKEN")])
    chains = Chains("", {ACME: routing}.get, no_secret, CountedHere())
    told = await TenantAddresses(chains).geocode(ACME, "Annankatu 12")
    assert (told.is_told, list(told.candidates)) == (False, [])
    await chains.close()


def test_helsinki_knows_its_houses(tmp_path):
    index = AddressIndex(prepare_addresses(tmp_path, city_extract("helsinki", None)))
    for text in ("Kasarmikatu 40, 00130 Helsinki", "kasarmik. 40", "Mannerheimvägen 8", "aleksanterinkatu 32"):
        assert index.find(text)[0].confidence == HOUSE, text
    assert index.find("Kasarmikatu 9999")[0].confidence < HOUSE / 2


@needs_porto
def test_porto_finds_nearly_all_of_its_own_addresses(tmp_path):
    index = AddressIndex(prepare_addresses(tmp_path, SAMPLES / "osm" / "porto.osm.pbf"))
    with (SAMPLES / "osm" / "porto_addresses.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["housenumber"].isdigit()]
    near = sure_and_far = 0
    for row in rows:
        found = index.find(f"{row['street']} {row['housenumber']}, {row['postcode']}")
        there = Location(lat=float(row["lat"]), lon=float(row["lon"]))
        is_near = bool(found) and distance_m(found[0].place, there) <= NEAR_M
        near += is_near
        sure_and_far += bool(found) and not is_near and found[0].confidence >= HOUSE
    assert len(rows) > 1_500
    assert near / len(rows) > 0.98
    assert sure_and_far / len(rows) < 0.01
