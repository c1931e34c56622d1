"""What was given away without its proof stands on the exception desk, for its task goes on no further."""

from typing import Any

from garage import Garage
from story import ACME, KAMPPI, NOON

from projections.exception_desk import EXCEPTION_DESK, mends
from schemas import ids
from schemas.field_report import CaptureProof, ReportCollected, ReportDelivered, ReportPickedUp
from schemas.message import Command, RiderId, StopId
from schemas.proof import NfcEntry, PinEntry, ProofKind
from schemas.stop import NewParcel, NewStop
from schemas.task import AssignTask, CancelTask, CreateTask, ForceCompleteTask

TASK = ids.aggregate_id("task", ACME, "shop", "bread")
ANN, PICKUP, DROPOFF = RiderId("ann"), StopId("stop-1"), StopId("stop-2")
GIVEN = ReportDelivered(stop_id=DROPOFF, observed_at=NOON)
WRONG = PinEntry(pin="0000")
TAG = CaptureProof(stop_id=DROPOFF, observed_at=NOON, proofs=[NfcEntry(tag_id="door")])


def picked_up(proof: ProofKind = "nfc", at_pickup: list[list[ProofKind]] | None = None) -> Garage:
    garage = Garage()
    stops = [
        NewStop(kind="pickup", required_proof=at_pickup or []),
        NewStop(kind="dropoff", location=KAMPPI, required_proof=[[proof]]),
    ]
    garage.send("task", TASK, CreateTask(kind="delivery", outlet="kamppi", stops=stops, parcels=[NewParcel()]))
    garage.send("task", TASK, AssignTask(rider_id=ANN))
    return told(garage, ReportPickedUp(stop_id=PICKUP, observed_at=NOON))


def told(garage: Garage, *reports: Command) -> Garage:
    for report in reports:
        garage.send("task", TASK, report, "rider", ANN)
    return garage


def missing(garage: Garage) -> list[dict[str, Any]]:
    row = garage.rows(EXCEPTION_DESK).get((ACME, TASK, "proof_missing"))
    return [] if row is None else row.items


def offered(garage: Garage) -> list[str]:
    row = garage.rows(EXCEPTION_DESK)[ACME, TASK, "proof_missing"]
    about = {"kind": garage.desk.kept[TASK].state.kind}
    paths = mends({"kind": row.kind, "items": row.items, "aggregate_id": row.aggregate_id, "about": about})
    return [path.rsplit("/", 1)[1] for path in paths]


def test_goods_that_a_rider_gave_away_without_their_proof_need_somebody_until_it_is_there():
    garage = picked_up()
    assert missing(garage) == []
    told(garage, GIVEN)
    [item] = missing(garage)
    assert (item["id"], item["moved"], item["rider_id"]) == (DROPOFF, "delivered", ANN)
    assert offered(garage) == ["force-complete-task"], "a rider's proof is told by the rider"
    told(garage, TAG)
    assert missing(garage) == []


def test_or_until_an_operator_does_without():
    garage = told(picked_up(), GIVEN)
    garage.send("task", TASK, ForceCompleteTask(disposition="delivered", reason_code="called"), "operator")
    assert missing(garage) == []


def test_a_stop_that_is_passed_over_needs_no_proof_any_more():
    garage = picked_up(at_pickup=[["nfc"]])
    assert [item["id"] for item in missing(garage)] == [PICKUP]
    garage.send("task", TASK, CancelTask(reason_code="changed_mind"))
    assert missing(garage) == []


def test_whose_pin_attempts_are_used_up_needs_somebody():
    garage = picked_up("pin")
    again = CaptureProof(stop_id=DROPOFF, observed_at=NOON, proofs=[WRONG])
    told(garage, again, again)
    assert missing(garage) == []
    told(garage, *[again] * (garage.desk.kept[TASK].state.pin_attempts - 2))
    [item] = missing(garage)
    assert (item["id"], item["pin"]) == (DROPOFF, "attempts_exhausted")
    told(garage, GIVEN)
    [item] = missing(garage)
    assert (item["pin"], item["moved"]) == ("attempts_exhausted", "delivered")


def test_a_collections_proof_is_told_by_who_works_there():
    garage = Garage()
    stops = [NewStop(kind="collection", required_proof=[["nfc"]])]
    garage.send("task", TASK, CreateTask(kind="collection", outlet="kamppi", stops=stops, parcels=[NewParcel()]))
    garage.send("task", TASK, ReportCollected(stop_id=PICKUP, observed_at=NOON))
    [item] = missing(garage)
    assert (item["id"], "rider_id" in item) == (PICKUP, False)
    assert offered(garage) == ["report-collected", "force-complete-task"]
    garage.send("task", TASK, ReportCollected(stop_id=PICKUP, observed_at=NOON, proofs=TAG.proofs))
    assert missing(garage) == []
