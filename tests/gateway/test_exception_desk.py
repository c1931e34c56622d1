"""The exception desk: what needs a person stands there until somebody has mended it."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from memory_desk import PARTITIONS
from psycopg import AsyncConnection
from read_models import ReadModels
from reception import HOME, House, Json, delivery, key

from commands.aggregates import AGGREGATES
from gateway.commands import OPEN
from projections.etas import ETAS
from projections.exception_desk import KINDS, MENDS
from projections.sla_board import predicted
from schemas.carried import AssignTaskToCarrier, CarrierSays, RecordCarrierReport
from schemas.carrier_booking import RecordCarrierSilence, RefuseCarrierBooking
from schemas.ids import tenant_id
from schemas.incident import IncidentLink, NoteActionRefused, TakeIncidentAction
from schemas.message import CarrierBookingId, CarrierId, ShiftId, TaskId, TenderId
from schemas.rider import WarnHoursLimit
from schemas.task import CloseTender, RecordTender
from streams.deadlines import step_of


@pytest.fixture
def house(library) -> House:
    return library[0]


@pytest.fixture
def models(library) -> ReadModels:
    return library[1]


async def made(house: House, path: str, body: Json) -> str:
    answer = await house.caller("dispatcher", "dora").post(f"/v1/acme/{path}", json=body, headers=key(path))
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def done(
    house: House, path: str, body: Json | None = None, who: tuple[str, str] = ("dispatcher", "dora")
) -> Json:
    headers = key(f"{path}-{house.now.timestamp()}")
    answer = await house.caller(*who).post(f"/v1/acme/{path}", json=body or {}, headers=headers)  # type: ignore[arg-type]
    assert answer.status_code in (200, 202), answer.text
    return answer.json()


async def desk(
    house: House, models: ReadModels, query: str = "", who: tuple[str, str] = ("dispatcher", "dora")
) -> list[Json]:
    await models.fold()
    answer = await house.caller(*who).get(f"/v1/acme/exception-desk{query}")  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def kinds(house: House, models: ReadModels) -> list[str]:
    return [item["kind"] for item in await desk(house, models)]


async def test_a_report_that_does_not_fit_waits_until_it_is_reviewed(house: House, models: ReadModels):
    task = await made(house, "tasks", delivery(external_reference="1"))
    await house.knows("ann")
    await done(house, f"tasks/{task}/assign-task", {"rider_id": "ann"})
    await done(house, f"tasks/{task}/unassign-task", {"reason_code": "late"})
    report = {"stop_id": "stop-1", "observed_at": house.now.isoformat()}
    told = await done(house, f"tasks/{task}/report-picked-up", report, ("rider", "ann"))
    assert told["conflict"]
    [row] = await desk(house, models)
    assert (row["kind"], row["aggregate_id"]) == ("report_conflicted", task)
    assert row["about"]["tracking_code"].startswith("CV-")
    [item] = row["items"]
    assert (item["report"], item["rider_id"]) == ("ReportPickedUp", "ann")
    review = {"conflict_id": item["id"], "decision_code": "goods_handed_back"}
    assert row["mends"][0] == f"tasks/{task}/review-field-report"
    await done(house, row["mends"][0], review)
    assert await desk(house, models) == []
    house.now += timedelta(minutes=1)
    path = f"/v1/acme/tasks/{task}/review-field-report"
    again = await house.caller("dispatcher", "dora").post(path, json=review, headers=key("again"))
    assert (again.status_code, again.json()["code"]) == (422, "unknown-conflict")


async def test_a_task_that_nobody_takes_waits_for_a_rider(house: House, models: ReadModels):
    rules = {"rules": {"max_rounds": 1}}
    tenant = next(stored.key for stored in house.desk.log if stored.topic == AGGREGATES["tenant"].topic)
    await done(house, f"tenants/{(tenant or b'').decode()}/change-tenant-rules", rules, ("operator", "root"))
    task = await made(house, "tasks", delivery(external_reference="1"))
    tender = TenderId("tender-1")
    await house.process("task", TaskId(task), RecordTender(tender_id=tender, round=1))
    assert await kinds(house, models) == []
    await house.process("task", TaskId(task), CloseTender(tender_id=tender, round=1, outcome="exhausted"))
    assert await kinds(house, models) == ["no_taker"]
    await house.knows("ann")
    await done(house, f"tasks/{task}/assign-task", {"rider_id": "ann"})
    assert await kinds(house, models) == []


async def test_an_incident_waits_for_whoever_takes_it(house: House, models: ReadModels):
    body = {"kind": "accident", "description": "!", "external_reference": "C-7"}
    incident = await made(house, "incidents", body)
    [row] = await desk(house, models)
    assert (row["kind"], row["items"][0]["level"]) == ("incident_unattended", 0)
    called = {"external_reference": "C-7", "kind": "accident", "status": "reported", "links": []}
    assert row["about"] == called
    await done(house, f"incidents/{incident}/escalate-incident", {"reason_code": "press"})
    [row] = await desk(house, models)
    assert row["items"][0]["level"] == 1
    await done(house, f"incidents/{incident}/assign-incident", {"assignee": "dora"})
    assert await desk(house, models) == []


async def test_what_a_vehicle_needs_waits_until_it_is_done(house: House, models: ReadModels):
    capacity = {"weight_g": 1, "volume_cm3": 1, "parcels": 1}
    vehicle = await made(house, "vehicles", {"kind": "van", "capacity": capacity})
    plan = {"maintenance_id": "m1", "kind": "service", "due_km": 100}
    await done(house, f"vehicles/{vehicle}/plan-vehicle-maintenance", plan)
    defect = {"code": "brake", "severity": "major"}
    failed = {"inspection_id": "i1", "observed_at": house.now.isoformat(), "defects": [defect], "odometer_km": 120}
    await done(house, f"vehicles/{vehicle}/report-vehicle-inspection", failed)
    assert sorted(await kinds(house, models)) == ["inspection_failed", "maintenance_due"]
    await done(house, f"vehicles/{vehicle}/complete-vehicle-maintenance", {"maintenance_id": "m1"})
    house.now += timedelta(minutes=1)
    passed = {"inspection_id": "i2", "observed_at": house.now.isoformat()}
    await done(house, f"vehicles/{vehicle}/report-vehicle-inspection", passed)
    assert await kinds(house, models) == []


async def test_an_inspection_that_is_told_late_changes_nothing_and_maintenance_planned_anew_is_not_due(
    house: House, models: ReadModels
):
    capacity = {"weight_g": 1, "volume_cm3": 1, "parcels": 1}
    vehicle = await made(house, "vehicles", {"kind": "van", "capacity": capacity})

    async def inspected(name: str, minutes: int, *defects: Json) -> None:
        at = house.now - timedelta(minutes=minutes)
        body = {"inspection_id": name, "observed_at": at.isoformat(), "defects": list(defects)}
        await done(house, f"vehicles/{vehicle}/report-vehicle-inspection", body)
        house.now += timedelta(seconds=1)

    brake = {"code": "brake", "severity": "major"}
    await inspected("i1", 10, brake)
    await inspected("i2", 60)
    assert await kinds(house, models) == ["inspection_failed"], "it had passed before it failed"
    await inspected("i3", 1)
    await inspected("i4", 30, brake)
    assert await kinds(house, models) == []
    plan = {"maintenance_id": "m1", "kind": "service", "due_km": 100}
    await done(house, f"vehicles/{vehicle}/plan-vehicle-maintenance", plan)
    odometer = {"odometer_km": 120, "observed_at": house.now.isoformat()}
    await done(house, f"vehicles/{vehicle}/report-vehicle-odometer", odometer)
    assert await kinds(house, models) == ["maintenance_due"]
    house.now += timedelta(minutes=1)
    await done(house, f"vehicles/{vehicle}/plan-vehicle-maintenance", plan | {"due_km": 9_000})
    assert await kinds(house, models) == []


async def test_an_action_that_was_refused_for_one_waits_though_it_was_taken_for_another(
    house: House, models: ReadModels
):
    tasks = [await made(house, "tasks", delivery(external_reference=word)) for word in ("1", "2")]
    links = [{"kind": "task", "id": task} for task in tasks]
    incident = await made(house, "incidents", {"kind": "safety", "description": "!", "links": links})
    for task, answer in zip(tasks, ("refused", "taken"), strict=True):
        link = IncidentLink(kind="task", id=task)
        said = (
            NoteActionRefused(action="hand_over_tasks", link=link, rule="goods-in-custody")
            if answer == "refused"
            else TakeIncidentAction(action="hand_over_tasks", link=link)
        )
        await house.process("incident", incident, said)
    rows = {row["kind"]: row["items"] for row in await desk(house, models)}
    assert [item["link"]["id"] for item in rows["action_refused"]] == tasks[:1]
    taken = {"action": "hand_over_tasks", "link": links[0]}
    await done(house, f"incidents/{incident}/take-incident-action", taken)
    assert "action_refused" not in await kinds(house, models)


async def test_what_was_refused_of_an_incident_leaves_the_desk_once_that_is_sealed(house: House, models: ReadModels):
    task = await made(house, "tasks", delivery(external_reference="1"))
    link = IncidentLink(kind="task", id=task)
    house.now += timedelta(minutes=1)
    told = {"kind": "loss", "description": "!", "links": [{"kind": "task", "id": task}]}
    incident = await made(house, "incidents", told | {"claim_value": {"amount_minor": 1, "currency": "EUR"}})
    await done(house, f"incidents/{incident}/assign-incident", {"assignee": "dora"})
    lost = [{"task_id": task, "parcel_ids": ["parcel-1"]}]
    await done(house, f"incidents/{incident}/resolve-incident", {"resolution_code": "paid", "lost": lost})
    refused = NoteActionRefused(action="write_off_parcels", link=link, rule="unknown-parcel")
    await house.process("incident", incident, refused)
    assert await kinds(house, models) == ["action_refused"]
    await done(house, f"incidents/{incident}/seal-incident", who=("operator", "root"))
    assert await kinds(house, models) == [], "nothing can be done about it any more"


async def test_a_rider_whose_hours_end_soon_stands_there_until_they_take_a_break(house: House, models: ReadModels):
    rules = {"rules": {"hours_rules": "eu_561"}}
    await done(house, f"tenants/{tenant_id('acme')}/change-tenant-rules", rules, ("operator", "root"))
    rider = await made(house, "riders", {"name": "Ann"})
    await done(house, f"riders/{rider}/approve-rider")
    shift = {"ends_at": (house.now + timedelta(hours=9)).isoformat(), "shift_id": "early"}
    await done(house, f"riders/{rider}/start-shift", shift)
    house.now += timedelta(hours=4)
    await house.process("rider", rider, WarnHoursLimit(shift_id=ShiftId("early")))
    [row] = await desk(house, models)
    assert (row["kind"], row["aggregate_id"]) == ("hours_ending", rider)
    assert (row["items"][0]["id"], row["items"][0]["rule"]) == ("early", "break_due")
    assert row["mends"][0] == f"riders/{rider}/start-break"
    await done(house, row["mends"][0])
    assert await desk(house, models) == []


async def a_booking(house: House, name: str = "1") -> str:
    """Booked with a carrier that is to be heard of every half hour."""
    level = {"code": "same_day", "title": "Same day", "commitment_seconds": 600, "silence_seconds": 1_800}
    carrier = await made(house, "carriers", {"name": "Posti", "terms": {"service_levels": [level]}})
    await done(house, f"carriers/{carrier}/activate-carrier")
    quote = {
        "task_id": "task-1",
        "carrier_id": carrier,
        "service_level": "same_day",
        "price": {"amount_minor": 1_250, "currency": "EUR"},
        "estimated_pickup_at": (house.now + timedelta(hours=1)).isoformat(),
        "estimated_dropoff_at": (house.now + timedelta(hours=2)).isoformat(),
        "expires_at": (house.now + timedelta(minutes=10)).isoformat(),
        "external_reference": name,
    }
    await house.expects("task-1")
    booking = await made(house, "carrier-bookings", quote)
    await done(house, f"carrier-bookings/{booking}/book-carrier", {"carrier_reference": "P-77"})
    return booking


def says(house: House, status: str) -> Json:
    return {"status": status, "observed_at": house.now.isoformat(), "carrier_event_id": f"{status}-{house.now}"}


SHOP = ("integrator", "shop")


async def test_a_silent_carrier_stands_there_until_it_is_heard_again_or_the_booking_is_over(
    house: House, models: ReadModels
):
    booking = await a_booking(house)
    assert await desk(house, models) == []
    house.now += timedelta(minutes=30)
    await house.process("carrier_booking", booking, RecordCarrierSilence())
    [row] = await desk(house, models, "?kind=carrier_silent", SHOP)
    assert (row["aggregate_id"], row["items"][0]["task_id"]) == (booking, "task-1")
    assert row["mends"][0] == f"carrier-bookings/{booking}/record-carrier-status"
    await done(house, row["mends"][0], says(house, "arrived_at_pickup"), SHOP)
    assert await desk(house, models) == []


async def test_a_silent_carrier_that_has_the_goods_is_settled_by_a_dispatcher(house: House, models: ReadModels):
    booking = await a_booking(house)
    await done(house, f"carrier-bookings/{booking}/record-carrier-status", says(house, "picked_up"), SHOP)
    house.now += timedelta(minutes=30)
    await house.process("carrier_booking", booking, RecordCarrierSilence())
    [row] = await desk(house, models)
    assert not any(path.endswith("cancel-carrier-booking") for path in row["mends"]), "it has the goods"
    settle = {"outcome": "delivered", "reason_code": "recipient_called"}
    await done(house, row["mends"][0], settle)
    assert await desk(house, models) == []


async def test_goods_in_hand_of_a_booking_that_its_task_refused_stand_there_until_it_is_settled(
    house: House, models: ReadModels
):
    booking = await a_booking(house)
    await done(house, f"carrier-bookings/{booking}/record-carrier-status", says(house, "picked_up"), SHOP)
    await house.process("carrier_booking", booking, RefuseCarrierBooking(reason_code="unknown_task", task_known=False))
    [row] = await desk(house, models)
    assert (row["kind"], row["items"][0]["reason_code"]) == ("carrier_refused", "unknown_task")
    await done(house, row["mends"][0], {"outcome": "failed", "reason_code": "sent_back"})
    assert await desk(house, models) == []


async def test_goods_that_a_carrier_brings_back_to_two_places_stand_there_until_each_is_back(
    house: House, models: ReadModels
):
    north = {"kind": "pickup", "location": {"lat": 60.1612, "lon": 24.9420}}
    stops = [{"kind": "pickup"}, north, {"kind": "dropoff", "location": HOME, "contact": {"name": "Cleo"}}]
    parcels = [{"pickup_stop": "stop-1"}, {"pickup_stop": "stop-2"}]
    task = TaskId(await made(house, "tasks", delivery(external_reference="1", stops=stops, parcels=parcels)))
    carrier, booking = CarrierId("posti"), CarrierBookingId("booking-1")
    await house.process("task", task, AssignTaskToCarrier(carrier_id=carrier, booking_id=booking))
    report = RecordCarrierReport(
        carrier_id=carrier, booking_id=booking, booking_version=4, says="picked_up", observed_at=house.now
    )
    await house.process("task", task, report)
    told = await done(house, f"tasks/{task}/cancel-task", {"reason_code": "changed_mind"})
    assert told["events"][:2] == ["ReturnStarted", "ReturnStarted"]

    async def still_to_come() -> list[str]:
        return [item["id"] for row in await desk(house, models, "?kind=carrier_brings_back") for item in row["items"]]

    async def read() -> Json:
        return (await house.caller("dispatcher", "dora").get(f"/v1/acme/tasks/{task}")).json()

    assert await still_to_come() == ["return-1", "return-2"]
    detail = await read()
    assert [stop["status"] for stop in detail["stops"]] == ["completed", "completed", "skipped", "pending", "pending"]
    assert [each["bound_for"] for each in detail["parcels"].values()] == ["return-1", "return-2"]
    for place, left in (("return-2", ["return-1"]), ("return-1", [])):
        house.now += timedelta(seconds=1)
        await done(house, f"tasks/{task}/report-returned", {"stop_id": place, "observed_at": house.now.isoformat()})
        assert await still_to_come() == left
    detail = await read()
    assert (detail["state"], detail["outcome"]) == ("returned", "returned")


async def test_goods_that_a_carrier_brings_back_stand_there_until_they_are_back(house: House, models: ReadModels):
    task = TaskId(await made(house, "tasks", delivery(external_reference="1", parcels=[{}])))
    carrier, booking = CarrierId("posti"), CarrierBookingId("booking-1")
    await house.process("task", task, AssignTaskToCarrier(carrier_id=carrier, booking_id=booking))
    report = RecordCarrierReport(
        carrier_id=carrier, booking_id=booking, booking_version=4, says="picked_up", observed_at=house.now
    )
    await house.process("task", task, report)
    assert await desk(house, models) == []
    await done(house, f"tasks/{task}/cancel-task", {"reason_code": "changed_mind"})
    [row] = await desk(house, models)
    assert (row["kind"], row["items"][0]["carrier_id"]) == ("carrier_brings_back", carrier)
    seen = (await house.caller("dispatcher", "dora").get(f"/v1/acme/tasks/{task}")).json()
    assert (seen["state"], seen["carrier"]) == ("returning", {"carrier_id": carrier, "booking_id": booking})
    back = {"stop_id": "return-1", "observed_at": house.now.isoformat()}
    await done(house, row["mends"][0], back)
    assert await desk(house, models) == []


async def test_each_is_offered_the_commands_that_their_role_may_send(house: House, models: ReadModels):
    await brought_back(house, "1")
    for who, offered in (
        (("dispatcher", "dora"), ["report-returned"]),
        (("operator", "olga"), ["report-returned", "force-complete-task"]),
        (SHOP, []),
        (("auditor", "aino"), []),
    ):
        [row] = await desk(house, models, who=who)
        assert [path.rsplit("/", 1)[1] for path in row["mends"]] == offered, who


async def test_a_carriers_status_that_does_not_fit_waits_until_it_is_reviewed(house: House, models: ReadModels):
    booking = await a_booking(house)
    await done(house, f"carrier-bookings/{booking}/cancel-carrier-booking", {"reason_code": "changed_mind"})
    told = await done(house, f"carrier-bookings/{booking}/record-carrier-status", says(house, "picked_up"), SHOP)
    assert (told["conflict"], told["events"]) == (True, ["CarrierStatusConflicted"])
    [row] = await desk(house, models, "?kind=carrier_status_conflicted")
    [item] = row["items"]
    assert (item["status"], item["conflict"]) == ("picked_up", "the booking is cancelled")
    assert item["carrier_event_id"] == says(house, "picked_up")["carrier_event_id"]
    await done(house, row["mends"][0], {"conflict_id": item["id"], "decision_code": "goods_come_back"})
    assert await desk(house, models) == []


async def silent(house: House, name: str) -> None:
    booking = await a_booking(house, name)
    house.now += timedelta(minutes=30)
    await house.process("carrier_booking", booking, RecordCarrierSilence())


async def told_what_cannot_be(house: House, name: str) -> None:
    booking = await a_booking(house, name)
    await done(house, f"carrier-bookings/{booking}/record-carrier-status", says(house, "picked_up"), SHOP)
    house.now += timedelta(seconds=1)
    await done(house, f"carrier-bookings/{booking}/record-carrier-status", says(house, "cancelled"), SHOP)


async def refused_with_the_goods(house: House, name: str) -> None:
    booking = await a_booking(house, name)
    await done(house, f"carrier-bookings/{booking}/record-carrier-status", says(house, "picked_up"), SHOP)
    await house.process("carrier_booking", booking, RefuseCarrierBooking(reason_code="unknown_task", task_known=False))


async def with_posti(house: House, name: str, **dropoff: object) -> TaskId:
    stops = [{"kind": "pickup"}, {"kind": "dropoff", "location": HOME} | dropoff]
    task = TaskId(await made(house, "tasks", delivery(external_reference=name, parcels=[{}], stops=stops)))
    booking = CarrierBookingId(f"booking-{name}")
    await house.process("task", task, AssignTaskToCarrier(carrier_id=CarrierId("posti"), booking_id=booking))
    return task


async def posti_says(house: House, task: TaskId, name: str, says: CarrierSays, version: int = 4) -> None:
    report = RecordCarrierReport(
        carrier_id=CarrierId("posti"),
        booking_id=CarrierBookingId(f"booking-{name}"),
        booking_version=version,
        says=says,
        observed_at=house.now,
    )
    await house.process("task", task, report)


async def delivered_without_a_proof(house: House, name: str) -> None:
    task = await with_posti(house, name, required_proof=[["nfc"]])
    await posti_says(house, task, name, "picked_up")
    await posti_says(house, task, name, "delivered", 5)


async def brought_back(house: House, name: str) -> None:
    task = await with_posti(house, name)
    await posti_says(house, task, name, "picked_up")
    await done(house, f"tasks/{task}/cancel-task", {"reason_code": "changed_mind"})


async def reported_what_cannot_be(house: House, name: str) -> None:
    task = await with_posti(house, name)
    report = RecordCarrierReport(
        carrier_id=CarrierId("itella"),
        booking_id=CarrierBookingId(f"another-{name}"),
        booking_version=4,
        says="picked_up",
        observed_at=house.now,
    )
    await house.process("task", task, report)


def mending(house: House, word: str, item: Json) -> tuple[Json, tuple[str, str]]:
    """What is asked by a command that the desk names, and by whom."""
    operator, dispatcher = ("operator", "olga"), ("dispatcher", "dora")
    reviewed = {"conflict_id": item["id"], "decision_code": "called"}
    tagged = {"kind": "nfc", "tag_id": "door"}
    return {
        "capture-proof": (
            {"stop_id": item["id"], "observed_at": house.now.isoformat(), "proofs": [tagged]},
            dispatcher,
        ),
        "record-carrier-status": (says(house, "en_route_to_pickup"), SHOP),
        "settle-carrier-booking": ({"outcome": "failed", "reason_code": "called"}, dispatcher),
        "cancel-carrier-booking": ({"reason_code": "too_late"}, dispatcher),
        "review-carrier-status": (reviewed, dispatcher),
        "review-field-report": (reviewed, dispatcher),
        "report-returned": ({"stop_id": item["id"], "observed_at": house.now.isoformat()}, dispatcher),
        "force-complete-task": ({"disposition": "returned", "reason_code": "called"}, operator),
    }[word]


@pytest.mark.parametrize(
    ("kind", "comes_about"),
    [
        ("carrier_silent", silent),
        ("carrier_status_conflicted", told_what_cannot_be),
        ("carrier_refused", refused_with_the_goods),
        ("carrier_brings_back", brought_back),
        ("carrier_proof_missing", delivered_without_a_proof),
        ("report_conflicted", reported_what_cannot_be),
    ],
    ids=lambda each: each if isinstance(each, str) else each.__name__,
)
async def test_each_command_that_is_offered_for_what_a_carrier_does_mends_it(
    house: House, models: ReadModels, kind: str, comes_about: Callable[[House, str], Awaitable[None]]
):
    for place in range(len(MENDS[kind])):
        house.now += timedelta(seconds=1)
        await comes_about(house, f"{place}")
        [row] = await desk(house, models, f"?kind={kind}")
        path = MENDS[kind][place].format(id=row["aggregate_id"])
        body, who = mending(house, path.rsplit("/", 1)[1], row["items"][0])
        [offered] = await desk(house, models, f"?kind={kind}", who)
        assert path in offered["mends"]
        await done(house, path, body, who)
        assert await desk(house, models, f"?kind={kind}") == [], path


async def test_a_stop_that_will_be_late_stands_there_while_it_is_ahead(house: House, models: ReadModels, postgres: str):
    window = {"start": house.now.isoformat(), "end": (house.now + timedelta(hours=1)).isoformat()}
    stops = [{"kind": "pickup"}, {"kind": "dropoff", "location": HOME, "window": window}]
    task = await made(house, "tasks", delivery(external_reference="1", stops=stops))
    await models.fold()
    for minutes, found in ((50, []), (70, ["predicted_late"])):
        async with await AsyncConnection.connect(postgres) as connection:
            await connection.execute(
                f"UPDATE {ETAS.physical} SET p50 = %s, first_forecast_at = %s WHERE task_id = %s AND stop_id = 'stop-2'".encode(),
                (house.now + timedelta(minutes=minutes), house.now, task),
            )
        assert await kinds(house, models) == found
    await done(house, f"tasks/{task}/cancel-task", {"reason_code": "changed_mind"})
    assert await kinds(house, models) == []


async def test_a_promise_that_the_forecast_breaks_is_at_risk_before_it_is_broken(
    house: House, models: ReadModels, postgres: str
):
    promised = {"name": "Within an hour", "terms": {"deliver_within_s": 3_600, "at_risk_margin_s": 0}}
    root = house.caller("operator", "olga")
    assert (await root.post("/v1/acme/sla-policies", json=promised, headers=key("sla"))).status_code == 201
    task = await made(house, "tasks", delivery(external_reference="1"))
    await models.fold()

    async def foretold(minutes: int) -> list[dict[str, Any]]:
        async with await AsyncConnection.connect(postgres) as connection:
            await connection.execute(
                f"UPDATE {ETAS.physical} SET p50 = %s, forecast_id = 'f-1' WHERE task_id = %s AND stop_id = 'stop-2'".encode(),
                (house.now + timedelta(minutes=minutes), task),
            )
            return await predicted(connection, range(PARTITIONS), 10)

    assert await foretold(60) == []
    [row] = await foretold(61)
    step = step_of(row)
    assert (step.aggregate_id, row["kind"]) == (task, "sla_predicted_late")
    answer = await house.process("task", task, step.command)
    assert answer.events == ("SlaAtRisk",)
    await models.fold()
    assert await foretold(62) == [], "it is said once"
    [risk] = (await root.get("/v1/acme/sla-board")).json()["items"]
    assert (risk["at_risk"], risk["level"]) == (True, None)
    assert "sla_at_risk" in await kinds(house, models)
    for query, count in (("", 1), ("?since=2026-03-01T12:00:01Z", 0), ("?until=2026-03-01T12:00:00Z", 0)):
        counted = (await root.get(f"/v1/acme/sla-statistics{query}")).json()["items"]
        assert sum(each["at_risk"] for each in counted) == count, query


async def test_a_document_that_expires_soon_stands_there_until_another_takes_over(house: House, models: ReadModels):
    rider = await made(house, "riders", {"name": "Ann", "external_reference": "ann"})
    url = f"riders/{rider}"

    async def verified(document: str, day: int) -> None:
        house.now += timedelta(seconds=1)
        await done(house, f"{url}/submit-document", {"document_id": document, "kind": "licence"})
        span = {"valid_from": "2026-01-01T00:00:00Z", "expires_at": f"2026-03-{day:02}T00:00:00Z"}
        await done(house, f"{url}/verify-document", {"document_id": document} | span)

    async def fired() -> tuple[str, ...]:
        await models.fold()
        rows = (await house.caller("operator", "olga").get("/v1/acme/deadlines")).json()["items"]
        answers = [await house.process("rider", rider, step_of(row).command) for row in rows]
        return tuple(event for answer in answers for event in answer.events)

    await verified("old", 10)
    assert await fired() == ("DocumentExpiryWarned",)
    [row] = await desk(house, models)
    assert (row["kind"], row["aggregate_id"]) == ("document_expiring", rider)
    assert [(each["id"], each["kind"]) for each in row["items"]] == [("old", "licence")]
    assert await fired() == (), "it is told once"
    await verified("short", 9)
    assert await kinds(house, models) == ["document_expiring"], "that one is over even sooner"
    await done(house, f"{url}/reject-document", {"document_id": "short", "reason_code": "blurred"})
    await verified("new", 31)
    assert await kinds(house, models) == []
    await done(house, f"{url}/reject-document", {"document_id": "new", "reason_code": "forged"})
    assert await kinds(house, models) == ["document_expiring"], "nothing takes over any more"
    await verified("newer", 31)
    assert await kinds(house, models) == []
    house.now += timedelta(seconds=1)
    await done(house, f"{url}/reject-document", {"document_id": "old", "reason_code": "replaced"})
    assert await kinds(house, models) == []


async def test_a_document_that_has_ended_stands_there_until_a_later_one_begins(house: House, models: ReadModels):
    capacity = {"weight_g": 1, "volume_cm3": 1, "parcels": 1}
    for plural, of, kind, body in (
        ("riders", "", "licence", {"name": "Ann"}),
        ("vehicles", "vehicle-", "vehicle_insurance", {"kind": "van", "capacity": capacity}),
    ):
        url = f"{plural}/{await made(house, plural, body | {'external_reference': 'it'})}"
        for document, start, end in (("old", 1, 10), ("new", 20, 31)):
            house.now += timedelta(seconds=1)
            await done(house, f"{url}/submit-{of}document", {"document_id": document, "kind": kind})
            span = {"valid_from": f"2026-03-{start:02}T00:00:00Z", "expires_at": f"2026-03-{end:02}T00:00:00Z"}
            await done(house, f"{url}/verify-{of}document", {"document_id": document} | span)
    await models.fold()
    for row in (await house.caller("operator", "olga").get("/v1/acme/deadlines")).json()["items"]:
        if row["due_at"] <= house.now.isoformat():
            step = step_of(row)
            await house.process(step.kind, step.aggregate_id, step.command)
    expiring = ["document_expiring", "vehicle_document_expiring"]
    assert sorted(await kinds(house, models)) == expiring
    house.now = datetime(2026, 3, 19, tzinfo=UTC)
    assert sorted(await kinds(house, models)) == expiring, "there is none that is valid"
    house.now = datetime(2026, 3, 20, tzinfo=UTC)
    assert await kinds(house, models) == []


async def test_a_rider_whose_zones_have_all_ended_stands_there_until_they_have_others(house: House, models: ReadModels):
    around = {"type": "circle", "center": HOME, "radius_m": 500}

    async def zone(name: str) -> str:
        return await made(
            house, "geofences", {"name": name, "kind": "zone", "shape": around, "external_reference": name}
        )

    north, south = await zone("north"), await zone("south")
    rider = await made(house, "riders", {"name": "Ann", "external_reference": "ann", "zones": [north, south]})
    await made(house, "riders", {"name": "Bob", "external_reference": "bob"})
    await done(house, f"riders/{rider}/approve-rider")
    await done(house, f"geofences/{north}/remove-geofence")
    assert await kinds(house, models) == [], "there is work in the other"
    ends_at = house.now + timedelta(hours=1)
    await done(house, f"geofences/{south}/remove-geofence", {"valid_until": ends_at.isoformat()})
    assert await kinds(house, models) == [], "so there is until it ends"
    house.now = ends_at
    [row] = await desk(house, models, "?kind=zones_ended")
    assert (row["aggregate_id"], row["since"]) == (rider, ends_at.isoformat().replace("+00:00", "Z"))
    assert [(each["id"], each["name"]) for each in row["items"]] == [(north, "north"), (south, "south")]
    assert row["mends"] == [f"riders/{rider}/set-rider-zones", f"riders/{rider}/suspend-rider"]
    await done(house, row["mends"][1], {"reason_code": "no_work"})
    assert await kinds(house, models) == [], "who is suspended waits for no work"
    await done(house, f"riders/{rider}/reinstate-rider")
    assert await kinds(house, models) == ["zones_ended"]
    await done(house, row["mends"][0], {"zones": [south, await zone("east")]})
    assert await kinds(house, models) == []
    house.now += timedelta(seconds=1)
    await done(house, row["mends"][0], {"zones": [south]})
    assert await kinds(house, models) == ["zones_ended"]
    house.now += timedelta(seconds=1)
    await done(house, row["mends"][0], {"zones": []})
    assert await kinds(house, models) == [], "without any they work anywhere"


async def test_what_waits_for_the_longest_comes_first_page_by_page(house: House, models: ReadModels):
    for number in range(3):
        house.now += timedelta(minutes=1)
        body = {"kind": "loss", "description": "!", "external_reference": f"{number}"}
        await made(house, "incidents", body)
    rows = await desk(house, models)
    assert [row["since"] for row in rows] == sorted(row["since"] for row in rows)
    first = (await house.caller("dispatcher").get("/v1/acme/exception-desk?limit=2")).json()
    rest = (await house.caller("dispatcher").get(f"/v1/acme/exception-desk?limit=2&after={first['next']}")).json()
    assert [*first["items"], *rest["items"]] == rows
    assert await desk(house, models, "?kind=no_taker") == []
    assert await desk(house, models, f"?aggregate_id={rows[1]['aggregate_id']}") == [rows[1]]


def test_what_is_said_to_mend_is_a_command_of_the_api():
    known = {(command.plural, command.word) for command in OPEN if not command.creating}
    assert MENDS.keys() == set(KINDS)
    for paths in MENDS.values():
        for path in paths:
            plural, _, word = path.split("/")
            assert (plural, word) in known, path
