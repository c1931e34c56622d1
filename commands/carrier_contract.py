"""A carrier as decisions about others see it: whether it can be booked, and by which service levels."""

from typing import Literal, assert_never

import msgspec
from msgspec.structs import replace

from commands.registries import UnknownCode
from schemas.carrier import (
    CarrierActivated,
    CarrierContractEnded,
    CarrierDetailsChanged,
    CarrierEvent,
    CarrierRegistered,
    CarrierReinstated,
    CarrierSuspended,
    CarrierTermsChanged,
    ServiceLevel,
)
from schemas.message import NotInDirectory

type ContractStatus = Literal["registered", "active", "suspended"]


class UnknownCarrier(NotInDirectory):
    rule = "unknown-carrier"

    def __init__(self, carrier_id: str) -> None:
        super().__init__(f"the tenant has no contract with a carrier {carrier_id}")
        self.carrier_id = carrier_id


class CarrierNotActive(NotInDirectory):
    """It may have become so a moment ago."""

    rule = "carrier-not-active"

    def __init__(self, carrier_id: str, status: ContractStatus) -> None:
        super().__init__(f"carrier {carrier_id} cannot be booked: it is {status}")
        self.carrier_id = carrier_id
        self.status = status


class UnknownServiceLevel(UnknownCode):
    rule = "unknown-service-level"
    what = "service level"


class CarrierView(msgspec.Struct, frozen=True):
    """Of one whose contract has not ended."""

    status: ContractStatus
    service_levels: tuple[ServiceLevel, ...]

    def service_level(self, code: str) -> ServiceLevel:
        """Raises UnknownServiceLevel."""
        for level in self.service_levels:
            if level.code == code:
                return level
        raise UnknownServiceLevel(code, [level.code for level in self.service_levels])


def view_after(carrier: CarrierView | None, event: CarrierEvent) -> CarrierView | None:
    """None once the contract has ended."""
    if isinstance(event, CarrierRegistered):
        return CarrierView("registered", tuple(event.terms.service_levels))
    assert carrier is not None, "a carrier's first event registers it, and after the end there is none"
    match event:
        case CarrierDetailsChanged():
            return carrier
        case CarrierTermsChanged():
            return replace(carrier, service_levels=tuple(event.terms.service_levels))
        case CarrierActivated() | CarrierReinstated():
            return replace(carrier, status="active")
        case CarrierSuspended():
            return replace(carrier, status="suspended")
        case CarrierContractEnded():
            return None
        case _:
            assert_never(event)
