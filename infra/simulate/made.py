"""A day with too few riders: for two hours twice as many orders come as they can deliver one by one."""

from math import cos, radians
from random import Random

from infra.simulate.world import Day, Order, SimulatedRider
from schemas.geo import Location, distance_m
from schemas.load import Load
from streams.routing.great_circle import DETOUR, SPEED_MPS

CENTRE = Location(lat=60.1695, lon=24.9354)
STARTS_S = 1_900_000_000 // 86_400 * 86_400 + 10 * 3_600
"""In the morning, UTC."""
RUSH_S = 7_200
BEFORE_S = 3_600
AFTER_S = 7_200
DEMAND = 2.0
"""Times what they can do one by one in the rush."""
KITCHENS = 6
KITCHEN_REACH_M = 1_500
DOOR_REACH_M = 1_500
DRAWN = 2_000
SERVICE_S = 60
READY_S = 600
PROMISE_S = 4_500
"""From the order to the end of the window at the door."""


def made_day(seed: int, riders: int = 30) -> Day:
    """A calm hour before the rush; shifts go on for two hours after it."""
    draw = Random(f"made:{seed}")
    kitchens = [near(CENTRE, KITCHEN_REACH_M, draw) for _ in range(KITCHENS)]
    rush_from = STARTS_S + BEFORE_S
    rush = [some_order(draw, kitchens) for _ in range(DRAWN)]
    each_s = sum(one_by_one_s(pickup, door) for pickup, door in rush) / len(rush)
    most = round(DEMAND * riders * RUSH_S / each_s)
    calm = round(most * 0.1)
    times = [rush_from + draw.uniform(0, RUSH_S) for _ in range(most)]
    times += [STARTS_S + draw.uniform(0, BEFORE_S) for _ in range(calm)]
    orders = [order_at(f"o{number:04}", at_s, *rush[number % len(rush)]) for number, at_s in enumerate(sorted(times))]
    fleet = [
        SimulatedRider(
            id=f"r{number:03}",
            start=near(CENTRE, KITCHEN_REACH_M, draw),
            from_s=STARTS_S,
            until_s=rush_from + RUSH_S + AFTER_S,
            vehicle="bicycle",
        )
        for number in range(riders)
    ]
    return Day(name=f"made:{seed}", orders=orders, riders=fleet)


def made_riders(orders: list[Order], count: int, seed: int) -> list[SimulatedRider]:
    """In cars, each where some order is picked up, from the first order until two hours after the last."""
    draw = Random(f"riders:{seed}")
    first_s, last_s = min(order.created_s for order in orders), max(order.created_s for order in orders)
    return [
        SimulatedRider(id=f"r{number:03}", start=draw.choice(orders).pickup, from_s=first_s, until_s=last_s + AFTER_S)
        for number in range(count)
    ]


def some_order(draw: Random, kitchens: list[Location]) -> tuple[Location, Location]:
    kitchen = draw.choice(kitchens)
    return kitchen, near(kitchen, DOOR_REACH_M, draw)


def near(place: Location, reach_m: float, draw: Random) -> Location:
    """Evenly within a square."""
    north, east = draw.uniform(-reach_m, reach_m), draw.uniform(-reach_m, reach_m)
    lat = place.lat + north / 111_195
    return Location(lat=round(lat, 6), lon=round(place.lon + east / 111_195 / cos(radians(lat)), 6))


def one_by_one_s(pickup: Location, door: Location) -> float:
    """There, back for the next, and both stops."""
    return 2 * distance_m(pickup, door) * DETOUR / SPEED_MPS + 2 * SERVICE_S


def order_at(name: str, at_s: float, pickup: Location, door: Location) -> Order:
    at_s = float(round(at_s))
    return Order(
        id=name,
        created_s=at_s,
        ready_s=at_s + READY_S,
        pickup=pickup,
        dropoff=door,
        closes_s=at_s + PROMISE_S,
        load=Load(weight_g=1_000, parcels=1),
        pickup_service_s=SERVICE_S,
        dropoff_service_s=SERVICE_S,
    )
