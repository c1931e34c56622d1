"""`logistics demo` as its user runs it: the whole system, in virtual time, checked; the same twice for one seed."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest

from infra.demo.taxis import FILE
from schemas.topics import SIGNALS

SMALL = ("--riders", "8", "--orders", "12", "--minutes", "8")
SAMPLE_DATA = os.environ.get("LOGISTICS_SAMPLE_DATA")


async def demo(data: Path, *arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "infra.cli", "demo", "--data", str(data), *arguments), stdout=PIPE, stderr=PIPE
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def report(data: Path, *arguments: str) -> dict[str, Any]:
    code, out, err = await demo(data, "--json", *arguments)
    assert code == 0, out[-3_000:] + err[-3_000:]
    return json.loads(out)


def decided(told: dict[str, Any]) -> dict[str, int]:
    """Events of aggregates. How often a forecast is renewed hangs on which fixes are folded together."""
    return {topic: count for topic, count in told["events"].items() if topic != SIGNALS.name}


@pytest.mark.timeout(600)
async def test_one_seed_plays_the_same_twice_and_every_invariant_holds(jars, osrm, tmp_path: Path):
    tmp_path.chmod(0o755)
    first, second = await asyncio.gather(*(report(tmp_path / name, *SMALL) for name in ("one", "two")))
    assert first["outcomes"] == second["outcomes"]
    assert sum(first["outcomes"].values()) == 12
    assert first["outcomes"]["nobody took it"] >= 1
    assert first["outcomes"]["returned"] >= 1
    assert decided(first) == decided(second)
    assert first["lag"] == 0
    judged = {each["invariant"]: each for each in first["invariants"]}
    assert judged.keys() == {"I1", "I2", "I3", "I4", "I5", "I7", "I8", "I9", "I10"}
    assert first["holds"]
    assert all(each["looked_at"] > 0 for each in judged.values())
    assert first["fixes"]["accepted"] > 1_000
    assert first["aside"]["duplicate"] > 0


@pytest.mark.timeout(600)
@pytest.mark.skipif(
    SAMPLE_DATA is None or not (Path(SAMPLE_DATA) / FILE).exists(),
    reason="LOGISTICS_SAMPLE_DATA names no folder with the taxi trips",
)
async def test_real_taxi_trips_are_delivered_at_their_own_times(jars, tmp_path: Path):
    tmp_path.chmod(0o755)
    told = await report(tmp_path / "porto", "--city", "porto", "--minutes", "10", "--orders", "12")
    assert told["holds"]
    assert sum(count for what, count in told["outcomes"].items() if what.startswith("delivered")) >= 10
    assert told["eta"]["count"] >= 10
    assert 0 < told["eta"]["mean_absolute_s"] < 1_200


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--city", "berlin"), "LOGISTICS_CITY"),
        (("--riders", "0"), "--riders 0"),
        (("--orders", "100000"), "5,000"),
    ],
)
async def test_what_cannot_be_played_is_told_before_anything_starts(tmp_path: Path, arguments, said):
    code, _, err = await demo(tmp_path / "none", *arguments)
    assert code == 2
    assert said in err


async def test_without_its_data_porto_is_told_to_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("LOGISTICS_SAMPLE_DATA", raising=False)
    code, _, err = await demo(tmp_path / "none", "--city", "porto")
    assert code == 2
    assert "LOGISTICS_SAMPLE_DATA" in err
