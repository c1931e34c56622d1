"""A policy: by which rules and which engine a simulated day is dispatched, and how its riders answer."""

from pathlib import Path
from typing import Literal

import msgspec

from infra.settings import WrongSetting
from infra.simulate.world import Probability
from schemas.batch_rules import BatchRules
from schemas.directory import TenantRules
from schemas.message import Input
from schemas.rule_numbers import Seconds

MOST_BYTES = 1_000_000


class Policy(Input, frozen=True, kw_only=True):
    engine: Literal["instant", "batch"] = "instant"
    rules: TenantRules = TenantRules()
    """As `GET /v1/{tenant}/tenant` shows them."""
    batch: BatchRules = BatchRules()
    accepts: Probability = 1.0
    """Offers that a rider takes, where the rider's own line does not say."""
    ignores: Probability = 0.0
    """Of those that are not taken, the ones that nobody answers: they expire."""
    answer_seconds: Seconds = 10
    """Until a rider answers."""


def policy_in(file: Path) -> Policy:
    """Raises WrongSetting, with the place in the file."""
    try:
        if file.stat().st_size > MOST_BYTES:
            raise WrongSetting(f"{file}: more than {MOST_BYTES:,} bytes are no policy")
        return msgspec.json.decode(file.read_bytes(), type=Policy)
    except OSError as unread:
        raise WrongSetting(f"{file} cannot be read: {unread.strerror}") from unread
    except msgspec.DecodeError as malformed:
        raise WrongSetting(f"{file}: {malformed}") from malformed
