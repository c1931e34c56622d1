"""What may be asked of a task."""

from datetime import timedelta
from itertools import count
from random import Random
from typing import Any

from drawn import AWAITED, HOME, LATE, PARCELS, STOPS, Draws, Repertoire, always, some
from msgspec.structs import replace
from story import KAMPPI, NOON, POSTI

from commands.carrier_way import MOVES
from schemas import carried as a
from schemas import field_report as fr
from schemas import geocoding as w
from schemas import goods as k
from schemas import hand_over as y
from schemas import proof as f
from schemas import sla as q
from schemas import stop as st
from schemas import task as t
from schemas import template as m
from schemas import waiting as x
from schemas.geo import ObservedFix, Window
from schemas.ids import conflict_id, proof_id
from schemas.message import (
    CarrierBookingId,
    Command,
    OfferId,
    PlanId,
    RiderId,
    StopId,
    TaskId,
    TenderId,
)

FURTHER = StopId("stop-3")
REPORTED = [*STOPS[:2] * 3, FURTHER, *STOPS[2:]]
REASONS = ["refused", "nobody_there", "moved", "spoilt", "no_way_in"]
RANG = fr.ContactAttempt(channel="doorbell", attempted_at=NOON)
PROMISES: Any = ["dispatch", "pickup", "deliver"]
TARGETS = [NOON + timedelta(minutes=count + 1) for count in (0, 1, 5, 30)]
SCAN = f.ScanEntry(parcel_id=PARCELS[0], code="A1")
TENDERS = [TenderId("tender-1"), TenderId("tender-2")]


def new_task(draw: Random, now: Any) -> t.CreateTask:
    made = new_delivery(draw, now)
    match draw.choice(("delivery", "transfer", "return", "collection")):
        case "transfer":
            proof = made.stops[1].required_proof
            stops = [made.stops[0], st.NewStop(kind="dropoff", outlet="kallio", required_proof=proof)]
            return replace(made, kind="transfer", stops=stops)
        case "return":
            proof = made.stops[1].required_proof
            stops = [
                replace(made.stops[0], location=HOME, address="Kasarmikatu 1"),
                st.NewStop(kind="dropoff", required_proof=proof),
            ]
            return replace(made, kind="return", stops=stops, authorisation=draw.choice((None, "R-1")))
        case "collection":
            stops = [replace(made.stops[1], kind="collection", after=[])]
            return replace(made, kind="collection", stops=stops, on_hold=False, depends_on=[], pick_wave=None)
        case _:
            return to_two_doors(made) if made.parcels and draw.random() < 0.5 else made


def to_two_doors(made: t.CreateTask) -> t.CreateTask:
    first, second = made.parcels
    parcels = [replace(first, dropoff_stop=STOPS[1]), replace(second, dropoff_stop=FURTHER)]
    door = replace(made.stops[1], required_proof=[], minimum_age=None)
    return replace(made, stops=[made.stops[0], door, door], parcels=parcels)


def new_delivery(draw: Random, now: Any) -> t.CreateTask:
    ready = draw.choice((None, None, now + timedelta(hours=2)))
    where = draw.choice((HOME, None))
    proof: Any = draw.choice(([], [["pin"]], [["photo"]]))
    age: Any = draw.choice((None, None, 18))
    after: Any = draw.choice(([], [], STOPS[:1]))
    dropoff = st.NewStop(
        kind="dropoff",
        location=where,
        address=draw.choice((*["Kasarmikatu 1"] * 4, None)),
        postal_code="FI-00150",
        required_proof=proof,
        minimum_age=age,
        after=after,
    )
    parcels = [st.NewParcel(barcode="A1"), st.NewParcel()] if draw.random() < 0.7 else []
    back: Any = draw.choice(([], [["photo"]]))
    return t.CreateTask(
        kind="delivery",
        outlet="kamppi",
        stops=[
            st.NewStop(kind="pickup", goods_ready_at=ready, required_proof=draw.choice(([], [["photo"]], [["photo"]]))),
            dropoff,
        ],
        parcels=parcels,
        return_proof=back,
        on_hold=draw.random() < 0.1,
        depends_on=AWAITED[:1] if draw.random() < 0.06 else [],
        pick_wave=AWAITED[1] if draw.random() < 0.06 else None,
    )


def report(cls: Any, **fields: Any) -> Draws:
    def draws(draw: Random, now: Any) -> Command:
        drawn = {name: value(draw, now) if callable(value) else value for name, value in fields.items()}
        return cls(stop_id=draw.choice(REPORTED), observed_at=now, **drawn)

    return draws


def fix(draw: Random, now: Any) -> ObservedFix:
    place = draw.choice((KAMPPI, HOME))
    return ObservedFix(lat=place.lat, lon=place.lon, accuracy_m=10.0, observed_at=now)


def drawn_proof(draw: Random) -> f.AnyProof:
    kinds: list[f.AnyProof] = [
        *[f.PhotoEntry(sha256="ab" * 32)] * 3,
        f.ScanEntry(parcel_id=draw.choice(PARCELS), code=draw.choice(("A1", "B2"))),
        f.IdCheckEntry(result="pass", age_band=draw.choice(("16_to_17", "18_to_19"))),
        f.PinEntry(pin="0000"),
    ]
    return draw.choice(kinds)


def rejecting(draw: Random, now: Any) -> t.RejectProof:
    """The first proof of a command: every command here has the same id."""
    return t.RejectProof(stop_id=draw.choice(STOPS), proof_id=proof_id("c-1", 0), reason_code="blurred")


def receiving(draw: Random, now: Any) -> k.ReceiveTransfer:
    lines = [k.ReceivedLine(parcel_id=draw.choice(PARCELS), received=draw.randint(0, 2))]
    return k.ReceiveTransfer(stop_id=STOPS[1], lines=lines)


def inspecting_return(draw: Random, now: Any) -> k.InspectReturn:
    found: Any = draw.choice(("restock", "dispose"))
    line = k.InspectedLine(parcel_id=draw.choice(PARCELS), quantity=1, condition="used", disposition=found)
    return k.InspectReturn(lines=[line])


def perhaps_elsewhere(draw: Random, now: Any) -> str | None:
    return draw.choice((None, w.ENTRANCE_ELSEWHERE))


def looked_up(draw: Random, now: Any) -> w.RecordGeocoding:
    sure = draw.choice((0.98, 0.5, None))
    found = [] if sure is None else [w.PlaceFound(location=HOME, label="Kasarmikatu 1", confidence=sure)]
    return w.RecordGeocoding(
        stop_id=STOPS[1], number=draw.choice((1, 1, 2)), candidates=found, source=None, answered=draw.random() < 0.7
    )


TASK: Repertoire = [
    (new_task, "shop", "integrator"),
    (lambda draw, now: t.LocateStop(stop_id=STOPS[1], location=draw.choice((HOME, KAMPPI))), "shop", "integrator"),
    (lambda draw, now: t.LocateStop(stop_id=STOPS[1], location=draw.choice((HOME, KAMPPI))), "dora", "dispatcher"),
    *[(looked_up, "dispatch", "system")] * 2,
    (always(w.SeekLocations()), "deadlines", "system"),
    (always(t.AuthoriseReturn(authorisation="R-2")), "shop", "integrator"),
    (
        lambda draw, now: t.UpdateGoodsReady(
            stop_id=STOPS[0], ready_at=now + timedelta(minutes=draw.choice((0, 30, 90))), actual=draw.random() < 0.3
        ),
        "shop",
        "integrator",
    ),
    (
        lambda draw, now: t.RescheduleStop(
            stop_id=draw.choice(STOPS),
            window=Window(start=now + timedelta(hours=draw.randint(0, 3)), end=now + timedelta(hours=4)),
            reason_code="asked",
        ),
        "shop",
        "integrator",
    ),
    (always(t.HoldTask(reason_code="stock")), "dora", "dispatcher"),
    (always(t.ReleaseTask(reason_code="stock")), "dora", "dispatcher"),
    (lambda draw, now: x.AddDependent(task_id=TaskId(draw.choice(("task-7", "task-8")))), "dispatch", "system"),
    (
        lambda draw, now: x.AnswerDependency(
            on=draw.choice(AWAITED), reason_code=draw.choice((None, None, "task_failed"))
        ),
        "dispatch",
        "system",
    ),
    (
        lambda draw, now: x.FollowPickWave(
            pick_wave=AWAITED[1], revision=draw.randint(1, 3), ready_at=now, released=draw.random() < 0.5
        ),
        "dispatch",
        "system",
    ),
    (lambda draw, now: x.WaiveDependency(on=draw.choice(AWAITED), reason_code="found"), "dora", "dispatcher"),
    (always(t.StartDispatch()), "deadlines", "system"),
    (report(fr.ReportCustomerOnTheWay), "shop", "integrator"),
    (report(fr.ReportCustomerArrived), "shop", "integrator"),
    (report(fr.ReportCollected, refused=lambda draw, now: some(draw, PARCELS)), "shop", "integrator"),
    (report(fr.ReportCollected), "shop", "integrator"),
    (report(fr.ReportCollected, short=PARCELS), "shop", "integrator"),
    *[
        (report(fr.ReportCollected, proofs=[given]), "shop", "integrator")
        for given in (f.PinEntry(pin="0000"), f.PhotoEntry(sha256="ab" * 32))
    ],
    (
        lambda draw, now: k.ReportParcelsLost(
            parcel_ids=draw.choice((PARCELS, PARCELS[:1])), reason_code="theft", observed_at=now
        ),
        "dora",
        "dispatcher",
    ),
    (
        lambda draw, now: k.ReportParcelsDamaged(parcel_ids=PARCELS[:1], reason_code="wet", observed_at=now),
        "dora",
        "dispatcher",
    ),
    (always(y.OfferHandOver(to_rider=RiderId("bob"), place=HOME, reason_code="late")), "ann", "rider"),
    (always(y.OfferHandOver(to_rider=RiderId("ann"), place=HOME, reason_code="late")), "dora", "dispatcher"),
    *[(lambda draw, now: y.AcceptHandOver(observed_at=now, scans=[SCAN]), who, "rider") for who in ("ann", "bob")],
    (always(y.DeclineHandOver(reason_code="far")), "bob", "rider"),
    (always(y.WithdrawHandOver(reason_code="found")), "dora", "dispatcher"),
    (lambda draw, now: y.ExpireHandOver(round=draw.randint(2, 3)), "deadlines", "system"),
    (always(y.RefuseHandOver(to_rider=RiderId("bob"), reason_code="full")), "dispatch", "system"),
    *[(receiving, "shop", "integrator"), (inspecting_return, "shop", "integrator")] * 3,
    *(
        (lambda draw, now, n=n: t.RecordTender(tender_id=TENDERS[n], round=draw.randint(1, 3)), "dispatch", "system")
        for n in (0, 1)
    ),
    (
        lambda draw, now: t.CloseTender(
            tender_id=draw.choice(TENDERS), round=draw.randint(1, 3), outcome=draw.choice(("exhausted", "withdrawn"))
        ),
        "dispatch",
        "system",
    ),
    (lambda draw, now: t.RetryDispatch(round=draw.randint(1, 3)), "deadlines", "system"),
    *[(lambda draw, now: t.AssignTask(rider_id=RiderId("ann")), "dora", "dispatcher")] * 2,
    (
        lambda draw, now: t.AssignTask(rider_id=RiderId("ann"), tender_id=TENDERS[0], offer_id=OfferId("o")),
        "dispatch",
        "system",
    ),
    (
        lambda draw, now: t.AssignByPlan(
            rider_id=RiderId(draw.choice(("ann", "bob"))),
            plan_id=PlanId("plan-1"),
            round=draw.randint(0, 12),
            until=now + timedelta(minutes=draw.choice((-1, 1, 1, 1))),
        ),
        "dispatch",
        "system",
    ),
    (always(t.AcceptAssignment()), "ann", "rider"),
    (always(t.DeclineAssignment(reason_code="too_far")), "ann", "rider"),
    (always(t.UnassignTask(reason_code="late")), "dora", "dispatcher"),
    (always(t.CancelTask(reason_code="changed_mind")), "shop", "integrator"),
    (always(t.ForceCompleteTask(disposition="lost", reason_code="stuck")), "olga", "operator"),
    (report(fr.ReportEnRoute), "ann", "rider"),
    (report(fr.ReportArrived, fix=fix, override_reason=perhaps_elsewhere), "ann", "rider"),
    *[(report(fr.ReportPickedUp, short=lambda draw, now: some(draw, PARCELS)), "ann", "rider")] * 2,
    *[(report(fr.ReportDelivered, refused=lambda draw, now: some(draw, PARCELS)), "ann", "rider")] * 2,
    (report(fr.ReportPickedUp), "ann", "rider"),
    (report(fr.ReportDelivered), "ann", "rider"),
    (report(fr.ReportDelivered, proofs=[f.PinEntry(pin="0000")]), "ann", "rider"),
    (report(fr.ReportAttemptFailed, reason_code=lambda draw, now: draw.choice(REASONS)), "ann", "rider"),
    (report(fr.ReportAttemptFailed, reason_code="nobody_there"), "ann", "rider"),
    (report(fr.ReportContactAttempt, contact=RANG), "ann", "rider"),
    (report(fr.ReportHeld), "ann", "rider"),
    (always(t.ReattemptDelivery(reason_code="asked")), "dora", "dispatcher"),
    (
        lambda draw, now: t.ReattemptDelivery(
            reason_code="asked", window=Window(start=now + timedelta(hours=9), end=now + timedelta(hours=10))
        ),
        "dora",
        "dispatcher",
    ),
    *[(report(fr.ReportReturned), "ann", "rider")] * 3,
    (report(fr.CaptureProof, proofs=lambda draw, now: [drawn_proof(draw)]), "ann", "rider"),
    *[(rejecting, "dora", "dispatcher")] * 3,
    (always(t.SettleProofDispute(decision_code="as_it_was")), "dora", "dispatcher"),
    (
        lambda draw, now: q.MarkSlaAtRisk(
            promise=draw.choice(PROMISES), target_at=draw.choice(TARGETS), predicted_at=draw.choice((None, LATE))
        ),
        "deadlines",
        "system",
    ),
    *[
        (
            lambda draw, now: q.MarkSlaBreach(
                promise=draw.choice(PROMISES), target_at=draw.choice(TARGETS), level=draw.choice((0, 0, 1))
            ),
            "deadlines",
            "system",
        )
    ]
    * 2,
    (always(t.ReviewFieldReport(conflict_id=conflict_id("c-1"), decision_code="as_it_was")), "dora", "dispatcher"),
]


def cloning(draw: Random, now: Any) -> m.CloneTask:
    return m.CloneTask(
        external_reference=draw.choice(("again", "once-more")), shift_seconds=draw.choice((None, 86_400))
    )


def saying_of_task(draw: Random, now: Any) -> a.RecordCarrierReport:
    says: Any = draw.choice(("picked_up", "picked_up", "delivered", "failed", *MOVES))
    return a.RecordCarrierReport(
        carrier_id=POSTI, booking_id=draw.choice(BOOKINGS), booking_version=next(FACTS), says=says, observed_at=now
    )


def taking(draw: Random, now: Any) -> a.TakeTaskFromCarrier:
    return a.TakeTaskFromCarrier(booking_id=draw.choice(BOOKINGS), reason_code="cancelled")


def giving(draw: Random, now: Any) -> a.AssignTaskToCarrier:
    return a.AssignTaskToCarrier(carrier_id=POSTI, booking_id=draw.choice(BOOKINGS))


BOOKINGS = [CarrierBookingId("booking-1"), CarrierBookingId("booking-2")]
FACTS = count(1)
"""Of bookings: each is told once."""
NOBODYS = a.RecordCarrierReport(
    carrier_id=POSTI, booking_id=CarrierBookingId("booking-3"), booking_version=1, says="failed", observed_at=NOON
)
BESIDE_TASKS: Repertoire = [
    (cloning, "shop", "integrator"),
    (always(m.RefuseClone(number=1, rule="hub-closed", reason_code="hub_closed")), "cloning", "system"),
    (always(NOBODYS), "carriers", "system"),
    (giving, "carriers", "system"),
    *[(saying_of_task, "carriers", "system"), (taking, "carriers", "system"), (giving, "carriers", "system")] * 2,
    (report(fr.CaptureProof, proofs=lambda draw, now: [drawn_proof(draw)]), "dora", "dispatcher"),
    (report(fr.ReportReturned), "dora", "dispatcher"),
]
