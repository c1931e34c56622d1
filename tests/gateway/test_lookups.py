"""How new what is looked up has to be."""

import asyncio

import pytest
from reception import House

from infra.lookups import Lookups
from schemas.directory import TenantRules
from schemas.message import TenantSlug
from schemas.partition import partition_of
from schemas.rider import RegisterRider
from schemas.topics import FLEET
from streams.process import NotNow

ACME = TenantSlug("acme")


async def test_who_looks_up_as_of_now_waits_for_nothing_that_is_sent_afterwards(library):
    house, models = library
    lookups = looking(house)
    await house.process("rider", "rider-1", RegisterRider(name="Ann"))
    await models.fold()

    async def begins() -> int:
        lookups.as_of_now()
        lookups.saw(not_folded(house))
        return len(await lookups.riders(ACME, TenantRules()))

    assert await asyncio.create_task(begins()) == 1
    with pytest.raises(NotNow):
        await lookups.riders(ACME, TenantRules())


async def test_who_looks_up_as_of_now_waits_for_all_that_was_sent_before(library):
    house, models = library
    lookups = looking(house)
    await house.process("rider", "rider-1", RegisterRider(name="Ann"))
    await models.fold()
    lookups.saw(not_folded(house))

    async def begins() -> None:
        lookups.as_of_now()
        await lookups.riders(ACME, TenantRules())

    with pytest.raises(NotNow):
        await asyncio.create_task(begins())


def looking(house: House) -> Lookups:
    return Lookups(house.door.pool, house.policy, house.keyring, house.door.partitions, lambda: house.now)


def not_folded(house: House) -> dict[tuple[str, int], int]:
    return {(FLEET.name, partition_of("rider-1", house.door.partitions)): 10_000}
