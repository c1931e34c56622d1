"""Offers by WebSocket on a real server: a rider is told of each, what becomes of it, and answers."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from time import time
from typing import Any

import msgspec
import pytest
from read_models import ReadModels
from reception import HOME, KAMPPI, TOKENS, House, Json, delivery, key
from starlette.applications import Starlette
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway.app import app
from gateway.door import Limits
from gateway.offers.following import MOST_OF_ONE, MOST_WAITING
from gateway.offers.socket import DROPPED, IDLE_S, MESSAGE_BYTES, SEND_S
from gateway.offers.telling import MOST_SINCE
from gateway.offers.told import CHANGES, MOST_PENDING
from gateway.tickets import ticket_for
from gateway.tokens import Caller
from infra.embedded.ports import free_port
from infra.serving import server
from schemas import ids, position
from schemas.itinerary import Bundled, Placed, StopRef
from schemas.message import OfferId, RiderId, StopId, TaskId
from schemas.tender import AwardTender, OpenTender, PlannedOffer, RejectClaim, WithdrawTender
from schemas.topics import TASK


@asynccontextmanager
async def served(application: Starlette) -> AsyncIterator[int]:
    port = free_port()
    serving = server(application, "127.0.0.1", port)
    task = asyncio.create_task(serving.serve())
    while not serving.started:  # noqa: ASYNC110 - uvicorn tells it so
        await asyncio.sleep(0.01)
    yield port
    serving.should_exit = True
    await task


class Stand:
    """Where riders wait for offers: a served door with read models, which follow when they are told to."""

    def __init__(self, house: House, models: ReadModels, port: int) -> None:
        self.house, self.models, self.port = house, models, port
        self.riders: dict[str, str] = {}

    async def has(self, *names: str) -> None:
        dora = self.house.caller("dispatcher", "dora")
        for name in names:
            made = await dora.post("/v1/acme/riders", json={"name": name, "external_reference": name})
            self.riders[name] = made.json()["id"]
        await self.models.fold()

    async def task(self, reference: str = "1", **more: Any) -> str:
        made = await self.house.caller().post("/v1/acme/tasks", json=delivery(external_reference=reference, **more))
        assert made.status_code == 201, made.text
        task: str = made.json()["id"]
        return task

    async def offers(self, task: str, *names: str, turn: int = 1, **more: Any) -> str:
        """The task to all of these at once; answers the tender."""
        tender = ids.tender_id(TaskId(task), turn)
        until = self.house.now + timedelta(minutes=1)
        placed = [
            Placed(stop_id=StopId("stop-1")),
            Placed(stop_id=StopId("stop-2"), behind=StopRef(task_id=TaskId(task), stop_id=StopId("stop-1"))),
        ]
        offers = [
            PlannedOffer(
                offer_id=self.offer(tender, name),
                rider_id=RiderId(self.riders[name]),
                expires_at=until,
                placed=placed,
                ends_at=self.house.now + timedelta(minutes=20),
            )
            for name in names
        ]
        command = OpenTender(
            task_id=TaskId(task),
            round=turn,
            mode="broadcast",
            candidates=[],
            excluded=[],
            offers=offers,
            policy_version=1,
            input_hash="h",
            solver="nearest",
        )
        await self.house.process("tender", tender, msgspec.structs.replace(command, **more))
        return tender

    def offer(self, tender: str, name: str) -> OfferId:
        return ids.offer_id(tender, RiderId(self.riders[name]))

    async def wins(self, tender: str, name: str) -> None:
        await self.house.process("tender", tender, AwardTender(offer_id=self.offer(tender, name)))

    async def answers(self, name: str, tender: str, word: str, **body: Any) -> None:
        """By HTTP."""
        rider = self.house.caller("rider", self.riders[name])
        body = {"offer_id": self.offer(tender, name)} | body
        said = await rider.post(f"/v1/acme/tenders/{tender}/{word}", json=body, headers=key(f"{word}-{name}"))
        assert said.status_code == 200, said.text

    def dial(self, name: str, query: str = "", *, role: Any = "rider", subject: str = "", port: int = 0) -> Any:
        rider = self.riders.get(name, name)
        headers = {"authorization": f"Bearer {TOKENS.issue('acme', role, subject or rider, 3600)}"} if role else {}
        url = f"ws://127.0.0.1:{port or self.port}/v1/acme/riders/{rider}/socket{query}"
        return connect(url, additional_headers=headers, proxy=None)


@pytest.fixture
async def stand(library: tuple[House, ReadModels]) -> AsyncIterator[Stand]:
    house, models = library
    async with served(house.app) as port:
        made = Stand(house, models, port)
        await made.has("ann", "bob")
        yield made


async def heard(socket: ClientConnection) -> Json:
    async with asyncio.timeout(10):
        told: Json = json.loads(await socket.recv())
    return told


async def changes(socket: ClientConnection, count: int) -> list[Json]:
    return [await heard(socket) for _ in range(count)]


def words(told: list[Json]) -> list[str]:
    return [each["change"] for each in told]


async def says(socket: ClientConnection, seq: int, answer: str, **more: Any) -> Json:
    """The answer to it; what is told meanwhile is left out."""
    await socket.send(json.dumps({"seq": seq, "answer": answer} | more))
    while (told := await heard(socket)).get("seq", -1) != seq:
        pass
    return told


async def all_that_is_told(socket: ClientConnection) -> None:
    async with asyncio.timeout(10):
        while True:
            await socket.recv()


async def ends(socket: ClientConnection) -> int:
    """The code, whatever is told before."""
    with pytest.raises(ConnectionClosed) as ended:
        await all_that_is_told(socket)
    assert ended.value.rcvd is not None
    return ended.value.rcvd.code


# What is told


async def test_on_connecting_a_rider_is_told_all_that_is_pending_and_what_is_needed_to_decide(stand):
    window = {"start": "2026-03-01T12:10:00Z", "end": "2026-03-01T12:40:00Z"}
    stops = [{"kind": "pickup"}, {"kind": "dropoff", "location": HOME, "window": window, "service_seconds": 60}]
    parcels = [{"weight_g": 900, "volume_cm3": 4_000}, {"weight_g": 100}]
    task = await stand.task(stops=stops, parcels=parcels)
    tender = await stand.offers(task, "ann", "bob")
    await stand.answers("ann", tender, "view-offer")
    await stand.models.fold()
    async with stand.dial("ann") as socket:
        told = await heard(socket)
    [offer] = told["offers"]
    assert position.vector(told["position"])
    assert not told["more"]
    assert (offer["tender_id"], offer["offer_id"]) == (tender, stand.offer(tender, "ann"))
    assert (offer["state"], offer["mode"], offer["bids"]) == ("viewed", "broadcast", None)
    behind = {"task_id": task, "stop_id": "stop-1"}
    assert offer["placed"][1] == {"stop_id": "stop-2", "behind": behind, "task_id": None}
    assert (offer["bundle"], offer["way"]) == ([], [behind, {"task_id": task, "stop_id": "stop-2"}])
    assert offer["expires_at"] < offer["ends_at"]
    asked = offer["task"]
    assert (asked["task_id"], asked["kind"]) == (task, "delivery")
    assert asked["load"] == {"weight_g": 1_000, "volume_cm3": 4_000, "parcels": 2}
    first, last = asked["stops"]
    assert (first["stop_id"], first["location"], first["place"]) == (
        "stop-1",
        KAMPPI,
        {"kind": "outlet", "id": "kamppi"},
    )
    assert (last["location"], last["place"], last["window"], last["service_seconds"]) == (HOME, None, window, 60)


async def test_a_bundle_is_told_with_all_its_tasks_and_their_stops_in_the_order_of_the_way(stand):
    one, two = await stand.task("1"), await stand.task("2", parcels=[{"weight_g": 700}])
    planned = [(one, "stop-1"), (two, "stop-1"), (two, "stop-2"), (one, "stop-2")]
    way = [StopRef(task_id=TaskId(task), stop_id=StopId(stop)) for task, stop in planned]
    placed = [
        Placed(task_id=ref.task_id, stop_id=ref.stop_id, behind=behind)
        for ref, behind in zip(way, [None, *way], strict=False)
    ]
    async with stand.dial("ann") as ann:
        await heard(ann)
        tender = ids.tender_id(TaskId(one), 1)
        until = stand.house.now + timedelta(minutes=1)
        offers = [
            PlannedOffer(
                offer_id=stand.offer(tender, name),
                rider_id=RiderId(stand.riders[name]),
                expires_at=until,
                placed=placed,
            )
            for name in ("ann", "bob")
        ]
        await stand.offers(one, "ann", "bob", bundle=[Bundled(task_id=TaskId(two), round=1)], offers=offers)
        await stand.models.fold()
        sent = (await heard(ann))["offer"]
        async with stand.dial("ann") as again:
            [pending] = (await heard(again))["offers"]
    assert sent == pending
    assert (sent["task"]["task_id"], [task["task_id"] for task in sent["bundle"]]) == (one, [two])
    assert [(ref["task_id"], ref["stop_id"]) for ref in sent["way"]] == planned
    assert [stop["location"] for stop in sent["bundle"][0]["stops"]] == [KAMPPI, HOME]
    assert sent["bundle"][0]["load"]["weight_g"] == 700


async def test_what_is_not_placed_comes_to_the_end_in_the_order_of_the_tasks(stand):
    one, two = await stand.task("1"), await stand.task("2")
    tender = ids.tender_id(TaskId(one), 1)
    until = stand.house.now + timedelta(minutes=1)
    rider = RiderId(stand.riders["ann"])
    offers = [PlannedOffer(offer_id=stand.offer(tender, "ann"), rider_id=rider, expires_at=until)]
    await stand.offers(one, "ann", bundle=[Bundled(task_id=TaskId(two), round=1)], offers=offers)
    await stand.models.fold()
    async with stand.dial("ann") as ann:
        [offer] = (await heard(ann))["offers"]
    assert [(ref["task_id"], ref["stop_id"]) for ref in offer["way"]] == [
        (task, stop) for task in (one, two) for stop in ("stop-1", "stop-2")
    ]


async def test_each_change_is_told_as_it_happens_to_whom_it_concerns(stand):
    async with stand.dial("ann") as ann, stand.dial("bob") as bob:
        assert [(await heard(each))["offers"] for each in (ann, bob)] == [[], []]
        tender = await stand.offers(await stand.task(), "ann", "bob")
        await stand.models.fold()
        [sent] = await changes(ann, 1)
        assert sent["change"] == sent["offer"]["state"] == "sent"
        assert sent["offer"]["task"]["stops"][1]["location"] == HOME
        await stand.answers("ann", tender, "view-offer")
        await stand.answers("ann", tender, "claim-offer")
        await stand.wins(tender, "ann")
        await stand.models.fold()
        assert words(await changes(ann, 3)) == ["viewed", "claimed", "won"]
        assert words(await changes(bob, 2)) == ["sent", "lost"]


async def test_what_else_can_become_of_an_offer_is_told_with_its_reason(stand):
    tenders = [await stand.offers(await stand.task(str(number)), "ann") for number in range(4)]
    await stand.models.fold()
    async with stand.dial("ann") as ann:
        assert len((await heard(ann))["offers"]) == 4
        await stand.answers("ann", tenders[0], "decline-offer", reason_code="too_far")
        await stand.house.process("tender", tenders[1], WithdrawTender(reason_code="task_cancelled"))
        await stand.answers("ann", tenders[2], "claim-offer")
        claim = stand.offer(tenders[2], "ann")
        await stand.house.process("tender", tenders[2], RejectClaim(offer_id=claim, reason_code="over_capacity"))
        await stand.models.fold()
        told = await changes(ann, 4)
    became = {each["tender_id"]: (each["change"], each.get("reason_code")) for each in told}
    assert became == {
        tenders[0]: ("declined", "too_far"),
        tenders[1]: ("withdrawn", None),
        tenders[2]: ("rejected", "over_capacity"),
    }


async def test_whom_one_meets_is_not_told_and_who_reads_where_they_are_is_on_record(stand):
    await stand.offers(await stand.task(), "ann")
    await stand.models.fold()
    with capture_logs() as logs:
        async with stand.dial("ann") as ann:
            told = json.dumps(await heard(ann))
    assert "Cleo" not in told
    assert "+358" not in told
    assert str(HOME["lat"]) in told
    [read] = [each for each in logs if each["event"] == "personal data read"]
    assert (read["reader"], read["tenant"]) == (stand.riders["ann"], "acme")


async def test_the_place_of_somebody_who_is_forgotten_is_erased(stand):
    task = await stand.task()
    await stand.offers(task, "ann")
    await stand.models.fold()
    assert await stand.house.desk.forget(ids.contact_subject("acme", f"{task}/stop-2"))
    async with stand.dial("ann") as ann:
        [offer] = (await heard(ann))["offers"]
    assert offer["task"]["stops"][1]["location"] == "erased"


# Answers


async def test_the_rider_answers_on_the_same_connection(stand):
    tender = await stand.offers(await stand.task(), "ann", "bob")
    await stand.models.fold()
    mine = {"tender_id": tender, "offer_id": stand.offer(tender, "ann")}
    async with stand.dial("ann") as ann, stand.dial("bob") as bob:
        assert (await says(ann, 1, "view", **mine))["events"] == ["OfferViewed"]
        claimed = await says(ann, 2, "claim", **mine)
        assert claimed["events"] == ["OfferClaimed", "ReservationRequested"]
        assert (claimed["id"], claimed["repeated"]) == (tender, False)
        assert position.vector(claimed["consistency"])
        theirs = mine | {"offer_id": stand.offer(tender, "bob")}
        assert (await says(bob, 9, "decline", reason_code="busy", **theirs))["events"] == ["OfferDeclined"]
        assert await says(bob, 10, "alive") == {"seq": 10}


async def test_what_is_sent_again_is_answered_as_it_was(stand):
    tender = await stand.offers(await stand.task(), "ann", "bob")
    await stand.models.fold()
    mine = {"tender_id": tender, "offer_id": stand.offer(tender, "ann")}
    async with stand.dial("ann") as ann:
        first = await says(ann, 1, "decline", reason_code="busy", **mine)
    async with stand.dial("ann") as ann:
        again = await says(ann, 5, "decline", reason_code="busy", **mine)
        assert again == first | {"seq": 5, "repeated": True}
        assert (await says(ann, 6, "decline", reason_code="far", **mine))["problem"]["code"] == "offer-not-pending"


async def test_a_rider_bids_where_that_is_asked(stand):
    until = stand.house.now + timedelta(seconds=30)
    tender = await stand.offers(await stand.task(), "ann", "bob", mode="bid", bids_until=until)
    mine = {"tender_id": tender, "offer_id": stand.offer(tender, "ann")}
    async with stand.dial("ann") as ann:
        await heard(ann)
        await stand.models.fold()
        [sent] = await changes(ann, 1)
        asked = {"until": until.isoformat().replace("+00:00", "Z"), "currency": "EUR"}
        assert sent["offer"]["bids"] == asked
        assert (await says(ann, 1, "claim", **mine))["problem"]["code"] == "bid-needed"
        bid = {"amount_minor": 450, "currency": "EUR"}
        assert (await says(ann, 2, "claim", bid=bid, **mine))["events"] == ["OfferClaimed"]
        await stand.models.fold()
        [claimed] = await changes(ann, 1)
        assert (claimed["change"], claimed["bid"]) == ("claimed", bid)
    async with stand.dial("ann") as ann:
        [offer] = (await heard(ann))["offers"]
        assert (offer["state"], offer["bid"], offer["bids"]) == ("claimed", bid, asked)


@pytest.mark.parametrize(
    ("sent", "seq", "code", "pointer"),
    [
        ("{", None, "malformed-json", None),
        ("[]", None, "invalid-body", ""),
        ('{"seq": 3}', 3, "invalid-body", "/answer"),
        ('{"seq": 4, "answer": "shout"}', 4, "invalid-body", "/answer"),
        ('{"seq": 4, "answer": ["claim"]}', 4, "invalid-body", "/answer"),
        ('{"answer": "alive"}', None, "invalid-body", "/seq"),
        ('{"seq": 5, "answer": "claim", "tender_id": "t"}', 5, "invalid-body", "/offer_id"),
        (
            '{"seq": 6, "answer": "claim", "tender_id": "t", "offer_id": "o", "colour": "red"}',
            6,
            "invalid-body",
            "/colour",
        ),
        ('{"seq": 7, "answer": "view", "tender_id": "t", "offer_id": "o"}', 7, "not-found", None),
        ('{"seq": 8, "answer": "alive"}' + " " * 4_096, 8, "body-too-large", None),
    ],
)
async def test_what_cannot_be_taken_is_told_and_the_connection_lives_on(stand, sent, seq, code, pointer):
    async with stand.dial("ann") as ann:
        await heard(ann)
        await ann.send(sent)
        refused = await heard(ann)
        assert (refused["seq"], refused["problem"]["code"]) == (seq, code)
        if pointer is not None:
            assert pointer in [error["pointer"] for error in refused["problem"]["errors"]]
        assert await says(ann, 9, "alive") == {"seq": 9}


async def test_a_dispatcher_watches_and_does_not_answer(stand):
    tender = await stand.offers(await stand.task(), "ann")
    await stand.models.fold()
    async with stand.dial("ann", role="dispatcher", subject="dora") as dora:
        assert len((await heard(dora))["offers"]) == 1
        refused = await says(dora, 1, "claim", tender_id=tender, offer_id=stand.offer(tender, "ann"))
        assert refused["problem"]["code"] == "forbidden"
        await stand.answers("ann", tender, "claim-offer")
        await stand.models.fold()
        assert words(await changes(dora, 1)) == ["claimed"]


async def test_nobody_answers_to_anothers_offer(stand):
    tender = await stand.offers(await stand.task(), "bob")
    await stand.models.fold()
    async with stand.dial("ann") as ann:
        refused = await says(ann, 1, "claim", tender_id=tender, offer_id=stand.offer(tender, "bob"))
        assert refused["problem"]["code"] == "not-your-offer"


def shape(told: Json, like: Json) -> Json:
    """Of what was told as much as the page shows."""
    return {
        name: shape(told[name], shown) if isinstance(shown, dict) and told[name] is not None else told[name]
        for name, shown in like.items()
    }


async def test_it_goes_as_the_page_shows_it(stand):
    page = (Path(__file__).parents[2] / "docs" / "dispatch.md").read_text()
    [shown] = re.findall(r"```websocket\n(.*?)```", page, re.DOTALL)
    lines = [(line[0], json.loads(line[2:])) for line in shown.splitlines()]
    tender = ""
    async with stand.dial("ann") as ann:
        for way, wanted in lines:
            if way == ">":
                mine = {"tender_id": tender, "offer_id": stand.offer(tender, "ann")}
                await ann.send(json.dumps(wanted | mine))
                continue
            if wanted.get("change") == "sent":
                tender = await stand.offers(await stand.task(parcels=[{"weight_g": 800}]), "ann", "bob")
            if wanted.get("change") == "won":
                await stand.wins(tender, "ann")
            if "change" in wanted:
                await stand.models.fold()
            assert shape(await heard(ann), wanted) == wanted


def test_the_page_tells_each_change_and_each_bound():
    page = (Path(__file__).parents[2] / "docs" / "dispatch.md").read_text()
    section = page.partition("## The rider's app")[2].partition("## Why")[0]
    assert all(f"`{word}`" in section for word in CHANGES.values())
    minutes, kib = int(IDLE_S / 60), MESSAGE_BYTES >> 10
    for bound in (f"| {kib} KiB |", f"| {MOST_WAITING}, each for {SEND_S:g} s |", f"| {minutes} min;"):
        assert bound in section
    for bound in (f"| {MOST_OF_ONE} |", f"| {Limits().offer_sockets:,} a gateway |", f"| {MOST_PENDING}, the oldest |"):
        assert bound in section
    assert f"| {MOST_SINCE} |" in section


# Coming again


async def test_who_comes_again_misses_nothing_and_hears_nothing_twice(stand):
    """Whatever was the last that they had."""
    async with stand.dial("ann") as ann:
        told = [await heard(ann)]
        for number in range(3):
            stand.house.now += timedelta(seconds=1)
            tender = await stand.offers(await stand.task(str(number)), "ann", "bob")
            await stand.answers("ann", tender, "view-offer")
            await stand.models.fold()
            told += await changes(ann, 2)
        await stand.answers("ann", tender, "decline-offer", reason_code="busy")
        await stand.models.fold()
        told += await changes(ann, 1)
    came = [(each["tender_id"], each["change"]) for each in told[1:]]
    assert len(set(came)) == 7
    for last in range(len(told)):
        async with stand.dial("ann", f"?after={told[last]['position']}") as ann:
            missed = await changes(ann, len(came) - last)
            pending = await heard(ann)
            assert [(each["tender_id"], each["change"]) for each in missed] == came[last:], last
            assert len(pending["offers"]) == 2
            await stand.offers(await stand.task(f"more-{last}"), "bob")
            await stand.models.fold()
            assert await says(ann, 1, "alive") == {"seq": 1}


async def test_what_happens_between_the_state_and_the_first_look_is_told_once(stand, monkeypatch: pytest.MonkeyPatch):
    """Offers come all the while, and whoever connects meanwhile knows of each of them once."""
    over = asyncio.Event()

    async def keeps_offering() -> list[str]:
        tenders = []
        while not over.is_set():
            tenders.append(await stand.offers(await stand.task(str(len(tenders))), "ann"))
            await stand.models.fold()
        return tenders

    offering = asyncio.create_task(keeps_offering())
    told: list[list[str]] = []
    for _ in range(6):
        async with stand.dial("ann") as ann:
            offers = [each["tender_id"] for each in (await heard(ann))["offers"]]
            offers += [each["tender_id"] for each in await changes(ann, 3)]
            told.append(offers)
    over.set()
    tenders = await offering
    for offers in told:
        assert sorted(offers) == sorted(tenders[: len(offers)])


async def test_an_offer_is_told_once_its_task_can_be_read(stand):
    async with stand.dial("ann") as ann:
        await heard(ann)
        await stand.offers(await stand.task(), "ann")
        await stand.models.fold(["history", "tender_board"])
        assert await says(ann, 1, "alive") == {"seq": 1}
        await stand.models.fold()
        [sent] = await changes(ann, 1)
        assert sent["offer"]["task"]["kind"] == "delivery"


async def test_an_offer_whose_task_cannot_be_read_is_told_without_it(stand, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.offers.telling.TASK_WAIT_S", 0.05)
    async with stand.dial("ann") as ann:
        await heard(ann)
        await stand.offers(await stand.task(), "ann")
        await stand.models.fold(["history", "tender_board"])
        [sent] = await changes(ann, 1)
        assert (sent["change"], sent["offer"]) == ("sent", None)


async def test_who_has_seen_more_than_the_read_models_waits_for_them(stand):
    tender = await stand.offers(await stand.task(), "ann")
    await stand.models.fold(["history"])
    [stored] = [each for each in stand.house.desk.log if each.key == tender.encode()][-1:]
    after = position.position(stored.topic, stored.partition, stored.offset + 1)
    with pytest.raises(InvalidStatus) as refused:
        async with stand.dial("ann", f"?after={after}"):
            pass
    assert json.loads(refused.value.response.body)["code"] == "projection-lagging"
    await stand.models.fold()
    async with stand.dial("ann", f"?after={after}") as ann:
        assert len((await heard(ann))["offers"]) == 1


async def test_who_was_away_for_too_long_begins_anew(stand, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.offers.telling.MOST_SINCE", 3)
    async with stand.dial("ann") as ann:
        start = (await heard(ann))["position"]
    for number in range(3):
        await stand.offers(await stand.task(str(number)), "ann")
    await stand.models.fold()
    async with stand.dial("ann", f"?after={start}") as ann:
        assert words(await changes(ann, 3)) == ["sent"] * 3
    await stand.offers(await stand.task("4"), "ann")
    await stand.models.fold()
    with pytest.raises(InvalidStatus) as refused:
        async with stand.dial("ann", f"?after={start}"):
            pass
    assert refused.value.response.status_code == 410
    assert "begin anew" in json.loads(refused.value.response.body)["detail"]


# Who comes in


async def test_a_browser_comes_in_by_a_ticket_and_stays_longer_than_it(stand, monkeypatch: pytest.MonkeyPatch):
    ticket = ticket_for(Caller("acme", "rider", stand.riders["ann"], 2**40), "acme", stand.house.door.secrets, 60)
    async with stand.dial("ann", f"?ticket={ticket}", role=None) as ann:
        await heard(ann)
        later = time() + 120
        monkeypatch.setattr("gateway.entry.time", lambda: later)
        assert await says(ann, 1, "alive") == {"seq": 1}


@pytest.mark.parametrize(
    ("name", "query", "role", "subject", "status", "code"),
    [
        ("ann", "", None, "", 401, "token-missing"),
        ("ann", "?ticket=made-up", None, "", 401, "token-invalid"),
        ("ann", "", "analyst", "anna", 403, "forbidden"),
        ("ann", "", "rider", "somebody-else", 404, "not-found"),
        ("nobody", "", "dispatcher", "dora", 404, "not-found"),
        ("nobody", "", "rider", "", 404, "not-found"),
        ("ann", "?colour=red", "rider", "", 400, "invalid-parameter"),
        ("ann", "?after=nonsense", "rider", "", 410, "cursor-gone"),
        ("ann", f"?after={position.position(TASK.name, 0, 1)}", "rider", "", 410, "cursor-gone"),
    ],
)
async def test_who_may_not_come_in_is_told_why(stand, name, query, role, subject, status, code):
    with pytest.raises(InvalidStatus) as refused:
        async with stand.dial(name, query, role=role, subject=subject):
            pass
    assert refused.value.response.status_code == status
    assert json.loads(refused.value.response.body)["code"] == code


# Bounds


async def test_a_token_that_expires_ends_the_connection(stand, monkeypatch: pytest.MonkeyPatch):
    async with stand.dial("ann") as ann:
        await heard(ann)
        monkeypatch.setattr("gateway.entry.time", lambda: 2**40)
        assert (await says_whatever(ann))["problem"]["code"] == "token-invalid"
        assert await ends(ann) == 1008


async def says_whatever(socket: ClientConnection) -> Json:
    await socket.send('{"seq": 1, "answer": "alive"}')
    return await heard(socket)


async def test_no_connection_outlives_its_token(stand, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.offers.socket.time", lambda: 2**40)
    async with stand.dial("ann") as ann:
        assert await ends(ann) == 1008


async def test_who_is_silent_for_too_long_is_disconnected(stand, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.offers.socket.IDLE_S", 0.05)
    async with stand.dial("ann") as ann:
        assert await ends(ann) == 1001


async def test_connections_are_bounded(stand):
    door = app(msgspec.structs.replace(stand.house.door, limits=Limits(offer_sockets=1, ask_again_after_s=())))
    async with door.router.lifespan_context(door), served(door) as port:
        async with stand.dial("ann", port=port):
            with pytest.raises(InvalidStatus) as refused:
                async with stand.dial("bob", port=port):
                    pass
            assert json.loads(refused.value.response.body)["code"] == "too-many-streams"
        assert (await told_once_there_is_room(stand, port))["offers"] == []


async def told_once_there_is_room(stand: Stand, port: int) -> Json:
    """A connection that was closed just now may still be counted."""
    async with asyncio.timeout(10):
        while True:
            with suppress(InvalidStatus):
                async with stand.dial("bob", port=port) as bob:
                    return await heard(bob)


async def test_of_too_many_connections_for_one_rider_the_oldest_makes_way(stand, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.offers.following.MOST_OF_ONE", 2)
    async with stand.dial("ann") as first, stand.dial("ann") as second, stand.dial("ann") as third:
        assert await ends(first) == 1008
        for each in (second, third):
            assert await says(each, 1, "alive") == {"seq": 1}


async def test_with_too_many_pending_the_oldest_are_told(stand, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.offers.told.MOST_PENDING", 2)
    monkeypatch.setattr("gateway.offers.telling.MOST_PENDING", 2)
    for number in range(3):
        await stand.offers(await stand.task(str(number)), "ann")
        await stand.models.fold()
    async with stand.dial("ann") as ann:
        told = await heard(ann)
        assert (len(told["offers"]), told["more"]) == (2, True)


async def test_a_silent_connection_hears_heartbeats_whose_position_goes_on(stand):
    door = app(msgspec.structs.replace(stand.house.door, limits=Limits(heartbeat_s=0.2, ask_again_after_s=())))
    async with door.router.lifespan_context(door), served(door) as port, stand.dial("ann", port=port) as ann:
        start = (await heard(ann))["position"]
        beat = await heard(ann)
        assert (beat["position"], "heartbeat" in beat) == (start, True)
        await stand.offers(await stand.task(), "bob")
        await stand.models.fold()
        async with asyncio.timeout(10):
            while (beat := await heard(ann))["position"] == start:
                pass
    async with stand.dial("ann", f"?after={beat['position']}") as ann:
        assert (await heard(ann))["offers"] == []


class Stuck:
    """One who listens no more: what is sent to them is not taken until it is too late."""

    def __init__(self, stand: Stand) -> None:
        token = TOKENS.issue("acme", "rider", stand.riders["ann"], 3600)
        path = f"/v1/acme/riders/{stand.riders['ann']}/socket"
        self.scope = {
            "type": "websocket",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"authorization", f"Bearer {token}".encode())],
        }
        self.begun, self.full = False, asyncio.Event()
        self.sent: list[Any] = []

    async def receive(self) -> dict[str, Any]:
        if self.begun:
            await asyncio.Event().wait()
        self.begun = True
        return {"type": "websocket.connect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        if message["type"] == "websocket.send":
            self.full.set()
            await asyncio.Event().wait()

    @property
    def closed(self) -> list[int]:
        return [each["code"] for each in self.sent if each["type"] == "websocket.close"]


async def test_a_slow_reader_is_dropped_and_nobody_else_waits_for_them(stand, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.offers.following.MOST_WAITING", 2)
    stuck, dropped = Stuck(stand), DROPPED._value.get()
    serving = asyncio.create_task(stand.house.app(stuck.scope, stuck.receive, stuck.send))
    await stuck.full.wait()
    async with stand.dial("bob") as bob:
        await heard(bob)
        for number in range(3):
            await stand.offers(await stand.task(str(number)), "ann", "bob")
            await stand.models.fold()
            assert words(await changes(bob, 1)) == ["sent"]
    async with asyncio.timeout(10):
        await serving
    assert stuck.closed == [1013]
    assert DROPPED._value.get() == dropped + 1


async def test_who_takes_nothing_at_all_is_given_up(stand, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.offers.socket.SEND_S", 0.05)
    stuck = Stuck(stand)
    async with asyncio.timeout(10):
        await stand.house.app(stuck.scope, stuck.receive, stuck.send)
    assert stuck.closed == [1013]


async def test_where_the_log_cannot_be_followed_nobody_is_let_in_blind(stand, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.offers.following.BEGIN_S", 0.05)
    without_lifespan = app(stand.house.door)
    async with served(without_lifespan) as port:
        with pytest.raises(InvalidStatus) as refused:
            async with stand.dial("ann", port=port):
                pass
    assert json.loads(refused.value.response.body)["code"] == "read-models-unavailable"
