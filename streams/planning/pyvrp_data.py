"""A problem as PyVRP has it, and its answers as ours.

Each node is a location of its own. Vehicles that may take the same entries share a profile, in which the others lie too
far away. A vehicle with a prefix begins where and when that ends; what it has aboard is a client that only it can
reach. Ride limits and breaks it cannot be told (improvement.py adds them).
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyvrp

from streams.planning.model import Entry, Model
from streams.planning.problem import Solution

FAR_SHARE = 4
"""Too far: as many times all that may be needed of it."""
VEHICLE_LEGS = 3
"""What a vehicle costs where they come first, in longest legs. With ten PyVRP loses itself among plans of too few
vehicles, which cannot be driven: with 400 customers it found nothing better in 1,500 iterations, with two it did."""


class Kind(NamedTuple):
    """Vehicles that PyVRP need not tell apart."""

    vehicles: list[int]
    allowed: frozenset[str]


class Data:
    """`placed`: whether a plan is known that leaves nothing out that must not be; then it need not be asked again.

    `fleet`: how many vehicles there are, where all are alike. `hopeless`: entries that it is not to hear of.
    """

    def __init__(self, model: Model, placed: bool, fleet: int | None = None, hopeless: Collection[Entry] = ()) -> None:
        self.model = model
        entries = [entry for entry in model.entries if entry not in hopeless]
        self.clients = [entry for entry in entries if len(entry.nodes) == 1]
        self.shipments = [entry for entry in entries if len(entry.nodes) == 2]
        self.kinds = kinds(model)
        self.start = len(model.visits)
        self.dearest = dearest(model)
        self.placed = placed
        self.data = self.built(fleet)

    @property
    def alike(self) -> bool:
        """Whether all vehicles are."""
        return len(self.kinds) == 1

    def built(self, fleet: int | None) -> pyvrp.ProblemData:
        model = self.model
        ready = [model.underway(kind.vehicles[0]) for kind in self.kinds]
        ends = [model.vehicles[kind.vehicles[0]].end for kind in self.kinds]
        places: list[int | None] = [*model.place, *(each.place for each in ready), *ends]
        profiles = list(dict.fromkeys(kind.allowed for kind in self.kinds))
        tables = [self.tables(places, allowed) for allowed in profiles]
        count = len(self.kinds)
        return pyvrp.ProblemData(
            locations=[pyvrp.Location(0, 0) for _ in places],
            clients=[self.client(entry) for entry in self.clients],
            shipments=[self.shipment(entry) for entry in self.shipments],
            depots=[pyvrp.Depot(self.start + at) for at in range(2 * count)],
            vehicle_types=[
                self.vehicle_type(kind, at, count + at, ready[at].from_s, profiles.index(kind.allowed), fleet)
                for at, kind in enumerate(self.kinds)
            ],
            distance_matrices=[metres for metres, _ in tables],  # type: ignore[misc]  # its stub says ndarray[int]
            duration_matrices=[seconds for _, seconds in tables],  # type: ignore[misc]
        )

    def tables(
        self, places: Sequence[int | None], allowed: frozenset[str]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        model = self.model
        at = np.array([0 if place is None else place for place in places])
        nowhere = [number for number, place in enumerate(places) if place is None]
        barred = [node for entry in model.entries if entry.job not in allowed for node in entry.nodes]
        tables: list[npt.NDArray[np.int64]] = []
        for table in (model.metres, model.seconds):
            values = np.array(table, dtype=np.int64)[np.ix_(at, at)]
            values[:, nowhere] = 0
            values[:, barred] = self.dearest * FAR_SHARE
            np.fill_diagonal(values, 0)
            tables.append(values)
        return tables[0], tables[1]

    def prize(self, entry: Entry) -> tuple[int, bool]:
        if entry.penalty is None:
            return (0, True) if self.placed else (2 * self.dearest, False)  # more than a vehicle and its way
        return entry.penalty, False

    def client(self, entry: Entry) -> pyvrp.Client:
        model, node = self.model, entry.nodes[0]
        prize, required = self.prize(entry)
        return pyvrp.Client(
            location=node,
            delivery=[-each for each in model.adds[node]],
            service_duration=model.service[node],
            tw_early=model.begin[node],
            tw_late=model.until[node],
            prize=prize,
            required=required,
        )

    def shipment(self, entry: Entry) -> pyvrp.Shipment:
        model, (pickup, delivery) = self.model, entry.nodes
        prize, required = self.prize(entry)
        return pyvrp.Shipment(
            pickup_location=pickup,
            delivery_location=delivery,
            pickup_tw_early=model.begin[pickup],
            pickup_tw_late=model.until[pickup],
            pickup_service_duration=model.service[pickup],
            delivery_tw_early=model.begin[delivery],
            delivery_tw_late=model.until[delivery],
            delivery_service_duration=model.service[delivery],
            amount=list(model.adds[pickup]),
            prize=prize,
            required=required,
        )

    def vehicle_type(
        self, kind: Kind, start: int, end: int, from_s: int, profile: int, fleet: int | None
    ) -> pyvrp.VehicleType:
        who = self.model.vehicles[kind.vehicles[0]]
        by_time = self.model.problem.objective == "duration"
        vehicles_first = self.model.problem.objective == "vehicles" and not who.prefix
        return pyvrp.VehicleType(
            num_available=len(kind.vehicles) if fleet is None else fleet,
            capacity=list(who.capacity),
            start_depot=start,
            end_depot=end,
            fixed_cost=VEHICLE_LEGS * longest(self.model) if vehicles_first and fleet is None else 0,
            tw_early=from_s,
            tw_late=who.until_s,
            start_late=from_s if who.prefix else None,
            unit_distance_cost=0 if by_time else 1,
            unit_duration_cost=1 if by_time else 0,
            profile=profile,
        )

    def given(self, solution: Solution) -> pyvrp.Solution:
        """What of it PyVRP can be given: routes of vehicles with what is left to visit."""
        model = self.model
        type_of = {model.vehicles[at].id: number for number, kind in enumerate(self.kinds) for at in kind.vehicles}
        activity = self.activities()
        routes = []
        for route in solution.routes:
            nodes = [model.node_of[visit] for visit in route.visits]
            activities = [activity[node] for node in nodes if node in activity]
            if activities:
                routes.append(pyvrp.Route(self.data, activities, type_of[route.vehicle]))
        return pyvrp.Solution(self.data, routes)

    def activities(self) -> Mapping[int, pyvrp.Activity]:
        kinds = pyvrp.ActivityType
        alone = {each.nodes[0]: pyvrp.Activity(kinds.CLIENT, at) for at, each in enumerate(self.clients)}
        picked = {each.nodes[0]: pyvrp.Activity(kinds.PICKUP, at) for at, each in enumerate(self.shipments)}
        dropped = {each.nodes[1]: pyvrp.Activity(kinds.DELIVERY, at) for at, each in enumerate(self.shipments)}
        return alone | picked | dropped

    def answered(self, solution: pyvrp.Solution) -> Solution:
        model = self.model
        routes: list[list[int]] = [list(vehicle.prefix) for vehicle in model.vehicles]
        free = [list(kind.vehicles) for kind in self.kinds]
        for route in solution.routes():
            vehicle = free[route.vehicle_type()].pop(0)
            routes[vehicle] += [node for step in route.schedule() if (node := self.node(step)) is not None]
        return model.solution(routes)

    def node(self, step: pyvrp.Activity) -> int | None:
        if step.is_depot():
            return None
        if step.is_client():
            return self.clients[step.idx].nodes[0]
        return self.shipments[step.idx].nodes[0 if step.is_pickup() else 1]


def kinds(model: Model) -> list[Kind]:
    numbers = sorted(range(len(model.vehicles)), key=lambda at: model.vehicles[at].like)
    grouped = [list(group) for _, group in groupby(numbers, key=lambda at: model.vehicles[at].like)]
    return [
        Kind(group, frozenset(entry.job for entry in model.entries if group[0] in entry.allowed)) for group in grouped
    ]


def dearest(model: Model) -> int:
    """More than any plan costs and any day lasts."""
    legs = len(model.visits) + len(model.vehicles)
    ends = max(vehicle.until_s for vehicle in model.vehicles)
    penalties = sum(entry.penalty or 0 for entry in model.entries)
    return longest(model) * min(legs, len(model.entries)) + ends + penalties + 1


def longest(model: Model) -> int:
    return max((max(row, default=0) for row in (*model.metres, *model.seconds)), default=0)
