"""The operations of the API's description: who may ask for what, with what, and what is answered."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from commands.aggregates import BY_PLURAL
from gateway import callbacks, carrier_callbacks, dispatch_dry_runs, geocoding
from gateway.allowed import ARTEFACT_READERS, ARTEFACT_SENDERS, DRY_RUNNERS, FIX_SENDERS, GEOCODERS, READERS
from gateway.artefact_links import LINK_PARAMETERS
from gateway.artefacts import SIGNS
from gateway.batch import MOST
from gateway.commands import ANSWERED_LATER, BY_SLUG, OpenCommand
from gateway.examples.bodies import BODIES
from gateway.feed import HISTORY_PARAMETERS
from gateway.fixes_described import BY_OSMAND, BY_TRACCAR, DEVICE_LINK, LINK, osmand_form, osmand_parameters
from gateway.openapi_parts import (
    OPTIONAL_KEY,
    REF,
    example_ref,
    json_content,
    named,
    parameter_ref,
    path_parameter,
    path_parameters,
    problems,
    query_parameter,
    roles_text,
)
from gateway.openapi_problems import command_problems
from gateway.parameters import MIN_VERSION, Parameter
from gateway.queries import Listing, Single
from gateway.task_secrets import ABOUT as ABOUT_SECRETS
from gateway.tracking_links import WORD as TRACKING_WORD
from gateway.webhook_signature import ID, SIGNATURE, TIMESTAMP
from schemas.task import CreateTask

type Json = dict[str, Any]

BY_LINK = (
    "How far one's own stop is: what a tracking link is worth, without a token. It tells nothing of another's stop, "
    "and where the rider is only while one's own is among the next. An unknown, wrong or past link is answered alike."
)
BY_CODE = (
    "The tenant's tasks of a tracking code, which may be several. The code is for people who talk to staff: without a "
    "token it opens nothing."
)
MADE_ANEW = "What is kept is made anew, upright, in sRGB and without metadata; it is found under either hash."
FIX_STATUSES = (400, 401, 403, 404, 413, 415, 422, 429, 500, 503)
PUT_STATUSES = (400, 401, 403, 404, 413, 415, 422, 429, 500, 503)
READ_STATUSES = (400, 401, 403, 404, 429, 500, 503)


def command_operation(known: OpenCommand) -> Json:
    name = known.cls.__name__
    answer = "TaskAnswer" if known.cls is CreateTask else "CommandAnswer"
    content = json_content({"$ref": REF.format(name=answer)})
    headers = ["ETag", "Consistency", "RequestId"]
    done = {"description": "Done; it stands on the log.", "content": content}
    responses = {
        ("202" if known.cls in ANSWERED_LATER else "201" if known.creating else "200"): done
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
        | problems((*READ_STATUSES, 413, 415, 422)),
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
        | problems((*READ_STATUSES, 413, 415, 422)),
    }


def geocode_operation() -> Json:
    return {
        "operationId": "geocode",
        "tags": ["geocode"],
        "summary": "Where an address may be, and how sure that is.",
        "description": f"{geocoding.ABOUT} {roles_text(GEOCODERS)}",
        "parameters": [path_parameter("tenant"), parameter_ref("RequestId")],
        "requestBody": {"required": True, "content": json_content({"$ref": REF.format(name="AddressAsked")})},
        "responses": {
            "200": {
                "description": "The likeliest first; none where nobody knows it.",
                "content": json_content({"$ref": REF.format(name="AddressTold")}),
                "headers": named(["RequestId"]),
            }
        }
        | problems((*READ_STATUSES, 413, 415, 422)),
    }


def dispatch_dry_run_operation() -> Json:
    return {
        "operationId": "dryRunDispatch",
        "tags": ["dispatch-dry-runs"],
        "summary": "Whom dispatch would put first now by other rules.",
        "description": f"{dispatch_dry_runs.ABOUT} {roles_text(DRY_RUNNERS)}",
        "parameters": [
            path_parameter("tenant"),
            *(parameter_ref(each) for each in ("Consistency", "Prefer", "RequestId")),
        ],
        "requestBody": {"required": True, "content": json_content({"$ref": REF.format(name="DryRunAsked")})},
        "responses": {
            "200": {
                "description": "Of each task what would be decided by either rules; none where none waits.",
                "content": json_content({"$ref": REF.format(name="DryRunTold")}),
                "headers": named(["Consistency", "RequestId"]),
            }
        }
        | problems((*READ_STATUSES, 413, 415, 422)),
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


def secrets_operation() -> Json:
    content = json_content({"$ref": REF.format(name="TaskSecrets")})
    parameters = {"min_version": MIN_VERSION}
    return read("readTaskSecrets", ABOUT_SECRETS, "task-secrets", content, parameters, ("Consistency",), path=("id",))


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
    about = "What the platform tells of its tenants and outlets."
    return signed_operation("tellOfTenants", about, "directory", callbacks.MESSAGES.values())


def carrier_callback_operation() -> Json:
    """What a carrier answers to an offer, and tells of a booking."""
    about = "What a carrier says: to what it was offered, and of what it is booked for."
    said = carrier_callbacks.MESSAGES.values()
    return signed_operation("tellAsCarrier", about, "carriers", said, ("tenant", "id"), (403,))


def signed_operation(
    name: str, about: str, tag: str, messages: Iterable[type], path: Iterable[str] = (), more: Iterable[int] = ()
) -> Json:
    told = {"oneOf": [{"$ref": REF.format(name=cls.__name__)} for cls in messages]}
    operation = free(name, about, json_content({"$ref": REF.format(name="CallbackAnswer")}), path)
    operation["tags"] = [tag]
    operation["description"] = "Signed by Standard Webhooks; a message that comes again changes nothing."
    operation["parameters"] += [
        {"name": header.decode(), "in": "header", "required": True, "schema": {"type": "string", "maxLength": 500}}
        for header in (ID, TIMESTAMP, SIGNATURE)
    ]
    operation["requestBody"] = {"required": True, "content": json_content(told)}
    operation["responses"] |= problems((400, 401, *more, 404, 409, 413, 415, 422, 429, 500, 503))
    return operation


def ready() -> Json:
    content = json_content({"$ref": REF.format(name="Readiness")})
    operation = free("readyz", "Whether every part is ready.", content, more=(400,))
    operation["parameters"] = [{"name": "verbose", "in": "query", "schema": {"type": "string", "maxLength": 10}}]
    operation["responses"]["503"] = {"description": "Not ready.", "content": content}
    return operation
