"""Why a job is on no route: rule by rule is lifted until it would fit, first alone, then beside the others."""

from collections.abc import Iterator
from itertools import combinations
from typing import Literal

from streams.planning.insertion import State, begun, best_spot, has_spot
from streams.planning.model import Entry, Model, Rule, may
from streams.planning.problem import Part, Solution

Reason = Literal[
    "skill_missing",
    "no_capacity",
    "window_unreachable",
    "shift_too_short",
    "ride_too_long",
    "break_in_the_way",
    "several_rules",
    "not_worth_it",
    "not_found",
]
CODES: dict[Rule, Reason] = {
    "capacity": "no_capacity",
    "window": "window_unreachable",
    "shift": "shift_too_short",
    "ride": "ride_too_long",
    "break": "break_in_the_way",
}
RULES: tuple[Rule, ...] = ("capacity", "ride", "break", "shift", "window")
WORDS: dict[Rule, str] = {
    "capacity": "room",
    "window": "the windows",
    "shift": "the end of the shift",
    "ride": "the ride limits",
    "break": "the break",
}


class LeftOut(Part, frozen=True):
    """`alone`: no vehicle could do it even if it had nothing else to do than what is committed."""

    job: str
    reason: Reason
    alone: bool
    told: str


def left_out(model: Model, solution: Solution) -> Iterator[LeftOut]:
    """Of each job that the solution does not deliver."""
    state = state_of(model, solution)
    for entry in state.pending:
        yield why(state, entry)


def state_of(model: Model, solution: Solution) -> State:
    by_vehicle = {route.vehicle: [model.node_of[visit] for visit in route.visits] for route in solution.routes}
    routes = [by_vehicle.get(vehicle.id, []) for vehicle in model.vehicles]
    on = {node for route in routes for node in route}
    return State(model, routes, [entry for entry in model.entries if entry.nodes[0] not in on])


def why(state: State, entry: Entry) -> LeftOut:
    model = state.model
    if not entry.allowed:
        return LeftOut(job=entry.job, reason="skill_missing", alone=True, told=skills_told(model, entry))
    nothing_else = begun(model)
    if not has_spot(nothing_else, entry):
        reason, told = lifted(nothing_else, entry)
        return LeftOut(job=entry.job, reason=reason, alone=True, told=f"no vehicle could do it alone: {told}")
    spot = best_spot(state, entry)
    if spot is None:
        reason, told = lifted(state, entry)
        return LeftOut(job=entry.job, reason=reason, alone=False, told=f"beside the others it fits nowhere: {told}")
    if entry.penalty is None:
        told = f"it would fit on vehicle {model.vehicles[spot.vehicle].id}; no solver has found that"
        return LeftOut(job=entry.job, reason="not_found", alone=False, told=told)
    told = f"it would add {spot.added}, leaving it out costs {entry.penalty}"
    return LeftOut(job=entry.job, reason="not_worth_it", alone=False, told=told)


def lifted(state: State, entry: Entry) -> tuple[Reason, str]:
    """The one rule without which it fits, or as few of them as need be."""
    for rule in RULES:
        if has_spot(state, entry, (rule,)):
            return CODES[rule], f"it would but for {WORDS[rule]}"
    for size in range(2, len(RULES)):
        for rules in combinations(RULES, size):
            if has_spot(state, entry, rules):
                return "several_rules", f"it would but for {' and '.join(WORDS[rule] for rule in rules)}"
    return "several_rules", "every rule forbids it"


def skills_told(model: Model, entry: Entry) -> str:
    """What nobody has; or that nobody has all of it."""
    job = next(each for each in model.problem.jobs if each.id == entry.job)
    known = frozenset[str]().union(*(vehicle.skills for vehicle in model.problem.vehicles))
    if missing := sorted(job.skills - known):
        return f"no vehicle has {', '.join(missing)}"
    assert not any(may(vehicle, job) for vehicle in model.problem.vehicles)
    return f"no vehicle that may take it has all of {', '.join(sorted(job.skills))}"
