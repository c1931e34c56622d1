"""What the log alone gives away: each way to spoil it is named by its invariant."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import pytest
from delivery_log import ANN, BOB, TASK, TO_ANN, delivered, event_in, place_of, saying, sealed_again
from story import NOON

from infra.check.finding import KEPT_AT_MOST, NotJudged, Verdict
from infra.check.journals import TORN_TOLD, Journals
from infra.check.log import LogCheck, Standing
from schemas import catalog
from schemas.control import ShardOpened
from schemas.goods import Party
from schemas.record import Stored, control_headers, derived_headers, envelope_of
from schemas.signals import GeofenceTransitionCorrected
from schemas.task import TaskAssigned
from schemas.tender import OfferViewed
from schemas.topics import SIGNALS
from schemas.topics import TASK as TASK_TOPIC

ANN_PARTY = Party(kind="rider", id=ANN)


@pytest.fixture
async def log() -> list[Stored]:
    return await delivered()


def judged(
    log: Iterable[Stored], journals: Journals | None = None, standing: Standing | None = None
) -> dict[str, Verdict]:
    check = LogCheck(journals, standing)
    for stored in log:
        check.take(stored)
    return {verdict.invariant: verdict for verdict in check.verdicts()}


def broken(log: Iterable[Stored], standing: Standing | None = None) -> dict[str, str]:
    """Invariant → the first thing that was found."""
    return {i: v.findings[0].what for i, v in judged(log, None, standing).items() if v.state == "broken"}


def after(log: Sequence[Stored], name: str, forged: Stored) -> list[Stored]:
    """The forged record right behind the one of this type, every later version of the aggregate one further."""
    at = place_of(log, name) + 1
    version = envelope_of(log[at - 1]).version
    return sealed_again([*log[:at], with_version(forged, version + 1), *(later(r, forged.key) for r in log[at:])])


def later(stored: Stored, key: bytes | None) -> Stored:
    return with_version(stored, envelope_of(stored).version + 1) if stored.key == key else stored


def with_version(stored: Stored, version: int) -> Stored:
    headers = [(name, b"%d" % version if name == "version" else value) for name, value in stored.headers]
    return msgspec.structs.replace(stored, headers=headers)


def barrier(stored: Stored) -> Stored:
    value = catalog.write(
        ShardOpened(shard=stored.partition, producer_id=1, epoch=1, owner="x"), catalog.nothing_personal
    )
    headers = control_headers(catalog.BY_CLASS[ShardOpened].name, "/logistics/test", NOON, 1, "barrier")
    return msgspec.structs.replace(stored, key=b"shard-0", value=value, headers=headers)


def test_all_holds_on_a_log_as_owners_write_it(log):
    verdicts = judged(log)
    assert {i: v.state for i, v in verdicts.items() if i != "I3"} == dict.fromkeys(
        ("I1", "I2", "I7", "I8", "I10"), "holds"
    )
    assert (verdicts["I1"].looked_at, verdicts["I2"].looked_at, verdicts["I10"].looked_at) == (5, 12, len(log))


def test_it_counts_the_events_of_each_topic_and_type(log):
    check = LogCheck()
    for stored in log:
        check.take(stored)
    assert sum(check.by_topic.values()) == len(log)
    assert check.by_topic["logistics.directory"] == 2
    assert check.by_type["OfferSent"] == 2


def test_a_barrier_is_part_of_the_chain_and_of_nothing_else(log):
    first = next(n for n, stored in enumerate(log) if stored.topic == TASK_TOPIC.name)
    opened = sealed_again([*log[:first], barrier(log[first]), *log[first:]])
    assert broken(opened) == {}
    unhashed = [
        msgspec.structs.replace(s, headers=[h for h in s.headers if h[0] != "hash"]) if s.is_control else s
        for s in opened
    ]
    assert broken(unhashed) == {}
    assert "I10" in broken([*log[:first], barrier(log[first]), *log[first:]]), "nobody chained it"


def test_a_missing_version_is_named(log):
    at = place_of(log, "RiderApproved") - 1
    gap = broken(sealed_again([*log[:at], *log[at + 1 :]]))
    assert gap == {"I1": f"version 2 of {BOB} follows 0"}


def test_a_command_that_took_effect_twice_is_named(log):
    approved = log[place_of(log, "RiderApproved")]
    assert list(broken(after(log, "RiderApproved", approved))) == ["I2"]


def test_a_command_whose_end_is_missing_is_named(log):
    last = place_of(log, "TaskCompleted")
    assert last == len(log) - 1
    found = broken(log[:last])
    assert list(found) == ["I8"]
    assert "ends after" in found["I8"]


def test_a_command_whose_beginning_is_missing_is_named(log):
    at = place_of(log, "TaskAssigned")
    assert "I8" in broken(sealed_again([*log[:at], *log[at + 1 :]]))


def test_a_record_between_those_of_a_command_is_named(log):
    stranger = saying(log[place_of(log, "TaskTendered")], event_in(log, "TaskTendered"))
    found = broken(after(log, "TaskAssigned", stranger))
    assert "I8" in found
    assert "is not whole" in found["I8"]


def test_a_reader_that_has_stopped_within_a_command_is_named(log):
    within = log[place_of(log, "AssignmentAccepted")]
    place = within.topic, within.partition
    assert broken(log, {place: {within.offset - 1: ["task_board"]}}) == {}
    found = broken(log, {place: {within.offset: ["task_board"]}})
    assert list(found) == ["I8"]
    assert found["I8"].startswith("task_board has stopped within command")


def test_an_edited_record_breaks_the_chain_at_one_place(log):
    at = place_of(log, "TaskAssigned")
    edited = saying(log[at], msgspec.structs.replace(event_in(log, "TaskAssigned"), rider_id=ANN), command_size=2)
    headers = [(n, v) if n != "command_id" else (n, dict(log[at].headers)["command_id"]) for n, v in edited.headers]
    spoiled = [*log[:at], msgspec.structs.replace(edited, headers=headers), *log[at + 1 :]]
    verdict = judged(spoiled)["I10"]
    assert (verdict.state, verdict.broken) == ("broken", 1)
    assert verdict.findings[0].where == f"{log[at].topic}/{log[at].partition}@{log[at].offset}"


def test_a_removed_record_breaks_the_chain(log):
    at = place_of(log, "RiderApproved") - 1
    assert "I10" in broken([*log[:at], *log[at + 1 :]])


def test_a_record_that_nobody_can_read_is_named(log):
    stored = log[place_of(log, "RiderApproved")]
    garbage = msgspec.structs.replace(stored, value=b"garbage", headers=[("ce_type", b"x")])
    assert broken(sealed_again([*log, garbage])) == {"I10": "header ce_id is missing"}


def test_a_tender_with_two_winners_is_named(log):
    won = event_in(log, "TenderAwarded")
    forged = saying(log[place_of(log, "TenderAwarded")], msgspec.structs.replace(won, offer_id=TO_ANN, rider_id=ANN))
    found = broken(after(log, "OfferLost", forged))
    assert list(found) == ["I7"]
    assert f"is won by offer {TO_ANN}" in found["I7"]


def test_an_offer_of_which_nobody_was_told_what_became_is_named(log):
    at = place_of(log, "OfferLost")
    kept = {name: value.decode() for name, value in log[at].headers if name.startswith("command_")}
    viewed = OfferViewed(offer_id=TO_ANN, rider_id=ANN)
    found = broken(sealed_again([*log[:at], saying(log[at], viewed, **kept), *log[at + 1 :]]))
    assert list(found) == ["I7"]
    assert f"of offer {TO_ANN} nobody was told what became" in found["I7"]


def test_a_task_with_two_assignees_is_named(log):
    second = TaskAssigned(rider_id=ANN, round=1, tender_id=None, offer_id=None)  # type: ignore[arg-type]
    found = broken(after(log, "AssignmentAccepted", saying(log[place_of(log, "TaskAssigned")], second)))
    assert found == {"I7": f"task {TASK} goes to rider {ANN}, and rider {BOB} still has it"}


def test_a_parcel_given_by_who_has_it_not_is_named(log):
    at = place_of(log, "ParcelsDelivered")
    forged = msgspec.structs.replace(event_in(log, "ParcelsDelivered"), from_party=ANN_PARTY)
    kept = {name: value.decode() for name, value in log[at].headers if name.startswith("command_")}
    found = broken(sealed_again([*log[:at], saying(log[at], forged, **kept), *log[at + 1 :]]))
    assert list(found) == ["I7"]
    assert f"comes from rider {ANN}, and rider {BOB} has it" in found["I7"]


def test_signals_are_chained_and_no_more(log):
    corrected = GeofenceTransitionCorrected(supersedes="s", geofence_id="g", transition="entered", at=None)  # type: ignore[arg-type]
    signals = sealed_again(signal(corrected, str(n)) for n in range(3))
    check = judged([*log, *signals])
    assert {v.state for v in check.values()} == {"holds", "nothing to judge"}
    assert "I10" in broken([signals[0], signals[2]])


def signal(event: GeofenceTransitionCorrected, identity: str) -> Stored:
    headers = derived_headers(
        event_id=identity,
        type_name=catalog.BY_CLASS[type(event)].name,
        source="/logistics/test/stream/0",
        event_time=NOON,
        recorded_at=NOON,
        subject=BOB,
        tenant="acme",
        actor="telemetry",
        epoch=1,
    )
    return Stored(SIGNALS.name, 0, 0, BOB.encode(), catalog.write(event, catalog.nothing_personal), headers)


def test_of_many_findings_the_first_are_kept_and_all_are_counted(log):
    approved = log[place_of(log, "RiderApproved")]
    verdict = judged([msgspec.structs.replace(approved, offset=n) for n in range(KEPT_AT_MOST + 5)])["I2"]
    assert (len(verdict.findings), verdict.broken) == (KEPT_AT_MOST, KEPT_AT_MOST + 4)


# Journals


def journal(folder: Path, *told: object, end: str = "\n") -> Journals:
    file = folder / "client.jsonl"
    file.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in told) + end)
    return Journals([file, folder / "missing.jsonl"])


def acknowledged(log: Sequence[Stored], name: str, **changed: object) -> dict[str, object]:
    envelope = envelope_of(log[place_of(log, name)])
    return {
        "command_id": envelope.command_id,
        "aggregate_id": envelope.aggregate_id,
        "version": envelope.version,
        **changed,
    }


def test_what_was_acknowledged_is_found_by_the_version_after_its_command(log, tmp_path):
    told = journal(tmp_path, acknowledged(log, "TaskDispatchable"), acknowledged(log, "TaskCompleted"))
    verdict = judged(log, told)["I3"]
    assert (verdict.state, verdict.looked_at) == ("holds", 2)


def test_a_lost_acknowledged_command_is_named_by_its_line(log, tmp_path):
    lost = {"command_id": "c-9", "aggregate_id": "t-9", "version": 1}
    verdict = judged(log, journal(tmp_path, acknowledged(log, "TaskCompleted"), lost))["I3"]
    assert (verdict.state, verdict.broken, verdict.findings[0].where) == ("broken", 1, "client.jsonl:2")
    assert "c-9" in verdict.findings[0].what


def test_a_command_in_the_log_with_another_version_is_lost_too(log, tmp_path):
    assert judged(log, journal(tmp_path, acknowledged(log, "TaskCompleted", version=99)))["I3"].state == "broken"


def test_the_line_that_is_still_being_written_is_not_judged(log, tmp_path):
    told = journal(tmp_path, acknowledged(log, "TaskCompleted"), '{"command_id": "c', end="")
    assert judged(log, told)["I3"].looked_at == 1


def test_a_lost_line_whose_journal_is_gone_since_is_not_forgotten(log, tmp_path):
    told = journal(tmp_path, {"command_id": "c-9", "aggregate_id": "t-9", "version": 1})
    (tmp_path / "client.jsonl").unlink()
    verdict = judged(log, told)["I3"]
    assert (verdict.state, verdict.findings[0].where) == ("broken", "the journals")


def test_a_line_that_is_no_acknowledgement_is_told_with_its_place(tmp_path):
    with pytest.raises(NotJudged, match=r"client\.jsonl:1 is not an acknowledgement"):
        journal(tmp_path, '{"command": 1}')


@pytest.mark.parametrize(
    "torn", ['{"command_id": "c', '{"comm{"command_id":"b","aggregate_id":"x","version":2}', "\0\0\0"]
)
def test_a_torn_line_is_told_and_the_rest_is_judged(log, tmp_path, torn):
    lost = {"command_id": "c-9", "aggregate_id": "t-9", "version": 1}
    verdict = judged(log, journal(tmp_path, acknowledged(log, "TaskCompleted"), torn))["I3"]
    assert (verdict.state, verdict.looked_at) == ("holds", 1)
    assert verdict.reason == "torn, and not judged: client.jsonl:2"
    assert judged(log, journal(tmp_path, torn, lost))["I3"].state == "broken"


def test_of_many_torn_lines_the_first_are_told_and_the_others_counted(log, tmp_path):
    verdict = judged(log, journal(tmp_path, *["{"] * (TORN_TOLD + 2)))["I3"]
    assert verdict.state == "nothing to judge"
    assert verdict.reason is not None
    assert verdict.reason.endswith(f"client.jsonl:{TORN_TOLD} and 2 more")


def test_without_journals_there_is_nothing_to_judge(log):
    assert judged(log)["I3"].state == "nothing to judge"
    assert judged(log)["I3"].passes
