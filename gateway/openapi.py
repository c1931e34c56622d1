"""The API described: OpenAPI 3.1, from the same types and tables that answer."""

from collections.abc import Iterable, Mapping
from typing import Any, get_args

import msgspec

from commands.aggregates import BY_PLURAL
from commands.task_state import TaskState
from gateway import callbacks
from gateway.allowed import ARTEFACT_READERS, ARTEFACT_SENDERS, CLOSED_FIELDS, FIX_SENDERS, READERS, Roles
from gateway.artefact_links import LINK_PARAMETERS, LinkAsked, LinkGiven
from gateway.artefacts import SIGNS, Artefact
from gateway.batch import MOST, BatchAnswer, CommandBatch
from gateway.callbacks import CallbackAnswer
from gateway.commands import BY_SLUG, OPEN, CommandAnswer, OpenCommand, TaskAnswer
from gateway.console_page import MVT
from gateway.device_links import DeviceLinkAsked
from gateway.examples.bodies import BODIES, Body, every_body
from gateway.examples.problems import Example
from gateway.feed import FEED_PARAMETERS, HISTORY_PARAMETERS, STREAM_PARAMETERS, WITH_HISTORY
from gateway.fixes import FixesAnswer, FrameAnswer
from gateway.fixes_described import (
    ABOUT_FIXES,
    BY_FRAME,
    BY_OSMAND,
    BY_TRACCAR,
    DEVICE_LINK,
    IN_FRAME,
    LINK,
    SEND_FIXES,
    osmand_form,
    osmand_parameters,
)
from gateway.in_force import IN_FORCE
from gateway.new_frame import NewFrame
from gateway.openapi_problems import command_problems, every_problem, responses_met
from gateway.osmand import PhoneMessage
from gateway.parameters import MIN_VERSION, Parameter
from gateway.problem_kinds import KINDS
from gateway.problems import ProblemBody
from gateway.queries import LISTINGS, SINGLES, SLA_PERIOD, UNSHOWN, Listing, Single
from gateway.registry_described import described
from gateway.task_secrets import ABOUT as ABOUT_SECRETS
from gateway.task_secrets import SECRETS, TaskSecrets
from gateway.tenant_read import Tenant
from gateway.timelines import PARAMETERS as TIMELINE_PARAMETERS
from gateway.timelines import Seal
from gateway.traccar import Forwarded
from gateway.tracking import CODE_PARAMETERS
from gateway.tracking_links import WORD as TRACKING_WORD
from gateway.tracking_told import Tracking
from gateway.upcoming import UPCOMING
from gateway.webhook_signature import ID, SIGNATURE, TIMESTAMP
from schemas.fixes import FixBatch
from schemas.task import CreateTask

type Json = dict[str, Any]

ABOUT = """Deliveries for many tenants: commands are decided at once and stand on the log before they are answered;
queries read what is folded from it.

A command is repeated safely with the same `Idempotency-Key`: it gets its first answer. A refusal is not remembered:
the same key may be tried again. An answer's `Logistics-Consistency`, sent with a read, makes the read see what the
command did. Personal data are shown to those who need them, otherwise as `hidden`, and as `erased` once forgotten.
Every answer to a test tenant has `Logistics-Live: false`, and its events have `live: false`.
"""
BY_LINK = (
    "How far one's own stop is: what a tracking link is worth, without a token. It tells nothing of another's stop, "
    "and where the rider is only while one's own is among the next. An unknown, wrong or past link is answered alike."
)
BY_CODE = (
    "The tenant's tasks of a tracking code, which may be several. The code is for people who talk to staff: without a "
    "token it opens nothing."
)
MADE_ANEW = "What is kept is made anew, upright, in sRGB and without metadata; it is found under either hash."
REF = "#/components/schemas/{name}"
FIX_STATUSES = (400, 401, 403, 404, 413, 415, 422, 429, 500, 503)
PUT_STATUSES = (400, 401, 403, 404, 413, 415, 422, 429, 500, 503)
READ_STATUSES = (400, 401, 403, 404, 429, 500, 503)
HEADERS: Mapping[str, Json] = {
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "required": True,
        "description": "The same for each repeat of this command.",
        "schema": {"type": "string", "pattern": "^[!#-~]{1,200}$"},
        "example": "5f0c1b8e-0f43-4b5e-a5a6-1f0f6d8c7a11",
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "description": "The ETag of the version that the command is meant for; else 412.",
        "schema": {"type": "string", "pattern": r'^("v[0-9]{1,15}"|\*)$'},
    },
    "Consistency": {
        "name": "Logistics-Consistency",
        "in": "header",
        "description": "From an earlier answer: the request sees what that answer rests on.",
        "schema": {"type": "string"},
    },
    "Prefer": {
        "name": "Prefer",
        "in": "header",
        "description": "`wait=2`: wait so many seconds for the read model, else 503 `projection-lagging`.",
        "schema": {"type": "string", "pattern": "^wait=[0-9]{1,2}$"},
    },
    "RequestId": {
        "name": "X-Request-Id",
        "in": "header",
        "description": "Answered, and logged; made where it is missing.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
    },
}
OPTIONAL_KEY = "OptionalIdempotencyKey"
ANSWER_HEADERS: Mapping[str, Json] = {
    "Consistency": {
        "description": "How far the log, or the read model, had come.",
        "schema": {"type": "string"},
    },
    "ETag": {
        "description": "The aggregate's version.",
        "schema": {"type": "string", "pattern": '^"v[0-9]+"$'},
    },
    "Location": {"description": "Where it is read.", "schema": {"type": "string"}},
    "Link": {"description": 'The next page: rel="next".', "schema": {"type": "string"}},
    "RequestId": {"description": "This request's id.", "schema": {"type": "string"}},
    "RetryAfter": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}},
}
NAMES = {
    "Consistency": "Logistics-Consistency",
    "RequestId": "X-Request-Id",
    "RetryAfter": "Retry-After",
}
"""Of headers whose name differs from their key above."""

CLOUD_EVENT: Json = {
    "type": "object",
    "description": "CloudEvents 1.0 in JSON. Personal data in it are left out: `{subject}` stands in their place.",
    "required": ["specversion", "id", "source", "type", "subject", "time", "data"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string"},
        "source": {"type": "string"},
        "type": {"type": "string"},
        "subject": {"type": "string"},
        "time": {"type": "string", "format": "date-time"},
        "recordedat": {"type": "string", "format": "date-time"},
        "aggregateversion": {"type": "integer"},
        "deviceid": {"type": "string", "description": "Of a device's report, where it said so."},
        "devicesequence": {"type": "integer", "description": "Its place in the order in which the device told."},
        "live": {"const": False, "description": "Of a test tenant; of others it is not there."},
        "data": {"type": "object"},
    },
}
PERMITTED: Json = {
    "allowed_commands": {
        "type": "array",
        "items": {"type": "string"},
        "description": "Read one by one: what this caller may send now, as it stands behind `/v1/{tenant}/`.",
    },
    "forbidden_commands": {
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "required": ["rule"],
            "properties": {
                "rule": {"enum": ["forbidden", "not-in-this-state", "not-for-this-kind", "nothing-to-change"]},
                "allowed": {"type": "array", "items": {"type": "string"}, "description": "The roles that may."},
                "needed": {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": "States, or kinds.",
                },
                "actual": {"type": "string"},
            },
        },
        "description": "Read one by one: the others, with the rule that forbids each.",
    },
}
INCIDENT_OPEN: Json = {
    "incident_open": {
        "type": "boolean",
        "description": "An incident links to it that is neither resolved nor sealed. It moves no `updated_at`.",
    }
}
PERSONAL: Json = {
    "description": "The value in the clear; or `hidden` from this reader, or `erased` for ever.",
}


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


COUNTED_PROMISES: Json = {
    "type": "object",
    "properties": {
        **{name: {"type": "string"} for name in ("sla_policy_id", "promise", "outlet", "kind", "priority")},
        **{
            name: {"type": "integer"}
            for name in ("promised", "kept", "late", "stopped", "open", "at_risk", "breached", "paused_s")
        },
        **{name: {"type": ["integer", "null"]} for name in ("mean_late_s", "longest_late_s")},
    },
}
"""Of one policy, promise, outlet, kind and priority; times in seconds."""


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
        SECRETS: {"get": secrets_operation()},
        "/v1/{tenant}/commands:batch": {"post": batch_operation()},
        "/v1/{tenant}/fixes": {"post": fixes_operation("sendFixes", SEND_FIXES, ABOUT_FIXES, FixBatch, FixesAnswer)},
        "/v1/{tenant}/fixes/frames": {"post": fixes_operation("sendFrame", IN_FRAME, BY_FRAME, NewFrame, FrameAnswer)},
        "/v1/{tenant}/fixes/osmand": osmand_operations(),
        "/v1/{tenant}/fixes/traccar": {"post": traccar_operation()},
        "/v1/{tenant}/devices/{id}/links": {"post": device_link_operation()},
        "/v1/{tenant}/artefacts/{id}": artefact_operations(),
        "/v1/{tenant}/artefacts/{id}/links": {"post": link_operation()},
        **tracking_paths(html),
        callbacks.ROUTE: {"post": callback_operation()},
        "/problems/{code}": {"get": free("readProblem", "About a kind of problem.", html, ("code",), (404,))},
        "/livez": {"get": free("livez", "Whether the process answers.", ok)},
        "/readyz": {"get": ready()},
        "/metrics": {"get": free("metrics", "For Prometheus.", {"text/plain": {"schema": {"type": "string"}}})},
    }


# Operations


def command_operation(known: OpenCommand) -> Json:
    name = known.cls.__name__
    answer = "TaskAnswer" if known.cls is CreateTask else "CommandAnswer"
    content = json_content({"$ref": REF.format(name=answer)})
    headers = ["ETag", "Consistency", "RequestId"]
    done = {"description": "Done; it stands on the log.", "content": content}
    responses = {
        "201" if known.creating else "200": done
        | {"headers": named([*headers, "Location"] if known.creating else headers)}
    }
    if known.kind in ("task", "carrier_booking") and not known.creating:
        conflicted = "Recorded, but it does not fit (`conflict`: a dispatcher will look at it)"
        conflicted += ", or its PIN is wrong (`pin_rejected`)." if known.kind == "task" else "."
        responses["202"] = {"description": conflicted, "content": content, "headers": named(headers)}
    return {
        "operationId": name[0].lower() + name[1:],
        "tags": [known.plural],
        "summary": " ".join((known.cls.__doc__ or name).split()),
        "description": roles_text(known.roles),
        "parameters": [*path_parameters(known.route), *command_headers(known)],
        "requestBody": {
            "required": bool(msgspec.json.schema_components([known.cls])[1][name].get("required")),
            "content": {
                "application/json": {"schema": {"$ref": REF.format(name=name)}, "examples": body_examples(known)}
            },
        },
        "responses": responses | command_problems(known),
    }


def body_examples(known: OpenCommand) -> Json:
    return {body.name: example_ref(body.name) for body in BODIES[known.cls]}


def command_headers(known: OpenCommand) -> list[Json]:
    natural = known.cls in BY_SLUG or "external_reference" in known.cls.__struct_fields__
    key = OPTIONAL_KEY if known.creating and natural else "IdempotencyKey"
    return [parameter_ref(key), parameter_ref("IfMatch"), parameter_ref("RequestId")]


def listing_operation(listing: Listing) -> Json:
    items = {"type": "array", "items": {"$ref": REF.format(name=listing.model.row.__name__)}}
    parked = {
        "type": "array",
        "items": {"type": "string"},
        "description": "Rows that no longer follow the log.",
    }
    content = json_content(
        {
            "type": "object",
            "required": ["items"],
            "properties": {"items": items, "next": {"type": "string"}, "parked": parked},
        }
    )
    name = "".join(part.title() for part in listing.word.split("-"))
    headers = ("Link", "Consistency")
    return read(f"list{name}", listing.about, listing.word, content, listing.parameters, headers)


def single_operation(single: Single) -> Json:
    content = json_content({"$ref": REF.format(name=single.model.row.__name__)})
    name = title_of(single.plural)
    wanted = {"min_version": MIN_VERSION}
    return read(f"read{name}", single.about, single.readers, content, wanted, ("ETag", "Consistency"), path=("id",))


def title_of(plural: str) -> str:
    """`sla-policies` is `SlaPolicy`."""
    return BY_PLURAL[plural].kind.title().replace("_", "")


def artefact_operations() -> Json:
    parameters = [path_parameter("tenant"), artefact_name(), parameter_ref("RequestId")]
    photo = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in SIGNS}
    told = {"content": json_content({"$ref": REF.format(name="Artefact")}), "headers": named(["Location", "RequestId"])}
    return {
        "put": {
            "operationId": "putArtefact",
            "tags": ["artefacts"],
            "summary": "A photo, before a proof names it. Putting it again changes nothing.",
            "description": f"{MADE_ANEW} {roles_text(ARTEFACT_SENDERS)}",
            "parameters": parameters,
            "requestBody": {"required": True, "content": photo},
            "responses": {"201": {"description": "Kept.", **told}, "200": {"description": "Was kept before.", **told}}
            | problems(PUT_STATUSES),
        },
        "get": {
            "operationId": "readArtefact",
            "tags": ["artefacts"],
            "summary": "A photo's bytes, by a token or by a link.",
            "description": roles_text(ARTEFACT_READERS),
            "security": [{"bearer": []}, {}],
            "parameters": [*parameters, *(query_parameter(each, known) for each, known in LINK_PARAMETERS.items())],
            "responses": {
                "200": {"description": "As it is kept.", "content": photo, "headers": named(["ETag", "RequestId"])}
            }
            | problems(READ_STATUSES),
        },
    }


def link_operation() -> Json:
    content = json_content({"$ref": REF.format(name="LinkGiven")})
    return {
        "operationId": "createArtefactLink",
        "tags": ["artefacts"],
        "summary": "A link by which whoever has it reads this artefact for a while, without a token.",
        "description": roles_text(ARTEFACT_READERS),
        "parameters": [path_parameter("tenant"), artefact_name(), parameter_ref("RequestId")],
        "requestBody": {"required": False, "content": json_content({"$ref": REF.format(name="LinkAsked")})},
        "responses": {"201": {"description": "As asked for.", "content": content, "headers": named(["RequestId"])}}
        | problems((*READ_STATUSES, 413, 422)),
    }


def artefact_name() -> Json:
    return {
        **path_parameter("id"),
        "description": "The SHA-256 of the bytes, in hex.",
        "schema": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    }


def fixes_operation(name: str, summary: str, about: str, body: type, answer: type) -> Json:
    return {
        "operationId": name,
        "tags": ["fixes"],
        "summary": summary,
        "description": f"{about} {roles_text(FIX_SENDERS)}",
        "parameters": [path_parameter("tenant"), *map(parameter_ref, ("Consistency", "Prefer", "RequestId"))],
        "requestBody": {"required": True, "content": json_content({"$ref": REF.format(name=body.__name__)})},
        "responses": {
            "202": {
                "description": "On the log.",
                "content": json_content({"$ref": REF.format(name=answer.__name__)}),
                "headers": named(["RequestId"]),
            }
        }
        | problems(FIX_STATUSES),
    }


def osmand_operations() -> Json:
    body = {"content": osmand_form() | json_content({"$ref": REF.format(name="PhoneMessage")})}
    return {
        "get": osmand_operation("sendPlace", [*osmand_parameters(), parameter_ref("RequestId")]),
        "post": osmand_operation("sendPlaceInBody", [LINK, parameter_ref("RequestId")]) | {"requestBody": body},
    }


def osmand_operation(name: str, parameters: list[Json]) -> Json:
    return {
        "operationId": name,
        "tags": ["fixes"],
        "summary": "One place, as a phone tracker tells it.",
        "description": f"{BY_OSMAND} {roles_text(FIX_SENDERS)}",
        "security": [{"bearer": []}, {}],
        "parameters": [path_parameter("tenant"), *parameters],
        "responses": {"200": {"description": "Taken.", "headers": named(["RequestId"])}} | problems(FIX_STATUSES),
    }


def traccar_operation() -> Json:
    return {
        "operationId": "sendForwardedPosition",
        "tags": ["fixes"],
        "summary": "One position, as a Traccar server forwards it.",
        "description": f"{BY_TRACCAR} {roles_text(FIX_SENDERS)}",
        "parameters": [path_parameter("tenant"), parameter_ref("RequestId")],
        "requestBody": {"required": True, "content": json_content({"$ref": REF.format(name="Forwarded")})},
        "responses": {"200": {"description": "Taken.", "headers": named(["RequestId"])}} | problems(FIX_STATUSES),
    }


def device_link_operation() -> Json:
    return {
        "operationId": "createDeviceLink",
        "tags": ["fixes"],
        "summary": "A URL by which a tracker sends one device's fixes without a token.",
        "description": f"{DEVICE_LINK} {roles_text(FIX_SENDERS)}",
        "parameters": [*(path_parameter(each) for each in ("tenant", "id")), parameter_ref("RequestId")],
        "requestBody": {"required": False, "content": json_content({"$ref": REF.format(name="DeviceLinkAsked")})},
        "responses": {
            "201": {
                "description": "As asked for.",
                "content": json_content({"$ref": REF.format(name="LinkGiven")}),
                "headers": named(["RequestId"]),
            }
        }
        | problems((*READ_STATUSES, 413, 422)),
    }


def batch_operation() -> Json:
    about = "None undoes another; the answer is 200 whatever they are answered. Each needs its own Idempotency-Key."
    return {
        "operationId": "sendCommands",
        "tags": ["commands"],
        "summary": f"Up to {MOST} commands, one after the other; each is answered on its own.",
        "description": about,
        "parameters": [path_parameter("tenant"), parameter_ref("RequestId")],
        "requestBody": {"required": True, "content": json_content({"$ref": REF.format(name="CommandBatch")})},
        "responses": {
            "200": {
                "description": "What each was answered, in their order.",
                "content": json_content({"$ref": REF.format(name="BatchAnswer")}),
                "headers": named(["RequestId"]),
            }
        }
        | problems(FIX_STATUSES),
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


def secrets_operation() -> Json:
    content = json_content({"$ref": REF.format(name="TaskSecrets")})
    parameters = {"min_version": MIN_VERSION}
    return read("readTaskSecrets", ABOUT_SECRETS, "task-secrets", content, parameters, ("Consistency",), path=("id",))


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


def by_link(name: str, about: str, content: Json, path: Iterable[str] = (), answers: Json | None = None) -> Json:
    """`answers`: what problems are told by, where it is not their JSON."""
    operation = free(name, about, content, ("token", *path), (404, 429, 503))
    operation["tags"] = ["tracking"]
    operation["parameters"][0]["schema"]["pattern"] = f"^{TRACKING_WORD}$"
    if answers is not None:
        operation["responses"] |= {
            str(status): {"description": "Told on a page, too.", "content": answers} for status in (404, 429, 503)
        }
    return operation


def history_operation(plural: str) -> Json:
    name = title_of(plural)
    content = json_content({"$ref": REF.format(name="EventPage")})
    about = "All that has happened to it."
    headers = ("Link", "Consistency")
    return read(f"read{name}History", about, "history", content, HISTORY_PARAMETERS, headers, path=("id",))


def read(
    name: str,
    about: str,
    word: str,
    content: Json,
    parameters: Mapping[str, Parameter],
    headers: Iterable[str] = (),
    *,
    path: Iterable[str] = (),
    status: int = 200,
    more: Iterable[int] = (),
) -> Json:
    """An operation on a tenant. `more` are further problems' statuses."""
    return {
        "operationId": name,
        "tags": [word],
        "summary": about,
        "description": roles_text(READERS[word]),
        "parameters": [
            *(path_parameter(each) for each in ("tenant", *path)),
            *(query_parameter(each, parameter) for each, parameter in parameters.items()),
            *(parameter_ref(each) for each in ("Consistency", "Prefer", "RequestId")),
        ],
        "responses": {
            str(status): {
                "description": "As asked for.",
                "content": content,
                "headers": named([*headers, "RequestId"]),
            }
        }
        | problems([*READ_STATUSES, *more]),
    }


def free(name: str, about: str, content: Json, path: Iterable[str] = (), more: Iterable[int] = ()) -> Json:
    """An operation without a token."""
    return {
        "operationId": name,
        "tags": ["service"],
        "summary": about,
        "security": [],
        "parameters": [path_parameter(each) for each in path],
        "responses": {"200": {"description": "As asked for.", "content": content}} | problems([*more, 500]),
    }


def callback_operation() -> Json:
    """What the platform tells us; we ask for it at `LOGISTICS_DIRECTORY_URL`, signed in the same way."""
    told = {"oneOf": [{"$ref": REF.format(name=cls.__name__)} for cls in callbacks.MESSAGES.values()]}
    content = json_content({"$ref": REF.format(name="CallbackAnswer")})
    operation = free("tellOfTenants", "What the platform tells of its tenants and outlets.", content)
    operation["tags"] = ["directory"]
    operation["description"] = "Signed by Standard Webhooks; a message that comes again changes nothing."
    operation["parameters"] = [
        {"name": name.decode(), "in": "header", "required": True, "schema": {"type": "string", "maxLength": 500}}
        for name in (ID, TIMESTAMP, SIGNATURE)
    ]
    operation["requestBody"] = {"required": True, "content": json_content(told)}
    operation["responses"] |= problems((400, 401, 404, 409, 413, 422, 429, 500, 503))
    return operation


def ready() -> Json:
    content = json_content({"$ref": REF.format(name="Readiness")})
    operation = free("readyz", "Whether every part is ready.", content, more=(400,))
    operation["parameters"] = [{"name": "verbose", "in": "query", "schema": {"type": "string", "maxLength": 10}}]
    operation["responses"]["503"] = {"description": "Not ready.", "content": content}
    return operation


# Parts


def components() -> Json:
    commands = [known.cls for known in OPEN]
    rows = list({read.model.row for read in (*LISTINGS, *SINGLES)})
    rows.sort(key=lambda row: str(row.__name__))
    others = [
        CommandAnswer,
        TaskAnswer,
        TaskSecrets,
        ProblemBody,
        Tenant,
        FixBatch,
        FixesAnswer,
        FrameAnswer,
        Artefact,
        LinkAsked,
        LinkGiven,
        NewFrame,
        DeviceLinkAsked,
        PhoneMessage,
        Forwarded,
        Seal,
        Tracking,
        CommandBatch,
        BatchAnswer,
        CallbackAnswer,
        *callbacks.MESSAGES.values(),
    ]
    _, schemas = msgspec.json.schema_components([*commands, *rows, *others], ref_template=REF)
    for cls, names in CLOSED_FIELDS.items():
        for name in names:
            del schemas[cls.__name__]["properties"][name]
    for row in rows:
        as_shown(schemas[row.__name__])
    for single in SINGLES:
        schemas[single.model.row.__name__]["properties"] |= PERMITTED
    schemas["ExceptionRow"]["properties"] |= {
        "id": {"type": "string"},
        "mends": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Commands that this caller may send, as they stand behind `/v1/{tenant}/`.",
        },
        "about": {
            "type": ["object", "null"],
            "description": "What a task or an incident is called, and how it stands.",
        },
    }
    schemas["RecurrenceRow"]["properties"] |= UPCOMING
    schemas["SlaPolicyRow"]["properties"] |= IN_FORCE
    for name in ("TaskRow", "TaskDetailRow"):
        schemas[name]["properties"] |= INCIDENT_OPEN
    schemas["TaskDetailRow"]["properties"] |= {
        "rider_id": {"type": ["string", "null"]},
        "carrier": {"anyOf": [{"$ref": REF.format(name="Carrier")}, {"type": "null"}]},
        "tender_id": {"type": ["string", "null"]},
        "round": {"type": "integer"},
        "accepted": {"type": "boolean"},
        "outcome": {"type": ["string", "null"]},
        "reason_code": {"type": ["string", "null"]},
    }
    schemas["EtaRow"]["properties"] |= {
        "id": {"type": "string"},
        "risk": {"enum": ["on_time", "at_risk", "late", None]},
    }
    for unshown in ("forecast_id", "ahead_since", "latest", "earliest"):
        del schemas["EtaRow"]["properties"][unshown]
    return schemas | {
        "Sealed": PERSONAL,
        "CloudEvent": CLOUD_EVENT,
        "EventPage": event_page(),
        "Ticket": {
            "type": "object",
            "required": ["ticket", "expires_in_s"],
            "properties": {"ticket": {"type": "string"}, "expires_in_s": {"type": "integer"}},
        },
        "TaskCounts": {
            "type": "object",
            "required": ["items"],
            "properties": {
                "items": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["state", "outcome", "late", "tasks"],
                        "properties": {
                            "state": {"type": "string"},
                            "outcome": {"type": "string", "description": "Empty while there is none."},
                            "late": {"type": "boolean"},
                            "tasks": {"type": "integer"},
                        },
                    },
                }
            },
        },
        "SlaStatistics": {
            "type": "object",
            "required": ["items"],
            "properties": {"items": {"type": "array", "items": COUNTED_PROMISES}},
        },
        "TrackingMatches": {
            "type": "object",
            "required": ["items"],
            "properties": {
                "items": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["task_id", "state", "outlet", "created_at"],
                        "properties": {
                            "task_id": {"type": "string"},
                            "state": {"enum": list(get_args(TaskState.__value__))},
                            "leg": {"type": ["string", "null"]},
                            "outcome": {"type": ["string", "null"]},
                            "outlet": {"type": "string"},
                            "created_at": {"type": "string", "format": "date-time"},
                            "ended_at": {"type": ["string", "null"], "format": "date-time"},
                        },
                    },
                }
            },
        },
        "Readiness": {
            "type": "object",
            "required": ["status"],
            "properties": {
                "status": {"enum": ["ok", "not ready"]},
                "parts": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        },
    }


def as_shown(schema: Json) -> None:
    """A row without what answers leave out."""
    for name in UNSHOWN & schema["properties"].keys():
        del schema["properties"][name]
    schema["required"] = [name for name in schema["required"] if name not in UNSHOWN]


def event_page() -> Json:
    return {
        "type": "object",
        "required": ["items"],
        "properties": {
            "items": {"type": "array", "items": {"$ref": REF.format(name="CloudEvent")}},
            "next": {"type": ["string", "integer"]},
        },
    }


def optional_key() -> Json:
    about = "Needed only where the body has no external_reference, slug or other name of the caller's own."
    return {**HEADERS["IdempotencyKey"], "required": False, "description": about}


def statuses() -> list[int]:
    return sorted({kind.status for kind in KINDS.values()})


def problems(wanted: Iterable[int]) -> Json:
    return {str(status): {"$ref": f"#/components/responses/Problem{status}"} for status in sorted(set(wanted))}


def problem_response(status: int) -> Json:
    return problem_of([code for code, kind in KINDS.items() if kind.status == status], status, {})


def command_responses() -> Json:
    return {
        name: problem_of(
            dict.fromkeys(example.problem.code for example in examples),
            examples[0].status,
            {"examples": {example.name: example_ref(example.name) for example in examples}},
        )
        for name, examples in responses_met().items()
    }


def problem_of(codes: Iterable[str], status: int, examples: Json) -> Json:
    headers = ["RequestId", "RetryAfter"] if status in (429, 503) else ["RequestId"]
    schema = {"$ref": REF.format(name="ProblemBody")}
    return {
        "description": ", ".join(f"`{code}`" for code in codes),
        "content": {"application/problem+json": {"schema": schema} | examples},
        "headers": named(headers),
    }


def shown(example: Body | Example) -> Json:
    return {"summary": example.summary, "value": example.value}


def json_content(schema: Json, examples: Json | None = None) -> Json:
    return {"application/json": {"schema": schema} | ({"examples": examples} if examples else {})}


def named(headers: Iterable[str]) -> Json:
    return {NAMES.get(name, name): {"$ref": f"#/components/headers/{name}"} for name in headers}


def roles_text(roles: Roles) -> str:
    return f"For tokens of role {', '.join(sorted(roles))}."


def example_ref(name: str) -> Json:
    return {"$ref": f"#/components/examples/{name}"}


def parameter_ref(name: str) -> Json:
    return {"$ref": f"#/components/parameters/{name}"}


def path_parameters(route: str) -> list[Json]:
    return [path_parameter(name) for name in ("tenant", "id") if f"{{{name}}}" in route]


def path_parameter(name: str) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def query_parameter(name: str, parameter: Parameter) -> Json:
    return {
        "name": name,
        "in": "query",
        "description": parameter.about,
        "schema": dict(parameter.schema),
    }
