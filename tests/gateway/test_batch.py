"""Many commands in one request: each answered on its own, in their order."""

from reception import House, Json, delivery, key


async def sent(house: House, *commands: Json, role: str = "integrator") -> list[Json]:
    answer = await house.caller(role).post("/v1/acme/commands:batch", json={"commands": list(commands)})  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


def creating(reference: str) -> Json:
    return {"command": "tasks", "body": delivery(external_reference=reference)}


async def test_each_is_answered_as_if_it_had_come_alone(house: House):
    alone = await house.caller().post("/v1/acme/tasks", json=delivery(external_reference="1"))
    same, other = await sent(house, creating("1"), creating("2"))
    assert same["status"] == other["status"] == 201
    assert same["body"] == alone.json() | {"repeated": True}
    assert (same["etag"], same["location"]) == (alone.headers["etag"], alone.headers["location"])


async def test_one_may_rest_on_what_went_before_and_none_undoes_another(house: House):
    [made] = await sent(house, creating("1"))
    cancel = {
        "command": f"tasks/{made['body']['id']}/cancel-task",
        "body": {"reason_code": "x"},
        "idempotency_key": "c",
    }
    results = await sent(house, creating("1"), cancel, creating("bad") | {"body": {}}, creating("2"))
    assert [each["status"] for each in results] == [201, 200, 422, 201]
    assert results[2]["body"]["code"] == "invalid-body"
    assert results[1]["body"]["events"] == ["TaskCancelled"]


async def test_each_has_its_own_key_and_its_own_version(house: House):
    [made] = await sent(house, creating("1"))
    path = f"tasks/{made['body']['id']}/cancel-task"
    body = {"reason_code": "x"}
    keyless, stale, right, again = await sent(
        house,
        {"command": path, "body": body},
        {"command": path, "body": body, "idempotency_key": "a", "if_match": '"v9"'},
        {"command": path, "body": body, "idempotency_key": "b", "if_match": made["etag"]},
        {"command": path, "body": body, "idempotency_key": "b"},
    )
    assert [each["body"].get("code") for each in (keyless, stale)] == ["idempotency-key-missing", "version-conflict"]
    assert right["status"] == again["status"] == 200
    assert again["body"]["repeated"]


async def test_the_role_is_judged_for_each_and_what_is_no_command_is_not_there(house: House):
    nowhere = ["fixes", "commands:batch", "task-board", "tasks/1", "tasks/1/2/3", "../tenants", "tasks/1/open-tender"]
    results = await sent(house, *({"command": path, "idempotency_key": "k"} for path in nowhere))
    assert [each["status"] for each in results] == [404] * len(nowhere)
    assert {each["body"]["type"] for each in results} == {"/problems/not-found"}
    tender = await sent(house, {"command": "tasks/x/force-complete-task", "idempotency_key": "k"})
    assert tender[0]["body"]["code"] == "forbidden"
    auditor = house.caller("auditor")
    assert (await auditor.post("/v1/acme/commands:batch", json={"commands": [creating("1")]})).status_code == 403
    foreign = house.caller(tenant="other")
    assert (await foreign.post("/v1/acme/commands:batch", json={"commands": [creating("1")]})).status_code == 404


async def test_it_holds_a_hundred_and_no_more(house: House):
    assert len(await sent(house, *map(creating, map(str, range(100))))) == 100
    for many in ([], list(map(creating, map(str, range(101))))):
        refused = await house.caller().post("/v1/acme/commands:batch", json={"commands": many})
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid-body")


async def test_the_log_tells_each_by_the_batchs_id_and_its_number(house: House):
    body = {"commands": [creating("1"), creating("bad") | {"body": {}}]}
    answer = await house.caller().post(
        "/v1/acme/commands:batch", json=body, headers={"x-request-id": "mine"} | key("unused")
    )
    assert answer.headers["x-request-id"] == "mine"
    assert answer.json()["results"][1]["body"]["request_id"] == "mine.1"
