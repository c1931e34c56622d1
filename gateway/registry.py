"""The schema registry, read-only, as stock clients ask it: Confluent's paths, bodies and errors.

It knows what `_schemas` holds. It is open: schemas tell how records are written and hold nothing of any tenant, and
who reads the log without our software needs them first of all.
"""

from typing import Any
from urllib.parse import parse_qs

import fastavro
import msgspec

from gateway.call import Call
from gateway.edge import Endpoint
from gateway.problem_kinds import KINDS
from gateway.problems import Problem
from gateway.reply import Reply

CONTENT_TYPE = (b"content-type", b"application/vnd.schemaregistry.v1+json")
BODY_BYTES = 256 << 10
LATEST = "latest"
HIGHEST = 2**31 - 1
"""Of ids and versions."""
DEFAULT_COMPATIBILITY = "FULL_TRANSITIVE"
"""What is promised of public events; each subject says its own."""


class RegistryError(Exception):
    """`code` is Confluent's: its first three digits are the HTTP status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def status(self) -> int:
        return int(str(self.code)[:3])


class SchemaKey(msgspec.Struct, frozen=True):
    """Of a record in `_schemas`; other kinds of keys have other fields besides."""

    keytype: str
    subject: str | None = None
    version: int = 0


class Held(msgspec.Struct, frozen=True):
    """A version of a subject, as `_schemas` holds it."""

    subject: str
    version: int
    id: int
    schema: str
    deleted: bool = False
    schema_type: str = msgspec.field(name="schemaType", default="AVRO")


class Config(msgspec.Struct, frozen=True):
    compatibility: str = msgspec.field(name="compatibilityLevel")


class LookUp(msgspec.Struct, frozen=True):
    schema: str
    schema_type: str = msgspec.field(name="schemaType", default="AVRO")


class Registry:
    """Grows by `take`, record by record of `_schemas`, each key's latest last."""

    def __init__(self) -> None:
        self._subjects: dict[str, dict[int, Held]] = {}
        self._compatibility: dict[str, str] = {}

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """What is not a schema or a subject's compatibility is passed over. Raises msgspec.DecodeError."""
        told = msgspec.json.decode(key or b"{}", type=SchemaKey)
        if told.keytype == "SCHEMA" and told.subject is not None:
            self._take_schema(told.subject, told.version, value)
        elif told.keytype == "CONFIG" and told.subject is not None:
            if value is None:
                self._compatibility.pop(told.subject, None)
            else:
                self._compatibility[told.subject] = msgspec.json.decode(value, type=Config).compatibility

    def _take_schema(self, subject: str, version: int, value: bytes | None) -> None:
        held = None if value is None else msgspec.json.decode(value, type=Held)
        if held is not None and not held.deleted:
            self._subjects.setdefault(subject, {})[version] = held
        elif version in self._subjects.get(subject, {}):
            del self._subjects[subject][version]
            if not self._subjects[subject]:
                del self._subjects[subject]

    def subjects(self, prefix: str = "") -> list[str]:
        return sorted(subject for subject in self._subjects if subject.startswith(prefix))

    def of_id(self, schema_id: int) -> list[Held]:
        """Raises RegistryError."""
        found = [held for versions in self._subjects.values() for held in versions.values() if held.id == schema_id]
        if not found:
            raise RegistryError(40403, f"Schema {schema_id} not found")
        return sorted(found, key=lambda held: (held.subject, held.version))

    def versions(self, subject: str) -> dict[int, Held]:
        """Raises RegistryError."""
        if subject not in self._subjects:
            raise RegistryError(40401, f"Subject '{subject}' not found.")
        return self._subjects[subject]

    def version(self, subject: str, version: str) -> Held:
        """Raises RegistryError."""
        versions = self.versions(subject)
        number = max(versions) if version in (LATEST, "-1") else number_of(version)
        if number is None or not 1 <= number <= HIGHEST:
            raise RegistryError(
                42202,
                f"The specified version '{version}' is not a valid version id. Allowed values are between "
                f'[1, 2^31-1] and the string "{LATEST}"',
            )
        if number not in versions:
            raise RegistryError(40402, f"Version {number} not found.")
        return versions[number]

    def compatibility(self, subject: str) -> str | None:
        return self._compatibility.get(subject)

    def matching(self, subject: str, schema: str) -> Held:
        """The newest version with this schema, however it is written. Raises RegistryError."""
        versions = self.versions(subject)
        wanted = meaning(schema)
        for number in sorted(versions, reverse=True):
            if meaning(versions[number].schema) == wanted:
                return versions[number]
        raise RegistryError(40403, "Schema not found")


def meaning(schema: str) -> Any:
    """Names resolved, order and blanks gone; documentation and defaults stay. Raises RegistryError."""
    try:
        told: Any = msgspec.json.decode(schema)
        return fastavro.parse_schema(told, _force=True)
    except Exception as broken:  # fastavro raises whatever a broken schema leads it to
        raise RegistryError(42201, f"Invalid schema: {type(broken).__name__}: {broken}"[:1_000]) from broken


def number_of(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else None


class RegistryApi:
    """Query parameters that only ask for what is not here (deleted subjects, formats) are passed over."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def schema(self, call: Call) -> Reply:
        return told({"schema": self._of_id(call)[0].schema})

    async def raw_schema(self, call: Call) -> Reply:
        return raw(self._of_id(call)[0].schema)

    async def schema_subjects(self, call: Call) -> Reply:
        return told([held.subject for held in self._of_id(call)])

    async def schema_versions(self, call: Call) -> Reply:
        return told([{"subject": held.subject, "version": held.version} for held in self._of_id(call)])

    async def types(self, call: Call) -> Reply:
        return told(["AVRO"])

    async def subjects(self, call: Call) -> Reply:
        return told(self._registry.subjects(parameter(call, "subjectPrefix")))

    async def versions(self, call: Call) -> Reply:
        return told(sorted(self._registry.versions(call.param("subject"))))

    async def version(self, call: Call) -> Reply:
        return told(shown(self._registry.version(call.param("subject"), call.param("version"))))

    async def raw_version(self, call: Call) -> Reply:
        return raw(self._registry.version(call.param("subject"), call.param("version")).schema)

    async def look_up(self, call: Call) -> Reply:
        """Whether the subject has this schema, and as which version and id."""
        try:
            asked = msgspec.json.decode(await call.body(BODY_BYTES), type=LookUp)
        except (msgspec.DecodeError, RecursionError) as broken:
            raise RegistryError(42201, f"Invalid request: {broken}") from broken
        subject = call.param("subject")
        if asked.schema_type != "AVRO":
            self._registry.versions(subject)
            raise RegistryError(40403, "Schema not found")
        return told(shown(self._registry.matching(subject, asked.schema)))

    async def config(self, call: Call) -> Reply:
        return told({"compatibilityLevel": DEFAULT_COMPATIBILITY})

    async def subject_config(self, call: Call) -> Reply:
        subject = call.param("subject")
        level = self._registry.compatibility(subject)
        if level is None and parameter(call, "defaultToGlobal") == "true":
            level = DEFAULT_COMPATIBILITY
        if level is None:
            raise RegistryError(40408, f"Subject '{subject}' does not have subject-level compatibility configured")
        return told({"compatibilityLevel": level})

    async def mode(self, call: Call) -> Reply:
        return told({"mode": "READONLY"})

    async def refuse(self, call: Call) -> Reply:
        raise RegistryError(42205, "This registry is read-only: schemas come with a release of Logistics")

    async def nothing(self, call: Call) -> Reply:
        raise RegistryError(404, "HTTP 404 Not Found")

    def _of_id(self, call: Call) -> list[Held]:
        number = number_of(call.param("id"))
        if number is None or number > HIGHEST:
            raise RegistryError(404, "HTTP 404 Not Found")
        return self._registry.of_id(number)


READS = {
    "/registry/schemas/types": RegistryApi.types,
    "/registry/schemas/ids/{id}": RegistryApi.schema,
    "/registry/schemas/ids/{id}/schema": RegistryApi.raw_schema,
    "/registry/schemas/ids/{id}/subjects": RegistryApi.schema_subjects,
    "/registry/schemas/ids/{id}/versions": RegistryApi.schema_versions,
    "/registry/subjects": RegistryApi.subjects,
    "/registry/subjects/{subject}/versions": RegistryApi.versions,
    "/registry/subjects/{subject}/versions/{version}": RegistryApi.version,
    "/registry/subjects/{subject}/versions/{version}/schema": RegistryApi.raw_version,
    "/registry/config": RegistryApi.config,
    "/registry/config/{subject}": RegistryApi.subject_config,
    "/registry/mode": RegistryApi.mode,
    "/registry/mode/{subject}": RegistryApi.mode,
}
LOOK_UP = "/registry/subjects/{subject}"
WRITES = {
    "/registry/subjects/{subject}": ("DELETE",),
    "/registry/subjects/{subject}/versions": ("POST",),
    "/registry/subjects/{subject}/versions/{version}": ("DELETE",),
    "/registry/config": ("PUT", "DELETE"),
    "/registry/config/{subject}": ("PUT", "DELETE"),
    "/registry/mode": ("PUT", "DELETE"),
    "/registry/mode/{subject}": ("PUT", "DELETE"),
}
"""What a registry that is written would take."""
ANYTHING_ELSE = "/registry/{rest:path}"


def paths(registry: Registry) -> dict[str, dict[str, Endpoint]]:
    """Path template → method → endpoint."""
    api = RegistryApi(registry)
    found: dict[str, dict[str, Endpoint]] = {path: {"GET": bound(api, read)} for path, read in READS.items()}
    found.setdefault(LOOK_UP, {})["POST"] = bound(api, RegistryApi.look_up)
    for path, methods in WRITES.items():
        found.setdefault(path, {}).update(dict.fromkeys(methods, bound(api, RegistryApi.refuse)))
    return found | {ANYTHING_ELSE: {"GET": bound(api, RegistryApi.nothing)}}


def bound(api: RegistryApi, endpoint: Any) -> Endpoint:
    """With its errors in Confluent's form."""

    async def answering(call: Call) -> Reply:
        try:
            reply: Reply = await endpoint(api, call)
            return reply
        except RegistryError as error:
            return failed(error.code, error.status, str(error))
        except Problem as problem:
            status = KINDS[problem.code].status
            return failed(status, status, problem.detail)

    return answering


def failed(code: int, status: int, message: str) -> Reply:
    return Reply(status, msgspec.json.encode({"error_code": code, "message": message}), [CONTENT_TYPE])


def told(body: Any) -> Reply:
    return Reply(200, msgspec.json.encode(body), [CONTENT_TYPE])


def raw(schema: str) -> Reply:
    return Reply(200, schema.encode(), [CONTENT_TYPE])


def shown(held: Held) -> dict[str, Any]:
    return {"subject": held.subject, "version": held.version, "id": held.id, "schema": held.schema}


def parameter(call: Call, name: str) -> str:
    return next(iter(parse_qs(call.query).get(name, [])), "")
