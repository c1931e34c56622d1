"""Simulation: what a simulated courier is to do with a task of a test tenant."""

from hashlib import sha256
from typing import Annotated, Literal

import msgspec

from schemas.message import Input

SimulatedOutcome = Literal[
    "delivered", "customer_unavailable", "refused", "wrong_pin", "late", "damaged", "lost", "no_taker"
]
STEP_S = 60
LATE_S = 1_800

PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b55"
    "0000000a4944415478da6368000000820081da45083b0000000049454e44ae426082"
)
"""A grey dot: what a simulated courier photographs, and what a recipient signs. Nobody has put it; it is there."""
PICTURE_SHA256 = sha256(PICTURE).hexdigest()


class Simulation(Input, frozen=True, kw_only=True):
    """What becomes of the task, by the steps of its courier: on the way, there, handed over. Each takes `step_seconds`
    by the tenant's clock. Who is late arrives `late_seconds` after the window of a dropoff, or than they would have."""

    outcome: SimulatedOutcome = "delivered"
    step_seconds: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = STEP_S
    late_seconds: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = LATE_S
