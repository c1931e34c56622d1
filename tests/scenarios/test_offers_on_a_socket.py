"""Two riders keep a connection open: an offer comes to both, one claims it there and wins, the other's is lost."""

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from quarter import HOME, OUTLET, Json, Person, Quarter
from websockets.asyncio.client import ClientConnection, connect

pytestmark = pytest.mark.timeout(240)
BOTH = {"dispatch": {"steps": [{"mode": "broadcast", "size": 2, "seconds": 120}]}}


def dial(quarter: Quarter, rider: Person, after: str = "") -> Any:
    url = f"{quarter.system.url.replace('http', 'ws', 1)}{quarter.path(f'riders/{rider.id}/socket')}"
    headers = {"authorization": f"Bearer {quarter.system.tokens.issue(quarter.tenant, 'rider', rider.id, 3_600)}"}
    return connect(f"{url}?after={after}" if after else url, additional_headers=headers, proxy=None)


async def told(socket: ClientConnection) -> Json:
    """The next that is no heartbeat."""
    async with asyncio.timeout(30):
        while "heartbeat" in (said := json.loads(await socket.recv())):
            pass
    found: Json = said
    return found


async def test_an_offer_arrives_is_claimed_on_the_socket_and_won_and_anothers_is_lost(quarter: Quarter):
    await quarter.root.does(f"{quarter.itself}/change-tenant-rules", {"rules": BOTH})
    ann, bob = await quarter.at_work("Ann"), await quarter.at_work("Bob")
    await quarter.dora.reads(f"riders/{bob.id}")
    async with dial(quarter, ann) as hers, dial(quarter, bob) as his:
        beginning = await told(hers)
        assert (beginning["offers"], (await told(his))["offers"]) == ([], [])
        stops = [{"kind": "pickup"}, {"kind": "dropoff", "location": HOME, "contact": {"name": "Cleo"}}]
        body = {"kind": "delivery", "outlet": "kamppi", "stops": stops, "parcels": [{"weight_g": 800}]}
        task = (await quarter.shop.makes("tasks", body))["id"]
        sent, lost_later = await told(hers), await told(his)
        offer = sent["offer"]
        assert (sent["change"], lost_later["change"], offer["task"]["task_id"]) == ("sent", "sent", task)
        assert [stop["location"] for stop in offer["task"]["stops"]] == [OUTLET, HOME]
        assert offer["task"]["load"]["weight_g"] == 800
        assert (offer["placed"], offer["bids"]) == ([], None), "they have nothing else to do"
        assert quarter.now() < datetime.fromisoformat(offer["ends_at"]) < quarter.now() + timedelta(hours=2)
        claim = {"seq": 1, "answer": "claim", "tender_id": offer["tender_id"], "offer_id": offer["offer_id"]}
        await hers.send(json.dumps(claim))
        heard = [await told(hers) for _ in range(3)]
        [answer] = [each for each in heard if "seq" in each]
        assert (answer["seq"], answer["events"]) == (1, ["OfferClaimed", "ReservationRequested"])
        assert [each["change"] for each in heard if "change" in each] == ["claimed", "won"]
        lost = await told(his)
        assert (lost["change"], lost["offer_id"]) == ("lost", lost_later["offer_id"])
    await quarter.reserved(ann, task)
    async with dial(quarter, ann, beginning["position"]) as hers:
        again = [await told(hers) for _ in range(4)]
        assert [each.get("change") for each in again] == ["sent", "claimed", "won", None]
        assert again[3]["offers"] == []
    async with dial(quarter, bob, lost["position"]) as his:
        assert (await told(his))["offers"] == [], "of what he had been told nothing is told twice"
