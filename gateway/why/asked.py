"""Why has this rider got the task, why not the others, why nobody?"""

from collections.abc import Iterable
from typing import Any

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from gateway.why.named import Row
from gateway.why.planned import PLANS, PLANS_READ, riders_planned
from gateway.why.told import Turns, told, turns_of

ROUNDS_READ = 200
"""The first ones of one task. A tenant's rules allow 50, and a dispatcher may begin anew."""
TASKS = """
SELECT * FROM task_detail
WHERE %(task)s IN (task_id, external_reference, tracking_code) AND (%(tenant)s::text IS NULL OR tenant = %(tenant)s)
ORDER BY created_at DESC LIMIT 1
"""
OF_TASK = """
WHERE tenant = %(tenant)s
  AND (task_id = %(task)s
    OR bundle <> '[]' AND bundle @> jsonb_build_array(jsonb_build_object('task_id', %(task)s::text)))
"""
DECISIONS = f"SELECT * FROM dispatch_decisions {OF_TASK} ORDER BY decided_at, tender_id LIMIT %(limit)s"
TENDERS = f"SELECT * FROM tender_board {OF_TASK} ORDER BY created_at, tender_id LIMIT %(limit)s"
TURNS = """
SELECT type, body FROM history
WHERE tenant = %s AND aggregate_id = %s AND type IN ('TaskAssigned', 'TaskUnassigned', 'TaskTakenFromCarrier')
ORDER BY version
"""
WINDOW = """
SELECT window_id, status, closes_at, tasks FROM windows
WHERE tenant = %(tenant)s AND status <> 'decided'
  AND tasks @> jsonb_build_array(jsonb_build_object('task_id', %(task)s::text, 'round', %(round)s::bigint))
ORDER BY opened_at DESC LIMIT 1
"""
CARRIERS = "SELECT carrier_id, name FROM carriers WHERE tenant = %s AND carrier_id = ANY(%s)"
RIDERS = "SELECT rider_id, external_reference FROM rider_roster WHERE tenant = %s AND rider_id = ANY(%s)"


class NoSuchTask(LookupError):
    """Names the task, and the tenant where one was meant."""


class Why(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    task_id: str
    state: str
    rider_id: str | None
    told: list[str]
    decisions: list[dict[str, Any]]
    tenders: list[dict[str, Any]]


async def asked(dsn: str, task: str, tenant: str | None) -> Why:
    """Raises NoSuchTask."""
    async with await AsyncConnection.connect(dsn) as connection:
        return await asked_on(connection, task, tenant)


async def asked_on(connection: AsyncConnection[Any], task: str, tenant: str | None) -> Why:
    """Raises NoSuchTask."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(TASKS, {"task": task, "tenant": tenant})
        row = await cursor.fetchone()
        if row is None:
            where = "in no tenant" if tenant is None else f"not in tenant {tenant}"
            raise NoSuchTask(
                f"task {task} is {where}; it is called by its id, its external reference or its tracking code"
            )
        task = row["task_id"]
        place = {"tenant": row["tenant"], "task": task, "limit": ROUNDS_READ}
        await cursor.execute(DECISIONS, place)
        decisions = await cursor.fetchall()
        await cursor.execute(TENDERS, place)
        tenders = await cursor.fetchall()
        await cursor.execute(TURNS, (row["tenant"], task))
        turns = turns_of(await cursor.fetchall())
        about = {"since": row["created_at"], "limit": PLANS_READ, "vars": Jsonb({"task": task})}
        await cursor.execute(PLANS, place | about)
        plans = await cursor.fetchall()
        await cursor.execute(WINDOW, place | {"round": row["progress"]["round"]})
        window = await cursor.fetchone()
        riders = {*riders_in(row, decisions, tenders, turns), *riders_planned(plans)}
        await cursor.execute(RIDERS, (row["tenant"], sorted(riders)))
        names = {each["rider_id"]: each["external_reference"] for each in await cursor.fetchall()}
        await cursor.execute(CARRIERS, (row["tenant"], carriers_in(row, decisions, tenders, turns)))
        names |= {each["carrier_id"]: each["name"] for each in await cursor.fetchall()}
    sentences = told(row, decisions, tenders, names, turns, plans, window)
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


def riders_in(task_row: Row, decisions: Iterable[Row], tenders: Iterable[Row], turns: Turns) -> list[str]:
    """All who are named."""
    known = {task_row["progress"]["rider_id"], turns.taken_over_from, *(left.rider_id for left in turns.left.values())}
    known |= {each["rider_id"] for row in decisions for each in (*row["candidates"], *row["excluded"])}
    known |= {offer["rider_id"] for row in tenders for offer in row["offers"].values()}
    return sorted(known - {None})


def carriers_in(task_row: Row, decisions: Iterable[Row], tenders: Iterable[Row], turns: Turns) -> list[str]:
    known: set[str | None] = {(task_row["progress"]["carrier"] or {}).get("carrier_id")}
    known |= {left.carrier_id for left in turns.left.values()}
    known |= {each["carrier_id"] for row in decisions for each in (*row["carriers"], *row["carriers_excluded"])}
    known |= {offer["carrier_id"] for row in tenders for offer in row["offers"].values()}
    return sorted(each for each in known if each is not None)
