"""What the platform tells of its tenants and outlets, signed; `auth` is its name in the path and on the log."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

import msgspec

from commands.order import AlreadyExists, Answer, Order
from gateway.call import Call
from gateway.commands import answer_of, request_hash
from gateway.door import Door
from gateway.hydration import Wanted
from gateway.parameters import parameters_of
from gateway.problem_kinds import KINDS
from gateway.problems import FieldError, Problem
from gateway.reply import Reply, json_reply
from gateway.validation import decoded
from gateway.webhook_caller import message_id_of
from schemas.directory import ChangeTenantRules, CreateOutlet, CreateTenant, MoveOutlet, TenantMode, TenantRules
from schemas.geo import Location, Zone
from schemas.ids import command_id, outlet_id, tenant_id
from schemas.message import Command, Input, Metadata, Moment, Name, Slug, TenantSlug, Text

ACTOR = "auth"
ROUTE = "/callbacks/v1/auth"
MAX_OUTLETS = 500

MessageType = Literal["auth.tenant.updated", "auth.outlet.updated", "auth.tenant.unknown", "auth.outlet.unknown"]


class ToldOutlet(Input, frozen=True, kw_only=True):
    outlet: Slug
    name: Name
    location: Location
    zone: Zone
    address: Text | None = None
    metadata: Metadata = {}


class ToldTenant(Input, frozen=True, kw_only=True):
    """`rules` only where the platform sets them; `outlets` are those that it knows, all or some."""

    tenant: Slug
    name: Name
    mode: TenantMode = "live"
    rules: TenantRules | None = None
    outlets: Annotated[list[ToldOutlet], msgspec.Meta(max_length=MAX_OUTLETS)] = []


class ToldOutletOf(ToldOutlet, frozen=True, kw_only=True):
    tenant: Slug


class NoSuchTenant(Input, frozen=True, kw_only=True):
    tenant: Slug


class NoSuchOutlet(Input, frozen=True, kw_only=True):
    tenant: Slug
    outlet: Slug


class TenantTold(Input, frozen=True, kw_only=True):
    """Created, or changed since; also the answer to `logistics.tenant.wanted`."""

    type: Literal["auth.tenant.updated"]
    timestamp: Moment
    data: ToldTenant


class OutletTold(Input, frozen=True, kw_only=True):
    """Created, or changed since; also the answer to `logistics.outlet.wanted`."""

    type: Literal["auth.outlet.updated"]
    timestamp: Moment
    data: ToldOutletOf


class TenantUnknown(Input, frozen=True, kw_only=True):
    """There is none: whoever asks for it is told so at once."""

    type: Literal["auth.tenant.unknown"]
    timestamp: Moment
    data: NoSuchTenant


class OutletUnknown(Input, frozen=True, kw_only=True):
    type: Literal["auth.outlet.unknown"]
    timestamp: Moment
    data: NoSuchOutlet


class AnyMessage(msgspec.Struct, frozen=True):
    type: MessageType


class CallbackAnswer(msgspec.Struct, frozen=True):
    """The events that stand on the log because of it; none where all was known."""

    events: list[str]


type Told = TenantTold | OutletTold | TenantUnknown | OutletUnknown
kinds = msgspec.json.Decoder(AnyMessage)
MESSAGES: Mapping[str, type[Told]] = {
    "auth.tenant.updated": TenantTold,
    "auth.outlet.updated": OutletTold,
    "auth.tenant.unknown": TenantUnknown,
    "auth.outlet.unknown": OutletUnknown,
}
decoders: Mapping[str, msgspec.json.Decoder[Told]] = {name: msgspec.json.Decoder(cls) for name, cls in MESSAGES.items()}


class Wish(msgspec.Struct, frozen=True):
    """One command that the message amounts to, and what is sent where it exists already. `told_at` is where the message
    tells of it, as a JSON pointer: by the same words as the commands do."""

    told_at: str
    kind: str
    aggregate_id: str
    create: Command
    change: Command | None


class Callbacks:
    def __init__(self, door: Door) -> None:
        self._door = door

    async def auth(self, call: Call) -> Reply:
        parameters_of(call, {})
        body = await call.body(self._door.limits.body_bytes)
        message_id = message_id_of(call, self._key(), body)
        kind = decoded(kinds, AnyMessage, body).type
        told = decoded(decoders[kind], MESSAGES[kind], body)
        match told:
            case TenantUnknown(data=data):
                self._door.hydration.is_unknown(Wanted(data.tenant))
                return json_reply(CallbackAnswer(events=[]))
            case OutletUnknown(data=data):
                self._door.hydration.is_unknown(Wanted(data.tenant, data.outlet))
                return json_reply(CallbackAnswer(events=[]))
            case TenantTold() | OutletTold():
                return json_reply(CallbackAnswer(events=await self._all(call, told, message_id)))

    def _key(self) -> bytes:
        """Raises Problem: 404 where there is no platform."""
        if self._door.platform_key is None:
            raise Problem("not-found", "no platform is set that could call back")
        return self._door.platform_key

    async def _all(self, call: Call, told: TenantTold | OutletTold, message_id: str) -> list[str]:
        """An outlet that a rule refuses keeps none of the others away. Raises Problem, which names each of them."""
        events: list[str] = []
        wrong: list[tuple[Wish, Problem]] = []
        for wish in wishes(told):
            try:
                events += await self._fulfilled(call, told.data.tenant, wish, message_id)
            except Problem as problem:
                if wish.kind != "outlet" or KINDS[problem.code].retryable:
                    raise
                wrong.append((wish, problem))
        if wrong:
            raise named(wrong)
        return events

    async def _fulfilled(self, call: Call, tenant: str, wish: Wish, message_id: str) -> list[str]:
        """What is there already is changed to what is told; the same message again changes nothing."""
        try:
            created = await self._sent(call, tenant, wish, wish.create, message_id)
        except Problem as problem:
            if problem.code not in (AlreadyExists.rule, "not-in-this-state"):
                raise
        else:
            if not created.repeated:
                return [*created.events]
        if wish.change is None:
            return []
        changed = await self._sent(call, tenant, wish, wish.change, message_id)
        return [] if changed.repeated else [*changed.events]

    async def _sent(self, call: Call, tenant: str, wish: Wish, command: Command, message_id: str) -> Answer:
        order = Order(
            tenant=TenantSlug(tenant),
            kind=wish.kind,
            aggregate_id=wish.aggregate_id,
            command=command,
            command_id=command_id(wish.aggregate_id, f"{ACTOR}:{message_id}:{type(command).__name__}"),
            request_hash=request_hash(self._door, wish.kind, command),
            actor=ACTOR,
            role="system",
            natural=command is wish.create,
            correlation_id=call.request_id,
            traceparent=call.traceparent,
        )
        try:
            return await answer_of(self._door, order)
        except Problem as problem:
            problem.errors = [FieldError(wish.told_at + each.pointer, each.detail) for each in problem.errors]
            raise


def wishes(told: TenantTold | OutletTold) -> Iterator[Wish]:
    if isinstance(told, OutletTold):
        yield outlet_wish("/data", told.data.tenant, told.data)
        return
    data = told.data
    rules = TenantRules() if data.rules is None else data.rules
    create = CreateTenant(tenant=data.tenant, name=data.name, mode=data.mode, rules=rules)
    change = None if data.rules is None else ChangeTenantRules(rules=data.rules)
    yield Wish("/data", "tenant", tenant_id(data.tenant), create, change)
    for index, outlet in enumerate(data.outlets):
        yield outlet_wish(f"/data/outlets/{index}", data.tenant, outlet)


def outlet_wish(told_at: str, tenant: str, told: ToldOutlet) -> Wish:
    create = CreateOutlet(
        outlet=told.outlet,
        name=told.name,
        location=told.location,
        zone=told.zone,
        address=told.address,
        metadata=told.metadata,
    )
    change = MoveOutlet(location=told.location, address=told.address)
    return Wish(told_at, "outlet", outlet_id(tenant, told.outlet), create, change)


def named(wrong: list[tuple[Wish, Problem]]) -> Problem:
    """By the first that was refused; each is told with where it stands in the message."""
    errors = [error for wish, each in wrong for error in each.errors or [FieldError(wish.told_at, each.detail)]]
    first = wrong[0][1]
    return Problem(first.code, f"{path_of(errors[0].pointer)}: {first.detail}", errors=errors, values=first.values)


def path_of(pointer: str) -> str:
    """As one would write it: `data.outlets[3].zone`."""
    steps = [f"[{step}]" if step.isdecimal() else f".{step}" for step in pointer.split("/")[1:]]
    return "".join(steps).removeprefix(".")
