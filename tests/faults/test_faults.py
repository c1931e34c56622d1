"""A minute of `make faults` with one broker, and one with three; and that what it judges by can fail."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.nemesis import KINDS, Chance, drawn
from tests.faults.report import gap_within
from tests.faults.run import holds, one_run
from tests.faults.told import Asked, First, Told, verdicts, wrong

SECONDS = 60
FIRST = First(version=2, command_id="c", consistency="p", recorded_at="noon")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("brokers", [1, 3], ids=["one broker", "three brokers"])
async def test_whatever_fails_nothing_is_lost_doubled_or_told_wrongly(jars: Path, engines: Path, brokers: int):
    outcome = await one_run("7", brokers, SECONDS, engines / f"faults-{brokers}", [], said)
    assert outcome.unanswered == []
    assert holds(outcome.verdicts), [verdict for verdict in outcome.verdicts if verdict.state != "holds"]
    assert sum(row.count for row in outcome.injected) >= 5
    assert outcome.acknowledged > 100


def said(text: str) -> None:
    print(text, file=sys.stderr)


def told(asked: Asked = "cancel", **more: object) -> Told:
    given = {"status": 200, "answer": FIRST} | more
    return Told(at=0.0, client="shop", gateway="1", asked=asked, aggregate_id="t", key="k", **given)  # type: ignore[arg-type]


@dataclass
class Case:
    what: str
    told: Told
    wrong: str | None = None


LATER = First(version=3, command_id="c", consistency="q", recorded_at="one")
CASES = [
    Case("a first answer", told(version=2)),
    Case("the same again", told(first=FIRST)),
    Case("another answer to the same", told(answer=LATER, first=FIRST), "is now told"),
    Case("an answer from before", told(version=3), "version 2 after 3"),
    Case(
        "what was acknowledged is not known", told(answer=None, status=404, code="not-found"), "refused: 404 not-found"
    ),
    Case("what stands is refused by a rule", told(answer=None, status=409, code="not-in-this-state"), "is refused"),
    Case("cancelled once", told("cancel anew", events=[])),
    Case("cancelled twice", told("cancel anew", events=["TaskCancelled"]), "cancelled again"),
    Case("another body is refused", told("create otherwise", answer=None, status=409, code="already-exists")),
    Case("another body is taken", told("create otherwise", status=201), "another body"),
    Case("as fresh as was told", told("read", version=2)),
    Case("older than was told", told("read", version=3), "version 2 is read after 3"),
    Case("nothing of what was told", told("read", answer=None, status=404, version=2), "nothing is found"),
]


@pytest.mark.parametrize("case", CASES, ids=[case.what for case in CASES])
def test_what_a_client_may_not_be_told_is_found(case: Case):
    found = wrong(case.told)
    if case.wrong is None:
        assert found is None
    else:
        assert case.wrong in (found or "")


def test_what_was_told_is_judged_by_name_and_nothing_told_does_not_hold():
    commands, reads = verdicts([case.told for case in CASES])
    assert (commands.invariant, commands.state, commands.broken) == ("I6", "broken", 6)
    assert (reads.invariant, reads.state, reads.broken) == ("reads", "broken", 2)
    assert not holds(verdicts([]))


@pytest.mark.parametrize("brokers", [1, 3])
def test_the_same_seed_draws_the_same_faults_and_another_one_others(brokers: int):
    assert drawn("1", 300, brokers) == drawn("1", 300, brokers)
    assert drawn("1", 300, brokers) != drawn("2", 300, brokers)


def test_one_of_three_brokers_is_down_at_a_time_but_where_two_are_meant_to_be():
    planned = [each for each in drawn("1", 3_600, 3) if each.victim.startswith(("kafka-", "brokers"))]
    assert {each.victim for each in planned if each.of is None} == {"kafka-1", "kafka-2", "kafka-3", "brokers"}
    ends = 0.0
    for each in (each for each in planned if each.of is None):
        assert each.at_s >= ends
        ends = each.at_s + each.for_s


def test_an_hour_has_every_kind_of_fault():
    assert {each.kind for each in drawn("1", 3_600, 3)} == set(KINDS)
    assert {each.kind for each in drawn("1", 600, 1, ["cut", "hold"])} == {"cut", "hold"}


@pytest.mark.parametrize(
    ("span", "longest"), [((2.5, 2.6), 1.0), ((3.5, 3.6), 7.0), ((2.5, 3.5), 7.0), ((20.0, 21.0), 0.0)]
)
def test_the_longest_gap_is_of_those_that_touch_a_fault(span: tuple[float, float], longest: float):
    acknowledged: Sequence[float] = [1.0, 2.0, 3.0, 10.0]
    assert gap_within(span, acknowledged) == longest


def test_chance_knows_the_brokers_by_the_names_of_their_parts():
    assert Chance("1", 1)._brokers == ["kafka"]
    assert Chance("1", 3)._brokers == ["kafka-1", "kafka-2", "kafka-3"]
