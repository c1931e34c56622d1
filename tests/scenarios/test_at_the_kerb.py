"""Curbside collection: the recipient comes for the goods, and shows by a PIN that they are theirs."""

import httpx
import pytest
from quarter import Json, Quarter, until

pytestmark = pytest.mark.timeout(240)

STOP = "stop-1"
CLEO = {"name": "Cleo Contact", "phone": "+358401234567"}


async def followed(quarter: Quarter, link: str) -> Json:
    """What Cleo's own link says, without any token."""
    answer = await quarter.http.get(link.replace("/track/", "/v1/tracking/"))
    assert answer.status_code == 200, answer.text
    told: Json = answer.json()
    return told


async def test_who_comes_for_the_goods_is_seen_coming_and_gets_them_for_the_right_pin(quarter: Quarter):
    stop = {"kind": "collection", "contact": CLEO, "goods_ready_at": quarter.in_(hours=1), "required_proof": [["pin"]]}
    order = {"kind": "collection", "outlet": "kamppi", "stops": [stop], "parcels": [{}, {}]}
    made = await quarter.shop.makes("tasks", order)
    task, pin, link = f"tasks/{made['id']}", made["pins"][STOP], made["tracking_links"][STOP]

    await quarter.later(minutes=40)
    ready_at = quarter.now().isoformat()
    await quarter.shop.does(f"{task}/update-goods-ready", {"stop_id": STOP, "ready_at": ready_at, "actual": True})
    coming = {"stop_id": STOP, "observed_at": quarter.now().isoformat(), "expected_at": quarter.in_(minutes=10)}
    await quarter.shop.does(f"{task}/report-customer-on-the-way", coming)
    [told] = (await quarter.dora.reads(task))["stops"]
    assert (told["goods_ready"], told["goods_ready_at"]) == (True, ready_at.replace("+00:00", "Z"))
    assert (told["status"], told["expected_at"]) == ("en_route", coming["expected_at"].replace("+00:00", "Z"))
    await follows(quarter, link, "en_route")

    await quarter.later(minutes=9)
    where = {"spot": "Bay 4", "vehicle": "a red Fiat"}
    await quarter.shop.does(f"{task}/report-customer-arrived", {"stop_id": STOP, "observed_at": quarter.ago(), **where})
    await who_may_read_where_she_waits(quarter, task)
    await follows(quarter, link, "arrived")

    await quarter.shop.has_a_wrong_pin(f"{task}/report-collected", handed_over(quarter, wrong(pin)))
    told = await quarter.dora.reads(task)
    assert told["state"] == "in_progress", "the goods are with her, and nobody has shown that they are hers"
    assert {parcel["party"]["kind"] for parcel in told["parcels"].values()} == {"recipient"}
    assert [(proof["kind"], proof["problem"]) for proof in told["proofs"]] == [("pin", "pin_differs")]
    assert (await followed(quarter, link))["phase"] == "arrived"
    done = await quarter.shop.does(f"{task}/report-collected", handed_over(quarter, pin))
    assert done["events"][-2:] == ["StopCompleted", "TaskCompleted"]

    told = await quarter.dora.reads(task)
    assert (told["state"], told["outcome"]) == ("completed", "delivered")
    assert [proof["status"] for proof in told["proofs"]] == ["failed", "accepted"]
    for parcel in told["parcels"].values():
        [hands] = parcel["custody"]
        assert (hands["from_party"]["id"], hands["to_party"]["kind"]) == ("kamppi", "recipient")
    assert pin not in str(told), "a PIN is for her alone"
    await follows(quarter, link, "completed")


async def who_may_read_where_she_waits(quarter: Quarter, task: str) -> None:
    """Spot and vehicle are hers: staff who hand the goods over see them, who audits or drives does not."""
    [told] = (await quarter.dora.reads(task))["stops"]
    assert (told["spot"], told["vehicle"], told["contact"]["name"]) == ("Bay 4", "a red Fiat", "Cleo Contact")
    [told] = (await quarter.aino.reads(task))["stops"]
    assert (told["spot"], told["vehicle"], told["contact"]["name"]) == ("hidden", "hidden", "hidden")
    ann = await quarter.registered("Ann")
    assert (await ann.asks(task)).status_code == 404
    facts = await quarter.aino.lists(f"{task}/history")
    assert facts[-1]["type"].endswith(".CustomerArrived")
    assert not any(word in str(facts) for word in ("Bay 4", "Fiat", "Cleo"))


async def follows(quarter: Quarter, link: str, phase: str) -> None:
    async def seen() -> str:
        told: str = (await followed(quarter, link))["phase"]
        return told

    await until(seen, lambda told: told == phase)
    page: httpx.Response = await quarter.http.get(link)
    assert page.status_code == 200
    assert "Fiat" not in page.text


def handed_over(quarter: Quarter, pin: str) -> Json:
    return {"stop_id": STOP, "observed_at": quarter.now().isoformat(), "proofs": [{"kind": "pin", "pin": pin}]}


def wrong(pin: str) -> str:
    return "0000" if pin != "0000" else "1111"
