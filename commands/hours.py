"""How long a rider may still be on duty, and which rule binds: judged by their duty of the last fortnight.

All duty counts as driving: nobody tells us when the wheels turn. Where a law lets a limit be stretched now and then (a
day of ten hours, a rest of nine, a break in two parts), the stricter one stands here, so that nobody is led over it.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

import msgspec

from schemas.directory import TenantRules
from schemas.hours import HoursLimit, HoursLimits, HoursRule, HoursRules

KEPT = timedelta(days=14)
MAX_SPANS = 400
"""More than a fortnight of work has; beyond it the two oldest count as one, and what lay between them as duty."""
DAY, WEEK, FORTNIGHT = timedelta(hours=24), timedelta(days=7), timedelta(days=14)
NOTHING = timedelta()

RULE_SETS: Mapping[HoursRules, HoursLimits | None] = {
    "none": None,
    # Regulation (EC) No 561/2006. Article 6(1): daily driving at most 9 hours, between two daily rests (article 4(k));
    # 6(2): weekly at most 56 hours, 6(3): in two weeks at most 90, here of any 7 and 14 days, which no calendar week
    # exceeds. Article 7: after 4 hours 30 a break of 45 minutes. Article 8(2) with 4(g): a daily rest of 11 hours.
    "eu_561": HoursLimits(
        shift_duty_minutes=9 * 60,
        week_duty_minutes=56 * 60,
        fortnight_duty_minutes=90 * 60,
        duty_before_break_minutes=4 * 60 + 30,
        break_minutes=45,
        rest_minutes=11 * 60,
    ),
    # 49 CFR 395.3. (a)(1): no driving without 10 consecutive hours off duty before; (a)(2): nor after 14 hours from
    # coming on duty; (a)(3)(i): at most 11 hours of driving in them; (a)(3)(ii): not after 8 hours without an
    # interruption of 30 minutes; (b)(1): nor after 60 hours on duty in 7 days. The restart of (c) is not made use of.
    "us_property": HoursLimits(
        shift_duty_minutes=11 * 60,
        shift_span_minutes=14 * 60,
        week_duty_minutes=60 * 60,
        duty_before_break_minutes=8 * 60,
        break_minutes=30,
        rest_minutes=10 * 60,
    ),
}


class Duty(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """On duty from `since` up to `until`, or still."""

    since: datetime
    until: datetime | None = None


class Used(msgspec.Struct, frozen=True):
    """Of what a rule allows; a break ends what was used before it."""

    rule: HoursRule
    used: timedelta
    allowed: timedelta

    @property
    def left(self) -> timedelta:
        return max(NOTHING, self.allowed - self.used)


type Duties = tuple[Duty, ...]
"""In order of time, none overlapping another; only the last may be open."""


def limits_of(rules: TenantRules) -> HoursLimits | None:
    return rules.custom_hours if rules.hours_rules == "custom" else RULE_SETS[rules.hours_rules]


def on_duty(duties: Duties, since: datetime) -> Duties:
    """Begun; what ended more than a fortnight before is forgotten."""
    kept = tuple(duty for duty in duties if duty.until is not None and duty.until > since - KEPT)
    if len(kept) >= MAX_SPANS:
        kept = (Duty(kept[0].since, kept[1].until), *kept[2:])
    return (*kept, Duty(since))


def off_duty(duties: Duties, until: datetime) -> Duties:
    """Ended, where it was under way."""
    if not duties or duties[-1].until is not None:
        return duties
    began_at = duties[-1].since
    return (*duties[:-1], Duty(began_at, until)) if until > began_at else duties[:-1]


def binding(duties: Duties, limits: HoursLimits, at: datetime) -> Used | None:
    """The rule that leaves the least; None where nothing is limited."""
    return min(used(duties, limits, at), key=lambda each: each.left, default=None)


def limit_ahead(duties: Duties, rules: TenantRules, at: datetime) -> HoursLimit | None:
    """Where duty that goes on from now without a break comes to its end, as if nothing fell out of a week meanwhile."""
    limits = limits_of(rules)
    found = binding(duties, limits, at) if limits else None
    if found is None:
        return None
    reached_at = at + found.left
    warn_at = max(at, reached_at - timedelta(minutes=rules.hours_warning_minutes))
    return HoursLimit(rule=found.rule, reached_at=reached_at, warn_at=warn_at)


def exhausted(duties: Duties, rules: TenantRules, at: datetime, until: datetime) -> HoursRule | None:
    """The rule that forbids duty now, or that duty up to `until` would break even with breaks in between."""
    limits = limits_of(rules)
    if limits is None:
        return None
    for each in used(duties, limits, at):
        if not each.left:
            return each.rule
    for each in used(through(duties, at), limits, until):
        if each.rule != "break_due" and each.used > each.allowed:
            return each.rule
    return None


def through(duties: Duties, at: datetime) -> Duties:
    """As if the rider were on duty from now on."""
    return duties if duties and duties[-1].until is None else (*duties, Duty(at))


def rested_at(duties: Duties, limits: HoursLimits) -> datetime | None:
    """When a rest will have been long enough; None where nobody has worked."""
    if not duties or duties[-1].until is None:
        return None
    return duties[-1].until + timedelta(minutes=limits.rest_minutes)


def used(duties: Duties, limits: HoursLimits, at: datetime) -> Iterator[Used]:
    shift_began = began(duties, at, timedelta(minutes=limits.rest_minutes))
    break_ended = began(duties, at, timedelta(minutes=min(limits.break_minutes, limits.rest_minutes)))
    measured: tuple[tuple[HoursRule, int | None, timedelta], ...] = (
        ("shift_duty", limits.shift_duty_minutes, worked(duties, shift_began, at)),
        ("shift_span", limits.shift_span_minutes, at - shift_began),
        ("day_duty", limits.day_duty_minutes, worked(duties, at - DAY, at)),
        ("week_duty", limits.week_duty_minutes, worked(duties, at - WEEK, at)),
        ("fortnight_duty", limits.fortnight_duty_minutes, worked(duties, at - FORTNIGHT, at)),
        ("break_due", limits.duty_before_break_minutes, worked(duties, break_ended, at)),
    )
    for rule, minutes, so_far in measured:
        if minutes is not None:
            yield Used(rule, so_far, timedelta(minutes=minutes))


def worked(duties: Duties, start: datetime, end: datetime) -> timedelta:
    """On duty within the interval."""
    spans = (min(duty.until or end, end) - max(duty.since, start) for duty in duties)
    return sum((span for span in spans if span > NOTHING), NOTHING)


def began(duties: Duties, at: datetime, gap: timedelta) -> datetime:
    """Since when no time off duty was as long as `gap`; `at` itself where it is so long now."""
    edge = at
    for duty in reversed(duties):
        if duty.since >= at:
            continue
        if edge - min(duty.until or at, at) >= gap:
            break
        edge = duty.since
    return edge
