"""How a simulated day went, in figures: of one policy, and of two beside each other."""

from collections import Counter
from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from infra.simulate.day import Lived
from infra.simulate.riding import Riding

LABEL_WIDTH, WIDTH = 36, 16


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    policy: str
    orders: int
    delivered: int
    most_deliverable: float | None
    """By the relaxed bound, None where there are too many orders for it."""
    undelivered: dict[str, int]
    """By why."""
    to_door_min: dict[str, float | None]
    """From the order to the door: mean, median, p90."""
    late: int
    """Delivered after the window had closed."""
    late_min: float | None
    """Of those, mean."""
    km: float
    utilisation: float
    """Share of the riders' shifts in which they drove or were at a stop."""
    cost_minor: float
    currency: str


def figures_of(name: str, lived: Lived, most: float | None) -> Figures:
    delivered = [fate for fate in lived.fates if fate.delivered_s is not None]
    late = [fate.late_s / 60 for fate in delivered if fate.late_s > 0]
    to_door = np.array([fate.to_door_s for fate in delivered], float) / 60
    shifts_s = sum(riding.spec.until_s - riding.spec.from_s for riding in lived.ridings)
    busy_s = sum(riding.driven_s + riding.at_stops_s for riding in lived.ridings)
    missing = Counter(fate.code or "not_decided" for fate in lived.fates if fate.delivered_s is None)
    kinds: Sequence[tuple[str, Callable[..., float]]] = (("mean", np.mean), ("median", np.median), ("p90", p90))
    return Figures(
        policy=name,
        orders=len(lived.fates),
        delivered=len(delivered),
        most_deliverable=None if most is None else round(most, 1),
        undelivered=dict(sorted(missing.items(), key=lambda item: (-item[1], item[0]))),
        to_door_min={kind: round(float(of(to_door)), 1) if len(to_door) else None for kind, of in kinds},
        late=len(late),
        late_min=round(sum(late) / len(late), 1) if late else None,
        km=round(sum(riding.driven_m for riding in lived.ridings) / 1_000, 1),
        utilisation=round(busy_s / shifts_s, 3),
        cost_minor=round(sum(cost_of(lived, riding) for riding in lived.ridings), 2),
        currency=lived.policy.rules.dispatch.currency,
    )


def p90(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float:
    return float(np.percentile(values, 90))


def cost_of(lived: Lived, riding: Riding) -> float:
    """Minor units, of all that is driven."""
    costs = {each.vehicle: each for each in lived.policy.rules.dispatch.costs}
    of = costs.get(riding.spec.vehicle)
    return 0.0 if of is None else of.per_km * riding.driven_m / 1_000 + of.per_hour * riding.driven_s / 3_600


def in_words(told: Sequence[Figures]) -> str:
    rows = [
        ("", [each.policy for each in told]),
        ("orders", [f"{each.orders:,}" for each in told]),
        ("delivered", [f"{each.delivered:,} ({each.delivered / each.orders:.1%})" for each in told]),
        ("most that anybody could", [bound_in_words(each) for each in told]),
        ("not delivered", [f"{each.orders - each.delivered:,}" for each in told]),
    ]
    codes = dict.fromkeys(code for each in told for code in each.undelivered)
    rows += [(f"  {code}", [f"{each.undelivered.get(code, 0):,}" for each in told]) for code in codes]
    rows += [
        (f"click to door, {kind}", [minutes(each.to_door_min[kind]) for each in told])
        for kind in ("mean", "median", "p90")
    ]
    rows += [
        ("late", [f"{each.late:,}" for each in told]),
        ("  by, mean", [minutes(each.late_min) for each in told]),
        ("driven", [f"{each.km:,.1f} km" for each in told]),
        ("  per delivery", [f"{each.km / each.delivered:.2f} km" if each.delivered else "-" for each in told]),
        ("riders busy", [f"{each.utilisation:.1%}" for each in told]),
        ("cost of driving", [f"{each.cost_minor / 100:,.2f} {each.currency}" for each in told]),
    ]
    widths = [max(WIDTH, *(len(cells[column]) + 2 for _, cells in rows)) for column in range(len(told))]
    return "\n".join(
        (label.ljust(LABEL_WIDTH) + "".join(cell.rjust(w) for cell, w in zip(cells, widths, strict=True))).rstrip()
        for label, cells in rows
    )


def bound_in_words(told: Figures) -> str:
    return "not worked out" if told.most_deliverable is None else f"{told.most_deliverable:,.1f}"


def minutes(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} min"
