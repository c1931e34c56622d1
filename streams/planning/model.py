"""The problem in numbers, as our own search drives it: nodes, entries and routes as lists of nodes.

An entry is what is put onto a route or taken off it as one: a shipment's two nodes, or the one of a delivery. What a
frozen prefix has picked up and not yet delivered is an entry of one node that only its vehicle takes.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from schemas.load import Load, Measure
from streams.planning.problem import Break, Delivery, Job, Problem, Route, Shipment, Solution, Stop, Vehicle, Visit

Rule = Literal["capacity", "window", "shift", "ride", "break"]
"""What a route is judged by; reasons.py lifts one at a time."""

MEASURES: tuple[Measure, ...] = ("weight_g", "volume_cm3", "parcels")
NEVER_S = 1 << 60


class Entry(NamedTuple):
    """`penalty` None: it is left out only where it must be. `kinds`: which vehicles may have it."""

    job: str
    nodes: tuple[int, ...]
    allowed: frozenset[int]
    penalty: int | None


class Driver(NamedTuple):
    """A vehicle. `like`: those without a prefix that differ in nothing but their id have the same number."""

    id: str
    start: int
    end: int | None
    from_s: int
    until_s: int
    capacity: tuple[int, ...]
    pause: Break | None
    prefix: tuple[int, ...]
    like: int


class Underway(NamedTuple):
    """`pause`: the break that is still to be taken."""

    place: int
    from_s: int
    pause: Break | None


class Cost(NamedTuple):
    left_out: int
    vehicles: int
    amount: int


class Model:
    """`ride[node]`: of a delivery, its pickup's node and the limit between them."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.seconds, self.metres = problem.matrices.seconds, problem.matrices.metres
        self.leg = self.seconds if problem.objective == "duration" else self.metres
        self.visits: list[Visit] = []
        self.place: list[int] = []
        self.begin: list[int] = []
        self.until: list[int] = []
        self.service: list[int] = []
        self.from_depot: list[bool] = []
        self.adds: list[tuple[int, ...]] = []
        self.ride: dict[int, tuple[int, int]] = {}
        self.measures = [m for m in MEASURES if any(getattr(job.load, m) for job in problem.jobs)]
        self.entries: list[Entry] = []
        self.whole: dict[str, Entry] = {}
        for job in problem.jobs:
            self.add(job)
        self.node_of = {visit: node for node, visit in enumerate(self.visits)}
        self.vehicles = list(self.drivers())
        self.cut()
        self.entry_of = {node: each for each in self.entries for node in each.nodes}

    def add(self, job: Job) -> None:
        allowed = frozenset(at for at, vehicle in enumerate(self.problem.vehicles) if may(vehicle, job))
        match job:
            case Shipment():
                pickup = self.node(job.id, "pick_up", job.pickup, job.load, 1)
                delivery = self.node(job.id, "deliver", job.delivery, job.load, -1)
                if job.ride_limit_s is not None:
                    self.ride[delivery] = (pickup, job.ride_limit_s)
                entry = Entry(job.id, (pickup, delivery), allowed, job.penalty)
            case Delivery():
                node = self.node(job.id, "deliver", job.stop, job.load, -1, from_depot=True)
                penalty = job.penalty if job.only is None else None
                entry = Entry(job.id, (node,), allowed, penalty)
        self.whole[job.id] = entry

    def node(
        self,
        job: str,
        action: Literal["pick_up", "deliver"],
        stop: Stop,
        load: Load,
        sign: int,
        from_depot: bool = False,
    ) -> int:
        self.visits.append(Visit(job=job, action=action))
        self.place.append(stop.place)
        self.begin.append(stop.window.from_s)
        self.until.append(stop.window.until_s)
        self.service.append(stop.service_s)
        self.from_depot.append(from_depot)
        self.adds.append(tuple(sign * getattr(load, measure) for measure in self.measures))
        return len(self.visits) - 1

    def drivers(self) -> Iterator[Driver]:
        kinds: dict[object, int] = {}
        for at, vehicle in enumerate(self.problem.vehicles):
            capacity = tuple(getattr(vehicle.capacity, measure) for measure in self.measures)
            prefix = tuple(self.node_of[visit] for visit in vehicle.prefix)
            own = any(each.only == vehicle.id for each in self.problem.deliveries)
            same = (vehicle.start, vehicle.end, capacity, vehicle.shift, vehicle.skills, vehicle.pause)
            like = kinds.setdefault((same, at if prefix or own else None), len(kinds))
            shift = vehicle.shift
            yield Driver(
                vehicle.id,
                vehicle.start,
                vehicle.end,
                shift.from_s,
                shift.until_s,
                capacity,
                vehicle.pause,
                prefix,
                like,
            )

    def cut(self) -> None:
        """Entries of what no prefix has settled."""
        begun = {node: at for at, vehicle in enumerate(self.vehicles) for node in vehicle.prefix}
        for entry in self.whole.values():
            left = tuple(node for node in entry.nodes if node not in begun)
            if left == entry.nodes:
                self.entries.append(entry)
            elif left:
                holder = begun[next(node for node in entry.nodes if node in begun)]
                self.entries.append(Entry(entry.job, left, frozenset({holder}), None))

    def underway(self, vehicle: int) -> "Underway":
        """Where and when it is free for what follows its prefix."""
        who = self.vehicles[vehicle]
        if not who.prefix:
            return Underway(who.start, who.from_s, who.pause)
        last = who.prefix[-1]
        pause, times = who.pause, self.forward(vehicle, who.prefix)
        if times is None or self.ride or (pause is not None and times[-2] + self.service[last] > pause.window.until_s):
            pause, times = None, self.schedule(vehicle, who.prefix)
        if times is None:
            return Underway(self.place[last], who.until_s, pause)
        return Underway(self.place[last], times[-2] + self.service[last], pause)

    def fits(self, vehicle: int, route: Sequence[int], lifted: Collection[Rule] = ()) -> bool:
        """Whether it can be driven, the rules that are lifted apart."""
        if "capacity" not in lifted and not self.loads_fit(vehicle, route):
            return False
        if self.forward(vehicle, route, lifted) is None:
            return False
        pause = self.vehicles[vehicle].pause if "break" not in lifted else None
        rides = self.ride and "ride" not in lifted and any(node in self.ride for node in route)
        if pause is None and not rides:
            return True
        return any(self.held(vehicle, route, slot, lifted) is not None for slot in self.slots(pause, route))

    def loads_fit(self, vehicle: int, route: Sequence[int]) -> bool:
        for at, limit in enumerate(self.vehicles[vehicle].capacity):
            aboard = -sum(self.adds[node][at] for node in route if self.from_depot[node])
            if aboard > limit:
                return False
            for node in route:
                aboard += self.adds[node][at]
                if aboard > limit:
                    return False
        return True

    def forward(self, vehicle: int, route: Sequence[int], lifted: Collection[Rule] = ()) -> list[int] | None:
        """When each service begins, and the end, each as early as can be; without breaks and ride limits."""
        who, seconds, place = self.vehicles[vehicle], self.seconds, self.place
        begin, until, service = self.begin, self.until, self.service
        windows = "window" not in lifted
        now, here, times = who.from_s, who.start, []
        for node in route:
            there = place[node]
            now += seconds[here][there]
            if now < begin[node]:
                now = begin[node]
            if now > until[node] and windows:
                return None
            times.append(now)
            now += service[node]
            here = there
        now += 0 if who.end is None else seconds[here][who.end]
        times.append(now)
        return times if now <= who.until_s or "shift" in lifted else None

    def schedule(self, vehicle: int, route: Sequence[int], lifted: Collection[Rule] = ()) -> list[int] | None:
        """As `forward`, with the break and the ride limits: the schedule that ends first."""
        pause = self.vehicles[vehicle].pause if "break" not in lifted else None
        slots = self.slots(pause, route)
        found = [times for slot in slots if (times := self.held(vehicle, route, slot, lifted)) is not None]
        return min(found, key=lambda times: times[-1], default=None)

    def slots(self, pause: Break | None, route: Sequence[int]) -> Sequence[int | None]:
        """Where the break may be: as `paced` counts."""
        return [None] if pause is None else range(-1, len(route) + 2)

    def held(self, vehicle: int, route: Sequence[int], slot: int | None, lifted: Collection[Rule]) -> list[int] | None:
        """Goes along the route; where a ride is too long, its pickup is held back and all begins anew from there."""
        held: dict[int, int] = {}
        for _ in range(2 * len(route) + 2):
            times = self.paced(vehicle, route, slot, held, lifted)
            if times is None:
                return None
            pushed = {} if "ride" in lifted else dict(self.held_back(route, times))
            if not pushed:
                return times
            held |= pushed
        return None

    def held_back(self, route: Sequence[int], times: Sequence[int]) -> Iterator[tuple[int, int]]:
        at = dict(zip(route, times, strict=False))
        for node in route:
            if node in self.ride:
                pickup, limit = self.ride[node]
                least = at[node] - limit - self.service[pickup]
                if pickup in at and at[pickup] < least:
                    yield pickup, least

    def paced(
        self,
        vehicle: int,
        route: Sequence[int],
        slot: int | None,
        held: Mapping[int, int],
        lifted: Collection[Rule],
    ) -> list[int] | None:
        """The break in `slot`: -1 before departure, n on the way to stop n, one more than legs after the end."""
        who, pause = self.vehicles[vehicle], self.vehicles[vehicle].pause
        now, here, times = who.from_s, who.start, list[int]()
        if pause is not None and slot == -1:
            if now > pause.window.until_s:
                return None
            now = max(now, pause.window.from_s) + pause.seconds
        for at, node in enumerate([*route, None]):
            there = who.end if node is None else self.place[node]
            drive = 0 if there is None else self.seconds[here][there]
            if pause is not None and slot == at:
                if now > pause.window.until_s:
                    return None
                now = max(now + drive + pause.seconds, pause.window.from_s + pause.seconds)
            else:
                now += drive
            if node is None:
                break
            now = max(now, self.begin[node], held.get(node, 0))
            if now > self.until[node] and "window" not in lifted:
                return None
            times.append(now)
            now += self.service[node]
            here = self.place[node]
        ends, over = now, now
        if pause is not None and slot == len(route) + 1:
            if now > pause.window.until_s:
                return None
            over = max(now, pause.window.from_s) + pause.seconds
        return [*times, ends] if over <= who.until_s or "shift" in lifted else None

    def amount(self, vehicle: int, route: Sequence[int]) -> int:
        """What a route costs in the objective's unit, 0 where it is empty."""
        if not route:
            return 0
        if self.problem.objective == "duration":
            return self.duration(vehicle, route)
        who, place = self.vehicles[vehicle], self.place
        here, metres = who.start, 0
        for node in route:
            metres += self.metres[here][place[node]]
            here = place[node]
        return metres + (0 if who.end is None else self.metres[here][who.end])

    def duration(self, vehicle: int, route: Sequence[int]) -> int:
        """Seconds to its end from the latest departure that does not delay it.

        With a break or ride limits it leaves just in time for the first stop: an upper bound, the checker knows better.
        """
        who = self.vehicles[vehicle]
        if who.pause is not None or any(node in self.ride for node in route):
            times = self.schedule(vehicle, route)
            if times is None:
                return NEVER_S
            return times[-1] - (who.from_s if who.prefix else times[0] - self.seconds[who.start][self.place[route[0]]])
        times = self.forward(vehicle, route)
        if times is None:
            return NEVER_S
        return times[-1] - who.from_s - (0 if who.prefix else self.spare(vehicle, route, times))

    def spare(self, vehicle: int, route: Sequence[int], times: Sequence[int]) -> int:
        """By how much it can leave later and end at the same time (Cordeau and Laporte 2003, forward time slack)."""
        who = self.vehicles[vehicle]
        now, here, waited, slack = who.from_s, who.start, 0, NEVER_S
        for node, begins in zip(route, times, strict=False):
            waited += begins - now - self.seconds[here][self.place[node]]
            slack = min(slack, waited + self.until[node] - begins)
            now, here = begins + self.service[node], self.place[node]
        return min(waited, slack)

    def cost(self, routes: Sequence[Sequence[int]], amounts: Sequence[int], pending: Collection[Entry]) -> Cost:
        return Cost(
            sum(entry.penalty is None for entry in pending),
            sum(map(bool, routes)) if self.problem.objective == "vehicles" else 0,
            sum(amounts) + sum(entry.penalty or 0 for entry in pending),
        )

    def solution(self, routes: Sequence[Sequence[int]]) -> Solution:
        return Solution(
            routes=tuple(
                Route(vehicle=who.id, visits=tuple(self.visits[node] for node in route))
                for who, route in zip(self.vehicles, routes, strict=True)
                if route
            )
        )


def may(vehicle: Vehicle, job: Job) -> bool:
    return job.skills <= vehicle.skills and (isinstance(job, Shipment) or job.only in (None, vehicle.id))
