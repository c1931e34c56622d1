"""A stop that was given by its address: located where that is sure enough, else put to a person."""

from typing import Any

import pytest
from msgspec.structs import replace
from story import KAMPPI, NOON, Story, minutes, nothing_yet

from commands.geocoding import ACCURATE_M, AGAIN_AFTER_S, MOST_TIMES, LocationNotSought
from schemas.field_report import ReportArrived
from schemas.geo import Location, ObservedFix
from schemas.geocoding import (
    ENTRANCE_ELSEWHERE,
    ConfirmLocationSought,
    PlaceFound,
    RecordGeocoding,
    SeekLocations,
    StopLocationSought,
)
from schemas.ids import contact_subject
from schemas.message import Personal, RiderId, StopId
from schemas.stop import NewContact, NewStop
from schemas.task import AcceptAssignment, AssignTask, CancelTask, CreateTask, LocateStop, StopLocated

DOOR, SIDE = StopId("stop-2"), StopId("stop-3")
HOME, NEXT_DOOR = Location(lat=60.161, lon=24.942), Location(lat=60.1612, lon=24.9423)
LABEL = "Kasarmikatu 40, 00130 Helsinki"
AINO = contact_subject("acme", "CUST-17")
AT_DOOR = NewStop(
    kind="dropoff",
    address="Kasarmikatu 40",
    postal_code="FI-00130",
    contact=NewContact(name="Aino", reference="CUST-17"),
)
AT_SIDE = NewStop(kind="dropoff", address="Annankatu 12")


def order(*doors: NewStop) -> CreateTask:
    return CreateTask(kind="delivery", outlet="kamppi", stops=[NewStop(kind="pickup"), *(doors or [AT_DOOR])])


def created(*doors: NewStop) -> Story:
    return nothing_yet("task").when(order(*doors)).happened()


def found(confidence: float, place: Location = HOME) -> PlaceFound:
    return PlaceFound(location=place, label=LABEL, confidence=confidence)


def answer(
    *candidates: PlaceFound, stop: StopId = DOOR, number: int = 1, answered: bool = True, **more: Any
) -> RecordGeocoding:
    source = "osm" if candidates else None
    return RecordGeocoding(
        stop_id=stop, number=number, candidates=[*candidates], source=source, answered=answered, **more
    )


def silence(stop: StopId = DOOR, number: int = 1) -> RecordGeocoding:
    return answer(stop=stop, number=number, answered=False)


def test_an_address_without_a_place_is_sought_before_the_task_comes_to_dispatch():
    _, sought = nothing_yet("task").when(order()).tells("TaskCreated", "StopLocationSought").decided()
    assert isinstance(sought, StopLocationSought)
    assert (sought.stop_id, sought.number) == (DOOR, 1)
    assert sought.address == Personal(AINO, "Kasarmikatu 40, 00130 FI")
    assert "asarmik" not in sought.place_key


def test_what_has_a_place_or_no_address_is_not_sought():
    nothing_yet("task").when(order(replace(AT_DOOR, location=HOME))).tells("TaskCreated", "TaskDispatchable")
    nothing_yet("task").when(order(NewStop(kind="dropoff"))).tells("TaskCreated")


def test_one_address_has_one_key_however_it_is_written_and_another_another():
    def key(address: str) -> str:
        [*_, sought] = nothing_yet("task").when(order(replace(AT_DOOR, address=address))).decided()
        assert isinstance(sought, StopLocationSought)
        return sought.place_key

    assert key("Kasarmikatu 40") == key("KASARMIK. 40, 00130")
    assert key("Kasarmikatu 40") != key("Kasarmikatu 41")


def test_a_sure_answer_locates_the_stop_and_the_task_comes_to_dispatch():
    located, _ = created().when(answer(found(0.98))).tells("StopLocated", "TaskDispatchable").decided()
    assert located == StopLocated(
        stop_id=DOOR, location=Personal(AINO, HOME), confidence=0.98, source="osm", remember_as=None
    )


def test_how_sure_is_sure_enough_is_the_tenants_rule():
    created().where(locate_confidence=0.5).when(answer(found(0.5))).tells("StopLocated", "TaskDispatchable")
    created().where(locate_confidence=1.0).when(answer(found(0.98))).tells("StopNeedsLocation")
    created().when(answer(found(0.3), found(0.85))).tells("StopLocated", "TaskDispatchable")


@pytest.mark.parametrize(
    ("told", "reason_code"),
    [
        (answer(found(0.84), found(0.5, NEXT_DOOR)), "not_sure"),
        (answer(), "unknown_address"),
        (answer(forgotten=True), "person_forgotten"),
    ],
)
def test_an_answer_that_is_not_sure_is_put_to_a_person_with_its_candidates(told, reason_code):
    [needs] = created().when(told).tells("StopNeedsLocation").decided()
    assert (needs.reason_code, needs.again, needs.seek_at) == (reason_code, False, None)
    assert [each.location for each in needs.candidates] == [Personal(AINO, each.location) for each in told.candidates]
    assert {each.label for each in needs.candidates} <= {Personal(AINO, LABEL)}


def test_a_person_locates_it_and_that_is_remembered_for_the_address_if_they_dispatch():
    asked = created()
    [_, sought] = nothing_yet("task").when(order()).decided()
    story = asked.when(answer()).happened()
    locate = LocateStop(stop_id=DOOR, location=NEXT_DOOR, reason_code="asked_by_phone")
    located, _ = story.by("dora", "dispatcher").when(locate).tells("StopLocated", "TaskDispatchable").decided()
    assert (located.remember_as, located.reason_code, located.source) == (sought.place_key, "asked_by_phone", None)
    located, _ = story.by("shop", "integrator").when(locate).decided()
    assert located.remember_as is None


def test_a_place_that_has_no_address_is_not_remembered():
    story = created(NewStop(kind="dropoff")).by("dora", "dispatcher")
    located, _ = story.when(LocateStop(stop_id=DOOR, location=HOME)).tells("StopLocated", "TaskDispatchable").decided()
    assert located.remember_as is None


def test_an_answer_that_nobody_waits_for_changes_nothing():
    story = created()
    story.when(answer(found(0.98), number=2)).then()
    story.when(answer(found(0.98), stop=StopId("nowhere"))).then()
    story.when(answer()).happened()
    story.when(answer(found(0.98))).then()
    located = created().by("dora", "dispatcher").when(LocateStop(stop_id=DOOR, location=HOME)).happened()
    located.when(answer(found(0.98, NEXT_DOOR))).then()
    created().when(CancelTask(reason_code="x")).and_then(answer(found(0.98))).then()


def test_whoever_asks_is_told_whether_that_is_still_wanted():
    story = created()
    story.when(ConfirmLocationSought(stop_id=DOOR, number=1)).then()
    refused = story.when(ConfirmLocationSought(stop_id=DOOR, number=2)).refuses(LocationNotSought)
    assert refused.values() == {"stop_id": DOOR, "number": 2}
    story.when(answer()).and_then(ConfirmLocationSought(stop_id=DOOR, number=1)).refuses(LocationNotSought)


def test_where_nobody_answers_it_is_asked_again_after_longer_and_longer():
    story, now = created(), NOON
    for number, after_s in enumerate((*AGAIN_AFTER_S, AGAIN_AFTER_S[-1]), start=1):
        [needs] = story.at(now).when(silence(number=number)).tells("StopNeedsLocation").decided()
        assert (needs.reason_code, needs.again, (needs.seek_at - now).total_seconds()) == (
            "nobody_answers",
            True,
            after_s,
        )
        story.happened()
        story.when(SeekLocations()).then()
        now = needs.seek_at
        [sought] = story.at(now).when(SeekLocations()).tells("StopLocationSought").decided()
        assert sought.number == number + 1
        story.happened()
        story.when(SeekLocations()).then()
    story.when(answer(found(0.98), number=len(AGAIN_AFTER_S) + 2)).tells("StopLocated", "TaskDispatchable")


def test_so_often_it_is_asked_and_then_a_person_alone_can_tell(monkeypatch):
    monkeypatch.setattr("commands.geocoding.MOST_TIMES", 2)
    assert MOST_TIMES > 24
    story = created().when(silence()).happened().at(minutes(1)).when(SeekLocations()).happened()
    [needs] = story.when(silence(number=2)).decided()
    assert (needs.reason_code, needs.again, needs.seek_at) == ("nobody_answers", False, None)


def test_two_stops_are_asked_for_together_and_each_is_located_by_itself():
    story = created(AT_DOOR, AT_SIDE).when(silence()).happened().at(minutes(0.1)).when(silence(SIDE)).happened()
    assert story.state.seek_at == minutes(10 / 60)
    story.at(minutes(1)).when(SeekLocations()).tells("StopLocationSought", "StopLocationSought").happened()
    story.when(silence(number=2)).happened()
    story.when(answer(found(0.98, KAMPPI), stop=SIDE, number=2)).tells("StopLocated").happened()
    assert story.state.seek_at == minutes(1.5), "the other waits still"
    story.when(answer(found(0.98), number=2)).then()
    story.at(minutes(2)).when(SeekLocations()).tells("StopLocationSought").happened()
    story.when(answer(found(0.98), number=3)).tells("StopLocated", "TaskDispatchable")


def test_nobody_is_asked_again_for_a_stop_that_a_person_has_located_meanwhile():
    story = created().when(silence()).happened().by("dora", "dispatcher")
    [located, _] = story.when(LocateStop(stop_id=DOOR, location=HOME)).decided()
    assert located.seek_at is None
    story.happened().at(minutes(5)).when(SeekLocations()).then()


def test_nobody_is_asked_again_for_a_task_that_has_ended():
    story = created().when(silence()).and_then(CancelTask(reason_code="x")).happened()
    story.at(minutes(5)).when(SeekLocations()).then()


def arriving(override_reason: str | None, accuracy_m: float | None = 8.0) -> ReportArrived:
    fix = ObservedFix(lat=NEXT_DOOR.lat, lon=NEXT_DOOR.lon, accuracy_m=accuracy_m, observed_at=minutes(9))
    return ReportArrived(stop_id=DOOR, observed_at=minutes(9), fix=fix, override_reason=override_reason)


def under_way(door: NewStop = AT_DOOR) -> Story:
    story = created(door)
    if door.location is None:
        story.when(answer(found(0.98))).happened()
    story.by("dora", "dispatcher").when(AssignTask(rider_id=RiderId("ann"))).happened()
    story.by("ann", "rider").when(AcceptAssignment()).happened()
    return story.at(minutes(10))


def test_a_rider_who_says_that_the_entrance_is_elsewhere_is_remembered_for_the_address():
    [_, sought] = nothing_yet("task").when(order()).decided()
    [arrived] = under_way().when(arriving(ENTRANCE_ELSEWHERE)).tells("StopArrived").decided()
    assert (arrived.entrance, arrived.remember_as) == (Personal(AINO, NEXT_DOOR), sought.place_key)


@pytest.mark.parametrize(
    ("arrival", "door"),
    [
        (arriving("gps_off"), AT_DOOR),
        (arriving(None), AT_DOOR),
        (arriving(ENTRANCE_ELSEWHERE, ACCURATE_M + 1), AT_DOOR),
        (arriving(ENTRANCE_ELSEWHERE, None), AT_DOOR),
        (arriving(ENTRANCE_ELSEWHERE), replace(AT_DOOR, address=None, location=HOME)),
    ],
)
def test_any_other_arrival_tells_nothing_of_the_address(arrival, door):
    [arrived] = under_way(door).when(arrival).tells("StopArrived").decided()
    assert (arrived.entrance, arrived.remember_as) == (None, None)
