"""Our own search: some entries are taken off and put back better (ruin and recreate: Shaw 1998, Schrimpf 2000).

It knows every rule of the problem, also those that no solver here can be told: ride limits, breaks, penalties.
"""

import time
from collections.abc import Callable, Iterator
from random import Random

from streams.planning.effort import Effort
from streams.planning.insertion import State, begun, inserted, regret
from streams.planning.model import Entry, Model
from streams.planning.problem import Problem, Solution

LEAST_OFF, MOST_OFF, MOST_SHARE = 6, 30, 0.3
"""Entries taken off at once, at most that share of all between the two."""
NOISE = (0.0, 0.0, 0.1, 1.0)
"""By how much what an insertion adds may be misjudged, so that not the same plan comes again and again."""
WORSE_AT_FIRST = 0.004
"""How much worse a plan may be and still be gone on from, as a share; it shrinks to nothing at the end."""
CLOSE_A_ROUTE = 0.3
"""How often a whole route is taken off, where vehicles come first; else a third as often."""


def repaired(model: Model, solution: Solution, random: Random) -> State:
    """The nearest to it that fits: what breaks a rule is taken off and put where it can be."""
    state = begun(model)
    at = {vehicle.id: number for number, vehicle in enumerate(model.vehicles)}
    on: set[int] = set()
    for route in solution.routes:
        vehicle = at[route.vehicle]
        nodes = [model.node_of[visit] for visit in route.visits if visit in model.node_of]
        kept = [node for node in nodes if node in model.entry_of and vehicle in model.entry_of[node].allowed]
        kept = [node for node in dict.fromkeys(kept) if node not in on and whole(model.entry_of[node], kept)]
        state.put(vehicle, [*model.vehicles[vehicle].prefix, *kept])
        shrink(state, vehicle)
        on.update(state.routes[vehicle])
    state.pending = [entry for entry in model.entries if entry.nodes[0] not in on]
    regret(state, random)
    return state


def whole(entry: Entry, nodes: list[int]) -> bool:
    if any(node not in nodes for node in entry.nodes):
        return False
    return nodes.index(entry.nodes[0]) <= nodes.index(entry.nodes[-1])


def shrink(state: State, vehicle: int) -> None:
    """Takes off entry by entry until the rest fits, each time the one that saves most; last what is aboard already."""
    while not state.model.fits(vehicle, state.routes[vehicle]):
        entries = on_route(state, vehicle)
        if not entries:
            state.put(vehicle, list(state.model.vehicles[vehicle].prefix))
            return
        shorter = {entry: [n for n in state.routes[vehicle] if n not in entry.nodes] for entry in entries}
        fitting = [entry for entry in entries if state.model.fits(vehicle, shorter[entry])]
        costs = {entry: state.model.amount(vehicle, shorter[entry]) for entry in fitting or entries}
        state.put(vehicle, shorter[min(costs, key=lambda entry: costs[entry])])


def improved(
    problem: Problem,
    start: Solution | None,
    effort: Effort,
    seed: int,
    found: Callable[[Solution], None] = lambda _: None,
) -> Solution:
    """Never worse than `start` repaired, as this search counts."""
    model, random = Model(problem), Random(seed)
    state = inserted(model) if start is None else repaired(model, start, random)
    best = current = state
    found(best.solution)
    for done in passing(effort):
        candidate = current.copy()
        closed = ruin(candidate, random)
        regret(candidate, random, closed, random.choice(NOISE))
        if candidate.cost < best.cost:
            best = candidate
            found(best.solution)
        if acceptable(candidate, best, done):
            current = candidate
    return best.solution


def passing(effort: Effort) -> Iterator[float]:
    """Which share of the effort is gone, once an iteration."""
    if effort.iterations is not None:
        yield from (at / effort.iterations for at in range(effort.iterations))
        return
    begun = time.monotonic()
    while (done := (time.monotonic() - begun) / max(effort.seconds or 0, 1e-9)) < 1:
        yield done


def acceptable(candidate: State, best: State, done: float) -> bool:
    """Not worse by what comes first, and a little by the rest."""
    left, vehicles, amount = candidate.cost
    best_left, best_vehicles, best_amount = best.cost
    if (left, vehicles) != (best_left, best_vehicles):
        return (left, vehicles) < (best_left, best_vehicles)
    return amount <= best_amount * (1 + WORSE_AT_FIRST * (1 - done))


def ruin(state: State, random: Random) -> int | None:
    """Takes entries off. The vehicle whose whole route it was, if so."""
    vehicles_first = state.model.problem.objective == "vehicles"
    whole_route = random.random() < (CLOSE_A_ROUTE if vehicles_first else CLOSE_A_ROUTE / 3)
    movable = [at for at, _ in enumerate(state.routes) if on_route(state, at)]
    if not movable:
        return None
    if whole_route:
        vehicle = min(random.sample(movable, min(3, len(movable))), key=lambda at: len(state.routes[at]))
        for entry in on_route(state, vehicle):
            state.take_off(entry, vehicle)
        near(state, random, count(state, random) // 2)
        return vehicle if vehicles_first and not state.routes[vehicle] else None
    random.choice((near, near, scattered, dear))(state, random, count(state, random))
    return None


def count(state: State, random: Random) -> int:
    most = min(len(state.model.entries), max(LEAST_OFF, min(MOST_OFF, int(MOST_SHARE * len(state.model.entries)))))
    return random.randint(1, most)


def on_route(state: State, vehicle: int) -> list[Entry]:
    """What can be taken off it: not what is aboard already."""
    model = state.model
    begin = len(model.vehicles[vehicle].prefix)
    entries = dict.fromkeys(model.entry_of[node] for node in state.routes[vehicle][begin:])
    return [entry for entry in entries if len(entry.nodes) == len(model.whole[entry.job].nodes)]


def all_on(state: State) -> list[tuple[Entry, int]]:
    return [
        (entry, vehicle) for vehicle, route in enumerate(state.routes) if route for entry in on_route(state, vehicle)
    ]


def scattered(state: State, random: Random, number: int) -> None:
    entries = all_on(state)
    for entry, vehicle in random.sample(entries, min(number, len(entries))):
        state.take_off(entry, vehicle)


def dear(state: State, random: Random, number: int) -> None:
    """Those that cost most where they are, with some chance (Ropke and Pisinger 2006)."""
    saved = []
    for entry, vehicle in all_on(state):
        without = [node for node in state.routes[vehicle] if node not in entry.nodes]
        saved.append((state.amounts[vehicle] - state.model.amount(vehicle, without), entry, vehicle))
    saved.sort(key=lambda each: -each[0])
    for _ in range(min(number, len(saved))):
        _, entry, vehicle = saved.pop(int(random.random() ** 4 * len(saved)))
        state.take_off(entry, vehicle)


def near(state: State, random: Random, number: int) -> None:
    """Neighbours in space and time of one that is drawn."""
    entries = all_on(state)
    if not entries:
        return
    seed, _ = random.choice(entries)
    entries.sort(key=lambda each: apart(state.model, seed, each[0]))
    for _ in range(min(number, len(entries))):
        entry, vehicle = entries.pop(int(random.random() ** 6 * len(entries)))
        state.take_off(entry, vehicle)


def apart(model: Model, one: Entry, other: Entry) -> float:
    pairs = list(zip((one.nodes[0], one.nodes[-1]), (other.nodes[0], other.nodes[-1]), strict=True))
    road = sum(model.seconds[model.place[a]][model.place[b]] for a, b in pairs)
    return road + 0.3 * sum(abs(model.begin[a] - model.begin[b]) for a, b in pairs)
