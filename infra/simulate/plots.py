"""A simulated day in three figures: how many wait, how long it takes to the door, and where riders drive."""

from collections.abc import Callable, Sequence
from importlib import import_module
from math import cos, radians
from pathlib import Path
from typing import Any

import numpy as np

from infra.settings import WrongSetting
from infra.simulate.day import Lived
from schemas.geo import Location

COLOURS = ("#1b4f72", "#b9770e")
MISSED = "#c0392b"

type Named = Sequence[tuple[str, Lived]]


def drawing_tools() -> Any:
    """matplotlib's pyplot. Raises WrongSetting without it."""
    try:
        matplotlib = import_module("matplotlib")
        matplotlib.use("Agg")
        matplotlib.rcParams.update({"svg.hashsalt": "simulate", "svg.fonttype": "none", "font.size": 10})
        return import_module("matplotlib.pyplot")
    except ImportError as missing:
        raise WrongSetting("--out draws with matplotlib: pip install -r requirements-plots.lock") from missing


def draw(pyplot: Any, out: Path, lived: Named) -> list[Path]:
    return [
        saved(pyplot, out / "waiting.svg", "Orders that wait for a rider", (7, 3.6), lambda axes: waiting(axes, lived)),
        saved(pyplot, out / "to-door.svg", "From the order to the door", (7, 3.6), lambda axes: to_door(axes, lived)),
        *(
            saved(pyplot, out / f"ways-{name}.svg", f"Where riders drive: {name}", (6.4, 6.4), way_drawer(one))
            for name, one in lived
        ),
    ]


def saved(pyplot: Any, file: Path, title: str, size: tuple[float, float], drawing: Callable[[Any], None]) -> Path:
    figure, axes = pyplot.subplots(figsize=size, layout="constrained")
    axes.set_title(title, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    drawing(axes)
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)
    return file


def waiting(axes: Any, lived: Named) -> None:
    """From the order until a rider has it; what nobody gets waits until its window closes, or to the end."""
    first_s = min(fate.order.created_s for _, one in lived for fate in one.fates)
    last_s = max(rider.until_s for _, one in lived for rider in one.day.riders)
    at = np.linspace(first_s, last_s, 600)
    for colour, (name, one) in zip(COLOURS, lived, strict=False):
        begins = np.sort([fate.order.created_s for fate in one.fates])
        ends = np.sort([fate.assigned_s or fate.order.closes_s or last_s for fate in one.fates])
        count = np.searchsorted(begins, at, "right") - np.searchsorted(ends, at, "right")
        axes.plot((at - first_s) / 3_600, count, color=colour, label=name)
    axes.set(xlabel="hours from the first order on", ylabel="orders", ylim=(0, None))
    axes.legend(frameon=False)


def to_door(axes: Any, lived: Named) -> None:
    """Share of all orders that are there by then: what is not delivered keeps a line from the top."""
    for colour, (name, one) in zip(COLOURS, lived, strict=False):
        minutes = np.sort([fate.to_door_s / 60 for fate in one.fates if fate.to_door_s is not None])
        share = 100 * np.arange(1, len(minutes) + 1) / len(one.fates)
        axes.step(minutes, share, where="post", color=colour, label=name)
    axes.set(xlabel="minutes", ylabel="% of all orders delivered by then", ylim=(0, 102), xlim=(0, None))
    axes.legend(frameon=False, loc="lower right")


def way_drawer(lived: Lived) -> Callable[[Any], None]:
    return lambda axes: ways(axes, lived)


def ways(axes: Any, lived: Lived) -> None:
    def drawn(places: Sequence[Location], style: str, **how: Any) -> None:
        axes.plot([place.lon for place in places], [place.lat for place in places], style, **how)

    for riding in lived.ridings:
        drawn([each.place for each in riding.passed], "-", color=COLOURS[0], alpha=0.25, linewidth=0.8)
    done = [fate.order for fate in lived.fates if fate.delivered_s is not None]
    missed = [fate.order for fate in lived.fates if fate.delivered_s is None]
    drawn([order.dropoff for order in done], ".", color="#555555", markersize=3, label="delivered")
    drawn([order.dropoff for order in missed], "x", color=MISSED, markersize=5, label="not delivered")
    drawn([order.pickup for order in lived.day.orders], "o", color=COLOURS[1], markersize=5, label="pickup")
    axes.set_aspect(1 / cos(radians(lived.day.orders[0].pickup.lat)))
    axes.set(xlabel="longitude", ylabel="latitude")
    axes.ticklabel_format(useOffset=False)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=3)
