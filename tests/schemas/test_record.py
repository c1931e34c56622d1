"""Records as others may have written them."""

import pytest

from schemas.record import Stored, Unreadable, envelope_of
from schemas.topics import TASK

CREATED = b"logistics.task.TaskCreated"


def stored(**headers: bytes) -> Stored:
    return Stored(TASK.name, 0, 7, b"key", b"value", list(headers.items()))


def test_a_header_that_is_no_text_makes_a_record_unreadable_and_nothing_else():
    record = stored(ce_type=CREATED, tenant=b"\xff\xfe")
    assert record.header("ce_type") == CREATED.decode()
    with pytest.raises(Unreadable, match=r"logistics.task/0@7: a header is malformed"):
        envelope_of(record)


def test_a_type_that_is_no_text_is_no_type_of_ours():
    assert stored(ce_type=b"\xff").header("ce_type") == "\N{REPLACEMENT CHARACTER}"


def test_a_header_that_is_missing_is_named():
    with pytest.raises(Unreadable, match="header ce_id is missing"):
        envelope_of(stored(ce_type=CREATED))
