"""Hub: a place of a tenant's where goods change hands or wait; it closes and opens again. At a locker
nobody is."""

from typing import Literal

from schemas.geo import Location, Zone
from schemas.message import Command, Event, HubSlug, Metadata, Name, Slug, Text
from schemas.place_contact import PlaceContact, PlaceContacts

HubKind = Literal["hub", "locker"]


class CreateHub(Command, frozen=True, kw_only=True):
    """`zone` is an IANA time zone. At a `locker` nobody gives or takes: whoever comes opens it by a code, which is the
    PIN of the task's stop there. Who has ordered sets it at the locker, and tells it whoever comes."""

    hub: Slug
    name: Name
    kind: HubKind = "hub"
    location: Location
    zone: Zone
    address: Text | None = None
    contacts: PlaceContacts = []
    metadata: Metadata = {}


class MoveHub(Command, frozen=True, kw_only=True):
    location: Location
    address: Text | None = None


class SetHubContacts(Command, frozen=True, kw_only=True):
    """All of them anew."""

    contacts: PlaceContacts


class CloseHub(Command, frozen=True, kw_only=True):
    """What lies there stays; nothing more is to be brought."""


class ReopenHub(Command, frozen=True, kw_only=True):
    pass


type HubCommand = CreateHub | MoveHub | SetHubContacts | CloseHub | ReopenHub


class HubCreated(Event, frozen=True, kw_only=True):
    hub: HubSlug
    name: str
    kind: HubKind = "hub"
    location: Location
    zone: str
    address: str | None
    contacts: list[PlaceContact] = []
    metadata: dict[str, str]


class HubMoved(Event, frozen=True, kw_only=True):
    location: Location
    address: str | None


class HubContactsSet(Event, frozen=True, kw_only=True):
    contacts: list[PlaceContact]


class HubClosed(Event, frozen=True, kw_only=True):
    pass


class HubReopened(Event, frozen=True, kw_only=True):
    pass


type HubEvent = HubCreated | HubMoved | HubContactsSet | HubClosed | HubReopened
