"""What forecasts of arrivals go by, as it is told on `logistics.eta-models`: of each key the latest counts."""

from datetime import datetime

from schemas.message import Event, Record

FOREST_KEY, ERRORS_KEY = b"forest", b"errors"


class EtaForestGrown(Event, frozen=True, kw_only=True):
    """Two forests over `columns` (streams/eta/trees.py): how many times longer than the router says, as a logarithm;
    and how far the first errs, where that is known."""

    forest: str
    """Its name."""
    columns: list[str]
    middle: bytes
    spread: bytes | None
    journeys: int
    """That it was grown from."""
    until: datetime
    """The latest of their arrivals."""


class Pace(Record, frozen=True, kw_only=True):
    """How much longer (a logarithm) it takes than the forest tells. Empty: whatever it is."""

    tenant: str
    vehicle: str = ""
    longer: float


class ServiceTime(Record, frozen=True, kw_only=True):
    """How many times as long riders stay at stops of this kind as was planned, waiting for goods or people included."""

    tenant: str
    kind: str
    times: float
    stops: int


class EtaErrorsMet(Event, frozen=True, kw_only=True):
    """The latest errors of `forest`: their quantiles (1 in 10, 1 in 2, 9 in 10, in spreads) for each of `lengths` of
    the way (log seconds). Without a forest there are none of these: factors stand in."""

    version: str
    """Told with each forecast that is made by it."""
    forest: str | None
    lengths: list[float]
    quantiles: list[list[float]]
    paces: list[Pace]
    service_times: list[ServiceTime]
    until: datetime


type EtaModelEvent = EtaForestGrown | EtaErrorsMet
