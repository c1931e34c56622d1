"""Where an address is, by the index of a map, and how sure that is."""

import sqlite3
from pathlib import Path

import pytest
from extracts import at, index_of_town

from schemas.geo import Location, distance_m
from streams.addresses import index as indexing
from streams.addresses.index import HOUSE, NUMBER_UNKNOWN, STREET, WITHOUT_LETTER, AddressIndex, NoAddressBook
from streams.addresses.known import MOST_OF_RANGE, numbers_of
from streams.routing.provider import Candidate


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> AddressIndex:
    return index_of_town(tmp_path_factory.mktemp("town"))


def off_m(candidate: Candidate, north_m: float, east_m: float) -> float:
    lon, lat = at(north_m, east_m)
    return distance_m(candidate.place, Location(lat=lat, lon=lon))


@pytest.mark.parametrize(
    "text",
    [
        "Annankatu 12",
        "annankatu 12, 00100 Kylä",
        "ANNANKATU 12, KYLA",
        "Annank. 12",
        "12 Annankatu",
        "Annankatu, 12",
        "Annegatan 12",
        "Kylä, Annankatu 12",
        "00100 Annankatu 12",
        "Annankatu 012",
    ],
)
def test_a_house_is_found_however_its_address_is_written(town, text):
    [found] = town.find(text)
    assert (found.confidence, found.label) == (HOUSE, "Annankatu 12, 00100 Kylä")
    assert off_m(found, 6, 1) < 1, "its main entrance, of three that go by that address"


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Annankatu 14 A", "Annankatu 14 a, 00100 Kylä"),
        ("Annankatu 14a", "Annankatu 14 a, 00100 Kylä"),
        ("Annankatu 18", "Annankatu 16-20, 00100 Kylä"),
        ("Annankatu 26", "Annankatu 24;26, 00100 Kylä"),
        ("Annankatu 30 Kylä", "Annankatu 30, Kylä"),
        ("R. Fernandes Tomás 987", "Rua de Fernandes Tomás 987, 00100 Kylä"),
        ("Eerikinkatu 3", "Eerikinkatu 3, 00100 Kylä"),
        ("Satamakatu 2 Pitäjä", "Satamakatu 2, 00900 Pitäjä"),
    ],
)
def test_numbers_with_letters_ranges_and_lists_are_houses_too(town, text, label):
    [found] = town.find(text)
    assert (found.confidence, found.label) == (HOUSE, label)


def test_a_building_is_where_its_middle_is(town):
    assert off_m(town.find("Eerikinkatu 3")[0], 10, 70) < 2


def test_a_staircase_that_the_map_does_not_know_is_in_the_house(town):
    [found] = town.find("Annankatu 12 B 34, Kylä")
    assert (found.confidence, found.label) == (WITHOUT_LETTER, "Annankatu 12, 00100 Kylä")


def test_a_street_is_less_than_a_house_and_a_house_that_is_not_there_still_less(town):
    [street] = town.find("Annankatu")
    [unknown] = town.find("Annankatu 99")
    assert (street.confidence, unknown.confidence) == (STREET, NUMBER_UNKNOWN)
    assert off_m(street, 200, 0) <= 101, "the piece in its middle, of two"


@pytest.mark.parametrize("text", ["Anankatu 12", "Annankattu 12", "Fernandes Thomas 987"])
def test_what_is_only_alike_is_told_and_is_not_sure(town, text):
    best = town.find(text)[0]
    assert NUMBER_UNKNOWN < best.confidence < WITHOUT_LETTER


@pytest.mark.parametrize("text", ["Annankatu 12, 00999", "Annankatu 12, Pitäjä", "Annankatu 12, Utopia"])
def test_a_house_that_may_be_in_another_town_is_not_sure(town, text):
    best = town.find(text)[0]
    assert (best.label, best.confidence < WITHOUT_LETTER) == ("Annankatu 12, 00100 Kylä", True)


def test_of_two_towns_with_one_address_neither_is_sure_until_it_is_said_which(town):
    assert [found.confidence for found in town.find("Kirkkotie 1")] == [HOUSE / 2, HOUSE / 2]
    best, other = town.find("Kirkkotie 1, Pitäjä")
    assert (best.label, best.confidence, other.confidence) == ("Kirkkotie 1, 00900 Pitäjä", HOUSE, HOUSE / 2)
    assert town.find("Kirkkotie 1, 00100")[0].label == "Kirkkotie 1, 00100 Kylä"


def test_a_suburb_is_no_door(town):
    assert [(found.label, found.confidence) for found in town.find("Berghäll")] == [("Kallio", 0.3)]


@pytest.mark.parametrize("text", ["", "   ", "12", "zzz qqq", "!!!", "\u3042\u3044", '" OR 1=1 --', "NEAR(a b) * ^"])
def test_of_what_is_like_nothing_nothing_is_told(town, text):
    assert town.find(text) == []


def test_so_many_are_told_and_no_more(town, monkeypatch):
    monkeypatch.setattr(indexing, "MOST_CANDIDATES", 1)
    assert len(town.find("Kirkkotie 1")) == 1


def test_words_beyond_the_bound_are_not_looked_at(town, monkeypatch):
    monkeypatch.setattr(indexing, "MOST_WORDS", 2)
    assert town.find("Annankatu 12 Utopia")[0].confidence == HOUSE


def test_a_longer_range_is_believed_at_its_ends_alone():
    assert numbers_of(f"1-{2 * MOST_OF_RANGE + 1}") == ["1", str(2 * MOST_OF_RANGE + 1)]
    assert numbers_of(f"1-{2 * MOST_OF_RANGE - 1}")[-2:] == [str(2 * MOST_OF_RANGE - 3), str(2 * MOST_OF_RANGE - 1)]


def test_a_file_that_is_no_index_is_named(tmp_path):
    for content, word in ((b"no database at all, however it ends", "no index"), (b"", "no index")):
        file = tmp_path / "addresses.sqlite"
        file.write_bytes(content)
        with pytest.raises(NoAddressBook, match=word):
            AddressIndex(file)
    with pytest.raises(NoAddressBook, match="no index"):
        AddressIndex(tmp_path / "missing.sqlite")


def test_an_index_of_another_format_is_not_read(tmp_path):
    index_of_town(tmp_path).close()
    [file] = Path(tmp_path).glob("*.addresses.sqlite")
    with sqlite3.connect(file) as book:
        book.execute("UPDATE about SET told = '0' WHERE word = 'format'")
    with pytest.raises(NoAddressBook, match="format 0"):
        AddressIndex(file)
