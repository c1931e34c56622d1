from datetime import timedelta
from typing import Any

import pytest
from story import KAMPPI, NOON, Story, minutes, nothing_yet

from commands.incident import (
    ActionAnswered,
    ActionsOutstanding,
    ClaimValueMissing,
    HighestLevel,
    IncidentFull,
    NotInvolved,
    TimelineMissing,
    UnknownLink,
)
from commands.refusals import InTheFuture
from commands.registries import UnknownIncidentKind
from schemas import incident as words
from schemas.incident import (
    AssignIncident,
    AttachEvidence,
    ChangeIncidentSeverity,
    CommentIncident,
    ConfirmActionRequested,
    EscalateIncident,
    EscalateUnattended,
    FileAddendum,
    IncidentActionRefused,
    IncidentActionRequested,
    IncidentLink,
    IncidentLinked,
    IncidentReported,
    IncidentResolved,
    LinkIncident,
    LinkTaskInCustody,
    LostParcels,
    NewEvidence,
    NoteActionRefused,
    ReopenIncident,
    ReportIncident,
    ResolveIncident,
    SealedTimeline,
    SealIncident,
    StateClaimValue,
    TakeIncidentAction,
    UnlinkIncident,
)
from schemas.message import NotInThisState, ParcelId, TaskId
from schemas.money import Money

ANN = IncidentLink(kind="rider", id="ann")
PARCELS = IncidentLink(kind="task", id="task-1")
FIFTY = Money(amount_minor=5_000, currency="EUR")
PHOTO = NewEvidence(sha256="ab" * 32)
TIMELINE = SealedTimeline(merkle_root="cd" * 32, records=3, since=NOON, up_to="token")


def accident(**more: Any) -> ReportIncident:
    return ReportIncident(kind="accident", description="Ann was hit by a tram", **more)


def reported(**more: Any) -> Story:
    return nothing_yet("incident").when(accident(**more)).happened()


def requested(*links: IncidentLink) -> Story:
    """By a dispatcher, who may ask for it."""
    return nothing_yet("incident").by("dora", "dispatcher").when(accident(links=list(links))).happened()


def loss() -> Story:
    """A kind that does not escalate."""
    return nothing_yet("incident").when(ReportIncident(kind="loss", description="A box is gone")).happened()


def assigned() -> Story:
    return reported().when(AssignIncident(assignee="dora")).happened()


def resolved() -> Story:
    waived: Any = ["suspend_rider", "ground_vehicle", "hand_over_tasks"]
    return assigned().when(ResolveIncident(resolution_code="rider_is_well", waived=waived)).happened()


def sealed() -> Story:
    return resolved().when(SealIncident(timeline=TIMELINE)).happened()


# Reported


def test_a_report_takes_severity_actions_and_its_clock_from_the_kind():
    [event] = nothing_yet("incident").when(accident(location=KAMPPI)).decided()
    assert isinstance(event, IncidentReported)
    assert (event.severity, event.escalate_at) == ("high", minutes(10))
    assert event.actions == ["suspend_rider", "ground_vehicle", "hand_over_tasks"]
    assert event.occurred_at == NOON
    assert event.description.subject == event.location.subject == "a-1", "it is the incident's own"


def test_the_reporter_may_know_better_how_severe_it_is_and_when_it_was():
    [event] = nothing_yet("incident").when(accident(severity="critical", occurred_at=minutes(-30))).decided()
    assert (event.severity, event.occurred_at) == ("critical", minutes(-30))
    nothing_yet("incident").when(accident(occurred_at=minutes(1))).refuses(InTheFuture)


def test_a_kind_that_the_registry_does_not_have_is_refused_by_name():
    refused = nothing_yet("incident").when(ReportIncident(kind="meteor", description="!")).refuses(UnknownIncidentKind)
    assert "accident" in refused.known


def test_what_a_report_names_twice_stands_once():
    told = nothing_yet("incident").when(accident(links=[ANN, PARCELS, ANN], evidence=[PHOTO, PHOTO]))
    report = told.decided()[0]
    assert report.links == [ANN, PARCELS]
    told.tells("IncidentReported", "EvidenceAttached")


def test_an_incident_is_reported_once():
    reported().when(accident()).refuses(NotInThisState)
    nothing_yet("incident").when(AssignIncident(assignee="dora")).refuses(NotInThisState)


# Attended to


def test_whoever_is_assigned_stops_the_clock_and_may_be_followed_by_another():
    assigned().at(minutes(60)).when(EscalateUnattended(level=1)).tells()
    assigned().when(AssignIncident(assignee="dora")).tells()
    assigned().when(AssignIncident(assignee="dirk")).tells("IncidentAssigned")
    resolved().when(AssignIncident(assignee="dirk")).refuses(NotInThisState)


def test_comments_links_and_evidence_gather_until_it_is_sealed():
    for command, event in (
        (CommentIncident(comment="The tram's driver has called"), "IncidentCommented"),
        (LinkIncident(link=IncidentLink(kind="tender", id="t")), "IncidentLinked"),
        (AttachEvidence(evidence=[PHOTO]), "EvidenceAttached"),
    ):
        for story in (reported(), assigned(), resolved()):
            story.when(command).tells(event)
        sealed().when(command).refuses(NotInThisState)


def test_a_rider_speaks_of_what_they_reported_or_is_about_them_and_of_nothing_else():
    bell = nothing_yet("incident").by("bell").when(accident(links=[ANN])).happened()
    for command in (CommentIncident(comment="!"), AttachEvidence(evidence=[PHOTO]), EscalateIncident(reason_code="x")):
        for rider in ("bell", "ann"):
            assert bell.by(rider).when(command).decided()
        bell.by("cleo").when(command).refuses(NotInvolved)
        assert bell.by("cleo", "dispatcher").when(command).decided()


def test_what_our_process_is_to_do_is_asked_for_link_by_link():
    story = nothing_yet("incident").by("dora", "dispatcher").when(accident(links=[ANN, PARCELS]))
    _report, *requests = story.decided()
    assert [(each.action, each.link) for each in requests] == [
        ("suspend_rider", ANN),
        ("hand_over_tasks", ANN),
        ("hand_over_tasks", PARCELS),
    ]
    later = reported().by("dora", "dispatcher").when(TakeIncidentAction(action="suspend_rider")).happened()
    later.when(LinkIncident(link=ANN)).tells("IncidentLinked", "IncidentActionRequested", "IncidentActionRequested")
    later.when(LinkIncident(link=IncidentLink(kind="tender", id="t"))).tells("IncidentLinked")
    loss().by("dora", "dispatcher").when(LinkIncident(link=ANN)).tells("IncidentLinked")


@pytest.mark.parametrize(("actor", "role"), [("bell", "rider"), ("shop", "integrator")])
def test_of_what_a_rider_or_a_shop_reports_nothing_is_done_before_a_dispatcher_has_taken_it(actor: str, role: Any):
    story = nothing_yet("incident").by(actor, role).when(accident(links=[ANN, PARCELS])).tells("IncidentReported")
    taken = story.happened().by("dora", "dispatcher").when(AssignIncident(assignee="dora"))
    taken.tells("IncidentAssigned", *["IncidentActionRequested"] * 3)
    taken.happened().when(AssignIncident(assignee="dirk")).tells("IncidentAssigned")


def test_the_same_link_and_the_same_artefact_again_are_nothing_new():
    linked = reported().when(LinkIncident(link=ANN)).happened()
    linked.when(LinkIncident(link=ANN)).tells()
    linked.when(UnlinkIncident(link=ANN, reason_code="wrong_rider")).happened().when(
        UnlinkIncident(link=ANN, reason_code="wrong_rider")
    ).refuses(UnknownLink)
    shown = reported().when(AttachEvidence(evidence=[PHOTO])).happened()
    shown.when(AttachEvidence(evidence=[PHOTO])).tells()


def test_severity_changes_with_a_reason():
    reported().when(ChangeIncidentSeverity(severity="low", reason_code="a_scratch")).tells("IncidentSeverityChanged")
    reported().when(ChangeIncidentSeverity(severity="high", reason_code="so_it_was")).tells()


# Escalated


def test_nobody_takes_it_so_it_escalates_level_by_level_to_the_highest():
    story = reported()
    for level, at in ((1, minutes(10)), (2, minutes(20)), (3, minutes(30))):
        story.at(at - timedelta(seconds=1)).when(EscalateUnattended(level=level)).tells()
        [event] = story.at(at).when(EscalateUnattended(level=level)).decided()
        assert (event.level, event.reason_code) == (level, "unattended")
        story.take([event])
    assert event.escalate_at is None, "nobody is above that"
    story.at(minutes(60)).when(EscalateUnattended(level=4)).tells()


def test_a_deadline_that_fires_late_or_twice_changes_nothing():
    story = reported().at(minutes(11)).when(EscalateUnattended(level=1)).happened()
    story.at(minutes(12)).when(EscalateUnattended(level=1)).tells()
    loss().at(minutes(600)).when(EscalateUnattended(level=1)).tells()
    nothing_yet("incident").when(EscalateUnattended(level=1)).refuses(NotInThisState)


def test_a_dispatcher_escalates_what_is_assigned_and_no_clock_runs():
    story = assigned()
    for level in (1, 2, 3):
        [event] = story.when(EscalateIncident(reason_code="press_is_here")).decided()
        assert (event.level, event.escalate_at) == (level, None)
        story.take([event])
    story.when(EscalateIncident(reason_code="press_is_here")).refuses(HighestLevel)


# Acted upon, resolved, reopened


def test_it_is_resolved_when_what_its_kind_asks_for_is_done_or_waived():
    story = assigned()
    resolve = ResolveIncident(resolution_code="rider_is_well")
    refused = story.when(resolve).refuses(ActionsOutstanding)
    assert refused.actions == ["suspend_rider", "ground_vehicle", "hand_over_tasks"]
    for action in ("suspend_rider", "hand_over_tasks"):
        story = story.when(TakeIncidentAction(action=action, link=ANN)).happened()  # type: ignore[arg-type]
    story.when(resolve).refuses(ActionsOutstanding)
    waived = ResolveIncident(resolution_code="rider_is_well", waived=["ground_vehicle", "suspend_rider"])
    [event] = story.when(waived).decided()
    assert event.waived == ["ground_vehicle"], "what was done needs no waiver"


def test_a_request_stands_until_it_is_answered_either_way():
    asked = ConfirmActionRequested(action="suspend_rider", link=ANN)
    story = requested(ANN).when(asked).tells()
    for answer in (
        TakeIncidentAction(action="suspend_rider", link=ANN),
        NoteActionRefused(action="suspend_rider", link=ANN, rule="not-in-this-state"),
    ):
        requested(ANN).when(answer).happened().when(asked).refuses(ActionAnswered)
    story.when(TakeIncidentAction(action="suspend_rider")).happened().when(asked).refuses(ActionAnswered)
    loss().when(asked).refuses(ActionAnswered)


def test_what_is_resolved_or_unlinked_before_it_was_done_is_not_done_any_more():
    asked = ConfirmActionRequested(action="suspend_rider", link=ANN)
    refusal = NoteActionRefused(action="suspend_rider", link=ANN, rule="x")
    unlinked = requested(ANN).when(UnlinkIncident(link=ANN, reason_code="wrong")).happened()
    waived = ResolveIncident(resolution_code="well", waived=["suspend_rider", "ground_vehicle", "hand_over_tasks"])
    done = requested(ANN).when(AssignIncident(assignee="dora")).happened().when(waived).happened()
    for story in (unlinked, done, done.when(SealIncident(timeline=TIMELINE)).happened()):
        story.when(asked).refuses(ActionAnswered)
    unlinked.when(refusal).tells()


IN_CUSTODY = LinkTaskInCustody(task_id=TaskId(PARCELS.id), rule="goods-in-custody")


def test_a_task_that_cannot_be_taken_away_is_linked_and_waits_for_somebody():
    story = requested(ANN).when(IN_CUSTODY)
    story.then(
        IncidentLinked(link=PARCELS),
        IncidentActionRequested(action="hand_over_tasks", link=PARCELS),
        IncidentActionRefused(action="hand_over_tasks", link=PARCELS, rule="goods-in-custody"),
    )
    story.and_then(IN_CUSTODY).then()
    loss().when(LinkIncident(link=PARCELS)).and_then(IN_CUSTODY).tells(
        "IncidentActionRequested", "IncidentActionRefused"
    )
    requested(PARCELS).when(IN_CUSTODY).then()


def test_what_was_waived_before_an_incident_was_reopened_is_asked_for_again_once_goods_are_in_custody():
    waived = ResolveIncident(resolution_code="well", waived=["suspend_rider", "ground_vehicle", "hand_over_tasks"])
    over = requested(PARCELS).when(AssignIncident(assignee="dora")).and_then(waived)
    reopened = over.and_then(ReopenIncident(reason_code="goods")).happened()
    reopened.when(IN_CUSTODY).tells("IncidentActionRequested", "IncidentActionRefused")


def test_one_that_is_over_or_full_takes_no_task_in_custody(monkeypatch: pytest.MonkeyPatch):
    waived = ResolveIncident(resolution_code="well", waived=["suspend_rider", "ground_vehicle", "hand_over_tasks"])
    over = requested(ANN).when(AssignIncident(assignee="dora")).and_then(waived).happened()
    over.when(IN_CUSTODY).refuses(NotInThisState)
    monkeypatch.setattr("commands.incident.MAX_LINKS", 1)
    requested(ANN).when(IN_CUSTODY).refuses(IncidentFull)


def test_what_is_linked_again_is_asked_for_again():
    again = requested(ANN).when(UnlinkIncident(link=ANN, reason_code="wrong")).and_then(LinkIncident(link=ANN))
    again.tells("IncidentLinked", "IncidentActionRequested", "IncidentActionRequested")


def test_who_resolves_it_lets_the_riders_back_whose_tasks_it_asked_for():
    waived = ResolveIncident(resolution_code="well", waived=["suspend_rider", "ground_vehicle", "hand_over_tasks"])
    [resolved] = requested(ANN, PARCELS).when(AssignIncident(assignee="dora")).happened().when(waived).decided()
    assert isinstance(resolved, IncidentResolved)
    assert resolved.riders == [ANN.id]


def test_there_is_always_room_for_the_answer_of_our_own_process(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("commands.incident.MAX_ACTIONS", 0)
    requested(ANN).when(TakeIncidentAction(action="suspend_rider", link=ANN)).tells("IncidentActionTaken")
    refusal = NoteActionRefused(action="suspend_rider", link=ANN, rule="x")
    requested(ANN).when(refusal).tells("IncidentActionRefused")


def test_an_action_is_outstanding_until_it_is_taken_of_every_link():
    other = IncidentLink(kind="task", id="task-2")
    both = requested(PARCELS, other).when(AssignIncident(assignee="dora")).happened()
    refused = both.when(NoteActionRefused(action="hand_over_tasks", link=PARCELS, rule="goods-in-custody")).happened()
    half = refused.when(TakeIncidentAction(action="hand_over_tasks", link=other)).happened()
    resolve = ResolveIncident(resolution_code="x", waived=["suspend_rider", "ground_vehicle"])
    assert half.when(resolve).refuses(ActionsOutstanding).actions == ["hand_over_tasks"]
    whole = half.when(TakeIncidentAction(action="hand_over_tasks", link=PARCELS)).happened()
    whole.when(resolve).tells("IncidentResolved")


def test_an_action_that_a_rule_refused_is_still_outstanding():
    asked = requested(ANN).when(AssignIncident(assignee="dora")).happened()
    story = asked.when(NoteActionRefused(action="suspend_rider", link=ANN, rule="not-in-this-state")).happened()
    refused = story.when(ResolveIncident(resolution_code="x")).refuses(ActionsOutstanding)
    assert "suspend_rider" in refused.actions


def test_of_what_is_lost_somebody_says_what_it_was_worth_before_it_is_resolved():
    story = loss().when(AssignIncident(assignee="dora")).happened()
    resolve = ResolveIncident(resolution_code="paid", waived=["write_off_parcels"])
    assert story.when(resolve).refuses(ActionsOutstanding).actions == ["state_claim_value"]
    story.when(TakeIncidentAction(action="state_claim_value")).refuses(ClaimValueMissing)
    stated = StateClaimValue(claim_value=FIFTY, reason_code="invoice_seen")
    story = story.when(stated).tells("ClaimValueStated").happened()
    story.when(stated).then()
    story.when(StateClaimValue(claim_value=Money(amount_minor=1, currency="EUR"), reason_code="x")).tells(
        "ClaimValueStated"
    )
    story.when(TakeIncidentAction(action="state_claim_value")).tells("IncidentActionTaken")
    story.when(resolve).tells("IncidentResolved")


def test_who_reports_may_state_the_claim_at_once():
    report = ReportIncident(kind="theft", description="The van was broken into", claim_value=FIFTY)
    story = nothing_yet("incident").when(report).happened().when(AssignIncident(assignee="dora")).happened()
    assert story.state.claim_value == FIFTY
    story.when(ResolveIncident(resolution_code="paid", waived=["write_off_parcels"])).tells("IncidentResolved")


def stolen() -> Story:
    report = ReportIncident(kind="theft", description="The van was broken into", claim_value=FIFTY, links=[PARCELS])
    return nothing_yet("incident").by("dora", "dispatcher").when(report).and_then(AssignIncident(assignee="dora"))


def lost(*parcel_ids: str, task_id: str = PARCELS.id) -> LostParcels:
    return LostParcels(task_id=TaskId(task_id), parcel_ids=[ParcelId(each) for each in parcel_ids])


def test_who_resolves_it_says_which_parcels_are_lost_and_their_task_is_to_be_told():
    resolve = ResolveIncident(resolution_code="paid", lost=[lost("one", "two"), lost("two", "three")])
    [_, asked] = stolen().happened().when(resolve).tells("IncidentResolved", "IncidentActionRequested").decided()
    assert (asked.action, asked.link, asked.parcel_ids) == ("write_off_parcels", PARCELS, ["one", "two", "three"])


def test_of_a_task_that_it_is_not_linked_to_nothing_is_lost():
    resolve = ResolveIncident(resolution_code="paid", lost=[lost("one", task_id="another")])
    stolen().happened().when(resolve).refuses(UnknownLink)


def test_it_is_sealed_once_the_task_was_told_or_a_rule_said_no():
    resolve = ResolveIncident(resolution_code="paid", lost=[lost("one")])
    story = stolen().happened().when(resolve).happened()
    seal = SealIncident(timeline=TIMELINE)
    assert story.when(seal).refuses(ActionsOutstanding).actions == ["write_off_parcels"]
    answers: Any = (
        TakeIncidentAction(action="write_off_parcels", link=PARCELS),
        NoteActionRefused(action="write_off_parcels", link=PARCELS, rule="unknown-parcel"),
    )
    for answer in answers:
        told = stolen().happened().when(resolve).and_then(answer)
        told.and_then(seal).tells("IncidentSealed")
    again = story.when(answers[1]).and_then(ReopenIncident(reason_code="which_box"))
    once_more = again.and_then(resolve).tells("IncidentResolved", "IncidentActionRequested").happened()
    once_more.when(answers[0]).and_then(seal).tells("IncidentSealed")


def test_which_parcels_are_lost_belongs_to_what_was_asked():
    once, anew = (ResolveIncident(resolution_code="paid", lost=[lost(box)]) for box in ("one", "two"))
    story = stolen().happened().when(once).and_then(ReopenIncident(reason_code="which_box")).and_then(anew).happened()

    def asked(box: str) -> ConfirmActionRequested:
        return ConfirmActionRequested(action="write_off_parcels", link=PARCELS, parcel_ids=[ParcelId(box)])

    story.when(asked("one")).refuses(ActionAnswered)
    story.when(asked("two")).tells()


def test_nothing_is_claimed_any_more_once_it_is_sealed():
    sealed().when(StateClaimValue(claim_value=FIFTY, reason_code="late")).refuses(NotInThisState)
    resolved().when(StateClaimValue(claim_value=FIFTY, reason_code="late")).tells("ClaimValueStated")


def test_what_nobody_has_taken_cannot_be_resolved():
    loss().when(ResolveIncident(resolution_code="found", waived=["write_off_parcels"])).refuses(NotInThisState)


def test_resolved_is_reopened_and_its_clock_runs_again():
    [event] = resolved().at(minutes(60)).when(ReopenIncident(reason_code="rider_is_worse")).decided()
    assert event.escalate_at == minutes(70)
    reopened = resolved().when(ReopenIncident(reason_code="rider_is_worse")).happened()
    reopened.when(AssignIncident(assignee="dora")).tells("IncidentAssigned")
    reopened.when(ResolveIncident(resolution_code="well_now")).tells("IncidentResolved")
    reopened.when(SealIncident(timeline=TIMELINE)).refuses(NotInThisState)
    assigned().when(ReopenIncident(reason_code="x")).refuses(NotInThisState)


# Sealed


def test_it_is_sealed_with_its_timeline_and_only_once():
    resolved().when(SealIncident()).refuses(TimelineMissing)
    [event] = resolved().when(SealIncident(timeline=TIMELINE)).decided()
    assert event.timeline == TIMELINE
    sealed().when(SealIncident(timeline=TIMELINE)).tells()
    sealed().when(ReopenIncident(reason_code="x")).refuses(NotInThisState)


def test_after_sealing_there_are_only_addenda():
    resolved().when(FileAddendum(text="The tram was late")).refuses(NotInThisState)
    filed = FileAddendum(text="The tram was late", evidence=[PHOTO])
    sealed().when(filed).tells("AddendumFiled", "EvidenceAttached")


@pytest.mark.parametrize(
    ("limit", "what", "command"),
    [
        ("MAX_COMMENTS", "comments", CommentIncident(comment="again")),
        ("MAX_LINKS", "links", LinkIncident(link=ANN)),
        ("MAX_EVIDENCE", "pieces of evidence", AttachEvidence(evidence=[PHOTO])),
        ("MAX_ACTIONS", "actions", TakeIncidentAction(action="contact_customer")),
        ("MAX_ADDENDA", "addenda", FileAddendum(text="again")),
    ],
)
def test_each_bound_holds(monkeypatch: pytest.MonkeyPatch, limit: str, what: str, command: Any):
    monkeypatch.setattr("commands.incident." + limit, 0)
    assert getattr(words, limit) >= 100
    story = sealed() if isinstance(command, FileAddendum) else reported()
    refused = story.when(command).refuses(IncidentFull)
    assert refused.what == what
