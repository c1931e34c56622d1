"""Around every request: its id, its log line, its metrics, and an answer whatever happens."""

import asyncio
import gc
import json
import re
import weakref
from pathlib import Path

import pytest
import reception
from reception import House, delivery, key
from starlette.types import Message
from structlog.testing import capture_logs

import commands.aggregates
from commands.order import Unavailable
from gateway.door import Limits
from gateway.problem_kinds import KINDS
from schemas.message import Refused

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_a_request_keeps_its_id_and_a_strange_one_gets_another(house):
    shop = house.caller()
    answer = await shop.get("/v1/acme/tenant", headers={"x-request-id": "mine-7"})
    assert answer.headers["x-request-id"] == "mine-7"
    for strange in ("a b", "x" * 65, ""):
        answer = await shop.get("/v1/acme/tenant", headers={"x-request-id": strange})
        assert len(answer.headers["x-request-id"]) == 24


async def test_a_problem_names_the_request(house):
    answer = await house.client({"x-request-id": "mine-8"}).get("/v1/acme/tenant")
    assert answer.json()["request_id"] == "mine-8" == answer.headers["x-request-id"]


async def test_one_line_is_logged_with_ids_and_without_personal_data(house):
    headers = key("k") | {"x-request-id": "mine-9", "traceparent": TRACE}
    with capture_logs() as logs:
        made = await house.caller().post("/v1/acme/tasks?note=Cleo", json=delivery(), headers=headers)
    [line] = logs
    assert line | {"ms": 0} == {
        "event": "request",
        "log_level": "info",
        "request_id": "mine-9",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "tenant": "acme",
        "method": "POST",
        "route": "/v1/{tenant}/tasks",
        "command_id": made.json()["command_id"],
        "status": 201,
        "ms": 0,
    }
    assert "Cleo" not in json.dumps(line)


async def test_a_broken_trace_is_replaced_by_a_new_one(house):
    with capture_logs() as logs:
        await house.caller().get("/v1/acme/tenant", headers={"traceparent": "00-xyz"})
    assert len(logs[0]["trace_id"]) == 32


async def test_what_nobody_foresaw_is_a_problem_with_the_requests_id_and_a_logged_error(house):
    house.desk.fails = ZeroDivisionError("by zero")
    with capture_logs() as logs:
        answer = await house.caller().post("/v1/acme/tasks", json=delivery(), headers=key("k"))
    assert (answer.status_code, answer.json()["code"]) == (500, "internal-error")
    assert "zero" not in answer.text
    failed = next(line for line in logs if line["event"] == "request failed")
    assert (failed["error"], failed["request_id"]) == ("ZeroDivisionError", answer.json()["request_id"])


async def test_an_answer_that_does_not_come_is_unknown_and_may_be_asked_again():
    async with reception.house(Limits(answer_s=0.05)) as house:
        house.desk.submit = lambda order: asyncio.sleep(10)
        answer = await house.caller().post("/v1/acme/tasks", json=delivery(), headers=key("k"))
        assert (answer.status_code, answer.json()["code"]) == (503, "answer-unknown")


async def test_an_unavailability_without_a_page_of_its_own_is_told_as_such(house):
    house.desk.fails = Unavailable("of-a-newer-release", "nobody knows")
    answer = await house.caller().post("/v1/acme/tasks", json=delivery(), headers=key("k"))
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


def rules(cls: type[Refused] = Refused) -> set[str]:
    return {cls.rule}.union(*(rules(inner) for inner in cls.__subclasses__()))


def test_every_rule_has_its_problem():
    assert commands.aggregates.AGGREGATES
    assert rules() - KINDS.keys() == set()


def test_every_way_to_be_unavailable_has_its_problem():
    root = Path(commands.aggregates.__file__).parents[1]
    sources = [*root.glob("commands/*.py"), *root.glob("infra/*.py"), *root.glob("gateway/*.py")]
    codes = {code for source in sources for code in re.findall(r'Unavailable\(\s*"([a-z-]+)"', source.read_text())}
    assert {"aggregate-cold", "shards-unreachable", "directory-lagging"} <= codes
    assert codes - KINDS.keys() == set()


@pytest.mark.parametrize("code", KINDS)
async def test_every_problems_type_is_a_page_of_ours(house, code):
    page = await house.client().get(f"/problems/{code}")
    assert page.status_code == 200
    assert KINDS[code].title in page.text.replace("&#x27;", "'")


async def test_an_unknown_problem_has_no_page(house):
    assert (await house.client().get("/problems/nonsense")).status_code == 404


async def test_requests_are_counted_by_route_and_status(house: House):
    await house.caller().get("/v1/acme/tasks/1/cancel-task")
    text = (await house.client().get("/metrics")).text
    counted = 'logistics_requests_total{method="GET",route="/v1/{tenant}/tasks/{id}/cancel-task",status="405"}'
    assert counted in text
    assert "logistics_request_seconds_bucket" in text


async def test_a_strange_method_is_counted_as_other(house):
    await house.client().request("X" * 20, "/livez")
    assert "XXXX" not in (await house.client().get("/metrics")).text


async def test_we_live_and_say_whether_we_are_ready(house):
    visitor = house.client()
    assert (await visitor.get("/livez")).json() == {"status": "ok"}
    assert (await visitor.get("/readyz")).json() == {"status": "ok"}
    house.ready["kafka"] = "shard 3 is opening"
    answer = await visitor.get("/readyz?verbose")
    assert (answer.status_code, answer.json()["parts"]["kafka"]) == (503, "shard 3 is opening")


async def test_a_readiness_that_fails_is_not_ready(house: House):
    house.ready = None  # type: ignore[assignment]
    answer = await house.client().get("/readyz?verbose")
    assert (answer.status_code, answer.json()["parts"]) == (503, {"readiness": "failed: TypeError"})


async def test_a_client_that_has_gone_is_only_logged(house: House):
    async def gone():
        return {"type": "http.disconnect"}

    sent = []
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/acme/tasks",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {reception.TOKENS.issue('acme', 'integrator', 's', 9)}".encode())],
    }
    with capture_logs() as logs:
        await house.app(scope, gone, sent.append)
    assert (sent, logs[0]["status"]) == ([], 499)


class Connection:
    """As a server holds one: it has the scope, and gives out its own methods."""

    def __init__(self) -> None:
        self.scope = {"type": "http", "method": "GET", "path": "/livez", "query_string": b"", "headers": []}
        self.told: list[Message] = []

    async def receive(self) -> Message:
        return {"type": "http.request", "body": b""}

    async def send(self, message: Message) -> None:
        self.told.append(message)


async def test_a_request_that_is_over_is_let_go_without_a_look_for_cycles(house):
    connection = Connection()
    gc.disable()
    try:
        await house.app(connection.scope, connection.receive, connection.send)
        assert connection.told[0]["status"] == 200
        gone = weakref.ref(connection)
        del connection
        assert gone() is None
    finally:
        gc.enable()
