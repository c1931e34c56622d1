"""A task's dispatch in words, round by round, from rows of the read models."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from commands.hand_over import HANDED_OVER
from gateway.why.candidates import candidates_told, excluded_told
from gateway.why.carriers import carriers_told, is_about_carriers, money
from gateway.why.in_window import among_told, waiting_told, window_told
from gateway.why.named import Row, capital, clock, moment, name, name_of_carrier, offeree_name, words
from gateway.why.planned import plans_told

OFFER_ENDS = {
    "sent": "has not answered yet",
    "viewed": "has looked at it",
    "claimed": "wants it, and is being reserved",
    "rejected": "wanted it, and could not be reserved",
    "countered": "waits for a dispatcher to agree",
    "counter_declined": "did not get that",
    "declined": "declined",
    "expired": "let it expire",
    "accepted": "got it",
    "lost": "was too late",
    "withdrawn": "had it withdrawn",
}


class Left(msgspec.Struct, frozen=True):
    """Why a round's rider lost the task again; `waits` where its goods then wait for another attempt."""

    reason_code: str
    waits: bool = False
    rider_id: str | None = None
    carrier_id: str | None = None


class Turns(msgspec.Struct, frozen=True):
    """What came between: who left the task, by round, and from whom its rider took it over, if so."""

    left: Mapping[int, Left] = {}
    taken_over_from: str | None = None
    ordered_for: str | None = None
    """Why a dispatcher gave it to whoever has it."""
    planned_by: str | None = None
    """The plan that did."""


NO_TURNS = Turns()


def turns_of(events: Iterable[Row]) -> Turns:
    left: dict[int, Left] = {}
    rider = before = ordered_for = planned_by = None
    for each in events:
        body = each["body"]
        if each["type"] == "TaskAssigned":
            before = rider if body.get("handed_over") else None
            rider, ordered_for, planned_by = body["rider_id"], body.get("reason_code"), body.get("plan_id")
        elif each["type"] == "TaskTakenFromCarrier":
            left[body["round"]] = Left(body["reason_code"], carrier_id=body["carrier_id"])
        elif body["reason_code"] != HANDED_OVER:  # then it goes straight to who took it over
            left[body["round"]] = Left(body["reason_code"], body.get("waits", False), body["rider_id"])
            rider = before = ordered_for = planned_by = None
    return Turns(left, before, ordered_for, planned_by)


def told(
    task_row: Row,
    decisions: Sequence[Row],
    tenders: Sequence[Row],
    names: Mapping[str, str | None] | None = None,
    turns: Turns = NO_TURNS,
    plans: Sequence[Row] = (),
    window: Row | None = None,
) -> list[str]:
    """Sentences, from rows of task_detail, dispatch_decisions and tender_board.

    `names` calls riders and carriers by theirs; in `window` it waits now.
    """
    called = {rider: name for rider, name in (names or {}).items() if name}
    task_id: str = task_row["task_id"]
    by_round = {round_of(row, task_id): row for row in tenders}
    sentences = [now_told(task_row, called), *kept_back(task_row["progress"])]
    for decision in sorted(decisions, key=lambda row: round_of(row, task_id)):
        number = round_of(decision, task_id)
        sentences += round_told(decision, by_round.get(number), called, task_id)
        left = turns.left.get(number)
        if left is not None and left.waits:
            sentences.append(f"Its rider left it, and its goods waited for another attempt: {words(left.reason_code)}.")
        elif task_row["progress"]["round"] > number and (left is not None or won(by_round.get(number))):
            sentences.append(came_back(left, called))
    if not decisions:
        sentences.append("Dispatch has not decided about it.")
    sentences += waiting_told(window if task_row["state"] == "dispatchable" else None, task_id)
    sentences += plans_told(plans, task_id, called)
    return [*sentences, *otherwise_told(task_row, by_round, called, turns)]


def came_back(left: Left | None, called: Mapping[str, str]) -> str:
    if left is None:
        return "The task came back to dispatch."
    whose = "" if left.rider_id is None else f" from {name(left.rider_id, called)}"
    whose = whose if left.carrier_id is None else f" from {name_of_carrier(left.carrier_id, called)}"
    return f"The task came back to dispatch{whose}, because of {words(left.reason_code)}."


def won(tender: Row | None) -> bool:
    return tender is not None and tender["state"] == "awarded"


def kept_back(progress: Row) -> list[str]:
    """What keeps it from dispatch now."""
    if progress["ended"] is not None:
        return []
    told = [f"It is held, because of {words(progress['held'])}."] if progress.get("held") else []
    if unlocated := progress.get("unlocated"):
        told.append(f"Nobody has said yet where {', '.join(sorted(unlocated))} is.")
    for on, each in (progress.get("dependencies") or {}).items():
        if each["status"] == "open":
            told.append(f"It waits for {words(each['kind'])} {on}.")
        elif each["status"] == "failed":
            told.append(f"It waits for {words(each['kind'])} {on} in vain: {words(each['reason_code'])}.")
    if progress.get("dispatch_at"):
        told.append(f"It comes to dispatch at {clock(progress['dispatch_at'])}.")
    return told


def otherwise_told(task_row: Row, by_round: Mapping[int, Row], called: Mapping[str, str], turns: Turns) -> list[str]:
    """Who has a task that they did not win has it from another rider or from a dispatcher."""
    rider = task_row["progress"]["rider_id"]
    tender = by_round.get(task_row["progress"]["round"])
    has = "has" if task_row["progress"]["ended"] is None else "had"
    if carrier := task_row["progress"].get("carrier"):
        who = capital(name_of_carrier(carrier["carrier_id"], called))
        return [f"{who} {has} it by booking {carrier['booking_id']}."]
    if rider is not None and turns.taken_over_from is not None:
        return [f"{capital(name(rider, called))} took it over from {name(turns.taken_over_from, called)}."]
    if rider is None or (tender is not None and tender["winner"] == rider):
        return []
    how = "as a simulated courier" if task_row.get("simulation") else "by a dispatcher's order"
    how = how if turns.planned_by is None else f"by plan {turns.planned_by}"
    because = f", because of {words(turns.ordered_for)}" if turns.ordered_for else ""
    return [f"{capital(name(rider, called))} {has} it {how}{because}."]


def now_told(task_row: Row, called: Mapping[str, str]) -> str:
    reference = f" ({task_row['external_reference']})" if task_row["external_reference"] else ""
    progress = task_row["progress"]
    rider, ended = progress["rider_id"], progress["ended"] is not None
    carrier = progress.get("carrier")
    who = "nobody" if rider is None else name(rider, called)
    if carrier is not None:
        who = name_of_carrier(carrier["carrier_id"], called)
    because = f", because of {words(progress['reason_code'])}" if progress["reason_code"] else ""
    state = words(task_row["state"])
    return f"Task {task_row['task_id']}{reference} is {state}{because}; {who} {'had' if ended else 'has'} it."


def round_of(row: Row, task_id: str) -> int:
    """The task's own, of a decision or a tender by which it is offered with others."""
    own = next((each for each in row.get("bundle") or [] if each["task_id"] == task_id), row)
    number: int = own["round"]
    return number


def together_with(row: Row, task_id: str) -> str:
    if not row.get("bundle"):
        return ""
    others = [each["task_id"] for each in (row, *row["bundle"]) if each["task_id"] != task_id]
    return f", together with task{'s' if len(others) > 1 else ''} {', '.join(others)}"


def round_told(decision: Row, tender: Row | None, called: Mapping[str, str], task_id: str) -> list[str]:
    first, *more = able_told(decision, called)
    when = f"{clock(decision['decided_at'])}{together_with(decision, task_id)}"
    return [
        f"Round {round_of(decision, task_id)}, {when}{among_told(decision)}: {first}",
        *more,
        *window_told(decision, called),
        *(offer_told(offer, called) for offer in ([] if tender is None else in_order(tender))),
        *([] if tender is None else [outcome_told(tender, called)]),
    ]


def able_told(decision: Row, called: Mapping[str, str]) -> list[str]:
    """Riders, carriers or both, as the round's step says."""
    riders = [*candidates_told(decision, called), *excluded_told(decision)]
    if not is_about_carriers(decision):
        return riders
    carriers = carriers_told(decision, called)
    if not decision["candidates"] and not decision["excluded"]:
        return carriers
    return [*riders, *(capital(sentence) for sentence in carriers)]


def in_order(tender: Row) -> list[Row]:
    return sorted(tender["offers"].values(), key=when_asked)


def when_asked(offer: Row) -> tuple[datetime, str]:
    return moment(offer["expires_at"]), offer["rider_id"] or offer["carrier_id"]


def offer_told(offer: Row, called: Mapping[str, str]) -> str:
    end = OFFER_ENDS.get(offer["state"], words(offer["state"]))
    because = f" ({words(offer['reason_code'])})" if offer["reason_code"] else ""
    asked_until = f"was asked until {clock(offer['expires_at'])}{for_how_much(offer)}"
    return f"{capital(offeree_name(offer, called))} {asked_until} and {end}{because}."


def for_how_much(offer: Row) -> str:
    """Of a carrier."""
    price = (offer.get("terms") or {}).get("price")
    told = f" for {money(price)}" if price else ""
    counter = offer.get("counter")
    return f"{told}, asked for {money(counter['price'])} instead," if counter else told


def outcome_told(tender: Row, called: Mapping[str, str]) -> str:
    match tender["state"]:
        case "awarded":
            won_by = next((each for each in tender["offers"].values() if each["state"] == "accepted"), None)
            winner = name(tender["winner"], called) if won_by is None else offeree_name(won_by, called)
            return f"{capital(winner)} won."
        case "exhausted" if not tender["offers"]:
            return "Nobody was asked, so nobody won."
        case "exhausted":
            return "Nobody won: nobody who was asked took it."
        case "withdrawn" if tender.get("bundle"):
            return "Nobody won: the tender was withdrawn, one of its tasks was settled otherwise."
        case "withdrawn":
            return "Nobody won: the tender was withdrawn, the task was settled otherwise."
        case _:
            return "Nobody has won yet."
