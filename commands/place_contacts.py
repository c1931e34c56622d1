"""Whom to ask at an outlet or a hub: each sealed under the person's own subject, so that one erasure reaches them."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from commands.context import Context
from commands.registries import each_once
from schemas.ids import contact_subject
from schemas.message import ERASED, HIDDEN, Personal, Refused
from schemas.place_contact import ContactReader, NewPlaceContact, PlaceContact

ALL_READERS: tuple[ContactReader, ...] = get_args(ContactReader)


class NotAName(Refused):
    rule = "not-a-name"
    stands_in = ("name",)

    def __init__(self, duty: str, name: str) -> None:
        super().__init__(f"the contact for {duty} is called {name}, which stands for what cannot be read")
        self.duty = duty
        self.name = name


def to_ask_there(
    contacts: Sequence[NewPlaceContact], context: Context, known: Sequence[PlaceContact] = ()
) -> list[PlaceContact]:
    """Who was read as hidden, or erased, and is told again like that, stays who they are. Raises DuplicateCode where
    two have the same duty, NotAName where there is nobody to stay."""
    each_once(contact.duty for contact in contacts)
    kept = {contact.duty: contact for contact in known}
    return [
        staying(contact, kept) if contact.name in (HIDDEN, ERASED) else to_ask(contact, context) for contact in contacts
    ]


def staying(contact: NewPlaceContact, kept: Mapping[str, PlaceContact]) -> PlaceContact:
    if contact.duty not in kept:
        raise NotAName(contact.duty, contact.name)
    return kept[contact.duty]


def to_ask(contact: NewPlaceContact, context: Context) -> PlaceContact:
    """Without a reference it is named by the place's id and the duty, as that of a stop is by task and stop."""
    subject = contact_subject(context.tenant, contact.reference or f"{context.aggregate_id}/{contact.duty}")
    return PlaceContact(
        duty=contact.duty,
        name=Personal(subject, contact.name),
        phone=Personal(subject, contact.phone) if contact.phone else None,
        notes=Personal(subject, contact.notes) if contact.notes else None,
        readers=[role for role in ALL_READERS if role in (contact.readers or ALL_READERS)],
    )


def are_the_same(kept: Sequence[PlaceContact], wanted: Sequence[PlaceContact], context: Context) -> bool:
    """Never where somebody of them was forgotten: told again, they are remembered again."""
    return [said(contact, context) for contact in kept] == [said(contact, context) for contact in wanted]


def said(contact: PlaceContact, context: Context) -> tuple[Any, ...]:
    opened = [context.opened(part, str) for part in (contact.name, contact.phone, contact.notes)]
    return contact.duty, contact.name.subject, *opened, contact.readers
