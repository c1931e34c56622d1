"""A tenant asks its own providers for ways: what they tell decides, and where they fall silent the next ones do."""

from collections.abc import AsyncIterator

import pytest
from provider_server import ProviderServer, Request, Said
from quarter import HOME, Json, Quarter, until

pytestmark = pytest.mark.timeout(240)


def far_away(request: Request) -> Said:
    """Valhalla, by which everything is 1,234 s away."""
    assert request.path == "/sources_to_targets", "only dispatch asks: nobody moves"
    rows = [
        [
            {"from_index": row, "to_index": column, "time": 1_234, "distance": 9.8}
            for column, _ in enumerate(request.body["targets"])
        ]
        for row, _ in enumerate(request.body["sources"])
    ]
    return 200, {"sources_to_targets": rows, "units": "kilometers"}


@pytest.fixture
async def valhalla() -> AsyncIterator[ProviderServer]:
    made = ProviderServer(far_away)
    await made.start()
    yield made
    await made.stop()
    assert not made.faults


async def nearest(quarter: Quarter) -> tuple[str, float]:
    """By whom, and how far the nearest rider is said to be from a new task, which is called off then."""
    stops = [{"kind": "pickup"}, {"kind": "dropoff", "location": HOME}]
    task = (await quarter.shop.makes("tasks", {"kind": "delivery", "outlet": "kamppi", "stops": stops}))["id"]

    async def decisions() -> list[Json]:
        return await quarter.dora.lists("dispatch-decisions", task_id=task)

    [decided] = await until(decisions, bool)
    await quarter.shop.does(f"tasks/{task}/cancel-task", {"reason_code": "changed_mind"})

    async def open_tenders() -> list[Json]:
        return [each for each in await quarter.dora.lists("tender-board", task_id=task) if each["state"] == "open"]

    await until(open_tenders, lambda left: not left)
    [candidate] = decided["candidates"]
    return candidate["source"], candidate["travel_s"]


async def test_the_own_provider_decides_and_behind_a_dead_one_the_next(quarter: Quarter, valhalla: ProviderServer):
    await quarter.at_work("Ann")
    assert (await nearest(quarter))[0] == "osrm"
    routing = {"providers": [{"provider": "valhalla", "url": valhalla.url}, {"provider": "osrm"}], "keeps_s": 0}
    config = (await quarter.root.makes("provider-configs", {"routing": routing}))["id"]
    assert await until(lambda: nearest(quarter), lambda told: told[0] != "osrm") == ("valhalla", 1_234)
    valhalla.answers = lambda request: (503, b"upstream")
    asked = len(valhalla.asked)
    assert [(await nearest(quarter))[0] for _ in range(5)] == ["osrm"] * 5
    assert len(valhalla.asked) - asked == 3, "its circuit is open then"
    await quarter.root.does(f"provider-configs/{config}/clear-providers")
    assert (await quarter.root.reads(f"provider-configs/{config}"))["cleared"] is True
