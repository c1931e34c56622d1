"""Route: asked for, and then known or not."""

from typing import Literal, assert_never

import msgspec
from msgspec.structs import replace

from commands.context import Context
from commands.life import NEW, Life, to
from schemas.ids import contact_subject
from schemas.message import NotInThisState, Personal, Refused, SubjectId
from schemas.route import (
    ROUTE_ANSWERED,
    ConfirmRouteRequested,
    LegOfRoute,
    RecordRoute,
    RecordRouteFailure,
    RequestRoute,
    RouteCommand,
    RouteComputed,
    RouteEvent,
    RouteFailed,
    RouteRequested,
)

type RouteStatus = Literal["requested", "computed", "failed"]


class RouteAnswered(Refused):
    rule = ROUTE_ANSWERED

    def __init__(self, status: str) -> None:
        super().__init__(f"the route is {status}: nobody waits for it")
        self.status = status


class Unrequested(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    pass


class RequestedRoute(msgspec.Struct, frozen=True, kw_only=True, tag=True, array_like=True, gc=False):
    """`subject` is whose places they are."""

    subject: SubjectId
    status: RouteStatus = "requested"


type Route = Unrequested | RequestedRoute


def status_of(route: Route) -> str:
    return NEW if isinstance(route, Unrequested) else route.status


def is_over(route: Route) -> bool:
    return isinstance(route, RequestedRoute) and route.status != "requested"


LIFE = Life(
    status_of,
    {
        RouteRequested: to("requested", NEW),
        RouteComputed: to("computed", "requested"),
        RouteFailed: to("failed", "requested"),
    },
    {},
)


def decide(route: Route, command: RouteCommand, context: Context) -> list[RouteEvent]:
    match command:
        case RequestRoute():
            return request(route, command, context)
        case ConfirmRouteRequested():
            known = requested(route)
            if known.status != "requested":
                raise RouteAnswered(known.status)
            return []
        case RecordRoute():
            known = requested(route)
            return [computed(known, command)] if known.status == "requested" else []
        case RecordRouteFailure():
            known = requested(route)
            return [RouteFailed(reason_code=command.reason_code)] if known.status == "requested" else []
        case _:
            assert_never(command)


def request(route: Route, command: RequestRoute, context: Context) -> list[RouteEvent]:
    if not isinstance(route, Unrequested):
        raise NotInThisState(needed="new", actual=route.status)
    subject = contact_subject(context.tenant, command.contact or context.aggregate_id)
    return [
        RouteRequested(
            waypoints=[Personal(subject, place) for place in command.waypoints],
            external_reference=command.external_reference,
            source=command.source or context.actor,
            metadata=command.metadata,
        )
    ]


def computed(route: RequestedRoute, command: RecordRoute) -> RouteComputed:
    return RouteComputed(
        distance_m=sum(leg.distance_m for leg in command.legs),
        duration_s=sum(leg.duration_s for leg in command.legs),
        legs=[LegOfRoute(distance_m=leg.distance_m, duration_s=leg.duration_s) for leg in command.legs],
        geometry=Personal(route.subject, command.geometry),
        provider=command.provider,
    )


def requested(route: Route) -> RequestedRoute:
    if isinstance(route, Unrequested):
        raise NotInThisState(needed="requested", actual="new")
    return route


def evolve(route: Route, event: RouteEvent) -> Route:
    if isinstance(event, RouteRequested):
        return RequestedRoute(subject=event.waypoints[0].subject)
    route = requested(route)
    match event:
        case RouteComputed():
            return replace(route, status="computed")
        case RouteFailed():
            return replace(route, status="failed")
        case _:
            assert_never(event)
