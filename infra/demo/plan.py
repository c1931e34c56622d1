"""What is played: who rides, who orders, and what goes wrong. Pure: the same for the same seed."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from infra.demo.chance import chance
from infra.demo.cities import Shop
from schemas.geo import Location, distance_m

type Character = Literal["plain", "unwanted", "nobody_home", "cancelled"]
"""How a delivery goes: as it should, nobody takes it, nobody opens, or it is called off."""

FIRST = ("Aino", "Eero", "Helmi", "Ilmari", "Kerttu", "Lauri", "Maija", "Niilo", "Oona", "Pekka", "Saara", "Toivo")
LAST = ("Aalto", "Hakala", "Järvi", "Koski", "Laine", "Mäki", "Niemi", "Ranta", "Salo", "Virta")
GOODS = ("soup and bread", "cough syrup", "two novels", "tulips", "a birthday cake", "spare keys", "a phone charger")
DOORS = 120
"""Places that order."""

DOORS_CONSIDERED = 4
WINDOW = timedelta(minutes=40)
UNWANTED_EVERY, NOBODY_HOME_EVERY, CANCELLED_EVERY = 90, 19, 37
"""Of so many deliveries one is of that character; each of them comes early, too, so that a short play has it."""


class Spell(msgspec.Struct, frozen=True):
    """Seconds into the play in which a phone has no network."""

    start_s: float
    end_s: float


class Persona(msgspec.Struct, frozen=True, kw_only=True):
    """A rider as they are: how they answer, and what their phone does."""

    reference: str
    name: str
    vehicle: str
    start: Location
    declines: float
    """Of a hundred offers so many hundredths."""
    ignores: float
    thinks_s: tuple[float, float]
    offline: tuple[Spell, ...]
    papers_end_s: float | None
    """When their identity document expires."""
    clock_ahead: bool
    """Their phone's clock jumps now and then."""

    @property
    def device(self) -> str:
        return f"phone-{self.reference}"

    def online(self, at_s: float) -> bool:
        return not any(spell.start_s <= at_s < spell.end_s for spell in self.offline)


class PlannedOrder(msgspec.Struct, frozen=True, kw_only=True):
    """`at_s` is when it is ordered, `cancelled_after_s` how long it stands if it is called off."""

    number: int
    at_s: float
    shop: str
    door: Location
    recipient: str
    phone: str
    goods: str
    character: Character
    cancelled_after_s: float

    @property
    def reference(self) -> str:
        return f"order-{self.number:05}"


def personas(seed: str, starts: Sequence[Location], length_s: float) -> list[Persona]:
    """One rider for each place to start from."""
    return [persona(seed, number, start, length_s) for number, start in enumerate(starts, start=1)]


def persona(seed: str, number: int, start: Location, length_s: float) -> Persona:
    of = chance(seed, "rider", number)
    offline = []
    if number % 4 == 0:
        begins = of.uniform(0.1, 0.7) * length_s
        offline.append(Spell(begins, begins + of.uniform(45, 150)))
    if number == 7:
        offline.append(Spell(0.35 * length_s, 0.35 * length_s + 700))
    return Persona(
        reference=f"courier-{number:02}",
        name=f"{FIRST[number % len(FIRST)]} {LAST[(number // len(FIRST) + number) % len(LAST)]}",
        vehicle=of.choice(("car", "scooter", "van")),
        start=start,
        declines=of.uniform(0.02, 0.25),
        ignores=0.04,
        thinks_s=(2.0, of.uniform(6, 25)),
        offline=tuple(offline),
        papers_end_s=0.5 * length_s if number == 5 else None,
        clock_ahead=number == 11,
    )


def order(seed: str, number: int, at_s: float, shops: Sequence[Shop], doors: Sequence[Location]) -> PlannedOrder:
    """One orders where it is near: of a few doors the one nearest to the shop."""
    of = chance(seed, "order", number)
    shop = of.choice(shops)
    there = Location(lat=shop.lat, lon=shop.lon)
    return PlannedOrder(
        number=number,
        at_s=at_s,
        shop=shop.slug,
        door=min((of.choice(doors) for _ in range(DOORS_CONSIDERED)), key=lambda door: distance_m(door, there)),
        recipient=f"{of.choice(FIRST)} {of.choice(LAST)}",
        phone=f"+35840{of.randrange(10**7):07}",
        goods=of.choice(GOODS),
        character=character(number),
        cancelled_after_s=of.uniform(30, 400),
    )


def character(number: int) -> Character:
    if number % UNWANTED_EVERY == 4:
        return "unwanted"
    if number % NOBODY_HOME_EVERY == 3:
        return "nobody_home"
    return "cancelled" if number % CANCELLED_EVERY == 6 else "plain"


def orders(
    seed: str, count: int, length_s: float, shops: Sequence[Shop], doors: Sequence[Location]
) -> list[PlannedOrder]:
    """Spread over the time by chance, the first at once."""
    of = chance(seed, "times")
    times = sorted([0.0, *(of.uniform(0, length_s) for _ in range(count - 1))])
    return [order(seed, number, at_s, shops, doors) for number, at_s in enumerate(times, start=1)]


def body_of(planned: PlannedOrder, ordered_at: datetime) -> dict[str, Any]:
    """As CreateTask wants it."""
    window = {"start": ordered_at.isoformat(), "end": (ordered_at + WINDOW).isoformat()}
    dropoff = {
        "kind": "dropoff",
        "location": {"lat": planned.door.lat, "lon": planned.door.lon},
        "contact": {"name": planned.recipient, "phone": planned.phone},
        "window": window,
        "service_seconds": 60,
        "required_proof": [["pin", "photo"]],
    }
    return {
        "kind": "delivery",
        "outlet": planned.shop,
        "external_reference": planned.reference,
        "stops": [{"kind": "pickup", "service_seconds": 90}, dropoff],
        "parcels": [{"description": planned.goods, "weight_g": 1_500}],
    }
