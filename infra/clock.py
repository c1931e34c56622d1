"""What time it is for live tenants."""

from datetime import UTC, datetime


def real_time() -> datetime:
    return datetime.now(UTC)
