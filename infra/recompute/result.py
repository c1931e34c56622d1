"""What came out of a comparison, for machines and in words."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

import msgspec
from rich.console import Console
from rich.table import Table

from infra.recompute.facts import Outcome

OUTCOMES: tuple[Outcome, ...] = ("both", "moved", "only_recorded", "only_recomputed")
FENCES_SHOWN = 20
NEW_SHOWN = 10


class OfFence(msgspec.Struct, frozen=True, kw_only=True):
    geofence_id: str
    name: str | None
    outcomes: dict[Outcome, int]


class Recomputed(msgspec.Struct, frozen=True, kw_only=True):
    """What came out."""

    tenant: str
    since: datetime
    until: datetime
    drawn: int | None
    """Fences of the file."""
    new: list[str]
    """Those that stand for none of the tenant's: new ones, or their ids or names are mistyped."""
    fixes: int
    frames_unreadable: int
    frames_not_told: int
    """Those that the stream has not folded yet; they are left out."""
    lead_is_whole: bool
    """Whether the log holds the day before: else who was inside by then seems to enter."""
    outcomes: dict[Outcome, int]
    moved_most_s: float
    by_fence: list[OfFence]
    """Where most differs first."""
    out: str | None


def in_full(counts: Mapping[Outcome, int]) -> dict[Outcome, int]:
    return {outcome: counts.get(outcome, 0) for outcome in OUTCOMES}


def left_out(not_told: int, unreadable: int = 0) -> Iterator[str]:
    if not_told:
        yield f"{not_told:,} frames were left out: the stream has not come so far"
    if unreadable:
        yield f"{unreadable:,} frames cannot be read, and were passed over"


def counted(outcomes: Mapping[Outcome, int]) -> str:
    return ", ".join(f"{count:,} {outcome.replace('_', ' ')}" for outcome, count in outcomes.items())


def side_by_side(of: str, rows: Iterable[tuple[str, Mapping[Outcome, int]]]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(of, min_width=20)
    for outcome in OUTCOMES:
        table.add_column(outcome.replace("_", " "), justify="right")
    for name, outcomes in rows:
        table.add_row(name, *(f"{count:,}" for count in outcomes.values()))
    return table


def most_different(each: tuple[str, Mapping[Outcome, int]]) -> tuple[int, str]:
    geofence_id, counts = each
    return counts.get("both", 0) - sum(counts.values()), geofence_id


def shown(told: Recomputed, console: Console) -> None:
    for sentence in in_words(told):
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    if not told.by_fence:
        return
    rows = ((each.name or each.geofence_id, each.outcomes) for each in told.by_fence[:FENCES_SHOWN])
    console.print(side_by_side("fence", rows))
    if len(told.by_fence) > FENCES_SHOWN:
        console.print(f"and {len(told.by_fence) - FENCES_SHOWN:,} fences more; all of them with --json")


def in_words(told: Recomputed) -> list[str]:
    counts = told.outcomes
    fences = "the fences that stood" if told.drawn is None else f"{told.drawn:,} fences of the file"
    by = f" by at most {told.moved_most_s:,.0f} s" if counts["moved"] else ""
    said = [
        f"{told.fixes:,} fixes of {told.tenant} with {fences}: {counts['both']:,} crossings in both, "
        f"{counts['moved']:,} moved{by}, "
        f"{counts['only_recorded']:,} only recorded, {counts['only_recomputed']:,} only recomputed"
    ]
    if told.new:
        more = f", and {len(told.new) - NEW_SHOWN:,} more" if len(told.new) > NEW_SHOWN else ""
        named = ", ".join(told.new[:NEW_SHOWN])
        said.append(
            f"{len(told.new):,} fences of the file stand for none of {told.tenant}'s, and are new: {named}{more}"
        )
    said += left_out(told.frames_not_told, told.frames_unreadable)
    if not told.lead_is_whole:
        said.append("of the day before not all is held any more: who was inside by then seems to enter")
    if told.out is not None:
        said.append(f"each of them: {told.out}")
    return said
