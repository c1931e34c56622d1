"""What dispatch knows of riders, out of the read models: as new as they are, and no more than may be known."""

from datetime import timedelta

import pytest
from choosing import asked
from reception import KEK, House, key
from story import KAMPPI, minutes, source_of

from infra.known_riders import KnownRiders
from infra.lookups import Lookups
from projections.rider_roster import RIDER_ROSTER
from schemas.geo import Location
from schemas.keyring import Keyring
from schemas.load import Load
from schemas.message import OfferId, RiderId, StopId, SubjectId, TaskId, TenantSlug, TenderId
from schemas.rider import (
    ActivateReservation,
    ApproveRider,
    NewPlannedStop,
    RegisterRider,
    ReserveRider,
    SetRiderRating,
    StartShift,
)
from schemas.tender import ExpireOffer, OpenTender, PlannedOffer
from streams.dispatch.known import Ahead, Seen
from streams.dispatch.question import recorded
from streams.runner import AllKeys

HOME = Location(lat=60.161, lon=24.942)
ANN, BOB = RiderId("ann"), RiderId("bob")
MAP = "INSERT INTO live_map (tenant, rider_id, device_id, lat, lon, observed_at, received_at) VALUES (%s, %s, 'd', %s, %s, %s, %s)"


@pytest.fixture
async def known(library) -> "Known":
    house, models = library
    await house.settle()
    made = Known(house, models)
    for rider in (ANN, BOB):
        await house.process("rider", rider, RegisterRider(name=rider, vehicle="bicycle", skills=["chilled"]))
        await house.process("rider", rider, ApproveRider())
    await house.process("rider", ANN, StartShift(ends_at=minutes(480), location=KAMPPI))
    return made


class Known:
    def __init__(self, house: House, models) -> None:
        self.house, self.models = house, models
        self.riders = KnownRiders(house.keyring, house.door.partitions)

    async def seen(self, within: timedelta | None = None, riders: KnownRiders | None = None) -> dict[str, Seen]:
        await self.models.fold()
        async with self.house.door.pool.connection() as connection:
            told = await (riders or self.riders).seen(connection, "acme", self.house.now, within)
        assert [each.rider.rider_id for each in told] == sorted(each.rider.rider_id for each in told)
        return {each.rider.rider_id: each for each in told}

    async def has(self, task: str, *places: Location, active: bool = True) -> None:
        stops = [
            NewPlannedStop(
                stop_id=StopId(f"{task}-{number}"),
                kind="dropoff",
                subject=f"contact-{task}",
                location=place,
                service_seconds=60,
                load=Load(weight_g=-5),
            )
            for number, place in enumerate(places)
        ]
        reserve = ReserveRider(task_id=TaskId(task), round=1, hold_until=minutes(5), stops=stops)
        await self.house.process("rider", ANN, reserve)
        if active:
            await self.house.process("rider", ANN, ActivateReservation(task_id=TaskId(task), round=1))


async def test_a_rider_is_known_with_what_lies_ahead_and_where_that_is(known):
    await known.has("one", HOME, KAMPPI)
    await known.house.process("rider", ANN, SetRiderRating(rating=4.5))
    ann = (await known.seen())[ANN]
    assert [(each.task_id, each.stop_id, each.load.weight_g) for each in ann.rider.itinerary] == [
        ("one", "one-0", -5),
        ("one", "one-1", -5),
    ]
    assert ann.ahead == [HOME, KAMPPI]
    assert (ann.here, ann.rider.seen_at, ann.rider.placed) == (KAMPPI, None, True)
    assert (ann.rider.rating, ann.rider.vehicle, ann.rider.tasks) == (4.5, "bicycle", 1)


async def test_who_has_changed_is_read_again_and_is_as_somebody_sees_them_who_knew_nothing(known):
    await known.seen()
    await known.has("one", HOME)
    await known.house.process("rider", BOB, StartShift(ends_at=minutes(60)))
    fresh = KnownRiders(known.house.keyring, known.house.door.partitions)
    again = await known.seen()
    others = await known.seen(riders=fresh)
    assert [(s.rider, s.here, s.ahead) for s in again.values()] == [(s.rider, s.here, s.ahead) for s in others.values()]
    assert (again[BOB].here, again[BOB].rider.placed) == (None, False), "no fix, and no place where it began"


async def test_what_is_only_held_counts_until_the_hold_has_passed(known):
    await known.has("one", HOME, active=False)
    assert (await known.seen())[ANN].rider.tasks == 1
    known.house.now = minutes(5)
    assert (await known.seen())[ANN].rider.tasks == 0


async def test_who_has_not_changed_is_who_they_were_and_who_has_is_not(known):
    await known.has("one", HOME)
    await known.has("held", HOME, active=False)
    first = await known.seen()
    assert first[ANN].rider.tasks == 2
    known.house.now = minutes(4)
    assert (await known.seen())[ANN] is first[ANN]
    async with known.house.door.pool.connection() as connection:
        await known.models.make()
        await connection.execute(MAP, ("acme", ANN, HOME.lat, HOME.lon, minutes(4), minutes(4)))
    moved = await known.seen()
    assert (moved[ANN].here, moved[ANN].task_ids) == (HOME, {"one"})
    assert moved[BOB] is first[BOB]
    known.house.now = minutes(5)
    again = await known.seen()
    assert (again[ANN].rider.tasks, again[BOB] is first[BOB]) == (1, True)


async def test_a_record_is_the_same_whether_it_is_written_from_what_is_at_hand_or_not(known):
    await known.has("one", HOME, KAMPPI)
    seen = [*(await known.seen()).values()]
    stop = Ahead(task_id=TaskId("other"), stop_id=StopId("other-0"), kind="dropoff")
    record = await asked(seen, [(stop, HOME)])
    at_hand = [each.at_hand.encoded for each in seen]
    assert recorded(record, at_hand) == recorded(record, [None, *at_hand[1:]]) == recorded(record)


async def test_the_latest_fix_counts_unless_it_is_of_before_the_shift(known):
    async with known.house.door.pool.connection() as connection:
        await known.models.make()
        await connection.execute(MAP, ("acme", ANN, HOME.lat, HOME.lon, minutes(1), minutes(1)))
        await connection.execute(MAP, ("acme", BOB, HOME.lat, HOME.lon, minutes(-60), minutes(1)))
    await known.house.process("rider", BOB, StartShift(ends_at=minutes(60), location=KAMPPI))
    seen = await known.seen()
    assert (seen[ANN].here, seen[ANN].rider.seen_at) == (HOME, minutes(1))
    assert (seen[BOB].here, seen[BOB].rider.seen_at) == (KAMPPI, None)


async def test_a_place_whose_person_is_forgotten_is_not_known_any_more_though_it_was_read_before(known):
    await known.has("one", HOME)
    assert (await known.seen())[ANN].ahead == [HOME]
    await known.house.desk.forget(SubjectId("contact-one"))
    ann = (await known.seen())[ANN]
    assert (ann.ahead, ann.rider.itinerary) == ([], [])


def read_by(late: Keyring, known: Known) -> AllKeys:
    """By somebody who is behind, up to now."""

    async def all_keys() -> None:
        for partition, wrapped in known.house.keyring._wrapped.items():
            for subject, data_key in wrapped.items():
                late.apply(partition, subject, data_key)

    return all_keys


async def test_a_key_that_is_read_a_moment_after_what_it_seals_is_waited_for(known):
    await known.has("one", HOME)
    late = Keyring(KEK)
    ann = (await known.seen(riders=KnownRiders(late, known.house.door.partitions, read_by(late, known))))[ANN]
    assert (ann.ahead, ann.here) == ([HOME], KAMPPI)


async def test_where_a_task_goes_is_known_though_its_key_is_read_a_moment_later(known):
    stops = [
        {"kind": "pickup", "location": {"lat": HOME.lat, "lon": HOME.lon}},
        {"kind": "dropoff", "location": {"lat": KAMPPI.lat, "lon": KAMPPI.lon}, "contact": {"name": "Cleo"}},
    ]
    shop = known.house.caller()
    made = (
        await shop.post(
            "/v1/acme/tasks", json={"kind": "delivery", "outlet": "kamppi", "stops": stops}, headers=key("one")
        )
    ).json()
    await known.models.fold()
    late = Keyring(KEK)
    door = known.house.door
    lookups = Lookups(
        door.pool, known.house.policy, late, door.partitions, lambda: known.house.now, read_by(late, known)
    )
    task = await lookups.task(TenantSlug("acme"), made["id"], source_of(made["id"], version=1))
    assert [stop.location for stop in task.ahead] == [HOME, KAMPPI]


async def test_a_read_model_that_was_made_anew_is_read_again(known):
    await known.seen()
    spoilt = "UPDATE rider_roster SET skills = '[\"alcohol\"]' WHERE rider_id = %s"
    counted = "INSERT INTO projection_rebuilds VALUES ('rider_roster', %s, 1)"
    async with known.house.door.pool.connection() as connection:
        await connection.execute(spoilt, (ANN,))
        assert (await known.seen())[ANN].rider.skills == {"chilled"}, "nobody knows of it"
        await connection.execute(counted, (RIDER_ROSTER.version,))
    assert (await known.seen())[ANN].rider.skills == {"alcohol"}


async def test_offers_that_wait_and_such_as_came_to_nothing_lately_are_counted(known):
    def offered(number: int) -> OpenTender:
        offer = PlannedOffer(offer_id=OfferId(f"offer-{number}"), rider_id=ANN, expires_at=minutes(number))
        return OpenTender(
            task_id=TaskId(f"task-{number}"),
            round=1,
            mode="direct",
            candidates=[],
            excluded=[],
            offers=[offer],
            policy_version=1,
            input_hash="h",
            solver="s",
        )

    for number in (1, 2, 30):
        await known.house.process("tender", TenderId(f"tender-{number}"), offered(number))
    known.house.now = minutes(2)
    for number in (1, 2):
        expired = ExpireOffer(offer_id=OfferId(f"offer-{number}"))
        await known.house.process("tender", TenderId(f"tender-{number}"), expired)
    ann = (await known.seen(within=timedelta(minutes=60)))[ANN].rider
    assert (ann.offers, ann.declines) == (1, 2)
    known.house.now = minutes(61.5)
    assert (await known.seen(within=timedelta(minutes=60)))[ANN].rider.declines == 1
    assert (await known.seen())[ANN].rider.declines == 0
