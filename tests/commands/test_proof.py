"""Proof: what counts, what is needed, what is rejected, and who is too young."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace
from story import NOON, SECRETS, Story, context, nothing_yet

from commands.aggregates import AGGREGATES
from commands.proof import ParcelNotHere, ProofNotKnown, TooManyProofs
from commands.task_creation import StopsMismatch, pin_of
from commands.task_state import NotTheAssignee, StopNotKnown, state_of
from gateway.allowed import SENDERS
from schemas.field_report import CaptureProof, ReportDelivered, ReportPickedUp, ReportReturned
from schemas.geo import Location, ObservedFix
from schemas.goods import Party
from schemas.ids import contact_subject, proof_id
from schemas.message import Event, NotInThisState, ParcelId, Refused, RiderId, Role, StopId, TenderId
from schemas.proof import (
    MAX_PROOFS,
    MAX_PROOFS_OF_STOP,
    AgeBand,
    AnyProof,
    IdCheck,
    IdCheckEntry,
    NfcEntry,
    PhotoEntry,
    PinEntry,
    ProofCaptured,
    ProofDisputed,
    ProofRejected,
    ScanEntry,
    SignatureEntry,
)
from schemas.stop import NewContact, NewParcel, NewStop
from schemas.stop_events import ParcelsReturned, ReturnStarted, StopCompleted, StopFailed, StopSkipped
from schemas.task import (
    AcceptAssignment,
    AssignTask,
    CancelTask,
    CreateTask,
    DeclineAssignment,
    RecordTender,
    RejectProof,
    TaskCreated,
    TaskUnassigned,
    UnassignTask,
)

HOME = Location(lat=60.1610, lon=24.9420)
PICKUP, DROPOFF, RETURN = StopId("stop-1"), StopId("stop-2"), StopId("return-1")
ONE, TWO = ParcelId("parcel-1"), ParcelId("parcel-2")
ANN, BOB = RiderId("ann"), RiderId("bob")
PHOTO = PhotoEntry(sha256="a" * 64)
OTHER_PHOTO = PhotoEntry(sha256="b" * 64)
SIGNED = SignatureEntry(sha256="c" * 64, signer="Cleo Contact")
TAG = NfcEntry(tag_id="04:A2:24:B1")
FIRST = proof_id("c-1", 0)
"""Of the only command id that stories have."""


def scan(parcel_id: str, code: str) -> ScanEntry:
    return ScanEntry(parcel_id=ParcelId(parcel_id), code=code)


def shown(age_band: AgeBand, result: Any = "pass") -> IdCheckEntry:
    return IdCheckEntry(result=result, age_band=age_band)


def task(
    *,
    at_pickup: Any = (),
    at_dropoff: Any = (),
    at_return: Any = (),
    minimum_age: Any = None,
    parcels: tuple[NewParcel, ...] = (NewParcel(),),
) -> CreateTask:
    dropoff = NewStop(
        kind="dropoff",
        location=HOME,
        contact=NewContact(name="Cleo"),
        required_proof=list(at_dropoff),
        minimum_age=minimum_age,
    )
    return CreateTask(
        kind="delivery",
        outlet="kamppi",
        stops=[NewStop(kind="pickup", required_proof=list(at_pickup)), dropoff],
        parcels=list(parcels),
        return_proof=list(at_return),
    )


def assigned(**wanted: Any) -> Story:
    created = nothing_yet("task").when(task(**wanted)).and_then(RecordTender(tender_id=TenderId("t"), round=1))
    return created.and_then(AssignTask(rider_id=ANN, tender_id=TenderId("t"))).happened().by(ANN)


def carrying(**wanted: Any) -> Story:
    return assigned(**wanted).when(picks_up()).happened()


def picks_up(*proofs: AnyProof) -> ReportPickedUp:
    return ReportPickedUp(stop_id=PICKUP, observed_at=NOON, proofs=list(proofs))


def delivers(*proofs: AnyProof, **more: Any) -> ReportDelivered:
    return ReportDelivered(stop_id=DROPOFF, observed_at=NOON, proofs=list(proofs), **more)


def returns(*proofs: AnyProof) -> ReportReturned:
    return ReportReturned(stop_id=RETURN, observed_at=NOON, proofs=list(proofs))


def captures(*proofs: AnyProof, stop_id: StopId = DROPOFF) -> CaptureProof:
    return CaptureProof(stop_id=stop_id, observed_at=NOON, proofs=list(proofs))


def rejects(which: str = FIRST, stop_id: StopId = DROPOFF) -> RejectProof:
    return RejectProof(stop_id=stop_id, proof_id=which, reason_code="blurred")  # type: ignore[arg-type]


def problems(story: Story) -> list[str | None]:
    return [event.problem for event in story.decided() if type(event).__name__ == "ProofCaptured"]  # type: ignore[attr-defined]


DELIVERED = ("ParcelsDelivered", "ProofCaptured", "StopCompleted", "TaskCompleted")


# Kinds


@pytest.mark.parametrize(
    ("kind", "proof"),
    [
        ("photo", PHOTO),
        ("signature", SIGNED),
        ("scan", scan("parcel-1", "A1")),
        ("id_check", shown("18_to_19")),
        ("nfc", TAG),
    ],
)
def test_a_stop_completes_by_the_kind_of_proof_it_asks_for_and_by_no_other(kind: str, proof: AnyProof):
    asked = carrying(at_dropoff=[[kind]])
    asked.when(delivers(proof)).tells(*DELIVERED)
    other = OTHER_PHOTO if kind != "photo" else TAG
    asked.when(delivers(other)).tells("ParcelsDelivered", "ProofCaptured")


def test_every_group_needs_one_of_its_kinds():
    asked = carrying(at_dropoff=[["signature", "photo"], ["nfc"]])
    half = asked.when(delivers(SIGNED)).tells("ParcelsDelivered", "ProofCaptured").happened()
    half.when(captures(PHOTO)).tells("ProofCaptured")
    half.when(captures(TAG)).tells("ProofCaptured", "StopCompleted", "TaskCompleted")


def test_proof_may_be_needed_at_the_pickup_too():
    asked = assigned(at_pickup=[["scan"]], parcels=(NewParcel(barcode="A1"),))
    waiting = asked.when(picks_up()).tells("ParcelsPickedUp").happened()
    waiting.when(captures(scan("parcel-1", "A1"), stop_id=PICKUP)).tells("ProofCaptured", "StopCompleted")


def test_a_signature_names_its_signer_as_the_contacts_personal_data():
    proof = carrying().when(captures(SIGNED)).decided()[0]
    assert (proof.signer.value, proof.sha256) == ("Cleo Contact", SIGNED.sha256)
    assert proof.signer.subject == contact_subject("acme", f"a-1/{DROPOFF}")


def test_an_id_check_is_personal_and_holds_a_result_and_an_age_band_alone():
    proof = carrying().when(captures(shown("21_to_24"))).decided()[0]
    assert proof.id_check.value == IdCheck(result="pass", age_band="21_to_24")


def test_a_tag_is_on_the_log_by_its_hash_alone():
    proof = carrying().when(captures(TAG)).decided()[0]
    assert TAG.tag_id not in repr(proof)
    assert proof.tag_hash == SECRETS.keyed_hash("nfc", "acme", TAG.tag_id)


def test_a_proof_carries_its_artefact_its_time_and_the_riders_own_fix():
    fix = ObservedFix(lat=60.161, lon=24.942, observed_at=NOON)
    given = PhotoEntry(sha256="a" * 64, kept_sha256="d" * 64, taken_at=NOON, fix=fix)
    proof = carrying().when(captures(given)).decided()[0]
    assert (proof.sha256, proof.kept_sha256, proof.taken_at) == ("a" * 64, "d" * 64, NOON)
    assert (proof.fix.subject, proof.fix.value) == (ANN, fix)


def test_proofs_have_ids_that_a_repeat_of_the_command_finds_again():
    first, second = carrying().when(captures(PHOTO, SIGNED)).decided()
    assert (first.proof_id, second.proof_id) == (proof_id("c-1", 0), proof_id("c-1", 1))


def test_what_a_device_tells_again_is_not_captured_again():
    twice = carrying().when(captures(PHOTO, PHOTO, scan("parcel-1", "A1"), scan("parcel-1", "A1"), TAG, TAG))
    twice.tells("ProofCaptured", "ProofCaptured", "ProofCaptured")
    twice.happened().when(captures(PHOTO, scan("parcel-1", "A1"), TAG)).then()


def test_a_stop_takes_so_many_proofs_and_no_more_unless_a_hand_over_comes_with_them():
    full = carrying()
    for batch in range(MAX_PROOFS_OF_STOP // MAX_PROOFS):
        photos = [PhotoEntry(sha256=f"{batch * MAX_PROOFS + n:064x}") for n in range(MAX_PROOFS)]
        full = full.when(captures(*photos)).happened()
    full.when(captures(TAG)).refuses(TooManyProofs)
    full.when(delivers(TAG)).tells(*DELIVERED)


# Scans


def test_every_parcel_that_changes_hands_is_scanned():
    both = carrying(at_dropoff=[["scan"]], parcels=(NewParcel(barcode="A1"), NewParcel(barcode="B2")))
    one = both.when(delivers(scan("parcel-1", "A1"))).tells("ParcelsDelivered", "ProofCaptured").happened()
    one.when(captures(scan("parcel-2", "B2"))).tells("ProofCaptured", "StopCompleted", "TaskCompleted")


def test_a_code_that_is_not_the_parcels_is_recorded_and_does_not_count():
    known = carrying(at_dropoff=[["scan"]], parcels=(NewParcel(barcode="A1"),))
    wrong = known.when(delivers(scan("parcel-1", "Z9"))).tells("ParcelsDelivered", "ProofCaptured")
    assert problems(wrong) == ["barcode_differs"]
    wrong.happened().when(captures(scan("parcel-1", "A1"))).tells("ProofCaptured", "StopCompleted", "TaskCompleted")


def test_where_no_barcode_is_known_any_code_will_do():
    carrying(at_dropoff=[["scan"]]).when(delivers(scan("parcel-1", "Z9"))).tells(*DELIVERED)


def test_the_scan_of_another_stops_parcel_is_recorded_and_does_not_count():
    stops = [NewStop(kind="pickup"), NewStop(kind="dropoff", location=HOME), NewStop(kind="dropoff", location=HOME)]
    parcels = [NewParcel(dropoff_stop="stop-2"), NewParcel(dropoff_stop="stop-3")]
    made = nothing_yet("task").when(CreateTask(kind="delivery", outlet="kamppi", stops=stops, parcels=parcels))
    offered = made.and_then(RecordTender(tender_id=TenderId("t"), round=1))
    taken = offered.and_then(AssignTask(rider_id=ANN, tender_id=TenderId("t"))).happened().by(ANN).when(picks_up())
    elsewhere = taken.happened().when(captures(scan("parcel-2", "Z9"))).tells("ProofCaptured")
    assert problems(elsewhere) == ["parcel_of_another_stop"]


def test_the_scan_of_a_parcel_that_the_task_has_not_is_refused():
    carrying().when(captures(scan("parcel-9", "A1"))).refuses(ParcelNotHere)


def test_a_parcel_that_was_refused_is_not_scanned():
    both = carrying(at_dropoff=[["scan"]], parcels=(NewParcel(), NewParcel()))
    both.when(delivers(scan("parcel-1", "A1"), refused=[TWO])).tells(
        "ParcelsRefused", "ParcelsDelivered", "ProofCaptured", "StopCompleted", "ReturnStarted"
    )


def test_a_parcel_that_was_short_is_not_scanned():
    two = assigned(at_pickup=[["scan"]], parcels=(NewParcel(), NewParcel()))
    short = ReportPickedUp(stop_id=PICKUP, observed_at=NOON, short=[TWO])
    waiting = two.when(short).tells("ParcelsShort", "ParcelsPickedUp").happened()
    waiting.when(captures(scan("parcel-1", "A1"), stop_id=PICKUP)).tells("ProofCaptured", "StopCompleted")


def test_scans_are_not_asked_for_where_there_is_nothing_to_scan():
    nothing_yet("task").when(task(at_dropoff=[["scan", "photo"]], parcels=())).refuses(StopsMismatch)


# A parcel's own


def test_a_parcel_may_ask_for_more_than_its_stop_does():
    precious = NewParcel(required_proof=[["scan"], ["signature"]])
    both = carrying(at_dropoff=[["photo"]], parcels=(precious, NewParcel()))
    some = both.when(delivers(PHOTO, SIGNED)).tells("ParcelsDelivered", "ProofCaptured", "ProofCaptured").happened()
    some.when(captures(scan("parcel-2", "B2"))).tells("ProofCaptured")
    some.when(captures(scan("parcel-1", "A1"))).tells("ProofCaptured", "StopCompleted", "TaskCompleted")


def test_what_a_refused_parcel_asks_for_is_not_needed():
    both = carrying(parcels=(NewParcel(), NewParcel(required_proof=[["id_check"]])))
    both.when(delivers()).tells("ParcelsDelivered")
    both.when(delivers(refused=[TWO])).tells("ParcelsRefused", "ParcelsDelivered", "StopCompleted", "ReturnStarted")


def test_what_a_parcel_asks_for_is_asked_at_its_dropoff_and_not_at_its_pickup():
    assigned(parcels=(NewParcel(required_proof=[["photo"]]),)).when(picks_up()).tells(
        "ParcelsPickedUp", "StopCompleted"
    )


# Age


def test_a_minimum_age_asks_for_an_id_check_whatever_else_would_do():
    dropoff = carrying(minimum_age=18, at_dropoff=[["photo", "id_check"]])
    assert dropoff.state.stops[DROPOFF].stop.required_proof == [["photo", "id_check"], ["id_check"]]
    dropoff.when(delivers(PHOTO)).tells("ParcelsDelivered", "ProofCaptured")
    dropoff.when(delivers(shown("18_to_19"))).tells(*DELIVERED)


def test_a_minimum_age_is_for_who_receives():
    pickup = NewStop(kind="pickup", minimum_age=18)
    wanted = CreateTask(kind="delivery", outlet="kamppi", stops=[pickup, NewStop(kind="dropoff", location=HOME)])
    nothing_yet("task").when(wanted).refuses(StopsMismatch)


@pytest.mark.parametrize(
    ("minimum_age", "too_young", "old_enough"),
    [
        (16, "under_16", "16_to_17"),
        (18, "16_to_17", "18_to_19"),
        (20, "18_to_19", "20"),
        (21, "20", "21_to_24"),
        (25, "21_to_24", "25_or_over"),
    ],
)
def test_each_minimum_age_begins_a_band(minimum_age: int, too_young: AgeBand, old_enough: AgeBand):
    dropoff = carrying(minimum_age=minimum_age)
    assert problems(dropoff.when(captures(shown(too_young)))) == ["id_check_not_passed"]
    assert problems(dropoff.when(captures(shown(old_enough)))) == [None]


def test_goods_are_kept_from_somebody_under_age_and_go_back():
    story = carrying(minimum_age=18).when(captures(shown("16_to_17")))
    story.tells("ProofCaptured", "ParcelsRefused", "StopFailed", "ReturnStarted")
    refused, failed = story.decided()[1:3]
    assert (refused.parcel_ids, refused.reason_code, failed.reason_code) == ([ONE], "under_age", "under_age")
    back = story.happened().when(returns()).tells("ParcelsReturned", "StopCompleted", "TaskReturned").happened()
    assert back.state.outcome == "returned"


def test_a_document_that_is_not_the_persons_does_not_count_and_another_person_may_show_theirs():
    story = carrying(minimum_age=18).when(captures(shown("25_or_over", "fail"))).tells("ProofCaptured")
    assert problems(story) == ["id_check_not_passed"]
    story.happened().when(captures(shown("25_or_over", "fail"))).tells("ProofCaptured")
    story.happened().when(delivers(shown("25_or_over"))).tells(*DELIVERED)


def test_somebody_old_enough_beside_somebody_who_is_not_will_do():
    carrying(minimum_age=18).when(captures(shown("under_16"), shown("25_or_over"))).tells(
        "ProofCaptured", "ProofCaptured"
    )


def test_goods_that_somebody_under_age_has_already_are_put_to_a_person():
    gone = carrying(minimum_age=18).when(delivers(shown("under_16")))
    gone.tells("ParcelsDelivered", "ProofCaptured", "FieldReportConflicted")
    assert gone.happened().state.parcels[ONE].party.kind == "recipient"
    gone.happened().when(captures(shown("25_or_over"))).tells("ProofCaptured", "StopCompleted", "TaskCompleted")


def test_a_task_without_parcels_is_not_delivered_to_somebody_under_age():
    carrying(minimum_age=18, parcels=()).when(captures(shown("under_16"))).tells(
        "ProofCaptured", "StopFailed", "TaskFailed"
    )


# The way back


def test_goods_that_come_back_need_the_proof_that_the_creation_asked_for():
    cancelled = carrying(at_return=[["scan"], ["signature"]]).by("shop", "integrator")
    back = cancelled.when(CancelTask(reason_code="changed_mind")).tells("ReturnStarted").happened().by(ANN)
    waiting = back.when(returns(SIGNED)).tells("ParcelsReturned", "ProofCaptured").happened()
    assert state_of(waiting.state) == "returning"
    waiting.when(captures(scan("parcel-1", "A1"), stop_id=RETURN)).tells(
        "ProofCaptured", "StopCompleted", "TaskReturned"
    )


def test_nobody_is_taken_off_a_way_back_that_lacks_its_proof():
    cancelled = carrying(at_return=[["photo"]]).by("shop", "integrator").when(CancelTask(reason_code="changed_mind"))
    waiting = cancelled.happened().by(ANN).when(returns()).happened()
    waiting.by("dora", "dispatcher").when(UnassignTask(reason_code="late")).refuses(NotInThisState)


def test_nor_does_who_never_said_yes_decline_it():
    ordered = nothing_yet("task").when(task(at_return=[["photo"]])).happened().by("dora", "dispatcher")
    taken = ordered.when(AssignTask(rider_id=ANN)).happened().by(ANN).when(picks_up()).happened()
    cancelled = taken.by("shop", "integrator").when(CancelTask(reason_code="changed_mind")).happened()
    waiting = cancelled.by(ANN).when(returns()).happened()
    waiting.when(DeclineAssignment(reason_code="tired")).refuses(NotInThisState)
    waiting.when(AcceptAssignment()).tells("AssignmentAccepted")


# Rejected


def test_a_rejected_proof_no_longer_counts_and_another_is_captured():
    shot = carrying(at_dropoff=[["photo"]]).when(captures(PHOTO)).happened().by("dora", "dispatcher")
    shot.when(rejects()).then(ProofRejected(proof_id=FIRST, stop_id=DROPOFF, kind="photo", reason_code="blurred"))
    rejected = shot.happened().by(ANN)
    rejected.when(delivers()).tells("ParcelsDelivered")
    rejected.when(delivers(OTHER_PHOTO)).tells(*DELIVERED)


def test_the_same_photo_sent_again_is_still_rejected():
    rejected = carrying(at_dropoff=[["photo"]]).when(captures(PHOTO)).and_then(rejects()).happened()
    rejected.when(delivers(PHOTO)).tells("ParcelsDelivered")


def test_a_parcel_whose_scan_was_rejected_is_scanned_again():
    rejected = carrying(at_dropoff=[["scan"]]).when(captures(scan("parcel-1", "A1"))).and_then(rejects()).happened()
    rejected.when(delivers(scan("parcel-1", "A1"))).tells(*DELIVERED)


def test_a_later_rejection_disputes_the_completion_and_does_not_undo_it():
    done = carrying(at_dropoff=[["photo"]]).when(delivers(PHOTO)).happened().by("dora", "dispatcher")
    done.when(rejects()).then(
        ProofRejected(proof_id=FIRST, stop_id=DROPOFF, kind="photo", reason_code="blurred"),
        ProofDisputed(proof_id=FIRST, stop_id=DROPOFF, reason_code="blurred"),
    )
    disputed = done.happened().state
    assert disputed.proof_disputed
    assert (state_of(disputed), disputed.stops[DROPOFF].status) == ("completed", "completed")


def test_a_proof_is_rejected_once():
    once = carrying().when(captures(PHOTO)).and_then(rejects()).happened()
    once.when(rejects()).then()


def test_what_does_not_count_or_is_not_there_is_not_rejected():
    failed = carrying(parcels=(NewParcel(barcode="A1"),)).when(captures(scan("parcel-1", "Z9"))).happened()
    failed.when(rejects()).refuses(NotInThisState)
    failed.when(rejects(proof_id("c-9", 0))).refuses(ProofNotKnown)
    failed.when(rejects(stop_id=PICKUP)).refuses(ProofNotKnown)
    failed.when(rejects(stop_id=StopId("nowhere"))).refuses(StopNotKnown)
    nothing_yet("task").when(rejects()).refuses(NotInThisState)


def test_a_rider_without_the_task_captures_no_proof():
    carrying().by(BOB).when(captures(PHOTO)).refuses(NotTheAssignee)


def by_staff(story: Story) -> Story:
    return story.by("dora", "dispatcher")


def test_who_dispatches_captures_a_rejected_proof_anew():
    shot = carrying(at_dropoff=[["photo"]]).when(captures(PHOTO)).happened()
    rejected = by_staff(shot).when(rejects()).happened().by(ANN).when(delivers()).happened()
    again = by_staff(rejected).when(captures(OTHER_PHOTO))
    again.tells("ProofCaptured", "StopCompleted", "TaskCompleted")


def test_who_dispatches_says_that_what_a_rider_brought_has_come_back():
    story = by_staff(carrying().when(CancelTask(reason_code="x")).happened()).when(returns())
    [back, *_] = story.tells("ParcelsReturned", "StopCompleted", "TaskReturned").decided()
    assert isinstance(back, ParcelsReturned)
    assert (back.from_party, back.to_party.kind) == (Party(kind="rider", id=ANN), "outlet")


def test_what_is_proven_of_a_task_that_nobody_has_is_put_to_a_person():
    story = by_staff(nothing_yet("task").when(task()).happened()).when(captures(PHOTO))
    story.tells("FieldReportConflicted")


def a_collection() -> Story:
    stop = NewStop(kind="collection", required_proof=[["photo"]])
    wanted = CreateTask(kind="collection", outlet="kamppi", stops=[stop], parcels=[NewParcel()])
    return nothing_yet("task").when(wanted).happened()


def in_each_state() -> Iterator[Story]:
    yield nothing_yet("task").when(task()).happened()
    yield nothing_yet("task").when(task()).and_then(AssignTask(rider_id=ANN)).happened()
    yield assigned()
    yield carrying()
    yield carrying(at_dropoff=[["photo"]]).when(delivers()).happened()
    yield carrying().when(CancelTask(reason_code="x")).happened()
    yield carrying().when(delivers()).happened()
    yield assigned().by("shop", "integrator").when(CancelTask(reason_code="x")).happened()
    yield carrying().when(CancelTask(reason_code="x")).and_then(returns()).happened()
    yield a_collection()
    yield a_collection().when(CancelTask(reason_code="x")).happened()


@pytest.mark.parametrize("role", ["dispatcher", "operator"])
@pytest.mark.parametrize("asked", [CaptureProof, ReportReturned])
def test_who_may_send_a_report_is_refused_as_not_the_assignee_in_no_state(role: Role, asked: Any):
    assert role in SENDERS[asked]
    seen = set()
    for story in in_each_state():
        seen.add(state_of(story.state))
        for stop_id in story.state.stops:
            story.by("dora", role).when(asked(stop_id=stop_id, observed_at=NOON, proofs=[PHOTO])).decided()
    assert {"assigned", "in_progress", "returning", "completed", "cancelled", "returned", "created"} <= seen


def test_the_photo_that_an_outlet_takes_of_a_collection_counts_for_it():
    by_staff(a_collection()).when(captures(PHOTO, stop_id=StopId("stop-1"))).tells("ProofCaptured")


def test_the_next_rider_gives_proof_of_their_own():
    shot = assigned(at_pickup=[["photo"]]).when(captures(PHOTO, stop_id=PICKUP)).happened()
    freed = shot.by("dora", "dispatcher").when(UnassignTask(reason_code="late")).and_then(AssignTask(rider_id=BOB))
    again = freed.happened().by(BOB)
    again.when(picks_up()).tells("ParcelsPickedUp")
    again.when(picks_up(OTHER_PHOTO)).tells("ParcelsPickedUp", "ProofCaptured", "StopCompleted")


def test_a_pin_counts_beside_the_other_kinds_and_not_for_them():
    asked = carrying(at_dropoff=[["pin"], ["photo"]])
    right = PinEntry(pin=pin_of(context(), DROPOFF))
    one = asked.when(delivers(right)).tells("ParcelsDelivered", "ProofCaptured").happened()
    one.when(captures(right)).then()
    one.when(captures(PHOTO)).tells("ProofCaptured", "StopCompleted", "TaskCompleted")


# Whatever is asked, in any order


GROUPS: list[Any] = [["photo"], ["signature", "nfc"], ["id_check"]]


def asked(draw: Random) -> tuple[Any, str, Any]:
    """A command about a task, and who sends it."""
    given: list[AnyProof] = [PHOTO, OTHER_PHOTO, SIGNED, TAG, shown("16_to_17"), shown("18_to_19"), shown("20", "fail")]
    proofs = draw.sample(given, draw.choice((0, 1, 2)))
    some = proofs or [draw.choice(given)]
    dora = ("dora", "dispatcher")
    return draw.choice(
        [
            *[(picks_up(*proofs), ANN, "rider"), (delivers(*proofs), ANN, "rider"), (returns(*proofs), ANN, "rider")]
            * 2,
            (captures(*some, stop_id=draw.choice((PICKUP, DROPOFF, RETURN))), ANN, "rider"),
            (rejects(stop_id=draw.choice((PICKUP, DROPOFF, RETURN))), *dora),
            (AssignTask(rider_id=ANN), *dora),
            draw.choice([(UnassignTask(reason_code="late"), *dora), (CancelTask(reason_code="late"), *dora)]),
        ]
    )


def lives(seed: int) -> Iterator[list[Event]]:
    """What comes of commands at random, each with an id of its own."""
    draw, aggregate = Random(seed), AGGREGATES["task"]
    for life in range(150):
        wanted = {place: draw.sample(GROUPS, draw.randint(0, 3)) for place in ("at_pickup", "at_dropoff")}
        back = draw.sample(GROUPS, draw.randint(0, 1))
        made = task(at_return=back, minimum_age=draw.choice((None, 18)), **wanted)
        told = aggregate.decide(aggregate.initial, made, context())
        state = Story("task", told).state
        for number in range(30):
            command, actor, role = asked(draw)
            if isinstance(command, RejectProof):
                ids = [event.proof_id for event in told if isinstance(event, ProofCaptured)]
                command = replace(command, proof_id=draw.choice(ids or [FIRST]))
            known = replace(context(actor=actor, role=role), command_id=f"c-{life}-{number}")
            with suppress(Refused):
                for event in aggregate.decide(state, command, known):
                    state = aggregate.evolve(state, event)
                    told.append(event)
        yield told


def kinds_that_count(told: list[Event], stop_id: StopId) -> set[str]:
    """By what stands on the log, as somebody reads it who knows nothing of decisions."""
    begun = max((n for n, event in enumerate(told) if isinstance(event, TaskUnassigned)), default=-1)
    mine = told[begun + 1 :]
    rejected = {event.proof_id for event in mine if isinstance(event, ProofRejected)}
    captured = [event for event in mine if isinstance(event, ProofCaptured) and event.stop_id == stop_id]
    return {event.kind for event in captured if event.problem is None and event.proof_id not in rejected}


def test_no_stop_completes_without_proof_that_counts_at_that_time():
    by_kind: Counter[str] = Counter()
    for seed in range(10):
        for told in lives(seed):
            stops = {stop.stop_id: stop for e in told if isinstance(e, TaskCreated) for stop in e.stops}
            stops |= {e.stop.stop_id: e.stop for e in told if isinstance(e, ReturnStarted)}
            for number, event in enumerate(told):
                if not isinstance(event, StopCompleted):
                    continue
                needed, counts = stops[event.stop_id].required_proof, kinds_that_count(told[:number], event.stop_id)
                assert all(counts & set(group) for group in needed), (needed, counts, told[: number + 1])
                by_kind.update(kind for group in needed for kind in group)
    assert min(by_kind[kind] for kind in ("photo", "signature", "id_check")) > 50, "else nothing was shown"


def test_once_completed_a_stop_stays_so():
    disputes = 0
    for told in lives(5):
        for number, event in enumerate(told):
            if isinstance(event, ProofDisputed):
                disputes += 1
                before = {e.stop_id for e in told[:number] if isinstance(e, StopCompleted)}
                after = {e.stop_id for e in told[number:] if isinstance(e, StopFailed | StopSkipped)}
                assert event.stop_id in before - after
    assert disputes > 10, "else nothing was shown"
