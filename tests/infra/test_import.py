"""`logistics import`: a file's lines as commands, through the door as it is served."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import reception
from reception import TOKENS, House

from infra.csv_commands import MAX_LINES, Line, lines_of
from infra.embedded.ports import free_port
from infra.serving import server
from infra.settings import PREFIX, WrongSetting
from schemas.geo import Location
from schemas.vehicle import Capacity

ROOT = Path(__file__).parents[2]
EXAMPLES = dict(re.findall(r"```csv (\w+)\n(.*?)```", (ROOT / "docs" / "import.md").read_text(), re.DOTALL))
RIDERS = "external_reference,name\nann,Ann\nbob,Bob\n"


@pytest.fixture
async def served() -> AsyncIterator[tuple[House, str]]:
    async with reception.house() as house:
        port = free_port()
        serving = server(house.app, "127.0.0.1", port)
        task = asyncio.create_task(serving.serve())
        while not serving.started:  # noqa: ASYNC110 - uvicorn tells it so
            await asyncio.sleep(0.01)
        yield house, f"http://127.0.0.1:{port}"
        serving.should_exit = True
        await task


def file_of(tmp_path: Path, content: str) -> Path:
    file = tmp_path / "file.csv"
    file.write_text(content)
    return file


def read(tmp_path: Path, kind: str, content: str) -> list[Line]:
    return lines_of(kind, file_of(tmp_path, content), "import")


def wrong(tmp_path: Path, kind: str, content: str) -> list[tuple[int, str | None]]:
    return [(line.number, line.wrong) for line in read(tmp_path, kind, content) if line.body is None]


async def imported(url: str, tmp_path: Path, kind: str, content: str, *more: str) -> tuple[int, str, str]:
    token = TOKENS.issue("acme", "integrator", "import", 3600)
    env = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    command = [sys.executable, "-m", "infra.cli", "import", kind, str(file_of(tmp_path, content)), "--tenant", "acme"]
    place = ["--url", url, "--token", token, "--data", str(tmp_path / "data")]
    process = await asyncio.create_subprocess_exec(
        *command, *place, *more, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


# What a file says


@pytest.mark.parametrize("kind", ["outlets", "riders", "vehicles", "tasks"])
def test_the_examples_of_the_docs_fit(tmp_path: Path, kind: str):
    assert EXAMPLES.keys() == {"outlets", "riders", "vehicles", "tasks"}
    lines = read(tmp_path, kind, EXAMPLES[kind])
    assert lines
    assert [line.wrong for line in lines] == [None] * len(lines)


def test_columns_with_dots_lists_and_empty_cells_become_a_body(tmp_path: Path):
    [ann, bob] = read(tmp_path, "riders", EXAMPLES["riders"])
    assert ann.body is not None
    assert ann.body["skills"] == ["fragile", "alcohol"]
    assert ann.body["metadata"] == {"team": "north"}
    assert ann.body["capacity_g"] == 20_000
    assert ann.body["source"] == "import"
    assert bob.body is not None
    assert "phone" not in bob.body


def test_a_task_goes_from_its_outlet_to_its_dropoff(tmp_path: Path):
    [first, second] = read(tmp_path, "tasks", EXAMPLES["tasks"])
    assert first.body is not None
    assert second.body is not None
    pickup, dropoff = first.body["stops"]
    assert (pickup["kind"], dropoff["contact"]["name"]) == ("pickup", "Cleo Contact")
    assert (len(first.body["parcels"]), len(second.body["parcels"])) == (2, 0)


@pytest.mark.parametrize(
    ("kind", "content", "told"),
    [
        ("riders", "external_reference,name,capacity_g\na,Ann,heavy\n", (2, "capacity_g: must be of type integer")),
        ("riders", "external_reference,name,employment\na,Ann,boss\n", (2, "employment: cannot be 'boss'")),
        (
            "tasks",
            "external_reference,outlet,dropoff.window.start,dropoff.window.end\na,k,2030,2031\n",
            (2, "dropoff.window.start: a time as in RFC 3339 is needed, such as 2030-03-01T12:00:00Z, not 2030"),
        ),
        (
            "tasks",
            "external_reference,outlet,pickup.goods_ready_at\na,k,0001-01-01T00:00:00Z\n",
            (2, "/stops/0/goods_ready_at: must lie between 1900 and 2200"),
        ),
        ("tasks", f"external_reference,outlet,parcels\na,k,{'9' * 30}\n", (2, f"parcels is how many there are, up to 200, not {'9' * 20}")),
        ("riders", "external_reference,name\n,Ann\n", (2, "external_reference is empty")),
        ("riders", "external_reference,name\na,Ann,more\n", (2, "it has more cells than the header")),
        ("riders", "external_reference,name\na,Ann\na,Bob\n", (3, "a stands in line 2 already")),
        (
            "tasks",
            "external_reference,outlet,dropoff.location.lat,dropoff.location.lon\na,k,160,24\n",
            (2, "dropoff.location.lat: must be at most 90"),
        ),
        ("tasks", "external_reference,outlet,parcels\na,k,many\n", (2, "parcels is how many there are, up to 200, not many")),
        ("tasks", "external_reference,outlet,parcels,parcel.weight_g\na,k,1,5\n", (2, "parcels counts them and parcel describes the one: give one of the two")),
        ("outlets", "outlet,name,location,location.lat\nk,K,here,1\n", (2, "location.lat lies within location, which has a value of its own")),
    ],
)  # fmt: skip
def test_a_line_that_does_not_fit_is_told_by_number_and_column(
    tmp_path: Path, kind: str, content: str, told: tuple[int, str]
):
    assert wrong(tmp_path, kind, content) == [told]


@pytest.mark.parametrize(
    ("kind", "content", "told"),
    [
        ("gnomes", RIDERS, "gnomes cannot be imported: one of riders, vehicles, outlets, tasks"),
        ("riders", "external_reference,name,wings\n", "there is no column wings"),
        ("riders", "name\nAnn\n", "the column external_reference is missing"),
        ("riders", "external_reference,name,name\n", "a column stands twice"),
        ("riders", 'external_reference,name\na,"Ann\n', "is no CSV"),
        ("riders", "", "the column external_reference is missing"),
    ],
)
def test_a_file_that_is_none_of_these_is_told_as_a_whole(tmp_path: Path, kind: str, content: str, told: str):
    with pytest.raises(WrongSetting, match=told):
        read(tmp_path, kind, content)


def test_bytes_that_are_no_text_and_a_file_that_is_not_there_are_told(tmp_path: Path):
    (tmp_path / "latin.csv").write_bytes("external_reference,name\na,Jörg\n".encode("latin-1"))
    with pytest.raises(WrongSetting, match="not UTF-8"):
        lines_of("riders", tmp_path / "latin.csv", "import")
    with pytest.raises(WrongSetting, match="cannot be read"):
        lines_of("riders", tmp_path / "nowhere.csv", "import")


def test_a_file_has_so_many_lines_at_most(tmp_path: Path):
    many = "outlet,name\n" + "\n" * 3 + "".join(f"o-{n},x\n" for n in range(MAX_LINES + 1))
    with pytest.raises(WrongSetting, match="more than 100,000 lines"):
        read(tmp_path, "outlets", many)


# Through the door


async def test_a_second_import_changes_nothing_and_a_changed_line_is_refused(served: tuple[House, str], tmp_path: Path):
    house, url = served
    assert await imported(url, tmp_path, "riders", RIDERS) == (0, "2 lines: 2 created\n", "")
    stood = len(house.desk.log)
    assert await imported(url, tmp_path, "riders", RIDERS) == (0, "2 lines: 2 unchanged\n", "")
    assert len(house.desk.log) == stood
    code, out, err = await imported(url, tmp_path, "riders", RIDERS.replace("Bob", "Rob") + "cleo,Cleo\n")
    assert (code, out) == (1, "3 lines: 1 created, 1 refused, 1 unchanged\n")
    assert err.startswith("line 3: refused: already-exists")


@pytest.mark.parametrize(
    ("kind", "bad", "refused"),
    [
        ("outlets", "vallila,Vallila,60.19,24.95,Europe/Nowhere\n", "unknown-zone"),
        ("vehicles", "van-8,van,ABC-124,800000,4000000,60,ambient,nowhere\n", "unknown-outlet"),
    ],
)
async def test_outlets_and_vehicles_are_sent_once_and_what_is_refused_is_told_by_line(
    served: tuple[House, str], tmp_path: Path, kind: str, bad: str, refused: str
):
    house, url = served
    fresh = EXAMPLES[kind].replace("\nkamppi,", "\nruoholahti,")
    count = fresh.count("\n") - 1
    assert await imported(url, tmp_path, kind, fresh) == (0, f"{count} lines: {count} created\n", "")
    stood = len(house.desk.log)
    assert await imported(url, tmp_path, kind, fresh) == (0, f"{count} lines: {count} unchanged\n", "")
    code, out, err = await imported(url, tmp_path, kind, fresh + bad)
    assert (code, out) == (1, f"{count + 1} lines: 1 refused, {count} unchanged\n")
    assert err.startswith(f"line {count + 2}: refused: {refused}")
    assert len(house.desk.log) == stood


async def test_what_is_in_a_file_is_what_stands(served: tuple[House, str], tmp_path: Path):
    house, url = served
    created = []
    for kind in ("outlets", "vehicles"):
        _, out, _ = await imported(url, tmp_path, kind, EXAMPLES[kind], "--json")
        created += [line["id"] for line in json.loads(out)["lines"] if line["outcome"] == "created"]
    pasila, van = (house.desk.kept[each].state for each in created)
    assert pasila.location == Location(lat=60.1989, lon=24.9336)
    assert van.capacity == Capacity(weight_g=800_000, volume_cm3=4_000_000, parcels=60)
    assert (van.kind, van.temperatures, van.outlet) == ("van", ("ambient", "chilled"), "kamppi")


async def test_a_dry_run_and_a_line_that_does_not_fit_send_nothing(served: tuple[House, str], tmp_path: Path):
    house, url = served
    stood = len(house.desk.log)
    told = await imported(url, tmp_path, "riders", RIDERS, "--dry-run")
    assert told == (0, "2 lines: 2 fits; nothing was sent\n", "")
    code, out, err = await imported(url, tmp_path, "riders", RIDERS + "cleo,\n")
    assert (code, out) == (1, "3 lines: 2 fits, 1 invalid; nothing was sent\n")
    assert err.startswith("line 4: invalid:")
    assert len(house.desk.log) == stood


async def test_more_lines_than_a_batch_holds_and_for_machines_each_is_told(served: tuple[House, str], tmp_path: Path):
    _, url = served
    rows = "".join(f"order-{n},kamppi,60.161,24.942\n" for n in range(230))
    content = f"external_reference,outlet,dropoff.location.lat,dropoff.location.lon\n{rows}bad,nowhere,60,24\n"
    code, out, _ = await imported(url, tmp_path, "tasks", content, "--json")
    told = json.loads(out)
    assert (code, told["counts"]) == (1, {"created": 230, "refused": 1})
    assert told["lines"][-1]["why"].startswith("unknown-outlet")
    assert len({line["id"] for line in told["lines"][:-1]}) == 230


async def test_where_it_is_not_let_in_it_says_so(served: tuple[House, str], tmp_path: Path):
    _, url = served
    code, _, err = await imported(url, tmp_path, "riders", RIDERS, "--token", "no-token")
    assert (code, "401 token-invalid" in err) == (2, True)
    env = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    command = [sys.executable, "-m", "infra.cli", "import", "riders", str(tmp_path / "file.csv"), "--tenant", "acme"]
    alone = await asyncio.to_thread(
        subprocess.run, [*command, "--data", str(tmp_path / "empty")], cwd=ROOT, env=env, capture_output=True, text=True
    )
    assert (alone.returncode, "nothing runs on" in alone.stderr) == (1, True)


async def test_lines_that_are_too_large_together_go_one_after_the_other(served: tuple[House, str], tmp_path: Path):
    _, url = served
    wide = ",".join(f"metadata.m{n}" for n in range(30))
    rows = "".join(f"r-{n},Ann,{','.join(['x' * 490] * 30)}\n" for n in range(100))
    told = await imported(url, tmp_path, "riders", f"external_reference,name,{wide}\n{rows}")
    assert told == (0, "100 lines: 100 created\n", "")


def test_the_same_reference_of_two_sources_is_no_double(tmp_path: Path):
    assert wrong(tmp_path, "riders", "external_reference,name,source\na,Ann,north\na,Bob,south\n") == []
