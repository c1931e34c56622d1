"""What the list says of a pick wave is what decisions say of it, whatever was asked and in whatever order it is folded."""

import contextlib
from datetime import timedelta
from random import Random
from typing import Any

from garage import Garage
from hypothesis import given, settings
from hypothesis import strategies as st
from interleaved import interleaved
from story import ACME, minutes

from commands.pick_wave import status_of
from projections.pick_waves import PICK_WAVES, PickWaveRow
from schemas import ids
from schemas.message import Command, Refused, TaskId
from schemas.pick_wave import (
    CancelPickWave,
    CreatePickWave,
    JoinPickWave,
    LeavePickWave,
    ReleasePickWave,
    RetimePickWave,
)

EARLY, LATE = (ids.aggregate_id("pick_wave", ACME, "shop", name) for name in ("early", "late"))
CREATE = CreatePickWave(outlet="kamppi", goods_ready_at=minutes(60), external_reference="early", metadata={"lane": "7"})
ONE, TWO = TaskId("one"), TaskId("two")


def row(garage: Garage, wave: str = EARLY) -> PickWaveRow:
    found = garage.rows(PICK_WAVES)["acme", wave]
    assert isinstance(found, PickWaveRow)
    return found


def told(garage: Garage, *commands: Command, wave: str = EARLY) -> Garage:
    for command in commands:
        garage.send("pick_wave", wave, command)
    return garage


def test_a_wave_counts_what_is_really_in_it():
    garage = told(Garage(), CREATE, JoinPickWave(task_id=ONE), JoinPickWave(task_id=TWO), LeavePickWave(task_id=ONE))
    found = row(garage)
    assert (found.outlet, found.status, found.tasks, found.metadata) == ("kamppi", "planned", [TWO], {"lane": "7"})
    assert (found.goods_ready_at, found.released_at) == (minutes(60), None)
    garage.now = minutes(50)
    released = row(told(garage, ReleasePickWave()))
    assert (released.status, released.released_at, released.tasks) == ("released", minutes(50), [TWO])


def test_why_a_wave_was_cancelled_stands_with_it():
    cancelled = row(told(Garage(), CREATE, CancelPickWave(reason_code="outlet_closed")))
    assert (cancelled.status, cancelled.reason_code) == ("cancelled", "outlet_closed")


# Whatever was asked

task = st.sampled_from([ONE, TWO, TaskId("three")])
asked: st.SearchStrategy[Command] = st.one_of(
    st.builds(JoinPickWave, task_id=task),
    st.builds(LeavePickWave, task_id=task),
    st.builds(RetimePickWave, goods_ready_at=st.sampled_from([minutes(60), minutes(90)])),
    st.builds(ReleasePickWave),
    st.builds(CancelPickWave, reason_code=st.just("outlet_closed")),
)
stories = st.lists(st.tuples(st.sampled_from([EARLY, LATE]), st.integers(0, 20), asked), max_size=30)


def played(story: list[tuple[str, int, Command]]) -> Garage:
    """Two waves, minute by minute; what is refused has not happened."""
    other = CreatePickWave(outlet="kamppi", goods_ready_at=minutes(90))
    garage = told(told(Garage(), CREATE), other, wave=LATE)
    for wave, later, command in story:
        garage.now += timedelta(minutes=later)
        with contextlib.suppress(Refused):
            garage.send("pick_wave", wave, command)
    return garage


@settings(max_examples=100, deadline=None)
@given(stories, st.randoms(use_true_random=False))
def test_the_list_says_of_a_wave_what_decisions_say_of_it_in_whatever_order_the_waves_come(
    story: list[tuple[str, int, Command]], draw: Random
):
    garage = played(story)
    for wave in (EARLY, LATE):
        state: Any = garage.state(wave)
        found = row(garage, wave)
        assert found.status == status_of(state)
        assert (found.released_at or found.goods_ready_at) == state.goods_ready_at
        assert tuple(found.tasks) == state.tasks
    assert interleaved(PICK_WAVES, garage.facts(), draw) == garage.rows(PICK_WAVES)
