"""A town in memory: aggregates of every kind that decide for real, and the real processes, whose steps come late, in any
order between aggregates, and again."""

import types
from collections import defaultdict
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any, NamedTuple

import msgspec
from memory_desk import MemoryDesk
from reception import KEK
from story import ACME, CENTRE, KAMPPI, NOON, NORTH, SAME_DAY, SECRETS, UP_NORTH

from commands import dispatch_window as w
from commands.aggregates import BY_EVENT
from commands.order import Answer, Order
from commands.plan import Committing, Requested
from commands.planned_task import may_be_planned, planned_round
from commands.policy import Policy
from commands.task_state import OVER, CreatedTask, is_over, is_taken, state_of
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
from schemas.carrier_offer import (
    AcceptCounter,
    CarrierAnswer,
    CarrierCandidate,
    CarrierOfferTerms,
    DeclineCounter,
    RecordCarrierAnswer,
)
from schemas.dispatch_rules import TenderStep
from schemas.dispatch_window import DecideWindow, Given, GivenTask, Left
from schemas.geo import Location
from schemas.itinerary import Bundled, Placed, StopRef
from schemas.keyring import Keyring
from schemas.load import Capacity
from schemas.message import (
    CarrierId,
    Command,
    Event,
    PlanId,
    Refused,
    RiderId,
    Role,
    Source,
    StopId,
    SubjectId,
    TaskId,
    TenderId,
)
from schemas.money import Money
from schemas.plan import PlannedRoute, PlannedVisit, Proposal, ProposePlan, RoutedTask
from schemas.record import Envelope, Stored, envelope_of, event_of, source_of
from schemas.task import TaskDispatchable
from streams.carrier_telling import CarrierMessage
from streams.deadlines import source_of as source_of_deadline
from streams.deadlines import step_of
from streams.dispatch.choice import with_offers
from streams.dispatch.tendering import KnownTask
from streams.dispatch.windows import WindowTenders
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
OFFERED = Money(amount_minor=900, currency="EUR")
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


def is_wanted(task: CreatedTask, chance: Random) -> bool:
    """Mostly what a plan may give."""
    return not is_over(task) and ((may_be_planned(task) and task.simulated is None) or chance.random() < 0.1)


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
        self.by_windows: set[tuple[str, int]] = set()
        """Tasks that were to wait for one, by round."""
        self.deadlines: dict[Key, DeadlineRow] = {}
        self._were_due: list[DeadlineRow] = []
        self.heard: dict[RiderId, datetime] = {}
        """Of each rider who has sent a fix, when the latest was."""
        self.whom = self._anybody
        """Who is asked for a task."""
        self.messages: list[CarrierMessage] = []
        """That carriers are told, and told again where processes start again."""
        self.carriers: Sequence[str] = CARRIERS
        """Those that are asked where a step asks carriers."""
        self.where = self._somewhere
        """Where their stops go."""
        self.steps: Sequence[TenderStep] = [TenderStep(mode="broadcast", size=50, seconds=600)]
        """How tenders ask: by any of these."""
        self.together: Callable[[], int] = lambda: 0
        """How many more tasks are offered along with one, as far as others wait."""
        self.careless = 0.0
        """How often it is one that is offered otherwise already, or gone by then."""
        self._openings: dict[tuple[str, int], o.OpenTender] = {}
        """What was decided in a round of a task: one that was bundled has none of its own."""
        self._asked = 0
        self._read: defaultdict[str, int] = defaultdict(int)
        processes = every_process(
            self,
            self._decide,
            WindowTenders(lambda tenant: self._now()),
            self._send,
            self._forget,
            self._tell,
            self,
            self,
        )
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

    def carrier_answers(self, tender: str, carrier: str, answer: CarrierAnswer = "accept", **more: Any) -> bool:
        """Signed: the door has verified it."""
        self._asked += 1
        more = {"pickup_at": self._now(), "dropoff_at": self._now() + timedelta(hours=1)} | more
        said = RecordCarrierAnswer(
            offer_id=ids.offer_id(TenderId(tender), carrier),
            answer=answer,
            carrier_event_id=f"answer-{self._asked}",
            **more,
        )
        return self.ask("tender", tender, said, carrier, "system")

    def carriers_answer(self) -> None:
        """Whoever was asked, anything; and now and then a dispatcher does to what they ask for."""
        asked = [
            (tender, offer_id, offer)
            for tender, state in self.of_kind("tender")
            if isinstance(state, Open)
            for offer_id, offer in state.pending.items()
            if offer.carrier_id is not None
        ]
        if not asked:
            return
        tender, offer_id, offer = self.chance.choice(asked)
        assert offer.carrier_id is not None
        if offer.answered is not None and self.chance.random() < 0.5:
            agrees = self.chance.random() < 0.5
            command = (
                AcceptCounter(offer_id=offer_id) if agrees else DeclineCounter(offer_id=offer_id, reason_code="no")
            )
            self.ask("tender", tender, command, "dora", "dispatcher")
            return
        answer: CarrierAnswer = self.chance.choice(("accept", "accept", "accept", "counter", "decline"))
        bids = self.state(tender).bidding
        price = Money(amount_minor=self.chance.choice((900, 950, 2_000)), currency="EUR")
        said: dict[str, Any] = {"price": price if bids or answer == "counter" else None}
        self.carrier_answers(tender, offer.carrier_id, answer, **said)

    def somebody_claims(self) -> None:
        """One of those who are asked, by what was last known of the offer."""
        pending = [
            (tender, offer_id, offer, state.bidding)
            for tender, state in self.of_kind("tender")
            if isinstance(state, Open)
            for offer_id, offer in state.pending.items()
            if not offer.claimed and offer.carrier_id is None
        ]
        if pending:
            tender, offer_id, offer, bidding = self.chance.choice(pending)
            bid = Money(amount_minor=self.chance.randint(1, 999), currency="EUR") if bidding else None
            self.ask("tender", tender, o.ClaimOffer(offer_id=offer_id, bid=bid), offer.rider_id, "rider")

    def a_plan_is_made(self) -> None:
        """Of what was asked for, by solvers that know little: some tasks for some riders, in any order."""
        for plan_id, plan in self.of_kind("plan"):
            if isinstance(plan, Requested):
                self.ask("plan", plan_id, ProposePlan(proposal=self.a_proposal()), "planner", "system")
        if self.chance.random() < 0.7:  # mostly they are quick
            for _ in range(20):
                self.processes_go_on()

    def a_proposal(self) -> Proposal:
        tasks = [(TaskId(name), task) for name, task in self.of_kind("task") if is_wanted(task, self.chance)][-6:]
        self.chance.shuffle(tasks)
        routes = [self._route(rider, tasks) for rider in self.chance.sample(RIDERS, self.chance.randint(1, 3))]
        return Proposal(
            decided_at=self._now(),
            policy_version=1,
            solver="anybody",
            version="1",
            seed=0,
            input_hash="x",
            source="anybody",
            seconds_asked=1,
            metres=0,
            driving_seconds=0,
            routes=routes,
        )

    def _route(self, rider: RiderId, tasks: list[tuple[TaskId, CreatedTask]]) -> PlannedRoute:
        """Takes its tasks off what is left."""
        mine = [tasks.pop() for _ in range(self.chance.choice((0, 1, 1, 2))) if tasks]
        ahead = [(stop.task_id, stop.stop_id) for stop in self.state(rider).itinerary]
        new = [(name, stop_id) for name, task in mine for stop_id in task.stops]
        if self.chance.random() < 0.2:
            self.chance.shuffle(new)
        new = [*ahead, *new] if self.chance.random() < 0.7 else [*new, *ahead]
        now = self._now()
        return PlannedRoute(
            rider_id=rider,
            tasks=[
                RoutedTask(task_id=name, round=planned_round(task), from_rider=task.rider_id) for name, task in mine
            ],
            visits=[
                PlannedVisit(
                    task_id=TaskId(name), stop_id=StopId(stop), arrives_at=now, begins_at=now, leaves_at=now, metres=0
                )
                for name, stop in dict.fromkeys(new)
            ],
            starts_at=now,
            ends_at=now,
            metres=0,
        )

    # What the processes do

    def lanes(self) -> list[Lane]:
        """Those in which something waits."""
        return [lane for lane, facts in self._facts.items() if self._through[lane] < len(facts)]

    def processes_go_on(self) -> None:
        """By a few steps, each in any lane."""
        for _ in range(self.chance.choice((1, 1, 2, 4, 8))):
            if lanes := self.lanes():
                self._go_on(self.chance.choice(lanes))

    def goes_on(self, process: str, aggregate_id: str) -> None:
        """One, by a step, with what this aggregate has told."""
        self._go_on((process, aggregate_id))

    def decides(self, task_id: TaskId) -> None:
        """Whom to ask, and nobody has heard of it yet."""
        while not any(task == task_id for task, _ in self._openings):
            self.goes_on("deciding", task_id)

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

    def all_start_again(self) -> None:
        """Each ends within its step, and comes back to the fact before."""
        for coroutine in self._underway.values():
            coroutine.close()
        self._underway.clear()
        for lane, through in self._through.items():
            self._through[lane] = max(0, through - 1)

    def go_on_in_order(self, steps: int) -> None:
        """By so many steps, each in the first lane in which something waits."""
        for _ in range(steps):
            if lanes := self.lanes():
                self._go_on(lanes[0])

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

    def windows_are_decided(self) -> None:
        """One that is closed; or one that was decided on before: who looked may not know that yet."""
        windows = [window for window, state in self.of_kind("window") if isinstance(state, w.Over)]
        if windows:
            self._decide_window(self.chance.choice([*windows[-2:], *self._closed_windows()]))

    def _closed_windows(self) -> list[str]:
        return [known for known, state in self.of_kind("window") if w.status_of(state) == "closed"]

    def _decide_window(self, window: str) -> None:
        """Gives anything to anybody, or leaves it; but not what is known to be settled."""
        given: list[Given] = []
        left: list[Left] = []
        gone: list[TaskId] = []
        for task_id, task_round in self.state(window).rounds.items():
            came = next(v for v, state in enumerate(self.lives[task_id]) if getattr(state, "round", 0) >= task_round)
            task: CreatedTask = self._as_of(task_id, came)
            whom = [*self._anybody(), None]
            if task.round != task_round or state_of(task) != "dispatchable":
                gone.append(task_id)
            elif task.held is not None:
                left.append(Left(task_id=task_id, round=task_round, code="on_hold"))
            elif whom[0] is None:
                left.append(Left(task_id=task_id, round=task_round, code="no_riders"))
            else:
                given = self._with_given(given, self._given(task_id, task_round, whom[0]))
        command = DecideWindow(
            given=given,
            left=left,
            gone=gone,
            riders=len(RIDERS),
            total=0.0,
            by="anybody",
            policy_version=1,
            input_hash="x",
            solver="anybody",
        )
        looked = {"tenant": ACME, "aggregate_id": window, "partition": 0, "kind": "decide_window", "set_by": window}
        step = Step(kind="window", aggregate_id=window, command=command, purpose="decide-window")
        at_once(self._sent(step, source_of_deadline(looked, self._now()), ACME))

    def _given(self, task_id: TaskId, task_round: int, rider: RiderId) -> Given:
        parts = o.ScoreParts(travel_s=1, detour_s=1, lateness_s=0, tasks=0, cost=0, rating_below_5=0)
        task = GivenTask(task_id=task_id, round=task_round, score=1, parts=parts, placed=[])
        ends_at = self._now() + timedelta(hours=1)
        return Given(rider_id=rider, tasks=[task], placed=[], ends_at=ends_at, offer_seconds=600)

    def _with_given(self, given: list[Given], one: Given) -> list[Given]:
        """Together with what the rider gets already, or apart."""
        same = [each for each in given if each.rider_id == one.rider_id and len(each.tasks) < 3]
        if not same or self.chance.random() < 0.3:
            return [*given, one]
        more = msgspec.structs.replace(same[0], tasks=[*same[0].tasks, *one.tasks])
        return [more if each is same[0] else each for each in given]

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

    def decided_for(self, task: TaskId, task_round: int) -> o.OpenTender:
        return self._openings[task, task_round]

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
            for window in self._closed_windows():
                self._decide_window(window)
            if len(self.desk.log) == before:
                return

    async def _tell(self, message: CarrierMessage) -> None:
        self.messages.append(message)

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
        return self._known(task_id, source.version if source.aggregate_id == task_id else 1)

    def _known(self, task_id: str, version: int) -> KnownTask:
        task: CreatedTask = self._as_of(task_id, version)
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
            settled=is_taken(task) or task.ended is not None or task.waits,
            held=task.held is not None and task.tender_id is None,
        )

    async def remembered(self, place_key: str, source: Any) -> Location | None:
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

    async def plan_waits(self, plan: PlanId, of: Any, source: Source) -> bool:
        known = self._as_of(plan, source.version if source.aggregate_id == plan else 1)
        return isinstance(known, Committing) and (of in known.routes or of in known.rider_of)

    def _anybody(self) -> Sequence[RiderId]:
        return self.chance.sample(RIDERS, self.chance.choice((0, 1, 2, 3, 3, 3)))

    async def _decide(self, task: KnownTask, task_round: int, source: Source) -> o.OpenTender | None:
        """Asks anybody: whatever it knows of the riders may have changed before they answer."""
        if task.round != task_round or not task.ahead or task.settled:
            return None
        made = self._openings.get((task.task_id, task_round))
        if made is not None:
            return made if made.task_id == task.task_id else None
        others = self._others(task)
        opening = o.OpenTender(
            task_id=task.task_id,
            round=task_round,
            bundle=[Bundled(task_id=each.task_id, round=each.round) for each in others],
            mode="broadcast",
            candidates=[
                o.Candidate(
                    rider_id=rider,
                    rank=rank,
                    travel_s=1,
                    distance_m=1,
                    source="anybody",
                    placed=self.where([task, *others]),
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
        riders = opening.candidates if step.to != "carriers" or others else []
        carriers = self._of_carriers(step) if step.to != "riders" and not others else []
        bids_in = "EUR" if step.mode == "bid" else None
        opening = msgspec.structs.replace(
            opening, mode=step.mode, candidates=riders, carriers=carriers, bids_in=bids_in
        )
        opening = with_offers(opening, step, self._now())
        for each in (task, *others):
            self._openings.setdefault((each.task_id, each.round), opening)
        return opening

    def _of_carriers(self, step: TenderStep) -> list[CarrierCandidate]:
        """Of a single task."""
        terms = CarrierOfferTerms(
            service_level=SAME_DAY.code, commitment_seconds=SAME_DAY.commitment_seconds, price=OFFERED
        )
        return [
            CarrierCandidate(carrier_id=CarrierId(carrier), rank=rank, terms=terms)
            for rank, carrier in enumerate(self.carriers, start=1)
        ]

    def _others(self, task: KnownTask) -> list[KnownTask]:
        """That wait, too, or seem to."""
        careless = self.chance.random() < self.careless
        waiting = [
            known
            for known, state in self.of_kind("task")
            if known != task.task_id and state_of(state) in ("dispatchable", "offering") and state.script is None
            if careless or (known, state.round) not in self._openings
        ]
        some = self.chance.sample(waiting, min(self.together(), len(waiting)))
        known = [self._known(each, 1 if careless else len(self.lives[each]) - 1) for each in some]
        return [each for each in known if each.round and each.ahead]

    def _somewhere(self, tasks: Sequence[KnownTask]) -> list[Placed]:
        """Behind any stop that anybody has ahead or that goes with it, or first; or at the end."""
        known = [stop for _, rider in self.of_kind("rider") for stop in getattr(rider, "itinerary", ())]
        refs = [None, *(StopRef(task_id=stop.task_id, stop_id=stop.stop_id) for stop in known)]
        if (not known and len(tasks) == 1) or self.chance.random() < 0.5:
            return []
        placed = []
        for task in tasks:
            for stop in task.ahead:
                placed.append(Placed(task_id=task.task_id, stop_id=stop.stop_id, behind=self.chance.choice(refs)))
                refs.append(StopRef(task_id=task.task_id, stop_id=stop.stop_id))
        return placed

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
        if isinstance(event, TaskDispatchable) and event.window_seconds is not None:
            self.by_windows.add((aggregate_id, event.round))
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
