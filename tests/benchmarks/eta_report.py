"""How good forecasts of arrivals are, on real taxi trips: a table with confidence intervals and figures, into docs.

`make eta-report` runs it; LOGISTICS_SAMPLE_DATA names the folder with the trips, the truth and the map. It foretells
with `logistics eta score`, as anybody would, and reads what came true afterwards.
"""

import csv
import gzip
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import matplotlib
import msgspec
import numpy as np
import numpy.typing as npt
from matplotlib import pyplot
from matplotlib.axes import Axes

from infra.eta_score import score
from infra.settings import load_settings

DOCS = Path(__file__).resolve().parents[2] / "docs"
REPORT, FIGURES = DOCS / "eta-report.md", DOCS / "eta-report"
DRAWS = 2_000
FRACTIONS = (0.0, 0.25, 0.5, 0.75)
BINS = 6
SEED = 7
INK, BY_ROUTER, BAND = "#1b4f72", "#b9770e", "#aed6f1"

type Floats = npt.NDArray[np.float64]
type Rows = Mapping[str, Floats]
type Figure = Callable[[Rows], float]


class Scored(msgspec.Struct, frozen=True):
    """One row for each fix that is scored, in columns."""

    taxi: npt.NDArray[np.str_]
    rows: Rows

    def of(self, which: npt.NDArray[np.bool_]) -> "Scored":
        return Scored(self.taxi[which], {name: column[which] for name, column in self.rows.items()})


def main() -> int:
    data = load_settings().sample_data
    if data is None:
        print("LOGISTICS_SAMPLE_DATA names no folder with the taxi trips", file=sys.stderr)
        return 2
    trips, truth = data / "traces" / "porto_taxi_trips.csv.gz", data / "eta" / "truth_public.csv.gz"
    with tempfile.TemporaryDirectory() as folder:
        forecasts = Path(folder) / "forecasts.csv"
        score(trips, truth, forecasts, data / "osm" / "porto.osm.pbf", None, 0, as_json=False)
        every = joined(truth, forecasts)
    rest = every.of(every.rows["rest"] == 1)
    FIGURES.mkdir(exist_ok=True)
    draw(rest)
    REPORT.write_text(report(every, rest))
    print(f"{REPORT.relative_to(DOCS.parent)}, {FIGURES.relative_to(DOCS.parent)}/")
    return 0


def joined(truth: Path, forecasts: Path) -> Scored:
    """Raises KeyError for a fix that was not foretold."""
    with forecasts.open(newline="") as opened:
        told = {(row["trip_id"], row["time"]): row for row in csv.DictReader(opened)}
    with gzip.open(truth, "rt", newline="") as opened:
        known = list(csv.DictReader(opened))
    asked = [told[row["trip_id"], row["time"]] for row in known]
    columns = {
        "at": [row["at_fraction"] for row in known],
        "truth": [row["remaining_s"] for row in known],
        "router": [row["osrm_s"] for row in known],
        "time": [row["time"] for row in known],
        "rest": [row["split"] == "rest" for row in known],
        **{name: [row[name] for row in asked] for name in ("p10", "p50", "p90")},
    }
    rows = {name: np.array(column, dtype=float) for name, column in columns.items()}
    return Scored(np.array([row["taxi_id"] for row in known]), rows)


def mae(rows: Rows) -> float:
    return float(np.abs(rows["p50"] - rows["truth"]).mean())


def less(rows: Rows) -> float:
    """Per cent by which the mean error is less than the router's."""
    return 100 * (1 - mae(rows) / float(np.abs(rows["router"] - rows["truth"]).mean()))


def bias(rows: Rows) -> float:
    return float((rows["p50"] - rows["truth"]).mean())


def by(name: str) -> Figure:
    return lambda rows: 100 * float((rows["truth"] <= rows[name]).mean())


def in_band(rows: Rows) -> float:
    return 100 * float(((rows["p10"] <= rows["truth"]) & (rows["truth"] <= rows["p90"])).mean())


def width(rows: Rows) -> float:
    return float((rows["p90"] - rows["p10"]).mean())


COLUMNS: Sequence[tuple[str, str, Figure]] = (
    ("MAE, s", "{:.1f}", mae),
    ("less than the router's", "{:.0f} %", less),
    ("bias, s", "{:+.0f}", bias),
    ("truth ≤ p50", "{:.0f} %", by("p50")),
    ("truth ≤ p90", "{:.0f} %", by("p90")),
    ("truth in p10 to p90", "{:.0f} %", in_band),
    ("width, s", "{:.0f}", width),
)


def interval(scored: Scored, figure: Figure) -> tuple[float, float]:
    """95 per cent, by drawing whole taxis: fixes of one, and its trips, resemble each other."""
    draw_of = np.random.default_rng(SEED)
    of_taxi = [np.flatnonzero(scored.taxi == taxi) for taxi in np.unique(scored.taxi)]
    figures = []
    for _ in range(DRAWS):
        drawn = np.concatenate([of_taxi[one] for one in draw_of.integers(len(of_taxi), size=len(of_taxi))])
        figures.append(figure({name: column[drawn] for name, column in scored.rows.items()}))
    low, high = np.percentile(figures, (2.5, 97.5))
    return float(low), float(high)


def table(scored: Scored) -> str:
    lines = [
        "| at | fixes | " + " | ".join(title for title, _, _ in COLUMNS) + " |",
        "|---|--:|" + "--:|" * len(COLUMNS),
    ]
    parts = [("all", scored), *((f"{at:g}", scored.of(scored.rows["at"] == at)) for at in FRACTIONS)]
    for name, part in parts:
        cells = []
        for _, form, figure in COLUMNS:
            low, high = interval(part, figure)
            cells.append(f"{form.format(figure(part.rows))} ({form.format(low)} to {form.format(high)})")
        lines.append(f"| {name} | {len(part.taxi)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(rest: Scored) -> None:
    matplotlib.rcParams.update({"svg.hashsalt": "eta", "svg.fonttype": "none", "font.size": 10})
    saved("error", "Mean error by how much of the trip is done", errors, rest)
    saved("bounds", "How often truth was by what was told", bounds, rest)
    saved("rush", "Through the morning", rush, rest)


def saved(name: str, title: str, drawing: Callable[[Axes, Scored], None], rest: Scored) -> None:
    figure, axes = pyplot.subplots(figsize=(7, 3.6), layout="constrained")
    axes.set_title(title, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    drawing(axes, rest)
    figure.savefig(FIGURES / f"{name}.svg", metadata={"Date": None})
    pyplot.close(figure)


def errors(axes: Axes, rest: Scored) -> None:
    parts = [rest.of(rest.rows["at"] == at) for at in FRACTIONS]
    at = np.arange(len(FRACTIONS))
    axes.bar(
        at - 0.2,
        [float(np.abs(p.rows["router"] - p.rows["truth"]).mean()) for p in parts],
        0.38,
        color=BY_ROUTER,
        label="router alone",
    )
    foretold = [mae(part.rows) for part in parts]
    bars = np.abs(np.array([interval(part, mae) for part in parts]).T - np.array(foretold))
    axes.bar(at + 0.2, foretold, 0.38, yerr=bars, capsize=3, color=INK, label="foretold (95 %)")
    axes.set_xticks(at, [f"{100 * each:.0f} % done" for each in FRACTIONS])
    axes.set_ylabel("seconds")
    axes.legend(frameon=False)


def bounds(axes: Axes, rest: Scored) -> None:
    """Between the three quantiles, by the length of what is left."""
    order = np.array_split(np.argsort(rest.rows["p50"]), BINS)
    middle = [float(np.median(rest.rows["p50"][each])) / 60 for each in order]
    for name, nominal in (("p10", 10), ("p50", 50), ("p90", 90)):
        held = [100 * float((rest.rows["truth"] <= rest.rows[name])[each].mean()) for each in order]
        axes.plot(middle, held, marker="o", color=INK)
        axes.axhline(nominal, color=BY_ROUTER, linewidth=1, linestyle="--")
        axes.annotate(name, (middle[-1], held[-1]), xytext=(6, -3), textcoords="offset points")
    axes.set(xlabel="minutes foretold", ylabel="% of trips there by then", ylim=(0, 100))


def rush(axes: Axes, rest: Scored) -> None:
    """Truth against what was told at the start of each trip."""
    start = rest.of(rest.rows["at"] == 0).rows
    hour = (start["time"] + 3_600) % 86_400 / 3_600
    order = np.argsort(hour)
    axes.vlines(
        hour[order], start["p10"][order] / 60, start["p90"][order] / 60, color=BAND, linewidth=4, label="p10 to p90"
    )
    axes.plot(hour[order], start["p50"][order] / 60, ".", color=INK, label="p50")
    axes.plot(hour[order], start["truth"][order] / 60, "x", color=BY_ROUTER, label="truth")
    axes.set(xlabel="hour of the day in Porto, at the start of the trip", ylabel="minutes")
    axes.legend(frameon=False, ncols=3, loc="upper right")


def report(every: Scored, rest: Scored) -> str:
    trips = len(rest.taxi) // len(FRACTIONS)
    taxis = len(np.unique(rest.taxi))
    return f"""# How good forecasts of arrivals are

Written by `make eta-report`; what it means is in [eta.md](eta.md).

**What taught, what is scored.** Taxi trips in Porto on 2013-07-01 from midnight to nine (ECML/PKDD 2015): 610 trips, each of
which teaches once it has ended, and every forecast is made from trips that had ended by then. {len(every.taxi) // len(FRACTIONS)} go
through the streets of the map; scored are the last third of those by time, {trips} trips of {taxis} taxis in the morning's rush, at
their first fix and at a quarter, half and three quarters of their time. In brackets: 95 % intervals, by drawing whole taxis
{DRAWS:,} times.

{table(rest)}

![Mean error by how much of the trip is done](eta-report/error.svg)

![How often truth was by what was told](eta-report/bounds.svg)

![Through the morning](eta-report/rush.svg)

The first two thirds, from which little had been learned yet, are not among these figures. How many trees there are, how much
the beginning counts and how fast errors are forgotten was chosen on these trips: on others it may be a per cent or two worse.
"""


if __name__ == "__main__":
    sys.exit(main())
