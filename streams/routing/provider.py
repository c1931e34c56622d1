"""What a provider of ways can do, whoever it is. Each says by `can` what it does of it."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from schemas.geo import Location
from schemas.provider_config import CAN, Capability, ProviderName
from streams.routing import matching
from streams.routing.tiling import Grids, Limits, tiled, tiles
from streams.routing.wire import Credentials, Wire
from streams.telemetry.eta import Way
from streams.telemetry.recorded import Point


class CannotDo(NotImplementedError):
    """Nobody asks it for that: `can` says so."""


class Cost(msgspec.Struct, frozen=True):
    """What a question counts for: pairs of a matrix are elements each, any other request is one."""

    requests: int
    elements: int


ONE = Cost(1, 1)


class Candidate(msgspec.Struct, frozen=True):
    """Where an address may be. `confidence` from 0 to 1: 0.95 and more is the house, about 0.5 the street."""

    place: Location
    label: str
    confidence: float


class Provider:
    """All that are asked raise RouterSaysNo where there is no way or the place is unknown, QuotaUsedUp, NotAdmitted,
    httpx.HTTPError, and ValueError or the like where the answer is none. How long they wait is their asker's matter."""

    name: ProviderName
    credentials: Credentials | None = None
    keeps = True
    """Whether its terms let its answers be kept for a while."""
    most_places = 25
    """Of one way."""

    def __init__(self, wire: Wire, at: str) -> None:
        self.wire = wire
        self.at = at
        """What it is called in metrics and answers: a host and port, or its name."""

    @property
    def can(self) -> frozenset[Capability]:
        return CAN[self.name]

    @property
    def limits(self) -> Limits:
        """Of one request for a matrix."""
        return Limits()

    def ready(self) -> None:
        """Raises SecretMissing."""
        self.wire.has(self.credentials)

    def cost(self, origins: int, goals: int) -> Cost:
        return Cost(len(tiles(origins, goals, self.limits)), origins * goals)

    def heeds(self, departing: datetime | None) -> datetime | None:
        """The departure that its travel times go by; None where they are of no time in particular."""
        return None

    async def matrix(
        self, origins: Sequence[Location], goals: Sequence[Location], departing: datetime | None = None
    ) -> Grids:
        """Seconds and metres, not a number for a pair without a way."""
        return await tiled(origins, goals, self.limits, lambda rows, columns: self.tile(rows, columns, departing))

    async def tile(self, origins: Sequence[Location], goals: Sequence[Location], departing: datetime | None) -> Grids:
        raise CannotDo

    async def route(self, places: Sequence[Location]) -> Way:
        raise CannotDo

    async def match(self, trace: Sequence[Point]) -> matching.Answer:
        """At most `matching.MOST_TOGETHER` fixes."""
        raise CannotDo

    async def geocode(self, text: str) -> list[Candidate]:
        """The likeliest first; none where nothing is like it."""
        raise CannotDo
