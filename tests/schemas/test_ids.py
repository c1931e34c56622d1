"""Derived ids are RFC 9562's UUIDs of version 5."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid5

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from schemas.ids import NAMESPACE, derived
from schemas.record import stamp


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5))
def test_a_derived_id_is_the_uuid5_of_its_parts_as_json(parts: list[str]):
    made = derived(*parts)
    assert made == str(uuid5(NAMESPACE, msgspec.json.encode(tuple(parts)).decode()))
    assert UUID(made).version == 5


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=2))])))
def test_a_stamp_is_utc_with_microseconds(at: datetime):
    assert stamp(at).decode() == at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f").rjust(26, "0") + "Z"
    assert datetime.fromisoformat(stamp(at).decode()) == at
