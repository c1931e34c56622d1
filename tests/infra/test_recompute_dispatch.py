"""Whom dispatch would have asked by other rules: from records of decisions, and by the command line."""

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from choosing import KM_S, asked, crowd, delivery, km, rider, rules
from played import Played, command

from infra.recompute.dispatch import outcome_of, rules_in
from infra.settings import WrongSetting
from schemas.dispatch_rules import DispatchFilters, DispatchRules, ScoreWeights, TenderStep
from schemas.message import RiderId
from schemas.tender import Candidate
from streams.dispatch.again import by_other_rules
from streams.dispatch.choice import choose
from streams.dispatch.other_rules import with_given
from streams.dispatch.question import Record

HERE = delivery(km(0), km(-1))
BUSY, FAR = rider("busy", km(1), tasks=3), rider("zfar", km(2))


def first(record: Record, by: DispatchRules) -> str:
    return by_other_rules(record, by).candidates[0].rider_id


async def test_by_the_same_rules_the_same_is_decided_and_by_others_another_is_first():
    record = await asked([BUSY, FAR], HERE)
    before = choose(record.question, record.ways, "")
    assert by_other_rules(record, rules().dispatch) == before
    assert before.candidates[0].rider_id == "busy"
    assert first(record, rules(weights={"balance": 1_000}).dispatch) == "zfar"


async def test_of_riders_who_were_not_looked_at_then_the_ways_are_guessed():
    """Everybody drives straight on here, so that the guess is right."""
    fair = rules(weights={"balance": 100_000, "detour": 1.0}).dispatch
    many = [*crowd(60, 2), rider("idle-and-far", km(60))]
    record = await asked(many, HERE)
    assert "idle-and-far" not in record.ways
    by_distance = rules(weights={"travel": 0, "detour": 0, "rating": 1}, unrated=4.0).dispatch
    rated = msgspec.structs.replace(
        record.question,
        riders=[
            msgspec.structs.replace(each, rating=5.0 if each.rider_id == "idle-and-far" else 1.0)
            for each in record.question.riders
        ],
    )
    told = by_other_rules(Record(question=rated, ways=record.ways), by_distance)
    best = told.candidates[0]
    assert (best.rider_id, best.source) == ("idle-and-far", "great_circle")
    assert best.parts is not None
    assert best.parts.travel_s == pytest.approx(60 * KM_S, rel=1e-3)
    assert best.parts.detour_s == pytest.approx(61 * KM_S, rel=1e-3)
    assert first(record, fair) != "idle-and-far", "somebody nearer has nothing to do either"


def test_what_is_left_out_stays_as_it_was_also_within_filters_and_weights():
    before = DispatchRules(
        filters=DispatchFilters(max_distance_m=500, min_rating=4.0),
        weights=ScoreWeights(travel=7.0, balance=9.0),
        steps=[TenderStep(mode="bid")],
    )
    after = with_given(before, {"weights": {"balance": 1}, "filters": {"max_distance_m": None}, "unrated": 3})
    assert after == msgspec.structs.replace(
        before,
        filters=DispatchFilters(max_distance_m=None, min_rating=4.0),
        weights=ScoreWeights(travel=7.0, balance=1.0),
        unrated=3.0,
    )


def candidate(name: str) -> Candidate:
    return Candidate(rider_id=RiderId(name), rank=1, travel_s=1, distance_m=1, source="osrm")


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        ("a", "a", "same"),
        ("a", "b", "another"),
        ("a", "", "nobody_any_more"),
        ("", "a", "somebody_now"),
        ("", "", "nobody"),
        ("a", None, "record_gone"),
    ],
)
def test_each_decision_comes_out_in_one_way(before: str, after: str | None, outcome: str):
    made = [[candidate(name)] if name else [] for name in (before, after or "")]
    assert outcome_of(made[0], None if after is None else made[1]) == outcome


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"weights": {"travel": -1}}', "/weights/travel"),
        ('{"filters": {"max_lateness": 1}}', "max_lateness"),
        ('{"weights": ', "line 1, column"),
        ('{"steps": [{"mode": "auction"}]}', "/steps/0/mode"),
        ("[]", "the whole"),
    ],
)
def test_rules_that_do_not_fit_are_named_with_their_place(content: str, says: str, tmp_path: Path):
    file = tmp_path / "rules.json"
    file.write_text(content)
    with pytest.raises(WrongSetting) as wrong:
        rules_in(file)
    assert says in str(wrong.value)
    assert str(file) in str(wrong.value)


async def test_the_decisions_of_a_system_by_the_command_line(system: Played, tmp_path: Path):
    file, out = tmp_path / "rules.json", tmp_path / "each.jsonl"
    file.write_text('{"filters": {"vehicles": ["foot"]}}')
    span = ("--from", "2000-01-01T00:00:00Z", "--to", "2100-01-01T00:00:00Z")

    async def told(*arguments: str) -> Any:
        return await asyncio.to_thread(
            command, system.settings, "recompute", "dispatch", "--tenant", system.world.tenant, *arguments
        )

    ended = await told("--rules", str(file), *span, "--out", str(out), "--json")
    assert ended.returncode == 0, ended.stderr
    counted = json.loads(ended.stdout)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert counted["decisions"] == len(lines) > 0
    assert counted["outcomes"]["nobody_any_more"] + counted["outcomes"]["nobody"] == len(lines), (
        "nobody is there at once"
    )
    file.write_text("{}")
    in_words = await told("--rules", str(file), *span)
    assert "the same rider first" in in_words.stdout
    wrong = await told("--rules", str(tmp_path / "none.json"), *span)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "cannot be read" in wrong.stderr
