"""Whom to ask at an outlet or a hub, as its row has them: sealed, with the roles that may read them."""

from collections.abc import Iterable

import msgspec

from projections.sealed import Sealed, sealed
from schemas.place_contact import ContactReader, PlaceContact


class PlaceContactRow(msgspec.Struct, frozen=True, kw_only=True):
    duty: str
    name: Sealed | None
    phone: Sealed | None
    notes: Sealed | None
    readers: list[ContactReader]


def contact_rows(contacts: Iterable[PlaceContact]) -> list[PlaceContactRow]:
    return [
        PlaceContactRow(
            duty=contact.duty,
            name=sealed(contact.name, "PlaceContact.name"),
            phone=sealed(contact.phone, "PlaceContact.phone"),
            notes=sealed(contact.notes, "PlaceContact.notes"),
            readers=contact.readers,
        )
        for contact in contacts
    ]
