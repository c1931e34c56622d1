"""How a play went, told: a table, and the tasks to whom most happened."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from rich.console import Console
from rich.table import Table

from gateway.why.asked import asked
from infra.demo.api import Api, Json
from infra.demo.figures import Figures
from infra.demo.hour import Played

SHOWN_EVENTS = 60
LINE = 140
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
UNTOLD = frozenset({"tracking_token_hash", "max_attempts", "pin_attempts", "arrival_radius_m", "tender_id", "offer_id"})


def told(played: Played, figures: Figures, events: Mapping[str, int], lag: int, console: Console) -> None:
    """`events` by topic, `lag` in records."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column()
    for title, rows in sections(played, figures, events, lag):
        for number, (value, what) in enumerate(rows):
            table.add_row("" if number else title, value, what)
    console.print(table)


def sections(
    played: Played, figures: Figures, events: Mapping[str, int], lag: int
) -> list[tuple[str, list[tuple[str, str]]]]:
    counts, script = played.counts, played.script
    lasted = str(timedelta(seconds=round(played.virtual.total_seconds())))
    taken = played.commands / played.real_s
    moves = sum(counts[name] for name in ("claimed", "declined"))
    return [
        ("Played", [(lasted, f"in {played.real_s:.0f} s, {played.riders} riders, seed {script.seed}")]),
        ("Tasks", [(f"{count:,}", what) for what, count in figures.outcomes.items()]),
        ("Offers", [(f"{moves:,}", f"answered, {counts['declined']:,} of them by no")]),
        ("Events", [(f"{count:,}", topic) for topic, count in sorted(events.items()) if count]),
        (
            "Fixes",
            [
                (f"{counts['fixes accepted']:,}", "accepted"),
                *((f"{count:,}", f"put aside: {reason}") for reason, count in figures.aside.items()),
            ],
        ),
        (
            "Fences",
            [
                *((f"{count:,}", what) for what, count in figures.crossings.items()),
                *((f"{count:,}", f"of them {what} after a late fix") for what, count in figures.corrected.items()),
            ],
        ),
        ("ETA", eta_rows(figures)),
        ("Commands", [(f"{played.commands:,}", f"acknowledged, {taken:.0f} a second"), (f"{lag:,}", "records of lag")]),
    ]


def eta_rows(figures: Figures) -> list[tuple[str, str]]:
    eta = figures.eta
    if eta is None:
        return [("0", "stops with a forecast were reached")]
    return [
        (f"{eta.mean_absolute_s:.0f} s", f"mean absolute error of the first forecast, {eta.count:,} stops"),
        (f"{eta.median_absolute_s:.0f} s", "median"),
        (f"{eta.bias_s:+.0f} s", "bias, positive: later than forecast"),
    ]


async def stories(api: Api, dsn: str, tasks: Mapping[str, str], console: Console) -> None:
    """Each task in words, then its own history, a line an event. Raises Refusal, Unanswered."""
    for why, task in tasks.items():
        known = await asked(dsn, task, api.tenant)
        console.print(f"\n[bold]{why[:1].upper()}{why[1:]}[/bold]", highlight=False)
        for sentence in known.told:
            console.print(f"  {sentence}", highlight=False, markup=False, soft_wrap=True)
        history = await api.items(f"/tasks/{task}/history")
        for event in history[:SHOWN_EVENTS]:
            console.print(f"  {line_of(event)}", highlight=False, markup=False, soft_wrap=True)
        if len(history) > SHOWN_EVENTS:
            console.print(f"  and {len(history) - SHOWN_EVENTS} more", highlight=False)


def line_of(event: Json) -> str:
    """With ids cut to their first letters."""
    at = datetime.fromisoformat(event["time"])
    name = event["type"].rpartition(".")[2]
    told = [
        f"{key}={value}"
        for key, value in event["data"].items()
        if key not in UNTOLD and isinstance(value, str | int) and value not in ("", False)
    ]
    return f"{at:%H:%M:%S}  {name:<22} {ID.sub(lambda found: found[0][:8], ' '.join(told))}"[:LINE]
