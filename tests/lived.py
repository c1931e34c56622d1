"""Lives lived at random: what may be asked of each kind of aggregate, asked in any order, again and again."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any, NamedTuple, get_args

from asked_of_carriers import CARRIER, CARRIER_BOOKING
from asked_of_dispatch import PICK_WAVE, PLAN, TENDER, WINDOW
from asked_of_incidents import INCIDENT
from asked_of_recurrences import RECURRENCE
from asked_of_riders import BESIDE_RIDERS, RIDER
from asked_of_tasks import BESIDE_TASKS, TASK
from asked_of_the_directory import GEOFENCE, HUB, OUTLET, PROVIDER_CONFIG, SLA_POLICY, TENANT
from asked_of_vehicles import BESIDE_VEHICLES, FLEET, VEHICLE
from drawn import AWAITED, HOME, Repertoire
from story import NOON, context, policy_of

from commands.aggregates import AGGREGATES
from commands.life import NEW, Move
from commands.task_state import CreatedTask
from schemas import directory as d
from schemas import registries as g
from schemas import sla as q
from schemas import sla_policy as p
from schemas import stop as st
from schemas import task as t
from schemas import waiting as x
from schemas.hours import HoursLimits
from schemas.message import (
    Command,
    Event,
    Refused,
)
from schemas.simulation import SimulatedOutcome, Simulation

STEPS = 40_000
BEGINNINGS = 0.05
"""Of the steps: lives that differ from their creation on."""
BESIDES = 0.05
"""Of the steps."""
KEPT = 40
"""States of one kind to go on from."""
RULES = d.TenantRules(hours_rules="custom", custom_hours=HoursLimits(duty_before_break_minutes=60, rest_minutes=60))
"""So that hours run out within a life."""
ASIDE = (
    q.SlaClockPaused,
    q.SlaClockResumed,
    x.DependentAdded,
    x.CircleLookedFor,
    x.DependentsAnswered,
    x.DependencyDropped,
)
FAILURES = (
    g.FailureReason(code="refused", title="No", at_fault="recipient", retryable=False),
    g.FailureReason(code="nobody_there", title="No", at_fault="recipient", retryable=False, after="hold_at_hub"),
    g.FailureReason(code="moved", title="No", at_fault="recipient", retryable=False, after="hold_at_hub"),
    g.FailureReason(code="spoilt", title="No", at_fault="rider", retryable=False, after="dispose"),
    g.FailureReason(code="no_way_in", title="No", at_fault="recipient", after="leave_at_door"),
)
PAUSES = ["stock", "nobody_there"]
SLA = policy_of(
    p.SlaTerms(dispatch_within_s=60, pickup_within_s=60, deliver_within_s=60, at_risk_margin_s=0, pauses=PAUSES)
)


class Lived(NamedTuple):
    """A command that changed something, the state in which it did, and the moves that came of it."""

    command: type[Command]
    status: str
    moves: list[tuple[type[Event], Move]]


def lived(kind: str, steps: int = STEPS, seed: int = 2) -> Iterator[Lived]:
    """What happens where anything is asked at any time. It goes on from states of every kind alike, told apart by their
    status, their traits and the events that led there, so that what is seldom come by is not seldom left."""
    if kind == "task":
        yield from simulated()
        yield from in_vain()
    aggregate, draw, other = AGGREGATES[kind], Random(seed), Random(seed)
    kept: dict[Any, list[tuple[Any, datetime]]] = {NEW: [(aggregate.initial, NOON)]}
    kinds: list[Any] = [NEW]
    for _ in range(steps):
        begins = draw.random() < BEGINNINGS
        state, now = draw.choice(kept[NEW if begins else draw.choice(kinds)])
        now += timedelta(minutes=draw.choice((0, 1, 5, 30)))
        draws, actor, role = REPERTOIRES[kind][0] if begins else draw.choice(REPERTOIRES[kind])
        command, first, moves = draws(draw, now), aggregate.life.status(state), []
        try:
            events = aggregate.decide(
                state, command, context(now=now, actor=actor, role=role, rules=RULES, failures=FAILURES, sla=SLA)
            )
        except Refused:
            continue
        for event in events:
            before = aggregate.life.status(state)
            state = aggregate.evolve(state, event)
            moves.append((type(event), (before, aggregate.life.status(state))))
        if events:
            led_to = (aggregate.life.status(state), *traits(state), *what_led(events))
            keep(kept, kinds, led_to, (state, now), draw)
            yield Lived(type(command), first, moves)
            if other.random() < BESIDES:
                yield from beside(kind, state, now, other)


def simulated() -> Iterator[Lived]:
    """The lives of simulated tasks, which go by themselves: each outcome once, to its end."""
    aggregate = AGGREGATES["task"]
    for outcome in get_args(SimulatedOutcome):
        door = st.NewStop(kind="dropoff", location=HOME, required_proof=[["pin"]])
        made = t.CreateTask(
            kind="delivery",
            outlet="kamppi",
            stops=[st.NewStop(kind="pickup"), door],
            parcels=[st.NewParcel()],
            simulation=Simulation(outcome=outcome),
        )
        state: Any = aggregate.initial
        steps = [t.SimulateStep(number=number) for number in range(1, 40)]
        for passed, command in enumerate((made, t.AssignSimulatedCourier(round=1), *steps)):
            first, moves, now = aggregate.life.status(state), [], NOON + timedelta(hours=passed)
            for event in aggregate.decide(state, command, context(now=now, actor="simulation", role="system")):
                before = aggregate.life.status(state)
                state = aggregate.evolve(state, event)
                moves.append((type(event), (before, aggregate.life.status(state))))
            yield Lived(type(command), first, moves)


def in_vain() -> Iterator[Lived]:
    """The life of a task that waits for what nobody knows."""
    aggregate, state = AGGREGATES["task"], AGGREGATES["task"].initial
    door = st.NewStop(kind="dropoff", location=HOME)
    made = t.CreateTask(
        kind="delivery", outlet="kamppi", stops=[st.NewStop(kind="pickup"), door], depends_on=AWAITED[:1]
    )
    asked: list[Command] = [made]
    for number in range(len(x.ASKED_AGAIN_AFTER_S) + 1):
        asked.append(x.RecordDependencyUnknown(on=AWAITED[0], number=number))
        asked.append(x.AskForDependency(on=AWAITED[0], number=number + 1))
    for passed, command in enumerate(asked):
        first, moves, now = aggregate.life.status(state), [], NOON + timedelta(hours=passed)
        for event in aggregate.decide(state, command, context(now=now, actor="dispatch", role="system")):
            before = aggregate.life.status(state)
            state = aggregate.evolve(state, event)
            moves.append((type(event), (before, aggregate.life.status(state))))
        if moves:
            yield Lived(type(command), first, moves)


def beside(kind: str, state: Any, now: datetime, draw: Random) -> Iterator[Lived]:
    aggregate = AGGREGATES[kind]
    for draws, actor, role in BESIDE.get(kind, ()):
        command, first, moves = draws(draw, now), aggregate.life.status(state), []
        try:
            events = aggregate.decide(state, command, context(now=now, actor=actor, role=role, rules=RULES))
        except Refused:
            continue
        for event in events:
            before = aggregate.life.status(state)
            state = aggregate.evolve(state, event)
            moves.append((type(event), (before, aggregate.life.status(state))))
        if events:
            yield Lived(type(command), first, moves)


def what_led(events: Iterable[Event]) -> list[type[Event]]:
    """A clock that stands still or goes on only accompanies what made it, and who waits for a task changes nothing for
    it: they are no beginnings of their own."""
    return [type(event) for event in events if not isinstance(event, ASIDE)]


def traits(state: Any) -> tuple[Any, ...]:
    """Of a task its kind, whether anything was proven, delivered, or is held: what hangs on that is seldom come by
    else."""
    if not isinstance(state, CreatedTask):
        return ()
    delivered = any(parcel.status == "delivered" for parcel in state.parcels.values())
    bound_for = [state.stops[parcel.bound_for] for parcel in state.parcels.values() if parcel.bound_for is not None]
    held = delivered and any(stop.stop.kind == "hold" for stop in bound_for)
    return state.kind, delivered, held, any(stop.proofs for stop in state.stops.values())


def keep(
    kept: dict[Any, list[tuple[Any, datetime]]], kinds: list[Any], led_to: Any, at: tuple[Any, datetime], draw: Random
) -> None:
    if led_to not in kept:
        kinds.append(led_to)
    among = kept.setdefault(led_to, [])
    if len(among) < KEPT:
        among.append(at)
    else:
        among[draw.randrange(KEPT)] = at


BESIDE: dict[str, Repertoire] = {"task": BESIDE_TASKS, "rider": BESIDE_RIDERS, "vehicle": BESIDE_VEHICLES}
"""What leads to nothing else: asked one after the other, and the life goes on as if nothing had been."""
REPERTOIRES: dict[str, Repertoire] = {
    "task": TASK,
    "incident": INCIDENT,
    "rider": RIDER,
    "vehicle": VEHICLE,
    "fleet": FLEET,
    "tender": TENDER,
    "window": WINDOW,
    "pick_wave": PICK_WAVE,
    "plan": PLAN,
    "carrier_booking": CARRIER_BOOKING,
    "recurrence": RECURRENCE,
    "tenant": TENANT,
    "outlet": OUTLET,
    "hub": HUB,
    "sla_policy": SLA_POLICY,
    "provider_config": PROVIDER_CONFIG,
    "carrier": CARRIER,
    "geofence": GEOFENCE,
}
