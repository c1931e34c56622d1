"""Stored types: the committed schemas are those of the code, and each can be read by others."""

from schemas import catalog
from schemas.generate import generate
from schemas.rider import RiderApproved


def test_the_committed_schemas_are_those_of_the_types():
    assert {name: (catalog.AVRO / name).read_text() for name in generate()} == generate()


def test_an_event_without_fields_is_a_value_for_stock_readers_too():
    """They take five bytes, magic and schema id, for no value at all."""
    value = catalog.write(RiderApproved(), lambda subject, field, plain: plain)
    assert len(value) > 5
    assert catalog.read(value, None) == RiderApproved()
