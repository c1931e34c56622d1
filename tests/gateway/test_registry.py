"""The schema registry: what `_schemas` holds, told as stock clients ask for it, and never written."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from reception import House

from gateway.registry import BODY_BYTES, Registry
from schemas import catalog
from schemas.registered import encoded, records, registered

CREATED = "logistics.task-logistics.task.TaskCreated"
MEDIA = "application/vnd.schemaregistry.v1+json"


@pytest.fixture
def registry(house: House) -> Iterator[httpx.AsyncClient]:
    """Asked without a token."""
    for key, value in records():
        house.door.registry.take(key, value)
    return house.client()


async def asked(registry: httpx.AsyncClient, path: str) -> Any:
    answer = await registry.get(f"/registry/{path}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == MEDIA
    return answer.json()


async def test_every_id_leads_to_the_schema_that_was_committed(registry: httpx.AsyncClient):
    for schema_id, (name, _) in catalog.written_schemas().items():
        told = json.loads((await asked(registry, f"schemas/ids/{schema_id}"))["schema"])
        assert f"{told['namespace']}.{told['name']}" == name
    assert (await asked(registry, f"schemas/ids/{schema_id}/schema")) == told


async def test_every_event_type_has_its_subject(registry: httpx.AsyncClient):
    subjects = await asked(registry, "subjects")
    assert {f"{known.topic}-{name}" for name, known in catalog.TYPES.items() if known.topic} <= set(subjects)
    assert await asked(registry, "subjects?subjectPrefix=logistics.fixes") == [
        "logistics.fixes-logistics.fixes.FixFrame"
    ]


async def test_a_barrier_is_registered_for_every_topic_that_has_one(registry: httpx.AsyncClient):
    barrier = catalog.ids()["logistics.control.ShardOpened"]
    assert "logistics.signals-logistics.control.ShardOpened" in await asked(registry, f"schemas/ids/{barrier}/subjects")
    versions = await asked(registry, f"schemas/ids/{barrier}/versions")
    assert {"subject": "logistics.task-logistics.control.ShardOpened", "version": 1} in versions


async def test_a_version_is_told_by_its_number_and_as_the_latest(registry: httpx.AsyncClient):
    assert await asked(registry, f"subjects/{CREATED}/versions") == [1]
    first = await asked(registry, f"subjects/{CREATED}/versions/1")
    assert first == await asked(registry, f"subjects/{CREATED}/versions/latest")
    assert (first["subject"], first["id"]) == (CREATED, catalog.ids()["logistics.task.TaskCreated"])
    assert await asked(registry, f"subjects/{CREATED}/versions/1/schema") == json.loads(first["schema"])


async def test_what_is_promised_of_a_subject_depends_on_who_reads_it(registry: httpx.AsyncClient):
    beat = "logistics.task-logistics.control.Heartbeat"
    assert await asked(registry, f"config/{CREATED}") == {"compatibilityLevel": "FULL_TRANSITIVE"}
    assert await asked(registry, f"config/{beat}") == {"compatibilityLevel": "BACKWARD_TRANSITIVE"}
    assert await asked(registry, "config/none?defaultToGlobal=true") == await asked(registry, "config")
    assert await asked(registry, "mode") == {"mode": "READONLY"}
    assert await asked(registry, "schemas/types") == ["AVRO"]


async def test_a_schema_is_found_however_it_is_written(registry: httpx.AsyncClient):
    known = next(each for each in registered() if each.subject == CREATED)
    spread = json.loads(known.schema)
    spread["name"] = f"{spread.pop('namespace')}.{spread['name']}"
    for text in (known.schema, json.dumps(json.loads(known.schema), indent=3), json.dumps(spread, sort_keys=True)):
        found = await registry.post(f"/registry/subjects/{CREATED}?normalize=false", json={"schema": text})
        assert (found.status_code, found.json()["id"], found.json()["version"]) == (200, known.id, 1)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "schemas/ids/99999", None, 404, 40403),
        ("GET", "schemas/ids/99999999999", None, 404, 404),
        ("GET", "schemas/ids/one", None, 404, 404),
        ("GET", "subjects/nobody/versions", None, 404, 40401),
        ("GET", "subjects/nobody/versions/1", None, 404, 40401),
        ("GET", f"subjects/{CREATED}/versions/99", None, 404, 40402),
        ("GET", f"subjects/{CREATED}/versions/0", None, 422, 42202),
        ("GET", f"subjects/{CREATED}/versions/first", None, 422, 42202),
        ("GET", "config/nobody", None, 404, 40408),
        ("GET", "no/such/path", None, 404, 404),
        ("POST", "subjects/nobody", {"schema": '"string"'}, 404, 40401),
        ("POST", f"subjects/{CREATED}", {"schema": '"string"'}, 404, 40403),
        ("POST", f"subjects/{CREATED}", {"schema": "{}", "schemaType": "JSON"}, 404, 40403),
        ("POST", f"subjects/{CREATED}", {"schema": '{"type":"nothing"}'}, 422, 42201),
        ("POST", f"subjects/{CREATED}", {"schema": "[" * 100_000}, 422, 42201),
        ("POST", f"subjects/{CREATED}", {"schema": 7}, 422, 42201),
        ("POST", f"subjects/{CREATED}", [], 422, 42201),
        ("POST", f"subjects/{CREATED}", {"schema": "x" * BODY_BYTES}, 413, 413),
        ("POST", f"subjects/{CREATED}/versions", {"schema": '"string"'}, 422, 42205),
        ("DELETE", f"subjects/{CREATED}", None, 422, 42205),
        ("DELETE", f"subjects/{CREATED}/versions/1", None, 422, 42205),
        ("PUT", "config", {"compatibility": "NONE"}, 422, 42205),
        ("PUT", f"config/{CREATED}", {"compatibility": "NONE"}, 422, 42205),
        ("PUT", "mode", {"mode": "READWRITE"}, 422, 42205),
    ],
)
async def test_what_is_wrong_is_told_in_confluents_form(
    registry: httpx.AsyncClient, method: str, path: str, body: Any, status: int, code: int
):
    answer = await registry.request(method, f"/registry/{path}", json=body)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    assert answer.json()["message"]
    assert answer.headers["content-type"] == MEDIA


async def test_every_path_is_described(registry: httpx.AsyncClient):
    paths = (await registry.get("/openapi.json")).json()["paths"]
    assert paths["/registry/schemas/ids/{id}"]["get"]["security"] == []
    assert set(paths["/registry/subjects/{subject}"]) == {"post", "delete"}


def test_what_was_deleted_is_not_told():
    registry = Registry()
    key = encoded({"keytype": "SCHEMA", "subject": "s", "version": 1, "magic": 1})
    held = {"subject": "s", "version": 1, "id": 5, "schema": '"string"', "deleted": False}
    registry.take(key, encoded(held))
    assert registry.subjects() == ["s"]
    registry.take(key, encoded(held | {"deleted": True}))
    assert registry.subjects() == []
    registry.take(key, encoded(held))
    registry.take(key, None)
    assert registry.subjects() == []


def test_records_of_other_kinds_are_passed_over():
    registry = Registry()
    registry.take(encoded({"keytype": "NOOP", "magic": 0}), None)
    registry.take(encoded({"keytype": "MODE", "subject": None, "magic": 0}), encoded({"mode": "READWRITE"}))
    registry.take(encoded({"keytype": "DELETE_SUBJECT", "subject": "s", "magic": 0}), encoded({"subject": "s"}))
    assert registry.subjects() == []
