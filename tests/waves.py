"""Problems for the planner: small ones drawn from a seed, with every rule there is, and builders for those told here."""

from random import Random
from typing import Any

from schemas.load import Capacity, Load
from streams.planning.problem import (
    Break,
    Delivery,
    Matrices,
    Problem,
    Route,
    Shipment,
    Solution,
    Stop,
    Vehicle,
    Visit,
    Window,
)

ROOM = Capacity(weight_g=1_000, volume_cm3=1_000, parcels=10)
DAY = Window(from_s=0, until_s=1_000)


def on_a_line(*, places: int = 21, s: int = 10, **fields: Any) -> Problem:
    """Places 0, 1, 2 … a hundred metres and `s` seconds apart."""
    rows = range(places)
    return Problem(
        matrices=Matrices(
            seconds=tuple(tuple(abs(a - b) * s for b in rows) for a in rows),
            metres=tuple(tuple(abs(a - b) * 100 for b in rows) for a in rows),
        ),
        **fields,
    )


def rider(name: str = "ann", **fields: Any) -> Vehicle:
    return Vehicle(**{"id": name, "start": 0, "end": 0, "capacity": ROOM, "shift": DAY} | fields)


def stop(place: int, from_s: int = 0, until_s: int = 1_000, service_s: int = 0) -> Stop:
    return Stop(place=place, window=Window(from_s=from_s, until_s=until_s), service_s=service_s)


def shipment(name: str, pickup: Stop | int, delivery: Stop | int, **fields: Any) -> Shipment:
    first, last = (each if isinstance(each, Stop) else stop(each) for each in (pickup, delivery))
    return Shipment(**{"id": name, "pickup": first, "delivery": last, "load": Load(parcels=1)} | fields)


def delivery(name: str, at: Stop | int, **fields: Any) -> Delivery:
    where = at if isinstance(at, Stop) else stop(at)
    return Delivery(**{"id": name, "stop": where, "load": Load(parcels=1)} | fields)


def pause(from_s: int, until_s: int, seconds: int) -> Break:
    return Break(window=Window(from_s=from_s, until_s=until_s), seconds=seconds)


def visits(*told: str) -> tuple[Visit, ...]:
    """`+soup` picks it up, `soup` delivers it."""
    return tuple(Visit(job=each.lstrip("+"), action="pick_up" if each.startswith("+") else "deliver") for each in told)


def route(vehicle: str, *told: str) -> Route:
    return Route(vehicle=vehicle, visits=visits(*told))


def plan(**routes: str) -> Solution:
    """plan(ann="+soup soup")"""
    return Solution(routes=tuple(route(vehicle, *told.split()) for vehicle, told in routes.items()))


def drawn(seed: int, *, jobs: int = 8, vehicles: int = 3, tight: float = 1.0) -> Problem:
    """A town of 900 by 900 m for three hours, at 3 m/s; some of everything. `tight`: how short windows and limits are."""
    random = Random(seed)
    spots = [(random.randrange(900), random.randrange(900)) for _ in range(12)]
    metres = tuple(tuple(abs(a - c) + abs(b - d) for c, d in spots) for a, b in spots)
    seconds = tuple(tuple(-(-each // 3) for each in row) for row in metres)
    return Problem(
        matrices=Matrices(seconds=seconds, metres=metres),
        vehicles=tuple(drawn_rider(random, at, len(spots)) for at in range(vehicles)),
        shipments=tuple(drawn_shipment(random, at, seconds, tight) for at in range(jobs - jobs // 3)),
        deliveries=tuple(drawn_delivery(random, at, len(spots), tight) for at in range(jobs // 3)),
        objective=random.choice(("distance", "duration", "vehicles")),
    )


def drawn_rider(random: Random, at: int, places: int) -> Vehicle:
    begins = random.randrange(0, 1_200)
    has_break = random.random() < 0.4
    return Vehicle(
        id=f"rider-{at}",
        start=random.randrange(places),
        end=None if random.random() < 0.4 else random.randrange(places),
        capacity=Capacity(weight_g=random.randrange(5, 20), volume_cm3=random.randrange(5, 20), parcels=4),
        shift=Window(from_s=begins, until_s=begins + random.randrange(5_000, 9_600)),
        skills=frozenset(skill for skill in ("cold", "tall") if random.random() < 0.6),
        pause=pause(begins + 2_000, begins + 3_500, random.randrange(300, 900)) if has_break else None,
    )


def drawn_load(random: Random) -> Load:
    return Load(weight_g=random.randrange(5), volume_cm3=random.randrange(5), parcels=1)


def drawn_stop(random: Random, place: int, from_s: int, tight: float) -> Stop:
    return stop(place, from_s, from_s + int(random.randrange(1_500, 5_000) / tight), random.randrange(0, 180))


def drawn_shipment(random: Random, at: int, seconds: tuple[tuple[int, ...], ...], tight: float) -> Shipment:
    a, b = random.sample(range(len(seconds)), 2)
    begins = random.randrange(0, 5_000)
    return Shipment(
        id=f"s{at}",
        pickup=drawn_stop(random, a, begins, tight),
        delivery=drawn_stop(random, b, begins + random.randrange(0, 900), tight),
        load=drawn_load(random),
        skills=frozenset({"cold"}) if random.random() < 0.2 else frozenset(),
        ride_limit_s=int(seconds[a][b] + random.randrange(100, 900) / tight) if random.random() < 0.4 else None,
        penalty=random.randrange(200, 3_000) if random.random() < 0.2 else None,
    )


def drawn_delivery(random: Random, at: int, places: int, tight: float) -> Delivery:
    return Delivery(
        id=f"d{at}",
        stop=drawn_stop(random, random.randrange(places), random.randrange(0, 5_000), tight),
        load=drawn_load(random),
        skills=frozenset({"tall"}) if random.random() < 0.2 else frozenset(),
        penalty=random.randrange(200, 3_000) if random.random() < 0.2 else None,
    )


def under_way(problem: Problem, solution: Solution, seed: int) -> Problem:
    """The same, with up to three stops of each route committed."""
    random = Random(seed)
    begun = {each.vehicle: each.visits[: random.randrange(4)] for each in solution.routes}
    vehicles = tuple(
        Vehicle(**{name: getattr(each, name) for name in each.__struct_fields__} | {"prefix": begun.get(each.id, ())})
        for each in problem.vehicles
    )
    return Problem(
        matrices=problem.matrices,
        vehicles=vehicles,
        shipments=problem.shipments,
        deliveries=problem.deliveries,
        objective=problem.objective,
    )
