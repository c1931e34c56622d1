"""Carrier: a party under contract that delivers for a tenant; in force, suspended and back, one day ended."""

from typing import Literal, assert_never

import msgspec
from msgspec.structs import replace

from commands.context import Context
from commands.life import NEW, Life, to, when, within
from commands.provider_config import is_usable
from commands.refusals import TooMany
from commands.registries import each_once
from schemas.carrier import (
    MAX_CARRIERS,
    ActivateCarrier,
    CarrierActivated,
    CarrierChannel,
    CarrierChannelSet,
    CarrierCommand,
    CarrierContact,
    CarrierContractEnded,
    CarrierDetailsChanged,
    CarrierEvent,
    CarrierRegistered,
    CarrierReinstated,
    CarrierSuspended,
    CarrierTerms,
    CarrierTermsChanged,
    ChangeCarrierDetails,
    ChangeCarrierTerms,
    EndCarrierContract,
    NewCarrierContact,
    RegisterCarrier,
    ReinstateCarrier,
    SetCarrierChannel,
    SuspendCarrier,
)
from schemas.ids import carrier_subject
from schemas.message import CarrierId, NotInThisState, Personal, Refused

type CarrierStatus = Literal["registered", "active", "suspended", "ended"]


class NoServiceLevel(Refused):
    rule = "no-service-level"
    is_about = ("service_levels",)

    def __init__(self) -> None:
        super().__init__("a carrier that can be booked has at least one service level")


class ChannelUnusable(Refused):
    rule = "channel-unusable"
    is_about = ("channel",)

    def __init__(self) -> None:
        super().__init__("its url is no address such as https://carrier.example/offers, without user and query")


class Unregistered(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    pass


class ContractedCarrier(msgspec.Struct, frozen=True, kw_only=True, tag=True, array_like=True, gc=False):
    status: Literal["registered", "active", "suspended"] = "registered"
    name: str
    contact: CarrierContact | None
    terms: CarrierTerms
    channel: CarrierChannel | None = None


class EndedCarrier(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    pass


type Carrier = Unregistered | ContractedCarrier | EndedCarrier


def is_over(carrier: Carrier) -> bool:
    return isinstance(carrier, EndedCarrier)


def status_of(carrier: Carrier) -> str:
    match carrier:
        case Unregistered():
            return NEW
        case ContractedCarrier():
            return carrier.status
        case EndedCarrier():
            return "ended"
        case _:
            assert_never(carrier)


UNDER_CONTRACT = ("registered", "active", "suspended")

LIFE = Life(
    status_of,
    {
        CarrierRegistered: to("registered", NEW),
        CarrierDetailsChanged: within(*UNDER_CONTRACT),
        CarrierTermsChanged: within(*UNDER_CONTRACT),
        CarrierChannelSet: within(*UNDER_CONTRACT),
        CarrierActivated: to("active", "registered"),
        CarrierSuspended: to("suspended", "active"),
        CarrierReinstated: to("active", "suspended"),
        CarrierContractEnded: to("ended", *UNDER_CONTRACT),
    },
    {
        ChangeCarrierDetails: when(*UNDER_CONTRACT),
        ChangeCarrierTerms: when(*UNDER_CONTRACT),
        SetCarrierChannel: when(*UNDER_CONTRACT),
        ActivateCarrier: when("registered"),
        SuspendCarrier: when("active"),
        ReinstateCarrier: when("suspended"),
        EndCarrierContract: when(*UNDER_CONTRACT),
    },
)


def decide(carrier: Carrier, command: CarrierCommand, context: Context) -> list[CarrierEvent]:
    match command:
        case RegisterCarrier():
            return register(carrier, command, context)
        case ChangeCarrierDetails():
            return change_details(contracted(carrier), command, context)
        case ChangeCarrierTerms():
            return change_terms(contracted(carrier), command, context)
        case SetCarrierChannel():
            return set_channel(contracted(carrier), command)
        case ActivateCarrier():
            return activate(contracted(carrier))
        case SuspendCarrier():
            return suspend(contracted(carrier), command)
        case ReinstateCarrier():
            return reinstate(contracted(carrier))
        case EndCarrierContract():
            return end(carrier, command)
        case _:
            assert_never(command)


def register(carrier: Carrier, command: RegisterCarrier, context: Context) -> list[CarrierEvent]:
    if not isinstance(carrier, Unregistered):
        raise NotInThisState(needed="new", actual=status_of(carrier))
    if len(context.policy.carriers) >= MAX_CARRIERS:
        raise TooMany("carriers under contract", MAX_CARRIERS)
    check(command.terms, context)
    registered = CarrierRegistered(
        name=command.name,
        contact=to_ask(command.contact, context),
        terms=command.terms,
        external_reference=command.external_reference,
        source=command.source or context.actor,
        metadata=command.metadata,
    )
    return [registered]


def change_details(carrier: ContractedCarrier, command: ChangeCarrierDetails, context: Context) -> list[CarrierEvent]:
    if (carrier.name, known_contact(carrier, context)) == (command.name, command.contact):
        return []
    return [CarrierDetailsChanged(name=command.name, contact=to_ask(command.contact, context))]


def to_ask(contact: NewCarrierContact | None, context: Context) -> CarrierContact | None:
    """Sealed under the carrier's own subject."""
    if contact is None:
        return None
    subject = carrier_subject(CarrierId(context.aggregate_id))
    return CarrierContact(
        name=Personal(subject, contact.name),
        phone=Personal(subject, contact.phone) if contact.phone else None,
        email=Personal(subject, contact.email) if contact.email else None,
    )


def known_contact(carrier: ContractedCarrier, context: Context) -> NewCarrierContact | None:
    """None too where the person is forgotten."""
    contact = carrier.contact
    name = None if contact is None else context.opened(contact.name, str)
    if contact is None or name is None:
        return None
    return NewCarrierContact(
        name=name, phone=context.opened(contact.phone, str), email=context.opened(contact.email, str)
    )


def change_terms(carrier: ContractedCarrier, command: ChangeCarrierTerms, context: Context) -> list[CarrierEvent]:
    if command.terms == carrier.terms:
        return []
    if carrier.status != "registered" and not command.terms.service_levels:
        raise NoServiceLevel
    check(command.terms, context)
    return [CarrierTermsChanged(terms=command.terms)]


def set_channel(carrier: ContractedCarrier, command: SetCarrierChannel) -> list[CarrierEvent]:
    if command.channel == carrier.channel:
        return []
    if command.channel is not None and not is_usable(command.channel.url):
        raise ChannelUnusable
    return [CarrierChannelSet(channel=command.channel)]


def check(terms: CarrierTerms, context: Context) -> None:
    """Raises DuplicateCode, UnknownOutlet."""
    each_once(level.code for level in terms.service_levels)
    for codes in (terms.area.outlets, terms.area.postal_prefixes, terms.currencies, terms.capabilities):
        each_once(codes)
    for outlet in terms.area.outlets:
        context.policy.outlet(outlet)


def activate(carrier: ContractedCarrier) -> list[CarrierEvent]:
    if carrier.status == "active":
        return []
    if carrier.status == "suspended":
        raise NotInThisState(needed="registered", actual="suspended")
    if not carrier.terms.service_levels:
        raise NoServiceLevel
    return [CarrierActivated()]


def suspend(carrier: ContractedCarrier, command: SuspendCarrier) -> list[CarrierEvent]:
    if carrier.status == "registered":
        raise NotInThisState(needed="active", actual="registered")
    return [CarrierSuspended(reason_code=command.reason_code)] if carrier.status == "active" else []


def reinstate(carrier: ContractedCarrier) -> list[CarrierEvent]:
    if carrier.status == "registered":
        raise NotInThisState(needed="suspended", actual="registered")
    return [CarrierReinstated()] if carrier.status == "suspended" else []


def end(carrier: Carrier, command: EndCarrierContract) -> list[CarrierEvent]:
    if isinstance(carrier, EndedCarrier):
        return []
    contracted(carrier)
    return [CarrierContractEnded(reason_code=command.reason_code)]


def contracted(carrier: Carrier) -> ContractedCarrier:
    if not isinstance(carrier, ContractedCarrier):
        raise NotInThisState(needed="registered, active or suspended", actual=status_of(carrier))
    return carrier


def evolve(carrier: Carrier, event: CarrierEvent) -> Carrier:
    if isinstance(event, CarrierRegistered):
        return ContractedCarrier(name=event.name, contact=event.contact, terms=event.terms)
    assert isinstance(carrier, ContractedCarrier), f"a carrier under contract, not {carrier}"
    match event:
        case CarrierDetailsChanged():
            return replace(carrier, name=event.name, contact=event.contact)
        case CarrierTermsChanged():
            return replace(carrier, terms=event.terms)
        case CarrierChannelSet():
            return replace(carrier, channel=event.channel)
        case CarrierActivated() | CarrierReinstated():
            return replace(carrier, status="active")
        case CarrierSuspended():
            return replace(carrier, status="suspended")
        case CarrierContractEnded():
            return EndedCarrier()
        case _:
            assert_never(event)
