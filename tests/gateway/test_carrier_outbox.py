"""What carriers are to be told is kept until their channels have taken it, and told once by its id."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from carrier_desk import WORD, CarrierDesk
from following import made
from msgspec.structs import replace
from psycopg.rows import dict_row
from reception import House, key

from infra.carrier_outbox import GIVEN_UP_AFTER, KEPT, CarrierOutbox
from schemas.message import CarrierId
from streams.carrier_telling import CarrierMessage
from streams.routing.wire import SecretMissing

LEVEL = {"code": "same_day", "title": "Same day", "commitment_seconds": 600, "silence_seconds": 1_800}


def secret_of(reference: str) -> str:
    if reference != "env:POSTI":
        raise SecretMissing(reference, "is not set")
    return WORD


class Telling:
    """A carrier that is told on a channel of its own."""

    def __init__(self, house: House, desk: CarrierDesk) -> None:
        self.house, self.desk = house, desk
        self.outbox = self.another()
        self.carrier = CarrierId("")

    def another(self) -> CarrierOutbox:
        """Of another process."""
        door = self.house.door
        return CarrierOutbox(
            door.pool, door.policy, self.house.keyring, secret_of, door.partitions, lambda: self.house.now
        )

    async def channel(self, url: str | None, secret: str = "env:POSTI") -> None:
        body = {"channel": None if url is None else {"url": url, "secret": secret}}
        path = f"/v1/acme/carriers/{self.carrier}/set-carrier-channel"
        told = await self.house.caller("operator", "olga").post(path, json=body, headers=key(f"{url}|{secret}"))
        assert told.status_code == 200, told.text

    def lost(self, number: int = 1, **more: Any) -> CarrierMessage:
        message = CarrierMessage(
            tenant="acme",
            message_id=f"m-{number}",
            type="logistics.offer.lost",
            carrier_id=self.carrier,
            happened_at=self.house.now,
            recorded_at=self.house.now,
            data={"offer_id": f"offer-{number}"},
        )
        return replace(message, **more)

    async def rows(self) -> list[dict[str, Any]]:
        async with self.house.door.pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(
                "SELECT message_id, outcome, attempts, next_at FROM carrier_outbox ORDER BY message_id"
            )
            return await cursor.fetchall()

    async def outcomes(self) -> list[str | None]:
        return [row["outcome"] for row in await self.rows()]


@pytest.fixture
async def telling(library: tuple[House, Any]) -> AsyncIterator[Telling]:
    house, _ = library
    await house.settle()
    desk = CarrierDesk()
    await desk.start()
    at = Telling(house, desk)
    at.carrier = CarrierId(await made(house, "carriers", {"name": "Posti", "terms": {"service_levels": [LEVEL]}}))
    await at.channel(desk.url)
    await at.outbox.make()
    yield at
    await at.outbox.close()
    await desk.stop()


async def test_a_message_is_told_once_however_often_it_is_kept(telling: Telling):
    for _ in range(2):
        await telling.outbox.tell(telling.lost())
        await telling.outbox.go_on()
    assert (telling.desk.came, await telling.outcomes()) == (1, ["taken"])
    [told] = telling.desk.told.values()
    assert (told["type"], told["data"]) == ("logistics.offer.lost", {"offer_id": "offer-1"})


async def test_two_processes_tell_each_message_once(telling: Telling):
    other = telling.another()
    for number in range(30):
        await telling.outbox.tell(telling.lost(number))
    while await telling.outbox.go_on() + await other.go_on():
        pass
    await other.close()
    assert (telling.desk.came, len(telling.desk.told)) == (30, 30)


async def test_what_is_not_taken_is_told_again_later_and_later(telling: Telling):
    telling.desk.status = 503
    await telling.outbox.tell(telling.lost())
    waits = []
    for _ in range(3):
        assert await telling.outbox.go_on() == 1
        [row] = await telling.rows()
        waits.append((row["next_at"] - telling.house.now).total_seconds())
        assert await telling.outbox.go_on() == 0, "not yet"
        telling.house.now = row["next_at"]
    assert (waits, row["outcome"]) == ([1, 2, 5], "not_taken")
    telling.desk.status = 200
    await telling.outbox.go_on()
    assert (await telling.outcomes(), telling.desk.came) == (["taken"], 4)


async def test_an_offer_that_is_over_is_not_told_any_more(telling: Telling):
    await telling.outbox.tell(telling.lost(until=telling.house.now + timedelta(minutes=1)))
    telling.house.now += timedelta(minutes=1)
    await telling.outbox.go_on()
    assert (await telling.outcomes(), telling.desk.came) == (["given_up"], 0)


async def test_after_a_day_nobody_tries_any_more(telling: Telling):
    telling.desk.status = 500
    await telling.outbox.tell(telling.lost())
    await telling.outbox.go_on()
    telling.house.now += GIVEN_UP_AFTER + timedelta(seconds=1)
    await telling.outbox.go_on()
    assert await telling.outcomes() == ["given_up"]


async def test_who_has_no_channel_is_told_nothing(telling: Telling):
    await telling.channel(None)
    await telling.outbox.tell(telling.lost())
    await telling.outbox.go_on()
    assert await telling.outcomes() == ["given_up"]


async def test_where_the_secret_is_missing_or_nobody_listens_it_waits(telling: Telling):
    await telling.channel(telling.desk.url, "env:OTHER")
    await telling.outbox.tell(telling.lost())
    await telling.outbox.go_on()
    await telling.channel("http://127.0.0.1:9/", "env:POSTI")
    await telling.outbox.tell(telling.lost(2))
    await telling.outbox.go_on()
    assert await telling.outcomes() == ["not_taken", "not_taken"]


async def test_what_the_read_models_do_not_know_yet_waits(telling: Telling):
    unknown = telling.lost(
        type="logistics.booking.confirmed", booking_id="b-1", data={"task_id": "t", "booking_id": "b-1"}
    )
    await telling.outbox.tell(unknown)
    await telling.outbox.go_on()
    assert await telling.outcomes() == ["not_taken"]


async def test_who_reads_the_log_anew_tells_nothing_of_long_ago(telling: Telling):
    await telling.outbox.tell(telling.lost(recorded_at=telling.house.now - GIVEN_UP_AFTER - timedelta(seconds=1)))
    assert await telling.rows() == []


async def test_what_was_told_is_let_go_after_a_week(telling: Telling):
    await telling.outbox.tell(telling.lost())
    await telling.outbox.go_on()
    telling.house.now += KEPT + timedelta(hours=1)
    await telling.outbox.go_on()
    assert await telling.rows() == []
