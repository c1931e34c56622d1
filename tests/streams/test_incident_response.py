"""What an incident asks for, done by the process on real decisions: told by what stands afterwards."""

from following import anew, made
from reception import House, delivery, house, key

from schemas.ids import tenant_id
from schemas.incident_actions import outstanding
from schemas.rider import ReinstateRider
from schemas.topics import INCIDENT
from streams.incident_response import RESPONSE


async def followed(at: House) -> list[tuple[str, str]]:
    """The whole log once more, from its first record."""
    return await anew(at, "incident-response", RESPONSE, INCIDENT)


async def accident(at: House, *links: tuple[str, str]) -> str:
    about = [{"kind": kind, "id": aggregate} for kind, aggregate in links]
    return await made(at, "incidents", {"kind": "accident", "description": "!", "links": about})


async def robbery(at: House, *riders: str) -> str:
    """A kind that has tasks handed over and suspends nobody."""
    kind = {"code": "robbery", "title": "Robbery", "severity": "high", "actions": ["hand_over_tasks"]}
    olga = at.caller("operator", "olga")
    path = f"/v1/acme/tenants/{tenant_id('acme')}/set-incident-kinds"
    told = await olga.post(path, json={"kinds": [kind]}, headers=key("kinds"))
    assert told.status_code == 200, told.text
    links = [{"kind": "rider", "id": rider} for rider in riders]
    return await made(at, "incidents", {"kind": "robbery", "description": "!", "links": links})


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
            ("ConfirmActionRequested", ""),
            ("HandOverAllTasks", ""),
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
        assert await followed(at) == [("ConfirmActionRequested", "action-answered")] * 2
        assert at.desk.kept[rider].state.status == "approved"


async def test_what_a_rule_refuses_stands_on_the_incident_for_somebody_to_act():
    async with house() as at:
        await at.knows("invited-only")
        incident = await accident(at, ("rider", "invited-only"))
        assert (await followed(at))[1:3] == [
            ("SuspendRider", "not-in-this-state"),
            ("NoteActionRefused", "IncidentActionRefused"),
        ]
        assert "suspend_rider" in to_do(at, incident)


async def test_one_that_cannot_be_suspended_does_not_keep_the_next_from_it():
    async with house() as at:
        rider = await a_rider(at)
        await at.knows("invited-only")
        await accident(at, ("rider", "invited-only"), ("rider", rider))
        await followed(at)
        assert at.desk.kept[rider].state.status == "suspended"


async def test_a_rider_who_is_not_suspended_is_off_dispatch_until_the_incident_is_resolved():
    async with house() as at:
        rider = await a_rider(at)
        incident = await robbery(at, rider)
        await followed(at)
        assert at.desk.kept[rider].state.off_dispatch_for == {incident: 2}
        dora = at.caller("dispatcher", "dora")
        for word, body in (
            ("assign-incident", {"assignee": "dora"}),
            ("resolve-incident", {"resolution_code": "shaken", "waived": ["hand_over_tasks"]}),
        ):
            told = await dora.post(f"/v1/acme/incidents/{incident}/{word}", json=body, headers=key(word))
            assert told.status_code == 200, told.text
        assert ("ReturnToDispatch", "RiderReturnedToDispatch") in await followed(at)
        assert at.desk.kept[rider].state.off_dispatch_for == {}


async def test_who_was_linked_by_mistake_is_back_on_dispatch_with_the_link_taken_away():
    async with house() as at:
        rider = await a_rider(at)
        incident = await robbery(at, rider)
        await followed(at)
        link = {"kind": "rider", "id": rider}
        path = f"/v1/acme/incidents/{incident}/"
        dora = at.caller("dispatcher", "dora")
        await dora.post(f"{path}unlink-incident", json={"link": link, "reason_code": "mistake"}, headers=key("u"))
        await followed(at)
        assert at.desk.kept[rider].state.off_dispatch_for == {}
        await dora.post(f"{path}link-incident", json={"link": link}, headers=key("l"))
        await followed(at)
        asked = at.desk.kept[rider].state.off_dispatch_for
        assert list(asked) == [incident]
        at.desk.kept[rider].answers = {}  # what was answered long ago is not remembered
        await followed(at)
        assert at.desk.kept[rider].state.off_dispatch_for == asked, "who reads the log anew brings nobody back"


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


async def test_what_is_lost_after_all_is_told_though_the_process_had_not_come_to_what_was_said_before():
    async with house() as at:
        task = await made(at, "tasks", delivery(parcels=[{"parcel_id": "one"}, {"parcel_id": "two"}]))
        about = [{"kind": "task", "id": task}]
        loss = {
            "kind": "loss",
            "description": "!",
            "links": about,
            "claim_value": {"amount_minor": 1, "currency": "EUR"},
        }
        incident = await made(at, "incidents", loss)
        dora = at.caller("dispatcher", "dora")
        for number, (word, body) in enumerate(
            (
                ("assign-incident", {"assignee": "dora"}),
                ("resolve-incident", {"resolution_code": "paid", "lost": [{"task_id": task, "parcel_ids": ["one"]}]}),
                ("reopen-incident", {"reason_code": "which_box"}),
                ("resolve-incident", {"resolution_code": "paid", "lost": [{"task_id": task, "parcel_ids": ["two"]}]}),
            )
        ):
            path = f"/v1/acme/incidents/{incident}/{word}"
            told = await dora.post(path, json=body, headers=key(f"k-{number}"))
            assert told.status_code == 200, told.text
        await followed(at)
        assert {p: known.status for p, known in at.desk.kept[task].state.parcels.items()} == {
            "one": "expected",
            "two": "lost",
        }
