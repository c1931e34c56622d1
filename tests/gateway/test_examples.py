"""The examples of the API's description: what is sent is taken, and what is answered is what the door answers."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, get_args

import httpx
import msgspec
import pytest
import reception
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from reception import TOKENS, House, key

import commands.order
from commands.context import UnknownOutlet
from commands.incident import TimelineMissing
from commands.order import Unavailable
from commands.proof import PinAttemptsExhausted
from commands.registries import UnknownFailureReason
from commands.simulated import NothingToSimulate
from commands.task_state import GoodsInCustody, NotForThisKind, NotTheAssignee, StopNotKnown
from commands.wire import RefusedElsewhere
from gateway.allowed import CLOSED_FIELDS
from gateway.commands import OPEN, OpenCommand
from gateway.docs_page import encoded
from gateway.door import Limits
from gateway.examples.bodies import BODIES, Body, every_body, shortest
from gateway.examples.lumi import (
    AT_KALLIO,
    CARRIER_ID,
    INCIDENT_ID,
    PHOTO,
    RIDER_ID,
    SECOND_OUTLET,
    SHOP,
    SIGNATURE,
    TASK_ID,
    TENANT,
    TRANSFER_ID,
    VEHICLE_ID,
    ZONE,
    at,
    id_of,
)
from gateway.examples.problems import (
    BEFORE_ANY_RULE,
    KEY,
    KEY_MISSING,
    LIMITS,
    NO_JSON,
    NOBODY_COULD_JUDGE,
    NOT_THAT_BODY,
    NOWHERE,
    REQUEST_ID,
)
from gateway.examples.refusals import REFUSALS
from gateway.named import NAMED_IN
from gateway.problems import Problem
from gateway.refusals_met import rules_met
from schemas.carrier import ActivateCarrier, RegisterCarrier
from schemas.directory import CreateOutlet, CreateTenant
from schemas.field_report import FieldReport, ReportArrived, ReportAttemptFailed, ReportCollected
from schemas.hub import CreateHub
from schemas.incident import SealIncident
from schemas.message import Refused, Role
from schemas.proof import PhotoEntry, PinlessKind, ProofKind
from schemas.task import CreateTask, StartDispatch
from schemas.task_kind import TaskKind
from schemas.vehicle import RegisterVehicle, RetireVehicle

DOCUMENT: dict[str, Any] = msgspec.json.decode(encoded())
ROLES: tuple[Role, ...] = ("integrator", "dispatcher", "operator", "rider")
NAMED = {"x-request-id": REQUEST_ID}
ARRIVED = next(body.value for body in BODIES[ReportArrived])
BY_COMMAND = {known.cls: known for known in OPEN}
SENT = [pytest.param(BY_COMMAND[type(body.command)], body, id=body.name) for body in every_body()]


def test_the_description_is_valid():
    validate(DOCUMENT)


def described(cls: str, field: str) -> str:
    return DOCUMENT["components"]["schemas"][cls]["properties"][field]["description"]


def test_each_word_of_a_required_proof_is_told_and_who_tells_the_pin():
    for kind in get_args(ProofKind):
        assert f"`{kind}`" in described("NewStop", "required_proof")
    for cls, field in (("NewParcel", "required_proof"), ("CreateTask", "return_proof")):
        assert all(f"`{kind}`" in described(cls, field) for kind in get_args(PinlessKind))
    assert "tells the rider that PIN" in DOCUMENT["components"]["schemas"]["NewStop"]["description"]


def test_it_is_told_when_two_references_meet():
    for known in OPEN:
        if "external_reference" in known.cls.__struct_fields__ and known.creating:
            assert "`already-exists`" in described(known.cls.__name__, "external_reference")
            assert "same source" in described(known.cls.__name__, "source")


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


# At a real door


@pytest.fixture(scope="module")
async def answers() -> AsyncIterator[list[tuple[OpenCommand, Body, httpx.Response]]]:
    """What a door with a shop as the examples tell of it answers each of them: the creating ones first, and of those last
    the ones that name others."""
    async with reception.house() as house:
        house.now = at(9)
        bodies = sorted(every_body(), key=place)
        first = [body for cls in (CreateTenant, CreateOutlet, CreateHub, RegisterCarrier) for body in BODIES[cls]]
        made: dict[str, str] = {}
        told = []
        for body in [*first, *(body for body in bodies if body not in first)]:
            known = BY_COMMAND[type(body.command)]
            told.append((known, body, await sent(house, known, body, made.get(known.kind, known.kind))))
            if known.creating:
                made.setdefault(known.kind, told[-1][2].json().get("id"))
            if isinstance(body.command, RegisterCarrier):
                await sent(house, BY_COMMAND[ActivateCarrier], BODIES[ActivateCarrier][0], made["carrier"])
            if isinstance(body.command, CreateTenant):
                await beside(house)
        yield told


def place(body: Body) -> tuple[bool, bool]:
    cls = type(body.command)
    return not BY_COMMAND[cls].creating, cls in NAMED_IN and bool(NAMED_IN[cls](body.command))


async def sent(house: House, known: OpenCommand, body: Body, target: str) -> httpx.Response:
    path = known.route.format(tenant=TENANT, id=target)
    of_a_rider = issubclass(known.cls, FieldReport) and "rider" in known.roles
    role: Role = "rider" if of_a_rider else next(each for each in ROLES if each in known.roles)
    subject = RIDER_ID if role == "rider" else SHOP
    caller = house.caller(role, subject, "*" if known.cls is CreateTenant else TENANT)
    return await caller.post(path, json=body.value, headers=key(body.name))


async def beside(house: House) -> None:
    """What the examples speak of and do not create."""
    for digest in (PHOTO, SIGNATURE):
        await house.door.artefacts.put(TENANT, digest, digest, b"")
    wanted = CreateOutlet(outlet=SECOND_OUTLET, name="Lumi Kallio", location=AT_KALLIO, zone=ZONE)
    answer = await house.caller(tenant=TENANT).post(f"/v1/{TENANT}/outlets", json=shortest(wanted))
    assert answer.status_code == 201


async def test_what_creates_is_taken(answers):
    wrong = {body.name: answer.json() for known, body, answer in answers if known.creating and answer.is_error}
    assert wrong == {}


async def test_the_examples_ids_are_those_that_the_door_gives(answers):
    made = {answer.json()["id"] for known, _, answer in answers if known.creating}
    assert {TASK_ID, TRANSFER_ID, RIDER_ID, VEHICLE_ID, CARRIER_ID, INCIDENT_ID} <= made


async def test_each_is_taken_or_refused_by_what_is_described_for_it(answers):
    for known, body, answer in answers:
        if answer.is_error:
            assert answer.json()["code"] in codes(known, answer.status_code), body.name
        else:
            assert str(answer.status_code) in operation(known)["responses"], body.name


def operation(known: OpenCommand) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][known.route]["post"]
    return found


def codes(known: OpenCommand, status: int) -> set[str]:
    name = operation(known)["responses"][str(status)]["$ref"].rpartition("/")[2]
    response = DOCUMENT["components"]["responses"][name]
    examples = response["content"]["application/problem+json"]["examples"]
    return {DOCUMENT["components"]["examples"][each]["value"]["code"] for each in examples}


DELIVERED = (
    "UpdateGoodsReady.1",
    "AssignTask.1",
    "AcceptAssignment.1",
    "ReportEnRoute.1",
    "ReportPickedUp.1",
    "ReportArrived.1",
    "ReportContactAttempt.1",
    "CaptureProof.1",
    "ReportDelivered.2",
    "ReportReturned.1",
)
COLLECTED = ("ReportCustomerOnTheWay.1", "ReportCustomerArrived.1", "ReportCollected.1")


async def test_a_delivery_and_a_collection_are_told_with_them_from_their_beginning_to_their_end(house: House):
    house.now = at(9)
    for name in ("CreateTenant.1", "CreateOutlet.1", "RegisterRider.1", "CreateTask.1", "CreateTask.5"):
        assert (await by_name(house, name, "")).status_code == 201
    await beside(house)
    house.now = at(15, 30)
    await house.process("task", TASK_ID, StartDispatch(), TENANT)
    ends = [await by_name(house, name, TASK_ID) for name in DELIVERED]
    collected = [await by_name(house, name, id_of("task", "collection-10043")) for name in COLLECTED]
    assert {answer.status_code for answer in (*ends, *collected)} == {200}
    assert (ends[-1].json()["events"][-1], collected[-1].json()["events"][-1]) == ("TaskReturned", "TaskCompleted")


async def by_name(house: House, name: str, target: str) -> httpx.Response:
    body = next(body for body in every_body() if body.name == name)
    return await sent(house, BY_COMMAND[type(body.command)], body, target)


# Refusals


def told(name: str) -> Any:
    return DOCUMENT["components"]["examples"][name]["value"]


def rules(cls: type[Refused] = Refused) -> set[type[Refused]]:
    """Those of our own that have none below them. What another process says it refuses by has its own rule."""
    below = [inner for inner in cls.__subclasses__() if inner.__module__.split(".")[0] in ("commands", "schemas")]
    return set().union(*map(rules, below)) if below else {cls} - {RefusedElsewhere}


def test_every_rule_has_an_example_that_is_described():
    assert rules() == REFUSALS.keys()
    assert {rule.__name__ for rule in REFUSALS} <= DOCUMENT["components"]["examples"].keys()


@pytest.mark.parametrize("refused", REFUSALS.values(), ids=lambda refused: type(refused).__name__)
async def test_a_refusals_example_is_what_the_door_answers(house: House, refused: Refused):
    house.desk.fails = refused
    answer = await house.caller().post("/v1/acme/tasks", json=reception.delivery(), headers=NAMED | key("k"))
    answered, example = (
        {name: value for name, value in each.items() if name != "errors"}
        for each in (answer.json(), told(type(refused).__name__))
    )
    assert (answer.status_code, answered) == (example["status"], example)


def test_a_refusals_example_says_where_as_the_door_does():
    """But those that speak of a header, of what was told before, or of the state alone."""
    shown = {rule for rule in REFUSALS if told(rule.__name__).get("errors")}
    met = {rule for known in OPEN for rule in rules_met(known.kind, known.cls)}
    without = {rule for rule in REFUSALS if rule.stands_in + rule.is_about and rule in met} - shown
    assert without == {NothingToSimulate}, "the shop of the examples is live"
    assert told("UnknownOutlet")["errors"] == [{"pointer": "/outlet", "detail": told("UnknownOutlet")["detail"]}]
    assert told("pin-rejected")["errors"][0]["pointer"] == "/proofs/0/pin"


def test_every_way_in_which_nobody_can_judge_has_an_example():
    root = Path(commands.order.__file__).parents[1]
    sources = [*root.glob("commands/*.py"), *root.glob("infra/*.py")]
    named = {code for source in sources for code in re.findall(r'Unavailable\(\s*"([a-z-]+)"', source.read_text())}
    assert named <= {problem.code for problem in NOBODY_COULD_JUDGE}


@pytest.mark.parametrize("problem", [each for each in NOBODY_COULD_JUDGE if each.retry_after_s], ids=lambda it: it.code)
async def test_an_example_of_nobody_who_could_judge_is_what_the_door_answers(house: House, problem: Problem):
    house.desk.fails = Unavailable(problem.code, problem.detail)
    answer = await house.caller().post("/v1/acme/tasks", json=reception.delivery(), headers=NAMED | key("k"))
    assert answer.json() == told(problem.code)


async def test_the_examples_of_what_is_wrong_before_any_rule_are_what_the_door_answers(house: House, monkeypatch):
    path = "/v1/acme/tasks/1/report-arrived"
    rider, visitor = house.caller("rider", RIDER_ID), house.client()
    headers = NAMED | key("k")
    as_json = headers | {"content-type": "application/json"}
    past = {"authorization": f"Bearer {TOKENS.issue('acme', 'rider', 'ann', -1)}"}
    monkeypatch.setattr("gateway.commands.uuid4", lambda: KEY)
    met = [
        await rider.post(path, content=NO_JSON, headers=as_json),
        await rider.post(path, content=NOT_THAT_BODY, headers=as_json),
        await rider.post(path, content=b"{}", headers=headers),
        await rider.post(path, json=ARRIVED, headers=NAMED),
        await rider.post(path, json=ARRIVED, headers=headers | {"if-match": "17"}),
        await rider.post("/v1/acme/tasks/1/assign-task", json={"rider_id": "ann"}, headers=headers),
        await rider.post(path, content=b" " * (LIMITS.body_bytes + 1), headers=as_json),
        await rider.post("/v1/other/tasks/1/report-arrived", json=ARRIVED, headers=headers),
        await visitor.post(path, json=ARRIVED, headers=headers),
        await visitor.post(path, json=ARRIVED, headers=headers | past),
    ]
    expected = [*(problem.code for problem in BEFORE_ANY_RULE if problem.code != "rate-limited"), KEY_MISSING.code]
    assert {answer.json()["code"] for answer in met} == {*expected, NOWHERE.code}
    for answer in met:
        assert answer.json() == told(answer.json()["code"])


async def test_the_example_of_too_many_requests_is_what_the_door_answers(monkeypatch):
    monkeypatch.setattr("gateway.entry.monotonic", lambda: 0.0)
    async with reception.house(Limits(burst=4)) as house:
        late = [await house.caller().post("/v1/acme/tasks", headers=NAMED) for _ in range(5)][-1]
        assert late.json() == told("rate-limited")


def test_a_command_is_described_with_what_it_can_meet_and_nothing_else():
    task = rules_met("task", ReportCollected)
    assert {NotForThisKind, StopNotKnown, PinAttemptsExhausted} <= task
    assert not {NotTheAssignee, GoodsInCustody} & task
    assert UnknownOutlet in rules_met("vehicle", RegisterVehicle) - rules_met("vehicle", RetireVehicle)


def test_what_is_caught_on_the_way_is_not_met():
    assert UnknownFailureReason not in rules_met("task", ReportAttemptFailed)


def test_what_the_door_fills_in_is_not_missed():
    assert TimelineMissing not in rules_met("incident", SealIncident)
