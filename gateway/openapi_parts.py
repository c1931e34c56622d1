"""What operations of the API's description are made of: headers, parameters, contents and problems."""

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.allowed import Roles
from gateway.examples.bodies import Body
from gateway.examples.problems import Example
from gateway.parameters import Parameter
from gateway.problem_kinds import KINDS

type Json = dict[str, Any]

REF = "#/components/schemas/{name}"
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


def optional_key() -> Json:
    about = "Needed only where the body has no external_reference, slug or other name of the caller's own."
    return {**HEADERS["IdempotencyKey"], "required": False, "description": about}


def statuses() -> list[int]:
    return sorted({kind.status for kind in KINDS.values()})


def problems(wanted: Iterable[int]) -> Json:
    return {str(status): {"$ref": f"#/components/responses/Problem{status}"} for status in sorted(set(wanted))}


def problem_response(status: int) -> Json:
    return problem_of([code for code, kind in KINDS.items() if kind.status == status], status, {})


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
