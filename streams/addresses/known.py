"""What an index of addresses is made of, and the words by which its entries are found."""

import re
from typing import Literal

import msgspec

from schemas.address import words_of
from schemas.geo import Location

ROMANCE = frozenset({"a", "al", "d", "da", "das", "de", "del", "della", "des", "di", "do", "dos", "du", "e", "el", "y"})
PARTICLES = ROMANCE | {"la", "las", "le", "les", "los", "der", "die", "of", "och", "the", "van"}
"""Of names of streets: people leave them out."""
MOST_OF_RANGE = 50
"""Numbers that one house may have, such as 12-18: of a longer range its ends alone are believed."""

PARTS = re.compile(r"[;,]")
RANGE = re.compile(r"\s*(\d{1,5})\s*([a-z]?)(?:\s*[-\u2013/]\s*(\d{1,5})\s*([a-z]?))?\s*")

type SpotKind = Literal["street", "place"]


class House(msgspec.Struct, frozen=True):
    """`number` as it is written on the map. `rank`: of two on one address the less is nearer to the door."""

    street: str
    number: str
    place: Location
    postcode: str | None = None
    city: str | None = None
    rank: int = 0


class Spot(msgspec.Struct, frozen=True):
    """A piece of a street, or a suburb, a square and the like. `others` are further names of it, such as in another
    language of the country."""

    kind: SpotKind
    name: str
    place: Location
    others: tuple[str, ...] = ()


def compact(words: list[str]) -> str:
    """Without blanks and particles: Haupt Str. is Hauptstr., and Rua de Fernandes Tomás is Rua Fernandes Tomás."""
    return "".join(word for word in words if word not in PARTICLES) or "".join(words)


def key_of(name: str) -> str:
    return compact(words_of(name))


def numbers_of(written: str) -> list[str]:
    """Each number that a house goes by: 12, 12a; those of 12-16 that are on one side of the street; each of 12;14."""
    found: list[str] = []
    for part in PARTS.split(written.casefold()):
        number = RANGE.fullmatch(part)
        if number is None:
            continue
        first, letter, last, last_letter = number.groups()
        found += numbers_between(first + letter, last and last + last_letter)
    return list(dict.fromkeys(found))


def numbers_between(first: str, last: str | None) -> list[str]:
    if last is None:
        return [first]
    if not (first.isdigit() and last.isdigit()):
        return [first, last]
    side = range(int(first), int(last) + 1, 2)
    if len(side) > MOST_OF_RANGE or int(last) not in side:
        return [first, last]
    return [str(number) for number in side]
