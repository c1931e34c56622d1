"""Route: the way through some places, asked for once, and told once it is known."""

from typing import Annotated, Literal

import msgspec

from schemas.geo import Location
from schemas.message import (
    Command,
    Event,
    ExternalReference,
    Input,
    Metadata,
    Personal,
    Record,
    Reference,
    ReferenceSource,
)
from schemas.provider_config import ProviderName

MOST_WAYPOINTS = 25
LONGEST_GEOMETRY = 100_000
"""Characters; of a longer line points are left out."""
ROUTE_ANSWERED = "route-answered"

WhyNoRoute = Literal["no_way", "nobody_answers", "person_forgotten"]
Waypoints = Annotated[list[Location], msgspec.Meta(min_length=2, max_length=MOST_WAYPOINTS)]
Whole = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class RequestRoute(Command, frozen=True, kw_only=True):
    """The way through these places, by those whom the tenant asks. It is answered at once with the route's id, and told
    as `RouteComputed` or `RouteFailed` in the event feed once it is known: nobody has to ask for it again. `contact` is
    the caller's own name for whose places they are, so that one erasure reaches them."""

    waypoints: Waypoints
    contact: Reference | None = None
    external_reference: ExternalReference = None
    source: ReferenceSource = None
    metadata: Metadata = {}


class RouteLeg(Input, frozen=True, kw_only=True):
    """From one place to the next."""

    distance_m: Whole
    duration_s: Whole


class ConfirmRouteRequested(Command, frozen=True, kw_only=True):
    """Changes nothing. Refused once it was answered: asking may cost money."""


class RecordRoute(Command, frozen=True, kw_only=True):
    """Sent when somebody has told the way."""

    legs: Annotated[list[RouteLeg], msgspec.Meta(min_length=1, max_length=MOST_WAYPOINTS)]
    geometry: Annotated[str, msgspec.Meta(max_length=LONGEST_GEOMETRY)]
    provider: ProviderName


class RecordRouteFailure(Command, frozen=True, kw_only=True):
    """Sent when nobody could tell it."""

    reason_code: WhyNoRoute


type RouteCommand = RequestRoute | ConfirmRouteRequested | RecordRoute | RecordRouteFailure


class LegOfRoute(Record, frozen=True, kw_only=True):
    distance_m: int
    duration_s: int


class RouteRequested(Event, frozen=True, kw_only=True):
    waypoints: list[Personal[Location]]
    external_reference: str | None
    source: str
    metadata: dict[str, str]


class RouteComputed(Event, frozen=True, kw_only=True):
    """`geometry` is a line of Google's polyline format with five decimals; metres and seconds of driving."""

    distance_m: int
    duration_s: int
    legs: list[LegOfRoute]
    geometry: Personal[str]
    provider: str


class RouteFailed(Event, frozen=True, kw_only=True):
    reason_code: WhyNoRoute


type RouteEvent = RouteRequested | RouteComputed | RouteFailed
