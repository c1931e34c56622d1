"""The table in the docs is the table that decides, of every route that is served."""

import re
from pathlib import Path

import pytest
from reception import House

from gateway.allowed import SENDERS
from gateway.roles_table import COLUMNS, READ, SENT, commands, needs_no_token, roles_table

DOCS = Path(__file__).parents[2] / "docs" / "roles.md"
UNENDING = "GET /v1/{tenant}/events/stream"
IN_PATH = {"tenant": "acme", "id": "0" * 64}


@pytest.fixture
def house(library) -> House:
    return library[0]


def test_the_table_of_roles_in_the_docs_is_current():
    assert DOCS.read_text() == roles_table(), "make it anew: python -m gateway.roles_table > docs/roles.md"


def test_every_command_and_every_other_way_in_stands_in_it():
    said = roles_table()
    assert len(commands()) == len(SENDERS)
    assert all(f"| `{route}` |" in said for route in (*commands(), *SENT, *READ))


def test_every_route_that_is_served_stands_in_it_and_no_other(house):
    told = commands().keys() | SENT.keys() | READ.keys()
    served = house.app.state.served
    assert told - served == set()
    assert {route for route in served - told if not needs_no_token(route.partition(" ")[2])} == set()


@pytest.mark.parametrize("role", COLUMNS)
async def test_it_says_of_each_way_in_and_of_each_read_which_roles_are_let_in(house, role):
    caller = house.caller(role, "somebody")
    for route, roles in {**SENT, **READ}.items():
        method, _, path = route.partition(" ")
        if method == "WebSocket" or (route == UNENDING and role in roles):
            continue
        asked = re.sub(r"{(\w+)}", lambda name: IN_PATH.get(name[1], "0"), path)
        answer = await caller.request(method, asked, content=b"{}", headers={"content-type": "application/json"})
        refused = answer.status_code == 403 and answer.json()["code"] == "forbidden"
        assert refused == (role not in roles), route


async def test_what_needs_no_token_is_not_refused_for_having_none(house):
    caller = house.caller()
    caller.headers.pop("authorization")
    told = commands().keys() | SENT.keys() | READ.keys()
    openly = [route.partition(" ")[2] for route in house.app.state.served - told if route.startswith("GET ")]
    assert len(openly) > 20
    for path in openly:
        asked = re.sub(r"{(\w+)(:\w+)?}", "0", path)
        assert (await caller.get(asked)).status_code != 401, path
