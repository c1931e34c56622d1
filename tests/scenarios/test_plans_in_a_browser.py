"""A dispatcher plans at the console: asks for a plan, looks at each rider's road by the clock and on the map, and commits
it."""

import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from browsing import chromium
from playwright.async_api import Browser, expect
from quarter import Quarter

pytestmark = pytest.mark.timeout(240)
SOON_MS = 30_000
DOORS = [{"lat": 60.1655 + 0.004 * row, "lon": 24.921 + 0.008 * column} for row in range(3) for column in range(4)]


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as made:
        yield made


async def orders(quarter: Quarter, **more: Any) -> list[str]:
    window = {"start": quarter.in_(hours=1), "end": quarter.in_(hours=3)}
    made = []
    for door in DOORS:
        stops = [{"kind": "pickup", "window": window}, {"kind": "dropoff", "location": door}]
        body = {"kind": "delivery", "outlet": "kamppi", "stops": stops, "parcels": [{"weight_g": 900}], **more}
        made.append((await quarter.shop.makes("tasks", body))["id"])
        more = {}
    return made


async def test_a_plan_is_asked_for_looked_at_and_committed_at_the_console(quarter: Quarter, browser: Browser):
    riders = [await quarter.at_work(name) for name in ("Aino", "Eero", "Helmi")]
    impossible, *tasks = await orders(quarter, required_skills=["alcohol"])
    page = await browser.new_page(viewport={"width": 1360, "height": 860})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    token = quarter.system.tokens.issue(quarter.tenant, "dispatcher", "dora", 3_600)
    await page.goto(f"{quarter.system.url}/#token={token}&tenant={quarter.tenant}")
    await page.get_by_role("button", name="Plans").click()
    await expect(page.get_by_text("Nothing has been planned lately.")).to_be_visible()
    await page.get_by_label("How long solvers look").select_option("5")
    await page.get_by_role("button", name="Plan what waits").click()
    chip = page.locator(".plan .chips .chip")
    await expect(chip).to_have_text("proposed", timeout=SOON_MS)
    bars = page.locator(".visit.new")
    assert await bars.count() == 2 * len(tasks), "each is picked up and dropped"
    assert {await bars.nth(at).get_attribute("data-task-id") for at in range(await bars.count())} == set(tasks)
    drawn = await page.locator(".road").evaluate_all("rows => rows.map((row) => row.dataset.riderId)")
    assert set(drawn) <= {rider.id for rider in riders}
    left = page.locator(".excluded li")
    await expect(left).to_have_attribute("data-code", "no_rider")
    await expect(left.locator("button")).to_have_attribute("title", "skill_missing: 3")
    assert await page.locator("#overlay .route").count() >= 1, "the roads are on the map"
    if (shots := os.environ.get("LOGISTICS_SCREENSHOTS")) is not None:
        await page.screenshot(path=f"{shots}/plan-proposed.png")
    await page.get_by_role("button", name="Commit").click()
    await expect(chip).to_have_text("committed", timeout=SOON_MS)
    if shots is not None:
        await page.set_viewport_size({"width": 400, "height": 860})
        await page.screenshot(path=f"{shots}/plan-committed.png", full_page=True)
        await page.set_viewport_size({"width": 1360, "height": 860})
    await bars.first.focus()
    await page.keyboard.press("Enter")
    await expect(page.locator(".detail")).to_have_attribute("data-task-id", await bars_task(tasks, page))
    assert errors == []
    assert impossible not in tasks


async def bars_task(tasks: list[str], page: Any) -> str:
    opened = await page.locator(".detail").get_attribute("data-task-id")
    assert opened in tasks
    return str(opened)
