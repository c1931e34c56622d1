"""An index of addresses as a file of SQLite: made once of what a map tells, read by who looks an address up."""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from math import inf
from pathlib import Path

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace
from scipy.spatial import KDTree

from schemas.address import words_of
from schemas.geo import EARTH_RADIUS_M, Location, distance_m
from streams.addresses.known import House, Spot, key_of, numbers_of

FORMAT = 1
"""Grows when the same map is to be another file."""
TOGETHER_M = 250
"""Two that go by one address and are nearer to each other are one house."""
NEIGHBOURS_M = 400
"""So near to a house that tells its town, one that does not is in the same."""
STREET_M = 1_500
"""Pieces of one name that are nearer are of one street; a town away it is another."""

TABLES = """
PRAGMA page_size = 4096;
PRAGMA journal_mode = OFF;
CREATE TABLE about (word TEXT PRIMARY KEY, told TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE houses (
    street TEXT NOT NULL, number TEXT NOT NULL, label TEXT NOT NULL,
    postcode TEXT NOT NULL, city TEXT NOT NULL, lat REAL NOT NULL, lon REAL NOT NULL
);
CREATE INDEX houses_by_address ON houses (street, number);
CREATE TABLE spots (key TEXT NOT NULL, kind TEXT NOT NULL, label TEXT NOT NULL, lat REAL NOT NULL, lon REAL NOT NULL);
CREATE INDEX spots_by_key ON spots (key);
CREATE TABLE names (compact TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (compact, key));
CREATE TABLE cities (words TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE postcodes (words TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE VIRTUAL TABLE like_names USING fts5 (compact, tokenize = 'trigram', detail = 'none');
"""
"""`key` is the compact name of a street or place as the map has it, `compact` any name that it goes by; postcodes and
cities are as `words_of` has them, with blanks between, and empty where they are not known."""


def write(file: Path, houses: Iterable[House], spots: Iterable[Spot], about: Mapping[str, str]) -> None:
    """`file` must not exist."""
    with closing(sqlite3.connect(file)) as book, book:
        book.executescript(TABLES)
        of_houses = settled(houses)
        of_spots = [*merged(spots)]
        book.executemany("INSERT INTO houses VALUES (?, ?, ?, ?, ?, ?, ?)", rows_of(of_houses))
        book.executemany(
            "INSERT INTO spots VALUES (?, ?, ?, ?, ?)",
            [(key_of(spot.name), spot.kind, spot.name, spot.place.lat, spot.place.lon) for spot in of_spots],
        )
        names = names_of(of_houses, of_spots)
        book.executemany("INSERT INTO names VALUES (?, ?)", names)
        book.executemany("INSERT INTO like_names (rowid, compact) SELECT rowid, compact FROM names WHERE ?", [(1,)])
        for table, told in (("cities", {h.city for h in of_houses}), ("postcodes", {h.postcode for h in of_houses})):
            words = sorted({" ".join(words_of(each)) for each in told if each} - {""})
            book.executemany(f"INSERT INTO {table} VALUES (?)", [(each,) for each in words])
        counted = {"houses": str(len(of_houses)), "names": str(len(names)), "format": str(FORMAT)}
        book.executemany("INSERT INTO about VALUES (?, ?)", sorted({**about, **counted}.items()))
        book.execute("INSERT INTO like_names (like_names) VALUES ('optimize')")


def rows_of(houses: Sequence[House]) -> list[tuple[str, str, str, str, str, float, float]]:
    return [
        (
            key_of(house.street),
            number,
            label_of(house),
            " ".join(words_of(house.postcode or "")),
            " ".join(words_of(house.city or "")),
            house.place.lat,
            house.place.lon,
        )
        for house in houses
        for number in numbers_of(house.number)
    ]


def label_of(house: House) -> str:
    town = " ".join(part for part in (house.postcode, house.city) if part)
    return f"{house.street} {house.number}" + (f", {town}" if town else "")


def names_of(houses: Sequence[House], spots: Sequence[Spot]) -> list[tuple[str, str]]:
    names = {(key_of(house.street),) * 2 for house in houses}
    names |= {(key_of(name), key_of(spot.name)) for spot in spots for name in (spot.name, *spot.others)}
    return sorted((name, key) for name, key in names if name)


def settled(houses: Iterable[House]) -> list[House]:
    """Of several on one address the one nearest to the door, with what any of them tells of the town; a town that none
    tells is that of the nearest house that tells it."""
    of_address: defaultdict[tuple[str, str], list[House]] = defaultdict(list)
    for house in houses:
        if numbers_of(house.number) and key_of(house.street):
            of_address[key_of(house.street), " ".join(numbers_of(house.number))].append(house)
    return with_towns([whole(group) for known in of_address.values() for group in near_ones(known, TOGETHER_M)])


def whole(group: Sequence[House]) -> House:
    best = min(group, key=lambda house: (house.rank, house.number, house.place.lat, house.place.lon))
    postcodes, cities = (Counter(v for v in vs if v) for vs in zip(*((h.postcode, h.city) for h in group), strict=True))
    return House(best.street, best.number, best.place, most(postcodes), most(cities), best.rank)


def with_towns(houses: Sequence[House]) -> list[House]:
    told = [house for house in houses if is_town(house.city)]
    if not told:
        return [replace(house, city=None) for house in houses]
    nearest = KDTree(flat(told)).query(flat(houses), distance_upper_bound=NEIGHBOURS_M)
    steps, numbers = (np.asarray(each).tolist() for each in nearest)
    return [
        house if is_town(house.city) else replace(house, city=told[number].city if step < inf else None)
        for house, step, number in zip(houses, steps, numbers, strict=True)
    ]


def is_town(city: str | None) -> bool:
    """Such as a number is not."""
    return city is not None and any(letter.isalpha() for letter in city)


def flat(houses: Sequence[House]) -> npt.NDArray[np.float64]:
    """Metres from nowhere in particular: right for what is near to each other."""
    lat, lon = np.array([(house.place.lat, house.place.lon) for house in houses]).T
    return np.column_stack([np.radians(lat), np.radians(lon) * np.cos(np.radians(lat))]) * EARTH_RADIUS_M


def most(counted: Counter[str]) -> str | None:
    return min(counted, key=lambda word: (-counted[word], word), default=None)


def merged(spots: Iterable[Spot]) -> Iterable[Spot]:
    """A street is where the piece in its middle is."""
    of_name: defaultdict[tuple[str, str], list[Spot]] = defaultdict(list)
    for spot in spots:
        if key_of(spot.name):
            of_name[spot.kind, key_of(spot.name)].append(spot)
    for (kind, _), pieces in of_name.items():
        for group in near_ones(pieces, STREET_M):
            lat = sum(piece.place.lat for piece in group) / len(group)
            lon = sum(piece.place.lon for piece in group) / len(group)
            middle = min(group, key=lambda piece: distance_m(piece.place, Location(lat=lat, lon=lon)))
            others = dict.fromkeys(name for piece in group for name in (piece.name, *piece.others))
            yield Spot("street" if kind == "street" else "place", middle.name, middle.place, tuple(others))


def near_ones[T: House | Spot](known: Sequence[T], within_m: float) -> list[list[T]]:
    """In groups, of which each member is so near to another."""
    groups: list[list[T]] = []
    for each in known:
        joined: list[T] = [each]
        apart: list[list[T]] = []
        for group in groups:
            if any(distance_m(each.place, other.place) <= within_m for other in group):
                joined += group
            else:
                apart.append(group)
        groups = [*apart, joined]
    return groups
