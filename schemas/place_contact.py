"""Whom to ask at a place of a tenant's, for what, and who may know them."""

from typing import Annotated, Literal

import msgspec

from schemas.message import Code, Input, Name, Personal, Record, Reference, Text

MAX_PLACE_CONTACTS = 10

ContactReader = Literal["integrator", "dispatcher", "operator", "rider"]


class NewPlaceContact(Input, frozen=True, kw_only=True):
    """`duty` is what they are asked for there, such as `desk` or `night_watch`. Those roles read the contact that are
    among `readers`, all four where none is named; a rider from the acceptance of a task with a stop there until some
    hours after its end. `reference` is the caller's own name for the person, as with contacts of tasks. One whose name
    is told as it was read, `hidden` or `erased`, stays as it is."""

    duty: Code
    name: Name
    phone: Annotated[str, msgspec.Meta(min_length=3, max_length=40)] | None = None
    notes: Text | None = None
    reference: Reference | None = None
    readers: Annotated[list[ContactReader], msgspec.Meta(min_length=1, max_length=4)] | None = None


PlaceContacts = Annotated[list[NewPlaceContact], msgspec.Meta(max_length=MAX_PLACE_CONTACTS)]


class PlaceContact(Record, frozen=True, kw_only=True):
    duty: str
    name: Personal[str]
    phone: Personal[str] | None
    notes: Personal[str] | None
    readers: list[ContactReader]
