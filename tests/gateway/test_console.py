"""The console through the door: its files, the streets under its map, and what it asks for."""

import re
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import httpx
import msgspec
import pytest
from psycopg import AsyncConnection
from read_models import ReadModels
from reception import HOME, House, delivery, key

from gateway.app import app
from gateway.commands import OPEN
from gateway.console_page import FILES, POLICY
from gateway.tracking_page import FILES as TRACK_FILES
from projections.exception_desk import KINDS, MENDS
from streams.routing import tiles
from streams.routing.tiles import OsrmTiles, StreetsUnavailable

ROOT = Path(__file__).parents[2]
KAMPPI_TILE = (14, 9327, 4742)
ELSEWHERE = re.compile(r"https?://(?!www\.w3\.org/2000/svg)")
MARKUP = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser")


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.found += [value for name in ("src", "href") if (value := given.get(name)) and not value.startswith("#")]
        if (tag == "script" and "src" not in given) or tag == "style" or "style" in given or "onclick" in given:
            self.inline.append(tag)


@pytest.fixture
async def streets(osrm: str) -> AsyncIterator[OsrmTiles]:
    made = OsrmTiles(osrm)
    yield made
    await made.close()


def with_streets(house: House, streets: OsrmTiles) -> House:
    house.door = msgspec.structs.replace(house.door, streets=streets)
    house.app = app(house.door)
    return house


async def test_the_first_page_is_the_console(house):
    page = await house.client().get("/")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"] == POLICY.decode()
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    links = Links()
    links.feed(page.text)
    assert not links.inline, "what stands in the page itself the policy would not run"
    for link in links.found:
        linked = await house.client().get(link)
        assert linked.status_code == 200, link


def test_whatever_stands_on_the_exception_desk_is_called_something_and_what_it_is_about():
    said = re.search(r"export const EXCEPTIONS = {(.*?)^};", (FILES / "words.js").read_text(), re.M | re.S)
    assert said
    assert set(re.findall(r'^  (\w+): { title: ".+", of: "', said[1], re.M)) == set(KINDS)


def test_each_command_that_mends_is_begun_with_what_it_needs():
    begun = {
        word: set(re.findall(r"(\w+):", re.sub(r"\{.*?\}", "", body)))
        for word, body in re.findall(
            r'^  "([a-z-]+)": \((?:item)?\) => \(\{(.*)\}\),$', (FILES / "exceptions.js").read_text(), re.M
        )
    }
    for path in {path for paths in MENDS.values() for path in paths}:
        plural, _, word = path.split("/")
        [cls] = [known.cls for known in OPEN if (known.plural, known.word) == (plural, word)]
        fields = msgspec.structs.fields(cls)
        body = begun.get(word, {"reason_code"})
        assert body <= {field.encode_name for field in fields}, word
        assert {field.encode_name for field in fields if field.required} <= body, word


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("console.js", "text/javascript; charset=utf-8"),
        ("console.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ],
)
async def test_each_file_has_its_type_and_needs_no_token(house, file, kind):
    answer = await house.client().get(f"/console/{file}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    assert answer.content == (FILES / file).read_bytes()
    assert answer.headers["content-security-policy"] == POLICY.decode()


async def test_every_module_that_is_imported_is_served(house):
    for module in FILES.glob("*.js"):
        for name in re.findall(r'from "\./([^"]+)"', module.read_text()):
            assert (await house.client().get(f"/console/{name}")).status_code == 200, (module.name, name)


async def test_a_browser_that_has_a_file_is_told_so(house):
    first = await house.client().get("/console/console.css")
    assert first.headers["cache-control"] == "no-cache"
    again = await house.client().get("/console/console.css", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = await house.client().get("/console/console.css", headers={"if-none-match": '"older"'})
    assert other.status_code == 200


def test_nothing_comes_from_elsewhere_and_no_text_becomes_markup():
    for file in FILES.iterdir():
        text = file.read_text()
        assert not ELSEWHERE.search(text), file.name
        assert not MARKUP.search(text), file.name


@pytest.mark.parametrize(
    "path",
    [
        "/console/",
        "/console/console_page.py",
        "/console/../app.py",
        "/console/..%2fapp.py",
        "/console/%2e%2e%2fapp.py",
        "/console/%2e%2e/app.py",
        "/console//etc/passwd",
        "/console/.",
        "/console/index.html%00.js",
        "/console/none.js",
    ],
)
async def test_no_path_leads_out_of_the_consoles_files(house, path):
    answer = await house.client().get(httpx.URL(f"http://door{path}"))
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


def test_an_installed_wheel_brings_the_files(tmp_path):
    source = tmp_path / "source"
    (source / "gateway").mkdir(parents=True)
    (source / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    for file in [*(ROOT / "gateway").glob("*.py"), *FILES.iterdir(), *TRACK_FILES.iterdir()]:
        copy = source / file.relative_to(ROOT)
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(file.read_bytes())
    built = "from setuptools import build_meta; print(build_meta.build_wheel('.'))"
    done = subprocess.run([sys.executable, "-c", built], cwd=source, capture_output=True, text=True, check=True)
    with zipfile.ZipFile(source / done.stdout.split()[-1]) as wheel:
        packed = set(wheel.namelist())
    assert {f"gateway/console/{file.name}" for file in FILES.iterdir()} <= packed
    assert {f"gateway/track/{file.name}" for file in TRACK_FILES.iterdir()} <= packed


# Streets


async def test_the_streets_come_from_the_router(house, streets):
    z, x, y = KAMPPI_TILE
    path = f"/console/tiles/{z}/{x}/{y}.mvt"
    answer = await with_streets(house, streets).caller("dispatcher", "dora").get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    assert answer.headers["cache-control"].startswith("private")
    assert b"speeds" in answer.content
    assert b"Mannerheimintie" in answer.content


async def test_who_has_no_token_gets_no_streets(house, streets):
    answer = await with_streets(house, streets).client().get("/console/tiles/14/9327/4742.mvt")
    assert (answer.status_code, answer.json()["code"]) == (401, "token-missing")


@pytest.mark.parametrize(
    "tile",
    [
        "11/1165/592",
        "17/74616/37942",
        "14/16384/0",
        "14/0/16384",
        "14/-1/0",
        "14/9327/x",
        "14/9327/99999999999",
        "x/1/1",
    ],
)
async def test_there_are_no_other_tiles(house, streets, tile):
    answer = await with_streets(house, streets).caller().get(f"/console/tiles/{tile}.mvt")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


@pytest.mark.parametrize("path", ["/console/tiles/14/9327/4742", "/console/tiles/14/9327/..%2f..%2froute.mvt"])
async def test_a_tile_is_no_way_to_other_services_of_the_router(house, streets, path):
    answer = await with_streets(house, streets).caller().get(httpx.URL(f"http://door{path}"))
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


async def test_tiles_are_only_read(house, streets):
    answer = await with_streets(house, streets).caller().post("/console/tiles/14/9327/4742.mvt")
    assert (answer.status_code, answer.json()["code"]) == (405, "method-not-allowed")


async def test_while_the_router_is_away_the_streets_are_too(house):
    nobody = OsrmTiles("http://127.0.0.1:9")
    answer = await with_streets(house, nobody).caller().get("/console/tiles/14/9327/4742.mvt")
    assert (answer.status_code, answer.json()["code"]) == (503, "streets-unavailable")
    assert answer.headers["retry-after"]
    await nobody.close()


async def test_where_no_router_is_set_there_are_no_tiles(house):
    answer = await house.caller().get("/console/tiles/14/9327/4742.mvt")
    assert answer.status_code == 404


async def test_a_tile_that_was_asked_for_before_is_not_asked_for_again(osrm):
    streets = OsrmTiles(osrm)
    content = await streets.tile(*KAMPPI_TILE)
    await streets.close()
    assert await streets.tile(*KAMPPI_TILE) == content
    assert streets.kept_bytes == len(content)


async def test_no_more_tiles_are_kept_than_the_bound(streets, monkeypatch):
    z, x, y = KAMPPI_TILE
    one = len(await streets.tile(z, x, y))
    monkeypatch.setattr(tiles, "MAX_KEPT_BYTES", one + 10)
    for zoom in (12, 13, 15):
        await streets.tile(
            zoom,
            x >> 2 if zoom == 12 else x >> 1 if zoom == 13 else x << 1,
            y >> 2 if zoom == 12 else y >> 1 if zoom == 13 else y << 1,
        )
        assert streets.kept_bytes <= one + 10


async def test_a_tile_beyond_the_bound_is_not_handed_on(streets, monkeypatch):
    monkeypatch.setattr(tiles, "MAX_TILE_BYTES", 100)
    with pytest.raises(StreetsUnavailable):
        await streets.tile(*KAMPPI_TILE)


# What it asks for


async def created(house: House, reference: str) -> str:
    made = await house.caller().post("/v1/acme/tasks", json=delivery(external_reference=reference))
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def test_the_tasks_under_way_are_told_with_their_stops_places(library: tuple[House, ReadModels]):
    house, models = library
    task, ended = await created(house, "1"), await created(house, "2")
    await house.caller().post(f"/v1/acme/tasks/{ended}/cancel-task", json={"reason_code": "changed"}, headers=key("c"))
    await models.fold()
    read = await house.caller("dispatcher", "dora").get("/v1/acme/tasks")
    [row] = read.json()["items"]
    assert row["task_id"] == task
    assert [stop["location"] for stop in row["stops"] if stop["kind"] == "dropoff"] == [HOME]
    assert [stop["status"] for stop in row["stops"]] == ["pending", "pending"]
    hidden = await house.caller("analyst", "ada").get("/v1/acme/tasks")
    assert {stop["location"] for stop in hidden.json()["items"][0]["stops"] if stop["kind"] == "dropoff"} == {"hidden"}
    others = await house.caller("rider", "bob").get("/v1/acme/tasks")
    assert others.json()["items"] == []


async def test_tasks_are_counted_by_state_outcome_and_lateness(library: tuple[House, ReadModels], postgres: str):
    house, models = library
    await created(house, "1")
    ended = await created(house, "2")
    await house.caller().post(f"/v1/acme/tasks/{ended}/cancel-task", json={"reason_code": "changed"}, headers=key("c"))
    await models.fold()
    read = await house.caller("dispatcher", "dora").get("/v1/acme/task-counts")
    told = {(row["state"], row["outcome"], row["late"]): row["tasks"] for row in read.json()["items"]}
    assert told[("dispatchable", "", False)] == 1
    assert sum(told.values()) == 2
    async with await AsyncConnection.connect(postgres, autocommit=True) as connection:
        await connection.execute("UPDATE task_board SET sla_breached = true WHERE task_id = %s", (ended,))
    read = await house.caller("dispatcher", "dora").get("/v1/acme/task-counts")
    assert [row["state"] for row in read.json()["items"] if row["late"]] == ["cancelled"], "with a promise broken"
    assert (await house.caller("rider", "bob").get("/v1/acme/task-counts")).status_code == 403
    assert (await house.caller("dispatcher", tenant="other").get("/v1/acme/task-counts")).status_code == 404


async def test_the_board_tells_what_has_changed_since(library: tuple[House, ReadModels]):
    house, models = library
    await created(house, "1")
    house.now += timedelta(minutes=10)
    since = house.now.isoformat()
    later = await created(house, "2")
    await models.fold()
    read = await house.caller().get("/v1/acme/task-board", params={"updated_since": since})
    assert [row["task_id"] for row in read.json()["items"]] == [later]
    for wrong in ("yesterday", "2026-11-25T10:00:00"):
        read = await house.caller().get("/v1/acme/task-board", params={"updated_since": wrong})
        assert (read.status_code, read.json()["code"]) == (400, "invalid-parameter")
