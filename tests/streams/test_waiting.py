"""What waits for what, told by the process on real decisions: by what stands afterwards."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from following import Sent, anew, made
from reception import HOME, House, delivery, house, key

from projections.deadlines import DEADLINES
from projections.folding import Parked, folded
from projections.model import fact_of
from schemas.ids import aggregate_id
from schemas.message import TaskId, TenantSlug
from schemas.task import CreateTask, ForceCompleteTask
from schemas.topics import DISPATCH, TASK
from schemas.waiting import ASKED_AGAIN_AFTER_S, AddDependent, CircleLookedFor
from streams.deadlines import source_of, step_of
from streams.waiting import WAITING

CONFIRMED = ("ConfirmDependency", "")
ANSWERED = ("ConfirmDependency", "dependency-answered")


async def followed(at: House) -> list[tuple[str, str]]:
    """The whole log once more, from its first record: first of the tasks, then of the waves."""
    return [*await anew(at, "waiting", WAITING, TASK), *await anew(at, "waiting", WAITING, DISPATCH)]


def forgotten(at: House) -> None:
    """What was answered long ago is not remembered by its command's id."""
    for kept in at.desk.kept.values():
        kept.answers = {}


async def a_task(at: House, reference: str, **more: object) -> str:
    return await made(at, "tasks", delivery(external_reference=reference) | more)


async def an_order(at: House, reference: str, **more: object) -> str:
    """By another way than the door, where nobody asked whether what it names is there."""
    task = aggregate_id("task", "acme", "dora", reference)
    body = delivery(external_reference=reference, source="dora") | more
    await at.process("task", task, msgspec.convert(body, CreateTask))
    return task


async def asked_again(at: House) -> list[tuple[str, str]]:
    """What is due by now is sent, and the whole log followed once more."""
    rows, _ = folded(DEADLINES, [fact_of(stored) for stored in at.desk.log], {}, Parked())
    sent = Sent(at)
    for row in rows.values():
        if row is not None and row.due_at <= at.now:
            deadline: dict[str, Any] = msgspec.structs.asdict(row)
            await sent(step_of(deadline), source_of(deadline, at.now), TenantSlug("acme"))
    return [*sent.steps, *await followed(at)]


async def a_wave(at: House, reference: str = "wave", outlet: str = "kamppi") -> str:
    wave = {"outlet": outlet, "goods_ready_at": "2026-03-01T13:00:00Z", "external_reference": reference}
    return await made(at, "pick-waves", wave)


async def done(at: House, path: str, **body: object) -> None:
    answer = await at.caller("dispatcher", "dora").post(f"/v1/acme/{path}", json=body, headers=key(path))
    assert answer.status_code == 200, answer.text


def waits(at: House, task: str) -> list[str | None]:
    """Why each wait has failed, None for those that are open."""
    return [awaited.failed for awaited in at.desk.kept[task].state.waiting.awaited]


async def test_a_task_goes_once_the_other_was_delivered():
    async with house() as at:
        first = await a_task(at, "first")
        second = await a_task(at, "second", depends_on=[first])
        assert await followed(at) == [CONFIRMED, ("AddDependent", "DependentAdded")]
        await at.process("task", first, ForceCompleteTask(disposition="delivered", reason_code="x"))
        answered = ("AnswerDependency", "DependencyMet, TaskDispatchable")
        assert answered in await followed(at)
        assert at.desk.kept[second].state.round == 1


IN_VAIN = [CONFIRMED, ("AddDependent", "not-found")]


async def test_where_the_other_is_not_known_it_is_asked_for_again_and_then_a_person_decides():
    async with house() as at:
        task = await an_order(at, "first", depends_on=[aggregate_id("task", "acme", "dora", "later")])
        assert await followed(at) == [*IN_VAIN, ("RecordDependencyUnknown", "DependencyNotFound")]
        for pause_s in ASKED_AGAIN_AFTER_S:
            assert waits(at, task) == [None]
            assert set(await asked_again(at)) == {ANSWERED}, "it is not yet time"
            at.now += timedelta(seconds=pause_s)
            told = await asked_again(at)
            assert told[0] == ("AskForDependency", "DependencyAskedFor")
        assert told[-3:] == [*IN_VAIN, ("RecordDependencyUnknown", "DependencyFailed")]
        assert waits(at, task) == ["unknown_task"]


async def test_what_is_there_a_moment_later_is_waited_for():
    async with house() as at:
        later = aggregate_id("task", "acme", "dora", "later")
        task = await an_order(at, "first", depends_on=[later])
        await followed(at)
        assert await a_task(at, "later") == later
        forgotten(at)
        assert await followed(at) == [ANSWERED]
        at.now += timedelta(seconds=ASKED_AGAIN_AFTER_S[0])
        assert ("AddDependent", "DependentAdded") in await asked_again(at)
        await at.process("task", later, ForceCompleteTask(disposition="delivered", reason_code="x"))
        await followed(at)
        assert (waits(at, task), at.desk.kept[task].state.round) == ([], 1)


async def test_who_reads_the_log_anew_waits_for_nothing_that_was_created_since():
    async with house() as at:
        later = aggregate_id("task", "acme", "dora", "later")
        task = await an_order(at, "first", depends_on=[later])
        await followed(at)
        for pause_s in ASKED_AGAIN_AFTER_S:
            at.now += timedelta(seconds=pause_s)
            await asked_again(at)
        assert await a_task(at, "later") == later
        forgotten(at)
        assert set(await followed(at)) == {ANSWERED}
        assert (waits(at, task), at.desk.kept[later].state.waiting.dependents) == (["unknown_task"], ())


async def test_two_that_wait_for_each_other_are_put_to_a_person_and_only_one_of_them():
    async with house() as at:
        second = aggregate_id("task", "acme", "dora", "second")
        first = await an_order(at, "first", depends_on=[second])
        assert await a_task(at, "second", depends_on=[first]) == second
        await followed(at)
        assert (waits(at, first), waits(at, second)) == (["circular_dependency"], [None])


async def circle(at: House, names: list[str], *, one_by_one: bool = False) -> list[str]:
    """Each waits for the next, and the last for the first, which comes last."""
    tasks = [aggregate_id("task", "acme", "dora", name) for name in names]
    for name, awaited in reversed([*zip(names, [*tasks[1:], tasks[0]], strict=True)]):
        await an_order(at, name, depends_on=[awaited])
        if one_by_one:
            await followed(at)
    return tasks


async def until_quiet(at: House) -> None:
    for _ in range(9):
        told = len(at.desk.log)
        await asked_again(at)
        at.now += timedelta(minutes=1)
        if len(at.desk.log) == told:
            return
    raise AssertionError("it does not come to an end")


@pytest.mark.parametrize("one_by_one", [False, True])
@pytest.mark.parametrize("names", [["a", "b", "c"], ["a", "b", "c", "d", "e"]])
async def test_of_a_longer_circle_one_is_told_and_a_waiver_sets_all_free(names: list[str], one_by_one: bool):
    async with house() as at:
        tasks = await circle(at, names, one_by_one=one_by_one)
        await until_quiet(at)
        least = tasks.index(min(tasks))
        first, *others = [*tasks[least:], *tasks[:least]]
        assert waits(at, first) == ["circular_dependency"]
        assert [waits(at, task) for task in others] == [[None]] * len(others)
        await done(at, f"tasks/{first}/waive-dependency", on=others[0], reason_code="found")
        for task in (first, *reversed(others)):
            assert at.desk.kept[task].state.round == 1, "it has come to dispatch"
            await at.process("task", task, ForceCompleteTask(disposition="delivered", reason_code="x"))
            await until_quiet(at)


async def test_who_reads_the_log_anew_looks_for_no_circle_through_what_was_created_since():
    async with house() as at:
        later = aggregate_id("task", "acme", "dora", "later")
        first = await an_order(at, "first", depends_on=[later])
        behind = await a_task(at, "behind", depends_on=[first])
        await followed(at)
        for pause_s in ASKED_AGAIN_AFTER_S:
            at.now += timedelta(seconds=pause_s)
            await asked_again(at)
        assert (waits(at, first), waits(at, behind)) == (["unknown_task"], [None])
        assert await a_task(at, "later", depends_on=[await a_task(at, "last")]) == later
        forgotten(at)
        await followed(at)
        assert at.desk.kept[later].state.waiting.looked == ()


async def test_who_looks_for_a_circle_before_it_is_known_that_nobody_is_there_has_it_known():
    """Where what told of the wait was put aside, as a fact that nobody could follow."""
    async with house() as at:
        first = await an_order(at, "first", depends_on=[aggregate_id("task", "acme", "dora", "later")])
        behind = TaskId(await a_task(at, "behind", depends_on=[first]))
        await at.process("task", first, AddDependent(task_id=behind))
        looking = [rule for rule in WAITING if rule.fact is CircleLookedFor]
        told = await anew(at, "waiting", looking, TASK)
        assert told == [CONFIRMED, ("LookForCircle", "not-found"), ("RecordDependencyUnknown", "DependencyNotFound")]
        assert await anew(at, "waiting", looking, TASK) == [ANSWERED]


async def test_a_long_chain_is_no_circle_nor_are_two_ways_to_the_same():
    async with house() as at:
        first = await a_task(at, "first")
        left, right = [await a_task(at, name, depends_on=[first]) for name in ("left", "right")]
        both = await a_task(at, "both", depends_on=[left, right])
        last = await a_task(at, "last", depends_on=[both])
        await until_quiet(at)
        assert [waits(at, task) for task in (left, right, both, last)] == [[None], [None], [None, None], [None]]


async def test_whoever_only_waits_behind_a_circle_is_not_told_of_one():
    async with house() as at:
        tasks = await circle(at, ["a", "b", "c"])
        behind = await a_task(at, "behind", depends_on=[tasks[1]])
        await until_quiet(at)
        assert waits(at, behind) == [None]


async def test_a_wave_of_another_outlet_is_not_waited_for():
    async with house() as at:
        other = {"outlet": "kallio", "name": "Kallio", "location": HOME, "zone": "Europe/Helsinki"}
        await made(at, "outlets", other)
        task = await an_order(at, "first", pick_wave=await a_wave(at, outlet="kallio"))
        await followed(at)
        assert waits(at, task) == ["pick_wave_of_another_outlet"]


async def test_a_wave_tells_its_tasks_when_and_that_they_go():
    async with house() as at:
        wave = await a_wave(at)
        first, second = [await a_task(at, reference, pick_wave=wave) for reference in ("first", "second")]
        await followed(at)
        await done(at, f"pick-waves/{wave}/retime-pick-wave", goods_ready_at="2026-03-01T14:00:00Z")
        later = await followed(at)
        assert later[-2:] == [("FollowPickWave", "PickWaveFollowed, GoodsReadyUpdated")] * 2
        await done(at, f"tasks/{first}/cancel-task", reason_code="x")
        await done(at, f"pick-waves/{wave}/release-pick-wave")
        await followed(at)
        released = await followed(at)
        assert ("FollowPickWave", "") in released
        assert [at.desk.kept[task].state.round for task in (first, second)] == [0, 1]
        assert at.desk.kept[wave].state.tasks == (second,)


async def test_who_joins_a_wave_late_goes_at_once_and_one_that_is_cancelled_takes_nobody():
    async with house() as at:
        wave, gone = await a_wave(at), await a_wave(at, "gone")
        await done(at, f"pick-waves/{wave}/release-pick-wave")
        late = await a_task(at, "late", pick_wave=wave)
        before = await a_task(at, "before", pick_wave=gone)
        await followed(at)
        await done(at, f"pick-waves/{gone}/cancel-pick-wave", reason_code="outlet_closed")
        after = await a_task(at, "after", pick_wave=gone)
        await followed(at)
        await followed(at)
        assert at.desk.kept[late].state.round == 1
        assert [waits(at, task) for task in (before, after)] == [["pick_wave_cancelled"]] * 2
