"""The end of a rider's hours, told beforehand: early, late or twice, it is told once."""

import msgspec
from garage import Garage
from story import ACME, NOON, minutes

from projections.deadlines import DEADLINES, DeadlineRow
from schemas import ids
from schemas.directory import ChangeTenantRules, TenantRules
from schemas.message import Command
from schemas.rider import ApproveRider, EndBreak, EndShift, RegisterRider, StartBreak, StartShift
from streams.deadlines import step_of

ANN = ids.aggregate_id("rider", ACME, "shop", "ann")


def on_shift(hours_rules: str = "eu_561") -> Garage:
    """Ann, since noon."""
    garage = Garage()
    rules = TenantRules(hours_rules=hours_rules)  # type: ignore[arg-type]
    garage.send("tenant", ids.tenant_id(ACME), ChangeTenantRules(rules=rules), "operator")
    for command in (RegisterRider(name="Ann"), ApproveRider(), StartShift(ends_at=minutes(720), shift_id="early")):
        garage.send("rider", ANN, command)
    return garage


def sends(garage: Garage, minute: float, command: Command) -> Garage:
    garage.now = minutes(minute)
    garage.send("rider", ANN, command)
    return garage


def deadlines(garage: Garage) -> list[DeadlineRow]:
    return list(garage.rows(DEADLINES).values())


def fire(garage: Garage, deadline: DeadlineRow, minute: float) -> tuple[str, ...]:
    garage.now = minutes(minute)
    step = step_of(msgspec.structs.asdict(deadline))
    return garage.send(step.kind, step.aggregate_id, step.command, "system").events


def test_a_shift_with_limited_hours_stands_as_a_deadline_half_an_hour_before_its_end():
    [deadline] = deadlines(on_shift())
    assert (deadline.kind, deadline.aggregate_id, deadline.subject) == ("warn_hours_limit", ANN, "early")
    assert (deadline.due_at, deadline.round) == (minutes(240), None)


def test_where_nothing_is_limited_nothing_is_waited_for():
    assert deadlines(on_shift("none")) == []


def test_it_fires_once_whether_early_late_or_twice():
    garage = on_shift()
    [deadline] = deadlines(garage)
    assert fire(garage, deadline, 239) == ()
    assert deadlines(garage) == [deadline]
    assert fire(garage, deadline, 260) == ("HoursLimitWarned",)
    assert deadlines(garage) == []
    assert fire(garage, deadline, 261) == ()


def test_a_break_takes_it_away_and_the_end_of_the_break_sets_another():
    garage = on_shift()
    [before] = deadlines(garage)
    assert deadlines(sends(garage, 60, StartBreak())) == []
    assert fire(garage, before, 61) == ()
    [after] = deadlines(sends(garage, 120, EndBreak()))
    assert (after.due_at, after.set_by != before.set_by) == (minutes(120 + 240), True)
    assert fire(garage, before, 241) == (), "it is too early for the duty that began after the break"


def test_the_end_of_the_shift_takes_it_away():
    garage = on_shift()
    [deadline] = deadlines(garage)
    assert deadlines(sends(garage, 60, EndShift())) == []
    assert fire(garage, deadline, 241) == ()


def test_it_stands_where_its_rider_stands():
    garage = on_shift()
    started = garage.facts()[-1].source
    [deadline] = deadlines(garage)
    assert (deadline.set_by, deadline.partition, started.event_time) == (started.event_id, started.partition, NOON)
