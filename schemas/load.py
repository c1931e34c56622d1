"""What is carried, and what there is room for: weight, volume and number of parcels, each of which binds."""

from collections.abc import Iterable
from typing import Literal

from schemas.message import Count, Input

Measure = Literal["weight_g", "volume_cm3", "parcels"]


class Capacity(Input, frozen=True, kw_only=True):
    """What it carries at most: each of the three binds."""

    weight_g: Count
    volume_cm3: Count
    parcels: Count


class Load(Input, frozen=True, kw_only=True):
    """Of a stop: what it adds, less than nothing where goods leave."""

    weight_g: int = 0
    volume_cm3: int = 0
    parcels: int = 0


class Overload(Input, frozen=True, kw_only=True):
    """There would be more of it than there may be."""

    measure: Measure
    load: int
    limit: int


NOTHING = Load()


def peak_load(loads: Iterable[Load]) -> Load:
    """The most of each that is aboard at once along stops that add these; what is dropped first was aboard before."""
    weight = lightest = heaviest = volume = smallest = largest = parcels = fewest = most = 0
    for load in loads:
        weight += load.weight_g
        volume += load.volume_cm3
        parcels += load.parcels
        if weight > heaviest:
            heaviest = weight
        elif weight < lightest:
            lightest = weight
        if volume > largest:
            largest = volume
        elif volume < smallest:
            smallest = volume
        if parcels > most:
            most = parcels
        elif parcels < fewest:
            fewest = parcels
    return Load(weight_g=heaviest - lightest, volume_cm3=largest - smallest, parcels=most - fewest)


def beyond(load: Load, capacity: Capacity) -> list[Overload]:
    pairs: list[tuple[Measure, int, int]] = [
        ("weight_g", load.weight_g, capacity.weight_g),
        ("volume_cm3", load.volume_cm3, capacity.volume_cm3),
        ("parcels", load.parcels, capacity.parcels),
    ]
    return [Overload(measure=measure, load=much, limit=limit) for measure, much, limit in pairs if much > limit]
