"""Where does it take longer than elsewhere? By tenant, and by tenant and vehicle: what the forest of all does not know.

Each is the mean of what the forest missed, drawn to what is known without it where few journeys tell of it (empirical
Bayes: Efron and Morris 1975).
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

DRAWN_BY = 30
"""Journeys that miss nothing, as it were, are counted with those that there were."""


class Missed(msgspec.Struct, frozen=True):
    """How much longer a journey took than the forest had told: a logarithm."""

    tenant: str
    vehicle: str
    longer: float


def paces_of(journeys: Sequence[Missed]) -> Mapping[tuple[str, str], float]:
    """By tenant and vehicle, of which "" stands for the tenant; a vehicle's is what is left after its tenant's. Who has
    no tenant is of a world with one, and the forest knows that."""
    known = [each for each in journeys if each.tenant]
    tenants = drawn((each.tenant, "", each.longer) for each in known)
    rest = ((each.tenant, each.vehicle, each.longer - tenants[each.tenant, ""]) for each in known if each.vehicle)
    return {**tenants, **drawn(rest)}


def longer(paces: Mapping[tuple[str, str], float], tenant: str, vehicle: str) -> float:
    return paces.get((tenant, ""), 0.0) + paces.get((tenant, vehicle), 0.0)


def drawn(missed: Iterable[tuple[str, str, float]]) -> dict[tuple[str, str], float]:
    sums: dict[tuple[str, str], float] = {}
    counts: dict[tuple[str, str], int] = {}
    for tenant, vehicle, longer in missed:
        key = tenant, vehicle
        sums[key] = sums.get(key, 0.0) + longer
        counts[key] = counts.get(key, 0) + 1
    return {key: total / (counts[key] + DRAWN_BY) for key, total in sums.items()}
