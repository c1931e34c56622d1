"""Lives lived at random: what may be asked of each kind of aggregate, asked in any order, again and again."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Any, NamedTuple, get_args

from msgspec.structs import replace
from story import CENTRE, KAMPPI, NOON, NORTH, POSTI, SAME_DAY, context, policy_of

from commands.aggregates import AGGREGATES
from commands.carrier_way import MOVES
from commands.life import NEW, Move
from commands.task_state import CreatedTask
from schemas import carried as a
from schemas import carrier as c
from schemas import carrier_booking as b
from schemas import directory as d
from schemas import fleet as e
from schemas import goods as k
from schemas import hand_over as y
from schemas import hub as h
from schemas import incident as i
from schemas import person as n
from schemas import pick_wave as j
from schemas import proof as f
from schemas import recurrence as w
from schemas import registries as g
from schemas import rider as r
from schemas import sla as q
from schemas import sla_policy as p
from schemas import task as t
from schemas import template as m
from schemas import tender as o
from schemas import vehicle as v
from schemas import waiting as x
from schemas.geo import Location, Window
from schemas.hours import HoursLimits
from schemas.ids import conflict_id, proof_id
from schemas.load import Capacity
from schemas.message import (
    CarrierBookingId,
    Command,
    DeviceId,
    DocumentId,
    Event,
    MaintenanceId,
    OfferId,
    ParcelId,
    Refused,
    RiderId,
    Role,
    ShiftId,
    StopId,
    TaskId,
    TenderId,
    VehicleId,
)
from schemas.money import Money
from schemas.place_contact import NewPlaceContact
from schemas.simulation import SimulatedOutcome, Simulation
from schemas.vehicle_fitness import VehicleFitness

ASKED_THERE = [NewPlaceContact(duty="desk", name="Dee"), NewPlaceContact(duty="gate", name="Gil")]
STEPS = 40_000
BEGINNINGS = 0.05
"""Of the steps: lives that differ from their creation on."""
BESIDES = 0.05
"""Of the steps."""
KEPT = 40
"""States of one kind to go on from."""
RULES = d.TenantRules(hours_rules="custom", custom_hours=HoursLimits(duty_before_break_minutes=60, rest_minutes=60))
"""So that hours run out within a life."""
HOME = Location(lat=60.161, lon=24.942)
STOPS = [StopId("stop-1"), StopId("stop-2"), StopId("hold-1"), StopId("again-1"), StopId("return-1")]
PARCELS = [ParcelId("parcel-1"), ParcelId("parcel-2")]
FURTHER = StopId("stop-3")
AWAITED = ["task-9", "wave-9"]
ASIDE = (
    q.SlaClockPaused,
    q.SlaClockResumed,
    x.DependentAdded,
    x.CircleLookedFor,
    x.DependentsAnswered,
    x.DependencyDropped,
)
REPORTED = [*STOPS[:2] * 3, FURTHER, *STOPS[2:]]
REASONS = ["refused", "nobody_there", "moved", "spoilt", "no_way_in"]
RANG = t.ContactAttempt(channel="doorbell", attempted_at=NOON)
FAILURES = (
    g.FailureReason(code="refused", title="No", at_fault="recipient", retryable=False),
    g.FailureReason(code="nobody_there", title="No", at_fault="recipient", retryable=False, after="hold_at_hub"),
    g.FailureReason(code="moved", title="No", at_fault="recipient", retryable=False, after="hold_at_hub"),
    g.FailureReason(code="spoilt", title="No", at_fault="rider", retryable=False, after="dispose"),
    g.FailureReason(code="no_way_in", title="No", at_fault="recipient", after="leave_at_door"),
)
PROMISES: Any = ["dispatch", "pickup", "deliver"]
PAUSES = ["stock", "nobody_there"]
SLA = policy_of(
    p.SlaTerms(dispatch_within_s=60, pickup_within_s=60, deliver_within_s=60, at_risk_margin_s=0, pauses=PAUSES)
)
TARGETS = [NOON + timedelta(minutes=count + 1) for count in (0, 1, 5, 30)]
LATE = NOON + timedelta(days=1)
SCAN = f.ScanEntry(parcel_id=PARCELS[0], code="A1")
TENDERS = [TenderId("tender-1"), TenderId("tender-2")]
ACTIONS: Any = ["suspend_rider", "ground_vehicle", "hand_over_tasks"]

type Draws = Callable[[Random, Any], Command]
"""Draws a command, the time at hand."""
type Repertoire = list[tuple[Draws, str, Role]]
"""With who sends it; the first is what creates."""


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
        door = t.NewStop(kind="dropoff", location=HOME, required_proof=[["pin"]])
        made = t.CreateTask(
            kind="delivery",
            outlet="kamppi",
            stops=[t.NewStop(kind="pickup"), door],
            parcels=[t.NewParcel()],
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
    door = t.NewStop(kind="dropoff", location=HOME)
    made = t.CreateTask(
        kind="delivery", outlet="kamppi", stops=[t.NewStop(kind="pickup"), door], depends_on=AWAITED[:1]
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


# What may be asked


def some[T](draw: Random, of: list[T]) -> list[T]:
    return draw.sample(of, draw.randint(0, len(of)))


def new_task(draw: Random, now: Any) -> t.CreateTask:
    made = new_delivery(draw, now)
    match draw.choice(("delivery", "transfer", "return", "collection")):
        case "transfer":
            proof = made.stops[1].required_proof
            stops = [made.stops[0], t.NewStop(kind="dropoff", outlet="kallio", required_proof=proof)]
            return replace(made, kind="transfer", stops=stops)
        case "return":
            proof = made.stops[1].required_proof
            stops = [replace(made.stops[0], location=HOME), t.NewStop(kind="dropoff", required_proof=proof)]
            return replace(made, kind="return", stops=stops, authorisation=draw.choice((None, "R-1")))
        case "collection":
            stops = [replace(made.stops[1], kind="collection", after=[])]
            return replace(made, kind="collection", stops=stops, on_hold=False, depends_on=[], pick_wave=None)
        case _:
            return to_two_doors(made) if made.parcels and draw.random() < 0.5 else made


def to_two_doors(made: t.CreateTask) -> t.CreateTask:
    first, second = made.parcels
    parcels = [replace(first, dropoff_stop=STOPS[1]), replace(second, dropoff_stop=FURTHER)]
    door = replace(made.stops[1], required_proof=[], minimum_age=None)
    return replace(made, stops=[made.stops[0], door, door], parcels=parcels)


def new_delivery(draw: Random, now: Any) -> t.CreateTask:
    ready = draw.choice((None, None, now + timedelta(hours=2)))
    where = draw.choice((HOME, None))
    proof: Any = draw.choice(([], [["pin"]], [["photo"]]))
    age: Any = draw.choice((None, None, 18))
    after: Any = draw.choice(([], [], STOPS[:1]))
    dropoff = t.NewStop(
        kind="dropoff", location=where, postal_code="FI-00150", required_proof=proof, minimum_age=age, after=after
    )
    parcels = [t.NewParcel(barcode="A1"), t.NewParcel()] if draw.random() < 0.7 else []
    back: Any = draw.choice(([], [["photo"]]))
    return t.CreateTask(
        kind="delivery",
        outlet="kamppi",
        stops=[
            t.NewStop(kind="pickup", goods_ready_at=ready, required_proof=draw.choice(([], [["photo"]], [["photo"]]))),
            dropoff,
        ],
        parcels=parcels,
        return_proof=back,
        on_hold=draw.random() < 0.1,
        depends_on=AWAITED[:1] if draw.random() < 0.06 else [],
        pick_wave=AWAITED[1] if draw.random() < 0.06 else None,
    )


def report(cls: Any, **fields: Any) -> Draws:
    def draws(draw: Random, now: Any) -> Command:
        drawn = {name: value(draw, now) if callable(value) else value for name, value in fields.items()}
        return cls(stop_id=draw.choice(REPORTED), observed_at=now, **drawn)

    return draws


def fix(draw: Random, now: Any) -> t.ObservedFix:
    place = draw.choice((KAMPPI, HOME))
    return t.ObservedFix(lat=place.lat, lon=place.lon, accuracy_m=10.0, observed_at=now)


def drawn_proof(draw: Random) -> f.AnyProof:
    kinds: list[f.AnyProof] = [
        *[f.PhotoEntry(sha256="ab" * 32)] * 3,
        f.ScanEntry(parcel_id=draw.choice(PARCELS), code=draw.choice(("A1", "B2"))),
        f.IdCheckEntry(result="pass", age_band=draw.choice(("16_to_17", "18_to_19"))),
        f.PinEntry(pin="0000"),
    ]
    return draw.choice(kinds)


def rejecting(draw: Random, now: Any) -> t.RejectProof:
    """The first proof of a command: every command here has the same id."""
    return t.RejectProof(stop_id=draw.choice(STOPS), proof_id=proof_id("c-1", 0), reason_code="blurred")


def receiving(draw: Random, now: Any) -> k.ReceiveTransfer:
    lines = [k.ReceivedLine(parcel_id=draw.choice(PARCELS), received=draw.randint(0, 2))]
    return k.ReceiveTransfer(stop_id=STOPS[1], lines=lines)


def inspecting(draw: Random, now: Any) -> k.InspectReturn:
    found: Any = draw.choice(("restock", "dispose"))
    line = k.InspectedLine(parcel_id=draw.choice(PARCELS), quantity=1, condition="used", disposition=found)
    return k.InspectReturn(lines=[line])


def always(command: Command) -> Draws:
    return lambda draw, now: command


TASK: Repertoire = [
    (new_task, "shop", "integrator"),
    (lambda draw, now: t.LocateStop(stop_id=STOPS[1], location=draw.choice((HOME, KAMPPI))), "shop", "integrator"),
    (always(t.AuthoriseReturn(authorisation="R-2")), "shop", "integrator"),
    (
        lambda draw, now: t.UpdateGoodsReady(
            stop_id=STOPS[0], ready_at=now + timedelta(minutes=draw.choice((0, 30, 90))), actual=draw.random() < 0.3
        ),
        "shop",
        "integrator",
    ),
    (
        lambda draw, now: t.RescheduleStop(
            stop_id=draw.choice(STOPS),
            window=Window(start=now + timedelta(hours=draw.randint(0, 3)), end=now + timedelta(hours=4)),
            reason_code="asked",
        ),
        "shop",
        "integrator",
    ),
    (always(t.HoldTask(reason_code="stock")), "dora", "dispatcher"),
    (always(t.ReleaseTask(reason_code="stock")), "dora", "dispatcher"),
    (lambda draw, now: x.AddDependent(task_id=TaskId(draw.choice(("task-7", "task-8")))), "dispatch", "system"),
    (
        lambda draw, now: x.AnswerDependency(
            on=draw.choice(AWAITED), reason_code=draw.choice((None, None, "task_failed"))
        ),
        "dispatch",
        "system",
    ),
    (
        lambda draw, now: x.FollowPickWave(
            pick_wave=AWAITED[1], revision=draw.randint(1, 3), ready_at=now, released=draw.random() < 0.5
        ),
        "dispatch",
        "system",
    ),
    (lambda draw, now: x.WaiveDependency(on=draw.choice(AWAITED), reason_code="found"), "dora", "dispatcher"),
    (always(t.StartDispatch()), "deadlines", "system"),
    (report(t.ReportCustomerOnTheWay), "shop", "integrator"),
    (report(t.ReportCustomerArrived), "shop", "integrator"),
    (report(t.ReportCollected, refused=lambda draw, now: some(draw, PARCELS)), "shop", "integrator"),
    (report(t.ReportCollected), "shop", "integrator"),
    (report(t.ReportCollected, short=PARCELS), "shop", "integrator"),
    *[
        (report(t.ReportCollected, proofs=[given]), "shop", "integrator")
        for given in (f.PinEntry(pin="0000"), f.PhotoEntry(sha256="ab" * 32))
    ],
    (
        lambda draw, now: k.ReportParcelsLost(
            parcel_ids=draw.choice((PARCELS, PARCELS[:1])), reason_code="theft", observed_at=now
        ),
        "dora",
        "dispatcher",
    ),
    (
        lambda draw, now: k.ReportParcelsDamaged(parcel_ids=PARCELS[:1], reason_code="wet", observed_at=now),
        "dora",
        "dispatcher",
    ),
    (always(y.OfferHandOver(to_rider=RiderId("bob"), place=HOME, reason_code="late")), "ann", "rider"),
    (always(y.OfferHandOver(to_rider=RiderId("ann"), place=HOME, reason_code="late")), "dora", "dispatcher"),
    *[(lambda draw, now: y.AcceptHandOver(observed_at=now, scans=[SCAN]), who, "rider") for who in ("ann", "bob")],
    (always(y.DeclineHandOver(reason_code="far")), "bob", "rider"),
    (always(y.WithdrawHandOver(reason_code="found")), "dora", "dispatcher"),
    (lambda draw, now: y.ExpireHandOver(round=draw.randint(2, 3)), "deadlines", "system"),
    (always(y.RefuseHandOver(to_rider=RiderId("bob"), reason_code="full")), "dispatch", "system"),
    *[(receiving, "shop", "integrator"), (inspecting, "shop", "integrator")] * 3,
    *(
        (lambda draw, now, n=n: t.RecordTender(tender_id=TENDERS[n], round=draw.randint(1, 3)), "dispatch", "system")
        for n in (0, 1)
    ),
    (
        lambda draw, now: t.CloseTender(
            tender_id=draw.choice(TENDERS), round=draw.randint(1, 3), outcome=draw.choice(("exhausted", "withdrawn"))
        ),
        "dispatch",
        "system",
    ),
    (lambda draw, now: t.RetryDispatch(round=draw.randint(1, 3)), "deadlines", "system"),
    *[(lambda draw, now: t.AssignTask(rider_id=RiderId("ann")), "dora", "dispatcher")] * 2,
    (
        lambda draw, now: t.AssignTask(rider_id=RiderId("ann"), tender_id=TENDERS[0], offer_id=OfferId("o")),
        "dispatch",
        "system",
    ),
    (always(t.AcceptAssignment()), "ann", "rider"),
    (always(t.DeclineAssignment(reason_code="too_far")), "ann", "rider"),
    (always(t.UnassignTask(reason_code="late")), "dora", "dispatcher"),
    (always(t.CancelTask(reason_code="changed_mind")), "shop", "integrator"),
    (always(t.ForceCompleteTask(disposition="lost", reason_code="stuck")), "olga", "operator"),
    (report(t.ReportEnRoute), "ann", "rider"),
    (report(t.ReportArrived, fix=fix), "ann", "rider"),
    *[(report(t.ReportPickedUp, short=lambda draw, now: some(draw, PARCELS)), "ann", "rider")] * 2,
    *[(report(t.ReportDelivered, refused=lambda draw, now: some(draw, PARCELS)), "ann", "rider")] * 2,
    (report(t.ReportPickedUp), "ann", "rider"),
    (report(t.ReportDelivered), "ann", "rider"),
    (report(t.ReportDelivered, proofs=[f.PinEntry(pin="0000")]), "ann", "rider"),
    (report(t.ReportAttemptFailed, reason_code=lambda draw, now: draw.choice(REASONS)), "ann", "rider"),
    (report(t.ReportAttemptFailed, reason_code="nobody_there"), "ann", "rider"),
    (report(t.ReportContactAttempt, contact=RANG), "ann", "rider"),
    (report(t.ReportHeld), "ann", "rider"),
    (always(t.ReattemptDelivery(reason_code="asked")), "dora", "dispatcher"),
    (
        lambda draw, now: t.ReattemptDelivery(
            reason_code="asked", window=Window(start=now + timedelta(hours=9), end=now + timedelta(hours=10))
        ),
        "dora",
        "dispatcher",
    ),
    *[(report(t.ReportReturned), "ann", "rider")] * 3,
    (report(t.CaptureProof, proofs=lambda draw, now: [drawn_proof(draw)]), "ann", "rider"),
    *[(rejecting, "dora", "dispatcher")] * 3,
    (always(t.SettleProofDispute(decision_code="as_it_was")), "dora", "dispatcher"),
    (
        lambda draw, now: q.MarkSlaAtRisk(
            promise=draw.choice(PROMISES), target_at=draw.choice(TARGETS), predicted_at=draw.choice((None, LATE))
        ),
        "deadlines",
        "system",
    ),
    *[
        (
            lambda draw, now: q.MarkSlaBreach(
                promise=draw.choice(PROMISES), target_at=draw.choice(TARGETS), level=draw.choice((0, 0, 1))
            ),
            "deadlines",
            "system",
        )
    ]
    * 2,
    (always(t.ReviewFieldReport(conflict_id=conflict_id("c-1"), decision_code="as_it_was")), "dora", "dispatcher"),
]
INCIDENT: Repertoire = [
    (
        lambda draw, now: i.ReportIncident(
            kind=draw.choice(("accident", "loss")),
            description="!",
            links=some(draw, [LINK, OF_TASK]),
            evidence=some(draw, [SHOT]),
        ),
        "ann",
        "rider",
    ),
    (lambda draw, now: i.AssignIncident(assignee=draw.choice(("dora", "dirk"))), "dora", "dispatcher"),
    (always(i.CommentIncident(comment="…")), "dora", "dispatcher"),
    (
        lambda draw, now: i.AttachEvidence(evidence=[i.NewEvidence(sha256=f"{draw.randrange(9)}" * 64)]),
        "dora",
        "dispatcher",
    ),
    (lambda draw, now: i.LinkIncident(link=LINK), "dora", "dispatcher"),
    (lambda draw, now: i.UnlinkIncident(link=LINK, reason_code="wrong"), "dora", "dispatcher"),
    (
        lambda draw, now: i.ChangeIncidentSeverity(severity=draw.choice(("low", "high")), reason_code="x"),
        "dora",
        "dispatcher",
    ),
    (lambda draw, now: i.TakeIncidentAction(action=draw.choice(ACTIONS)), "dora", "dispatcher"),
    (
        lambda draw, now: i.StateClaimValue(
            claim_value=Money(amount_minor=draw.randrange(9), currency="EUR"), reason_code="x"
        ),
        "shop",
        "integrator",
    ),
    (lambda draw, now: i.NoteActionRefused(action="suspend_rider", link=LINK, rule="x"), "dispatch", "system"),
    (lambda draw, now: i.NoteActionRefused(action="write_off_parcels", link=OF_TASK, rule="x"), "dispatch", "system"),
    (always(i.EscalateIncident(reason_code="press")), "dora", "dispatcher"),
    (lambda draw, now: i.EscalateUnattended(level=draw.randint(1, 3)), "deadlines", "system"),
    (
        lambda draw, now: i.ResolveIncident(
            resolution_code="well", waived=[*ACTIONS, "write_off_parcels", "state_claim_value"], lost=some(draw, [GONE])
        ),
        "dora",
        "dispatcher",
    ),
    (always(i.ReopenIncident(reason_code="worse")), "dora", "dispatcher"),
    (
        always(i.SealIncident(timeline=i.SealedTimeline(merkle_root="ab" * 32, records=1, since=NOON, up_to="x"))),
        "olga",
        "operator",
    ),
    (
        lambda draw, now: i.FileAddendum(text="…", evidence=[i.NewEvidence(sha256=f"{draw.randrange(9)}" * 64)]),
        "dora",
        "dispatcher",
    ),
]
LINK = i.IncidentLink(kind="rider", id="ann")
OF_TASK = i.IncidentLink(kind="task", id="task-1")
GONE = i.LostParcels(task_id=TaskId("task-1"), parcel_ids=PARCELS[:1])
SHOT = i.NewEvidence(sha256="0" * 64)
TASKS = [TaskId("task-1"), TaskId("task-2")]
SHIFTS = ["early", "late"]


def planned(draw: Random, task: TaskId) -> list[r.NewPlannedStop]:
    return [
        r.NewPlannedStop(stop_id=STOPS[0], kind="pickup", subject="s", location=KAMPPI),
        r.NewPlannedStop(stop_id=STOPS[1], kind="dropoff", subject="s", location=HOME),
    ]


def recording_fitness(draw: Random, now: Any) -> r.RecordVehicleFitness:
    fitness = VehicleFitness(
        grounded=draw.random() < 0.2,
        inspection_failed=False,
        maintenance_due=False,
        maintenance_due_at=draw.choice((None, now + timedelta(hours=9))),
        capacity=carrying(draw),
        documents=[],
    )
    return r.RecordVehicleFitness(
        vehicle_id=VehicleId(draw.choice(("van", "bike"))),
        number=draw.randint(1, 9),
        fitness=draw.choice((None, None, fitness)),
    )


BACK = r.NewPlannedStop(stop_id=STOPS[4], kind="return", subject="s", location=KAMPPI)
RIDER: Repertoire = [
    (always(r.RegisterRider(name="Ann")), "shop", "integrator"),
    *[(always(r.ApproveRider()), "dora", "dispatcher")] * 2,
    (
        lambda draw, now: r.RejectRider(reason_code="no") if draw.random() < 0.2 else r.ApproveRider(),
        "dora",
        "dispatcher",
    ),
    (always(r.SuspendRider(reason_code="complaint")), "dora", "dispatcher"),
    *[(always(r.ReinstateRider()), "dora", "dispatcher")] * 2,
    (always(r.SubmitDocument(document_id="d1", kind="licence")), "ann", "rider"),
    (
        lambda draw, now: r.VerifyDocument(
            document_id=DocumentId("d1"), valid_from=now, expires_at=now + timedelta(days=1)
        ),
        "dora",
        "dispatcher",
    ),
    (always(r.RejectDocument(document_id=DocumentId("d1"), reason_code="blurred")), "dora", "dispatcher"),
    (
        lambda draw, now: r.ReportComplianceBreach(
            since=now - timedelta(hours=draw.randint(1, 9)), until=now, reason_code="forged", document_id="d1"
        ),
        "dora",
        "dispatcher",
    ),
    (
        lambda draw, now: r.PlanShift(
            shift_id=draw.choice(SHIFTS), starts_at=now, ends_at=now + timedelta(hours=draw.randint(1, 9))
        ),
        "dora",
        "dispatcher",
    ),
    (
        lambda draw, now: r.StartShift(ends_at=now + timedelta(hours=8), shift_id=draw.choice(SHIFTS)),
        "ann",
        "rider",
    ),
    (always(r.StartBreak()), "ann", "rider"),
    (always(r.EndBreak()), "ann", "rider"),
    (lambda draw, now: r.WarnHoursLimit(shift_id=ShiftId(draw.choice(SHIFTS))), "deadlines", "system"),
    *[(lambda draw, now: r.RecordRiderSilence(last_heard_at=draw.choice((None, now))), "deadlines", "system")] * 2,
    (lambda draw, now: r.RecordRiderHeard(heard_at=now), "deadlines", "system"),
    (always(r.EndShift()), "ann", "rider"),
    (lambda draw, now: r.CloseHandOver(task_id=draw.choice(TASKS), round=1), "dispatch", "system"),
    *[(lambda draw, now: r.HandOverAllTasks(incident_id=draw.choice(("i-1", "i-2")), number=1), "dispatch", "system")]
    * 2,
    (lambda draw, now: r.ReturnToDispatch(incident_id=draw.choice(("i-1", "i-2")), number=2), "dispatch", "system"),
    (recording_fitness, "dispatch", "system"),
    (always(r.BindDevice(device_id="phone")), "ann", "rider"),
    (always(r.UnbindDevice(device_id=DeviceId("phone"))), "ann", "rider"),
    *[
        (
            lambda draw, now, task=task: r.ReserveRider(
                task_id=task, round=1, hold_until=now + timedelta(hours=2), stops=planned(draw, task)
            ),
            "dispatch",
            "system",
        )
        for task in TASKS
    ],
    (lambda draw, now: r.ActivateReservation(task_id=draw.choice(TASKS), round=1), "dispatch", "system"),
    (
        lambda draw, now: r.ReleaseReservation(task_id=draw.choice(TASKS), round=1, reason_code="x"),
        "dispatch",
        "system",
    ),
    (lambda draw, now: r.ExpireReservation(task_id=draw.choice(TASKS), round=1), "deadlines", "system"),
    (
        lambda draw, now: r.InsertStops(task_id=draw.choice(TASKS), round=1, stops=[BACK]),
        "dispatch",
        "system",
    ),
    (
        lambda draw, now: r.SetRiderSkills(skills=some(draw, ["chilled", "alcohol"])),
        "shop",
        "integrator",
    ),
    (lambda draw, now: r.SetRiderZones(zones=draw.choice(([], [CENTRE], [NORTH, CENTRE]))), "shop", "integrator"),
    (
        lambda draw, now: r.ChangePlannedWindow(
            task_id=draw.choice(TASKS), round=1, stop_id=draw.choice(STOPS[:2]), window=Window(start=NOON, end=LATE)
        ),
        "dispatch",
        "system",
    ),
    (
        lambda draw, now: r.ResequenceItinerary(
            itinerary_version=draw.randint(1, 2),
            order=[r.StopRef(task_id=task, stop_id=stop) for task in some(draw, TASKS) for stop in STOPS[:2]],
            reason_code="closes_soon",
        ),
        "dora",
        "dispatcher",
    ),
    (
        lambda draw, now: r.RemoveStops(
            task_id=draw.choice(TASKS), round=1, reason_code="x", stop_ids=draw.choice((None, STOPS[:1]))
        ),
        "dispatch",
        "system",
    ),
]
DUE = MaintenanceId("m1")


def planning(draw: Random, now: Any) -> v.PlanVehicleMaintenance:
    due_km = draw.choice((None, draw.randrange(300)))
    due_at = now + timedelta(minutes=draw.randrange(90)) if due_km is None or draw.random() < 0.5 else None
    return v.PlanVehicleMaintenance(maintenance_id=DUE, kind="service", due_at=due_at, due_km=due_km)


def inspecting(draw: Random, now: Any) -> v.ReportVehicleInspection:
    defects = draw.choice(([], [v.Defect(code="brake", severity="major")]))
    return v.ReportVehicleInspection(inspection_id=f"i{draw.randrange(99)}", observed_at=now, defects=defects)


def carrying(draw: Random) -> Capacity:
    return Capacity(weight_g=draw.randint(1, 9), volume_cm3=1, parcels=1)


VEHICLE: Repertoire = [
    (lambda draw, now: v.RegisterVehicle(kind="van", capacity=carrying(draw)), "shop", "integrator"),
    (lambda draw, now: v.ChangeVehicleOutfit(capacity=carrying(draw)), "shop", "integrator"),
    (always(v.SubmitVehicleDocument(document_id="d1", kind="roadworthiness")), "shop", "integrator"),
    (
        lambda draw, now: v.VerifyVehicleDocument(document_id="d1", valid_from=now, expires_at=now + timedelta(days=1)),
        "dora",
        "dispatcher",
    ),
    (always(v.RejectVehicleDocument(document_id="d1", reason_code="blurred")), "dora", "dispatcher"),
    (always(v.AssignVehicle(rider_id="ann")), "dora", "dispatcher"),
    (always(v.ReleaseVehicle(reason_code="shift_over")), "dora", "dispatcher"),
    (
        lambda draw, now: v.ReportVehicleOdometer(odometer_km=draw.randrange(300), observed_at=now),
        "dora",
        "dispatcher",
    ),
    (inspecting, "dora", "dispatcher"),
    (always(v.GroundVehicle(reason_code="accident")), "dora", "dispatcher"),
    (always(v.ReturnVehicleToService()), "dora", "dispatcher"),
    (planning, "dora", "dispatcher"),
    (always(v.RecordVehicleMaintenanceDue(maintenance_id=DUE)), "deadlines", "system"),
    (always(v.CompleteVehicleMaintenance(maintenance_id=DUE)), "dora", "dispatcher"),
    (always(v.CancelVehicleMaintenance(maintenance_id=DUE, reason_code="x")), "dora", "dispatcher"),
    (always(v.RetireVehicle(reason_code="sold")), "dora", "dispatcher"),
]
FLEET: Repertoire = [
    (lambda draw, now: e.CreateFleet(name="North", outlet=draw.choice((None, "kamppi"))), "shop", "integrator"),
    (lambda draw, now: e.ChangeFleet(name=draw.choice(("North", "South"))), "shop", "integrator"),
    (lambda draw, now: e.AddRiderToFleet(rider_id=draw.choice(("ann", "bob"))), "dora", "dispatcher"),
    (lambda draw, now: e.RemoveRiderFromFleet(rider_id=draw.choice(("ann", "bob"))), "dora", "dispatcher"),
    (lambda draw, now: e.AddVehicleToFleet(vehicle_id=draw.choice(("van", "bike"))), "dora", "dispatcher"),
    (lambda draw, now: e.RemoveVehicleFromFleet(vehicle_id=draw.choice(("van", "bike"))), "dora", "dispatcher"),
    (always(e.RetireFleet(reason_code="merged")), "dora", "dispatcher"),
]
PICK_WAVE: Repertoire = [
    (
        lambda draw, now: j.CreatePickWave(outlet="kamppi", goods_ready_at=now + timedelta(hours=1)),
        "shop",
        "integrator",
    ),
    (
        lambda draw, now: j.RetimePickWave(goods_ready_at=now + timedelta(minutes=draw.randint(1, 90))),
        "shop",
        "integrator",
    ),
    (always(j.ReleasePickWave()), "shop", "integrator"),
    (always(j.CancelPickWave(reason_code="closed")), "shop", "integrator"),
    (lambda draw, now: j.JoinPickWave(task_id=draw.choice(TASKS)), "dispatch", "system"),
    (lambda draw, now: j.LeavePickWave(task_id=draw.choice(TASKS)), "dispatch", "system"),
]
OFFERS = [OfferId("offer-1"), OfferId("offer-2")]


def opening(draw: Random, now: Any) -> o.OpenTender:
    offers = [
        o.PlannedOffer(offer_id=offer, rider_id=RiderId(rider), expires_at=now + timedelta(minutes=10))
        for offer, rider in zip(OFFERS, ("ann", "bob"), strict=True)
    ]
    return o.OpenTender(
        task_id=TASKS[0],
        round=1,
        mode="broadcast",
        candidates=[],
        excluded=[],
        offers=some(draw, offers),
        policy_version=1,
        input_hash="x",
        solver="x",
    )


def of_offer(cls: Any, **more: Any) -> Draws:
    return lambda draw, now: cls(offer_id=draw.choice(OFFERS), **more)


TENDER: Repertoire = [
    (opening, "dispatch", "system"),
    *((of_offer(o.ViewOffer), who, "rider") for who in ("ann", "bob")),
    *((of_offer(o.ClaimOffer), who, "rider") for who in ("ann", "bob")),
    *((of_offer(o.DeclineOffer, reason_code="far"), who, "rider") for who in ("ann", "bob")),
    (of_offer(o.AwardTender), "dispatch", "system"),
    (of_offer(o.RejectClaim, reason_code="busy"), "dispatch", "system"),
    (of_offer(o.ExpireClaim), "deadlines", "system"),
    (of_offer(o.ExpireOffer), "deadlines", "system"),
    (always(o.WithdrawTender(reason_code="cancelled")), "dispatch", "system"),
]
TENANT: Repertoire = [
    (always(d.CreateTenant(tenant="acme", name="Acme", mode="test")), "root", "operator"),
    (lambda draw, now: d.AdvanceTenantClock(seconds=draw.randint(1, 9)), "shop", "integrator"),
    (
        lambda draw, now: d.ChangeTenantRules(rules=d.TenantRules(max_attempts=draw.randint(1, 3))),
        "root",
        "operator",
    ),
]
TENANT += [
    (always(n.ForgetPerson(contact="CUST-1", reason_code="asked")), "shop", "integrator"),
    (lambda draw, now: n.CloseForgetting(number=draw.randint(1, 3)), "forgetting", "system"),
    (lambda draw, now: g.SetFailureReasons(reasons=some(draw, list(g.FAILURE_REASONS))), "root", "operator"),
    (lambda draw, now: g.SetIncidentKinds(kinds=some(draw, list(g.INCIDENT_KINDS))), "root", "operator"),
    (lambda draw, now: g.SetDocumentKinds(kinds=some(draw, list(g.DOCUMENT_KINDS))), "root", "operator"),
]
OUTLET: Repertoire = [
    (
        always(d.CreateOutlet(outlet="kamppi", name="Kamppi", location=KAMPPI, zone="Europe/Helsinki")),
        "shop",
        "integrator",
    ),
    (lambda draw, now: d.MoveOutlet(location=draw.choice((KAMPPI, HOME))), "shop", "integrator"),
    (lambda draw, now: d.SetOutletContacts(contacts=some(draw, ASKED_THERE)), "shop", "integrator"),
]
GEOFENCE: Repertoire = [
    (always(d.CreateGeofence(name="Yard", shape=d.Circle(center=KAMPPI, radius_m=100))), "shop", "integrator"),
    (
        lambda draw, now: d.ChangeGeofence(shape=d.Circle(center=KAMPPI, radius_m=draw.randint(10, 99))),
        "shop",
        "integrator",
    ),
    (always(d.RemoveGeofence()), "shop", "integrator"),
]
HUB: Repertoire = [
    (always(h.CreateHub(hub="pasila", name="Pasila", location=KAMPPI, zone="Europe/Helsinki")), "shop", "integrator"),
    (lambda draw, now: h.MoveHub(location=draw.choice((KAMPPI, HOME))), "shop", "integrator"),
    (lambda draw, now: h.SetHubContacts(contacts=some(draw, ASKED_THERE)), "shop", "integrator"),
    (always(h.CloseHub()), "shop", "integrator"),
    (always(h.ReopenHub()), "shop", "integrator"),
]


def terms(draw: Random) -> p.SlaTerms:
    return p.SlaTerms(deliver_within_s=draw.randint(60, 9_000))


DELIVERIES = p.SlaScope(task_kind="delivery")
"""Another policy is there for every task."""

SLA_POLICY: Repertoire = [
    (lambda draw, now: p.CreateSlaPolicy(name="Quick", applies_to=DELIVERIES, terms=terms(draw)), "root", "operator"),
    (lambda draw, now: p.ChangeSlaPolicy(name="Quick", applies_to=DELIVERIES, terms=terms(draw)), "root", "operator"),
    (always(p.RemoveSlaPolicy()), "root", "operator"),
]
CARRIER: Repertoire = [
    (lambda draw, now: c.RegisterCarrier(name="Posti", terms=agreed(draw)), "shop", "integrator"),
    (lambda draw, now: c.ChangeCarrierDetails(name=draw.choice(("Posti", "Matka"))), "shop", "integrator"),
    (lambda draw, now: c.ChangeCarrierTerms(terms=agreed(draw)), "shop", "integrator"),
    (always(c.ActivateCarrier()), "dora", "dispatcher"),
    (always(c.SuspendCarrier(reason_code="strike")), "dora", "dispatcher"),
    (always(c.ReinstateCarrier()), "dora", "dispatcher"),
    (always(c.EndCarrierContract(reason_code="notice")), "dora", "dispatcher"),
]


def agreed(draw: Random) -> c.CarrierTerms:
    area = c.ServedArea(postal_prefixes=draw.choice(([], ["FI-00"], ["SE"])))
    return c.CarrierTerms(
        service_levels=some(draw, [SAME_DAY]), area=area, currencies=["EUR"], tariff_reference=draw.choice(("a", "b"))
    )


def quoting(draw: Random, now: Any) -> b.QuoteCarrierBooking:
    return b.QuoteCarrierBooking(
        task_id="task-1",
        carrier_id=POSTI,
        service_level="same_day",
        price=Money(amount_minor=900, currency="EUR"),
        estimated_pickup_at=now,
        estimated_dropoff_at=now + timedelta(hours=1),
        expires_at=now + timedelta(minutes=draw.choice((1, 20))),
    )


WORDS: Any = list(get_args(b.CarrierWord))


def saying(draw: Random, now: Any) -> b.RecordCarrierStatus:
    at = now - timedelta(minutes=draw.choice((0, 0, 3)))
    return b.RecordCarrierStatus(status=draw.choice(WORDS), observed_at=at, carrier_event_id=f"e-{draw.randrange(99)}")


def cancelling_carrier(draw: Random, now: Any) -> b.CancelCarrierBooking:
    fee = Money(amount_minor=draw.choice((300, 500)), currency="EUR")
    return b.CancelCarrierBooking(reason_code="changed_mind", fee=draw.choice((None, fee)))


CARRIER_BOOKING: Repertoire = [
    (quoting, "shop", "integrator"),
    *[(always(b.BookCarrier(carrier_reference="P-1")), "shop", "integrator")] * 2,
    (lambda draw, now: b.NameCarrierCourier(name=draw.choice(("Cai", "Kim"))), "shop", "integrator"),
    *[(saying, "shop", "integrator")] * 3,
    *[(always(b.ReviewCarrierStatus(conflict_id=conflict_id("c-1"), decision_code="called")), "dora", "dispatcher")]
    * 2,
    (
        lambda draw, now: b.SettleCarrierBooking(outcome=draw.choice(("delivered", "failed")), reason_code="called"),
        "dora",
        "dispatcher",
    ),
    (cancelling_carrier, "shop", "integrator"),
    (always(b.ExpireCarrierQuote()), "deadlines", "system"),
    (always(b.RefuseCarrierBooking(reason_code="unknown_task")), "carriers", "system"),
    *[(always(b.RecordCarrierSilence()), "deadlines", "system")] * 2,
]
HOURS = [NOON + timedelta(hours=count) for count in range(7)]
LOCALS = [f"2026-03-01T{count + 14:02}:00" for count in range(7)]
"""The same at the outlet."""


def recurring(draw: Random, now: Any) -> w.CreateRecurrence:
    return w.CreateRecurrence(
        outlet="kamppi",
        rule=draw.choice(("FREQ=HOURLY", "FREQ=HOURLY;COUNT=3", "FREQ=HOURLY;BYHOUR=15,16,18")),
        starts_at=NOON,
        task=w.RecurringTask(
            kind="delivery",
            stops=[w.RecurringStop(kind="pickup"), w.RecurringStop(kind="dropoff", location=HOME)],
        ),
        create_ahead_seconds=draw.choice((0, 600, 3_600)),
    )


def answered(draw: Random, now: Any) -> w.RefuseOccurrence:
    place = draw.randrange(7)
    return w.RefuseOccurrence(
        occurrence_at=HOURS[place], local=LOCALS[place], task_id="task-1", rule="hub-closed", reason_code="hub_closed"
    )


RECURRENCE: Repertoire = [
    (recurring, "shop", "integrator"),
    (
        lambda draw, now: w.ChangeRecurrence(rule=draw.choice(("FREQ=HOURLY", "FREQ=HOURLY;INTERVAL=2"))),
        "shop",
        "integrator",
    ),
    (lambda draw, now: w.ChangeRecurrence(create_ahead_seconds=draw.choice((0, 600))), "shop", "integrator"),
    (lambda draw, now: w.SkipOccurrence(local=draw.choice(LOCALS)), "shop", "integrator"),
    (always(w.PauseRecurrence(reason_code="holidays")), "shop", "integrator"),
    (always(w.ResumeRecurrence()), "shop", "integrator"),
    (always(w.EndRecurrence(reason_code="enough")), "shop", "integrator"),
    *[(lambda draw, now: w.CreateOccurrence(occurrence_at=draw.choice(HOURS)), "deadlines", "system")] * 4,
    (answered, "recurring", "system"),
    (
        lambda draw, now: w.ReviewOccurrence(occurrence_at=draw.choice(HOURS), decision_code="seen"),
        "dora",
        "dispatcher",
    ),
]


def cloning(draw: Random, now: Any) -> m.CloneTask:
    return m.CloneTask(
        external_reference=draw.choice(("again", "once-more")), shift_seconds=draw.choice((None, 86_400))
    )


def saying_of_task(draw: Random, now: Any) -> a.RecordCarrierReport:
    says: Any = draw.choice(("picked_up", "picked_up", "delivered", "failed", *MOVES))
    return a.RecordCarrierReport(
        carrier_id=POSTI, booking_id=draw.choice(BOOKINGS), booking_version=next(FACTS), says=says, observed_at=now
    )


def taking(draw: Random, now: Any) -> a.TakeTaskFromCarrier:
    return a.TakeTaskFromCarrier(booking_id=draw.choice(BOOKINGS), reason_code="cancelled")


def giving(draw: Random, now: Any) -> a.AssignTaskToCarrier:
    return a.AssignTaskToCarrier(carrier_id=POSTI, booking_id=draw.choice(BOOKINGS))


BOOKINGS = [CarrierBookingId("booking-1"), CarrierBookingId("booking-2")]
FACTS = count(1)
"""Of bookings: each is told once."""
NOBODYS = a.RecordCarrierReport(
    carrier_id=POSTI, booking_id=CarrierBookingId("booking-3"), booking_version=1, says="failed", observed_at=NOON
)
BESIDE: dict[str, Repertoire] = {
    "task": [
        (cloning, "shop", "integrator"),
        (always(m.RefuseClone(number=1, rule="hub-closed", reason_code="hub_closed")), "cloning", "system"),
        (always(NOBODYS), "carriers", "system"),
        (giving, "carriers", "system"),
        *[(saying_of_task, "carriers", "system"), (taking, "carriers", "system"), (giving, "carriers", "system")] * 2,
        (report(t.CaptureProof, proofs=lambda draw, now: [drawn_proof(draw)]), "dora", "dispatcher"),
        (report(t.ReportReturned), "dora", "dispatcher"),
    ],
    "rider": [
        *[
            (always(r.LockNextStop(itinerary_version=version, reason_code="promised")), "dora", "dispatcher")
            for version in (1, 2, 3)
        ],
        (always(r.UnlockNextStop(reason_code="pressing")), "dora", "dispatcher"),
        (always(r.WarnDocumentExpiry(document_id=DocumentId("d1"))), "deadlines", "system"),
    ],
    "vehicle": [(always(v.WarnVehicleDocumentExpiry(document_id=DocumentId("d1"))), "deadlines", "system")],
}
"""What leads to nothing else: asked one after the other, and the life goes on as if nothing had been."""
REPERTOIRES: dict[str, Repertoire] = {
    "task": TASK,
    "incident": INCIDENT,
    "rider": RIDER,
    "vehicle": VEHICLE,
    "fleet": FLEET,
    "tender": TENDER,
    "pick_wave": PICK_WAVE,
    "carrier_booking": CARRIER_BOOKING,
    "recurrence": RECURRENCE,
    "tenant": TENANT,
    "outlet": OUTLET,
    "hub": HUB,
    "sla_policy": SLA_POLICY,
    "carrier": CARRIER,
    "geofence": GEOFENCE,
}
