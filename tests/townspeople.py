"""The people of a town: they ask anything at any time, as in a single life, with names of the town in what they ask."""

from datetime import timedelta
from typing import Any

import msgspec
from lived import BESIDE, REPERTOIRES
from msgspec.structs import replace
from story import ACME, SECRETS
from town import RIDERS, Town

from commands import plan
from commands.aggregates import AGGREGATES
from commands.carrier_booking_state import ENDS
from commands.task_state import OVER, CreatedTask, is_over, is_taken
from commands.tender import Open
from schemas import carrier as c
from schemas import carrier_booking as b
from schemas import ids
from schemas import incident as i
from schemas import pick_wave as j
from schemas import plan as w
from schemas import proof as f
from schemas import rider as r
from schemas import task as t
from schemas import tender as o
from schemas.load import Capacity
from schemas.message import Command, Role, StopId, TaskId
from schemas.simulation import Simulation

TASKS_AT_ONCE = 4
BUSY = {"task": 9, "tender": 6, "rider": 4, "carrier_booking": 3, "plan": 2, "incident": 2}
"""How often each kind is asked something; any other once."""
TRIES = 6
SELDOM = (
    t.ForceCompleteTask,
    t.UnassignTask,
    r.SuspendRider,
    r.StartBreak,
    r.EndShift,
    r.ReportComplianceBreach,
    o.DeclineOffer,
    j.ReleasePickWave,
    j.CancelPickWave,
    b.CancelCarrierBooking,
    b.SettleCarrierBooking,
    c.SuspendCarrier,
    c.EndCarrierContract,
    w.RejectPlan,
)
WAITS = 0.25
"""How often a task waits for others, or is in a wave."""
LOST = 0.5
"""How often something of a task is lost when an incident is resolved that is about it."""
SIMULATED = 0.25
"""How often a task is a simulated one."""
WEIGHTS_G = (0, 200, 400, 600, 800)
CARRIED_G = (500, 1_000, 2_000)
VOLUMES_CM3 = (0, 400, 800)
HELD_CM3 = (400, 800, 2_000)
HELD_PARCELS = (1, 3, 5)
TOLD_OF_GOODS: tuple[b.CarrierWord, ...] = ("picked_up", "picked_up", "delivered", "failed")
A_DAY = timedelta(days=1)


class People:
    def __init__(self, town: Town) -> None:
        self._town = town
        self._offer: Any = None
        """That was asked about last."""

    def somebody_asks(self) -> None:
        """For something that is granted, or for a few things in vain."""
        for _ in range(TRIES):
            kind = self._town.chance.choices(list(AGGREGATES), [BUSY.get(kind, 1) for kind in AGGREGATES])[0]
            aggregate_id = self.somewhere(kind)
            if aggregate_id is not None and self._asked_of(kind, aggregate_id):
                return

    def _asked_of(self, kind: str, aggregate_id: str) -> bool:
        aggregate, is_new = AGGREGATES[kind], aggregate_id not in self._town.kinds
        asked = [
            (draws(self._town.chance, self._town.now), actor, role)
            for draws, actor, role in (*REPERTOIRES[kind], *BESIDE.get(kind, ()))
            if role != "system"
        ]
        fitting = [each for each in asked if isinstance(each[0], aggregate.begins) == is_new]
        if not fitting:
            return False
        command, actor, role = self._town.chance.choices(
            fitting, [often(command, role) for command, _, role in fitting]
        )[0]
        command = self._fitting(command, aggregate_id)
        try:
            command = msgspec.json.decode(msgspec.json.encode(command), type=type(command))
        except msgspec.ValidationError:
            return False  # the door would not have let it in
        return self._town.ask(
            kind, aggregate_id, command, self._rider_of(aggregate_id) if role == "rider" else actor, role
        )

    def somewhere(self, kind: str) -> str | None:
        match kind:
            case "tenant":
                return ids.tenant_id(ACME)
            case "outlet":
                return ids.outlet_id(ACME, "kamppi")
            case "hub":
                return ids.hub_id(ACME, "pasila")
            case "rider":
                return self._town.chance.choice(RIDERS)
            case "task":
                return self._some_task()
            case "pick_wave":
                return self._some_wave()
            case "plan":
                return self._some_plan()
            case "carrier_booking":
                return self._some_booking()
            case "tender":
                tenders = [tender for tender, _ in self._town.of_kind("tender")][-4:]
                return self._town.chance.choice(tenders) if tenders else None
            case _:
                return f"{kind}-{self._town.chance.randint(1, 2)}"

    def _some_task(self) -> str:
        """Mostly one that is not over; a new one where there are few."""
        tasks = self._town.of_kind("task")
        live = [task for task, state in tasks if not is_over(state)]
        going = [task for task, state in tasks if not is_over(state) and not state.waiting.awaited]
        if not live or (len(going) < TASKS_AT_ONCE and self._town.chance.random() < 0.2):
            return f"task-{len(tasks) + 1}"
        over = [task for task, state in tasks if is_over(state)][-2:]
        return self._town.chance.choice(over if over and self._town.chance.random() < 0.05 else live)

    def _some_wave(self) -> str:
        """Mostly one that is planned; a new one where there is none."""
        waves = self._town.of_kind("pick_wave")
        known = [wave for wave, state in waves if state.status == "planned"] or [f"wave-{len(waves) + 1}"]
        over = [wave for wave, _ in waves][-1:]
        return self._town.chance.choice(over if over and self._town.chance.random() < 0.1 else known)

    def _some_plan(self) -> str:
        """Mostly the latest; a new one where that is over."""
        plans = self._town.of_kind("plan")
        if plans and (not plan.is_over(plans[-1][1]) or self._town.chance.random() < 0.1):
            return plans[-1][0]
        return f"plan-{len(plans) + 1}"

    def _some_booking(self) -> str:
        """Mostly the latest; a new one where that is over."""
        bookings = self._town.of_kind("carrier_booking")
        going = [booking for booking, state in bookings if state.status not in ENDS][-2:]
        over = [booking for booking, _ in bookings][-1:]
        if over and self._town.chance.random() < 0.1:
            return over[0]
        return self._town.chance.choice(going or [f"booking-{len(bookings) + 1}"])

    def _to_be_carried(self) -> str:
        """Mostly a task that nobody has."""
        tasks = self._town.of_kind("task")
        free = [task for task, state in tasks if not (is_over(state) or is_taken(state) or state.kind == "collection")]
        return self._town.chance.choice(free) if free and self._town.chance.random() < 0.8 else self._some_task()

    def _awaited(self) -> dict[str, Any]:
        """Tasks that are there, were, or will be; and a wave."""
        draw, count = self._town.chance, len(self._town.of_kind("task"))
        near = [f"task-{number}" for number in range(max(1, count - 2), count + 1)]
        if not near or draw.random() < 0.2:
            near.append(f"task-{count + draw.choice((1, 2, 2, 3))}")
        known = [wave for wave, state in self._town.of_kind("pick_wave") if state.status == "planned"]
        waves = [*(known * 3 or [None]), self._some_wave()]
        tasks = draw.sample(near, min(len(near), draw.choice((1, 1, 2)))) if draw.random() < WAITS else []
        return {"depends_on": tasks, "pick_wave": draw.choice(waves) if draw.random() < WAITS else None}

    def _lost(self, incident: Any) -> list[i.LostParcels]:
        """Now and then a parcel of a task that it is about."""
        tasks = [link.id for link in getattr(incident, "links", ()) if link.kind == "task"]
        known = {task: [*state.parcels] for task in tasks if isinstance(state := self._town.state(task), CreatedTask)}
        return [
            i.LostParcels(task_id=TaskId(task), parcel_ids=self._town.chance.sample(parcels, 1))
            for task, parcels in known.items()
            if parcels and self._town.chance.random() < LOST
        ]

    def _simulated(self, command: t.CreateTask) -> Simulation | None:
        if self._town.chance.random() >= SIMULATED:
            return None
        outcomes: list[Any] = ["delivered", "customer_unavailable", "late", "no_taker"]
        outcomes += ["refused", "damaged", "lost"] if command.parcels else []
        return Simulation(
            outcome=self._town.chance.choice(outcomes), step_seconds=self._town.chance.choice((1, 60, 600))
        )

    def _rider_of(self, aggregate_id: str) -> str:
        """Mostly the one it is about."""
        state = self._town.state(aggregate_id)
        if aggregate_id in RIDERS:
            return aggregate_id
        if self._town.chance.random() < 0.9:
            if isinstance(state, CreatedTask) and state.rider_id:
                return state.rider_id
            if isinstance(state, Open) and state.pending:
                return state.pending.get(self._offer, state.pending[min(state.pending)]).rider_id
        return self._town.chance.choice(RIDERS)

    def _fitting(self, command: Command, aggregate_id: str) -> Command:
        """With names of this town."""
        state = self._town.state(aggregate_id)
        changed = {name: self._named(name, getattr(command, name), state) for name in command.__struct_fields__}
        self._offer = changed.get("offer_id")
        if isinstance(command, b.QuoteCarrierBooking):
            changed |= {"task_id": self._to_be_carried(), "expires_at": command.expires_at + A_DAY}
        if isinstance(command, b.RecordCarrierStatus):
            changed["status"] = self._town.chance.choice((*TOLD_OF_GOODS, command.status))
        if isinstance(command, t.CreateTask) and command.kind != "collection":
            changed |= self._awaited()
            changed["simulation"] = self._simulated(command)
        if isinstance(command, i.ResolveIncident):
            changed["lost"] = self._lost(state)
        if "proofs" in changed and isinstance(state, CreatedTask) and self._town.chance.random() < 0.7:
            changed["proofs"] = self._proofs(state, aggregate_id, changed["stop_id"])
        return replace(command, **changed)

    def _proofs(self, task: CreatedTask, task_id: str, stop_id: StopId) -> list[f.AnyProof]:
        """All that any stop may need, and mostly right."""
        pin = SECRETS.digits(4, "pin", task_id, stop_id)
        scans = [
            f.ScanEntry(parcel_id=parcel_id, code=parcel.parcel.barcode or "A1")
            for parcel_id, parcel in task.parcels.items()
        ]
        everything = [
            f.PinEntry(pin=self._town.chance.choice((pin, pin, "0000"))),
            f.PhotoEntry(sha256=f"{self._town.chance.randrange(9)}" * 64),
            f.IdCheckEntry(result="pass", age_band="18_to_19"),
        ]
        return [*everything, *scans]

    def _named(self, name: str, value: Any, state: Any) -> Any:
        draw = self._town.chance
        match name:
            case "parcels" if isinstance(value, list):
                return [
                    replace(parcel, weight_g=draw.choice(WEIGHTS_G), volume_cm3=draw.choice(VOLUMES_CM3))
                    for parcel in value
                ]
            case "offer_id" if isinstance(state, Open) and state.pending:
                return draw.choice(list(state.pending))
            case "stop_id" if isinstance(state, CreatedTask) and draw.random() < 0.8:
                ahead = [stop_id for stop_id, stop in state.stops.items() if stop.status not in OVER]
                return ahead[0] if ahead else value
            case "on" if isinstance(state, CreatedTask) and state.waiting.awaited:
                return draw.choice(state.waiting.awaited).on
            case "proof_id" if isinstance(state, CreatedTask):
                proofs = [proof.proof_id for stop in state.stops.values() for proof in stop.proofs]
                return draw.choice(proofs) if proofs else value
            case "conflict_id" if isinstance(state, CreatedTask) and state.conflicts:
                return draw.choice(state.conflicts)
            case _ if value is not None and name.removesuffix("_id") in AGGREGATES and name.endswith("_id"):
                return self.somewhere(name.removesuffix("_id")) or value
            case "capacity":
                return Capacity(
                    weight_g=draw.choice(CARRIED_G),
                    volume_cm3=draw.choice(HELD_CM3),
                    parcels=draw.choice(HELD_PARCELS),
                )
            case "itinerary_version":
                return getattr(state, "itinerary_version", value)
            case "order":
                ahead = [r.StopRef(task_id=s.task_id, stop_id=s.stop_id) for s in getattr(state, "itinerary", ())]
                return draw.sample(ahead, len(ahead))
            case "link":
                return self._link()
            case "links":
                return [self._link() for _ in value]
            case _:
                return value

    def _link(self) -> i.IncidentLink:
        kind = self._town.chance.choice(("rider", "task", "vehicle"))
        return i.IncidentLink(kind=kind, id=self.somewhere(kind) or "")


def often(command: Command, role: Role) -> float:
    """Those at work ask most; what ends much is asked seldom."""
    if isinstance(command, SELDOM):
        return 0.25
    if isinstance(command, (o.ClaimOffer, r.ResequenceItinerary, b.BookCarrier, w.CommitPlan)):
        return 9.0
    return 3.0 if role == "rider" else 1.0
