"""Outlet: a tenant's shop, restaurant or warehouse, in its own time zone."""

from typing import assert_never

import msgspec

from commands.context import Context
from commands.directory import NotThere, known_zone, misplaced
from commands.life import NEW, Life, to, when, within
from schemas.directory import CreateOutlet, MoveOutlet, OutletCommand, OutletCreated, OutletEvent, OutletMoved
from schemas.geo import Location
from schemas.message import OutletSlug


class OutletState(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    location: Location
    address: str | None


type Outlet = NotThere | OutletState


def status_of(outlet: Outlet) -> str:
    return NEW if isinstance(outlet, NotThere) else "created"


LIFE = Life(
    status_of,
    {OutletCreated: to("created", NEW), OutletMoved: within("created")},
    {
        MoveOutlet: when("created"),
    },
)


def decide(outlet: Outlet, command: OutletCommand, context: Context) -> list[OutletEvent]:
    match command, outlet:
        case CreateOutlet(), NotThere():
            assert context.policy, "the tenant is known"
            known_zone(command.zone)
            created = OutletCreated(
                outlet=OutletSlug(command.outlet),
                name=command.name,
                location=command.location,
                zone=command.zone,
                address=command.address,
                metadata=command.metadata,
            )
            return [created]
        case MoveOutlet(), OutletState():
            if OutletState(command.location, command.address) == outlet:
                return []
            return [OutletMoved(location=command.location, address=command.address)]
        case _:
            raise misplaced(outlet)


def evolve(outlet: Outlet, event: OutletEvent) -> Outlet:
    match event:
        case OutletCreated() | OutletMoved():
            return OutletState(event.location, event.address)
        case _:
            assert_never(event)
