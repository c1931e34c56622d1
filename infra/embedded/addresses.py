"""The addresses of an OpenStreetMap extract as an index, beside the streets that OSRM has of it."""

import hashlib
import os
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import osmium
from osmium.filter import KeyFilter
from osmium.osm import Area, Node, Way

from schemas.geo import Location
from streams.addresses.book import FORMAT, write
from streams.addresses.known import House, Spot

ENTRANCE, ADDRESS, BUILDING, OCCUPANT = range(4)
"""By what an address is known, the nearest to the door first."""
OCCUPIED_BY = ("amenity", "shop", "office", "tourism", "craft", "leisure", "healthcare")
OTHER_NAMES = ("alt_name", "short_name", "official_name", "old_name", "loc_name")
UNTOLD = frozenset(
    {"city_block", "plot", "farm", "islet", "archipelago", "ocean", "sea", "continent", "country", "state"}
)
"""Kinds of places that nobody gives as an address."""


def prepare_addresses(cities: Path, extract: Path) -> Path:
    """The index, under the extract's own hash. Does nothing where it was made; an interrupted start leaves nothing that
    counts. Raises RuntimeError where the extract cannot be read."""
    file = cities / f"{extract.name.removesuffix('.osm.pbf').lower()}-{digest_of(extract)}.addresses.sqlite"
    if file.exists():
        return file
    cities.mkdir(parents=True, exist_ok=True)
    made(extract, file)
    return file


def made(extract: Path, file: Path) -> None:
    """All of it or nothing."""
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    houses, spots = read(extract)
    write(part, houses, spots, {"extract": hashlib.sha256(extract.read_bytes()).hexdigest()})
    part.replace(file)


def digest_of(extract: Path) -> str:
    made_of = hashlib.sha256(extract.read_bytes())
    made_of.update(f"{FORMAT} {version('osmium')}".encode())
    return made_of.hexdigest()[:12]


def read(extract: Path) -> tuple[list[House], list[Spot]]:
    """What is an area, such as a building around a court, is where its middle is."""
    houses: list[House] = []
    spots: list[Spot] = []
    wanted = KeyFilter("addr:housenumber", "highway", "place")
    for each in (
        osmium.FileProcessor(str(extract)).with_areas(KeyFilter("addr:housenumber", "place")).with_filter(wanted)
    ):
        place = place_of(each)
        if place is None:
            continue
        houses += houses_of(each.tags, place)
        spots += spots_of(each, place)
    return houses, spots


def place_of(each: Any) -> Location | None:
    """None of a relation, which comes again as an area, and of what the extract has only in part."""
    try:
        match each:
            case Node():
                return Location(lat=each.location.lat, lon=each.location.lon)
            case Way() if not each.is_closed() or "highway" in each.tags:
                return location_of(list(each.nodes)[len(each.nodes) // 2])
            case Area():
                return middle([node for ring in each.outer_rings() for node in list(ring)[1:]])
            case _:
                return None
    except osmium.InvalidLocationError:
        return None


def location_of(node: Any) -> Location:
    return Location(lat=node.location.lat, lon=node.location.lon)


def middle(nodes: list[Any]) -> Location:
    lat, lon = (sum(getattr(node.location, of) for node in nodes) / len(nodes) for of in ("lat", "lon"))
    return Location(lat=lat, lon=lon)


def houses_of(tags: Any, place: Location) -> Iterator[House]:
    """Where a street has a name in each of the country's languages the address may have them all."""
    if "addr:housenumber" not in tags:
        return
    streets = [tags[key] for key in ("addr:street", "addr:place") if key in tags][:1]
    streets += [tag.v for tag in tags if tag.k.startswith("addr:street:")]
    for street in dict.fromkeys(streets):
        yield House(
            street=street,
            number=tags["addr:housenumber"],
            place=place,
            postcode=tags.get("addr:postcode"),
            city=tags.get("addr:city"),
            rank=rank_of(tags),
        )


def rank_of(tags: Any) -> int:
    if "entrance" in tags:
        return ENTRANCE
    if "building" in tags:
        return BUILDING
    return OCCUPANT if any(key in tags for key in OCCUPIED_BY) else ADDRESS


def spots_of(each: Any, place: Location) -> Iterator[Spot]:
    name = each.tags.get("name")
    if not name:
        return
    others = tuple(tag.v for tag in each.tags if tag.k.startswith("name:") or tag.k in OTHER_NAMES)
    if "highway" in each.tags and isinstance(each, Way):
        yield Spot("street", name, place, others)
    elif each.tags.get("place") not in (None, *UNTOLD):
        yield Spot("place", name, place, others)


def main() -> None:
    """`python -m infra.embedded.addresses EXTRACT FILE`: an index of the addresses of an OpenStreetMap extract, for
    LOGISTICS_ADDRESSES."""
    if len(sys.argv) != 3:
        sys.exit("usage: python -m infra.embedded.addresses EXTRACT FILE")
    extract, file = map(Path, sys.argv[1:])
    if not extract.is_file():
        sys.exit(f"{extract}: there is no such file")
    made(extract, file)


if __name__ == "__main__":
    main()
