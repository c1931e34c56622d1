"""Hub: a place of a tenant's where goods change hands or wait; it closes and opens again."""

from schemas.geo import Location, Zone
from schemas.message import Command, Event, HubSlug, Metadata, Name, Slug, Text


class CreateHub(Command, frozen=True, kw_only=True):
    """`zone` is an IANA time zone; calendars and business hours are judged in it."""

    hub: Slug
    name: Name
    location: Location
    zone: Zone
    address: Text | None = None
    metadata: Metadata = {}


class MoveHub(Command, frozen=True, kw_only=True):
    location: Location
    address: Text | None = None


class CloseHub(Command, frozen=True, kw_only=True):
    """What lies there stays; nothing more is to be brought."""


class ReopenHub(Command, frozen=True, kw_only=True):
    pass


type HubCommand = CreateHub | MoveHub | CloseHub | ReopenHub


class HubCreated(Event, frozen=True, kw_only=True):
    hub: HubSlug
    name: str
    location: Location
    zone: str
    address: str | None
    metadata: dict[str, str]


class HubMoved(Event, frozen=True, kw_only=True):
    location: Location
    address: str | None


class HubClosed(Event, frozen=True, kw_only=True):
    pass


class HubReopened(Event, frozen=True, kw_only=True):
    pass


type HubEvent = HubCreated | HubMoved | HubClosed | HubReopened
