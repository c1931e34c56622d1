"""ProviderConfig: whom a tenant asks for ways."""

import re
from ipaddress import ip_address
from typing import Literal, assert_never
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from commands.context import Context
from commands.directory import NotThere, misplaced
from commands.life import NEW, Life, to, when
from schemas.message import Refused
from schemas.provider_config import (
    CAN,
    HAS_ITS_OWN_SERVER,
    IS_PART_OF_US,
    ClearProviders,
    CreateProviderConfig,
    ProviderConfigCommand,
    ProviderConfigEvent,
    ProvidersCleared,
    ProvidersSet,
    Routing,
    RoutingProvider,
    SetProviders,
)

type Fault = Literal[
    "url_missing", "url_unusable", "url_not_taken", "credentials_missing", "credentials_not_taken", "cannot_do"
]
WORDS: dict[Fault, str] = {
    "url_missing": "it needs the url of its server",
    "url_unusable": "its url is no address such as https://valhalla.example:8002, without user, query and fragment",
    "url_not_taken": "it is where it is, and takes no url",
    "credentials_missing": "it needs credentials: where its secret stands",
    "credentials_not_taken": "it takes no credentials",
    "cannot_do": "only_for names what it cannot do",
}
PLAIN = re.compile(r"(?:(?![?#\\])[!-~])+")


def pointer_to(number: int) -> str:
    """Into the command's body (RFC 6901)."""
    return f"/routing/providers/{number}"


class ProviderMisconfigured(Refused):
    """`number` counts from 0."""

    rule = "provider-misconfigured"
    is_about = ("providers",)

    def __init__(self, number: int, provider: str, fault: Fault) -> None:
        super().__init__(f"{provider}, number {number} counted from 0: {WORDS[fault]}")
        self.number = number
        self.provider = provider
        self.fault = fault
        self.pointer = pointer_to(number)


class ProviderNamedTwice(Refused):
    rule = "provider-named-twice"
    is_about = ("providers",)

    def __init__(self, number: int, provider: str) -> None:
        super().__init__(f"{provider}, number {number} counted from 0, stands there twice")
        self.number = number
        self.provider = provider
        self.pointer = pointer_to(number)


class ProviderConfigState(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    routing: Routing
    cleared: bool = False


type ProviderConfig = NotThere | ProviderConfigState


def status_of(config: ProviderConfig) -> str:
    if isinstance(config, NotThere):
        return NEW
    return "cleared" if config.cleared else "in_force"


LIFE = Life(
    status_of,
    {
        ProvidersSet: to("in_force", NEW, "in_force", "cleared"),
        ProvidersCleared: to("cleared", "in_force"),
    },
    {
        SetProviders: when("in_force", "cleared"),
        ClearProviders: when("in_force"),
    },
)


def decide(config: ProviderConfig, command: ProviderConfigCommand, context: Context) -> list[ProviderConfigEvent]:
    match command, config:
        case CreateProviderConfig(), NotThere():
            return [ProvidersSet(routing=checked(command.routing))]
        case SetProviders(), ProviderConfigState():
            same = config == ProviderConfigState(command.routing)
            return [] if same else [ProvidersSet(routing=checked(command.routing))]
        case ClearProviders(), ProviderConfigState():
            return [] if config.cleared else [ProvidersCleared()]
        case _:
            raise misplaced(config)


def checked(routing: Routing) -> Routing:
    """Raises ProviderMisconfigured, ProviderNamedTwice."""
    seen = set[tuple[str, str | None, str]]()
    for number, each in enumerate(routing.providers):
        fault = fault_of(each)
        if fault is not None:
            raise ProviderMisconfigured(number, each.provider, fault)
        known = each.provider, each.url and each.url.rstrip("/"), each.profile
        if known in seen:
            raise ProviderNamedTwice(number, each.provider)
        seen.add(known)
    return routing


def fault_of(each: RoutingProvider) -> Fault | None:
    if each.provider in HAS_ITS_OWN_SERVER:
        if each.url is not None:
            return "url_not_taken"
        if each.credentials is None:
            return "credentials_missing"
    else:
        if each.credentials is not None:
            return "credentials_not_taken"
        if each.provider in IS_PART_OF_US and each.url is not None:
            return "url_not_taken"
        if each.provider == "valhalla" and each.url is None:
            return "url_missing"
        if each.url is not None and not is_usable(each.url):
            return "url_unusable"
    return None if CAN[each.provider].issuperset(each.only_for) else "cannot_do"


def is_usable(url: str) -> bool:
    """A server's base. What stands for a user there would be a secret; link-local addresses are those of machines that
    tell a cloud's secrets."""
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    if not whole or "@" in parts.netloc or not PLAIN.fullmatch(url):
        return False
    assert parts.hostname is not None, "it is whole"
    try:
        address = ip_address(parts.hostname)
    except ValueError:
        return True
    return not (address.is_link_local or address.is_multicast or address.is_unspecified)


def evolve(config: ProviderConfig, event: ProviderConfigEvent) -> ProviderConfig:
    match event:
        case ProvidersSet():
            return ProviderConfigState(event.routing)
        case ProvidersCleared():
            assert isinstance(config, ProviderConfigState), "only what was set is cleared"
            return replace(config, cleared=True)
        case _:
            assert_never(event)
