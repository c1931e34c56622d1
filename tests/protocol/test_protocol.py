"""The write protocol, simulated: with all remedies nothing goes wrong, and without any one of them something does."""

from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from protocol.remedies import REMEDIES, Remedy
from protocol.simulation import Schedule, World
from protocol.witness import Violation

SCHEDULES = st.binary(min_size=300, max_size=400)
RUNS = 3_000
RUNS_TO_FIND = 6_000
"""The rarest harm is found within a tenth of them."""

UNTIMED = {"database": None, "deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=RUNS, **UNTIMED)
@given(SCHEDULES)
def test_what_was_promised_holds_whatever_happens(drawn: bytes):
    World(Schedule(drawn)).run()


@pytest.mark.parametrize("remedy", REMEDIES, ids=lambda remedy: remedy.name)
def test_without_it_harm_is_done(remedy: Remedy):
    @settings(max_examples=RUNS_TO_FIND, derandomize=True, phases=[Phase.generate], **UNTIMED)
    @given(SCHEDULES)
    def search(drawn: bytes) -> None:
        World(Schedule(drawn), remedy.without, **remedy.world).run()

    with pytest.raises(Violation):
        search()


def test_the_same_schedule_plays_the_same():
    drawn = Random(7).randbytes(400)
    first, second = World(Schedule(drawn)), World(Schedule(drawn))
    first.run()
    second.run()
    assert first.witness.acknowledgements == second.witness.acknowledgements > 10
    assert [p.log for p in first.broker.partitions.values()] == [p.log for p in second.broker.partitions.values()]
