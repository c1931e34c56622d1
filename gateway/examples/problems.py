"""What a command is answered when it is refused: by a rule, or by the door before and after any rule."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import msgspec

from commands.order import Unavailable
from commands.proof import PinAttemptsExhausted
from gateway.call import too_large
from gateway.commands import BY_SLUG, OPEN, CommandAnswer, OpenCommand, key_missing, pin_rejected
from gateway.door import Limits
from gateway.entry import permit
from gateway.examples.bodies import BODIES, Body
from gateway.examples.lumi import RIDER_ID, TASK_ID, TENANT, TO_DOOR, at
from gateway.examples.refusals import REFUSALS
from gateway.places import place_like
from gateway.problem_kinds import KINDS
from gateway.problems import Problem, answered, not_found, refusal, unavailable
from gateway.refusals_met import rules_met
from gateway.tokens import Caller
from gateway.validation import decoded
from schemas.directory import CreateTenant
from schemas.field_report import CaptureProof, ReportArrived
from schemas.ids import command_id
from schemas.incident import SealIncident
from schemas.message import Refused, StopId
from schemas.proof import PinEntry

LIMITS = Limits()
REQUEST_ID = "b6e1f0c2a94d4c7fa0d35e17"
KEY = "5f0c1b8e-0f43-4b5e-a5a6-1f0f6d8c7a11"
NO_JSON = b'{"stop_id": "door",}'
NOT_THAT_BODY = b'{"stop_id": 7, "observed_at": "2026-03-02 10:38", "fix": {"lat": 160.16, "lon": 24.94}}'
RIDER = Caller(tenant=TENANT, role="rider", subject=RIDER_ID, expires_at=0)
WRONG_PIN = CommandAnswer(
    id=TASK_ID,
    version=12,
    command_id=command_id(TASK_ID, KEY),
    recorded_at=at(10, 41),
    events=["PinRejected"],
    repeated=False,
    consistency="",
)
"""Of it all the problem tells the id, the events, the command and the version."""


class Example(msgspec.Struct, frozen=True):
    name: str
    problem: Problem

    @property
    def status(self) -> int:
        return KINDS[self.problem.code].status

    @property
    def summary(self) -> str:
        return KINDS[self.problem.code].title

    @property
    def value(self) -> Any:
        return msgspec.json.decode(answered(self.problem, REQUEST_ID).body)


def raised(judge: Callable[[], object]) -> Problem:
    try:
        judge()
    except Problem as problem:
        return problem
    raise AssertionError("nothing was wrong")


def arrived(body: bytes) -> object:
    return decoded(msgspec.json.Decoder(ReportArrived), ReportArrived, body)


BEFORE_ANY_RULE = (
    raised(lambda: arrived(NO_JSON)),
    raised(lambda: arrived(NOT_THAT_BODY)),
    Problem("invalid-header", 'If-Match takes an ETag as we give it, such as "v17"'),
    Problem("token-missing", "the request carries no bearer token"),
    Problem("token-invalid", "the token has expired"),
    raised(lambda: permit(RIDER, frozenset({"dispatcher", "operator"}), "send AssignTask")),
    too_large(LIMITS.body_bytes),
    Problem("unsupported-media-type", "a command's body is application/json"),
    Problem(
        "rate-limited",
        f"{LIMITS.rate_per_s:g} requests a second are allowed",
        values={"rate_per_s": LIMITS.rate_per_s},
        retry_after_s=1,
    ),
)
NOBODY_COULD_JUDGE = (
    Problem("internal-error", "something failed here; it is in our log under the request_id"),
    unavailable(Unavailable("of-a-newer-release", "what is asked for is of a newer release than the shard's owner")),
    unavailable(Unavailable("shard-not-open", "shard 3 is not open: it is opening")),
    unavailable(Unavailable("shard-busy", "10000 commands wait for shard 3")),
    unavailable(
        Unavailable("shards-unreachable", "the shard's owner did not answer; the command may have taken effect")
    ),
    unavailable(
        Unavailable(
            "log-unavailable",
            "the log acknowledged nothing of shard 3 within 10 s; the command may have taken effect all the same",
        )
    ),
    unavailable(Unavailable("directory-lagging", "the directory as decisions see it is 12 s old")),
    unavailable(Unavailable("aggregate-cold", f"{TASK_ID} cannot be loaded now")),
    Problem(
        "answer-unknown",
        f"no answer within {LIMITS.answer_s:g} s; the command may have taken effect all the same",
    ),
)
KEY_MISSING = key_missing("and keep it for repeats", KEY)
NOWHERE = not_found()
STORE_SILENT = Problem("artefacts-unavailable", "the artefacts' store does not answer", retry_after_s=5)
PIN_REJECTED = pin_rejected(
    WRONG_PIN,
    CaptureProof(stop_id=StopId(TO_DOOR), observed_at=at(10, 41), proofs=[PinEntry(pin="4711")]),
)
HYDRATING = Problem(
    "tenant-hydrating",
    "outlet kallio is being looked up",
    values={"tenant": TENANT, "outlet": "kallio"},
    retry_after_s=2,
)
OF_SEALING = (
    Problem("projection-lagging", "the incident has changed since its timeline was read"),
    Problem("read-models-unavailable", "the read models' database does not answer"),
)


def of_rule(rule: type[Refused]) -> Example:
    return of_rules()[rule]


@cache
def of_rules() -> dict[type[Refused], Example]:
    return {rule: Example(rule.__name__, with_place(rule, refused)) for rule, refused in REFUSALS.items()}


def with_place(rule: type[Refused], refused: Refused) -> Problem:
    """Where the value would stand in the first body that has a field for it."""
    problem = refusal(refused)
    problem.errors = next(filter(None, (place_like(refused, body.command) for body in bodies_refused(rule))), [])
    return problem


def bodies_refused(rule: type[Refused]) -> Iterator[Body]:
    """Those of the commands that it may refuse."""
    for known in OPEN:
        if rule in rules_met(known.kind, known.cls):
            yield from BODIES[known.cls]


def of_door(problem: Problem) -> Example:
    return Example(problem.code, problem)


def problems_met(known: OpenCommand) -> list[Example]:
    """All that it can be answered besides success, by status; the door's own last."""
    rules = rules_met(known.kind, known.cls)
    door = [*BEFORE_ANY_RULE, *NOBODY_COULD_JUDGE, *of_some(known, rules)]
    found = [*(of_rule(rule) for rule in REFUSALS if rule in rules), *map(of_door, door)]
    return sorted(found, key=lambda example: example.status)


def of_some(known: OpenCommand, rules: frozenset[type[Refused]]) -> Iterator[Problem]:
    if known.cls not in BY_SLUG:
        yield KEY_MISSING
    if known.cls is not CreateTenant:
        yield NOWHERE
        yield HYDRATING
    if known.cls is SealIncident:
        yield from OF_SEALING
    if {"proofs", "evidence"}.intersection(known.cls.__struct_fields__):
        yield STORE_SILENT
    if PinAttemptsExhausted in rules:
        yield PIN_REJECTED
