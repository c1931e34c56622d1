"""`logistics recompute anomalies`: what was told of riders' ways, beside what would have been by other rules."""

from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from riding_along import RidingAlong, fix
from story import NOON

from infra import cli
from infra.recompute import facts
from infra.recompute.anomalies import OfKind, Reconsidered, in_words, passing, shown
from infra.recompute.oddities import COLUMNS, Held, Oddities, held, row_of
from infra.recompute.result import in_full
from infra.recompute.rules_file import AS_THEY_WERE, MOST_BYTES, OtherRules, rules_in
from infra.settings import WrongSetting
from schemas.anomaly_rules import AnomalyRules
from schemas.fixes import HeldFix
from schemas.signals import TripEnded
from streams.telemetry.quality import Quality

WAY = [(step * 5, step * 175, 33.0 if step < 4 else 40.0) for step in range(11)]
"""At 33 m/s for twenty seconds, then at 40."""
REST = [(minute * 60, 1_750, 0.0) for minute in (2, 5, 9)]


def rules(folder: Path, written: str) -> OtherRules:
    file = folder / "rules.json"
    file.write_text(written)
    return rules_in(file)


# Rules from a file


def test_what_a_file_leaves_out_stays_as_it_was(tmp_path: Path):
    other = rules(tmp_path, '{"speeding_mps": 25, "fixes": {"max_speed_mps": 40}}')
    was = Quality()
    assert other.of_anomalies(was)("acme", 0) == AnomalyRules(speeding_mps=25)
    assert other.of_fixes(was)("acme", 0).max_speed_mps == 40
    assert other.of_fixes(was)("acme", 0).max_accuracy_m == was.rules("acme", 0).max_accuracy_m
    assert rules(tmp_path, "{}") == AS_THEY_WERE
    assert AS_THEY_WERE.of_anomalies(was)("acme", 0) == was.anomalies("acme", 0)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('{"speeding_mps": 0}', "/speeding_mps must be at least 1"),
        ('{"speeding": 30}', "/speeding is not known here"),
        ('{"fixes": {"max_speed": 40}}', "/fixes/max_speed is not known here"),
        (
            '{"idling_minutes": "ten", "stray_fixes": 99}',
            "/idling_minutes must be of type integer; /stray_fixes must be at most",
        ),
        ('{"fixes": null}', "/fixes must be of type object"),
        ("[]", "the whole must be of type object"),
        ('{"speeding_mps": 30,\n "fixes"}', "line 2, column 9: Expecting ':' delimiter"),
    ],
)
def test_what_are_no_rules_is_told_with_its_place(tmp_path: Path, written: str, said: str):
    with pytest.raises(WrongSetting, match=r"--rules .*rules\.json: ") as told:
        rules(tmp_path, written)
    assert said in str(told.value)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path):
    with pytest.raises(WrongSetting, match="cannot be read: No such file"):
        rules_in(tmp_path / "rules.json")
    with pytest.raises(WrongSetting, match="larger than 1 MiB"):
        rules(tmp_path, " " * (MOST_BYTES + 1))


def test_wrong_rules_are_told_before_anything_is_asked(tmp_path: Path):
    file = tmp_path / "rules.json"
    file.write_text('{"speeding_mps": 0}')
    words = "recompute anomalies --tenant acme --from 2026-03-01T00:00:00Z --to 2026-03-02T00:00:00Z --rules"
    with pytest.raises(WrongSetting, match="/speeding_mps must be at least 1"):
        cli.app([*words.split(), str(file), "--data", str(tmp_path)], standalone_mode=False)


# What is compared


def told_by(rules: AnomalyRules, first: int = 0, end: int = 1_000) -> Oddities:
    ann, side = RidingAlong(rules), Oddities(first, end)
    for row in (*WAY, *REST):
        ann.tells(row)
    for draft in ann.told:
        side.take(draft)
    return side


def rows_of(found: list[Held]) -> list[tuple[object, ...]]:
    return [(each.kind, each.word, each.found.outcome, each.found.moved_s) for each in found]


def test_a_lower_limit_tells_earlier_and_the_trip_stays():
    found = list(held(told_by(AnomalyRules()), told_by(AnomalyRules(speeding_mps=30))))
    assert rows_of(found) == [
        ("speeding", "detected", "moved", -20.0),
        ("trip", "ended", "both", 0.0),
        ("speeding", "cleared", "both", 0.0),
    ]
    row = row_of(found[0])
    assert tuple(row) == COLUMNS
    assert (row["recorded_limit"], row["recomputed_limit"]) == (36.0, 30.0)
    assert (row["recorded_since"], row["recomputed_since"]) == (
        "2026-03-01T12:00:20.000+00:00",
        "2026-03-01T12:00:00.000+00:00",
    )
    trip, cleared = row_of(found[1]), row_of(found[2])
    assert (trip["recorded_measured"], trip["recorded_limit"]) == (1_750, None)
    assert (cleared["device_id"], cleared["recorded_measured"]) == (None, None)


def test_a_higher_limit_tells_nothing():
    found = held(told_by(AnomalyRules()), told_by(AnomalyRules(speeding_mps=60)))
    assert rows_of(list(found))[0] == ("speeding", "detected", "only_recorded", None)


def test_only_the_frames_that_are_asked_for_count():
    whole = told_by(AnomalyRules())
    cleared = [fact for fact in told_by(AnomalyRules(), first=11).facts if fact.what[2] == "speeding"]
    assert [fact.what[3] for fact in cleared] == ["cleared"]
    assert len(whole.facts) == 3


def test_more_signals_than_memory_is_meant_for_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(facts, "MOST_FACTS", 1)
    with pytest.raises(WrongSetting, match="more than 1 signals in one partition"):
        told_by(AnomalyRules())


def test_another_tenants_frame_tells_the_time_and_nothing_else():
    ann, bob = RidingAlong(), RidingAlong(rider="bob")
    ann.tells(*WAY)
    bob.frames([HeldFix("tracker", "bob", fix((3_700, 0)))], NOON + timedelta(seconds=3_701))
    [draft] = ann.anomalies.of(ann.partition, passing(ann.partition, bob.log[0]))[:1]
    assert isinstance(draft.event, TripEnded)
    assert (draft.rider_id, draft.event.why) == ("ann", "unheard")
    assert ("acme", "bob") not in ann.partition.riders
    assert passing(ann.partition, bob.log[0]).taken == [], "not again within the minute"


def test_what_came_out_is_said_by_kind_and_what_was_left_out_besides():
    moved = in_full({"moved": 3})
    told = Reconsidered(
        tenant="acme",
        since=NOON,
        until=NOON,
        anomaly_rules={"speeding_mps": 25},
        fix_rules={"max_speed_mps": 40},
        by_router=False,
        fixes=1_000,
        frames_unreadable=1,
        frames_not_told=2,
        lead_is_whole=False,
        outcomes=moved,
        by_kind=[OfKind(kind="speeding", told="detected", outcomes=moved)],
        out="out.csv",
    )
    assert in_words(told)[0] == (
        "1,000 fixes of acme with speeding_mps 25, fixes.max_speed_mps 40: "
        "0 both, 3 moved, 0 only recorded, 0 only recomputed"
    )
    assert len(in_words(told)) == 6
    page = StringIO()
    shown(told, Console(file=page, width=100))
    assert page.getvalue().splitlines()[-1].split() == ["speeding", "detected", "0", "3", "0", "0"]
