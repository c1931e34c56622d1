"""The examples of the API's description: what is sent is taken, and what is answered is what the door answers."""

from typing import Any, get_args

import msgspec
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from gateway.allowed import CLOSED_FIELDS
from gateway.commands import OPEN, OpenCommand
from gateway.docs_page import encoded
from gateway.examples.bodies import BODIES, Body, every_body
from schemas.proof import PhotoEntry
from schemas.task import CreateTask
from schemas.task_kind import TaskKind

DOCUMENT: dict[str, Any] = msgspec.json.decode(encoded())
BY_COMMAND = {known.cls: known for known in OPEN}
SENT = [pytest.param(BY_COMMAND[type(body.command)], body, id=body.name) for body in every_body()]


def test_the_description_is_valid():
    validate(DOCUMENT)


def test_every_command_has_an_example():
    assert {known.cls for known in OPEN} == BODIES.keys()


def test_every_kind_of_task_has_one():
    told = {body.command.kind for body in BODIES[CreateTask] if isinstance(body.command, CreateTask)}
    assert told == set(get_args(TaskKind))


@pytest.mark.parametrize(("known", "body"), SENT)
def test_an_example_is_read_as_the_command_that_it_was_written_as(known: OpenCommand, body: Body):
    assert known.decoder.decode(msgspec.json.encode(body.value)) == body.command


@pytest.mark.parametrize(("known", "body"), SENT)
def test_an_example_is_valid_by_the_description(known: OpenCommand, body: Body):
    schema = {"$ref": f"#/components/schemas/{known.cls.__name__}", "components": DOCUMENT["components"]}
    Draft202012Validator(schema).validate(body.value)


@pytest.mark.parametrize(("known", "body"), SENT)
def test_an_example_fills_in_nothing_that_is_not_the_callers_to_fill(known: OpenCommand, body: Body):
    closed = CLOSED_FIELDS.get(known.cls, ())
    assert not body.value.keys() & closed
    assert not any(proof.keys() & CLOSED_FIELDS[PhotoEntry] for proof in body.value.get("proofs", ()))


def test_an_example_is_shown_with_its_operation():
    for known in OPEN:
        shown = DOCUMENT["paths"][known.route]["post"]["requestBody"]["content"]["application/json"]["examples"]
        told = [DOCUMENT["components"]["examples"][name]["value"] for name in shown]
        assert told == [body.value for body in BODIES[known.cls]]
