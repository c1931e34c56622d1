"""What an incident asks for, done by the process on real decisions: told by what stands afterwards."""

from typing import Any

from reception import House, delivery, house, key

from commands.order import Order
from schemas.incident_actions import outstanding
from schemas.message import Refused, Source, TenantSlug
from schemas.record import envelope_of, event_of, source_of
from schemas.rider import ReinstateRider
from schemas.topics import INCIDENT
from streams.incident_response import RESPONSE
from streams.process import Done, NotAllowed, Process, Step


class Sent:
    """To the desk; each step is kept with its outcome."""

    def __init__(self, at: House) -> None:
        self._at = at
        self.steps: list[tuple[str, str]] = []

    async def __call__(self, step: Step, source: Source, tenant: TenantSlug) -> Done | NotAllowed:
        identity = step.command_id(source)
        order = Order(
            tenant=tenant,
            kind=step.kind,
            aggregate_id=step.aggregate_id,
            command=step.command,
            command_id=identity,
            request_hash=identity,
            actor="dispatch",
            role="system",
            correlation_id=identity,
        )
        try:
            answer = await self._at.desk.submit(order)
        except Refused as refused:
            self.steps.append((type(step.command).__name__, refused.rule))
            return NotAllowed(refused.rule, refused.rule)
        self.steps.append((type(step.command).__name__, ", ".join(answer.events)))
        return Done(answer.position)


async def followed(at: House) -> list[tuple[str, str]]:
    """The whole log once more, from its first record."""
    sent = Sent(at)
    process = Process("incident-response", RESPONSE, sent)
    for stored in [each for each in at.desk.log if each.topic == INCIDENT.name]:
        await process.take(event_of(stored, None), source_of(envelope_of(stored), stored))
    return sent.steps


async def made(at: House, path: str, body: dict[str, Any]) -> str:
    answer = await at.caller("dispatcher", "dora").post(f"/v1/acme/{path}", json=body, headers=key(path))
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def accident(at: House, *links: tuple[str, str]) -> str:
    about = [{"kind": kind, "id": aggregate} for kind, aggregate in links]
    return await made(at, "incidents", {"kind": "accident", "description": "!", "links": about})


def to_do(at: House, incident: str) -> list[str]:
    state = at.desk.kept[incident].state
    return list(outstanding(state.asked, state.requests, state.taken))


async def a_rider(at: House) -> str:
    rider = await made(at, "riders", {"name": "Ann"})
    await at.caller("dispatcher", "dora").post(f"/v1/acme/riders/{rider}/approve-rider", headers=key("a"))
    return rider


async def test_the_rider_comes_off_dispatch_and_the_incident_says_so():
    async with house() as at:
        rider = await a_rider(at)
        incident = await accident(at, ("rider", rider))
        assert await followed(at) == [
            ("ConfirmActionRequested", ""),
            ("SuspendRider", "RiderSuspended"),
            ("TakeIncidentAction", "IncidentActionTaken"),
        ]
        assert at.desk.kept[rider].state.status == "suspended"
        assert "suspend_rider" not in to_do(at, incident)


async def test_who_reads_the_log_anew_suspends_nobody_again_who_was_reinstated():
    async with house() as at:
        rider = await a_rider(at)
        await accident(at, ("rider", rider))
        await followed(at)
        await at.process("rider", rider, ReinstateRider())
        at.desk.kept[rider].answers = {}  # what was answered long ago is not remembered
        assert await followed(at) == [("ConfirmActionRequested", "action-answered")]
        assert at.desk.kept[rider].state.status == "approved"


async def test_what_a_rule_refuses_stands_on_the_incident_for_somebody_to_act():
    async with house() as at:
        incident = await accident(at, ("rider", "nobody-of-ours"))
        assert (await followed(at))[1:] == [
            ("SuspendRider", "not-found"),
            ("NoteActionRefused", "IncidentActionRefused"),
        ]
        assert "suspend_rider" in to_do(at, incident)


async def test_one_that_cannot_be_suspended_does_not_keep_the_next_from_it():
    async with house() as at:
        rider = await a_rider(at)
        await accident(at, ("rider", "nobody-of-ours"), ("rider", rider))
        await followed(at)
        assert at.desk.kept[rider].state.status == "suspended"


async def test_the_vehicle_stays_where_it_is():
    async with house() as at:
        capacity = {"weight_g": 1, "volume_cm3": 1, "parcels": 1}
        vehicle = await made(at, "vehicles", {"kind": "van", "capacity": capacity})
        await accident(at, ("vehicle", vehicle))
        assert ("GroundVehicle", "VehicleGrounded") in await followed(at)


async def test_the_task_goes_back_to_dispatch():
    async with house() as at:
        rider, task = await a_rider(at), await made(at, "tasks", delivery())
        body = {"rider_id": rider}
        await at.caller("dispatcher", "dora").post(f"/v1/acme/tasks/{task}/assign-task", json=body, headers=key("t"))
        await accident(at, ("task", task))
        assert ("UnassignTask", "TaskUnassigned, TaskDispatchable") in await followed(at)
