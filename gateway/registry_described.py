"""The registry's part of the API's description."""

from typing import Any

from gateway.registry import CONTENT_TYPE, LOOK_UP, READS, WRITES

type Json = dict[str, Any]

MEDIA = CONTENT_TYPE[1].decode()
ABOUT = {
    "/registry/schemas/types": "The kinds of schemas.",
    "/registry/schemas/ids/{id}": "The schema that records name by this id.",
    "/registry/schemas/ids/{id}/schema": "The same, bare.",
    "/registry/schemas/ids/{id}/subjects": "Where it is registered.",
    "/registry/schemas/ids/{id}/versions": "As which versions it is registered.",
    "/registry/subjects": "All subjects: `<topic>-<full name of the record>`.",
    "/registry/subjects/{subject}/versions": "A subject's versions.",
    "/registry/subjects/{subject}/versions/{version}": "One version, or `latest`.",
    "/registry/subjects/{subject}/versions/{version}/schema": "The same, bare.",
    "/registry/config": "What is promised of public events.",
    "/registry/config/{subject}": "What is promised of a subject.",
    "/registry/mode": "Always `READONLY`.",
    "/registry/mode/{subject}": "Always `READONLY`.",
}
ANSWERS: dict[str, Json] = {
    "/registry/schemas/types": {"type": "array", "items": {"type": "string"}},
    "/registry/schemas/ids/{id}": {"type": "object", "required": ["schema"]},
    "/registry/schemas/ids/{id}/subjects": {"type": "array", "items": {"type": "string"}},
    "/registry/schemas/ids/{id}/versions": {"type": "array", "items": {"type": "object"}},
    "/registry/subjects": {"type": "array", "items": {"type": "string"}},
    "/registry/subjects/{subject}/versions": {"type": "array", "items": {"type": "integer"}},
}
VERSION: Json = {
    "type": "object",
    "required": ["subject", "version", "id", "schema"],
    "properties": {
        "subject": {"type": "string"},
        "version": {"type": "integer"},
        "id": {"type": "integer"},
        "schema": {"type": "string"},
    },
}
ERROR: Json = {
    "type": "object",
    "required": ["error_code", "message"],
    "properties": {"error_code": {"type": "integer"}, "message": {"type": "string"}},
}
WANTED: Json = {
    "type": "object",
    "required": ["schema"],
    "properties": {"schema": {"type": "string"}, "schemaType": {"type": "string"}},
}


def described() -> Json:
    """The look-up of a schema is the only POST that is answered; what would write is refused."""
    found: Json = {path: {"get": reading(path)} for path in READS}
    found.setdefault(LOOK_UP, {})["post"] = looking_up()
    for path, methods in WRITES.items():
        for method in methods:
            found.setdefault(path, {})[method.lower()] = refused(method, path)
    return found


def reading(path: str) -> Json:
    content = ANSWERS.get(path, VERSION if path.endswith("{version}") else {"type": "object"})
    statuses = (404, 422) if "{version}" in path else (404,)
    return operation("get", path, ABOUT[path], content, statuses if "{" in path else ())


def looking_up() -> Json:
    about = "Whether the subject has this schema, and as which version and id."
    return operation("post", LOOK_UP, about, VERSION, (404, 413, 422)) | {
        "requestBody": {
            "required": True,
            "content": {MEDIA: {"schema": WANTED}, "application/json": {"schema": WANTED}},
        }
    }


def refused(method: str, path: str) -> Json:
    return operation(method.lower(), path, "Refused: schemas come with a release.", None, (422,))


def operation(method: str, path: str, about: str, content: Json | None, errors: tuple[int, ...]) -> Json:
    done = {} if content is None else {"200": {"description": "As asked for.", "content": media(content)}}
    return {
        "operationId": name_of(method, path),
        "tags": ["registry"],
        "summary": about,
        "security": [],
        "parameters": [parameter(name) for name in ("id", "subject", "version") if f"{{{name}}}" in path],
        "responses": done
        | {str(status): {"description": "Confluent's error.", "content": media(ERROR)} for status in errors}
        | {"500": {"$ref": "#/components/responses/Problem500"}},
    }


def name_of(method: str, path: str) -> str:
    """get, /registry/subjects/{subject}/versions → getRegistrySubjectsSubjectVersions."""
    return method + "".join(part.strip("{}").title() for part in path.split("/"))


def parameter(name: str) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def media(schema: Json) -> Json:
    return {MEDIA: {"schema": schema}}
