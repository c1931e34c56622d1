"""Routing providers' secrets, by reference: read when they are asked for, so that a new one holds at once.

A tenant's operator names them, and could name any of ours: only those that the settings list are read.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from streams.routing.wire import SecretMissing

LONGEST = 4_096


class ProviderSecrets:
    """`allowed` are references with commas; one of a file that ends with a slash is for all in that folder."""

    def __init__(self, allowed: str, environment: Mapping[str, str] = os.environ) -> None:
        self._allowed = [each for each in allowed.split(",") if each]
        self._environment = environment

    def __call__(self, reference: str) -> str:
        """Raises SecretMissing."""
        if not any(allows(each, reference) for each in self._allowed):
            raise SecretMissing(reference, "LOGISTICS_PROVIDER_SECRETS does not name it")
        kind, _, place = reference.partition(":")
        secret = self._environment.get(place, "") if kind == "env" else read(reference, Path(place))
        if not secret:
            raise SecretMissing(reference, "is not set")
        if len(secret) > LONGEST or not secret.isascii() or not secret.isprintable() or " " in secret:
            raise SecretMissing(reference, "is no secret of one word")
        return secret


def allows(allowed: str, reference: str) -> bool:
    if not allowed.endswith("/"):
        return reference == allowed
    return reference.startswith(allowed) and os.path.normpath(reference[len("file:") :]) == reference[len("file:") :]


def read(reference: str, path: Path) -> str:
    """Raises SecretMissing."""
    try:
        with path.open("rb") as file:
            return file.read(LONGEST + 2).decode("ascii").strip()
    except (OSError, ValueError) as failed:
        raise SecretMissing(reference, f"cannot be read: {type(failed).__name__}") from None
