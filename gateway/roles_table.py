"""docs/roles.md, from the tables that decide: who may send what, and who may read what, route by route."""

from collections.abc import Mapping
from typing import get_args

from gateway import dispatch_dry_runs, fixes_socket, geocoding
from gateway.allowed import (
    ARTEFACT_READERS,
    ARTEFACT_SENDERS,
    DRY_RUNNERS,
    FIX_SENDERS,
    GEOCODERS,
    READERS,
    SENDERS,
    Roles,
)
from gateway.app import BATCH
from gateway.batch import ANYBODY
from gateway.commands import OPEN
from gateway.feed import WITH_HISTORY
from gateway.offers import socket as offers_socket
from gateway.queries import LISTINGS, SINGLES
from schemas.message import Role

COLUMNS = [role for role in get_args(Role) if role != "system"]
TITLE = """# Who may do what

A token names a tenant, a role and a subject (`logistics token`). Anything of another tenant answers 404. Operators
whose tenant is `*` act in every tenant. A rider sends only what concerns their own tasks, offers, devices and
vehicle, and reads only that; who names another rider by `rider_id` is refused (`another-rider`). Commands that are not
here are sent by the system's own processes alone.

This table is made from `gateway/allowed.py` and the routes by `python -m gateway.roles_table`.
"""
SENT: Mapping[str, Roles] = {
    f"POST {BATCH}": ANYBODY,
    "POST /v1/{tenant}/fixes": FIX_SENDERS,
    "POST /v1/{tenant}/fixes/frames": FIX_SENDERS,
    f"WebSocket {fixes_socket.ROUTE}": FIX_SENDERS,
    "GET /v1/{tenant}/fixes/osmand": FIX_SENDERS,
    "POST /v1/{tenant}/fixes/osmand": FIX_SENDERS,
    "POST /v1/{tenant}/fixes/traccar": FIX_SENDERS,
    "POST /v1/{tenant}/devices/{id}/links": FIX_SENDERS,
    "PUT /v1/{tenant}/artefacts/{id}": ARTEFACT_SENDERS,
    "POST /v1/{tenant}/artefacts/{id}/links": ARTEFACT_READERS,
    f"POST {geocoding.ROUTE}": GEOCODERS,
    f"POST {dispatch_dry_runs.ROUTE}": DRY_RUNNERS,
    "POST /v1/{tenant}/stream-tickets": READERS["events"] | FIX_SENDERS,
}
"""Besides commands. In a batch each command is by its own role."""
READ: Mapping[str, Roles] = {
    **{f"GET /v1/{{tenant}}/{each.word}": READERS[each.word] for each in LISTINGS},
    **{f"GET /v1/{{tenant}}/{each.plural}/{{id}}": READERS[each.readers] for each in SINGLES},
    **{f"GET /v1/{{tenant}}/{plural}/{{id}}/history": READERS["history"] for plural in WITH_HISTORY},
    **{
        f"GET /v1/{{tenant}}/{word}": READERS[word]
        for word in ("task-counts", "sla-statistics", "eta-statistics", "mileage", "tracking", "tenant", "events")
    },
    "GET /v1/{tenant}/events/stream": READERS["events"],
    f"WebSocket {offers_socket.ROUTE}": READERS["offers"],
    "GET /v1/{tenant}/tasks/{id}/secrets": READERS["task-secrets"],
    "GET /v1/{tenant}/tasks/{id}/why": READERS["why"],
    "GET /v1/{tenant}/incidents/{id}/timeline": READERS["incident-timeline"],
    "GET /v1/{tenant}/incidents/{id}/seal": READERS["incident-timeline"],
    "GET /v1/{tenant}/trips/{id}": READERS["trips"],
    "GET /v1/{tenant}/trips/{id}/export": READERS["trip-exports"],
    "GET /v1/{tenant}/artefacts/{id}": ARTEFACT_READERS,
    "GET /console/tiles/{z}/{x}/{y}.mvt": frozenset(COLUMNS),
}
WITHOUT_TOKEN = {
    "/v1/tracking/": "where a delivery is, for who has its link",
    "/track/": "the same as a page, and its files",
    "/callbacks/": "what the platform and carriers tell, by their signatures",
    "/registry/": "the schemas of what is on Kafka",
    "/problems/": "what a problem means",
    "/docs": "the API described, and at `/openapi.json` for machines",
    "/openapi.json": "",
    "/console/": "the console's files; at `/` its page",
    "/": "",
    "/livez": "whether it runs; at `/readyz` whether it is ready",
    "/readyz": "",
    "/metrics": "[what it counts](metrics.md)",
}
"""By what paths begin with, or are."""


def needs_no_token(path: str) -> bool:
    """Of a path that is in none of the tables."""
    folders = tuple(known for known in (*WITHOUT_TOKEN, "/docs/") if known.endswith("/") and known != "/")
    return path in WITHOUT_TOKEN or path.startswith(folders)


def commands() -> dict[str, Roles]:
    routes = {known.cls: known.route for known in OPEN}
    return {f"POST {routes[cls]}": roles for cls, roles in SENDERS.items() if cls in routes}


def roles_table() -> str:
    openly = [f"- `{path}`: {about}" for path, about in WITHOUT_TOKEN.items() if about]
    return "\n".join(
        [
            *(TITLE, "## Commands", "", *table("command", commands()), ""),
            *("## What else is sent", "", *table("way in", SENT), ""),
            *("## Reads", "", *table("read", READ), ""),
            *("## Without a token", "", *openly, ""),
        ]
    )


def table(what: str, rows: Mapping[str, Roles]) -> list[str]:
    head = f"| {what} | {' | '.join(COLUMNS)} |"
    lines = [head, "|---" * (len(COLUMNS) + 1) + "|"]
    return lines + [
        f"| `{name}` | {' | '.join('yes' if role in roles else '' for role in COLUMNS)} |"
        for name, roles in rows.items()
    ]


if __name__ == "__main__":
    print(roles_table(), end="")
