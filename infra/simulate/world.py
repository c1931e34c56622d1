"""What a simulated day is made of: orders, and the riders who are there for them."""

from typing import Annotated

import msgspec

from schemas.geo import Location
from schemas.load import Load
from schemas.rider_vehicle import VehicleKind

LONGEST_S = 86_400 * 7
"""Of a day, from the first thing that happens to the last."""

Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Times are Unix seconds."""

    id: str
    created_s: float
    ready_s: float
    pickup: Location
    dropoff: Location
    opens_s: float | None = None
    """The window at the door; it may end without having a beginning."""
    closes_s: float | None = None
    load: Load = Load()
    pickup_service_s: int = 60
    dropoff_service_s: int = 60
    skills: tuple[str, ...] = ()


class SimulatedRider(msgspec.Struct, frozen=True, kw_only=True):
    """Times are Unix seconds. What is None goes by the policy."""

    id: str
    start: Location
    from_s: float
    until_s: float
    vehicle: VehicleKind = "car"
    capacity_g: int = 30_000
    skills: tuple[str, ...] = ()
    rating: float | None = None
    accepts: float | None = None
    break_from_s: float | None = None
    """Once they have nothing to do after that; nothing new is given to them before."""
    break_s: float = 0.0


class Day(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    orders: list[Order]
    riders: list[SimulatedRider]
