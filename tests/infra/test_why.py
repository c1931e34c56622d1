"""`logistics why`: a dispatch in words, from the rows of the read models."""

import asyncio
import json
from pathlib import Path
from typing import Any, get_args

import pytest
from played import Played, command, execute
from story import minutes

from gateway.why.asked import ROUNDS_READ, NoSuchTask, asked
from gateway.why.candidates import EXCLUSIONS
from gateway.why.in_window import LEFT_BECAUSE
from gateway.why.told import OFFER_ENDS, Left, Turns, told, turns_of
from infra.artefacts import artefacts_of
from infra.settings import Settings
from infra.why import made_again
from projections.tender_board import OFFER_STATES
from schemas.tender import Exclusion, LeftBecause

type Row = dict[str, Any]


def task(**progress: object) -> Row:
    known = {"rider_id": None, "ended": None, "reason_code": None, "round": 1, **progress}
    return {"task_id": "t-1", "external_reference": None, "state": known.pop("state", "offering"), "progress": known}


def candidate(rider: str, rank: int, seconds: float, source: str = "osrm") -> Row:
    return {"rider_id": rider, "rank": rank, "travel_s": seconds, "distance_m": 10 * seconds, "source": source}


def decision(*candidates: Row, excluded: tuple[tuple[str, str], ...] = (), number: int = 1) -> Row:
    return {
        "round": number,
        "decided_at": "2026-03-01T12:00:00Z",
        "candidates": list(candidates),
        "excluded": [{"rider_id": rider, "code": code} for rider, code in excluded],
    }


def tender(state: str, *offers: tuple[str, str, str | None], winner: str | None = None, number: int = 1) -> Row:
    sent = {
        f"to-{rider}": {
            "rider_id": rider,
            "state": end,
            "reason_code": reason,
            "expires_at": "2026-03-01T12:01:00Z",
        }
        for rider, end, reason in offers
    }
    return {"round": number, "state": state, "offers": sent, "winner": winner}


def test_the_nearest_are_named_with_their_ways_and_the_others_counted():
    near = [candidate(name, rank, 60.4 * rank) for rank, name in enumerate(("ann", "bob", "cyd", "dee", "eve"), 1)]
    sentences = told(task(), [decision(*near)], [])
    assert sentences == [
        "Task t-1 is offering; nobody has it.",
        "Round 1, 12:00:00 UTC: 5 of 5 riders could take it. The nearest: rider ann, 60 s away (604 m); "
        "rider bob, 121 s away (1208 m); rider cyd, 181 s away (1812 m); and 2 more.",
    ]


def test_with_which_tasks_it_was_offered_together_is_told_in_the_round_that_is_its_own():
    others = {"task_id": "t-0", "bundle": [{"task_id": "t-1", "round": 2}, {"task_id": "t-2", "round": 5}]}
    offered = tender("withdrawn", ("ann", "withdrawn", None), number=4) | others
    sentences = told(task(round=3), [decision(candidate("ann", 1, 9), number=4) | others], [offered])
    assert sentences[1].startswith("Round 2, 12:00:00 UTC, together with tasks t-0, t-2: 1 of 1 riders could take it.")
    assert sentences[2:] == [
        "Rider ann was asked until 12:01:00 UTC and had it withdrawn.",
        "Nobody won: the tender was withdrawn, one of its tasks was settled otherwise.",
    ]
    alone = {"task_id": "t-1", "bundle": [{"task_id": "t-2", "round": 5}]}
    assert "UTC, together with task t-2: " in told(task(), [decision(candidate("ann", 1, 9)) | alone], [])[1]


def test_a_way_that_no_router_knew_is_said_to_be_a_guess():
    assert "as the crow flies" in told(task(), [decision(candidate("ann", 1, 60, "great_circle"))], [])[1]


def test_who_could_not_carry_it_is_told_of_by_what_was_too_much():
    shut_out = decision(excluded=(("a", "over_capacity"), ("b", "over_capacity"), ("c", "over_capacity")))
    for each, measure in zip(shut_out["excluded"], ("weight_g", "parcels", "weight_g"), strict=True):
        each["overload"] = {"measure": measure, "load": 2, "limit": 1}
    sentences = told(task(), [shut_out], [tender("exhausted")])
    assert sentences[2] == (
        "Not considered: 2 over_capacity (the load is too heavy for them), "
        "1 over_capacity (the load is too many parcels for them)."
    )


@pytest.mark.parametrize(
    ("status", "others", "says"),
    [
        ("open", 2, "It waits with 2 other tasks in window w-1, which is decided on at 12:05:00 UTC."),
        ("open", 1, "It waits with 1 other task in window w-1, which is decided on at 12:05:00 UTC."),
        ("closed", 0, "It waits alone in window w-1, which is being decided on."),
    ],
)
def test_what_waits_in_a_window_says_until_when(status: str, others: int, says: str):
    tasks = [{"task_id": each} for each in ("t-1", *(f"o-{number}" for number in range(others)))]
    window = {"window_id": "w-1", "status": status, "closes_at": minutes(5), "tasks": tasks}
    assert told(task(state="dispatchable"), [], [], window=window)[-1] == says
    assert says not in told(task(state="accepted", rider_id="ann"), [], [], window=window)


def test_those_who_were_shut_out_are_counted_by_rule():
    shut_out = (("a", "off_shift"), ("b", "stale_fix"), ("c", "off_shift"))
    sentences = told(task(), [decision(excluded=shut_out)], [tender("exhausted")])
    assert sentences[1:] == [
        "Round 1, 12:00:00 UTC: none of the 3 riders could take it.",
        "Not considered: 2 off_shift (not at work), 1 stale_fix (not heard of for too long).",
        "Nobody was asked, so nobody won.",
    ]


def test_of_very_many_who_were_shut_out_the_rest_is_counted():
    shut_out = decision(excluded=(("a", "off_shift"), ("b", "stale_fix"))) | {"more_excluded": {"off_shift": 7_000}}
    sentences = told(task(), [shut_out], [tender("exhausted")])
    assert sentences[1].endswith("none of the 7002 riders could take it.")
    assert sentences[2].startswith("Not considered: 7001 off_shift (not at work), 1 stale_fix")


def test_without_riders_there_was_nobody_to_ask():
    assert told(task(), [decision()], [tender("exhausted")])[1].endswith("there was no rider to ask.")


def test_each_who_was_asked_is_told_with_the_answer():
    offers = (("ann", "lost", None), ("bob", "accepted", None), ("cyd", "declined", "too_far"))
    sentences = told(
        task(state="accepted", rider_id="bob"),
        [decision(candidate("bob", 1, 9))],
        [tender("awarded", *offers, winner="bob")],
    )
    assert sentences[0] == "Task t-1 is accepted; rider bob has it."
    assert sentences[2:] == [
        "Rider ann was asked until 12:01:00 UTC and was too late.",
        "Rider bob was asked until 12:01:00 UTC and got it.",
        "Rider cyd was asked until 12:01:00 UTC and declined (too far).",
        "Rider bob won.",
    ]


@pytest.mark.parametrize(
    ("state", "ends"),
    [
        ("exhausted", "Nobody won: nobody who was asked took it."),
        ("withdrawn", "Nobody won: the tender was withdrawn, the task was settled otherwise."),
        ("open", "Nobody has won yet."),
    ],
)
def test_where_nobody_won_it_says_why(state: str, ends: str):
    assert told(task(), [decision()], [tender(state, ("ann", "sent", None))])[-1] == ends


def test_rounds_are_told_in_their_order():
    sentences = told(task(), [decision(number=2), decision(number=1)], [tender("exhausted", number=2)])
    assert [s.split(",")[0] for s in sentences if s.startswith("Round")] == ["Round 1", "Round 2"]


def test_a_task_that_its_winner_lost_again_is_told_with_the_reason():
    rounds = [decision(candidate("ann", 1, 9)), decision(number=2)]
    tenders = [tender("awarded", ("ann", "accepted", None), winner="ann"), tender("exhausted", number=2)]
    again = task(state="dispatchable", round=2)
    assert "The task came back to dispatch." in told(again, rounds, tenders)
    sentences = told(again, rounds, tenders, None, Turns({1: Left("reservation_lost")}))
    assert sentences.index("The task came back to dispatch, because of reservation lost.") == 4
    assert sentences[5].startswith("Round 2")


def test_who_has_it_without_having_won_has_it_from_a_dispatcher():
    nobody = [tender("withdrawn", ("ann", "withdrawn", None))]
    assert told(task(rider_id="bob"), [decision()], nobody)[-1] == "Rider bob has it by a dispatcher's order."
    assert told(task(rider_id="bob"), [], [])[-1] == "Rider bob has it by a dispatcher's order."


def test_why_a_dispatcher_has_passed_over_dispatch_is_told():
    ordered = {"type": "TaskAssigned", "body": {"rider_id": "bob", "reason_code": "regular_customer"}}
    turns = turns_of([ordered])
    said = told(task(rider_id="bob"), [decision(candidate("ann", 1, 9))], [], {}, turns)
    assert said[-1] == "Rider bob has it by a dispatcher's order, because of regular customer."
    won = {"type": "TaskAssigned", "body": {"rider_id": "ann", "reason_code": None}}
    assert turns_of([ordered, won]).ordered_for is None


def test_who_took_it_over_from_another_rider_has_it_from_them():
    assigned = {"type": "TaskAssigned", "body": {"rider_id": "ann", "handed_over": False}}
    met = {"type": "TaskAssigned", "body": {"rider_id": "bob", "handed_over": True}}
    given = {"type": "TaskUnassigned", "body": {"rider_id": "ann", "round": 1, "reason_code": "handed_over"}}
    turns = turns_of([assigned, given, met])
    assert turns == Turns({}, "ann")
    won = [tender("awarded", ("ann", "accepted", None), winner="ann")]
    sentences = told(task(state="in_progress", rider_id="bob"), [decision(candidate("ann", 1, 9))], won, {}, turns)
    assert sentences[-2:] == ["Rider ann won.", "Rider bob took it over from rider ann."]
    gone = {"type": "TaskUnassigned", "body": {"rider_id": "bob", "round": 2, "reason_code": "silent"}}
    assert turns_of([assigned, given, met, gone]) == Turns({2: Left("silent", rider_id="bob")})


def test_whose_order_is_undone_is_named():
    turns = Turns({1: Left("outside_zones", rider_id="ann")})
    sentences = told(task(state="dispatchable", round=2), [decision(), decision(number=2)], [], {}, turns)
    assert "The task came back to dispatch from rider ann, because of outside zones." in sentences


def test_a_simulated_courier_takes_no_orders():
    simulated = task(state="completed", ended="completed", rider_id="s-1") | {"simulation": {"outcome": "delivered"}}
    assert told(simulated, [], [], {"s-1": "simulated-1"})[-1] == "Rider simulated-1 had it as a simulated courier."


def test_goods_that_wait_for_another_attempt_are_not_back_at_dispatch():
    won = [tender("awarded", ("ann", "accepted", None), winner="ann")]
    turns = Turns({1: Left("customer_unavailable", waits=True)})
    sentences = told(task(state="created"), [decision(candidate("ann", 1, 9))], won, {}, turns)
    assert sentences[-1] == "Its rider left it, and its goods waited for another attempt: customer unavailable."


def test_what_keeps_a_task_from_dispatch_is_told():
    waits = {"other": {"kind": "task", "status": "open"}, "past": {"kind": "task", "status": "met"}}
    waits["wave"] = {"kind": "pick_wave", "status": "failed", "reason_code": "pick_wave_cancelled"}
    kept = task(state="created", held="stock_count", dispatch_at="2026-03-01T13:00:00Z", dependencies=waits)
    assert told(kept, [], [])[1:-1] == [
        "It is held, because of stock count.",
        "It waits for task other.",
        "It waits for pick wave wave in vain: pick wave cancelled.",
        "It comes to dispatch at 13:00:00 UTC.",
    ]


def test_a_task_of_which_nobody_knows_where_it_goes_says_so():
    assert "Nobody has said yet where door is." in told(task(state="created", unlocated=["door"]), [], [])


def test_a_carrier_that_has_it_is_named():
    booked = task(state="accepted", carrier={"carrier_id": "c-1", "booking_id": "b-1"})
    sentences = told(booked, [], [], {"c-1": "Acme Express"})
    assert sentences[0] == "Task t-1 is accepted; carrier Acme Express has it."
    assert sentences[-1] == "Carrier Acme Express has it by booking b-1."


def test_a_task_that_dispatch_has_not_seen_says_so():
    assert told(task(state="created"), [], [])[-1] == "Dispatch has not decided about it."


def test_an_ended_task_is_told_in_the_past_with_its_reason():
    ended = task(state="cancelled", ended="cancelled", reason_code="changed_mind", rider_id="ann")
    assert told(ended, [], [])[0] == "Task t-1 is cancelled, because of changed mind; rider ann had it."


def scored(rider: str, rank: int, score: float, **parts: float) -> Row:
    known = {"travel_s": 60, "detour_s": 0, "lateness_s": 0, "tasks": 0, "cost": 0, "rating_below_5": 0} | parts
    return candidate(rider, rank, known["travel_s"]) | {"score": score, "parts": known}


WEIGHTS = {"travel": 1, "detour": 1, "lateness": 2, "balance": 0, "cost": 0, "rating": 0}


def test_the_best_are_told_with_what_their_scores_are_made_of_and_what_tips_it():
    two = [scored("ann", 1, 150, detour_s=90), scored("bob", 2, 240, travel_s=30, detour_s=150, lateness_s=30)]
    sentences = told(task(), [decision(*two) | {"weights": WEIGHTS}], [])
    assert sentences[1:] == [
        "Round 1, 12:00:00 UTC: 2 of 2 riders could take it. The best: rider ann, 60 s away (600 m), 90 s of detour: "
        "score 150; rider bob, 30 s away (300 m), 150 s of detour, 30 s late: score 240.",
        "Rider ann comes before rider bob by 90: 60 for less detour, 60 for less lateness, though 30 for more travel "
        "against it.",
    ]


def test_where_scores_are_the_same_the_id_decides():
    two = [scored("ann", 1, 60), scored("bob", 2, 60)]
    sentences = told(task(), [decision(*two) | {"weights": WEIGHTS}], [])
    assert sentences[2] == "Rider ann comes before rider bob by their id alone: their scores are the same."


def test_those_who_were_not_looked_at_closely_are_counted_apart():
    some = decision(scored("ann", 1, 60), excluded=(("z", "off_shift"),)) | {"others": {"rider_ids": ["x", "y"]}}
    said = told(task(), [some], [])[1]
    assert "1 of 4 riders could take it." in said
    assert said.endswith("score 60. 2 more seem farther off, and were not looked at closely.")


def in_window(**outcome: object) -> Row:
    window = {"window_id": "w-1", "tasks": 12, "riders": 5, "given_to": None, "left_because": None}
    return {"in_window": window | outcome}


def test_of_a_window_it_is_told_whom_it_gave_the_task_to_and_that_by_itself_it_would_go_to_another():
    two = decision(scored("ann", 1, 60), scored("bob", 2, 90))
    said = told(task(), [two | in_window(given_to="ann")], [])
    assert "Round 1, 12:00:00 UTC, in a window of 12 tasks and 5 riders: 2 of 2 riders could take it." in said[1]
    assert "The window gave it to rider ann." in said
    other = told(task(), [two | in_window(given_to="bob")], [])
    assert (
        "The window gave it to rider bob, although by itself it would go to rider ann: so all that it gave adds up to less."
        in other
    )


def test_of_a_window_the_riders_who_come_behind_could_take_it_too_and_only_the_others_were_not_looked_at():
    behind = {"others": {"rider_ids": ["x", "y"], "scores": [9, 9], "more": 3}}
    said = told(task(), [decision(scored("ann", 1, 60)) | behind | in_window(given_to="ann")], [])[1]
    assert "3 of 6 riders could take it." in said
    assert said.endswith("and 2 more. 3 more seem farther off, and were not looked at closely.")


def test_there_are_words_for_every_reason_for_which_a_window_leaves_a_task():
    assert LEFT_BECAUSE.keys() == set(get_args(LeftBecause))
    said = told(task(), [decision(scored("ann", 1, 60)) | in_window(left_because="dearer_than_waiting")], [])
    assert (
        "The window left it, because of dearer_than_waiting: somebody could take it, but for more than it counts to let it "
        "wait." in said
    )


async def test_what_could_not_be_decided_on_cannot_be_decided_again(system: Played):
    found = await asked(system.settings.postgres.get_secret_value(), system.tasks["won"], None)
    found.decisions[0]["input_hash"] = ""
    [never] = await made_again(artefacts_of(system.settings), found)
    assert (never.same, never.told) == (None, "Round 1 cannot be decided again: deciding had failed.")


def test_riders_are_called_by_a_name_where_one_is_given():
    sentences = told(
        task(), [decision(candidate("r-1", 1, 60), candidate("r-2", 2, 90))], [], {"r-1": "ann", "r-2": None}
    )
    assert "rider ann, 60 s" in sentences[1]
    assert "rider r-2, 90 s" in sentences[1]


def test_there_are_words_for_every_exclusion_and_every_end_of_an_offer():
    assert EXCLUSIONS.keys() == set(get_args(Exclusion))
    assert OFFER_ENDS.keys() == {"sent", *OFFER_STATES.values()}


async def test_from_the_read_models_of_a_system(system: Played):
    found = await asked(system.settings.postgres.get_secret_value(), system.tasks["won"], None)
    assert (found.tenant, found.state, found.rider_id) == (system.world.tenant, "completed", system.riders["bob"])
    assert "Rider bob won." in found.told
    assert any(
        sentence.startswith("Rider ann was asked until") and "was too late" in sentence for sentence in found.told
    )
    assert "Not considered: 1 off_shift (not at work)." in found.told


async def test_a_rejected_claim_and_a_decline_are_told_with_their_reasons(system: Played):
    dsn = system.settings.postgres.get_secret_value()
    refused = (await asked(dsn, system.tasks["refused"], system.world.tenant)).told
    assert any("rider bob" in s.lower() and "could not be reserved (too many tasks)" in s for s in refused)
    declined = (await asked(dsn, system.tasks["declined"], system.world.tenant)).told
    assert sum("and declined (too far)." in sentence for sentence in declined) == 2
    assert declined[-1] == "Nobody won: nobody who was asked took it."


async def test_a_dispatchers_order_is_told_from_the_read_models(system: Played):
    ordered = system.world.task("ordered")
    found = await asked(system.settings.postgres.get_secret_value(), ordered, None)
    assert found.told[-1] == "Rider bob had it by a dispatcher's order."
    assert "reserved_elsewhere (asked for another task)" in " ".join(found.told)


async def test_of_very_many_rounds_the_first_are_told_and_that_there_are_more(copy: Settings, system: Played):
    more = """
    INSERT INTO dispatch_decisions
    SELECT tenant, 'tender-' || n, task_id, n, bundle, mode, candidates, others, excluded, more_excluded, carriers,
           carriers_excluded, policy_version, weights, input_hash, solver, in_window, decided_at
    FROM dispatch_decisions, generate_series(2, %s) AS n WHERE task_id = %s
    """
    dsn = copy.postgres.get_secret_value()
    await execute(dsn, more, ROUNDS_READ + 10, system.tasks["won"])
    found = await asked(dsn, system.tasks["won"], None)
    assert len(found.decisions) == ROUNDS_READ
    assert found.told[-1] == f"No more than {ROUNDS_READ} rounds are told."


async def test_a_foreign_tenants_task_is_not_there(system: Played):
    with pytest.raises(NoSuchTask, match="not in tenant other"):
        await asked(system.settings.postgres.get_secret_value(), system.tasks["won"], "other")


async def test_each_decision_made_again_from_its_record_is_the_same(system: Played):
    ended = await asyncio.to_thread(command, system.settings, "why", system.tasks["won"], "--again")
    assert ended.returncode == 0
    assert "Round 1, decided again, is the same" in ended.stdout
    told = await asyncio.to_thread(command, system.settings, "why", system.tasks["won"], "--again", "--json")
    assert [each["same"] for each in json.loads(told.stdout)["again"]] == [True]


async def test_a_decision_that_says_something_else_than_its_record_is_found(copy: Settings, system: Played):
    other = "UPDATE dispatch_decisions SET candidates = jsonb_set(candidates, '{0,score}', '1') WHERE task_id = %s"
    await execute(copy.postgres.get_secret_value(), other, system.tasks["won"])
    found = await asked(copy.postgres.get_secret_value(), system.tasks["won"], None)
    [again] = await made_again(artefacts_of(system.settings), found)
    assert again.same is False
    assert "is different: candidates" in again.told


async def test_a_decision_whose_record_is_gone_or_broken_says_so(copy: Settings, system: Played, tmp_path: Path):
    found = await asked(system.settings.postgres.get_secret_value(), system.tasks["won"], None)
    [gone] = await made_again(artefacts_of(Settings(data=tmp_path)), found)
    assert (gone.same, gone.told) == (None, "Round 1 cannot be decided again: its record is gone.")
    found.decisions[0]["solver"] = "nearest-1"
    [old] = await made_again(artefacts_of(system.settings), found)
    assert old.told == "Round 1 cannot be decided again: it was made by nearest-1, and this is insertion-1."


async def test_from_the_command_line(system: Played):
    ended = await asyncio.to_thread(command, system.settings, "why", system.tasks["won"], "--json")
    assert (ended.returncode, json.loads(ended.stdout)["rider_id"]) == (0, system.riders["bob"])
    unknown = await asyncio.to_thread(command, system.settings, "why", "t-9")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert unknown.stderr.startswith("task t-9 is in no tenant")


def of_carriers(*candidates: tuple[str, int], excluded: tuple[tuple[str, str], ...] = ()) -> Row:
    able = [
        {
            "carrier_id": carrier,
            "rank": rank,
            "terms": {"service_level": "same_day", "price": {"amount_minor": minor, "currency": "EUR"}},
        }
        for rank, (carrier, minor) in enumerate(candidates, 1)
    ]
    out = [{"carrier_id": carrier, "code": code, "price": None} for carrier, code in excluded]
    return decision() | {"carriers": able, "carriers_excluded": out}


def carrier_offer(carrier: str, state: str, **more: Any) -> Row:
    price = {"amount_minor": 900, "currency": "EUR"}
    known = {"rider_id": None, "carrier_id": carrier, "state": state, "reason_code": None}
    return known | {"expires_at": "2026-03-01T12:01:00Z", "terms": {"price": price}, "counter": None} | more


def test_carriers_are_told_with_their_prices_and_the_others_by_the_rules_that_shut_them_out():
    known = of_carriers(
        ("c1", 900), ("c2", 1_150), excluded=(("c3", "no_price"), ("c4", "too_dear"), ("c5", "no_price"))
    )
    sentences = told(task(), [known], [], {"c1": "Posti", "c3": "Matka"})
    assert sentences[1:] == [
        "Round 1, 12:00:00 UTC: 2 of 5 carriers could take it. The cheapest: carrier Posti, 9.00 EUR (same day); "
        "carrier c2, 11.50 EUR (same day).",
        "Carriers not considered: 2 no_price (its contract has no price): Matka, c5; "
        "1 too_dear (it asks for more than is paid): c4.",
    ]


def test_where_riders_and_carriers_are_asked_both_are_told():
    both = decision(candidate("ann", 1, 60)) | {"carriers": [], "carriers_excluded": []}
    both |= {"carriers_excluded": [{"carrier_id": "c1", "code": "declined_before", "price": None}]}
    sentences = told(task(), [both], [])
    assert sentences[1].startswith("Round 1, 12:00:00 UTC: 1 of 1 riders could take it.")
    assert sentences[2:] == [
        "None of the 1 carriers could take it.",
        "Carriers not considered: 1 declined_before (had declined it, or let it pass): c1.",
    ]


def test_what_carriers_have_answered_is_told():
    counter = {"price": {"amount_minor": 1_200, "currency": "EUR"}}
    offers = {
        "o1": carrier_offer("c1", "declined", reason_code="no_courier"),
        "o2": carrier_offer("c2", "countered", counter=counter),
        "o3": carrier_offer("c3", "accepted"),
    }
    won = {"round": 1, "state": "awarded", "offers": offers, "winner": "c3"}
    assert told(task(), [of_carriers(("c1", 900))], [won], {"c3": "Posti"})[2:] == [
        "Carrier c1 was asked until 12:01:00 UTC for 9.00 EUR and declined (no courier).",
        "Carrier c2 was asked until 12:01:00 UTC for 9.00 EUR, asked for 12.00 EUR instead, "
        "and waits for a dispatcher to agree.",
        "Carrier Posti was asked until 12:01:00 UTC for 9.00 EUR and got it.",
        "Carrier Posti won.",
    ]


def test_from_which_carrier_a_task_came_back_is_told():
    taken = {"type": "TaskTakenFromCarrier", "body": {"round": 1, "reason_code": "van_broken", "carrier_id": "c1"}}
    sentences = told(task(round=2), [decision()], [], {"c1": "Posti"}, turns_of([taken]))
    assert sentences[-1] == "The task came back to dispatch from carrier Posti, because of van broken."


def planned(**changes: object) -> Row:
    visits = [{"task_id": "t-1", "stop_id": stop, "arrives_at": "2026-03-01T12:20:00Z"} for stop in ("shop", "door")]
    route = {"rider_id": "ann", "tasks": [{"task_id": "t-1"}, {"task_id": "t-2"}], "visits": visits}
    known = {"plan_id": "p-1", "created_at": "2026-03-01T12:00:00Z", "status": "committed", "reason_code": None}
    return known | {"solver": "pyvrp", "route": route, "left_out": None, "outcome": {"given": True}} | changes


@pytest.mark.parametrize(
    ("plan", "ends"),
    [
        (planned(), "at door at 12:20:00 UTC."),
        (planned(outcome={"given": False, "reason_code": "on_break"}), "; that came to nothing: on break."),
        (planned(outcome=None, status="proposed"), "; that waits to be committed."),
        (planned(outcome=None, status="committing"), "; that is being committed."),
        (planned(outcome=None, status="rejected", reason_code="not_wanted"), "; it was not committed: not wanted."),
    ],
)
def test_what_came_of_a_plan_is_told(plan: Row, ends: str):
    [said] = [each for each in told(task(), [], [], None, Turns(), [plan]) if each.startswith("Plan p-1")]
    assert said.startswith(
        "Plan p-1 of 12:00:00 UTC, by pyvrp, gave it to rider ann, one of 2 that are new on their road"
    )
    assert said.endswith(ends.removeprefix("at door "))


def test_what_a_plan_left_out_and_who_has_it_by_one_is_told():
    left = planned(route=None, left_out={"code": "no_rider", "told": "skill_missing: 2"})
    said = told(task(), [], [], None, Turns(), [left])
    assert "Plan p-1 of 12:00:00 UTC left it out: no rider (skill_missing: 2)." in said
    given = {"type": "TaskAssigned", "body": {"rider_id": "ann", "reason_code": None, "plan_id": "p-1"}}
    assert told(task(rider_id="ann"), [], [], None, turns_of([given]))[-1] == "Rider ann has it by plan p-1."
