"""Hub: a place where goods change hands or wait; it closes and opens again."""

from collections.abc import Sequence
from typing import assert_never

import msgspec
from msgspec.structs import replace

from commands.context import Context
from commands.directory import NotThere, misplaced
from commands.life import NEW, Life, to, when, within
from commands.place_contacts import are_the_same, to_ask_there
from schemas.geo import Location
from schemas.hub import (
    CloseHub,
    CreateHub,
    HubClosed,
    HubCommand,
    HubContactsSet,
    HubCreated,
    HubEvent,
    HubMoved,
    HubReopened,
    MoveHub,
    ReopenHub,
    SetHubContacts,
)
from schemas.message import HubSlug
from schemas.place_contact import PlaceContact
from schemas.zones import zone_of


class HubState(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    location: Location
    address: str | None
    contacts: Sequence[PlaceContact] = ()
    closed: bool = False


type Hub = NotThere | HubState


def status_of(hub: Hub) -> str:
    if isinstance(hub, NotThere):
        return NEW
    return "closed" if hub.closed else "open"


LIFE = Life(
    status_of,
    {
        HubCreated: to("open", NEW),
        HubMoved: within("open", "closed"),
        HubContactsSet: within("open", "closed"),
        HubClosed: to("closed", "open"),
        HubReopened: to("open", "closed"),
    },
    {
        MoveHub: when("open", "closed"),
        SetHubContacts: when("open", "closed"),
        CloseHub: when("open"),
        ReopenHub: when("closed"),
    },
)


def decide(hub: Hub, command: HubCommand, context: Context) -> list[HubEvent]:
    match command, hub:
        case CreateHub(), NotThere():
            assert context.policy, "the tenant is known"
            return [created(command, context)]
        case MoveHub(), HubState():
            if (command.location, command.address) == (hub.location, hub.address):
                return []
            return [HubMoved(location=command.location, address=command.address)]
        case SetHubContacts(), HubState():
            contacts = to_ask_there(command.contacts, context, hub.contacts)
            return [] if are_the_same(hub.contacts, contacts, context) else [HubContactsSet(contacts=contacts)]
        case CloseHub(), HubState():
            return [] if hub.closed else [HubClosed()]
        case ReopenHub(), HubState():
            return [HubReopened()] if hub.closed else []
        case _:
            raise misplaced(hub)


def created(command: CreateHub, context: Context) -> HubCreated:
    """Raises UnknownZone, DuplicateCode."""
    zone_of(command.zone)
    return HubCreated(
        hub=HubSlug(command.hub),
        name=command.name,
        kind=command.kind,
        location=command.location,
        zone=command.zone,
        address=command.address,
        contacts=to_ask_there(command.contacts, context),
        metadata=command.metadata,
    )


def evolve(hub: Hub, event: HubEvent) -> Hub:
    match event:
        case HubCreated():
            return HubState(event.location, event.address, event.contacts)
        case HubMoved():
            return replace(there(hub), location=event.location, address=event.address)
        case HubContactsSet():
            return replace(there(hub), contacts=event.contacts)
        case HubClosed():
            return replace(there(hub), closed=True)
        case HubReopened():
            return replace(there(hub), closed=False)
        case _:
            assert_never(event)


def there(hub: Hub) -> HubState:
    assert isinstance(hub, HubState), "a hub's first event creates it"
    return hub
