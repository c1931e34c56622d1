"""Hours of service: which limits there are to a rider's duty, and which of them binds."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from schemas.message import Input, Record

HoursRules = Literal["none", "eu_561", "us_property", "custom"]
HoursRule = Literal[
    "shift_duty",
    "shift_span",
    "day_duty",
    "week_duty",
    "fortnight_duty",
    "break_due",
]
Minutes = Annotated[int, msgspec.Meta(ge=1, le=14 * 24 * 60)]


class HoursLimits(Input, frozen=True, kw_only=True):
    """What is None is not limited. A shift, here, is what lies between two rests, however often it was interrupted."""

    shift_duty_minutes: Minutes | None = None
    """On duty between two rests."""
    shift_span_minutes: Minutes | None = None
    """From the beginning of duty after a rest, breaks included."""
    day_duty_minutes: Minutes | None = None
    """In any 24 hours."""
    week_duty_minutes: Minutes | None = None
    """In any 7 days."""
    fortnight_duty_minutes: Minutes | None = None
    """In any 14 days."""
    duty_before_break_minutes: Minutes | None = None
    break_minutes: Minutes = 30
    """Off duty for so long is a break."""
    rest_minutes: Annotated[int, msgspec.Meta(ge=60, le=7 * 24 * 60)] = 660
    """Off duty for so long is a rest; without it no shift starts."""


class HoursLimit(Record, frozen=True, kw_only=True):
    """Where duty that goes on without a break comes to its end: by which rule, and when that is told beforehand."""

    rule: HoursRule
    reached_at: datetime
    warn_at: datetime
