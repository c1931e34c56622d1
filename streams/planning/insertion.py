"""Where entries go: the cheapest place that fits; first what has most to lose (regret: Potvin and Rousseau 1993)."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from random import Random
from typing import NamedTuple

from streams.planning.model import Entry, Model, Rule
from streams.planning.problem import Solution

NOWHERE = 1 << 60


class Spot(NamedTuple):
    """`amount`: the whole route's after it."""

    added: int
    vehicle: int
    route: list[int]
    amount: int


class State:
    """Routes by vehicle, what each costs, and what is on none."""

    def __init__(self, model: Model, routes: Sequence[Sequence[int]], pending: Iterable[Entry]) -> None:
        self.model = model
        self.routes = [list(route) for route in routes]
        self.amounts = [model.amount(at, route) for at, route in enumerate(self.routes)]
        self.pending = list(pending)

    def copy(self) -> "State":
        twin = State.__new__(State)
        twin.model, twin.routes, twin.amounts, twin.pending = (
            self.model,
            list(self.routes),
            list(self.amounts),
            list(self.pending),
        )
        return twin

    def put(self, vehicle: int, route: list[int], amount: int | None = None) -> None:
        self.routes[vehicle] = route
        self.amounts[vehicle] = self.model.amount(vehicle, route) if amount is None else amount

    def take_off(self, entry: Entry, vehicle: int) -> None:
        self.put(vehicle, [node for node in self.routes[vehicle] if node not in entry.nodes])
        self.pending.append(entry)

    @property
    def cost(self) -> tuple[int, int, int]:
        return self.model.cost(self.routes, self.amounts, self.pending)

    @property
    def solution(self) -> Solution:
        return self.model.solution(self.routes)


def begun(model: Model) -> State:
    """Only what is committed."""
    return State(model, [vehicle.prefix for vehicle in model.vehicles], model.entries)


def inserted(model: Model) -> State:
    """A plan by cheapest insertion, what must be soon first: quick, and the one that is there when all else fails."""
    state = begun(model)
    by_urgency = sorted(
        model.entries, key=lambda entry: (len(entry.allowed) > 1, entry.penalty is not None, urgency(model, entry))
    )
    state.pending = []
    for entry in by_urgency:
        spot = best_spot(state, entry)
        if spot is not None and worth(spot, entry):
            state.put(spot.vehicle, spot.route, spot.amount)
        else:
            state.pending.append(entry)
    return state


def urgency(model: Model, entry: Entry) -> int:
    return min(model.until[node] for node in entry.nodes)


def worth(spot: Spot, entry: Entry) -> bool:
    return entry.penalty is None or spot.added < entry.penalty


def best_spot(state: State, entry: Entry, lifted: Collection[Rule] = ()) -> Spot | None:
    spots = (spot_on(state, entry, vehicle, lifted) for vehicle in open_to(state, entry))
    return min((each for each in spots if each is not None), key=lambda each: each.added, default=None)


def has_spot(state: State, entry: Entry, lifted: Collection[Rule] = ()) -> bool:
    return any(spot_on(state, entry, vehicle, lifted) is not None for vehicle in open_to(state, entry))


def open_to(state: State, entry: Entry, closed: int | None = None) -> Iterator[int]:
    """Of unused vehicles that are alike one is as good as another."""
    seen: set[int] = set()
    for vehicle in sorted(entry.allowed):
        if not state.routes[vehicle]:
            like = state.model.vehicles[vehicle].like
            if like in seen or closed is not None:
                continue
            seen.add(like)
        if vehicle != closed:
            yield vehicle


def spot_on(state: State, entry: Entry, vehicle: int, lifted: Collection[Rule] = ()) -> Spot | None:
    """The cheapest by what it adds to the legs, of those that fit."""
    model, route = state.model, state.routes[vehicle]
    if "capacity" not in lifted and too_full(model, vehicle, route, entry):
        return None
    for added, first, second in sorted(places(model, entry, vehicle, route, lifted)):
        longer = [*route[:first], entry.nodes[0], *route[first:]]
        if len(entry.nodes) == 2:
            longer.insert(second + 1, entry.nodes[1])
        if model.fits(vehicle, longer, lifted):
            amount = model.amount(vehicle, longer) if model.problem.objective == "duration" else -1
            if amount < 0:
                return Spot(added, vehicle, longer, state.amounts[vehicle] + added)
            return Spot(amount - state.amounts[vehicle], vehicle, longer, amount)
    return None


def too_full(model: Model, vehicle: int, route: Sequence[int], entry: Entry) -> bool:
    """Whether what comes from the depot leaves no room at departure: the same wherever it goes."""
    node = entry.nodes[0]
    if not model.from_depot[node]:
        return False
    aboard = [model.adds[each] for each in (*route, node) if model.from_depot[each]]
    return any(
        -sum(column) > limit
        for column, limit in zip(zip(*aboard, strict=True), model.vehicles[vehicle].capacity, strict=True)
    )


def places(
    model: Model, entry: Entry, vehicle: int, route: Sequence[int], lifted: Collection[Rule]
) -> Iterator[tuple[int, int, int]]:
    """What each pair of places adds, those left out that the windows alone forbid."""
    who, leg, place = model.vehicles[vehicle], model.leg, model.place
    stops = [who.start, *(place[node] for node in route), who.end]
    first, last = entry.nodes[0], entry.nodes[-1]
    before, after = reach(model, vehicle, route, lifted)
    alone = 0 if route or who.end is None else -leg[who.start][who.end]
    for i in range(len(who.prefix), len(route) + 1):
        if not passes(model, first, i, stops, before, after):
            continue
        a, b, x = stops[i], stops[i + 1], place[first]
        assert a is not None
        into = leg[a][x] - alone_leg(leg, a, b) - alone
        if first == last:
            yield into + alone_leg(leg, x, b), i, i
            continue
        y = place[last]
        yield into + leg[x][y] + alone_leg(leg, y, b), i, i
        into += alone_leg(leg, x, b)
        for j in range(i + 1, len(route) + 1):
            if passes(model, last, j, stops, before, after):
                c, d = stops[j], stops[j + 1]
                assert c is not None
                yield into + leg[c][y] + alone_leg(leg, y, d) - alone_leg(leg, c, d), i, j


def alone_leg(leg: Sequence[Sequence[int]], a: int, b: int | None) -> int:
    return 0 if b is None else leg[a][b]


def reach(model: Model, vehicle: int, route: Sequence[int], lifted: Collection[Rule]) -> tuple[list[int], list[int]]:
    """When it leaves each stop at the earliest, and by when it has to be at each at the latest, as it is."""
    who, seconds, place = model.vehicles[vehicle], model.seconds, model.place
    leaves, here = [who.from_s], who.start
    for node in route:
        now = max(leaves[-1] + seconds[here][place[node]], model.begin[node])
        leaves.append(now + model.service[node])
        here = place[node]
    if "window" in lifted or "shift" in lifted:
        return leaves, [NOWHERE] * len(leaves)
    latest, there = [who.until_s], who.end
    for node in reversed(route):
        leg = 0 if there is None else seconds[place[node]][there]
        latest.append(min(model.until[node], latest[-1] - leg - model.service[node]))
        there = place[node]
    return leaves, latest[::-1]


def passes(
    model: Model, node: int, at: int, stops: Sequence[int | None], leaves: Sequence[int], latest: Sequence[int]
) -> bool:
    """Whether the node alone could stand there: what is needed, and for one node without more rules enough."""
    here, there, x = stops[at], stops[at + 1], model.place[node]
    assert here is not None
    now = leaves[at] + model.seconds[here][x]
    if now > model.until[node] and latest[at] != NOWHERE:
        return False
    now = max(now, model.begin[node]) + model.service[node]
    return now + (0 if there is None else model.seconds[x][there]) <= latest[at]


def regret(state: State, random: Random, closed: int | None = None, noise: float = 0.0) -> None:
    """Puts onto routes what is pending: first what would lose most by going to its second best vehicle.

    `closed`: the vehicle that takes nothing; then no unused one is opened either.
    """
    spots: dict[tuple[str, int], Spot | None] = {}
    left, pending = [], state.pending
    while pending:
        best: tuple[tuple[bool, float], Entry, Spot] | None = None
        for entry in list(pending):
            found = []
            for vehicle in open_to(state, entry, closed):
                if (entry.job, vehicle) not in spots:
                    spots[entry.job, vehicle] = spot_on(state, entry, vehicle)
                if (spot := spots[entry.job, vehicle]) is not None:
                    found.append((spot.added * (1 + noise * (random.random() - 0.5)), spot))
            if not found:
                pending.remove(entry)
                left.append(entry)
                continue
            found.sort(key=lambda each: each[0])
            loss = found[1][0] - found[0][0] if len(found) > 1 else NOWHERE
            rank = (entry.penalty is None, loss - found[0][0] * 1e-3)
            if not worth(found[0][1], entry):
                pending.remove(entry)
                left.append(entry)
            elif best is None or rank > best[0]:
                best = (rank, entry, found[0][1])
        if best is not None:
            _, entry, spot = best
            state.put(spot.vehicle, spot.route, spot.amount)
            pending.remove(entry)
            spots = {key: each for key, each in spots.items() if key[1] != spot.vehicle}
    state.pending = left
