"""The feed loses nothing where the clocks of owners disagree."""

from datetime import timedelta

import pytest
from read_models import ReadModels
from reception import PARTITIONS, House

from schemas.ids import aggregate_id
from schemas.partition import partition_of


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_what_was_recorded_by_a_clock_that_is_behind_comes_all_the_same(
    library: tuple[House, ReadModels], limit: int
):
    house, models = library
    dora = house.caller("dispatcher", "dora")
    here = [n for n in range(99) if partition_of(aggregate_id("rider", "acme", "dora", f"r-{n}"), PARTITIONS) == 0]
    made = []
    for number, seconds in zip(here[:4], (0, -20, 5, -3), strict=True):
        house.now += timedelta(seconds=seconds)
        body = {"name": "Ann", "external_reference": f"r-{number}"}
        made.append((await dora.post("/v1/acme/riders", json=body)).json()["id"])
    await models.fold()
    seen: list[str] = []
    after = ""
    while True:
        page = (await house.caller("auditor").get(f"/v1/acme/events?limit={limit}{after}")).json()
        if not page["items"]:
            break
        seen += [item["subject"] for item in page["items"]]
        after = f"&after={page['next']}"
    assert [subject for subject in seen if subject in made] == made
