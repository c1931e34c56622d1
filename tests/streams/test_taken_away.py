"""A suspended or silent rider's tasks, taken away by the process on real decisions: told by what stands afterwards."""

from typing import Any

from following import anew, made
from reception import House, delivery, house, key
from story import KAMPPI, minutes

from commands.order import Order
from schemas.ids import tenant_id
from schemas.incident import LostParcels, ResolveIncident
from schemas.incident_actions import outstanding
from schemas.message import Command, ParcelId, RiderId, StopId, TaskId, TenantSlug
from schemas.rider import (
    ActivateReservation,
    NewPlannedStop,
    RecordRiderSilence,
    ReinstateRider,
    RemoveStops,
    ReserveRider,
    SuspendRider,
)
from schemas.task import UnassignTask
from schemas.topics import FLEET, INCIDENT
from streams.incident_response import RESPONSE
from streams.taken_away import TAKEN_AWAY

TAKEN = [
    ("ConfirmHandOverRequested", ""),
    ("UnassignTask", "TaskUnassigned, TaskDispatchable"),
    ("CloseHandOver", "TaskHandOverClosed"),
]
KEPT = [
    ("ConfirmHandOverRequested", ""),
    ("UnassignTask", "goods-in-custody"),
    ("ReportIncident", "IncidentReported"),
    ("CloseHandOver", "TaskHandOverClosed"),
]
LINKED = ("LinkTaskInCustody", "IncidentLinked, IncidentActionRequested, IncidentActionRefused")
ANSWERED = [("ConfirmHandOverRequested", "hand-over-answered")]


async def followed(at: House) -> list[tuple[str, str]]:
    return await anew(at, "taken-away", TAKEN_AWAY, FLEET)


def forgotten(at: House) -> None:
    """What was answered long ago is not remembered by its command's id."""
    for kept in at.desk.kept.values():
        kept.answers = {}


async def a_rider(at: House) -> str:
    rider = await made(at, "riders", {"name": "Ann"})
    desk = at.caller("dispatcher", "dora")
    await desk.post(f"/v1/acme/riders/{rider}/approve-rider", headers=key("a"))
    shift = {"ends_at": minutes(480).isoformat()}
    started = await desk.post(f"/v1/acme/riders/{rider}/start-shift", json=shift, headers=key("s"))
    assert started.status_code == 200, started.text
    return rider


async def a_task(at: House, rider: str, reference: str = "task") -> str:
    """Under way with the rider."""
    answer = await at.caller().post("/v1/acme/tasks", json=delivery(external_reference=reference))
    task = str(answer.json()["id"])
    body = {"rider_id": rider}
    await at.caller("dispatcher", "dora").post(f"/v1/acme/tasks/{task}/assign-task", json=body, headers=key(task))
    await reserved(at, rider, task, 1)
    return task


async def reserved(at: House, rider: str, task: str, task_round: int) -> None:
    stops = [NewPlannedStop(stop_id=StopId("stop-1"), kind="pickup", subject="s", location=KAMPPI)]
    reserve = ReserveRider(task_id=TaskId(task), round=task_round, hold_until=minutes(9), stops=stops)
    await said(at, rider, reserve, f"reserve-{task}-{task_round}")
    activate = ActivateReservation(task_id=TaskId(task), round=task_round)
    await said(at, rider, activate, f"activate-{task}-{task_round}")


async def said(at: House, rider: str, command: Command, what: str) -> None:
    """By our own processes, each under an id of its own."""
    await at.desk.submit(
        Order(
            tenant=TenantSlug("acme"),
            kind="rider",
            aggregate_id=rider,
            command=command,
            command_id=what,
            request_hash=what,
            actor="dispatch",
            role="system",
            correlation_id=what,
        )
    )


async def picked_up(at: House, rider: str, task: str) -> None:
    ann = at.caller("rider", rider)
    await ann.post(f"/v1/acme/tasks/{task}/accept-assignment", headers=key(f"yes-{task}"))
    body = {"stop_id": "stop-1", "observed_at": "2026-03-01T12:00:00Z"}
    told = await ann.post(f"/v1/acme/tasks/{task}/report-picked-up", json=body, headers=key(f"up-{task}"))
    assert told.status_code == 200, told.text


async def suspend(at: House, rider: str, key_word: str = "suspend") -> None:
    await said(at, rider, SuspendRider(reason_code="complaint"), f"{key_word}-{rider}")


async def falls_silent(at: House, rider: str) -> None:
    """A quarter of an hour later."""
    at.now = minutes(15)
    await said(at, rider, RecordRiderSilence(last_heard_at=None), f"silence-{rider}")


def incidents(at: House) -> list[Any]:
    return [kept.state for kept in at.desk.kept.values() if kept.kind == "incident"]


async def test_every_task_that_the_rider_has_goes_back_to_dispatch():
    async with house() as at:
        rider = await a_rider(at)
        one, other = await a_task(at, rider, "one"), await a_task(at, rider, "other")
        await suspend(at, rider)
        assert await followed(at) == [*TAKEN, *TAKEN]
        assert [at.desk.kept[task].state.rider_id for task in (one, other)] == [None, None]
        assert at.desk.kept[rider].state.handing_over == {}
        assert incidents(at) == []


async def test_where_the_goods_are_with_the_rider_an_incident_tells_of_both():
    async with house() as at:
        rider = await a_rider(at)
        task = await a_task(at, rider)
        await picked_up(at, rider, task)
        await suspend(at, rider)
        assert await followed(at) == KEPT
        [incident] = incidents(at)
        assert [(link.kind, link.id) for link in incident.links] == [("task", task), ("rider", rider)]
        assert at.desk.kept[task].state.rider_id == rider


async def test_what_a_silent_rider_has_not_picked_up_goes_back_to_dispatch():
    async with house() as at:
        rider = await a_rider(at)
        task = await a_task(at, rider)
        await falls_silent(at, rider)
        assert await followed(at) == TAKEN
        assert (at.desk.kept[task].state.rider_id, incidents(at)) == (None, [])
        [unassigned] = [order.command for order in at.desk.orders if isinstance(order.command, UnassignTask)]
        assert unassigned.reason_code == "rider_silent"


async def test_of_what_a_silent_rider_has_an_incident_of_its_own_kind_tells():
    async with house() as at:
        rider = await a_rider(at)
        stays, goes = await a_task(at, rider, "stays"), await a_task(at, rider, "goes")
        await picked_up(at, rider, stays)
        await falls_silent(at, rider)
        assert await followed(at) == [*KEPT, *TAKEN]
        assert at.desk.kept[goes].state.rider_id is None
        [incident] = incidents(at)
        assert [(link.kind, link.id) for link in incident.links] == [("task", stays), ("rider", rider)]
        assert incident.severity == "high"
        forgotten(at)
        assert await followed(at) == ANSWERED * 2


async def an_incident(at: House, kind: str, *links: tuple[str, str]) -> str:
    about = [{"kind": kind, "id": aggregate} for kind, aggregate in links]
    value = {"amount_minor": 5_000, "currency": "EUR"}
    incident = await made(at, "incidents", {"kind": kind, "description": "!", "links": about, "claim_value": value})
    await at.caller("dispatcher", "dora").post(
        f"/v1/acme/incidents/{incident}/assign-incident", json={"assignee": "dora"}, headers=key("assign")
    )
    return incident


async def responded(at: House) -> list[tuple[str, str]]:
    return await anew(at, "incident-response", RESPONSE, INCIDENT)


async def test_the_tasks_of_a_rider_in_an_incident_go_to_others_and_what_cannot_stands_on_the_incident():
    async with house() as at:
        rider = await a_rider(at)
        stays, goes = await a_task(at, rider, "stays"), await a_task(at, rider, "goes")
        await picked_up(at, rider, stays)
        await an_incident(at, "safety", ("rider", rider))
        assert await responded(at) == [
            ("ConfirmActionRequested", ""),
            ("HandOverAllTasks", "RiderTakenOffDispatch, TaskHandOverRequested, TaskHandOverRequested"),
            ("TakeIncidentAction", "IncidentActionTaken"),
        ]
        assert await followed(at) == [*KEPT[:2], LINKED, KEPT[3], *TAKEN]
        assert at.desk.kept[rider].state.status == "approved"
        assert [at.desk.kept[task].state.rider_id for task in (stays, goes)] == [rider, None]
        assert (await responded(at))[-1] == ("ConfirmActionRequested", "action-answered")
        [state] = incidents(at)
        assert outstanding(state.asked, state.requests, state.taken) == ["call_emergency", "hand_over_tasks"]
        records = len(at.desk.log)
        forgotten(at)
        assert await followed(at) == ANSWERED * 2
        assert (await responded(at))[0] == ("ConfirmActionRequested", "action-answered")
        assert len(at.desk.log) == records


async def test_of_an_accident_whose_rider_is_suspended_each_task_is_asked_for_once():
    async with house() as at:
        rider = await a_rider(at)
        task = await a_task(at, rider)
        await an_incident(at, "accident", ("rider", rider))
        told = await responded(at)
        assert [outcome for command, outcome in told if command in ("SuspendRider", "HandOverAllTasks")] == [
            "RiderSuspended, TaskHandOverRequested",
            "",
        ]
        assert await followed(at) == TAKEN
        assert at.desk.kept[task].state.rider_id is None


async def test_of_an_accident_whose_rider_has_goods_the_incident_itself_is_linked_to_their_task():
    async with house() as at:
        rider = await a_rider(at)
        task = await a_task(at, rider)
        await picked_up(at, rider, task)
        accident = await an_incident(at, "accident", ("rider", rider))
        await responded(at)
        assert await followed(at) == [*KEPT[:2], LINKED, KEPT[3]]
        assert (await responded(at))[-1] == ("ConfirmActionRequested", "action-answered")
        [state] = incidents(at)
        assert state == at.desk.kept[accident].state
        assert [(link.kind, link.id) for link in state.links] == [("rider", rider), ("task", task)]
        assert "hand_over_tasks" in outstanding(state.asked, state.requests, state.taken)


WAIVED = ["call_emergency", "hand_over_tasks"]


async def test_goods_in_custody_of_an_incident_that_is_over_by_then_are_an_incident_of_their_own():
    async with house() as at:
        rider = await a_rider(at)
        task = await a_task(at, rider)
        await picked_up(at, rider, task)
        over = await an_incident(at, "safety", ("rider", rider))
        await responded(at)
        told = await at.caller("dispatcher", "dora").post(
            f"/v1/acme/incidents/{over}/resolve-incident",
            json={"resolution_code": "well", "waived": WAIVED},
            headers=key("resolve"),
        )
        assert told.status_code == 200, told.text
        reported = ("ReportIncident", "IncidentReported")
        assert await followed(at) == [*KEPT[:2], ("LinkTaskInCustody", "not-in-this-state"), reported, KEPT[3]]
        [_, own] = incidents(at)
        assert [(link.kind, link.id) for link in own.links] == [("task", task), ("rider", rider), ("incident", over)]
        assert own.status == "reported"


async def test_tasks_are_told_what_of_them_is_lost_once_somebody_resolves_it_so():
    async with house() as at:
        rider = await a_rider(at)
        task = await a_task(at, rider)
        await picked_up(at, rider, task)
        incident = await an_incident(at, "theft", ("task", task))
        lost = [{"task_id": task, "parcel_ids": ["parcel-1"]}]
        resolved = await at.caller("dispatcher", "dora").post(
            f"/v1/acme/incidents/{incident}/resolve-incident",
            json={"resolution_code": "stolen", "lost": lost},
            headers=key("resolve"),
        )
        assert resolved.json()["events"] == ["IncidentResolved", "IncidentActionRequested"], resolved.text
        assert await responded(at) == [
            ("ConfirmActionRequested", ""),
            ("ReportParcelsLost", "ParcelsLost, StopSkipped, TaskFailed"),
            ("TakeIncidentAction", "IncidentActionTaken"),
        ]
        [parcel] = at.desk.kept[task].state.parcels.values()
        assert (parcel.status, parcel.party.kind) == ("lost", "nobody")
        records = len(at.desk.log)
        forgotten(at)
        assert await responded(at) == [("ConfirmActionRequested", "action-answered")]
        assert len(at.desk.log) == records


async def test_of_parcels_that_nobody_knows_though_the_door_was_passed_the_rule_that_said_no_stands_on_the_incident():
    async with house() as at:
        rider = await a_rider(at)
        task = await a_task(at, rider)
        incident = await an_incident(at, "theft", ("task", task))
        lost = [LostParcels(task_id=TaskId(task), parcel_ids=[ParcelId("parcel-9")])]
        await at.process("incident", incident, ResolveIncident(resolution_code="stolen", lost=lost))
        assert (await responded(at))[1:] == [
            ("ReportParcelsLost", "unknown-parcel"),
            ("NoteActionRefused", "IncidentActionRefused"),
        ]


async def test_a_task_that_must_stay_does_not_keep_the_next_from_going():
    async with house() as at:
        rider = await a_rider(at)
        stays, goes = await a_task(at, rider, "stays"), await a_task(at, rider, "goes")
        await picked_up(at, rider, stays)
        await suspend(at, rider)
        assert await followed(at) == [*KEPT, *TAKEN]
        assert at.desk.kept[goes].state.rider_id is None


async def test_who_reads_the_log_anew_adds_nothing():
    async with house() as at:
        rider = await a_rider(at)
        stays, _ = await a_task(at, rider, "stays"), await a_task(at, rider, "goes")
        await picked_up(at, rider, stays)
        await suspend(at, rider)
        await followed(at)
        records = len(at.desk.log)
        forgotten(at)
        assert await followed(at) == ANSWERED * 2
        assert len(at.desk.log) == records


async def test_nor_does_it_once_the_rider_was_reinstated_and_has_the_task_again():
    async with house() as at:
        rider = await a_rider(at)
        task = await a_task(at, rider)
        await suspend(at, rider)
        await followed(at)
        await said(at, rider, RemoveStops(task_id=TaskId(task), round=1, reason_code="task_over"), "removed")
        await said(at, rider, ReinstateRider(), "reinstated")
        again = {"rider_id": RiderId(rider)}
        desk = at.caller("dispatcher", "dora")
        await desk.post(f"/v1/acme/tasks/{task}/assign-task", json=again, headers=key("again"))
        await reserved(at, rider, task, 2)
        forgotten(at)
        assert await followed(at) == ANSWERED
        assert at.desk.kept[task].state.rider_id == rider


async def test_after_a_crash_in_the_middle_the_incident_is_reported_once():
    async with house() as at:
        rider = await a_rider(at)
        task = await a_task(at, rider)
        await picked_up(at, rider, task)
        await suspend(at, rider)
        state = at.desk.kept[rider].state
        await followed(at)
        at.desk.kept[rider].state = state  # as if the hand-over had not been closed
        forgotten(at)
        assert await followed(at) == [*KEPT[:2], ("ReportIncident", "not-in-this-state"), KEPT[3]]
        assert len(incidents(at)) == 1


async def test_each_suspension_has_an_incident_of_its_own():
    async with house() as at:
        rider = await a_rider(at)
        task = await a_task(at, rider)
        await picked_up(at, rider, task)
        await suspend(at, rider)
        await followed(at)
        await said(at, rider, ReinstateRider(), "reinstated")
        await suspend(at, rider, "again")
        assert await followed(at) == [*KEPT, *KEPT]
        assert len(incidents(at)) == 2


async def test_a_tenant_without_a_kind_for_something_else_reports_what_it_has():
    async with house() as at:
        own = {"kinds": [{"code": "flood", "title": "Water in the hub"}]}
        path = f"/v1/acme/tenants/{tenant_id('acme')}/set-incident-kinds"
        told = await at.caller("operator", "olga").post(path, json=own, headers=key("kinds"))
        assert told.status_code == 200, told.text
        rider = await a_rider(at)
        task = await a_task(at, rider)
        await picked_up(at, rider, task)
        await suspend(at, rider)
        assert await followed(at) == KEPT
