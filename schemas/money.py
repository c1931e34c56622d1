"""Money: whole minor units of a currency."""

from typing import Annotated

import msgspec

from schemas.message import Input

MAX_MINOR = 10**12

Currency = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$")]
"""ISO 4217, such as `EUR`."""


class Money(Input, frozen=True, kw_only=True):
    """`amount_minor` counts the currency's smallest units: 1250 of `EUR` are 12.50 euros."""

    amount_minor: Annotated[int, msgspec.Meta(ge=0, le=MAX_MINOR)]
    currency: Currency
