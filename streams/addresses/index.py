"""Where an address is, by the map of an extract: exact names first, then those that are like it.

How sure an answer is, is what is known and no more: the house with that number, the street without it, and less where
the name is only like it, where it may be another town's, and where several are equally good.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import Path

import msgspec

from schemas.address import words_of
from schemas.geo import Location, distance_m
from streams.addresses.book import FORMAT
from streams.addresses.known import compact
from streams.routing.provider import Candidate

MOST_CANDIDATES = 5
MOST_WORDS = 24
"""Of a text: what follows them is not looked at."""
LONGEST_NAME = 8
"""Words of a street's name."""
MOST_ALIKE = 50
"""Names that are compared with what was asked."""
MOST_NAMES = 10
"""Of those the ones whose houses are looked at."""
MOST_ROWS = 50
"""Of one name and number."""

HOUSE = 0.98
WITHOUT_LETTER = 0.88
"""The house of that number, where 12b was asked for and the map has 12."""
STREET = 0.5
NUMBER_UNKNOWN = 0.4
"""Its street; the house is not on the map."""
PLACE = 0.3
"""A suburb, a square: no door."""
ALIKE = 0.8
"""Of what an exact name is worth, at most."""
OTHER_POSTCODE, OTHER_TOWN, UNEXPLAINED = 0.6, 0.5, 0.8
"""A postal code or a town was asked for, and this one is another; what was asked says more than that is explained."""
LEAST_ALIKE = 0.75
OF_THE_BEST = 0.5
"""What is less than so likely, against the likeliest, is not told."""
TOLD_APART_M = 150.0
"""Two that are farther from each other cannot both be meant."""
LEAST_UNEXPLAINED = 3
"""Letters: what is shorter is a staircase or a floor."""


class NoAddressBook(RuntimeError):
    """The file is none of ours, or of another release."""


class Asked(msgspec.Struct, frozen=True):
    """A text, of which some words are the name that was found, and the others say which house and town."""

    numbers: tuple[str, ...]
    """The likeliest first, such as 12a and 12 of `12 A`."""
    postcode: str
    city: str
    unexplained: bool


class Named(msgspec.Struct, frozen=True):
    key: str
    alike: float
    """1: it is the name."""
    start: int
    end: int
    """Which words of the text it is."""


class AddressIndex:
    """One thread at a time."""

    def __init__(self, file: Path) -> None:
        """Raises NoAddressBook."""
        try:
            self._book = sqlite3.connect(
                f"{file.resolve().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False
            )
            told = dict(self._book.execute("SELECT word, told FROM about"))
        except sqlite3.Error as broken:
            raise NoAddressBook(f"{file} is no index of addresses: {broken}") from broken
        if told.get("format") != str(FORMAT):
            raise NoAddressBook(
                f"{file} is an index of format {told.get('format')}, and {FORMAT} is read: make it anew"
            )
        self.houses = int(told["houses"])

    def close(self) -> None:
        self._book.close()

    def find(self, text: str) -> list[Candidate]:
        """The likeliest first; none where nothing is like it."""
        words = words_of(text)[:MOST_WORDS]
        exact = self._named_so(words)
        found = self._candidates(words, exact)
        if max((each.confidence for each in found), default=0.0) < WITHOUT_LETTER:
            found += self._candidates(words, self._alike(words, {named.key for named in exact}))
        return best_of(found)

    def _named_so(self, words: Sequence[str]) -> list[Named]:
        """The longest first: of Rua Nova da Alfândega no Rua Nova is meant."""
        windows = {compact(list(words[a:b])): (a, b) for a, b in reversed([*windows_of(words)])}
        rows = self._book.execute(
            f"SELECT compact, key FROM names WHERE compact IN ({', '.join('?' * len(windows))})", [*windows]
        )
        named = [Named(key, 1.0, *windows[name]) for name, key in rows]
        return [one for one in named if not any(covers(other, one) for other in named)]

    def _alike(self, words: Sequence[str], known: set[str]) -> list[Named]:
        parts = trigrams(compact([word for word in words if not word.isdigit()]))
        if not parts:
            return []
        asked = " OR ".join(f'"{part}"' for part in parts)
        rows = self._book.execute(
            "SELECT compact, key FROM names WHERE rowid IN "
            "(SELECT rowid FROM like_names WHERE like_names MATCH ? ORDER BY rank LIMIT ?)",
            (asked, MOST_ALIKE),
        )
        named = [closest(name, key, words) for name, key in rows if key not in known]
        named = [each for each in named if each.alike >= LEAST_ALIKE]
        return sorted(named, key=lambda each: (-each.alike, each.key))[:MOST_NAMES]

    def _candidates(self, words: Sequence[str], named: Sequence[Named]) -> list[Candidate]:
        return [candidate for each in named for candidate in self._of_name(each, self._asked(words, each))]

    def _of_name(self, named: Named, asked: Asked) -> Iterator[Candidate]:
        worth = 1.0 if named.alike == 1.0 else ALIKE * named.alike**2
        for place, number in enumerate(asked.numbers):
            rows = self._book.execute(
                "SELECT label, postcode, city, lat, lon FROM houses WHERE street = ? AND number = ? LIMIT ?",
                (named.key, number, MOST_ROWS),
            ).fetchall()
            for label, postcode, city, lat, lon in rows:
                sure = (HOUSE if place == 0 else WITHOUT_LETTER) * worth * suits(asked, postcode, city)
                yield Candidate(Location(lat=lat, lon=lon), label, round(sure, 3))
            if rows:
                return
        spots = self._book.execute(
            "SELECT kind, label, lat, lon FROM spots WHERE key = ? LIMIT ?", (named.key, MOST_ROWS)
        )
        for kind, label, lat, lon in spots:
            sure = PLACE if kind == "place" else NUMBER_UNKNOWN if asked.numbers else STREET
            yield Candidate(Location(lat=lat, lon=lon), label, round(sure * worth, 3))

    def _asked(self, words: Sequence[str], named: Named) -> Asked:
        """What the words around the name say; those behind it first, for there most people put the number."""
        behind, before = list(words[named.end :]), list(words[: named.start])
        postcode, behind = self._without("postcodes", behind)
        if not postcode:
            postcode, before = self._without("postcodes", before)
        city, rest = self._without("cities", behind)
        if not city:
            city, before = self._without("cities", before)
        return Asked(
            numbers=(*numbers_in(rest), *numbers_in(before))[:2],
            postcode=postcode,
            city=city,
            unexplained=not city and not postcode and any(map(says_more, (*rest, *before))),
        )

    def _without(self, table: str, words: list[str]) -> tuple[str, list[str]]:
        """Which of the towns or postal codes stands there, and the words without it; a code that looks like one is
        one."""
        for start, end in windows_of(words):
            told = " ".join(words[start:end])
            is_code = table == "postcodes" and looks_like_code(told)
            if is_code or self._book.execute(f"SELECT 1 FROM {table} WHERE words = ?", (told,)).fetchone():
                return told, [*words[:start], *words[end:]]
        return "", words


def windows_of(words: Sequence[str]) -> Iterator[tuple[int, int]]:
    """The longest first."""
    for size in range(min(LONGEST_NAME, len(words)), 0, -1):
        for start in range(len(words) - size + 1):
            yield start, start + size


def covers(one: Named, other: Named) -> bool:
    return one.start <= other.start and other.end <= one.end and one.end - one.start > other.end - other.start


def closest(name: str, key: str, words: Sequence[str]) -> Named:
    """To which of the words it is the most alike, and how much."""
    alike = SequenceMatcher(b=name, autojunk=False)
    best = Named(key, 0.0, 0, 0)
    for start, end in windows_of(words):
        asked = compact(list(words[start:end]))
        if not len(name) / 2 <= len(asked) <= len(name) * 2:
            continue
        alike.set_seq1(asked)
        if alike.quick_ratio() > best.alike and alike.ratio() > best.alike:
            best = Named(key, min(alike.ratio(), 0.999), start, end)
    return best


def trigrams(name: str) -> list[str]:
    return list(dict.fromkeys(name[at : at + 3] for at in range(len(name) - 2)))


def looks_like_code(words: str) -> bool:
    """Five digits, or four and three."""
    first, _, second = words.partition(" ")
    return (len(first) == 5 and first.isdigit() and not second) or (
        len(first) == 4 and len(second) == 3 and first.isdigit() and second.isdigit()
    )


def numbers_in(words: Sequence[str]) -> tuple[str, ...]:
    """The first word that is a number, with the letter that follows it and without."""
    for place, word in enumerate(words):
        digits = word.rstrip("abcdefghijklmnopqrstuvwxyz")
        if not digits.isdigit() or len(word) > len(digits) + 1:
            continue
        letter = word[len(digits) :] or next(iter(words[place + 1 : place + 2]), "")
        lettered = len(letter) == 1 and letter.isalpha()
        plain = str(int(digits))
        return (plain + letter, plain) if lettered else (plain,)
    return ()


def says_more(word: str) -> bool:
    return word.isalpha() and len(word) >= LEAST_UNEXPLAINED


def suits(asked: Asked, postcode: str, city: str) -> float:
    sure = 1.0
    if asked.postcode and postcode and asked.postcode != postcode:
        sure *= OTHER_POSTCODE
    if asked.city and city and asked.city != city:
        sure *= OTHER_TOWN
    return sure * UNEXPLAINED if asked.unexplained else sure


def best_of(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Where several are as good as the best, and apart, none of them is sure."""
    once = {(each.label, each.place): each for each in sorted(candidates, key=lambda each: each.confidence)}
    ranked = sorted(once.values(), key=lambda each: (-each.confidence, each.label, each.place.lat, each.place.lon))
    if not ranked:
        return []
    tied = [each for each in ranked if each.confidence == ranked[0].confidence]
    if any(distance_m(each.place, tied[0].place) > TOLD_APART_M for each in tied):
        shared = round(ranked[0].confidence / len(tied), 3)
        ranked = [msgspec.structs.replace(e, confidence=min(e.confidence, shared)) for e in ranked]
    return [each for each in ranked if each.confidence >= OF_THE_BEST * ranked[0].confidence][:MOST_CANDIDATES]
