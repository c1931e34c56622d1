"""What is logged names nobody: neither the words of those who wrote to us, nor the variables that held them."""

import asyncio
import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any, Never

import pytest
import structlog
from msgspec.structs import replace
from reception import HOME, House, delivery, key

from commands import shard
from commands.aggregates import AGGREGATES
from gateway.commands import answer_of
from infra.failures import named
from infra.observability import configure, quiet
from infra.settings import load_settings

NAME, PHONE = "Cleo Contact", "+358401234567"


@pytest.fixture(params=["json", "console", "quiet"])
def logged(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Everything that was written so far. Afterwards logging is as it was."""
    root = logging.getLogger()
    handlers, level = [*root.handlers], root.level
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    if request.param == "quiet":
        quiet()
    else:
        configure(load_settings(log_format=request.param))
    structlog.configure(cache_logger_on_first_use=False)
    yield written.getvalue
    structlog.reset_defaults()
    root.handlers = handlers
    root.setLevel(level)


def fails(state: object, command: Any, context: object) -> Never:
    words = repr(command)
    try:
        raise ValueError(command.stops[1].contact.name)
    except ValueError as cause:
        raise RuntimeError(f"cannot judge {words}") from cause


def unnamed(lines: str) -> str:
    assert NAME not in lines, lines
    assert PHONE not in lines, lines
    assert str(HOME["lat"]) not in lines, lines
    return lines


async def test_a_failing_endpoint_quotes_nothing_of_the_body(logged):
    house = House()
    await house.settle()
    house.desk.fails = RuntimeError(f"a bug that quotes {delivery()}")
    answer = await house.caller().post("/v1/acme/tasks", json=delivery(), headers=key("k"))
    assert answer.status_code == 500
    lines = unnamed(logged())
    assert "request failed" in lines
    assert "RuntimeError" in lines
    assert answer_of.__code__.co_filename in lines, "where in the code it came up"
    await house.close()


async def test_a_failing_decision_quotes_nothing_of_the_command(logged, world, monkeypatch):
    shards = await world.owner()
    await world.settle(shards)
    monkeypatch.setitem(shard.AGGREGATES, "task", replace(AGGREGATES["task"], decide=fails))
    with pytest.raises(RuntimeError, match=NAME):
        await world.create(shards, "order-1", NAME)
    lines = unnamed(logged())
    assert "decision failed" in lines
    assert "CreateTask" in lines
    assert __file__ in lines
    assert "ValueError" in lines, "the cause, too"


async def test_what_a_library_says_of_a_lost_failure_quotes_nothing(logged):
    async def lost() -> None:
        raise ExceptionGroup(NAME, [ValueError(PHONE)])

    task = asyncio.create_task(lost())
    await asyncio.wait([task])
    context = {"message": "Task exception was never retrieved", "exception": task.exception(), "task": task}
    asyncio.get_running_loop().default_exception_handler(context)
    logging.getLogger("some.package").error("cannot send %s", NAME, exc_info=task.exception())
    unnamed(logged())


def test_a_failure_that_is_logged_as_a_value_is_named_not_quoted(logged):
    structlog.get_logger().error("fold failed", error=ValueError(NAME))
    assert "ValueError" in unnamed(logged())


@pytest.mark.parametrize("logged", ["json"], indirect=True)
def test_json_lines_say_where_and_by_which_code(logged):
    structlog.get_logger().error("gone", exc_info=ConnectionRefusedError(111, NAME))
    assert json.loads(logged())["exception"] == [
        {"exc_type": "ConnectionRefusedError", "is_cause": False, "frames": [], "code": "ECONNREFUSED"}
    ]


def test_a_code_is_told_and_prose_is_not():
    class Coded(Exception):
        def __init__(self, code: str) -> None:
            self.code = code

    assert named(Coded("shard-closed")) == "Coded shard-closed"
    assert named(Coded("Cleo, at her door")) == "Coded"
