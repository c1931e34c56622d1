"""From where on what fixes tell of a rider is an anomaly."""

from typing import Annotated

import msgspec

from schemas.message import Input

Minutes = Annotated[int, msgspec.Meta(ge=1, le=1_440)]
Mps2 = Annotated[float, msgspec.Meta(gt=0, le=12)]


class AnomalyRules(Input, frozen=True, kw_only=True):
    """What lies beyond is told. A change holds for what is received from then on."""

    speeding_mps: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 36
    speeding_seconds: Annotated[int, msgspec.Meta(ge=0, le=600)] = 10
    """So long at least it is faster than that."""
    hard_braking_mps2: Mps2 = 4.0
    hard_acceleration_mps2: Mps2 = 3.5
    idling_minutes: Minutes = 10
    """With stops ahead and none of them near."""
    prolonged_stop_minutes: Minutes = 30
    """With stops ahead, wherever it is."""
    stray_fixes: Annotated[int, msgspec.Meta(ge=2, le=10)] = 3
    """So many fixes within ten minutes that are put aside as `gps_jump` or `suspected_spoof`."""
    route_deviation_m: Annotated[int, msgspec.Meta(ge=100, le=100_000)] = 500
    late_departure_minutes: Minutes = 15
    most_an_hour: Annotated[int, msgspec.Meta(ge=0, le=60)] = 6
    """Of one rider and kind; what comes besides is not told."""
