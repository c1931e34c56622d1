"""What waits for what: a task for other tasks and for its pick wave, and what becomes of it where those do not come."""

import msgspec
import pytest
from msgspec.structs import replace
from story import Story, minutes, nothing_yet

from commands.refusals import TooMany
from commands.task_state import NotForThisKind, state_of
from commands.waiting import CircularDependency, DependencyAnswered, UnknownDependency
from schemas.field_report import ReportDelivered, ReportPickedUp, ReportReturned
from schemas.geo import Location, Window
from schemas.message import Command, NotInThisState, RiderId, StopId, TaskId
from schemas.sla_policy import SlaTerms
from schemas.stop import NewParcel, NewStop
from schemas.task import (
    AssignTask,
    CancelTask,
    CreateTask,
    ForceCompleteTask,
    GoodsReadyUpdated,
    ReleaseTask,
    StartDispatch,
    TaskDispatchable,
)
from schemas.waiting import (
    ASKED_AGAIN_AFTER_S,
    MAX_DEPENDENTS,
    MAX_DEPENDS_ON,
    MAX_HOPS,
    MAX_LOOKED,
    AddDependent,
    AnswerDependency,
    AskForDependency,
    CircleLookedFor,
    ConfirmDependency,
    DependencyAskedFor,
    DependencyDeclared,
    DependencyDropped,
    DependencyFailed,
    DependencyMet,
    DependencyNotFound,
    DependencyWaived,
    DependentAdded,
    DependentsAnswered,
    FollowPickWave,
    LookForCircle,
    PickWaveFollowed,
    RecordDependencyUnknown,
    Wait,
    WaiveDependency,
)

HOME = Location(lat=60.1610, lon=24.9420)
PICKUP, DROPOFF = StopId("stop-1"), StopId("stop-2")
FIRST, SECOND, OTHER = TaskId("first"), TaskId("second"), TaskId("other")
WAVE = "wave-1"
ON_FIRST = {"kind": "task", "on": FIRST}
ON_WAVE = {"kind": "pick_wave", "on": WAVE}


def a_task(pickup: NewStop | None = None, **changes: object) -> Story:
    wanted = {
        "kind": "delivery",
        "outlet": "kamppi",
        "stops": [pickup or NewStop(kind="pickup"), NewStop(kind="dropoff", location=HOME)],
        "parcels": [NewParcel()],
    } | changes
    return nothing_yet("task").where(dispatch_lead_seconds=15 * 60).when(CreateTask(**wanted))  # type: ignore[arg-type]


def waiting_for(*tasks: str, **changes: object) -> Story:
    return a_task(depends_on=list(tasks), **changes).happened()


def in_wave(**changes: object) -> Story:
    return a_task(pick_wave=WAVE, **changes).happened()


def under_way() -> Story:
    """Somebody waits for it."""
    story = a_task().happened().when(AddDependent(task_id=OTHER)).happened()
    story.by("dora", "dispatcher").when(AssignTask(rider_id=RiderId("ann"))).happened()
    return story.by("ann").when(ReportPickedUp(stop_id=PICKUP, observed_at=minutes(1))).happened()


def answers_of(story: Story) -> DependentsAnswered:
    [told] = [event for event in story.decided() if isinstance(event, DependentsAnswered)]
    return told


def telling(revision: int, at: float, *, released: bool = False) -> FollowPickWave:
    return FollowPickWave(pick_wave=WAVE, revision=revision, ready_at=minutes(at), released=released)


# A task that waits


def test_a_task_does_not_come_to_dispatch_before_what_it_depends_on_has_ended_well():
    story = a_task(depends_on=[FIRST, SECOND, FIRST])
    declared = [DependencyDeclared(kind="task", on=on) for on in (FIRST, SECOND)]
    assert story.decided()[1:] == declared
    story.happened().when(AnswerDependency(on=FIRST)).then(DependencyMet(kind="task", on=FIRST))
    story.happened().when(StartDispatch()).then()
    story.when(AnswerDependency(on=SECOND)).tells("DependencyMet", "TaskDispatchable")
    story.and_then(AnswerDependency(on=SECOND)).then()


def test_what_is_met_early_leaves_the_time_of_its_goods():
    story = waiting_for(
        FIRST, stops=[NewStop(kind="pickup", goods_ready_at=minutes(60)), NewStop(kind="dropoff", location=HOME)]
    )
    story.when(AnswerDependency(on=FIRST)).tells("DependencyMet", "TaskScheduled")


def test_what_waits_is_nobodys_to_assign():
    waiting_for(FIRST).by("dora", "dispatcher").when(AssignTask(rider_id=RiderId("ann"))).refuses(NotInThisState)


def test_a_hold_and_a_dependency_each_keep_it():
    story = waiting_for(FIRST, on_hold=True)
    story.when(ReleaseTask(reason_code="paid")).tells("TaskReleased").happened()
    story.when(AnswerDependency(on=FIRST)).tells("DependencyMet", "TaskDispatchable")


def test_what_cannot_be_met_any_more_is_a_persons_to_decide():
    story = waiting_for(FIRST).when(AnswerDependency(on=FIRST, reason_code="task_failed"))
    story.then(DependencyFailed(kind="task", on=FIRST, reason_code="task_failed"))
    story.and_then(AnswerDependency(on=FIRST)).then()
    assert state_of(story.state) == "created"
    waived = story.by("dora", "dispatcher").when(WaiveDependency(on=FIRST, reason_code="in_stock"))
    waived.tells("DependencyWaived", "TaskDispatchable")


def test_a_dispatcher_waives_what_may_still_be_met_and_nothing_else():
    story = waiting_for(FIRST, SECOND).when(WaiveDependency(on=FIRST, reason_code="in_stock"))
    story.then(DependencyWaived(kind="task", on=FIRST, reason_code="in_stock"))
    story.and_then(WaiveDependency(on=FIRST, reason_code="in_stock")).refuses(UnknownDependency)
    story.when(AnswerDependency(on=FIRST)).then()
    story.when(CancelTask(reason_code="x")).happened().when(WaiveDependency(on=SECOND, reason_code="x"))
    story.refuses(NotInThisState)


def test_whoever_comes_back_to_what_is_answered_has_nothing_to_do():
    story = waiting_for(FIRST, SECOND)
    story.when(ConfirmDependency(on=FIRST)).then()
    story.when(AnswerDependency(on=FIRST, reason_code="unknown_task")).happened()
    story.when(ConfirmDependency(on=FIRST)).refuses(DependencyAnswered)
    story.when(CancelTask(reason_code="x")).happened().when(ConfirmDependency(on=SECOND)).refuses(DependencyAnswered)


def test_what_nobody_knows_is_asked_for_again_a_few_times_and_then_is_a_persons_to_decide():
    story, at = waiting_for(FIRST), 0.0
    for number, pause_s in enumerate(ASKED_AGAIN_AFTER_S):
        story.at(minutes(at)).when(RecordDependencyUnknown(on=FIRST, number=number))
        at += pause_s / 60
        again = DependencyNotFound(kind="task", on=FIRST, number=number + 1, ask_again_at=minutes(at))
        story.then(again)
        story.happened().when(RecordDependencyUnknown(on=FIRST, number=number)).then()
        story.at(minutes(at - 0.01)).when(AskForDependency(on=FIRST, number=number + 1)).then()
        story.at(minutes(at)).when(AskForDependency(on=FIRST, number=number + 1))
        story.then(DependencyAskedFor(kind="task", on=FIRST, number=number + 1))
        story.happened().when(AskForDependency(on=FIRST, number=number + 1)).then()
    story.when(RecordDependencyUnknown(on=FIRST, number=len(ASKED_AGAIN_AFTER_S)))
    story.then(DependencyFailed(kind="task", on=FIRST, reason_code="unknown_task"))
    story.and_then(RecordDependencyUnknown(on=FIRST, number=len(ASKED_AGAIN_AFTER_S))).then()


def test_what_was_asked_for_again_since_is_not_asked_for_once_more_by_who_reads_the_log_anew():
    story = waiting_for(FIRST).when(RecordDependencyUnknown(on=FIRST, number=0)).happened()
    story.when(ConfirmDependency(on=FIRST)).refuses(DependencyAnswered)
    story.at(minutes(1)).when(AskForDependency(on=FIRST, number=1)).happened()
    story.when(ConfirmDependency(on=FIRST)).refuses(DependencyAnswered)
    story.when(ConfirmDependency(on=FIRST, number=1)).then()


def test_what_is_met_or_over_meanwhile_is_asked_for_no_more():
    story = waiting_for(FIRST).when(RecordDependencyUnknown(on=FIRST, number=0)).happened()
    story.when(WaiveDependency(on=FIRST, reason_code="found")).happened()
    story.at(minutes(1)).when(AskForDependency(on=FIRST, number=1)).then()
    gone = waiting_for(FIRST).when(CancelTask(reason_code="x")).happened()
    gone.when(RecordDependencyUnknown(on=FIRST, number=0)).then()


def test_a_task_that_ends_while_it_waits_waits_no_more():
    story = waiting_for(FIRST).when(CancelTask(reason_code="x")).tells("TaskCancelled", "DependencyDropped")
    story.happened().when(AnswerDependency(on=FIRST)).then()
    closed = waiting_for(FIRST).by("olga", "operator").when(ForceCompleteTask(disposition="lost", reason_code="x"))
    assert closed.decided()[-1] == DependencyDropped(kind="task", on=FIRST)


def test_no_task_waits_for_itself_and_no_collection_for_anything():
    a_task(depends_on=["a-1"]).refuses(CircularDependency)
    counter = [NewStop(kind="collection")]
    for waits in ({"depends_on": [FIRST]}, {"pick_wave": WAVE}):
        a_task(kind="collection", stops=counter, **waits).refuses(NotForThisKind)


def test_a_task_waits_for_so_many_and_no_more():
    a_task(depends_on=[f"t-{number}" for number in range(MAX_DEPENDS_ON)]).happened()
    wanted = {"kind": "delivery", "outlet": "kamppi", "stops": [{"kind": "pickup"}, {"kind": "dropoff"}]}
    with pytest.raises(msgspec.ValidationError, match="length <= 20"):
        msgspec.convert(wanted | {"depends_on": [FIRST] * (MAX_DEPENDS_ON + 1)}, CreateTask)


def test_the_clock_of_what_was_promised_starts_with_dispatch():
    story = a_task(depends_on=[FIRST]).promising(SlaTerms(deliver_within_s=600)).happened()
    story.when(AnswerDependency(on=FIRST)).tells("DependencyMet", "TaskDispatchable", "SlaClockStarted")


# A task that is waited for


def test_who_waits_is_told_once_it_is_delivered():
    story = under_way().when(ReportDelivered(stop_id=DROPOFF, observed_at=minutes(2)))
    assert answers_of(story) == DependentsAnswered(task_ids=[OTHER], reason_code=None)


def test_who_comes_late_is_told_at_once_and_only_once():
    story = under_way().when(ReportDelivered(stop_id=DROPOFF, observed_at=minutes(2))).happened()
    late = story.when(AddDependent(task_id=SECOND))
    late.then(DependentAdded(task_id=SECOND), DependentsAnswered(task_ids=[SECOND], reason_code=None))
    late.and_then(AddDependent(task_id=SECOND)).then()


def test_what_came_back_was_cancelled_or_written_off_did_not_end_well():
    back = under_way().when(ReportDelivered(stop_id=DROPOFF, observed_at=minutes(2), refused=["parcel-1"])).happened()  # type: ignore[list-item]
    back.when(ReportReturned(stop_id=StopId("return-1"), observed_at=minutes(3)))
    assert answers_of(back).reason_code == "task_returned"
    cancelled = a_task().happened().when(AddDependent(task_id=OTHER)).happened().when(CancelTask(reason_code="x"))
    assert answers_of(cancelled).reason_code == "task_cancelled"
    lost = under_way().by("olga", "operator").when(ForceCompleteTask(disposition="lost", reason_code="x"))
    assert answers_of(lost).reason_code == "task_not_delivered"


def test_an_operators_word_that_it_was_delivered_is_enough():
    told = under_way().by("olga", "operator").when(ForceCompleteTask(disposition="delivered", reason_code="x"))
    assert answers_of(told).reason_code is None


def test_two_do_not_wait_for_each_other():
    story = waiting_for(FIRST).when(AddDependent(task_id=FIRST))
    story.refuses(CircularDependency)
    story.when(AnswerDependency(on=FIRST, reason_code="circular_dependency")).happened()
    story.when(AddDependent(task_id=FIRST)).then(DependentAdded(task_id=FIRST))


def looking(hops: int = 3, task: TaskId = OTHER) -> LookForCircle:
    return LookForCircle(task_id=task, on=SECOND, gives_way=Wait(task_id=task, on=SECOND), hops=hops)


def test_who_waits_and_is_waited_for_looks_further_for_a_circle():
    story = waiting_for(FIRST, SECOND, pick_wave=WAVE).when(AddDependent(task_id=OTHER))
    wait = Wait(task_id=OTHER, on="a-1")
    looked = CircleLookedFor(task_id=OTHER, on="a-1", gives_way=wait, hops=0, awaited=FIRST, number=0)
    story.then(DependentAdded(task_id=OTHER), looked, replace(looked, awaited=SECOND))
    in_wave().when(AddDependent(task_id=OTHER)).then(DependentAdded(task_id=OTHER))
    in_vain = waiting_for(FIRST).when(AnswerDependency(on=FIRST, reason_code="task_failed")).happened()
    in_vain.when(AddDependent(task_id=OTHER)).then(DependentAdded(task_id=OTHER))


def test_a_look_for_a_circle_is_passed_on_once():
    story = waiting_for(FIRST).when(looking())
    wait = Wait(task_id=OTHER, on=SECOND)
    story.then(CircleLookedFor(task_id=OTHER, on=SECOND, gives_way=wait, hops=3, awaited=FIRST, number=0))
    story.and_then(looking(hops=2)).then()
    story.when(looking(task=TaskId("third"))).tells("CircleLookedFor")
    story.when(replace(looking(), gives_way=Wait(task_id=FIRST, on=OTHER))).tells("CircleLookedFor")


def test_whoever_waits_for_nothing_or_is_through_passes_nothing_on():
    a_task().happened().when(looking()).then()
    waiting_for(FIRST).when(CancelTask(reason_code="x")).happened().when(looking()).then()


def test_a_look_for_a_circle_goes_so_far_and_so_often_and_no_more():
    waiting_for(FIRST).when(looking(hops=MAX_HOPS)).then()
    story, wait = waiting_for(FIRST), Wait(task_id=OTHER, on=SECOND)
    for number in range(MAX_LOOKED):
        other = TaskId(f"t-{number}")
        story.take([CircleLookedFor(task_id=other, on=SECOND, gives_way=wait, hops=1, awaited=FIRST, number=0)])
    story.when(looking()).then()


def test_so_many_wait_for_one_and_no_more():
    story = a_task().happened()
    for number in range(MAX_DEPENDENTS):
        story.take([DependentAdded(task_id=TaskId(f"t-{number}"))])
    story.when(AddDependent(task_id=OTHER)).refuses(TooMany)
    story.when(AddDependent(task_id=TaskId("t-7"))).then()


# A task in a pick wave


def test_its_goods_are_ready_with_those_of_its_wave():
    story = in_wave().when(telling(1, 30))
    ready = GoodsReadyUpdated(stop_id=PICKUP, ready_at=minutes(30), actual=False)
    story.then(PickWaveFollowed(pick_wave=WAVE, revision=1), ready)
    story.and_then(telling(2, 50)).tells("PickWaveFollowed", "GoodsReadyUpdated")
    story.and_then(telling(1, 30)).then()


def test_it_does_not_come_to_dispatch_by_its_time_and_does_once_the_wave_is_released():
    story = in_wave().when(telling(1, 10)).happened()
    story.at(minutes(20)).when(StartDispatch()).then()
    ready = GoodsReadyUpdated(stop_id=PICKUP, ready_at=minutes(20), actual=True)
    story.when(telling(2, 20, released=True)).then(
        ready, DependencyMet(kind="pick_wave", on=WAVE), TaskDispatchable(round=1)
    )
    story.and_then(telling(2, 20, released=True)).then()
    story.when(telling(1, 10)).then()


def test_once_released_it_goes_whatever_its_pickups_window_said():
    pickup = NewStop(kind="pickup", window=Window(start=minutes(120), end=minutes(180)))
    story = a_task(pickup, pick_wave=WAVE).happened()
    assert story.when(telling(2, 5, released=True)).decided()[-1] == TaskDispatchable(round=1)


def test_what_else_keeps_it_still_does():
    story = in_wave(depends_on=[FIRST]).when(telling(2, 5, released=True))
    story.tells("GoodsReadyUpdated", "DependencyMet").happened().at(minutes(6))
    story.when(AnswerDependency(on=FIRST)).tells("DependencyMet", "TaskDispatchable")


@pytest.mark.parametrize("command", [CancelTask(reason_code="x"), WaiveDependency(on=WAVE, reason_code="x")])
def test_one_that_is_cancelled_or_let_go_leaves_its_wave(command: Command):
    story = in_wave().by("dora", "dispatcher").when(command)
    assert {"DependencyDropped", "DependencyWaived"} & {type(event).__name__ for event in story.decided()}
    story.happened().when(telling(2, 5, released=True)).then()


def test_where_its_wave_is_cancelled_a_person_decides():
    story = in_wave().when(AnswerDependency(on=WAVE, reason_code="pick_wave_cancelled"))
    story.then(DependencyFailed(kind="pick_wave", on=WAVE, reason_code="pick_wave_cancelled"))
    story.and_then(telling(2, 5, released=True)).then()
