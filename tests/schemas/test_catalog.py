"""Stored types: the committed schemas are those of the code, and each can be read by others."""

import json

from schemas import catalog
from schemas.generate import generate
from schemas.rider import RiderApproved


def test_the_committed_schemas_are_those_of_the_types():
    assert {name: (catalog.AVRO / name).read_text() for name in generate()} == generate()


def test_no_two_schemas_share_an_id():
    """Two branches that each add types merge without a conflict, and give out the same ids."""
    assigned = json.loads((catalog.AVRO / "ids.json").read_text())["schemas"]
    given = [version["id"] for versions in assigned.values() for version in versions]
    assert len(given) == len(set(given))


def test_an_event_without_fields_is_a_value_for_stock_readers_too():
    """They take five bytes, magic and schema id, for no value at all."""
    value = catalog.write(RiderApproved(), lambda subject, field, plain: plain)
    assert len(value) > 5
    assert catalog.read(value, None) == RiderApproved()
