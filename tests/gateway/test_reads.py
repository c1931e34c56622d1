"""Queries through the door, over real read models: who sees what, how fresh, page by page."""

import asyncio
from datetime import timedelta

import httpx
import msgspec
import pytest
from read_models import ReadModels
from reception import HOME, House, Json, delivery, key
from structlog.testing import capture_logs

from gateway.queries import LISTINGS
from projections.task_board import TASK_BOARD
from projections.task_detail import TASK_DETAIL
from schemas import ids
from schemas.geo import Location
from schemas.load import Overload
from schemas.message import RiderId, StopId, TaskId, VehicleId
from schemas.position import token, vector
from schemas.rider import ActivateReservation, NewPlannedStop, ReserveRider
from schemas.tender import Candidate, Excluded, OpenTender, PlannedOffer


@pytest.fixture
def house(library) -> House:
    return library[0]


@pytest.fixture
def models(library) -> ReadModels:
    return library[1]


async def a_task(house: House, reference: str = "1", **more: object) -> Json:
    body = delivery(external_reference=reference, **more)
    made = await house.caller().post("/v1/acme/tasks", json=body)
    assert made.status_code == 201, made.text
    return made.json()


async def a_rider(house: House, name: str = "Ann") -> str:
    dora = house.caller("dispatcher", "dora")
    made = await dora.post("/v1/acme/riders", json={"name": name, "external_reference": name.lower()})
    rider = made.json()["id"]
    await dora.post(f"/v1/acme/riders/{rider}/approve-rider", headers=key("a"))
    await dora.post(f"/v1/acme/riders/{rider}/start-shift", json={"ends_at": "2026-03-02T00:00:00Z"}, headers=key("s"))
    return rider


async def assigned(house: House, task: str, rider: str) -> None:
    await house.caller("dispatcher", "dora").post(
        f"/v1/acme/tasks/{task}/assign-task", json={"rider_id": rider}, headers=key("assign")
    )


async def accepted(house: House, task: str, rider: str) -> None:
    await assigned(house, task, rider)
    said = await house.caller("rider", rider).post(f"/v1/acme/tasks/{task}/accept-assignment", headers=key("accept"))
    assert said.status_code == 200, said.text


TOO_BULKY = Overload(measure="volume_cm3", load=9_000, limit=4_000)


async def a_tender(house: House, task: str, riders: list[str]) -> str:
    tender = ids.tender_id(TaskId(task), 1)
    until = house.now + timedelta(minutes=1)
    offers = [
        PlannedOffer(offer_id=ids.offer_id(tender, RiderId(r)), rider_id=RiderId(r), expires_at=until) for r in riders
    ]
    candidates = [
        Candidate(rider_id=RiderId(r), rank=rank, travel_s=60.0, distance_m=500.0, source="osrm")
        for rank, r in enumerate(riders)
    ]
    command = OpenTender(
        task_id=TaskId(task),
        round=1,
        mode="broadcast",
        candidates=candidates,
        excluded=[
            Excluded(rider_id=RiderId("bob"), code="off_shift"),
            Excluded(rider_id=RiderId("cyd"), code="over_capacity", overload=TOO_BULKY),
        ],
        offers=offers,
        policy_version=1,
        input_hash="h",
        solver="nearest",
    )
    await house.process("tender", tender, command)
    return tender


async def test_the_board_shows_what_was_created(house, models):
    task = await a_task(house)
    await models.fold()
    read = await house.caller().get("/v1/acme/task-board")
    assert read.status_code == 200
    [row] = read.json()["items"]
    assert (row["task_id"], row["state"], row["stops_total"]) == (task["id"], "dispatchable", 2)
    assert "progress" not in row
    assert vector(read.headers["logistics-consistency"])


async def test_why_waits_for_the_task_that_the_caller_has_seen(house, models):
    task = await a_task(house)
    await models.fold(["dispatch_decisions", "tender_board"])
    headers = {"logistics-consistency": task["consistency"], "prefer": "wait=0"}
    path, dora = f"/v1/acme/tasks/{task['id']}/why", house.caller("dispatcher", "dora")
    assert (await dora.get(path, headers=headers)).json()["code"] == "projection-lagging"
    await models.fold()
    assert (await dora.get(path, headers=headers)).json()["task_id"] == task["id"]


async def test_the_board_filters_by_what_is_asked(house, models):
    first, _ = await a_task(house, "1"), await a_task(house, "2")
    await house.caller().post(
        f"/v1/acme/tasks/{first['id']}/cancel-task", json={"reason_code": "changed"}, headers=key("c")
    )
    await models.fold()
    shop = house.caller()
    for query, count in (
        ("state=cancelled", 1),
        ("state=dispatchable&outlet=kamppi", 1),
        ("outlet=nowhere", 0),
        ("external_reference=1", 1),
        ("rider_id=ann", 0),
    ):
        read = await shop.get(f"/v1/acme/task-board?{query}")
        assert len(read.json()["items"]) == count, query


async def test_tasks_are_found_by_their_metadata_and_by_when_they_changed(house, models):
    first = await a_task(house, "1", metadata={"team": "north", "note": "a:b"})
    house.now += timedelta(minutes=10)
    await a_task(house, "2", metadata={"team": "south"})
    await models.fold()
    shop = house.caller()
    for query, references in (
        ("metadata=team:north", ["1"]),
        ("metadata=note:a:b", ["1"]),
        ("metadata=team:nor", []),
        ("metadata=north:team", []),
        ("updated_since=2026-03-01T12:10:00Z", ["2"]),
        ("updated_since=2026-03-01T12:10:00Z&metadata=team:north", []),
    ):
        for listing in ("task-board", "tasks"):
            items = (await shop.get(f"/v1/acme/{listing}?{query}")).json()["items"]
            assert [row["external_reference"] for row in items] == references, query
    await shop.post(f"/v1/acme/tasks/{first['id']}/hold-task", json={"reason_code": "stock"}, headers=key("h"))
    await models.fold()
    items = (await shop.get("/v1/acme/task-board?updated_since=2026-03-01T12:10:00Z")).json()["items"]
    assert [row["external_reference"] for row in items] == ["1", "2"], "a change makes it new"


@pytest.mark.parametrize(
    "listing",
    [each for each in LISTINGS if "metadata" in each.model.row.__struct_fields__],
    ids=lambda each: each.word,
)
async def test_whatever_callers_create_is_found_by_what_they_say_of_it(house, models, listing):
    given = {"metadata": "team:north", "updated_since": "2026-03-01T12:00:00Z"}
    if "external_reference" in listing.model.row.__struct_fields__:
        given["external_reference"] = "order-17"
    await models.fold()
    for query in (given, *({name: value} for name, value in given.items())):
        read = await house.caller("operator", "olga").get(f"/v1/acme/{listing.word}", params=query)
        assert read.status_code == 200, read.text
        assert "metadata" not in query or read.json()["items"] == []


async def test_a_link_to_the_next_page_has_what_was_asked_as_it_was_asked(house, models):
    for number in range(3):
        await a_task(house, str(number), metadata={"team": "north"})
    await models.fold()
    shop, url, seen = (
        house.caller(),
        "/v1/acme/task-board?limit=1&held=false&metadata=team:north&updated_since=2026-03-01T14:00:00%2B02:00",
        [],
    )
    while url:
        read = await shop.get(url)
        assert read.status_code == 200, read.text
        seen += [row["external_reference"] for row in read.json()["items"]]
        url = read.links["next"]["url"] if "next" in read.links else ""
    assert sorted(seen) == ["0", "1", "2"]


async def test_pages_follow_each_other_without_gap_or_overlap(house, models):
    made = []
    for number in range(5):
        house.now += timedelta(seconds=number % 2)
        made.append((await a_task(house, str(number)))["id"])
    await models.fold()
    shop, seen, url = house.caller(), [], "/v1/acme/task-board?limit=2&state=dispatchable"
    for _ in range(3):
        read = await shop.get(url)
        seen += [row["task_id"] for row in read.json()["items"]]
        url = read.links["next"]["url"] if "next" in read.links else ""
    assert sorted(seen) == sorted(made)
    assert url == ""


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("limit=0", ["limit"]),
        ("limit=501&state=lost", ["limit", "state"]),
        ("colour=red&after=%25", ["colour", "after"]),
        ("outlet=%00", ["outlet"]),
        ("metadata=north", ["metadata"]),
        ("metadata=:north", ["metadata"]),
        ("state=created&state=created", ["state"]),
        ("after=" + token({}), ["after"]),
    ],
)
async def test_wrong_parameters_are_all_told_at_once(house, query, names):
    refused = await house.caller().get(f"/v1/acme/task-board?{query}")
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid-parameter")
    assert [error["pointer"] for error in refused.json()["errors"]] == names


async def test_an_id_that_cannot_be_one_is_not_found(house):
    for strange in ("%00", "%F0%9F%9A%B2", "a%20b", "x" * 200):
        read = await house.caller().get(f"/v1/acme/tasks/{strange}")
        assert (read.status_code, read.json()["code"]) == (404, "not-found")


async def test_the_detail_opens_personal_data_for_those_who_dispatch_and_logs_the_read(house, models):
    task = await a_task(house)
    await models.fold()
    with capture_logs() as logs:
        read = await house.caller("dispatcher", "dora").get(f"/v1/acme/tasks/{task['id']}")
    dropoff = read.json()["stops"][1]
    assert (dropoff["contact"]["name"], dropoff["location"]) == ("Cleo Contact", HOME)
    assert (dropoff["status"], read.json()["rider_id"]) == ("pending", None)
    assert "pin_hash" not in dropoff
    assert read.headers["etag"] == '"v2"'
    [line] = [line for line in logs if line["event"] == "personal data read"]
    assert line["subjects"] == sorted({ids.contact_subject("acme", f"{task['id']}/stop-{n}") for n in (1, 2)})
    assert "Cleo" not in str(logs)


async def test_a_list_logs_whose_data_it_opened_row_by_row(house, models):
    first, second = [(await a_task(house, reference))["id"] for reference in ("1", "2")]
    rider, dora = await a_rider(house), house.caller("dispatcher", "dora")
    room = {"weight_g": 800_000, "volume_cm3": 4_000_000, "parcels": 60}
    van = {"kind": "van", "plate": "ABC-1", "capacity": room, "external_reference": "van-1"}
    vehicle = (await dora.post("/v1/acme/vehicles", json=van)).json()["id"]
    accident = {"kind": "accident", "description": "Ann fell", "external_reference": "a"}
    incident = (await dora.post("/v1/acme/incidents", json=accident)).json()["id"]
    await models.fold()
    for listing, opened in (
        ("tasks", {task: at_stops(task) for task in (first, second)}),
        ("rider-roster", {rider: [ids.rider_subject(RiderId(rider))]}),
        ("vehicle-roster", {vehicle: [ids.vehicle_subject(VehicleId(vehicle))]}),
        ("incident-register", {incident: [ids.incident_subject(incident)]}),
    ):
        with capture_logs() as logs:
            assert (await dora.get(f"/v1/acme/{listing}")).status_code == 200
        told = [line for line in logs if line["event"] == "personal data read"]
        assert {line["aggregate_id"]: line["subjects"] for line in told} == opened, listing
        assert {(line["reader"], line["role"]) for line in told} == {("dora", "dispatcher")}
        assert "Ann" not in str(logs)
        with capture_logs() as logs:
            assert "hidden" in (await house.caller("analyst", "ada").get(f"/v1/acme/{listing}")).text
        assert [line for line in logs if line["event"] == "personal data read"] == [], "to her all is hidden"


def at_stops(task: str) -> list[str]:
    return sorted(ids.contact_subject("acme", f"{task}/stop-{n}") for n in (1, 2))


async def test_the_detail_hides_personal_data_from_those_who_only_look(house, models):
    task = await a_task(house)
    await models.fold()
    read = await house.caller("analyst", "ada").get(f"/v1/acme/tasks/{task['id']}")
    assert read.json()["stops"][1]["contact"] == {"name": "hidden", "phone": "hidden", "notes": None}
    assert "Cleo" not in read.text


async def test_a_location_given_later_is_opened_as_well(house, models):
    task = await a_task(house, stops=[{"kind": "pickup"}, {"kind": "dropoff"}])
    await house.caller().post(
        f"/v1/acme/tasks/{task['id']}/locate-stop",
        json={"stop_id": "stop-2", "location": HOME},
        headers=key("l"),
    )
    await models.fold()
    read = await house.caller().get(f"/v1/acme/tasks/{task['id']}")
    assert (read.status_code, read.json()["stops"][1]["location"]) == (200, HOME)


async def test_a_forgotten_person_is_erased_from_every_answer(house, models):
    task = await a_task(house)
    await models.fold()
    subject = ids.contact_subject("acme", f"{task['id']}/stop-2")
    for partition in house.keyring.partitions_of(subject):
        house.keyring.apply(partition, subject, None)
    read = await house.caller().get(f"/v1/acme/tasks/{task['id']}")
    assert read.json()["stops"][1]["contact"]["name"] == "erased"


async def test_a_rider_sees_their_own_task_and_its_contacts_only_once_accepted(house, models):
    task, rider = await a_task(house), await a_rider(house)
    ann = house.caller("rider", rider)
    await models.fold()
    assert (await ann.get(f"/v1/acme/tasks/{task['id']}")).status_code == 404
    await assigned(house, task["id"], rider)
    await models.fold()
    assert (await ann.get(f"/v1/acme/tasks/{task['id']}")).json()["stops"][1]["contact"]["name"] == "hidden"
    await accepted(house, task["id"], rider)
    await models.fold()
    assert (await ann.get(f"/v1/acme/tasks/{task['id']}")).json()["stops"][1]["contact"]["name"] == "Cleo Contact"


async def test_a_rider_sees_no_contacts_some_hours_after_the_end(house, models):
    task, rider = await a_task(house), await a_rider(house)
    await accepted(house, task["id"], rider)
    await house.caller("operator", "olga").post(
        f"/v1/acme/tasks/{task['id']}/force-complete-task",
        json={"disposition": "delivered", "reason_code": "seen"},
        headers=key("f"),
    )
    await models.fold()
    ann = house.caller("rider", rider)
    url = f"/v1/acme/tasks/{task['id']}"
    assert (await ann.get(url)).json()["stops"][1]["contact"]["name"] == "Cleo Contact"
    house.now += timedelta(hours=5)
    assert (await ann.get(url)).json()["stops"][1]["contact"]["name"] == "hidden"


async def test_what_is_told_after_the_end_does_not_open_its_contacts_again(house, models):
    task, rider = await a_task(house), await a_rider(house)
    await accepted(house, task["id"], rider)
    await house.caller("operator", "olga").post(
        f"/v1/acme/tasks/{task['id']}/force-complete-task",
        json={"disposition": "delivered", "reason_code": "seen"},
        headers=key("f"),
    )
    house.now += timedelta(hours=5)
    ann = house.caller("rider", rider)
    late = {"stop_id": "stop-1", "observed_at": house.now.isoformat()}
    told = await ann.post(f"/v1/acme/tasks/{task['id']}/report-picked-up", json=late, headers=key("l"))
    assert told.json()["events"] == ["FieldReportConflicted"]
    await models.fold()
    assert (await ann.get(f"/v1/acme/tasks/{task['id']}")).json()["stops"][1]["contact"]["name"] == "hidden"


async def test_who_is_offered_goods_sees_where_to_meet_and_no_contacts_before_they_have_them(house, models):
    task, rider, other = await a_task(house), await a_rider(house), await a_rider(house, "Bob")
    await accepted(house, task["id"], rider)
    ann, url = house.caller("rider", rider), f"/v1/acme/tasks/{task['id']}"
    picked_up = {"stop_id": "stop-1", "observed_at": house.now.isoformat()}
    await ann.post(f"{url}/report-picked-up", json=picked_up, headers=key("p"))
    offer = {"to_rider": other, "place": HOME, "reason_code": "breakdown"}
    offered = await ann.post(f"{url}/offer-hand-over", json=offer, headers=key("o"))
    assert offered.json()["events"] == ["HandOverOffered"], offered.text
    await models.fold()
    bob = house.caller("rider", other)
    with capture_logs() as logs:
        seen = (await bob.get(url)).json()
    assert seen["hand_over"]["place"] == HOME
    assert (seen["stops"][1]["contact"]["name"], seen["stops"][1]["location"]) == ("hidden", "hidden")
    [line] = [line for line in logs if line["event"] == "personal data read"]
    assert line["subjects"] == [ids.rider_subject(RiderId(rider))]
    scans = {"observed_at": house.now.isoformat(), "scans": []}
    taken = await bob.post(f"{url}/accept-hand-over", json=scans, headers=key("t"))
    assert taken.status_code == 200, taken.text
    await models.fold()
    assert (await bob.get(url)).json()["stops"][1]["contact"]["name"] == "Cleo Contact"
    assert (await ann.get(url)).status_code == 404


async def test_a_rider_finds_only_their_own_tasks_on_the_board(house, models):
    mine, _, rider = await a_task(house, "1"), await a_task(house, "2"), await a_rider(house)
    await assigned(house, mine["id"], rider)
    await models.fold()
    read = await house.caller("rider", rider).get(f"/v1/acme/task-board?rider_id={rider}")
    assert [row["task_id"] for row in read.json()["items"]] == [mine["id"]]


async def test_a_rider_reads_themself_and_nobody_else(house, models):
    rider, other = await a_rider(house, "Ann"), await a_rider(house, "Bob")
    await models.fold()
    ann = house.caller("rider", rider)
    assert (await ann.get(f"/v1/acme/riders/{rider}")).json()["name"] == "Ann"
    assert (await ann.get(f"/v1/acme/riders/{other}")).status_code == 404
    assert (await ann.get("/v1/acme/rider-roster")).status_code == 403


async def test_the_roster_shows_who_is_on_shift(house, models):
    rider = await a_rider(house)
    await house.caller("dispatcher", "dora").post("/v1/acme/riders", json={"name": "Bob", "external_reference": "bob"})
    await models.fold()
    read = await house.caller("dispatcher", "dora").get("/v1/acme/rider-roster?on_shift=true")
    [row] = read.json()["items"]
    assert (row["rider_id"], row["name"], row["on_shift"]) == (rider, "Ann", True)
    hidden = await house.caller("auditor", "otto").get("/v1/acme/rider-roster?status=invited")
    assert [row["name"] for row in hidden.json()["items"]] == ["hidden"]


async def test_the_roster_shows_who_works_in_a_zone(house, models):
    rider, dora = await a_rider(house), house.caller("dispatcher", "dora")
    around = {"type": "circle", "center": {"lat": 60.1688, "lon": 24.9316}, "radius_m": 500}
    zone = await dora.post(
        "/v1/acme/geofences", json={"name": "Centre", "kind": "zone", "shape": around}, headers=key("zone")
    )
    await dora.post("/v1/acme/riders", json={"name": "Bob", "external_reference": "bob"})
    url = f"/v1/acme/riders/{rider}/set-rider-zones"
    told = await dora.post(url, json={"zones": [zone.json()["id"]]}, headers=key("set"))
    assert told.json()["events"] == ["RiderZonesSet"]
    unknown = await dora.post(url, json={"zones": ["nowhere"]}, headers=key("unset"))
    assert (unknown.status_code, unknown.json()["values"]) == (422, {"zone": "nowhere"})
    await models.fold()
    read = await dora.get(f"/v1/acme/rider-roster?zone={zone.json()['id']}")
    assert [(row["rider_id"], row["zones"]) for row in read.json()["items"]] == [(rider, [zone.json()["id"]])]


async def test_a_stop_on_the_itinerary_is_opened_under_its_contacts_key(house, models):
    rider, task = await a_rider(house), await a_task(house)
    stop = NewPlannedStop(
        stop_id=StopId("stop-2"),
        kind="dropoff",
        subject=ids.contact_subject("acme", f"{task['id']}/stop-2"),
        location=Location(**HOME),
    )
    hold = house.now + timedelta(minutes=1)
    task_id = TaskId(task["id"])
    await house.process("rider", rider, ReserveRider(task_id=task_id, round=1, hold_until=hold, stops=[stop]))
    await house.process("rider", rider, ActivateReservation(task_id=task_id, round=1))
    await models.fold()
    read = await house.caller("rider", rider).get(f"/v1/acme/riders/{rider}")
    assert [stop["location"] for stop in read.json()["itinerary"]] == [HOME]


async def test_a_rider_sees_their_own_offer_and_not_who_else_was_asked(house, models):
    task = await a_task(house)
    tender = await a_tender(house, task["id"], ["ann", "cid"])
    await models.fold()
    read = await house.caller("rider", "ann").get("/v1/acme/tender-board")
    [row] = read.json()["items"]
    assert [offer["rider_id"] for offer in row["offers"].values()] == ["ann"]
    assert (await house.caller("rider", "bob").get("/v1/acme/tender-board")).json()["items"] == []
    assert (await house.caller("rider", "bob").get(f"/v1/acme/tenders/{tender}")).status_code == 404
    all_of_them = await house.caller().get(f"/v1/acme/tenders/{tender}")
    assert len(all_of_them.json()["offers"]) == 2


async def test_a_decision_tells_who_was_looked_at_and_why_not(house, models):
    task = await a_task(house)
    await a_tender(house, task["id"], ["ann"])
    await models.fold()
    read = await house.caller("analyst", "ada").get(f"/v1/acme/dispatch-decisions?task_id={task['id']}")
    [row] = read.json()["items"]
    assert row["candidates"][0]["rider_id"] == "ann"
    assert row["excluded"] == [
        {"rider_id": "bob", "code": "off_shift", "overload": None},
        {"rider_id": "cyd", "code": "over_capacity", "overload": msgspec.to_builtins(TOO_BULKY)},
    ]


async def test_the_deadlines_are_read_by_those_who_oversee(house, models):
    task = await a_task(house)
    await a_tender(house, task["id"], ["ann"])
    await models.fold()
    read = await house.caller("dispatcher", "dora").get("/v1/acme/deadlines")
    assert [row["kind"] for row in read.json()["items"]] == ["expire_offer"]
    assert (await house.caller("rider", "ann").get("/v1/acme/deadlines")).status_code == 403


async def test_a_created_outlet_and_fence_are_where_their_answers_say(house, models):
    shop = house.caller()
    outlet = {"outlet": "pasila", "name": "Pasila", "location": HOME, "zone": "Europe/Helsinki"}
    fence = {"name": "Home", "shape": {"type": "circle", "center": HOME, "radius_m": 100}}
    made = [
        await shop.post("/v1/acme/outlets", json=outlet),
        await shop.post("/v1/acme/geofences", json=fence, headers=key("g")),
    ]
    await models.fold()
    for answer in made:
        read = await shop.get(answer.headers["location"])
        assert (read.status_code, read.headers["etag"]) == (200, '"v1"')
    listed = await shop.get("/v1/acme/outlets")
    assert {row["outlet"] for row in listed.json()["items"]} == {"kamppi", "pasila"}
    assert len((await shop.get("/v1/acme/geofences")).json()["items"]) == 1


async def test_rules_that_were_read_are_sent_back_with_some_of_them_changed(house):
    read = await house.caller("operator", "olga").get("/v1/acme/tenant")
    rules, url = read.json()["rules"], f"/v1/acme/tenants/{read.json()['id']}/change-tenant-rules"

    async def changed(rules: Json, name: str) -> tuple[int, Json]:
        headers = key(name) | {"if-match": read.headers["etag"]}
        answer = await house.caller("operator", "olga").post(url, json={"rules": rules}, headers=headers)
        return answer.status_code, answer.json()

    assert (await changed(rules, "same"))[1]["events"] == []
    rules["fixes"]["max_accuracy_m"] = 100
    assert (await changed(rules, "surer"))[1]["events"] == ["TenantRulesChanged"]
    rules["pin_attempts"] = 9
    assert (await changed(rules, "late"))[0] == 412, "somebody has changed them meanwhile"


async def test_the_tenant_is_read_as_decisions_see_it(house):
    read = await house.caller().get("/v1/acme/tenant")
    body = read.json()
    assert (body["mode"], body["live"], body["outlets"]) == ("test", False, ["kamppi"])


async def test_whatever_concerns_a_test_tenant_says_that_it_is_not_live(house, models):
    task = await a_task(house)
    await models.fold()
    shop = house.caller()
    for path in ("task-board", f"tasks/{task['id']}", "tenant", "events", "tasks/nothing", "task-board?limit=0"):
        answer = await shop.get(f"/v1/acme/{path}")
        assert answer.headers["logistics-live"] == "false", path
    for path in ("events", f"tasks/{task['id']}/history"):
        assert {event["live"] for event in (await shop.get(f"/v1/acme/{path}")).json()["items"]} == {False}
    held = await shop.post(f"/v1/acme/tasks/{task['id']}/hold-task", json={"reason_code": "stock"}, headers=key("h"))
    assert held.headers["logistics-live"] == "false"
    assert "logistics-live" not in (await house.client().get("/v1/acme/tenant")).headers, (
        "who is not let in learns nothing"
    )
    assert "logistics-live" not in (await house.caller(tenant="lumi").get("/v1/acme/tenant")).headers


async def test_a_live_tenants_answers_and_events_say_nothing_of_it(house, models):
    root = house.caller("operator", "root", "*")
    assert (await root.post("/v1/tenants", json={"tenant": "lumi", "name": "Lumi"})).status_code == 201
    await models.fold()
    answer = await house.caller(tenant="lumi").get("/v1/lumi/events")
    assert "logistics-live" not in answer.headers
    assert [event.get("live") for event in answer.json()["items"]] == [None]


async def test_another_tenants_rows_are_never_seen(house, models):
    await house.settle("other")
    task = await a_task(house)
    await models.fold()
    thief = house.caller(tenant="other")
    assert (await thief.get("/v1/other/task-board")).json()["items"] == []
    assert (await thief.get(f"/v1/other/tasks/{task['id']}")).status_code == 404
    assert (await thief.get(f"/v1/other/tasks/{task['id']}/history")).status_code == 404
    assert (await thief.get("/v1/acme/task-board")).status_code == 404


# How fresh


async def test_a_read_with_the_commands_token_waits_until_it_sees_the_command(house, models):
    task = await a_task(house)
    headers = {"logistics-consistency": task["consistency"]}
    reading = asyncio.create_task(house.caller().get(f"/v1/acme/tasks/{task['id']}", headers=headers))
    await asyncio.sleep(0.15)
    assert not reading.done()
    await models.fold()
    assert (await reading).status_code == 200


async def test_a_read_model_that_does_not_come_in_time_is_told(house):
    task = await a_task(house)
    headers = {"logistics-consistency": task["consistency"], "prefer": "respond-async, wait=0"}
    late = await house.caller().get("/v1/acme/task-board", headers=headers)
    assert (late.status_code, late.json()["code"]) == (503, "projection-lagging")
    assert late.headers["retry-after"] == "1"
    assert late.json()["values"]["lag_records"] == 2


async def test_a_token_of_a_topic_that_the_model_does_not_follow_is_no_reason_to_wait(house, models):
    task = await a_task(house)
    await models.fold(["outlets"])
    headers = {"logistics-consistency": task["consistency"], "prefer": "wait=0"}
    assert (await house.caller().get("/v1/acme/outlets", headers=headers)).status_code == 200


async def test_a_token_that_we_never_gave_is_refused(house):
    headers = {"logistics-consistency": "nonsense!"}
    refused = await house.caller().get("/v1/acme/task-board", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid-header")


async def test_a_version_is_waited_for(house, models):
    task = await a_task(house)
    await models.fold()
    url = f"/v1/acme/tasks/{task['id']}?min_version=3"
    behind = await house.caller().get(url, headers={"prefer": "wait=0"})
    assert (behind.status_code, behind.json()["values"]["version"]) == (503, 2)
    reading = asyncio.create_task(house.caller().get(url))
    await asyncio.sleep(0.05)
    await house.caller().post(
        f"/v1/acme/tasks/{task['id']}/cancel-task", json={"reason_code": "changed"}, headers=key("c")
    )
    await models.fold()
    assert (await reading).json()["version"] == 3


async def test_an_aggregate_whose_fold_is_parked_says_so(house, models):
    task = await a_task(house)
    await models.fold()
    async with house.door.pool.connection() as connection:
        for model in (TASK_BOARD, TASK_DETAIL):
            await connection.execute(
                "INSERT INTO projection_parked VALUES (%s, %s, 'logistics.task', 0, %s, 1, 'poison')",
                (model.name, model.version, task["id"]),
            )
    assert (await house.caller().get(f"/v1/acme/tasks/{task['id']}")).json()["parked"] is True
    assert (await house.caller().get("/v1/acme/task-board")).json()["parked"] == [task["id"]]


async def test_without_a_database_reads_are_unavailable_and_commands_go_on(house, models):
    await house.door.pool.close()
    read = await house.caller().get("/v1/acme/task-board")
    assert (read.status_code, read.json()["code"]) == (503, "read-models-unavailable")
    assert (await a_task(house))["version"] == 2


# History


async def test_the_history_tells_all_that_happened_with_its_place_in_the_log(house, models):
    task = await a_task(house)
    await models.fold()
    read = await house.caller("auditor", "otto").get(f"/v1/acme/tasks/{task['id']}/history")
    created, dispatchable = read.json()["items"]
    assert created["type"] == "logistics.task.TaskCreated"
    assert (created["aggregateversion"], dispatchable["aggregateversion"]) == (1, 2)
    assert next(iter(vector(created["position"])))[0] == created["topic"] == "logistics.task"
    assert created["data"]["stops"][1]["contact"]["name"] == {
        "subject": ids.contact_subject("acme", f"{task['id']}/stop-2")
    }
    assert "pin_hash" not in read.text
    assert "sealed" not in read.text


async def test_the_history_comes_in_pages_by_version(house, models):
    task = await a_task(house)
    await models.fold()
    shop = house.caller()
    first = await shop.get(f"/v1/acme/tasks/{task['id']}/history?limit=1")
    rest = await shop.get(first.links["next"]["url"])
    assert [event["aggregateversion"] for event in rest.json()["items"]] == [2]


async def test_a_tasks_id_has_no_history_among_the_riders(house, models):
    task = await a_task(house)
    await models.fold()
    assert (await house.caller().get(f"/v1/acme/riders/{task['id']}/history")).status_code == 404


async def test_a_rider_sees_their_own_stops_in_the_list_as_one_by_one(house, models):
    task, rider = (await a_task(house))["id"], await a_rider(house)
    await accepted(house, task, rider)
    await models.fold()
    ann = house.caller("rider", rider)
    one = (await ann.get(f"/v1/acme/tasks/{task}")).json()
    [listed] = (await ann.get("/v1/acme/tasks")).json()["items"]
    assert listed["stops"][1]["location"] == one["stops"][1]["location"] == HOME
    assert listed["stops"][1]["contact"]["name"] == "Cleo Contact"


# Whom to ask at an outlet or a hub

DESK = {"duty": "desk", "name": "Dee Desk", "phone": "+358401234567", "reference": "staff-7"}
BOSS = {"duty": "manager", "name": "Mia Manager", "readers": ["dispatcher", "operator"]}


async def outlet_with(house: House, *contacts: Json) -> str:
    """The outlet of all tasks here."""
    url = f"/v1/acme/outlets/{ids.outlet_id('acme', 'kamppi')}"
    told = await house.caller().post(
        f"{url}/set-outlet-contacts", json={"contacts": list(contacts)}, headers=key("contacts")
    )
    assert told.json()["events"] == ["OutletContactsSet"], told.text
    return url


async def names_at(client: httpx.AsyncClient, url: str) -> list[str]:
    one, listed = (await client.get(url)).json(), (await client.get("/v1/acme/outlets")).json()["items"]
    names = [contact["name"] for contact in one["contacts"]]
    assert [[contact["name"] for contact in row["contacts"]] for row in listed] == [names]
    return names


async def test_contacts_of_a_place_are_read_by_the_roles_that_each_is_for_and_that_is_logged(house, models):
    url = await outlet_with(house, DESK, BOSS)
    await models.fold()
    assert await names_at(house.caller("dispatcher", "dora"), url) == ["Dee Desk", "Mia Manager"]
    assert await names_at(house.caller("auditor", "otto"), url) == ["hidden", "hidden"]
    with capture_logs() as logged:
        assert await names_at(house.caller(), url) == ["Dee Desk", "hidden"]
    read = [entry for entry in logged if entry["event"] == "personal data read"]
    assert [entry["subjects"] for entry in read] == [[ids.contact_subject("acme", "staff-7")]] * 2


async def test_a_rider_reads_whom_to_ask_there_from_the_acceptance_until_some_hours_after_the_end(house, models):
    url = await outlet_with(house, DESK, BOSS)
    task, rider = await a_task(house), await a_rider(house)
    ann = house.caller("rider", rider)
    await assigned(house, task["id"], rider)
    await models.fold()
    assert await names_at(ann, url) == ["hidden", "hidden"]
    await accepted(house, task["id"], rider)
    await models.fold()
    assert await names_at(ann, url) == ["Dee Desk", "hidden"]
    assert await names_at(house.caller("rider", await a_rider(house, "Bob")), url) == ["hidden", "hidden"]
    await house.caller("operator", "olga").post(
        f"/v1/acme/tasks/{task['id']}/force-complete-task",
        json={"disposition": "delivered", "reason_code": "seen"},
        headers=key("f"),
    )
    await models.fold()
    assert await names_at(ann, url) == ["Dee Desk", "hidden"]
    house.now += timedelta(hours=5)
    assert await names_at(ann, url) == ["hidden", "hidden"]


async def test_a_rider_reads_whom_to_ask_at_a_locker_that_their_task_leads_to(house, models):
    wall = {"hub": "wall", "name": "The wall", "kind": "locker", "location": HOME, "zone": "Europe/Helsinki"}
    made = await house.caller().post("/v1/acme/hubs", json=wall | {"contacts": [DESK]})
    url = f"/v1/acme/hubs/{made.json()['id']}"
    stops = [{"kind": "pickup"}, {"kind": "dropoff", "hub": "wall", "required_proof": [["pin"]]}]
    task = await a_task(house, stops=stops)
    assert [*task["pins"]] == ["stop-2"], "it opens by a code"
    rider = await a_rider(house)
    await assigned(house, task["id"], rider)
    await accepted(house, task["id"], rider)
    await models.fold()
    read = (await house.caller("rider", rider).get(url)).json()
    assert [contact["name"] for contact in read["contacts"]] == ["Dee Desk"]


async def test_a_hubs_contact_who_is_forgotten_is_erased(house, models):
    hub = {"hub": "north", "name": "North", "location": HOME, "zone": "Europe/Helsinki", "contacts": [DESK]}
    made = await house.caller().post("/v1/acme/hubs", json=hub)
    await house.desk.forget(ids.contact_subject("acme", "staff-7"))
    await models.fold()
    read = (await house.caller().get(f"/v1/acme/hubs/{made.json()['id']}")).json()
    assert [(contact["duty"], contact["name"]) for contact in read["contacts"]] == [("desk", "erased")]
