"""Commands through the door: ids, keys, versions, answers."""

import pytest
from reception import HOME, House, Json, delivery, key

from commands.order import Unavailable
from schemas import ids
from schemas.position import vector

SOON = "2026-03-01T20:00:00Z"


async def created_task(house: House, **more: object) -> Json:
    made = await house.caller().post("/v1/acme/tasks", json=delivery(**more), headers=key("k-1"))
    assert made.status_code == 201, made.text
    return made.json()


async def rider_with_task(house: House) -> tuple[str, str, Json]:
    """(task, rider, the answer to the creation): the goods are with the rider, who is at the door."""
    made = await created_task(house)
    task = made["id"]
    rider = ids.aggregate_id("rider", "acme", "shop", "ann")
    await house.knows(rider)
    await house.caller("dispatcher", "dora").post(
        f"/v1/acme/tasks/{task}/assign-task", json={"rider_id": rider}, headers=key("assign")
    )
    ann = house.caller("rider", rider)
    for word, more in (("accept-assignment", {}), ("report-picked-up", report("stop-1"))):
        said = await ann.post(f"/v1/acme/tasks/{task}/{word}", json=more, headers=key(word))
        assert said.status_code == 200, said.text
    return task, rider, made


def report(stop: str, **more: object) -> Json:
    return {"stop_id": stop, "observed_at": "2026-03-01T12:00:00Z"} | more


async def test_a_create_answers_with_its_place_its_version_and_its_position(house):
    made = await house.caller().post("/v1/acme/tasks", json=delivery(), headers=key("k-1"))
    body = made.json()
    assert made.status_code == 201
    assert body["events"] == ["TaskCreated", "TaskDispatchable"]
    assert made.headers["location"] == f"/v1/acme/tasks/{body['id']}"
    assert made.headers["etag"] == '"v2"'
    assert body["version"] == 2
    assert list(vector(made.headers["logistics-consistency"]).values()) == [2]
    assert body["repeated"] is False


async def test_the_answer_to_a_create_has_the_pin_that_opens_the_door(house):
    task, rider, made = await rider_with_task(house)
    assert list(made["pins"]) == ["stop-2"]
    pin = made["pins"]["stop-2"]
    said = await house.caller("rider", rider).post(
        f"/v1/acme/tasks/{task}/report-delivered",
        json=report("stop-2", proofs=[{"kind": "pin", "pin": pin}]),
        headers=key("d"),
    )
    assert said.status_code == 200
    assert "TaskCompleted" in said.json()["events"]


async def test_a_repeated_create_gets_the_first_answer_with_the_same_pins(house):
    first = await created_task(house)
    house.now = house.now.replace(day=2)
    again = await house.caller().post("/v1/acme/tasks", json=delivery(), headers=key("k-1"))
    assert again.status_code == 201
    assert again.json() == first | {"repeated": True}


async def test_the_tracking_code_is_the_one_on_the_log(house):
    made = await created_task(house)
    assert made["tracking_code"].startswith("CV-20260301-")
    assert len(made["tracking_token"]) == 32


async def test_the_same_key_with_another_body_is_refused(house):
    await created_task(house)
    other = await house.caller().post("/v1/acme/tasks", json=delivery(shipment_id="other"), headers=key("k-1"))
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")


async def test_the_same_reference_with_another_body_names_what_exists(house):
    shop = house.caller()
    first = await shop.post("/v1/acme/tasks", json=delivery(external_reference="1001"))
    other = await shop.post("/v1/acme/tasks", json=delivery(external_reference="1001", shipment_id="s"))
    assert (other.status_code, other.json()["code"]) == (409, "already-exists")
    assert other.json()["values"]["aggregate_id"] == first.json()["id"]


async def test_a_reference_makes_a_create_natural_whatever_the_key(house):
    shop = house.caller()
    first = await shop.post("/v1/acme/tasks", json=delivery(external_reference="1001"))
    assert first.json()["id"] == ids.aggregate_id("task", "acme", "shop", "1001")
    again = await shop.post("/v1/acme/tasks", json=delivery(external_reference="1001"), headers=key("any"))
    assert again.json() == first.json() | {"repeated": True}


async def test_a_source_in_the_body_stands_for_the_tokens_subject(house):
    shop = house.caller()
    made = await shop.post("/v1/acme/tasks", json=delivery(external_reference="1", source="pos"))
    assert made.json()["id"] == ids.aggregate_id("task", "acme", "pos", "1")


async def test_a_create_without_key_or_reference_is_told_the_header_to_paste(house):
    refused = await house.caller().post("/v1/acme/tasks", json=delivery())
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (400, "idempotency-key-missing")
    name, _, value = problem["values"]["header"].partition(": ")
    assert problem["values"]["header"] in problem["detail"]
    made = await house.caller().post("/v1/acme/tasks", json=delivery(), headers={name: value})
    assert made.status_code == 201


async def test_any_other_command_needs_a_key(house):
    task = (await created_task(house))["id"]
    refused = await house.caller().post(f"/v1/acme/tasks/{task}/cancel-task", json={"reason_code": "changed"})
    assert refused.json()["code"] == "idempotency-key-missing"


@pytest.mark.parametrize("bad", ["", " ", "a b", "x" * 201, "é"])
async def test_a_key_that_is_none_is_told_apart(house, bad):
    headers = {"idempotency-key": bad.encode("latin-1")}
    refused = await house.caller().post("/v1/acme/tasks", json=delivery(), headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid-header")


async def test_a_quoted_key_is_the_same_key(house):
    first = await created_task(house)
    again = await house.caller().post("/v1/acme/tasks", json=delivery(), headers=key('"k-1"'))
    assert again.json()["id"] == first["id"]


async def test_a_command_repeated_takes_effect_once(house):
    task = (await created_task(house))["id"]
    shop = house.caller()
    url, body = f"/v1/acme/tasks/{task}/cancel-task", {"reason_code": "changed_mind"}
    first = await shop.post(url, json=body, headers=key("c"))
    again = await shop.post(url, json=body, headers=key("c"))
    assert (first.status_code, first.headers["etag"]) == (200, '"v3"')
    assert again.json() == first.json() | {"repeated": True}


async def test_a_version_that_has_moved_on_is_a_failed_precondition(house):
    task = (await created_task(house))["id"]
    url, body = f"/v1/acme/tasks/{task}/cancel-task", {"reason_code": "changed_mind"}
    refused = await house.caller().post(url, json=body, headers=key("c") | {"if-match": '"v1"'})
    assert (refused.status_code, refused.json()["code"]) == (412, "version-conflict")
    assert refused.json()["version"] == 2
    accepted = await house.caller().post(url, json=body, headers=key("c") | {"if-match": '"v2"'})
    assert accepted.status_code == 200


async def test_an_etag_that_we_never_gave_is_refused(house):
    task = (await created_task(house))["id"]
    refused = await house.caller().post(
        f"/v1/acme/tasks/{task}/cancel-task", json={"reason_code": "x"}, headers=key("c") | {"if-match": "17"}
    )
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid-header")


async def test_a_rule_that_says_no_gives_its_values_and_the_state(house):
    task, rider, _ = await rider_with_task(house)
    refused = await house.caller("rider", rider).post(
        f"/v1/acme/tasks/{task}/decline-assignment", json={"reason_code": "tired"}, headers=key("no")
    )
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (409, "not-in-this-state")
    assert problem["values"] == {"needed": "assigned", "actual": "in_progress"}
    assert problem["state"] == "in_progress"
    assert problem["retryable"] is False


async def test_a_report_with_a_wrong_pin_is_recorded_and_says_so(house):
    task, rider, made = await rider_with_task(house)
    wrong = f"{(int(made['pins']['stop-2']) + 1) % 10_000:04}"
    told = await house.caller("rider", rider).post(
        f"/v1/acme/tasks/{task}/report-delivered",
        json=report("stop-2", proofs=[{"kind": "pin", "pin": wrong}]),
        headers=key("d"),
    )
    assert (told.status_code, told.json()["pin_rejected"]) == (202, True)
    assert told.json()["events"] == ["ParcelsDelivered", "PinRejected"]


async def test_a_wrong_pin_alone_is_refused(house):
    task, rider, made = await rider_with_task(house)
    wrong = f"{(int(made['pins']['stop-2']) + 1) % 10_000:04}"
    refused = await house.caller("rider", rider).post(
        f"/v1/acme/tasks/{task}/capture-proof",
        json=report("stop-2", proofs=[{"kind": "pin", "pin": wrong}]),
        headers=key("d"),
    )
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (422, "pin-rejected")
    assert problem["values"]["events"] == ["PinRejected"]
    assert refused.headers["etag"] == f'"v{problem["version"]}"'


async def test_a_report_that_does_not_fit_is_accepted_and_marked(house):
    task, rider, _ = await rider_with_task(house)
    said = await house.caller("rider", rider).post(
        f"/v1/acme/tasks/{task}/report-returned", json=report("stop-2"), headers=key("r")
    )
    assert (said.status_code, said.json()["conflict"]) == (202, True)


async def test_an_unknown_id_is_not_found(house):
    refused = await house.caller().post(
        "/v1/acme/tasks/nobody/cancel-task", json={"reason_code": "x"}, headers=key("c")
    )
    assert (refused.status_code, refused.json()["code"]) == (404, "not-found")


async def test_a_foreign_tenants_anything_is_not_found(house):
    await house.settle("other")
    task = (await created_task(house))["id"]
    thief = house.caller(tenant="other")
    for url in (f"/v1/acme/tasks/{task}/cancel-task", f"/v1/other/tasks/{task}/cancel-task"):
        refused = await thief.post(url, json={"reason_code": "x"}, headers=key("c"))
        assert (refused.status_code, refused.json()["code"]) == (404, "not-found")


async def test_a_tenant_that_another_door_has_created_just_now_is_known_here(house):
    made = house.policy._tenants.pop("acme")
    house.unheard = lambda: house.policy._tenants.update(acme=made)
    answer = await house.caller().post("/v1/acme/tasks", json=delivery(), headers=key("k"))
    assert answer.status_code == 201, answer.text


async def test_nobody_is_told_that_a_tenant_is_not_there_while_the_directory_cannot_be_read(house):
    del house.policy._tenants["acme"]
    house.silent = Unavailable("directory-lagging", "the directory cannot be read")
    told = await house.caller().post("/v1/acme/tasks", json=delivery(), headers=key("k"))
    assert (told.status_code, told.json()["retryable"]) == (503, True)


async def test_a_tenant_that_was_mistyped_is_told_to_who_may_speak_for_any(house):
    refused = await house.caller("operator", "root", tenant="*").post("/v1/nope/hubs", json={}, headers=key("k"))
    assert (refused.status_code, refused.json()["code"]) == (404, "unknown-tenant")
    assert refused.json()["values"] == {"tenant": "nope"}
    foreign = await house.caller().post("/v1/nope/hubs", json={}, headers=key("k"))
    assert foreign.json()["code"] == "not-found"


async def test_a_tenant_that_was_never_created_is_told_to_its_own_token(house):
    refused = await house.caller(tenant="nowhere").post("/v1/nowhere/tasks", json=delivery(), headers=key("k"))
    assert (refused.status_code, refused.json()["code"]) == (404, "unknown-tenant")


async def test_only_the_platforms_operator_creates_tenants(house):
    body = {"tenant": "fresh", "name": "Fresh"}
    refused = await house.caller("operator", "olga").post("/v1/tenants", json=body)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    platform = house.caller("operator", "root", "*")
    made = await platform.post("/v1/tenants", json=body)
    assert (made.status_code, made.headers["location"]) == (201, "/v1/fresh/tenant")
    assert made.json()["id"] == ids.tenant_id("fresh")
    assert (await platform.post("/v1/tenants", json=body)).json()["repeated"] is True
    assert (await platform.post("/v1/tenants", json=body | {"name": "X"})).json()["code"] == "already-exists"


async def test_the_platforms_operator_may_work_in_every_tenant(house):
    made = await house.caller("operator", "root", "*").post("/v1/acme/tasks", json=delivery(), headers=key("k"))
    assert made.status_code == 201


async def test_a_rider_acts_only_on_themself(house):
    dora = house.caller("dispatcher", "dora")
    made = await dora.post("/v1/acme/riders", json={"name": "Ann", "external_reference": "ann"})
    ann = made.json()["id"]
    await dora.post(f"/v1/acme/riders/{ann}/approve-rider", headers=key("a"))
    url, body = f"/v1/acme/riders/{ann}/start-shift", {"ends_at": SOON}
    refused = await house.caller("rider", "bob").post(url, json=body, headers=key("s"))
    assert refused.status_code == 404
    assert (await house.caller("rider", ann).post(url, json=body, headers=key("s"))).status_code == 200


async def test_another_riders_report_is_forbidden_by_the_task(house):
    task, _, _ = await rider_with_task(house)
    refused = await house.caller("rider", "bob").post(
        f"/v1/acme/tasks/{task}/report-delivered", json=report("stop-2"), headers=key("d")
    )
    assert (refused.status_code, refused.json()["code"]) == (403, "not-the-assignee")


async def test_an_empty_body_is_enough_for_a_command_without_fields(house):
    made = await created_task(house)
    rider = ids.aggregate_id("rider", "acme", "shop", "ann")
    await house.knows(rider)
    await house.caller("dispatcher", "dora").post(
        f"/v1/acme/tasks/{made['id']}/assign-task", json={"rider_id": rider}, headers=key("a")
    )
    said = await house.caller("rider", rider).post(f"/v1/acme/tasks/{made['id']}/accept-assignment", headers=key("yes"))
    assert (said.status_code, said.json()["events"]) == (200, ["AssignmentAccepted"])


async def test_a_task_is_given_to_nobody_who_is_not_a_rider_of_the_tenants(house):
    task = (await created_task(house))["id"]
    url, dora = f"/v1/acme/tasks/{task}/assign-task", house.caller("dispatcher", "dora")
    refused = await dora.post(url, json={"rider_id": "nobody-of-ours"}, headers=key("a"))
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown-rider")
    assert refused.json()["values"] == {"rider_id": "nobody-of-ours"}
    no_rider = await dora.post(url, json={"rider_id": task}, headers=key("a"))
    assert no_rider.json()["code"] == "unknown-rider"
    made = await dora.post("/v1/acme/riders", json={"name": "Ann"}, headers=key("r"))
    given = await dora.post(url, json={"rider_id": made.json()["id"]}, headers=key("a"))
    assert (given.status_code, given.json()["events"]) == (200, ["TaskAssigned"]), "registered just now"


async def test_where_nobody_can_say_whether_there_is_such_a_rider_the_task_is_given(house):
    task = (await created_task(house))["id"]
    submit = house.desk.submit

    async def their_shard_is_closed(order):
        if order.kind == "rider":
            raise Unavailable("shard-not-open", "shard 3 is opening")
        return await submit(order)

    house.desk.submit = their_shard_is_closed
    body = {"rider_id": "ann"}
    given = await house.caller("dispatcher", "dora").post(
        f"/v1/acme/tasks/{task}/assign-task", json=body, headers=key("a")
    )
    assert given.status_code == 200


async def test_nobody_wins_a_claim_through_the_door(house):
    task = (await created_task(house))["id"]
    refused = await house.caller("dispatcher", "dora").post(
        f"/v1/acme/tasks/{task}/assign-task", json={"rider_id": "r", "tender_id": "t"}, headers=key("a")
    )
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid-body")
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/tender_id"]


async def test_a_shard_that_is_not_open_says_when_to_come_again(house):
    house.desk.fails = Unavailable("shard-not-open", "shard 3 is opening", retry_after_s=2)
    told = await house.caller().post("/v1/acme/tasks", json=delivery(), headers=key("k"))
    assert (told.status_code, told.json()["code"], told.json()["retryable"]) == (503, "shard-not-open", True)
    assert told.headers["retry-after"] == "2"


async def test_what_the_order_carries_is_what_the_caller_said(house):
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    headers = key("k-1") | {"traceparent": trace, "x-request-id": "req-7"}
    made = await house.caller().post("/v1/acme/tasks", json=delivery(stops=stops()), headers=headers)
    order = house.desk.orders[-1]
    assert (order.actor, order.role, order.correlation_id) == ("shop", "integrator", "req-7")
    assert order.traceparent is not None
    assert order.traceparent.split("-")[1] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert order.command_id == made.json()["command_id"] == ids.command_id(made.json()["id"], "k-1")
    assert "Cleo" not in order.request_hash


def stops() -> list[Json]:
    return [{"kind": "pickup"}, {"kind": "dropoff", "location": HOME}]
