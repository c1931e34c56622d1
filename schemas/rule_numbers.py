"""The numbers that rules of dispatch are made of."""

from typing import Annotated

import msgspec

MAX_RATING = 5.0

Seconds = Annotated[int, msgspec.Meta(ge=0, le=86_400)]
Weight = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
Minor = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
"""Cents and the like."""
Rating = Annotated[float, msgspec.Meta(ge=1, le=MAX_RATING)]
