"""A dispatcher at the console, in a real browser, before the whole system: riders that move, a delivery created by a
click on the map, who was asked and why, and the records on Kafka behind it."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from browsing import chromium
from fresh import fresh_name
from playwright.async_api import Browser, Locator, Page, expect
from whole_system import WholeSystem

from gateway.tokens import Tokens
from schemas.position import vector

SOON_MS = 20_000
"""A bound for what should take a second or two."""

OUTLET = {"lat": 60.1702, "lon": 24.9375}
RIDERS = {"Aino": (60.1695, 24.9400), "Eero": (60.1675, 24.9445), "Helmi": (60.1725, 24.9465)}
NASTY = "<img src=x onerror=alert(1)>"

pytestmark = pytest.mark.timeout(240)


@dataclass
class City:
    """The running system, with a tenant whose riders drive about until it ends."""

    url: str
    kafka: str
    tokens: Tokens
    tenant: str
    http: httpx.AsyncClient
    riders: dict[str, str] = field(default_factory=dict)

    def token(self, role: Any, subject: str) -> str:
        return self.tokens.issue(self.tenant, role, subject, 3600)

    def link(self) -> str:
        return f"{self.url}/#token={self.token('dispatcher', 'dora')}&tenant={self.tenant}"

    async def post(self, path: str, body: Any, role: Any, subject: str, tenant: str | None = None) -> Any:
        token = self.tokens.issue(tenant or self.tenant, role, subject, 3600)
        headers = {"authorization": f"Bearer {token}", "idempotency-key": fresh_name("k")}
        answer = await self.http.post(path, json=body, headers=headers)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def settle(self) -> None:
        rules = {"tender_mode": "broadcast", "broadcast_size": 2, "offer_seconds": 120}
        tenant = {"tenant": self.tenant, "name": "Acme", "mode": "test", "rules": rules}
        await self.post("/v1/tenants", tenant, "operator", "root", "*")
        own = f"/v1/{self.tenant}"
        outlet = {"outlet": "kamppi", "name": "Kamppi Kitchen", "location": OUTLET, "zone": "Europe/Helsinki"}
        await self.post(f"{own}/outlets", outlet, "integrator", "shop")
        circle = {"type": "circle", "center": OUTLET, "radius_m": 150}
        await self.post(f"{own}/geofences", {"name": "Kamppi yard", "shape": circle}, "integrator", "shop")
        for name in (*RIDERS, "Onni"):
            made = await self.post(f"{own}/riders", {"name": name}, "integrator", "shop")
            self.riders[name] = made["id"]
            await self.post(f"{own}/riders/{made['id']}/approve-rider", {}, "dispatcher", "dora")
        for name in RIDERS:
            path = f"{own}/riders/{self.riders[name]}"
            ends_at = (datetime.now(UTC) + timedelta(hours=8)).isoformat()
            await self.post(f"{path}/start-shift", {"ends_at": ends_at}, "dispatcher", "dora")
            await self.post(f"{path}/bind-device", {"device_id": name.lower()}, "dispatcher", "dora")

    async def drive(self) -> None:
        """Round and round a block, a fix each half second."""
        for turn in range(10_000):
            for name, (lat, lon) in RIDERS.items():
                fix = {
                    "observed_at": datetime.now(UTC).isoformat(),
                    "lat": lat + 0.0001 * (turn % 7),
                    "lon": lon + 0.0002 * (turn % 5),
                    "accuracy_m": 5,
                    "bearing_deg": 45 * (turn % 8),
                }
                await self.post(
                    f"/v1/{self.tenant}/fixes",
                    {"device_id": name.lower(), "fixes": [fix]},
                    "rider",
                    self.riders[name],
                )
            await asyncio.sleep(0.5)


@pytest.fixture(scope="module")
async def city(system: WholeSystem) -> AsyncIterator[City]:
    async with httpx.AsyncClient(base_url=system.url, timeout=30) as http:
        made = City(system.url, system.kafka, system.tokens, fresh_name("acme"), http)
        await made.settle()
        driving = asyncio.create_task(made.drive())
        yield made
        driving.cancel()
        with suppress(asyncio.CancelledError):
            await driving


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as made:
        yield made


@dataclass
class Desk:
    """A page, and what it complained of."""

    page: Page
    errors: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)


@pytest.fixture
async def desk(browser: Browser) -> AsyncIterator[Desk]:
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(SOON_MS)
    made = Desk(await context.new_page())
    made.page.on("pageerror", lambda error: made.errors.append(str(error)))
    made.page.on("console", lambda message: made.errors.append(message.text) if message.type == "error" else None)
    made.page.on("request", lambda request: made.hosts.add(httpx.URL(request.url).host))
    yield made
    await context.close()


@pytest.fixture(autouse=True)
def _patience() -> None:
    expect.set_options(timeout=SOON_MS)


async def opened(desk: Desk, city: City) -> Page:
    await desk.page.goto(city.link())
    await expect(desk.page.locator("body")).to_have_attribute("data-state", "open")
    return desk.page


async def test_a_dispatcher_creates_a_delivery_on_the_map_and_sees_who_gets_it_and_why(city: City, desk: Desk):
    page = await opened(desk, city)
    assert "token" not in page.url
    await expect(page.locator("#link")).to_have_attribute("data-live", "yes")
    await expect(page.locator("#ground")).not_to_have_attribute("data-tiles", "0")
    await expect(page.locator(".fence")).to_have_count(1)
    await riders_move(page, city)

    await page.locator("#ground").click(position={"x": 420, "y": 330})
    form = page.get_by_role("form", name="New delivery")
    await form.get_by_label("Recipient").fill(NASTY)
    await form.get_by_label("Phone").fill("1")
    await form.get_by_role("button", name="Create delivery").click()
    problem = form.locator(".problem")
    await expect(problem).to_contain_text("The body does not fit")
    await expect(problem).to_contain_text("/stops/1/contact/phone")
    await expect(form.get_by_label("Phone")).to_have_attribute("aria-invalid", "true")
    await form.get_by_label("Phone").fill("+358 40 123 4567")
    await form.get_by_role("button", name="Create delivery").click()

    detail = page.locator(".detail")
    await expect(detail).to_have_attribute("data-state", "offering")
    await expect(detail.locator(".stops")).to_contain_text(NASTY)
    task = str(await detail.get_attribute("data-task-id"))
    offers = detail.locator("[data-section=offers] [data-offer-id]")
    await expect(offers).to_have_count(2)
    best = detail.locator(".candidates tbody tr")
    await expect(best).to_have_count(3)
    for place in range(3):
        await expect(best.nth(place).locator(".figure")).to_have_text(re.compile(r"^\d+\.\d$"))
    await expect(detail.locator(".told")).to_contain_text("3 of 4 riders could take it")
    await expect(detail.locator(".told")).to_contain_text(
        re.compile("(Aino|Eero|Helmi) comes before (Aino|Eero|Helmi)")
    )
    await the_score_is_the_sum_of_its_parts(best.first)
    await expect(page.locator(".rider .rank")).to_have_count(3)
    first = str(await best.first.get_attribute("data-rider-id"))
    await expect(page.locator(f".rider[data-rider-id='{first}'] .rank")).to_have_text("1")
    excluded = detail.locator(".excluded li")
    await expect(excluded).to_have_text([re.compile("Onni.*not on shift · 1")])
    await expect(page.locator(f".stop[data-task-id='{task}'][data-risk]").first).to_be_attached()

    winner = await claimed(city, task)
    await expect(detail.locator("[data-winner]")).to_have_text(re.compile(f"Won by {winner}"))
    await expect(detail).to_have_attribute("data-state", "accepted")
    await expect(detail.locator("[data-offer-id][data-state=accepted]")).to_contain_text(winner)
    await expect(detail.locator("[data-offer-id][data-state=lost]")).to_have_count(1)
    await expect(page.locator("[data-counter=open]")).to_have_text("1")
    await expect(page.locator("[data-counter=delivering]")).to_have_text("1")

    for fact in ("DispatchDecisionRecorded", "OfferSent", "OfferClaimed", "TenderAwarded", "TaskAssigned"):
        await expect(detail.locator(f"[data-type={fact}]").first).to_be_visible()
    await the_record_is_the_one_on_kafka(page, city, task)

    await detail.get_by_role("button", name="All tasks").click()
    await expect(page.locator(".rider .rank")).to_have_count(0)
    await expect(page.locator(f".task[data-task-id='{task}']")).to_contain_text(winner)
    await page.locator(f".task[data-task-id='{task}']").click()
    await expect(detail.locator("[data-winner]")).to_be_visible()

    unforeseen = [error for error in desk.errors if "422" not in error]
    assert not unforeseen
    assert desk.hosts == {httpx.URL(city.url).host}


async def the_score_is_the_sum_of_its_parts(row: Locator) -> None:
    parts = [float(text.split()[0]) for text in await row.locator("[data-part]").all_inner_texts()]
    assert len(parts) == 6
    assert float(await row.locator(".figure").inner_text()) == pytest.approx(sum(parts), abs=0.5)


async def riders_move(page: Page, city: City) -> None:
    for name, rider in city.riders.items():
        mark = page.locator(f"#overlay [data-rider-id='{rider}']")
        if name == "Onni":
            await expect(mark).to_have_count(0)
            continue
        await expect(mark.locator("title")).to_contain_text(name)
        before = str(await mark.get_attribute("data-lon"))
        await expect(mark).not_to_have_attribute("data-lon", before)


async def claimed(city: City, task: str) -> str:
    """The first rider who was asked says yes; their name."""
    for name, rider in city.riders.items():
        headers = {"authorization": f"Bearer {city.token('rider', rider)}"}
        board = await city.http.get(f"/v1/{city.tenant}/tender-board", params={"task_id": task}, headers=headers)
        for tender in board.json()["items"]:
            [offer] = tender["offers"]
            path = f"/v1/{city.tenant}/tenders/{tender['tender_id']}/claim-offer"
            await city.post(path, {"offer_id": offer}, "rider", rider)
            return name
    raise AssertionError("nobody was asked")


async def the_record_is_the_one_on_kafka(page: Page, city: City, task: str) -> None:
    created = page.locator("[data-type=TaskCreated]")
    await created.locator("summary").click()
    topic = await created.locator("[data-record=topic]").inner_text()
    position = await created.locator("[data-record=position]").inner_text()
    headers, body = [json.loads(text) for text in await created.locator("pre").all_inner_texts()]
    [(place, offset)] = vector(position).items()
    assert (topic, str(place[1])) == (place[0], await created.locator("[data-record=partition]").inner_text())
    consumer = AIOKafkaConsumer(bootstrap_servers=city.kafka, enable_auto_commit=False)
    await consumer.start()
    try:
        partition = TopicPartition(*place)
        consumer.assign([partition])
        consumer.seek(partition, offset)
        record = await consumer.getone()
    finally:
        await consumer.stop()
    stands = {name: value.decode() for name, value in record.headers}
    assert record.key == task.encode()
    assert (headers["id"], headers["hash"]) == (stands["ce_id"], stands["hash"])
    assert headers["type"] == stands["ce_type"] == "logistics.task.TaskCreated"
    assert body["outlet"] == "kamppi"
    assert NASTY not in json.dumps(body)
    assert NASTY.encode() not in (record.value or b"")


async def test_without_a_token_it_asks_for_one_and_says_what_is_wrong_with_it(city: City, desk: Desk):
    page = desk.page
    await page.goto(city.url)
    form = page.locator("#sign-in")
    await form.get_by_label("Token").fill("nothing")
    await form.get_by_role("button").click()
    await expect(form.locator(".problem")).to_contain_text("That opens nothing")
    foreign = Tokens(b"another installation's key of enough bytes")
    await form.get_by_label("Token").fill(foreign.issue(city.tenant, "dispatcher", "dora", 60))
    await form.get_by_role("button").click()
    await expect(form.locator(".problem")).to_contain_text("The token is not valid")
    await form.get_by_label("Token").fill(city.token("dispatcher", "dora"))
    await form.get_by_role("button").click()
    await expect(page.locator("body")).to_have_attribute("data-state", "open")
    await expect(page.locator("#tenant")).to_have_text(city.tenant)
    await page.reload()
    await expect(page.locator("body")).to_have_attribute("data-state", "open")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.locator("body")).to_have_attribute("data-state", "asking")


async def test_the_keyboard_alone_comes_to_a_delivery_and_back(city: City, desk: Desk):
    page = await opened(desk, city)
    await page.locator("#ground").focus()
    for pressed in ("+", "ArrowLeft", "-", "Enter"):
        await page.keyboard.press(pressed)
    form = page.get_by_role("form", name="New delivery")
    await expect(form.get_by_label("Recipient")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(form).to_have_count(0)


async def test_who_only_looks_sees_no_contacts_and_creates_nothing(city: City, desk: Desk):
    body = {
        "kind": "delivery",
        "outlet": "kamppi",
        "stops": [{"kind": "pickup"}, {"kind": "dropoff", "location": OUTLET, "contact": {"name": "Cleo"}}],
    }
    made = await city.post(f"/v1/{city.tenant}/tasks", body, "integrator", "shop")
    await desk.page.goto(f"{city.url}/#token={city.token('analyst', 'ada')}")
    await desk.page.locator(f".task[data-task-id='{made['id']}']").click()
    await expect(desk.page.locator(".detail .stops")).to_contain_text("hidden")
    await expect(desk.page.locator(".detail .stops")).not_to_contain_text("Cleo")
    await expect(desk.page.locator(f".stop[data-task-id='{made['id']}']")).to_have_count(0)
    await desk.page.locator("#ground").click(position={"x": 60, "y": 300})
    await expect(desk.page.locator(".detail")).to_be_visible()
    await expect(desk.page.get_by_role("form", name="New delivery")).to_have_count(0)


async def test_without_streets_all_else_is_there(city: City, desk: Desk):
    await desk.page.route("**/console/tiles/**", lambda route: route.abort())
    page = await opened(desk, city)
    await expect(page.locator("#overlay [data-rider-id]")).to_have_count(len(RIDERS))
    await expect(page.locator("#ground")).to_have_attribute("data-tiles", "0")
    assert {error for error in desk.errors if "net::ERR_FAILED" not in error} == set()


async def test_what_happened_while_the_line_was_down_is_there_when_it_is_back(city: City, desk: Desk):
    page = await opened(desk, city)
    await expect(page.locator("#link")).to_have_attribute("data-live", "yes")
    await page.context.set_offline(True)
    await expect(page.locator("#trouble")).to_contain_text("The gateway does not answer")
    body = {
        "kind": "delivery",
        "outlet": "kamppi",
        "stops": [{"kind": "pickup"}, {"kind": "dropoff", "location": OUTLET}],
    }
    made = await city.post(f"/v1/{city.tenant}/tasks", body, "integrator", "shop")
    await page.context.set_offline(False)
    await expect(page.locator(f".task[data-task-id='{made['id']}']")).to_be_visible()
    await expect(page.locator("#trouble")).to_be_empty()
    await expect(page.locator("#link")).to_have_attribute("data-live", "yes")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_fits_a_phone_in_both_schemes(city: City, browser: Browser, scheme: Any):
    context = await browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme, has_touch=True)
    page = await context.new_page()
    await page.goto(city.link())
    await expect(page.locator("body")).to_have_attribute("data-state", "open")
    await expect(page.locator("#overlay [data-rider-id]").first).to_be_attached()
    wide, ground = await page.evaluate(
        "() => [document.documentElement.scrollWidth, getComputedStyle(document.body).backgroundColor]"
    )
    assert wide <= 390
    assert ground == {"light": "rgb(244, 245, 243)", "dark": "rgb(18, 23, 28)"}[scheme]
    await context.close()


# Its parts, each alone

DECODED = """async (url) => {
  const { linesOf } = await import("/console/mvt.js");
  const bytes = await (await fetch(url)).arrayBuffer();
  const { extent, lines } = linesOf(bytes, "speeds");
  let broken = "nothing";
  try { linesOf(bytes.slice(0, 5000), "speeds"); } catch (failed) { broken = failed.name; }
  const numbers = lines.flatMap((line) => line.parts.flat());
  return {
    extent, broken, none: linesOf(bytes, "houses"), empty: linesOf(new ArrayBuffer(0), "speeds"),
    lines: lines.length, least: Math.min(...numbers), most: Math.max(...numbers),
    names: [...new Set(lines.map((line) => line.properties.name))],
    speeds: lines.map((line) => line.properties.speed),
  };
}"""
KEPT = """async () => {
  const { Streets } = await import("/console/streets.js");
  const streets = new Streets(async () => new ArrayBuffer(0), () => {});
  for (let z = 0; z < 300; z++) {
    streets.want({ key: `14/${z}/0`, z: 14, x: z, y: 0 });
    await new Promise((done) => setTimeout(done, 0));
  }
  const asked = new Streets(() => new Promise(() => {}), () => {});
  for (let z = 0; z < 50; z++) asked.want({ key: `14/${z}/0`, z: 14, x: z, y: 0 });
  return [streets.kept.size, asked.asked];
}"""
READ = """async () => {
  const { Api } = await import("/console/api.js");
  const { items, whole } = await new Api({ token: "t", tenant: "acme" }).all("endless");
  return [items.length, whole];
}"""


async def test_tiles_are_decoded_as_the_router_draws_them(city: City, osrm: str, desk: Desk):
    async with httpx.AsyncClient() as http:
        tile = (await http.get(f"{osrm}/tile/v1/driving/tile(9327,4742,14).mvt")).content
    await desk.page.route("**/tile.mvt", lambda route: route.fulfill(body=tile))
    await desk.page.goto(city.url)
    told = await desk.page.evaluate(DECODED, "/tile.mvt")
    assert (told["extent"], told["broken"], told["none"], told["empty"]) == (4096, "RangeError", None, None)
    assert told["lines"] > 1000
    assert {"Mannerheimintie", "Kaivokatu"} <= set(told["names"])
    assert all(0 < speed < 150 for speed in told["speeds"] if speed)
    assert told["least"] > -4096
    assert told["most"] < 2 * 4096


async def test_the_page_keeps_and_asks_for_no_more_than_its_bounds(city: City, desk: Desk):
    page = """{"items": [1], "next": "more"}"""
    await desk.page.route(
        "**/v1/acme/endless*", lambda route: route.fulfill(body=page, content_type="application/json")
    )
    await desk.page.goto(city.url)
    assert await desk.page.evaluate(KEPT) == [200, 6]
    assert await desk.page.evaluate(READ) == [4, False]


async def test_what_needs_a_person_comes_by_itself_and_goes_once_it_is_mended(city: City, desk: Desk):
    page = await opened(desk, city)
    needs = page.locator("#needs")
    await expect(needs).to_have_text("0")
    report = {"kind": "accident", "description": "Ann fell", "links": [{"kind": "rider", "id": city.riders["Onni"]}]}
    incident = (await city.post(f"/v1/{city.tenant}/incidents", report, "dispatcher", "dora"))["id"]
    await expect(needs).to_have_text("1")
    await needs.click()
    card = page.locator(".exception")
    await expect(card).to_contain_text("An incident waits for somebody")
    await expect(card).to_contain_text("accident")
    await card.get_by_role("button", name="assign incident").click()
    body = card.get_by_label("Body of assign-incident")
    await card.get_by_role("button", name="Send").click()
    await expect(card.locator(".problem")).to_contain_text("/assignee")
    await body.fill('{"assignee": "dora"}')
    report = {"kind": "accident", "description": "Bob fell", "links": [{"kind": "rider", "id": city.riders["Onni"]}]}
    other = (await city.post(f"/v1/{city.tenant}/incidents", report, "dispatcher", "dora"))["id"]
    await expect(needs).to_have_text("2")
    await expect(body).to_be_focused()
    escalated = f"/v1/{city.tenant}/incidents/{incident}/escalate-incident"
    await city.post(escalated, {"reason_code": "press"}, "dispatcher", "dora")
    await city.post(f"/v1/{city.tenant}/incidents/{other}/assign-incident", {"assignee": "dora"}, "dispatcher", "dora")
    await expect(needs).to_have_text("1")
    await expect(body).to_have_value('{"assignee": "dora"}')
    await card.get_by_role("button", name="Send").click()
    await expect(card).to_have_count(0)
    await expect(needs).to_have_text("0")
    await expect(page.locator(".panel")).to_contain_text("Nothing needs a person now")
    told = await city.http.get(
        f"/v1/{city.tenant}/incidents/{incident}",
        headers={"authorization": f"Bearer {city.token('dispatcher', 'dora')}"},
    )
    assert told.json()["assignee"] == "dora"
