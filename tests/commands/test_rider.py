from msgspec.structs import replace
from riding import (
    DROPOFF,
    OTHER,
    PICKUP,
    TASK,
    TENDER,
    approved,
    on_shift,
    registered,
    reserve,
    reserved,
    stops,
    underway,
    within,
)
from story import CENTRE, KAMPPI, NOON, NORTH, UP_NORTH, Story, minutes, nothing_yet

from commands.refusals import NotAnInterval, TooMany, UnknownDocument
from commands.rider_refusals import (
    CannotReserve,
    CannotStartShift,
    ItineraryChanged,
    NextStopIsLocked,
    NotReserved,
    NotThatItinerary,
    TooHeavyThatWay,
)
from commands.service_zones import UnknownServiceZone
from schemas.geo import Window
from schemas.load import Load, peak_load
from schemas.message import DocumentId, NotInThisState, PlanId, StopId, TenderId
from schemas.rider import (
    MAX_DEVICES,
    ActivateReservation,
    ApproveRider,
    BindDevice,
    ChangePlannedWindow,
    EndShift,
    ExpireReservation,
    InsertStops,
    ItineraryResequenced,
    LockNextStop,
    NewPlannedStop,
    RegisterRider,
    ReinstateRider,
    RejectRider,
    ReleaseReservation,
    RemoveStops,
    ResequenceItinerary,
    ReserveRider,
    SetRiderSkills,
    SetRiderZones,
    StartShift,
    StopRef,
    SubmitDocument,
    SuspendRider,
    UnbindDevice,
    UnlockNextStop,
    VerifyDocument,
)


def test_a_rider_is_invited_then_approved_and_may_be_suspended():
    registered().when(ApproveRider()).tells("RiderApproved")
    registered().when(RejectRider(reason_code="no_licence")).tells("RiderRejected")
    suspended = approved().when(SuspendRider(reason_code="complaint")).tells("RiderSuspended").happened()
    suspended.when(StartShift(ends_at=minutes(60))).refuses(CannotStartShift)
    suspended.when(ApproveRider()).refuses(NotInThisState)
    suspended.when(ReinstateRider()).tells("RiderReinstated")
    nothing_yet("rider").when(ApproveRider()).refuses(NotInThisState)


def test_a_document_that_expires_at_noon_shuts_the_rider_out_at_noon():
    story = (
        approved()
        .where(required_documents=["licence"])
        .when(SubmitDocument(document_id="d-1", kind="licence"))
        .and_then(VerifyDocument(document_id=DocumentId("d-1"), valid_from=minutes(-60), expires_at=NOON))
        .happened()
    )
    story.at(minutes(-1)).when(StartShift(ends_at=minutes(60))).tells("ShiftStarted")
    refused = story.at(NOON).when(StartShift(ends_at=minutes(60))).refuses(CannotStartShift)
    assert refused.values() == {"code": "document_expired", "document_kind": "licence"}


def test_a_required_document_must_be_there_and_verified():
    story = approved().where(required_documents=["insurance"])
    refused = story.when(StartShift(ends_at=minutes(60))).refuses(CannotStartShift)
    assert refused.values() == {"code": "document_missing", "document_kind": "insurance"}
    assert str(refused) == "the rider cannot start a shift: document_missing (insurance)"
    story.when(VerifyDocument(document_id=DocumentId("x"), valid_from=NOON, expires_at=minutes(1))).refuses(
        UnknownDocument
    )


def test_a_shift_ends_after_now():
    approved().when(StartShift(ends_at=NOON)).refuses(NotAnInterval)


def test_a_rider_on_shift_can_be_reserved_once_for_a_task():
    on_shift().when(reserve()).tells("RiderReserved")
    reserved().when(reserve()).then()


def test_a_rider_who_is_off_shift_or_full_cannot_be_reserved():
    assert approved().when(reserve()).refuses(CannotReserve).values()["code"] == "off_shift"
    heavy = on_shift().when(reserve(load=Load(weight_g=5_001))).refuses(CannotReserve)
    assert heavy.values() == {"code": "over_capacity", "measure": "weight_g", "load": 5_001, "limit": 5_000}
    busy = reserved().where(max_active_tasks=1).when(reserve(OTHER)).refuses(CannotReserve)
    assert busy.values()["code"] == "too_many_tasks"
    ended = (
        on_shift().at(minutes(480)).when(ReserveRider(task_id=TASK, round=1, hold_until=minutes(481), stops=stops()))
    )
    assert ended.refuses(CannotReserve).values()["code"] == "shift_ends_too_soon"


def test_the_load_is_judged_at_its_heaviest_with_what_was_aboard_before():
    large, small = Load(weight_g=3_000, volume_cm3=40, parcels=1), Load(weight_g=2_500, volume_cm3=50, parcels=3)
    first, second = ([stop.load for stop in stops(load)] for load in (large, small))
    both = Load(weight_g=5_500, volume_cm3=90, parcels=4)
    assert peak_load([*first, *second]) == Load(weight_g=3_000, volume_cm3=50, parcels=3)
    assert peak_load([first[0], second[0], first[1], second[1]]) == both
    assert peak_load([second[0], first[1], second[1]]) == both, "the first task's goods are aboard already"


def test_reserving_past_its_own_hold_is_a_quiet_nothing():
    on_shift().at(minutes(1)).when(reserve()).then()


def test_a_reservation_is_held_then_active_and_its_stops_are_ahead():
    story = reserved().when(ActivateReservation(task_id=TASK, round=1))
    story.tells("ReservationActivated", "ItineraryStopsInserted")
    done = story.happened()
    assert [stop.stop_id for stop in done.state.itinerary] == [PICKUP, DROPOFF]
    done.when(ActivateReservation(task_id=TASK, round=1)).then()


def test_a_hold_that_has_passed_is_not_activated_and_expires_only_when_due():
    expire = ExpireReservation(task_id=TASK, round=1)
    reserved().when(expire).then()
    reserved().at(minutes(1)).when(expire).tells("ReservationReleased")
    reserved().at(minutes(1)).when(ActivateReservation(task_id=TASK, round=1)).refuses(NotReserved)
    underway().at(minutes(1)).when(expire).then()


def test_a_passed_hold_no_longer_counts_against_the_rider():
    late = ReserveRider(task_id=OTHER, round=1, hold_until=minutes(3), stops=stops())
    reserved().where(max_active_tasks=1).at(minutes(2)).when(late).tells("RiderReserved")


def test_what_is_told_of_an_earlier_round_changes_nothing():
    story = underway()
    story.when(RemoveStops(task_id=TASK, round=0, reason_code="unassigned")).then()
    story.when(ReleaseReservation(task_id=TASK, round=0, reason_code="lost")).then()
    story.when(InsertStops(task_id=TASK, round=0, stops=stops())).then()


def test_done_stops_leave_the_itinerary_and_never_come_back():
    story = underway().when(RemoveStops(task_id=TASK, round=1, reason_code="done", stop_ids=[PICKUP]))
    story = story.tells("ItineraryStopsRemoved").happened()
    story.when(InsertStops(task_id=TASK, round=1, stops=stops())).then()
    story.when(RemoveStops(task_id=TASK, round=1, reason_code="done")).tells(
        "ItineraryStopsRemoved", "ReservationReleased"
    )


def test_the_way_back_goes_onto_the_itinerary():
    back = NewPlannedStop(stop_id=StopId("return-1"), kind="return", subject="s", location=KAMPPI)
    underway().when(InsertStops(task_id=TASK, round=1, stops=[back])).tells("ItineraryStopsInserted")


def test_a_shift_with_goods_under_way_ends_when_they_are_done():
    story = underway().when(EndShift()).tells("ShiftEnding").happened()
    assert story.when(reserve(OTHER)).refuses(CannotReserve).values()["code"] == "off_shift"
    story.when(RemoveStops(task_id=TASK, round=1, reason_code="done")).tells(
        "ItineraryStopsRemoved", "ReservationReleased", "ShiftEnded"
    )


def test_a_shift_without_goods_ends_at_once_and_lets_go_what_is_only_held():
    on_shift().when(EndShift()).tells("ShiftEnded")
    reserved().when(EndShift()).tells("ReservationReleased", "ShiftEnded")


def test_the_itinerary_is_resequenced_at_its_version_with_pickups_first():
    story = underway()
    there = [StopRef(task_id=TASK, stop_id=PICKUP), StopRef(task_id=TASK, stop_id=DROPOFF)]
    story.when(ResequenceItinerary(itinerary_version=0, order=there, reason_code="pressing")).refuses(ItineraryChanged)
    story.when(ResequenceItinerary(itinerary_version=1, order=there, reason_code="pressing")).then()
    story.when(ResequenceItinerary(itinerary_version=1, order=there[::-1], reason_code="pressing")).refuses(
        NotThatItinerary
    )
    story.when(ResequenceItinerary(itinerary_version=1, order=there[:1], reason_code="pressing")).refuses(
        NotThatItinerary
    )


def test_no_order_makes_the_rider_carry_more_than_they_can():
    """One after the other both fit; together they are too heavy."""
    story = underway(on_shift().when(reserve(load=Load(weight_g=3_000))).happened())
    story = story.when(reserve(OTHER, load=Load(weight_g=3_000))).happened()
    story = story.when(ActivateReservation(task_id=OTHER, round=1)).happened()
    here, there = ([StopRef(task_id=task, stop_id=stop) for stop in (PICKUP, DROPOFF)] for task in (TASK, OTHER))
    both_first = [here[0], there[0], here[1], there[1]]
    refused = story.when(ResequenceItinerary(itinerary_version=2, order=both_first, reason_code="pressing")).refuses(
        TooHeavyThatWay
    )
    assert refused.values() == {"measure": "weight_g", "load": 6_000, "limit": 5_000}
    story.when(ResequenceItinerary(itinerary_version=2, order=[*there, *here], reason_code="pressing")).tells(
        "ItineraryResequenced"
    )


def test_a_device_is_bound_from_a_time_until_a_time():
    story = approved().when(BindDevice(device_id="phone-1")).tells("DeviceBound").happened()
    story.when(BindDevice(device_id="phone-1")).then()
    story.when(BindDevice(device_id="phone-1", valid_from=minutes(-2_880))).tells("DeviceBound")
    story.when(UnbindDevice(device_id="phone-1")).refuses(NotAnInterval)  # type: ignore[arg-type]
    story.at(minutes(5)).when(UnbindDevice(device_id="phone-1")).tells("DeviceUnbound")  # type: ignore[arg-type]


def test_a_stop_that_is_rescheduled_has_its_new_window_ahead_and_in_what_is_only_held():
    window = Window(start=minutes(60), end=minutes(90))
    moved = ChangePlannedWindow(task_id=TASK, round=1, stop_id=DROPOFF, window=window)
    for story in (underway(), reserved()):
        done = story.when(moved).tells("PlannedWindowChanged").happened()
        done.when(moved).then()
        assert [stop.window for stop in done.state.reservations[TASK].stops] == [None, window]
    assert [stop.window for stop in underway().when(moved).happened().state.itinerary] == [None, window]
    ahead = reserved().when(moved).happened().when(ActivateReservation(task_id=TASK, round=1)).happened()
    assert [stop.window for stop in ahead.state.itinerary] == [None, window]
    underway().when(replace(moved, round=0)).then()
    underway().when(replace(moved, stop_id=StopId("stop-9"))).then()


def test_who_lacks_a_skill_is_not_reserved_and_may_learn_it():
    wanted = replace(reserve(), required_skills=["alcohol"])
    assert on_shift().when(wanted).refuses(CannotReserve).values()["code"] == "skill_missing"
    taught = (
        on_shift().when(SetRiderSkills(skills=["chilled", "alcohol", "chilled"])).tells("RiderSkillsSet").happened()
    )
    assert taught.state.skills == ("chilled", "alcohol")
    taught.when(SetRiderSkills(skills=["chilled", "alcohol"])).then()
    taught.when(wanted).tells("RiderReserved")


def test_who_has_the_goods_has_them_whatever_they_can():
    on_shift().when(replace(reserve(), required_skills=["alcohol"], has_goods=True)).tells("RiderReserved")


def test_who_has_zones_is_reserved_where_every_stop_lies_in_one_of_them():
    of_the_centre = on_shift().when(SetRiderZones(zones=[CENTRE, CENTRE])).tells("RiderZonesSet").happened()
    assert of_the_centre.state.zones == (CENTRE,)
    of_the_centre.when(SetRiderZones(zones=[CENTRE])).then()
    of_the_centre.when(reserve()).tells("RiderReserved")
    pickup, dropoff = stops()
    far = replace(reserve(), stops=[pickup, replace(dropoff, location=UP_NORTH)])
    assert of_the_centre.when(far).refuses(CannotReserve).values()["code"] == "outside_zones"
    of_the_centre.when(SetRiderZones(zones=[CENTRE, NORTH])).and_then(far).tells("RiderReserved")
    of_the_centre.when(SetRiderZones(zones=[])).and_then(far).tells("RiderReserved")


def test_a_zone_is_one_that_the_tenant_has():
    refused = on_shift().when(SetRiderZones(zones=[CENTRE, "nowhere"])).refuses(UnknownServiceZone)
    assert refused.values() == {"zone": "nowhere"}
    nothing_yet("rider").when(RegisterRider(name="Ann", zones=["nowhere"])).refuses(UnknownServiceZone)
    bob = nothing_yet("rider").when(RegisterRider(name="Bob", zones=[NORTH])).happened()
    assert bob.state.zones == (NORTH,)


def test_a_zone_that_has_ended_may_stay_among_those_of_a_rider():
    story = on_shift().when(SetRiderZones(zones=[CENTRE, NORTH])).happened()
    story.zones = {CENTRE: story.zones[CENTRE]}
    story.when(SetRiderZones(zones=[CENTRE, NORTH])).then()
    story.when(SetRiderZones(zones=[NORTH])).tells("RiderZonesSet")


def test_who_has_the_goods_has_them_wherever_they_go():
    elsewhere = on_shift().when(SetRiderZones(zones=[NORTH])).happened()
    elsewhere.when(replace(reserve(), has_goods=True)).tells("RiderReserved")


def test_the_load_on_the_way_and_what_is_only_promised_count_for_the_next_reservation():
    first = NewPlannedStop(stop_id=PICKUP, kind="pickup", subject="s", location=KAMPPI, load=Load(weight_g=3_000))
    more = ReserveRider(task_id=OTHER, round=1, tender_id=None, hold_until=minutes(1), stops=[first])
    promised = on_shift().when(more).happened().when(replace(more, task_id=TASK))
    assert promised.refuses(CannotReserve).values()["code"] == "over_capacity"
    ahead = on_shift().when(more).happened().when(ActivateReservation(task_id=OTHER, round=1)).happened()
    assert ahead.when(replace(more, task_id=TASK)).refuses(CannotReserve).values()["code"] == "over_capacity"


def test_an_active_reservation_is_not_released_but_ends_with_its_task():
    lost = ReleaseReservation(task_id=TASK, round=1, reason_code="lost", tender_id=TENDER)
    underway().when(lost).then()
    reserved().when(lost).tells("ReservationReleased")


def test_whose_hold_has_passed_releases_nothing_that_others_hold_since():
    """However late whoever follows the one reservation is: the task's round is the same."""
    by_plan = replace(reserve(), tender_id=None, offer_id=None, plan_id=PlanId("plan-2"))
    story = on_shift().when(by_plan).happened()
    said = ReleaseReservation(task_id=TASK, round=by_plan.round, reason_code="not_assigned")
    for late in (said, replace(said, plan_id=PlanId("plan-1")), replace(said, tender_id=TenderId("tender-1"))):
        story.when(late).then()
    story.when(replace(said, plan_id=PlanId("plan-2"))).tells("ReservationReleased")


def test_nothing_is_put_on_the_way_of_a_rider_who_is_only_reserved():
    back = NewPlannedStop(stop_id=StopId("return-1"), kind="return", subject="s", location=KAMPPI)
    reserved().when(InsertStops(task_id=TASK, round=1, stops=[back])).then()


def test_a_shift_that_is_ending_ends_with_the_last_task_and_not_before():
    story = underway().when(reserve(OTHER)).happened()
    story = story.when(ActivateReservation(task_id=OTHER, round=1)).happened().when(EndShift()).happened()
    through = RemoveStops(task_id=TASK, round=1, reason_code="done")
    story = story.when(through).tells("ItineraryStopsRemoved", "ReservationReleased").happened()
    story.when(replace(through, task_id=OTHER)).tells("ItineraryStopsRemoved", "ReservationReleased", "ShiftEnded")


def test_what_is_too_heavy_as_it_is_may_be_put_in_a_better_order():
    story = underway(on_shift().when(reserve(load=Load(weight_g=3_000))).happened())
    story = story.when(reserve(OTHER, load=Load(weight_g=3_000))).happened()
    story = story.when(ActivateReservation(task_id=OTHER, round=1)).happened()
    here, there = ([StopRef(task_id=task, stop_id=stop) for stop in (PICKUP, DROPOFF)] for task in (TASK, OTHER))
    heavy = story.take(
        [ItineraryResequenced(itinerary_version=3, order=[here[0], there[0], here[1], there[1]], reason_code="x")]
    )
    heavy.when(
        ResequenceItinerary(itinerary_version=3, order=[here[0], there[0], there[1], here[1]], reason_code="pressing")
    ).tells("ItineraryResequenced")


def test_a_rider_is_rejected_before_the_approval_and_reinstated_after_a_suspension():
    rejected = registered().when(RejectRider(reason_code="no_licence")).happened()
    rejected.when(RejectRider(reason_code="no_licence")).then()
    rejected.when(ReinstateRider()).refuses(NotInThisState)
    rejected.when(ApproveRider()).tells("RiderApproved")
    approved().when(RejectRider(reason_code="no_licence")).refuses(NotInThisState)
    approved().when(ReinstateRider()).then()
    registered().when(SuspendRider(reason_code="complaint")).refuses(NotInThisState)


def test_a_rider_has_so_many_devices_at_once():
    story = approved()
    for number in range(MAX_DEVICES):
        story = story.when(BindDevice(device_id=f"phone-{number}")).happened()
    story.when(BindDevice(device_id="phone-0")).then()
    story.when(BindDevice(device_id="one-more")).refuses(TooMany)


def test_what_cannot_be_done_before_the_shift_ends_is_not_reserved():
    """No stop begins before its window, and each takes its time."""
    story, at_one = on_shift(until=62), reserve(window=within(60, 90))

    def taking(seconds: int) -> ReserveRider:
        return replace(at_one, stops=[replace(stop, service_seconds=seconds) for stop in at_one.stops])

    story.when(taking(120)).tells("RiderReserved")
    assert story.when(taking(121)).refuses(CannotReserve).values()["code"] == "shift_ends_too_soon"


# The next stop is locked


def of_two_tasks() -> tuple[Story, list[StopRef], list[StopRef]]:
    """Both under way, the one after the other."""
    story = underway().when(reserve(OTHER)).happened()
    story = story.when(ActivateReservation(task_id=OTHER, round=1)).happened()
    here, there = ([StopRef(task_id=task, stop_id=stop) for stop in (PICKUP, DROPOFF)] for task in (TASK, OTHER))
    return story, here, there


def test_who_resequences_says_why():
    story, here, there = of_two_tasks()
    [event] = story.when(
        ResequenceItinerary(itinerary_version=2, order=[*there, *here], reason_code="pressing")
    ).decided()
    assert (event.order, event.reason_code) == ([*there, *here], "pressing")


def test_a_next_stop_that_is_locked_stays_the_next_until_the_lock_is_taken_off():
    story, here, there = of_two_tasks()
    story = story.when(LockNextStop(itinerary_version=2, reason_code="promised")).tells("NextStopLocked").happened()
    assert story.state.locked == here[0]
    others_first = ResequenceItinerary(itinerary_version=2, order=[*there, *here], reason_code="pressing")
    refused = story.when(others_first).refuses(NextStopIsLocked)
    assert refused.values() == {"task_id": TASK, "stop_id": PICKUP}
    behind_it = [here[0], *there, here[1]]
    story.when(replace(others_first, order=behind_it)).tells("ItineraryResequenced")
    story = story.when(UnlockNextStop(reason_code="pressing")).tells("NextStopUnlocked").happened()
    story.when(UnlockNextStop(reason_code="pressing")).then()
    story.when(others_first).tells("ItineraryResequenced")


def test_a_lock_is_gone_with_its_stop_and_no_sooner():
    story, here, _ = of_two_tasks()
    story = story.when(LockNextStop(itinerary_version=2, reason_code="promised")).happened()
    story = story.when(RemoveStops(task_id=OTHER, round=1, reason_code="x")).happened()
    assert story.state.locked == here[0]
    story = story.when(RemoveStops(task_id=TASK, round=1, reason_code="x", stop_ids=[PICKUP])).happened()
    assert story.state.locked is None


def test_a_lock_is_for_what_was_seen_to_come_next():
    lock = LockNextStop(itinerary_version=1, reason_code="promised")
    of_two_tasks()[0].when(lock).refuses(ItineraryChanged)
    underway().when(lock).and_then(lock).then()
    on_shift().when(LockNextStop(itinerary_version=0, reason_code="promised")).refuses(NotInThisState)
