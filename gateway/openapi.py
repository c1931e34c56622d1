"""The API described: OpenAPI 3.1, from the same types and tables that answer."""

from typing import Any

from gateway import callbacks, carrier_callbacks, dispatch_dry_runs, geocoding, mileage, trip_export
from gateway.commands import OPEN
from gateway.console_page import MVT
from gateway.examples.bodies import every_body
from gateway.feed import FEED_PARAMETERS, STREAM_PARAMETERS, WITH_HISTORY
from gateway.fixes import FixesAnswer, FrameAnswer
from gateway.fixes_described import ABOUT_FIXES, BY_FRAME, IN_FRAME, SEND_FIXES
from gateway.new_frame import NewFrame
from gateway.openapi_operations import (
    BY_CODE,
    BY_LINK,
    artefact_operations,
    batch_operation,
    by_link,
    callback_operation,
    carrier_callback_operation,
    command_operation,
    device_link_operation,
    dispatch_dry_run_operation,
    fixes_operation,
    free,
    geocode_operation,
    history_operation,
    link_operation,
    listing_operation,
    osmand_operations,
    read,
    ready,
    secrets_operation,
    single_operation,
    traccar_operation,
)
from gateway.openapi_parts import (
    ANSWER_HEADERS,
    HEADERS,
    OPTIONAL_KEY,
    REF,
    example_ref,
    json_content,
    optional_key,
    problem_of,
    problem_response,
    shown,
    statuses,
)
from gateway.openapi_problems import every_problem, responses_met
from gateway.openapi_schemas import components
from gateway.queries import ETA_STATISTICS, LISTINGS, SINGLES, SLA_PERIOD
from gateway.registry_described import described
from gateway.task_secrets import SECRETS
from gateway.timelines import PARAMETERS as TIMELINE_PARAMETERS
from gateway.tracking import CODE_PARAMETERS
from gateway.trip_files import FORMATS
from gateway.why import read as why_read
from schemas.fixes import FixBatch

type Json = dict[str, Any]

ABOUT = """Deliveries for many tenants: commands are decided at once and stand on the log before they are answered;
queries read what is folded from it.

A command is repeated safely with the same `Idempotency-Key`: it gets its first answer. A refusal is not remembered:
the same key may be tried again. An answer's `Logistics-Consistency`, sent with a read, makes the read see what the
command did. Personal data are shown to those who need them, otherwise as `hidden`, and as `erased` once forgotten.
Every answer to a test tenant has `Logistics-Live: false`, and its events have `live: false`.

What changes something, or sets it, says all of that anew: what its body leaves out is at its default afterwards, as in
the command that made it. `change-recurrence` alone leaves it as it is.
"""


def document() -> Json:
    schemas = components()
    return {
        "openapi": "3.1.0",
        "info": {"title": "Logistics", "version": "1", "description": ABOUT},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "paths": paths(),
        "components": {
            "schemas": schemas,
            "parameters": dict(HEADERS) | {OPTIONAL_KEY: optional_key()},
            "headers": dict(ANSWER_HEADERS),
            "examples": {body.name: shown(body) for body in every_body()}
            | {example.name: shown(example) for example in every_problem()},
            "responses": {f"Problem{status}": problem_response(status) for status in statuses()} | command_responses(),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def paths() -> Json:
    found: dict[str, Json] = {}
    for known in OPEN:
        found.setdefault(known.route, {})["post"] = command_operation(known)
    for listing in LISTINGS:
        found.setdefault(f"/v1/{{tenant}}/{listing.word}", {})["get"] = listing_operation(listing)
    for single in SINGLES:
        found[f"/v1/{{tenant}}/{single.plural}/{{id}}"] = {"get": single_operation(single)}
    for plural in WITH_HISTORY:
        found[f"/v1/{{tenant}}/{plural}/{{id}}/history"] = {"get": history_operation(plural)}
    return found | other_paths() | described()


def other_paths() -> Json:
    page = json_content({"$ref": REF.format(name="EventPage")})
    ticket = json_content({"$ref": REF.format(name="Ticket")})
    tenant = json_content({"$ref": REF.format(name="Tenant")})
    counts = json_content({"$ref": REF.format(name="TaskCounts")})
    stream = {"text/event-stream": {"schema": {"type": "string"}}}
    ok = json_content({"type": "object"})
    html = {"text/html": {"schema": {"type": "string"}}}
    return {
        "/v1/{tenant}/tenant": {
            "get": read("readTenant", "The tenant as decisions see it.", "tenant", tenant, {}, ("ETag",))
        },
        "/v1/{tenant}/task-counts": {
            "get": read(
                "countTasks",
                "How many tasks there are, by state, outcome and whether they came late.",
                "task-counts",
                counts,
                {},
                ("Consistency",),
            )
        },
        "/v1/{tenant}/sla-statistics": {
            "get": read(
                "readSlaStatistics",
                "How many promises were kept, late, at risk, by policy, promise, outlet, kind and priority.",
                "sla-statistics",
                json_content({"$ref": REF.format(name="SlaStatistics")}),
                SLA_PERIOD,
                ("Consistency",),
            )
        },
        "/v1/{tenant}/eta-statistics": {
            "get": read(
                "readEtaStatistics",
                "How far forecasts of arrivals were off, and how often their bounds held.",
                "eta-statistics",
                json_content({"$ref": REF.format(name="EtaStatistics")}),
                ETA_STATISTICS,
                ("Consistency",),
            )
        },
        "/v1/{tenant}/mileage": {
            "get": read(
                "listMileage",
                mileage.ABOUT,
                "mileage",
                json_content({"$ref": REF.format(name="MileagePage")}),
                mileage.PARAMETERS,
                ("Link", "Consistency"),
            )
        },
        "/v1/{tenant}/tasks/{id}/why": {
            "get": read(
                "readWhy",
                why_read.ABOUT,
                "why",
                json_content({"$ref": REF.format(name="Why")}),
                {},
                ("Consistency",),
                path=("id",),
                more=(404,),
            )
        },
        "/v1/{tenant}/events": {
            "get": read(
                "readEvents",
                "What has happened, from a cursor on, in the order of each aggregate.",
                "events",
                page,
                FEED_PARAMETERS,
                ("Link",),
                more=(410,),
            )
        },
        "/v1/{tenant}/events/stream": {
            "get": read(
                "streamEvents",
                "Server-sent events from `Last-Event-ID`, or `after`, or now on; comments are heartbeats.",
                "events",
                stream,
                STREAM_PARAMETERS,
                more=(410,),
            )
        },
        "/v1/{tenant}/stream-tickets": {
            "post": read(
                "createStreamTicket",
                "A word that opens the stream for one minute, for browsers.",
                "events",
                ticket,
                {},
                status=201,
                more=(413,),
            )
        },
        **timeline_paths(),
        **trip_paths(),
        SECRETS: {"get": secrets_operation()},
        "/v1/{tenant}/commands:batch": {"post": batch_operation()},
        geocoding.ROUTE: {"post": geocode_operation()},
        dispatch_dry_runs.ROUTE: {"post": dispatch_dry_run_operation()},
        "/v1/{tenant}/fixes": {"post": fixes_operation("sendFixes", SEND_FIXES, ABOUT_FIXES, FixBatch, FixesAnswer)},
        "/v1/{tenant}/fixes/frames": {"post": fixes_operation("sendFrame", IN_FRAME, BY_FRAME, NewFrame, FrameAnswer)},
        "/v1/{tenant}/fixes/osmand": osmand_operations(),
        "/v1/{tenant}/fixes/traccar": {"post": traccar_operation()},
        "/v1/{tenant}/devices/{id}/links": {"post": device_link_operation()},
        "/v1/{tenant}/artefacts/{id}": artefact_operations(),
        "/v1/{tenant}/artefacts/{id}/links": {"post": link_operation()},
        **tracking_paths(html),
        callbacks.ROUTE: {"post": callback_operation()},
        carrier_callbacks.ROUTE: {"post": carrier_callback_operation()},
        "/problems/{code}": {"get": free("readProblem", "About a kind of problem.", html, ("code",), (404,))},
        "/livez": {"get": free("livez", "Whether the process answers.", ok)},
        "/readyz": {"get": ready()},
        "/metrics": {"get": free("metrics", "For Prometheus.", {"text/plain": {"schema": {"type": "string"}}})},
    }


def timeline_paths() -> Json:
    page, seal = (json_content({"$ref": REF.format(name=name)}) for name in ("EventPage", "Seal"))
    word, path = "incident-timeline", "/v1/{tenant}/incidents/{id}"
    about = "What happened to the incident and to all that it links to, by event time, with the record time beside it."
    sealed = "Whether what was sealed with the incident still stands as it stood."
    of_page = read(
        "readIncidentTimeline", about, word, page, TIMELINE_PARAMETERS, ("Link", "Consistency"), path=("id",)
    )
    of_seal = read("readIncidentSeal", sealed, word, seal, {}, ("Consistency",), path=("id",))
    return {f"{path}/timeline": {"get": of_page}, f"{path}/seal": {"get": of_seal}}


def trip_paths() -> Json:
    row, whole = (json_content({"$ref": REF.format(name=name)}) for name in ("TripRow", "Exported"))
    files: Json = {
        made.media_type.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}}
        for name, made in FORMATS.items()
        if name != "json"
    }
    path, one = "/v1/{tenant}/trips/{id}", ("id",)
    export = read(
        "exportTrip",
        trip_export.ABOUT,
        "trip-exports",
        files | whole,
        trip_export.PARAMETERS,
        ("Consistency",),
        path=one,
        more=(410, 422),
    )
    return {
        path: {"get": read("readTrip", trip_export.ABOUT_ONE, "trips", row, {}, ("Consistency",), path=one)},
        f"{path}/export": {"get": export},
    }


def tracking_paths(html: Json) -> Json:
    """By a link without a token, and by the code for staff."""
    tracking = json_content({"$ref": REF.format(name="Tracking")})
    matches = json_content({"$ref": REF.format(name="TrackingMatches")})
    tile: Json = {MVT.decode(): {"schema": {"type": "string", "format": "binary"}}}
    by_code = read("findByTrackingCode", BY_CODE, "tracking", matches, CODE_PARAMETERS, ("Consistency",))
    for parameter in by_code["parameters"]:
        if parameter.get("name") == "code":
            parameter["required"] = True
    return {
        "/v1/{tenant}/tracking": {"get": by_code},
        "/v1/tracking/{token}": {"get": by_link("readTracking", BY_LINK, tracking)},
        "/track/{token}": {"get": by_link("readTrackingPage", "The same as a page for people.", html, answers=html)},
        "/track/{token}/tiles/{z}/{x}/{y}.mvt": {
            "get": by_link("readTrackingTile", "The streets around the rider, while they are shown.", tile, "zxy")
        },
    }


def command_responses() -> Json:
    return {
        name: problem_of(
            dict.fromkeys(example.problem.code for example in examples),
            examples[0].status,
            {"examples": {example.name: example_ref(example.name) for example in examples}},
        )
        for name, examples in responses_met().items()
    }
