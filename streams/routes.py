"""A route that is asked for is computed by those whom the tenant asks.

| fact           | command                       | then                                                | refused → |
|----------------|-------------------------------|-----------------------------------------------------|-----------|
| RouteRequested | ConfirmRouteRequested (Route) | they are asked; RecordRoute or RecordRouteFailure   | nothing   |

No great circle stands in: who asks for a way wants one that can be driven, or is told that there is none.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

import msgspec

from schemas.geo import Location
from schemas.message import Command, Source, TenantSlug
from schemas.provider_config import ProviderName
from schemas.route import (
    LONGEST_GEOMETRY,
    ConfirmRouteRequested,
    RecordRoute,
    RecordRouteFailure,
    RouteLeg,
    RouteRequested,
    WhyNoRoute,
)
from streams.process import NotAllowed, Rule, Send, Step
from streams.routing.polyline import encoded
from streams.telemetry.eta import Way

DIGITS = 5


class NoRoute(Exception):
    def __init__(self, why: WhyNoRoute) -> None:
        super().__init__(why)
        self.why: WhyNoRoute = why


class Routed(msgspec.Struct, frozen=True):
    way: Way
    provider: ProviderName


class Routes(Protocol):
    async def route(self, tenant: TenantSlug, places: Sequence[Location]) -> Routed:
        """The way through all places in their order. Raises NoRoute."""
        ...


def routes(send: Send, ways: Routes) -> tuple[Rule, ...]:
    async def compute(event: RouteRequested, source: Source) -> Sequence[Step]:
        if isinstance(await send(step(source, ConfirmRouteRequested(), "asked"), source, source.tenant), NotAllowed):
            return []
        return [step(source, await answer(event, source.tenant, ways), "answer")]

    return (Rule(RouteRequested, compute),)


async def answer(event: RouteRequested, tenant: TenantSlug, ways: Routes) -> RecordRoute | RecordRouteFailure:
    places = [place.value for place in event.waypoints if place.value is not None]
    if len(places) < len(event.waypoints):
        return RecordRouteFailure(reason_code="person_forgotten")
    try:
        routed = await ways.route(tenant, places)
    except NoRoute as none:
        return RecordRouteFailure(reason_code=none.why)
    return RecordRoute(legs=legs_of(routed.way), geometry=line_of(routed.way), provider=routed.provider)


def legs_of(way: Way) -> list[RouteLeg]:
    """Rounded up to each place, so that they add up to the whole."""
    at = [(round(float(way.metres[stop])), round(float(way.seconds[stop]))) for stop in (0, *way.stops)]
    return [RouteLeg(distance_m=b[0] - a[0], duration_s=b[1] - a[1]) for a, b in pairwise(at)]


def line_of(way: Way) -> str:
    """Every other point is left out until it is short enough; the last one stays."""
    points = list(zip(way.lat.tolist(), way.lon.tolist(), strict=True))
    line = encoded(points, DIGITS)
    while len(line) > LONGEST_GEOMETRY:
        points = [*points[:-1:2], points[-1]]
        line = encoded(points, DIGITS)
    return line


def step(source: Source, command: Command, purpose: str) -> Step:
    return Step(kind="route", aggregate_id=source.aggregate_id, command=command, purpose=purpose)
