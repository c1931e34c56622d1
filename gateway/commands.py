"""The command endpoints. One rule: a POST on the aggregates creates, a POST on one of them does the rest."""

import asyncio
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Protocol
from uuid import uuid4

import msgspec
from msgspec.structs import replace

from commands.aggregates import AGGREGATES, Aggregate
from commands.context import Context
from commands.order import Answer, Order, Unavailable
from commands.task_creation import pin_of, tracking_code, tracking_token
from gateway.allowed import CLOSED_FIELDS, SENDERS, Roles
from gateway.artefacts import with_kept
from gateway.call import Call
from gateway.door import Door
from gateway.entry import Entry
from gateway.named import Asking
from gateway.parameters import id_of
from gateway.places import places_of
from gateway.problems import FieldError, Problem, not_found, refusal, unavailable
from gateway.reply import Reply, json_reply
from gateway.tokens import Caller
from gateway.tracking_links import named, stop_links
from gateway.validation import decoded, invalid
from schemas.directory import CreateOutlet, CreateTenant
from schemas.hub import CreateHub
from schemas.ids import (
    aggregate_id,
    cloned_task_id,
    command_id,
    contact_subject,
    hub_id,
    outlet_id,
    provider_config_id,
    tenant_id,
)
from schemas.incident import SealIncident
from schemas.message import Command, Refused, StopId, TenantSlug
from schemas.person import ForgetPerson
from schemas.position import token
from schemas.proof import PinEntry
from schemas.provider_config import CreateProviderConfig
from schemas.route import RequestRoute
from schemas.task import CreateTask
from schemas.template import CloneTask

KEY = re.compile(r'"?([\x21\x23-\x7e]{1,200})"?')
"""Visible ASCII, with or without the quotes of draft-ietf-httpapi-idempotency-key."""

ETAG = re.compile(r'"v(\d{1,15})"')
JSON_TYPE = re.compile(r'application/json\s*(;\s*charset="?utf-8"?\s*)?', re.IGNORECASE)
SEAL_AGAIN_AFTER_S = (0.05, 0.1, 0.25, 0.5, 1.0)
"""A read model is behind by less, unless something is wrong."""

CONFLICTED = frozenset({"FieldReportConflicted", "CarrierStatusConflicted"})
"""Events of what does not fit and is recorded all the same."""

BY_OUR_IDS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/.")
"""`TASK/STOP` or the like: how a contact without a reference is named."""

PIN_WRONG = frozenset({"PinRejected"})


class OpenCommand(msgspec.Struct, frozen=True):
    """A command that the door takes."""

    kind: str
    plural: str
    cls: type[Command]
    creating: bool
    roles: Roles
    decoder: msgspec.json.Decoder[Command]

    @property
    def word(self) -> str:
        return kebab(self.cls.__name__)

    @property
    def route(self) -> str:
        if self.cls is CreateTenant:
            return "/v1/tenants"
        collection = f"/v1/{{tenant}}/{self.plural}"
        return collection if self.creating else f"{collection}/{{id}}/{self.word}"


class CommandAnswer(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a command did; all of it is on the log. `events` are empty where nothing had to change."""

    id: str
    version: int
    command_id: str
    recorded_at: datetime
    events: list[str]
    repeated: bool
    """The command had come before: this is its first answer."""
    consistency: str
    """Send it as `Logistics-Consistency` with a read that must see this."""
    conflict: bool | None = None
    """A field report, or a carrier's status, that does not fit was recorded, and a dispatcher will look at it."""
    pin_rejected: bool | None = None
    """The PIN was wrong. All else that was reported is recorded, and the stop still waits for its proof."""
    created: str | None = None
    """Of a task that was cloned: the clone's id. It is there a moment later, or the original tells why not."""


class TaskAnswer(CommandAnswer, kw_only=True, omit_defaults=True):
    """`pins` and `tracking_links` are for who waits at a stop, by stop; a repeat of the request derives them again.

    The token, behind `/track/`, is for who ordered: it shows how far the task is, and the stop if it has one dropoff.
    """

    tracking_code: str
    tracking_token: str
    tracking_links: dict[str, str]
    pins: dict[str, str]


class Target(msgspec.Struct, frozen=True):
    """Which aggregate, and under which key the command is remembered."""

    aggregate_id: str
    key: str
    natural: bool


class Sealing(Protocol):
    async def with_timeline(self, call: Call, order: Order) -> Order:
        """The order to seal, with the timeline as it can be read now, for the version that has. Raises Problem."""
        ...


class Commands:
    def __init__(self, door: Door, entry: Entry, sealing: Sealing) -> None:
        self._door = door
        self._entry = entry
        self._sealing = sealing

    async def create_tenant(self, call: Call) -> Reply:
        caller = self._entry.caller(call)
        if not caller.is_platform:
            raise Problem("forbidden", "only the platform's operator creates tenants", values={"allowed": ["*"]})
        wanted = await self._command(call, TENANT)
        assert isinstance(wanted, CreateTenant)
        call.tenant = wanted.tenant
        return await self._create(call, TENANT, wanted, caller)

    async def create(self, call: Call, open_command: OpenCommand) -> Reply:
        caller = self._entry.admitted(call, open_command.roles, f"send {open_command.cls.__name__}")
        wanted = await self._command(call, open_command)
        return await self._create(call, open_command, wanted, caller)

    async def change(self, call: Call, open_command: OpenCommand) -> Reply:
        caller = self._entry.admitted(call, open_command.roles, f"send {open_command.cls.__name__}")
        aggregate = id_of(call)
        if caller.role == "rider" and open_command.kind == "rider" and aggregate != caller.subject:
            raise not_found(f"there is no rider {aggregate} for this token")
        wanted = await self._command(call, open_command)
        target = Target(aggregate, needed_key(call), natural=False)
        await Asking(self._door, call, tenant_of(call), caller).known(wanted, aggregate)
        answer = await self._submit(call, open_command, wanted, caller, target)
        body = answer_body(answer)
        if isinstance(wanted, CloneTask):
            body.created = clone_asked_for(wanted, tenant_of(call), caller, answer.command_id)
        if set(answer.events) == PIN_WRONG:
            raise pin_rejected(body, wanted)
        if PIN_WRONG.intersection(answer.events):
            body.pin_rejected = True
        if CONFLICTED.intersection(answer.events):
            body.conflict = True
        return answer_reply(body, 202 if body.pin_rejected or body.conflict else 200)

    async def _create(self, call: Call, open_command: OpenCommand, wanted: Command, caller: Caller) -> Reply:
        tenant = tenant_of(call)
        target = target_of(open_command.kind, wanted, tenant, caller, given_key(call))
        await Asking(self._door, call, tenant, caller).known(wanted, target.aggregate_id)
        answer = await self._submit(call, open_command, wanted, caller, target)
        body = answer_body(answer)
        if isinstance(wanted, CreateTask):
            body = self._task_answer(body, wanted, tenant, caller)
        status = 202 if open_command.cls in ANSWERED_LATER else 201
        return answer_reply(body, status, location_of(open_command, tenant, answer.aggregate_id))

    async def _command(self, call: Call, open_command: OpenCommand) -> Command:
        body = await call.body(self._door.limits.body_bytes)
        content_type = call.header(b"content-type")
        if body and (content_type is None or not JSON_TYPE.fullmatch(content_type.strip())):
            raise Problem("unsupported-media-type", "a command's body is application/json")
        wanted = decoded(open_command.decoder, open_command.cls, body)
        closed = CLOSED_FIELDS.get(open_command.cls, ())
        filled = [name for name in closed if getattr(wanted, name) is not None]
        if call.caller is not None and call.caller.role == "rider" and not may_name(call.caller, wanted):
            raise invalid([FieldError("/source", "is the rider's own subject")])
        if filled:
            raise invalid([FieldError(f"/{name}", "is not the caller's to fill") for name in filled])
        return wanted if call.tenant is None else await with_kept(self._door.artefacts, call.tenant, wanted)

    async def _submit(
        self, call: Call, open_command: OpenCommand, wanted: Command, caller: Caller, target: Target
    ) -> Answer:
        call.command_id = command_id(target.aggregate_id, target.key)
        order = Order(
            tenant=TenantSlug(tenant_of(call)),
            kind=open_command.kind,
            aggregate_id=target.aggregate_id,
            command=wanted,
            command_id=call.command_id,
            request_hash=request_hash(self._door, open_command.kind, wanted),
            actor=caller.subject,
            role=caller.role,
            natural=target.natural,
            expected_version=expected_version(call),
            correlation_id=call.request_id,
            traceparent=call.traceparent,
        )
        if isinstance(wanted, SealIncident):
            return await self._seal(call, order)
        if isinstance(wanted, ForgetPerson):
            order = replace(order, command=await whom(self._door, order.tenant, wanted))
        return await answer_of(self._door, order)

    async def _seal(self, call: Call, order: Order) -> Answer:
        """What has just happened to the incident may not be in its timeline yet: that is waited for, but not long."""
        for pause_s in SEAL_AGAIN_AFTER_S:
            try:
                return await self._seal_as_read(call, order)
            except Problem as problem:
                if problem.code != "projection-lagging":
                    raise
            await asyncio.sleep(pause_s)
        return await self._seal_as_read(call, order)

    async def _seal_as_read(self, call: Call, order: Order) -> Answer:
        bound = await self._sealing.with_timeline(call, order)
        try:
            return await answer_of(self._door, bound)
        except Problem as problem:
            if problem.code != "version-conflict" or order.expected_version is not None:
                raise
            raise Problem("projection-lagging", "the incident has changed since its timeline was read") from problem

    def _task_answer(self, body: CommandAnswer, wanted: CreateTask, tenant: str, caller: Caller) -> TaskAnswer:
        """What the creation drew from the secret is drawn again: from its command's id and its time."""
        context = Context(
            now=body.recorded_at,
            tenant=TenantSlug(tenant),
            aggregate_id=body.id,
            command_id=body.command_id,
            actor=caller.subject,
            role=caller.role,
            secrets=self._door.secrets,
            policy_or_none=None,
        )
        drawn = tracking_token(context)
        return TaskAnswer(
            **msgspec.structs.asdict(body),
            tracking_code=tracking_code(context),
            tracking_token=drawn,
            tracking_links=stop_links(drawn, wanted.stops, self._door.secrets),
            pins={stop_id: pin_of(context, stop_id) for stop_id in stops_with_pin(wanted)},
        )


def open_commands(aggregate: Aggregate) -> Iterator[OpenCommand]:
    for cls in aggregate.commands:
        roles = SENDERS.get(cls)
        if roles is not None:
            yield OpenCommand(
                kind=aggregate.kind,
                plural=aggregate.plural,
                cls=cls,
                creating=cls is aggregate.creating,
                roles=roles,
                decoder=msgspec.json.Decoder(cls),
            )


def kebab(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


OPEN = tuple(command for aggregate in AGGREGATES.values() for command in open_commands(aggregate))
ANSWERED_LATER = frozenset({RequestRoute})
"""What they ask for is told by an event."""
BY_SLUG = frozenset({CreateTenant, CreateOutlet, CreateHub, CreateProviderConfig})
"""What they create has its id from the slug that the caller gives it, or is the tenant's only one."""

TENANT = next(command for command in OPEN if command.cls is CreateTenant)


async def answer_of(door: Door, order: Order) -> Answer:
    """Raises Problem for a refusal, and where no answer comes."""
    try:
        async with asyncio.timeout(door.limits.answer_s):
            answer = await door.desk.submit(order)
    except TimeoutError as late:
        waited = f"no answer within {door.limits.answer_s:g} s; the command may have taken effect all the same"
        raise Problem("answer-unknown", waited) from late
    except Refused as refused:
        problem = refusal(refused)
        problem.errors = places_of(refused, order.command)
        raise problem from refused
    except Unavailable as nobody:
        raise unavailable(nobody) from nobody
    door.bindings.acknowledge(answer.position)
    return answer


async def whom(door: Door, tenant: TenantSlug, wanted: ForgetPerson) -> ForgetPerson:
    """A reference is the caller's own, and may be of somebody who has ordered nothing yet; ids of ours name somebody or
    are mistyped. Where nobody can say, it goes on."""
    if wanted.contact is None or not BY_OUR_IDS.match(wanted.contact):
        return wanted
    subject = contact_subject(tenant, wanted.contact)
    if not door.keyring.partitions_of(subject):
        try:
            await door.learn()
        except Unavailable:
            return wanted
    return replace(wanted, is_known=bool(door.keyring.partitions_of(subject)))


def request_hash(door: Door, kind: str, command: Command) -> str:
    """By which a repeat is known to ask for the same."""
    words = msgspec.json.encode(command, order="deterministic").decode()
    return door.secrets.keyed_hash("request", kind, type(command).__name__, words)


def tenant_of(call: Call) -> str:
    assert call.tenant is not None, "the caller was admitted to a tenant"
    return call.tenant


def target_of(kind: str, wanted: Command, tenant: str, caller: Caller, key: str | None) -> Target:
    """The id of what is created: natural where the caller names it, else from the idempotency key."""
    match wanted:
        case CreateTenant():
            return Target(tenant_id(tenant), key or f"create:{tenant}", natural=True)
        case CreateOutlet():
            return Target(outlet_id(tenant, wanted.outlet), key or f"create:{wanted.outlet}", natural=True)
        case CreateHub():
            return Target(hub_id(tenant, wanted.hub), key or f"create:{wanted.hub}", natural=True)
        case CreateProviderConfig():
            return Target(provider_config_id(tenant), key or "create:provider-config", natural=True)
    reference: str | None = getattr(wanted, "external_reference", None)
    if reference is not None:
        source: str = getattr(wanted, "source", None) or caller.subject
        made = aggregate_id(kind, tenant, source, reference)
        return Target(made, key or f"create:{reference}", natural=True)
    if key is None:
        raise key_missing("or give the body an external_reference")
    return Target(aggregate_id(kind, tenant, caller.subject, key), key, natural=False)


def may_name(caller: Caller, wanted: Command) -> bool:
    """A rider gives out references of their own alone: by another's name they would take what that one will create."""
    return getattr(wanted, "source", None) in (None, caller.subject)


def given_key(call: Call) -> str | None:
    """Raises Problem for a key that is none."""
    header = call.header(b"idempotency-key")
    if header is None:
        return None
    key = KEY.fullmatch(header.strip())
    if key is None:
        raise Problem("invalid-header", "an Idempotency-Key has 1 to 200 visible ASCII characters")
    return key[1]


def needed_key(call: Call) -> str:
    key = given_key(call)
    if key is None:
        raise key_missing("and keep it for repeats")
    return key


def key_missing(what_else: str, key: str | None = None) -> Problem:
    """`key` is the one to propose, else a new one."""
    line = f"Idempotency-Key: {key or uuid4()}"
    return Problem("idempotency-key-missing", f"add this header line, {what_else}: {line}", values={"header": line})


def expected_version(call: Call) -> int | None:
    """Raises Problem for an If-Match that is none of our ETags."""
    header = call.header(b"if-match")
    if header is None or header.strip() == "*":
        return None
    version = ETAG.fullmatch(header.strip())
    if version is None:
        raise Problem("invalid-header", 'If-Match takes an ETag as we give it, such as "v17"')
    return int(version[1])


def clone_asked_for(wanted: CloneTask, tenant: str, caller: Caller, command: str) -> str:
    return cloned_task_id(tenant, wanted.source or caller.subject, wanted.external_reference, command)


def stops_with_pin(wanted: CreateTask) -> list[StopId]:
    return [
        StopId(stop_id) for stop_id, stop in named(wanted.stops) if any("pin" in group for group in stop.required_proof)
    ]


def answer_body(answer: Answer) -> CommandAnswer:
    return CommandAnswer(
        id=answer.aggregate_id,
        version=answer.version,
        command_id=answer.command_id,
        recorded_at=answer.recorded_at,
        events=list(answer.events),
        repeated=answer.repeated,
        consistency=token(answer.position),
    )


def answer_headers(body: CommandAnswer) -> list[tuple[bytes, bytes]]:
    return [
        (b"etag", b'"v%d"' % body.version),
        (b"logistics-consistency", body.consistency.encode()),
    ]


def answer_reply(body: CommandAnswer, status: int, location: str | None = None) -> Reply:
    headers = answer_headers(body)
    if location is not None:
        headers.append((b"location", location.encode()))
    return json_reply(body, status, headers)


def location_of(open_command: OpenCommand, tenant: str, aggregate: str) -> str:
    if open_command.cls is CreateTenant:
        return f"/v1/{tenant}/tenant"
    return f"/v1/{tenant}/{open_command.plural}/{aggregate}"


def pin_rejected(body: CommandAnswer, wanted: Command) -> Problem:
    problem = Problem(
        "pin-rejected",
        "the PIN is wrong; the task tells how many attempts are left",
        values={"id": body.id, "events": body.events, "command_id": body.command_id},
        headers=answer_headers(body),
        version=body.version,
    )
    pins = (place for place, proof in enumerate(getattr(wanted, "proofs", ())) if isinstance(proof, PinEntry))
    problem.errors = [FieldError(f"/proofs/{place}/pin", "is not the PIN of this stop") for place in pins]
    return problem
