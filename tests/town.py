"""A town in memory: aggregates of every kind that decide for real, and the real processes, whose steps come late, in any
order between aggregates, and again."""

import types
from collections import defaultdict
from collections.abc import Coroutine, Generator, Mapping, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any, NamedTuple

import msgspec
from memory_desk import MemoryDesk
from reception import KEK
from story import ACME, CENTRE, KAMPPI, NOON, NORTH, SAME_DAY, SECRETS, UP_NORTH

from commands.aggregates import BY_EVENT
from commands.order import Answer, Order
from commands.policy import Policy
from commands.task_state import OVER, CreatedTask
from commands.tender import Open
from infra.lookups import aboard, load_of
from infra.sending import Sending
from projections.deadlines import DEADLINES, DeadlineRow
from projections.model import Fact, Key
from schemas import carrier as c
from schemas import directory as d
from schemas import ids
from schemas import rider as r
from schemas import tender as o
from schemas import vehicle as v
from schemas.dispatch_rules import TenderStep
from schemas.geo import Location
from schemas.itinerary import Placed, StopRef
from schemas.keyring import Keyring
from schemas.load import Capacity
from schemas.message import Command, Event, Refused, RiderId, Role, Source, StopId, SubjectId, TaskId, TenderId
from schemas.record import Envelope, Stored, envelope_of, event_of, source_of
from streams.deadlines import source_of as source_of_deadline
from streams.deadlines import step_of
from streams.dispatch.choice import with_offers
from streams.dispatch.tendering import KnownTask
from streams.process import Done, NotAllowed, Step
from streams.processes import every_process
from streams.routes import NoRoute, Routed
from streams.routing import chain as routing
from streams.routing.great_circle import straight
from streams.routing.measured import Passed
from streams.routing.provider import Candidate as Found

CAPACITIES_G = {RiderId("ann"): 500, RiderId("bob"): 1_000, RiderId("cyd"): 2_000}
RIDERS = list(CAPACITIES_G)
CARRIERS = ("carrier-1", "carrier-2")
LONG_AGO = timedelta(hours=25)
"""So long ago that a command's id is not remembered any more."""

type Lane = tuple[str, str]
"""A process and an aggregate whose facts it takes, one after the other."""


class Told(NamedTuple):
    """A fact as it came, and what its aggregate was before and is after it."""

    kind: str
    aggregate_id: str
    event: Any
    before: Any
    after: Any
    envelope: Envelope
    stored: Stored


@types.coroutine
def a_while() -> Generator[None]:
    """Anything may happen meanwhile."""
    yield


class Town:
    def __init__(self) -> None:
        self.now = NOON
        self.chance = Random(0)
        """Given anew for each step: what happens follows from the steps."""
        self.policy = Policy()
        self.keyring = Keyring(KEK)
        self.desk = MemoryDesk(self.policy, SECRETS, self.keyring, lambda: self.now)
        self.desk.heard = self._heard
        self.lives: defaultdict[str, list[Any]] = defaultdict(list)
        """Of each aggregate its states, one for each version from none on."""
        self.kinds: dict[str, str] = {}
        self.told: list[Told] = []
        """What came since it was last looked at."""
        self.refused: list[tuple[Step, str]] = []
        """What processes sent, and the rules that said no."""
        self.deadlines: dict[Key, DeadlineRow] = {}
        self._were_due: list[DeadlineRow] = []
        self.heard: dict[RiderId, datetime] = {}
        """Of each rider who has sent a fix, when the latest was."""
        self.whom = self._anybody
        """Who is asked for a task."""
        self.steps: Sequence[TenderStep] = [TenderStep(mode="broadcast", size=50, seconds=600)]
        """How tenders ask: by any of these."""
        self._asked = 0
        self._read: defaultdict[str, int] = defaultdict(int)
        processes = every_process(self, self._decide, self._send, self._forget, self, self)
        self._processes = {process.name: process for process in processes}
        self._facts: defaultdict[Lane, list[tuple[Event, Source]]] = defaultdict(list)
        self._through: defaultdict[Lane, int] = defaultdict(int)
        self._underway: dict[Lane, Coroutine[Any, Any, None]] = {}
        self._sent = Sending(self.desk, "dispatch", lambda position: None)
        self._fired = Sending(self.desk, "deadlines", lambda position: None)
        self._begin()

    def _begin(self) -> None:
        """The tenant and its outlet, riders at work, one with a van of ours, carriers under contract: else most of every story would be this."""
        self.ask("tenant", ids.tenant_id(ACME), d.CreateTenant(tenant=ACME, name="Acme", mode="test"))
        outlet = d.CreateOutlet(outlet="kamppi", name="Kamppi", location=KAMPPI, zone="Europe/Helsinki")
        self.ask("outlet", ids.outlet_id(ACME, "kamppi"), outlet)
        another = d.CreateOutlet(outlet="kallio", name="Kallio", location=KAMPPI, zone="Europe/Helsinki")
        self.ask("outlet", ids.outlet_id(ACME, "kallio"), another)
        for zone, place in ((CENTRE, KAMPPI), (NORTH, UP_NORTH)):
            shape = d.Circle(center=place, radius_m=3_000)
            self.ask("geofence", zone, d.CreateGeofence(name=zone, kind="zone", shape=shape))
        for rider, capacity_g in CAPACITIES_G.items():
            self.ask("rider", rider, r.RegisterRider(name=rider, capacity_g=capacity_g))
            self.ask("rider", rider, r.ApproveRider(), "dora", "dispatcher")
            self._to_work(rider)
        for carrier in CARRIERS:
            terms = c.CarrierTerms(service_levels=[SAME_DAY])
            self.ask("carrier", carrier, c.RegisterCarrier(name=carrier, terms=terms))
            self.ask("carrier", carrier, c.ActivateCarrier(), "dora", "dispatcher")
        carries = Capacity(weight_g=2_000, volume_cm3=800, parcels=4)
        self.ask("vehicle", "vehicle-1", v.RegisterVehicle(kind="van", capacity=carries))
        self.ask("vehicle", "vehicle-1", v.AssignVehicle(rider_id=RIDERS[-1]), "dora", "dispatcher")

    def _to_work(self, rider: RiderId) -> None:
        self.ask("rider", rider, r.StartShift(ends_at=self._now() + timedelta(hours=12)), rider, "rider")

    def state(self, aggregate_id: str) -> Any:
        """None of what nobody has heard of."""
        known = self.lives.get(aggregate_id)
        return known[-1] if known else None

    def of_kind(self, kind: str) -> list[tuple[str, Any]]:
        return [(known, self.lives[known][-1]) for known, its in self.kinds.items() if its == kind]

    # What people do

    def ask(
        self, kind: str, aggregate_id: str, command: Command, actor: str = "shop", role: Role = "integrator"
    ) -> bool:
        """Whether anything came of it."""
        self._asked += 1
        command_id = ids.command_id(aggregate_id, f"asked-{self._asked}")
        order = Order(
            tenant=ACME,
            kind=kind,
            aggregate_id=aggregate_id,
            command=command,
            command_id=command_id,
            request_hash=command_id,
            actor=actor,
            role=role,
            correlation_id=command_id,
        )
        try:
            answer: Answer = at_once(self.desk.submit(order))
        except Refused:
            return False
        return bool(answer.events)

    def time_passes(self) -> None:
        self.now += timedelta(minutes=self.chance.choice((0.5, 1, 5, 10, 30)))

    def much_time_passes(self) -> None:
        """What was answered is not remembered by its command's id, but where it created something. Riders have gone
        home where they could, and come to work again."""
        self.now += LONG_AGO
        for rider in RIDERS:
            self.ask("rider", rider, r.EndShift(), rider, "rider")
            self._to_work(rider)
        for kept in self.desk.kept.values():
            kept.answers = {kept.created_by: kept.answers[kept.created_by]}

    def phones_tell(self) -> None:
        """Where their riders are: one or another has no signal. Mostly that is noticed soon."""
        for rider in self.chance.sample(RIDERS, self.chance.choice((1, 2, 3, 3))):
            self.heard[rider] = self._now()
            if self.chance.random() < 0.7:
                self._look(rider)

    # What the processes do

    def lanes(self) -> list[Lane]:
        """Those in which something waits."""
        return [lane for lane, facts in self._facts.items() if self._through[lane] < len(facts)]

    def processes_go_on(self) -> None:
        """By a few steps, each in any lane."""
        for _ in range(self.chance.choice((1, 1, 2, 4, 8))):
            if lanes := self.lanes():
                self._go_on(self.chance.choice(lanes))

    def _go_on(self, lane: Lane) -> None:
        name, _ = lane
        if lane not in self._underway:
            event, source = self._facts[lane][self._through[lane]]
            self._underway[lane] = self._processes[name].take(event, source)
        try:
            self._underway[lane].send(None)
        except StopIteration:
            del self._underway[lane]
            self._through[lane] += 1

    def a_process_starts_again(self) -> None:
        """It ends within a step, and comes back some facts before where it was: where it was was not yet written."""
        lanes = [lane for lane, through in self._through.items() if through or lane in self._underway]
        if not lanes:
            return
        lane = self.chance.choice(lanes)
        if lane in self._underway:
            self._underway.pop(lane).close()
        self._through[lane] = max(0, self._through[lane] - self.chance.randint(0, 3))

    def starts_from_nothing(self) -> None:
        """All processes, long after everything: with no places, and nobody remembers their commands by their ids."""
        self.much_time_passes()
        self.comes_to_rest()
        for lane in list(self._through):
            self._through[lane] = 0
        self._underway.clear()

    def what_is_due_fires(self) -> None:
        """Late, or although it is settled: the worker may have read it before."""
        due = [row for row in self._were_due if row.due_at <= self._now()]
        if due:
            self._fire(self.chance.choice(due))

    def _fire(self, row: DeadlineRow) -> None:
        deadline = msgspec.structs.asdict(row)
        source = source_of_deadline(deadline, self._now())
        at_once(self._fired(step_of(deadline), source, ACME))

    def silence_is_looked_for(self) -> None:
        """Of anybody, whether or not it is long enough: who looked may know less, or of a while ago."""
        self._look(self.chance.choice(RIDERS))

    def _look(self, rider: RiderId) -> None:
        looked: dict[str, Any] = {"tenant": ACME, "aggregate_id": rider, "partition": 0}
        for kind in ("record_rider_silence", "record_rider_heard"):
            heard_at = self.heard.get(rider)
            if heard_at is None and kind == "record_rider_heard":
                return
            looked |= {"kind": kind, "heard_at": heard_at, "set_by": f"{rider}/{len(self.lives[rider])}"}
            at_once(self._fired(step_of(looked), source_of_deadline(looked, self._now()), ACME))

    def _now(self) -> datetime:
        return self.policy.now(ACME, self.now)

    def comes_to_rest(self) -> None:
        """The processes are through with all facts, and with all that is due; and nobody is silent unnoticed."""
        while True:
            while lanes := self.lanes():
                self._go_on(self.chance.choice(lanes))
            before = len(self.desk.log)
            for row in [row for row in self.deadlines.values() if row.due_at <= self._now()]:
                self._fire(row)
            for rider in RIDERS:
                self._look(rider)
            if len(self.desk.log) == before:
                return

    async def _forget(self, subject: SubjectId) -> None:
        await a_while()
        await self.desk.forget(subject)

    async def _send(self, step: Step, source: Source, tenant: Any) -> Done | NotAllowed:
        await a_while()
        outcome = await self._sent(step, source, tenant)
        if isinstance(outcome, NotAllowed):
            self.refused.append((step, outcome.rule))
        return outcome

    # What they know: what was at the time of the asking fact, or at any time since

    def _as_of(self, aggregate_id: str, version: int) -> Any:
        """A read model is behind, but it never goes back."""
        states = self.lives[aggregate_id]
        self._read[aggregate_id] = self.chance.randint(max(version, self._read[aggregate_id]), len(states) - 1)
        return states[self._read[aggregate_id]]

    async def task(self, tenant: Any, task_id: str, source: Source) -> KnownTask:
        task: CreatedTask = self._as_of(task_id, source.version if source.aggregate_id == task_id else 1)
        stops = [planned for stop_id in task.stops if (planned := planned_stop(task, stop_id)) is not None]
        ahead = [stop for stop in stops if task.stops[stop.stop_id].status not in OVER]
        return KnownTask(
            required_skills=task.required_skills,
            task_id=TaskId(task_id),
            round=task.round,
            stops=stops,
            ahead=ahead,
            aboard=aboard(rows_of(task)),
            meeting=None if task.hand_over is None else KAMPPI,
        )

    async def remembered(self, tenant: Any, place_key: str) -> Location | None:
        await a_while()
        return KAMPPI if self.chance.random() < 0.1 else None

    async def route(self, tenant: Any, places: Sequence[Location]) -> Routed:
        await a_while()
        if self.chance.random() < 0.5:
            raise NoRoute(self.chance.choice(("no_way", "nobody_answers")))
        return Routed(straight(places), "osrm")

    async def geocode(self, tenant: Any, text: str) -> routing.Placed:
        """Somebody knows it, surely or not, or nobody does, or nobody answers."""
        await a_while()
        if self.chance.random() < 0.2:
            return routing.Placed([], None, (Passed("osm", self.chance.choice(("no_way", "silent"))),))
        return routing.Placed([Found(KAMPPI, text, self.chance.choice((0.98, 0.98, 0.5)))], "osm")

    async def rules(self, tenant: Any) -> d.TenantRules:
        known = self.policy.tenant(ACME)
        assert known is not None
        return known.rules

    async def claimed(self, tender: TenderId, offer: Any, source: Source) -> bool:
        known = self._as_of(tender, source.version)
        return isinstance(known, Open) and offer in known.pending and known.pending[offer].claimed

    def _anybody(self) -> Sequence[RiderId]:
        return self.chance.sample(RIDERS, self.chance.choice((0, 1, 2, 3, 3, 3)))

    async def _decide(self, task: KnownTask, task_round: int, source: Source) -> o.OpenTender | None:
        """Asks anybody: whatever it knows of the riders may have changed before they answer."""
        if task.round != task_round or not task.ahead:
            return None
        opening = o.OpenTender(
            task_id=task.task_id,
            round=task_round,
            mode="broadcast",
            candidates=[
                o.Candidate(
                    rider_id=rider, rank=rank, travel_s=1, distance_m=1, source="anybody", placed=self._somewhere(task)
                )
                for rank, rider in enumerate(self.whom(), start=1)
            ],
            excluded=[],
            offers=[],
            policy_version=1,
            input_hash="x",
            solver="anybody",
        )
        step = self.chance.choice(self.steps)
        return with_offers(msgspec.structs.replace(opening, mode=step.mode), step, self._now())

    def _somewhere(self, task: KnownTask) -> list[Placed]:
        """Behind any stop that anybody has ahead, or first; or at the end."""
        known = [stop for _, rider in self.of_kind("rider") for stop in getattr(rider, "itinerary", ())]
        refs = [None, *(StopRef(task_id=stop.task_id, stop_id=stop.stop_id) for stop in known)]
        if not known or self.chance.random() < 0.5:
            return []
        return [Placed(stop_id=stop.stop_id, behind=self.chance.choice(refs)) for stop in task.ahead]

    # What stands on the log

    def _heard(self, stored: Stored) -> None:
        envelope = envelope_of(stored)
        aggregate_id = envelope.aggregate_id
        unseal = self.keyring.unsealer(stored.partition, envelope.tenant, aggregate_id)
        event, source = event_of(stored, unseal), source_of(envelope, stored)
        aggregate = BY_EVENT[type(event)]
        if aggregate_id not in self.kinds:
            self.kinds[aggregate_id] = aggregate.kind
            self.lives[aggregate_id].append(aggregate.initial)
        states = self.lives[aggregate_id]
        states.append(aggregate.evolve(states[-1], event))
        self.told.append(Told(aggregate.kind, aggregate_id, event, states[-2], states[-1], envelope, stored))
        for name, process in self._processes.items():
            if type(event) in process.facts:
                self._facts[name, aggregate_id].append((event, source))
        if type(event) in DEADLINES.events:
            self._fold(Fact(event, source, envelope, stored))

    def _fold(self, fact: Fact) -> None:
        for key in DEADLINES.keys(fact):
            row = DEADLINES.apply(self.deadlines.get(key), fact, key)
            if row is None:
                self.deadlines.pop(key, None)
            else:
                self.deadlines[key] = row
                self._were_due.append(row)


def planned_stop(task: CreatedTask, stop_id: StopId) -> r.NewPlannedStop | None:
    """As the road ahead sees it; None where the place is not known."""
    stop = task.stops[stop_id].stop
    if stop.location is None or stop.location.value is None:
        return None
    return r.NewPlannedStop(
        stop_id=stop_id,
        kind=stop.kind,
        subject=stop.location.subject,
        location=stop.location.value,
        window=stop.window,
        service_seconds=stop.service_seconds,
        load=load_of(stop_id, stop.kind, rows_of(task)),
        after=stop.after,
    )


def rows_of(task: CreatedTask) -> Sequence[Mapping[str, Any]]:
    """Its parcels as the read model has them."""
    parcels = task.parcels.values()
    rows = [{"parcel": each.parcel, "party": each.party, "bound_for": each.bound_for} for each in parcels]
    return [msgspec.to_builtins(row) for row in rows]


def at_once(work: Coroutine[Any, Any, Any]) -> Any:
    """What waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits for something")
