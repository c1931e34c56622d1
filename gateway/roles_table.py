"""docs/roles.md, from the tables that decide: who may send what, and who may read what."""

from typing import get_args

from gateway.allowed import ARTEFACT_READERS, ARTEFACT_SENDERS, FIX_SENDERS, READERS, SENDERS, Roles
from gateway.commands import OPEN
from schemas.message import Role

COLUMNS = [role for role in get_args(Role) if role != "system"]
TITLE = """# Who may do what

A token names a tenant, a role and a subject (`logistics token`). Anything of another tenant answers 404. Operators
whose tenant is `*` act in every tenant. A rider sends only what concerns their own tasks, offers, devices and
vehicle, and reads only that. Commands that are not here are sent by the system's own processes alone.

This table is made from `gateway/allowed.py` by `python -m gateway.roles_table`.
"""


def roles_table() -> str:
    routes = {known.cls: known.route for known in OPEN}
    sent = {f"`POST {routes[cls]}`": roles for cls, roles in SENDERS.items() if cls in routes}
    sent["`POST /v1/{tenant}/fixes`"] = FIX_SENDERS
    sent["`PUT /v1/{tenant}/artefacts/{sha256}`"] = ARTEFACT_SENDERS
    sent["`POST /v1/{tenant}/artefacts/{sha256}/links`"] = ARTEFACT_READERS
    read = {f"`{word}`": roles for word, roles in READERS.items()} | {"`artefacts`": ARTEFACT_READERS}
    return "\n".join([TITLE, "## Commands", "", *table("command", sent), "", "## Reads", "", *table("read", read), ""])


def table(what: str, rows: dict[str, Roles]) -> list[str]:
    head = f"| {what} | {' | '.join(COLUMNS)} |"
    lines = [head, "|---" * (len(COLUMNS) + 1) + "|"]
    return lines + [
        f"| {name} | {' | '.join('yes' if role in roles else '' for role in COLUMNS)} |" for name, roles in rows.items()
    ]


if __name__ == "__main__":
    print(roles_table(), end="")
