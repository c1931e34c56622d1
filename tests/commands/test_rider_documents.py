"""May they work? Judged by the moment, and by all of the time that they are wanted for."""

import pytest
from riding import (
    OTHER,
    PICKUP,
    TASK,
    approved,
    on_shift,
    registered,
    reserve,
    reserved,
    underway,
    with_licence,
    within,
)
from story import NOON, Story, minutes

from commands.refusals import InTheFuture, NotAnInterval, TooMany, UnknownDocument
from commands.registries import UnknownDocumentKind
from commands.rider_documents import BREACHES_KEPT
from commands.rider_reservations import PAST_TASKS_KEPT
from schemas.message import DocumentId, NotInThisState, Refused
from schemas.rider import (
    MAX_DOCUMENTS,
    ActivateReservation,
    ComplianceBreachFound,
    DocumentExpiryWarned,
    DocumentRejected,
    RejectDocument,
    RemoveStops,
    ReportComplianceBreach,
    ReservationActivated,
    ReservationReleased,
    RiderReserved,
    StartShift,
    SubmitDocument,
    VerifyDocument,
    WarnDocumentExpiry,
)

FIRST = DocumentId("licence-1")


def why_not(story: Story) -> object:
    return story.refuses(Refused).values()["code"]


def licensed(*spans: tuple[float, float]) -> Story:
    """On shift until 20:00, where a licence is required."""
    return on_shift(with_licence(spans).requiring("licence"))


def breach(start: float = -60, end: float = 0, document_id: str | None = FIRST) -> ReportComplianceBreach:
    return ReportComplianceBreach(
        since=minutes(start), until=minutes(end), reason_code="forged", document_id=document_id
    )


def meanwhile(story: Story) -> list[str]:
    [found] = story.decided()
    assert isinstance(found, ComplianceBreachFound)
    return [*found.task_ids]


# What may be submitted


def test_a_document_is_of_a_kind_that_the_registry_has_for_riders():
    registered().when(SubmitDocument(document_id="d-1", kind="licence")).tells("DocumentSubmitted")
    refused = registered().when(SubmitDocument(document_id="d-1", kind="hygiene_pass")).refuses(UnknownDocumentKind)
    assert refused.values() == {
        "code": "hygiene_pass",
        "known": ["identity", "licence", "insurance", "face_photo"],
    }


def test_a_vehicles_document_is_no_riders():
    registered().when(SubmitDocument(document_id="d-1", kind="roadworthiness")).refuses(UnknownDocumentKind)


def test_a_rider_has_so_many_documents_and_no_more():
    story = registered()
    for number in range(MAX_DOCUMENTS):
        story = story.when(SubmitDocument(document_id=f"d-{number}", kind="licence")).happened()
    story.when(SubmitDocument(document_id="one-more", kind="licence")).refuses(TooMany)
    story.when(SubmitDocument(document_id="d-0", kind="licence")).refuses(NotInThisState)


def test_what_was_verified_is_verified_once():
    story = with_licence([(-60, 60)])
    story.when(VerifyDocument(document_id=FIRST, valid_from=minutes(-60), expires_at=minutes(60))).then()
    story.when(VerifyDocument(document_id=FIRST, valid_from=minutes(-60), expires_at=minutes(90))).tells(
        "DocumentVerified"
    )
    story.when(VerifyDocument(document_id=FIRST, valid_from=NOON, expires_at=NOON)).refuses(NotAnInterval)


# What is required


def test_what_the_registry_requires_is_required():
    assert why_not(approved().requiring("licence").when(StartShift(ends_at=minutes(60)))) == "document_missing"
    with_licence([(-60, 60)]).requiring("licence").when(StartShift(ends_at=minutes(60))).tells("ShiftStarted")


def test_what_the_rules_require_is_required_besides():
    story = with_licence([(-60, 60)]).requiring("licence").where(required_documents=["insurance", "licence"])
    assert why_not(story.when(StartShift(ends_at=minutes(60)))) == "document_missing"
    insured = with_licence([(-60, 60)], story, "insurance")
    insured.when(StartShift(ends_at=minutes(60))).tells("ShiftStarted")


def test_what_is_required_of_vehicles_is_not_required_of_riders():
    approved().requiring("roadworthiness").when(StartShift(ends_at=minutes(60))).tells("ShiftStarted")


@pytest.mark.parametrize(("minute", "code"), [(29, None), (30, "document_expired"), (31, "document_expired")])
def test_a_licence_that_expires_shuts_out_from_that_moment_on(minute: float, code: str | None):
    story = with_licence([(-60, 30)]).requiring("licence").at(minutes(minute)).when(StartShift(ends_at=minutes(60)))
    if code is None:
        story.tells("ShiftStarted")
    else:
        assert why_not(story) == code


def test_a_licence_that_is_verified_late_counts_from_when_it_was_valid():
    story = approved().requiring("licence").when(SubmitDocument(document_id=FIRST, kind="licence")).happened()
    start = StartShift(ends_at=minutes(60))
    assert why_not(story.when(start)) == "document_missing"
    verify = VerifyDocument(document_id=FIRST, valid_from=minutes(-60 * 24), expires_at=minutes(90))
    story.when(verify).and_then(start).tells("ShiftStarted")


def test_a_rejected_document_counts_no_more():
    story = with_licence([(-60, 90)]).requiring("licence")
    story = story.when(RejectDocument(document_id=FIRST, reason_code="blurred")).happened()
    assert why_not(story.when(StartShift(ends_at=minutes(60)))) == "document_missing"
    story.when(RejectDocument(document_id=FIRST, reason_code="blurred")).then()


# For all of the time


def test_a_licence_must_be_valid_until_the_last_window_closes():
    story = licensed((-60, 100))
    assert why_not(story.when(reserve(window=within(30, 101)))) == "document_expires_too_soon"
    story.when(reserve(window=within(30, 100))).tells("RiderReserved")


def test_without_a_window_it_must_be_valid_for_the_whole_shift():
    assert why_not(licensed((-60, 479)).when(reserve())) == "document_expires_too_soon"
    licensed((-60, 480)).when(reserve()).tells("RiderReserved")


def test_after_the_shift_it_need_not_be_valid_however_late_the_window_closes():
    licensed((-60, 480)).when(reserve(window=within(30, 1_000))).tells("RiderReserved")


def test_one_licence_may_take_over_from_the_other_but_without_a_gap():
    licensed((-60, 100), (100, 500)).when(reserve()).tells("RiderReserved")
    licensed((90, 500), (-60, 100)).when(reserve()).tells("RiderReserved")
    assert why_not(licensed((-60, 100), (101, 500)).when(reserve())) == "document_expires_too_soon"


def test_every_required_document_is_judged_for_the_whole_time():
    story = with_licence([(-60, 500)], kind="insurance", story=with_licence([(-60, 100)]))
    refused = on_shift(story.requiring("licence", "insurance")).when(reserve(window=within(30, 200)))
    assert why_not(refused) == "document_expires_too_soon"


# What is found out later


def test_a_breach_names_the_tasks_that_the_rider_had_meanwhile():
    story = underway(with_licence([(-60, 500)], reserved())).at(minutes(30))
    assert meanwhile(story.when(breach(0, 10))) == [TASK]
    assert meanwhile(story.when(breach(-60, 0))) == [], "it was not the rider's yet"
    assert meanwhile(story.when(breach(20, 30))) == [TASK], "it still is"


def test_a_task_that_is_over_is_named_where_it_was_under_way_in_that_time():
    story = underway(with_licence([(-60, 500)], reserved())).at(minutes(30))
    story = story.when(RemoveStops(task_id=TASK, round=1, reason_code="done")).happened().at(minutes(90))
    assert meanwhile(story.when(breach(10, 20))) == [TASK]
    assert meanwhile(story.when(breach(29, 90))) == [TASK]
    assert meanwhile(story.when(breach(30, 90))) == []


def test_a_task_that_was_only_held_is_not_named():
    story = with_licence([(-60, 500)], reserved()).at(minutes(30))
    assert meanwhile(story.when(breach(0, 30))) == []


def test_the_document_counts_as_rejected_from_then_on_and_history_stays():
    story = underway(on_shift(with_licence([(-60, 500)]).requiring("licence")).when(reserve()).happened())
    found = story.at(minutes(1)).when(breach()).tells("ComplianceBreachFound").happened()
    assert found.state.documents[FIRST].status == "rejected"
    assert (found.state.shift is not None, set(found.state.reservations)) == (True, {TASK})
    assert why_not(found.when(reserve(OTHER, hold_until=minutes(5)))) == "document_missing"
    found.when(RemoveStops(task_id=TASK, round=1, reason_code="x", stop_ids=[PICKUP])).tells("ItineraryStopsRemoved")


def test_a_breach_without_a_document_rejects_none():
    found = with_licence([(-60, 500)]).when(breach(document_id=None)).happened()
    assert found.state.documents[FIRST].status == "verified"


def test_the_same_breach_is_found_once():
    found = with_licence([(-60, 500)]).when(breach()).happened()
    found.when(breach()).then()
    found.when(breach(-90, 0)).tells("ComplianceBreachFound")


def test_a_breach_lies_in_the_past_has_a_length_and_a_document_that_is_known():
    story = with_licence([(-60, 500)])
    story.when(breach(0, 0)).refuses(NotAnInterval)
    story.when(breach(0, 1)).refuses(InTheFuture)
    story.when(breach(document_id="unheard-of")).refuses(UnknownDocument)


def test_what_is_remembered_of_breaches_and_of_past_tasks_is_bounded():
    story = with_licence([(-60, 500)])
    for number in range(BREACHES_KEPT + 5):
        story = story.when(breach(-100 - number, -50)).happened()
    assert len(story.state.breaches) == BREACHES_KEPT
    for number in range(PAST_TASKS_KEPT + 5):
        task = f"task-{number}"
        reserved_for = RiderReserved(
            task_id=task,  # type: ignore[arg-type]
            round=1,
            tender_id=None,
            offer_id=None,
            handed_over=False,
            hold_until=NOON,
            stops=[],
        )
        activated = ReservationActivated(task_id=task, round=1, activated_at=NOON)  # type: ignore[arg-type]
        released = ReservationReleased(
            task_id=task,  # type: ignore[arg-type]
            round=1,
            reason_code="x",
            released_at=NOON,
        )
        story = story.take([reserved_for, activated, released])
    assert [past.task_id for past in story.state.past_tasks][-1] == f"task-{PAST_TASKS_KEPT + 4}"
    assert len(story.state.past_tasks) == PAST_TASKS_KEPT


def test_a_reservation_that_is_activated_later_was_not_the_riders_before():
    story = with_licence([(-60, 500)], on_shift()).when(reserve(hold_until=minutes(20))).happened()
    story = story.at(minutes(10)).when(ActivateReservation(task_id=TASK, round=1)).happened().at(minutes(30))
    assert meanwhile(story.when(breach(0, 10))) == []
    assert meanwhile(story.when(breach(0, 11))) == [TASK]


# Somebody is told before it expires

DAY = 24 * 60


def warned(story: Story, document: DocumentId = FIRST) -> Story:
    return story.when(WarnDocumentExpiry(document_id=document))


def test_so_long_before_as_its_kind_says_somebody_is_warned_once():
    story = with_licence([(-60, 20 * DAY)])
    warned(story.at(minutes(6 * DAY - 1))).then()
    [event] = warned(story.at(minutes(6 * DAY))).decided()
    assert (event.document_id, event.kind) == (FIRST, "licence")
    assert (event.expires_at, event.covered_until) == (minutes(20 * DAY), minutes(20 * DAY))
    story = warned(story).happened()
    warned(story).then()
    same = VerifyDocument(document_id=FIRST, valid_from=minutes(-60), expires_at=minutes(20 * DAY))
    story.when(same).then()


def test_another_that_takes_over_is_told_with_it():
    story = with_licence([(-60, 20 * DAY), (19 * DAY, 90 * DAY)])
    [event] = warned(story.at(minutes(6 * DAY))).decided()
    assert event.covered_until == minutes(90 * DAY)


def test_nobody_is_warned_of_what_is_rejected_and_again_of_what_is_verified_anew():
    story = with_licence([(-60, 20 * DAY)]).at(minutes(7 * DAY))
    rejected = story.when(RejectDocument(document_id=FIRST, reason_code="blurred")).happened()
    warned(rejected).then()
    again = VerifyDocument(document_id=FIRST, valid_from=minutes(-60), expires_at=minutes(20 * DAY))
    warned(rejected.when(again).happened()).tells("DocumentExpiryWarned")
    warned(approved()).then()


# What was covered by another, and is so no more

SECOND = DocumentId("licence-2")
TAKES_OVER = [(-60, 20 * DAY), (19 * DAY, 90 * DAY)]
NOT_COVERED = DocumentExpiryWarned(
    document_id=FIRST, kind="licence", expires_at=minutes(20 * DAY), covered_until=minutes(20 * DAY)
)


def kept_back(spans: list[tuple[float, float]]) -> Story:
    """The first one's warning was given, and told of another that takes over."""
    return warned(with_licence(spans).at(minutes(7 * DAY))).happened()


def rejected(document: DocumentId) -> RejectDocument:
    return RejectDocument(document_id=document, reason_code="blurred")


def test_a_warning_that_another_made_needless_is_given_once_that_other_is_rejected():
    reject_second = kept_back(TAKES_OVER).when(rejected(SECOND))
    reject_second.then(DocumentRejected(document_id=SECOND, reason_code="blurred"), NOT_COVERED)
    reject_second.and_then(rejected(SECOND)).then()


def test_so_it_is_where_the_other_was_found_to_be_forged_or_ends_too_soon_after_all():
    forged = kept_back(TAKES_OVER).when(breach(document_id=SECOND))
    assert forged.tells("ComplianceBreachFound", "DocumentExpiryWarned").decided()[-1] == NOT_COVERED
    sooner = VerifyDocument(document_id=SECOND, valid_from=minutes(0), expires_at=minutes(19 * DAY))
    shortened = kept_back(TAKES_OVER).when(sooner)
    assert shortened.tells("DocumentVerified", "DocumentExpiryWarned").decided()[-1] == NOT_COVERED


def test_before_its_time_it_is_not_given():
    early = with_licence(TAKES_OVER).at(minutes(5 * DAY)).when(rejected(SECOND))
    early.tells("DocumentRejected")
    warned(early.happened().at(minutes(6 * DAY))).then(NOT_COVERED)


def test_nor_where_yet_another_takes_over():
    thrice = [*TAKES_OVER, (10 * DAY, 60 * DAY)]
    kept_back(thrice).when(rejected(SECOND)).tells("DocumentRejected")


def test_of_what_ended_long_ago_nobody_is_warned_while_another_is_valid_by_now():
    thrice = [*TAKES_OVER, (30 * DAY, 60 * DAY)]
    story = kept_back(thrice).at(minutes(40 * DAY)).when(rejected(SECOND)).tells("DocumentRejected")
    assert story.and_then(rejected(DocumentId("licence-3"))).decided()[-1] == NOT_COVERED


def test_what_was_warned_of_is_not_warned_of_again_for_another_that_never_took_over():
    later = [(-60, 20 * DAY), (21 * DAY, 90 * DAY)]
    kept_back(later).when(rejected(SECOND)).tells("DocumentRejected")
    kept_back(TAKES_OVER).when(rejected(FIRST)).tells("DocumentRejected")
