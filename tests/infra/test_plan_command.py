"""`logistics plan FILE`: what it says, writes and answers of an instance, and of what is none."""

import json
import os
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner, Result

from infra.cli import app
from infra.planning.command import FILE_MAX_BYTES

ROUTING = Path(os.environ.get("LOGISTICS_SAMPLE_DATA", "no-sample-data")) / "routing"
HEAD = "{name}\n\nVEHICLE\nNUMBER CAPACITY\n {vehicles} 60\n\nCUSTOMER\nCUST NO. XCOORD. YCOORD. DEMAND READY TIME DUE DATE SERVICE TIME\n\n"


def instance(folder: Path, customers: int = 12, vehicles: int = 6, name: str = "TOWN") -> Path:
    random = Random(4)
    rows = ["0 50 50 0 0 400 0"]
    for at in range(1, customers + 1):
        begins = random.randrange(200)
        rows.append(f"{at} {random.randrange(100)} {random.randrange(100)} 10 {begins} {begins + 120} 5")
    file = folder / f"{name.lower()}.txt"
    file.write_text(HEAD.format(name=name, vehicles=vehicles) + "\n".join(rows))
    return file


def plan(*words: object) -> Result:
    return CliRunner().invoke(app, ["plan", *map(str, words)])


def test_it_tells_vehicles_and_distance_who_planned_and_that_the_checker_passed_it(tmp_path: Path):
    said = plan(instance(tmp_path), "--seconds", 1)
    assert said.exit_code == 0, said.output
    assert "town.txt: Solomon, 12 customers, distance first" in said.output
    assert "passed by the checker with the true distances" in said.output
    assert "  insertion: passed, distance " in said.output
    assert "best known" not in said.output


def test_the_gap_is_to_what_is_best_known_for_the_objective(tmp_path: Path):
    file, known = instance(tmp_path), tmp_path / "best.json"
    both = {
        "solved_with_vehicles": 1,
        "best_known_cost": 100.0,
        "distance_objective": {"solved_with_vehicles": 9, "best_known_cost": 200.0},
    }
    known.write_text(json.dumps({"town": both}))
    told = json.loads(plan(file, "--seconds", 0.5, "--best-known", known, "--json").stdout)
    assert told["best_known"] == {"vehicles": 9, "distance": 200.0}
    assert told["gap_percent"] == pytest.approx((told["distance"] / 200 - 1) * 100)
    said = plan(file, "--seconds", 0.5, "--best-known", known, "--minimise", "vehicles")
    assert "best known 1 vehicles, 100.00: +" in said.output


def test_the_routes_are_written_as_the_literature_writes_them(tmp_path: Path):
    out = tmp_path / "town.sol"
    told = json.loads(plan(instance(tmp_path), "--seconds", 0.5, "--solution", out, "--json").stdout)
    *routes, cost = out.read_text().splitlines()
    assert [list(map(int, line.partition(":")[2].split())) for line in routes] == told["routes"]
    assert routes[0].startswith("Route #1: ")
    assert cost == f"Cost {told['distance']}"
    assert sorted(place for tour in told["routes"] for place in tour) == list(range(1, 13))


def test_with_iterations_it_says_the_same_again(tmp_path: Path):
    file = instance(tmp_path)
    first, again = (json.loads(plan(file, "--iterations", 200, "--seed", 5, "--json").stdout) for _ in range(2))
    assert first["routes"] == again["routes"]
    assert first["input_hash"] == again["input_hash"]
    assert (first["solver"], first["seed"]) == (again["solver"], 5)


def test_what_has_to_be_left_out_is_told_with_why_and_is_no_success(tmp_path: Path):
    said = plan(instance(tmp_path, vehicles=1), "--seconds", 0.5)
    assert said.exit_code == 1
    assert "left out " in said.output
    assert any(code in said.output for code in ("no_capacity", "window_unreachable", "several_rules"))


def test_a_file_that_is_no_instance_says_the_line(tmp_path: Path):
    file = instance(tmp_path)
    file.write_text(file.read_text().replace("\n3 ", "\n4 ", 1))
    said = plan(file)
    assert said.exit_code == 2
    assert f"{file}: line 13: place 4 where 3 must follow" in said.output


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"PK\x03\x04"])
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, content: bytes):
    file = tmp_path / "a.txt"
    file.write_bytes(content)
    assert plan(file).exit_code == 2


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path):
    file = tmp_path / "a.txt"
    file.write_bytes(b" " * (FILE_MAX_BYTES + 1))
    said = plan(file)
    assert (said.exit_code, f"at most {FILE_MAX_BYTES} are read" in said.output) == (2, True)


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    said = plan(tmp_path / "none.txt")
    assert said.exit_code == 2
    assert "none.txt" in said.output


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{}", "there is no town in it"),
        ("[1]", "Expected `object`, got `array`"),
        ('{"town": {"solved_with_vehicles": 1, "best_known_cost": 0}}', "must be more than 0"),
    ],
)
def test_a_wrong_list_of_best_known_is_refused(tmp_path: Path, content: str, told: str):
    known = tmp_path / "best.json"
    known.write_text(content)
    said = plan(instance(tmp_path), "--best-known", known)
    assert said.exit_code == 2
    assert told in said.output


@pytest.mark.skipif(not ROUTING.exists(), reason="LOGISTICS_SAMPLE_DATA names no folder with instances")
@pytest.mark.parametrize("name", ["solomon_C101", "lilim_lc101"])
def test_what_is_easy_in_the_literature_is_planned_as_well_as_is_known(name: str):
    said = plan(ROUTING / f"{name}.txt", "--iterations", 300, "--best-known", ROUTING / "best_known.json")
    assert "10 vehicles, distance 828.94; best known 10 vehicles, 828.94: gap 0.00 %" in said.output
