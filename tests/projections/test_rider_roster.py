"""What the roster says of a rider is what decisions say of them, whatever was asked and in whatever order."""

import contextlib
from datetime import timedelta

from asked_of_riders import RIDER
from garage import Garage
from hypothesis import given, settings
from hypothesis import strategies as st
from lived import RULES
from riding import TASK, reserve, within
from story import ACME, CENTRE, KAMPPI, NOON, NORTH, minutes

from commands.rider_state import RegisteredRider
from projections.rider_roster import BREACHES_SHOWN, RIDER_ROSTER, PlannedShiftRow, RiderRow
from schemas import ids
from schemas.directory import ChangeTenantRules, Circle, CreateGeofence, TenantRules
from schemas.load import Load
from schemas.message import Command, DocumentId, Refused, ShiftId, TaskId
from schemas.rider import (
    ActivateReservation,
    ApproveRider,
    EndBreak,
    EndShift,
    PlanShift,
    RecordRiderHeard,
    RecordRiderSilence,
    RegisterRider,
    ReportComplianceBreach,
    StartBreak,
    StartShift,
    SubmitDocument,
    VerifyDocument,
    WarnHoursLimit,
)

ANN = ids.aggregate_id("rider", ACME, "shop", "ann")
EU = TenantRules(hours_rules="eu_561")


def riding(*commands: Command, rules: TenantRules = EU) -> Garage:
    garage = Garage()
    garage.send("tenant", ids.tenant_id(ACME), ChangeTenantRules(rules=rules), "operator")
    for zone in (CENTRE, NORTH):
        made = CreateGeofence(name=zone, kind="zone", shape=Circle(center=KAMPPI, radius_m=5_000))
        garage.send("geofence", zone, made)
    return sends(garage, RegisterRider(name="Ann"), ApproveRider(), *commands)


def on_shift(*commands: Command) -> Garage:
    return riding(StartShift(ends_at=minutes(720), shift_id="early"), *commands)


def sends(garage: Garage, *commands: Command, at: float = 0) -> Garage:
    garage.now = minutes(at)
    for command in commands:
        garage.send("rider", ANN, command)
    return garage


def row(garage: Garage) -> RiderRow:
    found = garage.rows(RIDER_ROSTER)[ACME, ANN]
    assert isinstance(found, RiderRow)
    return found


def test_a_shift_shows_since_when_until_when_and_where_its_hours_end():
    shift = row(on_shift()).shift
    assert shift is not None
    assert shift.hours_limit is not None
    assert (shift.started_at, shift.ends_at, shift.hours_warned) == (NOON, minutes(720), False)
    assert (shift.hours_limit.rule, shift.hours_limit.reached_at) == ("break_due", minutes(270))


def test_a_break_is_shown_while_it_lasts():
    resting = sends(on_shift(), StartBreak(), at=30)
    found = row(resting)
    assert found.shift is not None
    assert (found.on_shift, found.on_break, found.shift.break_since) == (True, True, minutes(30))
    assert found.shift.hours_limit is None
    back = row(sends(resting, EndBreak(), at=90))
    assert back.shift is not None
    assert (back.on_break, back.shift.break_since, back.shift.hours_limit is None) == (False, None, False)


def test_a_warning_is_shown_until_the_next_break():
    warned = sends(on_shift(), WarnHoursLimit(shift_id=ShiftId("early")), at=240)
    shown = row(warned).shift
    assert shown is not None
    assert (shown.hours_warned, shown.hours_limit is None) == (True, False)
    resting = row(sends(warned, StartBreak(), at=250)).shift
    assert resting is not None
    assert not resting.hours_warned


def test_each_stop_shows_what_it_adds_to_the_load():
    boxes = Load(weight_g=900, volume_cm3=40, parcels=2)
    held = row(on_shift(reserve(load=boxes)))
    assert [load.volume_cm3 for load in held.reservations[TASK].loads] == [40, -40]
    ahead = row(on_shift(reserve(load=boxes), ActivateReservation(task_id=TASK, round=1))).itinerary
    assert [stop["load"]["parcels"] for stop in ahead] == [2, -2]


def test_after_the_shift_there_is_none_and_no_break():
    found = row(sends(on_shift(StartBreak()), EndShift(), at=10))
    assert (found.shift, found.on_shift, found.on_break) == (None, False, False)


def test_planned_shifts_are_shown_until_they_start():
    plan = PlanShift(shift_id="late", starts_at=minutes(60), ends_at=minutes(120))
    garage = riding(plan)
    assert row(garage).planned_shifts == {"late": PlannedShiftRow(starts_at=minutes(60), ends_at=minutes(120))}
    assert row(sends(garage, StartShift(ends_at=minutes(120), shift_id="late"), at=60)).planned_shifts == {}


def test_a_breach_is_shown_and_its_document_is_rejected():
    licence = DocumentId("d-1")
    verified = VerifyDocument(document_id=licence, valid_from=minutes(-60), expires_at=minutes(60))
    found = ReportComplianceBreach(since=minutes(-60), until=NOON, reason_code="forged", document_id="d-1")
    shown = row(riding(SubmitDocument(document_id="d-1", kind="licence"), verified, found))
    [breach] = shown.breaches
    assert (breach.since, breach.until, breach.reason_code) == (minutes(-60), NOON, "forged")
    assert (breach.document_id, breach.task_ids) == ("d-1", [])
    assert shown.documents["d-1"].status == "rejected"


def test_so_many_breaches_are_shown_the_latest():
    found = [
        ReportComplianceBreach(since=minutes(-60 - number), until=NOON, reason_code="forged")
        for number in range(BREACHES_SHOWN + 3)
    ]
    shown = row(riding(*found)).breaches
    assert [breach.since for breach in shown] == [minutes(-60 - number) for number in range(3, BREACHES_SHOWN + 3)]


def test_since_when_a_rider_is_silent_is_shown_until_they_are_heard_again():
    task = TaskId("task-1")
    garage = on_shift(reserve(hold_until=minutes(5)), ActivateReservation(task_id=task, round=1))
    silent = sends(garage, RecordRiderSilence(last_heard_at=minutes(3)), at=20)
    shown = row(silent)
    assert (shown.silent_since, shown.asked_in_silence) == (minutes(3), {task: 1})
    assert shown.handing_over == {task: 1}
    back = row(sends(silent, RecordRiderHeard(heard_at=minutes(21)), at=22))
    assert (back.silent_since, back.asked_in_silence, back.handing_over) == (None, {}, {task: 1})


def test_a_reservation_and_what_was_reserved_is_shown_as_before():
    found = row(on_shift(reserve(window=within(10, 20), hold_until=minutes(5))))
    assert list(found.reservations) == ["task-1"]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(RIDER) - 1), st.integers(0, 400)), max_size=50),
    st.randoms(use_true_random=False),
)
def test_the_roster_and_decisions_agree_on_everything_they_both_know(asked, draw):
    garage = riding(rules=RULES)
    for which, wait in asked:
        garage.now += timedelta(minutes=wait)
        draws, _, role = RIDER[which]
        with contextlib.suppress(Refused):
            garage.send("rider", ANN, draws(draw, garage.now), role)
    state, shown = garage.desk.kept[ANN].state, row(garage)
    assert isinstance(state, RegisteredRider)
    assert shown.status == state.status
    assert (shown.skills, shown.zones) == ([*state.skills], [*state.zones])
    assert {d: known.status for d, known in shown.documents.items()} == {
        d: known.status for d, known in state.documents.items()
    }
    assert {t: (r.active, r.activated_at) for t, r in shown.reservations.items()} == {
        t: (r.active, r.activated_at) for t, r in state.reservations.items()
    }
    assert shown.latest_tasks == [*dict.fromkeys(reversed([past.task_id for past in state.past_tasks]))][:5][::-1]
    assert shown.vehicles == {vehicle: known.fitness for vehicle, known in state.vehicles.items()}
    assert (shown.handing_over, shown.silent_since is None) == (state.handing_over, state.silence is None)
    assert shown.off_dispatch_for == [*state.off_dispatch_for]
    if state.silence:
        assert (shown.silent_since, shown.asked_in_silence) == (state.silence.since, state.silence.asked)
    assert {s: (p.starts_at, p.ends_at) for s, p in shown.planned_shifts.items()} == {
        s: (p.starts_at, p.ends_at) for s, p in state.planned.items()
    }
    assert (shown.shift is None) == (state.shift is None)
    if shown.shift and state.shift:
        assert shown.shift.break_since == state.shift.break_since
        assert shown.shift.ending == state.shift.ending
        assert shown.shift.heard_at == state.shift.heard_at
        told = None if shown.shift.hours_warned else shown.shift.hours_limit
        assert told == state.shift.hours_limit
    assert len(shown.breaches) == len(state.breaches)
