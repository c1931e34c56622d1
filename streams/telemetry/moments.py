"""Moments as the stream reckons with them: Unix milliseconds, as in frames; and microseconds where those are told."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def unix_ms(at: datetime) -> int:
    """Milliseconds."""
    return round(at.timestamp() * 1000)


def unix_us(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)
