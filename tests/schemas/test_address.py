"""One address has one normal form, however it is written."""

import pytest

from schemas.address import LONGEST_ADDRESS, asked_of, normalised


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Mannerheimintie 12 A", "mannerheimint. 12a"),
        ("Hauptstraße 5", "HAUPTSTR. 5"),
        ("Rua de Fernandes Tomás, 987", "R. de Fernandes Tomas 987"),
        ("221B Baker Street", "221b  Baker St."),
        ("Sørkedalsveien 6", "Sorkedalsveien 6"),
        ("King's Road 1", "King\u2019s Rd 1"),
    ],
)
def test_two_ways_to_write_an_address_are_one(one, other):
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize("other", ["Annankatu 21", "Annankatu 12 B", "Anninkatu 12", "12 Annankatu"])
def test_another_address_is_another(other):
    assert normalised("Annankatu 12") != normalised(other)


def test_a_postal_code_counts_once():
    assert normalised("Annankatu 12, 00120 Helsinki", "FI-00120") == normalised("Annankatu 12, 00120 Helsinki")
    assert normalised("Annankatu 12", "FI-00120") == "annank 12 00120"
    assert asked_of("Annankatu 12", "FI-00120") == "Annankatu 12, 00120 FI"
    assert asked_of("Rua do Almada 9, 4050-257 Porto", "PT-4050-257") == "Rua do Almada 9, 4050-257 Porto"


def test_an_address_is_known_by_so_many_characters():
    long = "Annankatu 12 " + "x" * LONGEST_ADDRESS
    assert normalised(long) == normalised(long + "y")
    assert len(asked_of(long, "FI-00120")) == LONGEST_ADDRESS
