"""The console's parts, each alone in a real browser, before a state that was made up."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from browsing import chromium
from playwright.async_api import Page, Route

import gateway

FILES = Path(gateway.__file__).with_name("console")
TASK, INCIDENT = "0c5d2f1a-0000-4000-8000-000000000001", "0c5d2f1a-0000-4000-8000-000000000002"

pytestmark = pytest.mark.timeout(120)

STATE = """
  const sent = [];
  const state = (task) => ({
    watchers: new Set(), tasks: new Map(), ended: new Map([[task.task_id, task]]), etas: new Map(), exceptions: [],
    deskWhole: true, nameOf: (id) => `Rider ${id}`, task: async () => task, riskOfTask: () => "planned",
    riskOfStop: () => "planned",
    api: { tenant: "acme", get: async () => ({ items: [] }), post: async (...asked) => sent.push(asked) },
  });
"""
DETAIL = f"""async (task) => {{
  const {{ Detail }} = await import("/console/detail.js");
  {STATE}
  const detail = new Detail(state(task), () => {{}});
  detail.open(task.task_id);
  await new Promise((done) => setTimeout(done, 50));
  const texts = (found) => [...detail.element.querySelectorAll(found)].map((one) => one.textContent);
  return [texts(".stops strong"), texts(".parcels li")];
}}"""
PLACES = f"""async (task) => {{
  const {{ Detail }} = await import("/console/detail.js");
  {STATE}
  const known = state(task);
  let failing = true;
  known.api.post = async (...asked) => {{
    sent.push(asked);
    if (failing) throw new Error("the answer was lost");
  }};
  const detail = new Detail(known, () => {{}});
  detail.open(task.task_id);
  await new Promise((done) => setTimeout(done, 50));
  const buttons = () => [...detail.element.querySelectorAll(".places button")];
  const told = [...detail.element.querySelectorAll(".places")].map((one) => one.textContent);
  const names = buttons().map((one) => one.textContent);
  buttons()[0].click();
  await new Promise((done) => setTimeout(done, 50));
  const trouble = detail.trouble.textContent;
  failing = false;
  buttons()[0].click();
  await new Promise((done) => setTimeout(done, 50));
  return {{ told, names, sent, trouble, disabled: buttons()[0].disabled }};
}}"""
TRIAL = f"""async ([task, answer]) => {{
  const {{ Detail }} = await import("/console/detail.js");
  {STATE}
  const known = state(task);
  known.api.get = async () => ({{ items: [], told: [], decisions: [] }});
  known.api.post = async (...asked) => (sent.push(asked), answer);
  const detail = new Detail(known, () => {{}});
  document.body.append(detail.element);
  const pause = () => new Promise((done) => setTimeout(done, 50));
  detail.open(task.task_id);
  await pause();
  const trial = detail.element.querySelector(".trial");
  trial.open = true;
  const tried = async (rules) => {{
    trial.querySelector("textarea").value = rules;
    trial.querySelector("form").requestSubmit();
    await pause();
    return trial.querySelector(".found").textContent;
  }};
  return {{ hidden: trial.hidden, wrong: await tried("{{weights"), right: await tried('{{"weights": {{"rating": 600}}}}'), sent }};
}}"""
OFFERS = f"""async ([task, tender]) => {{
  const {{ Detail }} = await import("/console/detail.js");
  {STATE}
  const known = state(task);
  known.api.get = async (path) => ({{ items: path === "tender-board" ? [tender] : [], told: [], decisions: [] }});
  const detail = new Detail(known, () => {{}});
  detail.open(task.task_id);
  await new Promise((done) => setTimeout(done, 50));
  return [...detail.element.querySelectorAll(".tender .aside")].map((one) => one.textContent);
}}"""
CARD = f"""async ([task, row]) => {{
  const {{ Exceptions }} = await import("/console/exceptions.js");
  {STATE}
  const opened = [];
  const desk = new Exceptions({{ ...state(task), exceptions: [row] }}, (id) => opened.push(id));
  document.body.append(desk.element);
  desk.show();
  const card = desk.element.querySelector(".exception");
  const text = card.textContent;
  for (const link of card.querySelectorAll("button.subject")) link.click();
  card.querySelector("[data-command]").click();
  card.querySelector("textarea").value = "{{assignee: dora";
  card.querySelector("form").requestSubmit();
  await new Promise((done) => setTimeout(done, 50));
  return {{ text, opened, sent, trouble: card.querySelector(".problem").textContent, subject: card.querySelector(".subject").textContent }};
}}"""


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async def served(route: Route) -> None:
        path = route.request.url.partition("/console/")[2]
        if path:
            await route.fulfill(path=FILES / path, content_type="text/javascript")
        else:
            await route.fulfill(body="<!doctype html>", content_type="text/html")

    async with chromium() as browser:
        page = await browser.new_page()
        await page.route("**/*", served)
        await page.goto("http://console.test/")
        yield page


def stop(name: str, kind: str, party: str, at: str | None = None) -> dict[str, Any]:
    return {"stop_id": name, "kind": kind, "status": "pending", "party": {"kind": party, "id": at}}


def a_task(**more: Any) -> dict[str, Any]:
    known = {"task_id": TASK, "tracking_code": "CV-1", "outlet": "kamppi", "state": "in_progress", "stops": []}
    return known | {"parcels": {}, **more}


async def test_where_a_stop_may_be_is_chosen_from_and_sent_once(page: Page):
    at, forgotten = {"lat": 60.1, "lon": 24.9}, {"location": None, "label": None, "confidence": 0.3}
    candidates = [{"location": at, "label": "Annankatu 12", "confidence": 0.5}, forgotten]
    unsure = stop("2", "dropoff", "recipient") | {
        "needs_location": {"reason_code": "not_sure", "source": "osm", "candidates": candidates}
    }
    nowhere = stop("3", "dropoff", "recipient") | {"needs_location": {"reason_code": "no_address", "candidates": []}}
    seen = await page.evaluate(PLACES, a_task(stops=[stop("1", "pickup", "outlet"), unsure, nowhere]))
    assert seen["names"] == ["Annankatu 12 50 %"]
    assert len(seen["told"]) == 2, "of the first stop it is known"
    assert seen["told"][1] == "It has neither a place nor an address."
    assert "the answer was lost" in seen["trouble"]
    (path, body, first), (_, again, second) = seen["sent"]
    assert (path, body) == (
        f"tasks/{TASK}/locate-stop",
        {"stop_id": "2", "location": at, "reason_code": "chosen_at_console"},
    )
    assert (again, second, seen["disabled"]) == (body, first, True)


async def test_other_rules_are_tried_on_a_task_that_waits(page: Page):
    nobody = {"first": None, "able": 0, "excluded": {"off_shift": 2}, "first_carrier": None, "able_carriers": 0}
    somebody = {"first": {"rider_id": "ann", "score": 728.6}, "able": 2, "excluded": {}}
    somebody |= {"first_carrier": {"carrier_id": "posti"}, "able_carriers": 3}
    answer = {"tasks": [{"in_force": nobody, "given": somebody, "same_first": False}]}
    seen = await page.evaluate(TRIAL, [a_task(state="dispatchable"), answer])
    assert seen["hidden"] is False
    assert "This is no JSON" in seen["wrong"]
    assert seen["sent"] == [["dispatch-dry-runs", {"rules": {"weights": {"rating": 600}}, "tasks": [TASK]}]]
    assert "By the rules in forceno rider; not: 2 not on shift" in seen["right"]
    assert "By theseRider ann (728.6), the first of 2; Rider posti, the first of 3 carriers" in seen["right"]
    assert seen["right"].endswith("Another would be asked first.")
    ended = await page.evaluate(TRIAL, [a_task(state="completed"), answer])
    assert ended["hidden"] is True


async def test_a_stop_is_where_it_is_and_not_where_the_task_comes_from(page: Page):
    stops = [
        stop("1", "pickup", "outlet", "kallio"),
        stop("2", "pickup", "hub", "north"),
        stop("3", "dropoff", "recipient"),
        stop("4", "dropoff", "locker", "box1"),
        stop("hold-1", "hold", "hub", "north"),
        stop("return-1", "return", "outlet", "kamppi"),
        stop("5", "collection", "outlet", "kallio"),
    ]
    parcel = {"party": {"kind": "rider", "id": "ann"}, "status": "in_custody", "refused": True, "bound_for": "hold-1"}
    names, parcels = await page.evaluate(DETAIL, a_task(stops=stops, parcels={"parcel-1": parcel}))
    assert names == [
        "Pickup at kallio",
        "Pickup at hub north",
        "Drop-off",
        "Drop-off at locker box1",
        "Hold at hub north",
        "Return to kamppi",
        "Collection at kallio",
    ]
    assert parcels == ["parcel-1in custody, refused with Rider ann, bound for hold at hub north"]


async def test_a_tender_says_with_which_tasks_this_one_is_offered_in_its_own_round(page: Page):
    tender = {
        "tender_id": "tender",
        "task_id": "another",
        "round": 1,
        "bundle": [{"task_id": TASK, "round": 4}, {"task_id": "third", "round": 2}],
        "mode": "direct",
        "state": "open",
        "offers": {},
        "waiting": [],
        "bids_until": None,
        "winner": None,
    }
    assert await page.evaluate(OFFERS, [a_task(), tender]) == ["Round 4, direct: open", "Together with another, third"]
    alone = tender | {"task_id": TASK, "bundle": []}
    assert await page.evaluate(OFFERS, [a_task(), alone]) == ["Round 1, direct: open"]


async def test_an_incident_is_named_with_whom_it_concerns_and_a_task_opens(page: Page):
    links = [{"kind": "rider", "id": "ann"}, {"kind": "task", "id": TASK}]
    row = {
        "id": f"incident_unattended {INCIDENT}",
        "kind": "incident_unattended",
        "aggregate_id": INCIDENT,
        "since": "2026-03-01T12:00:00Z",
        "items": [{"id": "incident", "at": "2026-03-01T12:00:00Z", "kind": "accident", "level": 0}],
        "mends": [f"incidents/{INCIDENT}/assign-incident"],
        "about": {"external_reference": "C-7", "kind": "accident", "status": "reported", "links": links},
    }
    seen = await page.evaluate(CARD, [a_task(), row])
    assert seen["subject"] == "C-7"
    assert "concerns Rider ann, CV-1" in seen["text"]
    assert seen["opened"] == [TASK]
    assert seen["trouble"].startswith("This is no JSON")
    assert seen["sent"] == []
