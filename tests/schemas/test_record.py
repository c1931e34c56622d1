"""Records as others may have written them."""

from datetime import UTC, datetime

import pytest

from schemas.message import OutletSlug, TenantSlug
from schemas.record import UNHASHED, Envelope, Stored, Unreadable, envelope_of
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


@pytest.mark.parametrize("outlet", [None, "kamppi"])
@pytest.mark.parametrize("cause", [None, "b"])
@pytest.mark.parametrize("trace", [None, "00-1-2-01"])
@pytest.mark.parametrize("device", [(None, None), ("phone-7", None), (None, 0), ("phone-7", 17)])
def test_an_envelope_tells_its_headers_in_the_order_in_which_they_are_hashed(
    outlet: str | None, cause: str | None, trace: str | None, device: tuple[str | None, int | None]
):
    """A shard hashes them as they come."""
    at = datetime(2026, 3, 1, tzinfo=UTC)
    envelope = Envelope(
        event_id="e",
        type=CREATED.decode(),
        source="/logistics/c/shard/0",
        event_time=at,
        recorded_at=at,
        aggregate_id="a",
        tenant=TenantSlug("acme"),
        outlet=None if outlet is None else OutletSlug(outlet),
        version=1,
        command_id="c",
        request_hash="h",
        command_index=0,
        command_size=1,
        policy_position="p",
        actor="shop",
        correlation_id="c",
        causation_id=cause,
        traceparent=trace,
        epoch=3,
        device_id=device[0],
        device_sequence=device[1],
    )
    headers = envelope.headers()
    hashed = [name for name, _ in headers if name not in UNHASHED]
    assert hashed == sorted(hashed)
    assert envelope_of(Stored(TASK.name, 0, 7, b"a", b"value", headers)) == envelope
