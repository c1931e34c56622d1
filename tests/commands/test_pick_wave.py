"""A pick wave: what its tasks are told, from when it is planned until it is released or cancelled."""

import msgspec
import pytest
from story import Story, minutes, nothing_yet

from commands.aggregates import AGGREGATES
from commands.context import UnknownOutlet
from commands.pick_wave import PickWaveOfAnotherOutlet, is_over, status_of
from commands.refusals import TooMany
from schemas.message import Command, NotInThisState, OutletSlug, TaskId
from schemas.pick_wave import (
    MAX_WAVE_TASKS,
    CancelPickWave,
    ConfirmPickWave,
    CreatePickWave,
    JoinPickWave,
    LeavePickWave,
    PickWaveCancelled,
    PickWaveCreated,
    PickWaveJoined,
    PickWaveLeft,
    PickWaveReleased,
    PickWaveRetimed,
    ReleasePickWave,
    RetimePickWave,
)

CREATE = CreatePickWave(outlet="kamppi", goods_ready_at=minutes(60), external_reference="wave-9")
ONE, TWO = TaskId("one"), TaskId("two")
NEVER = CancelPickWave(reason_code="outlet_closed")


def a_wave(*tasks: TaskId) -> Story:
    story = nothing_yet("pick_wave").when(CREATE).happened()
    for task in tasks:
        story.when(JoinPickWave(task_id=task)).happened()
    return story


def joined(task: TaskId, revision: int, at: float, *, released: bool = False) -> PickWaveJoined:
    return PickWaveJoined(task_id=task, revision=revision, goods_ready_at=minutes(at), released=released)


def test_a_wave_is_planned_at_an_outlet_for_a_time():
    nothing_yet("pick_wave").when(CREATE).then(
        PickWaveCreated(
            outlet=OutletSlug("kamppi"),
            goods_ready_at=minutes(60),
            external_reference="wave-9",
            source="shop",
            metadata={},
        )
    )
    elsewhere = CreatePickWave(outlet="nowhere", goods_ready_at=minutes(60))
    nothing_yet("pick_wave").when(elsewhere).refuses(UnknownOutlet)
    a_wave().when(CREATE).refuses(NotInThisState)


def test_who_joins_is_told_when_its_goods_are_ready():
    story = a_wave().when(JoinPickWave(task_id=ONE))
    story.then(joined(ONE, 1, 60))
    story.and_then(JoinPickWave(task_id=ONE)).then()


def test_a_wave_is_for_tasks_of_its_own_outlet():
    kamppi, kallio = OutletSlug("kamppi"), OutletSlug("kallio")
    a_wave().when(JoinPickWave(task_id=ONE, outlet=kamppi)).then(joined(ONE, 1, 60))
    refused = a_wave().when(JoinPickWave(task_id=ONE, outlet=kallio)).refuses(PickWaveOfAnotherOutlet)
    assert refused.values() == {"outlet": "kamppi", "task_outlet": "kallio"}
    a_wave().when(ConfirmPickWave(outlet=kamppi)).then()
    a_wave().when(ConfirmPickWave(outlet=kallio)).refuses(PickWaveOfAnotherOutlet)
    nothing_yet("pick_wave").when(ConfirmPickWave(outlet=kamppi)).refuses(NotInThisState)


def test_another_time_is_told_to_all_who_are_in_it_and_to_who_joins_later():
    story = a_wave(ONE).when(RetimePickWave(goods_ready_at=minutes(90)))
    story.then(PickWaveRetimed(revision=2, goods_ready_at=minutes(90), task_ids=[ONE]))
    story.and_then(RetimePickWave(goods_ready_at=minutes(90))).then()
    story.when(JoinPickWave(task_id=TWO)).then(joined(TWO, 2, 90))


def test_all_are_released_together_and_who_comes_late_at_once():
    story = a_wave(ONE, TWO).at(minutes(50)).when(ReleasePickWave())
    story.then(PickWaveReleased(revision=2, released_at=minutes(50), task_ids=[ONE, TWO]))
    story.and_then(ReleasePickWave()).then()
    assert (status_of(story.state), is_over(story.state)) == ("released", True)
    story.when(JoinPickWave(task_id=TaskId("late"))).then(joined(TaskId("late"), 2, 50, released=True))


def test_one_that_leaves_is_not_released_be_that_told_late():
    story = a_wave(ONE, TWO).when(LeavePickWave(task_id=ONE))
    story.then(PickWaveLeft(task_id=ONE))
    story.and_then(LeavePickWave(task_id=ONE)).then()
    [released] = story.when(ReleasePickWave()).decided()
    assert released.task_ids == [TWO]
    story.happened().when(LeavePickWave(task_id=TWO)).tells("PickWaveLeft")
    a_wave(ONE).when(NEVER).happened().when(LeavePickWave(task_id=ONE)).then()


def test_a_wave_that_is_cancelled_tells_those_who_waited_and_takes_nobody():
    story = a_wave(ONE).when(NEVER)
    story.then(PickWaveCancelled(reason_code="outlet_closed", task_ids=[ONE]))
    story.and_then(NEVER).then()
    story.when(JoinPickWave(task_id=TWO)).refuses(NotInThisState)


@pytest.mark.parametrize("over", [ReleasePickWave(), NEVER])
@pytest.mark.parametrize("command", [RetimePickWave(goods_ready_at=minutes(90)), ReleasePickWave(), NEVER])
def test_what_is_over_is_not_changed(over: Command, command: Command):
    story = a_wave().when(over).happened().when(command)
    if type(command) is type(over):
        story.then()
    else:
        story.refuses(NotInThisState)


def test_so_many_are_in_a_wave_and_no_more():
    story = a_wave().take([joined(TaskId(f"t-{number}"), 1, 60) for number in range(MAX_WAVE_TASKS)])
    story.when(JoinPickWave(task_id=ONE)).refuses(TooMany)
    story.when(LeavePickWave(task_id=TaskId("t-7"))).happened().when(JoinPickWave(task_id=ONE)).tells("PickWaveJoined")


def test_a_wave_comes_back_from_its_snapshot():
    state = a_wave(ONE, TWO).when(ReleasePickWave()).happened().state
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=AGGREGATES["pick_wave"].state) == state
