"""A small town as an extract of OpenStreetMap, and the index of its addresses."""

from collections.abc import Mapping
from pathlib import Path

import osmium
from osmium.osm.mutable import Node, Way

from infra.embedded.addresses import prepare_addresses
from streams.addresses.index import AddressIndex

type Tags = Mapping[str, str]

TOWN = {"addr:city": "Kylä", "addr:postcode": "00100"}
OTHER_TOWN = {"addr:city": "Pitäjä", "addr:postcode": "00900"}


def at(north_m: float, east_m: float) -> tuple[float, float]:
    """Longitude and latitude, as osmium has them."""
    return 24.94 + east_m / 55_500, 60.17 + north_m / 111_200


def house(street: str, number: str, **more: str) -> Tags:
    return {"addr:street": street, "addr:housenumber": number} | {key.replace("_", ":"): v for key, v in more.items()}


NODES: list[tuple[tuple[float, float], Tags]] = [
    (at(0, 0), house("Annankatu", "12") | TOWN),
    (at(3, 3), house("Annankatu", "12", shop="florist", name="Kukka") | TOWN),
    (at(6, 1), house("Annankatu", "12", entrance="main") | TOWN),
    (at(40, 0), house("Annankatu", "14 a") | TOWN),
    (at(80, 0), house("Annankatu", "16-20") | TOWN),
    (at(120, 0), house("Annankatu", "24;26") | TOWN),
    (at(160, 10), house("Annankatu", "30")),
    (at(300, 0), house("Rua de Fernandes Tomás", "987") | TOWN),
    (at(500, 0), house("Kirkkotie", "1") | TOWN),
    (at(9_000, 0), house("Kirkkotie", "1") | OTHER_TOWN),
    (at(9_000, 200), house("Satamakatu", "2") | OTHER_TOWN),
    (at(700, 0), {"place": "suburb", "name": "Kallio", "name:sv": "Berghäll"}),
    (at(700, 0), house("Annankatu", "floor 3") | TOWN),
    (at(700, 0), {"addr:housenumber": "7"}),
]
STREETS: list[tuple[list[tuple[float, float]], Tags]] = [
    ([at(0, 0), at(100, 0), at(200, 0)], {"highway": "residential", "name": "Annankatu", "name:sv": "Annegatan"}),
    ([at(200, 0), at(300, 0), at(400, 0)], {"highway": "residential", "name": "Annankatu"}),
    ([at(0, 50), at(100, 50), at(200, 50)], {"highway": "residential", "name": "Eerikinkatu"}),
    ([at(0, 99), at(100, 99)], {"highway": "service"}),
]
BUILDINGS: list[tuple[list[tuple[float, float]], Tags]] = [
    ([at(0, 60), at(20, 60), at(20, 80), at(0, 80)], house("Eerikinkatu", "3", building="yes") | TOWN),
]


def town(file: Path) -> Path:
    """The extract."""
    writer = osmium.SimpleWriter(str(file))
    nodes = [(place, dict(tags)) for place, tags in NODES]
    ways = []
    for line, tags in STREETS:
        ways.append(([*range(len(nodes) + 1, len(nodes) + 1 + len(line))], tags))
        nodes += [(place, {}) for place in line]
    for ring, tags in BUILDINGS:
        first = len(nodes) + 1
        ways.append(([*range(first, first + len(ring)), first], tags))
        nodes += [(place, {}) for place in ring]
    for number, (place, tags) in enumerate(nodes, start=1):
        writer.add_node(Node(id=number, version=1, location=place, tags=tags))
    for number, (members, tags) in enumerate(ways, start=1):
        writer.add_way(Way(id=number, version=1, nodes=members, tags=dict(tags)))
    writer.close()
    return file


def index_of_town(folder: Path) -> AddressIndex:
    folder.mkdir(parents=True, exist_ok=True)
    return AddressIndex(prepare_addresses(folder, town(folder / "kyla.osm.pbf")))
