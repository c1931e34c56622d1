"""The feed: page by page with a cursor, and as server-sent events from a real server."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import httpx
import msgspec
import pytest
import uvicorn
from read_models import ReadModels
from reception import TOKENS, House, Json, delivery, key
from road import a_signal
from starlette.applications import Starlette

from gateway import tickets
from gateway.app import app
from gateway.door import Limits
from gateway.problems import Problem
from gateway.tokens import Caller
from schemas import position


@pytest.fixture
def house(library) -> House:
    return library[0]


@pytest.fixture
def models(library) -> ReadModels:
    return library[1]


@asynccontextmanager
async def served(app: Starlette, lifespan: Literal["on", "off"] = "off") -> AsyncIterator[str]:
    """The app behind a real server, since httpx's own transport does not stream."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan=lifespan)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    async with asyncio.timeout(10):
        while not server.started:  # noqa: ASYNC110  # uvicorn has no event for it
            await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = server.force_exit = True
    await running


def bearer() -> dict[str, str]:
    return {"authorization": f"Bearer {TOKENS.issue('acme', 'integrator', 'shop', 60)}"}


@asynccontextmanager
async def stream(url: str, query: str = "", last_event_id: str = "") -> AsyncIterator[AsyncIterator[str]]:
    """The lines of a stream that has been let in."""
    headers = bearer() | ({"last-event-id": last_event_id} if last_event_id else {})
    path = f"{url}/v1/acme/events/stream{query}"
    async with httpx.AsyncClient(timeout=10) as client, client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield answer.aiter_lines()


async def events(lines: AsyncIterator[str], count: int) -> list[tuple[str, Json]]:
    """The next events: their ids and their data."""
    found: list[tuple[str, Json]] = []
    identity = ""
    async with asyncio.timeout(10):
        async for line in lines:
            if line.startswith("id: "):
                identity = line[4:]
            if line.startswith("data: "):
                found.append((identity, json.loads(line[6:])))
                if len(found) == count:
                    return found
    raise AssertionError("the stream ended")


async def task(house: House, reference: str) -> Json:
    return (await house.caller().post("/v1/acme/tasks", json=delivery(external_reference=reference))).json()


async def test_the_feed_is_read_from_its_start_page_by_page(house, models):
    for reference in "123":
        await task(house, reference)
    await models.fold()
    shop, seen, url = house.caller(), [], "/v1/acme/events?limit=3"
    for _ in range(4):
        answer = await shop.get(url)
        seen += answer.json()["items"]
        url = answer.links["next"]["url"]
    assert len(seen) == len({event["id"] for event in seen}) == 8
    of_one: dict[str, list[int]] = {}
    for event in seen:
        of_one.setdefault(event["subject"], []).append(event["aggregateversion"])
    assert all(versions == sorted(versions) for versions in of_one.values())


async def test_an_empty_page_gives_the_cursor_to_go_on_with(house, models):
    await models.fold()
    shop = house.caller()
    end = (await shop.get("/v1/acme/events?limit=500")).json()["next"]
    assert (await shop.get("/v1/acme/events", params={"after": end})).json()["items"] == []
    await task(house, "1")
    await models.fold()
    fresh = await shop.get("/v1/acme/events", params={"after": end})
    assert [event["type"] for event in fresh.json()["items"]] == [
        "logistics.task.TaskCreated",
        "logistics.task.TaskDispatchable",
    ]


async def test_the_feed_tells_whose_data_and_not_what_they_say(house, models):
    await task(house, "1")
    await models.fold()
    text = (await house.caller().get("/v1/acme/events")).text
    assert "Cleo" not in text
    assert '"sealed"' not in text
    assert '"name":{"subject":"' in text


async def test_the_feed_waits_for_what_the_caller_has_written(house, models):
    made = await task(house, "1")
    headers = {"logistics-consistency": made["consistency"], "prefer": "wait=0"}
    assert (await house.caller().get("/v1/acme/events", headers=headers)).status_code == 503
    await models.fold()
    assert (await house.caller().get("/v1/acme/events", headers=headers)).status_code == 200


async def test_a_rider_does_not_follow_the_feed(house):
    assert (await house.caller("rider", "ann").get("/v1/acme/events")).status_code == 403


async def test_a_cursor_of_another_log_is_gone(house, monkeypatch):
    monkeypatch.setattr(position, "GENERATION", 2)
    other = position.token({("logistics.task", 0): 5})
    monkeypatch.undo()
    beyond = position.token({("logistics.task", 99): 5})
    for cursor in (other, beyond, "nonsense!"):
        for path in ("events", "events/stream"):
            answer = await house.caller().get(f"/v1/acme/{path}", params={"after": cursor})
            assert (answer.status_code, answer.json()["code"]) == (410, "cursor-gone"), (path, cursor)


async def test_a_stream_tells_what_happens_from_now_on(house, models):
    await task(house, "before")
    await models.fold()
    async with served(house.app) as url, stream(url) as lines:
        assert await anext(lines) == ": open"
        made = await task(house, "now")
        await models.fold()
        (_, first), (_, second) = await events(lines, 2)
    assert (first["subject"], first["aggregateversion"]) == (made["id"], 1)
    assert second["type"] == "logistics.task.TaskDispatchable"


async def test_a_stream_goes_on_after_the_last_event_that_was_seen(house, models):
    await task(house, "1")
    await models.fold()
    async with served(house.app) as url:
        start = position.token({})
        async with stream(url, f"?after={start}") as lines:
            told = await events(lines, 4)
        async with stream(url, last_event_id=told[1][0]) as lines:
            again = await events(lines, 2)
    assert [event["id"] for _, event in again] == [event["id"] for _, event in told[2:]]


def with_limits(house: House, limits: Limits) -> Starlette:
    """Another door of the same house."""
    return app(msgspec.structs.replace(house.door, limits=limits))


async def test_a_silent_stream_sends_heartbeats(house):
    door = with_limits(house, Limits(heartbeat_s=0.3))
    async with served(door, "on") as url, stream(url) as lines, asyncio.timeout(5):
        said = [await anext(lines) for _ in range(5)]
    assert said == [": open", "", ": still here", "", ": still here"]


async def test_only_so_many_streams_are_open(house):
    door = with_limits(house, Limits(streams=1))
    async with served(door, "on") as url, httpx.AsyncClient() as client:
        path = f"{url}/v1/acme/events/stream"
        async with stream(url) as lines:
            assert await anext(lines) == ": open"
            second = await client.get(path, headers=bearer())
        assert (second.status_code, second.json()["code"]) == (503, "too-many-streams")
        async with asyncio.timeout(5), stream(url) as lines:
            assert await anext(lines) == ": open"


async def test_a_ticket_opens_the_stream_for_a_browser(house):
    made = await house.caller().post("/v1/acme/stream-tickets")
    assert (made.status_code, made.json()["expires_in_s"]) == (201, 60)
    async with served(house.app) as url, httpx.AsyncClient(timeout=10) as client:
        path = f"{url}/v1/acme/events/stream?ticket={made.json()['ticket']}"
        async with client.stream("GET", path) as answer:
            assert answer.status_code == 200
            assert await anext(answer.aiter_lines()) == ": open"


async def test_a_ticket_that_is_late_foreign_or_forged_opens_nothing(house, monkeypatch):
    await house.settle("other")
    ticket = (await house.caller().post("/v1/acme/stream-tickets")).json()["ticket"]
    middle = len(ticket) // 2
    forged = ticket[:middle] + ("A" if ticket[middle] != "A" else "B") + ticket[middle + 1 :]
    visitor = house.client()
    for path, given in (("acme", forged), ("other", ticket), ("acme", "x"), ("acme", "")):
        answer = await visitor.get(f"/v1/{path}/events/stream", params={"ticket": given})
        assert (answer.status_code, answer.json()["code"]) == (401, "token-invalid")
    soon = tickets.time() + 61
    monkeypatch.setattr(tickets, "time", lambda: soon)
    answer = await visitor.get("/v1/acme/events/stream", params={"ticket": ticket})
    assert answer.status_code == 401


def test_a_ticket_does_not_outlive_its_token(house):
    caller = Caller("acme", "integrator", "shop", 1)
    with pytest.raises(Problem):
        tickets.caller_of(tickets.ticket_for(caller, "acme", house.door.secrets, 60), "acme", house.door.secrets)


async def test_a_ticket_needs_a_key_to_nothing_else(house):
    ticket = (await house.caller().post("/v1/acme/stream-tickets")).json()["ticket"]
    answer = await house.client({"authorization": f"Bearer {ticket}"}).get("/v1/acme/tenant", headers=key("k"))
    assert answer.status_code == 401


async def test_what_happens_on_the_road_stands_in_the_feed_too(house, models):
    a_signal(house, 0)
    await models.fold()
    read = (await house.caller().get("/v1/acme/events")).json()
    assert "GeofenceEntered" in {event["type"].rpartition(".")[2] for event in read["items"]}
    a_signal(house, 1)
    await models.fold()
    again = (await house.caller().get(f"/v1/acme/events?after={read['next']}")).json()
    assert [event["id"] for event in again["items"]] == ["signal-1"]


async def test_a_stream_that_began_now_is_resumed_by_its_own_ids(house, models):
    a_signal(house, 0)
    await models.fold()
    async with served(house.app, "on") as url:
        async with stream(url) as lines:
            await anext(lines)
            a_signal(house, 1)
            await task(house, "1")
            await models.fold()
            told = await events(lines, 3)
        last = told[0][0]
        async with stream(url, last_event_id=last) as lines:
            assert [identity for identity, _ in await events(lines, 2)] == [identity for identity, _ in told[1:]]
