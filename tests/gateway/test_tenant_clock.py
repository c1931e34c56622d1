"""A test tenant's clock, advanced through the door: what is due by it falls due."""

from datetime import timedelta

import pytest
from psycopg import AsyncConnection
from read_models import ReadModels
from reception import PARTITIONS, House, key

from projections.deadlines import due
from schemas import ids
from schemas.directory import MAX_CLOCK_STEP_S

PATH = f"/v1/acme/tenants/{ids.tenant_id('acme')}/advance-tenant-clock"


@pytest.mark.parametrize("seconds", [0, -1, MAX_CLOCK_STEP_S + 1])
async def test_it_takes_steps_forward_alone(house: House, seconds: int):
    answer = await house.caller().post(PATH, json={"seconds": seconds}, headers=key("k"))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-body")


async def test_it_is_read_with_the_tenant(house: House):
    shop = house.caller()
    assert (await shop.get("/v1/acme/tenant")).json()["clock_ahead_s"] == 0
    assert (await shop.post(PATH, json={"seconds": 90}, headers=key("k"))).status_code == 200
    assert (await shop.post(PATH, json={"seconds": 90}, headers=key("k"))).json()["repeated"], "a repeat is no step"
    assert (await shop.get("/v1/acme/tenant")).json()["clock_ahead_s"] == 90


async def test_what_is_due_by_the_tenants_clock_is_fired_and_nothing_of_others(
    library: tuple[House, ReadModels], postgres: str
):
    house, models = library
    await house.settle("other")
    incidents = {}
    for tenant in ("acme", "other"):
        body = {"kind": "accident", "description": "!"}
        made = await house.caller(tenant=tenant).post(f"/v1/{tenant}/incidents", json=body, headers=key("i"))
        incidents[tenant] = made.json()["id"]
    await models.fold()

    async def found(at: timedelta) -> list[str]:
        async with await AsyncConnection.connect(postgres) as connection:
            rows = await due(connection, range(PARTITIONS), house.now + at, 10, house.policy.clocks_ahead())
        return [row["aggregate_id"] for row in rows]

    assert await found(timedelta(minutes=9)) == []
    await house.caller().post(PATH, json={"seconds": 120}, headers=key("k"))
    assert await found(timedelta(minutes=9)) == [incidents["acme"]]
    assert sorted(await found(timedelta(minutes=11))) == sorted(incidents.values())
