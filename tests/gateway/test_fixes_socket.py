"""Fixes by WebSocket on a real server: every batch is answered, what is wrong is told, and the connection lives on."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from reception import TOKENS, House, MemoryFrames, key
from story import NOON
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway.door import Limits
from gateway.tickets import ticket_for
from gateway.tokens import Caller
from infra.embedded.ports import free_port
from infra.role_gateway import bind
from infra.serving import WS_MESSAGE_BYTES, server
from schemas.topics import FLEET


class Harbour:
    """A served house, and connections to it."""

    def __init__(self, house: House, port: int) -> None:
        self.house, self.port = house, port

    def dial(self, role: Any = "dispatcher", subject: str = "dora", path: str = "/v1/acme/fixes/socket") -> Any:
        headers = {"authorization": f"Bearer {TOKENS.issue('acme', role, subject, 3600)}"} if role else {}
        return connect(f"ws://127.0.0.1:{self.port}{path}", additional_headers=headers, proxy=None)


@pytest.fixture
async def limits() -> Limits:
    return Limits(fixes_body_bytes=20_000, sockets=2)


@pytest.fixture
async def harbour(limits: Limits) -> AsyncIterator[Harbour]:
    house = House(limits, frames=MemoryFrames())
    await house.settle()
    dora = house.caller("dispatcher", "dora")
    made = await dora.post("/v1/acme/riders", json={"name": "Ann", "external_reference": "ann"})
    path = f"/v1/acme/riders/{made.json()['id']}"
    await dora.post(f"{path}/approve-rider", headers=key("a"))
    ends_at = (NOON + timedelta(hours=8)).isoformat()
    await dora.post(f"{path}/start-shift", json={"ends_at": ends_at}, headers=key("s"))
    await dora.post(f"{path}/bind-device", json={"device_id": "phone"}, headers=key("b"))
    for stored in house.desk.log:
        if stored.topic == FLEET.name:
            bind(house.bindings, stored)
    port = free_port()
    serving = server(house.app, "127.0.0.1", port)
    task = asyncio.create_task(serving.serve())
    while not serving.started:  # noqa: ASYNC110 - uvicorn tells it so
        await asyncio.sleep(0.01)
    yield Harbour(house, port)
    serving.should_exit = True
    await task
    await house.close()


def batch(seq: int, *minutes: float, **more: Any) -> str:
    fixes = [{"observed_at": (NOON + timedelta(minutes=m)).isoformat(), "lat": 60.17, "lon": 24.94} for m in minutes]
    return json.dumps({"seq": seq, "device_id": "phone", "fixes": fixes} | more)


async def told(socket: ClientConnection, sent: str | bytes) -> dict[str, Any]:
    await socket.send(sent)
    return json.loads(await socket.recv())


async def test_each_batch_is_answered_by_its_own_number_once_it_is_on_the_log(harbour):
    async with harbour.dial() as socket:
        first = await told(socket, batch(7, 1, 2))
        second = await told(socket, batch(9, -5).encode())
    assert (first["seq"], first["accepted"], first["unbound"]) == (7, 2, 0)
    assert first["consistency"]
    assert (second["seq"], second["accepted"], second["unbound"]) == (9, 0, 1), "before it was bound it was nobody's"
    frames = harbour.house.door.frames.frames
    assert sum(frame.count for _, frame in frames) == 3


def resume(session: str = "s1", device: str = "phone") -> str:
    return json.dumps({"resume": session, "device_id": device})


async def test_who_comes_again_is_told_what_was_acknowledged_last(harbour):
    async with harbour.dial() as socket:
        assert await told(socket, resume()) == {"resume": "s1", "device_id": "phone", "seq": None}
        for seq in (3, 4):
            await told(socket, batch(seq, seq))
        refused = await told(socket, batch(5))
        assert refused["problem"]["code"] == "invalid-body"
        assert (await told(socket, resume()))["seq"] == 4, "what was refused is not acknowledged"
    async with harbour.dial() as socket:
        assert (await told(socket, resume()))["seq"] == 4
        assert (await told(socket, resume("installed-anew")))["seq"] is None
        await told(socket, batch(0, 5))
        assert (await told(socket, resume("installed-anew")))["seq"] == 0, "each session has its own numbers"
        assert (await told(socket, resume()))["seq"] == 4
        await told(socket, batch(2, 3))
        assert (await told(socket, resume()))["seq"] == 4, "what is sent again takes nothing back"


async def test_it_goes_as_the_page_shows_it(harbour):
    page = (Path(__file__).parents[2] / "docs" / "telemetry.md").read_text()
    [shown] = re.findall(r"```websocket\n(.*?)```", page, re.DOTALL)
    lines = shown.splitlines()
    async with harbour.dial() as socket:
        for sent, answered in zip(lines[::2], lines[1::2], strict=True):
            answer, wanted = await told(socket, sent.removeprefix("> ")), json.loads(answered.removeprefix("< "))
            for within in (answer, wanted):
                within |= within.pop("problem", {})
            assert {name: answer[name] for name in wanted} == wanted


async def test_who_sends_too_much_is_told_when_to_send_it_again(harbour):
    harbour.house.door.bindings.acknowledged["logistics.fleet", 0] = 10**6
    async with harbour.dial() as socket:
        refused = await told(socket, batch(7, 1))
    assert (refused["seq"], refused["problem"]["code"]) == (7, "projection-lagging")
    assert (refused["problem"]["retryable"], refused["problem"]["retry_after_s"]) == (True, 1)


async def test_what_is_sent_without_a_session_is_of_none(harbour):
    async with harbour.dial() as socket:
        await told(socket, batch(7, 1))
        await told(socket, resume(device="another"))
        await told(socket, batch(8, 2))
        assert (await told(socket, resume()))["seq"] is None


async def test_nobody_learns_or_moves_anothers_numbers(harbour):
    async with harbour.dial() as socket:
        await told(socket, resume())
        await told(socket, batch(7, 1))
    async with harbour.dial(role="rider", subject="bob") as socket:
        assert (await told(socket, resume()))["seq"] is None
        await told(socket, batch(99, 2))
    async with harbour.dial() as socket:
        assert (await told(socket, resume()))["seq"] == 7


async def test_one_connection_resumes_so_many_devices_at_most(harbour, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.fixes_socket.MOST_SESSIONS", 2)
    async with harbour.dial() as socket:
        for device in ("one", "two", "one"):
            assert (await told(socket, resume("s2", device)))["seq"] is None
        assert (await told(socket, resume("s2", "three")))["problem"]["code"] == "too-many"


@pytest.mark.parametrize(
    ("sent", "seq", "code", "pointer"),
    [
        ("{", None, "malformed-json", None),
        ("[]", None, "invalid-body", ""),
        (batch(3), 3, "invalid-body", "/fixes"),
        (batch(4, 1, colour="red"), 4, "invalid-body", "/colour"),
        (batch(5, 1, device_id=""), 5, "invalid-body", "/device_id"),
        (json.dumps({"device_id": "phone", "fixes": []}), None, "invalid-body", "/seq"),
        (batch(6, 1) + " " * 20_000, 6, "body-too-large", None),
        (resume("two words"), None, "invalid-body", "/resume"),
        ('{"resume": "s1"}', None, "invalid-body", "/device_id"),
    ],
)
async def test_what_cannot_be_taken_is_told_and_the_connection_lives_on(harbour, sent, seq, code, pointer):
    async with harbour.dial() as socket:
        refused = await told(socket, sent)
        assert refused["seq"] == seq
        assert refused["problem"]["code"] == code
        if pointer is not None:
            assert pointer in [error["pointer"] for error in refused["problem"]["errors"]]
        assert (await told(socket, batch(8, 1)))["accepted"] == 1


async def test_a_browser_comes_in_by_a_ticket(harbour):
    caller = Caller("acme", "dispatcher", "dora", 2**40)
    ticket = ticket_for(caller, "acme", harbour.house.door.secrets, 60)
    async with harbour.dial(role=None, path=f"/v1/acme/fixes/socket?ticket={ticket}") as socket:
        assert (await told(socket, batch(1, 1)))["accepted"] == 1


@pytest.mark.parametrize(
    ("role", "path", "status", "code"),
    [
        (None, "/v1/acme/fixes/socket", 401, "token-missing"),
        (None, "/v1/acme/fixes/socket?ticket=made-up", 401, "token-invalid"),
        ("analyst", "/v1/acme/fixes/socket", 403, "forbidden"),
        ("dispatcher", "/v1/other/fixes/socket", 404, "not-found"),
        ("dispatcher", "/v1/acme/fixes/socket?colour=red", 400, "invalid-parameter"),
    ],
)
async def test_who_may_not_come_in_is_told_why(harbour, role, path, status, code):
    with pytest.raises(InvalidStatus) as refused:
        async with harbour.dial(role=role, path=path):
            pass
    assert refused.value.response.status_code == status
    assert json.loads(refused.value.response.body)["code"] == code


async def test_a_token_that_expires_ends_the_connection(harbour, monkeypatch: pytest.MonkeyPatch):
    async with harbour.dial() as socket:
        assert (await told(socket, batch(1, 1)))["accepted"] == 1
        monkeypatch.setattr("gateway.entry.time", lambda: 2**40)
        assert (await told(socket, batch(2, 1)))["problem"]["code"] == "token-invalid"
        with pytest.raises(ConnectionClosed):
            await socket.recv()


async def test_a_rider_sends_only_their_own_devices_fixes(harbour):
    async with harbour.dial(role="rider", subject="somebody-else") as socket:
        answer = await told(socket, batch(1, 1))
    assert (answer["accepted"], answer["unbound"]) == (0, 1)


async def test_connections_are_bounded(harbour):
    async with harbour.dial(), harbour.dial():
        with pytest.raises(InvalidStatus) as refused:
            async with harbour.dial():
                pass
        assert json.loads(refused.value.response.body)["code"] == "too-many-streams"
    async with harbour.dial() as socket:
        assert (await told(socket, batch(1, 1)))["accepted"] == 1


async def test_a_message_that_is_far_too_large_is_not_even_read(harbour):
    async with harbour.dial() as socket:
        with pytest.raises(ConnectionClosed) as ended:
            await told(socket, "x" * (WS_MESSAGE_BYTES + 1))
        assert ended.value.rcvd is not None
        assert ended.value.rcvd.code == 1009


async def test_of_who_sends_and_never_listens_no_more_is_read_until_the_answer_is_taken(harbour):
    """Whose connection is full: nothing piles up here, and then not there either."""
    token = TOKENS.issue("acme", "dispatcher", "dora", 3600)
    scope = {
        "type": "websocket",
        "path": "/v1/acme/fixes/socket",
        "raw_path": b"/v1/acme/fixes/socket",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {token}".encode())],
    }
    read: list[str] = []
    full, stuck = asyncio.Event(), asyncio.Event()

    async def receive() -> dict[str, Any]:
        read.append("connect" if not read else "message")
        return {"type": "websocket.connect"} if len(read) == 1 else {"type": "websocket.receive", "text": "{"}

    async def send(message: Any) -> None:
        if message["type"] == "websocket.send":
            full.set()
            await stuck.wait()

    serving = asyncio.create_task(harbour.house.app(scope, receive, send))
    await full.wait()
    async with harbour.dial() as socket:
        for number in range(20):
            assert (await told(socket, batch(number, number)))["accepted"] == 1
    assert read == ["connect", "message"]
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def test_who_is_silent_for_too_long_is_disconnected(harbour, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.fixes_socket.IDLE_S", 0.05)
    async with harbour.dial() as socket:
        with pytest.raises(ConnectionClosed) as ended:
            await socket.recv()
        assert ended.value.rcvd is not None
        assert ended.value.rcvd.code == 1001
