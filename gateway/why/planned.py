"""What plans have made of a task, in words."""

from collections.abc import Mapping, Sequence

from gateway.why.named import Row, clock, name, words

PLANS_READ = 20
"""The latest, since the task is there."""
PLANS = """
WITH latest AS (
    SELECT * FROM plans
    WHERE tenant = %(tenant)s AND created_at >= %(since)s
    ORDER BY created_at DESC, plan_id LIMIT %(limit)s
), about AS (
    SELECT plan_id, created_at, status, reason_code, proposal ->> 'solver' AS solver, tasks -> %(task)s AS outcome,
           jsonb_path_query_first(proposal, '$.routes[*] ? (@.tasks[*].task_id == $task)', %(vars)s) AS route,
           jsonb_path_query_first(proposal, '$.left_out[*] ? (@.task_id == $task)', %(vars)s) AS left_out
    FROM latest
)
SELECT * FROM about WHERE route IS NOT NULL OR left_out IS NOT NULL ORDER BY created_at, plan_id
"""


def plans_told(plans: Sequence[Row], task_id: str, called: Mapping[str, str]) -> list[str]:
    return [left_told(plan) if plan["route"] is None else routed_told(plan, task_id, called) for plan in plans]


def left_told(plan: Row) -> str:
    left = plan["left_out"]
    because = f" ({left['told']})" if left["told"] else ""
    return f"Plan {plan['plan_id']} of {clock(plan['created_at'])} left it out: {words(left['code'])}{because}."


def routed_told(plan: Row, task_id: str, called: Mapping[str, str]) -> str:
    route = plan["route"]
    visits = [visit for visit in route["visits"] if visit["task_id"] == task_id]
    stops = " and ".join(f"{visit['stop_id']} at {clock(visit['arrives_at'])}" for visit in visits)
    among = f"one of {len(route['tasks'])} that are new on their road" if len(route["tasks"]) > 1 else "alone"
    planned = f"Plan {plan['plan_id']} of {clock(plan['created_at'])}, by {plan['solver']}, gave it to "
    return f"{planned}{name(route['rider_id'], called)}, {among}, to be at {stops}{came_of(plan)}."


def came_of(plan: Row) -> str:
    outcome = plan["outcome"]
    if outcome is not None:
        return "" if outcome["given"] else f"; that came to nothing: {words(outcome['reason_code'])}"
    if plan["status"] == "rejected":
        return f"; it was not committed: {words(plan['reason_code'])}"
    return "; that waits to be committed" if plan["status"] == "proposed" else "; that is being committed"


def riders_planned(plans: Sequence[Row]) -> set[str]:
    return {plan["route"]["rider_id"] for plan in plans if plan["route"] is not None}
