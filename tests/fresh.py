"""Names that no other test uses."""

from uuid import uuid4


def fresh_name(prefix: str) -> str:
    return f"{prefix}-{uuid4().hex[:12]}"
