"""The tracking page: plain words for people, readable without a script, and nothing in it that could be turned into one."""

import re
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from read_models import ReadModels
from reception import House, delivery, key
from story import NOON, minutes

from gateway.console_page import POLICY
from gateway.tracking_page import FILES, is_near, page_of
from gateway.tracking_told import Dropoffs, Forecast, OwnStop, Phase, RiderPlace, Tracking
from gateway.tracking_words import OVER, said
from schemas.geo import Window
from streams.routing.tiles import tile_at

TOKEN = "0" * 32


class Elements(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for known, attributes in self.tags if known == tag]


def a_stop(**more: Any) -> OwnStop:
    given = {"kind": "dropoff", "window": None, "attempts": 0, "arrived_at": None, "ended_at": None}
    return OwnStop(**{**given, "stops_ahead": None, "forecast": None, **more})


def known(phase: Phase = "in_progress", stop: OwnStop | None = None, **more: Any) -> Tracking:
    given: dict[str, Any] = {
        "live": True,
        "tracking_code": "CV-20260301-ABCDEF",
        "outlet": "Kamppi",
        "zone": "Europe/Helsinki",
        "ordered_at": NOON,
        "accepted_at": None,
        "with_carrier": False,
        "picked_up_at": None,
        "ended_at": None,
        "dropoffs": None,
        "rider": None,
    }
    return Tracking(phase=phase, stop=stop, **{**given, **more})


def text(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.partition("<main")[2])).strip()


def shown(tracking: Tracking, minute: float = 1) -> str:
    return page_of(tracking, said(tracking, minutes(minute)), TOKEN)


# Words


def test_with_a_carrier_it_says_so_and_tells_nothing_of_a_rider():
    booked = said(known("accepted", a_stop(), accepted_at=NOON, with_carrier=True), NOON)
    assert booked.headline == "A carrier has been found"
    assert [step.name for step in booked.steps][:3] == ["Ordered", "Carrier found", "Picked up"]
    under_way = known(stop=a_stop(), accepted_at=NOON, picked_up_at=NOON, with_carrier=True)
    assert said(under_way, NOON).about == "It has been picked up."
    assert "rider" not in text(shown(under_way)).lower()


def test_a_carrier_that_tells_of_its_way_is_on_it_and_there_and_nobody_is_said_to_be_next():
    coming = known("en_route", a_stop(), accepted_at=NOON, picked_up_at=NOON, with_carrier=True)
    words = said(coming, NOON)
    assert (words.headline, words.about) == ("On the way", "The carrier is on the way to you.")
    assert "Carrier at the door" not in [step.name for step in words.steps]
    there = known("arrived", a_stop(arrived_at=minutes(5)), accepted_at=NOON, picked_up_at=NOON, with_carrier=True)
    words = said(there, minutes(6))
    assert (words.headline, words.about) == ("The carrier is here", "Please meet them at the door.")
    assert [(step.name, step.done) for step in words.steps][-2:] == [
        ("Carrier at the door", True),
        ("Delivered", False),
    ]
    for tracking in (coming, there):
        assert "rider" not in text(shown(tracking, 6)).lower()


@pytest.mark.parametrize(
    ("ahead", "sentence"),
    [(0, "No other stop is before yours."), (1, "One stop is before yours."), (4, "4 stops are before yours.")],
)
def test_it_says_how_many_stops_are_before(ahead, sentence):
    words = said(known(stop=a_stop(stops_ahead=ahead), picked_up_at=NOON), NOON)
    assert (words.headline, words.about) == ("On the way", f"It has been picked up. {sentence}")


@pytest.mark.parametrize(("ahead", "sentence"), [(1, ""), (3, " With that, 3 stops are before yours.")])
def test_until_it_is_picked_up_that_is_one_of_the_stops_before(ahead, sentence):
    words = said(known(stop=a_stop(stops_ahead=ahead)), NOON)
    assert words.about == f"The rider is on the way to pick it up.{sentence}"


def test_the_forecast_is_a_range_in_the_outlets_time_by_five_minutes():
    forecast = Forecast(p10=minutes(11.5), p50=minutes(14), p90=minutes(21), forecast_at=NOON)
    words = said(known(stop=a_stop(forecast=forecast, stops_ahead=0)), NOON)
    assert words.expected == "Expected 14:10 to 14:25"
    sharp = Forecast(p10=minutes(10), p50=minutes(14), p90=minutes(20), forecast_at=NOON)
    assert said(known(stop=a_stop(forecast=sharp)), NOON).expected == "Expected 14:10 to 14:20"


@pytest.mark.parametrize(
    ("minute", "words"), [(9, "Expected 14:10 to 14:25"), (10, "Expected by 14:25"), (25, "Expected any moment")]
)
def test_what_is_past_is_not_expected_any_more(minute, words):
    forecast = Forecast(p10=minutes(11.5), p50=minutes(14), p90=minutes(21), forecast_at=NOON)
    assert said(known(stop=a_stop(forecast=forecast)), minutes(minute)).expected == words


def test_another_day_than_today_is_named():
    window = Window(start=NOON + timedelta(days=2), end=NOON + timedelta(days=2, hours=1))
    assert said(known("waiting", a_stop(window=window)), NOON).promised == "Agreed: Tue 3 Mar, 14:00 to 15:00"
    over_midnight = Window(start=minutes(9 * 60 + 30), end=minutes(11 * 60))
    words = said(known("waiting", a_stop(window=over_midnight)), NOON)
    assert words.promised == "Agreed: 23:30 to Mon 2 Mar, 01:00"


def test_after_an_attempt_in_vain_it_says_so():
    words = said(known("in_progress", a_stop(attempts=1)), NOON)
    assert (words.headline, words.about) == ("We will try again", "We have tried once and did not succeed.")
    again = said(known("in_progress", a_stop(attempts=2, stops_ahead=0), picked_up_at=NOON), NOON)
    assert again.headline == "On the way"


def test_the_steps_say_what_has_been_and_what_is_to_come():
    words = said(known("en_route", a_stop(stops_ahead=0), accepted_at=minutes(2), picked_up_at=minutes(9)), minutes(10))
    assert [(step.name, step.done, step.at) for step in words.steps] == [
        ("Ordered", True, "14:00"),
        ("Rider found", True, "14:02"),
        ("Picked up", True, "14:09"),
        ("Rider at the door", False, ""),
        ("Delivered", False, ""),
    ]


def test_what_ended_otherwise_has_nothing_still_to_come():
    words = said(known("cancelled", a_stop(), accepted_at=minutes(2), ended_at=minutes(5)), minutes(6))
    assert [(step.name, step.at) for step in words.steps] == [
        ("Ordered", "14:00"),
        ("Rider found", "14:02"),
        ("Cancelled", "14:05"),
    ]


def test_who_waits_at_a_pickup_hands_it_over():
    words = said(known("completed", a_stop(kind="pickup", ended_at=minutes(5)), ended_at=minutes(5)), minutes(6))
    assert (words.headline, words.about, words.steps[-1].name) == ("Picked up", "At 14:05.", "Picked up")


def test_the_tasks_own_page_counts_its_stops():
    words = said(known(dropoffs=Dropoffs(done=1, total=3)), NOON)
    assert (words.headline, words.about) == ("On the way", "1 of 3 stops are done.")


@pytest.mark.parametrize("phase", Phase.__value__.__args__)
def test_every_phase_has_its_words(phase):
    for stop in (a_stop(), a_stop(kind="pickup"), None):
        words = said(known(phase, stop, dropoffs=None if stop else Dropoffs(done=0, total=2)), NOON)
        assert words.headline
        assert words.over == (phase in OVER)


# The page


def test_the_page_is_for_people_and_readable_as_it_comes():
    page = shown(known("en_route", a_stop(stops_ahead=0), accepted_at=NOON, picked_up_at=NOON))
    elements = Elements(page)
    assert elements.of("html") == [{"lang": "en"}]
    assert [len(elements.of(tag)) for tag in ("h1", "h2", "main", "ol")] == [1, 1, 1, 1]
    assert elements.of("meta")[1]["name"] == "viewport"
    assert {"class": "now", "data-part": "now", "role": "status"} in elements.of("div")
    assert "You are next The rider is coming straight to you." in text(page)
    assert "Delivered (still to come)" in text(page)
    assert '<noscript><meta http-equiv="refresh" content="60"></noscript>' in page


def test_the_map_is_there_only_with_a_place():
    place = RiderPlace(lat=60.1651, lon=24.9361, observed_at=NOON)
    page = shown(known("en_route", a_stop(stops_ahead=0), rider=place))
    [figure] = Elements(page).of("figure")
    assert (figure["data-lat"], figure["data-lon"]) == ("60.1651", "24.9361")
    assert "The rider at 14:00" in text(page)
    [figure] = Elements(shown(known("en_route", a_stop(stops_ahead=0)))).of("figure")
    assert "data-lat" not in figure


def test_what_is_over_is_not_asked_for_again():
    page = shown(known("completed", a_stop(ended_at=NOON)))
    assert "<script" not in page
    assert "refresh" not in page


def test_a_test_tenants_page_says_so():
    assert "This is a test" in shown(known("waiting", a_stop(), live=False))
    assert "This is a test" not in shown(known("waiting", a_stop()))


def test_what_somebody_named_is_text():
    page = shown(known("waiting", a_stop(), outlet="<script>alert(1)</script>\"'&"))
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


def test_nothing_stands_in_the_page_itself_that_its_policy_would_not_run():
    for tag, attributes in Elements(shown(known("en_route", a_stop()))).tags:
        assert tag != "style"
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        assert tag != "script" or attributes["src"]


def test_its_files_ask_nobody_else_and_make_no_markup():
    for file in FILES.iterdir():
        content = file.read_text()
        assert not re.search(r"https?://", content), file.name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|DOMParser", content)


# Through the door


@pytest.fixture
def house(library: tuple[House, ReadModels]) -> House:
    return library[0]


async def link_of(library: tuple[House, ReadModels]) -> str:
    house, models = library
    made = await house.caller().post("/v1/acme/tasks", json=delivery(), headers=key("t"))
    await models.fold()
    return str(made.json()["tracking_links"]["stop-2"])


async def test_the_link_leads_to_the_page_without_a_token(library):
    page = await library[0].client().get(await link_of(library))
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"] == POLICY.decode()
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-robots-tag"] == "noindex"
    assert [name for name, _ in page.headers.multi_items()].count("referrer-policy") == 1
    assert "We have your order" in page.text
    assert "Cleo" not in page.text


async def test_what_the_page_needs_is_there(library):
    client = library[0].client()
    elements = Elements((await client.get(await link_of(library))).text)
    linked = [e["href"] for e in elements.of("link")] + [e["src"] for e in elements.of("script")]
    imported = re.findall(r'from "([^"]+)"', (FILES / "track.js").read_text())
    for path in [*linked, *imported]:
        answer = await client.get(str(path))
        assert answer.status_code == 200, path
    assert (await client.get("/track/files/..%2f..%2fapp.py")).status_code == 404


async def test_every_link_that_leads_nowhere_has_the_same_page(library):
    good = await link_of(library)
    client = library[0].client()
    words = [TOKEN, "none", good.removeprefix("/track/")[:-1] + "z", "%00"]
    pages = [await client.get(f"/track/{word}") for word in words]
    assert {page.status_code for page in pages} == {404}
    assert len({page.text for page in pages}) == 1
    assert "There is no delivery here" in pages[0].text
    assert pages[0].headers["content-security-policy"] == POLICY.decode()


async def test_while_the_read_models_are_away_the_page_says_to_come_again(house, library):
    link = await link_of(library)
    await house.door.pool.close()
    page = await house.client().get(link)
    assert (page.status_code, page.headers["content-type"]) == (503, "text/html; charset=utf-8")
    assert "We cannot tell just now" in page.text
    assert page.headers["retry-after"]


# The map's streets


def test_tiles_are_those_around_the_place():
    place = RiderPlace(lat=60.1688, lon=24.9316, observed_at=NOON)
    x, y = tile_at(60.1688, 24.9316, 14)
    assert (x, y) == (9326, 4742)
    assert all(is_near(place, 14, x + dx, y + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1))
    assert not any(is_near(place, *tile) for tile in ((14, x + 2, y), (14, x, y - 2), (15, x, y)))


@pytest.mark.parametrize(("lat", "lon"), [(90, 180), (-90, -180), (0, 0), (85.06, 179.999999)])
def test_every_place_has_a_tile(lat, lon):
    assert all(0 <= part < 1 << 14 for part in tile_at(lat, lon, 14))


async def test_without_a_place_there_are_no_streets(library):
    link = await link_of(library)
    answer = await library[0].client().get(f"{link}/tiles/14/9326/4742.mvt")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
