"""How tasks are given to riders together: once in a while all that wait, instead of each as it comes."""

from typing import Annotated

import msgspec

from schemas.message import Input
from schemas.rule_numbers import Seconds, Weight

MAX_BUNDLE = 5


class BatchRules(Input, frozen=True, kw_only=True):
    window_seconds: Annotated[int, msgspec.Meta(ge=1, le=3_600)] = 30
    """From one window to the next: so long a task waits at most before it is decided on."""
    max_bundle: Annotated[int, msgspec.Meta(ge=1, le=MAX_BUNDLE)] = 3
    """So many tasks at most are given to one rider at once; 1: no bundles."""
    bundle_pickups_seconds: Seconds = 300
    """Of driving, at most, between the first stops of what goes together."""
    bundle_ready_seconds: Seconds = 900
    """At most, between when the first windows of what goes together open."""
    left_out: Weight = 7_200.0
    """What a task that is left out counts for beside the scores of those that are given: dearer than this it waits."""
    left_out_per_second: Weight = 1.0
    """More, for each second that it has waited."""
