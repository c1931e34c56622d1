"""Is what a command names one of ours? Its own shard is asked before: no read model is as new.

A command decides on one aggregate, so a task takes any rider, any task to wait for and any wave, and an incident
whatever it is said to be about; that nobody answers to it would show a moment later, when what was promised has been
settled already, or never.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, assert_never

import msgspec

from commands.goods import ParcelNotKnown
from commands.incident import UnknownLink
from commands.order import Order, Unavailable
from commands.pick_wave import PickWaveOfAnotherOutlet
from commands.refusals import UnknownIncident, UnknownPickWave, UnknownTask, UnknownTender, UnknownVehicle
from commands.rider_refusals import DeviceTaken, UnknownAnomaly, UnknownRider
from gateway.anomaly_named import anomaly_is_known
from gateway.call import Call
from gateway.door import Door
from gateway.problems import FieldError, refusal
from gateway.tokens import Caller
from schemas.carrier_booking import ConfirmCarrierBooking, QuoteCarrierBooking
from schemas.hand_over import OfferHandOver
from schemas.ids import derived
from schemas.incident import (
    ConfirmIncidentReported,
    IncidentLink,
    LinkIncident,
    ReportIncident,
    ResolveIncident,
    TakeIncidentAction,
)
from schemas.message import Command, OutletSlug, Refused, TenantSlug, UnknownAggregate
from schemas.pick_wave import ConfirmPickWave
from schemas.rider import BindDevice, ConfirmRiderRegistered, DismissAnomaly
from schemas.task import AssignTask, ConfirmTaskCreated, CreateTask
from schemas.tender import ConfirmTenderOpened
from schemas.vehicle import AssignVehicle, ConfirmVehicleRegistered


class Named(msgspec.Struct, frozen=True):
    """`asked` changes nothing there, and is refused where it is not what the command takes it for."""

    pointer: str
    kind: str
    aggregate_id: str
    asked: Command
    unknown: Refused
    may_come: bool = False
    """A moment later: as a clone does after its id was told."""
    among: Sequence[str] = ()
    """What of it was asked for, each at its place in `listed`: where the refusal names one of these."""
    listed: str = ""

    def place_of(self, refused: Refused) -> str:
        parcel_id = refused.values().get("parcel_id")
        return f"{self.listed}/{self.among.index(parcel_id)}" if parcel_id in self.among else self.pointer


def rider(field: str) -> Callable[[Any], list[Named]]:
    def named(wanted: Any) -> list[Named]:
        rider_id = getattr(wanted, field)
        return [Named(f"/{field}", "rider", rider_id, ConfirmRiderRegistered(), UnknownRider(rider_id))]

    return named


def task(pointer: str, task_id: str) -> Named:
    field = pointer.split("/")[1]
    unknown = UnknownTask(field, task_id)
    return Named(pointer, "task", task_id, ConfirmTaskCreated(), unknown, may_come=True)


def awaited(wanted: CreateTask) -> list[Named]:
    tasks = [task(f"/depends_on/{place}", task_id) for place, task_id in enumerate(wanted.depends_on)]
    if wanted.pick_wave is None:
        return tasks
    confirm = ConfirmPickWave(outlet=OutletSlug(wanted.outlet))
    return [*tasks, Named("/pick_wave", "pick_wave", wanted.pick_wave, confirm, UnknownPickWave(wanted.pick_wave))]


def quoted(wanted: QuoteCarrierBooking) -> list[Named]:
    return [task("/task_id", wanted.task_id)]


def reported(wanted: ReportIncident) -> list[Named]:
    return [linked(f"/links/{place}/id", link) for place, link in enumerate(wanted.links)]


def linking(wanted: LinkIncident | TakeIncidentAction) -> list[Named]:
    return [] if wanted.link is None else [linked("/link/id", wanted.link)]


def lost(wanted: ResolveIncident) -> list[Named]:
    return [
        Named(
            f"/lost/{place}/task_id",
            "task",
            each.task_id,
            ConfirmTaskCreated(parcel_ids=each.parcel_ids),
            UnknownLink(IncidentLink(kind="task", id=each.task_id)),
            among=each.parcel_ids,
            listed=f"/lost/{place}/parcel_ids",
        )
        for place, each in enumerate(wanted.lost)
    ]


def linked(pointer: str, link: IncidentLink) -> Named:
    match link.kind:
        case "task":
            return task(pointer, link.id)
        case "rider":
            return Named(pointer, "rider", link.id, ConfirmRiderRegistered(), UnknownRider(link.id))
        case "vehicle":
            return Named(pointer, "vehicle", link.id, ConfirmVehicleRegistered(), UnknownVehicle(link.id))
        case "tender":
            return Named(pointer, "tender", link.id, ConfirmTenderOpened(), UnknownTender(link.id))
        case "incident":
            return Named(pointer, "incident", link.id, ConfirmIncidentReported(), UnknownIncident(link.id))
        case _:
            assert_never(link.kind)


NAMED_IN: Mapping[type[Command], Callable[[Any], list[Named]]] = {
    AssignTask: rider("rider_id"),
    AssignVehicle: rider("rider_id"),
    OfferHandOver: rider("to_rider"),
    CreateTask: awaited,
    QuoteCarrierBooking: quoted,
    ReportIncident: reported,
    LinkIncident: linking,
    TakeIncidentAction: linking,
    ResolveIncident: lost,
}
OF_LINKS = frozenset({UnknownTask, UnknownRider, UnknownVehicle, UnknownTender, UnknownIncident})
RULES: Mapping[type[Command], frozenset[type[Refused]]] = {
    AssignTask: frozenset({UnknownRider}),
    AssignVehicle: frozenset({UnknownRider}),
    OfferHandOver: frozenset({UnknownRider}),
    CreateTask: frozenset({UnknownTask, UnknownPickWave, PickWaveOfAnotherOutlet}),
    QuoteCarrierBooking: frozenset({UnknownTask}),
    ReportIncident: OF_LINKS,
    LinkIncident: OF_LINKS,
    TakeIncidentAction: OF_LINKS,
    ResolveIncident: frozenset({UnknownLink, ParcelNotKnown}),
    DismissAnomaly: frozenset({UnknownAnomaly}),
    BindDevice: frozenset({DeviceTaken}),
}
"""By which each may be refused here."""
IS_THERE: Mapping[type[Command], tuple[str, Command]] = {
    CreateTask: ("task", ConfirmTaskCreated()),
    QuoteCarrierBooking: ("carrier_booking", ConfirmCarrierBooking()),
    ReportIncident: ("incident", ConfirmIncidentReported()),
}
"""What asks for that which the command creates."""


class Asking:
    """For one request."""

    def __init__(self, door: Door, call: Call, tenant: str, caller: Caller) -> None:
        self._door = door
        self._call = call
        self._tenant = TenantSlug(tenant)
        self._caller = caller

    async def known(self, wanted: Command, aggregate_id: str) -> None:
        """Raises Problem where something that is named is not there, or not what it has to be. Where nobody can say it
        goes on: what comes of it is then undone. A repeat of what created its aggregate has that one's answer, whatever
        has become of what it names."""
        if isinstance(wanted, DismissAnomaly):
            await self._anomaly(wanted, aggregate_id)
        if isinstance(wanted, BindDevice) and self._caller.role == "rider":
            self._device(wanted, aggregate_id)
        cls = type(wanted)
        named = NAMED_IN[cls](wanted) if cls in NAMED_IN else []
        wrong = await self._wrong(each for each in named if cls not in IS_THERE or each.aggregate_id != aggregate_id)
        if wrong and not await self._is_there(cls, aggregate_id):
            raise problem_of(wrong)

    def _device(self, wanted: BindDevice, rider_id: str) -> None:
        """What is another rider's stays theirs, and its fixes would be put aside for this one. Raises Problem."""
        at = wanted.valid_from or self._door.now(self._tenant)
        if self._door.bindings.is_anothers(self._tenant, wanted.device_id, rider_id, at):
            problem = refusal(taken := DeviceTaken(wanted.device_id))
            problem.errors = [FieldError("/device_id", str(taken))]
            raise problem

    async def _anomaly(self, wanted: DismissAnomaly, rider_id: str) -> None:
        """No shard has it: it stands among the signals, of which the read model tells. Raises Problem."""
        if not await anomaly_is_known(self._door, self._tenant, rider_id, wanted.anomaly_id):
            problem = refusal(unknown := UnknownAnomaly(wanted.anomaly_id))
            problem.errors = [FieldError("/anomaly_id", str(unknown))]
            raise problem

    async def _wrong(self, names: Iterable[Named]) -> list[tuple[Named, Refused]]:
        async with asyncio.TaskGroup() as group:
            asked = [(named, group.create_task(self._asked(named))) for named in names]
        found = [(named, each.result()) for named, each in asked]
        return [(named, refused) for named, refused in found if refused is not None]

    async def _asked(self, named: Named) -> Refused | None:
        pauses = self._door.limits.ask_again_after_s if named.may_come else ()
        for again_after_s in (*pauses, None):
            refused = await self._once(named.kind, named.aggregate_id, named.asked)
            if refused is None or refused.rule != UnknownAggregate.rule:
                return refused
            if again_after_s is not None:
                await asyncio.sleep(again_after_s)
        return named.unknown

    async def _is_there(self, cls: type[Command], aggregate_id: str) -> bool:
        if cls not in IS_THERE:
            return False
        kind, asked = IS_THERE[cls]
        refused = await self._once(kind, aggregate_id, asked)
        return refused is None or refused.rule != UnknownAggregate.rule

    async def _once(self, kind: str, aggregate_id: str, command: Command) -> Refused | None:
        """None too where nobody can say."""
        asked = derived("ask", aggregate_id, self._call.request_id)
        order = Order(
            tenant=self._tenant,
            kind=kind,
            aggregate_id=aggregate_id,
            command=command,
            command_id=asked,
            request_hash=asked,
            actor=self._caller.subject,
            role="system",
            correlation_id=self._call.request_id,
            traceparent=self._call.traceparent,
        )
        try:
            async with asyncio.timeout(self._door.limits.wait_s):
                await self._door.desk.submit(order)
        except Refused as refused:
            return refused
        except (Unavailable, TimeoutError):
            pass
        return None


def problem_of(wrong: list[tuple[Named, Refused]]) -> Exception:
    """By the first rule; each that is wrong is told with where it stands."""
    _, first = wrong[0]
    problem = refusal(first)
    problem.errors = [FieldError(named.place_of(refused), str(refused)) for named, refused in wrong]
    return problem
