"""A rider's shift: planned, started, with breaks, ending while goods are under way, ended; and its hours of service."""

from msgspec.structs import replace

from commands.context import Context
from commands.hours import exhausted, limit_ahead, limits_of, off_duty, on_duty, rested_at
from commands.refusals import NotAnInterval, TooMany
from commands.rider_refusals import CannotStartShift, GoodsAboard, RestTooShort
from commands.rider_reservations import released_holds
from commands.rider_silence import heard
from commands.rider_state import PlannedShift, RegisteredRider, Shift, not_compliant, with_goods, without_document
from schemas.ids import rider_subject
from schemas.message import NotInThisState, Personal, RiderId, ShiftId, TaskId
from schemas.rider import (
    MAX_PLANNED_SHIFTS,
    BreakEnded,
    BreakStarted,
    HoursLimitWarned,
    PlanShift,
    RiderEvent,
    ShiftEnded,
    ShiftEnding,
    ShiftPlanned,
    ShiftStarted,
    StartShift,
    WarnHoursLimit,
)


def plan_shift(rider: RegisteredRider, command: PlanShift, context: Context) -> list[RiderEvent]:
    shift_id = ShiftId(command.shift_id)
    if command.ends_at <= command.starts_at:
        raise NotAnInterval(command.starts_at, command.ends_at)
    if command.starts_at < context.now:
        raise NotAnInterval(context.now, command.starts_at)
    if rider.shift is not None and rider.shift.shift_id == shift_id:
        raise NotInThisState(needed="a shift that has not started", actual=status_of(rider.shift))
    planned = PlannedShift(command.starts_at, command.ends_at)
    if rider.planned.get(shift_id) == planned:
        return []
    others = [other for other, plan in rider.planned.items() if other != shift_id and plan.ends_at > context.now]
    if len(others) >= MAX_PLANNED_SHIFTS:
        raise TooMany("planned shifts", MAX_PLANNED_SHIFTS)
    return [ShiftPlanned(shift_id=shift_id, starts_at=command.starts_at, ends_at=command.ends_at)]


def start_shift(rider: RegisteredRider, command: StartShift, context: Context) -> list[RiderEvent]:
    if command.ends_at <= context.now:
        raise NotAnInterval(context.now, command.ends_at)
    if rider.shift is not None:
        raise NotInThisState(needed="off shift", actual=status_of(rider.shift))
    may_work(rider, context)
    subject = rider_subject(RiderId(context.aggregate_id))
    return [
        ShiftStarted(
            shift_id=ShiftId(command.shift_id or context.command_id),
            started_at=context.now,
            ends_at=command.ends_at,
            location=Personal(subject, command.location) if command.location else None,
            hours_limit=limit_ahead(rider.duties, context.policy.rules, context.now),
        )
    ]


def may_work(rider: RegisteredRider, context: Context) -> None:
    """Raises CannotStartShift, RestTooShort."""
    rules, now = context.policy.rules, context.now
    required = context.policy.required_of_riders
    why_not = not_compliant(rider, required, now, now)
    if why_not is not None:
        short = next((kind for kind in required if without_document(rider, kind, now, now) == why_not), None)
        raise CannotStartShift(why_not, short)
    limits = limits_of(rules)
    rested = rested_at(rider.duties, limits) if limits else None
    if rested is not None and now < rested:
        raise RestTooShort(rested)
    if exhausted(rider.duties, rules, now, now) is not None:
        raise CannotStartShift("hours_exhausted")


def start_break(rider: RegisteredRider, context: Context) -> list[RiderEvent]:
    shift = at_work(rider)
    if shift.break_since is not None:
        return []
    goods = with_goods(rider)
    if goods and not context.policy.rules.breaks_with_goods:
        raise GoodsAboard(goods)
    return [*heard(rider, context), BreakStarted(shift_id=shift.shift_id, started_at=context.now)]


def end_break(rider: RegisteredRider, context: Context) -> list[RiderEvent]:
    shift = at_work(rider)
    if shift.break_since is None:
        return []
    limit = limit_ahead(rider.duties, context.policy.rules, context.now)
    return [*heard(rider, context), BreakEnded(shift_id=shift.shift_id, ended_at=context.now, hours_limit=limit)]


def warn_hours_limit(rider: RegisteredRider, command: WarnHoursLimit, context: Context) -> list[RiderEvent]:
    """Of the duty under way, once, when its time has come."""
    match rider.shift:
        case Shift(shift_id=command.shift_id, break_since=None, hours_limit=limit) if limit is not None:
            if context.now < limit.warn_at:
                return []
            warned = HoursLimitWarned(shift_id=command.shift_id, rule=limit.rule, reached_at=limit.reached_at)
            return [warned]
        case _:
            return []


def end_shift(rider: RegisteredRider, context: Context) -> list[RiderEvent]:
    """What is only held is let go; what is under way is finished first."""
    if rider.shift is None or rider.shift.ending:
        return []
    let_go = [*heard(rider, context), *released_holds(rider, "shift_ending", context)]
    if any(r.active for r in rider.reservations.values()):
        return [*let_go, ShiftEnding(shift_id=rider.shift.shift_id)]
    return [*let_go, ShiftEnded(shift_id=rider.shift.shift_id, ended_at=context.now)]


def shift_end_after(rider: RegisteredRider, task_id: TaskId, context: Context) -> list[RiderEvent]:
    others = any(r.active for other, r in rider.reservations.items() if other != task_id)
    if rider.shift is None or not rider.shift.ending or others:
        return []
    return [ShiftEnded(shift_id=rider.shift.shift_id, ended_at=context.now)]


def at_work(rider: RegisteredRider) -> Shift:
    if rider.shift is None:
        raise NotInThisState(needed="on shift", actual="off shift")
    return rider.shift


def status_of(shift: Shift) -> str:
    return "ending" if shift.ending else "on shift"


def with_planned(rider: RegisteredRider, event: ShiftPlanned) -> RegisteredRider:
    """Plans that were never kept end first, and make room."""
    plans = {**rider.planned, event.shift_id: PlannedShift(event.starts_at, event.ends_at)}
    latest = sorted(plans.items(), key=lambda each: (each[1].ends_at, each[0]))[-MAX_PLANNED_SHIFTS:]
    return replace(rider, planned=dict(latest))


def with_started(rider: RegisteredRider, event: ShiftStarted) -> RegisteredRider:
    shift = Shift(
        shift_id=event.shift_id,
        ends_at=event.ends_at,
        location=event.location,
        heard_at=event.started_at,
        hours_limit=event.hours_limit,
    )
    planned = {
        shift_id: plan
        for shift_id, plan in rider.planned.items()
        if shift_id != event.shift_id and plan.ends_at > event.started_at
    }
    return replace(rider, shift=shift, planned=planned, duties=on_duty(rider.duties, event.started_at))


def with_shift(rider: RegisteredRider, **changes: object) -> RegisteredRider:
    return replace(rider, shift=replace(at_work(rider), **changes))


def on_break(rider: RegisteredRider, event: BreakStarted) -> RegisteredRider:
    resting = with_shift(rider, break_since=event.started_at, heard_at=event.started_at, hours_limit=None)
    return replace(resting, duties=off_duty(rider.duties, event.started_at))


def back_from_break(rider: RegisteredRider, event: BreakEnded) -> RegisteredRider:
    working = with_shift(rider, break_since=None, heard_at=event.ended_at, hours_limit=event.hours_limit)
    return replace(working, duties=on_duty(rider.duties, event.ended_at))


def off_shift(rider: RegisteredRider, event: ShiftEnded) -> RegisteredRider:
    return replace(rider, shift=None, silence=None, duties=off_duty(rider.duties, event.ended_at))
