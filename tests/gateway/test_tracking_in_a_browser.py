"""The tracking page in a real browser: it follows by itself, and can be read without a script."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from browsing import chromium
from playwright.async_api import Browser, Page, ViewportSize, expect
from read_models import ReadModels
from reception import House
from street import FIRST, SECOND, Street

from gateway.app import app
from gateway.door import Limits
from infra.embedded.ports import free_port
from infra.serving import server
from streams.routing.tiles import OsrmTiles

PHONE: ViewportSize = {"width": 390, "height": 780}
SOON_MS = 20_000
"""A bound for what should take a second or two."""
NEXT_LOOK_MS = 16_000
AWAY = "status of 503"
"""What the browser itself says of such an answer."""

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as made:
        yield made


@pytest.fixture
async def street(library: tuple[House, ReadModels], osrm: str) -> AsyncIterator[Street]:
    """On the way to its first door, served at `url`."""
    house, models = library
    streets = OsrmTiles(osrm)
    house.door = msgspec.structs.replace(house.door, streets=streets, limits=Limits(tracking_burst=10_000))
    house.app = app(house.door)
    async with house.door.pool.connection() as connection:
        await connection.execute("TRUNCATE live_map")
    street = await Street(house, models).ordered()
    await street.picked_up()
    await street.seen()
    await street.models.fold()
    port = free_port()
    street.url = f"http://127.0.0.1:{port}"
    serving = server(house.app, "127.0.0.1", port)
    task = asyncio.create_task(serving.serve())
    while not serving.started:  # noqa: ASYNC110 - uvicorn tells it so
        await asyncio.sleep(0.01)
    yield street
    serving.should_exit = True
    await task
    await streets.close()


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """Its clock goes on when it is told to; what the page complains of fails the test."""
    context = await browser.new_context(viewport=PHONE)
    page, complaints = await context.new_page(), []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.extend(said for said in [message.text] if not foreseen(said)))
    await page.clock.install()
    yield page
    await context.close()
    assert not complaints, complaints


def foreseen(said: str) -> bool:
    """That nobody answers, and that the streets are looked at again and again, which is what the tests themselves do."""
    return AWAY in said or "willReadFrequently" in said


async def opened(page: Page, street: Street, stop: str) -> None:
    await page.goto(f"{street.url}/track/{street.token(stop)}")


async def next_look(page: Page) -> None:
    await page.clock.run_for(NEXT_LOOK_MS)


async def test_the_page_follows_by_itself_until_it_is_over(page, street):
    await opened(page, street, FIRST)
    headline = page.get_by_role("heading", level=1)
    await expect(headline).to_have_text("On the way")
    await expect(page.locator(".map")).to_be_visible()
    await page.wait_for_function(drawn_map(), timeout=SOON_MS)
    await street.says("report-en-route", FIRST)
    await street.models.fold()
    await next_look(page)
    await expect(headline).to_have_text("You are next", timeout=SOON_MS)
    await street.says("report-delivered", FIRST)
    await street.models.fold()
    await next_look(page)
    await expect(headline).to_have_text("Delivered", timeout=SOON_MS)
    await expect(page.locator(".map")).to_be_hidden()
    await expect(page.get_by_role("listitem").last).to_contain_text("Delivered")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await next_look(page)
    assert asked == [], "nothing more can come"


def drawn_map() -> str:
    """More than the ground and the rider: the streets have other colours."""
    return """() => {
        const canvas = document.getElementById("streets");
        if (!canvas.width) return false;
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        const pixels = new Uint32Array(data.buffer);
        return pixels.reduce((other, pixel) => other + (pixel !== pixels[0]), 0) > 2000;
    }"""


async def test_who_is_further_down_the_street_sees_it_come_nearer(page, street):
    await opened(page, street, SECOND)
    await expect(page.locator(".about")).to_contain_text("One stop is before yours.")
    await street.says("report-delivered", FIRST)
    await street.models.fold()
    await next_look(page)
    await expect(page.locator(".about")).to_contain_text("No other stop is before yours.", timeout=SOON_MS)


async def test_while_nobody_answers_what_was_known_stays(page, street):
    await opened(page, street, FIRST)
    await page.route("**/track/*", lambda route: route.fulfill(status=503, body="<p>away</p>"))
    async with page.expect_response("**/track/*") as away:
        await next_look(page)
    assert (await away.value).status == 503
    await page.unroute("**/track/*")
    await expect(page.get_by_role("heading", level=1)).to_have_text("On the way")
    await street.says("report-en-route", FIRST)
    await street.models.fold()
    await next_look(page)
    await expect(page.get_by_role("heading", level=1)).to_have_text("You are next", timeout=SOON_MS)


async def test_it_can_be_read_without_a_script(browser, street):
    context = await browser.new_context(viewport=PHONE, java_script_enabled=False)
    page = await context.new_page()
    await opened(page, street, FIRST)
    await expect(page.get_by_role("heading", level=1)).to_have_text("On the way")
    await expect(page.locator(".expected")).to_contain_text("Expected ")
    await expect(page.locator(".map")).to_be_hidden()
    await expect(page.get_by_role("listitem")).to_have_count(5)
    await context.close()
