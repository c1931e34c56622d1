"""Vehicles through the door: who may ask what of them, and who reads them."""

from datetime import timedelta

import pytest
from reception import House, Json, key

from schemas.message import MaintenanceId
from schemas.vehicle import RecordVehicleMaintenanceDue

CAPACITY = {"weight_g": 200_000, "volume_cm3": 800_000, "parcels": 40}
NOON = "2026-03-01T12:00:00Z"


async def a_vehicle(house: House, reference: str = "van-1", **more: object) -> str:
    body = {"kind": "van", "capacity": CAPACITY, "plate": "ABC-123", "external_reference": reference}
    made = await house.caller().post("/v1/acme/vehicles", json=body | more)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def asked(house: House, vehicle: str, word: str, role: str = "dispatcher", subject: str = "dora", **body: object):
    """The answer to a command with a key of its own."""
    headers = key(f"{word}-{len(house.desk.orders)}")
    caller = house.caller(role, subject)  # type: ignore[arg-type]
    return await caller.post(f"/v1/acme/vehicles/{vehicle}/{word}", json=body, headers=headers)


async def assigned(house: House, vehicle: str, rider: str = "ann") -> None:
    await house.knows(rider)
    answer = await asked(house, vehicle, "assign-vehicle", rider_id=rider)
    assert answer.json()["events"] == ["VehicleAssigned", "VehicleFitnessStated"], answer.text


# Commands


async def test_a_registered_vehicle_is_where_its_answer_says_and_the_same_again(house):
    vehicle = await a_vehicle(house)
    body = {"kind": "van", "capacity": CAPACITY, "plate": "ABC-123", "external_reference": "van-1"}
    again = await house.caller().post("/v1/acme/vehicles", json=body)
    assert (again.json()["id"], again.json()["repeated"]) == (vehicle, True)
    assert again.headers["location"] == f"/v1/acme/vehicles/{vehicle}"
    assert again.json()["events"] == ["VehicleRegistered"]


async def test_every_wrong_field_of_a_vehicle_is_told_at_once(house):
    body = {"kind": "foot", "capacity": CAPACITY | {"parcels": -1}, "temperatures": [], "plate": "X" * 21}
    refused = await house.caller().post("/v1/acme/vehicles", json=body, headers=key("k"))
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid-body")
    assert {error["pointer"] for error in refused.json()["errors"]} == {
        "/kind",
        "/capacity/parcels",
        "/temperatures",
        "/plate",
    }


async def test_a_vehicle_that_failed_its_inspection_is_assigned_to_nobody(house):
    vehicle = await a_vehicle(house)
    defects = [{"code": "brakes", "severity": "dangerous"}]
    told = await asked(
        house, vehicle, "report-vehicle-inspection", inspection_id="i-1", observed_at=NOON, defects=defects
    )
    assert told.json()["events"] == ["VehicleInspectionFailed"]
    await house.knows("ann")
    refused = await asked(house, vehicle, "assign-vehicle", rider_id="ann")
    assert (refused.status_code, refused.json()["code"]) == (409, "vehicle-unfit")
    assert refused.json()["values"]["code"] == "inspection_failed"


async def test_a_rider_reports_of_the_vehicle_that_they_have_and_of_no_other(house):
    vehicle = await a_vehicle(house)
    await assigned(house, vehicle)
    reading = {"odometer_km": 1_200, "observed_at": NOON}
    other = await asked(house, vehicle, "report-vehicle-odometer", "rider", "bob", **reading)
    assert (other.status_code, other.json()["code"]) == (403, "not-your-vehicle")
    own = await asked(house, vehicle, "report-vehicle-odometer", "rider", "ann", **reading)
    assert own.json()["events"] == ["VehicleOdometerReported"]
    inspection = {"inspection_id": "i-1", "observed_at": NOON}
    seen = await asked(house, vehicle, "report-vehicle-inspection", "rider", "ann", **inspection)
    assert seen.json()["events"] == ["VehicleInspectionPassed"]


async def test_an_odometer_that_went_back_is_refused_with_both_readings(house):
    vehicle = await a_vehicle(house, odometer_km=500)
    refused = await asked(house, vehicle, "report-vehicle-odometer", odometer_km=499, observed_at=NOON)
    assert (refused.status_code, refused.json()["code"]) == (422, "odometer-went-back")
    assert refused.json()["values"] == {"given_km": 499, "known_km": 500}


@pytest.mark.parametrize(
    ("word", "role"),
    [
        ("assign-vehicle", "integrator"),
        ("assign-vehicle", "rider"),
        ("ground-vehicle", "rider"),
        ("retire-vehicle", "integrator"),
        ("verify-vehicle-document", "integrator"),
        ("report-vehicle-odometer", "analyst"),
    ],
)
async def test_who_may_not_ask_it_is_refused(house, word, role):
    vehicle = await a_vehicle(house)
    refused = await asked(house, vehicle, word, role, "somebody")
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


async def test_nobody_fires_a_deadline_through_the_door(house):
    vehicle = await a_vehicle(house)
    refused = await asked(house, vehicle, "record-vehicle-maintenance-due", "operator", "olga", maintenance_id="m-1")
    assert (refused.status_code, refused.json()["code"]) == (404, "not-found")


# Reads


@pytest.fixture
def garage(library):
    return library[0]


@pytest.fixture
def models(library):
    return library[1]


async def listed(house: House, query: str = "", role: str = "dispatcher", subject: str = "dora") -> list[Json]:
    caller = house.caller(role, subject)  # type: ignore[arg-type]
    read = await caller.get(f"/v1/acme/vehicle-roster?{query}")
    assert read.status_code == 200, read.text
    return list(read.json()["items"])


async def test_the_roster_filters_by_what_is_asked(garage, models):
    van = await a_vehicle(garage, outlet="kamppi")
    bike = await a_vehicle(garage, "bike-1", kind="bicycle", plate=None)
    await assigned(garage, van)
    garage.now += timedelta(minutes=5)
    await asked(garage, bike, "ground-vehicle", reason_code="flat_tyre")
    await models.fold()
    for query, found in (
        ("", [van, bike]),
        ("kind=van", [van]),
        ("status=assigned", [van]),
        ("status=grounded&kind=bicycle", [bike]),
        ("status=available", []),
        ("rider_id=ann", [van]),
        ("outlet=kamppi", [van]),
        ("external_reference=bike-1", [bike]),
        ("updated_since=2026-03-01T12:05:00Z", [bike]),
    ):
        assert {row["vehicle_id"] for row in await listed(garage, query)} == set(found), query


async def test_pages_of_the_roster_follow_each_other_without_gap_or_overlap(garage, models):
    made = []
    for number in range(5):
        garage.now += timedelta(seconds=number % 2)
        made.append(await a_vehicle(garage, f"van-{number}"))
    await models.fold()
    dora, seen, url = garage.caller("dispatcher", "dora"), [], "/v1/acme/vehicle-roster?limit=2&kind=van"
    while url:
        read = await dora.get(url)
        seen += [row["vehicle_id"] for row in read.json()["items"]]
        url = read.links["next"]["url"] if "next" in read.links else ""
    assert sorted(seen) == sorted(made)


async def test_one_vehicle_is_read_whole_at_its_version(garage, models):
    vehicle = await a_vehicle(garage, temperatures=["chilled"], range_km=120)
    document = {"document_id": "d-1", "kind": "vehicle_insurance", "number": "P-7"}
    await asked(garage, vehicle, "submit-vehicle-document", "integrator", "shop", **document)
    planned = {"maintenance_id": "m-1", "kind": "oil_change", "due_at": "2026-04-01T00:00:00Z"}
    await asked(garage, vehicle, "plan-vehicle-maintenance", **planned)
    await models.fold()
    read = await garage.caller("dispatcher", "dora").get(f"/v1/acme/vehicles/{vehicle}")
    body = read.json()
    assert (read.status_code, read.headers["etag"]) == (200, '"v3"')
    assert (body["status"], body["capacity"], body["range_km"]) == ("available", CAPACITY, 120)
    assert (body["plate"], body["temperatures"], body["inspection"]) == ("ABC-123", ["chilled"], None)
    assert body["documents"]["d-1"]["status"] == "submitted"
    assert body["maintenance"]["m-1"]["due_at"].startswith("2026-04-01T00:00:00")
    assert "P-7" not in read.text


async def test_a_plate_is_hidden_from_those_who_only_look(garage, models):
    vehicle = await a_vehicle(garage)
    await models.fold()
    assert [row["plate"] for row in await listed(garage, role="analyst", subject="ada")] == ["hidden"]
    read = await garage.caller("auditor", "otto").get(f"/v1/acme/vehicles/{vehicle}")
    assert read.json()["plate"] == "hidden"


async def test_a_rider_reads_the_vehicle_that_they_have_and_no_other(garage, models):
    own, other = await a_vehicle(garage), await a_vehicle(garage, "van-2")
    await assigned(garage, own)
    await models.fold()
    ann = garage.caller("rider", "ann")
    assert (await ann.get(f"/v1/acme/vehicles/{own}")).json()["plate"] == "ABC-123"
    assert (await ann.get(f"/v1/acme/vehicles/{other}")).status_code == 404
    [row] = await listed(garage, "rider_id=ann", "rider", "ann")
    assert (row["vehicle_id"], row["plate"]) == (own, "ABC-123")
    await asked(garage, own, "release-vehicle", reason_code="shift_over")
    await models.fold()
    assert (await ann.get(f"/v1/acme/vehicles/{own}")).status_code == 404


async def test_the_deadline_of_a_date_is_read_until_it_has_fired(garage, models):
    vehicle = await a_vehicle(garage)
    planned = {"maintenance_id": "m-1", "kind": "oil_change", "due_at": "2026-03-01T12:30:00Z"}
    await asked(garage, vehicle, "plan-vehicle-maintenance", **planned)
    await models.fold()
    dora = garage.caller("dispatcher", "dora")
    [row] = (await dora.get("/v1/acme/deadlines")).json()["items"]
    assert (row["kind"], row["aggregate_id"], row["subject"]) == ("record_maintenance_due", vehicle, "m-1")
    garage.now += timedelta(minutes=30)
    await garage.process("vehicle", vehicle, RecordVehicleMaintenanceDue(maintenance_id=MaintenanceId("m-1")))
    await models.fold()
    assert (await dora.get("/v1/acme/deadlines")).json()["items"] == []
    assert (await listed(garage))[0]["maintenance"]["m-1"]["status"] == "due"


async def test_the_history_of_a_vehicle_tells_all_that_happened(garage, models):
    vehicle = await a_vehicle(garage)
    await assigned(garage, vehicle)
    await models.fold()
    read = await garage.caller("auditor", "otto").get(f"/v1/acme/vehicles/{vehicle}/history")
    assert [event["type"] for event in read.json()["items"]] == [
        "logistics.fleet.VehicleRegistered",
        "logistics.fleet.VehicleAssigned",
        "logistics.fleet.VehicleFitnessStated",
    ]
    assert "ABC-123" not in read.text
