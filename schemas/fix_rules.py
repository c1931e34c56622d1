"""By which a tenant's fixes are believed."""

from typing import Annotated, Literal, get_args

import msgspec

from schemas.message import Input

Reason = Literal[
    "invalid",
    "zero",
    "unbound",
    "suspected_spoof",
    "future",
    "outdated",
    "inaccurate",
    "duplicate",
    "gps_jump",
]
"""Why a fix is put aside. Of several the first in this order is told."""
REASONS: tuple[Reason, ...] = get_args(Reason)


class FixRules(Input, frozen=True, kw_only=True):
    """What lies beyond is put aside with its reason. A change holds for what is received from then on."""

    max_accuracy_m: Annotated[int, msgspec.Meta(ge=1, le=254)] = 200
    """`inaccurate`; 254 is without a bound, since frames tell no more than that. What does not say is believed."""
    max_speed_mps: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 70
    """`gps_jump`: nobody comes faster than this from where the device was last."""
    max_future_seconds: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 60
    """`future`: so far ahead of its arrival a fix may claim to be, since clocks differ."""
    max_age_seconds: Annotated[int, msgspec.Meta(ge=60, le=30 * 86_400)] = 7 * 86_400
    """`outdated`: as long as gateways know who held a device."""
