"""A carrier as decisions about others see it: whether it can be booked, and by what terms."""

from typing import Literal, assert_never

import msgspec
from msgspec.structs import replace

from commands.registries import UnknownCode
from schemas.carrier import (
    CarrierActivated,
    CarrierChannel,
    CarrierChannelSet,
    CarrierContractEnded,
    CarrierDetailsChanged,
    CarrierEvent,
    CarrierRegistered,
    CarrierReinstated,
    CarrierSuspended,
    CarrierTerms,
    CarrierTermsChanged,
    ServedArea,
    ServiceLevel,
)
from schemas.message import NotInDirectory
from schemas.money import Currency, Money

type ContractStatus = Literal["registered", "active", "suspended"]


class UnknownCarrier(NotInDirectory):
    rule = "unknown-carrier"
    stands_in = ("carrier_id",)

    def __init__(self, carrier_id: str) -> None:
        super().__init__(f"the tenant has no contract with a carrier {carrier_id}")
        self.carrier_id = carrier_id


class CarrierNotActive(NotInDirectory):
    """It may have become so a moment ago."""

    rule = "carrier-not-active"
    stands_in = ("carrier_id",)

    def __init__(self, carrier_id: str, status: ContractStatus) -> None:
        super().__init__(f"carrier {carrier_id} cannot be booked: it is {status}")
        self.carrier_id = carrier_id
        self.status = status


class UnknownServiceLevel(UnknownCode):
    rule = "unknown-service-level"
    stands_in = ("service_level",)
    what = "service level"


class CurrencyNotAgreed(NotInDirectory):
    rule = "currency-not-agreed"
    stands_in = ("currency",)

    def __init__(self, given: Currency, agreed: list[Currency]) -> None:
        super().__init__(f"the carrier's contract is in {', '.join(agreed)}, the price in {given}")
        self.given = given
        self.agreed = agreed


class CarrierView(msgspec.Struct, frozen=True):
    """Of one whose contract has not ended."""

    status: ContractStatus
    service_levels: tuple[ServiceLevel, ...]
    area: ServedArea = ServedArea()
    currencies: tuple[Currency, ...] = ()
    capabilities: tuple[str, ...] = ()
    channel: CarrierChannel | None = None

    def service_level(self, code: str) -> ServiceLevel:
        """Raises UnknownServiceLevel."""
        for level in self.service_levels:
            if level.code == code:
                return level
        raise UnknownServiceLevel(code, [level.code for level in self.service_levels])

    def price_in_currency_agreed(self, price: Money) -> Money:
        """Raises CurrencyNotAgreed."""
        if self.currencies and price.currency not in self.currencies:
            raise CurrencyNotAgreed(price.currency, list(self.currencies))
        return price

    def by(self, terms: CarrierTerms) -> "CarrierView":
        return CarrierView(
            self.status,
            tuple(terms.service_levels),
            terms.area,
            tuple(terms.currencies),
            tuple(terms.capabilities),
            self.channel,
        )


def view_after(carrier: CarrierView | None, event: CarrierEvent) -> CarrierView | None:
    """None once the contract has ended."""
    if isinstance(event, CarrierRegistered):
        return CarrierView("registered", ()).by(event.terms)
    assert carrier is not None, "a carrier's first event registers it, and after the end there is none"
    match event:
        case CarrierDetailsChanged():
            return carrier
        case CarrierTermsChanged():
            return carrier.by(event.terms)
        case CarrierChannelSet():
            return replace(carrier, channel=event.channel)
        case CarrierActivated() | CarrierReinstated():
            return replace(carrier, status="active")
        case CarrierSuspended():
            return replace(carrier, status="suspended")
        case CarrierContractEnded():
            return None
        case _:
            assert_never(event)
