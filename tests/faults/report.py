"""What a run tells: what was injected, how it went on meanwhile, and whether every invariant holds."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import msgspec
from rich.console import Console
from rich.table import Table

from infra.check.finding import Verdict
from tests.faults.nemesis import KINDS, Done

type Span = tuple[float, float]
MOST_TOLD = 12


class Injected(msgspec.Struct, frozen=True):
    """Of one kind of fault. `gap_s`: the longest time without an acknowledgement that touches one of them."""

    kind: str
    count: int
    seconds: float
    gap_s: float
    not_done: int


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Of one run. `seconds` were those under faults."""

    seed: str
    brokers: int
    seconds: float
    holds: bool
    verdicts: list[Verdict]
    injected: list[Injected]
    asked: int
    acknowledged: int
    sent: int
    turned_away: dict[str, int]
    unanswered: list[str]
    longest_gap_s: float
    events: dict[str, int]
    delivered: int
    ended_by_themselves: dict[str, int]
    rides: dict[str, int]
    ticks_failed: dict[str, int]


def injected(done: Sequence[Done], spans: Sequence[Span], acknowledged_at: Sequence[float]) -> list[Injected]:
    found = []
    for kind in KINDS:
        of_kind = [(each, span) for each, span in zip(done, spans, strict=True) if each.planned.kind == kind]
        went = [span for each, span in of_kind if each.went]
        if of_kind:
            seconds = sum(end - begin for begin, end in went)
            gap_s = max((gap_within(span, acknowledged_at) for span in went), default=0.0)
            found.append(Injected(kind, len(went), seconds, gap_s, len(of_kind) - len(went)))
    return found


def gap_within(span: Span, acknowledged_at: Sequence[float]) -> float:
    """The longest time between two acknowledgements that touches the span."""
    first = max(0, bisect_left(acknowledged_at, span[0]) - 1)
    last = bisect_right(acknowledged_at, span[1]) + 1
    touching = acknowledged_at[first:last]
    return max((b - a for a, b in pairwise(touching)), default=0.0)


def tell(outcome: Outcome, console: Console) -> None:
    console.print(told_injected(outcome.injected))
    console.print(
        f"{outcome.asked:,} commands asked in {outcome.sent:,} requests, {outcome.acknowledged:,} acknowledged, "
        f"{len(outcome.unanswered)} unanswered to the end; {sum(outcome.turned_away.values()):,} times no answer; "
        f"longest time without an acknowledgement {outcome.longest_gap_s:.1f} s; {outcome.delivered} delivered",
        highlight=False,
        soft_wrap=True,
    )
    for title, counted in (
        ("no answer", outcome.turned_away),
        ("ended by themselves", outcome.ended_by_themselves),
        ("rides", outcome.rides),
        ("the riders' ticks that failed", outcome.ticks_failed),
    ):
        most = Counter(counted).most_common(MOST_TOLD)
        if most:
            told = ", ".join(f"{name} {count:,}" for name, count in most)
            console.print(f"{title}: {told}", markup=False, highlight=False, soft_wrap=True)
    for command in outcome.unanswered:
        console.print(f"unanswered: {command}", markup=False, highlight=False, soft_wrap=True)


def told_injected(rows: Sequence[Injected]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("injected")
    for column in ("count", "seconds", "longest gap, s", "not done"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(row.kind, str(row.count), f"{row.seconds:.0f}", f"{row.gap_s:.1f}", str(row.not_done or ""))
    table.add_row("all", str(sum(row.count for row in rows)), f"{sum(row.seconds for row in rows):.0f}", "", "")
    return table


def summary(outcomes: Sequence[Outcome]) -> Table:
    """Of several runs, one a line."""
    table = Table(box=None, pad_edge=False)
    columns = ("seed", "brokers", "minutes", "faults", "asked", "acknowledged", "longest gap, s", "broken", "")
    for column in columns:
        table.add_column(column, justify="right")
    for each in outcomes:
        table.add_row(
            each.seed,
            str(each.brokers),
            f"{each.seconds / 60:.1f}",
            str(sum(row.count for row in each.injected)),
            f"{each.asked:,}",
            f"{each.acknowledged:,}",
            f"{each.longest_gap_s:.1f}",
            str(sum(verdict.broken for verdict in each.verdicts)),
            "holds" if each.holds else "DOES NOT HOLD",
        )
    return table
