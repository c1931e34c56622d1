"""Addresses as people write them, so that two ways to write one are the same words.

Case, diacritics, punctuation and the usual short forms of kinds of streets do not count; the order does.
"""

import re
from unicodedata import combining, normalize

LONGEST_ADDRESS = 300
"""Characters of which an address is known: what comes after is not looked at."""

WITHOUT_MARKS = str.maketrans({"ø": "o", "đ": "d", "ð": "d", "ł": "l", "\u0131": "i", "æ": "ae", "œ": "oe", "þ": "th"})
"""Letters that Unicode does not take apart (NFKD)."""
APOSTROPHES = re.compile(r"['\u2019\u02bc`\u00b4]")
WORD = re.compile(r"[^\W_]+")
NUMBER_AND_LETTER = re.compile(r"(\d+)([a-z])")

KINDS = {
    form: short
    for short, forms in {
        "st": "street",
        "rd": "road",
        "av": "ave avenue avenida avda avd",
        "bd": "blvd boulevard bulevar bvd",
        "ln": "lane",
        "dr": "drive",
        "sq": "square",
        "ct": "court",
        "pl": "place platz plaza praca pca pc piazza plads plats",
        "r": "rua rue",
        "tv": "travessa trav",
        "lg": "largo",
        "al": "alameda",
        "estr": "estrada",
        "c": "calle",
        "str": "strasse straat",
    }.items()
    for form in forms.split()
}
"""Of words of their own: what is written in full, or shortened otherwise, is its short form."""
ENDINGS = {"strasse": "str", "straat": "str", "katu": "k", "tie": "t", "gatan": "g", "vagen": "v"}
"""Of words that end so, as in Finnish, German and Swedish: Annankatu is Annank., Hauptstraße Hauptstr."""
LEAST_BEFORE_ENDING = 3


def words_of(text: str) -> list[str]:
    """Its words in their order, each as short as it is ever written."""
    bare = APOSTROPHES.sub("", text[:LONGEST_ADDRESS].casefold().translate(WITHOUT_MARKS))
    plain = "".join(letter for letter in normalize("NFKD", bare) if not combining(letter))
    return [shortened(word) for word in WORD.findall(plain)]


def shortened(word: str) -> str:
    if word in KINDS:
        return KINDS[word]
    for ending, short in ENDINGS.items():
        if word.endswith(ending) and len(word) >= len(ending) + LEAST_BEFORE_ENDING:
            return word.removesuffix(ending) + short
    return word


def normalised(address: str, postal_code: str | None = None) -> str:
    """One address has one, however it is written. A postal code (`FI-00120`) that stands in it already counts once."""
    words = words_of(address)
    _, code = parts_of(postal_code)
    if not stands_in(words_of(code), words):
        words = [*words, *words_of(code)]
    return NUMBER_AND_LETTER.sub(r"\1 \2", " ".join(words))


def asked_of(address: str, postal_code: str | None = None) -> str:
    """What is asked of who knows addresses."""
    country, code = parts_of(postal_code)
    known = stands_in(words_of(code), words_of(address))
    whole = address if known else f"{address}, {code} {country}"
    return " ".join(whole.split())[:LONGEST_ADDRESS]


def parts_of(postal_code: str | None) -> tuple[str, str]:
    """The country's code, and the postal code in it."""
    country, _, code = (postal_code or "").partition("-")
    return country, code


def stands_in(part: list[str], words: list[str]) -> bool:
    return any(words[at : at + len(part)] == part for at in range(len(words) - len(part) + 1))
