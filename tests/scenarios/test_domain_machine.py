"""All aggregates together, driven at random by the real decisions and the real processes: what holds after every step,
and once the processes are quiet. That it can fail is shown by breaking one rule at a time."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from random import Random
from typing import Any, get_args

import asked_of_the_directory
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from msgspec.structs import replace
from story import ACME
from town import Told, Town
from townspeople import People

from commands import dispatch_window as windows
from commands import field_reports, pick_wave, rider_reservations, rider_silence, task, task_timing, tender
from commands.aggregates import AGGREGATES
from commands.carrier_booking_state import UNDER_WAY
from commands.context import Context
from commands.plan import SETTLES_WITHIN, Committing
from commands.task_state import CreatedTask, carried, is_over, is_taken, open_stops, state_of
from commands.tender import Open
from commands.vehicle_fitness import fitness_of
from commands.waiting_state import open_wait
from infra.check.custody import Custody
from infra.check.finding import Judgement
from projections import deadlines
from schemas.batch_rules import BatchRules
from schemas.directory import TenantRules
from schemas.dispatch_rules import DispatchRules, TenderMode, TenderStep
from schemas.dispatch_window import DecideWindow, WindowEvent
from schemas.itinerary import Bundled
from schemas.load import NOTHING, Capacity, Load, peak_load
from schemas.proof import ProofKind
from schemas.rider import (
    ItineraryResequenced,
    ItineraryStopsInserted,
    ItineraryStopsRemoved,
    PlannedStop,
    RiderReserved,
)
from schemas.stop_events import StopCompleted
from schemas.task import AssignByPlan, AssignTask, TaskAssigned, TaskDispatchable, TaskEvent
from schemas.tender import AwardTender, OfferAccepted, OfferLost, OfferWithdrawn, TenderEvent
from schemas.waiting import AwaitedKind, DependencyDeclared, DependencyWaived
from streams import processes
from streams.dispatch import itinerary, tendering, windowing
from streams.dispatch.tendering import release
from streams.planning import committing

TOWNS = 24
STEPS = 500
TOWNS_TO_FIND = 200
"""In so many a broken rule must show."""
AT_LEAST = 10_000
"""Steps, in all towns."""
STEPS_TAKEN: Counter[str] = Counter()
HAPPENS = (
    *["somebody_asks"] * 8,
    *["processes_go_on"] * 8,
    *["somebody_claims"] * 2,
    *["time_passes", "what_is_due_fires", "phones_tell", "carriers_answer"] * 2,
    "a_plan_is_made",
    "silence_is_looked_for",
    *["windows_are_decided"] * 2,
    "a_process_starts_again",
    "much_time_passes",
    "comes_to_rest",
)
"""The more often it is named the more often it happens."""


class Broken(AssertionError):
    """What must hold does not."""


class DomainMachine(RuleBasedStateMachine):
    @initialize()
    def a_town(self) -> None:
        self.town = Town()
        self.town.steps = [
            TenderStep(mode=mode, size=2, seconds=600, to=to)
            for mode in get_args(TenderMode)
            for to in ("riders", "riders", "carriers", "both")
        ]
        self.town.together = lambda: self.town.chance.choice((0, 0, 1, 1, 2))
        self.town.careless = 0.1
        self.people = People(self.town)
        self.sound = True
        self.judgement = Judgement("I7")
        self.custody = Custody(self.judgement)
        self.awaited: defaultdict[str, set[tuple[AwaitedKind, str]]] = defaultdict(set)
        """Of each task what it is to wait for, without what was waived."""
        self.strayed: set[str] = set()
        """Riders who did not go by their itinerary: what it tells of their load is not so."""

    @rule(what=st.sampled_from(HAPPENS), seed=st.integers(0, 2**24))
    def it_happens(self, what: str, seed: int) -> None:
        STEPS_TAKEN[what] += 1
        self.sound = False
        self.town.chance = Random(seed * 1_000_003 + len(self.town.desk.log))
        if what == "somebody_asks":
            self.people.somebody_asks()
        else:
            getattr(self.town, what)()
        self.looked_at()
        if what == "comes_to_rest":
            for check in ONCE_QUIET:
                check(self.town)
        self.sound = True

    def teardown(self) -> None:
        """Long after, with nothing remembered, the processes follow everything again: nothing is added."""
        if not self.sound:
            return
        self.town.starts_from_nothing()
        self.looked_at()
        self.town.comes_to_rest()
        self.custody.end()
        if self.judgement.verdict().broken:
            raise Broken(self.judgement.verdict().findings[0].what)
        if self.town.told:
            told = self.town.told[0]
            raise Broken(f"from nothing, processes add {type(told.event).__name__} to {told.aggregate_id}")

    def looked_at(self) -> None:
        for told in self.town.told:
            self.custody.take(told.envelope, told.stored)
            allowed_by_its_life(told)
            self.by_the_itinerary(told)
            with_room(told, self.strayed)
            self.in_its_time(told)
            with_a_vehicle_that_drives(told)
        all_or_none(self.town.told)
        if self.judgement.verdict().broken:
            raise Broken(self.judgement.verdict().findings[0].what)
        for aggregate_id in {told.aggregate_id for told in self.town.told}:
            as_it_stands(self.town, aggregate_id)
            what_is_locked_comes_next(self.town, aggregate_id)
        with_proof(self.town, self.town.told)
        self.town.told.clear()
        no_clock_runs_on(self.town)

    def in_its_time(self, told: Told) -> None:
        """No task comes to dispatch before what it waits for."""
        match told.event:
            case DependencyDeclared(kind=kind, on=on):
                self.awaited[told.aggregate_id].add((kind, on))
            case DependencyWaived(kind=kind, on=on):
                self.awaited[told.aggregate_id].discard((kind, on))
            case TaskDispatchable():
                for kind, on in self.awaited[told.aggregate_id]:
                    if not came_about(kind, self.town.state(on)):
                        raise Broken(f"{told.aggregate_id} comes to dispatch before {kind} {on} lets it")

    def by_the_itinerary(self, told: Told) -> None:
        match told.event:
            case ItineraryStopsRemoved(reason_code="stop_over", stop_ids=over) if (
                told.before.itinerary[0].stop_id not in over
            ):
                self.strayed.add(told.aggregate_id)
        if told.kind == "rider" and not getattr(told.after, "itinerary", ()):
            self.strayed.discard(told.aggregate_id)


MEASURES = ("weight_g", "volume_cm3", "parcels")

# After every step


def allowed_by_its_life(told: Told) -> None:
    life = AGGREGATES[told.kind].life
    move = life.status(told.before), life.status(told.after)
    if move not in life.moves[type(told.event)]:
        raise Broken(f"{type(told.event).__name__} of {told.aggregate_id} leads from {move[0]} to {move[1]}")


def with_room(told: Told, strayed: set[str]) -> None:
    """Nobody is promised more than they can carry, nor is it put on their way."""
    if not isinstance(told.event, RiderReserved | ItineraryStopsInserted | ItineraryResequenced):
        return
    rider = told.after
    now = told.envelope.recorded_at
    held = [stop for r in rider.reservations.values() if not r.active and r.hold_until > now for stop in r.stops]
    ahead = [*rider.itinerary, *(held if isinstance(told.event, RiderReserved) else [])]
    capacities = [vehicle.fitness.capacity for vehicle in rider.vehicles.values()]
    match told.event:
        case RiderReserved(handed_over=False):
            room = fits(ahead, rider.capacity_g, capacities)
        case ItineraryResequenced() if fits([*told.before.itinerary], rider.capacity_g, capacities):
            room = fits(ahead, rider.capacity_g, capacities)
        case _:
            room = fits(ahead, rider.capacity_g, [])  # the vehicle may be another since they were reserved
    if told.aggregate_id not in strayed and not room:
        carries = {measure: most(ahead, measure) for measure in MEASURES}
        raise Broken(
            f"{told.aggregate_id} is to carry {carries}, and can {rider.capacity_g} g in {capacities}: {ahead}"
        )


def with_a_vehicle_that_drives(told: Told) -> None:
    """Who has vehicles of ours is given work with one that may drive; or has the goods already."""
    if not isinstance(told.event, RiderReserved) or told.event.handed_over:
        return
    vehicles = [vehicle.fitness for vehicle in told.before.vehicles.values()]
    able = [v for v in vehicles if not v.grounded and not v.inspection_failed and not v.maintenance_due]
    if vehicles and not able:
        raise Broken(f"{told.aggregate_id} is reserved, and has nothing that may drive: {vehicles}")


def all_or_none(all_told: list[Told]) -> None:
    """Who is reserved for one task of a bundle is reserved for all, in the same breath."""
    by_command: defaultdict[tuple[str, str], list[RiderReserved]] = defaultdict(list)
    for told in all_told:
        if isinstance(told.event, RiderReserved):
            by_command[told.aggregate_id, told.envelope.command_id].append(told.event)
    for (rider_id, _), (first, *others) in by_command.items():
        named = [(each.task_id, each.round) for each in first.bundle]
        if named != [(each.task_id, each.round) for each in others] or any(o.lead != first.task_id for o in others):
            raise Broken(f"of a bundle {rider_id} is reserved for {first.task_id} and {others}, and it has {named}")


def came_about(kind: AwaitedKind, state: Any) -> bool:
    """A task has brought something, a wave is released."""
    if state is None:
        return False
    if kind == "pick_wave":
        return bool(state.status == "released")
    return bool(state.ended == "completed" and state.outcome in ("delivered", "partially_delivered"))


def fits(stops: list[PlannedStop], capacity_g: int, vehicles: list[Capacity]) -> bool:
    """Into one of the vehicles, where there are any, and the rider can carry it."""
    carries = {measure: most(stops, measure) for measure in MEASURES}
    holds = [all(carries[measure] <= getattr(vehicle, measure) for measure in MEASURES) for vehicle in vehicles]
    return carries["weight_g"] <= capacity_g and (not vehicles or any(holds))


def most(stops: list[PlannedStop], measure: str) -> int:
    """What is dropped without having been picked up is aboard from the start."""
    aboard = [sum(getattr(stop.load, measure) for stop in stops[:number]) for number in range(len(stops) + 1)]
    return max(aboard) - min(aboard)


def as_it_stands(town: Town, aggregate_id: str) -> None:
    state = town.state(aggregate_id)
    if isinstance(state, CreatedTask):
        if state.rider_id is not None and state.carrier is not None:
            raise Broken(f"{aggregate_id} is with {state.rider_id} and with {state.carrier}")
        has = state.rider_id if state.carrier is None else state.carrier.carrier_id
        for parcel in carried(state):
            if is_over(state) or parcel.party.id != has:
                raise Broken(f"{parcel.party.id} has {parcel.parcel.parcel_id} of {aggregate_id}, {has} has the task")


def what_is_locked_comes_next(town: Town, aggregate_id: str) -> None:
    locked = getattr(town.state(aggregate_id), "locked", None)
    if locked is None:
        return
    ahead = [(stop.task_id, stop.stop_id) for stop in town.state(aggregate_id).itinerary]
    if ahead[:1] != [(locked.task_id, locked.stop_id)]:
        raise Broken(f"{locked} of {aggregate_id} is locked, and ahead is {ahead}")


def with_proof(town: Town, all_told: list[Told]) -> None:
    """Judged by the task as it was when the command was through: what is rejected later may be disputed."""
    last = {told.envelope.command_id: told.after for told in all_told if told.kind == "task"}
    for told in all_told:
        if isinstance(told.event, StopCompleted):
            lacking = proof_lacking(last[told.envelope.command_id], told.event.stop_id)
            if lacking:
                raise Broken(f"{told.event.stop_id} of {told.aggregate_id} is completed without {lacking}")


def proof_lacking(task: CreatedTask, stop_id: Any) -> list[ProofKind] | None:
    """Where nothing changed hands there is nothing to prove."""
    stop = task.stops[stop_id]
    if nothing_changed_hands(task, stop_id):
        return None
    accepted = {proof.kind for proof in stop.proofs if proof.status == "accepted"}
    for group in stop.stop.required_proof:
        if accepted.isdisjoint(group):
            return group
    return None


def nothing_changed_hands(task: CreatedTask, stop_id: Any) -> bool:
    parcels = task.parcels.values()
    if task.stops[stop_id].stop.kind == "pickup":
        left = [parcel.short or parcel.status == "lost" for parcel in parcels if parcel.parcel.pickup_stop == stop_id]
    else:
        left = [parcel.status != "delivered" for parcel in parcels if parcel.parcel.dropoff_stop == stop_id]
    return bool(left) and all(left)


def no_clock_runs_on(town: Town) -> None:
    for row in town.deadlines.values():
        kind, state = town.kinds[row.aggregate_id], town.state(row.aggregate_id)
        if AGGREGATES[kind].life.status(state) in AGGREGATES[kind].life.ends:
            raise Broken(f"{row.kind} of {row.aggregate_id} is still due, and it is over")


# Once the processes are quiet


def over_is_over(town: Town) -> None:
    tasks = dict(town.of_kind("task"))
    for tender_id, state in town.of_kind("tender"):
        for task_id in named_by(state) if isinstance(state, Open) else ():
            if is_over(tasks[task_id]):
                raise Broken(f"tender {tender_id} is open, and its task {task_id} is over")
    for rider_id, rider in town.of_kind("rider"):
        for task_id in rider.reservations:
            if is_over(tasks[task_id]):
                raise Broken(f"{rider_id} is reserved for {task_id}, which is over")


def no_window_is_forgotten(town: Town) -> None:
    """What is closed is decided on, and who waits for a window is in one that is open."""
    waiting: set[tuple[str, int]] = set()
    for window_id, window in town.of_kind("window"):
        match window:
            case windows.Open():
                waiting |= {(task_id, joined.round) for task_id, joined in window.tasks.items()}
            case windows.Over(how="closed"):
                raise Broken(f"window {window_id} is closed, and nobody decides on it")
    for task_id, state in town.of_kind("task"):
        idle = state_of(state) == "dispatchable" and state.closed_round < state.round
        if idle and (task_id, state.round) in town.by_windows and (task_id, state.round) not in waiting:
            raise Broken(f"{task_id} waits for no window that is open")


def named_by(state: Open) -> list[str]:
    return [state.task_id, *(each.task_id for each in state.bundle)]


def what_is_offered_may_be_won(town: Town) -> None:
    """A task that nobody has is offered by a tender that is open, and offers it."""
    for task_id, state in town.of_kind("task"):
        if is_over(state) or is_taken(state) or state.tender_id is None:
            continue
        by = town.state(state.tender_id)
        if not isinstance(by, Open) or task_id not in named_by(by):
            raise Broken(f"{task_id} is offered by {state.tender_id}, which is {by}")


def riders_and_tasks_agree(town: Town) -> None:
    riders = dict(town.of_kind("rider"))
    for task_id, state in town.of_kind("task"):
        if state.rider_id is None or is_over(state) or task_id in with_goods_and_unreserved(town):
            continue
        reservation = riders[state.rider_id].reservations.get(task_id)
        if reservation is None or not reservation.active or reservation.round != state.round:
            raise Broken(f"{state.rider_id} has {task_id} in round {state.round}, and {reservation} says so")
    for rider_id, rider in riders.items():
        for task_id, reservation in rider.reservations.items():
            state = town.state(task_id)
            if reservation.active and (state.rider_id, state.round) != (rider_id, reservation.round):
                raise Broken(f"{rider_id} is on the way for {task_id}, and {state.rider_id} has it")


def with_goods_and_unreserved(town: Town) -> set[str]:
    """Whoever has picked up before it was known that they cannot be reserved keeps the task: their hands are full."""
    return {step.aggregate_id for step, _ in town.refused if step.purpose == "unassign"}


def the_way_ahead_tells_what_is_aboard(town: Town) -> None:
    """All that a rider has is dropped off on the way that is known."""
    riders = dict(town.of_kind("rider"))
    for task_id, state in town.of_kind("task"):
        if state.rider_id is None or task_id in with_goods_and_unreserved(town):
            continue
        ahead = [stop for stop in riders[state.rider_id].itinerary if stop.task_id == task_id and stop.kind != "pickup"]
        has = [p.parcel for p in carried(state)]
        aboard = [sum(p.weight_g for p in has), sum(p.volume_cm3 for p in has), len(has)]
        dropped = [-sum(getattr(stop.load, measure) for stop in ahead) for measure in MEASURES]
        if any(more > less for more, less in zip(aboard, dropped, strict=True)):
            raise Broken(f"{state.rider_id} has {aboard} of {task_id} aboard, and drops {dropped}: {ahead}")


def tasks_and_bookings_agree(town: Town) -> None:
    """A booking under way has its task, unless that refused it or is over; what it has ended leaves proof to be given,
    and the way back."""
    for task_id, state in town.of_kind("task"):
        if is_over(state) or state.carrier is None:
            continue
        booking = town.state(state.carrier.booking_id)
        left = state.return_reason is not None or any(stop.handed_over for stop in open_stops(state))
        if booking.status not in UNDER_WAY and not left:
            raise Broken(f"{task_id} is with {state.carrier.booking_id}, which is {booking.status}")
    for booking_id, booking in town.of_kind("carrier_booking"):
        state = town.state(booking.task_id)
        if booking.status not in UNDER_WAY or booking.refused_for is not None:
            continue
        if state is None or (not is_over(state) and getattr(state.carrier, "booking_id", None) != booking_id):
            raise Broken(f"{booking_id} is {booking.status}, and does not have {booking.task_id}")


def plans_are_settled(town: Town) -> None:
    """As long as riders can be held for them; later their own deadline settles them."""
    for plan_id, state in town.of_kind("plan"):
        if isinstance(state, Committing) and town.policy.now(ACME, town.now) < state.settled_by - SETTLES_WITHIN:
            raise Broken(f"{plan_id} is committed, and of {', '.join(state.rider_of)} nobody says what came")


def nothing_is_due_for_ever(town: Town) -> None:
    """What is due has fired by now, and its aggregate has answered: a row that is left would be fired again and again."""
    for row in town.deadlines.values():
        if row.due_at <= town.policy.now(ACME, town.now):
            raise Broken(f"{row.kind} of {row.aggregate_id} has fired, and is still due")


def nothing_waits_in_vain(town: Town) -> None:
    """What a task waits for may still come about, or will be asked for again, or a person has been told that it will
    not."""
    for task_id, state in town.of_kind("task"):
        for awaited in () if is_over(state) else state.waiting.awaited:
            other = town.state(awaited.on)
            gone = other is None or AGGREGATES[awaited.kind].over(other)
            if awaited.failed is None and awaited.ask_again_at is None and gone:
                raise Broken(f"{task_id} waits in vain for {awaited.kind} {awaited.on}")


def waits_in(state: CreatedTask, wave_id: str) -> bool:
    """Where the wave has been told of it, or is being told."""
    awaited = open_wait(state.waiting, wave_id)
    return awaited is not None and awaited.ask_again_at is None


def waves_have_their_tasks(town: Town) -> None:
    """A wave that is planned has those, and only those, that wait for it."""
    tasks = dict(town.of_kind("task"))
    for wave_id, wave in town.of_kind("pick_wave"):
        waiting = {task_id for task_id, state in tasks.items() if not is_over(state) and waits_in(state, wave_id)}
        if wave.status == "planned" and waiting != set(wave.tasks):
            raise Broken(f"{wave_id} has {wave.tasks}, and {waiting} wait for it")
        held_back = [task_id for task_id in wave.tasks if open_wait(tasks[task_id].waiting, wave_id) is not None]
        if wave.status == "released" and held_back:
            raise Broken(f"{wave_id} is released, and {held_back} still wait for it")


def who_is_silent_keeps_what_they_have(town: Town) -> None:
    """And nothing else, but what waits for a proof: what they had not picked up has gone to others."""
    kept = {step.aggregate_id for step, _ in town.refused if step.purpose == "take-away"}
    for rider_id, rider in town.of_kind("rider"):
        if rider.silence is None or rider.shift.break_since is not None:
            continue
        for task_id, r in rider.reservations.items():
            if r.active and r.activated_at <= rider.silence.since and task_id not in kept:
                raise Broken(
                    f"nothing is heard of {rider_id} since {rider.silence.since}, and {task_id} waits for them"
                )


def riders_know_their_vehicles(town: Town) -> None:
    for rider_id, rider in town.of_kind("rider"):
        theirs = {
            vehicle_id: fitness_of(state)
            for vehicle_id, state in town.of_kind("vehicle")
            if getattr(state, "rider_id", None) == rider_id
        }
        known = {vehicle_id: vehicle.fitness for vehicle_id, vehicle in rider.vehicles.items()}
        if known != theirs:
            raise Broken(f"{rider_id} goes by {known}, and has {theirs}")


ONCE_QUIET = (
    nothing_waits_in_vain,
    waves_have_their_tasks,
    riders_know_their_vehicles,
    nothing_is_due_for_ever,
    over_is_over,
    no_window_is_forgotten,
    what_is_offered_may_be_won,
    riders_and_tasks_agree,
    the_way_ahead_tells_what_is_aboard,
    tasks_and_bookings_agree,
    plans_are_settled,
    who_is_silent_keeps_what_they_have,
)


@pytest.mark.timeout(600)
def test_whatever_is_done_in_whatever_order_what_must_hold_holds():
    STEPS_TAKEN.clear()
    run_state_machine_as_test(
        DomainMachine,
        settings=settings(
            max_examples=TOWNS,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            derandomize=True,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert STEPS_TAKEN.total() >= AT_LEAST


# It can fail


def searched() -> None:
    """Town by town, the same whatever else is loaded: hypothesis draws among what it finds in modules, too."""
    for seed in range(TOWNS_TO_FIND):
        draw, machine = Random(seed), DomainMachine()
        machine.a_town()
        for _ in range(STEPS):
            machine.it_happens(what=draw.choice(HAPPENS), seed=draw.randrange(2**24))
        machine.teardown()


def carries_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rider_reservations, "peak_load", lambda loads: NOTHING)


def only_weight_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def weighed(loads: Iterable[Load]) -> Load:
        return Load(weight_g=peak_load(loads).weight_g)

    monkeypatch.setattr(rider_reservations, "peak_load", weighed)


def wins_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tender that is won is not over: the next claim wins too."""

    def award(known: tender.Tender, command: AwardTender) -> list[TenderEvent]:
        offer = known.pending.get(command.offer_id) if isinstance(known, Open) else None
        return [OfferAccepted(offer_id=command.offer_id, rider_id=offer.rider_id)] if offer else []

    monkeypatch.setattr(tender, "award_tender", award)


def lost_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not won hears nothing."""
    award = tender.award_tender

    def awarded(known: tender.Tender, command: AwardTender) -> list[TenderEvent]:
        return [event for event in award(known, command) if not isinstance(event, OfferLost)]

    monkeypatch.setattr(tender, "award_tender", awarded)


def assigned_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def assign(known: CreatedTask, command: AssignTask, context: Context) -> list[TaskEvent]:
        if known.ended or not known.round or known.rider_id == command.rider_id:
            return []
        return [TaskAssigned(rider_id=command.rider_id, round=known.round, tender_id=None, offer_id=None)]

    monkeypatch.setattr(task, "assign_task", assign)


def goods_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "carried", lambda known: [])


def completed_without_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(field_reports, "proof_holds", lambda *anything: True)


async def nothing(event: Any, source: Any) -> list[Any]:
    return []


def never_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rider is not through with what is over."""
    monkeypatch.setattr(itinerary, "task_over", nothing)


def left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tender whose task was cancelled."""
    monkeypatch.setattr(tendering, "withdraw_tender", nothing)


def half_a_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is reserved for a bundle has its first task alone."""
    told = rider_reservations.reserved
    monkeypatch.setattr(rider_reservations, "reserved", lambda *anything: told(*anything)[:1])


def forgotten_in_a_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the first task of what comes to nothing."""
    told = tendering.close_tender

    async def first(event: Any, source: Any) -> Any:
        return (await told(event, source))[:1]

    monkeypatch.setattr(tendering, "close_tender", first)


def drives_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rider_reservations, "fit_for", lambda vehicles, *of: (vehicles, None))


def never_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Riders hear nothing of their vehicles."""
    monkeypatch.setattr(processes, "VEHICLE_FITNESS", ())


def waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of a silent rider stays with them."""
    monkeypatch.setattr(rider_silence, "requested", lambda *anything: [])


def clock_runs_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of offers that were withdrawn."""
    over = tuple(cls for cls in deadlines.OFFER_OVER if cls is not OfferWithdrawn)
    monkeypatch.setattr(deadlines, "OFFER_OVER", over)
    monkeypatch.setattr(deadlines, "CLAIM_OVER", tuple(cls for cls in deadlines.CLAIM_OVER if cls in over))


def life_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    moves = {**AGGREGATES["rider"].life.moves, RiderReserved: frozenset()}
    life = replace(AGGREGATES["rider"].life, moves=moves)
    monkeypatch.setitem(AGGREGATES, "rider", replace(AGGREGATES["rider"], life=life))


def waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_timing, "kept_back", lambda known: known.held is not None)


def nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the end of what they wait for."""
    monkeypatch.setattr(task, "with_answers", lambda known, events: events)


def leaves_no_wave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pick_wave, "leave", lambda known, command: [])


def too_late_is_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who finds a window closed joins no other. Once a tenant sets rules it goes by long ones, which are
    full with one task."""
    monkeypatch.setattr(windows, "MOST_WINDOW_TASKS", 1)
    by_windows = TenantRules(dispatch=DispatchRules(batch=BatchRules(window_seconds=600)))
    monkeypatch.setattr(asked_of_the_directory, "some_rules", lambda draw: by_windows)
    monkeypatch.setattr(windowing, "join_later", lambda *anything: [])


def decided_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def decide(window: windows.Window, command: DecideWindow) -> list[WindowEvent]:
        return decide_once(replace(window, how="closed"), command) if isinstance(window, windows.Over) else []

    decide_once = windows.decide_once
    monkeypatch.setattr(windows, "decide_once", decide)


def never_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan does not hear of what its riders have."""
    monkeypatch.setattr(
        committing,
        "settling",
        lambda plan_id, task_id, code: release("ann", Bundled(task_id=task_id, round=0), "nothing", "release"),
    )


def planned_and_reserved_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has it is not asked to let it go."""
    monkeypatch.setattr(task, "assign_by_plan", assigned_over)


def assigned_over(known: CreatedTask, command: AssignByPlan, context: Context) -> list[TaskEvent]:
    if known.ended or known.rider_id == command.rider_id or known.waits:
        return []
    return [TaskAssigned(rider_id=command.rider_id, round=known.round, tender_id=None, offer_id=None)]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("breaks", "found"),
    [
        (carries_anything, "is to carry"),
        (only_weight_counts, "is to carry"),
        (wins_and_goes_on, "is won by offer|does not have|which is over|from nothing"),
        (lost_in_silence, "nobody was told what became|is still due|from nothing"),
        (assigned_again, "leads from|still has it|which is over|from nothing|nobody says what came"),
        (goods_forgotten, "has the task"),
        (completed_without_proof, "is completed without"),
        (never_let_go, "which is over|on the way for|from nothing"),
        (left_open, "is open, and its task"),
        (half_a_bundle, "of a bundle"),
        (forgotten_in_a_bundle, "is offered by"),
        (waited_for, "waits for them"),
        (drives_anything, "nothing that may drive"),
        (never_told, "goes by"),
        (clock_runs_on, "is still due"),
        (life_says_nothing, "RiderReserved"),
        (waits_for_nothing, "comes to dispatch before|leads from dispatchable"),
        (nobody_is_told, "waits in vain|wait for it|ask_for_dependency"),
        (leaves_no_wave, "wait for it"),
        (never_settled, "nobody says what came"),
        (planned_and_reserved_for_nobody, "leads from|still has it|says so|from nothing|nobody says what came"),
        (too_late_is_too_late, "waits for no window"),
        (decided_again, "WindowDecided of"),
    ],
)
def test_with_a_rule_broken_it_is_found(
    breaks: Callable[[pytest.MonkeyPatch], None], found: str, monkeypatch: pytest.MonkeyPatch
):
    breaks(monkeypatch)
    with pytest.raises(Broken, match=found):
        searched()
