"""The API as it is described, called as the description allows and as it does not: never a fault of ours, never a surprise."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from reception import TOKENS, House
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from infra.embedded.ports import free_port
from infra.serving import server

EXAMPLES = 7
"""Of each operation and mode."""

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
NO_HTTP = b"Invalid HTTP request received."
"""The server's own word for what is no HTTP, such as a request line of 64 KiB: the door never sees it."""

UNENDING = frozenset({"/v1/{tenant}/events/stream"})
"""Its answer is a stream; tests of its own read it."""


@pytest.fixture
async def served(library: Any) -> AsyncIterator[str]:
    house: House = library[0]
    house.desk.heard = house.follow
    port = free_port()
    serving = server(house.app, "127.0.0.1", port)
    task = asyncio.create_task(serving.serve())
    while not serving.started:  # noqa: ASYNC110 - uvicorn tells it so
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    serving.should_exit = True
    await task


@pytest.mark.timeout(400)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["allowed", "not allowed"])
async def test_whatever_is_sent_is_answered_as_described(served: str, mode: GenerationMode):
    called = await asyncio.to_thread(all_called, served, mode)
    assert called > 40


def all_called(url: str, mode: GenerationMode) -> int:
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    schema.config.update(base_url=url)
    called = 0
    never_wrong: set[str] = set()
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path in UNENDING or takes(operation) in never_wrong:
            continue
        try:
            called_with(operation.as_strategy(generation_mode=mode))
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE, f"{operation.label}: nothing is allowed"
            never_wrong.add(takes(operation))
            continue
        called += 1
    return called


def takes(operation: Any) -> str:
    """What is drawn from: its parameters and bodies. Where nothing can be wrong with one operation's, nothing can with
    the same of another, and to find that out takes hundreds of draws."""
    return repr([(part.location, part.definition) for part in (*operation.iter_parameters(), *operation.body)])


def asks_for_what_will_be(answer: Any) -> bool:
    """A version or a place that the read model has not come to: 503 says so by design, and is described."""
    return answer.status_code == 503 and answer.json().get("code") == "projection-lagging"


def called_with(strategy: Any) -> None:
    authorised = {"authorization": f"Bearer {TOKENS.issue('acme', 'operator', 'root', 3600)}"}

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def call(case: Any) -> None:
        if "tenant" in (case.path_parameters or {}):
            case.path_parameters["tenant"] = "acme"
        answer = case.call(headers=authorised, timeout=20)
        if answer.content == NO_HTTP:
            return
        case.validate_response(answer, checks=CHECKS[1:] if asks_for_what_will_be(answer) else CHECKS)

    call()
