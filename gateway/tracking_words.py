"""Tracking in plain words, for people: one headline, what is to be expected when, and the steps."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from gateway.tracking_told import Forecast, OwnStop, Phase, Tracking
from schemas.geo import Window

GRAIN = timedelta(minutes=5)
"""People plan by no less, and no forecast is exacter."""

HEADLINES: dict[Phase, str] = {
    "waiting": "We have your order",
    "accepted": "A rider has been found",
    "in_progress": "On the way",
    "en_route": "You are next",
    "arrived": "The rider is here",
    "another_attempt": "We will try again",
    "completed": "Delivered",
    "partly_delivered": "Partly delivered",
    "failed": "It could not be delivered",
    "returning": "On its way back",
    "returned": "Returned",
    "cancelled": "Cancelled",
    "closed": "This delivery has ended",
}
CARRIER_HEADLINES: dict[Phase, str] = {
    "accepted": "A carrier has been found",
    "en_route": "On the way",
    "arrived": "The carrier is here",
}
"""Whether another of its stops comes before is not known of a carrier."""
CARRIER_ABOUT: dict[Phase, str] = {"en_route": "The carrier is on the way to you."}
PICKUP_HEADLINES: dict[Phase, str] = {
    "completed": "Picked up",
    "partly_delivered": "Partly picked up",
    "failed": "It could not be picked up",
}
ABOUT: dict[Phase, str] = {
    "waiting": "A rider will be found for it in time.",
    "accepted": "They will pick it up soon.",
    "in_progress": "",
    "en_route": "The rider is coming straight to you.",
    "arrived": "Please meet them at the door.",
    "another_attempt": "It could not be delivered and is kept for another attempt.",
    "completed": "",
    "partly_delivered": "Not all of it was taken.",
    "failed": "Please ask who sent it what happens now.",
    "returning": "It could not be delivered and goes back to where it came from.",
    "returned": "It could not be delivered and is back where it came from.",
    "cancelled": "Nothing is on its way to you any more.",
    "closed": "Please ask who sent it if something is missing.",
}
OVER: frozenset[Phase] = frozenset(
    {"completed", "partly_delivered", "failed", "returning", "returned", "cancelled", "closed"}
)


class Step(msgspec.Struct, frozen=True):
    """`at` is empty while it is still to come, and where nobody knows when it was."""

    name: str
    done: bool
    at: str


class Said(msgspec.Struct, frozen=True, kw_only=True):
    headline: str
    about: str
    expected: str
    """Empty where nothing is to be expected."""
    promised: str
    near: str
    """Beside the rider's place."""
    steps: list[Step]
    as_of: str
    over: bool


def said(known: Tracking, now: datetime) -> Said:
    clock = Clock(known.zone, now)
    stop, over, again = known.stop, known.phase in OVER, known.phase == "another_attempt"
    return Said(
        headline=headline_of(known),
        about=about(known, clock),
        expected="" if over or stop is None or stop.forecast is None else expected(stop.forecast, clock, now),
        promised="" if over or again or stop is None or stop.window is None else f"Agreed: {clock.window(stop.window)}",
        near="" if known.rider is None else f"The rider at {clock.time(known.rider.observed_at)}",
        steps=steps(known, clock),
        as_of=clock.time(now),
        over=over,
    )


class Clock:
    """Times as people at the outlet read them; another day than today's is named."""

    def __init__(self, zone: str, now: datetime) -> None:
        self._zone = ZoneInfo(zone)
        self._today = now.astimezone(self._zone).date()

    def time(self, at: datetime) -> str:
        local = at.astimezone(self._zone)
        clock = f"{local:%H:%M}"
        return clock if local.date() == self._today else f"{local:%a} {local.day} {local:%b}, {clock}"

    def window(self, window: Window) -> str:
        return self.between(window.start, window.end)

    def between(self, start: datetime, end: datetime) -> str:
        same_day = start.astimezone(self._zone).date() == end.astimezone(self._zone).date()
        last = f"{end.astimezone(self._zone):%H:%M}" if same_day else self.time(end)
        return f"{self.time(start)} to {last}"


def headline_of(known: Tracking) -> str:
    if known.stop is None:
        return whole_headline(known)
    if known.stop.kind != "dropoff" and known.phase in PICKUP_HEADLINES:
        return PICKUP_HEADLINES[known.phase]
    if is_to_be_tried_again(known):
        return "We will try again"
    return whole_headline(known)


def whole_headline(known: Tracking) -> str:
    of_carrier = CARRIER_HEADLINES.get(known.phase) if known.with_carrier else None
    return of_carrier or HEADLINES[known.phase]


def who_has(known: Tracking) -> str:
    return "carrier" if known.with_carrier else "rider"


def about(known: Tracking, clock: Clock) -> str:
    stop = known.stop
    if stop is None:
        return progress_of(known)
    if is_to_be_tried_again(known):
        times = "once" if stop.attempts == 1 else f"{stop.attempts} times"
        return f"We have tried {times} and did not succeed."
    if known.phase == "completed":
        return f"At {clock.time(stop.ended_at)}." if stop.ended_at is not None else ""
    if known.phase == "in_progress":
        return on_the_road(known, stop)
    of_carrier = CARRIER_ABOUT.get(known.phase) if known.with_carrier else None
    return of_carrier or ABOUT[known.phase]


def is_to_be_tried_again(known: Tracking) -> bool:
    open_phase = known.phase in ("waiting", "accepted", "in_progress")
    return open_phase and known.stop is not None and known.stop.attempts > 0 and known.stop.stops_ahead is None


def progress_of(known: Tracking) -> str:
    dropoffs = known.dropoffs
    if dropoffs is None or known.phase in ("waiting", "accepted", "cancelled"):
        return ABOUT[known.phase]
    return f"{dropoffs.done} of {dropoffs.total} stops are done."


def on_the_road(known: Tracking, stop: OwnStop) -> str:
    if stop.kind != "dropoff":
        where = f"The {who_has(known)} is on the way."
    elif known.picked_up_at is None:
        return collecting(known, stop)
    else:
        where = "It has been picked up."
    match stop.stops_ahead:
        case None:
            return where
        case 0:
            return f"{where} No other stop is before yours."
        case 1:
            return f"{where} One stop is before yours."
        case more:
            return f"{where} {more} stops are before yours."


def collecting(known: Tracking, stop: OwnStop) -> str:
    """Where it is picked up is a stop before theirs, too."""
    where = f"The {who_has(known)} is on the way to pick it up."
    if stop.stops_ahead is None or stop.stops_ahead <= 1:
        return where
    return f"{where} With that, {stop.stops_ahead} stops are before yours."


def expected(forecast: Forecast, clock: Clock, now: datetime) -> str:
    """Eight times of ten it is then. What is past is not promised any more."""
    start, end = rounded(forecast.p10), rounded(forecast.p90 + GRAIN - timedelta.resolution)
    if end <= now:
        return "Expected any moment"
    return f"Expected by {clock.time(end)}" if start <= now else f"Expected {clock.between(start, end)}"


def rounded(at: datetime) -> datetime:
    """Down to the grain."""
    return at - timedelta(minutes=at.minute % (GRAIN.seconds // 60), seconds=at.second, microseconds=at.microsecond)


def steps(known: Tracking, clock: Clock) -> list[Step]:
    """What has been and what is to come. What ended otherwise has no steps still to come; that a carrier will tell of
    its arrival is not promised."""
    arrived_at = known.stop.arrived_at if known.stop is not None else None
    pickup = known.stop is not None and known.stop.kind != "dropoff"
    completed = known.phase in ("completed", "partly_delivered")
    at_door = known.stop is not None and (arrived_at is not None or not known.with_carrier)
    found = known.accepted_at is not None
    all_steps = [
        Step("Ordered", done=True, at=clock.time(known.ordered_at)),
        step(f"{who_has(known).capitalize()} found", known.accepted_at, clock, done=completed or found),
        *([] if pickup else [step("Picked up", known.picked_up_at, clock, done=completed)]),
        *([step(f"{who_has(known).capitalize()} at the door", arrived_at, clock, done=completed)] if at_door else []),
    ]
    if known.phase in OVER:
        all_steps = [each for each in all_steps if each.done]
        return [*all_steps, step(headline_of(known), known.ended_at, clock, done=True)]
    return [*all_steps, step("Picked up" if pickup else "Delivered", None, clock)]


def step(name: str, at: datetime | None, clock: Clock, *, done: bool = False) -> Step:
    return Step(name, done=done or at is not None, at="" if at is None else clock.time(at))
