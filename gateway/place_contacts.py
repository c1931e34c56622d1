"""Who reads whom of an outlet's or a hub's contacts: by role, and a rider only around a task that leads there."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from gateway.personal import shown
from gateway.tokens import Caller

CONTACTS_AFTER_END = timedelta(hours=4)
"""How long after a task's end its rider still sees its contacts, and those of where it led."""

PLACES = {"outlets": "outlet", "hubs": "hub"}
"""By their word the column of their slug."""
PARTIES = {"outlets": ("outlet",), "hubs": ("hub", "locker")}
"""By their word the kinds of party that they are."""

type Row = dict[str, Any]


def readable(row: Row, place: str, caller: Caller, led_to: frozenset[str]) -> Row:
    """The row with those contacts hidden that are not this caller's to read. `led_to` are the slugs of the places of
    that kind where a task leads, or has just led, the rider who asks."""
    comes = caller.role != "rider" or row[place] in led_to
    contacts = [
        contact if comes and caller.role in contact["readers"] else hidden(contact) for contact in row["contacts"]
    ]
    return row | {"contacts": contacts}


def hidden(contact: Mapping[str, Any]) -> Any:
    return shown(contact, None)
