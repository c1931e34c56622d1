"""Whatever is sent, the answer says what is wrong and where, all at once, and never 500."""

import json

import pytest
from reception import HOME, House, Json, delivery, key

NEW_YEAR_0 = "0001-01-01T00:00:00+14:00"


async def refused(house: House, body: Json | bytes, status: int = 422) -> Json:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = await house.caller().post(
        "/v1/acme/tasks", content=content, headers=key("k") | {"content-type": "application/json"}
    )
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert house.desk.orders[-1].kind != "task", "nothing was handed over"
    return answer.json()


def errors(problem: Json) -> dict[str, str]:
    """Of each place the first."""
    return {error["pointer"]: error["detail"] for error in reversed(problem["errors"])}


async def test_every_error_of_a_body_is_told_with_its_pointer(house):
    stop = {"kind": "dropof", "location": {"lat": 91, "lon": "x"}, "window": {"start": "noon"}, "colour": "red"}
    problem = await refused(
        house, {"kind": "delivery", "outlet": "KAMPPI", "stops": [{"kind": "pickup"}, stop], "x/y": 1}
    )
    assert problem["code"] == "invalid-body"
    assert errors(problem) == {
        "/outlet": "must match ^[a-z0-9][a-z0-9-]{0,62}$",
        "/stops/1/kind": "must be collection or dropoff or pickup",
        "/stops/1/location/lat": "must be at most 90",
        "/stops/1/location/lon": "must be of type number",
        "/stops/1/window/start": "must be a time of RFC 3339 with its offset, such as 2026-03-01T12:00:00Z",
        "/stops/1/window/end": "is required",
        "/stops/1/colour": "is not known here",
        "/x~1y": "is not known here",
    }


async def test_an_empty_body_is_told_all_that_is_required(house):
    problem = await refused(house, b"")
    assert errors(problem) == dict.fromkeys(("/kind", "/outlet", "/stops"), "is required")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"stops": []}, {"/stops": "must have at least 1 items"}),
        ({"stops": [{}] * 51}, None),
        ({"metadata": {"a": 1}}, {"/metadata/a": "must be of type string"}),
        ({"metadata": {"": "a"}}, {"/metadata/": "the name must have at least 1 characters"}),
        ({"metadata": {"k" * 65: "a"}}, {f"/metadata/{'k' * 65}": "the name must have at most 64 characters"}),
        ({"external_reference": 7}, {"/external_reference": "must be string or null"}),
        ({"external_reference": ""}, {"/external_reference": "must have at least 1 characters"}),
        ({"parcels": {}}, {"/parcels": "must be of type array"}),
        ({"kind": None}, {"/kind": "must be collection or delivery or pickup or return or transfer"}),
        ([], {"": "must be of type object"}),
        ("text", {"": "must be of type object"}),
    ],
)
async def test_what_is_wrong_is_said_in_words(house, value, told):
    body = {**delivery(), **value} if isinstance(value, dict) else value
    problem = await refused(house, json.dumps(body).encode())
    assert told is None or told.items() <= errors(problem).items()


async def test_of_a_union_the_branch_that_was_meant_is_explained(house):
    fence = {"name": "f", "shape": {"type": "circle", "center": {"lat": 1}, "radius_m": 0}}
    answer = await house.caller().post("/v1/acme/geofences", json=fence, headers=key("g"))
    assert errors(answer.json()) == {"/shape/center/lon": "is required", "/shape/radius_m": "must be more than 0"}
    answer = await house.caller().post("/v1/acme/geofences", json=fence | {"shape": {"type": "star"}}, headers=key("g"))
    assert errors(answer.json()) == {"/shape": "must have a `type` of circle or corridor or multipolygon or polygon"}


async def test_a_fence_of_too_many_vertices_is_refused_before_each_is_looked_at(house):
    vertices = ",".join(["[999,0]"] * 20_000)
    body = f'{{"name": "f", "shape": {{"type": "polygon", "rings": [[{vertices}]]}}}}'.encode()
    headers = key("g") | {"content-type": "application/json"}
    answer = await house.caller().post("/v1/acme/geofences", content=body, headers=headers)
    assert list(errors(answer.json())) == ["/shape/rings/0/0/0"]
    body = body.replace(b"999", b"9")
    answer = await house.caller().post("/v1/acme/geofences", content=body, headers=headers)
    assert errors(answer.json()) == {"/shape/rings/0": "must have at most 10000 items"}
    million = body + b"," + b"[9,0]," * 1_000_000
    answer = await house.caller().post("/v1/acme/geofences", content=million, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")


@pytest.mark.parametrize(
    ("body", "line", "column"),
    [
        (b'{\n  "kind": "delivery",\n  outlet: 1}', 3, 3),
        (b'{"kind": "delivery"', 1, 20),
        (b'{"kind": NaN}', 1, 10),
        (b'{"kind":\n "\xff"}', 2, 3),
        (b"[" * 100_000, 1, 1),
        (b"\xef\xbb\xbf{}", 1, 1),
        (b'{"kind": "delivery"} x', 1, 22),
    ],
)
async def test_broken_json_is_told_by_line_and_column(house, body, line, column):
    problem = await refused(house, body, status=400)
    assert problem["code"] == "malformed-json"
    assert problem["values"] == {"line": line, "column": column}
    assert f"line {line}, column {column}" in problem["detail"]


@pytest.mark.parametrize("number", [b"1e999", b"1" * 5_000, b"-1e99999"])
async def test_numbers_that_no_machine_holds_are_refused(house, number):
    body = json.dumps(delivery()).encode().replace(str(HOME["lat"]).encode(), number)
    assert (await refused(house, body))["code"] == "invalid-body"


async def test_a_moment_out_of_all_bounds_is_refused_where_it_stands(house):
    body = delivery(stops=[{"kind": "pickup", "goods_ready_at": NEW_YEAR_0}, {"kind": "dropoff"}])
    assert errors(await refused(house, body)) == {"/stops/0/goods_ready_at": "must lie between 1900 and 2200"}


async def test_the_null_character_is_refused_where_it_stands(house):
    body = delivery(metadata={"a": "\0", "b": "\\u0000 spelled out"})
    assert errors(await refused(house, body)) == {"/metadata/a": "must not contain the character U+0000"}


async def test_a_window_that_ends_before_it_starts_is_refused_by_the_rule(house):
    window = {"start": "2026-03-01T12:00:00Z", "end": "2026-03-01T11:00:00Z"}
    body = delivery(stops=[{"kind": "pickup"}, {"kind": "dropoff", "window": window}])
    answer = await house.caller().post("/v1/acme/tasks", json=body, headers=key("k"))
    assert (answer.status_code, answer.json()["code"]) == (422, "stops-mismatch")


async def test_a_body_of_another_type_is_unsupported(house):
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"):
        answer = await house.caller().post(
            "/v1/acme/tasks", content=b"{}", headers=key("k") | {"content-type": content_type}
        )
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-media-type")
    answer = await house.caller().post("/v1/acme/tasks", content=b"{}", headers=key("k"))
    assert answer.status_code == 415


async def test_json_with_its_charset_is_json(house):
    answer = await house.caller().post(
        "/v1/acme/tasks",
        content=json.dumps(delivery()).encode(),
        headers=key("k") | {"content-type": "Application/JSON; charset=utf-8"},
    )
    assert answer.status_code == 201


async def test_a_body_larger_than_the_limit_is_refused_announced_or_not(house):
    large = b" " * (house.door.limits.body_bytes + 1)

    async def in_chunks():
        for start in range(0, len(large), 65_536):
            yield large[start : start + 65_536]

    for content in (large, in_chunks()):
        answer = await house.caller().post(
            "/v1/acme/tasks", content=content, headers=key("k") | {"content-type": "application/json"}
        )
        assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")


async def test_a_body_of_just_the_limit_is_read(house):
    body = json.dumps(delivery()).encode()
    body += b" " * (house.door.limits.body_bytes - len(body))
    answer = await house.caller().post(
        "/v1/acme/tasks", content=body, headers=key("k") | {"content-type": "application/json"}
    )
    assert answer.status_code == 201


@pytest.mark.parametrize(
    "path", ["/nothing", "/v1", "/v1/acme/nonsense", "/v1/acme/tasks/1/fly", "/v1/acme/tasks/", "/v2/x"]
)
async def test_an_unknown_path_is_not_found(house, path):
    answer = await house.caller().post(path, headers=key("k"))
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


async def test_commands_of_our_own_processes_have_no_path(house):
    for path in ("tasks/1/record-tender", "tenders", "tenders/1/award-tender", "riders/1/reserve-rider"):
        answer = await house.caller("operator", "olga").post(f"/v1/acme/{path}", json={}, headers=key("k"))
        assert answer.status_code == 404, path


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/acme/fixes", "POST"),
        ("DELETE", "/v1/acme/tasks", "GET, HEAD, POST"),
        ("POST", "/", "GET, HEAD"),
        ("DELETE", "/v1/acme/outlets", "GET, HEAD, POST"),
        ("PUT", "/v1/acme/tasks/1", "GET, HEAD"),
        ("GET", "/v1/acme/tasks/1/cancel-task", "POST"),
        ("BREW", "/livez", "GET, HEAD"),
    ],
)
async def test_another_method_is_told_which_are_allowed(house, method, path, allow):
    answer = await house.caller().request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (405, "method-not-allowed")
    assert answer.headers["allow"] == allow
    assert answer.json()["detail"].startswith(f"allowed here: {allow}")


@pytest.mark.parametrize(
    ("method", "word", "status", "there"),
    [
        ("GET", "riders", 405, "riders are read at GET /v1/{tenant}/rider-roster"),
        ("GET", "vehicles", 405, "vehicles are read at GET /v1/{tenant}/vehicle-roster"),
        ("GET", "incidents", 405, "incidents are read at GET /v1/{tenant}/incident-register"),
        ("GET", "tenders", 404, "tenders are read at GET /v1/{tenant}/tender-board"),
        ("POST", "rider-roster", 405, "riders are created at POST /v1/{tenant}/riders"),
    ],
)
async def test_what_is_listed_or_created_elsewhere_says_where(house, method, word, status, there):
    answer = await house.caller().request(method, f"/v1/acme/{word}")
    assert answer.status_code == status
    assert answer.json()["detail"].endswith(f"; {there}")
