"""`logistics why`: why has this rider got the task, why not the others, why nobody?"""

import asyncio
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from commands.hand_over import HANDED_OVER
from infra.endpoints import NotRunning, reached
from infra.observability import quiet
from infra.settings import load_settings

type Row = Mapping[str, Any]
"""As Postgres gives it: what has structure as plain values."""

NOT_FOUND = 1
CANDIDATES_TOLD = 3
ROUNDS_READ = 200
"""The first ones of one task. A tenant's rules allow 50, and a dispatcher may begin anew."""
TASKS = """
SELECT * FROM task_detail
WHERE %(task)s IN (task_id, external_reference, tracking_code) AND (%(tenant)s::text IS NULL OR tenant = %(tenant)s)
ORDER BY created_at DESC LIMIT 1
"""
DECISIONS = "SELECT * FROM dispatch_decisions WHERE tenant = %s AND task_id = %s ORDER BY round LIMIT %s"
TENDERS = "SELECT * FROM tender_board WHERE tenant = %s AND task_id = %s ORDER BY round LIMIT %s"
TURNS = """
SELECT type, body FROM history
WHERE tenant = %s AND aggregate_id = %s AND type IN ('TaskAssigned', 'TaskUnassigned')
ORDER BY version
"""
CARRIERS = "SELECT name FROM carriers WHERE tenant = %s AND carrier_id = %s"
RIDERS = "SELECT rider_id, external_reference FROM rider_roster WHERE tenant = %s AND rider_id = ANY(%s)"

EXCLUSIONS = {
    "not_approved": "nobody has approved them",
    "suspended": "by a dispatcher",
    "off_shift": "not at work",
    "shift_ends_too_soon": "their shift ends too soon",
    "on_break": "they take a break",
    "silent": "nothing is heard of them",
    "incident_open": "an incident that they are in is open",
    "hours_exhausted": "their hours of service do not suffice",
    "document_missing": "a document is missing",
    "document_expired": "a document has expired",
    "document_expires_too_soon": "a document expires before it would be done",
    "vehicle_grounded": "their vehicle is grounded",
    "vehicle_inspection_failed": "their vehicle has failed its inspection",
    "vehicle_document_missing": "a document of their vehicle is missing",
    "vehicle_document_expired": "a document of their vehicle has expired",
    "vehicle_document_expires_too_soon": "a document of their vehicle expires before it would be done",
    "vehicle_maintenance_overdue": "their vehicle's maintenance is overdue",
    "skill_missing": "a skill is missing",
    "outside_zones": "a stop lies outside their zones",
    "over_capacity": "the load is too much for them",
    "too_many_tasks": "busy with other tasks",
    "reserved_elsewhere": "asked for another task",
    "no_fix": "nobody knows where they are",
    "stale_fix": "not heard of for too long",
    "declined_before": "had declined it, or let it pass",
    "unreachable": "no way leads there",
}
OVERLOADS = {
    "weight_g": "the load is too heavy for them",
    "volume_cm3": "the load is too bulky for them",
    "parcels": "the load is too many parcels for them",
}
OFFER_ENDS = {
    "sent": "has not answered yet",
    "viewed": "has looked at it",
    "claimed": "wants it, and is being reserved",
    "rejected": "wanted it, and could not be reserved",
    "declined": "declined",
    "expired": "let it expire",
    "accepted": "got it",
    "lost": "was too late",
    "withdrawn": "had it withdrawn",
}


class NoSuchTask(LookupError):
    """Names the task, and the tenant where one was meant."""


class Left(msgspec.Struct, frozen=True):
    """Why a round's rider lost the task again; `waits` where its goods then wait for another attempt."""

    reason_code: str
    waits: bool = False
    rider_id: str | None = None


class Turns(msgspec.Struct, frozen=True):
    """What came between: who left the task, by round, and from whom its rider took it over, if so."""

    left: Mapping[int, Left] = {}
    taken_over_from: str | None = None


NO_TURNS = Turns()


class Why(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    task_id: str
    state: str
    rider_id: str | None
    told: list[str]
    decisions: list[dict[str, Any]]
    tenders: list[dict[str, Any]]


def why(task: str, tenant: str | None, data: Path | None, as_json: bool) -> int:
    """The exit code. Raises WrongSetting, NotRunning."""
    quiet()
    settings = reached(load_settings(data=data))
    try:
        found = asyncio.run(asked(settings.postgres.get_secret_value(), task, tenant))
    except psycopg.OperationalError as failed:
        raise NotRunning(f"Postgres does not answer: {failed}") from failed
    except NoSuchTask as unknown:
        print(unknown, file=sys.stderr)
        return NOT_FOUND
    print(msgspec.json.format(msgspec.json.encode(found)).decode() if as_json else "\n".join(found.told))
    return 0


async def asked(dsn: str, task: str, tenant: str | None) -> Why:
    """Raises NoSuchTask."""
    async with await AsyncConnection.connect(dsn) as connection, connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(TASKS, {"task": task, "tenant": tenant})
        row = await cursor.fetchone()
        if row is None:
            where = "in no tenant" if tenant is None else f"not in tenant {tenant}"
            raise NoSuchTask(
                f"task {task} is {where}; it is called by its id, its external reference or its tracking code"
            )
        task = row["task_id"]
        place = (row["tenant"], task, ROUNDS_READ)
        await cursor.execute(DECISIONS, place)
        decisions = await cursor.fetchall()
        await cursor.execute(TENDERS, place)
        tenders = await cursor.fetchall()
        await cursor.execute(TURNS, place[:2])
        turns = turns_of(await cursor.fetchall())
        await cursor.execute(RIDERS, (row["tenant"], riders_in(row, decisions, tenders, turns)))
        names = {each["rider_id"]: each["external_reference"] for each in await cursor.fetchall()}
        if carrier := row["progress"]["carrier"]:
            await cursor.execute(CARRIERS, (row["tenant"], carrier["carrier_id"]))
            names |= dict.fromkeys([carrier["carrier_id"]], (await cursor.fetchone() or {}).get("name"))
    sentences = told(row, decisions, tenders, names, turns)
    if len(decisions) == ROUNDS_READ:
        sentences.append(f"No more than {ROUNDS_READ} rounds are told.")
    return Why(
        tenant=row["tenant"],
        task_id=task,
        state=row["state"],
        rider_id=row["progress"]["rider_id"],
        told=sentences,
        decisions=decisions,
        tenders=tenders,
    )


def turns_of(events: Iterable[Row]) -> Turns:
    left: dict[int, Left] = {}
    rider: str | None = None
    before: str | None = None
    for each in events:
        body = each["body"]
        if each["type"] == "TaskAssigned":
            before = rider if body.get("handed_over") else None
            rider = body["rider_id"]
        elif body["reason_code"] != HANDED_OVER:  # then it goes straight to who took it over
            left[body["round"]] = Left(body["reason_code"], body.get("waits", False), body["rider_id"])
            rider = before = None
    return Turns(left, before)


def riders_in(task_row: Row, decisions: Iterable[Row], tenders: Iterable[Row], turns: Turns) -> list[str]:
    """All who are named."""
    known = {task_row["progress"]["rider_id"], turns.taken_over_from, *(left.rider_id for left in turns.left.values())}
    known |= {each["rider_id"] for row in decisions for each in (*row["candidates"], *row["excluded"])}
    known |= {offer["rider_id"] for row in tenders for offer in row["offers"].values()}
    return sorted(known - {None})


def told(
    task_row: Row,
    decisions: Sequence[Row],
    tenders: Sequence[Row],
    names: Mapping[str, str | None] | None = None,
    turns: Turns = NO_TURNS,
) -> list[str]:
    """Sentences, from rows of task_detail, dispatch_decisions and tender_board.

    `names` calls riders and carriers by theirs.
    """
    called = {rider: name for rider, name in (names or {}).items() if name}
    by_round = {row["round"]: row for row in tenders}
    sentences = [now_told(task_row, called), *kept_back(task_row["progress"])]
    for decision in sorted(decisions, key=lambda row: row["round"]):
        number = decision["round"]
        sentences += round_told(decision, by_round.get(number), called)
        left = turns.left.get(number)
        if left is not None and left.waits:
            sentences.append(f"Its rider left it, and its goods waited for another attempt: {words(left.reason_code)}.")
        elif task_row["progress"]["round"] > number and (left is not None or won(by_round.get(number))):
            sentences.append(came_back(left, called))
    if not decisions:
        sentences.append("Dispatch has not decided about it.")
    return [*sentences, *otherwise_told(task_row, by_round, called, turns.taken_over_from)]


def came_back(left: Left | None, called: Mapping[str, str]) -> str:
    if left is None:
        return "The task came back to dispatch."
    whose = "" if left.rider_id is None else f" from {name(left.rider_id, called)}"
    return f"The task came back to dispatch{whose}, because of {words(left.reason_code)}."


def won(tender: Row | None) -> bool:
    return tender is not None and tender["state"] == "awarded"


def kept_back(progress: Row) -> list[str]:
    """What keeps it from dispatch now."""
    if progress["ended"] is not None:
        return []
    told = [f"It is held, because of {words(progress['held'])}."] if progress.get("held") else []
    for on, each in (progress.get("dependencies") or {}).items():
        if each["status"] == "open":
            told.append(f"It waits for {words(each['kind'])} {on}.")
        elif each["status"] == "failed":
            told.append(f"It waits for {words(each['kind'])} {on} in vain: {words(each['reason_code'])}.")
    if progress.get("dispatch_at"):
        told.append(f"It comes to dispatch at {clock(progress['dispatch_at'])}.")
    return told


def otherwise_told(
    task_row: Row, by_round: Mapping[int, Row], called: Mapping[str, str], taken_over_from: str | None
) -> list[str]:
    """Who has a task that they did not win has it from another rider or from a dispatcher."""
    rider = task_row["progress"]["rider_id"]
    tender = by_round.get(task_row["progress"]["round"])
    has = "has" if task_row["progress"]["ended"] is None else "had"
    if carrier := task_row["progress"].get("carrier"):
        return [f"{capital(carrier_name(carrier, called))} {has} it by booking {carrier['booking_id']}."]
    if rider is not None and taken_over_from is not None:
        return [f"{capital(name(rider, called))} took it over from {name(taken_over_from, called)}."]
    if rider is None or (tender is not None and tender["winner"] == rider):
        return []
    how = "as a simulated courier" if task_row.get("simulation") else "by a dispatcher's order"
    return [f"{capital(name(rider, called))} {has} it {how}."]


def now_told(task_row: Row, called: Mapping[str, str]) -> str:
    reference = f" ({task_row['external_reference']})" if task_row["external_reference"] else ""
    progress = task_row["progress"]
    rider, ended = progress["rider_id"], progress["ended"] is not None
    carrier = progress.get("carrier")
    who = "nobody" if rider is None else name(rider, called)
    if carrier is not None:
        who = carrier_name(carrier, called)
    because = f", because of {words(progress['reason_code'])}" if progress["reason_code"] else ""
    state = words(task_row["state"])
    return f"Task {task_row['task_id']}{reference} is {state}{because}; {who} {'had' if ended else 'has'} it."


def round_told(decision: Row, tender: Row | None, called: Mapping[str, str]) -> list[str]:
    return [
        f"Round {decision['round']}, {clock(decision['decided_at'])}: {candidates_told(decision, called)}",
        *excluded_told(decision),
        *(offer_told(offer, called) for offer in ([] if tender is None else in_order(tender))),
        *([] if tender is None else [outcome_told(tender, called)]),
    ]


def candidates_told(decision: Row, called: Mapping[str, str]) -> str:
    """Who could do it, the nearest first."""
    candidates = sorted(decision["candidates"], key=lambda each: each["rank"])
    looked_at = len(candidates) + len(decision["excluded"])
    if not candidates:
        return f"none of the {looked_at} riders could take it." if looked_at else "there was no rider to ask."
    best = [f"{name(each['rider_id'], called)}, {travel(each)}" for each in candidates[:CANDIDATES_TOLD]]
    more = len(candidates) - len(best)
    others = f"; and {more} more" if more else ""
    return f"{len(candidates)} of {looked_at} riders could take it. The nearest: {'; '.join(best)}{others}."


def travel(candidate: Row) -> str:
    guess = ", as the crow flies" if candidate["source"] == "great_circle" else ""
    return f"{round(candidate['travel_s'])} s away ({round(candidate['distance_m'])} m{guess})"


def excluded_told(decision: Row) -> list[str]:
    """The rules that shut the others out, with how many each."""
    counts = Counter((each["code"], measure_of(each)) for each in decision["excluded"])
    if not counts:
        return []
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    reasons = [f"{count} {code} ({excluded_for(code, measure)})" for (code, measure), count in ordered]
    return [f"Not considered: {', '.join(reasons)}."]


def measure_of(excluded: Row) -> str:
    """Of what there would be too much, where that is why."""
    overload = excluded.get("overload")
    return overload["measure"] if overload else ""


def excluded_for(code: str, measure: str) -> str:
    return OVERLOADS.get(measure) or EXCLUSIONS.get(code) or words(code)


def in_order(tender: Row) -> list[Row]:
    return sorted(tender["offers"].values(), key=lambda offer: (moment(offer["expires_at"]), offer["rider_id"]))


def offer_told(offer: Row, called: Mapping[str, str]) -> str:
    end = OFFER_ENDS.get(offer["state"], words(offer["state"]))
    because = f" ({words(offer['reason_code'])})" if offer["reason_code"] else ""
    asked_until = f"was asked until {clock(offer['expires_at'])}"
    return f"{capital(name(offer['rider_id'], called))} {asked_until} and {end}{because}."


def outcome_told(tender: Row, called: Mapping[str, str]) -> str:
    match tender["state"]:
        case "awarded":
            return f"{capital(name(tender['winner'], called))} won."
        case "exhausted" if not tender["offers"]:
            return "Nobody was asked, so nobody won."
        case "exhausted":
            return "Nobody won: nobody who was asked took it."
        case "withdrawn":
            return "Nobody won: the tender was withdrawn, the task was settled otherwise."
        case _:
            return "Nobody has won yet."


def name(rider: str, called: Mapping[str, str]) -> str:
    return f"rider {called.get(rider, rider)}"


def carrier_name(carrier: Row, called: Mapping[str, str]) -> str:
    return f"carrier {called.get(carrier['carrier_id'], carrier['carrier_id'])}"


def capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def words(code: str) -> str:
    return code.replace("_", " ")


def moment(at: datetime | str) -> datetime:
    """What stands within jsonb is text."""
    return datetime.fromisoformat(at) if isinstance(at, str) else at


def clock(at: datetime | str) -> str:
    return f"{moment(at).astimezone(UTC):%H:%M:%S} UTC"
