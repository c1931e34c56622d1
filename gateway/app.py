"""The door: which path leads where."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route, WebSocketRoute

from gateway import (
    callbacks,
    carrier_callbacks,
    dispatch_dry_runs,
    docs_page,
    fixes_socket,
    geocoding,
    health,
    problems,
    registry,
)
from gateway.artefacts import Artefacts
from gateway.batch import Batch
from gateway.call import Call
from gateway.commands import OPEN, TENANT, Commands
from gateway.console_page import Console
from gateway.device_links import DeviceLinks
from gateway.door import Door
from gateway.edge import Answering, Branch, Edge, Endpoint, as_problem
from gateway.elsewhere import elsewhere
from gateway.entry import Entry
from gateway.feed import WITH_HISTORY, Feed
from gateway.fixes import FixIngest
from gateway.fixes_socket import FixSocket
from gateway.mileage import Mileage
from gateway.offers import socket as offers_socket
from gateway.offers.following import Following
from gateway.offers.socket import OfferSocket
from gateway.offers.telling import Telling
from gateway.positions import Positions
from gateway.queries import LISTINGS, SINGLES, Queries
from gateway.reading import Reading
from gateway.reply import Reply
from gateway.task_secrets import SECRETS, SecretsRead
from gateway.timelines import Timelines
from gateway.trackers import Trackers
from gateway.tracking import PublicTracking
from gateway.tracking_links import PAGE as TRACK_PAGE
from gateway.tracking_links import WORD
from gateway.tracking_page import TrackingPage
from gateway.trip_export import Trips
from gateway.uplinks import Uplinks
from gateway.why.read import WhyRead

BATCH = "/v1/{tenant}/commands:batch"
ARTEFACT = "/v1/{tenant}/artefacts/{id}"
TRACKING = "/v1/tracking/{token}"

type Paths = dict[str, dict[str, Endpoint]]
"""Path template → method → endpoint."""

ON_ONE = re.compile(r"/v1/\{tenant\}/([a-z-]+)/\{id\}/([a-z-]+)")
ON_ALL = re.compile(r"/v1/\{tenant\}/([a-z:-]+)")
OF_ONE = re.compile(r"/v1/\{tenant\}/([a-z-]+)/\{id\}")


class TrackingWord(Convertor[str]):
    """Of a path that a tenant named `tracking` has none like: what is no word of ours is that tenant's."""

    regex = WORD

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("tracking", TrackingWord())


def app(door: Door) -> Starlette:
    """While it runs (ASGI's lifespan) one connection of the pool listens for the read models' progress."""
    entry = Entry(door)
    positions = Positions(door.pool, door.limits)
    reading = Reading(door, positions)
    fixes, artefacts, uplinks = FixIngest(door, entry), Artefacts(door, entry), Uplinks(door.pool)
    following = Following(reading, positions, door.partitions)
    offers = OfferSocket(door, entry, following, Telling(door, reading, positions, following))
    timelines, batch = Timelines(door, entry, reading), Batch(door, entry)
    paths = merged(
        command_paths(Commands(door, entry, timelines)),
        query_paths(Queries(door, entry, reading)),
        feed_paths(Feed(door, entry, reading, positions)),
        timeline_paths(timelines),
        trip_paths(Trips(door, entry, reading)),
        {"/v1/{tenant}/tasks/{id}/why": get(WhyRead(entry, reading).of_task)},
        {"/v1/{tenant}/mileage": get(Mileage(door, entry, reading).page)},
        {SECRETS: get(SecretsRead(door, entry, reading).of_task)},
        {BATCH: {"POST": batch.post}},
        {geocoding.ROUTE: {"POST": geocoding.Geocoding(door, entry, reading).post}},
        {dispatch_dry_runs.ROUTE: {"POST": dispatch_dry_runs.DispatchDryRuns(door, entry, reading).post}},
        fix_paths(fixes, Trackers(door, entry, fixes), DeviceLinks(door, entry)),
        {ARTEFACT: {"PUT": artefacts.put, "GET": artefacts.get}},
        {f"{ARTEFACT}/links": {"POST": artefacts.link}},
        service_paths(health.Readiness(door)),
        registry.paths(door.registry),
        console_paths(Console(door, entry)),
        tracking_paths(door, PublicTracking(door, entry, reading, positions)),
        {callbacks.ROUTE: {"POST": callbacks.Callbacks(door).auth}},
        {carrier_callbacks.ROUTE: {"POST": carrier_callbacks.CarrierCallbacks(door).post}},
    )
    served = {f"{method} {path}" for path, endpoints in paths.items() for method in endpoints}
    starlette = Starlette(
        routes=[
            WebSocketRoute(fixes_socket.ROUTE, FixSocket(door, entry, fixes, uplinks)),
            WebSocketRoute(offers_socket.ROUTE, offers),
            *routes_of(paths, door),
        ],
        middleware=[Middleware(Edge)],
        exception_handlers={HTTPException: as_problem},
        lifespan=listening(positions, uplinks, following),
    )
    starlette.router.redirect_slashes = False
    starlette.state.served = served | {f"WebSocket {each.ROUTE}" for each in (fixes_socket, offers_socket)}
    batch.app = starlette
    return starlette


def listening(
    positions: Positions, uplinks: Uplinks, following: Following
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        running = [asyncio.create_task(work) for work in (positions.run(), uplinks.run(), following.run())]
        yield
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    return lifespan


def command_paths(commands: Commands) -> Paths:
    paths: Paths = {TENANT.route: {"POST": commands.create_tenant}}
    for known in OPEN:
        if known is not TENANT:
            handle: Any = commands.create if known.creating else commands.change
            paths.setdefault(known.route, {})["POST"] = partial(handle, open_command=known)
    return paths


def fix_paths(fixes: FixIngest, trackers: Trackers, links: DeviceLinks) -> Paths:
    return {
        "/v1/{tenant}/fixes": {"POST": fixes.post},
        "/v1/{tenant}/fixes/frames": {"POST": fixes.frame},
        "/v1/{tenant}/fixes/osmand": {"GET": trackers.osmand, "POST": trackers.osmand},
        "/v1/{tenant}/fixes/traccar": {"POST": trackers.traccar},
        "/v1/{tenant}/devices/{id}/links": {"POST": links.post},
    }


def query_paths(queries: Queries) -> Paths:
    return {
        **{f"/v1/{{tenant}}/{each.word}": get(queries.listing, listing=each) for each in LISTINGS},
        **{f"/v1/{{tenant}}/{each.plural}/{{id}}": get(queries.single, single=each) for each in SINGLES},
        "/v1/{tenant}/tenant": get(queries.tenant),
        "/v1/{tenant}/task-counts": get(queries.counts),
        "/v1/{tenant}/sla-statistics": get(queries.sla_statistics),
        "/v1/{tenant}/eta-statistics": get(queries.eta_statistics),
    }


def feed_paths(feed: Feed) -> Paths:
    return {
        **{f"/v1/{{tenant}}/{each}/{{id}}/history": get(feed.history, plural=each) for each in WITH_HISTORY},
        "/v1/{tenant}/events": get(feed.events),
        "/v1/{tenant}/events/stream": get(feed.stream),
        "/v1/{tenant}/stream-tickets": {"POST": feed.ticket},
    }


def timeline_paths(timelines: Timelines) -> Paths:
    return {
        "/v1/{tenant}/incidents/{id}/timeline": get(timelines.page),
        "/v1/{tenant}/incidents/{id}/seal": get(timelines.seal),
    }


def trip_paths(trips: Trips) -> Paths:
    return {"/v1/{tenant}/trips/{id}": get(trips.one), "/v1/{tenant}/trips/{id}/export": get(trips.export)}


def service_paths(readiness: health.Readiness) -> Paths:
    return {
        "/problems/{code}": get(problem_page),
        "/livez": get(health.livez),
        "/readyz": get(readiness.readyz),
        "/metrics": get(health.metrics),
        "/openapi.json": get(docs_page.openapi),
        "/docs": get(docs_page.docs),
        "/docs/assets/{file}": get(docs_page.asset),
    }


def console_paths(console: Console) -> Paths:
    return {
        "/": get(console.index),
        "/console/{file}": get(console.file),
        "/console/tiles/{z}/{x}/{y}.mvt": get(console.tile),
    }


def tracking_paths(door: Door, tracking: PublicTracking) -> Paths:
    page = TrackingPage(door, tracking)
    return {
        TRACKING: get(tracking.by_link),
        "/v1/{tenant}/tracking": get(tracking.by_code),
        TRACK_PAGE: get(page.page),
        f"{TRACK_PAGE}/tiles/{{z}}/{{x}}/{{y}}.mvt": get(page.tile),
        "/track/files/{file}": get(page.file),
    }


def get(endpoint: Any, **fixed: Any) -> dict[str, Endpoint]:
    return {"GET": partial(endpoint, **fixed)}


def merged(*all_paths: Paths) -> Paths:
    """Several may have a say about one path, each by methods of its own."""
    paths: Paths = {}
    for each in all_paths:
        for path, endpoints in each.items():
            paths[path] = paths.get(path, {}) | endpoints
    return paths


async def problem_page(call: Call) -> Reply:
    return problems.page(call.param("code"))


def routes_of(paths: Paths, door: Door) -> list[BaseRoute]:
    """Few patterns for many paths, the commands' first: Starlette tries one after the other."""
    on_one = Branch(("kind", "word"), elsewhere)
    on_all, of_one = Branch(("kind",), elsewhere), Branch(("kind",), elsewhere)
    others: list[BaseRoute] = []
    tracking = Route(
        TRACKING.replace("}", ":tracking}"),
        Answering(TRACKING, paths.pop(TRACKING), door.learn, door.hydration, elsewhere),
    )
    for path, endpoints in paths.items():
        answering = Answering(path, endpoints, door.learn, door.hydration, elsewhere)
        for shape, branch in ((ON_ONE, on_one), (ON_ALL, on_all), (OF_ONE, of_one)):
            if words := shape.fullmatch(path):
                branch.add(words.groups(), answering)
                break
        else:
            others.append(Route(path, answering))
    return [
        tracking,
        Route("/v1/{tenant}/{kind}/{id}/{word}", on_one),
        Route("/v1/{tenant}/{kind}", on_all),
        *others,
        Route("/v1/{tenant}/{kind}/{id}", of_one),
    ]
