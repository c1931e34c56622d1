"""What may be asked of a rider."""

from datetime import timedelta
from random import Random
from typing import Any

from drawn import HOME, LATE, STOPS, TASKS, Repertoire, always, carrying, some
from story import CENTRE, KAMPPI, NOON, NORTH

from schemas import rider as r
from schemas.geo import Window
from schemas.message import (
    DeviceId,
    DocumentId,
    PlanId,
    ShiftId,
    TaskId,
    VehicleId,
)
from schemas.vehicle_fitness import VehicleFitness

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
    (
        lambda draw, now: r.ReserveRider(
            task_id=TASKS[0],
            round=1,
            hold_until=now + timedelta(hours=2),
            stops=planned(draw, TASKS[0]),
            bundle=[r.ReservedToo(task_id=task, round=1, stops=planned(draw, task)) for task in TASKS[1:]],
        ),
        "dispatch",
        "system",
    ),
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
    (lambda draw, now: r.SetRiderRating(rating=draw.choice((None, 3.5, 4.9))), "shop", "integrator"),
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
        lambda draw, now: r.FollowRoute(
            plan_id=PlanId("plan-1"),
            until=now + timedelta(minutes=1),
            order=draw.sample([r.StopRef(task_id=task, stop_id=stop) for task in TASKS for stop in STOPS[:2]], 4),
        ),
        "dispatch",
        "system",
    ),
    (
        lambda draw, now: r.RemoveStops(
            task_id=draw.choice(TASKS), round=1, reason_code="x", stop_ids=draw.choice((None, STOPS[:1]))
        ),
        "dispatch",
        "system",
    ),
]
BESIDE_RIDERS: Repertoire = [
    *[
        (always(r.LockNextStop(itinerary_version=version, reason_code="promised")), "dora", "dispatcher")
        for version in (1, 2, 3)
    ],
    (always(r.UnlockNextStop(reason_code="pressing")), "dora", "dispatcher"),
    (always(r.DismissAnomaly(anomaly_id="s-1", reason_code="not_riding")), "dora", "dispatcher"),
    (always(r.WarnDocumentExpiry(document_id=DocumentId("d1"))), "deadlines", "system"),
]
