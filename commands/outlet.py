"""Outlet: a tenant's shop, restaurant or warehouse, in its own time zone."""

from collections.abc import Sequence
from typing import assert_never

import msgspec
from msgspec.structs import replace

from commands.context import Context
from commands.directory import NotThere, misplaced
from commands.life import NEW, Life, to, when, within
from commands.place_contacts import are_the_same, to_ask_there
from schemas.directory import (
    CreateOutlet,
    MoveOutlet,
    OutletCommand,
    OutletContactsSet,
    OutletCreated,
    OutletEvent,
    OutletMoved,
    SetOutletContacts,
)
from schemas.geo import Location
from schemas.message import OutletSlug
from schemas.place_contact import PlaceContact
from schemas.zones import zone_of


class OutletState(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    location: Location
    address: str | None
    contacts: Sequence[PlaceContact] = ()


type Outlet = NotThere | OutletState


def status_of(outlet: Outlet) -> str:
    return NEW if isinstance(outlet, NotThere) else "created"


LIFE = Life(
    status_of,
    {
        OutletCreated: to("created", NEW),
        OutletMoved: within("created"),
        OutletContactsSet: within("created"),
    },
    {
        MoveOutlet: when("created"),
        SetOutletContacts: when("created"),
    },
)


def decide(outlet: Outlet, command: OutletCommand, context: Context) -> list[OutletEvent]:
    match command, outlet:
        case CreateOutlet(), NotThere():
            assert context.policy, "the tenant is known"
            zone_of(command.zone)
            created = OutletCreated(
                outlet=OutletSlug(command.outlet),
                name=command.name,
                location=command.location,
                zone=command.zone,
                address=command.address,
                contacts=to_ask_there(command.contacts, context),
                metadata=command.metadata,
            )
            return [created]
        case MoveOutlet(), OutletState():
            if (command.location, command.address) == (outlet.location, outlet.address):
                return []
            return [OutletMoved(location=command.location, address=command.address)]
        case SetOutletContacts(), OutletState():
            contacts = to_ask_there(command.contacts, context, outlet.contacts)
            return [] if are_the_same(outlet.contacts, contacts, context) else [OutletContactsSet(contacts=contacts)]
        case _:
            raise misplaced(outlet)


def evolve(outlet: Outlet, event: OutletEvent) -> Outlet:
    match event:
        case OutletCreated():
            return OutletState(event.location, event.address, event.contacts)
        case OutletMoved():
            return replace(there(outlet), location=event.location, address=event.address)
        case OutletContactsSet():
            return replace(there(outlet), contacts=event.contacts)
        case _:
            assert_never(event)


def there(outlet: Outlet) -> OutletState:
    assert isinstance(outlet, OutletState), "an outlet's first event creates it"
    return outlet
